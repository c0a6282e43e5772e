//! What a condition can say, and what it is refused for: each part of the language as a case.

use super::support::*;
use crate::diagnostic::Source;
use crate::model::Value;
use crate::policy::Decision;

/// The verdict of a list grant with this condition on `samples`, for a record with these members.
fn verdict(rows: &str, members: &str) -> &'static str {
    of_table("samples", rows, members)
}

fn of_table(table: &str, rows: &str, members: &str) -> &'static str {
    let set = set(&[&granting(table, "list", rows, "read: { clear: all }")]);
    match ask(&set, &rep(), table, "list") {
        Decision::Deny(..) => "hidden",
        decision => word(&judge(residual(&decision), &ours(members)).verdict),
    }
}

const RECORD: &str = concat!(
    r#""id":7,"qty":5,"price":2.5,"amount":10.50,"name":"Ana é","note":null,"active":true,"vip":null,"#,
    r#""at":"2025-06-14T12:00:00Z","seen":null,"born":"1990-02-03","took":"90s","tags":["b","a"],"scores":[3,1,2],"#,
    r#""labels":{"kind":"x","tier":"gold"},"custom":{"n":1,"list":[{"id":1},{"id":2}],"empty":{},"text":"a,b"},"extra":"s","#,
    r#""account_id":1,"account":{"name":"Acme","region":"emea"}"#,
);

#[test]
fn what_a_condition_can_say() {
    for rows in [
        // literals
        "b'\\x61' == bytes('a') && base64.encode(b'ab') == 'YWI='",
        "r'\\d' == '\\\\d' && '''a\"b''' == \"a\\\"b\" && '\\u00e9' == 'é' && 0x1F == 31",
        "{'a': 1, 2: 'b', true: null}[2] == 'b' && [1, 'a', null][1] == 'a' && 2.0 in {2: 1}",
        // numbers compare across their kinds, and exactly
        "record.qty == 5.0 && record.price > 2 && record.amount == 10.5 && record.amount < 10.500000000000000001",
        "9007199254740993 != 9007199254740992.0 && record.amount in [1, 10.50]",
        // texts, bytes, lists, maps
        "record.name.size() == 5 && record.name.upperAscii() == 'ANA é' && record.name.charAt(4) == 'é'",
        "record.name.substring(0, 3).reverse() == 'anA' && record.custom.text.split(',') == ['a', 'b']",
        "record.tags.join('-') == 'b-a' && record.tags.sort() == ['a', 'b'] && 'a' in record.tags",
        "'%s is %d'.format([record.name, record.qty]) == 'Ana é is 5'",
        "'kind' in record.labels && record.labels['tier'] == 'gold' && record.labels == {'tier': 'gold', 'kind': 'x'}",
        "math.greatest(record.qty, 3) == 5 && math.abs(-2) == 2 && sets.contains(record.scores, [1, 2])",
        // times
        "now - record.at == duration('24h') && record.at + record.took > timestamp('2025-06-14T12:01:29Z')",
        "record.at.getHours('Europe/Paris') == 14 && record.born.getFullYear() == 1990 && record.took.getSeconds() == 90",
        // comprehensions of one and of two variables
        "record.scores.exists(s, s == 2) && record.scores.all(s, s > 0) && record.scores.exists_one(s, s > 2)",
        "record.scores.filter(s, s > 1).map(s, s * 2) == [6, 4] && record.scores.map(s, s > 1, s) == [3, 2]",
        "record.scores.exists(i, s, i == 0 && s == 3) && record.scores.all(i, s, i < s + 2) && record.labels.existsOne(k, v, v == 'x')",
        "record.scores.transformList(i, s, i + s) == [3, 2, 4] && record.labels.transformMap(k, v, k == 'kind', v + v) == {'kind': 'xx'}",
        "record.labels.transformMapEntry(k, v, {v: k}) == {'x': 'kind', 'gold': 'tier'} && record.scores.sortBy(s, -s) == [3, 2, 1]",
        "record.custom.list.exists(i, record.scores.exists(s, s == i.id)) && record.labels.exists(k, k == 'kind')",
        // names within
        "cel.bind(n, record.qty + 1, n * n == 36) && cel.bind(e, record.note + 'x', true || e == '')",
        // optionals
        "record.custom.?n.hasValue() && !record.custom.?m.hasValue() && record.custom.?m.orValue(3) == 3",
        "record.custom.?empty.?a.b.orValue('none') == 'none' && record.custom.list[?1].optMap(i, i.id).value() == 2",
        "[?record.custom.?n, ?record.custom.?m] == [1] && {?'a': record.custom.?m, 'b': 1} == {'b': 1}",
        "record.custom.?n.or(optional.of(2)) == optional.of(1) && has(record.custom.?empty.a) == false",
        "record.labels[?'none'].optFlatMap(v, optional.of(v)).orValue('') == '' && record.tags.first().orValue('') == 'b'",
        // types
        "type(record.custom.n) == int && type(record.extra) == string && type(record.custom.empty) == map && type(1) != double",
        // addresses
        "cidr('10.0.0.0/8').containsIP(request.ip) && ip(request.ip).family() == 4 && !isIP('x')",
        // who asks
        "principal.has_role('sales_rep') && principal.manages('u2') && principal.in_group('industry-tech') && principal.reports == ['u2']",
        // members that are no words
        "record.custom['n'] == 1 && record.custom.`n` == 1 && !has(record.custom.`a-b`) && record['qty'] == 5",
        // null is equal to null, and a list may hold it
        "record.note == null && record.vip in [null, true] && null in [1, null]",
    ] {
        assert_eq!(verdict(rows, RECORD), "visible", "{rows}");
    }
}

#[test]
fn what_fails_does_not_hold_from_either_side() {
    for rows in [
        "record.qty / 0 == 1",
        "record.qty % (record.qty - 5) == 0",
        "record.qty + 9223372036854775807 > 0",
        "-(-9223372036854775807 - record.qty) > 0",
        "record.price > double('NaN') || record.price <= double('NaN')",
        "record.note.startsWith('a')",
        "!(record.note < 'a')",
        "record.custom.m == null",
        "record.custom.n.a == null",
        "record.custom == 'x' || record.custom.text",
        "record.custom.list[2].id == 1",
        "record.custom.list[-1].id == 1",
        "record.custom.list.exists(i, i.name == 'x')",
        "!(record.note in record.labels)",
        "record.custom.n.?a.hasValue() || !record.custom.n.?a.hasValue()",
        "record.custom.?m.value() == 1",
        "cel.bind(e, record.note + 'x', e == '')",
        "{record.extra: 1, 's': 2}.size() == 2",
        "record.labels.transformMapEntry(k, v, {'same': v}).size() == 2",
        "record.scores.map(s, 6 / (s - 1)) != []",
        "record.scores.exists_one(s, 6 / (s - 1) == 3)",
        "timestamp(record.extra) < now",
        "ip(record.extra).isLoopback() || !ip(record.extra).isLoopback()",
        "record.extra.matches('s') && record.custom.n.matches('1')",
    ] {
        assert_eq!(verdict(rows, RECORD), "unmatched", "{rows}");
    }
}

#[test]
fn a_decisive_element_decides_beside_an_error() {
    for (rows, expected) in [
        ("record.scores.exists(s, 6 / (s - 1) == 6)", "visible"),
        ("!record.scores.all(s, 6 / (s - 1) == 6)", "visible"),
        ("record.scores.exists(s, 6 / (s - 1) == 7)", "unmatched"),
        ("record.custom.list.exists(i, i.id == 2 || i.name == 'x')", "visible"),
        ("[record.note, 'b'].exists(t, t.startsWith('b'))", "visible"),
    ] {
        assert_eq!(verdict(rows, RECORD), expected, "{rows}");
    }
}

#[test]
fn key_is_the_key_whatever_its_column_is_called_unless_there_is_such_a_column() {
    assert_eq!(verdict("record.key == 7", r#""id":7"#), "visible");
    assert_eq!(verdict("record.key == 7", r#""id":8"#), "unmatched");
    let flags = r#""id":7,"key":"dark""#;
    assert_eq!(of_table("flags", "record.key == 'dark'", flags), "visible");
    assert_eq!(of_table("flags", "record.key == 'light' || record.id == 8", flags), "unmatched");
}

#[test]
fn an_address_is_one_however_it_comes() {
    let set = set(&[&granting("samples", "list", "cidr('10.0.0.0/8').containsIP(request.ip)", "")]);
    for (ip, expected) in
        [("10.1.2.3", "visible"), ("::ffff:10.1.2.3", "visible"), ("11.0.0.1", "hidden"), ("::1", "hidden")]
    {
        let decision = ask_from(&set, &rep(), "samples", ip);
        let found = match &decision {
            Decision::Deny(..) => "hidden",
            decision => word(&judge(residual(decision), &ours(RECORD)).verdict),
        };
        assert_eq!(found, expected, "{ip}");
    }
}

#[test]
fn null_in_an_attribute_is_an_error_at_every_depth() {
    let map = |members: &[(&str, Value)]| {
        Value::Map(std::sync::Arc::new(members.iter().map(|(name, of)| ((*name).into(), of.clone())).collect()))
    };
    for (rows, profile) in [
        ("record.note == principal.attributes.profile", Value::Null),
        ("record.note == principal.attributes.profile.team", map(&[("team", Value::Null)])),
        ("record.note == principal.attributes.profile.team", map(&[])),
        ("record.note == principal.attributes.profile.a.b", map(&[("a", map(&[("b", Value::Null)]))])),
        ("record.note in principal.attributes.profile.teams", map(&[("teams", Value::List([Value::Null].into()))])),
        (
            "principal.attributes.profile.teams.exists(t, t == record.note)",
            map(&[("teams", Value::List([Value::Null].into()))]),
        ),
        ("record.note in principal.attributes.profile", map(&[("team", Value::Null)])),
    ] {
        let mut principal = rep();
        principal.attributes.insert("profile".into(), profile);
        for (rows, expected) in [(rows.to_owned(), "hidden"), (format!("!({rows})"), "hidden")] {
            let set = set(&[&granting("samples", "list", &rows, "")]);
            let found = match ask(&set, &principal, "samples", "list") {
                Decision::Deny(..) => "hidden",
                decision => word(&judge(residual(&decision), &ours(RECORD)).verdict),
            };
            // One that fails whatever the record holds grants nothing, and so hides the table; the others fail on the record.
            assert!(found == expected || found == "unmatched", "{rows}: {found}");
        }
    }
}

/// Codes, underlined texts and helps.
fn mistakes(rows: &str) -> Vec<(&'static str, String, String)> {
    let text = granting("samples", "list", rows, "");
    let wrong = match compile(&[Source::new("p.yaml", text.as_str())]) {
        Ok((_, warnings)) => warnings,
        Err(wrong) => wrong,
    };
    let at = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().to_owned();
    wrong.into_iter().map(|d| (d.code, at(d.span.range), d.help.unwrap_or_default())).collect()
}

#[test]
fn what_a_condition_can_not_say_is_refused_by_name() {
    for (rows, code, at, help) in [
        ("record.id == 5u", "unsigned", "5u", "write `5`"),
        ("uint(record.id) == 5", "unsigned", "uint(record.id)", "int(…)"),
        (".record.id == 5", "unknown-name", "record", "write `record`"),
        ("type(record.extra) == uint", "unknown-name", "uint", ""),
        ("Contact{id: 1} == record.custom", "cel-syntax", "{id: 1}", ""),
        ("cel.block([1], true)", "unknown-function", "cel.block([1], true)", ""),
        (
            "math.gratest(record.id, 1) == 1",
            "unknown-function",
            "math.gratest(record.id, 1)",
            "did you mean `math.greatest`?",
        ),
        ("record.name.startsWith()", "wrong-arguments", "record.name.startsWith()", ""),
        ("startsWith(record.name, 'a')", "wrong-arguments", "startsWith(record.name, 'a')", ""),
        ("record.name.exists(c, c == 'a')", "type-mismatch", "record.name", ""),
        ("record.scores.exists(s)", "cel-syntax", "(s)", ""),
        ("record.scores.exists(s.x, true)", "cel-syntax", "(s.x, true)", ""),
        ("record.scores.exists(s, s, true)", "cel-syntax", "(s, s, true)", ""),
        ("record.scores.exists(s, record.scores.exists(s, s == 1))", "shadowed-name", "s", "another name"),
        ("record.scores.exists(s, s == 1) && s == 1", "unknown-name", "s", ""),
        ("record.scores.exists(now, true)", "shadowed-name", "now", "another name"),
        ("record.?name == optional.of('a')", "has-declared", "record.?name", "write `.`"),
        ("record.account.?name.hasValue()", "has-declared", "record.account.?name", "write `.`"),
        ("record.name.?first.hasValue()", "type-mismatch", "record.name.?first", ""),
        ("record.custom.?flag", "not-a-condition", "record.custom.?flag", "orValue(false)"),
        ("record.custom.?n.orValue(1) == 1 && optional.of(1) == 1", "type-mismatch", "optional.of(1) == 1", ""),
        ("[?record.qty] == [1]", "type-mismatch", "record.qty", ""),
        ("{1.5: 1}.size() == 1", "type-mismatch", "1.5", ""),
        ("{record.note: 1}.size() == 1", "type-mismatch", "record.note", ""),
        ("record.labels.sortBy(k, k) == []", "type-mismatch", "record.labels", ""),
        ("record.scores.optMap(s, s) == optional.none()", "type-mismatch", "record.scores", ""),
        ("record.custom.?n.optFlatMap(n, 1).hasValue()", "type-mismatch", "1", "optMap"),
        ("record.labels.transformMapEntry(k, v, v).size() == 1", "type-mismatch", "v", ""),
        ("cel.bind(n, 1)", "cel-syntax", "(n, 1)", ""),
        ("cel.bind(a, record.account, true)", "type-mismatch", "record.account", ""),
        ("cidr('10.0.0.0/8').containsIP(1)", "type-mismatch", "1", "called as"),
        ("size(record.id) == 1", "type-mismatch", "record.id", ""),
        ("record.scores == record.tags", "type-mismatch", "record.scores == record.tags", ""),
        ("record.qty in record.tags", "type-mismatch", "record.qty in record.tags", ""),
        ("record.labels[1] == 'x'", "type-mismatch", "record.labels[1]", ""),
        ("record.price % 2.0 == 0.0", "type-mismatch", "record.price % 2.0", ""),
        ("record.qty + record.price > 1.0", "type-mismatch", "record.qty + record.price", "convert"),
        ("record.amount + 1 > 2", "type-mismatch", "record.amount + 1", "decimals"),
        (
            "record.scores.all(a, record.scores.all(b, record.scores.all(c, a + b == c)))",
            "cel-too-large",
            "a + b == c",
            "",
        ),
    ] {
        let found = mistakes(rows);
        let [(found_code, found_at, found_help)] = found.as_slice() else { panic!("{rows}: {found:?}") };
        assert_eq!((*found_code, found_at.as_str()), (code, at), "{rows}");
        assert!(found_help.contains(help), "{rows}: {found_help}");
    }
}

#[test]
fn a_let_knows_no_variable_of_where_it_is_used_and_may_hold_comprehensions() {
    let policy = |lets: &str, rows: &str| {
        format!(
            "table: samples\nlet: {{ {lets} }}\ngrants:\n  - {{ name: g, roles: [sales_rep], actions: [list], rows: \"{rows}\", read: {{ clear: all }} }}\n"
        )
    };
    let lets = "low: 'record.scores.exists(s, s == 1)', high: 'record.scores.exists(s, s > 2) && low'";
    let set = set(&[&policy(lets, "record.tags.all(s, high && s != 'x')")]);
    let decision = ask(&set, &rep(), "samples", "list");
    assert_eq!(word(&judge(residual(&decision), &ours(RECORD)).verdict), "visible");
    let text = policy("a: 's == 1'", "record.scores.exists(s, a)");
    let wrong = compile(&[Source::new("p.yaml", text.as_str())]).err().expect("a mistake");
    assert_eq!(wrong.iter().map(|d| d.code).collect::<Vec<_>>(), ["unknown-name"]);
}

/// Every function that the README says there is.
#[test]
fn what_the_readme_offers_is_there() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README");
    let table =
        readme.split("| of | what there is |").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a table");
    // Written here and there, and no functions.
    let others = ["in", "type", "x", "y", "k", "i", "now", "value", "result", "request.ip", "Z"];
    let macros = ["all", "exists", "exists_one", "existsOne", "filter", "map", "sortBy", "has", "optMap", "optFlatMap"];
    let pairs = ["transformList", "transformMap", "transformMapEntry", "cel.bind"];
    let mut found = 0;
    for code in table.split('`').skip(1).step_by(2) {
        let (space, words) = match code.split_once(".{") {
            Some((space, words)) => {
                let space = space.rsplit(' ').next().unwrap_or_default();
                (format!("{space}."), words.trim_end_matches('}'))
            }
            None => (String::new(), code),
        };
        let words = words
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
            .map(|word| word.trim_matches('.'));
        for word in words.filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic())) {
            let last = word.rsplit('.').next().unwrap_or(word);
            let names = [format!("{space}{word}"), word.to_owned(), last.to_owned()];
            let is_function = names.iter().any(|name| crate::policy::functions::named(name).next().is_some());
            let is_known = [&others[..], &macros, &pairs].concat().iter().any(|known| *known == word || *known == last);
            assert!(is_function || is_known, "`{word}` in `{code}` is nothing");
            found += 1;
        }
    }
    assert!(found > 80, "only {found} names were read");
}
