//! What browsers and traces are told: origins, TLS for the next time, and which trace a request belongs to.

use serde_json::json;

use super::{clean, contact_answers, rep, setup, told, words};
use crate::support::world::{API, Setup};

const APP: &str = "https://app.example.com";

fn cors() -> Setup {
    Setup { more: format!("cors: {{ origins: [\"{APP}\"], max_age: 5m }}\n"), ..setup("") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_of_a_declared_origin_is_told_the_same_for_every_path() {
    let world = cors().start().await;
    let ask = |origin: &str| {
        let page = world.client().header("origin", origin).header("access-control-request-method", "PATCH");
        page.header("access-control-request-headers", "authorization")
    };
    let known = ask(APP).send("OPTIONS", "/contacts/1", None).await;
    assert_eq!((known.status, known.text()), (204, String::new()));
    assert_eq!(known.headers["access-control-allow-origin"], APP);
    assert_eq!(known.headers["access-control-allow-methods"], "GET, HEAD, POST, PUT, PATCH, DELETE");
    let allowed = known.headers["access-control-allow-headers"].to_str().expect("text");
    let plain = "accept, authorization, content-type, dpop, if-match, if-none-match, last-event-id, odata-maxversion, \
                 odata-version, traceparent, x-api-key, x-scrim-tenant";
    assert_eq!(allowed, plain);
    assert_eq!(known.headers["access-control-max-age"], "300");
    assert!(!known.headers.contains_key("access-control-allow-credentials"));
    let told = |headers: &http::HeaderMap| {
        let mut headers = headers.clone();
        for name in ["x-request-id", "date"] {
            headers.remove(name);
        }
        headers
    };
    let hidden = ask(APP).send("OPTIONS", "/nothing/at/all", None).await;
    assert_eq!((hidden.status, told(&hidden.headers)), (204, told(&known.headers)));
    for origin in ["https://evil.example.com", "https://app.example.com.evil.org", "http://app.example.com", "null", ""]
    {
        let refused = ask(origin).send("OPTIONS", "/contacts/1", None).await;
        assert_eq!(refused.status, 400, "{origin}");
        assert!(!refused.headers.keys().any(|name| name.as_str().starts_with("access-control")), "{origin}");
    }
    // A request that can be read in two ways is none, whoever sends it.
    assert_eq!(ask(APP).send("OPTIONS", "/contacts//1", None).await.status, 400);
    // Without what makes it a preflight it is a method like any other.
    assert_eq!(world.client().header("origin", APP).send("OPTIONS", "/contacts/1", None).await.status, 400);
    assert!(world.upstream.seen().is_empty());
    clean(&world, 9).await;
}

/// What the descriptions take beside that is told for every path, so that it tells of none.
#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_names_what_any_route_takes() {
    let mut setup = cors();
    setup.api = API.replace("opaque:\n", "idempotency_key: true\nopaque:\n").replace(
        "media_types: [text/plain] }",
        "media_types: [text/plain], request_headers: [x-page, x-upload-name] }",
    );
    let world = setup.start().await;
    for path in ["/contacts/1", "/brochures/spring", "/nothing"] {
        let page = world.client().header("origin", APP).header("access-control-request-method", "POST");
        let told = page.send("OPTIONS", path, None).await;
        let allowed = told.headers["access-control-allow-headers"].to_str().expect("text");
        let taken: Vec<&str> = allowed.split(", ").collect();
        for name in ["idempotency-key", "x-page", "x-upload-name", "odata-version", "x-scrim-tenant"] {
            assert_eq!(taken.iter().filter(|known| **known == name).count(), 1, "{path} {name}: {allowed}");
        }
        assert!(taken.is_sorted(), "{allowed}");
    }
    clean(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_say_whose_pages_may_read_them() {
    let world = cors().start().await;
    contact_answers(&world);
    let from = |origin: &str| rep(&world).header("origin", origin);
    let mine = from(APP).get("/contacts/1").await;
    assert_eq!((mine.status, &mine.headers["access-control-allow-origin"]), (200, &APP.parse().expect("a value")));
    let readable = mine.headers["access-control-expose-headers"].to_str().expect("text");
    for name in ["content-disposition", "etag", "link", "odata-version", "retry-after", "x-request-id"] {
        assert!(readable.split(", ").any(|known| known == name), "{name}: {readable}");
    }
    let refusal = world.client().header("origin", APP).get("/contacts/1").await;
    assert_eq!(
        (refusal.status, &refusal.headers["access-control-allow-origin"]),
        (401, &APP.parse().expect("a value"))
    );
    let other = from("https://evil.example.com").get("/contacts/1").await;
    assert_eq!((other.status, other.headers.contains_key("access-control-allow-origin")), (200, false));
    for answer in [&mine, &refusal, &other] {
        assert_eq!(answer.headers["vary"], "origin");
    }
    let undeclared = setup("").start().await;
    contact_answers(&undeclared);
    let plain = rep(&undeclared).header("origin", APP).get("/contacts/1").await;
    assert!(!plain.headers.contains_key("access-control-allow-origin") && !plain.headers.contains_key("vary"));
    assert!(!plain.headers.contains_key("strict-transport-security"), "in the clear it would mean nothing");
    assert!(!plain.headers.contains_key("server"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_to_the_upstream_and_into_the_audit_log() {
    let world = setup("").start().await;
    contact_answers(&world);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let given = format!("00-{trace}-00f067aa0ba902b7-01");
    let traced = rep(&world).header("traceparent", &given).header("tracestate", "vendor=SECRET");
    assert_eq!(traced.get("/contacts/1").await.status, 200);
    let (intent, _) = world.last_audit().await;
    assert_eq!(intent["trace_id"], trace);
    let seen = world.upstream.seen();
    let sent = seen[0].headers["traceparent"].to_str().expect("text");
    assert!(sent.starts_with(&format!("00-{trace}-")) && sent != given, "{sent}");
    assert!(!seen[0].headers.contains_key("tracestate"));
    // What is no trace context begins a trace; a second one is no request.
    let odd = rep(&world).header("traceparent", "00-SECRET-1-01").get("/contacts/1").await;
    assert_eq!(odd.status, 200);
    let sent = world.upstream.seen()[1].headers["traceparent"].to_str().expect("text").to_owned();
    assert!(sent.len() == 55 && !sent.contains("SECRET"), "{sent}");
    let twice = rep(&world).header("traceparent", &given).header("traceparent", &given).get("/contacts/1").await;
    assert_eq!(twice.status, 400);
    assert_eq!(told(&world).await, words(400, "refused", "ambiguous_header"));
    assert_eq!(world.person("ann", &json!({ "roles": [] })).get("/contacts/1").await.status, 404);
    clean(&world, 4).await;
}
