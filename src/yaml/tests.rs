//! YAML with places: what is read, and what is refused.

use super::*;

fn read(text: &str) -> Result<Node, Vec<String>> {
    parse(&Source::new("f.yaml", text)).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn value(text: &str, key: &str) -> Text {
    let node = read(text).expect("valid YAML");
    let Value::Map(entries) = node.value else { panic!("a mapping") };
    match &entries.iter().find(|(name, _)| name.value == key).expect("the key").1.value {
        Value::Plain(text) | Value::Quoted(text) => text.clone(),
        other => panic!("a scalar, not {other:?}"),
    }
}

/// Every occurrence of `word` in the value must map to the same word in the file.
fn assert_maps(file: &str, key: &str, word: &str) {
    let text = value(file, key);
    let start = text.value.find(word).expect("the word is in the value");
    let span = text.part(start..start + word.len());
    assert_eq!(file.get(span.range.clone()), Some(word), "{:?}", text.value);
}

#[test]
fn columns_map_back_through_every_scalar_style() {
    assert_maps("rows: record.owner == principal.id\n", "rows", "principal");
    assert_maps("rows: 'record.x == ''a'' && bad'\n", "rows", "bad");
    assert_maps("rows: \"record.x == \\\"a\\u0041\\\" && bad\"\n", "rows", "bad");
    assert_maps("a: 1\nrows: |\n  record.x == 1\n    && bad\n", "rows", "bad");
    assert_maps("rows: >-\n  record.x == 1\n  && bad.name\n", "rows", "bad.name");
    assert_maps("rows: record.é == 1\n  && bad\n", "rows", "bad");
    assert_maps("rows: \"record.x\n  && bad\"\n", "rows", "bad");
}

#[test]
fn a_negation_that_yaml_takes_for_a_tag_is_an_error() {
    let errors = read("rows: !record.private\n").expect_err("a tag");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("f.yaml:1:7: error[yaml-tag]: `!record.private` is a YAML tag"), "{errors:?}");
    assert!(errors[0].contains("quote the whole expression"));
    assert!(read("rows: ! record.private\n").is_err());
    assert!(read("rows: !!str x\n").is_err());
}

#[test]
fn an_expression_cut_by_a_comment_is_an_error_and_a_remark_is_not() {
    let errors = read("rows: mine #&& record.ok\n").expect_err("a swallowed condition");
    assert!(errors[0].contains("f.yaml:1:12: error[yaml-comment]"), "{errors:?}");
    assert!(read("rows: mine # || record.ok\n").is_err());
    assert!(read("rows: mine # the owner's\n").is_ok());
    assert!(read("rows: \"mine\" # && x\n").is_ok());
}

#[test]
fn everything_that_hides_a_value_is_refused_and_all_of_it_at_once() {
    let errors = read("a: &x 1\na: 2\nb: *x\n<<: {c: 1}\n").expect_err("four mistakes");
    let codes: Vec<bool> = ["yaml-anchor", "yaml-duplicate-key", "yaml-alias", "yaml-merge"]
        .iter()
        .map(|code| errors.iter().any(|error| error.contains(code)))
        .collect();
    assert_eq!(codes, [true; 4], "{errors:?}");
    assert!(read("a: 1\n---\nb: 2\n").is_err());
    assert!(read("? [a]\n: 1\n").is_err());
    assert!(read("").is_err());
    assert!(read(&"[".repeat(100)).is_err());
}

#[test]
fn unknown_keys_come_with_the_word_that_was_meant() {
    let node = read("tabel: contacts\n").expect("valid YAML");
    let mut reader = Reader::default();
    let mut fields = reader.fields(&node, "a policy");
    assert!(fields.require("table", &mut reader).is_none());
    fields.finish(&mut reader);
    let shown: Vec<String> = reader.diagnostics.iter().map(ToString::to_string).collect();
    // A key that is misspelled is not missing besides.
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert!(shown[0].contains("did you mean `table`?"));
    let node = read("rows: all\n").expect("valid YAML");
    let mut reader = Reader::default();
    let mut fields = reader.fields(&node, "a grant");
    // A known key that resembles a missing one excuses nothing.
    assert!(fields.require("roles", &mut reader).is_none());
    assert!(fields.take("rows").is_some());
    fields.finish(&mut reader);
    let shown: Vec<String> = reader.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["f.yaml:1:1: error[missing-key]: a grant needs `roles`"]);
}

#[test]
fn broken_yaml_is_explained_where_it_stands() {
    for (text, line, column, message, help) in [
        ("a:\n\tb: 1\n", 2, 1, "a tab", "spaces"),
        ("a: 1\nb:\n  - c\n\t- d\n", 4, 1, "a tab", "spaces"),
        ("rows: a ? b : c\n", 1, 13, "a second `: `", "quote"),
        ("a: { b: x[.]y }\n", 1, 10, "expected `,`", "quote"),
        ("a: [b\nc: d\n", 2, 2, "unexpected `:`", "bracket above"),
        ("a: 'b' c\n", 1, 8, "unexpected text behind", "quote"),
        ("a: \"b\n", 1, 4, "unclosed quote", ""),
    ] {
        let errors = parse(&Source::new("f.yaml", text)).expect_err(text);
        let [error] = errors.as_slice() else { panic!("{text}: {errors:?}") };
        assert_eq!((error.span.position(), error.code), ((line, column), "yaml-syntax"), "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
        assert!(error.help.clone().unwrap_or_default().contains(help), "{text}: {error}");
    }
}
