//! Every mask on what it is for, on null, on other kinds, and on spellings that hide something.

use super::*;
use crate::model::{TenantScope, Value};
use crate::redact::tests::{ACCOUNTS, CONTACTS, catalog};
use crate::secret::Secret;

fn keys(tenant: &str, secret: Option<&str>) -> Keys {
    let tenant = TenantScope::new(&["organization_id".into()], |_| Some(tenant)).expect("a tenant");
    Keys::new(catalog(), tenant, secret.map(Secret::new))
}

/// What the mask makes of a value; `removed` if it removes it.
fn masked(mask: &Mask, of: &str, raw: &str) -> String {
    masked_by(mask, of, raw, &keys("acme", Some("masking key")), (CONTACTS, "ssn"))
}

fn masked_by(mask: &Mask, of: &str, raw: &str, keys: &Keys, (table, field): (TableId, &str)) -> String {
    let mut out = Vec::new();
    let of = Type::parse(of).expect("a type");
    let field = catalog().table(table).field_named(field).expect("declared");
    match Masking::new(mask, keys, table, field).apply(&of, raw.as_bytes(), &mut out) {
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
        (r#""a@example.com""#, r#""***@example.com""#),
        (r#""é@example.com""#, r#""***@example.com""#),
        (r#""éa@example.com""#, r#""é***@example.com""#),
        (r#""***@example.com""#, r#""***@example.com""#),
        (r#""\u0061@example.com""#, r#""***@example.com""#),
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
        ("int", "-1234567", r#""***""#),
        ("int", "-12345678", r#""***5678""#),
        ("decimal", "12345.6", r#""***""#),
        ("decimal", "-123456.78", r#""***5678""#),
        ("string", "null", "null"),
        ("bool", "true", "removed"),
    ] {
        assert_eq!(masked(&Mask::Last4, of, raw), shown, "{raw}");
    }
}

#[test]
fn a_text_and_its_escaped_spelling_are_masked_alike() {
    let parts =
        ["a", "Mary", "@", ".", " ", "-", "x@y.com", "example.com", "..", "1234", "/", "~", "é", "\u{7f}", "+", "_"];
    for one in parts {
        for two in parts {
            for three in parts {
                let text = format!("{one}{two}{three}");
                let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
                for mask in [Mask::Partial, Mask::Last4] {
                    let plain = masked(&mask, "string", &format!("\"{text}\""));
                    let other = masked(&mask, "string", &format!("\"{escaped}\""));
                    assert_eq!(plain, other, "{mask:?} of {text}");
                }
            }
        }
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
fn hashes_and_tokens_differ_by_tenant_table_field_and_kind_and_not_by_spelling() {
    let key = || keys("acme", Some("masking key"));
    for mask in [Mask::Hash, Mask::Tokenise] {
        let made = |raw: &str, keys: &Keys, table, field| masked_by(&mask, "json", raw, keys, (table, field));
        let first = made(r#""l\u0061tam""#, &key(), CONTACTS, "name");
        assert_eq!(first, made(r#""latam""#, &key(), CONTACTS, "name"));
        assert_ne!(made("1", &key(), CONTACTS, "name"), made(r#""1""#, &key(), CONTACTS, "name"));
        for other in [
            made(r#""latam""#, &keys("globex", Some("masking key")), CONTACTS, "name"),
            made(r#""latam""#, &keys("acme", Some("another key")), CONTACTS, "name"),
            made(r#""latam""#, &key(), ACCOUNTS, "name"),
            made(r#""latam""#, &key(), CONTACTS, "email"),
            made(r#""latam ""#, &key(), CONTACTS, "name"),
        ] {
            assert_ne!(first, other, "{mask:?}");
        }
    }
    assert_eq!(masked(&Mask::Hash, "string", r#""latam""#).len(), 66);
}

#[test]
fn equal_numbers_have_equal_hashes_and_tokens_however_they_are_spelled() {
    for mask in [Mask::Hash, Mask::Tokenise] {
        let made = |of: &str, raw: &str| masked(&mask, of, raw);
        for raw in ["12.50", r#""12.50""#, r#""12.5""#, "1250e-2", r#""1\u0032.5""#] {
            assert_eq!(made("decimal", raw), made("decimal", "12.5"), "{mask:?} {raw}");
        }
        for (of, raw, same) in [
            ("int", "12.0", "12"),
            ("int", "-0", "0"),
            ("double", "1.2e1", "12"),
            ("double", "0.50", "0.5"),
            ("decimal", r#""12""#, "12"),
            ("list(int)", "[1.0, 1e1]", "[1,10]"),
            ("list(decimal)", r#"["1.0",null]"#, "[1,null]"),
        ] {
            assert_eq!(made(of, raw), made(of, same), "{mask:?} {raw}");
        }
        // An integer that is spelled out is hashed as it stands, as what is no number of its field's is.
        for number in ["0", "7", "-7", "100", "9007199254740993", "123456789012345678901234567890"] {
            for of in ["int", "double", "decimal"] {
                assert_eq!(made(of, number), made("json", number), "{mask:?} {number}");
            }
        }
        for (of, raw, other) in [
            ("decimal", "12.5", "12.51"),
            ("int", "1", "-1"),
            ("int", "9007199254740993", "9007199254740992"),
            ("string", r#""12.50""#, r#""12.5""#),
            ("string", r#""1""#, r#""01""#),
        ] {
            assert_ne!(made(of, raw), made(of, other), "{mask:?} {raw}");
        }
        for raw in ["1e999999", "1e-999999", "1e99999999999999999999"] {
            assert_eq!(made("double", raw), "removed", "{raw}");
        }
    }
    for raw in ["12345678", "12345678.0", "1234567800e-2"] {
        assert_eq!(masked(&Mask::Last4, "int", raw), r#""***5678""#, "{raw}");
    }
}

#[test]
fn a_token_is_turned_back_by_the_same_key_tenant_and_field_only() {
    let catalog = catalog();
    let tenant = |name| TenantScope::new(&["organization_id".into()], |_| Some(name)).expect("a tenant");
    let field = |name| catalog.table(CONTACTS).field_named(name).expect("declared");
    let back = |token: &str, tenant: &TenantScope, secret: &str, of| {
        let raw = detokenise(&catalog, tenant, &Secret::new(secret), CONTACTS, of, token);
        raw.map(|raw| String::from_utf8(raw).expect("text"))
    };
    let values = [
        r#""""#,
        r#""123-45-6789""#,
        "\"a \\\"b\\\" \\\\ \\u0001 \u{e9}\u{1F600}\"",
        "-12.50",
        "true",
        r#""x\u0000\u0000""#,
    ];
    for raw in values {
        let token = masked(&Mask::Tokenise, "json", raw);
        let token = token.trim_matches('"');
        let text_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        assert!(token.starts_with("tok1_") && token.chars().all(text_safe), "{token}");
        assert_eq!(back(token, &tenant("acme"), "masking key", field("ssn")).as_deref(), Some(raw));
        assert_eq!(back(token, &tenant("globex"), "masking key", field("ssn")), None);
        assert_eq!(back(token, &tenant("acme"), "another key", field("ssn")), None);
        assert_eq!(back(token, &tenant("acme"), "masking key", field("name")), None);
        for broken in
            ["", "tok1_", token.split_at(token.len() - 1).0, &token.replace("tok1_", "tok2_"), &format!("{token}A")]
        {
            assert_eq!(back(broken, &tenant("acme"), "masking key", field("ssn")), None, "{broken}");
        }
    }
    let length = |raw: &str| masked(&Mask::Tokenise, "string", raw).len();
    assert_eq!(length(r#""1234""#), length(r#""12345678901234""#), "short values look alike");
}

#[test]
fn without_a_masking_key_hashes_and_tokens_are_removed() {
    for mask in [Mask::Hash, Mask::Tokenise] {
        let masked = |raw| masked_by(&mask, "string", raw, &keys("acme", None), (CONTACTS, "ssn"));
        assert_eq!(masked(r#""SECRET""#), "removed");
        assert_eq!(masked("null"), "null");
    }
}

#[test]
fn of_a_list_each_element_is_masked_or_nothing_shows() {
    let list = |mask: &Mask, raw| masked(mask, "list(string)", raw);
    assert_eq!(list(&Mask::Partial, r#"[ "anna@example.com" , null,"Mary"]"#), r#"["a***@example.com",null,"M***"]"#);
    assert_eq!(list(&Mask::Last4, r#"["123-45-6789"]"#), r#"["***6789"]"#);
    assert_eq!(list(&Mask::Last4, "[]"), "[]");
    let hash = masked(&Mask::Hash, "string", r#""a""#);
    assert_eq!(list(&Mask::Hash, r#"["a","\u0061"]"#), format!("[{hash},{hash}]"));
    assert_eq!(masked(&Mask::Truncate(Truncation::Bucket(10)), "list(int)", "[1,12,-3]"), "[0,10,-10]");
    for raw in [r#"["a",1]"#, r#"["a",["SECRET"]]"#, r#"["a",{"b":"SECRET"}]"#, r#""SECRET""#, r#"{"a":"SECRET"}"#] {
        assert_eq!(list(&Mask::Partial, raw), "removed", "{raw}");
    }
    for of in ["json", "list(json)", "list(list(string))", "map(string)"] {
        assert_eq!(masked(&Mask::Partial, of, r#"[["SECRET"]]"#), "removed", "{of}");
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
