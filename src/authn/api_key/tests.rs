//! Files of keys with a mistake, and keys that are nearly right.

use std::path::Path;

use super::super::tests::{NOW, issuer, path, schema, tenancy};
use super::*;
use crate::config::{Authn, Ids, Jwks};
use crate::metrics::Metrics;

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
    let parts =
        Parts { authn: &authn, principal: &principal, tenancy: &tenancy, hierarchy, path, metrics: &Metrics::new() };
    compile(&Source::new("api-keys.yaml", text), &file(SECRET, None), &parts).map(|(keys, _)| keys)
}

fn file(secret: &str, ids: Option<&str>) -> config::ApiKeys {
    let ids = config::Ids(ids.map(Name::from));
    config::ApiKeys { file: "api-keys.yaml".into(), key: Secret::new(secret), ids }
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
    let parts = Parts {
        authn: &authn,
        principal: &principal,
        tenancy: &tenancy,
        hierarchy,
        path: Path::new("gateway.yaml"),
        metrics: &Metrics::new(),
    };
    let errors = compile(&Source::new("api-keys.yaml", "keys: []\n"), &file("short", None), &parts);
    assert_eq!(errors.err().unwrap_or_default().first().map(|e| e.code), Some("weak-secret"));
}

#[test]
fn a_key_that_speaks_for_an_issuers_organization_is_told_once() {
    let (principal, tenancy) = (schema(), tenancy());
    let warnings = |text: &str, ours: Option<&str>, theirs: Option<&str>| {
        let mut issuer = issuer(Jwks::File("jwks.json".into()));
        issuer.ids = Ids(theirs.map(Name::from));
        let authn = Authn { jwt: vec![issuer], ..Authn::default() };
        let (hierarchy, path) = (&Hierarchy::None, Path::new("gateway.yaml"));
        let parts = Parts {
            authn: &authn,
            principal: &principal,
            tenancy: &tenancy,
            hierarchy,
            path,
            metrics: &Metrics::new(),
        };
        let (_, warnings) = compile(&Source::new("api-keys.yaml", text), &file(SECRET, ours), &parts).expect("sound");
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let second = entry().replace("keys:\n", "").replace("abcd2345", "abcd2346");
    let two = format!("{}{second}", entry());
    let found = warnings(&two, None, None);
    let expected =
        "api-keys.yaml:5:15: warning[shared-organization]: `https://id.example.com` may speak for `acme` too";
    assert!(found.len() == 1 && found[0].starts_with(expected), "{found:#?}");
    assert!(found[0].contains("(help: ") && found[0].contains("`ids: staff`"), "{found:#?}");
    assert_eq!(warnings(&two, Some("staff"), Some("guests")).len(), 1);
    assert_eq!(warnings(&two, Some("staff"), None).len(), 1);
    assert_eq!(warnings(&two, Some("staff"), Some("staff")).len(), 0);
    assert_eq!(warnings(&two.replace("acme", "initech"), None, None).len(), 0);
}
