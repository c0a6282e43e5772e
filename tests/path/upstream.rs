//! What an upstream can do wrong: it breaks off, stalls, lies about lengths, floods, or says what nobody asked for.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::wire::{Connection, End, Wire};
use super::{CREATION, answer, clean, contact, contact_answers, rep, seen, setup, told, words};
use crate::support::upstream::Then;
use crate::support::world::Setup;
use crate::support::{Answer, World};

const SHORT: &str = "upstream_head_time: 250ms, upstream_read_time: 250ms, response_body: 1KiB";

async fn before(wire: &Wire, limits: &str) -> World {
    Setup { upstream: Some(wire.address), ..setup(limits) }.start().await
}

fn json_head(headers: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}\r\n")
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_misbehaves_is_never_passed_on_in_part() {
    let whole = contact(1);
    let half = &whole[..whole.len() / 2];
    let chunked = json_head("transfer-encoding: chunked\r\n");
    let long = "x".repeat(2000);
    let many: String = (0..2000).map(|n| format!("x-{n}: y\r\n")).collect();
    let part = json_head("content-range: bytes 0-9/900\r\ncontent-length: 10\r\n").replace("200 OK", "206 Partial")
        + whole.get(..10).expect("a part");
    let upgrade =
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\nSECRET".to_owned();
    let double =
        json_head("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n") + &chunk(&whole) + "0\r\n\r\n";
    let broken = (502, "upstream_broken");
    let media = (502, "upstream_media_type");
    let failed = (502, "upstream_failed");
    let large = (502, "upstream_too_large");
    let late = (504, "upstream_timeout");
    let cases: Vec<(&str, String, End, (u16, &str))> = vec![
        ("no answer", String::new(), End::Close, broken),
        ("cut head", "HTTP/1.1 200 OK\r\ncontent-ty".into(), End::Close, broken),
        ("not HTTP", "SSH-2.0-OpenSSH_9.9\r\n\r\n".into(), End::Close, broken),
        ("cut body", json_head("content-length: 900\r\n") + half, End::Close, broken),
        ("whole JSON, longer length", json_head("content-length: 900\r\n") + &whole, End::Close, broken),
        ("cut chunk", format!("{chunked}{:x}\r\n{half}", whole.len()), End::Close, broken),
        ("whole JSON, no last chunk", chunked.clone() + &chunk(&whole), End::Close, broken),
        ("bad chunk size", format!("{chunked}zz\r\n{whole}\r\n0\r\n\r\n"), End::Close, broken),
        ("half by close", json_head("") + half, End::Close, broken),
        ("two lengths", json_head("content-length: 5\r\ncontent-length: 700\r\n") + &whole, End::Hold, broken),
        ("unsolicited 101", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\nleak".into(), End::Hold, broken),
        ("header bomb", json_head(&many) + &whole, End::Hold, broken),
        ("long header", json_head(&format!("x: {}\r\n", "y".repeat(3 << 20))) + &whole, End::Hold, broken),
        ("announced too large", json_head("content-length: 2000\r\n") + &long, End::Hold, large),
        ("chunked too large", chunked.clone() + &chunk(&long) + "0\r\n\r\n", End::Hold, large),
        ("stalled head", String::new(), End::Hold, late),
        ("stalled in its head", "HTTP/1.1 200 OK\r\ncont".into(), End::Hold, late),
        ("stalled body", json_head("content-length: 900\r\n") + half, End::Hold, late),
        ("only interim answers", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(3), End::Hold, late),
        ("an error", "HTTP/1.1 500 No\r\ncontent-length: 6\r\n\r\nSECRET".into(), End::Hold, failed),
        (
            "a redirect",
            "HTTP/1.1 302 Found\r\nlocation: /SECRET\r\ncontent-length: 0\r\n\r\n".into(),
            End::Hold,
            failed,
        ),
        ("a part", answer(&whole).replace("200 OK", "206 Partial"), End::Hold, failed),
        ("a part that was not asked for", part.clone(), End::Hold, failed),
        ("not modified", "HTTP/1.1 304 Not Modified\r\netag: \"SECRET\"\r\n\r\n".into(), End::Hold, failed),
        ("nothing", "HTTP/1.1 204 No Content\r\n\r\n".into(), End::Hold, failed),
        ("nothing, with something", answer(&whole).replace("200 OK", "204 No Content"), End::Hold, failed),
        ("reset", "HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n".into(), End::Hold, failed),
        ("from elsewhere", answer(&whole).replace("200 OK", "203 Transformed"), End::Hold, failed),
        ("accepted", answer(&whole).replace("200 OK", "202 Accepted"), End::Hold, failed),
        ("a status of no class", answer(&whole).replace("200 OK", "799 Odd"), End::Hold, failed),
        ("upgrade after an interim answer", upgrade, End::Hold, broken),
        (
            "compressed as transfer",
            json_head("transfer-encoding: gzip, chunked\r\n") + &chunk(&whole),
            End::Hold,
            broken,
        ),
        ("two transfer codings", double, End::Hold, broken),
        ("no JSON", answer(&whole).replace("application/json", "text/html"), End::Hold, media),
        (
            "not compressed as said",
            json_head("content-encoding: gzip\r\ncontent-length: 3\r\n") + "abc",
            End::Hold,
            broken,
        ),
        (
            "compressed as nobody knows",
            json_head("content-encoding: dcz\r\ncontent-length: 3\r\n") + "abc",
            End::Hold,
            media,
        ),
    ];
    for (name, bytes, end, (status, reason)) in cases {
        let answers = if bytes.is_empty() && end == End::Close { vec![] } else { vec![bytes] };
        let end = if answers.is_empty() { End::CloseAtNext } else { end };
        let wire = Wire::start(vec![Connection::new(answers, end)]).await;
        let world = before(&wire, SHORT).await;
        let response = rep(&world).get("/contacts/1").await;
        assert_eq!(response.status, status, "{name}: {}", response.everything());
        assert!(!response.everything().contains("SECRET") && !response.text().contains("Ada"), "{name}");
        assert_eq!(told(&world).await, words(status.into(), "failed", reason), "{name}");
        let lines = wire.lines();
        assert_eq!(lines.len(), 1, "{name}: {lines:?}");
        if end == End::Hold && ![failed, media].contains(&(status, reason)) && name != "not compressed as said" {
            wire.left().await;
        }
        clean(&world, 1).await;
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_and_bodies_of_any_framing_are_read() {
    let whole = contact(1);
    let (first, second) = whole.split_at(20);
    for bytes in [
        answer(&whole),
        format!("HTTP/1.1 100 Continue\r\n\r\n{}", answer(&whole)),
        format!("HTTP/1.1 103 Early Hints\r\nlink: </SECRET>\r\n\r\n{}", answer(&whole)),
        format!("{}{}", "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n".repeat(20), answer(&whole)),
        // Only a connection's end tells that it has come, but a record is whole or not by itself.
        json_head("connection: close\r\n") + &whole,
        json_head("transfer-encoding: chunked\r\n") + &chunk(first) + &chunk(second) + "0\r\nx-late: SECRET\r\n\r\n",
    ] {
        let end = if bytes.contains("close") { End::Close } else { End::Hold };
        let wire = Wire::start(vec![Connection::new([bytes.clone()], end)]).await;
        let world = before(&wire, SHORT).await;
        let response = rep(&world).get("/contacts/1").await;
        assert_eq!(response.status, 200, "{bytes}: {}", response.everything());
        assert_eq!(response.json(), seen(1));
        assert!(!response.everything().contains("SECRET"));
        assert_eq!(told(&world).await, words(200, "allowed", ""));
        clean(&world, 1).await;
    }
}

/// What is passed on unread can't be told from a part of itself but by its framing.
#[tokio::test(flavor = "multi_thread")]
async fn an_opaque_answer_is_whole_by_its_framing() {
    let text = |headers: &str| json_head(headers).replace("application/json", "text/plain");
    let broken = words(502, "failed", "upstream_broken");
    let failed = words(502, "failed", "upstream_failed");
    for (name, bytes, end, wanted) in [
        ("length", text("content-length: 8\r\n") + "Flowers.", End::Hold, words(200, "allowed", "")),
        (
            "chunks",
            text("transfer-encoding: chunked\r\n") + &chunk("Flowers.") + "0\r\n\r\n",
            End::Hold,
            words(200, "allowed", ""),
        ),
        ("no content", "HTTP/1.1 204 No Content\r\n\r\n".into(), End::Hold, words(204, "allowed", "")),
        ("by close", text("") + "Flowers.", End::Close, broken.clone()),
        ("short", text("content-length: 9\r\n") + "Flowers.", End::Close, broken.clone()),
        ("no last chunk", text("transfer-encoding: chunked\r\n") + &chunk("Flowers."), End::Close, broken),
        (
            "a part",
            text("content-length: 8\r\n").replace("200 OK", "206 Partial") + "Flowers.",
            End::Hold,
            failed.clone(),
        ),
        ("reset", text("content-length: 0\r\n").replace("200 OK", "205 Reset"), End::Hold, failed.clone()),
        ("not modified", "HTTP/1.1 304 Not Modified\r\n\r\n".into(), End::Hold, failed),
    ] {
        let wire = Wire::start(vec![Connection::new([bytes], end)]).await;
        let world = before(&wire, SHORT).await;
        let response = rep(&world).get("/brochures/spring").await;
        assert_eq!(told(&world).await, wanted, "{name}: {}", response.everything());
        assert_eq!(response.text() == "Flowers.", response.status == 200, "{name}");
        clean(&world, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_or_stalled_answer_of_a_real_server_fails_whole() {
    for (then, status, reason) in [
        (Then::Cut(30), 502, "upstream_broken"),
        (Then::Stall, 504, "upstream_timeout"),
        (Then::StallAfter(30), 504, "upstream_timeout"),
    ] {
        let world = setup("upstream_head_time: 250ms, upstream_read_time: 250ms").start().await;
        world.upstream.on("GET /contacts/1", [Answer::json(200, contact(1)).then(then.clone())]);
        let response = rep(&world).get("/contacts/1").await;
        assert_eq!(response.status, status, "{then:?}");
        assert_eq!(world.upstream.seen().len(), 1);
        assert_eq!(told(&world).await, words(status.into(), "failed", reason), "{then:?}");
        if matches!(then, Then::StallAfter(_)) {
            world.upstream.abandonment().await;
        }
        clean(&world, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_has_an_end_however_often_the_upstream_moves() {
    let wire = Wire::start(vec![Connection::new([""], End::Hold)]).await;
    let world = before(&wire, "exchange_time: 250ms").await;
    assert_eq!(rep(&world).get("/contacts/1").await.status, 504);
    wire.left().await;
    assert_eq!(told(&world).await, words(504, "failed", "upstream_timeout"));
    clean(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_refuses_connections_is_a_bad_gateway() {
    let closed: SocketAddr = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        listener.local_addr().expect("bound")
    };
    let world = Setup { upstream: Some(closed), ..setup("") }.start().await;
    assert_eq!(rep(&world).get("/contacts/1").await.status, 502);
    assert_eq!(told(&world).await, words(502, "failed", "upstream_unreachable"));
    clean(&world, 1).await;
}

// On one thread: with several, pingora's pool may open a new connection although one is idle.
#[tokio::test]
async fn a_dead_reused_connection_is_tried_again_once_and_only_for_what_is_idempotent() {
    let dying = Connection::new([answer(&contact(1))], End::CloseAtNext);
    let wire = Wire::start(vec![dying.clone(), Connection::new([answer(&contact(2))], End::Hold)]).await;
    let world = before(&wire, "").await;
    assert_eq!(rep(&world).get("/contacts/1").await.json(), seen(1));
    assert_eq!(rep(&world).get("/contacts/2").await.json(), seen(2));
    assert_eq!((wire.lines().len(), wire.connections()), (3, 2), "{:?}", wire.lines());
    clean(&world, 2).await;

    let wire = Wire::start(vec![dying.clone(), Connection::new([""; 0], End::CloseAtNext)]).await;
    let world = before(&wire, "").await;
    assert_eq!(rep(&world).get("/contacts/1").await.status, 200);
    assert_eq!(rep(&world).get("/contacts/2").await.status, 502, "the second connection died too");
    assert_eq!((wire.lines().len(), wire.connections()), (3, 2), "{:?}", wire.lines());
    clean(&world, 2).await;

    let wire = Wire::start(vec![dying, Connection::new([answer(&contact(9))], End::Hold)]).await;
    let world = before(&wire, "").await;
    assert_eq!(rep(&world).get("/contacts/1").await.status, 200);
    assert_eq!(rep(&world).send("POST", "/contacts", Some(CREATION)).await.status, 502);
    assert_eq!((wire.lines().len(), wire.connections()), (2, 1), "{:?}", wire.lines());
    assert_eq!(told(&world).await, words(502, "failed", "upstream_broken"));
    clean(&world, 2).await;
}

/// An answer's surplus must never become the answer to somebody else's request.
// On one thread: with several, pingora's pool may open a new connection although one is idle.
#[tokio::test]
async fn bytes_after_an_answer_are_never_the_next_answer() {
    let forged = answer(&contact(666));
    let both = json_head(&format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", contact(1).len()));
    for surplus in [answer(&contact(1)) + &forged, both + &chunk(&contact(1)) + "0\r\n\r\n" + &forged] {
        let wire =
            Wire::start(vec![Connection::new([surplus], End::Hold), Connection::new([answer(&contact(2))], End::Hold)])
                .await;
        let world = before(&wire, "").await;
        rep(&world).get("/contacts/1").await;
        let second = rep(&world).get("/contacts/2").await;
        assert!(!second.text().contains("666"), "{}", second.everything());
        assert_eq!(second.json(), seen(2));
        clean(&world, 2).await;
    }
}

// On one thread: with several, pingora's pool may open a new connection although one is idle.
#[tokio::test]
async fn connections_are_reused() {
    let world = setup("").start().await;
    contact_answers(&world);
    for _ in 0..3 {
        assert_eq!(rep(&world).get("/contacts/1").await.json(), seen(1));
    }
    assert_eq!(rep(&world).send("POST", "/contacts", Some(CREATION)).await.status, 201);
    assert_eq!(world.metric("scrim_upstream_requests_total{outcome=\"answered\"}").await, 4.0);
    clean(&world, 4).await;
}

/// One record a line has no end of its own: without a framing that tells it, a part would look whole.
#[tokio::test(flavor = "multi_thread")]
async fn lines_are_whole_by_their_framing() {
    let api = crate::support::world::API
        .replace("  list: \"$.data[*]\"", "  list: lines")
        .replace("  total: \"$.meta.total\"\n  keep: [\"$.meta.limit\"]\n", "");
    let policy = super::POLICY.replace("actions: [list, read]", "actions: [list, export, read]");
    let line = |id: u64| contact(id).replace("{\"data\":", "").replace("}}", "}");
    let lines = format!("{}\n{}\n{}", line(1), line(2), line(3));
    let head = |headers: &str| json_head(headers).replace("application/json", "application/x-ndjson");
    let length = head(&format!("content-length: {}\r\n", lines.len())) + &lines;
    let broken = words(502, "failed", "upstream_broken");
    for (name, bytes, end, wanted) in [
        ("length", length.clone(), End::Hold, words(200, "allowed", "")),
        ("by close", head("") + &lines, End::Close, broken.clone()),
        ("cut between lines", length.replace(&format!("\n{}", line(3)), ""), End::Close, broken),
        ("as a document", length.replace("x-ndjson", "json"), End::Hold, words(502, "failed", "upstream_media_type")),
    ] {
        for (accept, shown) in [
            ("*/*", "{\"id\":1,\"name\":\"Ada\"}\n{\"id\":2,\"name\":\"Ada\"}\n{\"id\":3,\"name\":\"Ada\"}"),
            ("text/csv", "id,name\r\n1,Ada\r\n2,Ada\r\n3,Ada\r\n"),
        ] {
            let wire = Wire::start(vec![Connection::new([bytes.clone()], end)]).await;
            let setup = Setup { upstream: Some(wire.address), api: api.clone(), ..Setup::default() };
            let world = setup.policy("contacts", &policy).start().await;
            let response = rep(&world).header("accept", accept).get("/contacts").await;
            assert_eq!(told(&world).await, wanted, "{name}, {accept}: {}", response.everything());
            assert_eq!(response.text() == shown, response.status == 200, "{name}: {}", response.everything());
            clean(&world, 1).await;
        }
    }
}
