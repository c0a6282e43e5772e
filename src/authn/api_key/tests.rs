//! Files of keys with a mistake, and keys that are nearly right.

use std::path::Path;

use super::super::tests::{NOW, path, schema, tenancy};
use super::*;
use crate::config::Authn;

const SECRET: &str = "0123456789abcdef";
const KEY: &str = "scrim_abcd2345_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-_AA";

fn entry() -> String {
    format!(
        "keys:\n  - id: abcd2345\n    hash: {}\n    principal: {{ id: sync-job, roles: [support], groups: [g], attributes: {{ level: 3, \
         regions: [north, \"1\"], mfa: true }} }}\n    tenants: [{{ organization_id: acme, app_id: shop }}]\n    \
         expires: 2027-06-01T00:00:00Z\n",
        hash(&Secret::new(SECRET), KEY)
    )
}

fn load(text: &str, hierarchy: &Hierarchy) -> Result<ApiKeys, Vec<Diagnostic>> {
    let (authn, principal, tenancy) = (Authn::default(), schema(), tenancy());
    let path = Path::new("gateway.yaml");
    let parts = Parts { authn: &authn, principal: &principal, tenancy: &tenancy, hierarchy, path };
    compile(&Source::new("api-keys.yaml", text), &Secret::new(SECRET), &parts)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

#[test]
fn a_key_gives_its_own_principal_until_it_expires() {
    let keys = load(&entry(), &Hierarchy::None).expect("a file");
    let found = keys.authenticate(KEY, at(NOW)).expect("a principal");
    assert_eq!((&*found.id, &*found.issuer, found.method), ("sync-job", ISSUER, Method::ApiKey));
    assert_eq!(found.attributes.get("level"), Some(&Value::Int(3)));
    assert_eq!(found.attributes.get("mfa"), Some(&Value::Bool(true)));
    assert_eq!(found.memberships.iter().map(TenantScope::to_string).collect::<Vec<_>>(), ["acme/shop"]);
    let end = "2027-06-01T00:00:00Z".parse::<Timestamp>().expect("a time").as_second();
    assert!(keys.authenticate(KEY, at(end - 1)).is_ok());
    assert_eq!(keys.authenticate(KEY, at(end)), Err(Refused::Expired));
}

#[test]
fn keys_that_are_nearly_right_are_refused() {
    let keys = load(&entry(), &Hierarchy::None).expect("a file");
    let stored = hash(&Secret::new(SECRET), KEY);
    for (key, refused) in [
        (KEY.replace("abcd2345", "abcd2346"), Refused::ApiKey),
        (KEY.replace("-_AA", "-_AB"), Refused::ApiKey),
        (format!("{KEY}A"), Refused::ApiKey),
        (format!("scrim_abcd2345_{stored}"), Refused::ApiKey),
        (KEY.replace("abcd2345", "zzzzzzzz"), Refused::ApiKey),
        (KEY.replace("abcd", "ABCD"), Refused::Malformed),
        (KEY.replace("scrim", "Scrim"), Refused::Malformed),
        (KEY.replace("-_AA", ""), Refused::Malformed),
        (format!(" {KEY}"), Refused::Malformed),
        (format!("{KEY} "), Refused::Malformed),
        (format!("{KEY}{}", "A".repeat(MAX_KEY)), Refused::Malformed),
        ("scrim__".to_owned(), Refused::Malformed),
        (stored.clone(), Refused::Malformed),
    ] {
        assert_eq!(keys.authenticate(&key, at(NOW)), Err(refused), "{key}");
    }
}

#[test]
fn mistakes_in_the_file_are_placed() {
    let sound = entry();
    let with = |from: &str, to: &str| {
        assert!(sound.contains(from), "{from}");
        sound.replace(from, to)
    };
    let again = sound.replace("keys:\n", "");
    for (text, line, code) in [
        (format!("{sound}{again}"), 7, "duplicate-key-id"),
        (with("roles: [support]", "roles: [suport]"), 4, "unknown-role"),
        (with("level: 3", "levle: 3"), 4, "unknown-attribute"),
        (with("level: 3", "level: three"), 4, "attribute-type"),
        (with("[north, \"1\"]", "[north, null]"), 4, "attribute-type"),
        (with("app_id: shop", "app: shop"), 5, "unknown-key"),
        (with(", app_id: shop", ""), 5, "missing-key"),
        (with("app_id: shop", "app_id: a/b"), 5, "tenant-value"),
        (with("    expires: 2027-06-01T00:00:00Z\n", ""), 2, "missing-key"),
        (with("2027-06-01T00:00:00Z", "never"), 6, "expected-timestamp"),
        (with("    tenants: [{ organization_id: acme, app_id: shop }]\n", ""), 2, "missing-key"),
        (with("id: abcd2345", "id: AB_CD"), 2, "key-id"),
        (with("hash: ", "hash: zz"), 3, "key-hash"),
        (with("hash: ", "hash: +"), 3, "key-hash"),
        (with("expires:", "reports: [u2]\n    expires:"), 6, "unused-reports"),
        (with("expires:", "key: x\n    expires:"), 6, "unknown-key"),
    ] {
        let errors = load(&text, &Hierarchy::None).err().unwrap_or_default();
        let placed = errors.iter().any(|e| e.code == code && e.span.position().0 == line);
        assert!(placed, "{code} {line}: {errors:?}");
    }
}

#[test]
fn a_key_may_name_one_tenant_and_its_reports() {
    let text = entry()
        .replace(
            "tenants: [{ organization_id: acme, app_id: shop }]",
            "tenant: { organization_id: acme, app_id: shop }",
        )
        .replace("expires:", "reports: [u2, u3]\n    expires:");
    let keys = load(&text, &Hierarchy::Claim(path("reports"))).expect("a file");
    let found = keys.authenticate(KEY, at(NOW)).expect("a principal");
    assert_eq!((found.memberships.len(), found.reports.join(" ")), (1, "u2 u3".to_owned()));
}

#[test]
fn a_short_hash_secret_is_refused() {
    let (authn, principal, tenancy) = (Authn::default(), schema(), tenancy());
    let hierarchy = &Hierarchy::None;
    let parts =
        Parts { authn: &authn, principal: &principal, tenancy: &tenancy, hierarchy, path: Path::new("gateway.yaml") };
    let errors = compile(&Source::new("api-keys.yaml", "keys: []\n"), &Secret::new("short"), &parts);
    assert_eq!(errors.err().unwrap_or_default().first().map(|e| e.code), Some("weak-secret"));
}
