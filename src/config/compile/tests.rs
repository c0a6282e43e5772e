//! Gateway files: what loads, and what is a mistake and where.

use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::api::{self, Catalog};
use crate::config::{Choice, policy_files};
use crate::model::Name;
use crate::policy::PolicySet;

/// A folder that is removed at the end of a test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("scrim-config-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(path.join("apis")).expect("a temporary folder");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("permissions");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("the folder was made by this test");
    }
}

const DEMO: &str = include_str!("../../../config/demo.yaml");
const SHIPPED: [(&str, &str); 3] = [
    ("demo.yaml", DEMO),
    ("minimal.yaml", include_str!("../../../config/minimal.yaml")),
    ("example.yaml", include_str!("../../../config/example.yaml")),
];
const APIS: [(&str, &str); 3] = [
    ("apis/demo-crm.yaml", include_str!("../../../config/apis/demo-crm.yaml")),
    ("apis/minimal.yaml", include_str!("../../../config/apis/minimal.yaml")),
    ("apis/example.yaml", include_str!("../../../config/apis/example.yaml")),
];
const MINIMAL_POLICY: &str = include_str!("../../../config/policies/contacts.yaml");
const SECRET: &str = "s3cr3t-that-nobody-sees";

fn folder() -> Folder {
    let folder = Folder::new();
    for name in ["crm-token", "masking-key", "cursor-key", "dpop-nonces", "api-key-hash", "introspection"] {
        folder.write(&format!("demo/{name}"), &format!("{SECRET}-{name}\n"));
        folder.write(&format!("secrets/{name}"), &format!("{SECRET}-{name}\n"));
    }
    for (name, text) in APIS {
        folder.write(name, text);
    }
    folder.write("policies/contacts.yaml", MINIMAL_POLICY);
    folder
}

fn load_text(text: &str) -> Result<(Config, Vec<String>), Vec<String>> {
    let folder = folder();
    let path = folder.write("g.yaml", text);
    let shown = |diagnostics: Vec<Diagnostic>| {
        let prefix = format!("{}/", folder.0.display());
        diagnostics.iter().map(|d| d.to_string().replace(&prefix, "")).collect()
    };
    Config::load(&path).map(|(config, warnings)| (config, shown(warnings))).map_err(shown)
}

#[test]
fn the_shipped_files_load_with_the_apis_that_they_name() {
    for (name, text) in SHIPPED {
        let folder = folder();
        let path = folder.write(name, text);
        let render = |errors: Vec<Diagnostic>| panic!("{name}: {}", diagnostic::render(&errors, false));
        let (config, warnings) = Config::load(&path).unwrap_or_else(render);
        assert_eq!(warnings, [], "{name}");
        let names: Vec<Name> = config.upstreams.keys().cloned().collect();
        let files = api::read(&config.apis).unwrap_or_else(|errors| panic!("{errors:?}"));
        let compiled =
            Catalog::compile(&files, &crate::snapshot::services(&config, &names), &config.tenancy.dimensions);
        let (catalog, warnings) =
            compiled.unwrap_or_else(|errors| panic!("{name}: {}", diagnostic::render(&errors, false)));
        assert_eq!(warnings, [], "{name}");
        assert!(catalog.tables().count() > 0);
        let catalog = Arc::new(catalog);
        let organizations = ["acme".into(), "globex".into()].into();
        let hierarchy = crate::hierarchy::Hierarchy::load(&config, Some(&catalog), Some(&organizations));
        let (_, warnings) = hierarchy.unwrap_or_else(|errors| panic!("{name}: {}", diagnostic::render(&errors, false)));
        assert_eq!(warnings, [], "{name}");
        // The policies of the others lie beside this folder, and tests of their own compile them.
        if name != "minimal.yaml" {
            continue;
        }
        let files = policy_files(&config.policies).unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(files.len(), 1, "{name}");
        let dimensions = &config.tenancy.dimensions;
        let compiled = PolicySet::compile(&files, &catalog, &config.principal, dimensions);
        let (_, warnings) = compiled.unwrap_or_else(|errors| panic!("{name}: {}", diagnostic::render(&errors, false)));
        assert_eq!(warnings, [], "{name}");
    }
}

#[test]
fn key_sets_are_found_where_the_file_says() {
    let found = |jwks: &str| {
        let (config, _) = load_text(&DEMO.replace("{ file: demo/jwks.json }", jwks)).expect(jwks);
        let issuer = config.authn.jwt.into_iter().next().expect("an issuer");
        let super::super::Jwks::Remote(remote) = issuer.jwks else { panic!("{jwks}: a file") };
        (remote.from.url().to_string(), remote.refresh.as_secs(), remote.max_age.as_secs())
    };
    let metadata = "https://id.demo.example/.well-known/openid-configuration".to_owned();
    assert_eq!(found("{ discovery: true }"), (metadata.clone(), 300, 86_400));
    assert_eq!(found("{ discovery: true, refresh: 24h }"), (metadata, 86_400, 172_800));
    let elsewhere = "{ openid_configuration: \"https://a.example/meta\", refresh: 1m, max_age: 1m }";
    assert_eq!(found(elsewhere), ("https://a.example/meta".to_owned(), 60, 60));
}

#[test]
fn secrets_are_trimmed_and_appear_in_no_debug_print() {
    let (config, _) = load_text(DEMO).expect("the demo loads");
    let shown = format!("{config:?}");
    assert!(!shown.contains("s3cr3t"), "{shown}");
    assert!(!shown.contains(&format!("{:?}", SECRET.as_bytes()).replace(['[', ']'], "")));
    let credential = config.upstreams["crm"].credential.as_ref().expect("a credential");
    assert_eq!((credential.scheme, &credential.secret), ("Bearer ", &Choice::One("crm-token".into())));
    let token = config.keyring.get("crm-token").expect("a secret");
    assert_eq!(token.expose(), format!("{SECRET}-crm-token").as_bytes());
    assert_eq!(config.hash.len(), 64);
}

/// (what is replaced in the demo file, by what, the message it must give)
const BROKEN: &[(&str, &str, &str)] = &[
    (
        "address: 127.0.0.1:0\n    tls",
        "address: localhost:1\n    tls",
        "3:14: error[bad-address]: `localhost:1` is not an address and a port (help: in numbers, for example 0.0.0.0:8443 or [::1]:8443)",
    ),
    ("\"1.2\"", "\"1.1\"", "error[bad-tls]: `min_version` can't be `1.1` (help: \"1.2\" or \"1.3\")"),
    (
        "certificates: [{",
        "certificates: [{ cert: a, key: b }, {",
        "error[missing-key]: `tls` with several certificates needs `unknown_name` (help: refuse whoever asks for another name or none, or default for the first certificate)",
    ),
    (
        "    tls: {",
        "    plaintext: true\n    tls: {",
        "error[bad-listener]: a listener has either `tls` or `plaintext: true`",
    ),
    ("    tls: {", "    #: {", "error[bad-listener]: a listener needs `tls` (help: "),
    (
        "    tls: {",
        "    tsl: {",
        "4:5: error[unknown-key]: unknown key `tsl` in a listener (help: did you mean `tls`?)",
    ),
    (
        "crm-token: { file: demo/crm-token }",
        "crm-token: { file: demo/none }",
        "error[bad-secret]: the secret can't be read from `demo/none`: there is no such file",
    ),
    (
        "crm-token: { file: demo/crm-token }",
        "crm-token: { file: demo }",
        "error[bad-secret]: the secret can't be read from `demo`: not a regular file",
    ),
    (
        "crm-token: { file: demo/crm-token }",
        "crm-token: { env: SCRIM_NO_SUCH }",
        "error[bad-secret]: the environment has no variable `SCRIM_NO_SUCH`",
    ),
    (
        "crm-token: { file: demo/crm-token }",
        "crm-token: {}",
        "error[bad-secret]: a secret needs one of `file` and `env`",
    ),
    (
        "{ secret: crm-token }",
        "{ secret: crm-tokn }",
        "error[unknown-secret]: unknown secret `crm-tokn` (help: did you mean `crm-token`?)",
    ),
    (
        "http://127.0.0.1:8055",
        "http://u:hunter2@127.0.0.1",
        "error[bad-url]: a URL can't hold a user or a password; use `credential`",
    ),
    ("http://127.0.0.1:8055", "http://127.0.0.1/?a=b", "error[bad-url]: a URL can't have a query or a fragment here"),
    ("http://127.0.0.1:8055", "http://127.0.0.1/#x", "error[bad-url]: a URL can't have a query or a fragment here"),
    ("http://127.0.0.1:8055", "ftp://127.0.0.1", "error[bad-url]: a URL must begin with http:// or https://"),
    ("http://127.0.0.1:8055", "http://127.0.0.1:0", "error[bad-url]: a port is a number from 1 to 65535"),
    (
        "http://127.0.0.1:8055",
        "http://127.0.0.1/a/../b",
        "error[bad-url]: the path of this URL can be read in more than one way",
    ),
    (
        "http://127.0.0.1:8055\"",
        "http://127.0.0.1\", ca: x.pem",
        "error[bad-upstream]: `ca` has no meaning with http:// (help: write https://)",
    ),
    (
        "http://127.0.0.1:8055\"",
        "http://127.0.0.1:8055\", health_check: { every: 1s }",
        "error[missing-key]: `health_check` needs `path`",
    ),
    (
        "http://127.0.0.1:8055\"",
        "http://127.0.0.1:8055\", health_check: { path: health }",
        "error[bad-upstream]: this is not a path that can be asked for (help: from the root, as it is sent, for example /server/health)",
    ),
    (
        "http://127.0.0.1:8055\"",
        "http://127.0.0.1:8055\", health_check: { path: \"/a b\" }",
        "error[bad-upstream]: this is not a path that can be asked for",
    ),
    (
        "http://127.0.0.1:8055\"",
        "http://127.0.0.1:8055\", health_check: { path: /up, every: 1s, time: 2s }",
        "error[bad-upstream]: the next check would begin before this time is over (help: a `time` of no more than `every`)",
    ),
    (
        "http://127.0.0.1:8055\"",
        "http://127.0.0.1:8055\", health_check: { path: /up, failures: 0 }",
        "error[expected-number]: `failures` must be a whole number from 1 to 1000",
    ),
    (
        "http://127.0.0.1:8055\"",
        "http://127.0.0.1:8055\", health_check: { path: /up, status: 200 }",
        "error[unknown-key]: unknown key `status` in `health_check`",
    ),
    ("list(string)", "list(strng)", "error[unknown-type]: unknown type `list(strng)`"),
    ("[sales_rep, sales_manager,", "[sales_rep, sales_rep,", "error[duplicate-name]: `sales_rep` is listed twice"),
    (
        "ES256",
        "HS256",
        "error[unknown-algorithm]: the algorithm `HS256` is not supported (help: one of ES256, RS256, EdDSA)",
    ),
    ("[ES256]", "[]", "error[empty-list]: `algorithms` must name at least one"),
    ("[acme, globex]", "[]", "error[empty-list]: `organizations` must name at least one"),
    ("[acme, globex]", "[acme/x]", "error[bad-name]: `acme/x` can't hold `/`, which separates the parts of a tenant"),
    ("id: claims.sub", "id: sub", "error[bad-claim]: `sub` is not a claim (help: for example claims.sub)"),
    ("id: claims.sub", "id: \"'x' in claims.sub\"", "error[bad-claim]: `in` gives a bool, and this is none"),
    (", app_id: claims.app_id", "", "error[bad-tenant]: `tenant` has no claim for the dimension `app_id`"),
    (
        "regions: claims.regions",
        "region: claims.regions",
        "error[unknown-attribute]: unknown attribute `region` (help: did you mean `regions`?)",
    ),
    (
        "regions: claims.regions",
        "regions: \"'x' in claims.r\"",
        "error[bad-claim]: `in` gives a bool, but `regions` is declared as list(string)",
    ),
    (
        "{ file: demo/jwks.json }",
        "{ url: \"http://id.example.com/k\" }",
        "error[plaintext-keys]: keys can't be fetched over plain http",
    ),
    (
        "{ file: demo/jwks.json }",
        "{ url: \"https://id.example.com/k\", refresh: 1s }",
        "error[out-of-range]: `refresh` must be from 30s to 86400s, not 1s",
    ),
    (
        "{ file: demo/jwks.json }",
        "{}",
        "error[bad-jwks]: `jwks` needs one of `file`, `url`, `discovery: true` and `openid_configuration`",
    ),
    (
        "{ file: demo/jwks.json }",
        "{ discovery: false }",
        "error[bad-jwks]: `jwks` needs one of `file`, `url`, `discovery: true` and `openid_configuration`",
    ),
    (
        "{ file: demo/jwks.json }",
        "{ discovery: true, url: \"https://id.demo.example/jwks\" }",
        "error[bad-jwks]: `jwks` needs one of `file`, `url`, `discovery: true` and `openid_configuration`",
    ),
    (
        "{ file: demo/jwks.json }",
        "{ file: demo/jwks.json, max_age: 1h }",
        "error[bad-jwks]: `refresh`, `max_age` and `ca` have no meaning with a `file`",
    ),
    (
        "{ file: demo/jwks.json }",
        "{ openid_configuration: \"http://id.demo.example/meta\" }",
        "error[plaintext-keys]: keys can't be fetched over plain http",
    ),
    (
        "{ file: demo/jwks.json }",
        "{ discovery: true, refresh: 10m, max_age: 5m }",
        "error[out-of-range]: `max_age` must be from 600s to 2592000s, not 5m",
    ),
    (
        "https://id.demo.example\n      audience: crm\n      jwks: { file: demo/jwks.json }",
        "http://id.demo.example\n      audience: crm\n      jwks: { discovery: true }",
        "error[plaintext-keys]: keys can't be fetched over plain http",
    ),
    (
        "https://id.demo.example\n      audience: crm\n      jwks: { file: demo/jwks.json }",
        "urn:demo\n      audience: crm\n      jwks: { discovery: true }",
        "error[bad-url]: a URL must begin with http:// or https://",
    ),
    (
        "  api_keys: {",
        "  introspection: { issuer: \"https://id.demo.example\" }\n  api_keys: {",
        "error[missing-key]: `introspection` needs `url`",
    ),
    (
        "  api_keys: {",
        "  introspection: { issuer: a, url: \"http://id.demo.example/i\", client: { id: a, secret: crm-token }, audience: crm, organizations: [initech], map: { id: claims.sub, tenants: claims.t } }\n  api_keys: {",
        "error[plaintext-keys]: tokens can't be asked about over plain http",
    ),
    (
        "  api_keys: {",
        "  introspection: { issuer: \"https://id.demo.example\", url: \"https://id.demo.example/i\", client: { id: a, secret: crm-token }, audience: crm, organizations: [initech], map: { id: claims.sub, tenants: claims.t } }\n  api_keys: {",
        "error[duplicate-issuer]: the issuer `https://id.demo.example` is declared twice",
    ),
    (
        "  api_keys: {",
        "  introspection: { issuer: a, url: \"https://id.demo.example/i\", client: { id: a, secret: nope }, audience: crm, organizations: [initech], cache: 10m, map: { id: claims.sub, tenants: claims.t } }\n  api_keys: {",
        "error[unknown-secret]: unknown secret `nope`",
    ),
    (
        "      algorithms: [ES256]",
        "      dpop: yes\n      algorithms: [ES256]",
        "error[unknown-word]: `dpop` can't be `yes`",
    ),
    (
        "      algorithms: [ES256]",
        "      dpop: checked\n      algorithms: [ES256]",
        "error[missing-key]: `dpop` needs `origins` in `authn`: proofs are for URLs of the gateway's own (help: origins: [\"https://crm.example.com\"], as clients write it",
    ),
    (
        "  api_keys: {",
        "  origins: [crm.example.com]\n  api_keys: {",
        "error[bad-origin]: `crm.example.com` is not an origin",
    ),
    ("  api_keys: {", "  origins: []\n  api_keys: {", "error[empty-list]: `origins` must name at least one"),
    (
        "      algorithms: [ES256]",
        "      dpop: { tokens: required, secret: crm-token }\n      algorithms: [ES256]",
        "error[bad-dpop]: `secret` has no meaning without `nonce`, which is made with it (help: dpop: { tokens: required, nonce: 5m, secret: name })",
    ),
    (
        "      algorithms: [ES256]",
        "      dpop: { nonce: 5m, secret: nope }\n      algorithms: [ES256]",
        "error[unknown-secret]: unknown secret `nope`",
    ),
    (
        "      algorithms: [ES256]",
        "      dpop: { nonce: 5m, secret: [] }\n      algorithms: [ES256]",
        "error[empty-list]: `secret` must name at least one",
    ),
    (
        "      algorithms: [ES256]",
        "      typ: JWT\n      algorithms: [ES256]",
        "error[unknown-word]: `typ` can't be `JWT`",
    ),
    (
        "        id: claims.sub",
        "        leeway: 1s\n        id: claims.sub",
        "error[unknown-key]: unknown key `leeway` in `map`",
    ),
    (
        "{ claim: claims.reports }",
        "{ claim: claims.reports, file: x }",
        "error[bad-hierarchy]: `hierarchy` needs one of `claim`, `file` and `table`",
    ),
    ("[organization_id, app_id]", "[]", "error[empty-list]: `dimensions` must name at least one"),
    ("X-Scrim-Tenant", "Host", "error[bad-header]: the header `Host` has a meaning of its own"),
    ("X-Scrim-Tenant", "\"X Tenant\"", "error[bad-header]: `X Tenant` is not a header's name"),
    ("64KiB", "64KB", "error[bad-size]: `request_body`: `64KB` is not a size (help: for example 64KiB, 8MiB or 65536)"),
    ("64KiB", "99999999999999999999GiB", "error[bad-size]: `request_body`: "),
    (
        "exchange_time: 30s",
        "exchange_time: 30",
        "error[bad-duration]: `exchange_time`: `30` is not a duration (help: for example 500ms, 30s or 5m)",
    ),
    (
        "exchange_time: 30s",
        "exchange_time: 0s",
        "error[out-of-range]: `exchange_time` must be from 1ms to 3600s, not 0s",
    ),
    (
        "exchange_time: 30s",
        "json_depth: 97",
        "error[expected-number]: `json_depth` must be a whole number from 1 to 96",
    ),
    (
        "fsync: never",
        "fsync: sometimes",
        "error[unknown-word]: `fsync` can't be `sometimes` (help: always, never, or { interval: 1s })",
    ),
    (
        "demo/audit.jsonl",
        "none/audit.jsonl",
        "none` can't be used: there is no such folder (help: make the folder, or name a file in one that exists)",
    ),
    ("demo/audit.jsonl", "demo/crm-token/audit.jsonl", "error[audit-folder]: the audit file's folder `"),
    ("audit: {", "audti: {", "error[unknown-key]: unknown key `audti` in a gateway file (help: did you mean `audit`?)"),
    ("audit: {", "# audit: {", "1:1: error[missing-key]: a gateway file needs `audit`"),
    ("[apis/demo-crm.yaml]", "[]", "error[empty-list]: `apis` must name at least one"),
    ("policies: ../policies", "policies: !x ../policies", "error[yaml-tag]: `!x` is a YAML tag"),
];

#[test]
fn every_mistake_is_placed_and_says_what_to_write() {
    for (from, to, expected) in BROKEN {
        assert!(DEMO.contains(from), "{from}");
        let errors = load_text(&DEMO.replacen(from, to, 1)).map(|_| ()).expect_err(expected);
        let expected = expected.replace("1:1: error[missing-key]", "2:1: error[missing-key]");
        assert!(errors.iter().any(|error| error.contains(&expected)), "{expected}\n{errors:#?}");
        assert!(errors.iter().all(|error| error.starts_with("g.yaml:") && !error.contains("hunter2")), "{errors:#?}");
    }
}

#[test]
fn all_mistakes_come_at_once_and_sorted() {
    let text = DEMO.replace("fsync: never", "fsync: x").replace("ES256", "none").replace("\"1.2\"", "\"1\"");
    let errors = load_text(&text).map(|_| ()).expect_err("three mistakes");
    let codes: Vec<&str> =
        errors.iter().filter_map(|error| error.split_once("error[")?.1.split_once(']')).map(|(code, _)| code).collect();
    assert_eq!(codes, ["bad-tls", "unknown-algorithm", "unknown-word"], "{errors:#?}");
}

#[test]
fn what_is_unsafe_but_allowed_is_a_warning() {
    let cases = [
        (
            "    tls: { min_version: \"1.2\", certificates: [{ cert: demo/gateway.pem, key: demo/gateway.key }] }",
            "    plaintext: true",
            "warning[plaintext]",
        ),
        ("http://127.0.0.1:8055", "http://crm.internal", "warning[plaintext-upstream]"),
        (
            "masking: { key: { secret: masking-key } }",
            "",
            "warning[unused-secret]: nothing uses the secret `masking-key`",
        ),
        ("fsync: never", "serve_without: true", "warning[serve-without-audit]"),
    ];
    for (from, to, expected) in cases {
        let (_, warnings) = load_text(&DEMO.replacen(from, to, 1)).unwrap_or_else(|e| panic!("{e:#?}"));
        assert!(warnings.len() == 1 && warnings[0].contains(expected), "{expected}: {warnings:#?}");
    }
}

#[test]
fn two_issuers_of_one_organization_are_told_unless_their_ids_are_the_same_peoples() {
    let (head, rest) = DEMO.split_once("    - issuer:").expect("an issuer");
    let (own, tail) = rest.split_once("  api_keys:").expect("API keys");
    let second = own.replace("id.demo", "id.other");
    let two = |second: &str| {
        let text = format!("{head}    - issuer:{own}    - issuer:{second}  api_keys:{tail}");
        load_text(&text).unwrap_or_else(|e| panic!("{e:#?}")).1
    };
    assert_eq!(two(&second), <[String; 0]>::default(), "one word on both");
    for ids in ["", "      ids: guests\n"] {
        let warnings = two(&second.replace("      ids: staff\n", ids).replace("[acme, globex]", "[initech, globex]"));
        let expected =
            "g.yaml:38:32: warning[shared-organization]: `https://id.demo.example` may speak for `globex` too";
        assert!(warnings.len() == 1 && warnings[0].starts_with(expected), "{warnings:#?}");
        assert!(warnings[0].contains("`ids: staff`"), "{warnings:#?}");
    }
    let apart = second.replace("      ids: staff\n", "").replace("[acme, globex]", "[initech]");
    assert_eq!(two(&apart), <[String; 0]>::default(), "they speak for others");
}

#[test]
fn a_gateway_that_nobody_can_enter_or_that_shares_an_address_does_not_load() {
    let (head, tail) = (DEMO.find("authn:").expect("authn"), DEMO.find("hierarchy:").expect("hierarchy"));
    let text = format!("{}authn: {{}}\n{}", DEMO.get(..head).expect("ASCII"), DEMO.get(tail..).expect("ASCII"));
    let errors = load_text(&text).map(|_| ()).expect_err("nobody");
    assert!(errors.iter().any(|error| error.contains("error[nobody-comes-in]")), "{errors:#?}");
    let text = DEMO.replacen("127.0.0.1:0", "0.0.0.0:8443", 1).replacen("127.0.0.1:0", "127.0.0.1:8443", 1);
    let errors = load_text(&text).map(|_| ()).expect_err("one address");
    assert!(errors.iter().any(|error| error.contains("error[duplicate-address]")), "{errors:#?}");
}

#[test]
fn policy_files_are_sorted_and_none_is_left_out_in_silence() {
    let folder = Folder::new();
    let names = |folder: &Folder| policy_files(&folder.0).map(|files| files.len());
    assert_eq!(names(&folder), Ok(0), "an empty folder hides everything");
    folder.write("b.yaml", "table: b\n");
    folder.write("a.yaml", "table: a\n");
    folder.write("a_test.yaml", "x\n");
    folder.write(".a.yaml.swp", "x\n");
    let files = policy_files(&folder.0).expect("two files");
    let read: Vec<&str> = files.iter().map(|file| file.text.as_str()).collect();
    assert_eq!(read, ["table: a\n", "table: b\n"]);
    folder.write("c.yml", "table: c\n");
    assert_eq!(names(&folder).expect_err("a name that is not read")[0].code, "policy-name");
    assert!(policy_files(&folder.0.join("none")).is_err(), "a missing folder is no empty one");
    let large = Folder::new();
    large.write("a.yaml", &"#".repeat(1024 * 1024 + 1));
    assert_eq!(names(&large).expect_err("too long")[0].code, "file-unreadable");
}
