//! Bodies that clients send, honest and not.

use std::sync::Arc;

use super::*;
use crate::redact::tests::{CONTACTS, catalog, table};

#[test]
fn a_body_is_the_changes_of_declared_plain_fields() {
    let catalog = catalog();
    let table = catalog.table(CONTACTS);
    let body = br#" { "name" : "A\u0042" , "prefs":{"a":[1]}, "am\u006funt": 1.50 } "#;
    let changes = read(body, table, 8).expect("readable");
    let named: Vec<_> = changes.fields.iter().map(|c| (&*table.field(c.field).name, c.raw)).collect();
    assert_eq!(named, [("name", &br#""A\u0042""#[..]), ("prefs", br#"{"a":[1]}"#), ("amount", b"1.50")]);
    assert!(!changes.undeclared);
}

#[test]
fn undeclared_and_nested_writes_are_reported_and_never_forwarded() {
    let catalog = catalog();
    let members =
        [r#""admin":true"#, r#""Name":"x""#, r#""account":{"id":1}"#, r#""account":null"#, r#""notes":[]"#, r#""":1"#];
    for members in members {
        let body = format!("{{{members}}}");
        let changes = read(body.as_bytes(), catalog.table(CONTACTS), 8).expect("readable");
        assert_eq!((changes.fields, changes.undeclared), (Vec::new(), true), "{members}");
    }
}

#[test]
fn a_body_that_two_readers_could_read_differently_is_refused() {
    let catalog = catalog();
    for (body, why) in [
        (&br#"{"name":1,"name":2}"#[..], Unreadable::Duplicate),
        (br#"{"name":1,"n\u0061me":2}"#, Unreadable::Duplicate),
        (br#"{"x":1,"x":2}"#, Unreadable::Duplicate),
        (b"[]", Unreadable::Shape),
        (b"[{}]", Unreadable::Shape),
        (b"null", Unreadable::Shape),
        (b"", Unreadable::Incomplete),
        (b"{}{}", Unreadable::Trailing),
        (b"\xEF\xBB\xBF{}", Unreadable::Encoding),
        (b"{\"name\":\"\xff\"}", Unreadable::Encoding),
        (br#"{"name":"\ud800"}"#, Unreadable::Encoding),
        (br#"{"prefs":[[[[[[[[1]]]]]]]]}"#, Unreadable::Depth),
        (br#"{"name":1,}"#, Unreadable::Syntax),
        (br#"{name:1}"#, Unreadable::Syntax),
    ] {
        assert_eq!(read(body, catalog.table(CONTACTS), 8).unwrap_err(), why, "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn values_fit_their_declared_type_or_not() {
    let catalog = catalog();
    let table = catalog.table(CONTACTS);
    for (field, fitting, wrong) in [
        ("id", &["1", "-9223372036854775808", "null"][..], &["1.0", "1e3", "\"1\"", "9223372036854775808", "[1]"][..]),
        ("name", &["\"\"", "\"a\""], &["null", "1", "[\"a\"]", "{}"]),
        ("amount", &["1", "1.50", "\"12.50\"", "1e5"], &["\"x\"", "true", "\"\"", "1e9999999"]),
        (
            "created_at",
            &[
                "\"2024-05-17T10:11:12Z\"",
                "\"2024-05-17T10:11:12.123456789+02:00\"",
                "\"2024-05-17 10:11:12.5Z\"",
                "\"2024-02-29T23:59:59-00:00\"",
                "\"2024-05-17T10:11:12.000+0000\"",
            ],
            // Of those that jiff takes, many an upstream reads something else, or nothing.
            &[
                "\"2024-05-17\"",
                "\"2024-05-17t10:11:12Z\"",
                "\"2024-05-17T10:11:12z\"",
                "\"soon\"",
                "1",
                "\"2030-01-01T00:00:00+00:00[UTC]\"",
                "\"20300101T000000Z\"",
                "\"2030-01-01T00:00:00,5Z\"",
                "\"+002030-01-01T00:00Z\"",
                "\"2030-01-01T00:00Z\"",
                "\"2030-01-01T00:00:60Z\"",
                "\"2030-01-01T00:00:00.Z\"",
                "\"2030-01-01T00:00:00+00\"",
                "\"2030-02-29T00:00:00Z\"",
                "\"2030-01-01T24:00:00Z\"",
                "\" 2030-01-01T00:00:00Z\"",
                "\"2030-01-01T00:00:00\"",
                "\"\"",
            ],
        ),
        ("tags", &["[]", "[\"a\",\"b\"]"], &["\"a\"", "[1]", "[null]", "{}"]),
        ("prefs", &["{}", "1", "null"], &[]),
        ("account", &[], &["null", "{}", "1"]),
    ] {
        let id = table.field_named(field).expect("declared");
        for raw in fitting {
            assert!(fits(table, id, raw.as_bytes()), "{field} {raw}");
        }
        for raw in wrong {
            assert!(!fits(table, id, raw.as_bytes()), "{field} {raw}");
        }
    }
}

#[test]
fn a_value_that_would_be_held_as_another_one_does_not_fit() {
    let fits = |push: Option<Push>, loose: bool, field: &str, raw: &str| {
        let kinds = [
            ("created_at", Type::Timestamp),
            ("name", Type::String),
            ("tags", Type::List(Type::String.into())),
            ("prefs", Type::Json),
        ];
        let fields = kinds.map(|(name, kind)| (name.to_owned(), Shape::Plain(kind)));
        let mut table = Table { empty_is_null: loose, ..table(CONTACTS, "contacts", fields.into()) };
        for field in Arc::get_mut(&mut table.fields).expect("nobody else has them") {
            field.push = push;
        }
        super::fits(&table, table.field_named(field).expect("declared"), raw.as_bytes())
    };
    for (push, kept, cut) in [
        (Push::Seconds, "12.000Z", "12.5Z"),
        (Push::Milliseconds, "12.5000Z", "12.9999Z"),
        (Push::Microseconds, "12.123456Z", "12.1234567+02:00"),
    ] {
        let at = |time: &str| format!("\"2024-05-17T10:11:{time}\"");
        assert!(fits(Some(push), false, "created_at", &at(kept)), "{push:?} {kept}");
        assert!(!fits(Some(push), false, "created_at", &at(cut)), "{push:?} {cut}");
        assert!(fits(Some(Push::Exact), false, "created_at", &at(cut)), "{cut}");
    }
    assert!(!fits(Some(Push::Exact), true, "created_at", "\"2024-05-17T10:11:12.0001Z\""));
    assert!(fits(Some(Push::Exact), true, "created_at", "\"2024-05-17T10:11:12.0010Z\""));
    for text in ["true", "null", "12", "-1.5e3", "[1]", r#"{\"admin\":true}"#, r#"\"won\""#, r#"\"\\ud800\""#] {
        assert!(!fits(None, true, "prefs", &format!("\"{text}\"")), "{text}");
        assert!(fits(None, false, "prefs", &format!("\"{text}\"")), "{text}");
    }
    for json in ["\"\"", "\"won\"", "\"2024-05-17\"", "\"12 a\"", "\"[x]\"", "true", "{\"a\":\"true\"}", "[\"1\"]"] {
        assert!(fits(None, true, "prefs", json), "{json}");
    }
    // PocketBase takes the last of such a list, and of lists what it has not seen.
    for text in [r#""[\"won\"]""#, r#""[]""#, r#"" [ \n \"a\" , \"won\" ] ""#, r#""\u005b\"won\"]""#, r#""[null]""#] {
        assert!(!fits(None, true, "name", text), "{text}");
        assert!(fits(None, false, "name", text), "{text}");
    }
    for text in [r#""[draft] a note""#, r#""[draft]""#, r#""a [\"won\"]""#, r#""won""#] {
        assert!(fits(None, true, "name", text), "{text}");
    }
    for (list, held) in [(r#"["a","b"]"#, true), ("[]", true), (r#"["a","\u0061"]"#, false), (r#"[""]"#, false)] {
        assert_eq!(fits(None, true, "tags", list), held, "{list}");
        assert!(fits(None, false, "tags", list), "{list}");
    }
    let fields = vec![
        ("id".to_owned(), Shape::Plain(Type::Int)),
        ("tags".to_owned(), Shape::Plain(Type::List(Type::String.into()))),
    ];
    let directus = Table { in_place: true, ..table(CONTACTS, "contacts", fields) };
    for (list, held) in
        [(r#"["a","b"]"#, true), ("[]", true), (r#"["a,b"]"#, false), (r#"["a\u002cb"]"#, false), (r#"[""]"#, false)]
    {
        assert_eq!(super::fits(&directus, FieldId(1), list.as_bytes()), held, "{list}");
    }
}

#[test]
fn a_value_equals_what_it_prints_and_other_spellings_of_it() {
    let values = [
        Value::Null,
        Value::Bool(true),
        Value::Int(-7),
        Value::Double(1e300),
        Value::Decimal(crate::model::value::Decimal::parse("12.50").expect("a number")),
        Value::string("a \"b\" \\ \n \u{1} é"),
        Value::Timestamp("2024-05-17T10:11:12.5Z".parse().expect("a timestamp")),
        Value::Duration(jiff::SignedDuration::from_secs(90)),
        Value::List([Value::Int(1), Value::Null].into()),
        Value::Map(std::sync::Arc::new([("a".into(), Value::Bool(false))].into())),
    ];
    for (number, value) in values.iter().enumerate() {
        for (other, unlike) in values.iter().enumerate() {
            assert_eq!(equals(&print(unlike), value), number == other, "{unlike:?} {value:?}");
        }
    }
    assert!(equals(br#""\u0061""#, &Value::string("a")));
    assert!(equals(b"7.0", &Value::Int(7)));
    assert!(!equals(b"\"7\"", &Value::Int(7)));
    assert!(!equals(b"7", &Value::string("7")));
    assert!(!equals(br#"{"a":false,"a":false}"#, &values[9]));
    assert!(!equals(b"[1]", &values[8]) && !equals(b"[1,null,null]", &values[8]));
}

#[test]
fn objects_and_merges_keep_what_they_were_given() {
    assert_eq!(object([("a\"", &b"1"[..]), ("b", b"[2]")]), br#"{"a\"":1,"b":[2]}"#);
    assert_eq!(object([]), b"{}");
    let merged = |before: &str, changes: &[(&str, &[u8])]| {
        merge(before.as_bytes(), changes, 8).map(|out| String::from_utf8(out).expect("text"))
    };
    assert_eq!(
        merged(r#" {"x": 1.0 , "n\u0061me" : "a", "y":[ ]} "#, &[("name", b"\"b\""), ("z", b"null")]).as_deref(),
        Ok(r#"{"x": 1.0,"n\u0061me" : "b","y":[ ],"z":null}"#)
    );
    assert_eq!(merged("{}", &[]).as_deref(), Ok("{}"));
    assert_eq!(merged(r#"{"x":1,"x":2}"#, &[]), Err(Unreadable::Duplicate));
    assert_eq!(merged(r#"{"a":1,"\u0061":2}"#, &[("a", b"3")]), Err(Unreadable::Duplicate));
    assert_eq!(merged("{}", &[("a", b"1"), ("a", b"2")]), Err(Unreadable::Duplicate));
    assert_eq!(merged("{}", &[("a", b"1,\"b\":2")]), Err(Unreadable::Trailing));
    assert_eq!(merged("[]", &[]), Err(Unreadable::Shape));
}

#[test]
fn a_number_that_a_float_would_change_is_not_written_where_one_holds_it() {
    let catalog = catalog();
    let table = catalog.table(CONTACTS);
    let field = table.field_named("amount").expect("declared");
    for raw in ["0.1", "\"12.50\"", "9007199254740992", "-0", "1e300", "123456789.125", "-1.5e-7"] {
        assert!(fits(table, field, raw.as_bytes()), "{raw}");
    }
    for raw in ["99.9999999999999999999999", "9007199254740993", "\"0.1000000000000000055511\"", "1e400", "-1e-400"] {
        assert!(!fits(table, field, raw.as_bytes()), "{raw}");
    }
}
