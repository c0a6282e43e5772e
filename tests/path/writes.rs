//! What no file of cases can say of writes: what the gateway refuses to start with, and what differs between callers.

use serde_json::{Value, json};

use crate::support::world::{API, Setup};

#[tokio::test]
#[should_panic(expected = "is shared by all tenants and can't be written")]
async fn a_policy_that_writes_a_shared_table_is_refused_at_load() {
    let policy = "table: countries\n\
                  grants:\n\
                  - { name: rename, roles: [rep], actions: [read, update], rows: all, read: { clear: all }, write: [name] }\n";
    Setup::default().policy("countries", policy).start().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_doing_a_write_once_is_its_callers_own() {
    let policy = "table: contacts\n\
                  grants:\n\
                  - { name: make, roles: [rep], actions: [read, create, update], rows: all, read: { clear: [id] }, write: [name] }\n";
    let api = format!("{API}\nidempotency_key: true\n");
    let world = Setup { api, ..Setup::default() }.policy("contacts", policy).start().await;
    let sent = async |who: &str, claims: Value, key: Option<&str>, body: &str| {
        let mut client = world.person(who, &claims);
        if let Some(key) = key {
            client = client.header("Idempotency-Key", key);
        }
        world.upstream.forget();
        client.send("POST", "/contacts", Some(body)).await;
        let seen = world.upstream.seen();
        let header = seen.first().expect("it was sent").headers.get("idempotency-key").cloned();
        header.map(|value| value.to_str().expect("text").to_owned())
    };
    let rep = json!({ "roles": ["rep"] });
    let ana = sent("ana", rep.clone(), Some("k1"), "{\"name\":\"a\"}").await.expect("a key");
    assert_eq!(sent("ana", rep.clone(), Some("k1"), "{\"name\":\"a\"}").await.as_ref(), Some(&ana), "the same again");
    assert!(!ana.contains("k1") && !ana.contains("ana"), "{ana}");
    // Somebody else, another tenant, another key; and keys that look like another's parts.
    for (who, claims, key) in [
        ("max", rep.clone(), "k1"),
        ("ana", json!({ "roles": ["rep"], "org_id": "globex" }), "k1"),
        ("ana", json!({ "roles": ["rep"], "app_id": "desk" }), "k1"),
        ("ana", rep.clone(), "k2"),
        ("an", rep.clone(), "ak1"),
        ("ana", rep.clone(), &ana),
    ] {
        assert_ne!(sent(who, claims, Some(key), "{\"name\":\"a\"}").await, Some(ana.clone()), "{who} {key}");
    }
    assert_eq!(sent("ana", rep.clone(), None, "{\"name\":\"a\"}").await, None);
    let long = world.person("ana", &rep).header("Idempotency-Key", &"k".repeat(256));
    world.upstream.forget();
    let got = long.send("POST", "/contacts", Some("{\"name\":\"a\"}")).await;
    assert_eq!((got.status, world.upstream.lines().len()), (400, 0));
    world.gateway.shutdown().await;

    // To an upstream that doesn't know such keys none is sent.
    let world = Setup::default().policy("contacts", policy).start().await;
    let client = world.person("ana", &rep).header("Idempotency-Key", "k1");
    client.send("POST", "/contacts", Some("{\"name\":\"a\"}")).await;
    assert!(world.upstream.seen().iter().all(|seen| !seen.headers.contains_key("idempotency-key")));
    world.gateway.shutdown().await;
}
