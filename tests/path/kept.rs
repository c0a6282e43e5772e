//! What goes on over a reload: connections to an upstream, and what was learnt of it, as long as it is the same one. A connection
//! that was verified under anything else is never used again, and nothing is kept of what is over.
//!
//! Most of it runs on one thread: on several, the library now and then drops a connection that it finds while its own watcher
//! has not quite let go of it, and opens another.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::wire::{Connection, End, Wire};
use super::{POLICY, clean, contact, rep, setup, told, words};
use crate::support::world::{API, Setup};
use crate::support::{Answer, Authority, Issued, Upstream, Wanted, World};

/// For what takes no longer than a look at it, and far less than a connection may be idle.
const SOON: Duration = Duration::from_secs(20);

/// One request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    connection: usize,
    /// As which its server was spoken to, and what its client showed.
    name: Option<String>,
    certificate: Option<CertificateDer<'static>>,
}

/// An upstream that counts its connections and answers every request with contact 1.
#[derive(Clone)]
struct Counted {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    seen: Mutex<Vec<Seen>>,
    opened: Mutex<usize>,
    /// Connections that are open.
    open: watch::Sender<usize>,
    arrived: Notify,
    /// Answers that may be given.
    answers: Semaphore,
}

impl Counted {
    async fn plain() -> Self {
        Self::start(None).await
    }

    /// Over TLS, also to clients without a certificate.
    async fn secure(own: &Issued, clients: &Authority, protocols: &[&str]) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        roots.add(clients.certificate.clone()).expect("a certificate");
        let verifier = WebPkiClientVerifier::builder(roots.into()).allow_unauthenticated().build().expect("a verifier");
        let builder = ServerConfig::builder().with_client_cert_verifier(verifier);
        let mut config = builder.with_single_cert(own.chain(), own.private()).expect("they fit");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self::start(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State {
            seen: Mutex::default(),
            opened: Mutex::default(),
            open: watch::Sender::new(0),
            arrived: Notify::new(),
            answers: Semaphore::new(100_000),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (Arc::clone(&shared), tls.clone());
                let connection = {
                    let mut opened = state.opened.lock().expect("no panic holds it");
                    *opened += 1;
                    *opened - 1
                };
                state.open.send_modify(|open| *open += 1);
                tokio::spawn(async move {
                    match tls {
                        None => {
                            let seen = Seen { connection, name: None, certificate: None };
                            serve(stream, false, seen, Arc::clone(&state)).await;
                        }
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                let tls = stream.get_ref().1;
                                let shown = tls.peer_certificates().and_then(|chain| chain.first());
                                let certificate = shown.map(|shown| shown.clone().into_owned());
                                let name = tls.server_name().map(str::to_owned);
                                let http2 = tls.alpn_protocol() == Some(b"h2");
                                serve(stream, http2, Seen { connection, name, certificate }, Arc::clone(&state)).await;
                            }
                        }
                    }
                    state.open.send_modify(|open| *open -= 1);
                });
            }
        });
        Self { address, state }
    }

    fn opened(&self) -> usize {
        *self.state.opened.lock().expect("no panic holds it")
    }

    fn last(&self) -> Seen {
        self.state.seen.lock().expect("no panic holds it").last().expect("it was asked").clone()
    }

    /// Until so many connections are open.
    async fn has_open(&self, count: usize, what: &str) {
        let mut open = self.state.open.subscribe();
        let becomes = tokio::time::timeout(SOON, open.wait_for(|open| *open == count)).await;
        assert!(becomes.is_ok(), "{what}: {} are open", *self.state.open.borrow());
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    http2: bool,
    seen: Seen,
    state: Arc<State>,
) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (state, seen) = (Arc::clone(&state), seen.clone());
        async move {
            let _ = request.into_body().collect().await;
            state.seen.lock().expect("no panic holds it").push(seen);
            state.arrived.notify_one();
            state.answers.acquire().await.expect("never closed").forget();
            let answer = Response::builder().header("content-type", "application/json");
            answer.body(Full::new(Bytes::from(contact(1))))
        }
    });
    let stream = TokioIo::new(stream);
    if http2 {
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await;
    } else {
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
    }
}

/// Two authorities for either side, and certificates of theirs.
struct Pki {
    servers: Authority,
    clients: Authority,
    own: Issued,
    next: Issued,
}

impl Pki {
    fn new() -> Self {
        let (servers, clients) = (Authority::new(), Authority::new());
        let (own, next) = (clients.issue(&Wanted::dns(&["scrim"])), clients.issue(&Wanted::dns(&["scrim"]).serial(2)));
        Self { servers, clients, own, next }
    }

    /// Its certificate bears two names.
    async fn upstream(&self, protocols: &[&str]) -> Counted {
        let own = self.servers.issue(&Wanted::dns(&["localhost", "crm.internal"]));
        Counted::secure(&own, &self.clients, protocols).await
    }

    async fn world(&self, upstream: &Counted, more: &str) -> World {
        let files = [
            ("ca.pem", &self.servers.pem),
            ("same-ca.pem", &self.servers.pem),
            ("own.pem", &self.own.pem),
            ("own.key", &self.own.key),
            ("next.pem", &self.next.pem),
            ("next.key", &self.next.key),
        ];
        let files: BTreeMap<_, _> = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let url = format!("https://localhost:{}", upstream.address.port());
        let keys = format!(", ca: ca.pem, client_certificate: {{ cert: own.pem, key: own.key }}{more}");
        Setup { upstream_url: Some(url), upstream_keys: keys, files, ..setup("upstream_connections: 16") }.start().await
    }
}

fn write(world: &World, name: &str, text: &str) {
    fs::write(world.folder.path().join(name), text).expect("written");
}

/// Changes the gateway file, of which `from` must be a part.
fn change(world: &World, from: &str, to: &str) {
    let text = fs::read_to_string(world.folder.path().join("gateway.yaml")).expect("read");
    assert!(text.contains(from), "{from} is not in {text}");
    write(world, "gateway.yaml", &text.replace(from, to));
}

async fn reload(world: &World) {
    if let Err(errors) = world.gateway.reload().await {
        panic!("{}", scrim::diagnostic::render(&errors, false));
    }
}

async fn asked(world: &World) -> u16 {
    rep(world).get("/contacts/1").await.status
}

#[tokio::test]
async fn connections_go_on_over_reloads_of_anything_else() {
    let pki = Pki::new();
    let http1 = (pki.upstream(&["http/1.1"]).await, "");
    let http2 = (pki.upstream(&["h2"]).await, ", protocols: [h2, http/1.1]");
    for (upstream, more) in [http1, http2] {
        let world = pki.world(&upstream, more).await;
        assert_eq!(asked(&world).await, 200);
        let first = upstream.last();
        for round in 0..40 {
            match round % 4 {
                0 => world.policy("contacts", &format!("{POLICY}# {round}\n")),
                1 => write(&world, "api.yaml", &format!("{API}# {round}\n")),
                // What is shown to whoever answers is no part of how it is reached.
                2 => change(&world, "{ secret: token }", "{ secret: masking }"),
                _ => change(&world, "{ bearer: { secret: masking } }", "{ bearer: { secret: token } }"),
            }
            reload(&world).await;
            assert_eq!(asked(&world).await, 200, "{round}");
        }
        assert_eq!((upstream.opened(), upstream.last()), (1, first), "{more}");
        clean(&world, 41).await;
        world.gateway.shutdown().await;
    }
}

#[tokio::test]
async fn a_reload_that_changes_how_an_upstream_is_trusted_uses_none_of_its_connections_again() {
    let pki = Pki::new();
    let own = "{ cert: own.pem, key: own.key }";
    for (protocols, more) in [(&["http/1.1"][..], ""), (&["h2"], ", protocols: [h2, http/1.1]")] {
        for (from, to) in [
            ("ca: ca.pem", "ca: same-ca.pem"),
            (own, "{ cert: next.pem, key: next.key }"),
            (", client_certificate: { cert: own.pem, key: own.key }", ""),
            ("ca: ca.pem", "ca: ca.pem, server_name: crm.internal"),
            ("ca: ca.pem", "ca: ca.pem, breaker: { failures: 7 }"),
            ("ca: ca.pem", "ca: ca.pem, ejection: { failures: 7 }"),
            ("upstream_connections: 16", "upstream_connections: 8"),
            ("upstream_connections: 16", "upstream_connections: 16, connect_time: 7s"),
            ("upstream_connections: 16", "upstream_connections: 16, idle_time: 50s"),
        ] {
            let upstream = pki.upstream(protocols).await;
            let world = pki.world(&upstream, more).await;
            assert_eq!((asked(&world).await, asked(&world).await, upstream.opened()), (200, 200, 1));
            let before = upstream.last();
            change(&world, from, to);
            reload(&world).await;
            upstream.has_open(0, &format!("{protocols:?}, {to}: what is idle is closed at once")).await;
            assert_eq!(asked(&world).await, 200, "{to}");
            let after = upstream.last();
            assert_ne!(after.connection, before.connection, "{protocols:?}, {to}");
            assert_eq!(upstream.opened(), 2, "{protocols:?}, {to}");
            if to.contains("next.pem") {
                assert_eq!(after.certificate, Some(pki.next.chain()[0].clone()));
            }
            if from.contains(", client_certificate") {
                assert_eq!((before.certificate.is_some(), after.certificate), (true, None));
            }
            if to.contains("server_name") {
                assert_eq!(after.name.as_deref(), Some("crm.internal"));
            }
            world.gateway.shutdown().await;
        }
    }
}

/// The files are exchanged with the gateway file, and nothing else was told of it.
#[tokio::test]
async fn files_that_are_exchanged_with_the_gateway_file_come_into_force_with_it() {
    let pki = Pki::new();
    let others = Authority::new();
    for beside in [("", ""), ("ca: ca.pem", "ca: ca.pem, breaker: { failures: 9 }")] {
        let upstream = pki.upstream(&["http/1.1"]).await;
        let world = pki.world(&upstream, "").await;
        assert_eq!(asked(&world).await, 200);
        assert_eq!(upstream.last().certificate, Some(pki.own.chain()[0].clone()));
        write(&world, "own.pem", &pki.next.pem);
        write(&world, "own.key", &pki.next.key);
        change(&world, beside.0, beside.1);
        reload(&world).await;
        assert_eq!(asked(&world).await, 200);
        assert_eq!(upstream.last().certificate, Some(pki.next.chain()[0].clone()), "{beside:?}");
        upstream.has_open(1, "the other one is closed").await;
        write(&world, "ca.pem", &others.pem);
        world.policy("contacts", &format!("{POLICY}# another\n"));
        reload(&world).await;
        assert_eq!(asked(&world).await, 502, "{beside:?}: who vouched for it does no longer");
        upstream.has_open(0, "nothing is kept that was trusted").await;
        write(&world, "ca.pem", &pki.servers.pem);
        reload(&world).await;
        assert_eq!(asked(&world).await, 200, "{beside:?}");
        world.gateway.shutdown().await;
    }
}

#[tokio::test]
async fn a_reload_that_fails_changes_nothing() {
    let pki = Pki::new();
    let upstream = pki.upstream(&["http/1.1"]).await;
    let world = pki.world(&upstream, "").await;
    assert_eq!(asked(&world).await, 200);
    type Damage = (&'static str, fn(&World));
    let damages: [Damage; 3] = [
        ("another CA, and a policy that does not hold", |world| {
            change(world, "ca: ca.pem", "ca: same-ca.pem");
            world.policy("contacts", "table: [");
        }),
        ("files that do not belong together", |world| {
            let next = fs::read_to_string(world.folder.path().join("next.pem")).expect("read");
            write(world, "own.pem", &next);
        }),
        ("another name, and no such secret", |world| {
            change(world, "upstreams: { crm: {", "upstreams: { other: { url: \"http://127.0.0.1:1\" }, crm: {");
            change(world, "{ secret: token }", "{ secret: nope }");
        }),
    ];
    let gateway = fs::read_to_string(world.folder.path().join("gateway.yaml")).expect("read");
    for (what, damage) in damages {
        damage(&world);
        world.gateway.reload().await.expect_err(what);
        assert_eq!((asked(&world).await, upstream.opened()), (200, 1), "{what}");
        write(&world, "gateway.yaml", &gateway);
        write(&world, "own.pem", &pki.own.pem);
        world.policy("contacts", POLICY);
        reload(&world).await;
        assert_eq!((asked(&world).await, upstream.opened()), (200, 1), "{what}: mended");
    }
    upstream.has_open(1, "it is the same one").await;
}

#[tokio::test]
async fn an_upstream_by_another_name_is_another_one() {
    let upstream = Counted::plain().await;
    let world = Setup { upstream: Some(upstream.address), ..setup("") }.start().await;
    assert_eq!(asked(&world).await, 200);
    change(&world, "upstreams: { crm: {", "upstreams: { backend: {");
    write(&world, "api.yaml", &API.replace("upstream: crm", "upstream: backend"));
    reload(&world).await;
    upstream.has_open(0, "what was the other's is closed").await;
    assert_eq!((asked(&world).await, upstream.opened()), (200, 2));
    let metrics = world.admin().get("/metrics").await.text();
    let open = |name: &str| metrics.contains(&format!("scrim_upstream_circuit_open{{upstream=\"{name}\"}} 0"));
    assert!(open("backend") && !open("crm"), "{metrics}");
}

/// Two upstreams that change names change nothing else, and yet nobody's connections are the other's.
#[tokio::test]
async fn upstreams_that_exchange_their_names_exchange_no_connection() {
    let (one, two) = (Counted::plain().await, Counted::plain().await);
    let world = Setup { upstream: Some(one.address), ..setup("") }.start().await;
    let other = |to: SocketAddr| format!("upstreams: {{ spare: {{ url: \"http://{to}\" }}, crm: {{");
    change(&world, "upstreams: { crm: {", &other(two.address));
    reload(&world).await;
    assert_eq!((asked(&world).await, one.opened(), two.opened()), (200, 1, 0));
    let swapped = format!("url: \"http://{}\"", two.address);
    change(&world, &swapped, "url: \"http://SPARE\"");
    change(&world, &format!("url: \"http://{}\"", one.address), &swapped);
    change(&world, "http://SPARE", &format!("http://{}", one.address));
    reload(&world).await;
    assert_eq!((asked(&world).await, one.opened(), two.opened()), (200, 1, 1));
    one.has_open(0, "it was opened for another").await;
}

#[tokio::test]
async fn what_is_in_use_ends_with_its_exchange_and_is_kept_by_nobody() {
    let pki = Pki::new();
    for (protocols, more) in [(&["http/1.1"][..], ""), (&["h2"], ", protocols: [h2, http/1.1]")] {
        let upstream = pki.upstream(protocols).await;
        let world = pki.world(&upstream, more).await;
        assert_eq!(asked(&world).await, 200);
        upstream.state.arrived.notified().await;
        upstream.state.answers.forget_permits(1 << 20);
        let held = tokio::spawn({
            let client = rep(&world);
            async move { client.get("/contacts/1").await.status }
        });
        upstream.state.arrived.notified().await;
        change(&world, "ca: ca.pem", "ca: same-ca.pem");
        reload(&world).await;
        upstream.state.answers.add_permits(1);
        assert_eq!(held.await.expect("no panic"), 200, "{protocols:?}: it ends under what it began with");
        upstream.has_open(0, &format!("{protocols:?}: nobody comes back to it")).await;
        upstream.state.answers.add_permits(1);
        assert_eq!((asked(&world).await, upstream.opened()), (200, 2), "{protocols:?}");
        clean(&world, 3).await;
        world.gateway.shutdown().await;
    }
}

#[tokio::test]
async fn a_circuit_stays_open_over_a_reload_until_its_upstream_is_another() {
    let open = "scrim_upstream_circuit_open{upstream=\"crm\"}";
    let wire = Wire::start(vec![Connection::new([""; 0], End::CloseAtNext)]).await;
    let keys = ", breaker: { failures: 3, time: 1h }".to_owned();
    let world = Setup { upstream: Some(wire.address), upstream_keys: keys, ..setup("") }.start().await;
    for _ in 0..3 {
        assert_eq!(asked(&world).await, 502);
    }
    assert_eq!((wire.connections(), world.metric(open).await), (3, 1.0));
    world.policy("contacts", &format!("{POLICY}# another\n"));
    reload(&world).await;
    assert_eq!((asked(&world).await, wire.connections(), world.metric(open).await), (503, 3, 1.0));
    assert_eq!(told(&world).await, words(503, "failed", "upstream_circuit_open"));
    // What would be another one says nothing of the one in force.
    change(&world, "failures: 3", "failures: 4");
    world.policy("contacts", "table: [");
    world.gateway.reload().await.expect_err("it is broken");
    assert_eq!((asked(&world).await, wire.connections(), world.metric(open).await), (503, 3, 1.0));
    world.policy("contacts", POLICY);
    reload(&world).await;
    assert_eq!(world.metric(open).await, 0.0);
    assert_eq!((asked(&world).await, wire.connections(), world.metric(open).await), (502, 4, 0.0));
    clean(&world, 6).await;
}

#[tokio::test]
async fn an_address_that_is_left_alone_is_so_over_a_reload() {
    let (bad, good) = (Upstream::start().await, Upstream::start().await);
    bad.on("GET /contacts/1", [Answer::json(503, "{}")]);
    good.on("GET /contacts/1", [Answer::json(200, contact(1))]);
    let keys =
        format!(", addresses: [\"{}\", \"{}\"], ejection: {{ failures: 1, time: 1h }}", bad.address, good.address);
    let url = Some("http://localhost:1".to_owned());
    let world = Setup { upstream_url: url, upstream_keys: keys, ..setup("") }.start().await;
    while bad.seen().is_empty() {
        asked(&world).await;
    }
    for round in 0..6 {
        world.policy("contacts", &format!("{POLICY}# {round}\n"));
        reload(&world).await;
        assert_eq!((asked(&world).await, asked(&world).await, bad.seen().len()), (200, 200, 1), "{round}");
    }
    assert_eq!(world.metric("scrim_upstream_ejections_total{upstream=\"crm\"}").await, 1.0);
    change(&world, "failures: 1", "failures: 2");
    reload(&world).await;
    while bad.seen().len() == 1 {
        asked(&world).await;
    }
}

/// As an operator's script does that reloads all the time.
#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load_leave_nothing_behind() {
    let upstream = Counted::plain().await;
    let world = Arc::new(Setup { upstream: Some(upstream.address), ..setup("") }.start().await);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (client, stop) = (rep(&world), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut count = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    assert_eq!(client.get("/contacts/1").await.status, 200);
                    count += 1;
                }
                count
            })
        })
        .collect();
    for round in 0..30 {
        if round % 3 == 0 {
            // Each of these makes another upstream of it.
            let (without, with) = ("secret: token } }", "secret: token } }, breaker: { failures: 9 }");
            let (from, to) = if round % 2 == 0 { (without, with) } else { (with, without) };
            change(&world, from, to);
        } else {
            world.policy("contacts", &format!("{POLICY}# {round}\n"));
        }
        reload(&world).await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.expect("no panic") > 0);
    }
    // Long before they would have been idle for their time.
    let mut open = upstream.state.open.subscribe();
    let few = tokio::time::timeout(SOON, open.wait_for(|open| *open <= 5)).await.is_ok();
    assert!(few, "{} are open after 30 reloads under 4 callers", *upstream.state.open.borrow());
}
