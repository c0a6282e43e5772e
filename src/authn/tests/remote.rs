//! Keys that lie elsewhere: rotation, unknown keys, age, discovery, and servers that can't be trusted.

use super::server::Server;
use super::*;
use crate::model::Reason;

fn from_keys(url: &str, clock: &Clock) -> Authenticator {
    with_source(KeySource::Url(format!("{url}/keys").parse().expect("a URL")), ISSUER, clock)
}

fn with_source(from: KeySource, name: &str, clock: &Clock) -> Authenticator {
    let jwt = vec![JwtIssuer { issuer: name.into(), ..issuer(elsewhere(from)) }];
    load(Authn { jwt, ..Authn::default() }, &Hierarchy::None, clock).expect("a configuration")
}

fn fetched(authenticator: &Authenticator, outcome: &str) -> u64 {
    authenticator.metrics.key_set_fetches.with_label_values(&[outcome]).get()
}

/// As [`bearer`], where keys may have to be fetched.
async fn asks(authenticator: &Authenticator, token: &str) -> Result<Principal, Refused> {
    let value = format!("Bearer {token}").parse().expect("a value");
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
    let presented = Presented { headers: &headers, request: &get(), peer: None, over_tls: true, since: None };
    authenticator.authenticate(&presented).await.map(|found| Principal::clone(&found.principal))
}

/// Signed by the key that the server gets next.
fn rotated() -> (String, String) {
    let keys = STRANGERS.jwks().replace(r#""kid":"ec""#, r#""kid":"ec-2""#);
    (keys, STRANGERS.token("ES256", r#"{"alg":"ES256","kid":"ec-2"}"#, &claims(&[])))
}

#[tokio::test]
async fn keys_rotate_at_once_and_survive_a_broken_key_server() {
    let (server, url, task) = Server::start().await;
    let authenticator = from_keys(&url, &Clock::fixed(NOW));
    let ours = token(&[]);
    let theirs = STRANGERS.token("ES256", EC_HEADER, &claims(&[]));
    let refresh = |status: u16, body: String| {
        server.answers("/keys", status, body);
        authenticator.refresh()
    };

    refresh(503, SIGNERS.jwks()).await;
    assert_eq!((fetched(&authenticator, "ok"), fetched(&authenticator, "failed")), (0, 1));
    assert!(!authenticator.is_ready());
    assert_eq!(authenticator.refresh_after(), Some(Duration::from_secs(5)));
    assert_eq!(bearer(&authenticator, &ours), Err(Refused::KeysUnavailable));

    refresh(200, SIGNERS.jwks()).await;
    assert_eq!((fetched(&authenticator, "ok"), fetched(&authenticator, "failed")), (1, 1));
    assert_eq!(authenticator.refresh_after(), Some(Duration::from_secs(60)));
    assert!(authenticator.is_ready());
    assert!(bearer(&authenticator, &ours).is_ok());

    let huge = format!("{}{}", SIGNERS.jwks(), " ".repeat(1024 * 1024));
    for (status, body) in [(500, ""), (302, ""), (200, ""), (200, "{}"), (200, r#"{"keys":[]}"#), (200, &*huge)] {
        refresh(status, body.to_owned()).await;
        assert!(authenticator.is_ready(), "{status}");
        assert_eq!(authenticator.refresh_after(), Some(Duration::from_secs(30)));
        assert_eq!(authenticator.metrics.key_sets_stale.get(), 1);
        assert!(bearer(&authenticator, &ours).is_ok(), "{status}");
        assert_eq!(bearer(&authenticator, &theirs), Err(Refused::Signature));
    }
    refresh(200, SIGNERS.jwks()).await;
    assert_eq!(authenticator.metrics.key_sets_stale.get(), 0);
    assert_eq!(remembered(&authenticator, &ours), Ok(true), "the same set forgets nothing");

    refresh(200, STRANGERS.jwks()).await;
    assert_eq!(bearer(&authenticator, &ours), Err(Refused::Signature), "a remembered token of a withdrawn key");
    assert!(bearer(&authenticator, &theirs).is_ok());

    task.abort();
    drop(task.await);
    authenticator.refresh().await;
    assert!(authenticator.is_ready());
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_once_for_all_who_wait() {
    let (server, url, _task) = Server::start().await;
    let clock = Clock::fixed(NOW);
    let authenticator = from_keys(&url, &clock);
    server.answers("/keys", 200, SIGNERS.jwks());
    authenticator.refresh().await;
    let (keys, fresh) = rotated();
    server.answers("/keys", 200, keys);
    let gate = server.hold().await;
    let crowd = async {
        let mut all = Vec::new();
        for _ in 0..50 {
            all.push(asks(&authenticator, &fresh));
        }
        let mut accepted = 0;
        for done in everybody(all).await {
            accepted += usize::from(done.is_ok());
        }
        accepted
    };
    let opened = async {
        while server.asked() < 2 {
            tokio::task::yield_now().await;
        }
        drop(gate);
    };
    let (accepted, ()) = tokio::join!(crowd, opened);
    assert_eq!((accepted, server.asked()), (50, 2));
    assert_eq!(bearer(&authenticator, &token(&[])), Err(Refused::Key), "the old key is gone");
}

#[tokio::test]
async fn few_wait_for_an_unknown_key_and_whoever_leaves_takes_the_look_from_nobody() {
    let (server, url, _task) = Server::start().await;
    let authenticator = from_keys(&url, &Clock::fixed(NOW));
    server.answers("/keys", 200, SIGNERS.jwks());
    authenticator.refresh().await;
    let (keys, fresh) = rotated();
    server.answers("/keys", 200, keys);
    let gate = server.hold().await;
    let arrived = async {
        while server.asked() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        done = asks(&authenticator, &fresh) => panic!("{done:?}"),
        () = arrived => {}
    }
    let known = bearer(&authenticator, &token(&[]));
    let all = (0..100).map(|_| asks(&authenticator, &fresh)).collect();
    let (all, ()) = tokio::join!(everybody(all), async { drop(gate) });
    let accepted = all.iter().filter(|done| done.is_ok()).count();
    let refused = all.iter().filter(|done| **done == Err(Refused::KeysUnavailable)).count();
    assert_eq!((known.is_ok(), accepted, refused, server.asked()), (true, 64, 36, 2));
}

#[tokio::test]
async fn unknown_keys_cause_few_fetches_whoever_sends_them() {
    let (server, url, _task) = Server::start().await;
    let clock = Clock::fixed(NOW);
    let authenticator = from_keys(&url, &clock);
    server.answers("/keys", 200, SIGNERS.jwks());
    authenticator.refresh().await;
    let unknown = |n: usize| {
        let header = format!(r#"{{"alg":"ES256","kid":"x{n}"}}"#);
        STRANGERS.token("ES256", &header, &claims(&[]))
    };
    for n in 0..20 {
        assert_eq!(asks(&authenticator, &unknown(n)).await, Err(Refused::Key));
    }
    assert_eq!(server.asked(), 2, "one look for twenty tokens");
    for header in [r#"{"alg":"ES256"}"#, EC_HEADER, r#"{"alg":"HS256","kid":"y"}"#, r#"{"alg":"none","kid":"y"}"#] {
        assert!(asks(&authenticator, &STRANGERS.token("ES256", header, &claims(&[]))).await.is_err());
    }
    let other = STRANGERS.token("ES256", r#"{"alg":"ES256","kid":"y"}"#, &claims(&[("iss", r#""https://evil""#)]));
    clock.set(NOW + 29);
    assert_eq!(asks(&authenticator, &other).await, Err(Refused::Issuer));
    assert_eq!(asks(&authenticator, &unknown(21)).await, Err(Refused::Key));
    assert_eq!(
        server.asked(),
        2,
        "neither a missing nor a known key, nor a foreign issuer or algorithm, is looked for"
    );
    let (keys, fresh) = rotated();
    server.answers("/keys", 200, keys);
    assert_eq!(asks(&authenticator, &fresh).await, Err(Refused::Key));
    clock.set(NOW + 30);
    assert!(asks(&authenticator, &fresh).await.is_ok());
    assert_eq!(server.asked(), 3);
    assert!(bearer(&authenticator, &fresh).is_ok());
    // A clock that is set back must not stop the looking for as long.
    clock.set(NOW - 500);
    assert_eq!(asks(&authenticator, &unknown(22)).await, Err(Refused::Key));
    assert_eq!(server.asked(), 4);
}

#[tokio::test]
async fn an_unknown_key_never_opens_anything_while_the_key_server_is_down() {
    let (server, url, _task) = Server::start().await;
    let authenticator = from_keys(&url, &Clock::fixed(NOW));
    server.answers("/keys", 200, SIGNERS.jwks());
    authenticator.refresh().await;
    server.answers("/keys", 500, "");
    let (_, fresh) = rotated();
    assert_eq!(asks(&authenticator, &fresh).await, Err(Refused::Key));
    assert!(bearer(&authenticator, &token(&[])).is_ok(), "the others go on");
}

#[tokio::test]
async fn keys_grow_too_old_to_be_trusted() {
    let (server, url, _task) = Server::start().await;
    let clock = Clock::fixed(NOW);
    let authenticator = from_keys(&url, &clock);
    server.answers("/keys", 200, SIGNERS.jwks());
    authenticator.refresh().await;
    server.answers("/keys", 500, "");
    let long = token(&[("exp", &(NOW + 100_000).to_string())]);
    clock.set(NOW + 3590);
    authenticator.refresh().await;
    assert!(bearer(&authenticator, &long).is_ok());
    assert_eq!(remembered(&authenticator, &long), Ok(true));
    clock.set(NOW + 3600);
    assert_eq!(bearer(&authenticator, &long), Err(Refused::KeysUnavailable), "a remembered token too");
    assert_eq!(Refused::KeysUnavailable.reason(), Reason::IdentityUnavailable);
    assert!(!authenticator.is_ready());
    assert_eq!(authenticator.refresh_after(), Some(Duration::from_secs(5)));
    server.answers("/keys", 200, SIGNERS.jwks());
    authenticator.refresh().await;
    assert!(authenticator.is_ready(), "the same keys, fetched again");
    clock.set(NOW + 7199);
    assert!(bearer(&authenticator, &long).is_ok());
}

#[tokio::test]
async fn keys_are_found_by_discovery() {
    let (server, url, _task) = Server::start().await;
    let place = || KeySource::Metadata(format!("{url}/.well-known/openid-configuration").parse().expect("a URL"));
    let metadata = |issuer: &str, keys: &str| {
        let text = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}"}}"#);
        server.answers("/.well-known/openid-configuration", 200, text);
    };
    server.answers("/keys", 200, SIGNERS.jwks());
    server.answers("/moved", 302, "");
    for (issuer, keys, found) in [
        (&*url, &*format!("{url}/keys"), true),
        (&format!("{url}/"), &format!("{url}/keys"), false),
        (ISSUER, &format!("{url}/keys"), false),
        (&url, &format!("{url}/moved"), false),
        (&url, &format!("{url}/gone"), false),
        (&url, "http://192.0.2.1/keys", false),
        (&url, "/keys", false),
    ] {
        let authenticator = with_source(place(), &url, &Clock::fixed(NOW));
        metadata(issuer, keys);
        authenticator.refresh().await;
        assert_eq!(authenticator.is_ready(), found, "{issuer} {keys}");
        let token = token(&[("iss", &format!("{url:?}"))]);
        assert_eq!(bearer(&authenticator, &token).is_ok(), found, "{issuer} {keys}");
    }
}

#[tokio::test]
async fn several_issuers_are_kept_apart() {
    let (server, url, _task) = Server::start().await;
    server.answers("/a", 200, SIGNERS.jwks());
    server.answers("/b", 200, STRANGERS.jwks());
    let at = |path: &str| elsewhere(KeySource::Url(format!("{url}{path}").parse().expect("a URL")));
    let second = JwtIssuer { issuer: "https://other.example.com".into(), ..issuer(at("/b")) };
    let authn = Authn { jwt: vec![issuer(at("/a")), second], ..Authn::default() };
    let authenticator = load(authn, &Hierarchy::None, &Clock::fixed(NOW)).expect("a configuration");
    authenticator.refresh().await;
    let named = |iss: &str| claims(&[("iss", &format!("{iss:?}"))]);
    let other = "https://other.example.com";
    for (signers, iss, accepted) in
        [(&SIGNERS, ISSUER, true), (&STRANGERS, other, true), (&SIGNERS, other, false), (&STRANGERS, ISSUER, false)]
    {
        let token = signers.token("ES256", EC_HEADER, &named(iss));
        assert_eq!(bearer(&authenticator, &token).map(|p| p.issuer).ok(), accepted.then(|| iss.into()), "{iss}");
    }
    server.answers("/a", 500, "");
    authenticator.refresh().await;
    assert_eq!((fetched(&authenticator, "ok"), fetched(&authenticator, "failed")), (3, 1));
    assert_eq!(authenticator.metrics.key_sets_stale.get(), 1);
}

#[tokio::test]
async fn a_key_server_that_does_not_answer_is_given_up() {
    let (server, url, _task) = Server::start().await;
    server.answers("/keys", 200, SIGNERS.jwks());
    let authenticator = from_keys(&url, &Clock::fixed(NOW));
    let gate = server.hold().await;
    // The clock of the runtime runs on by itself while everybody waits.
    tokio::time::pause();
    let begin = tokio::time::Instant::now();
    authenticator.refresh().await;
    assert_eq!(begin.elapsed().as_secs(), 5);
    drop(gate);
    assert!(!authenticator.is_ready());
    assert_eq!(fetched(&authenticator, "failed"), 1);
}

/// A TLS server with a certificate of its own authority for these names; answers every connection with the key set.
fn tls_server(names: &[&str]) -> (std::net::SocketAddr, String) {
    use std::io::{Read, Write};
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = authority.self_signed(&key).expect("a certificate");
    let issuer = rcgen::Issuer::new(authority, key);
    let server_key = rcgen::KeyPair::generate().expect("a key");
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let leaf = rcgen::CertificateParams::new(names).expect("names").signed_by(&server_key, &issuer).expect("signed");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            rustls_pki_types::PrivatePkcs8KeyDer::from(server_key.serialize_der()).into(),
        )
        .expect("a key that fits");
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).expect("a connection");
            let mut stream = rustls::StreamOwned::new(connection, stream);
            let body = SIGNERS.jwks();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            if stream.read(&mut [0; 4096]).is_ok() {
                drop(stream.write_all((head + &body).as_bytes()));
                stream.conn.send_close_notify();
                drop(stream.flush());
            }
        }
    });
    (address, certificate.pem())
}

#[tokio::test]
async fn only_the_declared_authority_vouches_for_a_key_server() {
    let folder = Folder::new();
    let (right, ca) = tls_server(&["localhost"]);
    let (wrong_name, other_ca) = tls_server(&["id.example.com"]);
    let (ca, other_ca) = (folder.write("ca.pem", &ca), folder.write("other.pem", &other_ca));
    for (port, ca, found) in [
        (right.port(), Some(&ca), true),
        (right.port(), Some(&other_ca), false),
        (right.port(), None, false),
        (wrong_name.port(), Some(&other_ca), false),
    ] {
        let from = KeySource::Url(format!("https://localhost:{port}/keys").parse().expect("a URL"));
        let (refresh, max_age) = (Duration::from_secs(60), Duration::from_secs(3600));
        let jwks = Jwks::Remote(RemoteKeys { from, refresh, max_age, ca: ca.cloned() });
        let authn = Authn { jwt: vec![issuer(jwks)], ..Authn::default() };
        let authenticator = load(authn, &Hierarchy::None, &Clock::fixed(NOW)).expect("a configuration");
        authenticator.refresh().await;
        assert_eq!(authenticator.is_ready(), found, "{port} {ca:?}");
        assert_eq!(bearer(&authenticator, &token(&[])).is_ok(), found);
    }
}
