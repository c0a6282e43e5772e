//! Certificates of clients: who is let in, who is meant, and what happens to connections when that changes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{DnType, SanType};
use rustls::client::Resumption;
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};
use serde_json::json;

use super::{POLICY, clean, contact, contact_answers, seen, setup, told, words};
use crate::support::authority::BOTH;
use crate::support::identities::NOW;
use crate::support::secure::{Secure, blocking};
use crate::support::world::Setup;
use crate::support::{Answer, Authority, Issued, Wanted, World};

const MAP: &str = "clients:
  - certificate: { dns: sync.acme.example }
    principal: { id: sync, roles: [rep] }
    tenant: { organization_id: acme, app_id: shop }
  - certificate: { uri: \"spiffe://acme/crm/*\" }
    principal: { id: mesh, roles: [rep] }
    tenant: { organization_id: acme, app_id: shop }
  - certificate: { subject: { common_name: billing, organization: Acme } }
    principal: { id: billing, roles: [analyst] }
    tenant: { organization_id: acme, app_id: shop }
";

/// An authority for the server, one for clients, and the server's certificate.
struct Pki {
    servers: Authority,
    clients: Authority,
    server: Issued,
}

impl Pki {
    fn new() -> Self {
        let servers = Authority::new();
        let server = servers.issue(&Wanted::dns(&["crm.example"]));
        Self { servers, clients: Authority::new(), server }
    }

    fn setup(&self, mode: &str, more: &str) -> Setup {
        let listener = format!(
            "{{ address: 127.0.0.1:0, tls: {{ certificates: [{{ cert: a.pem, key: a.key }}], \
             client_auth: {{ mode: {mode}, ca: clients.pem{more} }} }} }}"
        );
        let files = [
            ("a.pem", self.server.pem.clone()),
            ("a.key", self.server.key.clone()),
            ("clients.pem", self.clients.pem.clone()),
            ("crl.pem", self.clients.revoke(&[], (2028, 1, 1))),
            ("clients.yaml", MAP.to_owned()),
        ];
        let files: BTreeMap<_, _> = files.map(|(name, text)| (name.to_owned(), text)).into();
        Setup { listener, files, authn: "  certificates: { file: clients.yaml }\n".to_owned(), ..setup("") }
    }

    fn client(&self, own: Option<&Issued>) -> ClientConfig {
        let mut config = self.servers.client(BOTH, own);
        config.resumption = Resumption::disabled();
        config
    }
}

/// What a client gets that opens a connection and asks once. Errors: it was refused before.
async fn asks(address: SocketAddr, config: ClientConfig, headers: String) -> Result<(u16, String), String> {
    blocking(move || Secure::open(address, &config, "crm.example")?.get("/contacts/1", &headers)).await
}

fn bearer(world: &World, id: &str) -> String {
    format!("authorization: Bearer {}\r\n", world.identities.token(id, &json!({ "roles": ["rep"] })))
}

fn write(world: &World, name: &str, text: &str) {
    std::fs::write(world.folder.path().join(name), text).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_does_not_hold_never_comes_in() {
    let pki = Pki::new();
    let sync = Wanted::dns(&["sync.acme.example"]);
    let revoked = pki.clients.issue(&sync.clone().serial(7));
    for mode in ["required", "optional"] {
        let mut setup = pki.setup(mode, ", crl: crl.pem");
        setup.files.insert("crl.pem".to_owned(), pki.clients.revoke(&[7], (2028, 1, 1)));
        let world = setup.start().await;
        contact_answers(&world);
        let address = world.gateway.addresses()[0];
        for (what, issued) in [
            ("of another authority", Authority::new().issue(&sync)),
            ("of the servers' authority", pki.servers.issue(&sync)),
            ("self-signed", sync.self_signed()),
            ("expired", pki.clients.issue(&sync.clone().until(2027, 1, 14))),
            ("not yet valid", pki.clients.issue(&Wanted { from: (2027, 2, 1), ..sync.clone() })),
            ("revoked", revoked.clone()),
        ] {
            for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
                let config = pki.servers.client(&[version], Some(&issued));
                // With a token that would do, too.
                let found = asks(address, config, bearer(&world, "ann")).await;
                assert!(found.is_err(), "{mode}, {what}: {found:?}");
            }
        }
        assert!(world.upstream.seen().is_empty());
        let good = pki.clients.issue(&sync);
        let (status, body) = asks(address, pki.client(Some(&good)), String::new()).await.expect("let in");
        assert_eq!((status, serde_json::from_str(&body).ok()), (200, Some(seen(1))));
        let none = asks(address, pki.client(None), bearer(&world, "ann")).await;
        assert_eq!(none.is_ok_and(|(status, _)| status == 200), mode == "optional", "{mode}");
        clean(&world, if mode == "optional" { 2 } else { 1 }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_who_the_file_says_and_nobody_otherwise() {
    let pki = Pki::new();
    let world = pki.setup("optional", "").start().await;
    contact_answers(&world);
    let address = world.gateway.addresses()[0];
    let subject = |parts: &[(DnType, &'static str)]| Wanted { subject: parts.to_vec(), ..Wanted::dns(&[]) };
    let (name, organization) = ((DnType::CommonName, "billing"), (DnType::OrganizationName, "Acme"));
    let refused = || words(401, "refused", "credentials_invalid");
    for (what, wanted, id, outcome) in [
        ("a name", Wanted::dns(&["sync.acme.example"]), Some("sync"), words(200, "allowed", "")),
        ("in capitals", Wanted::dns(&["SYNC.acme.example"]), Some("sync"), words(200, "allowed", "")),
        ("a URI", Wanted::uri("spiffe://acme/crm/worker"), Some("mesh"), words(200, "allowed", "")),
        (
            "a subject",
            subject(&[name.clone(), organization.clone()]),
            Some("billing"),
            words(404, "refused", "table_hidden"),
        ),
        ("another name", Wanted::dns(&["x.acme.example"]), None, refused()),
        ("a name below", Wanted::dns(&["a.sync.acme.example"]), None, refused()),
        ("a wildcard", Wanted::dns(&["*.acme.example"]), None, refused()),
        ("a URI further down", Wanted::uri("spiffe://acme/crm/worker/root"), None, refused()),
        ("a URI without its end", Wanted::uri("spiffe://acme/crm/"), None, refused()),
        ("a URI elsewhere", Wanted::uri("spiffe://acme/hr/worker"), None, refused()),
        ("half a subject", subject(std::slice::from_ref(&name)), None, refused()),
        ("a name as subject", subject(&[(DnType::CommonName, "sync.acme.example")]), None, refused()),
        (
            "two who are meant",
            Wanted {
                names: vec![
                    SanType::DnsName("sync.acme.example".try_into().expect("ASCII")),
                    SanType::URI("spiffe://acme/crm/worker".try_into().expect("ASCII")),
                ],
                ..Wanted::dns(&[])
            },
            None,
            refused(),
        ),
    ] {
        let issued = pki.clients.issue(&wanted);
        let found = asks(address, pki.client(Some(&issued)), String::new()).await.expect("a handshake");
        assert_eq!(told(&world).await, outcome, "{what}: {found:?}");
        let (intent, _) = world.last_audit().await;
        assert_eq!(intent["principal"].as_str(), id, "{what}: {intent}");
        if id.is_some() {
            assert_eq!(
                (&intent["authenticated_by"], &intent["issuer"]),
                (&"certificate".into(), &"certificates:clients".into())
            );
        }
    }
    assert_eq!(world.upstream.seen().len(), 3);
    assert_eq!(world.metric("scrim_credentials_refused_total{reason=\"certificate\"}").await, 8.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_comes_before_a_certificate_and_a_wrong_one_is_never_made_good_by_it() {
    let pki = Pki::new();
    let world = pki.setup("optional", "").start().await;
    contact_answers(&world);
    let address = world.gateway.addresses()[0];
    let issued = pki.clients.issue(&Wanted::dns(&["sync.acme.example"]));
    let unknown = pki.clients.issue(&Wanted::dns(&["other.acme.example"]));
    for (own, headers, status, id) in [
        (Some(&issued), bearer(&world, "ann"), 200, Some("ann")),
        (Some(&unknown), bearer(&world, "ann"), 200, Some("ann")),
        (Some(&issued), "authorization: Bearer wrong\r\n".to_owned(), 401, None),
        (Some(&issued), "x-api-key: wrong\r\n".to_owned(), 401, None),
        (Some(&unknown), String::new(), 401, None),
        (None, String::new(), 401, None),
        (Some(&issued), String::new(), 200, Some("sync")),
    ] {
        let found = asks(address, pki.client(own), headers.clone()).await.expect("a handshake");
        let (intent, _) = world.last_audit().await;
        assert_eq!((found.0, intent["principal"].as_str()), (status, id), "{headers}");
    }
    clean(&world, 7).await;
}

/// A token of which somebody else has a copy (RFC 8705, section 3).
#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_of_use_on_connections_of_its_certificate_alone() {
    let pki = Pki::new();
    let world = pki.setup("optional", "").start().await;
    contact_answers(&world);
    let address = world.gateway.addresses()[0];
    let (own, other) =
        (pki.clients.issue(&Wanted::dns(&["a.example"])), pki.clients.issue(&Wanted::dns(&["b.example"])));
    let thumbprint = digest(&SHA256, &own.chain()[0]);
    let claims = json!({ "roles": ["rep"], "cnf": { "x5t#S256": URL_SAFE_NO_PAD.encode(thumbprint) } });
    let headers = format!("authorization: Bearer {}\r\n", world.identities.token("ann", &claims));
    for (certificate, status) in [(Some(&own), 200), (Some(&other), 401), (None, 401), (Some(&own), 200)] {
        let found = asks(address, pki.client(certificate), headers.clone()).await.expect("a handshake");
        assert_eq!(found.0, status);
    }
    assert_eq!(world.upstream.seen().len(), 2);
    clean(&world, 4).await;
}

/// Two answers on one connection, with `between` them.
async fn twice<T>(
    address: SocketAddr,
    config: ClientConfig,
    headers: String,
    between: impl Future<Output = T>,
) -> [u16; 2] {
    let first = headers.clone();
    let (mut secure, one) = blocking(move || {
        let mut secure = Secure::open(address, &config, "crm.example").expect("a handshake");
        let one = secure.get("/contacts/1", &first).expect("an answer").0;
        (secure, one)
    })
    .await;
    between.await;
    let two = blocking(move || secure.get("/contacts/1", &headers).expect("an answer").0).await;
    [one, two]
}

async fn reloaded(world: &World, count: f64) {
    let sample = "scrim_certificate_reloads_total{outcome=\"ok\"}";
    let come = async {
        while world.metric(sample).await < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), come).await.expect("the change was seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_is_refused_at_once_on_connections_that_are_open_too() {
    let pki = Pki::new();
    let world = pki.setup("required", ", crl: crl.pem").start().await;
    contact_answers(&world);
    let address = world.gateway.addresses()[0];
    let wanted = Wanted::dns(&["sync.acme.example"]);
    let (one, two) = (pki.clients.issue(&wanted.clone().serial(7)), pki.clients.issue(&wanted.clone().serial(8)));
    let revoke = async {
        write(&world, "crl.pem", &pki.clients.revoke(&[7], (2028, 1, 1)));
        reloaded(&world, 1.0).await;
    };
    assert_eq!(twice(address, pki.client(Some(&one)), String::new(), revoke).await, [200, 401]);
    assert_eq!(told(&world).await, words(401, "refused", "credentials_invalid"));
    assert!(asks(address, pki.client(Some(&one)), bearer(&world, "ann")).await.is_err());
    assert!(asks(address, pki.client(Some(&two)), String::new()).await.is_ok_and(|(status, _)| status == 200));
    // Also who has a token: the connection is no longer one that may be had. And a reload of everything counts, too.
    let revoke = async {
        write(&world, "crl.pem", &pki.clients.revoke(&[7, 8], (2028, 1, 1)));
        world.gateway.reload().await.expect("all holds");
    };
    assert_eq!(twice(address, pki.client(Some(&two)), bearer(&world, "ann"), revoke).await, [200, 401]);
    assert_eq!(world.metric("scrim_credentials_refused_total{reason=\"withdrawn\"}").await, 2.0);
    clean(&world, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_authority_and_the_end_of_a_date_hold_for_open_connections() {
    let pki = Pki::new();
    let world = pki.setup("required", ", crl: crl.pem").start().await;
    contact_answers(&world);
    let address = world.gateway.addresses()[0];
    let short = pki.clients.issue(&Wanted::dns(&["sync.acme.example"]).until(2027, 1, 16));
    let expire = async { world.clock.set(NOW + 2 * 86_400) };
    assert_eq!(twice(address, pki.client(Some(&short)), String::new(), expire).await, [200, 401]);

    world.clock.set(NOW);
    let long = pki.clients.issue(&Wanted::dns(&["sync.acme.example"]).until(2030, 1, 1));
    let expire = async { world.clock.set(NOW + 400 * 86_400) };
    assert_eq!(twice(address, pki.client(Some(&long)), String::new(), expire).await, [200, 401], "the list has ended");
    assert!(asks(address, pki.client(Some(&long)), String::new()).await.is_err(), "nobody is known not to be revoked");

    world.clock.set(NOW);
    let others = Authority::new();
    let replace = async {
        write(&world, "clients.pem", &others.pem);
        write(&world, "crl.pem", &others.revoke(&[], (2028, 1, 1)));
        world.gateway.reload().await.expect("all holds");
    };
    assert_eq!(twice(address, pki.client(Some(&long)), String::new(), replace).await, [200, 401]);
    assert!(asks(address, pki.client(Some(&long)), String::new()).await.is_err());
    let known = others.issue(&Wanted::dns(&["sync.acme.example"]));
    assert!(asks(address, pki.client(Some(&known)), String::new()).await.is_ok_and(|(status, _)| status == 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_required_is_required_of_open_connections() {
    let pki = Pki::new();
    let world = pki.setup("optional", "").start().await;
    contact_answers(&world);
    let address = world.gateway.addresses()[0];
    let text = std::fs::read_to_string(world.folder.path().join("gateway.yaml")).expect("read");
    let require = async {
        write(&world, "gateway.yaml", &text.replace("mode: optional", "mode: required"));
        world.gateway.reload().await.expect("all holds");
    };
    let headers = bearer(&world, "ann");
    assert_eq!(twice(address, pki.client(None), headers.clone(), require).await, [200, 401]);
    assert!(asks(address, pki.client(None), headers.clone()).await.is_err());
    // And a certificate means nobody where none is asked for.
    let issued = pki.clients.issue(&Wanted::dns(&["sync.acme.example"]));
    let release = async {
        let text = text.replace("mode: optional", "mode: off").replace("  certificates: { file: clients.yaml }\n", "");
        write(&world, "gateway.yaml", &text);
        world.gateway.reload().await.expect("all holds");
    };
    assert_eq!(twice(address, pki.client(Some(&issued)), String::new(), release).await, [200, 401]);
}

/// Every kind of resumption that a client could try (TRAPS 40).
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_resumed_where_certificates_are_asked_for() {
    let pki = Pki::new();
    for mode in ["required", "optional"] {
        let world = pki.setup(mode, ", crl: crl.pem").start().await;
        contact_answers(&world);
        let address = world.gateway.addresses()[0];
        let issued = pki.clients.issue(&Wanted::dns(&["sync.acme.example"]).serial(7));
        let mut held = Vec::new();
        let versions: [&'static SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];
        for version in versions {
            let mut config = pki.servers.client(&[version], Some(&issued));
            config.resumption = Resumption::in_memory_sessions(8);
            let asked = config.clone();
            let kinds = blocking(move || {
                [(); 2].map(|()| {
                    let mut secure = Secure::open(address, &asked, "crm.example").expect("a handshake");
                    secure.get("/contacts/1", "").expect("an answer");
                    assert_eq!(secure.0.conn.tls13_tickets_received(), 0);
                    secure.0.conn.handshake_kind().expect("done")
                })
            })
            .await;
            assert_eq!(kinds, [HandshakeKind::Full; 2], "{mode}, {version:?}");
            held.push(config);
        }
        write(&world, "crl.pem", &pki.clients.revoke(&[7], (2028, 1, 1)));
        world.gateway.reload().await.expect("all holds");
        for config in held {
            assert!(asks(address, config, String::new()).await.is_err(), "{mode}: resumed after it was revoked");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_for_clients_that_do_not_hold_are_mistakes_with_a_place() {
    let pki = Pki::new();
    let mistakes = async |more: &str, name: &str, text: &str| {
        let mut setup = pki.setup("required", more);
        setup.files.insert(name.to_owned(), text.to_owned());
        scrim::diagnostic::render(&setup.try_start().await.err().expect("no start"), false)
    };
    let crl = ", crl: crl.pem";
    for (more, name, text, words) in [
        ("", "clients.pem", "", "holds no certificate"),
        (crl, "crl.pem", "", "holds no revocation list"),
        (crl, "crl.pem", &*pki.clients.revoke(&[], (2027, 1, 14)), "ended on 2027-01-14"),
        (", authority: partners", "a", "", "no listener knows the authority `clients`"),
        ("", "clients.yaml", &MAP.replace("sync.acme.example", "\"*.*.example\""), "no certificate bears the name"),
        ("", "clients.yaml", &MAP.replace("spiffe://acme/crm/*", "spiffe://acme/*/x"), "no certificate bears the name"),
        ("", "clients.yaml", &MAP.replace("roles: [analyst]", "roles: [root]"), "unknown role `root`"),
        ("", "clients.yaml", &MAP.replace("common_name: billing, ", ""), "`subject` needs `common_name`"),
        (
            "",
            "clients.yaml",
            &format!("{MAP}{}", MAP.replace("clients:\n", "")),
            "another entry names the same certificates",
        ),
        (
            "",
            "clients.yaml",
            &MAP.replace("    tenant: { organization_id: acme, app_id: shop }\n", ""),
            "a client needs `tenant`",
        ),
    ] {
        let shown = mistakes(more, name, text).await;
        assert!(shown.contains(words), "{words}: {shown}");
        assert!(shown.contains(".yaml:"), "{shown}");
    }
    let mut setup = pki.setup("off", "");
    setup.files.remove("clients.pem");
    let shown = scrim::diagnostic::render(&setup.try_start().await.err().expect("no start"), false);
    assert!(shown.contains("no listener asks for certificates"), "{shown}");
}

/// A browser shows its certificate whatever page asks, and a POST without a body needs no leave.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_never_acts_by_the_certificate_of_a_browser() {
    let pki = Pki::new();
    let policy = format!(
        "{POLICY}  - {{ name: reps-archive, roles: [rep], actions: [archive], rows: all, read: {{ clear: [id] }} }}\n"
    );
    let world = pki.setup("optional", "").policy("contacts", &policy).start().await;
    contact_answers(&world);
    world.upstream.on("POST /contacts/1/archive", [Answer::json(200, contact(1))]);
    let config = pki.client(Some(&pki.clients.issue(&Wanted::dns(&["sync.acme.example"]))));
    let address = world.gateway.addresses()[0];
    let ask = async |line: &'static str, headers: String| {
        let config = config.clone();
        blocking(move || Secure::open(address, &config, "crm.example")?.ask(line, &headers)).await.expect("an answer").0
    };
    let archive = "POST /contacts/1/archive";
    for headers in ["sec-fetch-site: cross-site\r\n", "origin: https://evil.test\r\n", "origin: null\r\n"] {
        for line in [archive, "GET /contacts/1"] {
            assert_eq!(ask(line, headers.to_owned()).await, 401, "{line} {headers}");
            assert_eq!(told(&world).await, words(401, "refused", "credentials_invalid"));
        }
    }
    assert!(world.upstream.seen().is_empty());
    assert_eq!(world.metric("scrim_credentials_refused_total{reason=\"cross_site\"}").await, 6.0);
    // A credential that the page brings itself is the page's own; and a program is no browser.
    let token = format!("{}origin: https://evil.test\r\n", bearer(&world, "ann"));
    assert_eq!(ask("GET /contacts/1", token).await, 200);
    assert_eq!(ask(archive, String::new()).await, 200);
    let own = "sec-fetch-site: same-origin\r\norigin: https://crm.test\r\n";
    assert_eq!(ask(archive, own.to_owned()).await, 200);
    assert_eq!(world.upstream.lines().iter().filter(|line| line.starts_with("POST")).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_was_taken_back_does_not_come_in_by_a_certificate() {
    let pki = Pki::new();
    let mut setup = pki.setup("optional", "");
    setup.authn.push_str("  revocations: { file: revoked.yaml }\n");
    setup.files.insert("revoked.yaml".to_owned(), "revoked: []\n".to_owned());
    let world = setup.start().await;
    contact_answers(&world);
    let config = pki.client(Some(&pki.clients.issue(&Wanted::dns(&["sync.acme.example"]))));
    let address = world.gateway.addresses()[0];
    assert_eq!(asks(address, config.clone(), String::new()).await.expect("an answer").0, 200);
    write(&world, "revoked.yaml", "revoked: [{ sub: sync }]\n");
    world.gateway.refresh().await;
    assert_eq!(asks(address, config, String::new()).await.expect("an answer").0, 401);
}
