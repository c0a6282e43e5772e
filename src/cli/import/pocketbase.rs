//! PocketBase: the answer of `/api/collections`, or the file that its dashboard exports.
//!
//! Both of its forms are read: since 0.23 a collection lists all of its `fields`; before, a `schema` without those that
//! every collection has.

use super::draft::{Cascade, Dialect, Draft, Field, Notes, Of, Route, Table, Tags};
use super::tree::Tree;
use super::{Failed, Input};

/// Beside a column, for its relation.
const RELATED: &str = "_record";

/// Whether it looks like a list of collections.
pub(super) fn is(tree: &Tree) -> bool {
    collections(tree).is_some_and(|all| {
        let is_one = |one: &Tree| {
            let kind = matches!(one.text_of("type"), Some("base" | "auth" | "view"));
            kind && one.text_of("name").is_some() && (one.get("fields").is_some() || one.get("schema").is_some())
        };
        !all.is_empty() && all.iter().all(is_one)
    })
}

fn collections(tree: &Tree) -> Option<&[Tree]> {
    match tree.get("items").unwrap_or(tree) {
        Tree::List(all) => Some(all),
        _ => None,
    }
}

pub(super) fn read(input: &Input, tree: &Tree, notes: &mut Notes) -> Result<Draft, Failed> {
    let all = collections(tree).ok_or_else(|| Failed::Unknown(input.name.clone()))?;
    let names: Vec<(&str, &str)> =
        all.iter().filter_map(|one| Some((one.text_of("id")?, one.text_of("name")?))).collect();
    let mut tables = Vec::new();
    for (at, one) in all.iter().enumerate() {
        match one.text_of("name") {
            Some(name) if one.is("system") || name.starts_with('_') => {
                notes.push(name, "it is the server's own collection");
            }
            Some(name) => tables.extend(table(name, one, &names, notes)),
            None => notes.push(format!("/{at}"), "it has no name"),
        }
    }
    let (source, cascades) = ("the collections of a PocketBase".to_owned(), cascades(all, &names));
    Ok(Draft { dialect: Dialect::Pocketbase, source, tables, cascades })
}

/// Of all collections: those that are not drafted have records that go along, too. A view has none of its own.
fn cascades(all: &[Tree], names: &[(&str, &str)]) -> Vec<Cascade> {
    let mut found = Vec::new();
    for collection in all.iter().filter(|one| one.text_of("type") != Some("view")) {
        let along = collection.text_of("name").unwrap_or_default();
        for field in described(collection).filter(|field| field.text_of("type") == Some("relation")) {
            let Some(of) = pointed_to(field, names).filter(|_| says(field, "cascadeDelete")) else { continue };
            let by = match field.text_of("name") {
                _ if is_many(field) => Err("they point to it with one key of several"),
                Some(name) => Ok(format!("{name}{RELATED}")),
                None => Err("their relation to it has no name"),
            };
            found.push(Cascade { of: of.to_owned(), along: along.to_owned(), by, meaning: None });
        }
    }
    found
}

fn described(collection: &Tree) -> impl Iterator<Item = &Tree> {
    collection.items_of("fields").chain(collection.items_of("schema"))
}

/// Since 0.23 options are members of the field itself.
fn option<'a>(field: &'a Tree, key: &str) -> Option<&'a Tree> {
    field.get("options").and_then(|all| all.get(key)).or(field.get(key))
}

fn says(field: &Tree, key: &str) -> bool {
    matches!(option(field, key), Some(Tree::Bool(true)))
}

/// In the older form null or nothing is any number of them.
fn is_many(field: &Tree) -> bool {
    match option(field, "maxSelect") {
        Some(Tree::Int(most)) => *most > 1,
        Some(_) => true,
        None => field.get("options").is_some(),
    }
}

/// The collection that a relation points to.
fn pointed_to<'a>(field: &Tree, names: &[(&'a str, &'a str)]) -> Option<&'a str> {
    let id = option(field, "collectionId")?.text()?;
    names.iter().find(|(known, name)| *known == id || *name == id).map(|(_, name)| *name)
}

fn table(name: &str, collection: &Tree, names: &[(&str, &str)], notes: &mut Notes) -> Option<Table> {
    let kind = collection.text_of("type").unwrap_or("base");
    let path = format!("/api/collections/{name}/records");
    let mut routes = vec![Route::new("list", format!("GET {path}")), Route::new("read", format!("GET {path}/{{id}}"))];
    match kind {
        "base" => {
            routes.push(Route::new("create", format!("POST {path}")));
            routes.push(Route::new("update", format!("PATCH {path}/{{id}}")));
            routes.push(Route::new("delete", format!("DELETE {path}/{{id}}")));
        }
        "view" => {}
        "auth" => {
            notes.push(name, "its records are accounts: only list and read are drafted, neither writes nor logins")
        }
        _ => {
            notes.push(name, "it is of an unknown kind");
            return None;
        }
    }
    let mut fields = Vec::new();
    let described: Vec<&Tree> = described(collection).collect();
    let is_listed = |name: &str| described.iter().any(|field| field.text_of("name") == Some(name));
    if !is_listed("id") {
        fields.push(Field::plain("id", "string", false));
    }
    for described in &described {
        match described.text_of("name") {
            Some(field) => column((name, kind), field, described, names, &mut fields, notes),
            None => notes.push(name, "a field has no name"),
        }
    }
    // The older form does not list what every collection has.
    if collection.get("fields").is_none() {
        if kind == "auth" {
            fields.push(Field::plain("username", "string", false));
            fields.push(Field { tags: Tags::PII, ..Field::plain("email", "string", true) });
            fields.push(Field::plain("emailVisibility", "bool", false));
            fields.push(Field::plain("verified", "bool", false));
        }
        if kind != "view" {
            fields.push(Field::plain("created", "timestamp", false));
            fields.push(Field::plain("updated", "timestamp", false));
        }
    }
    Some(Table { key: "id".to_owned(), routes, fields, ..Table::named(name) })
}

fn column(
    (table, kind): (&str, &str),
    name: &str,
    described: &Tree,
    names: &[(&str, &str)],
    fields: &mut Vec<Field>,
    notes: &mut Notes,
) {
    let place = || format!("{table}.{name}");
    let is = |key: &str| says(described, key);
    let many = is_many(described);
    let required = is("required") || name == "id";
    let text = if many { "list(string)" } else { "string" };
    let (of, nullable) = match described.text_of("type") {
        Some("text" | "editor" | "email" | "url") => ("string", !required),
        Some("select" | "file" | "relation") => (text, !required && !many),
        Some("number") if is("onlyInt") || is("noDecimal") => ("int", false),
        Some("number") => ("decimal", false),
        Some("bool") => ("bool", false),
        Some("date") => ("timestamp", !required),
        Some("autodate") => ("timestamp", false),
        Some("json") => ("json", !required),
        Some("geoPoint") => ("json", false),
        Some("password") => return notes.push(place(), "passwords are never answered"),
        Some(other) => return notes.push(place(), format!("the type {other:?} is not known")),
        None => return notes.push(place(), "it has no type"),
    };
    if name == "tokenKey" && described.is("system") {
        return notes.push(place(), "it is what tokens are made of");
    }
    let mut field = Field::plain(name, of, nullable);
    if described.text_of("type") == Some("email") {
        field.tags = Tags::PII;
    }
    // Who asks as a superuser gets it all the same.
    if described.is("hidden") {
        field.tags.secret = true;
        field.comment = Some("hidden in PocketBase, but not from the gateway");
    }
    let is_relation = described.text_of("type") == Some("relation");
    let target = pointed_to(described, names).filter(|_| is_relation);
    // A list of keys is no relation here; whoever writes it must be able to read what they lead to.
    if is_relation && many && kind != "view" {
        // One that is not there is no table in the end.
        field.keys_of = Some(target.unwrap_or_default().to_owned());
    }
    fields.push(field);
    match target {
        _ if !is_relation => {}
        Some(target) if !many => {
            let of = Of::One { table: target.to_owned(), by: name.to_owned() };
            fields.push(Field::relation(&format!("{name}{RELATED}"), of));
        }
        Some(_) => {}
        None => notes.push(place(), "the collection that it points to is not there; its column stays"),
    }
}
