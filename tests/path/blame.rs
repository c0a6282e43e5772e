//! For what a query or a write was refused: the audit log names it, the client is told the same of whatever it may not name.

use serde_json::{Value, json};

use super::{POLICY, setup};
use crate::support::World;

/// What the last exchange was refused for, and how.
async fn refused(world: &World) -> (Value, Value) {
    let (_, outcome) = world.last_audit().await;
    (outcome["reason"].clone(), outcome["refused_for"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_names_what_is_declared_and_the_client_is_told_nothing() {
    let owned = POLICY.to_owned() + "  - { name: own, roles: [rep], actions: [update], rows: all, write: [name] }\n";
    let world = setup("").policy("contacts", &owned).start().await;
    let client = world.person("ann", &json!({ "roles": ["rep"] }));
    let mut texts = Vec::new();
    for (query, named) in [
        ("ssn=1", "ssn"),
        ("ssn%5Bne%5D=1", "ssn"),
        ("sort=-ssn", "ssn"),
        ("fields=id,ssn", "ssn"),
        ("expand=account", "account"),
        ("name=Ada&email=x", "email"),
        ("amount=abc", "amount"),
        ("organization_id=globex", "organization_id"),
        ("custom%5Bx%5D=1", "custom"),
        ("secret_plan=1", "unknown"),
        ("sort=secret_plan", "sort"),
        ("fields=secret_plan", "fields"),
        ("expand=secret_plan", "expand"),
        ("limit=0", "limit"),
        ("limit=100000", "limit"),
        ("name=Ada&offset=-1", "offset"),
    ] {
        let got = client.get(&format!("/contacts?{query}")).await;
        assert_eq!(got.status, 400, "{query}");
        assert_eq!(refused(&world).await, (json!("query_not_allowed"), json!(named)), "{query}");
        texts.push(got.text());
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    world.upstream.on("GET /contacts/1", [crate::support::Answer::json(200, super::contact(1))]);
    for (body, reason, named) in [
        (r#"{"name":"a","ssn":"1"}"#, "field_not_writable", "ssn"),
        (r#"{"ss\u006e":"1"}"#, "field_not_writable", "ssn"),
        (r#"{"account":{"id":1}}"#, "field_not_writable", "account"),
        (r#"{"secret_plan":"1"}"#, "field_not_writable", "unknown"),
        (r#"{"organization_id":"globex"}"#, "tenant_not_writable", "organization_id"),
        (r#"{"owner_id":"max"}"#, "owner_not_transferable", "owner_id"),
    ] {
        let got = client.send("PATCH", "/contacts/1", Some(body)).await;
        assert_eq!((got.status, &got.json()["code"]), (403, &json!("forbidden")), "{body}");
        assert_eq!(refused(&world).await, (json!(reason), json!(named)), "{body}");
        for word in ["ssn", "secret_plan", "owner_id", "globex"] {
            assert!(!got.everything().contains(word), "{}", got.everything());
        }
    }
    // What was refused for something else names nothing, and no value is on record.
    assert_eq!(client.send("PATCH", "/contacts/1", Some("{")).await.status, 400);
    assert_eq!(refused(&world).await, (json!("body_malformed"), Value::Null));
    world.settled().await;
    let audit: String = world.audit().await.iter().map(Value::to_string).collect();
    assert!(!audit.contains("secret_plan"), "nothing in the client's own words");
    world.gateway.shutdown().await;
}
