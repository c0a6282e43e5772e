//! Lists that revoke and lists with a mistake, read once and again.

use super::super::tests::{Folder, NOW, claims};
use super::*;

const ISSUER: &str = "https://id.example.com";

fn list(text: &str) -> (Folder, PathBuf, Revocations, Metrics) {
    let (folder, metrics) = (Folder::new(), Metrics::new());
    let path = folder.write("revoked.yaml", text);
    let list = Revocations::load(&path, &metrics).unwrap_or_else(|errors| panic!("{errors:?}"));
    (folder, path, list, metrics)
}

fn marks(changes: &[(&str, &str)], key: Option<&str>) -> Marks {
    let mut all = vec![("jti", r#""t1""#), ("iat", "1800000000")];
    all.extend_from_slice(changes);
    let json = Json::parse(claims(&all).as_bytes()).expect("JSON");
    Marks::of(&person(ISSUER, "ann"), &json, key)
}

/// Whoever the subject `u1` is mapped to.
fn person(issuer: &str, id: &str) -> Principal {
    Principal {
        id: id.into(),
        issuer: issuer.into(),
        method: crate::model::Method::Jwt,
        roles: Vec::new(),
        groups: Vec::new(),
        attributes: Default::default(),
        reports: Arc::default(),
        memberships: Vec::new(),
        overreaches: false,
        scopes: None,
    }
}

#[test]
fn what_is_listed_is_refused_and_nothing_else() {
    let usual = || marks(&[], Some("ec"));
    for (entry, of, refused) in [
        ("jti: t1", usual(), true),
        ("jti: T1", usual(), false),
        ("jti: t1", marks(&[("jti", "")], Some("ec")), false),
        ("jti: t1, issuer: https://id.example.com", usual(), true),
        ("jti: t1, issuer: https://other.example.com", usual(), false),
        ("sub: u1", usual(), true),
        ("sub: t1", usual(), false),
        ("sub: ann", usual(), true),
        ("sub: ann, issuer: https://id.example.com", usual(), true),
        ("sub: ann, issuer: https://other.example.com", usual(), false),
        ("sub: ann, issued_before: 2027-01-15T07:59:59Z", usual(), false),
        ("jti: ann", usual(), false),
        ("sub: ec", usual(), false),
        ("sub: u1, issuer: https://other.example.com", usual(), false),
        ("sub: u1, issued_before: 2027-01-15T08:00:01Z", usual(), true),
        ("sub: u1, issued_before: 2027-01-15T08:00:00Z", usual(), true),
        ("sub: u1, issued_before: 2027-01-15T07:59:59Z", usual(), false),
        ("sub: u1, issued_before: 2027-01-15T08:00:00Z", marks(&[("iat", "")], None), true),
        ("sub: u1, issued_before: 2027-01-15T08:00:00Z", marks(&[("iat", "1.5")], None), true),
        ("kid: ec", usual(), true),
        ("kid: ec", marks(&[], None), false),
        ("kid: ec, issuer: https://id.example.com", usual(), true),
        ("kid: ec, issued_before: 2027-01-15T07:59:59Z", usual(), false),
        ("api_key: u1", usual(), false),
    ] {
        let (_folder, _, list, metrics) = list(&format!("revoked:\n  - {{ {entry} }}\n  - {{ jti: other }}\n"));
        let expected = if refused { Err(Refused::Revoked) } else { Ok(()) };
        assert_eq!(list.check_token(&of), expected, "{entry} {of:?}");
        assert_eq!((metrics.revocations.get(), metrics.revocations_stale.get()), (2, 0));
    }
    assert_eq!(Timestamp::from_second(NOW).expect("a time").to_string(), "2027-01-15T08:00:00Z");
    let (_folder, _, list, _) = list("revoked: [{ api_key: abcd2345 }]\n");
    assert_eq!(list.check_api_key("abcd2345"), Err(Refused::Revoked));
    assert_eq!(list.check_api_key("abcd2346"), Ok(()));
}

#[test]
fn a_person_is_taken_back_also_without_a_token() {
    for (entry, refused) in [
        ("sub: sync", true),
        ("sub: sync, issuer: keys", true),
        ("sub: sync, issuer: https://id.example.com", false),
        ("sub: other", false),
        ("jti: sync", false),
        // Tokens of before are meant, and this is none.
        ("sub: sync, issued_before: 2027-01-15T08:00:00Z", false),
    ] {
        let (_folder, _, list, _) = list(&format!("revoked: [{{ {entry} }}]\n"));
        let expected = if refused { Err(Refused::Revoked) } else { Ok(()) };
        assert_eq!(list.check_principal(&person("keys", "sync")), expected, "{entry}");
    }
}

#[test]
fn one_word_may_be_revoked_for_several_issuers() {
    let text = "revoked:\n  - { sub: u1, issuer: https://other.example.com }\n  - { sub: u1, issuer: https://id.example.com }\n";
    let (_folder, _, list, _) = list(text);
    assert_eq!(list.check_token(&marks(&[], None)), Err(Refused::Revoked));
}

#[test]
fn mistakes_in_the_file_are_placed() {
    for (text, line, code) in [
        ("revoked: [{}]\n", 1, "bad-revocation"),
        ("revoked:\n  - { jti: a, sub: b }\n", 2, "bad-revocation"),
        ("revoked:\n  - { jti: a }\n  - { issuer: b }\n", 3, "bad-revocation"),
        ("revoked:\n  - { api_key: a, issuer: b }\n", 2, "bad-revocation"),
        ("revoked:\n  - { sub: a, issued_before: soon }\n", 2, "expected-timestamp"),
        ("revoked:\n  - { token: a }\n", 2, "unknown-key"),
        ("revoked:\n  - jti\n", 2, "expected-mapping"),
        ("revoked: { jti: a }\n", 1, "expected-list"),
        ("revoked:\n  - { jti: \"\" }\n", 2, "expected-text"),
        ("{}\n", 1, "missing-key"),
    ] {
        let errors = compile(&Source::new("revoked.yaml", text)).err().unwrap_or_default();
        let placed = errors.iter().any(|error| error.code == code && error.span.position().0 == line);
        assert!(placed, "{text}: {errors:?}");
    }
    let none = Revocations::load(Path::new("/nowhere/revoked.yaml"), &Metrics::new());
    assert_eq!(none.err().unwrap_or_default().first().map(|error| error.code), Some("file-unreadable"));
}

#[test]
fn what_cannot_be_read_again_leaves_the_last_list_in_force() {
    let (folder, path, list, metrics) = list("revoked: [{ jti: t1 }]\n");
    let refused = || list.check_token(&marks(&[], None)).is_err();
    for damage in ["revoked: [", "", "revoked: [{ jti: t2 }, {}]\n", "\u{feff}"] {
        folder.write("revoked.yaml", damage);
        list.read_again();
        assert!(refused(), "{damage:?}");
        assert_eq!((metrics.revocations.get(), metrics.revocations_stale.get()), (1, 1), "{damage:?}");
    }
    std::fs::remove_file(&path).expect("removed");
    list.read_again();
    assert!(refused());
    assert_eq!(metrics.revocations_stale.get(), 1);
    // As a mounted configuration is replaced: another file under the same name.
    let next = folder.write("next.yaml", "revoked: []\n");
    std::fs::rename(next, &path).expect("moved");
    list.read_again();
    assert!(!refused());
    assert_eq!((metrics.revocations.get(), metrics.revocations_stale.get()), (0, 0));
    folder.write("revoked.yaml", "revoked: [{ sub: u1 }]\n");
    list.read_again();
    assert!(refused());
}
