//! What is a batch and what is none, and answers that are none.

use super::*;

fn read_all(batches: Batches, body: &str) -> Result<Vec<Part<'_>>, Reason> {
    read(batches, body.as_bytes(), 3, 16)
}

fn odata(parts: &str) -> Result<Vec<Part<'static>>, Reason> {
    let body: &'static str = Box::leak(format!("{{\"requests\":[{parts}]}}").into_boxed_str());
    read_all(Batches::Odata, body)
}

const WRITE: &str = r#""method":"POST","url":"contacts","body":{"name":"a"}"#;

#[test]
fn a_batch_is_a_list_of_plain_requests() {
    let body = r#"{"requests":[{"method":"PATCH","url":"/api/x/1","headers":{},"body":{"a":1}},
        {"method":"DELETE","url":"/api/x/2","headers":null,"body":{}}]}"#;
    let parts = read_all(Batches::Pocketbase, body).expect("a batch");
    let found: Vec<_> = parts.iter().map(|part| (part.method.as_str(), part.url.as_str(), part.body)).collect();
    assert_eq!(found, [("PATCH", "/api/x/1", &br#"{"a":1}"#[..]), ("DELETE", "/api/x/2", b"")]);

    let parts = odata(&format!(
        r#"{{"id":"a","method":"GET","url":"contacts?$top=1","headers":{{"Accept":"application/json"}}}},
           {{"id":"b","atomicityGroup":"g",{WRITE},"dependsOn":[]}},
           {{"id":"c","atomicityGroup":"g","method":"DELETE","url":"contacts(1)"}}"#
    ))
    .expect("a batch");
    let found: Vec<_> = parts.iter().map(|part| (part.id.as_deref(), part.group.as_deref())).collect();
    assert_eq!(found, [(Some("a"), None), (Some("b"), Some("g")), (Some("c"), Some("g"))]);
}

#[test]
fn whatever_else_is_in_a_part_refuses_the_batch() {
    let wrong = [
        String::new(),
        format!(r#"{{{WRITE}}}"#),
        format!(r#"{{"id":"",{WRITE}}}"#),
        format!(r#"{{"id":"$1",{WRITE}}}"#),
        format!(r#"{{"id":1,{WRITE}}}"#),
        format!(r#"{{"id":"a",{WRITE},"if":"b"}}"#),
        format!(r#"{{"id":"a",{WRITE},"extra":1}}"#),
        format!(r#"{{"id":"a",{WRITE},"method":"DELETE"}}"#),
        format!(r#"{{"id":"a",{WRITE},"\u006dethod":"DELETE"}}"#),
        format!(r#"{{"id":"a",{WRITE},"headers":{{"Authorization":"Bearer x"}}}}"#),
        format!(r#"{{"id":"a",{WRITE},"headers":{{"Host":"other"}}}}"#),
        format!(r#"{{"id":"a",{WRITE},"headers":{{"If-Match":"*"}}}}"#),
        format!(r#"{{"id":"a",{WRITE},"headers":{{"X-HTTP-Method-Override":"DELETE"}}}}"#),
        format!(r#"{{"id":"a",{WRITE},"headers":{{"Prefer":"continue-on-error"}}}}"#),
        format!(r#"{{"id":"a",{WRITE},"headers":{{"Content-Type":"text/plain"}}}}"#),
        format!(r#"{{"id":"a",{WRITE},"headers":{{"accept":"*/*","Accept":"*/*"}}}}"#),
        format!(r#"{{"id":"a","atomicityGroup":"g",{WRITE}}},{{"id":"a","atomicityGroup":"g",{WRITE}}}"#),
        // Done in part.
        format!(r#"{{"id":"a",{WRITE}}},{{"id":"b",{WRITE}}}"#),
        format!(r#"{{"id":"a","atomicityGroup":"g",{WRITE}}},{{"id":"b",{WRITE}}}"#),
        format!(r#"{{"id":"a","atomicityGroup":"g",{WRITE}}},{{"id":"b","atomicityGroup":"h",{WRITE}}}"#),
        format!(
            r#"{{"id":"a","atomicityGroup":"g",{WRITE}}},{{"id":"r","method":"GET","url":"x"}},{{"id":"b","atomicityGroup":"g",{WRITE}}}"#
        ),
        r#"{"id":"r","method":"GET","url":"x","atomicityGroup":"g"}"#.to_owned(),
        // One that depends on another.
        format!(
            r#"{{"id":"a","atomicityGroup":"g",{WRITE}}},{{"id":"b","atomicityGroup":"g",{WRITE},"dependsOn":["a"]}}"#
        ),
    ];
    for parts in wrong {
        assert_eq!(odata(&parts), Err(Reason::BodyMalformed), "{parts}");
    }
    let part = format!(r#"{{"id":"a",{WRITE}}}"#);
    assert_eq!(odata(&[part.as_str(); 4].join(",")), Err(Reason::BodyTooLarge));
    for body in
        ["", "[]", "{}", "{\"requests\":{}}", "{\"requests\":[]}", "{\"requests\":[1]}", "{\"requests\":[],\"a\":1}"]
    {
        assert_eq!(read_all(Batches::Odata, body), Err(Reason::BodyMalformed), "{body}");
        assert_eq!(read_all(Batches::Pocketbase, body), Err(Reason::BodyMalformed), "{body}");
    }
    for part in [
        r#"{"method":"GET","url":"/api/x"}"#,
        r#"{"method":"DELETE","url":"/api/x/1","headers":{"Authorization":"x"}}"#,
        r#"{"method":"DELETE","url":"/api/x/1","id":"a"}"#,
        r#"{"method":"DELETE","url":["/api/x/1"]}"#,
    ] {
        assert_eq!(
            read_all(Batches::Pocketbase, &format!("{{\"requests\":[{part}]}}")),
            Err(Reason::BodyMalformed),
            "{part}"
        );
    }
}

fn answers(batches: Batches, writes: usize, body: &'static str) -> Result<Answers, Unreadable> {
    Batch { batches, plans: vec![None; writes], prefix: "p-".to_owned() }
        .answers(&Bytes::from_static(body.as_bytes()), 16)
}

#[test]
fn each_write_is_answered_once_or_nothing_is_believed() {
    let done = |bodies: &[&'static str]| {
        Ok(Answers::Done(bodies.iter().map(|body| Bytes::from_static(body.as_bytes())).collect()))
    };
    let both = r#"[{"status":200,"body":{"a":1}},{"status":204,"body":null}]"#;
    assert_eq!(answers(Batches::Pocketbase, 2, both), done(&["{\"a\":1}", ""]));
    let swapped = r#"{"responses":[{"id":"p-1","status":201,"body":{"b":2}},{"id":"p-0","status":204}]}"#;
    assert_eq!(answers(Batches::Odata, 2, swapped), done(&["", "{\"b\":2}"]));
    let failed = r#"{"responses":[{"id":"all","status":412,"body":{"error":{}}}]}"#;
    assert_eq!(answers(Batches::Odata, 2, failed), Ok(Answers::Refused(StatusCode::PRECONDITION_FAILED)));

    let wrong = [
        r#"{"responses":[{"id":"p-0","status":200}]}"#,
        r#"{"responses":[{"id":"p-0","status":200},{"id":"p-0","status":200}]}"#,
        r#"{"responses":[{"id":"p-0","status":200},{"id":"p-00","status":200}]}"#,
        r#"{"responses":[{"id":"p-0","status":200},{"id":"p-2","status":200}]}"#,
        r#"{"responses":[{"id":"p-0","status":200},{"id":"p-1","status":200},{"id":"p-2","status":200}]}"#,
        r#"{"responses":[{"id":"p-0","status":200},{"id":"p-1","status":200,"body":[{"ssn":1}]}]}"#,
        r#"{"responses":[{"id":"p-0"},{"id":"p-1","status":200}]}"#,
        r#"{"responses":[{"id":"p-0","status":200},{"id":"p-1","status":200,"status":200}]}"#,
        r#"{"responses":[{"id":"0","status":200},{"id":"1","status":200}]}"#,
        "{}",
        "[]",
        "",
    ];
    for body in wrong {
        assert!(answers(Batches::Odata, 2, body).is_err(), "{body}");
    }
    for body in ["[]", "{}", r#"[{"status":200}]"#, r#"[{"status":200},{"status":200},{"status":200}]"#] {
        assert!(answers(Batches::Pocketbase, 2, body).is_err(), "{body}");
    }
}
