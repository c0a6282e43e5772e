//! What a client may ask PocketBase for, what the gateway asks it for besides, and that nothing of either is told apart.

use std::sync::Arc;

use proptest::prelude::*;

use super::grammar;
use crate::api::*;
use crate::dialect::described::contacts;
use crate::dialect::{Added, Expansion, Expansions, Language, Query, parse_record};
use crate::model::filter::{Filter, Part, Sieve, Sign, Test};
use crate::model::value::Type;
use crate::model::{Name, Reason, TenantScope, Value};

fn table() -> Table {
    let plain = |name: &str, kind| (name.to_owned(), Shape::Plain(kind), false);
    let fields = [
        plain("id", Type::String),
        plain("organization_id", Type::String),
        plain("name", Type::String),
        plain("amount", Type::Decimal),
        plain("active", Type::Bool),
        ("seen_at".to_owned(), Shape::Plain(Type::Timestamp), true),
        plain("custom", Type::Json),
        ("account".to_owned(), Shape::Plain(Type::String), true),
        ("parent".to_owned(), Shape::One { table: TableId(1), by: FieldId(7) }, false),
    ];
    Table { empty_is_null: true, container: Some(Pocketbase::CONTAINER.into()), ..contacts(fields) }
}

fn server() -> Pocketbase {
    Pocketbase::new(30, 200)
}

fn tenant(name: &str) -> TenantScope {
    let dimensions: [Name; 1] = ["organization_id".into()];
    TenantScope::new(&dimensions, |_| Some(name)).expect("a tenant")
}

fn parse(pairs: &[(&str, &str)]) -> Result<Query, Reason> {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    server().parse(&table(), &pairs)
}

/// The pairs that are sent for a query, unescaped.
fn sent(query: &Query, tenant: &TenantScope) -> Vec<(String, String)> {
    let printed = server().print(&table(), query, tenant, true);
    printed
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, text)| (name.to_owned(), decoded(text)))
        .collect()
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
    let sent = sent(query, &tenant("acme"));
    sent.into_iter().find(|(name, _)| name == "filter").map(|(_, text)| text).expect("a filter")
}

#[test]
fn a_parents_tenant_is_asked_for_through_the_relation() {
    let lent = Lent { dimension: "organization_id".into(), column: "org".into(), of: Type::String };
    let parent = |field, columns| Parent { relation: FieldId(field), columns };
    let with = |field, lent| Table { tenant: Tenancy::Via(parent(field, lent)), ..table() };
    let asked = |table: &Table| {
        let printed = server().print(table, &Query::default(), &tenant("o'neil"), true);
        printed.split('&').find_map(|pair| pair.strip_prefix("filter=")).map(decoded)
    };
    let via = with(8, vec![lent.clone()]);
    assert!(server().is_tenant_pushed(&via) && !server().is_tenant_pushed(&with(8, Vec::new())));
    assert_eq!(asked(&via).as_deref(), Some("account.org='o\\'neil'"));
    assert_eq!(asked(&with(2, vec![lent.clone()])).as_deref(), Some("id=''"), "what leads nowhere finds nothing");
    let other = Lent { dimension: "app_id".into(), ..lent };
    assert_eq!(asked(&with(8, vec![other])).as_deref(), Some("id=''"), "and so does half a tenant");
}

#[test]
fn a_query_is_printed_anew_beside_the_tenants_filter() {
    let query = parse(&[
        ("filter", "name='a' || amount>5 && active=true"),
        ("sort", "-amount, name"),
        ("fields", "id,name,expand"),
        ("expand", "account"),
        ("page", "3"),
        ("perPage", "50"),
        ("skipTotal", "1"),
    ]);
    let expected = [
        ("filter", "(organization_id='acme' && (name='a' || (amount>5 && active=true)))"),
        ("sort", "-amount,name,id"),
        ("perPage", "50"),
        ("page", "3"),
        ("skipTotal", "1"),
        ("fields", "id,name,expand.account"),
        ("expand", "account"),
    ];
    let all = sent(&query.expect("a query"), &tenant("acme"));
    assert_eq!(all, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
}

#[test]
fn a_list_is_cut_to_the_tenant_whatever_its_name() {
    let query = parse(&[]).expect("a query");
    for (name, expected) in [
        ("acme", "organization_id='acme'"),
        ("o'neil", r"organization_id='o\'neil'"),
        ("') || (id!='", r"organization_id='\') || (id!=\''"),
        // What can't be quoted finds nothing.
        ("end\\", "id=''"),
        ("a\\'b", "id=''"),
    ] {
        let all = sent(&query, &tenant(name));
        assert_eq!(all.first().map(|(_, text)| text.as_str()), Some(expected), "{name}");
    }
    let sent = sent(&query, &tenant("acme"));
    assert!(sent.contains(&("perPage".to_owned(), "30".to_owned())), "no list is unbounded");
    assert!(sent.contains(&("sort".to_owned(), "@rowid".to_owned())), "no list is in an order of the server's choice");
}

#[test]
fn what_cant_be_judged_is_refused_like_what_is_not_there() {
    for pairs in [
        [("filter", "nothing=1")],
        [("filter", "account.name='x'")],
        [("filter", "parent='x'")],
        [("filter", "expand.account.name='x'")],
        [("filter", "custom='x'")],
        [("filter", "custom=null")],
        [("filter", "name=5")],
        [("filter", "amount='5'")],
        [("filter", "amount~5")],
        [("filter", "active=1")],
        [("filter", "name>null")],
        [("filter", "id!='') //")],
        [("filter", " ")],
        [("sort", "nothing")],
        [("sort", "custom")],
        [("sort", "parent")],
        [("sort", "account.name")],
        [("sort", "@random")],
        [("sort", "name,-name")],
        [("sort", "--name")],
        [("sort", "name,")],
        [("expand", "nothing")],
        [("expand", "parent")],
        [("expand", "name")],
        [("expand", "account,account")],
        [("expand", "account.parent")],
        [("expand", "contacts_via_account")],
        [("fields", "nothing")],
        [("fields", "parent")],
        [("fields", "name,name")],
        [("fields", "*,name")],
        [("fields", "*,nothing")],
        [("fields", "*,*")],
        [("fields", "name:excerpt(5)")],
        [("fields", "expand.account")],
        [("fields", "expand.nothing")],
        [("page", "0")],
        [("page", "01")],
        [("page", "-1")],
        [("perPage", "0")],
        [("perPage", "201")],
        [("perPage", "1e2")],
        [("skipTotal", "yes")],
        [("nothing", "1")],
        [("Filter", "name='a'")],
        [("offset", "1")],
    ] {
        assert_eq!(parse(&pairs), Err(Reason::QueryNotAllowed), "{pairs:?}");
    }
    assert!(parse(&[("page", "1"), ("page", "2")]).is_err(), "the server takes the first");
    let deeper = [("expand", "account"), ("fields", "id,expand.account.name")];
    assert!(parse(&deeper).is_err(), "a field of a related record isn't judged");
}

#[test]
fn one_record_takes_fields_and_expansions_alone() {
    let of = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        parse_record(&server(), &table(), &pairs)
    };
    let query = of(&[("fields", "name"), ("expand", "account")]).expect("a query");
    let printed = server().print(&table(), &query, &tenant("acme"), false);
    assert_eq!(decoded(&printed), "fields=name,expand.account&expand=account");
    assert_eq!(server().print(&table(), &of(&[]).expect("a query"), &tenant("acme"), false), "");
    for pairs in [("filter", "name='a'"), ("sort", "name"), ("page", "1"), ("perPage", "5"), ("skipTotal", "1")] {
        assert!(of(&[pairs]).is_err(), "{pairs:?}");
    }
}

#[test]
fn fields_are_named_as_long_as_the_query_is_no_longer_than_servers_take() {
    let own = |name: String| (name, Shape::Plain(Type::String), false);
    let wide = |count: usize| {
        let relation = ("parent".to_owned(), Shape::One { table: TableId(1), by: FieldId(2) }, false);
        let columns = (0..count).map(|number| own(format!("column_{number:03}")));
        let first = ["id", "organization_id", "account"].map(|name| own(name.to_owned()));
        let mut table = contacts(first.into_iter().chain(columns).chain([relation]));
        let related = contacts(["id", "organization_id", "region"].map(|name| own(name.to_owned())));
        let known = [&table, &related].map(|table| Related { key: FieldId(0), fields: Arc::clone(&table.fields) });
        table.related = known.into();
        table
    };
    let parent = |table: &Table| FieldId(table.fields.len() as u16 - 1);
    let query = |table: &Table, related: &[u16]| Query {
        fields: Some(table.field_ids().filter(|id| matches!(table.field(*id).shape, Shape::Plain(_))).collect()),
        expand: Expansions {
            named: vec![Expansion {
                fields: Some(related.iter().copied().map(FieldId).collect()),
                ..Expansion::of(parent(table))
            }],
            every: 0,
        },
        ..Query::default()
    };
    let print = |table: &Table, query: &Query, list| server().print(table, query, &tenant("acme"), list);
    let small = wide(1);
    let all = query(&small, &[0, 2]);
    let expected =
        "fields=id,organization_id,account,column_000,expand.account.id,expand.account.region&expand=account";
    assert_eq!(decoded(&print(&small, &all, false)), expected);
    // Whatever is not named is no less asked for.
    let whole = |table: &Table| Query { expand: Expansions::from_iter([parent(table)]), ..Query::default() };
    assert_eq!(decoded(&print(&small, &whole(&small), false)), "expand=account");
    assert!(print(&wide(400), &query(&wide(400), &[]), false).contains("fields="));
    for list in [false, true] {
        let table = wide(600);
        let all = query(&table, &[0]);
        assert_eq!(print(&table, &all, list), print(&table, &whole(&table), list), "nothing else changes");
    }
}

#[test]
fn numbers_inside_of_json_are_not_asked_for_by_name() {
    let list = |of| Type::List(Box::new(of));
    let map = |of| Type::Map(Box::new(of));
    for (of, kept) in [
        (Type::Int, true),
        (Type::Decimal, true),
        (Type::String, true),
        (Type::Timestamp, true),
        (list(Type::String), true),
        (map(list(Type::Bool)), true),
        (list(Type::Double), true),
        (Type::Json, false),
        (list(Type::Int), false),
        (map(Type::Decimal), false),
        (list(map(Type::Json)), false),
        (list(list(Type::Int)), false),
    ] {
        assert_eq!(server().keeps(&of), kept, "{of}");
    }
}

#[test]
fn an_empty_parameter_is_none() {
    let query = parse(&[("filter", ""), ("sort", ""), ("fields", ""), ("expand", "")]);
    assert_eq!(query, parse(&[]));
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

fn added(filter: Filter) -> Added {
    server().add(&table(), &Sieve::exact(filter), &Query::default())
}

/// What is sent for a filter alone, and whether it means just that.
fn said(filter: Filter) -> (String, bool) {
    let Added { condition, exact } = added(filter);
    let text =
        super::expression(&table(), &condition).map_or_else(String::new, |said| grammar::print(&said).expect("words"));
    (text, exact)
}

#[test]
fn a_policys_rows_are_said_in_the_servers_words() {
    let order = |name: &str, sign, value| leaf(name, Test::Order(sign, value));
    let text = |part, text: &str, expected| leaf("name", Test::Text { part, text: text.into(), expected });
    let amount = |number: i64| Value::Int(number);
    for (filter, expected, exact) in [
        (Filter::All, "", true),
        (Filter::None, "id=''", true),
        (leaf("name", Test::OneOf(texts(&["a"]))), "name='a'", true),
        (leaf("name", Test::OneOf(texts(&["a", "it's"]))), r"(name='a' || name='it\'s')", true),
        (leaf("name", Test::NoneOf(texts(&["a", "b"]))), "(name!='a' && name!='b')", true),
        (leaf("name", Test::OneOf(texts(&["a\\"]))), "", false),
        // An empty text is no value where there may be none.
        (leaf("account", Test::OneOf(texts(&["", "x"]))), "account='x'", true),
        (leaf("account", Test::NoneOf(texts(&["x"]))), "(account!=null && account!='x')", true),
        (leaf("account", Test::Null), "account=null", true),
        (leaf("account", Test::NotNull), "account!=null", true),
        (leaf("name", Test::NotNull), "", true),
        (leaf("active", Test::OneOf([Value::Bool(true)].into())), "active=true", true),
        (order("amount", Sign::Less, amount(-5)), "amount<-5", true),
        (order("amount", Sign::GreaterOrEqual, Value::Double(0.5)), "amount>=0.5", true),
        (order("name", Sign::Greater, Value::string("é")), "name>'é'", true),
        // Letters are folded, so that more is found and what is not found tells nothing.
        (text(Part::Start, "ab", true), "name~'ab%'", false),
        (text(Part::End, "ab", true), "name~'%ab'", false),
        (text(Part::Anywhere, "ab", true), "name~'ab'", false),
        (text(Part::Anywhere, "50%", true), "", false),
        (text(Part::Anywhere, "a_b", true), "", false),
        (text(Part::Anywhere, "ab", false), "", false),
        (leaf("custom", Test::NotNull), "", false),
        (leaf("nothing", Test::NotNull), "", false),
        (Filter::leaf(&Arc::from(["parent".into(), "name".into()]), Test::NotNull), "", false),
    ] {
        assert_eq!(said(filter.clone()), (expected.to_owned(), exact), "{filter:?}");
    }
}

#[test]
fn an_instant_is_rounded_to_where_it_makes_no_difference() {
    let whole = instant("2025-03-01T00:00:00.123Z");
    let fine = instant("2025-03-01T00:00:00.1234Z");
    let before = instant("1969-12-31T23:59:59.9994Z");
    for (test, expected) in [
        (Test::OneOf([whole.clone(), fine.clone()].into()), "seen_at='2025-03-01 00:00:00.123Z'"),
        (Test::OneOf([fine.clone()].into()), "id=''"),
        (Test::NoneOf([fine.clone()].into()), "seen_at!=null"),
        (Test::NoneOf([whole.clone()].into()), "(seen_at!=null && seen_at!='2025-03-01 00:00:00.123Z')"),
        (Test::Order(Sign::Less, whole.clone()), "(seen_at!=null && seen_at<'2025-03-01 00:00:00.123Z')"),
        (Test::Order(Sign::Less, fine.clone()), "(seen_at!=null && seen_at<='2025-03-01 00:00:00.123Z')"),
        (Test::Order(Sign::LessOrEqual, fine.clone()), "(seen_at!=null && seen_at<='2025-03-01 00:00:00.123Z')"),
        (Test::Order(Sign::Greater, fine.clone()), "(seen_at!=null && seen_at>'2025-03-01 00:00:00.123Z')"),
        (Test::Order(Sign::GreaterOrEqual, fine), "(seen_at!=null && seen_at>'2025-03-01 00:00:00.123Z')"),
        (Test::Order(Sign::GreaterOrEqual, whole), "(seen_at!=null && seen_at>='2025-03-01 00:00:00.123Z')"),
        (Test::Order(Sign::Less, before), "(seen_at!=null && seen_at<='1969-12-31 23:59:59.999Z')"),
    ] {
        assert_eq!(said(leaf("seen_at", test.clone())), (expected.to_owned(), true), "{test:?}");
    }
    let ancient = leaf("seen_at", Test::Order(Sign::Less, instant("-000044-03-15T12:00:00Z")));
    assert_eq!(said(ancient), (String::new(), false), "its text has no place among the others");
}

#[test]
fn alternatives_are_said_whole_or_not_at_all() {
    let name = || leaf("name", Test::OneOf(texts(&["a"])));
    let unsayable = || leaf("name", Test::Text { part: Part::Start, text: "50%".into(), expected: true });
    let other = || leaf("account", Test::OneOf(texts(&["x"])));
    assert_eq!(said(Filter::Or(vec![name(), other()])), ("(name='a' || account='x')".to_owned(), true));
    assert_eq!(said(Filter::Or(vec![name(), unsayable()])), (String::new(), false));
    assert_eq!(said(Filter::And(vec![name(), unsayable()])), ("name='a'".to_owned(), false));
    let nested = Filter::Or(vec![Filter::And(vec![name(), unsayable()]), other()]);
    assert_eq!(said(nested), ("(name='a' || account='x')".to_owned(), false));
}

#[test]
fn what_is_added_has_room_beside_a_clients_filter() {
    let long =
        |count: usize| leaf("name", Test::OneOf((0..count).map(|n| Value::string(format!("value {n}"))).collect()));
    let small = leaf("account", Test::OneOf(texts(&["x"])));
    for (filter, whole) in [(long(40), true), (long(101), false), (long(90), false)] {
        let (text, exact) = said(Filter::And(vec![filter.clone(), small.clone()]));
        assert_eq!(exact, whole, "{text}");
        assert!(text.len() < 1500 && text.contains("account='x'"), "what there is room for is said: {text}");
    }
    let (first, second) = ("x".repeat(1000), "x".repeat(570));
    let mut query = parse(&[("filter", &format!("name='{first}'||account='{second}'"))]).expect("a query");
    query.filter = query.filter.and(added(long(40)).condition);
    assert!(filter(&query).len() <= 3500, "as much as the server reads");
}

proptest! {
    #[test]
    fn no_query_panics_and_what_is_understood_is_sent_within_the_tenant(
        name in "(filter|sort|fields|expand|page|perPage|skipTotal|[a-z]{1,4})",
        text in "[a-z(),.@:'\"\\\\*=!~<>&|%0-9 -]{0,40}",
    ) {
        if let Ok(query) = parse(&[(&name, &text)]) {
            let filter = filter(&query);
            prop_assert!(filter == "organization_id='acme'" || filter.starts_with("(organization_id='acme' && "), "{}", filter);
            // What is sent is one conjunction: nothing of the client's stands beside the tenant's part.
            prop_assert!(grammar::parse(&filter).is_ok(), "{}", filter);
        }
    }
}
