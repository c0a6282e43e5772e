//! Claims as data: what becomes of each, and which refuse the token.

use super::super::tests::{claim_map, claims, path, schema, tenancy};
use super::*;

fn principal(changes: &[(&str, &str)]) -> Result<Principal, Refused> {
    let reports = path("reports");
    let organizations = ["acme".into(), "globex".into()];
    let mapping = Mapping::new(&claim_map(), &schema(), &organizations, &tenancy().dimensions, Some(&reports));
    let json = Json::parse(claims(changes).as_bytes()).expect("JSON");
    mapping.principal(&"issuer".into(), &json)
}

fn tenants(changes: &[(&str, &str)]) -> Result<String, Refused> {
    principal(changes).map(|p| p.memberships.iter().map(TenantScope::to_string).collect::<Vec<_>>().join(" "))
}

#[test]
fn a_principal_holds_what_its_issuer_may_say_and_no_more() {
    let found = principal(&[("groups", r#"["g"]"#), ("reports", r#"["u2","u3"]"#)]).expect("a principal");
    assert_eq!((&*found.id, &*found.issuer), ("u1", "issuer"));
    assert_eq!(found.roles, ["sales_rep".into()], "an unknown role is dropped");
    assert_eq!(found.reports.join(" "), "u2 u3");
    assert_eq!(found.attributes.get("mfa"), Some(&Value::Bool(true)));
    assert_eq!(found.attributes.get("level"), Some(&Value::Null), "declared and not mapped");
    let bare = principal(&[("roles", ""), ("amr", ""), ("regions", "")]).expect("a principal");
    assert!(bare.roles.is_empty() && bare.groups.is_empty() && bare.reports.is_empty());
    assert_eq!((bare.attributes.get("mfa"), bare.attributes.get("regions")), (Some(&Value::Null), Some(&Value::Null)));
}

#[test]
fn memberships_are_whole_and_of_organizations_that_the_issuer_speaks_for() {
    let one =
        ("tenants", r#"[{"organization_id":"globex","app_id":"desk"},{"organization_id":"evil","app_id":"shop"}]"#);
    let none = [("org_id", ""), ("app_id", "")];
    assert_eq!(tenants(&[]), Ok("acme/shop".to_owned()));
    assert_eq!(tenants(&[one]), Ok("acme/shop globex/desk".to_owned()));
    assert_eq!(tenants(&[("org_id", r#""evil""#)]), Ok(String::new()));
    assert_eq!(tenants(&[("org_id", r#""Acme""#)]), Ok(String::new()));
    assert_eq!(tenants(&none), Ok(String::new()));
    let twice = ("tenants", r#"[{"organization_id":"acme","app_id":"shop"}]"#);
    assert_eq!(tenants(&[twice]), Ok("acme/shop".to_owned()));
}

#[test]
fn claims_of_a_wrong_type_refuse_the_token() {
    let long = format!("{:?}", "x".repeat(MAX_ID + 1));
    for (name, value) in [
        ("sub", &*long),
        ("sub", r#"["u1"]"#),
        ("roles", r#""sales_rep""#),
        ("roles", r#"["sales_rep",null]"#),
        ("roles", r#"["sales_rep",1]"#),
        ("roles", r#"[""]"#),
        ("roles", "null"),
        ("groups", r#"{"g":true}"#),
        ("reports", r#"["u2",null]"#),
        ("org_id", r#""""#),
        ("org_id", "1"),
        ("org_id", "null"),
        ("org_id", r#"["acme"]"#),
        ("org_id", ""),
        ("app_id", r#""""#),
        ("app_id", ""),
        ("app_id", r#""shop/acme""#),
        ("app_id", r#""sh\u0000op""#),
        ("app_id", r#""sh\u0085op""#),
        ("tenants", r#"["acme/shop"]"#),
        ("tenants", r#"{"organization_id":"acme","app_id":"shop"}"#),
        ("tenants", r#"[{"organization_id":"acme"}]"#),
        ("tenants", r#"[{"organization_id":"evil","app_id":""}]"#),
        ("tenants", "[null]"),
        ("tenants", "null"),
        ("regions", r#""north""#),
        ("regions", r#"["north",null]"#),
        ("regions", "[1]"),
        ("amr", r#""mfa""#),
        ("amr", r#"["mfa",null]"#),
    ] {
        assert_eq!(principal(&[(name, value)]), Err(Refused::Claim), "{name}: {value}");
    }
}

#[test]
fn values_are_of_their_declared_type_or_refused() {
    for (of, sound, wrong) in [
        ("int", &["1", "-5"][..], &["1.0", "\"1\"", "true", "9223372036854775808"][..]),
        ("double", &["1", "1.5"], &["\"1\"", "[]"]),
        ("decimal", &["1", "\"1.50\""], &["1.5", "\"x\"", "true"]),
        ("string", &["\"\"", "\"a\""], &["1", "[\"a\"]"]),
        ("bool", &["true"], &["\"true\"", "1"]),
        ("timestamp", &["\"2026-01-01T00:00:00Z\""], &["\"2026-01-01\"", "1767225600", "\"soon\""]),
        ("date", &["\"2026-01-31\""], &["\"2026-02-30\"", "\"2026-01-01T00:00:00Z\"", "20260101"]),
        ("duration", &["\"1h30m\"", "\"PT5S\""], &["5", "\"long\""]),
        ("list(int)", &["[]", "[1,2]"], &["[1,null]", "[\"1\"]", "{}"]),
        ("map(string)", &["{}", "{\"a\":\"b\"}"], &["{\"a\":1}", "{\"a\":null}", "[]"]),
        ("json", &["{\"a\":[1,2.5,true,\"x\"]}"], &["[null]", "{\"a\":{\"b\":null}}"]),
    ] {
        let of = Type::parse(of).expect("a type");
        let typed = |text: &str| typed(&Json::parse(text.as_bytes()).expect("JSON"), &of);
        assert_eq!(typed("null"), Some(Value::Null));
        for text in sound {
            assert!(typed(text).is_some(), "{of} {text}");
        }
        for text in wrong {
            assert_eq!(typed(text), None, "{of} {text}");
        }
    }
}

#[test]
fn a_word_in_a_list_is_only_for_a_bool() {
    let contains = ClaimValue::Contains { word: "mfa".into(), list: path("amr") };
    let json = Json::parse(br#"{"amr":["pwd"]}"#).expect("JSON");
    assert_eq!(attribute(&json, &contains, &Type::Bool), Some(Value::Bool(false)));
    assert_eq!(attribute(&json, &contains, &Type::String), None);
}
