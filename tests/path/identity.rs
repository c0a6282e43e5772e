//! Who comes in, on the whole path: keys that lie elsewhere, and what happens without them.

use std::sync::Arc;

use scrim::secret::Secret;
use serde_json::json;

use super::wire::Dialogue;
use super::{clean, contact_answers, rep, seen, setup, told, words};
use crate::support::world::Setup;
use crate::support::{Answer, Client, Identities, Upstream, World};

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

const KEY: &str = "scrim_abcd2345_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A gateway with one API key, cut down to `scopes` if there are any, and a list of revocations.
fn setup_with_key(scopes: &str) -> Setup {
    let hash = scrim::authn::api_key::hash(&Secret::new("token-0123456789abcdef0123456789abcdef"), KEY);
    let keys = format!(
        "keys:\n  - id: abcd2345\n    hash: {hash}\n    principal: {{ id: job, roles: [rep] }}\n    \
         tenant: {{ organization_id: acme, app_id: shop }}\n    expires: 2030-01-01T00:00:00Z\n{scopes}"
    );
    let authn =
        "  api_keys: { file: api-keys.yaml, hash_key: { secret: token } }\n  revocations: { file: revoked.yaml }\n";
    let mut setup = Setup { authn: authn.to_owned(), ..setup("") };
    setup.files.insert("api-keys.yaml".to_owned(), keys);
    setup.files.insert("revoked.yaml".to_owned(), "revoked: []\n".to_owned());
    setup.policy("accounts", "table: accounts\ngrants:\n  - { name: read, roles: [rep], actions: [list, read], rows: all, read: { clear: [id] } }\n")
}

/// Another key of the same principal.
const OTHER: &str = "scrim_efgh2345_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

#[tokio::test(flavor = "multi_thread")]
async fn each_api_key_has_a_rate_of_its_own() {
    let mut setup = setup_with_key("");
    let hash = scrim::authn::api_key::hash(&Secret::new("token-0123456789abcdef0123456789abcdef"), OTHER);
    let keys = setup.files.get_mut("api-keys.yaml").expect("the file");
    let first = keys.split("  - id:").nth(1).expect("an entry").to_owned();
    let known = first.lines().nth(1).expect("its hash").to_owned();
    keys.push_str(&format!(
        "  - id:{}",
        first.replace("abcd2345", "efgh2345").replace(&known, &format!("    hash: {hash}"))
    ));
    setup.more = "rates: [{ per: api_key, requests: 2, period: 1h }]\n".to_owned();
    let world = setup.start().await;
    contact_answers(&world);
    let asked = async |key: &str| world.client().header("x-api-key", key).get("/contacts/1").await.status;
    assert_eq!([asked(KEY).await, asked(KEY).await, asked(KEY).await], [200, 200, 429]);
    assert_eq!(told(&world).await, words(429, "refused", "rate_limited"));
    assert_eq!(
        [asked(OTHER).await, asked(OTHER).await, asked(OTHER).await],
        [200, 200, 429],
        "one principal, two keys"
    );
    assert_eq!(rep(&world).get("/contacts/1").await.status, 200, "a token is no key");
    clean(&world, 7).await;
}

fn revoke(world: &World, entries: &str) {
    std::fs::write(world.folder.path().join("revoked.yaml"), format!("revoked: [{entries}]\n")).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_is_good_for_its_scopes_and_nothing_else() {
    let world = setup_with_key("    scopes: [contacts:read]\n").start().await;
    contact_answers(&world);
    let client = world.client().header("x-api-key", KEY);
    assert_eq!(client.get("/contacts/1").await.json(), seen(1));
    world.upstream.forget();
    assert_eq!(client.get("/contacts").await.status, 403);
    assert_eq!(told(&world).await, words(403, "refused", "action_not_granted"));
    assert_eq!(client.send("POST", "/contacts", Some(super::CREATION)).await.status, 403);
    let (hidden, unknown) = (client.get("/accounts").await, client.get("/nothing").await);
    assert_eq!((hidden.status, &hidden.body), (404, &unknown.body));
    assert!(world.upstream.seen().is_empty());
    world.upstream.on("GET /accounts", [Answer::json(200, r#"{"data":[]}"#)]);
    assert_eq!(rep(&world).get("/accounts").await.status, 200, "others see it");
    clean(&world, 6).await;
}

#[tokio::test]
async fn a_scope_of_no_table_or_action_is_a_mistake_at_load() {
    for (scopes, wrong) in [
        ("[contact:read]", "there is no table `contact`"),
        ("[contacts:raed]", "table `contacts` has no action `raed`"),
        ("[contacts]", "`contacts` is no scope"),
    ] {
        let errors = setup_with_key(&format!("    scopes: {scopes}\n")).try_start().await.err().unwrap_or_default();
        assert!(errors.iter().any(|error| error.code == "bad-scope" && error.message.contains(wrong)), "{errors:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_is_refused_as_soon_as_it_was_read() {
    let world = setup_with_key("").start().await;
    contact_answers(&world);
    let (token, key) = (rep(&world), world.client().header("x-api-key", KEY));
    for client in [&token, &token, &key] {
        assert_eq!(client.get("/contacts/1").await.status, 200);
    }
    world.upstream.forget();
    revoke(&world, "{ sub: ann }, { api_key: abcd2345 }");
    world.gateway.refresh().await;
    for client in [&token, &key] {
        assert_eq!(client.get("/contacts/1").await.status, 401);
        assert_eq!(told(&world).await, words(401, "refused", "credentials_invalid"));
    }
    assert!(world.upstream.seen().is_empty());
    assert_eq!(world.metric("scrim_credentials_refused_total{reason=\"revoked\"}").await, 2.0);
    revoke(&world, "{ sub: }");
    world.gateway.refresh().await;
    assert_eq!(token.get("/contacts/1").await.status, 401, "a broken list revokes what the last one did");
    assert_eq!(world.metric("scrim_revocations_stale").await, 1.0);
    let errors = world.gateway.reload().await.err().unwrap_or_default();
    assert!(!errors.is_empty(), "nor can it be loaded");
    clean(&world, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_revocations_is_read_again_by_itself() {
    let world = setup_with_key("").start().await;
    contact_answers(&world);
    let client = rep(&world);
    assert_eq!(client.get("/contacts/1").await.status, 200);
    revoke(&world, "{ sub: ann }");
    let refused = async { while client.get("/contacts/1").await.status != 401 {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), refused).await.expect("it is read every second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_without_its_key_is_refused() {
    let world = setup("").start().await;
    contact_answers(&world);
    for confirmation in [json!({ "x5t#S256": "A".repeat(43) }), json!({ "jkt": "A".repeat(43) }), json!({ "kid": "x" })]
    {
        let client = world.person("ann", &json!({ "roles": ["rep"], "cnf": confirmation }));
        assert_eq!(client.get("/contacts/1").await.status, 401, "{confirmation}");
        assert_eq!(told(&world).await, words(401, "refused", "credentials_invalid"));
    }
    assert!(world.upstream.seen().is_empty());
    clean(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opaque_token_is_asked_about_and_never_let_in_without_an_answer() {
    let provider = Upstream::start().await;
    let authn = format!(
        "  introspection:\n    issuer: https://login.example.com\n    url: http://{}/introspect\n    client: {{ id: scrim, secret: token }}\n    \
         audience: crm\n    organizations: [acme]\n    ids: staff\n    map: {{ id: claims.username, roles: \"claims.scope.split(' ')\", \
         tenant: {{ organization_id: claims.org, app_id: \"'shop'\" }} }}\n",
        provider.address
    );
    let world = Setup { authn, ..setup("") }.start().await;
    contact_answers(&world);
    let answer = json!({ "active": true, "aud": "crm", "username": "ann", "scope": "openid rep", "org": "acme" });
    provider.on("POST /introspect", [Answer::json(200, answer.to_string())]);
    let client = world.client().bearer("opaque");
    assert_eq!(client.get("/contacts/1").await.json(), seen(1));
    let (intent, _) = world.last_audit().await;
    assert_eq!(intent["authenticated_by"], "introspection");
    assert_eq!(client.get("/contacts/1").await.status, 200);
    assert_eq!(provider.lines(), ["POST /introspect"], "the answer is remembered");
    world.upstream.forget();
    provider.on("POST /introspect", [Answer::json(200, r#"{"active":false}"#)]);
    assert_eq!(world.client().bearer("other").get("/contacts/1").await.status, 401);
    assert_eq!(told(&world).await, words(401, "refused", "credentials_invalid"));
    provider.on("POST /introspect", [Answer::json(500, answer.to_string())]);
    let refused = world.client().bearer("third").get("/contacts/1").await;
    assert_eq!((refused.status, refused.text()), (503, UNAVAILABLE.to_owned()));
    assert_eq!(told(&world).await, words(503, "failed", "identity_unavailable"));
    assert!(world.upstream.seen().is_empty());
    assert_eq!(world.metric("scrim_introspections_total{outcome=\"failed\"}").await, 1.0);
    clean(&world, 4).await;
}

/// As clients call the gateway in these tests.
const OWN: &str = "http://crm.test";
const ORIGINS: &str = "  origins: [\"http://crm.test\"]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_bound_to_a_key_comes_in_with_a_proof_and_each_proof_once() {
    let jwks = "{ file: jwks.json }\n      dpop: required".to_owned();
    let world = Setup { jwks, authn: ORIGINS.to_owned(), ..setup("") }.start().await;
    contact_answers(&world);
    let client_key = Identities::new();
    let keys: serde_json::Value = serde_json::from_str(&client_key.jwks()).expect("JSON");
    let key = &keys["keys"][0];
    let member = |name: &str| key[name].as_str().expect("text").to_owned();
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, member("x"), member("y"));
    let token = world.identities.token("ann", &json!({ "roles": ["rep"], "cnf": { "jkt": hash(&canonical) } }));
    let proof = |id: &str, method: &str, path: &str, origin: &str| {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key });
        let claims = json!({
            "jti": id, "htm": method, "htu": format!("{origin}{path}"),
            "iat": crate::support::identities::NOW, "ath": hash(&token),
        });
        client_key.sign(&header, &claims)
    };
    let with = |proof: &str| world.client().header("authorization", &format!("DPoP {token}")).header("dpop", proof);
    let first = proof("1", "GET", "/contacts/1", OWN);
    assert_eq!(with(&first).get("/contacts/1").await.json(), seen(1));
    world.upstream.forget();
    assert_eq!(with(&first).get("/contacts/1").await.status, 401, "it was used");
    world.gateway.reload().await.expect("nothing has changed");
    assert_eq!(with(&first).get("/contacts/1").await.status, 401, "a reload makes nothing unused");
    assert_eq!(with(&proof("2", "GET", "/contacts/2", OWN)).get("/contacts/1").await.status, 401);
    assert_eq!(with(&proof("3", "POST", "/contacts", OWN)).get("/contacts").await.status, 401);
    assert_eq!(world.client().bearer(&token).get("/contacts/1").await.status, 401, "stolen");
    // Whoever made a client ask them, and calls the gateway by their own name.
    let theirs = proof("4", "GET", "/contacts/1", "http://evil.test");
    let mut asks = Dialogue::open(world.gateway.addresses()[0]).await;
    let request = "GET /contacts/1 HTTP/1.1\r\nhost: evil.test\r\n";
    asks.send(format!("{request}authorization: DPoP {token}\r\ndpop: {theirs}\r\n\r\n")).await;
    assert_eq!(asks.answer().await.expect("an answer").0, 401);
    assert_eq!(rep(&world).get("/contacts/1").await.status, 401, "bound to nothing");
    assert_eq!(told(&world).await, words(401, "refused", "credentials_invalid"));
    assert!(world.upstream.seen().is_empty());
    assert_eq!(world.metric("scrim_credentials_refused_total{reason=\"replayed\"}").await, 2.0);
    clean(&world, 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_what_its_proof_must_repeat_and_again_when_that_has_changed() {
    let dpop = "{ file: jwks.json }\n      dpop: { tokens: required, nonce: 60s }".to_owned();
    let world = Setup { jwks: dpop, authn: ORIGINS.to_owned(), ..setup("") }.start().await;
    contact_answers(&world);
    let client_key = Identities::new();
    let keys: serde_json::Value = serde_json::from_str(&client_key.jwks()).expect("JSON");
    let key = &keys["keys"][0];
    let member = |name: &str| key[name].as_str().expect("text").to_owned();
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, member("x"), member("y"));
    let token = world.identities.token("ann", &json!({ "roles": ["rep"], "cnf": { "jkt": hash(&canonical) } }));
    let start = crate::support::identities::NOW.div_euclid(60) * 60;
    let send = async |id: &str, after: i64, nonce: Option<&str>| {
        world.clock.set(start + after);
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key });
        let mut claims = json!({
            "jti": id, "htm": "GET", "htu": "http://crm.test/contacts/1", "iat": start + after, "ath": hash(&token),
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        let proof = client_key.sign(&header, &claims);
        let client = world.client().header("authorization", &format!("DPoP {token}")).header("dpop", &proof);
        let got = client.get("/contacts/1").await;
        let header = |name: &str| got.headers.get(name).map(|value| value.to_str().expect("text").to_owned());
        (got.status, header("www-authenticate"), header("dpop-nonce"))
    };
    let wanted = Some(r#"DPoP error="use_dpop_nonce""#.to_owned());
    let (status, asks, first) = send("1", 0, None).await;
    assert_eq!((status, asks), (401, wanted.clone()));
    assert_eq!(told(&world).await, words(401, "refused", "credentials_invalid"));
    let first = first.expect("a nonce");
    assert!(world.upstream.seen().is_empty());
    assert_eq!(send("1", 0, Some(&first)).await, (200, None, None));
    assert_eq!(send("2", 59, Some(&first)).await, (200, None, None));
    let (status, asks, second) = send("3", 60, Some(&first)).await;
    assert_eq!((status, asks), (200, None), "it is good for a while longer, and another one is told");
    let second = second.expect("a nonce");
    assert_ne!(first, second);
    assert_eq!(send("4", 61, Some(&second)).await, (200, None, None));
    let (status, asks, third) = send("5", 121, Some(&first)).await;
    assert_eq!((status, asks), (401, wanted), "too old");
    assert!(third.is_some_and(|third| third != first && third != second));
    assert_eq!(
        send("4", 61, Some(&second)).await,
        (401, Some(r#"DPoP error="invalid_dpop_proof""#.to_owned()), None),
        "a proof that was used"
    );
    assert_eq!(world.metric("scrim_credentials_refused_total{reason=\"nonce\"}").await, 2.0);
    // A reload forgets none of them.
    world.gateway.reload().await.expect("all holds");
    assert_eq!(send("6", 62, Some(&second)).await, (200, None, None));
    world.gateway.shutdown().await;
}

/// A client with a key of its own, and a gateway whose nonces are made with these secrets.
struct Holder {
    world: World,
    key: Arc<Identities>,
    token: String,
}

impl Holder {
    async fn start(secret: &str, key: &Arc<Identities>) -> Self {
        let dpop = format!("{{ file: jwks.json }}\n      dpop: {{ tokens: required, nonce: 60s{secret} }}");
        let secrets = ", one: { file: one }, two: { file: two }".to_owned();
        let mut setup = Setup { jwks: dpop, authn: ORIGINS.to_owned(), secrets, ..setup("") };
        for name in ["one", "two"] {
            setup.files.insert(name.to_owned(), format!("{name}-0123456789abcdef0123456789abcdef"));
        }
        let world = setup.start().await;
        contact_answers(&world);
        let public: serde_json::Value = serde_json::from_str(&key.jwks()).expect("JSON");
        let member = |name: &str| public["keys"][0][name].as_str().expect("text").to_owned();
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, member("x"), member("y"));
        let token = world.identities.token("ann", &json!({ "roles": ["rep"], "cnf": { "jkt": hash(&canonical) } }));
        Self { world, key: Arc::clone(key), token }
    }

    /// The status of a request with a proof that repeats this, and what the gateway told.
    async fn send(&self, id: &str, nonce: Option<&str>) -> (u16, Option<String>) {
        let public: serde_json::Value = serde_json::from_str(&self.key.jwks()).expect("JSON");
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public["keys"][0] });
        let mut claims = json!({
            "jti": id, "htm": "GET", "htu": "http://crm.test/contacts/1", "iat": self.world.clock.now().as_second(),
            "ath": hash(&self.token),
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        let proof = self.key.sign(&header, &claims);
        let client = self.world.client().header("authorization", &format!("DPoP {}", self.token));
        let got = client.header("dpop", &proof).get("/contacts/1").await;
        (got.status, got.headers.get("dpop-nonce").map(|value| value.to_str().expect("text").to_owned()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_with_one_secret_take_each_others_nonces_and_no_others() {
    let key = Arc::new(Identities::new());
    let start = async |secret: &str| Holder::start(secret, &key).await;
    let (one, two) = (start(", secret: one").await, start(", secret: one").await);
    let (status, told) = one.send("1", None).await;
    let nonce = told.expect("a nonce");
    assert_eq!(status, 401);
    assert_eq!(one.send("2", Some(&nonce)).await, (200, None));
    assert_eq!(two.send("2", Some(&nonce)).await, (200, None), "what one told, the other takes");
    assert_eq!(two.send("2", Some(&nonce)).await.0, 401, "and each proof once");
    // One with another secret, one with none, and one that was started anew.
    for (secret, takes) in
        [(", secret: two", false), ("", false), (", secret: one", true), (", secret: [two, one]", true)]
    {
        let other = start(secret).await;
        let (status, told) = other.send("3", Some(&nonce)).await;
        assert_eq!(status, if takes { 200 } else { 401 }, "{secret}");
        let is_same = secret == ", secret: one";
        assert_eq!(told.is_none(), is_same, "{secret}");
        if let Some(newer) = told {
            assert_ne!(newer, nonce);
            assert_eq!(one.send(&format!("of{secret}"), Some(&newer)).await.0, 401, "{secret}: it has not that key");
        }
        other.world.gateway.shutdown().await;
    }
    // Another secret comes into force with a reload.
    let path = two.world.folder.path().join("gateway.yaml");
    let text = std::fs::read_to_string(&path).expect("read");
    std::fs::write(&path, text.replace("secret: one }", "secret: two }")).expect("written");
    two.world.gateway.reload().await.expect("all holds");
    assert_eq!(two.send("9", Some(&nonce)).await.0, 401);
    std::fs::write(&path, text).expect("written");
    two.world.gateway.reload().await.expect("all holds");
    assert_eq!(two.send("9", Some(&nonce)).await, (200, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_for_nonces_that_could_be_guessed_is_refused() {
    let dpop = "{ file: jwks.json }\n      dpop: { nonce: 60s, secret: short }".to_owned();
    let secrets = ", short: { file: short }".to_owned();
    let mut setup = Setup { jwks: dpop, authn: ORIGINS.to_owned(), secrets, ..setup("") };
    setup.files.insert("short".to_owned(), "0123456789abcdef0123456789abcde".to_owned());
    let errors = setup.try_start().await.err().expect("31 bytes are too few");
    let shown = scrim::diagnostic::render(&errors, false);
    assert!(
        shown.contains("error[weak-secret]: the secret that nonces are made with needs at least 32 bytes"),
        "{shown}"
    );
    assert!(!shown.contains("0123456789"), "{shown}");
}

/// SHA-256 in base64url.
fn hash(text: &str) -> String {
    use base64::Engine;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest.as_ref())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_says_what_kind_of_credential_was_not_good_and_not_why() {
    let world = setup("").start().await;
    let expired = world.identities.token("ann", &json!({ "roles": ["rep"], "exp": 1 }));
    let foreign = world.identities.token("ann", &json!({ "roles": ["rep"], "aud": "another" }));
    let said = async |client: Client| {
        let got = client.get("/contacts/1").await;
        assert_eq!(got.status, 401);
        (got.headers["www-authenticate"].to_str().expect("text").to_owned(), got.text())
    };
    let (none, body) = said(world.client()).await;
    assert_eq!(none, "Bearer");
    for token in [&*expired, &foreign, "x"] {
        let (challenge, same) = said(world.client().bearer(token)).await;
        assert_eq!((&*challenge, &same), (r#"Bearer error="invalid_token""#, &body));
    }
    assert_eq!(said(world.client().header("x-api-key", "scrim_x")).await, ("Bearer".to_owned(), body));
}
