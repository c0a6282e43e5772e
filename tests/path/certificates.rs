//! Certificates of a listener: which one is shown to whom, which are refused, and how they change while it serves.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind};
use scrim::clock::Clock;
use scrim::config::Config;
use scrim::listener::tls::Material;

use super::{clean, contact_answers, seen, setup};
use crate::support::authority::{BOTH, ocsp_response};
use crate::support::identities::NOW;
use crate::support::secure::{Anybody, Secure, blocking};
use crate::support::world::Setup;
use crate::support::{Authority, Issued, Wanted, World};

/// A gateway with these certificates, `(file, keys beside it, certificate)`, and further members of `tls`.
fn with(certificates: &[(&str, &str, &Issued)], tls: &str) -> Setup {
    let mut files = BTreeMap::new();
    let mut list = Vec::new();
    for (name, more, issued) in certificates {
        files.insert(format!("{name}.pem"), issued.pem.clone());
        files.insert(format!("{name}.key"), issued.key.clone());
        list.push(format!("{{ cert: {name}.pem, key: {name}.key{more} }}"));
    }
    let listener = format!("{{ address: 127.0.0.1:0, tls: {{ certificates: [{}]{tls} }} }}", list.join(", "));
    Setup { listener, files, ..setup("") }
}

/// The certificate that is shown to who asks for `name`.
async fn shown(address: SocketAddr, config: &ClientConfig, name: &str) -> Result<CertificateDer<'static>, String> {
    let (mut config, name) = (config.clone(), name.to_owned());
    // A session that is resumed shows what it began with.
    config.resumption = Resumption::disabled();
    blocking(move || {
        let opened =
            if name.is_empty() { Secure::nameless(address, &config) } else { Secure::open(address, &config, &name) };
        opened.map(|secure| secure.shown())
    })
    .await
}

fn anybody(authority: &Authority) -> ClientConfig {
    let mut config = authority.client(BOTH, None);
    Arc::new(Anybody::default()).client(&mut config);
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_chooses_the_certificate_and_unknown_ones_are_refused() {
    let authority = Authority::new();
    let one = authority.issue(&Wanted::dns(&["crm.example", "CRM.example.org"]));
    let wild = authority.issue(&Wanted::dns(&["*.crm.example"]));
    let exact = authority.issue(&Wanted::dns(&["api.crm.example"]));
    let certificates = [("one", "", &one), ("wild", "", &wild), ("exact", "", &exact)];
    let world = with(&certificates, ", unknown_name: refuse").start().await;
    let address = world.gateway.addresses()[0];
    let trusting = authority.client(BOTH, None);
    for (name, issued) in [
        ("crm.example", &one),
        ("CRM.EXAMPLE", &one),
        ("crm.example.org", &one),
        ("a.crm.example", &wild),
        ("xn--bcher-kva.crm.example", &wild),
        ("api.crm.example", &exact),
        ("API.crm.example", &exact),
    ] {
        assert_eq!(shown(address, &trusting, name).await.expect(name), issued.chain()[0], "{name}");
    }
    let anybody = anybody(&authority);
    for name in ["", "other.example", "a.b.crm.example", "example", "crm.example.evil", "evilcrm.example"] {
        let refused = shown(address, &anybody, name).await.expect_err(name);
        assert!(refused.contains("AccessDenied"), "{name}: {refused}");
    }
    clean(&world, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_certificate_is_the_default_where_one_is_wanted() {
    let authority = Authority::new();
    let (one, two) = (authority.issue(&Wanted::dns(&["a.example"])), authority.issue(&Wanted::dns(&["b.example"])));
    let world = with(&[("one", "", &one), ("two", "", &two)], ", unknown_name: default").start().await;
    let address = world.gateway.addresses()[0];
    let anybody = anybody(&authority);
    for (name, issued) in [("a.example", &one), ("b.example", &two), ("c.example", &one), ("", &one)] {
        assert_eq!(shown(address, &anybody, name).await.expect(name), issued.chain()[0], "{name}");
    }
    assert!(shown(address, &authority.client(BOTH, None), "c.example").await.is_err(), "it bears another name");
}

/// What a server sends first to a TLS 1.2 client whose hello says `sent` where it said `name`, which is as long.
fn first_flight(address: SocketAddr, config: &ClientConfig, name: &str, sent: &[u8]) -> Vec<u8> {
    assert_eq!(name.len(), sent.len());
    let name_sent = ServerName::try_from(name.to_owned()).expect("a name");
    let mut tls = ClientConnection::new(Arc::new(config.clone()), name_sent).expect("a client");
    let mut hello = Vec::new();
    tls.write_tls(&mut hello).expect("a hello");
    let at = hello.windows(name.len()).position(|bytes| bytes == name.as_bytes()).expect("the name");
    hello[at..at + name.len()].copy_from_slice(sent);
    let mut socket = TcpStream::connect(address).expect("it listens");
    socket.write_all(&hello).expect("sent");
    let mut found = Vec::new();
    let mut buffer = [0; 4096];
    // Up to an alert or the end of the server's hello (RFC 5246, section 7.4.5).
    while found.first() != Some(&21) && !found.ends_with(&[14, 0, 0, 0]) {
        match socket.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => found.extend_from_slice(&buffer[..count]),
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_no_names_are_not_known() {
    let authority = Authority::new();
    let issued = authority.issue(&Wanted::dns(&["crm.example", "*.crm.example"]));
    let refusing = with(&[("a", "", &issued)], ", unknown_name: refuse").start().await;
    let showing = with(&[("a", "", &issued)], ", unknown_name: default").start().await;
    let config = authority.client(&[&rustls::version::TLS12], None);
    let cases: [(&str, &[u8], bool); 7] = [
        ("crm.example", b"crm.example", true),
        ("crm.example", b"CRM.eXAMPLE", true),
        ("crm.examplex", b"crm.example.", true),
        ("ten.elf.yes", b"10.11.12.13", false),
        ("a.crm.example", b"..crm.example", false),
        ("a.crm.example", b"*.crm.example", false),
        ("crm.example", b"crm\0example", false),
    ];
    for (name, sent, known) in cases {
        let shown = String::from_utf8_lossy(sent).into_owned();
        let holds = |flight: &[u8]| {
            let der = issued.chain()[0].clone();
            flight.windows(der.len()).any(|bytes| bytes == der.as_ref())
        };
        let (address, config_sent) = (refusing.gateway.addresses()[0], config.clone());
        let flight = blocking(move || first_flight(address, &config_sent, name, sent)).await;
        assert_eq!(holds(&flight), known, "{shown}");
        assert_eq!(flight.first() == Some(&21), !known, "{shown}: {flight:?}");
        let (address, config_sent) = (showing.gateway.addresses()[0], config.clone());
        let flight = blocking(move || first_flight(address, &config_sent, name, sent)).await;
        // An address names nobody; the others are no SNI at all. The root's dot at the end makes no difference.
        let no_name = matches!(sent, b"..crm.example" | b"*.crm.example" | b"crm\0example");
        assert_eq!(holds(&flight), !no_name, "{shown}: {flight:?}");
    }
    clean(&refusing, 0).await;
}

/// What a start with these certificates says.
async fn refused(certificates: &[(&str, &str, &Issued)], tls: &str) -> String {
    let errors = with(certificates, tls).try_start().await.err().expect("no start");
    scrim::diagnostic::render(&errors, false)
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_do_not_hold_are_mistakes_with_a_place_and_a_date() {
    let authority = Authority::new();
    let issue = |wanted: Wanted| authority.issue(&wanted);
    let good = issue(Wanted::dns(&["a.example"]));
    let expired = issue(Wanted::dns(&["a.example"]).until(2027, 1, 14));
    let immature = issue(Wanted { from: (2027, 2, 1), ..Wanted::dns(&["a.example"]) });
    let unfit = Issued { key: issue(Wanted::dns(&["a.example"])).key, ..good.clone() };
    let nameless = issue(Wanted::dns(&[]));
    let two = Issued { key: format!("{}{}", good.key, good.key), ..good.clone() };
    let empty = Issued { pem: "no certificate".to_owned(), ..good.clone() };
    let chain = Issued { pem: format!("{}{}", good.pem, expired.pem), ..good.clone() };
    for (issued, tls, code, words) in [
        (&expired, "", "certificate-expired", "`a.pem` has expired on 2027-01-14"),
        (&immature, "", "certificate-not-yet-valid", "is not valid before 2027-02-01"),
        (&chain, "", "certificate-expired", "expired on 2027-01-14"),
        (&unfit, "", "tls-certificate", "does not fit"),
        (&two, "", "tls-certificate", "one private key alone"),
        (&empty, "", "tls-certificate", "holds no certificate"),
        (&nameless, ", unknown_name: refuse", "tls-certificate", "it bears no DNS name"),
    ] {
        let shown = refused(&[("a", "", issued)], tls).await;
        let words = words.replace("`a.pem`", "a.pem`");
        assert!(shown.contains(code) && shown.contains(&words) && shown.contains("gateway.yaml:1:"), "{code}: {shown}");
        assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    }
    let wild = issue(Wanted::dns(&["*.crm.example", "b.example"]));
    let other = issue(Wanted::dns(&["*.CRM.example", "c.example"]));
    let shown = refused(&[("a", "", &wild), ("b", "", &other)], ", unknown_name: refuse").await;
    assert!(shown.contains("duplicate-certificate-name") && shown.contains("`*.CRM.example`"), "{shown}");
    let shown = refused(&[("a", "", &good), ("b", "", &wild)], "").await;
    assert!(shown.contains("`tls` with several certificates needs `unknown_name`"), "{shown}");
}

/// What is said of a configuration on that day.
fn said(folder: &Path, now: i64) -> String {
    let (config, _) = Config::load(&folder.join("gateway.yaml")).expect("it loads");
    let (material, found) = Material::load(config.listeners[0].tls.as_ref().expect("TLS"), &Clock::fixed(now));
    assert_eq!(material.is_some(), !scrim::diagnostic::has_errors(&found));
    scrim::diagnostic::render(&found, false)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ends_soon_is_warned_of_and_its_end_is_measured() {
    let authority = Authority::new();
    let one = authority.issue(&Wanted::dns(&["a.example"]).until(2027, 2, 1));
    let two = authority.issue(&Wanted::dns(&["b.example"]));
    let world = with(&[("one", "", &one), ("two", "", &two)], ", unknown_name: refuse").start().await;
    let shown = said(world.folder.path(), NOW);
    assert!(shown.contains("warning[certificate-expires-soon]"), "{shown}");
    assert!(shown.contains("expires on 2027-02-01 00:00 UTC, in 16 days"), "{shown}");
    assert_eq!(said(world.folder.path(), NOW - 40 * 86_400), "");
    let metric = "scrim_certificate_expiry_timestamp_seconds";
    let of = |name: &str| format!("{metric}{{listener=\"0\",name=\"{name}\"}}");
    assert_eq!(world.metric(&of("a.example")).await, 1_801_440_000.0);
    assert_eq!(world.metric(&of("b.example")).await, 1_830_297_600.0);
    let other = authority.issue(&Wanted::dns(&["c.example"]).until(2027, 2, 1));
    write(&world, "one.pem", &other.pem);
    write(&world, "one.key", &other.key);
    counted(&world, "ok", 1.0).await;
    let is_told = async |name: &str| world.metric(&of(name)).await > 0.0;
    assert!(!is_told("a.example").await, "it is served no more");
    assert!(is_told("b.example").await && is_told("c.example").await);
}

fn write(world: &World, name: &str, text: &str) {
    std::fs::write(world.folder.path().join(name), text).expect("written");
}

/// Until a counter has come to `count`.
async fn counted(world: &World, outcome: &str, count: f64) {
    let sample = format!("scrim_certificate_reloads_total{{outcome=\"{outcome}\"}}");
    let come = async {
        while world.metric(&sample).await < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), come).await.expect("the change was seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_files_are_taken_over_and_no_connection_is_dropped() {
    let authority = Authority::new();
    let wanted = Wanted::dns(&["crm.example"]);
    let (old, new) = (authority.issue(&wanted), authority.issue(&wanted.clone().serial(2)));
    let world = with(&[("a", "", &old)], "").start().await;
    contact_answers(&world);
    let address = world.gateway.addresses()[0];
    let config = authority.client(BOTH, None);
    let token = world.identities.token("ann", &serde_json::json!({ "roles": ["rep"] }));
    let ask = move |secure: &mut Secure| {
        let (status, body) =
            secure.get("/contacts/1", &format!("authorization: Bearer {token}\r\n")).expect("answered");
        (status, serde_json::from_str::<serde_json::Value>(&body).expect("JSON"))
    };
    let opened = config.clone();
    let mut held = blocking(move || Secure::open(address, &opened, "crm.example").expect("a handshake")).await;
    let first = ask.clone();
    let (mut held, answer) = blocking(move || {
        let answer = first(&mut held);
        (held, answer)
    })
    .await;
    assert_eq!(answer, (200, seen(1)));

    // The certificate without its key: what is in force stays, and that is said.
    write(&world, "a.pem", &new.pem);
    counted(&world, "failed", 1.0).await;
    assert_eq!(shown(address, &config, "crm.example").await.expect("served"), old.chain()[0]);
    write(&world, "a.key", &new.key);
    counted(&world, "ok", 1.0).await;
    assert_eq!(shown(address, &config, "crm.example").await.expect("served"), new.chain()[0]);

    let answer = blocking(move || ask(&mut held)).await;
    assert_eq!(answer, (200, seen(1)), "the connection from before goes on");
    assert_eq!(world.metric("scrim_policy_generation").await, 1.0, "nothing else was loaded");
    clean(&world, 2).await;
}

/// As a mounted secret changes: files are links through a link to a folder, and that one link is swapped (TRAPS 44).
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_link_is_a_change() {
    use std::os::unix::fs::symlink;
    let authority = Authority::new();
    let wanted = Wanted::dns(&["crm.example"]);
    let (old, new) = (authority.issue(&wanted), authority.issue(&wanted.clone().serial(2)));
    let mounted = tempfile::tempdir().expect("a folder");
    let at = |name: &str| mounted.path().join(name);
    for (folder, issued) in [("v1", &old), ("v2", &new)] {
        std::fs::create_dir(at(folder)).expect("made");
        std::fs::write(at(folder).join("tls.crt"), &issued.pem).expect("written");
        std::fs::write(at(folder).join("tls.key"), &issued.key).expect("written");
    }
    symlink("v1", at("..data")).expect("linked");
    for name in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(name), at(name)).expect("linked");
    }
    let (cert, key) = (at("tls.crt"), at("tls.key"));
    let listener = format!(
        "{{ address: 127.0.0.1:0, tls: {{ certificates: [{{ cert: \"{}\", key: \"{}\" }}] }} }}",
        cert.display(),
        key.display()
    );
    let world = Setup { listener, ..setup("") }.start().await;
    let address = world.gateway.addresses()[0];
    let config = authority.client(BOTH, None);
    assert_eq!(shown(address, &config, "crm.example").await.expect("served"), old.chain()[0]);
    symlink("v2", at("..data_tmp")).expect("linked");
    std::fs::rename(at("..data_tmp"), at("..data")).expect("swapped");
    counted(&world, "ok", 1.0).await;
    assert_eq!(shown(address, &config, "crm.example").await.expect("served"), new.chain()[0]);
    assert_eq!(world.metric("scrim_certificate_reloads_total{outcome=\"failed\"}").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_what_tls_shows_and_demands_or_nothing() {
    let authority = Authority::new();
    let (one, two) = (authority.issue(&Wanted::dns(&["a.example"])), authority.issue(&Wanted::dns(&["b.example"])));
    let expired = authority.issue(&Wanted::dns(&["b.example"]).until(2027, 1, 1));
    let world = with(&[("one", "", &one)], ", unknown_name: refuse").start().await;
    let address = world.gateway.addresses()[0];
    let config = authority.client(BOTH, None);
    let old = authority.client(&[&rustls::version::TLS12], None);
    let text = std::fs::read_to_string(world.folder.path().join("gateway.yaml")).expect("read");
    write(&world, "two.pem", &expired.pem);
    write(&world, "two.key", &expired.key);
    let more =
        text.replace("key: one.key }]", "key: one.key }, { cert: two.pem, key: two.key }], min_version: \"1.3\"");
    write(&world, "gateway.yaml", &more);
    world.gateway.reload().await.expect_err("one has expired");
    assert!(shown(address, &config, "b.example").await.is_err());
    assert!(shown(address, &old, "a.example").await.is_ok());
    write(&world, "two.pem", &two.pem);
    write(&world, "two.key", &two.key);
    world.gateway.reload().await.expect("both hold");
    assert_eq!(shown(address, &config, "b.example").await.expect("served"), two.chain()[0]);
    assert!(shown(address, &old, "a.example").await.is_err(), "1.3 is the least now");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_resumed_by_ticket_and_only_for_their_name() {
    let authority = Authority::new();
    let issued = authority.issue(&Wanted::dns(&["a.example", "b.example"]));
    let world = with(&[("a", "", &issued)], "").start().await;
    let address = world.gateway.addresses()[0];
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut config = authority.client(&[version], None);
        config.resumption = Resumption::in_memory_sessions(8);
        let kinds = blocking(move || {
            ["a.example", "a.example", "b.example"].map(|name| {
                let mut secure = Secure::open(address, &config, name).expect("a handshake");
                // Tickets come with the first answer.
                secure.get("/contacts", "").expect("an answer");
                secure.0.conn.handshake_kind().expect("done")
            })
        })
        .await;
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Full], "{version:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_staple_is_shown_until_it_ends_and_a_bad_one_is_a_mistake() {
    let authority = Authority::new();
    let issued = authority.issue(&Wanted::dns(&["crm.example"]).serial(77));
    let start = async |bytes: Vec<u8>| {
        let setup = with(&[("a", ", ocsp: a.ocsp", &issued)], "");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.ocsp"), &bytes).expect("written");
        let path = folder.path().join("a.ocsp").display().to_string();
        let listener = setup.listener.replace("a.ocsp", &format!("\"{path}\""));
        (Setup { listener, ..setup }.try_start().await, folder)
    };
    let good = ocsp_response(77, 0, "20270114000000Z", "20270116000000Z");
    let (world, _folder) = start(good.clone()).await;
    let world = world.unwrap_or_else(|errors| panic!("{}", scrim::diagnostic::render(&errors, false)));
    let address = world.gateway.addresses()[0];
    let verifier = Arc::new(Anybody::default());
    let mut config = authority.client(BOTH, None);
    verifier.client(&mut config);
    shown(address, &config, "crm.example").await.expect("served");
    assert_eq!(*verifier.stapled.lock().expect("no panic"), good);
    world.clock.set(NOW + 3 * 86_400);
    let mut fresh = authority.client(BOTH, None);
    verifier.client(&mut fresh);
    shown(address, &fresh, "crm.example").await.expect("served without it");
    assert!(verifier.stapled.lock().expect("no panic").is_empty(), "it has ended");

    for (bytes, words) in [
        (ocsp_response(78, 0, "20270114000000Z", "20270116000000Z"), "does not speak of this certificate"),
        (ocsp_response(77, 1, "20270114000000Z", "20270116000000Z"), "does not say that the certificate is good"),
        (ocsp_response(77, 0, "20270110000000Z", "20270114000000Z"), "does not hold now"),
        (ocsp_response(77, 0, "20270116000000Z", "20270117000000Z"), "does not hold now"),
        (b"no DER".to_vec(), "not an OCSP response"),
    ] {
        let (world, _folder) = start(bytes).await;
        let shown = scrim::diagnostic::render(&world.err().expect("no start"), false);
        assert!(shown.contains("ocsp-staple") && shown.contains(words), "{words}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_suites_with_forward_secrecy_and_authenticated_encryption_are_spoken() {
    let authority = Authority::new();
    let issued = authority.issue(&Wanted::dns(&["crm.example"]));
    let world = with(&[("a", "", &issued)], "").start().await;
    let address = world.gateway.addresses()[0];
    let config = authority.client(&[&rustls::version::TLS12], None);
    // RSA key exchange, CBC, static DH, NULL, RC4, 3DES, anonymous DH: each alone, in the place of the client's own suites.
    for suite in [0x009Cu16, 0x002F, 0xC013, 0xC009, 0xC02D, 0x0002, 0x0005, 0x000A, 0x0034, 0xC0AC] {
        let sent = config.clone();
        let flight = blocking(move || {
            let name = ServerName::try_from("crm.example").expect("a name");
            let mut tls = ClientConnection::new(Arc::new(sent), name).expect("a client");
            let mut hello = Vec::new();
            tls.write_tls(&mut hello).expect("a hello");
            // Record (5), header (4), version (2), random (32), session (1 and its length), then the suites.
            let at = 44 + usize::from(hello[43]);
            let length = usize::from(u16::from_be_bytes([hello[at], hello[at + 1]]));
            for place in hello[at + 2..at + 2 + length].chunks_mut(2) {
                place.copy_from_slice(&suite.to_be_bytes());
            }
            let mut socket = TcpStream::connect(address).expect("it listens");
            socket.write_all(&hello).expect("sent");
            let mut found = [0; 5];
            socket.read_exact(&mut found).expect("an alert");
            found
        })
        .await;
        assert_eq!(flight[0], 21, "{suite:#06x}: {flight:?}");
    }
    assert_eq!(shown(address, &config, "crm.example").await.expect("served"), issued.chain()[0]);
    clean(&world, 0).await;
}

/// What was brought too early is taken over once it holds, though its file does not change any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_does_not_hold_yet_is_taken_over_when_it_does() {
    let authority = Authority::new();
    let now = authority.issue(&Wanted::dns(&["crm.example"]));
    let later = authority.issue(&Wanted { from: (2027, 1, 20), ..Wanted::dns(&["crm.example"]) });
    let world = with(&[("one", "", &now)], "").start().await;
    let address = world.gateway.addresses()[0];
    let trusting = anybody(&authority);
    write(&world, "one.key", &later.key);
    write(&world, "one.pem", &later.pem);
    while world.metric("scrim_certificate_reloads_total{outcome=\"failed\"}").await < 1.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(shown(address, &trusting, "crm.example").await.expect("a handshake"), now.chain()[0]);
    world.clock.set(NOW + 10 * 24 * 3600);
    // The next look comes by itself within a minute; a file beside it brings it forward.
    write(&world, "beside", "");
    while world.metric("scrim_certificate_reloads_total{outcome=\"ok\"}").await < 1.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(shown(address, &trusting, "crm.example").await.expect("a handshake"), later.chain()[0]);
}
