//! Reload: all of it comes into force or nothing does, and "can't be loaded" is never taken for "no policy".

use std::fs;

use super::wire::Gate;
use super::{POLICY, answer, clean, contact, contact_answers, rep, seen, setup};
use crate::support::World;
use crate::support::world::{API, Setup};

/// Loads that came into force, loads that failed, whether the last one did, and the generation.
async fn loads(world: &World) -> (f64, f64, f64, f64) {
    let metric = |sample| world.metric(sample);
    (
        metric("scrim_reloads_total{outcome=\"ok\"}").await,
        metric("scrim_reloads_total{outcome=\"failed\"}").await,
        metric("scrim_last_reload_ok").await,
        metric("scrim_policy_generation").await,
    )
}

fn write(world: &World, name: &str, text: &str) {
    fs::write(world.folder.path().join(name), text).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_loaded_leaves_the_last_good_in_force() {
    type Damage = (&'static str, fn(&World));
    let damages: [Damage; 11] = [
        ("syntax", |world| world.policy("contacts", "table: contacts\ngrants: [\n")),
        ("empty file", |world| world.policy("contacts", "")),
        ("an unknown field", |world| world.policy("contacts", &POLICY.replace("[id, name]", "[id, nmae]"))),
        ("an unknown key", |world| world.policy("contacts", &POLICY.replace("rows:", "row:"))),
        ("an unknown role", |world| world.policy("contacts", &POLICY.replace("[rep]", "[root]"))),
        ("a wrong condition", |world| world.policy("contacts", &POLICY.replace("rows: all", "rows: record.nope == 1"))),
        ("a second policy of the table", |world| world.policy("more", POLICY)),
        ("no policies folder", |world| fs::remove_dir_all(world.folder.path().join("policies")).expect("removed")),
        ("the API file", |world| write(world, "api.yaml", &API.replace("key: id", "key: nope"))),
        ("the gateway file", |world| write(world, "gateway.yaml", "listeners: []\n")),
        ("the key set", |world| write(world, "jwks.json", "{}")),
    ];
    for (what, damage) in damages {
        let world = setup("").start().await;
        contact_answers(&world);
        assert_eq!(loads(&world).await, (1.0, 0.0, 1.0, 1.0));
        damage(&world);
        let Err(errors) = world.gateway.reload().await else { panic!("{what}: it was reloaded") };
        assert!(!errors.is_empty(), "{what}");
        assert_eq!(rep(&world).get("/contacts/1").await.json(), seen(1), "{what}");
        assert_eq!(rep(&world).get("/accounts").await.status, 404, "{what}: it is open");
        assert_eq!(loads(&world).await, (1.0, 1.0, 0.0, 1.0), "{what}");
        assert_eq!(world.admin().get("/readyz").await.status, 200, "{what}");
        clean(&world, 2).await;
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mended_file_comes_into_force() {
    let world = setup("").start().await;
    contact_answers(&world);
    world.policy("contacts", "table: [");
    world.gateway.reload().await.expect_err("it is broken");
    world.policy("contacts", &POLICY.replace("[id, name]", "[id]"));
    world.gateway.reload().await.expect("it is mended");
    let response = rep(&world).get("/contacts/1").await;
    assert_eq!(response.json(), serde_json::json!({ "data": { "id": 1 } }));
    assert_eq!(loads(&world).await, (2.0, 1.0, 1.0, 2.0));
    clean(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_what_grants_hides_and_never_opens() {
    type Deletion = (&'static str, fn(&World));
    let deletions: [Deletion; 3] = [
        ("the last grant", |world| world.policy("contacts", "table: contacts\n")),
        ("the last file", |world| world.remove_policy("contacts")),
        ("the grant for reading", |world| {
            let (_, rest) = POLICY.split_once("  - name: reps-create").expect("two grants");
            world.policy("contacts", &format!("table: contacts\ngrants:\n  - name: reps-create{rest}"));
        }),
    ];
    for (what, delete) in deletions {
        let world = setup("").start().await;
        contact_answers(&world);
        assert_eq!(rep(&world).get("/contacts/1").await.status, 200);
        world.upstream.forget();
        delete(&world);
        if let Err(errors) = world.gateway.reload().await {
            panic!("{what}: {}", scrim::diagnostic::render(&errors, false));
        }
        let response = rep(&world).get("/contacts/1").await;
        let status = if what == "the grant for reading" { 403 } else { 404 };
        assert_eq!(response.status, status, "{what}: {}", response.everything());
        assert!(world.upstream.seen().is_empty(), "{what}");
        assert_eq!(loads(&world).await, (2.0, 0.0, 1.0, 2.0), "{what}");
        clean(&world, 2).await;
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_ends_under_what_it_began_with() {
    let gate = Gate::start(answer(&contact(1))).await;
    let world = Setup { upstream: Some(gate.address), ..setup("") }.start().await;
    let first = tokio::spawn({
        let client = rep(&world);
        async move { client.get("/contacts/1").await }
    });
    gate.arrival().await;
    world.remove_policy("contacts");
    world.gateway.reload().await.expect("an empty folder hides all");
    assert_eq!(rep(&world).get("/contacts/1").await.status, 404, "a new request is judged anew");
    gate.open();
    assert_eq!(first.await.expect("no panic").json(), seen(1));
    world.settled().await;
    let hashes: Vec<_> =
        world.audit().await.iter().filter_map(|line| line["policy_hash"].as_str().map(str::to_owned)).collect();
    assert_eq!(hashes.len(), 2);
    assert_ne!(hashes[0], hashes[1], "each names the policies that it was judged by");
    clean(&world, 2).await;
}

/// An operator who no longer wants to serve unrecorded does not, from the reload on.
#[tokio::test(flavor = "multi_thread")]
async fn where_and_whether_exchanges_must_be_recorded_comes_into_force() {
    let world = Setup { audit: Some("/dev/full".into()), ..setup("") }.start().await;
    contact_answers(&world);
    assert_eq!(rep(&world).get("/contacts/1").await.status, 503);
    let text = fs::read_to_string(world.folder.path().join("gateway.yaml")).expect("read");
    write(&world, "gateway.yaml", &text.replace("fsync: never", "fsync: always, serve_without: true"));
    world.gateway.reload().await.expect("it is allowed");
    assert_eq!(rep(&world).get("/contacts/1").await.status, 200);
    world.upstream.forget();
    write(&world, "gateway.yaml", &text);
    world.gateway.reload().await.expect("it is the default");
    assert_eq!(rep(&world).get("/contacts/1").await.status, 503, "and no longer");
    assert!(world.upstream.seen().is_empty());
    // A file that can't be opened changes nothing, and another one that can takes over.
    write(&world, "gateway.yaml", &text.replace("\"/dev/full\"", "\"/proc/audit.jsonl\""));
    let errors = world.gateway.reload().await.expect_err("it can't be made");
    assert!(errors.iter().any(|error| error.message.contains("`/proc/audit.jsonl`")), "{errors:?}");
    write(&world, "gateway.yaml", &text.replace("\"/dev/full\"", "other.jsonl"));
    world.gateway.reload().await.expect("another file");
    assert_eq!(rep(&world).get("/contacts/1").await.json(), seen(1));
    world.settled().await;
    let written = fs::read_to_string(world.folder.path().join("other.jsonl")).expect("the audit log");
    let count = |kind: &str| written.matches(&format!("\"kind\":\"{kind}\"")).count();
    // With the outcomes that were owed.
    assert!(count("intent") >= 1 && count("outcome") >= 1, "{written}");
    assert!(written.contains("\"result\":\"allowed\""), "{written}");
}

/// A key server that gives these keys once and then is gone.
async fn keys_once(keys: String) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        assert!(stream.read(&mut [0; 4096]).await.expect("a request") > 0);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", keys.len());
        stream.write_all((head + &keys).as_bytes()).await.expect("sent");
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_the_keys_of_a_key_server_that_is_down() {
    let world = setup("").start().await;
    contact_answers(&world);
    let address = keys_once(world.identities.jwks()).await;
    let text = fs::read_to_string(world.folder.path().join("gateway.yaml")).expect("read");
    let remote = |path: &str| text.replace("{ file: jwks.json }", &format!("{{ url: \"http://{address}/{path}\" }}"));
    write(&world, "gateway.yaml", &remote("keys"));
    world.gateway.reload().await.expect("the keys could be had");
    assert_eq!(rep(&world).get("/contacts/1").await.status, 200);
    world.policy("contacts", &POLICY.replace("[id, name]", "[id]"));
    world.gateway.reload().await.expect("the key server is down, the files are sound");
    let response = rep(&world).get("/contacts/1").await;
    assert_eq!((response.status, response.json()), (200, serde_json::json!({ "data": { "id": 1 } })));
    assert_eq!(world.admin().get("/readyz").await.status, 200);
    // Keys from elsewhere vouch for nobody.
    write(&world, "gateway.yaml", &remote("others"));
    world.gateway.reload().await.expect("the files are sound");
    assert_eq!(rep(&world).get("/contacts/1").await.status, 503);
    clean(&world, 3).await;
}
