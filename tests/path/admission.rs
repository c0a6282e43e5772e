//! How much callers may ask for: what is refused, what it is told, and that it reaches nobody.

use serde_json::json;

use super::wire::{Dialogue, Gate};
use super::{answer, clean, contact, contact_answers, rep, request, setup, told, words};
use crate::support::client::Response;
use crate::support::world::Setup;
use crate::support::{Answer, World};

fn rates(rates: &str) -> Setup {
    Setup { more: format!("rates: [{rates}]\n"), ..setup("") }
}

fn globex(world: &World) -> crate::support::Client {
    world.person("gil", &json!({ "roles": ["rep"], "org_id": "globex" }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_beyond_the_rate_is_told_when_to_come_back_and_others_are_not_held_up() {
    let world = rates("{ per: principal, requests: 60, period: 1h, burst: 2 }").start().await;
    contact_answers(&world);
    let ann = rep(&world);
    let first = ann.get("/contacts/1").await;
    assert_eq!(first.status, 200);
    assert_eq!(first.headers["ratelimit-policy"], "\"principal\";q=60;w=3600");
    assert_eq!(first.headers["ratelimit"], "\"principal\";r=1");
    // What is refused counts too: one who may see nothing can't ask for ever.
    assert_eq!(ann.get("/nothing").await.status, 404);
    let refused = ann.get("/contacts/1").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["code"], "rate_limited");
    let wait: u64 = refused.headers["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((50..=60).contains(&wait), "{wait}");
    assert_eq!(refused.headers["ratelimit"], format!("\"principal\";r=0;t={wait}"));
    assert_eq!(told(&world).await, words(429, "refused", "rate_limited"));
    assert_eq!(world.person("bob", &json!({ "roles": ["rep"] })).get("/contacts/1").await.status, 200);
    assert_eq!(world.upstream.lines().len(), 2, "ann's first and bob's");
    assert_eq!(world.metric("scrim_rate_limited_total{per=\"principal\"}").await, 1.0);
    clean(&world, 4).await;
}

/// The seconds after which an answer says that this rate, of which nothing is left, has something again.
fn used_up(answer: &Response, rate: &str) -> u64 {
    let told = answer.headers["ratelimit"].to_str().expect("text");
    let wait = told.strip_prefix(&format!("\"{rate}\";r=0;t=")).expect("nothing is left");
    wait.parse().expect("seconds")
}

/// What is told with the last one that is let in is what the next one is told.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_nothing_left_is_told_when_to_come_back_before_they_are_refused() {
    let world = rates("{ per: principal, requests: 2, period: 1h }").start().await;
    contact_answers(&world);
    let ann = rep(&world);
    assert_eq!(ann.get("/contacts/1").await.headers["ratelimit"], "\"principal\";r=1");
    let last = ann.get("/contacts/1").await;
    let refused = ann.get("/contacts/1").await;
    assert_eq!((last.status, refused.status), (200, 429));
    for answer in [last, refused] {
        let wait = used_up(&answer, "principal");
        assert!((1790..=1800).contains(&wait), "{wait}");
    }
    clean(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_of_records_counts_as_many() {
    let one = "create: POST /contacts";
    let many = "create: { route: POST /contacts, many: 3 }";
    let setup = rates("{ per: principal, requests: 4, period: 1h }");
    assert!(setup.api.contains(one));
    let world = Setup { api: setup.api.replace(one, many), ..setup }.start().await;
    world.upstream.on("POST /contacts", [Answer::json(201, contact(9))]);
    let array = format!("[{0},{0},{0}]", super::CREATION);
    let ann = rep(&world);
    let first = ann.send("POST", "/contacts", Some(&array)).await;
    assert_eq!(first.headers["ratelimit"], "\"principal\";r=1", "{}", first.text());
    let sent = world.upstream.seen().len();
    let second = ann.send("POST", "/contacts", Some(&array)).await;
    assert_eq!((second.status, world.upstream.seen().len()), (429, sent), "all or nothing");
}

/// The address's rate is asked long before the tenant's is.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_rates_that_have_nothing_left_the_longer_wait_is_told() {
    let both =
        "{ per: address, requests: 20, period: 1m, burst: 1 }, { per: tenant, requests: 8, period: 24h, burst: 1 }";
    let world = rates(both).start().await;
    contact_answers(&world);
    let last = rep(&world).get("/contacts/1").await;
    assert_eq!(last.status, 200);
    let wait = used_up(&last, "tenant");
    assert!((10_700..=10_800).contains(&wait), "{wait}");
    clean(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_limited_before_its_credentials_are_looked_at() {
    let world = rates("{ per: address, requests: 2, period: 1h }").start().await;
    contact_answers(&world);
    let guesser = world.client().bearer("not.a.token");
    assert_eq!([guesser.get("/contacts/1").await.status, guesser.get("/contacts/1").await.status], [401, 401]);
    let refused = guesser.get("/contacts/1").await;
    assert_eq!((refused.status, refused.headers.contains_key("www-authenticate")), (429, false));
    // Whatever it is that is asked for, and whoever asks.
    let ann = rep(&world).get("/contacts/1").await;
    assert_eq!((ann.status, ann.text()), (429, refused.text()));
    let (intent, _) = world.last_audit().await;
    assert!(intent.get("principal").is_none(), "{intent}");
    assert!(world.upstream.seen().is_empty());
    clean(&world, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_what_was_counted() {
    let world = rates("{ per: tenant, requests: 1, period: 1h }").start().await;
    contact_answers(&world);
    assert_eq!(rep(&world).get("/contacts/1").await.status, 200);
    world.gateway.reload().await.expect("it loads");
    assert_eq!(rep(&world).get("/contacts/1").await.status, 429);
    assert_eq!(globex(&world).get("/contacts/1").await.status, 404, "another tenant has a rate of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_tenant_leaves_room_for_others() {
    let gate = Gate::start(answer(&contact(1))).await;
    let limits = "in_flight: 4, concurrent: 2, concurrent_per_tenant: 1, queue_time: 50ms";
    let world = Setup { upstream: Some(gate.address), ..setup(limits) }.start().await;
    let busy = rep(&world);
    let mut held = tokio::spawn(async move { busy.get("/contacts/1").await.status });
    gate.arrival().await;
    // Its turns are used up: the next one waits in vain, though the gateway has another.
    let refused = rep(&world).get("/contacts/1").await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (503, Some("unavailable")));
    assert_eq!(refused.headers["retry-after"], "1");
    let other = globex(&world);
    let mut other = tokio::spawn(async move { other.get("/contacts/1").await.status });
    gate.arrival().await;
    // One is answered, and then the other; the record is acme's.
    gate.open();
    let statuses = tokio::select! {
        first = &mut held => {
            gate.open();
            (first.expect("no panic"), other.await.expect("no panic"))
        }
        first = &mut other => {
            gate.open();
            (held.await.expect("no panic"), first.expect("no panic"))
        }
    };
    assert_eq!(statuses, (200, 404));
    clean(&world, 3).await;
    let overloaded = |line: &serde_json::Value| line["reason"] == "overloaded" && line["result"] == "failed";
    assert_eq!(world.audit().await.iter().filter(|line| overloaded(line)).count(), 1);
    assert_eq!(world.metric("scrim_waiting").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_connections_and_no_more() {
    let world = setup("connections_per_address: 2").start().await;
    let address = world.gateway.addresses()[0];
    let (mut first, mut second) = (Dialogue::open(address).await, Dialogue::open(address).await);
    for held in [&mut first, &mut second] {
        held.send(request(&world, "GET /nothing", "", "")).await;
        assert_eq!(held.answer().await.expect("an answer").0, 404);
    }
    let mut third = Dialogue::open(address).await;
    assert!(third.answer().await.is_none(), "it is closed without a word");
    let metrics = world.gateway.metrics();
    assert_eq!((metrics.connections.get(), metrics.connections_refused.get()), (2, 1));
    drop(first);
    while metrics.connections.get() > 1 {
        tokio::task::yield_now().await;
    }
    let mut fourth = Dialogue::open(address).await;
    fourth.send(request(&world, "GET /nothing", "", "")).await;
    assert_eq!(fourth.answer().await.expect("an answer").0, 404);
    clean(&world, 3).await;
}

/// Nothing bounds what one address may have, but what is unused has bounds of its own.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_have_not_asked_make_room_for_others() {
    let world = setup("new_connections: 2").start().await;
    let address = world.gateway.addresses()[0];
    let mut used = Dialogue::open(address).await;
    used.send(request(&world, "GET /nothing", "", "")).await;
    assert_eq!(used.answer().await.expect("an answer").0, 404);
    let mut begun = Dialogue::open(address).await;
    begun.send("GET /nothing HTTP/1.1\r\nhost: crm\r\n").await;
    while world.gateway.metrics().connections.get() < 2 {
        tokio::task::yield_now().await;
    }
    let mut held = [Dialogue::open(address).await, Dialogue::open(address).await];
    assert!(begun.answer().await.is_none(), "the oldest that has not asked, although it has begun to");
    for held in held.iter_mut().chain([&mut used]) {
        held.send(request(&world, "GET /nothing", "", "")).await;
        assert_eq!(held.answer().await.expect("an answer").0, 404);
    }
    assert_eq!(world.metric("scrim_connections_unused_total").await, 1.0);
    clean(&world, 4).await;
}
