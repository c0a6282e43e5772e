//! Health checks: which address is asked is known before a caller has to find out, and checks show nothing of anybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::upstreams::{Tls, closed, reaching, with_addresses};
use super::{contact, rep, seen, setup};
use crate::support::upstream::Then;
use crate::support::world::Setup;
use crate::support::{Answer, Authority, Upstream, Wanted, World};

const STATES: [&str; 3] = ["serving", "ejected", "unhealthy"];

/// How many addresses are in each state.
async fn states(world: &World) -> [f64; 3] {
    let mut counts = [0.0; 3];
    for (count, state) in counts.iter_mut().zip(STATES) {
        *count = world.metric(&format!("scrim_upstream_addresses{{state=\"{state}\",upstream=\"crm\"}}")).await;
    }
    counts
}

async fn until(world: &World, wanted: [f64; 3]) {
    let becomes = async { while states(world).await != wanted {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), becomes).await.expect("in time");
}

fn asked(upstream: &Upstream, line: &str) -> usize {
    upstream.lines().iter().filter(|seen| *seen == line).count()
}

/// So many exchanges ended well. A check may be under way.
async fn answered(world: &World, count: usize) {
    world.settled().await;
    assert_eq!(world.audit().await.iter().filter(|line| line["result"] == "allowed").count(), count);
}

/// An upstream that serves contact 1 whatever its checks say, which pass while the flag is set.
async fn flagged() -> (Upstream, Arc<AtomicBool>) {
    let (upstream, well) = (Upstream::start().await, Arc::new(AtomicBool::new(true)));
    upstream.on("GET /contacts/1", [Answer::json(200, contact(1))]);
    let flag = Arc::clone(&well);
    upstream.answers(move |seen| {
        let status = if flag.load(Ordering::SeqCst) { 204 } else { 503 };
        (seen.target == "/up?full=1").then(|| Answer { status, headers: Vec::new(), ..Answer::json(200, "") })
    });
    (upstream, well)
}

/// Short enough to wait for, and long enough for an answer on a machine that is busy.
const CHECK: &str = ", health_check: { path: \"/up?full=1\", every: 500ms, failures: 2 }";

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_fails_its_checks_is_not_asked_until_it_passes_one() {
    let ((one, well), (other, _)) = (flagged().await, flagged().await);
    let world = with_addresses(&[one.address, other.address], CHECK, "").await;
    until(&world, [2.0, 0.0, 0.0]).await;
    well.store(false, Ordering::SeqCst);
    until(&world, [1.0, 0.0, 1.0]).await;
    let before = asked(&one, "GET /contacts/1");
    for _ in 0..10 {
        assert_eq!(rep(&world).get("/contacts/1").await.json(), seen(1));
    }
    assert_eq!((before, asked(&one, "GET /contacts/1"), asked(&other, "GET /contacts/1")), (0, 0, 10));
    well.store(true, Ordering::SeqCst);
    until(&world, [2.0, 0.0, 0.0]).await;
    for _ in 0..10 {
        assert_eq!(rep(&world).get("/contacts/1").await.status, 200);
    }
    assert!(asked(&one, "GET /contacts/1") > 0, "it is asked again");
    let failed = world.metric("scrim_upstream_checks_total{outcome=\"failed\",upstream=\"crm\"}").await;
    assert!(failed >= 2.0, "{failed}");
    answered(&world, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_shows_nothing_of_anybody_and_is_no_exchange() {
    let (upstream, _) = flagged().await;
    let url = format!("http://{}/base/path", upstream.address);
    let world = Setup { upstream_url: Some(url), upstream_keys: CHECK.to_owned(), ..setup("") }.start().await;
    while upstream.seen().len() < 3 {
        upstream.arrival().await;
    }
    for seen in upstream.seen() {
        assert_eq!((&*seen.method, &*seen.target, seen.body.len()), ("GET", "/up?full=1", 0));
        let mut names: Vec<&str> = seen.headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept-encoding", "host", "user-agent"]);
        assert_eq!(seen.headers["host"], upstream.address.to_string().as_str());
    }
    assert!(world.audit().await.is_empty());
    assert_eq!(world.metric("scrim_upstream_requests_total{outcome=\"answered\"}").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_does_not_say_in_time_that_it_serves_does_not() {
    for then in [Then::Stall, Then::Cut(0)] {
        let silent = Upstream::start().await;
        let answer = if then == Then::Stall { Answer::json(200, "{}") } else { Answer::json(302, "moved") };
        silent.on("GET /up", [answer.then(then)]);
        let (well, _) = flagged().await;
        well.on("GET /up", [Answer::json(200, "{}")]);
        let check = CHECK.replace("/up?full=1", "/up");
        let world = with_addresses(&[silent.address, closed().await, well.address], &check, "").await;
        until(&world, [1.0, 0.0, 2.0]).await;
        assert_eq!(rep(&world).get("/contacts/1").await.status, 200);
        assert_eq!(world.metric("scrim_upstream_circuit_open{upstream=\"crm\"}").await, 0.0);
        answered(&world, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_body_is_no_reason_to_fail_and_where_all_fail_all_are_asked() {
    let upstream = Upstream::start().await;
    upstream.on("GET /contacts/1", [Answer::json(200, contact(1))]);
    upstream.on("GET /up", [Answer::json(200, "a".repeat(1 << 20)).then(Then::StallAfter(10))]);
    let world = with_addresses(&[upstream.address], &CHECK.replace("?full=1", ""), "").await;
    until(&world, [1.0, 0.0, 0.0]).await;
    upstream.on("GET /up", [Answer::json(500, "")]);
    until(&world, [0.0, 0.0, 1.0]).await;
    assert_eq!(rep(&world).get("/contacts/1").await.json(), seen(1), "better than none");
    answered(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_trusts_as_requests_do_and_a_reload_goes_on_with_what_is_known() {
    let (authority, other) = (Authority::new(), Authority::new());
    let own = authority.issue(&Wanted::dns(&["localhost"]));
    for (protocols, more) in [(&["http/1.1"][..], ""), (&["h2"], ", protocols: [h2, http/1.1]")] {
        let tls = Tls::start(&own, None, protocols).await;
        let keys = format!(", ca: ca.pem{more}{}", CHECK);
        let world = reaching(&tls, "localhost", &keys, &[("ca.pem", &authority.pem)]).await;
        let passed = "scrim_upstream_checks_total{outcome=\"passed\",upstream=\"crm\"}";
        while world.metric(passed).await < 3.0 {}
        std::fs::write(world.folder.path().join("ca.pem"), &other.pem).expect("written");
        until(&world, [0.0, 0.0, 1.0]).await;
        let before = tls.seen().len();
        world.gateway.reload().await.expect("it holds");
        assert_eq!(states(&world).await, [0.0, 0.0, 1.0]);
        std::fs::write(world.folder.path().join("ca.pem"), &authority.pem).expect("written");
        until(&world, [1.0, 0.0, 0.0]).await;
        assert!(tls.seen().len() > before);
        let file = world.folder.path().join("gateway.yaml");
        let text = std::fs::read_to_string(&file).expect("readable");
        std::fs::write(&file, text.replace(CHECK, "")).expect("written");
        world.gateway.reload().await.expect("it loads");
        let after = world.metric(passed).await;
        for _ in 0..5 {
            assert_eq!(rep(&world).get("/contacts/1").await.status, 200);
        }
        assert!(world.metric(passed).await <= after + 1.0, "but for one that was under way, there are no more");
    }
}
