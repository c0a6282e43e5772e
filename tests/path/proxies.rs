//! Clients behind proxies: whom a connection or a request comes from, and who may say so.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::tls::Identity;
use super::wire::{Dialogue, message};
use super::{POLICY, clean, contact_answers, request, setup, told, words};
use crate::support::World;
use crate::support::world::Setup;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of the PROXY protocol for a client of this IPv4 address.
fn header(client: [u8; 4]) -> Vec<u8> {
    let ports = [4711_u16.to_be_bytes(), 443_u16.to_be_bytes()].concat();
    [SIGNATURE, &[0x21, 0x11, 0, 12], &client, &[10, 0, 0, 2], &ports].concat()
}

fn behind(from: &str) -> Setup {
    let listener = format!("{{ address: 127.0.0.1:0, plaintext: true, proxy_protocol: {{ from: [{from}] }} }}");
    Setup { listener, ..setup("connections_per_address: 1, handshake_time: 300ms") }
}

async fn open(world: &World, first: &[u8]) -> Dialogue {
    let mut client = Dialogue::open(world.gateway.addresses()[0]).await;
    client.send(first).await;
    client
}

async fn status(world: &World, client: &mut Dialogue) -> u16 {
    client.send(request(world, "GET /contacts/1", "", "")).await;
    client.answer().await.expect("an answer").0
}

/// Whom the last exchange came from, as the audit log says.
async fn last_client(world: &World) -> Value {
    world.last_audit().await.0["client"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_says_whom_a_connection_comes_from() {
    let world = behind("127.0.0.0/8").start().await;
    contact_answers(&world);
    let mut first = open(&world, &header([198, 51, 100, 7])).await;
    assert_eq!(status(&world, &mut first).await, 200);
    assert_eq!(last_client(&world).await, "198.51.100.7");
    let mut other = open(&world, &header([198, 51, 100, 8])).await;
    assert_eq!(status(&world, &mut other).await, 200, "another client has a place of its own");
    assert_eq!(last_client(&world).await, "198.51.100.8");
    let mut second = open(&world, &header([198, 51, 100, 7])).await;
    assert!(second.answer().await.is_none(), "the first client has one already");
    let metrics = world.gateway.metrics();
    assert_eq!((metrics.connections.get(), metrics.connections_refused.get()), (2, 1));
    // The proxy's own: it looks whether the gateway lives.
    let mut own = open(&world, &[SIGNATURE, &[0x20, 0, 0, 0]].concat()).await;
    assert_eq!(status(&world, &mut own).await, 200);
    assert_eq!(last_client(&world).await, "127.0.0.1");
    clean(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_a_whole_header_is_closed() {
    let world = behind("127.0.0.0/8").start().await;
    contact_answers(&world);
    let whole = header([198, 51, 100, 7]);
    let oversize = [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat();
    let nameless = [SIGNATURE, &[0x21, 0, 0, 0]].concat();
    let get = request(&world, "GET /contacts/1", "", "").into_bytes();
    let version1 = [b"PROXY TCP4 198.51.100.7 10.0.0.2 4711 443\r\n", &get[..]].concat();
    // The last two end with the time that there is for it.
    let starts =
        [&get[..], &version1, &[&oversize[..], &get].concat(), &[&nameless[..], &get].concat(), &whole[..20], &[]];
    for (count, first) in starts.iter().enumerate() {
        let mut client = open(&world, first).await;
        assert!(client.answer().await.is_none(), "{count}");
    }
    assert_eq!(world.gateway.metrics().proxies_refused.get(), 4);
    assert!(world.upstream.seen().is_empty());
    clean(&world, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_may_say_whom_a_connection_comes_from() {
    let elsewhere = behind("192.0.2.0/24").start().await;
    let mut client = open(&elsewhere, &header([198, 51, 100, 7])).await;
    assert!(client.answer().await.is_none());
    assert_eq!(elsewhere.gateway.metrics().proxies_refused.get(), 1);
    clean(&elsewhere, 0).await;
    // On any other listener such a header is no request.
    let open_to_all = setup("").start().await;
    let mut client = open(&open_to_all, &header([198, 51, 100, 7])).await;
    client.send(request(&open_to_all, "GET /contacts/1", "", "")).await;
    assert_eq!(client.answer().await.map(|(status, ..)| status), Some(400));
    assert_eq!(last_client(&open_to_all).await, "127.0.0.1");
    assert!(elsewhere.upstream.seen().is_empty() && open_to_all.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_comes_before_tls() {
    let identity = Identity::new();
    let mut setup = identity.setup("");
    setup.listener = setup.listener.replace("tls:", "proxy_protocol: { from: [127.0.0.1] }, tls:");
    let world = setup.start().await;
    contact_answers(&world);
    let mut config = identity.client(&[&rustls::version::TLS13]);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut stream = TcpStream::connect(world.gateway.addresses()[0]).await.expect("it listens");
    stream.write_all(&header([198, 51, 100, 7])).await.expect("sent");
    let name = "localhost".try_into().expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake");
    stream.write_all(request(&world, "GET /contacts/1", "", "").as_bytes()).await.expect("sent");
    let (head, _) = message(&mut stream, &mut Vec::new()).await.expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(last_client(&world).await, "198.51.100.7");
}

/// Reads are for one network only, and each address may ask thrice.
fn from_one_network(header: &str) -> Setup {
    let policy = format!(
        "{POLICY}requirements:\n  - name: from-the-office\n    actions: [read]\n    \
         must: cidr('198.51.100.0/24').containsIP(request.ip)\n"
    );
    let more = format!(
        "trusted_proxies: {{ from: [127.0.0.0/8], header: {header} }}\nrates: [{{ per: address, requests: 3, period: 1h }}]\n"
    );
    Setup { more, ..Setup::default() }.policy("contacts", &policy)
}

#[tokio::test(flavor = "multi_thread")]
async fn trusted_proxies_say_whom_a_request_comes_from_and_clients_do_not() {
    let world = from_one_network("x-forwarded-for").start().await;
    contact_answers(&world);
    let ann = world.person("ann", &json!({ "roles": ["rep"] }));
    let from = |list: &str| ann.header("x-forwarded-for", list);
    assert_eq!(from("198.51.100.7").get("/contacts/1").await.status, 200);
    assert_eq!(last_client(&world).await, "198.51.100.7");
    let seen = world.upstream.seen().pop().expect("a request");
    let names = ["x-forwarded-for", "forwarded", "x-real-ip"];
    assert!(names.iter().all(|name| !seen.headers.contains_key(*name)), "{seen:?}");

    // The first address is the client's own invention.
    for forged in ["198.51.100.7, 203.0.113.9", "127.0.0.1,198.51.100.7 , 203.0.113.9, 127.0.0.2"] {
        assert_eq!(from(forged).get("/contacts/1").await.status, 403, "{forged}");
        assert_eq!(last_client(&world).await, "203.0.113.9");
    }
    let two_lines = ann.header("x-forwarded-for", "198.51.100.7").header("x-forwarded-for", "203.0.113.9");
    assert_eq!(two_lines.get("/contacts/1").await.status, 403);
    // The other header is nobody's.
    let other = ann.header("forwarded", "for=198.51.100.7").header("x-forwarded-for", "203.0.113.9");
    assert_eq!(other.get("/contacts/1").await.status, 429, "it is the fourth of one address");
    assert_eq!(ann.header("x-forwarded-for", "198.51.100.8").get("/contacts/1").await.status, 200);
    // What a proxy does not say is not taken to be the proxy itself.
    for unknown in ["198.51.100.7, unknown", "_hidden", "fe80::1%eth0", "198.51.100.7:x"] {
        let refused = from(unknown).get("/contacts/1").await;
        assert_eq!((refused.status, refused.json()["code"].as_str()), (400, Some("ambiguous_header")), "{unknown}");
        assert_eq!(told(&world).await, words(400, "refused", "ambiguous_header"));
        assert_eq!(last_client(&world).await, "127.0.0.1");
    }
    assert_eq!(world.upstream.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_header_and_other_connections() {
    let world = from_one_network("forwarded").start().await;
    contact_answers(&world);
    let ann = world.person("ann", &json!({ "roles": ["rep"] }));
    let from = |list: &str| ann.header("forwarded", list).header("x-forwarded-for", "203.0.113.9");
    assert_eq!(from("for=203.0.113.9, for=\"198.51.100.7:80\";proto=https").get("/contacts/1").await.status, 200);
    assert_eq!(last_client(&world).await, "198.51.100.7");
    assert_eq!(from("for=\"198.51.100.7, for=203.0.113.9").get("/contacts/1").await.status, 400);
    assert_eq!(from("for=198.51.100.7, for=203.0.113.9").get("/contacts/1").await.status, 403);

    // Once nobody is trusted, the connection alone counts.
    let file = world.folder.path().join("gateway.yaml");
    let text = std::fs::read_to_string(&file).expect("read");
    std::fs::write(&file, text.replace("from: [127.0.0.0/8]", "from: [192.0.2.0/24]")).expect("written");
    world.gateway.reload().await.expect("it loads");
    assert_eq!(from("for=198.51.100.7").get("/contacts/1").await.status, 403);
    assert_eq!(last_client(&world).await, "127.0.0.1");
}

/// Two proxies in a row: one that knows connections only, behind it one that knows requests.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_behind_a_proxy_is_trusted_by_its_own_address() {
    let mut setup = behind("127.0.0.1");
    setup.more = "trusted_proxies: { from: [192.0.2.0/24], header: X-Forwarded-For }\n".to_owned();
    let world = setup.start().await;
    contact_answers(&world);
    for (proxy, client) in [([192, 0, 2, 5], "198.51.100.7"), ([203, 0, 113, 5], "203.0.113.5")] {
        let mut connection = open(&world, &header(proxy)).await;
        connection.send(request(&world, "GET /contacts/1", "x-forwarded-for: 198.51.100.7\r\n", "")).await;
        assert_eq!(connection.answer().await.expect("an answer").0, 200);
        assert_eq!(last_client(&world).await, client);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trusted_proxies_have_the_connections_of_all_their_clients() {
    let bounded = setup("connections_per_address: 1");
    let more = "trusted_proxies: { from: [127.0.0.1], header: forwarded }\n".to_owned();
    let world = Setup { more, ..bounded }.start().await;
    contact_answers(&world);
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut client = open(&world, b"").await;
        assert_eq!(status(&world, &mut client).await, 200);
        held.push(client);
    }
    // Who is trusted no more is one client.
    let path = world.folder.path().join("gateway.yaml");
    let text = std::fs::read_to_string(&path).expect("read").replace("from: [127.0.0.1]", "from: [192.0.2.1]");
    std::fs::write(&path, text).expect("written");
    world.gateway.reload().await.expect("it holds");
    let mut one_more = open(&world, b"").await;
    assert!(one_more.answer().await.is_none());
    assert_eq!(world.gateway.metrics().connections_refused.get(), 1);
    clean(&world, 3).await;
}
