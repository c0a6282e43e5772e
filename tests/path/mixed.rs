//! Batches as older clients of OData write them: judged and sent as those in JSON are, and answered as they were asked.

use serde_json::json;

use super::batches::{ODATA, person, refused, sent, world};
use crate::support::World;
use crate::support::client::Response;

/// A part that is a request.
fn part(line: &str, body: &str) -> String {
    let kind =
        if body.is_empty() { "" } else { "Content-Type: application/json;charset=UTF-8;IEEE754Compatible=true\r\n" };
    format!(
        "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
         {line} HTTP/1.1\r\nAccept: application/json;odata.metadata=minimal\r\nAccept-Language: en\r\n{kind}\r\n{body}"
    )
}

fn multipart(boundary: &str, parts: &[String]) -> String {
    let parts: String = parts.iter().map(|part| format!("--{boundary}\r\n{part}\r\n")).collect();
    format!("{parts}--{boundary}--\r\n")
}

fn changes(parts: &[String]) -> String {
    format!("Content-Type: multipart/mixed; boundary=set_1\r\n\r\n{}", multipart("set_1", parts))
}

async fn send(world: &World, parts: &[String]) -> Response {
    world.upstream.forget();
    let client = person(world, "rep").header("content-type", "multipart/mixed; boundary=batch_1");
    let got = client
        .header("accept", "multipart/mixed")
        .send("POST", "/svc/$batch", Some(&multipart("batch_1", parts)))
        .await;
    assert!(!got.everything().contains("SECRET"), "{}", got.everything());
    got
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_parts_is_answered_part_by_part() {
    let world = world(ODATA).await;
    let set = [
        part("POST contacts", r#"{"name":"Zoe"}"#).replace("binary\r\n", "binary\r\nContent-ID: new\r\n"),
        part("PATCH /svc/contacts(1)", r#"{"name":"Yva"}"#),
        part("DELETE contacts(2)", ""),
    ];
    let parts = [part("GET contacts?$select=id", ""), changes(&set), part("GET contacts(3)", "")];
    let got = send(&world, &parts).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let kind = got.headers["content-type"].to_str().expect("text").to_owned();
    let boundary = kind.strip_prefix("multipart/mixed; boundary=").expect("a boundary");
    assert_eq!(got.headers["odata-version"], "4.0");
    let answer = |status: &str, body: &str| {
        let kind = if status.starts_with('2') { "application/json" } else { "application/problem+json" };
        let content = match body {
            "" => String::new(),
            body => format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len()),
        };
        format!(
            "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
             HTTP/1.1 {status}\r\nOData-Version: 4.0\r\n{content}\r\n{body}"
        )
    };
    let inner = format!("changes_{boundary}");
    let set = [
        answer("201 Created", r#"{"id":9,"name":"Ann"}"#).replace("binary\r\n", "binary\r\nContent-ID: new\r\n"),
        answer("200 OK", r#"{"id":1,"name":"Ann"}"#),
        answer("204 No Content", ""),
    ];
    let set = format!("Content-Type: multipart/mixed; boundary={inner}\r\n\r\n{}", multipart(&inner, &set));
    let hidden = r#"{"type":"about:blank","status":404,"code":"not_found","title":"There is nothing here."}"#;
    let expected =
        [answer("200 OK", r#"{"value":[{"id":1}]}"#), set.trim_end().to_owned(), answer("404 Not Found", hidden)];
    assert_eq!(got.text(), multipart(boundary, &expected));
    // It is sent as one in JSON is.
    let sent = sent(&world).expect("a batch");
    let methods: Vec<_> = sent["requests"].as_array().expect("parts").iter().map(|part| &part["method"]).collect();
    assert_eq!(methods, ["POST", "PATCH", "DELETE"]);
    let (intent, outcome) = world.last_audit().await;
    assert_eq!(intent["parts"].as_array().map(Vec::len), Some(5));
    assert_eq!(outcome["result"], "allowed");
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_refused_refuses_all() {
    let world = world(ODATA).await;
    let fine = part("POST contacts", r#"{"name":"Zoe"}"#);
    for (other, status, reason) in [
        (part("PATCH contacts(3)", r#"{"name":"a"}"#), 404, "record_hidden"),
        (part("PATCH contacts(4)", r#"{"name":"a"}"#), 404, "record_foreign"),
        (part("PATCH contacts(1)", r#"{"name":"no"}"#), 403, "check_failed"),
        (part("PATCH contacts(1)", r#"{"ssn":"1"}"#), 403, "field_not_writable"),
        (part("PATCH contacts(1)", r#"{"organization_id":"globex"}"#), 403, "tenant_not_writable"),
        (part("PATCH contacts(1)", "[]"), 400, "body_malformed"),
        (part("PATCH contacts(1)", "{\"name\":\r\n\"a\""), 400, "body_malformed"),
        (part("DELETE contacts(1)", "{}"), 400, "body_expected"),
        (part("DELETE contacts(1)?$expand=x", ""), 400, "query_not_allowed"),
        (part("DELETE ../contacts(1)", ""), 400, "ambiguous_path"),
        (part("DELETE http://crm.test/svc/contacts(1)", ""), 400, "ambiguous_path"),
        (part("DELETE $new", ""), 404, "route_unknown"),
        (part("POST $batch", "{}"), 404, "route_unknown"),
        (part("MERGE contacts(1)", r#"{"name":"a"}"#), 400, "method_not_supported"),
        (
            part("DELETE contacts(1)", "").replace("Accept-Language: en", "Authorization: Bearer x"),
            400,
            "body_malformed",
        ),
        (part("DELETE contacts(1)", "").replace("Accept-Language: en", "If-Match: *"), 400, "body_malformed"),
        (part("DELETE contacts(1)", "").replace("Accept-Language: en", "Host: other.test"), 400, "body_malformed"),
        (part("DELETE contacts(1)", "").replace("Accept-Language: en", "Content-Length: 1"), 400, "body_malformed"),
        (part("DELETE contacts(1)", "").replace("application/http", "application/json"), 400, "body_malformed"),
        (changes(&[part("DELETE contacts(1)", "")]), 400, "body_malformed"),
        (part("GET contacts(1)", ""), 400, "body_malformed"),
    ] {
        for set in [[fine.clone(), other.clone()], [other.clone(), fine.clone()]] {
            let got = send(&world, &[changes(&set)]).await;
            refused(&world, &got, status, reason).await;
        }
    }
    // The same record twice, and two sets of changes.
    let change = part("PATCH contacts(1)", r#"{"name":"a"}"#);
    refused(&world, &send(&world, &[changes(&[change.clone(), change.clone()])]).await, 400, "body_malformed").await;
    let second = changes(std::slice::from_ref(&fine)).replace("set_1", "set_2");
    refused(&world, &send(&world, &[changes(std::slice::from_ref(&change)), second]).await, 400, "body_malformed")
        .await;
    refused(&world, &send(&world, &[change.clone(), fine.clone()]).await, 400, "body_malformed").await;
    let many = vec![part("GET contacts", ""); 51];
    refused(&world, &send(&world, &many).await, 413, "body_too_large").await;

    let whole = multipart("batch_1", &[change]);
    for (kind, body, status, reason) in [
        ("multipart/mixed", whole.as_str(), 415, "media_type_unsupported"),
        ("multipart/mixed; boundary=other", &whole, 400, "body_malformed"),
        ("multipart/mixed; boundary=batch_", &whole, 400, "body_malformed"),
        ("multipart/form-data; boundary=batch_1", &whole, 415, "media_type_unsupported"),
        ("application/json", &whole, 400, "body_malformed"),
        ("multipart/mixed; boundary=batch_1", r#"{"requests":[]}"#, 400, "body_malformed"),
    ] {
        world.upstream.forget();
        let got = person(&world, "rep").header("content-type", kind).send("POST", "/svc/$batch", Some(body)).await;
        refused(&world, &got, status, reason).await;
    }
    let client = person(&world, "rep").header("content-type", "multipart/mixed; boundary=batch_1");
    let got = client.header("accept", "application/json").send("POST", "/svc/$batch", Some(&whole)).await;
    refused(&world, &got, 406, "not_acceptable").await;
    // For whom there is nothing to put into one, there are none.
    let client = person(&world, "analyst").header("content-type", "multipart/mixed; boundary=batch_1");
    let got = client.send("POST", "/svc/$batch", Some(&whole)).await;
    refused(&world, &got, 404, "table_hidden").await;
    let plain = person(&world, "analyst").send("POST", "/svc/$nothing", Some(&json!({}).to_string())).await;
    assert_eq!(got.body, plain.body);
    world.gateway.shutdown().await;
}
