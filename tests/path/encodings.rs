//! Compressed answers: undone on their way in, made on their way out where that is configured, and what attackers make of both.

use std::io::{Read, Write};

use super::source::{Reader, Script, Source, record, shown};
use super::wire::{Connection, End, Wire};
use super::{clean, contact, rep, request, seen, setup, told, words};
use crate::support::upstream::Then;
use crate::support::world::Setup;
use crate::support::{Answer, World};

const CODINGS: [&str; 3] = ["gzip", "zstd", "br"];

fn encode(coding: &str, plain: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            encoder.write_all(plain).expect("a vector takes all");
            encoder.finish().expect("finished")
        }
        "zstd" => zstd::encode_all(plain, 3).expect("encoded"),
        _ => {
            let mut out = Vec::new();
            brotli::CompressorWriter::new(&mut out, 4096, 3, 22).write_all(plain).expect("a vector takes all");
            out
        }
    }
}

/// Errors: it is cut short or none.
fn decode(coding: &str, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    match coding {
        "gzip" => flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out)?,
        "zstd" => zstd::stream::read::Decoder::new(bytes)?.read_to_end(&mut out)?,
        other => panic!("never sent: {other}"),
    };
    Ok(out)
}

/// A complete answer in bytes, of any status and headers.
fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn list(records: usize) -> String {
    format!("{{\"data\":[{}]}}", (0..records).map(record).collect::<String>())
}

async fn world_of(bytes: Vec<u8>, limits: &str) -> World {
    let wire = Wire::start(vec![Connection::new([bytes], End::Hold)]).await;
    Setup { upstream: Some(wire.address), ..setup(limits) }.start().await
}

async fn get(world: &World, line: &str, headers: &str) -> super::source::Got {
    let mut client = Reader::open(world.gateway.addresses()[0]).await;
    client.send(request(world, line, headers, "")).await;
    client.rest().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_any_known_coding_is_read() {
    for coding in CODINGS {
        for (records, lines) in [(3, "GET /contacts"), (1_000, "GET /contacts")] {
            let body = encode(coding, list(records).as_bytes());
            let world = world_of(answer(&format!("content-encoding: {coding}\r\n"), &body), "").await;
            let got = get(&world, lines, "accept-encoding: gzip, br, zstd\r\n").await;
            assert_eq!((got.status, got.complete), (200, true), "{coding} {records}: {}", got.head);
            assert!(got.text() == shown(records), "{coding} {records}");
            assert!(!got.head.contains("content-encoding") && !got.head.contains("vary"), "{}", got.head);
            assert_eq!(told(&world).await, words(200, "allowed", ""));
            clean(&world, 1).await;
        }
        let world =
            world_of(answer(&format!("content-encoding: {coding}\r\n"), &encode(coding, contact(1).as_bytes())), "")
                .await;
        assert_eq!(rep(&world).get("/contacts/1").await.json(), seen(1), "{coding}");
        clean(&world, 1).await;
    }
    for plain in ["content-encoding: identity\r\n", "content-encoding: IDENTITY\r\n"] {
        let world = world_of(answer(plain, contact(1).as_bytes()), "").await;
        assert_eq!(rep(&world).get("/contacts/1").await.json(), seen(1), "{plain}");
    }
}

/// Each of them is a clean refusal: what is short is held until it is whole.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_compressed_as_it_says_is_refused() {
    let plain = list(10);
    let broken = "upstream_broken";
    let mut cases: Vec<(String, &str, Vec<u8>, &str)> = Vec::new();
    for coding in CODINGS {
        let good = encode(coding, plain.as_bytes());
        let cut = good[..good.len() - 3].to_vec();
        cases.push((format!("{coding}, cut"), coding, cut, broken));
        cases.push((format!("{coding}, garbage after it"), coding, [&good[..], b"garbage"].concat(), broken));
        cases.push((format!("{coding}, plain after it"), coding, [&good[..], plain.as_bytes()].concat(), broken));
        cases.push((format!("{coding}, twice"), coding, encode(coding, &good), broken));
        cases.push((format!("{coding}, plain"), coding, plain.clone().into_bytes(), broken));
        cases.push((format!("{coding}, empty"), coding, Vec::new(), broken));
        let mut flipped = good.clone();
        let last = flipped.len() / 2;
        flipped[last] ^= 0x55;
        if coding == "gzip" {
            // Only gzip has a checksum in every stream.
            cases.push((format!("{coding}, damaged"), coding, flipped, broken));
        }
        if coding != "br" {
            let second = encode(coding, br#"{"data":[{"ssn":"SECRET"}]}"#);
            cases.push((format!("{coding}, a second document"), coding, [&good[..], &second].concat(), broken));
        }
    }
    let media = "upstream_media_type";
    for unknown in
        ["deflate", "compress", "gzip, gzip", "gzip,br", "identity, gzip", "", "dcz", "gzip\r\ncontent-encoding: gzip"]
    {
        cases.push((format!("coding `{unknown}`"), unknown, encode("gzip", plain.as_bytes()), media));
    }
    for (name, coding, body, reason) in cases {
        let world = world_of(answer(&format!("content-encoding: {coding}\r\n"), &body), "").await;
        let got = get(&world, "GET /contacts", "").await;
        assert_eq!((got.status, got.complete), (502, true), "{name}: {}", got.head);
        assert!(!got.text().contains("Ada") && !got.text().contains("SECRET"), "{name}");
        assert_eq!(told(&world).await, words(502, "failed", reason), "{name}");
        clean(&world, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_follow_each_other_are_one_document() {
    let plain = list(40);
    let (first, second) = plain.split_at(plain.len() / 2);
    for coding in ["gzip", "zstd"] {
        let body = [encode(coding, first.as_bytes()), encode(coding, b""), encode(coding, second.as_bytes())].concat();
        let world = world_of(answer(&format!("content-encoding: {coding}\r\n"), &body), "").await;
        let got = get(&world, "GET /contacts", "").await;
        assert_eq!((got.status, got.text()), (200, shown(40)), "{coding}");
        clean(&world, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_refused_or_cut_and_never_goes_off() {
    let zeros = format!("{{\"data\":[],\"pad\":\"{}\"}}", "0".repeat(40 << 20));
    let large = "upstream_too_large";
    for coding in ["gzip", "zstd"] {
        let headers = format!("content-encoding: {coding}\r\n");
        let bomb = encode(coding, zeros.as_bytes());
        assert!(bomb.len() < 100_000, "{coding}: {}", bomb.len());
        // The envelope's member is longer than a record may be, if the ratio has not been noticed before.
        for limits in ["", "record: 64MiB, streamed_body: 1GiB, buffered_body: 64MiB, response_body: 64MiB"] {
            let world = world_of(answer(&headers, &bomb), limits).await;
            let got = get(&world, "GET /contacts", "").await;
            let (status, result, reason) = told(&world).await;
            if limits.is_empty() {
                // What came before the bomb has left.
                assert!((got.status, got.complete) == (200, false) && got.text() == "{\"data\":[]", "{}", got.text());
                assert_eq!((status, result.as_str()), (200, "aborted"), "{coding}");
            } else {
                assert_eq!((got.status, got.complete), (502, true), "{coding}");
                assert_eq!((status, result.as_str()), (502, "failed"), "{coding}");
            }
            assert_eq!(reason, large, "{coding}");
            clean(&world, 1).await;
        }
        // A record that is read alone is held to its end: the most that is held is what bounds it.
        let record = contact(1).replace("Ada", &"0".repeat(40 << 20));
        let bomb = encode(coding, record.as_bytes());
        for limits in ["", "decoded_ratio: 100000", "decoded_ratio: 100000, response_body: 1MiB"] {
            let world = world_of(answer(&headers, &bomb), limits).await;
            let got = get(&world, "GET /contacts/1", "").await;
            assert_eq!((got.status, got.complete), (502, true), "{coding} {limits}");
            assert_eq!(told(&world).await, words(502, "failed", large), "{coding} {limits}");
            clean(&world, 1).await;
        }
    }
}

/// Records of a list that leave as they come, until the answer turns out to be a bomb.
#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_after_many_records_cuts_the_stream() {
    for coding in ["gzip", "zstd"] {
        let plain = format!("{},{{\"pad\":\"{}\"}}]}}", list(2_000).trim_end_matches("]}"), "0".repeat(40 << 20));
        let bomb = encode(coding, plain.as_bytes());
        let limits = "record: 64MiB, decoded_ratio: 60";
        let world = world_of(answer(&format!("content-encoding: {coding}\r\n"), &bomb), limits).await;
        let got = get(&world, "GET /contacts", "").await;
        assert_eq!((got.status, got.complete), (200, false), "{coding}");
        assert!(shown(2_000).starts_with(&got.text()) && !got.body.is_empty(), "{coding}");
        assert_eq!(told(&world).await, words(200, "aborted", "upstream_too_large"), "{coding}");
        clean(&world, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_stream_that_is_cut_is_never_completed() {
    for coding in CODINGS {
        let body = encode(coding, list(2_000).as_bytes());
        // Framed as it should be: only the coding tells that it is not whole.
        let cut = &body[..body.len() - 4];
        let world = world_of(answer(&format!("content-encoding: {coding}\r\n"), cut), "").await;
        let got = get(&world, "GET /contacts", "").await;
        assert_eq!((got.status, got.complete), (200, false), "{coding}");
        assert!(shown(2_000).starts_with(&got.text()), "{coding}");
        assert_eq!(told(&world).await, words(200, "aborted", "upstream_broken"), "{coding}");
        clean(&world, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_is_asked_for_what_its_configuration_says() {
    for (keys, wish) in [("", "identity"), (", accept_encoding: [zstd, br, gzip]", "zstd, br, gzip")] {
        let world = Setup { upstream_keys: keys.to_owned(), ..setup("") }.start().await;
        world.upstream.on("GET /contacts/1", [Answer::json(200, contact(1))]);
        let response = rep(&world).header("accept-encoding", "compress, br;q=0").get("/contacts/1").await;
        assert_eq!(response.json(), seen(1));
        assert_eq!(world.upstream.seen()[0].headers["accept-encoding"], wish);
    }
}

fn compressing(limits: &str) -> Setup {
    Setup { more: "compression: [zstd, gzip]\n".to_owned(), ..setup(limits) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_what_it_accepts_of_what_is_configured() {
    let world = compressing("").start().await;
    let long = contact(1).replace("Ada", &"Ada".repeat(2_000));
    let wanted = format!("{{\"data\":{{\"id\":1,\"name\":\"{}\"}}}}", "Ada".repeat(2_000));
    world.upstream.on("GET /contacts/1", [Answer::json(200, long)]);
    for (accepted, coding) in [
        ("gzip, deflate, br, zstd", Some("zstd")),
        ("gzip", Some("gzip")),
        ("gzip;q=1.0, zstd;q=0.5", Some("gzip")),
        ("*", Some("zstd")),
        ("identity;q=0, gzip", Some("gzip")),
        ("identity", None),
        ("gzip;q=0", None),
        ("br", None),
        ("gzip;q=0.5, identity;q=0.6", None),
    ] {
        let response = rep(&world).header("accept-encoding", accepted).get("/contacts/1").await;
        assert_eq!(response.status, 200, "{accepted}");
        let found = response.headers.get("content-encoding").map(|value| value.to_str().expect("text"));
        assert_eq!(found, coding, "{accepted}");
        assert_eq!(response.headers["vary"], "accept-encoding", "{accepted}");
        assert_eq!(response.headers["content-length"], response.body.len().to_string().as_str());
        let plain = coding.map_or(Ok(response.body.to_vec()), |coding| decode(coding, &response.body));
        assert_eq!(String::from_utf8(plain.expect("whole")).expect("text"), wanted, "{accepted}");
    }
    // It can be had in no way that is accepted.
    for refused in ["identity;q=0", "*;q=0", "br, identity;q=0"] {
        let response = rep(&world).header("accept-encoding", refused).get("/contacts/1").await;
        assert_eq!((response.status, response.headers.get("content-encoding")), (406, None), "{refused}");
        assert_eq!(told(&world).await, words(406, "refused", "not_acceptable"));
    }
    // What is short stays as it is, unless just that is refused; and so do refusals.
    world.upstream.on("GET /contacts/2", [Answer::json(200, contact(2))]);
    let response = rep(&world).header("accept-encoding", "gzip").get("/contacts/2").await;
    assert_eq!((response.headers.get("content-encoding"), response.json()), (None, seen(2)));
    let response = rep(&world).header("accept-encoding", "gzip, identity;q=0").get("/contacts/2").await;
    assert_eq!(response.headers["content-encoding"], "gzip");
    let refused = rep(&world).header("accept-encoding", "gzip").get("/nothing").await;
    assert_eq!((refused.status, refused.headers.get("content-encoding")), (404, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_compressed_unless_that_is_configured() {
    let world = setup("").start().await;
    let long = contact(1).replace("Ada", &"Ada".repeat(2_000));
    world.upstream.on("GET /contacts/1", [Answer::json(200, long)]);
    let response = rep(&world).header("accept-encoding", "gzip, zstd, br").get("/contacts/1").await;
    assert_eq!((response.status, response.headers.get("content-encoding")), (200, None));
    assert_eq!(response.headers.get("vary"), None);
}

/// Which codings there are must not tell what there is.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_accepted_is_not_told_of_what_is_hidden() {
    let world = compressing("").start().await;
    for path in ["/accounts", "/nothing", "/accounts/1"] {
        let response = rep(&world).header("accept-encoding", "identity;q=0").get(path).await;
        assert_eq!(response.status, 404, "{path}");
        let response = rep(&world).header("accept", "text/html").get(path).await;
        assert_eq!(response.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_compressed_as_it_leaves() {
    for coding in ["gzip", "zstd"] {
        for from in ["", "gzip"] {
            let (address, source);
            if from.is_empty() {
                source = Some(Source::start(Script::default()).await);
                address = source.as_ref().map(|source| source.address);
            } else {
                let body = encode(from, list(5_000).as_bytes());
                let bytes = answer("content-encoding: gzip\r\n", &body);
                address = Some(Wire::start(vec![Connection::new([bytes], End::Hold)]).await.address);
            }
            let world = Setup { upstream: address, ..compressing("") }.start().await;
            let got = get(&world, "GET /contacts", &format!("accept-encoding: {coding}\r\n")).await;
            assert_eq!((got.status, got.complete), (200, true), "{}", got.head);
            assert!(got.head.contains(&format!("content-encoding: {coding}")), "{}", got.head);
            assert!(got.head.contains("vary: accept-encoding") && !got.head.contains("content-length"));
            assert!(got.body.len() < shown(5_000).len() / 3);
            assert!(decode(coding, &got.body).expect("whole") == shown(5_000).into_bytes());
            let (_, outcome) = world.last_audit().await;
            assert_eq!(outcome["bytes_sent"], got.body.len());
            clean(&world, 1).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_answer_that_is_cut_is_cut_in_its_coding_too() {
    for coding in ["gzip", "zstd"] {
        let end = super::source::Ending::Record("\"SECRET\"");
        let source = Source::start(Script { records: 20_000, end, ..Script::default() }).await;
        let world = Setup { upstream: Some(source.address), ..compressing("") }.start().await;
        let got = get(&world, "GET /contacts", &format!("accept-encoding: {coding}\r\n")).await;
        assert_eq!((got.status, got.complete), (200, false));
        assert!(decode(coding, &got.body).is_err(), "{coding}: no end that could be taken for one");
        assert_eq!(told(&world).await, words(200, "aborted", "upstream_broken"));
        clean(&world, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opaque_answer_is_handed_on_as_it_was_before_it_was_compressed() {
    let text = "flowers ".repeat(40_000);
    for (length, then, complete) in
        [(800, Then::Whole, true), (text.len(), Then::Whole, true), (text.len(), Then::Cut(600), false)]
    {
        let plain = &text[..length];
        let world = setup("decoded_ratio: 100000").start().await;
        let mut script = Answer::json(200, "").header("content-type", "text/plain").header("content-encoding", "zstd");
        script.body = encode("zstd", plain.as_bytes()).into();
        let short = script.body.len() < 600;
        world.upstream.on("GET /brochures/spring", [script.then(if short { Then::Whole } else { then })]);
        let got = get(&world, "GET /brochures/spring", "").await;
        if complete || short {
            assert_eq!((got.status, got.complete, got.text().as_str()), (200, true, plain));
        } else {
            assert!(!got.complete || got.status == 502);
        }
        assert!(!got.head.contains("content-encoding"), "{}", got.head);
        clean(&world, 1).await;
    }
}
