//! What a client can do on HTTP/1.1: go away, dawdle, send too much, or several requests at once.

use std::time::Duration;

use serde_json::Value;

use super::wire::{Dialogue, Gate};
use super::{CREATION, answer, clean, contact, contact_answers, request, seen, setup, told, words};
use crate::support::upstream::Then;
use crate::support::world::Setup;
use crate::support::{Answer, World};

async fn open(world: &World) -> Dialogue {
    Dialogue::open(world.gateway.addresses()[0]).await
}

fn json_of(length: usize) -> String {
    format!("content-type: application/json\r\ncontent-length: {length}\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_cancels_the_upstream_request() {
    let world = setup("").start().await;
    world.upstream.on("GET /contacts/1", [Answer::json(200, contact(1)).then(Then::Stall)]);
    let mut client = open(&world).await;
    client.send(request(&world, "GET /contacts/1", "", "")).await;
    world.upstream.arrival().await;
    drop(client);
    world.upstream.abandonment().await;
    assert_eq!(told(&world).await, words(0, "aborted", "client_gone"));
    assert_eq!(world.metric("scrim_requests_total{action=\"read\",outcome=\"aborted\"}").await, 1.0);
    clean(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_in_its_body_changes_nothing() {
    let world = setup("").start().await;
    let mut client = open(&world).await;
    // Only once the gateway has asked for the body is the exchange surely under way.
    let headers = format!("{}expect: 100-continue\r\n", json_of(100));
    client.send(request(&world, "POST /contacts", &headers, "")).await;
    assert_eq!(client.answer().await.expect("an answer").0, 100);
    client.send("{\"name\":").await;
    drop(client);
    assert_eq!(told(&world).await, words(0, "aborted", "client_gone"));
    assert!(world.upstream.seen().is_empty());
    clean(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_is_given_up() {
    let world = setup("request_body_time: 200ms").start().await;
    let mut client = open(&world).await;
    client.send(request(&world, "POST /contacts", &json_of(100), "{\"name\":")).await;
    let (status, head, _) = client.answer().await.expect("an answer");
    assert_eq!(status, 408, "{head}");
    assert!(client.answer().await.is_none(), "the connection is closed");
    assert!(world.upstream.seen().is_empty());
    assert_eq!(told(&world).await, words(408, "refused", "body_timeout"));
    clean(&world, 1).await;
}

/// One that drips may bring much in all, but too little in its time; what comes fast enough is read to its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_given_up_long_before_its_time() {
    let limits = "request_body_rate: 64KiB, request_body_slack: 300ms, request_body_time: 60m, exchange_time: 60m";
    let world = setup(limits).start().await;
    contact_answers(&world);
    for framing in [json_of(1_000_000), "content-type: application/json\r\ntransfer-encoding: chunked\r\n".to_owned()] {
        let mut client = open(&world).await;
        client.send(request(&world, "POST /contacts", &framing, "")).await;
        let status = loop {
            tokio::select! {
                answer = client.answer() => break answer.expect("an answer").0,
                () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
            }
            let drop = if framing.contains("chunked") { "1\r\n \r\n" } else { " " };
            client.send(drop).await;
        };
        assert_eq!(status, 408);
        assert_eq!(told(&world).await, words(408, "refused", "body_timeout"));
    }
    assert!(world.upstream.seen().is_empty());
    let padded = format!("{}{CREATION}", " ".repeat(100_000));
    let mut client = open(&world).await;
    client.send(request(&world, "POST /contacts", &json_of(padded.len()), &padded)).await;
    assert_eq!(client.answer().await.expect("an answer").0, 201);
    clean(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_is_given_up() {
    let world = setup("idle_time: 200ms").start().await;
    let mut client = open(&world).await;
    client.send("GET /contacts HTTP/1.1\r\nhost: crm").await;
    assert!(client.answer().await.is_none());
    assert!(world.upstream.seen().is_empty());
    clean(&world, 0).await;
}

/// Whatever the idle time is: of a connection's first request, and of one that comes later.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_a_time_of_its_own() {
    let world = setup("head_time: 200ms").start().await;
    let mut silent = open(&world).await;
    assert!(silent.answer().await.is_none(), "nothing was asked");
    let mut client = open(&world).await;
    client.send(request(&world, "GET /nothing", "", "")).await;
    assert_eq!(client.answer().await.expect("an answer").0, 404);
    tokio::time::sleep(Duration::from_millis(300)).await;
    client.send(request(&world, "GET /nothing", "", "")).await;
    assert_eq!(client.answer().await.expect("between two requests there is the idle time").0, 404);
    client.send("GET /nothing HTTP/1.1\r\nhost: crm").await;
    assert!(client.answer().await.is_none());
    clean(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let world = setup("request_body: 1KiB").start().await;
    let chunked = "content-type: application/json\r\ntransfer-encoding: chunked\r\n";
    let body = format!("{{\"name\":\"{}\"}}", "x".repeat(1100));
    let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\nGET /contacts/1 HTTP/1.1\r\n", body.len());
    for (headers, sent) in [(json_of(1_000_000), ""), (chunked.to_owned(), chunk.as_str())] {
        let mut client = open(&world).await;
        client.send(request(&world, "POST /contacts", &headers, sent)).await;
        let (status, head, text) = client.answer().await.expect("an answer");
        assert_eq!(status, 413, "{head}{text}");
        assert!(client.answer().await.is_none(), "the connection is closed, and no rest is taken for a request");
        assert_eq!(told(&world).await, words(413, "refused", "body_too_large"));
    }
    assert!(world.upstream.seen().is_empty());
    clean(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_any_framing_arrives_whole() {
    let world = setup("").start().await;
    contact_answers(&world);
    let chunked = "content-type: application/json\r\ntransfer-encoding: chunked\r\n";
    let (first, second) = CREATION.split_at(9);
    let chunks = format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
    let mut client = open(&world).await;
    for (headers, body) in [(json_of(CREATION.len()), CREATION), (chunked.to_owned(), &chunks)] {
        client.send(request(&world, "POST /contacts", &headers, body)).await;
        let (status, head, text) = client.answer().await.expect("an answer");
        assert_eq!(status, 201, "{head}{text}");
        let sent = world.upstream.seen().last().expect("a request").clone();
        let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
        assert_eq!((&body["name"], &body["owner_id"]), (&"Ada".into(), &"ann".into()));
        assert_eq!(sent.headers["content-length"], sent.body.len().to_string().as_str());
        assert!(!sent.headers.contains_key("transfer-encoding"));
    }
    clean(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_asked_for_only_from_who_may_send_it() {
    let world = setup("").start().await;
    contact_answers(&world);
    let headers = format!("{}expect: 100-continue\r\n", json_of(CREATION.len()));
    let mut client = open(&world).await;
    client.send(request(&world, "POST /contacts", &headers, "")).await;
    assert_eq!(client.answer().await.expect("an answer").0, 100);
    client.send(CREATION).await;
    assert_eq!(client.answer().await.expect("an answer").0, 201);
    assert_eq!(told(&world).await, words(201, "allowed", ""));

    world.upstream.forget();
    let mut client = open(&world).await;
    client.send(format!("POST /contacts HTTP/1.1\r\nhost: crm.test\r\n{headers}\r\n")).await;
    assert_eq!(client.answer().await.expect("an answer").0, 401);
    assert!(client.answer().await.is_none(), "the body that may still come is not read as a request");
    assert!(world.upstream.seen().is_empty());
    clean(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_one_request_after_the_other() {
    let world = setup("").start().await;
    contact_answers(&world);
    let mut client = open(&world).await;
    for (line, status) in [("GET /contacts/1", 200), ("GET /nothing", 404), ("GET /contacts/1", 200)] {
        client.send(request(&world, line, "", "")).await;
        let (found, head, text) = client.answer().await.expect("an answer");
        assert_eq!(found, status, "{head}");
        if status == 200 {
            assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), seen(1));
        }
    }
    client.send(request(&world, "GET /contacts/1", "connection: close\r\n", "")).await;
    assert_eq!(client.answer().await.expect("an answer").0, 200);
    assert!(client.answer().await.is_none());
    clean(&world, 4).await;
}

/// The second request is answered as itself, even if both arrive at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_pipelined_request_is_never_misread() {
    let world = setup("").start().await;
    contact_answers(&world);
    world.upstream.on("GET /contacts/2", [Answer::json(200, contact(2))]);
    let post = request(&world, "POST /contacts", &json_of(CREATION.len()), CREATION);
    let get = |id: u64| request(&world, &format!("GET /contacts/{id}"), "", "");
    for (first, status, id) in [(get(1), 200, 1), (post, 201, 9)] {
        let mut client = open(&world).await;
        client.send(first + &get(2)).await;
        let Some((found, _, text)) = client.answer().await else { panic!("no answer to the first") };
        assert_eq!((found, serde_json::from_str::<Value>(&text).expect("JSON")), (status, seen(id)));
        let (found, _, text) = client.answer().await.expect("an answer to the second");
        assert_eq!((found, serde_json::from_str::<Value>(&text).expect("JSON")), (200, seen(2)));
    }
    clean(&world, 4).await;
}

/// It waits its turn, whole, although one byte of it was looked at meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_sent_into_another_waits_its_turn() {
    let gate = Gate::start(answer(&contact(1))).await;
    let world = Setup { upstream: Some(gate.address), ..setup("") }.start().await;
    let mut client = open(&world).await;
    client.send(request(&world, "GET /contacts/1", "", "")).await;
    gate.arrival().await;
    client.send(request(&world, "GET /nothing", "", "") + &request(&world, "GET /contacts/1", "", "")).await;
    gate.open();
    gate.open();
    let (status, _, text) = client.answer().await.expect("an answer");
    assert_eq!((status, serde_json::from_str::<Value>(&text).expect("JSON")), (200, seen(1)));
    assert_eq!(client.answer().await.expect("an answer").0, 404);
    gate.arrival().await;
    gate.open();
    assert_eq!(client.answer().await.expect("an answer").0, 200);
    clean(&world, 3).await;
}

/// What follows a request that is refused before its body was read is that body, whatever it looks like.
#[tokio::test(flavor = "multi_thread")]
async fn an_unread_body_is_never_the_next_request() {
    let world = setup("").start().await;
    contact_answers(&world);
    let hidden = request(&world, "GET /contacts/1", "", "");
    for headers in [json_of(hidden.len()), "content-type: text/plain\r\ntransfer-encoding: chunked\r\n".to_owned()] {
        let mut client = open(&world).await;
        client.send(request(&world, "POST /nothing", &headers, &hidden)).await;
        assert_eq!(client.answer().await.expect("an answer").0, 404);
        assert!(client.answer().await.is_none());
    }
    assert!(world.upstream.seen().is_empty());
    clean(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_and_recorded() {
    let world = setup("").start().await;
    for bytes in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET /contacts HTTP/1.1\r\nhost crm\r\n\r\n"] {
        let mut client = open(&world).await;
        client.send(bytes).await;
        let (status, ..) = client.answer().await.expect("an answer");
        assert_eq!(status, 400, "{bytes:?}");
        assert!(client.answer().await.is_none());
        assert_eq!(told(&world).await, words(400, "refused", "malformed_request"));
    }
    assert!(world.upstream.seen().is_empty());
    clean(&world, 3).await;
}
