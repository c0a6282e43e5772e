//! Failures and lifecycle on the whole path: each test says what the client got, what the upstream saw, what the audit
//! log says, and that nothing is left behind.

mod admin;
mod admission;
mod batch_figures;
mod batch_references;
mod batches;
mod blame;
mod bodies;
mod browsers;
mod cascades;
mod certificates;
mod client;
mod clients;
mod credentials;
mod cursors;
mod cuts;
mod demo;
mod directus;
mod encodings;
mod examples;
mod export;
mod figures;
mod figures_directus;
mod figures_order;
mod guards;
mod health;
mod hierarchy;
mod hoarders;
mod http2;
mod identity;
mod kept;
mod lifecycle;
mod live;
mod live_http2;
mod masked;
mod metadata;
mod mixed;
mod nested;
mod odata;
mod opaque;
mod own_certificates;
mod pages;
mod parents;
mod pocketbase;
mod postgrest;
mod process;
mod projection;
mod properties;
mod proxies;
mod pushdown;
mod reload;
mod replaced;
mod representations;
mod search;
mod secrets;
mod source;
mod tenant_bodies;
mod tls;
mod upstream;
mod upstreams;
mod validators;
mod walks;
mod wire;
mod wire_http1;
mod wire_http2;
mod wire_paths;
mod writes;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::world::Setup;
use crate::support::{Answer, Client, World};

/// A rep reads id and name of every contact of the tenant, and creates contacts.
const POLICY: &str = "\
table: contacts
grants:
  - name: reps-read
    roles: [rep]
    actions: [list, read]
    rows: all
    read: { clear: [id, name] }
  - name: reps-create
    roles: [rep]
    actions: [create]
    presets: { owner_id: principal.id }
    write: [name, email, region]
    check: after.name != ''
";

const CREATION: &str = r#"{"name":"Ada","email":"ada@example.com","region":"north"}"#;

fn setup(limits: &str) -> Setup {
    Setup { limits: limits.to_owned(), ..Setup::default() }.policy("contacts", POLICY)
}

fn rep(world: &World) -> Client {
    world.person("ann", &json!({ "roles": ["rep"] }))
}

/// A contact of acme/shop as the upstream has it.
fn contact(id: u64) -> String {
    json!({ "data": {
        "id": id, "organization_id": "acme", "app_id": "shop", "owner_id": "ann", "account_id": null,
        "name": "Ada", "email": "ada@example.com", "phone": null, "region": "north", "stage": "lead", "amount": null,
        "born": null, "legal_hold": false, "vip": null, "ssn": "SECRET", "custom": null, "note_count": 0,
    }})
    .to_string()
}

/// What a rep sees of it.
fn seen(id: u64) -> Value {
    json!({ "data": { "id": id, "name": "Ada" } })
}

/// An answer of the upstream in bytes.
fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn contact_answers(world: &World) {
    world.upstream.on("GET /contacts/1", [Answer::json(200, contact(1))]);
    world.upstream.on("POST /contacts", [Answer::json(201, contact(9))]);
}

/// A request in bytes, by a rep.
fn request(world: &World, line: &str, headers: &str, body: &str) -> String {
    let token = world.identities.token("ann", &json!({ "roles": ["rep"] }));
    format!("{line} HTTP/1.1\r\nhost: crm.test\r\nauthorization: Bearer {token}\r\n{headers}\r\n{body}")
}

/// Status, result and reason of the last exchange that ended.
async fn told(world: &World) -> (u64, String, String) {
    let (_, outcome) = world.last_audit().await;
    let word = |name: &str| outcome[name].as_str().unwrap_or_default().to_owned();
    (outcome["status"].as_u64().expect("a status"), word("result"), word("reason"))
}

fn words(status: u64, result: &str, reason: &str) -> (u64, String, String) {
    (status, result.to_owned(), reason.to_owned())
}

/// Nothing is in flight or in use, and each of `exchanges` has left exactly one intent and one outcome.
async fn clean(world: &World, exchanges: usize) {
    world.settled().await;
    assert_eq!(world.metric("scrim_in_flight").await, 0.0);
    assert_eq!(world.metric("scrim_upstream_sessions_in_use").await, 0.0);
    assert_eq!(every_exchange_is_whole(world).await, exchanges);
}

/// How many exchanges there were: each has left exactly one intent and one outcome.
async fn every_exchange_is_whole(world: &World) -> usize {
    world.settled().await;
    let mut pairs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in world.audit().await {
        let word = |name: &str| line[name].as_str().expect("a word").to_owned();
        pairs.entry(word("request_id")).or_default().push(word("kind"));
    }
    assert!(pairs.values().all(|kinds| kinds == &["intent", "outcome"]), "{pairs:?}");
    pairs.len()
}

/// A target with its escapes resolved.
fn unescaped(target: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = target.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).expect("a digit") as u8;
        bytes.push(if byte == b'%' { digit() << 4 | digit() } else { byte });
    }
    String::from_utf8(bytes).expect("UTF-8")
}
