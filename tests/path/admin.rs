//! What operators see: only on the admin listener, and nothing of who asked for what.

use serde_json::json;

use super::{CREATION, clean, contact_answers, rep, setup};

#[tokio::test(flavor = "multi_thread")]
async fn the_public_listener_knows_nothing_of_metrics_and_health() {
    let world = setup("").start().await;
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(world.client().get(path).await.status, 401, "{path}");
        assert_eq!(rep(&world).get(path).await.status, 404, "{path}");
        assert_eq!(world.admin().get(path).await.status, 200, "{path}");
    }
    assert_eq!(world.admin().get("/contacts").await.status, 404);
    assert!(world.upstream.seen().is_empty());
    clean(&world, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_user_tenant_path_or_record_becomes_a_label() {
    let world = setup("").start().await;
    contact_answers(&world);
    for (user, tenant) in [("ann", "acme"), ("bob", "globex"), ("eve", "initech")] {
        let client = world.person(user, &json!({ "roles": ["rep"], "org_id": tenant }));
        client.get("/contacts/1").await;
        client.get(&format!("/unknown-{user}")).await;
        client.get("/contacts?nope=4711").await;
        client.send("POST", "/contacts", Some(CREATION)).await;
        client.send("BREW", "/contacts", None).await;
    }
    world.client().bearer("no-token").get("/contacts/1").await;
    world.settled().await;
    let text = world.admin().get("/metrics").await.text();
    for word in
        ["ann", "bob", "eve", "acme", "globex", "initech", "shop", "contacts", "unknown-", "nope", "4711", "BREW"]
    {
        let labelled = text.lines().any(|line| {
            !line.starts_with('#')
                && line.split_once('{').is_some_and(|(_, labels)| labels.contains(&format!("\"{word}")))
        });
        assert!(!labelled, "{word}: {text}");
    }
    assert!(text.contains("scrim_requests_total{action=\"read\",outcome=\"allowed\"} 1"), "{text}");
    clean(&world, 16).await;
}
