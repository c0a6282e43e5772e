//! What is found in policies that load: where it stands and what is offered, and that nothing is found in good ones.

use super::support::compile;
use crate::diagnostic::{Severity, Source};

/// Code, underlined text and help of all that is found.
fn found(text: &str) -> Vec<(&'static str, String, String)> {
    let found = match compile(&[Source::new("p.yaml", text)]) {
        Ok((_, warnings)) => warnings,
        Err(found) => found,
    };
    let at = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().to_owned();
    found.iter().map(|d| (d.code, at(d.span.range.clone()), d.help.clone().unwrap_or_default())).collect()
}

fn grant(table: &str, rows: &str) -> String {
    let head = "name: it\n    roles: [sales_rep, sales_manager]\n    actions: [list]";
    format!("table: {table}\ngrants:\n  - {head}\n    rows: {rows:?}\n    read: {{ clear: all }}\n")
}

fn denial(table: &str, rows: &str) -> String {
    format!("{}denials:\n  - name: stop\n    actions: [list]\n    rows: {rows:?}\n", grant(table, "all"))
}

fn assert_found(cases: &[(String, &str, &str, &str)]) {
    let mut differs = Vec::new();
    for (text, code, at, help) in cases {
        // As it stands in the file: quotes of the YAML around it are escapes.
        match found(text).as_slice() {
            [(found, place, offered)]
                if found == code && place.replace("\\\"", "\"") == *at && offered.contains(help) => {}
            other => differs.push(format!("{text}\n  wanted {code} at {at}\n  found {other:?}")),
        }
    }
    assert!(differs.is_empty(), "{}", differs.join("\n"));
}

#[test]
fn a_test_with_one_outcome_is_an_error() {
    let never = |rows: &str, at: &'static str, help: &'static str| (grant("accounts", rows), "never-true", at, help);
    let always = |rows: &str, at: &'static str, help: &'static str| (grant("accounts", rows), "always-true", at, help);
    assert_found(&[
        never("record.region == 'a' && record.region == 'b'", "record.region == 'b'", "x in [a, b]"),
        never("record.region in ['a', 'b'] && record.region == 'c'", "record.region == 'c'", "x in [a, b]"),
        never("record.region == 'a' && record.region != 'a'", "record.region != 'a'", ""),
        never("record.region == 'a' && !(record.region == 'a')", "!(record.region == 'a')", ""),
        never("record.id > 5 && record.name != 'x' && record.id < 5", "record.id < 5", ""),
        never("record.id > 5 && record.id < 6", "record.id < 6", ""),
        never("5 > record.id && record.id >= 5", "record.id >= 5", ""),
        never("record.region == 'a' && (record.region == 'b' || record.id == 1)", "record.region == 'b'", ""),
        never("record.name.startsWith('a') && record.name.startsWith('b')", "record.name.startsWith('b')", ""),
        never("record.name == 'ab' && record.name.endsWith('a')", "record.name.endsWith('a')", ""),
        never(
            "record.owner_id == principal.id && principal.id != record.owner_id",
            "principal.id != record.owner_id",
            "",
        ),
        never("record.custom == null && record.custom == 1", "record.custom == 1", ""),
        never("record.id in []", "record.id in []", ""),
        never("record.id == 1.5", "record.id == 1.5", ""),
        never("record.id in [0.5, 1.5]", "record.id in [0.5, 1.5]", ""),
        never("size(record.name) < 0", "size(record.name) < 0", ""),
        never("record.name.size() == -1", "record.name.size() == -1", ""),
        never("record.id > 1e30", "record.id > 1e30", ""),
        never("record.created_at.getMonth() == 12", "record.created_at.getMonth() == 12", "from 0"),
        never("record.created_at.getDayOfWeek() in [7, 8]", "record.created_at.getDayOfWeek() in [7, 8]", "Sunday"),
        never("record.created_at.getHours() >= 24", "record.created_at.getHours() >= 24", ""),
        never("record.region != record.region", "record.region != record.region", ""),
        never(
            "record.region.lowerAscii() == record.region.upperAscii()",
            "record.region.lowerAscii() == record.region.upperAscii()",
            "",
        ),
        never("record.region.lowerAscii() == 'EMEA'", "record.region.lowerAscii() == 'EMEA'", "'emea'"),
        never("record.region.upperAscii().startsWith('em')", "record.region.upperAscii().startsWith('em')", "'EM'"),
        never("request.method == 'get'", "request.method == 'get'", "'GET'"),
        never("principal.method in ['JWT']", "principal.method in ['JWT']", "'jwt'"),
        never("request.ip == '10.0.0.0/8'", "request.ip == '10.0.0.0/8'", ""),
        never("request.ip == '2001:DB8::1'", "request.ip == '2001:DB8::1'", "'2001:db8::1'"),
        never("1 == 2", "1 == 2", ""),
        never("record.id == 1 && 'a' == 'b'", "'a' == 'b'", ""),
        never("[1, 2].exists(x, x > 2)", "[1, 2].exists(x, x > 2)", ""),
        never("record.scores.exists(s, s == 1 && s == 2)", "s == 2", "x in [a, b]"),
        always("record.region != 'a' || record.region != 'b'", "record.region != 'b'", "!(x in [a, b])"),
        always("record.id < 5 || record.id >= 5", "record.id >= 5", ""),
        always("record.custom == null || record.custom != null", "record.custom != null", ""),
        always("record.flag == true || !(record.flag == true)", "!(record.flag == true)", ""),
        always("record.region == record.region", "record.region == record.region", ""),
        always("size(record.name) >= 0", "size(record.name) >= 0", ""),
        always("record.id != 1.5", "record.id != 1.5", ""),
        always("record.name.startsWith('')", "record.name.startsWith('')", ""),
        always("record.name.matches('.*')", "record.name.matches('.*')", "anchor"),
        always("record.name.matches('a*')", "record.name.matches('a*')", "anchor"),
        always("record.name.matches('^.*$')", "record.name.matches('^.*$')", "anchor"),
        // The inner test is what is said of.
        never("!(1 > 2)", "1 > 2", ""),
    ]);
}

#[test]
fn what_always_fails_is_an_error_where_it_fails() {
    let fails = |rows: &str, at: &'static str, help: &'static str| (grant("accounts", rows), "always-fails", at, help);
    assert_found(&[
        fails(
            "record.created_at > timestamp('2024-01-31T10:00:00')",
            "timestamp('2024-01-31T10:00:00')",
            "2024-01-31T10:00:00Z",
        ),
        fails("now - record.created_at > duration('30d')", "duration('30d')", "36h"),
        fails("record.id == int('x')", "int('x')", ""),
        fails("record.id / 0 == 1", "0", ""),
        fails("record.id == 9223372036854775807 + 1", "9223372036854775807 + 1", ""),
        fails("record.id == [1, 2][2] || record.id == 1", "[1, 2][2]", ""),
    ]);
}

#[test]
fn what_most_authors_do_not_mean_is_a_warning() {
    let warns = |table: &str, rows: &str, code: &'static str, at: &'static str, help: &'static str| {
        (grant(table, rows), code, at, help)
    };
    assert_found(&[
        warns("accounts", "true", "constant-condition", "true", "rows: all"),
        warns("accounts", "false", "constant-condition", "false", "leave the grant out"),
        warns("accounts", "record.id == 1 && true", "constant-condition", "true", "leave it out"),
        warns("accounts", "record.id > 5 && record.id > 3", "redundant-condition", "record.id > 3", ""),
        warns("accounts", "record.id > 3 && record.id > 5", "redundant-condition", "record.id > 3", ""),
        warns(
            "accounts",
            "record.region == 'a' || record.region in ['a', 'b']",
            "redundant-condition",
            "record.region == 'a'",
            "",
        ),
        warns(
            "accounts",
            "record.region == 'a' && record.region != 'b'",
            "redundant-condition",
            "record.region != 'b'",
            "",
        ),
        warns(
            "accounts",
            "record.region == 'a' || record.region == 'a'",
            "redundant-condition",
            "record.region == 'a'",
            "",
        ),
        warns(
            "accounts",
            "record.id == 1 || record.id == 2 && record.region == 'a'",
            "mixed-operators",
            "record.id == 2 && record.region == 'a'",
            "parentheses",
        ),
        warns("accounts", "(record.id == 1) == true", "bool-compared", "(record.id == 1) == true", "alone"),
        warns(
            "accounts",
            "(record.id == 1 || record.region == 'a') != true",
            "bool-compared",
            "(record.id == 1 || record.region == 'a') != true",
            "!( … )",
        ),
        warns("tickets", "record.price * 1.2 == 24.0", "inexact-equality", "record.price * 1.2 == 24.0", "written"),
        warns(
            "accounts",
            "record.annual_revenue == 0.1 + 0.2",
            "inexact-equality",
            "record.annual_revenue == 0.1 + 0.2",
            "written",
        ),
        warns("accounts", "record.name > '10'", "text-order", "record.name > '10'", "int(…)"),
        warns("accounts", "record.id <= 1.5", "fractional-bound", "record.id <= 1.5", ""),
        warns("users", "record.email.endsWith('acme.com')", "loose-pattern", "'acme.com'", "'@acme.com'"),
        warns("users", "record.email.contains('@acme.com')", "loose-pattern", "'@acme.com'", "endsWith"),
        warns(
            "users",
            "record.email.matches('@acme[.]com')",
            "loose-pattern",
            "'@acme[.]com'",
            "begin it with `^` and end it with `$`",
        ),
        warns("users", "record.email.matches('^[a-z]+@acme.com$')", "loose-pattern", "'^[a-z]+@acme.com$'", "[.]"),
        warns("users", "record.id.matches('^admin|root$')", "loose-pattern", "'^admin|root$'", "'^(admin|root)$'"),
        warns("users", "request.ip.startsWith('192.168.1')", "loose-pattern", "'192.168.1'", "`.`"),
        warns(
            "accounts",
            "record.scores.all(s, s > 0)",
            "holds-for-empty",
            "record.scores.all(s, s > 0)",
            "size(record.scores) > 0",
        ),
        warns("contacts", "record.phone != '1'", "null-differs", "record.phone != '1'", "record.phone != null"),
        warns(
            "contacts",
            "!(record.phone in ['1', '2'])",
            "null-differs",
            "!(record.phone in ['1', '2'])",
            "record.phone != null",
        ),
        warns(
            "contacts",
            "record.region == 'a' || !(record.phone == '1')",
            "null-differs",
            "!(record.phone == '1')",
            "",
        ),
        warns(
            "accounts",
            "record.custom.tier != 'gold'",
            "null-differs",
            "record.custom.tier != 'gold'",
            "record.custom.tier != null",
        ),
        warns("accounts", "principal.has_role('support')", "role-outside", "principal.has_role('support')", "roles"),
        warns("accounts", "'suport' in principal.roles", "unknown-role", "'suport' in principal.roles", "support"),
        warns("accounts", "record.region == 'Emea' || record.region == 'emea'", "letter-case", "'emea'", "lowerAscii"),
        warns("accounts", "record.region in ['EMEA', 'emea']", "letter-case", "'emea'", "lowerAscii"),
    ]);
    let denies =
        |table: &str, rows: &str, at: &'static str, help: &'static str| (denial(table, rows), "null-denies", at, help);
    assert_found(&[
        denies("contacts", "record.amount > 1000", "record.amount > 1000", "record.amount != null"),
        denies(
            "contacts",
            "record.region == 'a' && record.phone.startsWith('+1')",
            "record.phone.startsWith('+1')",
            "",
        ),
        denies("contacts", "record.account.region == 'a'", "record.account.region == 'a'", "record.account != null"),
        denies(
            "accounts",
            "record.custom.hidden == true",
            "record.custom.hidden == true",
            "record.custom != null && has(record.custom.hidden)",
        ),
    ]);
    let only = |rows: &str| grant("accounts", rows).replace(", sales_manager]", "]");
    assert_found(&[
        (
            only("principal.has_role('sales_rep') && record.id == 1"),
            "role-implied",
            "principal.has_role('sales_rep')",
            "leave it out",
        ),
        (only("!principal.has_role('sales_rep')"), "never-true", "principal.has_role('sales_rep')", "roles"),
    ]);
}

#[test]
fn what_is_said_with_care_is_left_alone() {
    for (table, rows) in [
        ("accounts", "record.region == 'a' && record.industry == 'b'"),
        ("accounts", "record.region == 'a' || record.region == 'b'"),
        ("accounts", "record.region != 'a' && record.region != 'b'"),
        ("accounts", "record.id > 1 && record.id < 3"),
        ("accounts", "record.annual_revenue > 1 && record.annual_revenue < 2"),
        ("tickets", "record.price > 1.0 && record.price < 2.0"),
        ("accounts", "record.custom != null && has(record.custom.tier) && record.custom.tier == 'gold'"),
        ("accounts", "(record.id == 1 || record.id == 2) && record.region == 'a'"),
        ("accounts", "record.id == 1 || (record.id == 2 && record.region == 'a')"),
        ("accounts", "record.flag == true || record.flag == null"),
        ("accounts", "!(record.flag == true) && record.flag == null"),
        ("accounts", "record.custom == null || record.custom.tier != 'gold'"),
        ("contacts", "record.amount == null || record.amount < 5.0"),
        ("contacts", "record.phone != null && record.phone != '1'"),
        ("contacts", "record.account.region == 'a'"),
        ("accounts", "size(record.scores) > 0 && record.scores.all(s, s > 0)"),
        ("accounts", "record.scores.exists(s, s > 0)"),
        ("accounts", "record.created_at > timestamp('2024-01-31T00:00:00+01:00')"),
        ("accounts", "now - record.created_at < duration('720h')"),
        ("accounts", "record.created_at.getMonth() == 11 && record.created_at.getHours() < 23"),
        ("accounts", "record.name.matches('^[A-Z]') && record.name.contains('x')"),
        ("accounts", "record.name.matches('^.{0,20}$') && record.region.matches('^[^\\\\x00-\\\\x1f]*$')"),
        ("accounts", "record.scores != [] && record.scores.all(s, s > 0)"),
        ("accounts", "record.custom.?tier.orValue('none') != 'gold'"),
        ("users", "record.email.endsWith('@acme.com') && record.email.matches('(?i)^[a-z.]+@acme[.]com$')"),
        ("accounts", "principal.has_role('sales_manager') || !principal.has_role('support')"),
        ("accounts", "record.region in principal.attributes.regions && !(record.region in ['x'])"),
        ("accounts", "record.name > 'm' && record.name.lowerAscii() == 'x'"),
        ("accounts", "request.method == 'GET' && (request.ip == '10.0.0.1' || request.ip.startsWith('192.168.'))"),
        ("accounts", "record.annual_revenue == 0.3 && record.id == 2"),
        ("accounts", "record.owner_id == principal.id && record.region == record.industry"),
        ("accounts", "principal.attributes.mfa == true ? record.region == 'a' : record.region == 'b'"),
        ("accounts", "record.created_at < now"),
    ] {
        assert_eq!(found(&grant(table, rows)), [], "{rows}");
    }
    for (table, rows) in [
        ("contacts", "record.amount != null && record.amount > 1000"),
        ("contacts", "record.amount == null || record.amount > 1000"),
        ("contacts", "record.phone != '1'"),
        ("accounts", "record.custom != null && has(record.custom.hidden) && record.custom.hidden == true"),
        ("accounts", "record.scores.all(s, s > 0)"),
        ("accounts", "record.flag == true"),
        ("deals", "record.account.region == 'a'"),
    ] {
        assert_eq!(found(&denial(table, rows)), [], "{rows}");
    }
}

#[test]
fn rules_are_seen_beside_each_other() {
    let two = |first: &str, second: &str| {
        format!(
            "table: contacts\nsharing: {{ default: private }}\ngrants:\n  - {{ name: one, {first} }}\n  - {{ name: two, {second} }}\n  - {{ name: own, roles: [analyst], actions: [list], rows: shared, read: {{ clear: [id] }} }}\n"
        )
    };
    let read = "roles: [sales_rep, support], actions: [list, read], rows: \"record.region in ['a', 'b']\", read: { clear: [id, name] }";
    let adds = |second: &str| (two(read, second), "adds-nothing", "two", "leave it out");
    assert_found(&[
        adds(read),
        adds("roles: [support], actions: [list], rows: record.region == 'a', read: { clear: [id] }"),
        adds(
            "roles: [support], actions: [list], rows: record.stage == 'x' && record.region == 'a', read: { last4: [name] }",
        ),
        (
            two(
                "roles: [support], actions: [list], rows: shared, read: { clear: [id] }",
                &read.replace("\"record.region in ['a', 'b']\"", "all"),
            ),
            "adds-nothing",
            "one",
            "",
        ),
    ]);
    for second in [
        "roles: [analyst], actions: [list], rows: record.region == 'a', read: { clear: [id] }",
        "roles: [support], actions: [list], rows: record.region == 'c', read: { clear: [id] }",
        "roles: [support], actions: [list], rows: record.region == 'a', read: { clear: [email] }",
        "roles: [support], actions: [update], rows: record.region == 'a', write: [name]",
        "roles: [support], actions: [list], rows: all, read: { clear: [id] }",
    ] {
        assert_eq!(found(&two(read, second)), [], "{second}");
    }
    let denied = |actions: &str, more: &str| {
        format!(
            "{}denials:\n  - {{ name: stop, actions: [{actions}], rows: all{more} }}\n",
            two(read, "roles: [support], actions: [delete], rows: all")
        )
    };
    let shadowed = |at: &'static str| move |text: String| (text, "shadowed-grant", at, "narrow the denial");
    assert_found(&[
        shadowed("two")(denied("delete", "")),
        shadowed("two")(denied("delete", ", roles: [support, analyst]")),
        shadowed("read")(denied("read", "")),
    ]);
    assert_eq!(found(&denied("delete", ", roles: [analyst]")), []);
    assert_eq!(found(&denied("read", ", roles: [sales_rep]")), []);
    let denials = |second: &str| {
        format!(
            "{}denials:\n  - {{ name: a, actions: [list, read], rows: record.region == 'x' }}\n  - {{ name: b, {second} }}\n",
            grant("accounts", "all")
        )
    };
    assert_found(&[(
        denials("actions: [list], roles: [support], rows: record.region == 'x' && record.id == 1"),
        "adds-nothing",
        "b",
        "",
    )]);
    assert_eq!(found(&denials("actions: [list, update], rows: record.region == 'x'")), []);
}

#[test]
fn a_grant_says_what_it_gives_and_to_whom() {
    let of = |inner: &str| format!("table: contacts\ngrants:\n  - {{ {inner} }}\n");
    assert_found(&[
        (of("name: a, roles: [support], actions: [list], rows: all"), "grants-nothing", "list", "clear: all"),
        (of("name: a, roles: [support], actions: [update], rows: all"), "grants-nothing", "update", "write"),
        (
            of("name: a, roles: [support], actions: [create], write: [name]"),
            "owner-not-set",
            "create",
            "owner_id: principal.id",
        ),
        (
            of("name: a, roles: [support], actions: [create], write: [name, owner_id]"),
            "owner-not-set",
            "create",
            "principal.id",
        ),
        (
            of(
                "name: a, roles: [support], actions: [update, delete], rows: all, write: [name], check: after.region == 'a'",
            ),
            "check-not-asked",
            "after.region == 'a'",
            "rows",
        ),
        (
            of(
                "name: a, roles: [support], actions: [list, update], rows: all, read: { clear: all }, write: [name], check: after.owner_id == principal.id",
            ),
            "check-not-asked",
            "after.owner_id == principal.id",
            "rows",
        ),
        (
            of("name: hide-private, roles: [support], actions: [list], rows: all, read: { clear: all }"),
            "misleading-name",
            "hide-private",
            "denials",
        ),
        (
            of("name: a, roles: [support, support], actions: [list], rows: all, read: { clear: all }"),
            "listed-twice",
            "support",
            "",
        ),
        (
            format!("{}sharing: {{ default: public_read }}\n", grant("contacts", "all")),
            "unused-sharing",
            "public_read",
            "rows: shared",
        ),
        (
            denial("contacts", "record.region == 'a'").replace("name: stop", "name: allow-owner"),
            "misleading-name",
            "allow-owner",
            "grants",
        ),
        (
            grant("contacts", "all").replace("grants:", "let: { mine: record.owner_id == principal.id }\ngrants:"),
            "unused-let",
            "mine",
            "leave it out",
        ),
    ]);
    for inner in [
        "name: a, roles: [support], actions: [create], write: [name], presets: { owner_id: principal.id }",
        "name: a, roles: [support], actions: [create], write: [name, owner_id], check: principal.manages(after.owner_id)",
        "name: a, roles: [support], actions: [list, update], rows: all, read: { clear: all }, write: [name], check: after.region == 'a'",
        "name: a, roles: [support], actions: [transfer], rows: all, write: [owner_id], check: principal.manages(after.owner_id)",
        "name: a, roles: [support], actions: [delete], rows: all",
        "name: nordic-team, roles: [support], actions: [list], rows: all, read: { clear: all }",
    ] {
        assert_eq!(found(&of(inner)), [], "{inner}");
    }
}

#[test]
fn a_let_is_checked_whether_it_is_used_or_not() {
    let with = |lets: &str| grant("contacts", "all").replace("grants:", &format!("let: {{ {lets} }}\ngrants:"));
    let codes = |text: &str| found(text).iter().map(|found| found.0).collect::<Vec<_>>();
    assert_eq!(codes(&with("a: record.regoin == 'x'")), ["unused-let", "unknown-field"]);
    assert_eq!(codes(&with("a: record.region == 1")), ["unused-let", "type-mismatch"]);
    assert_eq!(codes(&with("a: after.region == record.region, b: a")), ["unused-let", "unused-let"]);
    assert_eq!(codes(&with("a: b, b: a")), ["unused-let", "let-cycle", "unused-let", "let-cycle"]);
    // A used one is seen through, and said once.
    let twice = "table: contacts\nlet: { a: size(record.name) < 0 }\ngrants:\n  - { name: g, roles: [support], actions: [list], rows: a, read: { clear: all } }\n  - { name: h, roles: [analyst], actions: [list], rows: a, read: { clear: all } }\n";
    assert_eq!(found(twice), [("never-true", "size(record.name) < 0".to_owned(), String::new())]);
}

#[test]
fn one_field_spelled_in_two_letter_cases_is_noticed_across_rules() {
    let text = format!(
        "{}denials:\n  - {{ name: stop, actions: [list], rows: record.region == 'EMEA' }}\n",
        grant("accounts", "record.region == 'emea'")
    );
    assert_found(&[(text, "letter-case", "'EMEA'", "lowerAscii")]);
}

#[test]
fn mistakes_are_errors_and_doubts_are_warnings() {
    let severity = |text: &str| match compile(&[Source::new("p.yaml", text)]) {
        Ok((_, warnings)) => warnings.iter().map(|d| d.severity).max(),
        Err(errors) => errors.iter().map(|d| d.severity).min(),
    };
    assert_eq!(severity(&grant("accounts", "record.id == 1.5")), Some(Severity::Error));
    assert_eq!(severity(&grant("accounts", "record.id == 1 / 0")), Some(Severity::Error));
    assert_eq!(severity(&grant("accounts", "true")), Some(Severity::Warning));
    assert_eq!(severity(&denial("contacts", "record.amount > 1")), Some(Severity::Warning));
    assert_eq!(severity(&grant("accounts", "all")), None);
}

#[test]
fn hostile_conditions_are_looked_at_whole() {
    let many = |part: &str, times: usize, by: &str| vec![part; times].join(by);
    let list: Vec<String> = (0..100).map(|n| format!("'r{n}'")).collect();
    for condition in [
        many("record.region == 'a'", 60, " && "),
        many("record.region != 'a'", 60, " || "),
        many("record.region in ['a', 'b']", 40, " || "),
        format!("record.region in [{}] && record.region in [{}]", list.join(", "), list.join(", ")),
        many("[1, 2, 3, 4, 5].all(x, [1, 2, 3, 4, 5].all(y, x * y < 26))", 8, " && "),
        format!("{}record.flag == true{}", "!(".repeat(20), ")".repeat(20)),
        many("(record.id == 1 || record.region == 'b')", 24, " && "),
    ] {
        let text = format!("{}let: {{ a: {condition:?} }}\n", grant("accounts", "a && a && a"));
        // Found or not, all of it was looked at.
        assert!(found(&text).iter().all(|(code, ..)| *code != "internal"), "{condition:.60}");
    }
}
