//! Batches in parts, as clients write them and as nobody should, and their answers.

use http::StatusCode;

use super::super::Kind;
use super::*;

/// Of a change set with two writes, and a read after it.
const BATCH: &str = "--b1\n\
    Content-Type: multipart/mixed; boundary=c1\n\
    Content-Length: LENGTH\n\
    \n\
    --c1\n\
    Content-Type: application/http\n\
    Content-Transfer-Encoding: binary\n\
    Content-ID: 1\n\
    \n\
    POST contacts HTTP/1.1\n\
    Host: crm.test\n\
    Content-Type: application/json;charset=UTF-8\n\
    Content-Length: 14\n\
    \n\
    {\"name\":\"Zoe\"}\n\
    --c1\n\
    Content-Type:application/http\n\
    Content-Transfer-Encoding:binary\n\
    Content-ID:2\n\
    \n\
    DELETE /svc/contacts(7) HTTP/1.1\n\
    \n\
    \n\
    --c1--\n\
    --b1\n\
    Content-Type: application/http\n\
    \n\
    GET contacts?$top=1 HTTP/1.1\n\
    Accept: application/json;odata.metadata=minimal\n\
    Accept-Language: en\n\
    \n\
    \n\
    --b1--\n";

fn sent(text: &str) -> String {
    let text = text.replace('\n', "\r\n");
    let inner = text.split_once("--c1\r\n").and_then(|(_, rest)| rest.rsplit_once("\r\n--b1\r\n"));
    let length = inner.map_or(0, |(inner, _)| inner.len() + "--c1\r\n".len());
    text.replace("LENGTH", &length.to_string())
}

fn parts(body: &str) -> Result<Vec<Part<'_>>, Reason> {
    read(body.as_bytes(), "b1", "crm.test", 3)
}

#[test]
fn a_batch_is_taken_apart_into_its_requests() {
    let body = sent(BATCH);
    let part = |id: Option<&str>, group: Option<&str>, method: &str, url: &str, body| Part {
        id: id.map(str::to_owned),
        group: group.map(str::to_owned),
        method: method.to_owned(),
        url: url.to_owned(),
        body,
        plain: false,
    };
    let expected = vec![
        part(Some("1"), Some("changes"), "POST", "contacts", &b"{\"name\":\"Zoe\"}"[..]),
        part(Some("2"), Some("changes"), "DELETE", "/svc/contacts(7)", b""),
        part(None, None, "GET", "contacts?$top=1", b""),
    ];
    assert_eq!(parts(&body), Ok(expected.clone()));
    assert_eq!(parts(body.trim_end()), Ok(expected), "the last line needs no end");
    assert_eq!(read(body.as_bytes(), "b1", "crm.test", 2), Err(Reason::BodyTooLarge));
    let alone = "--b1\nContent-Type: application/http\n\nPATCH contacts(7) HTTP/1.1\nContent-Type: application/json\n\n{}\n--b1--";
    assert_eq!(parts(&sent(alone)).expect("one").len(), 1);
}

#[test]
fn what_can_be_read_in_two_ways_is_not_read() {
    let within = |what: &str, by: &str| {
        assert!(BATCH.contains(what), "{what}");
        sent(&BATCH.replacen(what, by, 1))
    };
    let cases = [
        // Boundaries where none belongs, or that may be taken for another.
        format!("x\r\n{}", sent(BATCH)),
        format!("\r\n{}", sent(BATCH)),
        format!("{}x", sent(BATCH)),
        format!("{}\r\n", sent(BATCH)),
        sent(BATCH).replace("--b1--", "--b1"),
        sent(BATCH).replace("--c1--", "--c1"),
        within("--b1\n", "--b1 \n"),
        within("--c1\n", "--c1\t\n"),
        within("--c1--\n", "--c1--\nx\n"),
        within("\"Zoe\"", "\"--b1\""),
        within("\"Zoe\"", "\"--c1\""),
        sent(BATCH).replace("c1", "b12"),
        sent(BATCH).replace("c1", "b"),
        sent(BATCH).replace("c1", "b1"),
        within("boundary=c1", "boundary=c2"),
        within("boundary=c1", "boundary=c1; boundary=c2"),
        within("; boundary=c1", ""),
        // Lines that end otherwise, or go on.
        sent(BATCH).replace("\r\n", "\n"),
        sent(BATCH).replacen("Host: crm.test\r\n", "Host: crm.test\n", 1),
        sent(BATCH).replacen("Host: crm.test\r\n", "Host: crm.test\r", 1),
        sent(BATCH).replacen("\r\n--c1\r\nContent-Type:app", "\n--c1\r\nContent-Type:app", 1),
        within("Host: crm.test\n", "Host: crm.test\n Accept: x\n"),
        within("Content-ID: 1\n", "Content-ID: 1\n\tx\n"),
        within("Host: crm.test", "Host : crm.test"),
        // Lengths that are not so.
        within("Content-Length: 14", "Content-Length: 13"),
        within("Content-Length: 14", "Content-Length: 15"),
        within("Content-Length: 14", "Content-Length: 014"),
        within("Content-Length: 14", "Content-Length: 14\nContent-Length: 14"),
        within("Content-Length: LENGTH", "Content-Length: 0"),
        within("Content-Type:application/http", "Content-Length: 1\nContent-Type:application/http"),
        // Headers that say something.
        within("Host: crm.test", "Host: other.test"),
        within("Host: crm.test", "Authorization: x"),
        within("Host: crm.test", "X-HTTP-Method: PUT"),
        within("Host: crm.test", "If-Match: *"),
        within("Host: crm.test", "Transfer-Encoding: chunked"),
        within("Host: crm.test", "Content-Type: application/json"),
        within("Content-Type: application/json;charset=UTF-8", "Content-Type: text/plain"),
        within("Content-Type: application/json;charset=UTF-8\n", ""),
        within("Content-Transfer-Encoding: binary", "Content-Transfer-Encoding: base64"),
        within("Content-Transfer-Encoding: binary", "X-Odd: 1"),
        within("application/http\n\nGET", "message/http\n\nGET"),
        // Requests that are none.
        within("POST contacts HTTP/1.1", "POST  contacts HTTP/1.1"),
        within("POST contacts HTTP/1.1", "POST contacts HTTP/1.0"),
        within("POST contacts HTTP/1.1", "POST contacts"),
        within("POST contacts HTTP/1.1", "POST contacts HTTP/1.1 x"),
        // What is not done together, or can't be told apart.
        within("DELETE /svc/contacts(7)", "GET /svc/contacts(7)"),
        within("GET contacts", "DELETE contacts"),
        within("Content-ID:2", "Content-ID:1"),
        within("Content-ID:2", "Content-ID:$1"),
        within("Content-ID:2", "Content-ID:"),
        // Within each other, or empty.
        within("Content-Type:application/http", "Content-Type: multipart/mixed; boundary=d1"),
        "--b1--".to_owned(),
        "--b1\r\n--b1--".to_owned(),
        "--b1\r\n\r\n--b1--".to_owned(),
        "--b1\r\nContent-Type: multipart/mixed; boundary=c1\r\n\r\n--c1--\r\n--b1--".to_owned(),
        String::new(),
    ];
    for (number, body) in cases.iter().enumerate() {
        assert_eq!(parts(body), Err(Reason::BodyMalformed), "{number}: {body}");
    }
    // Cut anywhere, it is none.
    let whole = sent(BATCH);
    for end in (0..whole.trim_end().len()).filter(|end| whole.is_char_boundary(*end)) {
        assert_eq!(parts(whole.get(..end).expect("a boundary")), Err(Reason::BodyMalformed), "{end}");
    }
}

#[test]
fn two_sets_of_changes_are_not_done_together() {
    let set = |boundary: &str| {
        format!(
            "--b1\nContent-Type: multipart/mixed; boundary={boundary}\n\n--{boundary}\nContent-Type: application/http\n\n\
             DELETE contacts(7) HTTP/1.1\n\n\n--{boundary}--\n"
        )
    };
    assert!(parts(&sent(&format!("{}--b1--", set("c1")))).is_ok());
    assert_eq!(parts(&sent(&format!("{}{}--b1--", set("c1"), set("d1")))), Err(Reason::BodyMalformed));
}

#[test]
fn an_answer_is_taken_apart_as_it_was_put_together() {
    let told = |id: Option<&str>, group: Option<&str>, status, body: &'static str| Told {
        id: id.map(str::to_owned),
        group: group.map(str::to_owned),
        status,
        body: body.into(),
        kind: Kind::Json,
    };
    let all = [
        told(None, None, StatusCode::OK, "{\"value\":[]}"),
        told(Some("1"), Some(GROUP), StatusCode::CREATED, "{\"id\":1}"),
        told(Some("2"), Some(GROUP), StatusCode::NO_CONTENT, ""),
        told(None, None, StatusCode::NOT_FOUND, "{}"),
    ];
    let printed = print(&all, "r1");
    let outer = split(&printed, "r1").expect("parts");
    assert_eq!(outer.len(), 3);
    let (headers, group) = head(outer.get(1).expect("the second")).expect("a head");
    assert_eq!(value(&headers, "content-type"), Some("multipart/mixed; boundary=changes_r1"));
    let inner = split(group, "changes_r1").expect("parts");
    let text = |part: &[u8]| String::from_utf8(part.to_vec()).expect("text");
    let expected = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 1\r\n\r\n\
                    HTTP/1.1 201 Created\r\nOData-Version: 4.0\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"id\":1}";
    assert_eq!(inner.iter().map(|part| text(part)).next().as_deref(), Some(expected));
    assert!(text(inner.get(1).expect("the second")).ends_with("HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\n\r\n"));
    assert!(text(outer.get(2).expect("the third")).contains("application/problem+json"));
    assert_eq!(split(&print(&all[1..2], "r1"), "r1").map(|parts| parts.len()), Some(1));
}

#[test]
fn a_boundary_is_declared_in_one_way() {
    let of = |text: &str| boundary(text, MEDIA_TYPE);
    assert_eq!(of("application/json"), Ok(None));
    assert_eq!(of("multipart/mixed;boundary=batch_1"), Ok(Some("batch_1".to_owned())));
    assert_eq!(of("Multipart/Mixed; Boundary=\"b\""), Ok(Some("b".to_owned())));
    let long = format!("multipart/mixed; boundary={}", "b".repeat(71));
    for wrong in [
        "multipart/mixed",
        "multipart/mixed; charset=utf-8",
        "multipart/mixed; boundary=",
        "multipart/mixed; boundary=a b",
        &long,
    ] {
        assert_eq!(of(wrong), Err(Reason::MediaTypeUnsupported), "{wrong}");
    }
}
