//! Counts and figures as parts of batches: judged as the same request by itself, and told as a part with the same number.

use serde_json::{Value, json};

use super::figures::{POLICY, with_policy, world};
use crate::support::client::Response;
use crate::support::odata::{count, list, spelled};
use crate::support::upstream::Seen;
use crate::support::{Answer, World};

/// A batch of one read, in JSON.
fn in_json(url: &str) -> String {
    json!({ "requests": [{ "id": "1", "method": "GET", "url": url }] }).to_string()
}

fn part(url: &str, headers: &str) -> String {
    format!("--b\r\nContent-Type: application/http\r\n\r\nGET {url} HTTP/1.1\r\n{headers}\r\n\r\n")
}

async fn mixed(world: &World, role: &str, parts: &[String]) -> Response {
    let client = world.role(role).header("content-type", "multipart/mixed; boundary=b");
    client.send("POST", "/svc/$batch", Some(&format!("{}--b--\r\n", parts.concat()))).await
}

async fn batch(world: &World, role: &str, requests: Value) -> Response {
    world.role(role).send("POST", "/svc/$batch", Some(&json!({ "requests": requests }).to_string())).await
}

/// What the upstream was asked, once for each request.
fn seen(world: &World) -> Vec<String> {
    let lines = world.upstream.lines();
    world.upstream.forget();
    lines
}

const QUERIES: [&str; 31] = [
    "",
    "?$filter=name eq 'x' or id gt 4",
    "?$filter=not (stage eq null)",
    "?$filter=id gt 0 or name ge 'm'",
    "?$filter=not (id gt 0 and name ge 'm')",
    "?$search=ada",
    "?$search=\"ada l\" x",
    "?$search=ada&$filter=stage eq 'won'",
    "?$filter=ssn eq 'x'",
    "?$filter=not (ssn eq 'x')",
    "?$filter=region eq 'north'",
    "?$filter=nothing eq 'x'",
    "?$filter=organization_id eq 'globex'",
    "?$filter=account/name eq 'x'",
    "?$filter=account/organization_id eq 'acme'",
    "?$filter=id eq",
    "?$filter=id eq $1",
    "?$filter=id eq @p&@p=1",
    "?$search=a OR b",
    "?$search=",
    "?$top=1",
    "?$skip=1",
    "?$orderby=name",
    "?$select=name",
    "?$expand=account",
    "?$count=true",
    "?$apply=aggregate($count as n)",
    "?$format=json",
    "?$skiptoken=x",
    "?x=1",
    "?$filter=id gt 0&$top=5",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_count_in_a_batch_is_judged_as_the_same_request_by_itself() {
    let world = world().await;
    world.upstream.on("GET /svc/contacts/$count", [count("7")]);
    world.upstream.on("GET /svc/stages/$count", [count("7")]);
    let (mut told, mut refused) = (0, 0);
    for role in ["rep", "manager", "analyst", "support"] {
        for target in ["contacts/$count", "contacts/%24count", "stages/$count", "accounts/$count", "contacts(1)/$count"]
        {
            let queries = if target == "contacts/$count" { &QUERIES[..] } else { &QUERIES[..3] };
            for query in queries {
                let url = spelled(&format!("{target}{query}"));
                let alone = world.role(role).get(&format!("/svc/{url}")).await;
                let asked = seen(&world);
                let json = world.role(role).send("POST", "/svc/$batch", Some(&in_json(&url))).await;
                assert_eq!(seen(&world), asked, "{url} by {role}");
                let mixed = mixed(&world, role, &[part(&url, "")]).await;
                assert_eq!(seen(&world), asked, "{url} by {role}");
                if alone.status == 200 {
                    told += 1;
                    let headers = json!({ "content-type": "text/plain" });
                    let part = json!({ "id": "1", "status": 200, "headers": headers, "body": alone.text() });
                    assert_eq!((json.status, json.json()), (200, json!({ "responses": [part] })), "{url} by {role}");
                    let part = "HTTP/1.1 200 OK\r\nOData-Version: 4.0\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\n7\r\n";
                    assert!(mixed.status == 200 && mixed.text().contains(part), "{url} by {role}: {}", mixed.text());
                } else {
                    refused += 1;
                    assert_eq!(asked, [""; 0], "{url} by {role}");
                    for got in [&json, &mixed] {
                        assert_eq!((got.status, got.text()), (alone.status, alone.text()), "{url} by {role}");
                    }
                }
            }
        }
    }
    assert!(told > 15 && refused > 100, "{told} told, {refused} refused");
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_stands_beside_other_parts_and_one_that_is_refused_refuses_all() {
    let policy = format!(
        "{POLICY}  - {{ name: reps-add, roles: [rep], actions: [create], presets: {{ owner_id: principal.id }}, write: [name] }}\n"
    );
    let world = with_policy(&policy).await;
    let row = json!({
        "id": 9, "organization_id": "acme", "app_id": "shop", "owner_id": "ann", "accountId": 1, "region": "north",
        "stage": null, "name": "n", "amount": null, "born": null, "active": true, "ssn": "SECRET",
    });
    let made = row.clone();
    let batched = move |seen: &Seen| {
        let body: Value = serde_json::from_slice(&seen.body).ok()?;
        let answers: Vec<Value> = body["requests"]
            .as_array()?
            .iter()
            .map(|part| json!({ "id": part["id"], "status": 201, "body": made }))
            .collect();
        Some(Answer::json(200, json!({ "responses": answers }).to_string()))
    };
    world.upstream.answers(move |seen| seen.target.ends_with("$batch").then(|| batched(seen)).flatten());
    world.upstream.on("GET /svc/contacts/$count", [count("7"), count("8")]);
    world.upstream.on("GET /svc/contacts", [list(&json!([row]))]);
    let read = |id: &str, url: &str| json!({ "id": id, "method": "GET", "url": spelled(url) });
    let write = json!({ "id": "w", "method": "POST", "url": "contacts", "body": { "name": "Zoe" } });
    let requests = json!([
        read("before", "contacts/$count?$filter=id gt 0"),
        read("list", "contacts?$select=id"),
        write,
        read("after", "/svc/contacts/$count"),
    ]);
    let got = batch(&world, "rep", requests).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let bodies: Vec<Value> =
        got.json()["responses"].as_array().expect("parts").iter().map(|part| part["body"].clone()).collect();
    assert_eq!((&bodies[0], &bodies[3]), (&json!("7"), &json!("8")));
    assert_eq!((&bodies[1], &bodies[2]["id"]), (&json!({ "value": [{ "id": 9 }] }), &json!(9)));
    let (intent, outcome) = world.last_audit().await;
    assert_eq!(intent["parts"][0], json!({ "table": "contacts", "action": "list" }));
    assert_eq!((&outcome["aggregated"], &outcome["groups"]), (&json!(["count", "count"]), &json!(2)));
    let methods: Vec<String> = world.upstream.seen().iter().map(|seen| seen.method.clone()).collect();
    assert_eq!(methods, ["GET", "GET", "POST", "GET"]);

    world.upstream.forget();
    for url in
        ["contacts/$count?$filter=ssn eq 'x'", "contacts/$count?$top=1", "accounts/$count", "contacts/$count/$value"]
    {
        for requests in [json!([write, read("r", url)]), json!([read("r", url), write])] {
            let got = batch(&world, "rep", requests).await;
            assert!(matches!(got.status, 400 | 404), "{url}: {}", got.text());
            assert_eq!(world.upstream.lines(), [""; 0], "{url}");
        }
    }
    // What is no number is told by nobody: before the writes nothing is written, after them it is the part's own failure.
    world.upstream.on("GET /svc/contacts/$count", [count("7 SECRET")]);
    let got = batch(&world, "rep", json!([read("r", "contacts/$count"), write])).await;
    assert_eq!((got.status, seen(&world).len()), (502, 1), "{}", got.text());
    let got = batch(&world, "rep", json!([write, read("r", "contacts/$count")])).await;
    let part = got.json()["responses"][1].clone();
    assert_eq!(
        (got.status, &part["status"], &part["headers"]["content-type"]),
        (200, &json!(502), &json!("application/problem+json"))
    );
    assert!(!got.everything().contains("SECRET"), "{}", got.text());
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_count_is_told_to_who_takes_text_alone() {
    let world = world().await;
    world.upstream.on("GET /svc/contacts/$count", [count("7")]);
    let text = json!({ "Accept": "text/plain" });
    let got =
        batch(&world, "rep", json!([{ "id": "1", "method": "GET", "url": "contacts/$count", "headers": text }])).await;
    assert_eq!((got.status, &got.json()["responses"][0]["body"]), (200, &json!("7")));
    let got = mixed(&world, "rep", &[part("contacts/$count", "Accept: text/plain\r\n")]).await;
    assert_eq!(got.status, 200, "{}", got.text());
    world.upstream.forget();
    for url in ["contacts", "contacts(1)", "contacts?$apply=aggregate($count%20as%20n)"] {
        let requests = json!([{ "id": "1", "method": "GET", "url": url, "headers": text }]);
        for got in
            [batch(&world, "rep", requests).await, mixed(&world, "rep", &[part(url, "Accept: text/plain\r\n")]).await]
        {
            assert_eq!((got.status, &got.json()["code"]), (400, &json!("body_malformed")), "{url}");
        }
    }
    for accept in ["text/html", "text/csv", "text/plain, application/xml", "application/xml"] {
        let headers = json!({ "Accept": accept });
        let got =
            batch(&world, "rep", json!([{ "id": "1", "method": "GET", "url": "contacts/$count", "headers": headers }]))
                .await;
        assert_eq!((got.status, &got.json()["code"]), (400, &json!("body_malformed")), "{accept}");
    }
    assert_eq!(world.upstream.lines(), [""; 0]);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_in_a_batch_are_judged_as_figures() {
    let world = world().await;
    world.upstream.on("GET /svc/contacts", [list(&json!([{ "figure0": 4 }]))]);
    let client = world.role("rep");
    let apply = spelled("contacts?$apply=aggregate($count as n)");
    let got = client.send("POST", "/svc/$batch", Some(&in_json(&apply))).await;
    assert_eq!((got.status, got.json()["responses"][0]["body"].clone()), (200, json!({ "value": [{ "n": 4 }] })));
    world.upstream.on("GET /svc/contacts", [list(&json!([{ "stage": "won" }]))]);
    for query in
        ["contacts?$apply=groupby((stage))&$orderby=stage desc&$top=1", "contacts?$apply=groupby((stage))&$count=true"]
    {
        let url = spelled(query);
        let alone = client.get(&format!("/svc/{url}")).await;
        let got = client.send("POST", "/svc/$batch", Some(&in_json(&url))).await;
        assert_eq!((alone.status, &got.json()["responses"][0]["body"]), (200, &alone.json()), "{query}");
    }
    world.upstream.forget();
    for query in [
        "contacts?$apply=groupby((ssn))",
        "contacts?$apply=groupby((stage))&$orderby=ssn",
        "contacts?$apply=aggregate($count as n)&$top=1",
    ] {
        assert_eq!(client.send("POST", "/svc/$batch", Some(&in_json(&spelled(query)))).await.status, 400, "{query}");
    }
    assert_eq!(world.upstream.lines(), [""; 0]);
    world.gateway.shutdown().await;
}
