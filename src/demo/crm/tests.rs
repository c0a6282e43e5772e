//! The demo CRM over HTTP.

use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::*;
use crate::demo::data::{MARKER, text};

struct Got {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

async fn send(crm: &Crm, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Got {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{}{target}", crm.address()))
        .header("authorization", "Bearer t");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Got {
        status: head.status.as_u16(),
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }
}

async fn get(crm: &Crm, target: &str) -> Got {
    send(crm, "GET", target, &[], "").await
}

#[tokio::test]
async fn only_the_token_opens_it_and_tenant_headers_do_nothing() {
    let crm = start("other".to_owned()).await.unwrap();
    assert_eq!(get(&crm, "/v1/contacts").await.status, 401);
    let crm = start("t".to_owned()).await.unwrap();
    let answer = send(&crm, "GET", "/v1/contacts", &[("x-organization-id", "globex")], "").await;
    assert_eq!((answer.status, &answer.body["meta"]["total"]), (200, &json!(384)));
    let seen = crm.seen();
    assert_eq!((seen.requests, seen.heads[0].target.as_str()), (1, "/v1/contacts"));
    assert_eq!(seen.heads[0].headers["x-organization-id"], "globex");
    crm.shutdown().await;
}

#[tokio::test]
async fn filters_compare_as_declared_and_unknown_ones_are_ignored() {
    let crm = start("t".to_owned()).await.unwrap();
    let all: Vec<Row> = Store::seeded().rows("contacts").cloned().collect();
    let amount = |row: &Row| row["amount"].as_f64();
    let count = |test: &dyn Fn(&Row) -> bool| all.iter().filter(|row| test(row)).count();
    for (query, expected) in [
        ("organization_id=acme&app_id=shop", 96),
        ("region=EMEA", count(&|row| text(row, "region") == "EMEA")),
        ("region[ne]=EMEA", count(&|row| text(row, "region") != "EMEA")),
        ("region%5Bin%5D=EMEA,NA", count(&|row| ["EMEA", "NA"].contains(&text(row, "region")))),
        ("amount[lt]=1000.5", count(&|row| amount(row).is_some_and(|a| a < 1000.5))),
        ("amount[ge]=1000.5", count(&|row| amount(row).is_some_and(|a| a >= 1000.5))),
        ("id[le]=10", 10),
        ("id[gt]=10", 374),
        ("legal_hold=true", count(&|row| row["legal_hold"] == true)),
        ("no_such_column=1", 384),
        ("region[like]=E", 384),
    ] {
        let answer = get(&crm, &format!("/v1/contacts?{query}")).await;
        assert_eq!(answer.body["meta"]["total"], json!(expected), "{query}");
    }
}

#[tokio::test]
async fn lists_are_sorted_paged_projected_and_expanded() {
    let crm = start("t".to_owned()).await.unwrap();
    let page =
        get(&crm, "/v1/contacts?sort=region,-id&limit=5&offset=2&fields=id,region,account_id&expand=account").await;
    let rows = page.body["data"].as_array().unwrap();
    assert_eq!((rows.len(), &page.body["meta"]["limit"], &page.body["meta"]["offset"]), (5, &json!(5), &json!(2)));
    for pair in rows.windows(2) {
        assert_eq!(pair[0]["region"], "APAC");
        assert!(pair[0]["id"].as_u64() > pair[1]["id"].as_u64());
    }
    assert_eq!(rows[0].as_object().unwrap().len(), 4);
    let expanded = rows.iter().find(|row| !row["account"].is_null()).unwrap();
    assert_eq!(expanded["account"]["id"], expanded["account_id"]);
    assert!(expanded["account"]["internal_note"].as_str().unwrap().starts_with(MARKER));
    let most = get(&crm, "/v1/contacts?limit=1000").await;
    assert_eq!(most.body["data"].as_array().unwrap().len(), 100);
    assert_eq!(get(&crm, "/v1/contacts").await.body["data"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn a_record_is_created_changed_under_its_version_and_deleted() {
    let crm = start("t".to_owned()).await.unwrap();
    let sent = r#"{"organization_id":"acme","app_id":"shop","owner_id":"ana","name":"Neu","email":"n@x.example"}"#;
    let created = send(&crm, "POST", "/v1/contacts", &[], sent).await;
    let place = created.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(
        (created.status, place.as_str(), &created.body["data"]["stage"]),
        (201, "/v1/contacts/385", &json!("lead"))
    );
    let read = get(&crm, &place).await;
    let etag = read.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(read.body["data"], created.body["data"]);
    let changed = send(&crm, "PATCH", &place, &[("if-match", &etag)], r#"{"stage":"customer","id":1}"#).await;
    assert_eq!(
        (changed.status, &changed.body["data"]["stage"], &changed.body["data"]["id"]),
        (200, &json!("customer"), &json!(385))
    );
    for (method, body) in [("PATCH", r#"{"stage":"lead"}"#), ("DELETE", "")] {
        assert_eq!(send(&crm, method, &place, &[("if-match", &etag)], body).await.status, 412, "{method}");
    }
    assert_eq!(get(&crm, &place).await.body["data"]["stage"], "customer");
    assert_eq!(send(&crm, "DELETE", &place, &[], "").await.status, 204);
    assert_eq!(get(&crm, &place).await.status, 404);
}

#[tokio::test]
async fn a_deal_is_closed_as_won_unless_it_says_otherwise() {
    let crm = start("t".to_owned()).await.unwrap();
    assert_eq!(send(&crm, "POST", "/v1/deals/1/close", &[], "").await.body["data"]["stage"], "won");
    assert_eq!(send(&crm, "POST", "/v1/deals/1/close", &[], r#"{"stage":"lost"}"#).await.body["data"]["stage"], "lost");
    assert_eq!(send(&crm, "POST", "/v1/contacts/1/close", &[], "").await.status, 405);
}

#[tokio::test]
async fn it_tells_more_than_it_should() {
    let crm = start("t".to_owned()).await.unwrap();
    let dump = get(&crm, "/v1/debug/db").await;
    assert_eq!(dump.body["users"].as_array().unwrap().len(), 72);
    assert!(dump.headers["x-debug-sql"].to_str().unwrap().starts_with(MARKER));
    assert!(get(&crm, "/v1/users/nobody").await.body.to_string().contains("password_hash"));
    assert!(get(&crm, "/v1/users").await.body["meta"]["debug"].as_str().unwrap().starts_with(MARKER));
    let refused = send(&crm, "POST", "/v1/deals", &[], "{}").await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.to_string().contains("not-null"));
    for (body, target) in [("[1]", "/v1/deals"), ("{", "/v1/deals")] {
        assert_eq!(send(&crm, "POST", target, &[], body).await.status, 400);
    }
    assert_eq!(get(&crm, "/v1/%zz%").await.status, 404);
}
