//! The reports over the same findings: counted, placed, and complete for those who read them by machine.

use serde_json::Value;

use super::*;
use crate::diagnostic::Source;

fn found() -> Vec<Diagnostic> {
    let source = Source::new("conf/../é.yaml", "é: 1\ny: \"two\n  three\"\n");
    let gone = Source::new("gone.yaml", "");
    vec![
        Diagnostic::error("bad-size", Span::new(&source, 9..21), "bad"),
        Diagnostic::warning("letter-case", Span::new(&source, 0..2), "odd").help("mend it"),
        Diagnostic::warning("letter-case", Span::new(&source, 4..5), "odd too"),
        Diagnostic::error("file-unreadable", Span::new(&gone, 0..0), "can't be read"),
    ]
}

fn parsed(text: serde_json::Result<String>) -> Value {
    serde_json::from_str(&text.expect("written")).expect("JSON")
}

#[test]
fn what_was_found_is_counted() {
    assert_eq!(summary(&found()), "2 errors, 2 warnings");
    assert_eq!(summary(&[]), "0 errors, 0 warnings");
}

#[test]
fn colours_are_for_terminals_whose_owner_wants_them() {
    let with = |set: &'static [(&str, &str)]| {
        move |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    assert!(coloured(true, with(&[])));
    assert!(coloured(true, with(&[("NO_COLOR", ""), ("TERM", "xterm")])));
    assert!(!coloured(true, with(&[("NO_COLOR", "1")])));
    assert!(!coloured(true, with(&[("TERM", "dumb")])));
    assert!(!coloured(false, with(&[])));
    assert!(diagnostic::render(&found(), true).contains('\u{1b}'));
    assert!(!diagnostic::render(&found(), false).contains('\u{1b}'));
}

#[test]
fn json_places_each_by_line_and_column() {
    let shown = parsed(json::report(&found()));
    let place = |index: usize| -> Vec<u64> {
        let members = ["line", "column", "end_line", "end_column"];
        members.iter().map(|member| shown[index][member].as_u64().expect("a number")).collect()
    };
    assert_eq!((place(0), place(1)), (vec![2, 4, 3, 8], vec![1, 1, 1, 2]));
    assert_eq!(shown[1]["help"], "mend it");
    assert_eq!(shown[0]["help"], Value::Null);
    assert_eq!(shown.as_array().map(Vec::len), Some(4));
}

/// The members that SARIF 2.1.0 requires, and the semantics of its regions.
#[test]
fn sarif_is_whole() {
    let log = parsed(sarif::report(&found(), true));
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().is_some_and(|schema| schema.ends_with("sarif-schema-2.1.0.json")));
    let run = &log["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    assert_eq!(run["tool"]["driver"]["name"], "scrim");
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    assert_eq!(run["invocations"][0]["toolExecutionNotifications"], Value::Array(Vec::new()));
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let ids: Vec<_> = rules.iter().map(|rule| rule["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, ["bad-size", "file-unreadable", "letter-case"]);
    for rule in rules {
        assert!(rule["shortDescription"]["text"].as_str().is_some_and(|text| text.ends_with('.')), "{rule}");
    }
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 4);
    for (result, found) in results.iter().zip(found()) {
        assert_eq!(result["ruleId"], found.code);
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(ids.get(index), Some(&found.code));
        assert_eq!(result["level"], level(found.severity));
        assert!(result["message"]["text"].as_str().is_some_and(|text| text.starts_with(&found.message)));
    }
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "%C3%A9.yaml");
    // From the quote to behind the last letter; characters, not bytes.
    let expected = serde_json::json!({
        "startLine": 2, "startColumn": 4, "endLine": 3, "endColumn": 8, "charOffset": 8, "charLength": 12
    });
    assert_eq!(place["region"], expected);
    assert_eq!(results[1]["message"]["text"], "odd (help: mend it)");
    let unreadable = &results[3]["locations"][0]["physicalLocation"];
    assert_eq!(unreadable, &serde_json::json!({ "artifactLocation": { "uri": "gone.yaml" } }));
    let unchecked = parsed(sarif::report(&[], false));
    let notification = &unchecked["runs"][0]["invocations"][0]["toolExecutionNotifications"][0];
    assert_eq!(notification["message"]["text"], UNCHECKED);
}
