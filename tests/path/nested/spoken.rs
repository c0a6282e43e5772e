//! One API with relations that lead on, in three dialects: how each is described, asked, and answers.

use serde_json::{Map, Value, json};

use super::super::unescaped;
use crate::support::World;
use crate::support::client::Response;
use crate::support::world::Setup;

const TABLES: &str = "
tables:
  contacts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    race: accept
    ROUTES contacts
    fields:
      id: int
      organization_id: string
      app_id: string
      name: string
      account_id: { type: int, nullable: true }
      account: { table: accounts, by: account_id }
      note_id: { type: int, nullable: true }
      note: { table: notes, by: note_id }
  accounts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    ROUTES accounts
    fields:
      id: int
      organization_id: string
      app_id: string
      name: string
      region: string
      secret: { type: string, tags: [secret] }
      owner_id: { type: int, nullable: true }
      owner: { table: users, by: owner_id }
      vault_id: { type: int, nullable: true }
      vault: { table: vaults, by: vault_id }
      MANY
  users:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    ROUTES users
    fields:
      id: int
      organization_id: string
      app_id: string
      name: string
      email: { type: string, tags: [secret] }
      home_id: { type: int, nullable: true }
      home: { table: accounts, by: home_id }
      desk_id: { type: int, nullable: true }
      desk: { table: accounts, by: desk_id }
  vaults:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    ROUTES vaults
    fields: { id: int, organization_id: string, app_id: string, code: string }
  notes:
    key: id
    tenant: { via: of }
    ROUTES notes
    fields:
      id: int
      text: string
      of_id: { type: int, nullable: true }
      of: { table: accounts, by: of_id }
";

const POLICIES: [(&str, &str); 5] = [
    (
        "contacts",
        "table: contacts
grants:
  - { name: all, roles: [rep], actions: [list, read, update], rows: all, read: { clear: all }, write: [name] }
  - { name: anns, roles: [manager], actions: [list, read], rows: record.account.owner.name == 'Ann', read: { clear: [id, account] } }
  - { name: names, roles: [support], actions: [list, read], rows: all, read: { clear: [id, name, account_id, account] } }
",
    ),
    (
        "accounts",
        "table: accounts
grants:
  - { name: north, roles: [rep, manager], actions: [list, read], rows: record.region == 'north', read: { clear: all } }
  - { name: names, roles: [support], actions: [list, read], rows: all, read: { clear: [id, name, owner_id, owner] } }
denials:
  - { name: frozen, actions: [list, read], rows: record.name == 'Frozen' }
",
    ),
    (
        "users",
        "table: users
grants:
  - { name: all, roles: [rep, support], actions: [list, read], rows: all, read: { clear: [id, name, home_id, home] } }
",
    ),
    ("vaults", "table: vaults\ngrants:\n  - { name: all, roles: [manager], actions: [list], rows: all, read: { clear: all } }\n"),
    (
        "notes",
        "table: notes
grants:
  - { name: north, roles: [rep], actions: [list, read], rows: record.of.region == 'north', read: { clear: [id, text] } }
",
    ),
];

/// What is asked of a contact, and of what is expanded of it: fields that are chosen, if not all.
pub(super) struct Asks {
    pub(super) fields: &'static [&'static str],
    pub(super) below: &'static [(&'static str, Asks)],
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Spoken {
    Odata,
    Pocketbase,
    Directus,
}

pub(super) use Spoken::{Directus, Odata, Pocketbase};

pub(super) const ALL: [Spoken; 3] = [Odata, Pocketbase, Directus];

impl Spoken {
    fn api(self) -> String {
        let head = match self {
            Odata => "odata\nodata: { root: /svc, default: 5, max: 50 }",
            Pocketbase => "pocketbase\npocketbase: { page: { default: 5, max: 50 } }",
            Directus => "directus\ndirectus: { page: { default: 5, max: 50 }, texts: exact }",
        };
        let mut tables = TABLES.to_owned();
        for table in ["contacts", "accounts", "users", "vaults", "notes"] {
            let writes = table == "contacts";
            let path = format!("/api/collections/{table}/records");
            let update = if writes { format!(", update: \"PATCH {path}/{{id}}\"") } else { String::new() };
            let routes = match self {
                Pocketbase => format!("routes: {{ list: GET {path}, read: \"GET {path}/{{id}}\"{update} }}"),
                _ => format!("routes: [list, read{}]", if writes { ", update" } else { "" }),
            };
            tables = tables.replace(&format!("ROUTES {table}\n"), &format!("{routes}\n"));
        }
        if self == Pocketbase {
            tables = tables
                .replace("id: int\n", "id: string\n")
                .replace("{ type: int, nullable", "{ type: string, nullable");
            tables = tables.replace("{ id: int,", "{ id: string,");
        }
        let many = if self == Pocketbase { "" } else { "contacts: { table: contacts, many: true }" };
        format!("api: crm\nupstream: crm\ndialect: {head}{}", tables.replace("MANY", many))
    }

    pub(super) async fn world(self) -> World {
        let setup = Setup { api: self.api(), ..Setup::default() };
        POLICIES.iter().fold(setup, |setup, (table, policy)| setup.policy(table, policy)).start().await
    }

    pub(super) fn list(self) -> &'static str {
        match self {
            Odata => "/svc/contacts",
            Pocketbase => "/api/collections/contacts/records",
            Directus => "/items/contacts",
        }
    }

    pub(super) fn one(self) -> &'static str {
        match self {
            Odata => "/svc/contacts(1)",
            Pocketbase => "/api/collections/contacts/records/1",
            Directus => "/items/contacts/1",
        }
    }

    pub(super) fn key(self, id: u32) -> Value {
        if self == Pocketbase { json!(id.to_string()) } else { json!(id) }
    }

    /// A client's query for contacts.
    pub(super) fn query(self, asks: &Asks) -> String {
        match self {
            Odata => {
                let expand = odata(asks.below);
                let select =
                    if asks.fields.is_empty() { String::new() } else { format!("$select={}&", asks.fields.join(",")) };
                format!("{select}$expand={expand}").replace(';', "%3B")
            }
            Pocketbase => {
                let (mut paths, mut fields) = (Vec::new(), Vec::new());
                pocketbase("", "", asks, &mut paths, &mut fields);
                format!("expand={}&fields={}", paths.join(","), fields.join(","))
            }
            Directus => {
                let mut fields = Vec::new();
                directus("", asks, &mut fields);
                format!("fields={}", fields.join(","))
            }
        }
    }

    /// A record with related ones, as the server has it; a gateway's relations have their names.
    pub(super) fn with(self, mut record: Value, related: &[(&str, Value)]) -> Value {
        let members = record.as_object_mut().expect("an object");
        let mut container = Map::new();
        for (relation, value) in related {
            let column = format!("{relation}_id");
            match self {
                Pocketbase => {
                    members.insert(column.clone(), if value.is_null() { json!("") } else { value["id"].clone() });
                    if !value.is_null() {
                        container.insert(column, value.clone());
                    }
                }
                _ if value.is_array() => drop(members.insert((*relation).to_owned(), value.clone())),
                _ => {
                    members.insert(column, value.get("id").cloned().unwrap_or_default());
                    members.insert((*relation).to_owned(), value.clone());
                }
            }
        }
        if !container.is_empty() {
            members.insert("expand".to_owned(), Value::Object(container));
        }
        record
    }

    /// The same as a client sees it that has chosen these fields. `None`: it may not be seen.
    pub(super) fn shown(self, mut record: Value, related: &[(&str, Option<Value>)]) -> Value {
        let members = record.as_object_mut().expect("an object");
        for (relation, value) in related {
            let column = format!("{relation}_id");
            match (self, value) {
                (Odata, value) => drop(members.insert((*relation).to_owned(), json!(value))),
                (Directus, value) => drop(members.insert(column, json!(value))),
                (Pocketbase, None) => {}
                (Pocketbase, Some(value)) => {
                    let container = members.entry("expand").or_insert_with(|| json!({}));
                    container[&column] = value.clone();
                }
            }
        }
        record
    }

    pub(super) fn page(self, rows: &[Value]) -> String {
        match self {
            Odata => json!({ "value": rows }),
            Pocketbase => json!({ "page": 1, "perPage": 5, "totalItems": rows.len(), "totalPages": 1, "items": rows }),
            Directus => json!({ "data": rows }),
        }
        .to_string()
    }

    pub(super) fn rows(self, got: &Response) -> Value {
        let member = match self {
            Odata => "value",
            Pocketbase => "items",
            Directus => "data",
        };
        got.json()[member].clone()
    }

    pub(super) fn person(self, id: u32, organization: &str, name: &str) -> Value {
        json!({ "id": self.key(id), "organization_id": organization, "app_id": "shop", "name": name, "email": "SECRET-E", "odd": "SECRET-O" })
    }

    pub(super) fn account(self, id: u32, organization: &str, (region, name): (&str, &str)) -> Value {
        json!({
            "id": self.key(id), "organization_id": organization, "app_id": "shop", "name": name, "region": region, "secret": "SECRET-A",
        })
    }

    pub(super) fn contact(self, id: u32) -> Value {
        json!({ "id": self.key(id), "organization_id": "acme", "app_id": "shop", "name": format!("C{id}") })
    }
}

fn odata(below: &[(&str, Asks)]) -> String {
    let one = |(relation, asks): &(&str, Asks)| {
        let mut options = Vec::new();
        if !asks.fields.is_empty() {
            options.push(format!("$select={}", asks.fields.join(",")));
        }
        if !asks.below.is_empty() {
            options.push(format!("$expand={}", odata(asks.below)));
        }
        if options.is_empty() { (*relation).to_owned() } else { format!("{relation}({})", options.join(";")) }
    };
    below.iter().map(one).collect::<Vec<_>>().join(",")
}

fn pocketbase(path: &str, inside: &str, asks: &Asks, paths: &mut Vec<String>, fields: &mut Vec<String>) {
    match asks.fields {
        [] => fields.push(format!("{inside}*")),
        chosen => fields.extend(chosen.iter().map(|name| format!("{inside}{name}"))),
    }
    for (relation, asks) in asks.below {
        paths.push(format!("{path}{relation}_id"));
        pocketbase(&format!("{path}{relation}_id."), &format!("{inside}expand.{relation}_id."), asks, paths, fields);
    }
}

fn directus(before: &str, asks: &Asks, fields: &mut Vec<String>) {
    match asks.fields {
        [] => fields.push(format!("{before}*")),
        chosen => fields.extend(chosen.iter().map(|name| format!("{before}{name}"))),
    }
    for (relation, asks) in asks.below {
        let name = if *relation == "contacts" { "contacts".to_owned() } else { format!("{relation}_id") };
        directus(&format!("{before}{name}."), asks, fields);
    }
}

/// What the upstream was asked, of which it was asked once.
pub(super) fn asked(world: &World) -> String {
    let seen = world.upstream.seen();
    assert_eq!(seen.len(), 1, "{:?}", world.upstream.lines());
    unescaped(&seen[0].target)
}

pub(super) async fn get(world: &World, role: &str, target: &str) -> Response {
    world.upstream.forget();
    let got = world.person("ana", &json!({ "roles": [role] })).get(target).await;
    assert!(!got.everything().contains("SECRET"), "{}", got.everything());
    got
}
