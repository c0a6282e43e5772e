//! The gateway files that are shipped can be checked and started as they are, once the files of secrets that they name are made.

use std::fs;
use std::path::Path;

use scrim::clock::Clock;
use scrim::config::Config;
use scrim::diagnostic::{Diagnostic, render};
use scrim::gateway::Gateway;

use crate::support::identities::NOW;
use crate::support::{Authority, Client, Wanted};

/// Made by whoever runs it; readable by themselves alone.
fn made(folder: &Path) -> Vec<(&'static str, String)> {
    let wanted = Wanted { from: (2020, 1, 1), until: (2100, 1, 1), ..Wanted::dns(&["crm.example.com", "localhost"]) };
    let authority = Authority::new();
    let (server, client) = (authority.issue(&wanted), authority.issue(&wanted));
    for name in ["tls", "secrets"] {
        fs::create_dir_all(folder.join(name)).expect("made");
    }
    let secret = || "0123456789abcdef0123456789abcdef".to_owned();
    vec![
        ("tls/crm.pem", server.pem.clone()),
        ("tls/crm.key", server.key.clone()),
        ("tls/gateway.pem", server.pem),
        ("tls/gateway.key", server.key),
        ("tls/scrim.pem", client.pem),
        ("tls/scrim.key", client.key),
        ("tls/clients-ca.pem", authority.pem.clone()),
        ("tls/clients.crl", authority.revoke(&[], (2100, 1, 1))),
        ("tls/internal-ca.pem", authority.pem),
        ("secrets/crm-token", secret()),
        ("secrets/masking-key", secret()),
        ("secrets/cursor-key", secret()),
        ("secrets/dpop-nonces", secret()),
        ("secrets/api-key-hash", secret()),
        ("secrets/introspection", secret()),
        ("api-keys.yaml", "keys: []\n".to_owned()),
        ("clients.yaml", "clients: []\n".to_owned()),
        ("revoked.yaml", "revoked: []\n".to_owned()),
    ]
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

fn write(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("set");
}

/// Ports that are free, and issuers who answer at once that nobody is there.
fn adjust(config: &mut Config) {
    let anywhere = "127.0.0.1:0".parse().expect("an address");
    config.listeners.iter_mut().for_each(|listener| listener.address = anywhere);
    config.admin = Some(anywhere);
}

#[tokio::test(flavor = "multi_thread")]
async fn shipped_gateway_files_are_checked_without_a_word_and_start() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    for name in ["example.yaml", "minimal.yaml"] {
        let folder = tempfile::tempdir().expect("a folder");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config"), folder.path());
        for (name, text) in made(folder.path()) {
            write(&folder.path().join(name), &text);
        }
        let path = folder.path().join(name);
        let checked = scrim::snapshot::check(&path);
        assert!(checked.policies && checked.found.is_empty(), "{name}:\n{}", render(&checked.found, false));

        let text = fs::read_to_string(&path).expect("readable");
        write(&path, &text.replace("https://id.example.com/jwks", "https://127.0.0.1:1/jwks"));
        let started = Gateway::start(&path, adjust, Clock::fixed(NOW)).await;
        let gateway = started.unwrap_or_else(|errors| panic!("{name}:\n{}", render(&errors, false)));
        let admin = Client::new(gateway.admin_address().expect("an admin port"));
        let ready = admin.get("/readyz").await;
        assert!(ready.status == 503 && ready.text().contains("keys_missing"), "{name}: {}", ready.text());
        gateway.shutdown().await;
    }
}

/// What `scrim check` finds in the example once a file of it is changed.
fn found(change: impl Fn(&Path)) -> Vec<Diagnostic> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a folder");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config"), folder.path());
    for (name, text) in made(folder.path()) {
        write(&folder.path().join(name), &text);
    }
    change(folder.path());
    scrim::snapshot::check(&folder.path().join("example.yaml")).found
}

#[test]
fn a_check_finds_what_has_ended_has_no_effect_or_lies_open() {
    use std::os::unix::fs::PermissionsExt;
    let replace = |folder: &Path, name: &str, from: &str, to: &str| {
        let text = fs::read_to_string(folder.join(name)).expect("readable");
        assert!(text.contains(from), "{from}");
        write(&folder.join(name), &text.replace(from, to));
    };
    let only = |found: Vec<Diagnostic>, code: &str, file: &str, word: &str| {
        assert_eq!(found.iter().map(|found| found.code).collect::<Vec<_>>(), [code], "{}", render(&found, false));
        assert!(found[0].span.source.path.ends_with(file), "{}", render(&found, false));
        assert_eq!(&found[0].span.source.text[found[0].span.range.clone()], word);
    };
    let expired = found(|folder| {
        let entry = "keys:\n  - { id: abcd2345, hash: HASH, principal: { id: sync, roles: [sales_rep] }, \
                     tenant: { organization_id: initrode, app_id: shop }, expires: 2020-01-01T00:00:00Z }\n";
        write(&folder.join("api-keys.yaml"), &entry.replace("HASH", &"0".repeat(64)));
    });
    only(expired, "api-key-expired", "api-keys.yaml", "2020-01-01T00:00:00Z");

    let without = found(|folder| {
        let line = "hierarchy: { table: users, manager: manager_id, refresh: 5m }\n";
        replace(folder, "example.yaml", line, "");
    });
    only(without, "hierarchy-missing", "policies-example/accounts.yaml", "true");

    let open = found(|folder| {
        fs::set_permissions(folder.join("tls/crm.key"), fs::Permissions::from_mode(0o644)).expect("set");
    });
    only(open, "readable-secret", "example.yaml", "tls/crm.key");
}
