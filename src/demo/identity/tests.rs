//! What is made at a start: who can read it, what it says, and that it goes away.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};

use super::*;

fn identity() -> Identity {
    Identity::create(None, &Store::seeded(), &Clock::system()).expect("the temporary folder can be written")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn tokens_verify_under_the_key_set_and_name_their_tenants() {
    let identity = identity();
    let set: JwkSet = serde_json::from_str(&identity.jwks).unwrap();
    let key = DecodingKey::from_jwk(set.find(KEY_ID).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    validation.validate_nbf = true;
    for (name, role, organization) in [
        ("ana", "sales_rep", json!("acme")),
        ("marta", "sales_manager", json!("acme")),
        ("sam", "support", json!("acme")),
        ("vic", "sales_rep", json!("globex")),
        ("lea", "analyst", json!("acme")),
        ("max", "sales_rep", Value::Null),
    ] {
        let claims = jsonwebtoken::decode::<Value>(identity.token(name), &key, &validation).expect(name).claims;
        assert_eq!(claims["sub"], name);
        assert_eq!(claims["roles"], json!([role]));
        assert_eq!(claims["org_id"], organization);
        let mfa = claims["amr"].as_array().unwrap().contains(&json!("mfa"));
        assert_eq!(mfa, name != "lea");
        assert_eq!(claims["reports"].as_array().unwrap().contains(&json!("ana")), name == "marta");
        assert_eq!(claims["tenants"].as_array().map(Vec::len), (name == "max").then_some(2));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), VALID_SECONDS);
    }
    assert_eq!(identity.token("nobody"), "");
}

#[test]
fn everything_embedded_is_everything_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut there: BTreeSet<String> = files(&root.join("policies"))
        .iter()
        .map(|path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned())
        .filter(|path| path.ends_with(".yaml") && !path.ends_with("_test.yaml"))
        .collect();
    there.extend(["config/demo.yaml", "config/apis/demo-crm.yaml"].map(str::to_owned));
    let embedded: BTreeSet<String> = EMBEDDED.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(embedded, there);
}

#[test]
fn files_named_by_the_configuration_exist_and_are_private() {
    let identity = identity();
    let text = std::fs::read_to_string(identity.config()).unwrap();
    let named = text.split([' ', '"', ',']).filter(|word| word.starts_with("demo/") && *word != "demo/");
    let mut checked = 0;
    for name in named.filter(|name| *name != "demo/audit.jsonl") {
        assert!(identity.folder().join("config").join(name).is_file(), "{name}");
        checked += 1;
    }
    assert_eq!(checked, 7, "the configuration names other files than it did");
    for file in files(identity.folder()) {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    assert_eq!(identity.folder().metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn what_is_written_passes_a_check_without_a_warning() {
    let identity = identity();
    // Another test may have been first.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let checked = crate::snapshot::check(&identity.config());
    assert!(checked.policies && checked.found.is_empty(), "{}", crate::diagnostic::render(&checked.found, false));
}

#[test]
fn the_folder_goes_away_unless_it_was_named() {
    let fresh = identity();
    let folder = fresh.folder().to_owned();
    drop(fresh);
    assert!(!folder.exists());
    let named = folder.with_extension("kept");
    for _ in 0..2 {
        drop(Identity::create(Some(&named), &Store::seeded(), &Clock::system()).unwrap());
        assert!(named.join("config/demo.yaml").is_file());
    }
    std::fs::remove_dir_all(named).unwrap();
}

#[test]
fn a_second_start_keeps_edits_and_makes_every_secret_afresh() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Identity::create(Some(folder.path()), &Store::seeded(), &Clock::system()).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let made = [
        "ca.pem",
        "config/demo/gateway.pem",
        "config/demo/gateway.key",
        "config/demo/jwks.json",
        "config/demo/crm-token",
        "config/demo/masking-key",
        "config/demo/api-key-hash",
        "config/demo/api-keys.yaml",
    ];
    let first = start();
    assert_eq!(first.kept, 0);
    let before = made.map(read);
    for (name, text) in EMBEDDED {
        std::fs::write(folder.path().join(name), format!("{text}# edited\n")).unwrap();
    }
    let missing = "policies/users.yaml";
    std::fs::remove_file(folder.path().join(missing)).unwrap();

    let second = start();
    assert_eq!(second.kept, EMBEDDED.len() - 1);
    for (name, text) in EMBEDDED {
        let edited = if *name == missing { "" } else { "# edited\n" };
        assert_eq!(read(name), format!("{text}{edited}"), "{name}");
    }
    for (name, before) in made.iter().zip(before) {
        assert_ne!(read(name), before, "{name}");
    }
    assert_eq!(read("config/demo/crm-token"), second.crm_token);
    assert_ne!(first.token("ana"), second.token("ana"));
    assert_ne!(first.api_key, second.api_key);
}

#[test]
fn no_link_in_a_named_folder_is_written_through() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = elsewhere.path().join("target");
    for (name, kept) in [("policies/users.yaml", 1), ("config/demo/gateway.key", 0)] {
        let named = folder.path().join(name.replace('/', "-"));
        let link = named.join(name);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let identity = Identity::create(Some(&named), &Store::seeded(), &Clock::system()).unwrap();
        assert_eq!(identity.kept, kept, "{name}");
        assert!(!target.exists(), "{name}");
        assert_eq!(link.is_symlink(), kept == 1, "{name}");
    }
}

#[test]
fn the_stored_hash_is_of_the_whole_key_and_the_key_is_not_stored() {
    let identity = identity();
    let stored = std::fs::read_to_string(identity.folder().join("config/demo/api-keys.yaml")).unwrap();
    let hash_key = std::fs::read_to_string(identity.folder().join("config/demo/api-key-hash")).unwrap();
    let hash = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, hash_key.as_bytes()), identity.api_key.as_bytes());
    assert!(stored.contains(&hex(hash.as_ref())));
    assert!(!stored.contains(&identity.api_key));
    assert!(identity.api_key.starts_with("scrim_billing_"));
}
