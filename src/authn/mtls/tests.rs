//! Which names mean whom, and which entries can't stand beside each other.

use std::path::PathBuf;

use super::*;
use crate::config::{Authn, Ids, PrincipalSchema, Tenancy};
use crate::pki::Facts;

fn load(text: &str) -> Result<Clients, Vec<Diagnostic>> {
    let folder = tempfile::tempdir().expect("a folder");
    let path: PathBuf = folder.path().join("clients.yaml");
    std::fs::write(&path, text).expect("written");
    let file = ClientCertificates {
        file: path.clone(),
        ids: Ids::default(),
        authorities: vec!["clients".into(), "partners".into()],
        span: Span::new(&crate::diagnostic::Source::new("", ""), 0..0),
    };
    let principal = PrincipalSchema { roles: vec!["rep".into()], ..PrincipalSchema::default() };
    let tenancy = Tenancy { dimensions: vec!["org".into()], choose_by: None };
    let authn = Authn::default();
    let metrics = crate::metrics::Metrics::new();
    let parts = Parts {
        authn: &authn,
        principal: &principal,
        tenancy: &tenancy,
        hierarchy: &Hierarchy::None,
        path: &path,
        metrics: &metrics,
    };
    Clients::load(&file, &parts).map(|(clients, _)| clients)
}

fn entries(all: &[(&str, &str)]) -> String {
    let entry = |(id, certificate): &(&str, &str)| {
        format!(
            "  - {{ certificate: {{ {certificate} }}, principal: {{ id: {id}, roles: [rep] }}, tenant: {{ org: acme }} }}\n"
        )
    };
    format!("clients:\n{}", all.iter().map(entry).collect::<String>())
}

fn peer(authority: &str, dns: &[&str], uris: &[&str], subject: &[(Attribute, &str)]) -> Peer {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
    let facts = Facts {
        dns: texts(dns),
        uris: texts(uris),
        emails: Vec::new(),
        subject: subject.iter().map(|(attribute, text)| (*attribute, (*text).to_owned())).collect(),
        serial: vec![1],
        not_before: jiff::Timestamp::MIN,
        not_after: jiff::Timestamp::MAX,
    };
    Peer { authority: authority.into(), thumbprint: [0; 32], facts }
}

fn who(clients: &Clients, peer: &Peer) -> Result<String, Refused> {
    clients.authenticate(peer).map(|principal| principal.id.to_string())
}

#[test]
fn a_name_means_somebody_under_its_authority_alone() {
    let text = entries(&[("a", "dns: a.x.example"), ("w", "dns: \"*.y.example\""), ("u", "uri: \"spiffe://x/*\"")])
        + "  - { authority: partners, certificate: { dns: a.x.example }, principal: { id: p, roles: [rep] }, tenant: { org: globex } }\n";
    let clients = load(&text).expect("it holds");
    let dns = |authority: &str, name: &str| who(&clients, &peer(authority, &[name], &[], &[]));
    assert_eq!(dns("clients", "a.x.example"), Ok("a".to_owned()));
    assert_eq!(dns("partners", "A.X.example"), Ok("p".to_owned()));
    assert_eq!(dns("others", "a.x.example"), Err(Refused::Certificate));
    assert_eq!(dns("clients", "b.y.example"), Ok("w".to_owned()));
    assert_eq!(dns("partners", "b.y.example"), Err(Refused::Certificate));
    for name in ["y.example", "a.b.y.example", "", ".", "a.x.example.", "a.x.example\0"] {
        assert_eq!(dns("clients", name), Err(Refused::Certificate), "{name}");
    }
    for (uri, found) in [
        ("spiffe://x/a", Ok("u".to_owned())),
        ("spiffe://x/", Err(Refused::Certificate)),
        ("spiffe://x", Err(Refused::Certificate)),
        ("spiffe://x/..", Err(Refused::Certificate)),
        ("spiffe://x/a%2fb", Err(Refused::Certificate)),
        ("spiffe://x/a?b", Err(Refused::Certificate)),
        ("SPIFFE://x/a", Err(Refused::Certificate)),
    ] {
        assert_eq!(who(&clients, &peer("clients", &[], &[uri], &[])), found, "{uri}");
    }
    let both = peer("clients", &["a.x.example", "b.y.example"], &[], &[]);
    assert_eq!(who(&clients, &both), Err(Refused::Several));
    let twice = peer("clients", &["b.y.example", "c.y.example"], &[], &[]);
    assert_eq!(who(&clients, &twice), Ok("w".to_owned()), "both names mean the same one");
    let many: Vec<String> = (0..=MAX_NAMES).map(|n| format!("n{n}.y.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(who(&clients, &peer("clients", &many, &[], &[])), Err(Refused::Certificate));
}

#[test]
fn a_subject_is_meant_whole_and_with_one_value_each() {
    use Attribute::{CommonName, Organization, Unit};
    let clients = load(&entries(&[
        ("a", "subject: { common_name: sync, organization: Acme }"),
        ("b", "subject: { common_name: sync, organization: Globex }"),
    ]))
    .expect("they differ");
    let subject = |parts: &[(Attribute, &str)]| who(&clients, &peer("clients", &[], &[], parts));
    assert_eq!(subject(&[(CommonName, "sync"), (Organization, "Acme")]), Ok("a".to_owned()));
    assert_eq!(subject(&[(CommonName, "sync"), (Organization, "Globex"), (Unit, "x")]), Ok("b".to_owned()));
    for parts in [
        &[(CommonName, "sync")][..],
        &[(CommonName, "Sync"), (Organization, "Acme")],
        &[(CommonName, "sync"), (CommonName, "other"), (Organization, "Acme")],
        &[(CommonName, "sync"), (CommonName, "sync"), (Organization, "Acme")],
        &[(CommonName, "sync"), (Organization, "Acme"), (Organization, "Globex")],
        &[(CommonName, ""), (Organization, "Acme")],
        &[],
    ] {
        assert_eq!(subject(parts), Err(Refused::Certificate), "{parts:?}");
    }
}

#[test]
fn entries_that_could_mean_one_certificate_are_mistakes() {
    for pair in [
        ["dns: a.x.example", "dns: A.x.example"],
        ["dns: a.x.example", "dns: \"*.x.example\""],
        ["dns: \"*.x.example\"", "dns: a.x.example"],
        ["uri: \"spiffe://x/a\"", "uri: \"spiffe://x/*\""],
        ["uri: \"spiffe://x/*\"", "uri: \"spiffe://x/a\""],
        ["email: a@x.example", "email: a@x.example"],
        ["subject: { common_name: a }", "subject: { common_name: a, unit: b }"],
        ["subject: { common_name: a, organization: b }", "subject: { common_name: a, unit: c }"],
    ] {
        let found = load(&entries(&[("one", pair[0]), ("two", pair[1])])).expect_err("they overlap");
        assert!(found.iter().any(|wrong| wrong.code == "duplicate-client"), "{pair:?}: {found:?}");
    }
    load(&entries(&[("one", "dns: a.x.example"), ("two", "dns: \"*.a.x.example\"")])).expect("they do not overlap");
}
