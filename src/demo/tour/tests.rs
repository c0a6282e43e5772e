//! The demo's tour, from its requests to what it shows.

use serde_json::json;

use super::*;

fn reply(status: u16, body: &Value) -> Reply {
    Reply::new(StatusCode::from_u16(status).unwrap(), HeaderMap::new(), Bytes::from(body.to_string()))
}

fn cases() -> Vec<Case> {
    cases::all(&Store::seeded())
}

#[test]
fn what_the_crm_says_by_itself_fails_every_list_of_the_tour() {
    let store = Store::seeded();
    let rows: Vec<&crate::demo::data::Row> = store.rows("contacts").take(100).collect();
    let raw = reply(200, &json!({ "data": rows, "meta": { "total": 384, "debug": "SECRET-DEBUG" } }));
    assert!(leaks(&raw) > 100);
    for case in cases().iter().filter(|case| case.target.starts_with("/v1/contacts?limit")) {
        assert!(!differences(case, &raw, &[]).is_empty(), "{}", case.why);
    }
}

#[test]
fn an_empty_answer_is_not_what_a_list_promises() {
    let empty = reply(200, &json!({ "data": [] }));
    let case = &cases()[0];
    assert!(differences(case, &empty, &[]).iter().any(|difference| difference.contains("missing")));
}

#[test]
fn an_answer_with_exactly_the_promised_rows_passes() {
    let case = case_for(&[json!(1)]);
    assert!(differences(&case, &reply(200, &json!({ "data": [{ "id": 1 }] })), &[]).is_empty());
    assert_eq!(differences(&case, &reply(200, &json!({ "data": [{ "id": 1 }, { "id": 2 }] })), &[]).len(), 1);
    assert_eq!(differences(&case, &reply(200, &json!({ "data": [{ "id": 1 }, { "id": 1 }] })), &[]).len(), 1);
}

fn case_for(ids: &[Value]) -> Case {
    let mut case = cases().remove(0);
    case.expected = vec![Expected::Ids(ids.to_vec())];
    case
}

#[test]
fn markers_are_found_in_heads_texts_and_numbers() {
    for (body, found) in [
        (json!("SECRET-NOTE-0001"), 1),
        (json!({ "credit": 7_700_321 }), 1),
        (json!({ "margin": 9_100_002.37 }), 1),
        (json!({ "margin": 9_100_000.37 }), 1),
        (json!({ "revenue": 77_000_011.25, "amount": 770_001.5 }), 0),
    ] {
        assert_eq!(leaks(&reply(200, &body)), found, "{body}");
    }
    let mut head = reply(200, &Value::Null);
    head.headers.insert("x-debug", http::HeaderValue::from_static("SECRET-SQL"));
    assert_eq!(leaks(&head), 1);
}

#[test]
fn every_label_is_used_and_stands_before_its_use() {
    let cases = cases();
    for (place, case) in cases.iter().enumerate() {
        for expected in &case.expected {
            if let Expected::SameAs(label) = expected {
                assert!(cases::position(label).is_some_and(|earlier| earlier < place), "{label}");
            }
        }
    }
}

#[test]
fn the_table_fits_110_columns() {
    for case in cases() {
        let mut out = anstream::StripStream::new(Vec::new());
        line(&mut out, &case, Some(&reply(200, &Value::Null)), true).unwrap();
        let line = String::from_utf8(out.into_inner()).unwrap();
        assert!(line.trim_end().chars().count() <= 110, "{line}");
        assert!(case.why.len() <= 46, "{}", case.why);
    }
    assert!(wrapped(&"a-rule, and-another, ".repeat(40)).iter().all(|line| INDENT + line.chars().count() <= 110));
    assert_eq!(wrapped(&"long".repeat(60)).first().map(|line| line.chars().count()), Some(WIDTH - INDENT));
}

#[test]
fn a_request_without_an_answer_is_a_line_of_the_table() {
    let mut out = anstream::StripStream::new(Vec::new());
    line(&mut out, &cases()[0], None, false).unwrap();
    let line = String::from_utf8(out.into_inner()).unwrap();
    assert!(line.starts_with("BAD") && line.contains("none"), "{line}");
}

#[test]
fn metrics_are_summed_over_their_labels_and_not_over_their_namesakes() {
    let text = "# HELP a A.\na{how=\"masked\"} 3\na{how=\"removed\"} 4\na_b 9\nc 5\n";
    assert_eq!((sum(text, "a"), sum(text, "c"), sum(text, "d")), (7, 5, 0));
}
