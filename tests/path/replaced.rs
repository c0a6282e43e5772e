//! Upstreams that can only replace a record: it goes back as it was told, but for what changes.

use serde_json::{Value, json};

use crate::support::world::{API, Setup};
use crate::support::{Answer, Client, World};

const POLICY: &str = "table: contacts
grants:
  - name: own
    roles: [rep]
    actions: [read, update]
    rows: record.owner_id == principal.id && record.account.region == 'north'
    read: { clear: [id, name] }
    write: [name, stage]
";

/// As the service stores it, in its own spelling; the account is there because it was asked for.
const STORED: &str = r#"{"id": 7, "organization_id":"acme","app_id":"shop","owner_id":"ana","account_id":3,"name":"Ann",
  "email":"a\u0040b.example","phone":null,"region":"EMEA","stage":"lead","amount":100.50,"born":null,"legal_hold":false,
  "vip":null,"ssn":"SECRET-\u0053SN","custom":{"deep" : [1e2, "SECRET-C"]},"note_count":3,"legacy":{ "b":1,"a":2.0 },"#;
const RELATED: &str = r#""account":{"id":3,"organization_id":"acme","app_id":"shop","owner_id":"ana","name":"A","region":"north","credit":1}}"#;

fn record() -> String {
    format!(r#"{{"data":{STORED}{RELATED}}}"#)
}

async fn world(race: &str) -> World {
    let api = API
        .replace(r#"update: "PATCH /contacts/{id}""#, r#"update: { route: "PATCH /contacts/{id}", as: put }"#)
        .replacen(
            "    routes:\n      list: GET /contacts\n",
            &format!("    race: {race}\n    routes:\n      list: GET /contacts\n"),
            1,
        );
    let world = Setup { api, ..Setup::default() }.policy("contacts", POLICY).start().await;
    world.upstream.on("GET /contacts/7", [Answer::json(200, record())]);
    world.upstream.on("PUT /contacts/7", [Answer::json(200, record())]);
    world
}

fn ana(world: &World) -> Client {
    world.person("ana", &json!({ "roles": ["rep"] }))
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_and_undeclared_fields_go_back_byte_for_byte() {
    let world = world("if_match").await;
    let got = ana(&world).send("PATCH", "/contacts/7", Some(r#"{"name":"Eve"}"#)).await;
    assert_eq!((got.status, got.json()), (200, json!({ "data": { "id": 7, "name": "Ann" } })), "{}", got.text());
    assert!(!got.everything().contains("SECRET"));
    let lines = world.upstream.lines();
    assert!(
        matches!(&lines[..], [look, write] if look.starts_with("GET /contacts/7") && write.starts_with("PUT /contacts/7")),
        "{lines:?}"
    );
    let seen = world.upstream.seen().pop().expect("the write");
    let sent = String::from_utf8(seen.body.to_vec()).expect("text");
    for kept in [
        r#""email":"a\u0040b.example""#,
        r#""amount":100.50"#,
        r#""ssn":"SECRET-\u0053SN""#,
        r#""custom":{"deep" : [1e2, "SECRET-C"]}"#,
        r#""legacy":{ "b":1,"a":2.0 }"#,
        r#""note_count":3"#,
        r#""organization_id":"acme""#,
        r#""name":"Eve""#,
    ] {
        assert!(sent.contains(kept), "{kept} is not in {sent}");
    }
    let sent: Value = serde_json::from_str(&sent).expect("JSON");
    assert!(sent.get("account").is_none(), "what was asked for beside it is no part of it: {sent}");
    assert_eq!(seen.headers["if-match"], "\"v1\"");
    let (_, outcome) = world.last_audit().await;
    assert_eq!((&outcome["rules_granted"], &outcome["keys"]), (&json!(["own"]), &json!(["7"])));
    // Where it came in between, nothing is lost.
    world.upstream.on("PUT /contacts/7", [Answer::json(412, "{}")]);
    assert_eq!(ana(&world).send("PATCH", "/contacts/7", Some(r#"{"name":"Eve"}"#)).await.status, 412);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_not_told_whole_is_not_replaced() {
    let world = world("accept").await;
    let send = async |body: &str| ana(&world).send("PATCH", "/contacts/7", Some(body)).await;
    for (stored, status, reason) in [
        // Without a field that is declared, it would be lost.
        (record().replace(r#""ssn":"SECRET-\u0053SN","#, ""), 502, "upstream_cannot_guard"),
        (record().replace(r#""phone":null,"#, ""), 502, "upstream_cannot_guard"),
        // Which of two would be kept?
        (record().replace(r#""legacy":"#, r#""legacy":1,"legacy":"#), 502, "upstream_broken"),
        (record().replace(r#""phone":null"#, r#""phone":null,"\u0070hone":"SECRET""#), 502, "upstream_broken"),
        (
            record().replace(
                "\"acme\",\"app_id\":\"shop\",\"owner_id\":\"ana\",\"account_id\"",
                "\"globex\",\"app_id\":\"shop\",\"owner_id\":\"ana\",\"account_id\"",
            ),
            404,
            "record_foreign",
        ),
        (
            record().replace("\"owner_id\":\"ana\",\"account_id\"", "\"owner_id\":\"max\",\"account_id\""),
            404,
            "record_hidden",
        ),
    ] {
        world.upstream.on("GET /contacts/7", [Answer::json(200, stored)]);
        world.upstream.forget();
        let got = send(r#"{"name":"Eve"}"#).await;
        let (_, outcome) = world.last_audit().await;
        assert_eq!((got.status, outcome["reason"].as_str()), (status, Some(reason)), "{}", got.text());
        assert!(!got.everything().contains("SECRET"));
        assert!(world.upstream.lines().iter().all(|line| line.starts_with("GET")), "{:?}", world.upstream.lines());
    }
    world.upstream.on("GET /contacts/7", [Answer::json(200, record())]);
    for (body, status) in
        [(r#"{"ssn":"1"}"#, 403), (r#"{"legacy":{}}"#, 403), (r#"{"organization_id":"globex"}"#, 403), ("[]", 400)]
    {
        world.upstream.forget();
        assert_eq!(send(body).await.status, status, "{body}");
        assert!(world.upstream.lines().iter().all(|line| line.starts_with("GET")), "{body}");
    }
    // An ETag guards where there is one, accepted race or not: a whole record undoes more than was asked for.
    world.upstream.forget();
    assert_eq!(send(r#"{"name":"Eve"}"#).await.status, 200);
    assert_eq!(world.upstream.seen().pop().expect("the write").headers["if-match"], "\"v1\"");
    world.upstream.on("GET /contacts/7", [Answer::json(200, record()).header("etag", "W/\"v1\"")]);
    assert_eq!(send(r#"{"name":"Eve"}"#).await.status, 200);
    assert!(!world.upstream.seen().pop().expect("the write").headers.contains_key("if-match"));
    // PUT is no way around it for a client.
    world.upstream.forget();
    let got = ana(&world).send("PUT", "/contacts/7", Some(r#"{"name":"Eve"}"#)).await;
    assert_eq!((got.status, world.upstream.lines().len()), (404, 0));
    world.gateway.shutdown().await;
}
