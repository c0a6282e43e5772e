//! How upstreams are reached: TLS both ways, HTTP/2, several addresses, and one that fails too often.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::wire::{Connection, End, Wire};
use super::{CREATION, answer, clean, contact, contact_answers, rep, seen, setup, told, words};
use crate::support::upstream::Then;
use crate::support::world::Setup;
use crate::support::{Answer, Authority, Issued, Upstream, Wanted, World};

/// An upstream over TLS that answers every GET with contact 1, and remembers by which version it was asked and whether its
/// client showed a certificate.
pub(super) struct Tls {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<(Version, bool)>>>,
}

impl Tls {
    pub(super) async fn start(own: &Issued, clients: Option<&Authority>, protocols: &[&str]) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let builder = ServerConfig::builder();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate.clone()).expect("a certificate");
                builder
                    .with_client_cert_verifier(WebPkiClientVerifier::builder(roots.into()).build().expect("a verifier"))
            }
        };
        let mut config = builder.with_single_cert(own.chain(), own.private()).expect("they fit");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&remembered));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let shown = stream.get_ref().1.peer_certificates().is_some();
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                        seen.lock().expect("no panic holds it").push((request.version(), shown));
                        async move {
                            let _ = request.into_body().collect().await;
                            let answer = Response::builder().header("content-type", "application/json");
                            answer.body(Full::new(Bytes::from(contact(1))))
                        }
                    });
                    if http2 {
                        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                    } else {
                        let builder = hyper::server::conn::http1::Builder::new();
                        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                    }
                });
            }
        });
        Self { address, seen }
    }

    pub(super) fn seen(&self) -> Vec<(Version, bool)> {
        self.seen.lock().expect("no panic holds it").clone()
    }
}

/// A gateway that reaches `tls` as `host`, with further members of the upstream and these files.
pub(super) async fn reaching(tls: &Tls, host: &str, keys: &str, files: &[(&str, &str)]) -> World {
    let files: BTreeMap<_, _> = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let url = format!("https://{host}:{}", tls.address.port());
    let setup = Setup { upstream_url: Some(url), upstream_keys: keys.to_owned(), files, ..setup("") };
    setup.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_is_trusted_by_its_authority_and_its_name_alone() {
    let (authority, other) = (Authority::new(), Authority::new());
    let named = |name: &str| authority.issue(&Wanted::dns(&[name]));
    let expired = authority.issue(&Wanted::dns(&["localhost"]).until(2026, 2, 1));
    let self_signed = Wanted::dns(&["localhost"]).self_signed();
    for (what, own, keys, ca, trusted) in [
        ("its name", &named("localhost"), ", ca: ca.pem", &authority, true),
        ("a declared name", &named("crm.internal"), ", ca: ca.pem, server_name: crm.internal", &authority, true),
        ("another name", &named("crm.internal"), ", ca: ca.pem", &authority, false),
        ("not the declared name", &named("localhost"), ", ca: ca.pem, server_name: crm.internal", &authority, false),
        ("a name below", &named("a.localhost"), ", ca: ca.pem", &authority, false),
        ("another authority", &named("localhost"), ", ca: ca.pem", &other, false),
        ("the system's authorities", &named("localhost"), "", &authority, false),
        ("expired", &expired, ", ca: ca.pem", &authority, false),
        ("self-signed", &self_signed, ", ca: ca.pem", &authority, false),
    ] {
        let tls = Tls::start(own, None, &["http/1.1"]).await;
        let world = reaching(&tls, "localhost", keys, &[("ca.pem", &ca.pem)]).await;
        let response = rep(&world).get("/contacts/1").await;
        assert_eq!(response.status, if trusted { 200 } else { 502 }, "{what}: {}", response.everything());
        assert_eq!(tls.seen().len(), usize::from(trusted), "{what}: what it saw");
        let wanted = if trusted { words(200, "allowed", "") } else { words(502, "failed", "upstream_unreachable") };
        assert_eq!(told(&world).await, wanted, "{what}");
        clean(&world, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_shows_its_own_certificate_where_one_is_declared() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let tls = Tls::start(&servers.issue(&Wanted::dns(&["localhost"])), Some(&clients), &["http/1.1"]).await;
    let own = clients.issue(&Wanted::dns(&["scrim.internal"]));
    let stranger = servers.issue(&Wanted::dns(&["scrim.internal"]));
    let keys = ", ca: ca.pem, client_certificate: { cert: own.pem, key: own.key }";
    for (keys, own, status) in [(keys, &own, 200), (", ca: ca.pem", &own, 502), (keys, &stranger, 502)] {
        let files = [("ca.pem", &*servers.pem), ("own.pem", &*own.pem), ("own.key", &*own.key)];
        let world = reaching(&tls, "localhost", keys, &files).await;
        assert_eq!(rep(&world).get("/contacts/1").await.status, status, "{keys}");
    }
    assert_eq!(tls.seen(), [(Version::HTTP_11, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_files_of_an_upstream_are_taken_over_by_themselves() {
    let (servers, clients, others) = (Authority::new(), Authority::new(), Authority::new());
    let tls = Tls::start(&servers.issue(&Wanted::dns(&["localhost"])), Some(&clients), &["http/1.1"]).await;
    let stranger = others.issue(&Wanted::dns(&["scrim"]).until(2027, 6, 1));
    let own = clients.issue(&Wanted::dns(&["scrim"]));
    let keys = ", ca: ca.pem, client_certificate: { cert: own.pem, key: own.key }";
    let files = [("ca.pem", &*servers.pem), ("own.pem", &*own.pem), ("own.key", &*own.key)];
    let world = reaching(&tls, "localhost", keys, &files).await;
    let rep = rep(&world);
    let becomes = async |status: u16| while rep.get("/contacts/1").await.status != status {};
    let put = |name: &str, text: &str| std::fs::write(world.folder.path().join(name), text).expect("written");
    assert_eq!(rep.get("/contacts/1").await.status, 200);

    let ends = "scrim_upstream_certificate_expiry_timestamp_seconds{tenant=\"\",upstream=\"crm\"}";
    let first = world.metric(ends).await;
    assert!(first > 1_800_000_000.0, "{first}");

    // The connection that is kept was trusted for what no longer is.
    put("ca.pem", &others.pem);
    becomes(502).await;
    put("ca.pem", &servers.pem);
    becomes(200).await;
    put("own.pem", &stranger.pem);
    let failed = async || world.metric("scrim_certificate_reloads_total{outcome=\"failed\"}").await;
    while failed().await == 0.0 {
        assert_eq!(rep.get("/contacts/1").await.status, 200, "a certificate without its key changes nothing");
    }
    put("own.key", &stranger.key);
    becomes(502).await;
    assert_eq!(world.metric(ends).await, 1_811_808_000.0, "that of the other one");
    assert_eq!(world.metric("scrim_policy_generation").await, 1.0, "nothing else was loaded");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_spoken_where_both_sides_offer_it() {
    let authority = Authority::new();
    let own = authority.issue(&Wanted::dns(&["localhost"]));
    let both = ", ca: ca.pem, protocols: [h2, http/1.1]";
    for (offered, keys, version) in [
        (&["h2", "http/1.1"][..], both, Version::HTTP_2),
        (&["http/1.1"], both, Version::HTTP_11),
        (&["h2", "http/1.1"], ", ca: ca.pem", Version::HTTP_11),
        (&["h2", "http/1.1"], ", ca: ca.pem, protocols: [http/1.1]", Version::HTTP_11),
    ] {
        let tls = Tls::start(&own, None, offered).await;
        let world = reaching(&tls, "localhost", keys, &[("ca.pem", &authority.pem)]).await;
        for _ in 0..3 {
            let response = rep(&world).get("/contacts/1").await;
            assert_eq!((response.status, response.json()), (200, seen(1)), "{offered:?}, {keys}");
        }
        assert_eq!(tls.seen(), [(version, false); 3], "{offered:?}, {keys}");
        clean(&world, 3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_an_upstream_that_do_not_hold_never_come_into_force() {
    let authority = Authority::new();
    let own = authority.issue(&Wanted::dns(&["localhost"]));
    let tls = Tls::start(&own, None, &["http/1.1"]).await;
    let keys = ", ca: ca.pem, client_certificate: { cert: own.pem, key: own.key }";
    let files = [("ca.pem", &*authority.pem), ("own.pem", &*own.pem), ("own.key", &*own.key)];
    let world = reaching(&tls, "localhost", keys, &files).await;
    let write = |name: &str, text: &str| std::fs::write(world.folder.path().join(name), text).expect("written");
    let unfit = authority.issue(&Wanted::dns(&["localhost"])).key;
    let expired = authority.issue(&Wanted::dns(&["localhost"]).until(2027, 1, 1));
    for (name, text, words) in [
        ("ca.pem", "", "holds no certificate"),
        ("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "can't be read as a certificate"),
        ("own.key", &*unfit, "does not fit"),
        ("own.pem", &*expired.pem, "has expired on 2027-01-01"),
    ] {
        write(name, text);
        let errors = world.gateway.reload().await.expect_err(words);
        let shown = scrim::diagnostic::render(&errors, false);
        assert!(shown.contains(words) && shown.contains("gateway.yaml:4:"), "{words}: {shown}");
        assert_eq!(rep(&world).get("/contacts/1").await.status, 200, "the last good one stays");
        files.iter().for_each(|(name, text)| write(name, text));
    }
    world.gateway.reload().await.expect("all holds again");
}

/// A port on which nothing listens.
pub(super) async fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound")
}

pub(super) async fn with_addresses(addresses: &[SocketAddr], more: &str, limits: &str) -> World {
    let list = addresses.iter().map(|address| format!("\"{address}\"")).collect::<Vec<_>>().join(", ");
    let keys = format!(", addresses: [{list}]{more}");
    let url = Some("http://localhost:1".to_owned());
    Setup { upstream_url: url, upstream_keys: keys, ..setup(limits) }.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_loaded_address_is_asked() {
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let world = with_addresses(&[one.address, two.address], "", "upstream_head_time: 20s").await;
    one.on("GET /contacts/1", [Answer::json(200, contact(1)).then(Then::Stall)]);
    two.on("GET /contacts/1", [Answer::json(200, contact(1))]);
    let stalled = tokio::spawn({
        let client = rep(&world);
        async move { client.get("/contacts/1").await }
    });
    // The first is asked first. Once it hangs, all others go to the other.
    one.arrival().await;
    for _ in 0..8 {
        let response = tokio::time::timeout(Duration::from_secs(10), rep(&world).get("/contacts/1")).await;
        assert_eq!(response.expect("not the one that hangs").status, 200);
    }
    assert_eq!((one.seen().len(), two.seen().len()), (1, 8));
    stalled.abort();
    one.abandonment().await;
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_down_costs_nobody_a_request_and_is_left_alone() {
    let up = Upstream::start().await;
    let world = with_addresses(&[closed().await, up.address], ", ejection: { failures: 2, time: 1h }", "").await;
    up.on("GET /contacts/1", [Answer::json(200, contact(1))]);
    up.on("POST /contacts", [Answer::json(201, contact(9))]);
    for _ in 0..6 {
        assert_eq!(rep(&world).get("/contacts/1").await.json(), seen(1));
        // Nothing of it was sent to the other.
        assert_eq!(rep(&world).send("POST", "/contacts", Some(CREATION)).await.status, 201);
    }
    assert_eq!(up.seen().iter().filter(|seen| seen.method == "POST").count(), 6, "each once");
    assert_eq!(world.metric("scrim_upstream_ejections_total{upstream=\"crm\"}").await, 1.0);
    clean(&world, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_answers_badly_is_left_alone_and_its_requests_are_not_repeated() {
    let (bad, good) = (Upstream::start().await, Upstream::start().await);
    let world = with_addresses(&[bad.address, good.address], ", ejection: { failures: 2, time: 1h }", "").await;
    bad.on("POST /contacts", [Answer::json(503, "{}")]);
    good.on("POST /contacts", [Answer::json(201, contact(9))]);
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(rep(&world).send("POST", "/contacts", Some(CREATION)).await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 502).count(), 2, "{statuses:?}");
    assert_eq!((bad.seen().len(), good.seen().len()), (2, 8));
    assert_eq!(world.metric("scrim_upstream_ejections_total{upstream=\"crm\"}").await, 1.0);
    clean(&world, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_fails_too_often_is_not_asked_for_a_while() {
    let wire = Wire::start(vec![Connection::new([""; 0], End::CloseAtNext)]).await;
    let keys = ", breaker: { failures: 3, time: 1h }".to_owned();
    let world = Setup { upstream: Some(wire.address), upstream_keys: keys, ..setup("") }.start().await;
    let client = rep(&world);
    for _ in 0..3 {
        assert_eq!(client.get("/contacts/1").await.status, 502);
    }
    let open = "scrim_upstream_circuit_open{upstream=\"crm\"}";
    assert_eq!((wire.connections(), world.metric(open).await), (3, 1.0));
    for _ in 0..3 {
        let response = client.get("/contacts/1").await;
        assert_eq!((response.status, &response.json()["code"]), (503, &"unavailable".into()));
        assert_eq!(told(&world).await, words(503, "failed", "upstream_circuit_open"));
    }
    assert_eq!(wire.connections(), 3, "nothing was sent");
    clean(&world, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_tries_again_and_closes_the_circuit() {
    let broken = Connection::new([""; 0], End::CloseAtNext);
    let whole = Connection::new([answer(&contact(1))], End::Close);
    let wire = Wire::start(vec![broken.clone(), broken, whole]).await;
    let keys = ", breaker: { failures: 2, time: 50ms }".to_owned();
    let world = Setup { upstream: Some(wire.address), upstream_keys: keys, ..setup("") }.start().await;
    let client = rep(&world);
    assert_eq!(client.get("/contacts/1").await.status, 502);
    assert_eq!(client.get("/contacts/1").await.status, 502);
    let closes = async {
        loop {
            match client.get("/contacts/1").await.status {
                503 => {}
                status => return status,
            }
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(20), closes).await.expect("it tries again");
    assert_eq!((status, wire.connections()), (200, 3));
    assert_eq!(world.metric("scrim_upstream_circuit_open{upstream=\"crm\"}").await, 0.0);
    assert_eq!(client.get("/contacts/1").await.status, 200);
}

/// What a service says of one request is no sign that it is gone: nobody can close it to others by asking for what fails.
#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_service_itself_do_not_open_the_circuit() {
    let keys = ", breaker: { failures: 2, time: 1h }, ejection: { failures: 1, time: 1h }".to_owned();
    let world = Setup { upstream_keys: keys, ..setup("") }.start().await;
    contact_answers(&world);
    world.upstream.on("GET /contacts/2", [Answer::json(500, "{}")]);
    world.upstream.on("GET /contacts/3", [Answer::json(429, "{}")]);
    for _ in 0..3 {
        assert_eq!(rep(&world).get("/contacts/2").await.status, 502);
        assert_eq!(rep(&world).get("/contacts/3").await.status, 502);
    }
    assert_eq!(rep(&world).get("/contacts/1").await.status, 200);
    assert_eq!(world.metric("scrim_upstream_circuit_open{upstream=\"crm\"}").await, 0.0);
    clean(&world, 7).await;
}
