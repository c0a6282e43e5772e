//! Start, overload and drain; and what is served when the audit log can't be written: nothing.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use scrim::clock::Clock;
use scrim::gateway::Gateway;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::wire::{Dialogue, Gate};
use super::{answer, clean, contact, contact_answers, rep, request, seen, setup, told, words};
use crate::support::identities::NOW;
use crate::support::world::Setup;
use crate::support::{Identities, World};

/// Far below the drain time of a gateway that says nothing else.
const SOON: Duration = Duration::from_secs(20);

async fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("bound")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_cannot_load_does_not_listen() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    type Break = (&'static str, fn(&Path));
    let breaks: [Break; 5] = [
        ("no policies", |folder| fs::remove_dir_all(folder.join("policies")).expect("removed")),
        ("a policy", |folder| fs::write(folder.join("policies/contacts.yaml"), "table: [").expect("written")),
        ("no API file", |folder| fs::remove_file(folder.join("api.yaml")).expect("removed")),
        ("no secret", |folder| fs::remove_file(folder.join("token")).expect("removed")),
        ("the gateway file", |folder| {
            let text = fs::read_to_string(folder.join("gateway.yaml")).expect("read");
            fs::write(folder.join("gateway.yaml"), text + "surplus: 1\n").expect("written");
        }),
    ];
    for (what, damage) in breaks {
        let address = free_port().await;
        let mut setup = setup("");
        setup.listener = format!("{{ address: \"{address}\", plaintext: true }}");
        let folder = tempfile::tempdir().expect("a folder");
        setup.lay_out(folder.path(), &Identities::new(), address);
        damage(folder.path());
        let started = Gateway::start(&folder.path().join("gateway.yaml"), |_| {}, Clock::system()).await;
        let errors = started.err().unwrap_or_else(|| panic!("{what}: it started"));
        assert!(!errors.is_empty(), "{what}");
        assert!(TcpStream::connect(address).await.is_err(), "{what}: it listens");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_served_that_cannot_be_recorded() {
    let full = Setup { audit: Some("/dev/full".into()), ..setup("") };
    let world = full.start().await;
    contact_answers(&world);
    for target in ["/contacts/1", "/contacts", "/nothing"] {
        let response = rep(&world).get(target).await;
        assert_eq!(response.status, 503, "{target}");
        assert_eq!(response.json()["code"], "unavailable");
    }
    assert_eq!(world.client().get("/contacts/1").await.status, 503, "without credentials too");
    assert!(world.upstream.seen().is_empty());
    let ready = world.admin().get("/readyz").await;
    assert_eq!((ready.status, ready.json()["reasons"].clone()), (503, json!(["audit_unwritable"])));
    world.settled().await;
    assert!(world.metric("scrim_audit_failures_total").await >= 4.0);
    assert_eq!(world.metric("scrim_in_flight").await, 0.0);
    assert_eq!(world.metric("scrim_refusals_total{reason=\"audit_unavailable\"}").await, 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_limit_are_refused_at_once() {
    let gate = Gate::start(answer(&contact(1))).await;
    let world = Setup { upstream: Some(gate.address), ..setup("in_flight: 1") }.start().await;
    let first = tokio::spawn({
        let client = rep(&world);
        async move { client.get("/contacts/1").await }
    });
    gate.arrival().await;
    let refused = rep(&world).get("/contacts/1").await;
    assert_eq!((refused.status, refused.json()["code"].clone()), (503, json!("unavailable")));
    assert_eq!(refused.headers["retry-after"], "1");
    gate.open();
    assert_eq!(first.await.expect("no panic").json(), seen(1));
    // A client has its answer a moment before its exchange is counted and its place is free.
    world.settled().await;
    assert_eq!(world.metric("scrim_refusals_total{reason=\"overloaded\"}").await, 1.0);
    gate.open();
    assert_eq!(rep(&world).get("/contacts/1").await.status, 200, "there is room again");
    clean(&world, 3).await;
}

async fn until_refused(address: SocketAddr) {
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

/// Result and reason of each outcome in a folder's audit log.
fn outcomes(folder: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(folder.join("audit.jsonl")).expect("the audit log");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let word = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let ended = lines.filter(|line| line["kind"] == "outcome");
    ended.map(|line| (word(&line, "result"), word(&line, "reason"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_when_the_last_request_has_its_answer() {
    let gate = Gate::start(answer(&contact(1))).await;
    let world = Setup { upstream: Some(gate.address), ..setup("") }.start().await;
    let address = world.gateway.addresses()[0];
    let mut idle = Dialogue::open(address).await;
    idle.send(request(&world, "GET /nothing", "", "")).await;
    assert_eq!(idle.answer().await.expect("an answer").0, 404);
    let mut silent = Dialogue::open(address).await;
    let mut busy = Dialogue::open(address).await;
    busy.send(request(&world, "GET /contacts/1", "", "")).await;
    gate.arrival().await;

    let metrics = world.gateway.metrics().clone();
    let World { gateway, folder, .. } = world;
    let shutdown = tokio::spawn(gateway.shutdown());
    until_refused(address).await;
    assert!(idle.answer().await.is_none(), "an idle connection is closed at once");
    assert!(silent.answer().await.is_none(), "one that never spoke too");
    assert!(!shutdown.is_finished());
    gate.open();
    let (status, head, text) = busy.answer().await.expect("an answer");
    assert_eq!(status, 200, "{head}");
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), seen(1));
    assert!(busy.answer().await.is_none(), "and then it is closed");
    tokio::time::timeout(SOON, shutdown).await.expect("long before the drain time").expect("no panic");
    assert_eq!(metrics.in_flight.get(), 0);
    let told = outcomes(folder.path());
    assert_eq!(told, [("refused".into(), "route_unknown".into()), ("allowed".into(), String::new())]);
}

/// It comes behind a proxy that has not said yet who it is: with TLS it would be a handshake that is not over.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_does_not_wait_for_a_connection_that_was_never_opened_to_its_end() {
    let mut setup = setup("handshake_time: 60s");
    setup.listener = "{ address: 127.0.0.1:0, plaintext: true, proxy_protocol: { from: [127.0.0.1] } }".into();
    let world = setup.start().await;
    let address = world.gateway.addresses()[0];
    let mut silent = Dialogue::open(address).await;
    // Taken after the other one.
    let mut client = Dialogue::open(address).await;
    client.send(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0").await;
    client.send(request(&world, "GET /nothing", "", "")).await;
    assert_eq!(client.answer().await.expect("an answer").0, 404);
    tokio::time::timeout(SOON, world.gateway.shutdown()).await.expect("long before the handshake's time is over");
    assert!(silent.answer().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_cuts_what_takes_too_long_and_records_it() {
    let gate = Gate::start(String::new()).await;
    let world = Setup { upstream: Some(gate.address), ..setup("drain_time: 200ms") }.start().await;
    let mut client = Dialogue::open(world.gateway.addresses()[0]).await;
    client.send(request(&world, "GET /contacts/1", "", "")).await;
    gate.arrival().await;
    let metrics = world.gateway.metrics().clone();
    let World { gateway, folder, .. } = world;
    tokio::time::timeout(SOON, gateway.shutdown()).await.expect("in time");
    assert!(client.answer().await.is_none());
    assert_eq!((metrics.in_flight.get(), metrics.upstream_in_use.get()), (0, 0));
    assert_eq!(outcomes(folder.path()), [("aborted".into(), "dropped".into())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_drains_says_so() {
    let gate = Gate::start(answer(&contact(1))).await;
    let world = Setup { upstream: Some(gate.address), ..setup("") }.start().await;
    let (address, admin) = (world.gateway.addresses()[0], world.admin());
    assert_eq!(admin.get("/readyz").await.status, 200);
    let mut client = Dialogue::open(address).await;
    client.send(request(&world, "GET /contacts/1", "", "")).await;
    gate.arrival().await;
    let World { gateway, folder: _folder, .. } = world;
    let shutdown = tokio::spawn(gateway.shutdown());
    until_refused(address).await;
    let ready = admin.get("/readyz").await;
    assert_eq!((ready.status, ready.json()["reasons"].clone()), (503, json!(["draining"])));
    gate.open();
    assert_eq!(client.answer().await.expect("an answer").0, 200);
    shutdown.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_ends_is_recorded_once_whatever_its_end() {
    let world = setup("").start().await;
    contact_answers(&world);
    let cases = [("/contacts/1", 200, "allowed", ""), ("/contacts/7", 404, "refused", "record_hidden")];
    for (target, status, result, reason) in cases {
        assert_eq!(rep(&world).get(target).await.status, status);
        assert_eq!(told(&world).await, words(status.into(), result, reason));
    }
    assert_eq!(world.client().get("/contacts/1").await.status, 401);
    assert_eq!(told(&world).await, words(401, "refused", "credentials_missing"));
    clean(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_good_is_refused_once_it_is_over() {
    let world = setup("").start().await;
    contact_answers(&world);
    let client = rep(&world);
    for _ in 0..2 {
        assert_eq!(client.get("/contacts/1").await.status, 200);
    }
    assert_eq!(world.metric("scrim_cache_lookups_total{cache=\"credentials\",outcome=\"hit\"}").await, 1.0);
    world.upstream.forget();
    world.clock.set(NOW + 2 * 3600);
    assert_eq!(client.get("/contacts/1").await.status, 401);
    assert_eq!(told(&world).await, words(401, "refused", "credentials_invalid"));
    assert!(world.upstream.seen().is_empty());
    clean(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_an_error_of_the_operator() {
    let first = setup("").start().await;
    let address = first.gateway.addresses()[0];
    let listener = format!("{{ address: \"{address}\", plaintext: true }}");
    let Err(errors) = (Setup { listener, ..setup("") }).try_start().await else { panic!("two can't have one address") };
    assert_eq!(errors.iter().map(|error| error.code).collect::<Vec<_>>(), ["listener"]);
    assert!(errors[0].message.contains(&address.to_string()), "{}", errors[0].message);
}
