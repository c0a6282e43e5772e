//! Every mask on what it is for, on null, on other kinds, and on spellings that hide something.

use super::*;
use crate::model::Value;

fn keys(tenant: &str, secret: Option<&str>) -> Keys {
    let tenant = TenantScope::new(&["organization_id".into()], |_| Some(tenant)).expect("a tenant");
    Keys::new(crate::redact::tests::catalog(), tenant, secret.map(Secret::new))
}

/// What the mask makes of a value; `removed` if it removes it.
fn masked(mask: &Mask, of: &str, raw: &str) -> String {
    masked_by(mask, of, raw, keys("acme", Some("masking key")).derive(Purpose::Hash, TableId(0), "ssn").as_ref())
}

fn masked_by(mask: &Mask, of: &str, raw: &str, key: Option<&hmac::Key>) -> String {
    let mut out = Vec::new();
    let of = Type::parse(of).expect("a type");
    match apply(mask, &of, raw.as_bytes(), &|_| key, &mut out) {
        Masked::Same => raw.to_owned(),
        Masked::Replaced => String::from_utf8(out).expect("text"),
        Masked::Removed => "removed".to_owned(),
    }
}

#[test]
fn partial_shows_a_first_letter_and_a_domain() {
    for (raw, shown) in [
        (r#""anna.smith@example.com""#, r#""a***@example.com""#),
        (r#""\u0061nna\u0040example.com""#, r#""a***@example.com""#),
        (r#""Mary Smith""#, r#""M*** S***""#),
        (r#""Mary  \"Q\" Smith""#, r#""M*** *** S***""#),
        (r#""anna@example.com is my SECRET""#, r#""a*** i*** m*** S***""#),
        (r#""anna@SECRET""#, r#""a***""#),
        (r#""bob@x.com@y.com""#, r#""b***""#),
        (r#""1 2 3 4 5""#, r#""*** *** *** *** ***""#),
        (r#""A B C""#, r#""*** *** ***""#),
        (r#""""#, r#""***""#),
        (r#""a***@example.com""#, r#""a***@example.com""#),
        (r#""M*** S***""#, r#""M*** S***""#),
        ("null", "null"),
    ] {
        assert_eq!(masked(&Mask::Partial, "string", raw), shown, "{raw}");
    }
    assert_eq!(masked(&Mask::Partial, "int", "12345678"), "removed");
}

#[test]
fn last4_shows_nothing_of_a_short_value() {
    for (of, raw, shown) in [
        ("string", r#""123-45-6789""#, r#""***6789""#),
        ("string", r#""1234567""#, r#""***""#),
        ("string", r#""12345678""#, r#""***5678""#),
        ("string", r#""\u0031\u0032\u0033\u0034""#, r#""***""#),
        ("string", r#""ééééééé""#, r#""***""#),
        ("string", r#""abcdefg\"\\\n\u0001""#, r#""***\"\\\u000a\u0001""#),
        ("int", "123456789", r#""***6789""#),
        ("int", "1234", r#""***""#),
        ("string", "null", "null"),
        ("bool", "true", "removed"),
    ] {
        assert_eq!(masked(&Mask::Last4, of, raw), shown, "{raw}");
    }
}

#[test]
fn dates_and_timestamps_are_cut_to_their_month_or_year() {
    let month = Mask::Truncate(Truncation::Month);
    let year = Mask::Truncate(Truncation::Year);
    for (raw, in_month, in_year) in [
        (r#""2024-05-17""#, r#""2024-05-01""#, r#""2024-01-01""#),
        (r#""2024-05-17T10:11:12Z""#, r#""2024-05-01T00:00:00Z""#, r#""2024-01-01T00:00:00Z""#),
        (r#""2024-05-17T10:11:12.123456+02:00""#, r#""2024-05-01T00:00:00+02:00""#, r#""2024-01-01T00:00:00+02:00""#),
        (r#""2024-05-17 10:11:12""#, r#""2024-05-01 00:00:00""#, r#""2024-01-01 00:00:00""#),
        (r#""2024\u002d05-17""#, r#""2024-05-01""#, r#""2024-01-01""#),
        (r#""2024-05-01""#, r#""2024-05-01""#, r#""2024-01-01""#),
        (r#""2024-13-17""#, "removed", "removed"),
        (r#""2024-05-17TSECRET""#, "removed", "removed"),
        (r#""2024-05-17T10:11:12 SECRET""#, "removed", "removed"),
        (r#""2024-05-17T10:11:12+SECRET""#, "removed", "removed"),
        (r#""2024-05-17T10:11:12ZSECRET""#, "removed", "removed"),
        (r#""SECRET""#, "removed", "removed"),
        (r#""""#, "removed", "removed"),
        ("null", "null", "null"),
    ] {
        assert_eq!(masked(&month, "timestamp", raw), in_month, "{raw}");
        assert_eq!(masked(&year, "timestamp", raw), in_year, "{raw}");
    }
    assert_eq!(masked(&month, "int", "20240517"), "removed");
}

#[test]
fn numbers_fall_to_the_next_lower_multiple_exactly() {
    for (raw, size, shown) in [
        ("1234", 100, "1200"),
        ("99", 100, "0"),
        ("0", 100, "0"),
        ("-0", 100, "0"),
        ("-0.0001", 100, "-100"),
        ("-1", 100, "-100"),
        ("-100", 100, "-100"),
        ("-101", 100, "-200"),
        ("-99.5", 100, "-100"),
        ("-999", 7, "-1001"),
        ("1234.99", 1, "1234"),
        ("1.5e3", 1000, "1000"),
        ("15e-1", 1, "1"),
        ("-15e-1", 1, "-2"),
        ("-1e-9999", 10, "-10"),
        ("0e999999999999999999999999", 10, "0"),
        ("9007199254740993", 2, "9007199254740992"),
        ("123456789012345678901234567890123456789", 1000, "123456789012345678901234567890123456000"),
        ("-99999999999999999999", u64::MAX, "-110680464442257309690"),
        ("5", 0, "removed"),
        ("1e999", 10, "removed"),
        ("1e99999999999999999999", 10, "removed"),
    ] {
        let mask = Mask::Truncate(Truncation::Bucket(size));
        assert_eq!(masked(&mask, "decimal", raw), shown, "{raw} by {size}");
    }
    let mask = Mask::Truncate(Truncation::Bucket(10));
    assert_eq!(masked(&mask, "decimal", r#""12.50""#), r#""10""#);
    assert_eq!(masked(&mask, "string", r#""SECRET""#), "removed");
}

#[test]
fn hashes_differ_by_tenant_table_field_and_purpose_and_not_by_spelling() {
    let key = |tenant, purpose, table, field| keys(tenant, Some("masking key")).derive(purpose, TableId(table), field);
    let hash = |raw: &str, key: &Option<hmac::Key>| masked_by(&Mask::Hash, "json", raw, key.as_ref());
    let base = key("acme", Purpose::Hash, 0, "ssn");
    let first = hash(r#""l\u0061tam""#, &base);
    assert_eq!(first, hash(r#""latam""#, &base));
    assert_eq!(first.len(), 66);
    assert_ne!(hash("1", &base), hash(r#""1""#, &base));
    for other in [
        key("globex", Purpose::Hash, 0, "ssn"),
        key("acme", Purpose::Token, 0, "ssn"),
        key("acme", Purpose::Hash, 1, "ssn"),
        key("acme", Purpose::Hash, 0, "ssn2"),
    ] {
        assert_ne!(first, hash(r#""latam""#, &other));
    }
    let token = masked(&Mask::Tokenise, "string", r#""latam""#);
    assert!(token.starts_with(r#""tok_"#) && token.len() == 70, "{token}");
}

#[test]
fn without_a_masking_key_hashes_and_tokens_are_removed() {
    assert!(keys("acme", None).derive(Purpose::Hash, TableId(0), "ssn").is_none());
    for mask in [Mask::Hash, Mask::Tokenise] {
        assert_eq!(masked_by(&mask, "string", r#""SECRET""#, None), "removed");
        assert_eq!(masked_by(&mask, "string", "null", None), "null");
    }
}

#[test]
fn containers_are_removed_by_every_mask_but_those_that_ignore_the_value() {
    let truncations = [Truncation::Month, Truncation::Year, Truncation::Bucket(10)];
    let masks = [Mask::Partial, Mask::Last4, Mask::Tokenise, Mask::Hash];
    for mask in masks.into_iter().chain(truncations.map(Mask::Truncate)) {
        for (of, raw) in [("string", r#"["SECRET"]"#), ("string", r#"{"a":"SECRET"}"#), ("json", r#"["SECRET"]"#)] {
            assert_eq!(masked(&mask, of, raw), "removed", "{mask:?} {raw}");
        }
        assert_eq!(masked(&mask, "int", r#""SECRET of another kind""#), "removed", "{mask:?}");
    }
    for raw in ["null", r#""SECRET""#, r#"["SECRET"]"#] {
        assert_eq!(masked(&Mask::Null, "string", raw), "null");
        assert_eq!(
            masked(&Mask::Constant(Value::string("gone \"for good\"")), "string", raw),
            r#""gone \"for good\"""#
        );
    }
}
