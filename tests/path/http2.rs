//! HTTP/2 over TLS: streams side by side, and one that the client resets.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::tls::Identity;
use super::{CREATION, clean, contact, contact_answers, seen, told, words};
use crate::support::upstream::Then;
use crate::support::{Answer, World};

type Http2 = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

fn client(identity: &Identity) -> Http2 {
    let config = identity.client(&[&rustls::version::TLS13]);
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http2().build();
    Client::builder(TokioExecutor::new()).http2_only(true).build(connector)
}

fn request(world: &World, method: &str, path: &str, body: &str) -> Request<Full<Bytes>> {
    let token = world.identities.token("ann", &json!({ "roles": ["rep"] }));
    let address = world.gateway.addresses()[0];
    let request = Request::builder()
        .method(method)
        .uri(format!("https://{address}{path}"))
        .header("authorization", format!("Bearer {token}"));
    let request = if body.is_empty() { request } else { request.header("content-type", "application/json") };
    request.body(Full::new(Bytes::from(body.to_owned()))).expect("a request")
}

async fn ask(client: &Http2, request: Request<Full<Bytes>>) -> (u16, Value) {
    let response = client.request(request).await.expect("an answer");
    assert_eq!(response.version(), http::Version::HTTP_2);
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_side_by_side_get_their_own_answers() {
    let identity = Identity::new();
    let world = identity.setup("").start().await;
    contact_answers(&world);
    for id in 2..20 {
        world.upstream.on(&format!("GET /contacts/{id}"), [Answer::json(200, contact(id))]);
    }
    let client = client(&identity);
    let mut tasks = tokio::task::JoinSet::new();
    for id in 2..20 {
        let (client, request) = (client.clone(), request(&world, "GET", &format!("/contacts/{id}"), ""));
        tasks.spawn(async move { (id, ask(&client, request).await) });
    }
    while let Some(done) = tasks.join_next().await {
        let (id, found) = done.expect("no panic");
        assert_eq!(found, (200, seen(id)));
    }
    assert_eq!(ask(&client, request(&world, "POST", "/contacts", CREATION)).await, (201, seen(9)));
    assert_eq!(ask(&client, request(&world, "GET", "/nothing", "")).await.0, 404);
    clean(&world, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_stream_cancels_its_upstream_request_and_no_other() {
    let identity = Identity::new();
    let world = identity.setup("").start().await;
    contact_answers(&world);
    world.upstream.on("GET /contacts/2", [Answer::json(200, contact(2)).then(Then::Stall)]);
    let client = client(&identity);
    assert_eq!(ask(&client, request(&world, "GET", "/contacts/1", "")).await, (200, seen(1)));
    world.upstream.arrival().await;
    let pending = tokio::spawn({
        let (client, request) = (client.clone(), request(&world, "GET", "/contacts/2", ""));
        async move { ask(&client, request).await }
    });
    world.upstream.arrival().await;
    pending.abort();
    world.upstream.abandonment().await;
    assert_eq!(told(&world).await, words(0, "aborted", "client_gone"));
    assert_eq!(ask(&client, request(&world, "GET", "/contacts/1", "")).await, (200, seen(1)));
    clean(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_on_its_stream_alone() {
    let identity = Identity::new();
    let mut setup = identity.setup("");
    setup.limits = "request_body: 1KiB".to_owned();
    let world = setup.start().await;
    contact_answers(&world);
    let client = client(&identity);
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(20_000));
    assert_eq!(ask(&client, request(&world, "POST", "/contacts", &long)).await.0, 413);
    assert_eq!(ask(&client, request(&world, "GET", "/contacts/1", "")).await, (200, seen(1)));
    clean(&world, 2).await;
}
