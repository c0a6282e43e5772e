//! `check` over a folder of files: a mistake in one of them hides none of another's.

use std::fs;

use super::*;

const GATEWAY: &str = "\
listeners: [{ address: 127.0.0.1:0, tls: { certificates: [{ cert: no.pem, key: no.key }] } }]
secrets: { token: { file: no-token } }
upstreams: { crm: { url: http://127.0.0.1:1, credential: { bearer: { secret: token } } } }
principal: { roles: [rep] }
authn:
  jwt:
    - issuer: https://id.example.com
      audience: crm
      jwks: { file: jwks.json }
      algorithms: [ES256]
      organizations: [acme]
      map: { id: claims.sub, roles: claims.roles, tenant: { organization_id: claims.org_id } }
tenancy: { dimensions: [organization_id] }
limits: { json_depth: 97 }
audit: { file: audit.jsonl }
apis: [api.yaml]
policies: policies
";
const POLICY: &str = "\
table: contacts
grants:
  - { name: reps, roles: [root], actions: [list], rows: all, read: { clear: all } }
";
const API: &str = include_str!("../../config/apis/minimal.yaml");

/// Whether policies were checked, and `file: code` of what is wrong.
fn wrong(gateway: &str, api: &str, policy: &str) -> (bool, Vec<String>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("policies")).expect("made");
    for (name, text) in
        [("gateway.yaml", gateway), ("api.yaml", api), ("jwks.json", "{}"), ("policies/contacts.yaml", policy)]
    {
        fs::write(at(name), text).expect("written");
    }
    fs::write(at("reports.yaml"), "acme: { ann: [ann, bob], bob: [ann] }\nacme/shop: { ann: [bob] }\n")
        .expect("written");
    let Checked { found, policies } = check(&at("gateway.yaml"));
    let errors = found.iter().filter(|found| found.severity == diagnostic::Severity::Error).map(|found| {
        let path = Path::new(&found.span.source.path);
        format!("{}: {}", path.strip_prefix(folder.path()).unwrap_or(path).display(), found.code)
    });
    let errors = errors.collect();
    // What `check` goes on with is never served.
    let metrics = Metrics::new();
    assert!(Snapshot::load(&at("gateway.yaml"), &|_| {}, &Clock::system(), &metrics, None).is_err());
    (policies, errors)
}

#[test]
fn a_mistake_in_each_file_is_shown_at_once() {
    let (policies, errors) = wrong(GATEWAY, API, POLICY);
    assert!(policies);
    let expected = [
        "gateway.yaml: tls-certificate",
        "gateway.yaml: tls-certificate",
        "gateway.yaml: bad-secret",
        "gateway.yaml: expected-number",
        "jwks.json: key-set",
        "policies/contacts.yaml: unknown-role",
    ];
    assert_eq!(errors, expected);
}

#[test]
fn policies_wait_for_what_they_speak_of_and_all_else_is_shown() {
    let api = API.replace("name: string", "name: strnig");
    let (policies, errors) = wrong(GATEWAY, &api, POLICY);
    assert!(!policies);
    let expected = [
        "api.yaml: unknown-type",
        "gateway.yaml: tls-certificate",
        "gateway.yaml: tls-certificate",
        "gateway.yaml: bad-secret",
        "gateway.yaml: expected-number",
        "jwks.json: key-set",
    ];
    assert_eq!(errors, expected);
    let (policies, errors) = wrong(&GATEWAY.replace("[rep]", "[rep, rep]"), API, POLICY);
    assert!(!policies);
    assert!(errors.contains(&"gateway.yaml: duplicate-name".to_owned()), "{errors:?}");
    assert!(!errors.contains(&"policies/contacts.yaml: unknown-role".to_owned()), "{errors:?}");
    let (policies, errors) = wrong("listeners: [", &api, POLICY);
    assert!(!policies);
    assert_eq!(errors, ["gateway.yaml: yaml-syntax"]);
}

#[test]
fn a_gateway_file_with_a_mistake_is_checked_with_but_never_served() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("policies")).expect("made");
    fs::write(at("api.yaml"), API).expect("written");
    let gateway = GATEWAY.replace("tls: { certificates: [{ cert: no.pem, key: no.key }] }", "plaintext: true");
    let gateway = gateway.replace("jwks: { file: jwks.json }", "jwks: { url: http://127.0.0.1:1 }").replace("97", "64");
    fs::write(at("gateway.yaml"), gateway).expect("written");
    // Without the secret the upstream would be asked without the gateway's credential.
    let Err(errors) = Snapshot::load(&at("gateway.yaml"), &|_| {}, &Clock::system(), &Metrics::new(), None) else {
        panic!("it is served")
    };
    assert!(errors.iter().any(|error| error.code == "bad-secret"), "{errors:?}");
    fs::write(at("no-token"), "a-token").expect("written");
    assert!(Snapshot::load(&at("gateway.yaml"), &|_| {}, &Clock::system(), &Metrics::new(), None).is_ok());
    let masked = POLICY.replace("clear: all", "hash: [name]").replace("root", "rep");
    fs::write(at("policies/contacts.yaml"), masked).expect("written");
    let Err(errors) = Snapshot::load(&at("gateway.yaml"), &|_| {}, &Clock::system(), &Metrics::new(), None) else {
        panic!("it is served")
    };
    let placed = errors.iter().filter(|error| error.severity == diagnostic::Severity::Error);
    let placed: Vec<_> =
        placed.map(|error| (error.code, error.span.source.text.get(error.span.range.clone()))).collect();
    assert_eq!(placed, [("mask-without-key", Some("name"))]);
}

#[test]
fn a_keyed_mask_without_a_key_is_a_mistake_at_the_mask() {
    let masks = "read: { clear: [id], hash: [organization_id], tokenise: [name] }";
    let policy = POLICY.replace("read: { clear: all }", masks).replace("root", "rep");
    let keyless = |gateway: &str| {
        let (_, errors) = wrong(gateway, API, &policy);
        errors.iter().filter(|error| *error == "policies/contacts.yaml: mask-without-key").count()
    };
    assert_eq!(keyless(GATEWAY), 2);
    // A key that can't be read is said once, where it is declared.
    assert_eq!(keyless(&format!("{GATEWAY}masking: {{ key: {{ secret: token }} }}\n")), 0);
}

#[test]
fn a_hierarchy_is_checked_beside_the_mistakes_of_others() {
    let gateway = format!("{GATEWAY}hierarchy: {{ file: reports.yaml }}\n");
    // There is one dimension only, and neither keys nor tables hold.
    let (_, errors) = wrong(&gateway, "tables: 1\n", POLICY);
    assert!(errors.contains(&"reports.yaml: hierarchy-tenant".to_owned()), "{errors:?}");
    let gateway = format!("{GATEWAY}hierarchy: {{ table: people, manager: boss }}\n");
    let (_, errors) = wrong(&gateway, API, POLICY);
    assert!(errors.contains(&"gateway.yaml: hierarchy-table".to_owned()), "{errors:?}");
    let (_, errors) = wrong(&gateway, "tables: 1\n", POLICY);
    assert!(!errors.contains(&"gateway.yaml: hierarchy-table".to_owned()), "{errors:?}");
}
