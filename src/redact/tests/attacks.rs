//! What an upstream could answer, by mischief or by accident, so that a value slips past the rules that name it. No case
//! may let the word SECRET out.

use super::*;

/// Whole, byte by byte, and in two pieces: the same comes out, and what has left before an error is as clean. (A name of
/// the caller's own may have left; it is for the error to say that the answer is none.)
fn attack(frame: &Frame, body: &str, expected: Result<&str, Unreadable>) {
    let outcome = redact(frame, body.as_bytes()).map(|(out, _)| out);
    if let Ok(out) = &outcome {
        assert!(!out.contains("SECRET"), "leaked: {body} -> {out}");
    }
    assert_eq!(outcome.as_deref().map_err(|e| *e), expected, "{body}");
    let length = body.len();
    let may_have_left = expected.is_err() && body.contains(r#""name":"SECRET"#);
    for cuts in [(0..length).collect(), vec![length / 3], vec![length / 2], vec![length.saturating_sub(2)]] {
        let limits = Limits { body: length as u64, record: length };
        let mut redactor = Redactor { stream: Stream::new(job(frame, None), limits) };
        let (mut out, mut from) = (Vec::new(), 0);
        let mut done = Ok(());
        for cut in cuts.iter().copied().chain([length]) {
            done = done.and_then(|()| redactor.push(&body.as_bytes()[from..cut], &mut out));
            from = cut;
        }
        let done = done.and_then(|()| redactor.finish(&mut out));
        let out = String::from_utf8_lossy(&out);
        assert!(may_have_left || !out.contains("SECRET"), "leaked in pieces: {body} -> {out}");
        assert_eq!(done.map(|_| &*out).map_err(|_| ()), expected.map_err(|_| ()), "{body} in pieces");
    }
}

#[test]
fn no_spelling_of_a_record_lets_a_hidden_field_out() {
    use Unreadable::{Depth, Duplicate, Encoding, Incomplete, Shape, Syntax, Trailing};
    let deep = format!(r#"{{"prefs":{}"SECRET"{}}}"#, "[".repeat(40), "]".repeat(40));
    // (a record's members beside the caller's own tenant and owner; what of them shows)
    let cases: &[(&str, Result<&str, Unreadable>)] = &[
        // TRAPS 18: duplicates, escaped keys, case variants, other kinds.
        (r#""ssn":"SECRET""#, Ok("")),
        (r#""ssn":1,"ssn":"SECRET""#, Err(Duplicate)),
        (r#""name":"a","name":"SECRET""#, Err(Duplicate)),
        (r#""name":"a","n\u0061me":"SECRET""#, Err(Duplicate)),
        (r#""organization_id":"globex""#, Err(Duplicate)),
        (r#""organization\u005fid":"globex""#, Err(Duplicate)),
        (r#""\u0073sn":"SECRET""#, Ok("")),
        (r#""\u0073\u0073\u006e":"SECRET","ssn":"SECRET""#, Err(Duplicate)),
        (r#""SSN":"SECRET""#, Ok("")),
        (r#""Name":"SECRET""#, Ok("")),
        (r#""ssn ":"SECRET"," ssn":"SECRET""#, Ok("")),
        (r#""ssn\u0000":"SECRET""#, Ok("")),
        (r#""":"SECRET""#, Ok("")),
        (r#""name":["SECRET"]"#, Ok("")),
        (r#""name":{"ssn":"SECRET"}"#, Ok("")),
        (r#""name":[{"ssn":"SECRET"}]"#, Ok("")),
        (r#""id":"SECRET""#, Ok("")),
        (r#""amount":"SECRET""#, Ok("")),
        (r#""tags":"SECRET""#, Ok("")),
        (r#""tags":[{"ssn":"SECRET"}]"#, Ok("")),
        (r#""tags":[["SECRET"]]"#, Ok("")),
        (r#""created_at":{"at":"SECRET"}"#, Ok("")),
        // U3, U4, U6: renamed members, undeclared expansions, round trips.
        (r#""boss":"SECRET","account_internal_note":"SECRET""#, Ok("")),
        (r#""@odata.etag":"SECRET","name@odata.type":"SECRET""#, Ok("")),
        (r#""account":{"organization_id":"acme","margin":"SECRET"}"#, Ok(r#","account":{"organization_id":"acme"}"#)),
        (
            r#""account":{"organization_id":"acme","m\u0061rgin":"SECRET","MARGIN":"SECRET"}"#,
            Ok(r#","account":{"organization_id":"acme"}"#),
        ),
        (
            r#""account":{"organization_id":"acme","contacts":[{"organization_id":"globex","name":"SECRET"}]}"#,
            Ok(r#","account":{"organization_id":"acme","contacts":[]}"#),
        ),
        (
            r#""account":{"organization_id":"acme","account":{"organization_id":"acme","name":"SECRET"}}"#,
            Ok(r#","account":{"organization_id":"acme"}"#),
        ),
        (r#""account":{"name":"SECRET"}"#, Ok(r#","account":null"#)),
        (r#""account":{"organization_id":["acme"],"name":"SECRET"}"#, Ok(r#","account":null"#)),
        (r#""account":{"organization_id":"acme","state":"held","name":"SECRET"}"#, Ok(r#","account":null"#)),
        (r#""account":["SECRET"]"#, Ok("")),
        (r#""account":{"organization_id":"acme","margin":1,"margin":"SECRET"}"#, Err(Duplicate)),
        (r#""notes":[{"organization_id":"acme","organization_id":"globex","body":"SECRET"}]"#, Err(Duplicate)),
        (r#""notes":[{"organization_id":"globex","body":"SECRET"},{}]"#, Ok(r#","notes":[]"#)),
        (r#""notes":[null,{"organization_id":"acme","body":"SECRET"}]"#, Ok("")),
        (r#""notes":"SECRET""#, Ok("")),
        (r#""notes":{"organization_id":"acme","body":"SECRET"}"#, Ok("")),
        (r#""prefs":{"deep":{"flag":1,"fl\u0061g":"SECRET"}}"#, Err(Duplicate)),
        // U4, U5, U11: other names for the same, property values, links with keys.
        (r#""ssn$":"SECRET","_ssn":"SECRET","ssn.value":"SECRET","account/margin":"SECRET""#, Ok("")),
        (r#""$value":"SECRET","value":"SECRET","@odata.editLink":"https://internal/SECRET""#, Ok("")),
        (r#""_links":{"self":{"href":"https://internal/SECRET"}},"links":["SECRET"]"#, Ok("")),
        (r#""__proto__":{"ssn":"SECRET"},"constructor":"SECRET","toString":"SECRET""#, Ok("")),
        // U8, U12: cursors of sort values, numbers as text.
        (r#""cursor":"SECRET","created_at":12345678901234567890,"id":"12""#, Ok("")),
        (r#""account":{"organization_id":"globex","name":"SECRET"}"#, Ok(r#","account":null"#)),
        (r#""account":[{"organization_id":"acme","name":"SECRET"}]"#, Ok("")),
        (r#""account":{"organization_id":"acme","organization_id":"globex","name":"SECRET"}"#, Err(Duplicate)),
        (r#""account":{"state":"a","st\u0061te":"b"}"#, Err(Duplicate)),
        (r#""notes":{"0":{"internal":"SECRET"}}"#, Ok("")),
        (r#""notes":["SECRET"]"#, Ok("")),
        (r#""notes":[{"organization_id":"acme","internal":"SECRET"},"SECRET"]"#, Ok("")),
        (r#""notes":[[{"organization_id":"acme","body":"SECRET"}]]"#, Ok("")),
        (r#""audit":[{"organization_id":"acme","body":"SECRET"}]"#, Ok("")),
        // TRAPS 19, 23: spellings and commas.
        (r#""x":"SECRET","name":"ok","y":"SECRET""#, Ok(r#","name":"ok""#)),
        (r#""x":{"a":[1,{"b":"SECRET"}]},"y":[],"z":{}"#, Ok("")),
        (r#""x":"\"},{\"ssn\":\"SECRET""#, Ok("")),
        (
            r#""x" : "SECRET" , "name"
  :	"ok","y":"SECRET""#,
            Ok(r#" , "name"
  :	"ok""#),
        ),
        (r#""x":"\\\"SECRET","y":"\\","z":"SECRET""#, Ok("")),
        (r#""x":-0.0e-10,"y":1E+2,"z":"SECRET""#, Ok("")),
        // TRAPS 24: what hides in text is the policy's to name; a field that is hidden hides it.
        (r#""ssn":"{\"name\":\"SECRET\"}","audit":"U0VDUkVU SECRET""#, Ok("")),
        (r#""x":"SECRET\\","name":"ok""#, Ok(r#","name":"ok""#)),
        // TRAPS 20, 22: what is no JSON fails the whole, also inside what would be removed.
        (r#""x":"\ud800 SECRET""#, Err(Encoding)),
        (r#""x":"\udc00\ud800 SECRET""#, Err(Encoding)),
        (r#""x":01,"name":"SECRET""#, Err(Syntax)),
        (r#""x":NaN,"name":"SECRET""#, Err(Syntax)),
        (r#""x":'SECRET'"#, Err(Syntax)),
        (r#""name":"SECRET",}"#, Err(Syntax)),
        (r#""name":"SECRET" "ssn":1"#, Err(Syntax)),
        (r#""name":"SECRET"}] [{"#, Err(Trailing)),
        (r#""name":"SECRET"}]}"#, Err(Trailing)),
        (r#""name":"SECRET"/**/"#, Err(Syntax)),
        ("\"name\":\"SECRET\t\"", Err(Syntax)),
        ("\"name\":\"SECRET", Err(Incomplete)),
        (&deep, Err(Syntax)),
    ];
    let bare =
        Frame::List { records: place(""), totals: Vec::new(), keep: Vec::new(), echoes: Vec::new(), exact: false };
    for (members, expected) in cases {
        let expected = expected.map(|kept| format!("[{{{OWN}{kept}}}]"));
        attack(&bare, &format!("[{{{OWN},{members}}}]"), expected.as_deref().map_err(|e| *e));
    }
    attack(&bare, &format!("[{{{OWN},{}]", deep.trim_start_matches('{')), Err(Depth));
    attack(&bare, r#"[{"ssn":"SECRET"}]"#, Ok("[]"));
    attack(&bare, r#"[["SECRET"]]"#, Err(Shape));
    attack(&bare, r#"["SECRET"]"#, Err(Shape));
    attack(&bare, r#"[null]"#, Err(Shape));
    attack(&bare, &format!(r#"{{{OWN},"name":"SECRET"}}"#), Err(Shape));
    attack(&bare, r#""SECRET""#, Err(Shape));
    attack(&bare, "", Err(Incomplete));
    attack(&bare, "\u{feff}[]", Err(Encoding));
    attack(&bare, "SECRET", Err(Syntax));
}

#[test]
fn no_envelope_lets_anything_out_that_is_not_named() {
    use Unreadable::{Duplicate, Shape};
    for (body, expected) in [
        (r#"{"data":[],"data":[{"name":"SECRET"}]}"#, Err(Duplicate)),
        (r#"{"data":[],"d\u0061ta":[{"name":"SECRET"}]}"#, Err(Duplicate)),
        (r#"{"meta":{"total":1},"meta":{"total":"SECRET"},"data":[]}"#, Err(Duplicate)),
        (r#"{"meta":{"total":1,"total":2},"data":[]}"#, Err(Duplicate)),
        (r#"{"next":"a","next":"SECRET","data":[]}"#, Err(Duplicate)),
        (r#"{"meta":{"total":987,"total_count":987},"data":[]}"#, Ok(r#"{"meta":{},"data":[]}"#)),
        (r#"{"data":[],"meta":"SECRET"}"#, Ok(r#"{"data":[]}"#)),
        (r#"{"data":[],"meta":[{"page":"SECRET"}]}"#, Ok(r#"{"data":[]}"#)),
        (r#"{"data":[],"meta":{"page":{"x":"SECRET"}}}"#, Ok(r#"{"data":[],"meta":{}}"#)),
        (r#"{"next":["SECRET"],"data":[]}"#, Ok(r#"{"data":[]}"#)),
        (r#"{"DATA":[{"name":"SECRET"}],"data":[]}"#, Ok(r#"{"data":[]}"#)),
        (r#"{"errors":[{"message":"SECRET"}],"data":[],"extensions":{"sql":"SECRET"}}"#, Ok(r#"{"data":[]}"#)),
        (r#"{"errors":[{"message":"SECRET"}]}"#, Err(Shape)),
        (r#"{"data":{"name":"SECRET"}}"#, Err(Shape)),
        (r#"{"data":null,"x":"SECRET"}"#, Err(Shape)),
        (r#"{"data":"SECRET"}"#, Err(Shape)),
        (r#"[{"name":"SECRET"}]"#, Err(Shape)),
        (r#"{"value":"SECRET"}"#, Err(Shape)),
        ("{}", Err(Shape)),
    ] {
        attack(&list(false), body, expected);
    }
    let exact = r#"{"meta":{"total":"SECRET"},"data":[]}"#;
    attack(&list(true), exact, Ok(r#"{"meta":{},"data":[]}"#));
    let record = Frame::Record(place("data"));
    for (body, expected) in [
        (r#"{"data":[{"organization_id":"acme","name":"SECRET"}]}"#, Err(Shape)),
        (r#"{"data":"SECRET"}"#, Err(Shape)),
        (r#"{"name":"SECRET"}"#, Err(Shape)),
        (r#"{"data":{"organization_id":"globex","name":"SECRET"},"meta":"SECRET"}"#, Ok("")),
        (
            r#"{"data":{"organization_id":"acme","ssn":"SECRET"},"meta":"SECRET"}"#,
            Ok(r#"{"data":{"organization_id":"acme"}}"#),
        ),
        (r#"{"data":{"organization_id":"acme"},"data":{"name":"SECRET"}}"#, Err(Duplicate)),
    ] {
        attack(&record, body, expected);
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_wherever_they_are() {
    for bytes in [&b"\xff"[..], b"\xc0\xae", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"] {
        for (before, after) in [("[{\"x\":\"", "\"}]"), ("[{\"", "\":1}]"), ("[", "]"), ("[]", "")] {
            let body = [before.as_bytes(), bytes, after.as_bytes()].concat();
            let bare = Frame::List {
                records: place(""),
                totals: Vec::new(),
                keep: Vec::new(),
                echoes: Vec::new(),
                exact: false,
            };
            let expected = if before == "[]" { Unreadable::Trailing } else { Unreadable::Encoding };
            assert_eq!(redact(&bare, &body).unwrap_err(), expected, "{before}{bytes:?}{after}");
        }
    }
}

#[test]
fn what_stands_between_members_is_looked_at_in_records_like_those_before() {
    let record = r#"{"id":1,"name":"Anna","tags":["a","b"],"amount":1.5,"state":"open","owner_id":"me","prefs":{"a":[1]},"organization_id":"acme","ssn":"078-05"}"#;
    let list = |second: &str| format!(r#"{{"data":[{record},{second},{record}]}}"#);
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    let (plain, _) = redact(&super::list(false), list(record).as_bytes()).expect("readable");
    let mut wrong = 0;
    for place in 0..=record.len() {
        for byte in 0..=b' ' {
            let mut second = record.to_owned();
            second.insert(place, char::from(byte));
            let body = list(&second);
            match (serde_json::from_str::<serde_json::Value>(&body), redact(&super::list(false), body.as_bytes())) {
                (Ok(_), Ok((shown, _))) if byte != b' ' => assert_eq!(parsed(&shown), parsed(&plain), "{body:?}"),
                (Ok(_), shown) => assert!(shown.is_ok(), "{body:?}"),
                (Err(_), shown) => {
                    wrong += 1;
                    assert!(shown.is_err(), "{body:?}");
                }
            }
        }
    }
    assert!(wrong > record.len() * 28, "{wrong}");
}

#[test]
fn a_name_as_long_as_those_that_are_compared_at_once_is_met_whole() {
    // A field is taken for another neither where its name begins like that one's nor where it ends like it.
    for length in 20..40 {
        let foreign = "x".repeat(length);
        let shorter = "x".repeat(length - 1);
        for other in [format!("{foreign}x"), shorter.clone(), format!("{shorter}y")] {
            let record = |name: &str, value: &str| {
                format!(
                    r#"{{"id":1,"{name}":"{value}","owner_id":"me","organization_id":"acme","name":"Anna","state":"open","prefs":{{"a":"{}"}}}}"#,
                    "-".repeat(200)
                )
            };
            let body = format!(
                r#"{{"data":[{},{},{}]}}"#,
                record(&foreign, "SECRET"),
                record(&foreign, "SECRET"),
                record(&other, "SECRET")
            );
            let (shown, tally) = redact(&super::list(false), body.as_bytes()).expect("readable");
            assert!(!shown.contains("SECRET") && !shown.contains("xxx"), "{shown}");
            assert_eq!((tally.kept, tally.undeclared), (3, 3), "{shown}");
        }
    }
}

#[test]
fn nothing_stands_for_a_name_however_long_that_is() {
    for length in 20..140 {
        let record = |name: &str| {
            let rest = r#""owner_id":"me","organization_id":"acme","name":"Anna","state":"open""#;
            format!(r#"{{"id":1,{name}"x",{rest},"prefs":{{"a":"{}"}}}}"#, "-".repeat(200))
        };
        let usual = format!("\"{}\":", "x".repeat(length));
        // In its place what no name is, with something behind it that would pass unseen.
        for odd in ["\0", "\u{1}", " ", "\u{7f}"] {
            for seen in [16, 32, 64, usual.len()] {
                let odd = odd.repeat(seen);
                let hidden = format!("{:<1$}", r#""ssn":"SECRET","#, usual.len().saturating_sub(seen));
                let body = format!(r#"{{"data":[{},{}]}}"#, record(&usual), record(&format!("{odd}{hidden}")));
                let valid = serde_json::from_str::<serde_json::Value>(&body).is_ok();
                let shown = redact(&super::list(false), body.as_bytes());
                assert!(!valid && shown.is_err(), "{length} {odd:?} {seen}: {shown:?}");
            }
        }
    }
}

#[test]
fn what_an_upstream_tells_beside_records_passes_only_where_nothing_was_dropped() {
    let own = format!(r#"{{"id":1,{OWN}}}"#);
    let cursor = |records: &str| format!(r#"{{"next":"c2VjcmV0","data":[{records}],"meta":{{"page":1}}}}"#);
    assert_eq!(redact(&list(true), cursor(&own).as_bytes()).expect("readable").0, cursor(&own));
    let foreign = r#"{"id":2,"organization_id":"globex"}"#;
    let bare = format!(r#"{{"data":[{own}],"meta":{{"page":1}}}}"#);
    for body in
        [cursor(&format!("{own},{foreign}")), format!(r#"{{"data":[{foreign},{own}],"next":"c","meta":{{"page":1}}}}"#)]
    {
        assert_eq!(redact(&list(true), body.as_bytes()).expect("readable").0, bare);
        assert_eq!(redact(&list(false), body.as_bytes()).expect("readable").0, bare);
    }
    // Whether any will be dropped is not known where the list isn't exact.
    assert_eq!(redact(&list(false), cursor(&own).as_bytes()).expect("readable").0, bare);
    let told = cursor(&format!("{own},{foreign}"));
    assert_eq!(in_chunks(&list(true), told.as_bytes(), &[]), Err(Unreadable::Count), "it had left");
}

#[test]
fn members_that_stay_are_any_number_whatever_is_known_yet() {
    let note = r#"{"organization_id":"acme","id":1,"body":"b"}"#;
    let many = vec![note; record::MAX_ENTRIES / 3].join(",");
    let body = format!(r#"[{{{OWN},"notes":[{many}]}}]"#);
    let frame = Frame::List { records: place(""), totals: vec![], keep: vec![], echoes: vec![], exact: false };
    // Each record has an entry, and its members had some until it was known that they stay.
    let (out, tally) = redact(&frame, body.as_bytes()).expect("readable");
    assert_eq!((out, tally.kept), (body.clone(), 1));
    let (out, _) = in_chunks(&frame, body.as_bytes(), &[100, 1000]).expect("readable");
    assert_eq!(out, body);
}

#[test]
fn a_record_has_only_so_many_members_that_change() {
    let most = record::MAX_ENTRIES;
    let undeclared = |count: usize| format!("[{{{OWN}{}}}]", r#","":0"#.repeat(count));
    let related = |count: usize| format!(r#"[{{{OWN},"notes":[{{}}{}]}}]"#, ",{}".repeat(count));
    let frame = Frame::List { records: place(""), totals: vec![], keep: vec![], echoes: vec![], exact: false };
    for body in [undeclared(most - 16), related(most - 16)] {
        assert!(redact(&frame, body.as_bytes()).is_ok());
    }
    for body in [undeclared(most + 1), related(most)] {
        assert_eq!(redact(&frame, body.as_bytes()), Err(Unreadable::TooLarge));
        assert_eq!(in_chunks(&frame, body.as_bytes(), &[1000, 2000]), Err(Unreadable::TooLarge));
    }
}
