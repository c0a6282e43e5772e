//! Who manages whom, read from the upstream: for one tenant at a time, to its end or not at all, and again and again.

use std::time::Duration;

use scrim::clock::Clock;
use scrim::config::{Config, Hierarchy};
use scrim::diagnostic::render;
use scrim::gateway::Gateway;
use serde_json::{Value, json};

use super::{clean, contact, told, words};
use crate::support::identities::NOW;
use crate::support::upstream::Then;
use crate::support::world::{API, Setup};
use crate::support::{Answer, Client, Identities, Upstream, World};

const POLICY: &str = "\
table: contacts
sharing: { default: private, hierarchy: true }
grants:
  - { name: team, roles: [rep], actions: [list, read], rows: shared, read: { clear: [id, owner_id] } }
";
const USERS: &str = "
  users:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    tenant_filter: { organization_id: organization_id, app_id: app_id }
    routes: { list: GET /users }
    fields:
      id: string
      organization_id: string
      app_id: string
      manager_id: { type: string, nullable: true }
      boss: { table: users, by: manager_id }
      level: int
";
const TABLE: &str = "{ table: users, manager: manager_id }";

fn setup() -> Setup {
    let hierarchy = TABLE.to_owned();
    Setup { api: format!("{API}{USERS}"), hierarchy, ..Setup::default() }.policy("contacts", POLICY)
}

/// A row for each `id`, `id<manager` or `organization/app:id<manager`; acme/shop where none is named.
fn people(text: &str) -> Answer {
    let row = |word: &str| {
        let (tenant, word) = word.split_once(':').unwrap_or(("acme/shop", word));
        let (organization, app) = tenant.split_once('/').expect("a tenant");
        let (id, manager) = word.split_once('<').map_or((word, None), |(id, manager)| (id, Some(manager)));
        json!({ "id": id, "organization_id": organization, "app_id": app, "manager_id": manager })
    };
    page(&text.split_whitespace().map(row).collect::<Vec<_>>())
}

fn page(rows: &[Value]) -> Answer {
    Answer::json(200, json!({ "data": rows }).to_string())
}

fn end() -> Answer {
    page(&[])
}

/// The upstream's users from now on, and bob's contact.
fn users(world: &World, text: &str) {
    world.upstream.on("GET /users", [people(text), end()]);
    world.upstream.on("GET /contacts/1", [Answer::json(200, contact(1).replace("\"ann\"", "\"bob\""))]);
}

fn person(world: &World, id: &str, organization: &str) -> Client {
    world.person(id, &json!({ "roles": ["rep"], "org_id": organization }))
}

fn ann(world: &World) -> Client {
    person(world, "ann", "acme")
}

async fn sees(client: &Client) -> u16 {
    client.get("/contacts/1").await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_one_tenant_never_manage_ids_of_another() {
    let world = setup().start().await;
    // Under globex and in the other app, ann manages bob and everybody above him; in acme/shop he is nobody's.
    let foreign = "globex/shop:ann globex/shop:bob<ann acme/desk:bob<ann globex/shop:eve<ann globex/shop:bob<eve";
    users(&world, &format!("{foreign} ann bob<cyd cyd dan<ann"));
    assert_eq!(sees(&ann(&world)).await, 404);
    assert_eq!(sees(&person(&world, "cyd", "acme")).await, 200);
    assert_eq!(world.metric("scrim_tenant_violations_total").await, 5.0, "the upstream was asked for one tenant only");
    let asked: Vec<_> = world.upstream.seen().into_iter().filter(|seen| seen.target.starts_with("/users")).collect();
    let fields = "sort=id&fields=id%2Cmanager_id%2Corganization_id%2Capp_id";
    let line = |offset: u64| format!("/users?organization_id=acme&app_id=shop&{fields}&limit=50&offset={offset}");
    assert_eq!(asked.iter().map(|seen| seen.target.clone()).collect::<Vec<_>>(), [line(0), line(50)]);
    assert!(asked.iter().all(|seen| seen.headers["x-organization-id"] == "acme" && seen.headers["x-app-id"] == "shop"));
    // In globex it holds, of globex' records.
    users(&world, &format!("{foreign} bob<cyd cyd"));
    let theirs = contact(1).replace("\"ann\"", "\"bob\"").replace("acme", "globex");
    world.upstream.on("GET /contacts/1", [Answer::json(200, theirs)]);
    assert_eq!(sees(&person(&world, "ann", "globex")).await, 200);
    assert_eq!(sees(&person(&world, "cyd", "globex")).await, 404);
    assert_eq!(sees(&ann(&world)).await, 404);
    clean(&world, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_whose_row_is_gone_manages_nobody() {
    let world = setup().start().await;
    // One who comes in with a credential but is not among the tenant's people, and one who is only named by others.
    users(&world, "bob<ann");
    assert_eq!(sees(&ann(&world)).await, 404);
    assert_eq!(world.metric("scrim_hierarchy_faults{kind=\"orphan\"}").await, 1.0);
    clean(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_who_lost_a_report_loses_access_at_the_next_refresh_also_with_a_remembered_token() {
    let world = setup().start().await;
    users(&world, "ann eve<ann bob<eve");
    let ann = ann(&world);
    let hits = async || world.metric("scrim_cache_lookups_total{cache=\"credentials\",outcome=\"hit\"}").await;
    assert_eq!((sees(&ann).await, hits().await), (200, 0.0));
    users(&world, "ann eve bob<eve");
    assert_eq!((sees(&ann).await, hits().await), (200, 1.0), "nobody waits for a refresh");
    world.gateway.refresh().await;
    assert_eq!((sees(&ann).await, hits().await), (404, 2.0));
    users(&world, "ann eve<ann bob<eve");
    world.gateway.refresh().await;
    assert_eq!((sees(&ann).await, hits().await), (200, 3.0));
    let read = || world.upstream.lines().iter().filter(|line| line.starts_with("GET /users")).count();
    assert_eq!(read(), 6, "three reads of two pages");
    assert_eq!(world.metric("scrim_cache_lookups_total{cache=\"hierarchy\",outcome=\"miss\"}").await, 1.0);
    clean(&world, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_fails_keeps_the_last_people_and_is_counted() {
    let world =
        Setup { limits: "upstream_read_time: 50ms, upstream_head_time: 50ms".to_owned(), ..setup() }.start().await;
    users(&world, "ann bob<ann");
    let ann = ann(&world);
    assert_eq!(sees(&ann).await, 200);
    let row =
        |text: &str| Answer::json(200, format!(r#"{{"data":[{{"organization_id":"acme","app_id":"shop",{text}}}]}}"#));
    let failures: [(&str, Vec<Answer>); 13] = [
        ("an error", vec![Answer::json(500, "{}")]),
        ("a refusal", vec![Answer::json(403, r#"{"data":[]}"#)]),
        ("an error on the second page", vec![people("ann"), Answer::json(503, "{}")]),
        ("a cut", vec![people("ann bob").then(Then::Cut(20))]),
        ("a stall", vec![people("ann bob").then(Then::Stall)]),
        ("no JSON", vec![Answer::json(200, "<html>")]),
        ("an encoding", vec![end().header("content-encoding", "gzip")]),
        ("another shape", vec![Answer::json(200, r#"{"items":[]}"#)]),
        ("no key", vec![row(r#""manager_id":null"#), end()]),
        ("no manager", vec![row(r#""id":"ann""#), end()]),
        ("a manager who is no id", vec![row(r#""id":"ann","manager_id":{"id":"bob"}"#), end()]),
        ("two managers", vec![row(r#""id":"ann","manager_id":null,"manager_id":"bob""#), end()]),
        ("no end", vec![people("ann")]),
    ];
    for (number, (what, answers)) in failures.into_iter().enumerate() {
        world.upstream.on("GET /users", answers);
        world.gateway.refresh().await;
        assert_eq!(sees(&ann).await, 200, "{what}");
        let failed = world.metric("scrim_hierarchy_reads_total{outcome=\"failed\"}").await;
        assert_eq!((failed, world.metric("scrim_hierarchy_stale").await), (number as f64 + 1.0, 1.0), "{what}");
    }
    users(&world, "ann bob");
    world.gateway.refresh().await;
    assert_eq!(sees(&ann).await, 404);
    assert_eq!(world.metric("scrim_hierarchy_stale").await, 0.0);
    assert_eq!(world.metric("scrim_hierarchy_reads_total{outcome=\"ok\"}").await, 2.0);
    clean(&world, 15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_was_never_read_is_not_served_and_tells_nothing() {
    let world = setup().start().await;
    // Only a full read counts: an upstream that does not page has no end.
    world.upstream.on("GET /users", [people("ann bob<ann")]);
    assert_eq!(world.admin().get("/readyz").await.status, 200, "other tenants may be served");
    let hidden = ann(&world).get("/contacts/1").await;
    assert_eq!(told(&world).await, words(503, "failed", "hierarchy_unavailable"));
    assert_eq!(hidden.status, 503);
    assert_eq!(world.upstream.lines().iter().filter(|line| line.starts_with("GET /users")).count(), 2);
    world.upstream.forget();
    for target in ["/contacts/2", "/accounts", "/nothing/here"] {
        assert_eq!(ann(&world).get(target).await.body, hidden.body, "{target}");
    }
    assert_eq!(world.upstream.seen().len(), 0, "a read that failed is not tried again by everybody who waits");
    // It is that tenant's failure alone.
    users(&world, "globex/shop:ann globex/shop:bob<ann");
    assert_eq!(person(&world, "ann", "globex").get("/contacts").await.status, 502, "there is no list to answer with");
    world.settled().await;
    let asked = world.audit().await;
    assert!(
        asked.iter().any(|line| line["detail"].as_str().is_some_and(|detail| detail.contains("has no end"))),
        "{asked:#?}"
    );
    clean(&world, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_come_at_once_wait_for_one_read() {
    let world = setup().start().await;
    users(&world, "ann bob<ann");
    let mut coming = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let ann = ann(&world);
        coming.spawn(async move { sees(&ann).await });
    }
    assert_eq!(coming.join_all().await, [200; 8]);
    assert_eq!(world.upstream.lines().iter().filter(|line| line.starts_with("GET /users")).count(), 2);
    clean(&world, 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_is_counted_and_never_followed_twice() {
    let world = setup().start().await;
    users(&world, "ann<bob bob<eve eve<ann zed<zed lost<gone kim");
    assert_eq!(sees(&ann(&world)).await, 200, "on a loop everybody manages everybody");
    assert_eq!(sees(&person(&world, "zed", "acme")).await, 404);
    assert_eq!(sees(&person(&world, "gone", "acme")).await, 404);
    let faults = async |kind| world.metric(&format!("scrim_hierarchy_faults{{kind=\"{kind}\"}}")).await;
    assert_eq!((faults("loop").await, faults("self").await, faults("orphan").await), (1.0, 1.0, 1.0));
    users(&world, "ann bob<ann kim");
    world.gateway.refresh().await;
    assert_eq!((faults("loop").await, faults("self").await, faults("orphan").await), (0.0, 0.0, 0.0));
    clean(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_what_was_read_of_the_same_table_only() {
    let world = setup().start().await;
    users(&world, "ann bob<ann");
    let ann = ann(&world);
    assert_eq!(sees(&ann).await, 200);
    world.upstream.on("GET /users", [Answer::json(500, "{}")]);
    world.policy("contacts", &POLICY.replace("[id, owner_id]", "[id]"));
    world.gateway.reload().await.expect("the files are sound");
    assert_eq!(ann.get("/contacts/1").await.json(), json!({ "data": { "id": 1 } }));
    // Rows of another column say something else.
    let api = format!("{API}{USERS}")
        .replace("      manager_id:", "      lead_id: { type: string, nullable: true }\n      manager_id:");
    std::fs::write(world.folder.path().join("api.yaml"), api).expect("written");
    let file = world.folder.path().join("gateway.yaml");
    let text = std::fs::read_to_string(&file).expect("readable");
    std::fs::write(&file, text.replace("manager: manager_id", "manager: lead_id")).expect("written");
    world.gateway.reload().await.expect("the files are sound");
    assert_eq!(sees(&ann).await, 503);
    clean(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_may_belong_to_the_tenant_of_a_parent_or_to_all() {
    let via = USERS
        .replace("tenant: { organization_id: organization_id, app_id: app_id }", "tenant: { via: account }")
        .replace("    tenant_filter: { organization_id: organization_id, app_id: app_id }\n", "")
        .replace(
            "      organization_id: string\n      app_id: string\n",
            "      account_id: int\n      account: { table: accounts, by: account_id }\n",
        );
    let shared = USERS
        .replace("tenant: { organization_id: organization_id, app_id: app_id }", "tenant: shared")
        .replace("    tenant_filter: { organization_id: organization_id, app_id: app_id }\n", "");
    let row = |id: &str, manager: Option<&str>, account: Value| json!({ "id": id, "manager_id": manager, "account": account });
    let acme = || json!({ "id": 1, "organization_id": "acme", "app_id": "shop" });
    let globex = || json!({ "id": 2, "organization_id": "globex", "app_id": "shop" });
    let rows = |account: Value| page(&[row("ann", None, acme()), row("bob", Some("ann"), account)]);
    for (users, account, status) in [
        (&via, acme(), 200),
        (&via, globex(), 404),
        (&via, Value::Null, 404),
        (&via, json!(1), 404),
        (&via, json!({ "id": 1, "organization_id": "acme" }), 404),
        (&shared, globex(), 200),
    ] {
        let world = Setup { api: format!("{API}{users}"), ..setup() }.start().await;
        self::users(&world, "");
        world.upstream.on("GET /users", [rows(account.clone()), end()]);
        assert_eq!(sees(&ann(&world)).await, status, "{account}");
        let asked = world.upstream.lines().remove(0);
        assert_eq!(asked.contains("expand=account"), users == &via, "{asked}");
        clean(&world, 1).await;
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_says_who_manages_whom_in_which_tenant() {
    let hierarchy = "{ file: reports.yaml }".to_owned();
    let mut setup = Setup { hierarchy, ..setup() };
    setup.files.insert(
        "reports.yaml".to_owned(),
        "acme: { ann: [eve] }\nacme/shop: { eve: [bob] }\nglobex: { ann: [bob] }\n".to_owned(),
    );
    let world = setup.start().await;
    users(&world, "");
    assert_eq!(sees(&ann(&world)).await, 200);
    let desk = world.person("ann", &json!({ "roles": ["rep"], "app_id": "desk" }));
    let theirs = contact(1).replace("\"ann\"", "\"bob\"").replace("shop", "desk");
    world.upstream.on("GET /contacts/1", [Answer::json(200, theirs)]);
    assert_eq!(sees(&desk).await, 404, "eve manages bob in the shop only");
    std::fs::write(world.folder.path().join("reports.yaml"), "acme: { bob: [ann] }\n").expect("written");
    world.gateway.reload().await.expect("the files are sound");
    users(&world, "");
    assert_eq!(sees(&ann(&world)).await, 404);
    assert!(!world.upstream.lines().iter().any(|line| line.starts_with("GET /users")));
    clean(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_say_it_is_a_mistake_where_it_is_named() {
    for (from, to, expected) in [
        ("table: users", "table: usres", "error[hierarchy-table]: unknown table `usres` (help: did you mean `users`?)"),
        ("manager_id }", "managed_by }", "error[hierarchy-manager]: unknown field `managed_by` of `users`"),
        (
            "manager_id }",
            "boss }",
            "error[hierarchy-manager]: `boss` is a relation and no column (help: name its column, `manager_id`)",
        ),
        (
            "manager_id }",
            "level }",
            "error[hierarchy-manager]: `level` is of type int, but the key of `users` is of type string",
        ),
    ] {
        let Err(errors) = (Setup { hierarchy: TABLE.replace(from, to), ..setup() }).try_start().await else {
            panic!("{to}: it is served")
        };
        let shown: Vec<_> = errors.iter().map(ToString::to_string).filter(|text| text.contains("error[")).collect();
        assert!(shown.len() == 1 && shown[0].contains("gateway.yaml:16:") && shown[0].contains(expected), "{shown:#?}");
    }
    let api = format!("{API}{USERS}").replace("routes: { list: GET /users }", "routes: { read: \"GET /users/{id}\" }");
    let Err(errors) = (Setup { api, ..setup() }).try_start().await else { panic!("it is served") };
    assert!(render(&errors, false).contains("`users` has no route that lists it"), "{}", render(&errors, false));
}

/// Whoever reloads all the time does not keep what was read in force.
#[tokio::test(flavor = "multi_thread")]
async fn reloads_do_not_put_a_refresh_off() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (folder, identities) = (tempfile::tempdir().expect("a folder"), Identities::new());
    let upstream = Upstream::start().await;
    upstream.on("GET /users", [people("ann bob<ann"), end()]);
    upstream.on("GET /contacts/1", [Answer::json(200, contact(1).replace("\"ann\"", "\"bob\""))]);
    setup().lay_out(folder.path(), &identities, upstream.address);
    let often = |config: &mut Config| {
        if let Hierarchy::Table(table) = &mut config.hierarchy {
            table.refresh = Duration::from_millis(500);
        }
    };
    let gateway =
        Gateway::start(&folder.path().join("gateway.yaml"), often, Clock::fixed(NOW)).await.expect("it starts");
    let token = identities.token("ann", &json!({ "roles": ["rep"] }));
    assert_eq!(sees(&Client::new(gateway.addresses()[0]).bearer(&token)).await, 200);
    let reads = || gateway.metrics().hierarchy_reads.with_label_values(&["ok"]).get();
    let first = reads();
    let again = async {
        while reads() == first {
            gateway.reload().await.expect("it loads");
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.expect("it is read again in spite of reloads");
}
