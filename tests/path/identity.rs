//! Who comes in, on the whole path: keys that lie elsewhere, and what happens without them.

use serde_json::json;

use super::{clean, contact_answers, rep, seen, setup, told, words};
use crate::support::world::Setup;
use crate::support::{Answer, Identities, Upstream, World};

const UNAVAILABLE: &str =
    r#"{"type":"about:blank","status":503,"code":"unavailable","title":"The gateway cannot serve this now."}"#;

/// A gateway whose keys lie with an identity provider, at first without any.
async fn world_with_provider(jwks: impl Fn(&str) -> String) -> (World, Upstream) {
    let provider = Upstream::start().await;
    let jwks = jwks(&format!("http://{}", provider.address));
    let world = Setup { jwks, ..setup("") }.start().await;
    contact_answers(&world);
    (world, provider)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_nobody_comes_in_and_the_gateway_is_not_ready() {
    let (world, provider) = world_with_provider(|url| format!("{{ url: \"{url}/keys\" }}")).await;
    let refused = rep(&world).get("/contacts/1").await;
    assert_eq!((refused.status, refused.text()), (503, UNAVAILABLE.to_owned()));
    assert_eq!(told(&world).await, words(503, "failed", "identity_unavailable"));
    assert_eq!(world.client().bearer("no-token").get("/contacts/1").await.status, 401);
    let ready = world.admin().get("/readyz").await;
    assert_eq!((ready.status, ready.json()["reasons"].clone()), (503, json!(["keys_missing"])));
    assert!(world.upstream.seen().is_empty());
    assert_eq!(world.metric("scrim_key_sets_stale").await, 1.0);

    provider.on("GET /keys", [Answer::json(200, world.identities.jwks())]);
    world.gateway.refresh().await;
    assert_eq!(rep(&world).get("/contacts/1").await.json(), seen(1));
    assert_eq!(world.admin().get("/readyz").await.status, 200);
    assert_eq!(world.metric("scrim_key_sets_stale").await, 0.0);
    assert_eq!(world.metric("scrim_key_set_fetches_total{outcome=\"failed\"}").await, 1.0);
    clean(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_provider_just_made_is_looked_for_at_once() {
    let (world, provider) = world_with_provider(|url| format!("{{ url: \"{url}/keys\" }}")).await;
    let old = Identities::new();
    let renamed = |keys: String| keys.replace("\"kid\":\"test\"", "\"kid\":\"old\"");
    provider.on("GET /keys", [Answer::json(200, renamed(old.jwks())), Answer::json(200, world.identities.jwks())]);
    world.gateway.refresh().await;
    provider.forget();
    assert_eq!(rep(&world).get("/contacts/1").await.json(), seen(1));
    assert_eq!(provider.lines(), ["GET /keys"]);
    let header = json!({ "alg": "ES256", "kid": "never-heard-of" });
    let claims = json!({ "iss": crate::support::identities::ISSUER, "aud": "crm", "sub": "ann" });
    let forged = Identities::new().sign(&header, &claims);
    for _ in 0..10 {
        assert_eq!(world.client().bearer(&forged).get("/contacts/1").await.status, 401);
    }
    assert_eq!(told(&world).await, words(401, "refused", "credentials_invalid"));
    assert_eq!(provider.lines(), ["GET /keys"], "forged tokens cause no fetch for half a minute");
    clean(&world, 11).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_used_up_to_their_age_and_no_longer() {
    let (world, provider) =
        world_with_provider(|url| format!("{{ url: \"{url}/keys\", refresh: 30s, max_age: 10m }}")).await;
    provider.on("GET /keys", [Answer::json(200, world.identities.jwks()), Answer::json(500, "")]);
    world.gateway.refresh().await;
    let now = crate::support::identities::NOW;
    world.clock.set(now + 599);
    world.gateway.refresh().await;
    assert_eq!(rep(&world).get("/contacts/1").await.status, 200);
    world.clock.set(now + 600);
    assert_eq!(rep(&world).get("/contacts/1").await.status, 503);
    assert_eq!(world.admin().get("/readyz").await.json()["reasons"], json!(["keys_missing"]));
    clean(&world, 2).await;
}
