//! Answers too long to be held: they leave while they come in, hold the upstream back, and never end as if whole.

use std::time::Duration;

use serde_json::Value;

use super::source::{Ending, Framing, Got, Reader, Script, Source, record, shown, shown_of};
use super::wire::{Connection, End, Wire};
use super::{clean, contact, rep, request, setup, told, words};
use crate::support::Answer;
use crate::support::World;
use crate::support::upstream::Then;
use crate::support::world::Setup;

const LINE: &str = "GET /contacts";

async fn before(source: &Source, limits: &str) -> World {
    Setup { upstream: Some(source.address), ..setup(limits) }.start().await
}

async fn asking(world: &World) -> Reader {
    let mut client = Reader::open(world.gateway.addresses()[0]).await;
    client.send(request(world, LINE, "", "")).await;
    client
}

async fn get(world: &World) -> Got {
    asking(world).await.rest().await
}

/// A prefix of what the client may see, and nothing else.
fn is_harmless(got: &Got, records: usize) {
    let text = got.text();
    assert!(!text.contains("SECRET") && !got.head.contains("secret"), "{}", got.head);
    assert!(shown(records).starts_with(&text), "{}", &text[text.len().saturating_sub(200)..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_leaves_redacted_and_whole() {
    for framing in [Framing::Length, Framing::Chunks] {
        let source = Source::start(Script { framing, ..Script::default() }).await;
        let world = before(&source, "").await;
        let mut client = asking(&world).await;
        let got = client.rest().await;
        assert_eq!((got.status, got.complete), (200, true), "{}", got.head);
        assert!(got.text() == shown(5_000), "{framing:?}");
        for (name, value) in [("transfer-encoding", "chunked"), ("cache-control", "private, no-store")] {
            assert!(got.head.contains(&format!("{name}: {value}")), "{}", got.head);
        }
        for absent in ["content-length", "etag", "vary", "content-encoding"] {
            assert!(!got.head.contains(absent), "{}", got.head);
        }
        assert_eq!(told(&world).await, words(200, "allowed", ""));
        let (_, outcome) = world.last_audit().await;
        assert_eq!((&outcome["rows_returned"], &outcome["bytes_sent"]), (&5_000.into(), &got.body.len().into()));
        assert_eq!(outcome["fields_removed"][0], "contacts.account_id");
        // The connections to both sides serve the next request.
        client.received.clear();
        client.send(request(&world, LINE, "", "")).await;
        assert!(client.rest().await.text() == shown(5_000));
        assert_eq!(source.connections(), 1, "{framing:?}");
        world.settled().await;
        assert_eq!(world.metric("scrim_streamed_answers_total{end=\"complete\"}").await, 2.0);
        assert_eq!(world.metric("scrim_upstream_requests_total{outcome=\"answered\"}").await, 2.0);
        clean(&world, 2).await;
    }
}

/// What lies between the upstream and a client that does not read is bounded by sockets, not by the answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_slowly_holds_the_upstream_back() {
    // What is shown is long as well, so that sockets can't hold it.
    let (records, name) = (60_000, 300);
    let length = records * (record(1).len() + name);
    let source = Source::start(Script { records, name, framing: Framing::Length, ..Script::default() }).await;
    let world = before(&source, "").await;
    let mut client = asking(&world).await;
    client.read(100_000).await;
    source.held().await;
    let first = source.sent();
    assert!(length > 32 << 20 && first < 20 << 20, "{first} of {length}");
    // All this while, the intent is on record and the outcome is not.
    let kinds: Vec<Value> = world.audit().await.iter().map(|line| line["kind"].clone()).collect();
    assert_eq!(kinds, ["intent"]);
    // Sockets wake their writers only once a good part of what they hold has left.
    client.read(5 << 20).await;
    source.held().await;
    let second = source.sent();
    assert!(second < first + (16 << 20), "{first}, then {second}");
    let got = client.rest().await;
    assert!(got.complete && got.text() == shown_of(records, name));
    assert_eq!(told(&world).await, words(200, "allowed", ""));
    clean(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_after_the_first_bytes_cuts_the_answer() {
    let broken = "upstream_broken";
    let duplicate = r#"{"id":1,"organization_id":"acme","organization_id":"globex","app_id":"shop","name":"Ada"}"#;
    for (end, reason) in [
        (Ending::Cut, broken),
        (Ending::Stall, "upstream_timeout"),
        (Ending::Bytes(""), broken),
        (Ending::Bytes("]"), broken),
        (Ending::Bytes("]}]"), broken),
        (Ending::Bytes("]}{\"data\":[{\"ssn\":\"SECRET\"}]}"), broken),
        (Ending::Bytes("],\"data\":[{\"ssn\":\"SECRET\"}]}"), broken),
        (Ending::Bytes("],\"d\\u0061ta\":[]}"), broken),
        (Ending::Bytes(",]}"), broken),
        (Ending::Record("\"SECRET\""), broken),
        (Ending::Record(r#"{"name":"\ud800","ssn":"SECRET"}"#), broken),
        (Ending::Record(duplicate), broken),
    ] {
        for framing in [Framing::Length, Framing::Chunks] {
            let source = Source::start(Script { framing, end, ..Script::default() }).await;
            let limits = if end == Ending::Stall { "upstream_read_time: 2s" } else { "" };
            let world = before(&source, limits).await;
            let got = get(&world).await;
            assert_eq!((got.status, got.complete), (200, false), "{end:?} {framing:?}");
            assert!(got.body.len() > 50_000, "{end:?}");
            is_harmless(&got, 5_000);
            assert_eq!(told(&world).await, words(200, "aborted", reason), "{end:?} {framing:?}");
            let (_, outcome) = world.last_audit().await;
            assert_eq!(outcome["bytes_sent"], got.body.len(), "{end:?}");
            // Whoever reads the audit learns what had left.
            assert!(outcome["rows_returned"].as_u64() > Some(1_000), "{outcome}");
            assert_eq!(outcome["keys"][0], "0", "{outcome}");
            assert_eq!(world.metric("scrim_requests_total{action=\"list\",outcome=\"aborted\"}").await, 1.0);
            assert_eq!(world.metric("scrim_streamed_answers_total{end=\"cut\"}").await, 1.0);
            clean(&world, 1).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_within_what_is_held_is_a_clean_refusal() {
    for (records, limits) in [(150, ""), (5_000, "buffered_body: 4MiB")] {
        for end in [Ending::Cut, Ending::Bytes("]"), Ending::Record("\"SECRET\"")] {
            let source = Source::start(Script { records, end, ..Script::default() }).await;
            let world = before(&source, limits).await;
            let got = get(&world).await;
            assert_eq!((got.status, got.complete), (502, true), "{end:?}");
            assert!(got.text().contains("upstream_failed") && !got.text().contains("Ada"), "{end:?}");
            assert_eq!(told(&world).await, words(502, "failed", "upstream_broken"), "{end:?}");
            clean(&world, 1).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_beyond_its_bound_is_cut() {
    let source = Source::start(Script::default()).await;
    let world = before(&source, "streamed_body: 300KiB").await;
    let got = get(&world).await;
    assert_eq!((got.status, got.complete), (200, false));
    is_harmless(&got, 5_000);
    assert_eq!(told(&world).await, words(200, "aborted", "upstream_too_large"));
    source.left().await;
    clean(&world, 1).await;
    // One that says so at once is refused at once.
    let source = Source::start(Script { framing: Framing::Length, ..Script::default() }).await;
    let world = before(&source, "streamed_body: 300KiB").await;
    assert_eq!(get(&world).await.status, 502);
    assert_eq!(told(&world).await, words(502, "failed", "upstream_too_large"));
    clean(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_beyond_its_bound_is_not_held() {
    let source = Source::start(Script { name: 3_000, ..Script::default() }).await;
    let world = before(&source, "record: 2KiB").await;
    assert_eq!(get(&world).await.status, 502);
    assert_eq!(told(&world).await, words(502, "failed", "upstream_too_large"));
    source.left().await;
    clean(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_in_the_middle_cancels_the_upstream() {
    let source = Source::start(Script { records: 60_000, name: 300, ..Script::default() }).await;
    let world = before(&source, "").await;
    let mut client = asking(&world).await;
    client.read(200_000).await;
    drop(client);
    source.left().await;
    assert_eq!(told(&world).await, words(200, "aborted", "client_gone"));
    let (_, outcome) = world.last_audit().await;
    assert!(outcome["rows_returned"].as_u64() > Some(500), "{outcome}");
    assert_eq!(world.metric("scrim_upstream_requests_total{outcome=\"abandoned\"}").await, 1.0);
    clean(&world, 1).await;
}

/// It says nothing more while the gateway waits for an upstream that says nothing either.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_the_upstream_is_silent_is_noticed() {
    let source = Source::start(Script { end: Ending::Stall, ..Script::default() }).await;
    let world = before(&source, "").await;
    let mut client = asking(&world).await;
    client.read(100_000).await;
    drop(client);
    source.left().await;
    assert_eq!(told(&world).await, words(200, "aborted", "client_gone"));
    clean(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_is_given_up() {
    let source = Source::start(Script { records: 60_000, name: 300, ..Script::default() }).await;
    let world = before(&source, "client_write_time: 300ms").await;
    let mut client = asking(&world).await;
    client.read(1000).await;
    source.left().await;
    assert_eq!(told(&world).await, words(200, "aborted", "client_slow"));
    let got = client.rest().await;
    assert!(!got.complete);
    let text = got.text();
    assert!(!text.contains("SECRET") && shown_of(60_000, 300).starts_with(&text));
    clean(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_an_end_however_slowly_both_sides_move() {
    let source = Source::start(Script { end: Ending::Stall, ..Script::default() }).await;
    let world = before(&source, "stream_time: 500ms").await;
    let got = get(&world).await;
    assert!(!got.complete);
    is_harmless(&got, 5_000);
    assert_eq!(told(&world).await, words(200, "aborted", "upstream_timeout"));
    source.left().await;
    clean(&world, 1).await;

    let source = Source::start(Script { records: 60_000, name: 300, ..Script::default() }).await;
    let world = before(&source, "stream_time: 500ms").await;
    let mut client = asking(&world).await;
    client.read(1000).await;
    source.left().await;
    let (status, result, _) = told(&world).await;
    assert_eq!((status, result.as_str()), (200, "aborted"), "whoever was waited for then");
    clean(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_drains_puts_on_record_what_had_left() {
    let source = Source::start(Script { end: Ending::Stall, ..Script::default() }).await;
    let world = before(&source, "drain_time: 100ms").await;
    let mut client = asking(&world).await;
    client.read(100_000).await;
    let World { gateway, folder, .. } = world;
    gateway.shutdown().await;
    let log = std::fs::read_to_string(folder.path().join("audit.jsonl")).expect("the audit log");
    let outcome: Value = serde_json::from_str(log.lines().last().expect("a line")).expect("JSON");
    assert_eq!((&outcome["result"], &outcome["reason"]), (&"aborted".into(), &"dropped".into()), "{log}");
    assert!(outcome["rows_returned"].as_u64() > Some(1_000) && outcome["status"] == 200, "{outcome}");
    assert!(!client.rest().await.complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_a_long_list_says_nothing_of_its_end() {
    let source = Source::start(Script { end: Ending::Cut, ..Script::default() }).await;
    let world = before(&source, "").await;
    let mut client = Reader::open(world.gateway.addresses()[0]).await;
    client.send(request(&world, "HEAD /contacts", "", "")).await;
    let got = client.rest().await;
    assert_eq!((got.status, got.body.len()), (200, 0), "{}", got.head);
    assert!(
        !got.head.contains("content-length") && got.head.contains("content-type: application/json"),
        "{}",
        got.head
    );
    assert_eq!(told(&world).await, words(200, "allowed", ""));
    clean(&world, 1).await;
}

/// A single record is judged as a whole before a byte of it leaves, however long it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_record_is_held_until_it_is_judged() {
    let world = setup("").start().await;
    let long = contact(1).replace("Ada", &"Ada".repeat(100_000));
    world.upstream.on("GET /contacts/1", [Answer::json(200, long.clone())]);
    let response = rep(&world).get("/contacts/1").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.headers["content-length"], response.body.len().to_string().as_str());
    for (changed, then, status) in [
        (long.replace("\"acme\"", "\"globex\""), Then::Whole, 404),
        (long.replace("\"id\":1,", "\"id\":2,"), Then::Whole, 404),
        (format!("{long}x"), Then::Whole, 502),
        (long.clone(), Then::Cut(200_000), 502),
    ] {
        world.upstream.on("GET /contacts/1", [Answer::json(200, changed).then(then)]);
        let response = rep(&world).get("/contacts/1").await;
        assert_eq!(response.status, status);
        assert!(!response.text().contains("Ada") && !response.text().contains("SECRET"));
    }
    clean(&world, 5).await;
}

/// What is put together from several answers is held, and bounded as what is held.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_is_held_until_its_end() {
    let own = "table: contacts\n\
               grants:\n\
               - { name: own, roles: [rep], actions: [list], rows: record.owner_id == principal.id, read: { clear: [id, name] } }\n";
    let walk = |limits: &str| Setup { limits: limits.to_owned(), ..Setup::default() }.policy("contacts", own);
    let page = |count: usize, end: &str| format!("{{\"data\":[{}{end}", (0..count).map(record).collect::<String>());
    let world = walk("").start().await;
    // Two full pages, the second of which breaks off: not a record of the first leaves.
    world.upstream.on("GET /contacts", [Answer::json(200, page(50, "]}")), Answer::json(200, page(50, ""))]);
    let response = rep(&world).get("/contacts?limit=50&offset=40").await;
    assert_eq!(response.status, 502, "{}", response.text());
    assert!(!response.text().contains("Ada"));
    assert_eq!(told(&world).await, words(502, "failed", "upstream_broken"));
    clean(&world, 1).await;

    let world = walk("response_body: 8KiB").start().await;
    world.upstream.on("GET /contacts", [Answer::json(200, page(60, "]}"))]);
    assert_eq!(rep(&world).get("/contacts?limit=50").await.status, 502);
    assert_eq!(told(&world).await, words(502, "failed", "upstream_too_large"));
    clean(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opaque_answer_streams_and_is_cut_as_it_was() {
    let text = "flowers ".repeat(40_000);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n", text.len());
    for (length, complete, told_as) in
        [(text.len(), true, words(200, "allowed", "")), (200_000, false, words(200, "aborted", "upstream_broken"))]
    {
        let bytes = format!("{head}{}", &text[..length]);
        let wire = Wire::start(vec![Connection::new([bytes], End::Close)]).await;
        let world = Setup { upstream: Some(wire.address), ..setup("") }.start().await;
        let mut client = Reader::open(world.gateway.addresses()[0]).await;
        client.send(request(&world, "GET /brochures/spring", "", "")).await;
        let got = client.rest().await;
        assert_eq!((got.status, got.complete), (200, complete), "{}", got.head);
        assert!(got.head.contains(&format!("content-length: {}", text.len())), "{}", got.head);
        assert!(text.as_bytes().starts_with(&got.body) && got.body.len() > 65_536);
        assert_eq!(told(&world).await, told_as);
        let (_, outcome) = world.last_audit().await;
        assert_eq!(outcome["opaque"], true);
        assert!(outcome["bytes_sent"].as_u64() >= Some(got.body.len() as u64), "{outcome}");
        clean(&world, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_sent_into_a_stream_wait_their_turn() {
    let source = Source::start(Script::default()).await;
    let world = before(&source, "").await;
    let mut client = asking(&world).await;
    client.read(50_000).await;
    client.send(request(&world, "GET /nothing", "", "")).await;
    source.done().await;
    // Both answers, one after the other.
    let text = loop {
        client.read(1).await;
        let text = String::from_utf8_lossy(&client.received).into_owned();
        if text.contains("not_found") {
            break text;
        }
    };
    assert!(text.contains("\r\n0\r\n\r\nHTTP/1.1 404"), "the end of the first is before the second");
    clean(&world, 2).await;
}

/// Nobody can tell by the time of a write whether a record was dropped: but no write waits for more than one record.
#[tokio::test(flavor = "multi_thread")]
async fn records_leave_as_they_come() {
    let source = Source::start(Script { records: 2_000, end: Ending::Stall, ..Script::default() }).await;
    let world = before(&source, "").await;
    let mut client = asking(&world).await;
    let all = shown(2_000);
    let expected = all.strip_suffix("]}").expect("an end");
    let seen = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            client.read(1).await;
            let got = client.got().map(|got| got.body.len()).unwrap_or_default();
            if got >= expected.len() - 100 {
                return got;
            }
        }
    });
    assert!(seen.await.is_ok(), "all but the last record was sent though the upstream is silent");
    drop(client);
    source.left().await;
    clean(&world, 1).await;
}
