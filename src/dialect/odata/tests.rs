//! What a client may ask an OData service for, what it may not, and that a printed query reads back as itself.

use proptest::prelude::*;

use super::add;
use crate::api::*;
use crate::dialect::described::contacts;
use crate::dialect::{Comparison, Condition, Language, Query, parse_record};
use crate::model::filter::{Filter, Part, Sieve, Sign, Test};
use crate::model::value::Type;
use crate::model::{Name, Reason, TenantScope, Value};

fn odata() -> Odata {
    Odata::new(50, 100)
}

fn table() -> Table {
    let plain = |name: &str, kind, nullable| (name.to_owned(), Shape::Plain(kind), nullable);
    let fields = [
        plain("id", Type::Int, false),
        plain("organization_id", Type::String, false),
        plain("name", Type::String, false),
        plain("stage", Type::String, true),
        plain("amount", Type::Decimal, true),
        plain("active", Type::Bool, false),
        plain("at", Type::Timestamp, false),
        plain("day", Type::Date, false),
        plain("custom", Type::Json, true),
        ("account".to_owned(), Shape::One { table: TableId(1), by: FieldId(0) }, true),
        ("notes".to_owned(), Shape::Many { table: TableId(2) }, true),
        // Names that are words of the language.
        plain("contains", Type::String, false),
        plain("eq", Type::Bool, false),
    ];
    contacts(fields)
}

fn tenant() -> TenantScope {
    let dimensions: [Name; 1] = ["organization_id".into()];
    TenantScope::new(&dimensions, |_| Some("o'neil & co")).expect("a tenant")
}

fn parse(pairs: &[(&str, &str)]) -> Result<Query, Reason> {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    odata().parse(&table(), &pairs)
}

fn decoded(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16)).expect("a digit") as u8;
            bytes.push(if byte == b'%' { digit() << 4 | digit() } else { byte });
        }
        String::from_utf8(bytes).expect("what was encoded")
    };
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (decode(name), decode(value))).expect("a pair");
    query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

/// What the `$filter` of a client becomes, behind the tenant's.
fn filtered(text: &str) -> String {
    let query = parse(&[("$filter", text)]).unwrap_or_else(|_| panic!("{text} is refused"));
    let sent = decoded(&odata().print(&table(), &query, &tenant(), true));
    let (name, value) = sent.first().expect("the tenant's filter at least");
    assert_eq!(name, "$filter");
    let own = "organization_id eq 'o''neil & co' and ";
    value.strip_prefix(own).unwrap_or_else(|| panic!("{value} doesn't begin with the tenant")).to_owned()
}

#[test]
fn what_cannot_be_judged_is_refused() {
    let deep = format!("{}active{}", "(".repeat(40), ")".repeat(40));
    let nots = format!("{}active", "not ".repeat(40));
    let many = vec!["active"; 201].join(" or ");
    let long = format!("name eq '{}'", "a".repeat(9000));
    let filters = [
        // Words of the language that nobody judges.
        "tolower(name) eq 'a'",
        "length(name) gt 3",
        "substring(name,1) eq 'a'",
        "concat(name,'a') eq 'b'",
        "indexof(name,'a') eq 1",
        "year(at) eq 2026",
        "now() gt at",
        "cast(id,'Edm.String') eq '1'",
        "amount add 1 eq 2",
        "amount mul 2 gt 1",
        "-amount lt 0",
        "name has 'a'",
        "matchesPattern(name,'a')",
        "isof(name,'Edm.String')",
        "notes/any(n:n/body eq 'a')",
        "notes/any()",
        "notes/all(n:true)",
        "account/name eq 'a'",
        "notes/$count gt 1",
        "$it/name eq 'a'",
        "$root/users(1)/id eq 1",
        "@p eq 'a'",
        "name eq @p",
        "name eq $it/name",
        "case(true:1)",
        // Fields that are none, and two fields.
        "nothing eq 1",
        "Name eq 'a'",
        "custom eq 'a'",
        "account eq null",
        "notes eq null",
        "name eq stage",
        "name eq eq",
        // Values of other types, and with two meanings.
        "id eq '1'",
        "name eq 1",
        "id eq 01",
        "id eq +1",
        "id eq 1e3",
        "id eq 1.0",
        "active eq 'true'",
        "active eq 1",
        "active eq TRUE",
        "amount eq NaN",
        "amount eq 1e401",
        "amount eq 1e-401",
        "amount eq 1e99999999999999999999",
        "amount eq 1e",
        "amount eq INF",
        "amount eq 01",
        "at eq 2026-01-01",
        "at eq '2026-01-01T00:00:00Z'",
        "day eq 2026-13-01",
        "id lt null",
        "name in ('a',1)",
        "name in ()",
        "name in 'a'",
        "name in ('a'",
        "stage in (null,'a')x",
        "contains(name,'')",
        "contains(name,1)",
        "contains(id,'1')",
        "contains(name)",
        "contains('a',name)",
        "contains(name,'a') eq 'true'",
        "contains(name,'a') lt true",
        "startswith(name,stage)",
        "contains(name,'a','b')",
        // What is no filter at all.
        "",
        " ",
        "name",
        "not",
        "and",
        "name eq",
        "eq 'a'",
        "name eq 'a' and",
        "or active",
        "active active",
        "(active",
        "active)",
        "()",
        "name eq 'a",
        "name eq 'a'b'",
        "name eq \"a\"",
        "name eq 'a';",
        "name eq 'a'--",
        "name eq'a'",
        "name EQ 'a'",
        "active AND active",
        "not(active",
        "active eq true eq true",
        "1 eq 1",
        "'a' eq name eq 'a'",
        "true",
        "null eq null",
        "id eq 1 or 1 eq 1",
        "active/**/or active",
        "name\u{a0}eq\u{a0}'a'",
        "name\teq 'a'",
        "nam\u{e9} eq 'a'",
        "id eq 1l",
        "id eq 0x1",
        "id eq --1",
        "notactive",
        "not not",
        "active or not",
        &deep,
        &nots,
        &many,
        &long,
    ];
    for text in filters {
        assert_eq!(parse(&[("$filter", text)]), Err(Reason::QueryNotAllowed), "{text}");
    }
    for pair in [
        ("filter", "active"),
        ("$Filter", "active"),
        ("$FILTER", "active"),
        ("$search", "a"),
        ("$apply", "aggregate(id)"),
        ("$compute", "id as x"),
        ("$index", "1"),
        ("$levels", "2"),
        ("$schemaversion", "1"),
        ("@p", "'a'"),
        ("$skiptoken", "1"),
        ("$deltatoken", "1"),
        ("$id", "x"),
        ("$format", "xml"),
        ("$format", "application/json;odata.metadata=full"),
        ("sap-client", "1"),
        ("$select", ""),
        ("$select", "*,id"),
        ("$select", "id,id"),
        ("$select", "nothing"),
        ("$select", "account"),
        ("$select", "account/name"),
        ("$select", "id,"),
        ("$select", "$count"),
        ("$select", "custom/x"),
        ("$expand", "*"),
        ("$expand", "account($select=id)"),
        ("$expand", "account/notes"),
        ("$expand", "account/$ref"),
        ("$expand", "account,account"),
        ("$expand", "name"),
        ("$expand", ""),
        ("$orderby", ""),
        ("$orderby", "id down"),
        ("$orderby", "id desc desc"),
        ("$orderby", "id,id desc"),
        ("$orderby", "account/name"),
        ("$orderby", "length(name)"),
        ("$orderby", "custom"),
        ("$orderby", "nothing"),
        ("$orderby", "id;name"),
        ("$orderby", "notes/$count"),
        ("$top", "101"),
        ("$top", "-1"),
        ("$top", "01"),
        ("$top", "1e1"),
        ("$top", ""),
        ("$skip", "-1"),
        ("$skip", "1000000001"),
        ("$skip", "18446744073709551616"),
        ("$count", "1"),
        ("$count", "True"),
        ("$count", ""),
    ] {
        assert_eq!(parse(&[pair]), Err(Reason::QueryNotAllowed), "{pair:?}");
    }
    assert_eq!(parse(&[("$top", "1"), ("$top", "1")]), Err(Reason::QueryNotAllowed));
}

#[test]
fn a_filter_is_written_anew_behind_the_tenants() {
    for (text, expected) in [
        ("name eq 'a'", "name eq 'a'"),
        ("  name   eq   'a'  ", "name eq 'a'"),
        ("name eq 'O''Neil'", "name eq 'O''Neil'"),
        ("name eq ''", "name eq ''"),
        ("name eq ''''", "name eq ''''"),
        ("name eq ''' or true or name eq '''", "name eq ''' or true or name eq '''"),
        ("'a' eq name", "name eq 'a'"),
        ("5 lt amount", "amount gt 5"),
        ("id in (1, 2,3)", "id in (1,2,3)"),
        ("name in ('a')", "name in ('a')"),
        ("active", "active eq true"),
        ("not active", "not (active eq true)"),
        ("not(active)", "not (active eq true)"),
        ("active eq false", "active eq false"),
        ("stage eq null", "stage eq null"),
        ("null ne stage", ""),
        ("stage ne null", "stage ne null"),
        ("at ge 2026-01-01T00:00:00Z", "at ge 2026-01-01T00:00:00Z"),
        ("day lt 2026-01-01", "day lt 2026-01-01"),
        ("amount le -0.5", "amount le -0.5"),
        ("amount le -1.25e-6", "amount le -0.00000125"),
        ("amount le 12.5E+3", "amount le 12500"),
        ("amount le 1.2345e2", "amount le 123.45"),
        ("amount le 120e-1", "amount le 12"),
        ("amount le 0e5", "amount le 0"),
        ("contains(name,'a')", "contains(name,'a')"),
        ("startswith(name, 'a') eq true", "startswith(name,'a')"),
        ("endswith(name,'a') eq false", "not (endswith(name,'a'))"),
        ("contains(name,'a') ne false", "contains(name,'a')"),
        ("contains eq 'a'", "contains eq 'a'"),
        ("eq and eq eq true", "eq eq true and eq eq true"),
        ("active or id eq 1", "(active eq true or id eq 1)"),
        ("active or id eq 1 and id eq 2", "(active eq true or (id eq 1 and id eq 2))"),
        ("(active or id eq 1) and id eq 2", "(active eq true or id eq 1) and id eq 2"),
        ("not active or id eq 1", "(not (active eq true) or id eq 1)"),
        ("not (active and not active)", "not ((active eq true and not (active eq true)))"),
        ("organization_id eq 'globex' or active", "(organization_id eq 'globex' or active eq true)"),
        ("id eq 1 or id eq 2", "id in (1,2)"),
        ("((active))", "active eq true"),
    ] {
        // A literal that is compared with null has no property's type.
        if expected.is_empty() {
            assert_eq!(parse(&[("$filter", text)]), Err(Reason::QueryNotAllowed), "{text}");
        } else {
            assert_eq!(filtered(text), expected, "{text}");
        }
    }
}

#[test]
fn the_other_options_are_written_by_name_and_number() {
    let sent = |pairs: &[(&str, &str)], list| {
        let query = parse(pairs).unwrap_or_else(|_| panic!("{pairs:?} is refused"));
        odata().print(&table(), &query, &tenant(), list)
    };
    let own = "$filter=organization_id%20eq%20%27o%27%27neil%20%26%20co%27";
    assert_eq!(sent(&[], true), format!("{own}&$top=50"));
    assert_eq!(sent(&[], false), "");
    assert_eq!(
        sent(&[("$orderby", "name desc, id asc,day"), ("$top", "7"), ("$skip", "9"), ("$count", "true")], true),
        format!("{own}&$orderby=name%20desc%2Cid%2Cday&$top=7&$skip=9&$count=true")
    );
    assert_eq!(
        sent(&[("$select", "id, name"), ("$expand", "account,notes"), ("$format", "json")], false),
        "$select=id%2Cname&$expand=account%2Cnotes"
    );
    assert_eq!(sent(&[("$select", "*"), ("$top", "0"), ("$count", "false")], true), format!("{own}&$top=0"));
    let record = |pair: (&str, &str)| parse_record(&odata(), &table(), &[(pair.0.to_owned(), pair.1.to_owned())]);
    for pair in [("$filter", "active"), ("$top", "1"), ("$skip", "1"), ("$orderby", "id"), ("$count", "true")] {
        assert_eq!(record(pair), Err(Reason::QueryNotAllowed), "{pair:?} of one record");
    }
    assert!(record(("$expand", "account")).is_ok());
}

fn via(columns: Vec<Lent>) -> Tenancy {
    Tenancy::Via(Parent { relation: FieldId(9), columns })
}

#[test]
fn a_tenant_that_its_column_cannot_hold_owns_nothing() {
    let mut table = table();
    table.tenant = Tenancy::Columns(vec![("organization_id".into(), FieldId(0))]);
    let sent = decoded(&odata().print(&table, &Query::default(), &tenant(), true));
    assert_eq!(sent.first().map(|(_, value)| value.as_str()), Some("id eq null"));
    assert!(odata().is_tenant_pushed(&table));
    assert!(!odata().is_tenant_pushed(&Table { tenant: via(Vec::new()), ..table }));
}

#[test]
fn a_parents_tenant_is_asked_for_through_the_navigation_property() {
    let lent = |of| Lent { dimension: "organization_id".into(), column: "org".into(), of };
    let with = |of| Table { tenant: via(vec![lent(of)]), ..table() };
    let sent = |of, query: &Query| decoded(&odata().print(&with(of), query, &tenant(), true));
    assert!(odata().is_tenant_pushed(&with(Type::String)));
    let own = "account/org eq 'o''neil & co'";
    assert_eq!(sent(Type::String, &Query::default()).first().map(|(_, filter)| filter.as_str()), Some(own));
    let asked = parse(&[("$filter", "stage eq 'a' or stage eq 'b'")]).expect("it parses");
    let whole = format!("{own} and stage in ('a','b')");
    assert_eq!(sent(Type::String, &asked).first(), Some(&("$filter".to_owned(), whole)));
    // A column that can't hold the tenant is nobody's.
    assert_eq!(sent(Type::Int, &Query::default()).first().map(|(_, filter)| filter.as_str()), Some("id eq null"));
    // Nothing of a client's leads there.
    for filter in ["account/org eq 'x'", "account/organization_id eq 'x'"] {
        assert_eq!(parse(&[("$filter", filter)]), Err(Reason::QueryNotAllowed), "{filter}");
    }
}

#[test]
fn a_sieve_is_said_as_far_as_there_are_words() {
    let column = |name: &str| [Name::from(name)].into();
    let leaf = |name: &str, test: Test| Filter::leaf(&column(name), test);
    let texts = |of: &[&str]| of.iter().map(|text| Value::string(*text)).collect::<Vec<_>>();
    let said = |filter: Filter| {
        let added = add::add(&table(), &Sieve::exact(filter));
        (super::print::condition(&table(), &added.condition), added.exact)
    };
    let owned = |of: &[&str]| leaf("name", Test::OneOf(texts(of).into()));
    let odd = leaf("custom", Test::OneOf(texts(&["a"]).into()));
    let far = Filter::leaf(&[Name::from("account"), Name::from("name")].into(), Test::Null);
    let starts = |expected| Test::Text { part: Part::Start, text: "a".into(), expected };
    for (filter, expected, exact) in [
        (Filter::All, "true", true),
        (Filter::None, "false", true),
        (owned(&["a", "b'"]), "name in ('a','b''')", true),
        (leaf("stage", Test::NoneOf(texts(&["a"]).into())), "(stage ne 'a' and stage ne null)", true),
        (leaf("name", Test::NoneOf(texts(&["a"]).into())), "(name ne 'a')", true),
        (leaf("amount", Test::Order(Sign::Less, Value::Int(5))), "(amount lt 5 and amount ne null)", true),
        (leaf("stage", Test::Null), "stage eq null", true),
        (leaf("name", starts(true)), "startswith(name,'a')", true),
        (leaf("name", starts(false)), "true", false),
        (odd.clone(), "true", false),
        (far.clone(), "true", false),
        (Filter::And(vec![owned(&["a"]), odd.clone()]), "name in ('a')", false),
        (Filter::Or(vec![owned(&["a"]), odd]), "true", false),
        (Filter::Or(vec![owned(&["a"]), leaf("stage", Test::Null)]), "(name in ('a') or stage eq null)", true),
        (owned(&["a\u{7}"]), "true", false),
    ] {
        assert_eq!(said(filter.clone()), (expected.to_owned(), exact), "{filter:?}");
    }
    let long: Vec<String> = (0..90).map(|number| format!("{number:050}")).collect();
    let long = owned(&long.iter().map(String::as_str).collect::<Vec<_>>());
    let both = Filter::And(vec![long, leaf("stage", Test::Null)]);
    assert_eq!(said(both), ("stage eq null".to_owned(), false), "what has no room is left out");
}

fn comparison() -> impl Strategy<Value = Condition> {
    let of = |field: u16, operators: &'static [Operator], value: BoxedStrategy<String>| {
        (prop::sample::select(operators), value)
            .prop_map(move |(operator, value)| {
                Condition::Is(Comparison { through: None, field: FieldId(field), operator, value })
            })
            .boxed()
    };
    use Operator::*;
    prop_oneof![
        of(0, &[Equal, NotEqual, Less, GreaterOrEqual], any::<i64>().prop_map(|n| n.to_string()).boxed()),
        of(2, &[Equal, NotEqual, Greater, LessOrEqual], "[a' ()&%+\u{e4},]{0,6}".boxed()),
        of(2, &[Contains, StartsWith, EndsWith], "[a'()%]{1,4}".boxed()),
        of(3, &[Null], prop::sample::select(vec!["true".to_owned(), "false".to_owned()]).boxed()),
        of(5, &[Equal], prop::sample::select(vec!["true".to_owned(), "false".to_owned()]).boxed()),
        of(4, &[Less], (0_u32..9999).prop_map(|n| format!("{}.{:02}", n / 100, n % 100)).boxed()),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    comparison().prop_recursive(4, 24, 3, |inner| {
        let parts = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            parts().prop_map(Condition::And),
            parts().prop_map(Condition::Or),
            inner.clone().prop_map(|part| Condition::Not(Box::new(part))),
        ]
    })
}

/// The same truth: parentheses around what is joined by one word come and go.
fn plain(condition: Condition) -> Condition {
    match condition {
        Condition::And(parts) => match flat(parts, |part| matches!(part, Condition::And(_))) {
            mut parts if parts.len() == 1 => parts.remove(0),
            parts => Condition::And(parts),
        },
        Condition::Or(parts) => match flat(parts, |part| matches!(part, Condition::Or(_))) {
            mut parts if parts.len() == 1 => parts.remove(0),
            parts => Condition::Or(parts),
        },
        Condition::Not(part) => Condition::Not(Box::new(plain(*part))),
        is => is,
    }
}

fn flat(parts: Vec<Condition>, is_same: impl Fn(&Condition) -> bool + Copy) -> Vec<Condition> {
    let each = |part| match plain(part) {
        part if is_same(&part) => match part {
            Condition::And(parts) | Condition::Or(parts) => parts,
            other => vec![other],
        },
        other => vec![other],
    };
    parts.into_iter().flat_map(each).collect()
}

proptest! {
    #[test]
    fn a_printed_filter_reads_back_as_itself(
        filter in condition(),
        sort in prop::sample::subsequence(vec![0_u16, 2, 3], 0..3),
        descending: bool,
        fields in prop::option::of(prop::sample::subsequence(vec![0_u16, 1, 2], 1..3)),
        expand in prop::sample::subsequence(vec![9_u16, 10], 0..2),
        limit in prop::option::of(0_u64..=100),
        offset in prop::option::of(1_u64..1000),
        count: bool,
    ) {
        let query = Query {
            filter,
            sort: sort.into_iter().map(|field| (FieldId(field), descending)).collect(),
            fields: fields.map(|fields| fields.into_iter().map(FieldId).collect()),
            expand: expand.into_iter().map(FieldId).collect(),
            limit,
            offset,
            count,
            ..Query::default()
        };
        let sent = decoded(&odata().print(&table(), &query, &tenant(), true));
        let mut again = odata().parse(&table(), &sent).map_err(|_| TestCaseError::fail(format!("{sent:?} is refused")))?;
        let own = Comparison { through: None, field: FieldId(1), operator: Operator::Equal, value: "o'neil & co".to_owned() };
        let expected = plain(Condition::And(vec![Condition::Is(own.clone()), query.filter.clone()]));
        // The tenant stands at the top, first, and beside everything that the client says.
        let Condition::And(parts) = &again.filter else { return Err(TestCaseError::fail("no conjunction")) };
        prop_assert_eq!(parts.first(), Some(&Condition::Is(own)));
        again.filter = plain(again.filter);
        prop_assert_eq!(again, Query { filter: expected, limit: Some(limit.unwrap_or(50)), ..query });
    }

    #[test]
    fn no_text_makes_it_panic(
        text in "((\\(|\\)|,|'|not|and|or|eq|in|name|active|id|1|contains| |\u{e4}|%|-){0,20})|\\PC{0,40}",
        name in "\\$filter|\\$orderby|\\$select|\\$expand|\\$top",
    ) {
        if let Ok(query) = odata().parse(&table(), &[(name, text)]) {
            prop_assert!(odata().print(&table(), &query, &tenant(), true).is_ascii());
        }
    }
}
