//! Broken policies: where each mistake is shown, and what is offered instead.

use super::support::compile;
use crate::diagnostic::Source;

/// Compiles one file; the code, the underlined text and the help of each mistake.
fn mistakes(text: &str) -> Vec<(&'static str, String, String)> {
    let wrong = match compile(&[Source::new("p.yaml", text)]) {
        Ok((_, warnings)) => warnings,
        Err(wrong) => wrong,
    };
    let at = |d: &crate::diagnostic::Diagnostic| text.get(d.span.range.clone()).unwrap_or_default().to_owned();
    wrong.iter().map(|d| (d.code, at(d), d.help.clone().unwrap_or_default())).collect()
}

fn rows(condition: &str) -> String {
    let grant = "name: g, roles: [sales_rep], actions: [list], read: { clear: all }";
    format!("table: accounts\ngrants:\n  - {{ {grant}, rows: \"{condition}\" }}\n")
}

fn grant(table: &str, inner: &str) -> String {
    format!("table: {table}\ngrants:\n  - {{ name: g, roles: [sales_rep], {inner} }}\n")
}

#[test]
fn every_mistake_is_shown_where_it_stands() {
    let cases = [
        (rows("record.regoin == 'x'"), "unknown-field", "record.regoin", "did you mean `region`?"),
        (rows("recrd.region == 'x'"), "unknown-name", "recrd", "did you mean `record`?"),
        (rows("region == 'x'"), "unknown-name", "region", "did you mean `record.region`?"),
        (rows("record.region = 'x'"), "cel-syntax", "=", "`==` compares"),
        (rows("record.region == 'x' and true"), "cel-syntax", "and", "write `&&`"),
        (rows("record.region =="), "cel-syntax", "==", ""),
        (rows("record.region"), "not-a-condition", "record.region", ""),
        (rows("record.flag"), "nullable-condition", "record.flag", "write `== true`"),
        (rows("has(record.region)"), "has-declared", "record.region", "a declared field"),
        (rows("record.region == 1"), "type-mismatch", "record.region == 1", "convert"),
        (rows("record.region == null"), "never-null", "record.region == null", ""),
        (rows("record.created_at < '2024'"), "type-mismatch", "record.created_at < '2024'", "timestamp"),
        (rows("record.annual_revenue + 1.0 > 2.0"), "type-mismatch", "record.annual_revenue + 1.0", "decimals"),
        (rows("after.region == 'x'"), "wrong-phase", "after", "check"),
        (
            rows("record.name.startWith('x')"),
            "unknown-function",
            "record.name.startWith('x')",
            "did you mean `startsWith`?",
        ),
        (rows("record.name.matches('(')"), "bad-pattern", "'('", ""),
        (rows("record.name.matches('(a{1000}){1000}')"), "bad-pattern", "'(a{1000}){1000}'", ""),
        (rows("record.name.matches(record.region)"), "wrong-arguments", "record.name.matches(record.region)", ""),
        (
            rows("principal.attributes.regoins == []"),
            "unknown-attribute",
            "principal.attributes.regoins",
            "did you mean `regions`?",
        ),
        (rows("principal.nme == 'x'"), "unknown-name", "principal.nme", ""),
        (rows("tenant.org == 'x'"), "unknown-name", "tenant.org", "organization_id"),
        (rows("principal.has_role('sales_rp')"), "unknown-role", "'sales_rp'", "did you mean `sales_rep`?"),
        (rows("record.scores.exists(record, true)"), "shadowed-name", "record", "another name"),
        (rows("record.name.a == 'x'"), "type-mismatch", "record.name.a", ""),
        (rows("record.id == 1u"), "unsigned", "1u", "write `1`"),
        ("table: contcts\n".to_owned(), "unknown-table", "contcts", "did you mean `contacts`?"),
        (grant("contacts", "actions: [list]"), "missing-rows", "g", "nothing is granted"),
        (grant("contacts", "actions: [lst], rows: all"), "unknown-action", "lst", "did you mean `list`?"),
        (grant("contacts", "actions: [close], rows: all"), "unknown-action", "close", ""),
        (grant("contacts", "actions: [create], rows: all"), "rows-on-create", "all", "check"),
        (grant("contacts", "actions: [list], rows: all, write: [name]"), "write-without-action", "[name]", "update"),
        (grant("contacts", "actions: [update], rows: all, write: [app_id]"), "not-writable", "app_id", ""),
        (grant("contacts", "actions: [update], rows: all, write: [id]"), "not-writable", "id", ""),
        (grant("contacts", "actions: [update], rows: all, write: [account]"), "not-writable", "account", "account_id"),
        (grant("contacts", "actions: [update], rows: all, write: [owner_id]"), "not-writable", "owner_id", "transfer"),
        (grant("users", "actions: [transfer], rows: all"), "no-owner", "transfer", ""),
        (grant("users", "actions: [list], rows: shared"), "no-owner", "shared", ""),
        (grant("currencies", "actions: [update], rows: all"), "shared-table", "update", ""),
        (
            grant("contacts", "actions: [list], rows: all, check: after.id == 1"),
            "check-without-write",
            "after.id == 1",
            "rows",
        ),
        (grant("contacts", "actions: [create], check: record.id == 1"), "wrong-phase", "record", "after"),
        (
            grant("contacts", "actions: [update], rows: all, check: after.account.region == 'x'"),
            "relation-after",
            "after.account",
            "",
        ),
        (grant("contacts", "actions: [create], presets: { region: 1 }"), "type-mismatch", "1", ""),
        (grant("contacts", "actions: [create], presets: { region: record.name }"), "wrong-phase", "record", ""),
        (
            grant("contacts", "actions: [list], rows: all, presets: { region: principal.id }"),
            "presets-without-create",
            "{ region: principal.id }",
            "",
        ),
        (
            grant("contacts", "actions: [list], rows: all, read: { partial: [amount] }"),
            "mask-type",
            "amount",
            "`truncate` to a number, `hash`",
        ),
        (grant("contacts", "actions: [list], rows: all, read: { truncate: { name: year } }"), "mask-type", "name", ""),
        (
            grant("samples", "actions: [list], rows: all, read: { partial: [tags, scores] }"),
            "mask-type",
            "scores",
            "what list(int) can have: `last4`",
        ),
        (grant("samples", "actions: [list], rows: all, read: { hash: [labels] }"), "mask-type", "labels", "`null`"),
        (
            grant("samples", "actions: [list], rows: all, read: { constant: { tags: x } }"),
            "mask-type",
            "tags",
            "what list(string) can have: `partial`",
        ),
        (
            grant("contacts", "actions: [list], rows: all, read: { truncate: { amount: 0 } }"),
            "bad-truncation",
            "0",
            "whole number",
        ),
        (
            grant("contacts", "actions: [list], rows: all, read: { constant: { amount: x } }"),
            "mask-type",
            "amount",
            "a number, without quotes",
        ),
        (
            grant("contacts", "actions: [list], rows: all, read: { constant: { birthday: \"1.1.1970\" } }"),
            "mask-type",
            "birthday",
            "a date, as \"2024-05-31\"",
        ),
        (
            grant("contacts", "actions: [list], rows: all, read: { constant: { created_at: \"1970-01-01\" } }"),
            "mask-type",
            "created_at",
            "2024-05-31T12:00:00Z",
        ),
        (
            grant("samples", "actions: [list], rows: all, read: { constant: { took: long } }"),
            "mask-type",
            "took",
            "\"1h30m\"",
        ),
        (grant("contacts", "actions: [list], rows: all, read: { hash: [account] }"), "mask-type", "account", ""),
        (
            grant("contacts", "actions: [list], rows: all, read: { clear: all, hash: [email] }"),
            "field-twice",
            "email",
            "except",
        ),
        (
            grant("contacts", "actions: [list], rows: all, read: { clear: [id], except: [name] }"),
            "except-without-all",
            "[name]",
            "",
        ),
        (grant("contacts", "actions: [list], rows: 'record.notes.exists(n, true)'"), "to-many", "record.notes", ""),
        (grant("contacts", "actions: [list], rows: record.account == 1"), "type-mismatch", "record.account == 1", ""),
        (
            "table: users\ngrants:\n  - { name: g, roles: [], actions: [list], rows: all }\n".to_owned(),
            "empty-list",
            "[]",
            "",
        ),
        (
            "table: users\ngrants:\n  - { name: g, roles: [boss], actions: [list], rows: all }\n".to_owned(),
            "unknown-role",
            "boss",
            "known",
        ),
        ("table: users\nlet: { record: 'true' }\n".to_owned(), "let-shadows", "record", "another"),
        ("table: users\nlet: { a: 'true' }\n".to_owned(), "unused-let", "a", ""),
        ("table: users\nsharing: { default: privat }\n".to_owned(), "unknown-sharing", "privat", "private"),
        (
            "table: users\nrequirements:\n  - { name: r, actions: [list], must: record.id == 'x' }\n".to_owned(),
            "wrong-phase",
            "record",
            "denial",
        ),
        (
            "table: users\ngrants:\n  - { name: g, roles: [sales_rep], actions: [list], rows: !record.ok }\n"
                .to_owned(),
            "yaml-tag",
            "!record.ok",
            "quote",
        ),
    ];
    for (text, code, at, help) in cases {
        let found = mistakes(&text);
        let [(found_code, found_at, found_help)] = found.as_slice() else { panic!("{text}: {found:?}") };
        assert_eq!((*found_code, found_at.as_str()), (code, at), "{text}");
        assert!(found_help.contains(help), "{text}: {found_help}");
    }
}

#[test]
fn all_mistakes_of_all_files_come_at_once_and_in_order() {
    let text = "table: users\ngrants:\n  - { name: g, roles: [x], actions: [y], rows: 'z' }\n  - { name: g, roles: [sales_rep], actions: [list] }\n";
    let second = Source::new("q.yaml", "table: users\n");
    let wrong = compile(&[Source::new("p.yaml", text), second]).err().expect("mistakes");
    let codes: Vec<_> = wrong.iter().map(|d| d.code).collect();
    assert_eq!(
        codes,
        ["unknown-role", "unknown-action", "unknown-name", "duplicate-name", "missing-rows", "duplicate-table"]
    );
}

#[test]
fn a_table_of_all_tenants_takes_no_write_in_any_form() {
    let text = grant("currencies", "actions: [update], rows: all, write: [name]");
    assert_eq!(mistakes(&text).iter().map(|m| m.0).collect::<Vec<_>>(), ["shared-table", "not-writable"]);
}

#[test]
fn masks_with_two_parameters_are_refused() {
    let text = "table: contacts\ngrants:\n  - { name: a, roles: [sales_rep], actions: [list], rows: all, read: { truncate: { birthday: year } } }\n  - { name: b, roles: [sales_rep], actions: [list], rows: all, read: { truncate: { birthday: month } } }\n";
    assert_eq!(mistakes(text).iter().map(|m| m.0).collect::<Vec<_>>(), ["mask-parameters"]);
}

#[test]
fn lets_are_typed_where_they_are_used_and_cannot_be_cyclic() {
    let with = |lets: &str| format!("{}let: {{ {lets} }}\n", rows("a"));
    assert_eq!(mistakes(&with("a: record.region == 'x'")), []);
    assert_eq!(mistakes(&with("a: record.region")).first().map(|m| m.0), Some("not-a-condition"));
    assert_eq!(mistakes(&with("a: b, b: a")).first().map(|m| m.0), Some("let-cycle"));
    for word in ["all", "shared"] {
        let hidden = format!("{word}: record.region == 'x', a: {word}");
        assert_eq!(mistakes(&with(&hidden)).first().map(|m| m.0), Some("let-name"), "{word} is taken in `rows`");
    }
    let mut doubling: Vec<String> = (0..20).map(|n| format!("a{n}: a{} && a{}", n + 1, n + 1)).collect();
    doubling.push("a20: 'true'".to_owned());
    doubling.push("a: a0".to_owned());
    assert_eq!(mistakes(&with(&doubling.join(", "))).first().map(|m| m.0), Some("cel-too-large"));
}

#[test]
fn hostile_expressions_are_refused_and_abort_nothing() {
    let long = format!("{}1 == 1", "1+".repeat(900));
    for condition in [
        "(".repeat(3000),
        "(".repeat(900),
        format!("{}true{}", "(".repeat(300), ")".repeat(300)),
        "!".repeat(1500) + "true",
        long,
        "[".repeat(200),
        "true ? ".repeat(200) + "true",
        "record.a".to_owned() + &".b".repeat(500),
        "\u{1F600}".to_owned(),
        "'".to_owned(),
        "'''".to_owned(),
        "a`b`".to_owned(),
        r"r'\' == r'\' || ".to_owned() + &"(".repeat(900),
        "1 == 1 // it's\n      || ".to_owned() + &"(".repeat(900),
        "1 == 1 // it's\n      || ".to_owned() + &"!".repeat(1500) + "true",
        "'''it's''' == '' || ".to_owned() + &"(".repeat(900),
    ] {
        let text = format!(
            "table: users\ngrants:\n  - name: g\n    roles: [sales_rep]\n    actions: [list]\n    rows: |\n      {condition}\n"
        );
        assert!(compile(&[Source::new("p.yaml", text)]).is_err(), "{condition:.40}");
    }
}
