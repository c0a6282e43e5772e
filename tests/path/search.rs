//! Searches: what they look into is declared, and whoever can't read all of it in clear can't search.

use serde_json::{Value, json};

use crate::support::odata::{TENANT, sent};
use crate::support::world::{API, Setup};
use crate::support::{Answer, World};

const POLICY: &str = "\
table: contacts
grants:
  - name: reps
    roles: [rep]
    actions: [list, read]
    rows: all
    read: { clear: [id, name, email] }
  - name: managers-mask
    roles: [manager]
    actions: [list]
    rows: all
    read: { clear: [id, name], partial: [email] }
  - name: own
    roles: [support]
    actions: [list]
    rows: record.owner_id == principal.id
    read: { clear: [id, name, email] }
  - name: others
    roles: [support]
    actions: [list]
    rows: all
    read: { clear: [id, name] }
  - name: names-alone
    roles: [analyst]
    actions: [list]
    rows: all
    read: { clear: [id, name] }
";

fn rest() -> String {
    let declared = API.replace("    offset: offset\n", "    offset: offset\n    search: q\n");
    declared.replace("tenant_filter: { organization_id: organization_id, app_id: app_id }\n    routes:\n      list: GET /contacts\n",
        "tenant_filter: { organization_id: organization_id, app_id: app_id }\n    search: [name, email]\n    routes:\n      list: GET /contacts\n")
}

fn odata(how: &str) -> String {
    format!(
        "api: crm\nupstream: crm\ndialect: odata\nodata: {{ root: /svc, default: 3, max: 50{how} }}\ntables:\n  contacts:\n    \
         key: id\n    tenant: {{ organization_id: organization_id, app_id: app_id }}\n    routes: [list, read]\n    \
         search: [name, email]\n    fields: {{ id: int, organization_id: string, app_id: string, owner_id: string, name: string, \
         email: string, ssn: {{ type: string, tags: [secret] }} }}\n"
    )
}

const DIRECTUS: &str = "\
api: crm
upstream: crm
dialect: directus
directus: { page: { default: 3, max: 50 }, texts: exact }
tables:
  contacts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list, read]
    search: [name, email]
    fields:
      id: int
      organization_id: string
      app_id: string
      owner_id: string
      name: string
      email: string
      ssn: { type: string, tags: [secret] }
";

async fn world(api: String) -> World {
    Setup { api, ..Setup::default() }.policy("contacts", POLICY).start().await
}

fn row() -> Value {
    json!({
        "id": 1, "organization_id": "acme", "app_id": "shop", "owner_id": "ann", "account_id": null, "name": "Ada",
        "email": "ada@x.example", "phone": null, "region": "north", "stage": "lead", "amount": null, "born": null,
        "legal_hold": false, "vip": null, "ssn": "SECRET", "custom": null, "note_count": 0,
    })
}

/// That nobody but those who see all that a search reads can search, whatever they look for.
async fn is_refused_to_others(world: &World, path: &str, name: &str, nothing: &str) {
    for role in ["manager", "support", "analyst"] {
        let client = world.role(role);
        let unknown = client.get(&format!("{path}?{nothing}=x")).await.told();
        assert_eq!(unknown.0, 400);
        for text in ["SECRET", "ada", "S", "%22ada%22", "nobody"] {
            let got = client.get(&format!("{path}?{name}={text}")).await;
            assert_eq!(got.told(), unknown, "{role} looks for {text}");
        }
    }
    assert_eq!(world.upstream.lines(), [""; 0]);
    let rep = world.role("rep");
    let unknown = rep.get(&format!("{path}?{nothing}=x")).await.told();
    let long = "a".repeat(257);
    for text in ["a%00b", "a%0Ab", &long] {
        assert_eq!(rep.get(&format!("{path}?{name}={text}")).await.told().0, 400, "{text}");
    }
    assert_eq!(unknown.0, 400);
    assert_eq!(world.upstream.lines(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_parameter_searches_for_whoever_reads_all_that_it_looks_into() {
    let world = world(rest()).await;
    is_refused_to_others(&world, "/contacts", "q", "nothing").await;
    world
        .upstream
        .on("GET /contacts", [Answer::json(200, json!({ "data": [row()], "meta": { "total": 1 } }).to_string())]);
    let client = world.role("rep");
    let got = client.get("/contacts?q=ada%20x%40y&fields=id").await;
    assert_eq!((got.status, got.json()["data"].clone()), (200, json!([{ "id": 1 }])));
    assert_eq!(sent(&world, "q").as_deref(), Some("ada x@y"));
    assert_eq!(sent(&world, "organization_id").as_deref(), Some("acme"));
    world.upstream.forget();
    // What other services take for operators, patterns or the names of fields.
    for text in [
        "ssn:SECRET",
        "ssn%3ASECRET",
        "a*",
        "%22a%22",
        "-a",
        "a%20OR%20b",
        "NOT%20a",
        "a%7Cb",
        "%25",
        "q%3Da",
        "",
        "%20",
        "%7Eb",
    ] {
        assert_eq!(client.get(&format!("/contacts?q={text}")).await.status, 400, "{text}");
    }
    for query in ["q[]=a", "q[ne]=a", "Q=a", "q=a&q=b", "accounts?q=a"] {
        assert_eq!(client.get(&format!("/contacts?{query}")).await.status, 400, "{query}");
    }
    assert_eq!(client.get("/contacts/1?q=ada").await.status, 400, "a record is not searched");
    assert_eq!(world.upstream.lines(), [""; 0]);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_declared_fields_has_no_search_though_the_parameter_is_known() {
    let api = API.replace("    offset: offset\n", "    offset: offset\n    search: q\n");
    let world = world(api).await;
    let client = world.role("rep");
    let unknown = client.get("/contacts?nothing=x").await.told();
    assert_eq!(client.get("/contacts?q=ada").await.told(), unknown);
    assert_eq!((unknown.0, world.upstream.lines()), (400, Vec::new()));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_services_search_becomes_a_filter_that_reads_the_declared_fields_alone() {
    let world = world(odata("")).await;
    is_refused_to_others(&world, "/svc/contacts", "$search", "$nothing").await;
    world.upstream.on("GET /svc/contacts", [Answer::json(200, json!({ "value": [row()] }).to_string())]);
    let client = world.role("rep");
    let one = |word: &str| {
        format!("(contains(tolower(name),tolower('{word}')) or contains(tolower(email),tolower('{word}')))")
    };
    for (text, expected) in [
        ("ada", one("ada")),
        ("%22ada%20l%22%20x", format!("{} and {}", one("ada l"), one("x"))),
        ("%22NOT%22", one("NOT")),
        ("o'neil", one("o''neil")),
        ("x')%20or%20(ssn", String::new()),
    ] {
        world.upstream.forget();
        let got = client.get(&format!("/svc/contacts?$search={text}")).await;
        if expected.is_empty() {
            assert_eq!((got.status, world.upstream.lines()), (400, Vec::new()), "{text}");
            continue;
        }
        assert_eq!((got.status, got.json()["value"][0]["name"].clone()), (200, json!("Ada")), "{text}");
        assert_eq!(sent(&world, "$filter"), Some(format!("{TENANT} and {expected}")), "{text}");
        assert_eq!(sent(&world, "$search"), None, "which the service would read as it likes");
    }
    let got = client.get("/svc/contacts?$filter=id%20gt%200%20or%20id%20lt%205&$search=ada").await;
    assert_eq!(got.status, 200);
    assert_eq!(sent(&world, "$filter"), Some(format!("{TENANT} and (id gt 0 or id lt 5) and {}", one("ada"))));
    world.upstream.forget();
    for text in ["a%20AND%20b", "a%20OR%20b", "NOT%20a", "(a)", "%22a", "a%22b%22", "", "%20"] {
        assert_eq!(client.get(&format!("/svc/contacts?$search={text}")).await.status, 400, "{text}");
    }
    assert_eq!(client.get("/svc/contacts(1)?$search=ada").await.status, 400);
    assert_eq!(world.upstream.lines(), [""; 0]);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_trusted_gets_quoted_words_and_no_operators() {
    let world = world(odata(", search: service")).await;
    is_refused_to_others(&world, "/svc/contacts", "$search", "$nothing").await;
    world.upstream.on("GET /svc/contacts", [Answer::json(200, json!({ "value": [row()] }).to_string())]);
    let got = world.role("rep").get("/svc/contacts?$search=ada%20%22NOT%20l%22").await;
    assert_eq!(got.status, 200);
    assert_eq!(sent(&world, "$search").as_deref(), Some("\"ada\" \"NOT l\""));
    assert_eq!(sent(&world, "$filter").as_deref(), Some(TENANT));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn directus_is_never_asked_to_search_for_it_looks_into_every_column() {
    let world = world(DIRECTUS.to_owned()).await;
    is_refused_to_others(&world, "/items/contacts", "search", "nothing").await;
    world.upstream.on("GET /items/contacts", [Answer::json(200, json!({ "data": [row()] }).to_string())]);
    let client = world.role("rep");
    for (text, expected) in [
        ("ada", r#"{"_or":[{"name":{"_icontains":"ada"}},{"email":{"_icontains":"ada"}}]}"#),
        ("7", r#"{"_or":[{"name":{"_icontains":"7"}},{"email":{"_icontains":"7"}}]}"#),
    ] {
        let got = client.get(&format!("/items/contacts?search={text}&meta=filter_count")).await;
        assert_eq!(got.status, 200, "{text}: {}", got.text());
        let own = r#"{"organization_id":{"_eq":"acme"}},{"app_id":{"_eq":"shop"}}"#;
        assert_eq!(sent(&world, "filter"), Some(format!(r#"{{"_and":[{own},{expected}]}}"#)), "{text}");
        assert_eq!(sent(&world, "search"), None);
    }
    world.upstream.forget();
    for text in ["$CURRENT_USER", "$NOW", "null", "true"] {
        assert_eq!(client.get(&format!("/items/contacts?search={text}")).await.status, 400, "{text}");
    }
    for query in ["search[]=a", "search[x]=a", "search[_or][0][ssn]=a"] {
        assert_eq!(client.get(&format!("/items/contacts?{query}")).await.status, 400, "{query}");
    }
    assert_eq!(world.upstream.lines(), [""; 0]);
    // To the server an empty one is none.
    assert_eq!(client.get("/items/contacts?search=").await.status, 200);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_reads_what_nobody_may_is_a_mistake_of_the_description() {
    for (from, to, message) in [
        ("search: [name, email]", "search: [name, ssn]", "`ssn` is tagged secret"),
        ("search: [name, email]", "search: [name, id]", "`id` can't be searched"),
        ("search: [name, email]", "search: [name, name]", "`name` is named twice"),
        ("search: [name, email]", "search: [nothing]", "unknown field `nothing`"),
        ("search: [name, email]", "search: []", "must name at least one"),
    ] {
        let api = DIRECTUS.replace(from, to);
        let started = Setup { api, ..Setup::default() }.policy("contacts", POLICY).try_start().await;
        let Err(errors) = started else { panic!("{to} is taken") };
        let text = scrim::diagnostic::render(&errors, false);
        assert!(text.contains(message), "{to}: {text}");
    }
    let api = rest().replace("    search: q\n", "");
    let Err(errors) = (Setup { api, ..Setup::default() }).policy("contacts", POLICY).try_start().await else {
        panic!("a search without a parameter is taken")
    };
    assert!(scrim::diagnostic::render(&errors, false).contains("no parameter to search with"));
}
