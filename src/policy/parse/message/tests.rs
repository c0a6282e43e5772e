//! Texts that are no expressions: what is underlined, what is said, what is offered.

use super::super::{LIMITS, read};

/// The text, what is underlined, a part of the message, a part of the hint.
const CASES: [(&str, &str, &str, &str); 77] = [
    // brackets and quotes
    ("(record.a == 1", "(", "expected `)`: this `(` is not closed", ""),
    ("has(record.a", "(", "expected `)`", ""),
    ("record.a in ['a', 'b'", "[", "expected `]`", ""),
    ("record[0", "[", "expected `]`", ""),
    ("{'a': 1", "{", "expected `}`", ""),
    ("(record.a in ['x')", ")", "expected `]` before `)`", ""),
    ("record.a == 1)", ")", "unexpected `)`: nothing is open", ""),
    ("record.a == 'x", "'x", "closing quote", ""),
    ("record.a == \"it's", "\"it's", "closing quote", ""),
    ("record.a == '''x'", "'''x'", "closing quote", ""),
    // values and operators that are missing
    ("record.a ==", "==", "expected a value after `==`", ""),
    ("record.a || ", "||", "expected a value after `||`", ""),
    ("&& record.a", "&&", "expected a value before `&&`", ""),
    ("record.a == && record.b", "&&", "expected a value between `==` and `&&`", ""),
    ("()", ")", "expected a value between `(` and `)`", ""),
    ("record[]", "]", "expected a value between `[` and `]`", ""),
    ("// nothing", "// nothing", "without a word", ""),
    ("record.a record.b", "record", "expected an operator before `record`", "`&&` joins"),
    ("record.a == 'x' 'y'", "'y'", "expected an operator before `'y'`", "`&&` joins"),
    ("record.a == 1 (record.b)", "(", "expected an operator before `(`", "`&&` joins"),
    ("{'a' 1}", "1", "expected `:` before `1`", ""),
    ("{'a'}", "}", "expected `:` and a value before `}`", ""),
    ("record.a ? 1", "?", "expected `:`", "condition ? value : other"),
    ("(record.a ? 1) : 2", "?", "expected `:`", "condition ? value : other"),
    ("record.a : 1", ":", "unexpected `:`", "condition ? value : other"),
    ("record.", ".", "expected a name after `.`", ""),
    ("record..a", ".", "expected a name after `.`", ""),
    ("record.*", ".", "expected a name after `.`", "one by one"),
    ("record.'a b' == 1", ".", "expected a name after `.`", "record['…']"),
    ("record.0", ".0", "expected an operator before `.0`", "list[0]"),
    ("record.a!", "!", "unexpected `!`", "stands before"),
    // commas
    ("[1, , 2]", ",", "expected a value between `,` and `,`", ""),
    ("size(record.a,)", ")", "expected a value between `,` and `)`", ""),
    ("size(,record.a)", ",", "expected a value between `(` and `,`", ""),
    ("record.a == 1, record.b", ",", "unexpected `,`", "`&&` joins"),
    ("record.a == 1,000", ",", "unexpected `,`", "without separators"),
    ("record.a IN ('a', 'b')", "IN", "unexpected `IN`", "lower case"),
    ("record.a in ('a', 'b')", ",", "between parentheses", "in brackets"),
    // other languages
    ("record.a = 1", "=", "unexpected `=`", "`==` compares"),
    ("record.a === 1", "===", "unexpected `===`", "`==` compares"),
    ("record.a !== 1", "!==", "unexpected `!==`", "write `!=`"),
    ("record.a <> 1", "<>", "unexpected `<>`", "write `!=`"),
    ("record.a =< 1", "=<", "unexpected `=<`", "write `<=`"),
    ("record.a & record.b", "&", "unexpected `&`", "write `&&`"),
    ("record.a | record.b", "|", "unexpected `|`", "write `||`"),
    ("record.a =~ 'x'", "=~", "unexpected `=~`", "matches"),
    ("record->a", "->", "unexpected `->`", "write `.`"),
    ("record?.a == 1", "?", "unexpected `?.`", "declared"),
    ("record.a ?? 'x'", "??", "unexpected `??`", "!= null ?"),
    ("record.a; record.b", ";", "unexpected `;`", "`&&` joins"),
    ("record.a # x", "#", "unexpected `#`", "//"),
    ("${record.a}", "$", "unexpected `$`", "by itself"),
    ("{{ record.a }}", "{", "unexpected `{`", "by itself"),
    ("record.a and record.b", "and", "unexpected `and`", "write `&&`"),
    ("record.a OR record.b", "OR", "unexpected `OR`", "write `||`"),
    ("not record.a", "not", "unexpected `not`", "write `!`"),
    ("record.a not in ['x']", "not", "unexpected `not`", "!(x in list)"),
    ("record.a IS NULL", "IS", "unexpected `IS`", "== null"),
    ("record.a is not null", "is", "unexpected `is`", "!= null"),
    ("record.a LIKE 'x%'", "LIKE", "unexpected `LIKE`", "startsWith"),
    ("record.a between 1 and 2", "between", "unexpected `between`", ">="),
    ("record.a contains 'x'", "contains", "unexpected `contains`", "x.contains"),
    ("record.a eq 1", "eq", "unexpected `eq`", "write `==`"),
    ("record.a == 'it''s'", "'s'", "a second text", "quote inside"),
    ("record.a == 'it's'", "s", "a word directly behind a text", "quote inside"),
    ("if record.a then true else false", "if", "`if` is a reserved word", "condition ?"),
    ("package == 1", "package", "`package` is a reserved word", ""),
    // characters, numbers, escapes
    ("record.a == “x”", "“", "unexpected `“`", "write `\"`"),
    ("record.a ≥ 1", "≥", "unexpected `≥`", "write `>=`"),
    ("record.a\u{a0}== 1", "\u{a0}", "an invisible character (U+00A0)", "plain space"),
    ("record.é == 1", ".", "expected a name after `.`", "record['…']"),
    ("record.a == 1_000", "1_000", "`1_000` is no number", "separators: 1000"),
    ("record.a == 10k", "10k", "`10k` is no number", "all digits"),
    ("record.a == 5.", ".", "expected a name after `.`", "write `5.0`"),
    ("record.a == 99999999999999999999", "99999999999999999999", "too large for a whole number", "9223372036854775807"),
    ("record.a.matches('a\\d+')", "\\d", "`\\d` is no escape", "r'…\\d…'"),
    ("record.a == '\\u12'", "\\u", "`\\u` needs 4 more digits", ""),
];

#[test]
fn what_is_wrong_is_named_where_it_stands() {
    let mut differs = Vec::new();
    for (source, at, message, help) in CASES {
        let Err(wrong) = read(source, &LIMITS) else {
            differs.push(format!("{source}: is an expression"));
            continue;
        };
        let found = source.get(wrong.at.clone()).unwrap_or("?");
        let offered = wrong.help.clone().unwrap_or_default();
        if found != at
            || !wrong.message.contains(message)
            || !offered.contains(help)
            || help.is_empty() != offered.is_empty()
        {
            differs.push(format!("{source}: `{found}` {} ({offered})", wrong.message));
        }
    }
    assert!(differs.is_empty(), "{}", differs.join("\n"));
}

#[test]
fn what_is_an_expression_is_never_explained_away() {
    for source in [
        "record.package == 'x' && record.if == 1",
        "[1,] == [1] && {'a': 1,} == {} && {} == {'b': [1, 2], 'c': {}}",
        "record.a ? record.b ? 1 : 2 : 3",
        "!(-record.a == -1) && !!record.b",
        "record.a.exists(x, x in [1, 2]) || f(g(), h(1)[0].i)",
        "r'\\d' == '\\\\d' && 'it\\'s' != \"it's\" && '''a\n'b''' != ''",
        "record['a'].b[0] == .5 && 0x1F > 1e-3 && 1.5E+2 < 2 // and so on",
        ".record.a == 1",
    ] {
        // Nothing is wrong with these, so all that is left is the place that the parser would name.
        let wrong = super::explain(source, (1, 1), "");
        assert!(wrong.message.starts_with("unexpected `"), "{source}: {}", wrong.message);
        assert_eq!(wrong.at.start, 0, "{source}: {}", wrong.message);
    }
}

#[test]
fn hostile_texts_are_explained_without_a_panic() {
    let long = "\u{1F600}".repeat(500);
    for source in [
        "",
        "'",
        "\\",
        "'\\",
        "\"\"\"",
        "[{(?:",
        ")]}",
        "a?.",
        "a.?",
        "..",
        "1.",
        "1e",
        "r",
        "br'",
        &long,
        "\u{0}",
        "'\\U00110000'",
    ] {
        for place in [(0, 0), (1, 1), (isize::MAX, isize::MAX), (-1, -1)] {
            let wrong = super::explain(source, place, "invalid int literal");
            assert!(!wrong.message.is_empty());
            assert!(wrong.at.start <= wrong.at.end && wrong.at.end <= source.len().max(1), "{source}: {:?}", wrong.at);
        }
    }
}
