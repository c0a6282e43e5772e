//! What a client may ask for, what it may not, and that a printed query reads back as itself.

use proptest::prelude::*;

use super::{parse, print};
use crate::api::*;
use crate::dialect::described::contacts;
use crate::dialect::{Comparison, Language, Query, parse_record};
use crate::model::value::Type;
use crate::model::{Name, Reason, TenantScope};

fn list(name: &str) -> ListParameter {
    ListParameter { name: name.into(), separator: ',' }
}

fn rest(direction: Direction) -> Rest {
    use Operator::*;
    let filter = [
        (Equal, "{field}"),
        (NotEqual, "{field}[ne]"),
        (Less, "{field}[lt]"),
        (Greater, "{field}[gt]"),
        (In, "{field}[in]"),
    ];
    Rest {
        list: crate::api::Records::Array(Place::default()),
        record: Place::default(),
        total: None,
        keep: Vec::new(),
        parameters: Parameters {
            limit: Some(Limit { name: "limit".into(), default: 50, max: 100 }),
            offset: Some("offset".into()),
            page: Some("page".into()),
            sort: Some(Sort { list: list("sort"), direction }),
            fields: Some(list("fields")),
            expand: Some(list("expand")),
            filter: filter.into_iter().map(|(operator, text)| (operator, text.into())).collect(),
            ..Parameters::default()
        },
    }
}

fn table() -> Table {
    let plain = |name: &str, kind| (name.to_owned(), Shape::Plain(kind), false);
    let fields = [
        plain("id", Type::Int),
        plain("organization_id", Type::String),
        plain("name", Type::String),
        plain("amount", Type::Decimal),
        plain("active", Type::Bool),
        plain("created_at", Type::Timestamp),
        plain("custom", Type::Json),
        ("account".to_owned(), Shape::One { table: TableId(1), by: FieldId(0) }, false),
        ("notes".to_owned(), Shape::Many { table: TableId(2) }, false),
        plain("limit", Type::Int),
    ];
    let tenant_filter = vec![("organization_id".into(), "organization_id".into())];
    Table { tenant_filter, ..contacts(fields) }
}

pub(super) fn tenant() -> TenantScope {
    let dimensions: [Name; 1] = ["organization_id".into()];
    TenantScope::new(&dimensions, |_| Some("acme & co")).expect("a tenant")
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn what_is_not_declared_is_refused() {
    let many = vec!["1"; 101].join(",");
    let long = "a".repeat(1025);
    let cases: &[&[(&str, &str)]] = &[
        &[("nothing", "1")],
        &[("Name", "a")],
        &[("name[like]", "a")],
        &[("organization_id", "globex")],
        &[("organization_id[in]", "acme,globex")],
        &[("organization_id[ne]", "acme")],
        &[("organization_id[x]", "acme")],
        // A column that is called like a parameter: `limit[lt]` and `limit` are one to many a server.
        &[("limit[lt]", "5")],
        &[("limit[in]", "5,6")],
        &[("limit[ne]", "5"), ("limit", "50")],
        &[("custom", "{}")],
        &[("account", "1")],
        &[("id", "+1")],
        &[("id", "01")],
        &[("id", "x")],
        &[("id", "9223372036854775808")],
        &[("id[in]", "")],
        &[("id[in]", "1,,2")],
        &[("id[in]", &many)],
        &[("name", &long)],
        &[("amount", "1.")],
        &[("amount", "NaN")],
        &[("amount", "01")],
        &[("active", "TRUE")],
        &[("active", "1")],
        &[("created_at", "2026-01-01")],
        &[("created_at", "2026-01-01T00:00:00")],
        &[("created_at", "2026-13-01T00:00:00Z")],
        &[("created_at", "2026-01-01T00:00:00Z[UTC]")],
        &[("name", "a"), ("name[ne]", "b")],
        &[("name", "a"), ("name", "b")],
        &[("limit", "0")],
        &[("limit", "101")],
        &[("limit", "-1")],
        &[("limit", "007")],
        &[("offset", "x")],
        &[("offset", "1000000001")],
        &[("page", "0")],
        &[("page", "1"), ("offset", "1")],
        &[("sort", "")],
        &[("sort", "ssn")],
        &[("sort", "name,-name")],
        &[("sort", "--name")],
        &[("sort", "account")],
        &[("fields", "")],
        &[("fields", "*")],
        &[("fields", "name,name")],
        &[("fields", "account.name")],
        &[("expand", "name")],
        &[("expand", "*")],
        &[("expand", "account,account")],
    ];
    for case in cases {
        let read = parse(&rest(Direction::Prefix), &table(), &pairs(case));
        assert_eq!(read, Err(Reason::QueryNotAllowed), "{case:?}");
    }
}

#[test]
fn a_list_is_printed_with_its_tenant_and_a_limit() {
    let (rest, table) = (rest(Direction::Prefix), table());
    let text = |case: &[(&str, &str)], list| {
        print(&rest, &table, &parse(&rest, &table, &pairs(case)).expect("allowed"), &tenant(), list)
    };
    assert_eq!(text(&[], true), "organization_id=acme%20%26%20co&limit=50");
    assert_eq!(text(&[], false), "");
    assert_eq!(
        text(&[("sort", "-name,id"), ("name[ne]", "a&organization_id=x"), ("limit", "7"), ("offset", "9")], true),
        "organization_id=acme%20%26%20co&name%5Bne%5D=a%26organization_id%3Dx&sort=-name%2Cid&limit=7&offset=9"
    );
    assert_eq!(
        text(&[("fields", "id,name"), ("expand", "account,notes")], false),
        "fields=id%2Cname&expand=account%2Cnotes"
    );
    assert!(rest.is_tenant_pushed(&table));
    assert!(!rest.is_tenant_pushed(&Table { tenant_filter: Vec::new(), ..table }));
}

#[test]
fn a_parents_tenant_is_asked_for_by_parameters_that_follow_the_relation() {
    let rest = rest(Direction::Prefix);
    let lent = |dimension: &str| Lent { dimension: dimension.into(), column: dimension.into(), of: Type::String };
    let with = |dimensions: &[&str], parameters: &[(&str, &str)]| {
        let columns = dimensions.iter().map(|dimension| lent(dimension)).collect();
        let tenant_filter = parameters.iter().map(|(name, of)| (Name::from(*name), Name::from(*of))).collect();
        Table { tenant: Tenancy::Via(Parent { relation: FieldId(7), columns }), tenant_filter, ..table() }
    };
    let own = [("account.org", "organization_id")];
    let table = with(&["organization_id"], &own);
    assert!(rest.is_tenant_pushed(&table));
    let sent = print(&rest, &table, &Query::default(), &tenant(), true);
    assert_eq!(sent, "account.org=acme%20%26%20co&limit=50");
    // Nothing of a client's leads there, nor to a part of it.
    for name in ["account.org", "account.org[in]", "account.org[]", "account", "account[org]"] {
        assert_eq!(parse(&rest, &table, &pairs(&[(name, "globex")])), Err(Reason::QueryNotAllowed), "{name}");
    }
    assert!(!rest.is_tenant_pushed(&with(&["organization_id", "app_id"], &own)), "one dimension is not the tenant");
    assert!(!rest.is_tenant_pushed(&with(&["organization_id"], &[("account.app", "app_id")])));
    assert!(!rest.is_tenant_pushed(&with(&[], &own)));
}

#[test]
fn a_request_about_one_record_chooses_fields_and_expansions_only() {
    let read = |case: &[(&str, &str)]| parse_record(&rest(Direction::Prefix), &table(), &pairs(case));
    assert!(read(&[("fields", "id"), ("expand", "account")]).is_ok());
    for case in [("limit", "1"), ("offset", "0"), ("sort", "id"), ("name", "a")] {
        assert_eq!(read(&[case]), Err(Reason::QueryNotAllowed), "{case:?}");
    }
}

#[test]
fn orders_match_the_sorted_fields_one_by_one() {
    let rest = rest(Direction::Parameter("order".into()));
    let read = |case: &[(&str, &str)]| parse(&rest, &table(), &pairs(case)).map(|query| query.sort);
    assert_eq!(read(&[("sort", "id,name"), ("order", "desc,asc")]), Ok(vec![(FieldId(0), true), (FieldId(2), false)]));
    for (sort, order) in [("id", "asc,asc"), ("id,name", "asc"), ("id", "up"), ("-id", "asc"), ("id", "")] {
        assert_eq!(read(&[("sort", sort), ("order", order)]), Err(Reason::QueryNotAllowed), "{sort} {order}");
    }
    assert_eq!(read(&[("order", "asc")]), Err(Reason::QueryNotAllowed));
}

fn value(field: u16) -> BoxedStrategy<(FieldId, String)> {
    let text = match field {
        0 => any::<i64>().prop_map(|n| n.to_string()).boxed(),
        2 => "[^\\p{C}]{0,20}".boxed(),
        3 => any::<i32>().prop_map(|n| format!("{n}.5")).boxed(),
        _ => any::<bool>().prop_map(|b| b.to_string()).boxed(),
    };
    text.prop_map(move |text| (FieldId(field), text)).boxed()
}

/// What comes back from the gateway's own text, read as a server reads a query.
pub(super) fn decoded(text: &str) -> Vec<(String, String)> {
    let part = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(if byte == b'%' {
                let digits = [rest.next().expect("two digits"), rest.next().expect("two digits")];
                u8::from_str_radix(std::str::from_utf8(&digits).expect("ASCII"), 16).expect("hex")
            } else {
                byte
            });
        }
        String::from_utf8(bytes).expect("UTF-8")
    };
    text.split('&').map(|pair| pair.split_once('=').expect("a pair")).map(|(n, v)| (part(n), part(v))).collect()
}

#[test]
fn a_cursor_is_the_gateways_own_parameter_and_only_where_there_are_pages() {
    let mut rest = rest(Direction::Prefix);
    let resumption = rest.resumes().expect("it has pages");
    assert_eq!(
        (resumption.parameter, resumption.in_place_of[0], resumption.in_head),
        ("scrim_cursor", Some("offset"), true)
    );
    let pairs = vec![("scrim_cursor".to_owned(), "x".to_owned())];
    // Whoever takes it away does so before the dialect reads the rest.
    assert_eq!(parse(&rest, &table(), &pairs), Err(Reason::QueryNotAllowed));
    rest.parameters.limit = None;
    assert_eq!(rest.resumes(), None);
    assert_eq!(parse(&rest, &table(), &pairs), Err(Reason::QueryNotAllowed));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_query_reads_back_as_itself(
        filter in prop::sample::subsequence(vec![0_u16, 2, 3, 4], 0..4).prop_flat_map(|fields| fields.into_iter().map(value).collect::<Vec<_>>()),
        sort in prop::sample::subsequence(vec![0_u16, 2, 3], 0..3),
        descending: bool,
        by_parameter: bool,
        fields in prop::option::of(prop::sample::subsequence(vec![0_u16, 1, 2, 7, 8], 1..5)),
        expand in prop::sample::subsequence(vec![7_u16, 8], 0..2),
        limit in prop::option::of(1_u64..=100),
        offset in prop::option::of(0_u64..1000),
    ) {
        let rest = rest(if by_parameter { Direction::Parameter("order".into()) } else { Direction::Prefix });
        let query = Query {
            filter: filter.into_iter().map(|(field, value)| Comparison { through: None, field, operator: Operator::NotEqual, value }).collect(),
            sort: sort.into_iter().map(|field| (FieldId(field), descending)).collect(),
            fields: fields.map(|fields| fields.into_iter().map(FieldId).collect()),
            expand: expand.into_iter().map(FieldId).collect(),
            limit,
            offset,
            ..Query::default()
        };
        let mut sent = decoded(&print(&rest, &table(), &query, &tenant(), true));
        prop_assert_eq!(sent.remove(0), ("organization_id".to_owned(), "acme & co".to_owned()));
        prop_assert_eq!(parse(&rest, &table(), &sent), Ok(Query { limit: Some(limit.unwrap_or(50)), ..query }));
    }

    #[test]
    fn no_pairs_make_it_panic(raw in prop::collection::vec(("[a-z_\\[\\]]{0,12}|id|sort|limit|fields|name\\[in\\]", any::<String>()), 0..5)) {
        if let Ok(query) = parse(&rest(Direction::Prefix), &table(), &raw) {
            prop_assert!(print(&rest(Direction::Prefix), &table(), &query, &tenant(), true).is_ascii());
        }
    }
}
