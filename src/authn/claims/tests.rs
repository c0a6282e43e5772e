//! Claims as data: what becomes of each, and which refuse the token.

use super::super::tests::{claim_map, claims, path, schema, tenancy};
use super::*;
use crate::config::Config;
use crate::yaml::Text;

fn principal(changes: &[(&str, &str)]) -> Result<Principal, Refused> {
    mapped(&claim_map(), changes)
}

fn mapped(map: &ClaimMap, changes: &[(&str, &str)]) -> Result<Principal, Refused> {
    let reports = path("reports");
    let organizations = ["acme".into(), "globex".into()];
    let (schema, tenancy) = (schema(), tenancy());
    let known = Known {
        schema: &schema,
        organizations: &organizations,
        dimensions: &tenancy.dimensions,
        reports: Some(&reports),
    };
    let mapping = Mapping::compile(map, Method::Jwt, known).unwrap_or_else(|wrong| panic!("{wrong:?}"));
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

/// An expression of a configuration file.
fn made(source: &str) -> ClaimValue {
    ClaimValue::Expression(Text::whole(source))
}

#[test]
fn expressions_stand_wherever_a_claim_may() {
    let map = ClaimMap {
        id: made("'idp|' + claims.sub"),
        roles: Some(made("claims.scope.split(' ').filter(s, s.startsWith('role:')).map(s, s.substring(5))")),
        groups: Some(made("claims['https://example.com/groups']")),
        tenant: vec![
            ("organization_id".into(), made("claims.org_id == 'acme-prod' ? 'acme' : claims.org_id")),
            ("app_id".into(), made("'shop'")),
        ],
        tenants: None,
        attributes: vec![
            ("mfa".into(), made("claims.amr.exists(m, m == 'mfa')")),
            ("level".into(), made("size(claims.amr)")),
        ],
    };
    let sound = [
        ("scope", r#""openid role:support role:root""#),
        ("https://example.com/groups", r#"["g"]"#),
        ("org_id", r#""acme-prod""#),
    ];
    let found = mapped(&map, &sound).expect("a principal");
    assert_eq!(&*found.id, "idp|u1");
    assert_eq!((found.roles, found.groups), (vec!["support".into()], vec!["g".into()]));
    assert_eq!(found.memberships.iter().map(TenantScope::to_string).collect::<Vec<_>>(), ["acme/shop"]);
    assert_eq!(found.attributes.get("mfa"), Some(&Value::Bool(true)));
    assert_eq!(found.attributes.get("level"), Some(&Value::Int(2)));
    // What is not there is empty or null, as it is for plain claims; the rest of a half tenant still refuses.
    let bare = mapped(&map, &[("amr", ""), ("org_id", r#""acme""#)]).expect("a principal");
    assert!(bare.roles.is_empty() && bare.groups.is_empty());
    assert_eq!(bare.attributes.get("mfa"), Some(&Value::Null));
    for changes in [
        &[("scope", "7")][..],
        &[("scope", r#"["role:support"]"#)],
        &[("amr", r#""mfa""#)],
        &[("sub", "1")],
        &[("sub", "")],
        &[("org_id", "")],
        &[("org_id", "[]")],
        &[("https://example.com/groups", r#"["g",null]"#)],
        &[("https://example.com/groups", r#"{"g":true}"#)],
    ] {
        assert_eq!(mapped(&map, changes), Err(Refused::Claim), "{changes:?}");
    }
}

/// What is written there as an example must hold to the letter.
#[test]
fn the_mappings_of_the_example_compile() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = include_str!("../../../config/example.yaml");
    std::fs::create_dir(folder.path().join("secrets")).expect("made");
    for secret in ["crm-token", "masking-key", "cursor-key", "dpop-nonces", "api-key-hash", "introspection"] {
        std::fs::write(folder.path().join("secrets").join(secret), "0123456789abcdef".repeat(2)).expect("written");
    }
    let path = folder.path().join("gateway.yaml");
    std::fs::write(&path, text).expect("written");
    let (config, _) = Config::load(&path).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    let maps = config.authn.jwt.iter().map(|issuer| &issuer.map);
    let maps: Vec<_> = maps.chain(config.authn.introspection.iter().map(|asked| &asked.map)).collect();
    assert_eq!(maps.len(), 2);
    let (schema, dimensions) = (&config.principal, &config.tenancy.dimensions[..]);
    let known = Known { schema, organizations: &[], dimensions, reports: None };
    for map in maps {
        let compiled = Mapping::compile(map, Method::Jwt, known);
        assert!(compiled.is_ok(), "{:?}", compiled.err());
    }
}

#[test]
fn an_expression_of_another_type_is_a_mistake_at_load() {
    let (schema, tenancy) = (schema(), tenancy());
    let organizations = ["acme".into()];
    let known =
        Known { schema: &schema, organizations: &organizations, dimensions: &tenancy.dimensions, reports: None };
    for (map, wrong) in [
        (ClaimMap { id: made("size(claims.sub)"), ..claim_map() }, "must be of type `string`, but is of type `int`"),
        (ClaimMap { roles: Some(made("claims.x == 'a'")), ..claim_map() }, "must be of type `list(string)`"),
        (ClaimMap { tenant: vec![("app_id".into(), made("claims.a == 'x'"))], ..claim_map() }, "but is of type `bool`"),
        (ClaimMap { attributes: vec![("mfa".into(), made("size(claims.amr)"))], ..claim_map() }, "of type `bool`, but"),
        (ClaimMap { attributes: vec![("level".into(), made("principal.id"))], ..claim_map() }, "is not known in `map`"),
    ] {
        let errors = Mapping::compile(&map, Method::Jwt, known).err().unwrap_or_default();
        assert!(errors.iter().any(|error| error.message.contains(wrong)), "{wrong}: {errors:?}");
    }
}

#[test]
fn times_that_an_expression_makes_are_of_their_declared_type() {
    let of = |value: Value, of: Type| Json::of(&value, &of).and_then(|json| typed(&json, &of));
    let instant = |text: &str| Value::Timestamp(text.parse().expect("an instant"));
    let day = instant("2026-01-31T00:00:00Z");
    assert_eq!(of(day.clone(), Type::Timestamp), Some(day.clone()));
    assert_eq!(of(day.clone(), Type::Date), Some(day));
    assert_eq!(of(instant("2026-01-31T01:00:00Z"), Type::Date), None);
    let hour = Value::Duration(SignedDuration::from_hours(1));
    assert_eq!(of(hour.clone(), Type::Duration), Some(hour));
    assert_eq!(of(Value::Int(5), Type::Decimal), Decimal::parse("5").map(Value::Decimal));
}
