//! What is read of PostgREST's filters, what isn't, and that a printed query reads back as itself.

use proptest::prelude::*;

use super::super::tests::{decoded, tenant};
use super::{parse, query as print};
use crate::api::*;
use crate::dialect::described::contacts;
use crate::dialect::{Comparison, Condition, Query};
use crate::model::value::Type;
use crate::model::{Name, TenantScope};

fn rest() -> Rest {
    let parameters = Parameters {
        style: Style::Postgrest,
        limit: Some(Limit { name: "limit".into(), default: 50, max: 100 }),
        offset: Some("offset".into()),
        ..Parameters::default()
    };
    Rest { list: Records::Array(Place::default()), record: Place::default(), total: None, keep: Vec::new(), parameters }
}

fn table() -> Table {
    let plain = |name: &str, kind, nullable| (name.to_owned(), Shape::Plain(kind), nullable);
    let fields = [
        plain("id", Type::Int, false),
        plain("organization_id", Type::String, false),
        plain("name", Type::String, true),
        plain("amount", Type::Decimal, true),
        plain("active", Type::Bool, true),
        plain("created_at", Type::Timestamp, false),
        plain("custom", Type::Json, true),
        ("account".to_owned(), Shape::One { table: TableId(1), by: FieldId(0) }, false),
    ];
    Table { tenant_filter: vec![("organization_id".into(), "organization_id".into())], ..contacts(fields) }
}

fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The client's part of what is sent for a query.
fn sent(query: &str) -> Option<String> {
    let query = parse(&rest(), &table(), &pairs(query))?;
    let sent = decoded(&print(&rest(), &table(), &query, &tenant(), true));
    let filter = sent.iter().find(|(name, _)| name == "and").expect("the tenant's").1.clone();
    let own = filter.strip_prefix("(organization_id.eq.\"acme & co\"").and_then(|rest| rest.strip_suffix(')'));
    Some(own.expect("the tenant stands first").trim_start_matches(',').to_owned())
}

#[test]
fn filters_leave_as_one_tree_with_quoted_values() {
    for (query, expected) in [
        ("name=eq.Anna", "name.eq.Anna"),
        ("name=eq.Smith, J. (\"x\")\\", r#"name.eq."Smith, J. (\"x\")\\""#),
        ("name=eq.", r#"name.eq."""#),
        ("name=eq.\"x\"", r#"name.eq."\"x\"""#),
        ("id=gte.18&name=neq.x", "id.gte.18,name.neq.x"),
        ("id=not.gt.18", "id.lte.18"),
        ("amount=lt.1.5", r#"amount.lt."1.5""#),
        ("id=in.(1,2,3)", "id.in.(1,2,3)"),
        ("id=in.(1)", "id.eq.1"),
        ("id=not.in.(1,2)", "id.not.in.(1,2)"),
        ("name=in.(a,\"b,c\",\"d\\\"e\\\\\")", r#"name.in.(a,"b,c","d\"e\\")"#),
        ("name=is.null", "name.is.null"),
        ("name=not.is.null", "name.not.is.null"),
        ("name=is.not_null", "name.not.is.null"),
        ("active=is.true", "active.eq.true"),
        ("active=not.is.true", "or(active.neq.true,active.is.null)"),
        ("name=like.A*", r#"name.like."A*""#),
        ("name=ilike.*a b*", r#"name.ilike."*a b*""#),
        ("name=not.like.*z", r#"name.not.like."*z""#),
        ("or=(id.eq.1,name.eq.2)", "or(id.eq.1,name.eq.2)"),
        (
            "and=(id.eq.1,or(id.gt.5,not.and(id.lt.3,name.is.null)))",
            "and(id.eq.1,or(id.gt.5,or(id.gte.3,name.not.is.null)))",
        ),
        ("not.or=(id.eq.1,name.like.A*)", r#"and(id.neq.1,name.not.like."A*")"#),
        ("or=(name.eq.\"a,b\",name.in.(x,\"y)\"))", r#"or(name.eq."a,b",name.in.(x,"y)"))"#),
        ("or=(id.eq.1)", "id.eq.1"),
        ("created_at=gte.2025-01-01T00:00:00+01:00", r#"created_at.gte."2025-01-01T00:00:00+01:00""#),
    ] {
        assert_eq!(sent(query).as_deref(), Some(expected), "{query}");
    }
}

#[test]
fn what_reaches_further_or_means_two_things_is_nothing() {
    for query in [
        "nothing=eq.1",
        "id=1",
        "id=eq",
        "id=eq.1.5",
        "id=eq.+1",
        "id=EQ.1",
        "id=eq .1",
        "id= eq.1",
        "id=eq.null",
        "id=is.unknown",
        "name=is.true",
        "id=is.NULL",
        "name=like.Anna",
        "name=like.*",
        "name=like.**",
        "name=like.A*b*",
        "name=like.A%",
        "name=like.A_*",
        "id=like.1*",
        "name=match.^A",
        "name=imatch.a",
        "name=fts.a",
        "name=fts(english).a",
        "name=plfts.a",
        "name=wfts.a",
        "custom=cs.{a}",
        "custom=cd.{a}",
        "custom=eq.1",
        "name=ov.{a}",
        "id=sl.(1,2)",
        "id=adj.(1,2)",
        "id=isdistinct.1",
        "id=eq(any).{1,2}",
        "name=like(all).{a*}",
        "id=in.()",
        "id=in.(1",
        "id=in.1,2",
        "id=in.(1,2)x",
        "id=in.(1,,2)",
        "name=in.(a(b)",
        "name=in.(\"a)",
        "name=in.(\"a\"b)",
        "id=in.{1,2}",
        "id=not.not.eq.1",
        "not.id=eq.1",
        "account=eq.1",
        "account.name=eq.x",
        "account=is.null",
        "custom->>x=eq.1",
        "custom->x=eq.1",
        "id::text=eq.1",
        "or=(id.eq.1",
        "or=id.eq.1",
        "or=()",
        "or=(id.eq.1,)",
        "or=(,id.eq.1)",
        "or=(id.eq.1)and",
        "or=(id.eq.1),(id.eq.2)",
        "or=(id.eq.1, id.eq.2)",
        "or=(nothing.eq.1,id.eq.1)",
        "or=(name.eq.a\"b)",
        "or=(name.eq.a(b)",
        "or=(account.name.eq.x)",
        "or=(custom->>x.eq.1)",
        "or=(name.eq.)",
        "or=(name.eq.\"a\"b)",
        "or=(and(id.eq.1)",
        "OR=(id.eq.1)",
        "and.not=(id.eq.1)",
        "account.or=(id.eq.1)",
        "select=",
        "select=id,id",
        "select=id,*",
        "select=*,*",
        "select=id,",
        "select=x:name",
        "select=name::text",
        "select=amount.sum()",
        "select=count()",
        "select=account(name)",
        "select=...account(name)",
        "select=account",
        "select=custom->>x",
        "select=custom->x",
        "select= id",
        "select=account!inner(id)",
        "select=\"name\"",
        "order=",
        "order=nothing",
        "order=name.up",
        "order=name.desc.nulls",
        "order=name.nullslast.desc",
        "order=name.desc.nullslast.x",
        "order=name,name",
        "order=account(name)",
        "order=account(name).desc",
        "order=custom->>x",
        "order=custom",
        "order=-name",
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=1e1",
        "offset=-1",
        "offset=01",
        "account.limit=1",
        "columns=id",
        "on_conflict=id",
        "id=eq.1&id=eq.2",
        "page=1",
        "fields=id",
        "id=eq.1\u{0}",
        "name=eq.a\nb",
    ] {
        assert_eq!(parse(&rest(), &table(), &pairs(query)), None, "{query}");
    }
}

#[test]
fn depth_number_and_length_have_an_end() {
    let nested = |depth: usize| format!("or=({}id.eq.1{})", "and(".repeat(depth), ")".repeat(depth));
    assert!(sent(&nested(7)).is_some() && sent(&nested(8)).is_none() && sent(&nested(100_000)).is_none());
    let many = |count: usize| format!("id=in.({})", vec!["1"; count].join(","));
    assert!(sent(&many(100)).is_some() && sent(&many(101)).is_none());
    let tests = |count: usize| format!("or=({})", vec!["id.eq.1"; count].join(","));
    assert!(sent(&tests(100)).is_some() && sent(&tests(101)).is_none());
    assert!(sent(&format!("name=eq.{}", "x".repeat(1024))).is_some());
    let long: Vec<String> = (0..4).map(|_| format!("name.eq.{}", "x".repeat(1000))).collect();
    assert!(sent(&format!("and=({})", long.join(","))).is_none(), "it is longer than URLs may be");
}

#[test]
fn orders_say_where_nulls_stand_and_end_with_the_key() {
    let order = |text: &str| {
        let query = parse(&rest(), &table(), &pairs(&format!("order={text}")))?;
        let sent = decoded(&print(&rest(), &table(), &query, &tenant(), true));
        sent.into_iter().find(|(name, _)| name == "order").map(|(_, value)| value)
    };
    for (text, expected) in [
        ("name", "name.asc,id.asc"),
        ("name.desc", "name.desc,id.asc"),
        ("name.desc.nullslast", "name.desc.nullslast,id.asc"),
        ("name.desc.nullsfirst", "name.desc,id.asc"),
        ("name.nullsfirst,id.desc", "name.asc.nullsfirst,id.desc"),
        ("name.asc.nullslast", "name.asc,id.asc"),
        ("created_at.desc.nullslast", "created_at.desc,id.asc"),
    ] {
        assert_eq!(order(text).as_deref(), Some(expected), "{text}");
    }
    let nothing = parse(&rest(), &table(), &[]).expect("a list");
    let sent = decoded(&print(&rest(), &table(), &nothing, &tenant(), true));
    assert!(
        sent.contains(&("order".to_owned(), "id.asc".to_owned()))
            && sent.contains(&("limit".to_owned(), "50".to_owned()))
    );
}

#[test]
fn a_tenant_without_the_dimension_owns_nothing() {
    let other: [Name; 1] = ["app_id".into()];
    let nobody = TenantScope::new(&other, |_| Some("shop")).expect("a tenant");
    let sent = decoded(&print(&rest(), &table(), &Query::default(), &nobody, true));
    assert_eq!(sent.first().expect("a filter").1, "(organization_id.is.null,organization_id.not.is.null)");
}

fn comparison() -> impl Strategy<Value = Condition> {
    let is = |field: u16, operator, value: String| {
        Condition::Is(Comparison { through: None, field: FieldId(field), operator, value })
    };
    let text = "[a-z,.()\"\\\\{}: *%é-]{0,8}";
    prop_oneof![
        (
            prop::sample::select(vec![Operator::Equal, Operator::NotEqual, Operator::Less, Operator::GreaterOrEqual]),
            text
        )
            .prop_map(move |(operator, value)| is(2, operator, value)),
        (prop::sample::select(vec![Operator::Equal, Operator::Greater, Operator::LessOrEqual]), any::<i64>())
            .prop_map(move |(operator, value)| is(0, operator, value.to_string())),
        any::<bool>().prop_map(move |null| is(2, Operator::Null, null.to_string())),
        (
            prop::sample::select(vec![Operator::StartsWith, Operator::EndsWith, Operator::ContainsAnyCase]),
            "[a-z,.()\"]{1,6}",
            any::<bool>()
        )
            .prop_map(move |(operator, value, negated)| {
                let found = is(2, operator, value);
                if negated { Condition::Not(Box::new(found)) } else { found }
            }),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    comparison().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::And),
            prop::collection::vec(inner, 2..4).prop_map(Condition::Or),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_query_reads_back_as_itself(
        parts in prop::collection::vec(condition(), 0..3),
        sort in prop::sample::subsequence(vec![0_u16, 2, 3, 5], 0..3),
        descending: bool,
        unusual: bool,
        limit in prop::option::of(1_u64..=100),
        offset in prop::option::of(1_u64..1000),
    ) {
        let nulls = sort.iter().copied().filter(|field| unusual && matches!(field, 2 | 3)).map(FieldId).collect();
        let mut sort: Vec<(FieldId, bool)> = sort.into_iter().map(|field| (FieldId(field), descending)).collect();
        if !sort.iter().any(|(field, _)| *field == FieldId(0)) {
            sort.push((FieldId(0), false));
        }
        let query = Query { filter: Condition::And(parts), sort, nulls, limit: Some(limit.unwrap_or(50)), offset, ..Query::default() };
        let sent = decoded(&print(&rest(), &table(), &query, &tenant(), true));
        let Some(mut read) = parse(&rest(), &table(), &sent) else {
            // Longer than a client's may be.
            prop_assert!(super::length(&table(), &query.filter) > super::MAX_FILTER / 2, "{sent:?}");
            return Ok(());
        };
        // All of it stands behind the tenant's.
        let Condition::And(whole) = &mut read.filter else { panic!("a tree") };
        prop_assert_eq!(whole.len(), 1);
        let again = Query { filter: Condition::default(), ..query.clone() };
        prop_assert_eq!(Query { filter: Condition::default(), ..read.clone() }, again);
        let printed = super::print::condition(&table(), &read.filter);
        let expected = decoded(&print(&rest(), &table(), &query, &tenant(), true)).remove(0).1;
        let tree = if expected.starts_with("(organization_id.eq.\"acme & co\",") { format!("and{expected}") } else { expected.trim_matches(['(', ')']).to_owned() };
        prop_assert_eq!(printed, tree);
    }

    #[test]
    fn no_pairs_make_it_panic(raw in prop::collection::vec((
        "or|and|not\\.or|id|name|select|order|limit|[a-z.()]{0,8}",
        prop_oneof![any::<String>(), "(not\\.|eq\\.|in\\.|is\\.|like\\.|\\(|\\)|,|\"|\\\\|id\\.|name\\.|and|or|1|a|\\*){0,24}"],
    ), 0..4)) {
        if let Some(query) = parse(&rest(), &table(), &raw) {
            prop_assert!(print(&rest(), &table(), &query, &tenant(), true).is_ascii());
        }
    }
}
