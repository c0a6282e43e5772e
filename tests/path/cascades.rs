//! What goes with a deletion is looked for under a key that the service reads as itself, and to the end.

use serde_json::{Value, json};

use crate::support::world::Setup;
use crate::support::{Answer, World};

const TABLES: &str = "
tables:
  teams:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    race: accept
    cascades: [people.team]
    routes: [list, read, delete]
    fields: { id: string, organization_id: string, app_id: string, name: string }
  people:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    race: accept
    routes: [list, read, delete]
    fields:
      id: string
      organization_id: string
      app_id: string
      name: string
      team_id: { type: string, nullable: true }
      team: { table: teams, by: team_id }
";

fn policy(table: &str, rows: &str) -> String {
    format!(
        "table: {table}\ngrants:\n  - {{ name: all, roles: [rep], actions: [list, read, delete], rows: {rows}, read: {{ clear: [id, name] }} }}\n"
    )
}

async fn world(dialect: &str) -> World {
    let api = format!("api: crm\nupstream: crm\n{dialect}{TABLES}");
    let setup = Setup { api, ..Setup::default() }.policy("teams", &policy("teams", "all"));
    setup.policy("people", &policy("people", "record.name == 'mine'")).start().await
}

fn record(id: &str, name: &str) -> Value {
    json!({ "id": id, "organization_id": "acme", "app_id": "shop", "name": name, "team_id": "t1" })
}

/// The status of a deletion, and whether it was sent.
async fn deleted(world: &World, path: &str) -> (u16, bool) {
    world.upstream.forget();
    let got = world.person("ann", &json!({ "roles": ["rep"] })).send("DELETE", path, None).await;
    (got.status, world.upstream.seen().iter().any(|seen| seen.method == "DELETE"))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_deletion_follows_a_look_for_another_key() {
    let world = world("dialect: directus\ndirectus: { page: { default: 5, max: 50 }, texts: exact }").await;
    world.upstream.answers(|seen| {
        let path = seen.target.split('?').next()?;
        let data = match path.strip_prefix("/items/teams/") {
            _ if seen.method == "DELETE" => return Some(Answer::json(204, "")),
            Some(key) => record(key, "team"),
            // Nobody is in a team by that name, whatever the service took it for.
            None => json!([]),
        };
        Some(Answer::json(200, json!({ "data": data }).to_string()))
    });
    assert_eq!(deleted(&world, "/items/teams/t1").await, (204, true));
    for key in ["true", "null", "NULL", "$NOW", "%24CURRENT_USER"] {
        let (status, was_sent) = deleted(&world, &format!("/items/teams/{key}")).await;
        assert!(status >= 400 && !was_sent, "{key}: {status}");
        assert_eq!(world.upstream.lines().iter().filter(|line| line.contains("/items/people")).count(), 0, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_page_is_not_all_that_goes_with_a_record() {
    let world = world("dialect: odata\nodata: { root: /svc, default: 3, max: 50 }").await;
    let mine = || record("p1", "mine");
    for (answer, expected) in [
        (json!({ "value": [mine()] }), (204, true)),
        (json!({ "value": [] }), (204, true)),
        (json!({ "value": [mine(), record("p2", "another's")] }), (403, false)),
        (json!({ "value": [mine()], "@odata.nextLink": "people?$skiptoken=p1" }), (403, false)),
        (json!({ "@odata.nextLink": "people?$skiptoken=p1", "value": [] }), (403, false)),
    ] {
        let people = answer.to_string();
        world.upstream.answers(move |seen| {
            let path = seen.target.split('?').next()?;
            Some(match (&*seen.method, path) {
                ("DELETE", _) => Answer::json(204, ""),
                (_, "/svc/people") => Answer::json(200, people.clone()),
                _ => Answer::json(200, record("t1", "team").to_string()),
            })
        });
        assert_eq!(deleted(&world, "/svc/teams('t1')").await, expected, "{answer}");
    }
}
