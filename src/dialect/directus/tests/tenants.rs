//! One tenant's records, by columns of their own or of their parents.

use super::*;
use crate::api::Lent;

#[test]
fn a_list_is_cut_to_the_tenant_whatever_its_name() {
    let query = parse(&[]).expect("a query");
    for (name, expected) in [
        ("acme", r#"{"organization_id":{"_eq":"acme"}}"#),
        (r#"o"neil"#, r#"{"organization_id":{"_eq":"o\"neil"}}"#),
        (r#"x"}},{"id":{"_nnull":true"#, r#"{"organization_id":{"_eq":"x\"}},{\"id\":{\"_nnull\":true"}}"#),
        ("end\\", r#"{"organization_id":{"_eq":"end\\"}}"#),
        // What the server would read as something else finds nothing.
        ("null", r#"{"id":{"_null":true}}"#),
        ("true", r#"{"id":{"_null":true}}"#),
        ("$CURRENT_USER", r#"{"id":{"_null":true}}"#),
    ] {
        let all = sent(&server().print(&table(), &query, &tenant(name), true));
        assert_eq!(all.first().map(|(_, text)| text.as_str()), Some(expected), "{name}");
    }
}

#[test]
fn the_tenant_counts_as_asked_for_only_where_the_database_tells_texts_apart() {
    let with = |push| {
        let mut table = table();
        set_push(&mut table, push);
        table
    };
    assert!(server().is_tenant_pushed(&with(Some(Push::Exact))));
    assert!(!server().is_tenant_pushed(&with(Some(Push::Loose))), "`ACME` would be `acme`");
    assert!(!server().is_tenant_pushed(&with(None)));
    let parent = Parent { relation: FieldId(RELATION), columns: Vec::new() };
    assert!(!server().is_tenant_pushed(&Table { tenant: Tenancy::Via(parent), ..table() }));
}

#[test]
fn a_parents_tenant_is_asked_for_below_the_column_that_leads_to_it() {
    let with = |column: &str, push| {
        let mut table = table();
        let related = Arc::get_mut(&mut table.related).expect("nobody else has it");
        let fields = Arc::get_mut(&mut related[1].fields).expect("nobody else has it");
        fields.iter_mut().for_each(|field| field.push = push);
        let lent = Lent { dimension: "organization_id".into(), column: column.into(), of: Type::String };
        let parent = Parent { relation: FieldId(RELATION), columns: vec![lent] };
        Table { tenant: Tenancy::Via(parent), ..table }
    };
    let filter = |table: &Table, name: &str| {
        let sent = sent(&server().print(table, &parse(&[]).expect("a query"), &tenant(name), true));
        sent.first().map(|(_, text)| text.clone())
    };
    let exact = with("name", Some(Push::Exact));
    assert!(server().is_tenant_pushed(&exact));
    assert_eq!(filter(&exact, "acme").as_deref(), Some(r#"{"accountId":{"name":{"_eq":"acme"}}}"#));
    let odd = r#"x"}},{"id":{"_nnull":true"#;
    let quoted = r#"{"accountId":{"name":{"_eq":"x\"}},{\"id\":{\"_nnull\":true"}}}"#;
    assert_eq!(filter(&exact, odd).as_deref(), Some(quoted));
    assert_eq!(filter(&exact, "$CURRENT_USER").as_deref(), Some(r#"{"id":{"_null":true}}"#));
    let loose = with("name", Some(Push::Loose));
    assert!(!server().is_tenant_pushed(&loose), "`ACME` would be `acme`");
    assert_eq!(filter(&loose, "acme"), filter(&exact, "acme"), "all the same, less comes back");
    let unknown = with("nothing", Some(Push::Exact));
    assert!(!server().is_tenant_pushed(&unknown));
    assert_eq!(filter(&unknown, "acme").as_deref(), Some(r#"{"id":{"_null":true}}"#));
}
