//! TLS at the listener: versions, ALPN, certificates, and what is no TLS at all.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{clean, setup};
use crate::support::World;
use crate::support::secure::{Secure, blocking};
use crate::support::world::Setup;

/// A self-signed certificate for this machine.
pub(super) struct Identity {
    pub certificate: String,
    pub key: String,
    pub der: CertificateDer<'static>,
}

impl Identity {
    pub(super) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("made");
        Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem(), der: made.cert.der().clone() }
    }

    pub(super) fn setup(&self, tls: &str) -> Setup {
        let mut setup = setup("");
        setup.listener =
            format!("{{ address: 127.0.0.1:0, tls: {{ {tls}certificates: [{{ cert: a.pem, key: a.key }}] }} }}");
        setup.files.insert("a.pem".to_owned(), self.certificate.clone());
        setup.files.insert("a.key".to_owned(), self.key.clone());
        setup
    }

    /// A client that trusts this certificate alone.
    pub(super) fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a certificate");
        ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots).with_no_client_auth()
    }
}

const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12, &rustls::version::TLS13];

/// Version and application protocol that a handshake comes to.
async fn handshake(address: SocketAddr, config: ClientConfig) -> Result<(ProtocolVersion, Option<String>), String> {
    let shake = move || {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut tls = ClientConnection::new(Arc::new(config), name).expect("a client");
        let mut socket = TcpStream::connect(address).expect("it listens");
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).map_err(|error| error.to_string())?;
        }
        let alpn = tls.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        Ok((tls.protocol_version().expect("done"), alpn))
    };
    tokio::task::spawn_blocking(shake).await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_2_and_1_3_are_spoken_with_either_protocol() {
    let identity = Identity::new();
    let world = identity.setup("").start().await;
    let address = world.gateway.addresses()[0];
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (offered, chosen) in
            [(vec!["h2", "http/1.1"], Some("h2")), (vec!["http/1.1"], Some("http/1.1")), (vec![], None)]
        {
            let mut config = identity.client(&[version]);
            config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
            let found = handshake(address, config).await.expect("a handshake");
            assert_eq!(found, (version.version, chosen.map(str::to_owned)), "{offered:?}");
        }
    }
    let mut config = identity.client(BOTH);
    config.alpn_protocols = vec![b"spdy/3".to_vec()];
    assert!(handshake(address, config).await.is_err(), "no protocol in common");
    clean(&world, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_chooses_the_suite_and_not_the_client() {
    use rustls::crypto::aws_lc_rs::{self, cipher_suite};
    let identity = Identity::new();
    let world = identity.setup("").start().await;
    let address = world.gateway.addresses()[0];
    for (version, mut suites) in [
        (
            &rustls::version::TLS12,
            vec![
                cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            ],
        ),
        (
            &rustls::version::TLS13,
            vec![
                cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
                cipher_suite::TLS13_AES_128_GCM_SHA256,
                cipher_suite::TLS13_AES_256_GCM_SHA384,
            ],
        ),
    ] {
        let best = suites[2].suite();
        for _ in 0..3 {
            let provider = Arc::new(CryptoProvider { cipher_suites: suites.clone(), ..aws_lc_rs::default_provider() });
            let mut roots = RootCertStore::empty();
            roots.add(identity.der.clone()).expect("a certificate");
            let builder =
                ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).expect("known");
            let config = builder.with_root_certificates(roots).with_no_client_auth();
            let chosen = blocking(move || {
                let secure = Secure::open(address, &config, "localhost").expect("a handshake");
                secure.0.conn.negotiated_cipher_suite().expect("done").suite()
            })
            .await;
            assert_eq!(chosen, best);
            suites.rotate_left(1);
        }
    }
    clean(&world, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minimum_of_1_3_refuses_1_2() {
    let identity = Identity::new();
    let world = identity.setup("min_version: \"1.3\", ").start().await;
    let address = world.gateway.addresses()[0];
    assert!(handshake(address, identity.client(&[&rustls::version::TLS12])).await.is_err());
    assert!(handshake(address, identity.client(&[&rustls::version::TLS13])).await.is_ok());
}

async fn raw(world: &World, bytes: &[u8]) -> Vec<u8> {
    let mut stream = tokio::net::TcpStream::connect(world.gateway.addresses()[0]).await.expect("it listens");
    stream.write_all(bytes).await.expect("sent");
    let mut found = Vec::new();
    let _ = stream.read_to_end(&mut found).await;
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_1_and_plain_http_get_an_alert_and_no_answer() {
    let world = Identity::new().setup("").start().await;
    // A ClientHello of TLS 1.1 (RFC 4346, section 7.4.1.2) with one cipher suite and no extension.
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xC0, 0x13, 1, 0]);
    let mut record = vec![22, 3, 1, 0, u8::try_from(hello.len() + 4).expect("short"), 1, 0, 0];
    record.push(u8::try_from(hello.len()).expect("short"));
    record.extend(hello);
    let found = raw(&world, &record).await;
    assert_eq!(found.first(), Some(&21), "an alert: {found:?}");

    let found = raw(&world, b"GET /contacts HTTP/1.1\r\nhost: crm.test\r\n\r\n").await;
    assert!(!String::from_utf8_lossy(&found).contains("HTTP"), "{found:?}");
    assert!(world.upstream.seen().is_empty());
    clean(&world, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_fails_is_counted_by_its_reason() {
    let identity = Identity::new();
    let world = identity.setup("min_version: \"1.3\", unknown_name: refuse, ").start().await;
    let address = world.gateway.addresses()[0];
    raw(&world, b"GET /contacts HTTP/1.1\r\nhost: crm.test\r\n\r\n").await;
    drop(tokio::net::TcpStream::connect(address).await.expect("it listens"));
    assert!(handshake(address, identity.client(&[&rustls::version::TLS12])).await.is_err());
    assert!(handshake(address, Identity::new().client(BOTH)).await.is_err(), "it trusts another one");
    let config = identity.client(BOTH);
    let other = blocking(move || Secure::open(address, &config, "other.example").is_err()).await;
    assert!(other);
    for reason in ["not_tls", "closed", "incompatible", "alert", "unknown_name"] {
        let sample = format!("scrim_tls_handshakes_failed_total{{reason=\"{reason}\"}}");
        let counted = async {
            while world.metric(&sample).await != 1.0 {
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(std::time::Duration::from_secs(20), counted).await;
        assert!(in_time.is_ok(), "{reason}: {}", world.admin().get("/metrics").await.text());
    }
    clean(&world, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_certificate_is_a_mistake_with_a_place() {
    let identity = Identity::new();
    let mut setup = identity.setup("");
    setup.files.insert("a.key".to_owned(), Identity::new().key);
    let errors = setup.try_start().await.err().expect("no start");
    let shown = scrim::diagnostic::render(&errors, false);
    assert!(shown.contains("gateway.yaml:1:") && shown.contains("a.key"), "{shown}");
    assert!(!shown.contains("PRIVATE KEY"));

    let mut setup = identity.setup("");
    setup.files.remove("a.pem");
    let errors = setup.try_start().await.err().expect("no start");
    assert!(scrim::diagnostic::render(&errors, false).contains("a.pem"));
}

/// The certificate that is shown to a new connection.
async fn trusts(address: SocketAddr, identity: &Identity) -> bool {
    handshake(address, identity.client(BOTH)).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_shows_the_new_certificate_to_new_connections() {
    let (old, new) = (Identity::new(), Identity::new());
    let world = old.setup("").start().await;
    let address = world.gateway.addresses()[0];
    let put = |name: &str, text: &str| std::fs::write(world.folder.path().join(name), text).expect("written");
    assert!(trusts(address, &old).await && !trusts(address, &new).await);

    put("a.pem", &new.certificate);
    world.gateway.reload().await.expect_err("a certificate without its key");
    assert!(trusts(address, &old).await, "the last good one stays");

    put("a.key", &new.key);
    world.gateway.reload().await.expect("both fit");
    assert!(trusts(address, &new).await && !trusts(address, &old).await);
}

/// A client that says nothing, or half of a hello, is closed in its time.
#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_does_not_go_on_is_given_up() {
    let identity = Identity::new();
    let mut setup = identity.setup("");
    setup.limits = "handshake_time: 200ms".to_owned();
    let world = setup.start().await;
    for bytes in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00"] {
        let mut stream = tokio::net::TcpStream::connect(world.gateway.addresses()[0]).await.expect("it listens");
        stream.write_all(bytes).await.expect("sent");
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap_or(0), 0, "it is closed");
    }
    while world.gateway.metrics().connections.get() > 0 {
        tokio::task::yield_now().await;
    }
    clean(&world, 0).await;
}
