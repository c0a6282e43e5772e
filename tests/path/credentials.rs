//! What upstreams are shown for whom: each tenant's own credential, never another's, and nothing where there is none.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use scrim::sealed::store::{self, Unchanged};
use scrim::sealed::{Entry, Keys};
use scrim::secret::Secret;
use serde_json::{Value, json};

use super::{CREATION, POLICY, clean, contact, told, words};
use crate::support::world::{API, Setup};
use crate::support::{Answer, Client, World};

const OWN: &str = r#"{ bearer: { secret: "crm/{organization_id}" } }"#;

/// A sealed file and its key, each in a folder of its own.
struct Safe {
    sealed: tempfile::TempDir,
    keys: tempfile::TempDir,
}

impl Safe {
    fn new(secrets: &[(&str, &str)]) -> Self {
        let safe =
            Self { sealed: tempfile::tempdir().expect("a folder"), keys: tempfile::tempdir().expect("a folder") };
        fs::write(safe.key(), &*Keys::generate().expect("a key")).expect("written");
        fs::set_permissions(safe.key(), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
        secrets.iter().for_each(|(name, value)| safe.set(name, value));
        safe
    }

    fn key(&self) -> PathBuf {
        self.keys.path().join("key")
    }

    fn file(&self) -> PathBuf {
        self.sealed.path().join("secrets.sealed")
    }

    fn change(&self, change: impl FnOnce(&mut scrim::sealed::Entries)) {
        let keys = Keys::parse(&fs::read(self.key()).expect("a key")).expect("it reads");
        store::change(&self.file(), &keys, |entries| {
            change(entries);
            Ok::<_, Unchanged>(())
        })
        .expect("changed");
    }

    fn set(&self, name: &str, value: &str) {
        let entry = Entry { value: Secret::new(value), changed: Timestamp::UNIX_EPOCH };
        self.change(|entries| drop(entries.insert(name.into(), entry)));
    }

    fn setup(&self, credential: &str) -> Setup {
        let (file, key) = (self.file(), self.key());
        let more =
            format!("\nsealed_secrets: {{ file: \"{}\", key: {{ file: \"{}\" }} }}", file.display(), key.display());
        let setup = Setup { credential: credential.to_owned(), more, ..Setup::default() };
        setup.policy("contacts", POLICY)
    }
}

/// A rep of an organization.
fn of(world: &World, organization: &str) -> Client {
    world.person("ann", &json!({ "roles": ["rep"], "org_id": organization }))
}

fn contacts_answer(world: &World) {
    world.upstream.answers(|seen| {
        let tenant = seen.headers["x-organization-id"].to_str().expect("text");
        let row = contact(1).replace("\"acme\"", &json!(tenant).to_string());
        let path = seen.target.split('?').next().expect("a path");
        let listed = || {
            let row: Value = serde_json::from_str(&row).expect("JSON");
            json!({ "data": [row["data"]] }).to_string()
        };
        Some(Answer::json(
            if seen.method == "POST" { 201 } else { 200 },
            if path == "/contacts" && seen.method == "GET" { listed() } else { row },
        ))
    });
}

/// Header -> what each request that arrived bore in it.
fn shown(world: &World, header: &str) -> Vec<String> {
    let text = |value: &http::HeaderValue| value.to_str().expect("text").to_owned();
    world.upstream.seen().iter().map(|seen| seen.headers.get(header).map(text).unwrap_or_default()).collect()
}

/// No secret was told to whoever reads logs or metrics.
async fn untold(world: &World, secrets: &[&str]) {
    world.settled().await;
    let audit: String = world.audit().await.iter().map(Value::to_string).collect();
    let metrics = world.admin().get("/metrics").await.text();
    for secret in secrets {
        assert!(!audit.contains(secret) && !metrics.contains(secret), "{secret} was told");
    }
    for tenant in ["crm/acme", "crm/globex"] {
        assert!(!metrics.contains(tenant), "{tenant} is in a metric");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tenant_is_asked_for_with_its_own_on_shared_connections() {
    let safe = Safe::new(&[("crm/acme", "for-acme"), ("crm/globex", "for-globex")]);
    let world = safe.setup(OWN).start().await;
    contacts_answer(&world);
    for round in 0..3 {
        for organization in ["acme", "globex"] {
            let client = of(&world, organization).header("x-organization-id", "globex");
            assert_eq!(client.get("/contacts").await.status, 400, "a client does not say for whom");
            let client = of(&world, organization);
            assert_eq!(client.get("/contacts").await.status, 200, "{round}");
            assert_eq!(client.get("/contacts/1").await.status, 200, "{round}");
            assert_eq!(client.send("POST", "/contacts", Some(CREATION)).await.status, 201, "{round}");
        }
    }
    for seen in world.upstream.seen() {
        let organization = seen.headers["x-organization-id"].to_str().expect("text");
        assert_eq!(
            seen.headers["authorization"],
            format!("Bearer for-{organization}"),
            "{} {}",
            seen.method,
            seen.target
        );
    }
    assert!(world.upstream.seen().len() >= 18);
    untold(&world, &["for-acme", "for-globex"]).await;
    clean(&world, 24).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_without_its_own_is_refused_before_anything_is_sent() {
    let safe = Safe::new(&[
        ("crm/acme", "for-acme"),
        ("crm/globe", "near"),
        ("crm/Globex", "near"),
        ("crm/globex/shop", "near"),
    ]);
    let all = POLICY.to_owned()
        + "  - { name: rest, roles: [rep], actions: [update, delete, archive], rows: all, write: [name] }\n";
    let world = safe.setup(OWN).policy("contacts", &all).start().await;
    contacts_answer(&world);
    let client = of(&world, "globex");
    let requests = [
        ("GET", "/contacts", None),
        ("GET", "/contacts/1", None),
        ("POST", "/contacts", Some(CREATION)),
        ("PATCH", "/contacts/1", Some(r#"{"name":"x"}"#)),
        ("DELETE", "/contacts/1", None),
        ("POST", "/contacts/1/archive", Some("{}")),
        ("GET", "/brochures/a.txt", None),
    ];
    for (method, target, body) in requests {
        let response = client.send(method, target, body).await;
        assert_eq!(response.status, 503, "{method} {target}: {}", response.everything());
        assert_eq!(response.json()["code"], "tenant_not_served", "{method} {target}");
        assert_eq!(told(&world).await, words(503, "failed", "upstream_credential_missing"), "{method} {target}");
    }
    // What is not there for them is not there, whether they are served or not.
    assert_eq!(client.get("/accounts").await.status, 404);
    assert_eq!(client.get("/contacts?ssn=1").await.status, 400);
    assert!(world.upstream.seen().is_empty(), "{:?}", world.upstream.lines());
    assert_eq!(of(&world, "acme").get("/contacts/1").await.status, 200, "others are served");
    assert_eq!(world.metric("scrim_upstream_circuit_open{upstream=\"crm\"}").await, 0.0);
    untold(&world, &["for-acme", "near"]).await;
    clean(&world, requests.len() + 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_declared_default_stands_in() {
    let safe = Safe::new(&[("crm/acme", "for-acme"), ("everybody", "for-all")]);
    let own = r#"{ header: { name: X-Crm-Key, secret: "crm/{organization_id}", default: everybody } }"#;
    let world = safe.setup(own).start().await;
    contacts_answer(&world);
    for (organization, secret) in [("acme", "for-acme"), ("globex", "for-all"), ("acme", "for-acme")] {
        world.upstream.forget();
        assert_eq!(of(&world, organization).get("/contacts/1").await.status, 200);
        assert_eq!(shown(&world, "x-crm-key"), [secret]);
        assert_eq!(shown(&world, "authorization"), [""], "the client's own never leaves");
        let brought = of(&world, organization).header("x-crm-key", "for-acme").get("/contacts/1").await;
        assert_eq!(brought.status, 400, "the gateway alone sends it");
    }
    untold(&world, &["for-acme", "for-all"]).await;
    clean(&world, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_in_the_file_comes_into_force_and_what_is_broken_does_not() {
    let safe = Safe::new(&[("crm/acme", "token-one"), ("crm/globex", "token-globex")]);
    let world = safe.setup(OWN).start().await;
    contacts_answer(&world);
    let asked = async || {
        world.upstream.forget();
        let statuses =
            [of(&world, "acme").get("/contacts/1").await.status, of(&world, "globex").get("/contacts/1").await.status];
        (statuses, shown(&world, "authorization"))
    };
    let bearers = |values: &[&str]| values.iter().map(|value| format!("Bearer {value}")).collect::<Vec<_>>();
    assert_eq!(asked().await, ([200, 200], bearers(&["token-one", "token-globex"])));
    // By itself, as soon as it looks.
    safe.set("crm/acme", "token-two");
    let end = Instant::now() + Duration::from_secs(30);
    while asked().await != ([200, 200], bearers(&["token-two", "token-globex"])) {
        assert!(Instant::now() < end, "it was not read again");
        tokio::task::yield_now().await;
    }
    let stale = async || world.metric("scrim_sealed_secrets_stale").await;
    let good = fs::read(safe.file()).expect("bytes");
    let key = fs::read(safe.key()).expect("bytes");
    let mut flipped = good.clone();
    *flipped.last_mut().expect("a byte") ^= 1;
    let other = Keys::generate().expect("a key");
    type Damage<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let damages: [Damage<'_>; 5] = [
        ("a bit", Box::new(|| fs::write(safe.file(), &flipped).expect("written"))),
        ("half of it", Box::new(|| fs::write(safe.file(), &good[..good.len() / 2]).expect("written"))),
        ("no file", Box::new(|| fs::remove_file(safe.file()).expect("removed"))),
        ("another key", Box::new(|| fs::write(safe.key(), &*other).expect("written"))),
        ("a value that can't be sent", Box::new(|| safe.set("crm/acme", "two\nlines"))),
    ];
    for (what, damage) in damages {
        damage();
        world.gateway.refresh().await;
        assert_eq!(asked().await, ([200, 200], bearers(&["token-two", "token-globex"])), "{what}");
        assert_eq!(stale().await, 1.0, "{what}");
        world.gateway.reload().await.expect_err(what);
        assert_eq!(asked().await, ([200, 200], bearers(&["token-two", "token-globex"])), "{what}: after a reload");
        fs::write(safe.file(), &good).expect("written");
        fs::write(safe.key(), &key).expect("written");
        world.gateway.refresh().await;
        assert_eq!(stale().await, 0.0, "{what}: mended");
    }
    safe.change(|entries| drop(entries.remove("crm/globex")));
    world.gateway.refresh().await;
    assert_eq!(asked().await, ([200, 503], bearers(&["token-two"])), "what was taken away is not shown any more");
    // A new key beside the old one, then alone.
    let rotated = Keys::parse(format!("{}\n{}", *other, String::from_utf8_lossy(&key)).as_bytes()).expect("two keys");
    fs::write(safe.key(), format!("{}\n{}", *other, String::from_utf8_lossy(&key))).expect("written");
    world.gateway.refresh().await;
    let entry = Entry { value: Secret::new("token-three"), changed: Timestamp::UNIX_EPOCH };
    let sealed = store::change(&safe.file(), &rotated, |entries| {
        entries.insert("crm/acme".into(), entry);
        Ok::<_, Unchanged>(())
    });
    sealed.expect("sealed with the new key");
    world.gateway.refresh().await;
    fs::write(safe.key(), &*other).expect("written");
    world.gateway.refresh().await;
    assert_eq!((asked().await, stale().await), (([200, 503], bearers(&["token-three"])), 0.0));
    world.gateway.reload().await.expect("all of it holds");
    assert_eq!(asked().await, ([200, 503], bearers(&["token-three"])));
    untold(&world, &["token-one", "token-two", "token-three", "token-globex"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_manages_whom_is_asked_for_with_the_tenants_own() {
    let users = "
  users:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: { list: GET /users }
    fields: { id: string, organization_id: string, app_id: string, manager_id: { type: string, nullable: true } }
";
    let safe = Safe::new(&[("crm/acme", "for-acme")]);
    let hierarchy = "{ table: users, manager: manager_id }".to_owned();
    let setup = Setup { hierarchy, api: format!("{API}{users}"), ..safe.setup(OWN) };
    let world = setup.start().await;
    contacts_answer(&world);
    world.upstream.answers(|seen| {
        let body = if seen.target.starts_with("/users") { r#"{"data":[]}"#.to_owned() } else { contact(1) };
        Some(Answer::json(200, body))
    });
    assert_eq!(of(&world, "acme").get("/contacts/1").await.status, 200);
    let lines = world.upstream.lines();
    assert!(lines.iter().any(|line| line.starts_with("GET /users")), "{lines:?}");
    assert!(shown(&world, "authorization").iter().all(|shown| shown == "Bearer for-acme"));
    world.upstream.forget();
    assert_eq!(of(&world, "globex").get("/contacts/1").await.status, 503);
    assert_eq!(told(&world).await, words(503, "failed", "hierarchy_unavailable"));
    assert!(world.upstream.seen().is_empty());
    clean(&world, 2).await;
}
