//! Certificates that upstreams are shown for each tenant: never another's, on connections that no two tenants share, and no
//! connection at all where there is none.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{clean, contact, setup, told, words};
use crate::support::world::Setup;
use crate::support::{Authority, Client, Issued, Wanted, World};

const OWN: &str =
    ", ca: ca.pem, client_certificate: { cert: \"own-{organization_id}.pem\", key: \"own-{organization_id}.key\" }";

/// What an upstream saw of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    tenant: String,
    certificate: CertificateDer<'static>,
    connection: usize,
}

/// An upstream over TLS that insists on a certificate, and answers with contact 1 of the tenant that its headers name.
struct Mutual {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
}

impl Mutual {
    /// `closing`: each connection is good for one request.
    async fn start(own: &Issued, clients: &[&Authority], protocols: &[&str], closing: bool) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        clients.iter().for_each(|authority| roots.add(authority.certificate.clone()).expect("a certificate"));
        let verifier = WebPkiClientVerifier::builder(roots.into()).build().expect("a verifier");
        let builder = ServerConfig::builder().with_client_cert_verifier(verifier);
        let mut config = builder.with_single_cert(own.chain(), own.private()).expect("they fit");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (seen, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (remembered, counted) = (Arc::clone(&seen), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&remembered));
                let connection = counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                    let certificate = shown.expect("it was asked for").clone().into_owned();
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                        let tenant = request.headers()["x-organization-id"].to_str().expect("text").to_owned();
                        let body = contact(1).replace("\"acme\"", &json!(tenant).to_string());
                        let one = Seen { tenant, certificate: certificate.clone(), connection };
                        seen.lock().expect("no panic holds it").push(one);
                        async move {
                            let _ = request.into_body().collect().await;
                            let answer = Response::builder().header("content-type", "application/json");
                            let answer = if closing { answer.header("connection", "close") } else { answer };
                            answer.body(Full::new(Bytes::from(body)))
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
        Self { address, seen, connections }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic holds it").clone()
    }

    /// The last request's certificate is this one.
    fn was_shown(&self, own: &Issued) -> bool {
        self.seen().last().is_some_and(|seen| seen.certificate == own.chain()[0])
    }
}

async fn reaching(mutual: &Mutual, keys: &str, files: &[(&str, &str)]) -> World {
    let files: BTreeMap<_, _> = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let url = format!("https://localhost:{}", mutual.address.port());
    let setup = Setup { upstream_url: Some(url), upstream_keys: keys.to_owned(), files, ..setup("") };
    setup.start().await
}

fn of(world: &World, organization: &str) -> Client {
    world.person("ann", &json!({ "roles": ["rep"], "org_id": organization }))
}

/// An authority for servers, and what two tenants show of themselves.
fn files<'a>(servers: &'a Authority, acme: &'a Issued, globex: &'a Issued) -> [(&'static str, &'a str); 5] {
    [
        ("ca.pem", &*servers.pem),
        ("own-acme.pem", &*acme.pem),
        ("own-acme.key", &*acme.key),
        ("own-globex.pem", &*globex.pem),
        ("own-globex.key", &*globex.key),
    ]
}

fn server(authority: &Authority) -> Issued {
    authority.issue(&Wanted::dns(&["localhost"]))
}

/// Two authorities that know nothing of each other give out alike numbers, by which the library's pool tells certificates apart.
#[tokio::test(flavor = "multi_thread")]
async fn no_two_tenants_share_a_connection_whatever_their_certificates_say() {
    let (servers, of_acme, of_globex) = (Authority::new(), Authority::new(), Authority::new());
    let alike = Wanted::dns(&["scrim.internal"]).serial(7);
    let (acme, globex) = (of_acme.issue(&alike), of_globex.issue(&alike));
    let files = files(&servers, &acme, &globex);
    let both = format!("{OWN}, protocols: [h2, http/1.1]");
    for (protocols, keys, closing) in
        [(&["http/1.1"][..], OWN, false), (&["http/1.1"], OWN, true), (&["h2", "http/1.1"], &*both, false)]
    {
        let mutual = Mutual::start(&server(&servers), &[&of_acme, &of_globex], protocols, closing).await;
        let world = reaching(&mutual, keys, &files).await;
        for _ in 0..6 {
            for organization in ["acme", "globex"] {
                let got = of(&world, organization).get("/contacts/1").await;
                assert_eq!(got.status, 200, "{protocols:?}: {}", got.everything());
            }
        }
        let seen = mutual.seen();
        assert_eq!(seen.len(), 12);
        for one in &seen {
            let own = if one.tenant == "acme" { &acme } else { &globex };
            assert_eq!(one.certificate, own.chain()[0], "{protocols:?}: what {} was shown", one.tenant);
        }
        let on = |tenant: &str| -> BTreeSet<usize> {
            seen.iter().filter(|one| one.tenant == tenant).map(|one| one.connection).collect()
        };
        assert!(on("acme").is_disjoint(&on("globex")), "{protocols:?}: {seen:?}");
        let all = on("acme").len() + on("globex").len();
        assert!(if closing { all == 12 } else { all < 12 }, "{protocols:?}: connections are kept: {seen:?}");
        clean(&world, 12).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_without_a_certificate_is_refused_before_anything_is_opened() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let mutual = Mutual::start(&server(&servers), &[&clients], &["http/1.1"], false).await;
    let own = clients.issue(&Wanted::dns(&["scrim.internal"]));
    let mut files = vec![("ca.pem", &*servers.pem), ("own-acme.pem", &*own.pem), ("own-acme.key", &*own.key)];
    // Whose they are is said by the whole name, to the letter.
    let near = ["own-Globex", "own-globex2", "own-glob%65x", "own-", "own-.globex", "globex", "own-%2E%2E"];
    let names: Vec<(String, String)> = near.iter().map(|name| (format!("{name}.pem"), format!("{name}.key"))).collect();
    for (cert, key) in &names {
        files.extend([(&**cert, &*own.pem), (&**key, &*own.key)]);
    }
    files.push(("own-globex.pem.bak", &own.pem));
    let world = reaching(&mutual, OWN, &files).await;
    for (method, target, body) in [
        ("GET", "/contacts", None),
        ("GET", "/contacts/1", None),
        ("POST", "/contacts", Some(super::CREATION)),
        ("GET", "/brochures/a.txt", None),
    ] {
        let got = of(&world, "globex").send(method, target, body).await;
        assert_eq!((got.status, &got.json()["code"]), (503, &json!("tenant_not_served")), "{method} {target}");
        assert_eq!(told(&world).await, words(503, "failed", "upstream_credential_missing"), "{method} {target}");
    }
    assert_eq!(mutual.connections.load(Ordering::SeqCst), 0, "nobody was connected to");
    assert_eq!(world.metric("scrim_upstream_circuit_open{upstream=\"crm\"}").await, 0.0);
    assert_eq!(of(&world, "acme").get("/contacts/1").await.status, 200, "others are served");
    clean(&world, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_tenants_come_and_go_while_the_gateway_runs() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let mutual = Mutual::start(&server(&servers), &[&clients], &["http/1.1"], false).await;
    let issue = |serial| clients.issue(&Wanted::dns(&["scrim.internal"]).serial(serial));
    let (acme, globex, next) = (issue(1), issue(2), issue(3));
    let files = [("ca.pem", &*servers.pem), ("own-acme.pem", &*acme.pem), ("own-acme.key", &*acme.key)];
    let world = reaching(&mutual, OWN, &files).await;
    let asked = async |organization: &str| of(&world, organization).get("/contacts/1").await.status;
    let put = |name: &str, text: &str| std::fs::write(world.folder.path().join(name), text).expect("written");
    let failures = async || world.metric("scrim_certificate_reloads_total{outcome=\"failed\"}").await;
    let end = Instant::now() + Duration::from_secs(60);
    let soon = || assert!(Instant::now() < end, "it never came into force");
    assert_eq!((asked("acme").await, asked("globex").await), (200, 503));
    // A certificate without its key is none, and changes nothing for others.
    put("own-globex.pem", &globex.pem);
    while failures().await == 0.0 {
        assert_eq!((asked("acme").await, asked("globex").await), (200, 503));
        soon();
    }
    put("own-globex.key", &globex.key);
    while asked("globex").await != 200 {
        soon();
    }
    assert!(mutual.was_shown(&globex));
    for tenant in ["acme", "globex"] {
        let ends =
            format!("scrim_upstream_certificate_expiry_timestamp_seconds{{tenant=\"{tenant}\",upstream=\"crm\"}}");
        assert!(world.metric(&ends).await > 1_800_000_000.0, "{tenant}");
    }
    assert_eq!(asked("acme").await, 200);
    let connection = |tenant: &str| {
        mutual.seen().iter().filter(|one| one.tenant == tenant).map(|one| one.connection).collect::<Vec<_>>()
    };
    let kept = connection("acme").last() < connection("globex").first();
    assert!(kept, "whose files are as they were keeps what is open: {:?}", mutual.seen());
    put("own-globex.key", &next.key);
    put("own-globex.pem", &next.pem);
    while asked("globex").await == 200 && !mutual.was_shown(&next) {
        soon();
    }
    assert!(mutual.was_shown(&next));
    // Another's files under one's name are that other's certificate, as the operator says.
    put("own-globex.key", &acme.key);
    put("own-globex.pem", &acme.pem);
    while asked("globex").await == 200 && !mutual.was_shown(&acme) {
        soon();
    }
    let shared: Vec<usize> =
        mutual.seen().iter().filter(|one| one.tenant == "acme").map(|one| one.connection).collect();
    let last = mutual.seen().last().expect("some").clone();
    assert!(last.tenant == "globex" && !shared.contains(&last.connection), "{last:?} {shared:?}");
    std::fs::remove_file(world.folder.path().join("own-globex.pem")).expect("removed");
    while asked("globex").await != 503 {
        soon();
    }
    assert_eq!(asked("acme").await, 200);
    assert_eq!(world.metric("scrim_policy_generation").await, 1.0, "nothing else was loaded");
}

/// One tenant's files are exchanged with the gateway file: the others' connections go on.
// On one thread, see `kept`.
#[tokio::test]
async fn a_reload_with_one_tenants_new_certificate_keeps_what_the_others_have() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let mutual = Mutual::start(&server(&servers), &[&clients], &["http/1.1"], false).await;
    let issue = |serial| clients.issue(&Wanted::dns(&["scrim.internal"]).serial(serial));
    let (acme, globex, next) = (issue(1), issue(2), issue(3));
    let files = files(&servers, &acme, &globex);
    let world = reaching(&mutual, OWN, &files).await;
    let asked = async |organization: &str| {
        let status = of(&world, organization).get("/contacts/1").await.status;
        (status, mutual.seen().last().expect("asked").clone())
    };
    let ((_, of_acme), (_, of_globex)) = (asked("acme").await, asked("globex").await);
    let put = |name: &str, text: &str| std::fs::write(world.folder.path().join(name), text).expect("written");
    put("own-globex.pem", &next.pem);
    put("own-globex.key", &next.key);
    world.gateway.reload().await.expect("all holds");
    assert_eq!(asked("acme").await, (200, of_acme.clone()), "it is the same connection");
    let (status, after) = asked("globex").await;
    assert_eq!((status, &after.certificate), (200, &next.chain()[0]));
    assert_ne!(after.connection, of_globex.connection);
    // A tenant whose certificate is gone has no connection left either.
    std::fs::remove_file(world.folder.path().join("own-globex.pem")).expect("removed");
    world.gateway.reload().await.expect("all holds");
    assert_eq!(of(&world, "globex").get("/contacts/1").await.status, 503);
    assert_eq!(asked("acme").await, (200, of_acme));
}
