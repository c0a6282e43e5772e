//! What a client may ask Directus for, what it may not, and what the gateway asks for besides.

mod tenants;

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::api::{FieldId, Operator, Parent, Related, TableId};
use crate::dialect::{Comparison, Expansion, Expansions, described, parse_record};
use crate::model::filter::{Filter, Part, Sign, Test};
use crate::model::{Name, Value};

/// Where the columns of a contact are.
const AMOUNT: u16 = 3;
const RELATION: u16 = 10;
const MANY: u16 = 11;

fn table() -> Table {
    let plain = |name: &str, kind| (name.to_owned(), Shape::Plain(kind), false);
    let nullable = |name: &str, kind| (name.to_owned(), Shape::Plain(kind), true);
    let fields = [
        plain("id", Type::Int),
        plain("organization_id", Type::String),
        plain("name", Type::String),
        plain("amount", Type::Decimal),
        plain("active", Type::Bool),
        nullable("seen_at", Type::Timestamp),
        nullable("born", Type::Date),
        plain("custom", Type::Json),
        nullable("stage", Type::String),
        nullable("accountId", Type::Int),
        ("account".to_owned(), Shape::One { table: TableId(1), by: FieldId(9) }, false),
        ("notes".to_owned(), Shape::Many { table: TableId(2) }, false),
    ];
    let mut table = described::contacts(fields);
    set_push(&mut table, Some(Push::Exact));
    let account = described::contacts([
        ("id".to_owned(), Shape::Plain(Type::Int), false),
        ("name".to_owned(), Shape::Plain(Type::String), true),
        ("secret".to_owned(), Shape::Plain(Type::String), true),
    ]);
    let notes = described::contacts(["id", "label"].map(|name| (name.to_owned(), Shape::Plain(Type::Int), false)));
    // Nothing leads back here.
    let known = [Arc::default(), account.fields, notes.fields];
    let related = known.map(|fields| Related { key: FieldId(0), fields }).into();
    Table { in_place: true, related, ..table }
}

fn set_push(table: &mut Table, push: Option<Push>) {
    Arc::get_mut(&mut table.fields).expect("nobody else has it").iter_mut().for_each(|field| field.push = push);
}

fn server() -> Directus {
    Directus::new(25, 100)
}

fn tenant(name: &str) -> TenantScope {
    let dimensions: [Name; 1] = ["organization_id".into()];
    TenantScope::new(&dimensions, |_| Some(name)).expect("a tenant")
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn parse(pairs: &[(&str, &str)]) -> Result<Query, Reason> {
    server().parse(&table(), &owned(pairs))
}

/// The pairs of a printed query, unescaped.
fn sent(printed: &str) -> Vec<(String, String)> {
    let pairs = printed.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, text)| (name.to_owned(), decoded(text))).collect()
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        let mut nibble = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).expect("a digit") as u8;
        bytes.push(if byte == b'%' { nibble() << 4 | nibble() } else { byte });
    }
    String::from_utf8(bytes).expect("text")
}

fn filter(query: &Query) -> String {
    let sent = sent(&server().print(&table(), query, &tenant("acme"), true));
    sent.into_iter().find(|(name, _)| name == "filter").map(|(_, text)| text).expect("a filter")
}

/// A client's filter as it is sent, beside the tenant's.
fn said(pairs: &[(&str, &str)]) -> String {
    let text = filter(&parse(pairs).unwrap_or_else(|_| panic!("{pairs:?} is refused")));
    let own = r#"{"organization_id":{"_eq":"acme"}}"#;
    if text == own {
        return String::new();
    }
    let rest = text.strip_prefix(&format!(r#"{{"_and":[{own},"#)).and_then(|rest| rest.strip_suffix("]}"));
    rest.expect("the tenant comes first").to_owned()
}

#[test]
fn a_query_is_printed_anew_beside_the_tenants_filter() {
    let query = parse(&[
        ("filter", r#"{"_or":[{"name":{"_eq":"a"}},{"amount":{"_gt":5}}],"active":{"_eq":true}}"#),
        ("sort", "-amount,name"),
        ("fields", "id,name,accountId.name,notes.*"),
        ("limit", "50"),
        ("page", "3"),
        ("meta", "*"),
    ]);
    let query = query.expect("a query");
    assert_eq!(query.fields.as_deref(), Some(&[FieldId(0), FieldId(2)][..]));
    let named = Expansion { fields: Some(vec![FieldId(1)]), ..Expansion::of(FieldId(RELATION)) };
    assert_eq!(query.expand, Expansions { named: vec![named, Expansion::of(FieldId(MANY))], every: 0 });
    let expected = [
        (
            "filter",
            r#"{"_and":[{"organization_id":{"_eq":"acme"}},{"_and":[{"_or":[{"name":{"_eq":"a"}},{"amount":{"_gt":5}}]},{"active":{"_eq":true}}]}]}"#,
        ),
        ("fields", "id,name,account.name,notes.id,notes.label"),
        ("alias", r#"{"account":"accountId"}"#),
        ("deep", r#"{"notes":{"_limit":-1}}"#),
        ("sort", "-amount,name,id"),
        ("limit", "50"),
        ("page", "3"),
        ("meta", "filter_count"),
    ];
    assert_eq!(sent(&server().print(&table(), &query, &tenant("acme"), true)), owned(&expected));
}

#[test]
fn every_column_is_asked_for_by_name() {
    let all = "id,organization_id,name,amount,active,seen_at,born,custom,stage,accountId";
    let nothing = parse(&[]).expect("a query");
    let list = sent(&server().print(&table(), &nothing, &tenant("acme"), true));
    let expected =
        [("filter", r#"{"organization_id":{"_eq":"acme"}}"#), ("fields", all), ("sort", "id"), ("limit", "25")];
    assert_eq!(list, owned(&expected), "no list is unbounded, or in an order of the server's choice");
    assert_eq!(sent(&server().print(&table(), &nothing, &tenant("acme"), false)), owned(&[("fields", all)]));
    assert_eq!(parse(&[("fields", "*")]), Ok(nothing));
}

#[test]
fn both_spellings_of_a_filter_mean_the_same() {
    for (json, brackets, expected) in [
        (r#"{"name":{"_eq":"a"}}"#, &[("filter[name][_eq]", "a")][..], r#"{"name":{"_eq":"a"}}"#),
        (
            r#"{"accountId":{"name":{"_eq":"a"}}}"#,
            &[("filter[accountId][name]", "a")],
            r#"{"accountId":{"name":{"_eq":"a"}}}"#,
        ),
        (r#"{"name":"a"}"#, &[("filter[name]", "a")], r#"{"name":{"_eq":"a"}}"#),
        (r#"{"amount":{"_gt":5}}"#, &[("filter[amount][_gt]", "5")], r#"{"amount":{"_gt":5}}"#),
        (r#"{"id":{"_in":[1,2]}}"#, &[("filter[id][_in]", "1,2")], r#"{"id":{"_in":[1,2]}}"#),
        (
            r#"{"id":{"_nin":[1,2]}}"#,
            &[("filter[id][_nin][1]", "2"), ("filter[id][_nin][0]", "1")],
            r#"{"id":{"_nin":[1,2]}}"#,
        ),
        (r#"{"id":{"_in":[1]}}"#, &[("filter[id][_in][]", "1")], r#"{"id":{"_eq":1}}"#),
        (
            r#"{"_or":[{"id":{"_eq":1}},{"active":{"_eq":false}}]}"#,
            &[("filter[_or][0][id][_eq]", "1"), ("filter[_or][1][active][_eq]", "false")],
            r#"{"_or":[{"id":{"_eq":1}},{"active":{"_eq":false}}]}"#,
        ),
        (
            r#"{"stage":{"_or":[{"_eq":"a"},{"_null":true}]}}"#,
            &[("filter[stage][_or][0][_eq]", "a"), ("filter[stage][_or][1][_null]", "true")],
            r#"{"_or":[{"stage":{"_eq":"a"}},{"stage":{"_null":true}}]}"#,
        ),
        (
            r#"{"amount":{"_between":[1,2.5]}}"#,
            &[("filter[amount][_between]", "1,2.5")],
            r#"{"_and":[{"amount":{"_gte":1}},{"amount":{"_lte":2.5}}]}"#,
        ),
        (
            r#"{"amount":{"_nbetween":[1,2]}}"#,
            &[("filter[amount][_nbetween]", "1,2")],
            r#"{"_or":[{"amount":{"_lt":1}},{"amount":{"_gt":2}}]}"#,
        ),
        (
            r#"{"stage":{"_empty":true}}"#,
            &[("filter[stage][_nempty]", "false")],
            r#"{"_or":[{"stage":{"_null":true}},{"stage":{"_in":[""]}}]}"#,
        ),
        (
            r#"{"stage":{"_nempty":true}}"#,
            &[("filter[stage][_empty]", "false")],
            r#"{"_and":[{"stage":{"_nnull":true}},{"stage":{"_nin":[""]}}]}"#,
        ),
        (r#"{"stage":{"_eq":null}}"#, &[("filter[stage][_null]", "true")], r#"{"stage":{"_null":true}}"#),
        (r#"{"stage":{"_neq":null}}"#, &[("filter[stage][_nnull]", "true")], r#"{"stage":{"_nnull":true}}"#),
        (r#"{"name":{"_ncontains":"a%"}}"#, &[("filter[name][_ncontains]", "a%")], r#"{"name":{"_ncontains":"a%"}}"#),
        (r#"{"name":{"_icontains":"a"}}"#, &[("filter[name][_icontains]", "a")], r#"{"name":{"_icontains":"a"}}"#),
        (
            r#"{"name":{"_niends_with":"a"}}"#,
            &[("filter[name][_niends_with]", "a")],
            r#"{"name":{"_niends_with":"a"}}"#,
        ),
        (r#"{"name":{"_eq":""}}"#, &[("filter[name][_eq]", "")], r#"{"name":{"_in":[""]}}"#),
        (r#"{"name":{"_eq":"\"}]}"}}"#, &[("filter[name][_eq]", "\"}]}")], r#"{"name":{"_eq":"\"}]}"}}"#),
        (
            r#"{"seen_at":{"_lt":"2026-01-01T00:00:00Z"}}"#,
            &[("filter[seen_at][_lt]", "2026-01-01T00:00:00Z")],
            r#"{"seen_at":{"_lt":"2026-01-01T00:00:00Z"}}"#,
        ),
        ("{}", &[("filter", "")], ""),
        (r#"{"_and":[{}]}"#, &[], ""),
        (r#"{"_or":[{},{"id":{"_eq":1}}]}"#, &[], ""),
    ] {
        assert_eq!(said(&[("filter", json)]), expected, "{json}");
        assert_eq!(said(brackets), expected, "{brackets:?}");
    }
}

#[test]
fn what_cant_be_judged_is_refused_like_what_is_not_there() {
    let texts = [
        r#"{"nothing":{"_eq":1}}"#,
        r#"{"accountId":{"nothing":{"_eq":"x"}}}"#,
        r#"{"accountId":{"name":{"x":{"_eq":"x"}}}}"#,
        r#"{"stage":{"name":{"_eq":"x"}}}"#,
        r#"{"account":{"_null":true}}"#,
        r#"{"account":{"name":{"_eq":"x"}}}"#,
        r#"{"notes":{"_some":{"label":{"_eq":"x"}}}}"#,
        r#"{"notes":{"_none":{}}}"#,
        r#"{"notes":{"label":{"_eq":"x"}}}"#,
        r#"{"count(notes)":{"_gt":1}}"#,
        r#"{"year(seen_at)":{"_eq":2026}}"#,
        r#"{"custom":{"_null":true}}"#,
        r#"{"name":{"_eq":5}}"#,
        r#"{"name":{"_eq":true}}"#,
        r#"{"name":{"_eq":["a"]}}"#,
        r#"{"name":{"_eq":{"x":1}}}"#,
        r#"{"name":{"_gt":"a"}}"#,
        r#"{"name":{"_between":["a","b"]}}"#,
        r#"{"name":{"_contains":""}}"#,
        r#"{"name":{"_nicontains":"a"}}"#,
        r#"{"name":{"_regex":"^a"}}"#,
        r#"{"name":{"_eq":"$CURRENT_USER"}}"#,
        r#"{"name":{"_eq":"$NOW"}}"#,
        r#"{"name":{"_in":["a","$CURRENT_ROLES"]}}"#,
        r#"{"name":{"_eq":"null"}}"#,
        r#"{"name":{"_contains":"true"}}"#,
        r#"{"seen_at":{"_gt":"$NOW(-1 day)"}}"#,
        r#"{"seen_at":{"_gt":"2026"}}"#,
        r#"{"seen_at":{"_contains":"2026"}}"#,
        r#"{"amount":{"_eq":"a"}}"#,
        r#"{"amount":{"_between":[1]}}"#,
        r#"{"amount":{"_in":[]}}"#,
        r#"{"amount":{"_gt":null}}"#,
        r#"{"id":{"_eq":9007199254740993}}"#,
        r#"{"id":{"_eq":1.5}}"#,
        r#"{"id":{"_eq":"0x1"}}"#,
        r#"{"active":{"_in":[true]}}"#,
        r#"{"active":{"_eq":"yes"}}"#,
        r#"{"active":{"_gt":false}}"#,
        r#"{"name":{"_null":"x"}}"#,
        r#"{"name":{"_null":1}}"#,
        r#"{"_or":[]}"#,
        r#"{"_and":{}}"#,
        r#"{"_or":{"name":"a"}}"#,
        r#"{"_not":[{"id":1}]}"#,
        r#"{"_eq":1}"#,
        r#"{"name":{"_eq":"a"},"name":{"_eq":"b"}}"#,
        r#"{"name":{"_eq":"a","_eq":"b"}}"#,
        r#"{"name":{"_eq":"a","\u005feq":"b"}}"#,
        r#"[{"id":{"_eq":1}}]"#,
        r#"{"id":{"_eq":1}} "#.trim_end_matches(['}', ' ']),
        r#"{"id":{"_eq":1}}{}"#,
        "null",
        "1",
        "name",
    ];
    for text in texts {
        assert_eq!(parse(&[("filter", text)]), Err(Reason::QueryNotAllowed), "{text}");
    }
    let deep = format!("{}{}{}", r#"{"_and":["#.repeat(33), r#"{"id":1}"#, "]}".repeat(33));
    assert!(parse(&[("filter", &deep)]).is_err());
    let many: Vec<String> = (0..201).map(|n| n.to_string()).collect();
    assert!(parse(&[("filter[id][_in]", &many.join(","))]).is_err());
    let long = format!(r#"{{"name":{{"_in":["{}"]}}}}"#, vec!["é".repeat(100); 20].join("\",\""));
    assert!(parse(&[("filter", &long)]).is_err(), "it is longer when it is sent");
}

#[test]
fn other_parameters_are_refused_like_what_is_not_there() {
    for pairs in [
        &[("filter[name", "a")][..],
        &[("filter]name[", "a")],
        &[("filter[]", "a")],
        &[("filter[][_eq]", "a")],
        &[("filter[name]x", "a")],
        &[("filter[name][_eq][_eq]", "a")],
        &[("filter[[name]][_eq]", "a")],
        &[("filter[name][_eq]", "a"), ("filter", "{}")],
        &[("filter", "{}"), ("filter[name][_eq]", "a")],
        &[("filter[name][_eq]", "a"), ("filter[name]", "a")],
        &[("filter[name]", "a"), ("filter[name][_eq]", "a")],
        &[("filter[name][_eq]", "a"), ("filter[name][_eq]", "b")],
        &[("filter[_or][0][id]", "1"), ("filter[_or][2][id]", "1")],
        &[("filter[_or][0][id]", "1"), ("filter[_or][][id]", "1")],
        &[("sort", "nothing")],
        &[("sort", "custom")],
        &[("sort", "account")],
        &[("sort", "accountId.name")],
        &[("sort", "notes.label")],
        &[("sort", "year(seen_at)")],
        &[("sort", "--name")],
        &[("sort", "+name")],
        &[("sort", "name,-name")],
        &[("sort", "name,")],
        &[("sort", "?")],
        &[("fields", "nothing")],
        &[("fields", "account")],
        &[("fields", "account.name")],
        &[("fields", "notes")],
        &[("fields", "name,name")],
        &[("fields", "*,name")],
        &[("fields", "**")],
        &[("fields", "accountId.nothing")],
        &[("fields", "accountId.notes.label")],
        &[("fields", "accountId.*,accountId.name")],
        &[("fields", "accountId.name,accountId.*")],
        &[("fields", "accountId.name,accountId.name")],
        &[("fields", "name.x")],
        &[("fields", "accountId:contacts.name")],
        &[("fields", "count(notes)")],
        &[("fields", "year(seen_at)")],
        &[("fields", "name,")],
        &[("fields", "id"), ("fields[]", "name")],
        &[("fields[0]", "id"), ("fields[2]", "name")],
        &[("limit", "-1")],
        &[("limit", "0")],
        &[("limit", "101")],
        &[("limit", "1e1")],
        &[("limit[]", "1")],
        &[("offset", "-1")],
        &[("offset", "1"), ("page", "1")],
        &[("page", "0")],
        &[("page", "01")],
        &[("meta", "total_count")],
        &[("meta", "x")],
        &[("meta[]", "filter_count")],
        &[("search", "a")],
        &[("aggregate[count]", "*")],
        &[("aggregate", "{}")],
        &[("groupBy", "stage")],
        &[("groupBy[]", "stage")],
        &[("deep[notes][_filter][label][_eq]", "x")],
        &[("deep", "{}")],
        &[("alias[boss]", "name")],
        &[("alias", "{}")],
        &[("version", "x")],
        &[("versionRaw", "")],
        &[("export", "csv")],
        &[("access_token", "x")],
        &[("Filter", "{}")],
        &[("_filter", "{}")],
    ] {
        assert_eq!(parse(pairs), Err(Reason::QueryNotAllowed), "{pairs:?}");
    }
}

#[test]
fn names_come_in_a_list_or_in_brackets() {
    let plain = parse(&[("fields", "id,name"), ("sort", "name,-id")]);
    for pairs in [
        &[("fields[]", "id,name"), ("sort[]", "name,-id")][..],
        &[("fields[0]", "id"), ("fields[1]", "name"), ("sort[1]", "-id"), ("sort[0]", "name")],
        &[("fields", " id , name"), ("sort", "name, -id")],
    ] {
        assert_eq!(parse(pairs), plain, "{pairs:?}");
    }
    assert_eq!(parse(&[("fields", ""), ("sort", ""), ("filter", ""), ("meta", "")]), parse(&[]));
}

#[test]
fn one_record_takes_fields_alone() {
    let of = |pairs: &[(&str, &str)]| parse_record(&server(), &table(), &owned(pairs));
    let query = of(&[("fields", "name,accountId.name")]).expect("a query");
    let printed = sent(&server().print(&table(), &query, &tenant("acme"), false));
    let expected = [("fields", "name,account.name"), ("alias", r#"{"account":"accountId"}"#)];
    assert_eq!(printed, owned(&expected));
    for pair in
        [("filter", r#"{"id":1}"#), ("sort", "name"), ("page", "1"), ("limit", "5"), ("meta", "*"), ("offset", "1")]
    {
        assert!(of(&[pair]).is_err(), "{pair:?}");
    }
}

fn leaf(name: &str, test: Test) -> Filter {
    Filter::leaf(&Arc::from([Name::from(name)]), test)
}

fn texts(of: &[&str]) -> Arc<[Value]> {
    of.iter().map(|text| Value::string(*text)).collect()
}

fn instant(text: &str) -> Value {
    Value::Timestamp(text.parse().expect("an instant"))
}

#[test]
fn a_policys_rows_are_said_in_the_servers_words() {
    let order = |name: &str, value| leaf(name, Test::Order(Sign::Less, value));
    let text = |part, text: &str, expected| leaf("name", Test::Text { part, text: text.into(), expected });
    let own = |name: &str| leaf("name", Test::OneOf(texts(&[name])));
    let unsayable = || own("$NOW");
    let behind = |name: &str, test| Filter::leaf(&Arc::from(["account".into(), name.into()]), test);
    for (filter, expected, exact) in [
        (Filter::All, "", true),
        (Filter::None, r#"{"id":{"_null":true}}"#, true),
        (own("a"), r#"{"name":{"_eq":"a"}}"#, true),
        (leaf("name", Test::OneOf(texts(&["a", "b"]))), r#"{"name":{"_in":["a","b"]}}"#, true),
        (leaf("stage", Test::NoneOf(texts(&["a", "b"]))), r#"{"stage":{"_nin":["a","b"]}}"#, true),
        (leaf("stage", Test::NoneOf(texts(&[""]))), r#"{"stage":{"_nin":[""]}}"#, true),
        (leaf("stage", Test::Null), r#"{"stage":{"_null":true}}"#, true),
        (leaf("stage", Test::NotNull), r#"{"stage":{"_nnull":true}}"#, true),
        (leaf("active", Test::OneOf([Value::Bool(true)].into())), r#"{"active":{"_eq":true}}"#, true),
        (order("amount", Value::Double(0.5)), r#"{"amount":{"_lt":0.5}}"#, true),
        (
            order("seen_at", instant("2025-03-01T00:00:00.123Z")),
            r#"{"seen_at":{"_lt":"2025-03-01T00:00:00.123Z"}}"#,
            true,
        ),
        (order("seen_at", instant("2025-03-01T00:00:00.1234Z")), "", false),
        (order("name", Value::string("a")), "", false),
        (text(Part::Start, "ab", true), r#"{"name":{"_starts_with":"ab"}}"#, true),
        (text(Part::Anywhere, "50%", true), "", false),
        (text(Part::Anywhere, "ab", false), "", false),
        (own("null"), "", false),
        (unsayable(), "", false),
        (leaf("custom", Test::OneOf(texts(&["a"]))), "", false),
        (leaf("nothing", Test::NotNull), "", false),
        (behind("name", Test::NotNull), r#"{"accountId":{"name":{"_nnull":true}}}"#, true),
        (behind("name", Test::OneOf(texts(&["a", "b"]))), r#"{"accountId":{"name":{"_in":["a","b"]}}}"#, true),
        // A record that isn't there would be found, too.
        (behind("name", Test::Null), "", false),
        (behind("nothing", Test::NotNull), "", false),
        (
            Filter::Or(vec![own("a"), leaf("stage", Test::Null)]),
            r#"{"_or":[{"name":{"_eq":"a"}},{"stage":{"_null":true}}]}"#,
            true,
        ),
        (Filter::Or(vec![own("a"), unsayable()]), "", false),
        (Filter::And(vec![own("a"), unsayable()]), r#"{"name":{"_eq":"a"}}"#, false),
    ] {
        let Added { condition, exact: is_exact } = own::add(&table(), &Sieve::exact(filter.clone()));
        let said = print::condition(&table(), &condition).map_or_else(String::new, |node| node.to_string());
        assert_eq!((said.as_str(), is_exact), (expected, exact), "{filter:?}");
    }
    let long = leaf("name", Test::OneOf((0..90).map(|n| Value::string(format!("{n:050}"))).collect()));
    let added = own::add(&table(), &Sieve::exact(Filter::And(vec![long, leaf("stage", Test::Null)])));
    assert_eq!((added.condition.comparisons().len(), added.exact), (1, false), "what has no room is left out");
}

fn comparison() -> impl Strategy<Value = Condition> {
    use Operator::*;
    let of = |field: u16, operators: &'static [Operator], value: BoxedStrategy<String>| {
        let pair = (prop::sample::select(operators), value);
        pair.prop_map(move |(operator, value)| {
            Condition::Is(Comparison { through: None, field: FieldId(field), operator, value })
        })
        .boxed()
    };
    let truth = || prop::sample::select(vec!["true".to_owned(), "false".to_owned()]).boxed();
    let text = "[a\"'{}\\[\\]:,$%\\\\\u{e4}]{0,6}".prop_filter("means itself", |text| value::is_literal(text));
    prop_oneof![
        of(
            0,
            &[Equal, NotEqual, Less, GreaterOrEqual],
            (-1_000_000_i64..1_000_000).prop_map(|n| n.to_string()).boxed()
        ),
        of(2, &[Equal, NotEqual], text.boxed()),
        of(2, &[Contains, StartsWithAnyCase, EndsWith], "[a\"{}\\\\]{1,4}".boxed()),
        of(8, &[Null], truth()),
        of(4, &[Equal], truth()),
        of(
            AMOUNT,
            &[Greater, LessOrEqual],
            (0_u32..9999).prop_map(|n| f64::from(n).mul_add(0.25, -9.0).to_string()).boxed()
        ),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    comparison().prop_recursive(4, 24, 3, |inner| {
        let parts = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![parts().prop_map(Condition::And), parts().prop_map(Condition::Or)]
    })
}

/// What reads back from what is printed: conjunctions lie in one.
fn flat(condition: Condition) -> Condition {
    match condition {
        Condition::And(parts) => {
            let parts = parts.into_iter().map(flat).flat_map(|part| match part {
                Condition::And(inner) => inner,
                other => vec![other],
            });
            Condition::And(parts.collect())
        }
        Condition::Or(parts) => Condition::Or(parts.into_iter().map(flat).collect()),
        other => other,
    }
}

proptest! {
    #[test]
    fn a_printed_filter_reads_back_as_itself(of in condition()) {
        let printed = print::condition(&table(), &of).expect("words").to_string();
        let again = Node::parse(&printed).and_then(|node| super::filter::condition(&table(), &node));
        let again = again.ok_or_else(|| TestCaseError::fail(format!("{printed} is refused")))?;
        // The values, their columns and operators are the same, in the same order.
        let said = |of: &Condition| of.comparisons().into_iter().cloned().collect::<Vec<_>>();
        prop_assert_eq!(said(&again), said(&of), "{}", printed);
        let twice = print::condition(&table(), &flat(again.clone())).expect("words").to_string();
        let reread = Node::parse(&twice).and_then(|node| super::filter::condition(&table(), &node));
        prop_assert_eq!(reread.map(flat), Some(flat(again)), "{}", twice);
    }

    #[test]
    fn no_query_panics_and_what_is_understood_is_sent_within_the_tenant(
        name in "(filter|sort|fields|limit|page|offset|meta|filter(\\[[a-z_0-9]{0,5}\\]){0,3}|[a-z\\[\\]]{1,6})",
        text in "(\\{\"(_or|_and|name|id|custom)\":[\\[{]?.{0,30})|[a-z(){}\\[\\],.:'\"\\\\*=$_0-9 -]{0,40}",
    ) {
        if let Ok(query) = parse(&[(&name, &text)]) {
            let filter = filter(&query);
            let own = r#"{"organization_id":{"_eq":"acme"}}"#;
            prop_assert!(filter == own || filter.starts_with(&format!(r#"{{"_and":[{own},"#)), "{}", filter);
            prop_assert!(Node::parse(&filter).is_some(), "{}", filter);
        }
    }
}
