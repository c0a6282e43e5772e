//! Directus: the answers of `/collections`, `/fields` and `/relations`, in any order, or a snapshot of the schema.

use std::collections::HashSet;

use super::draft::{Cascade, Dialect, Draft, Field, Notes, Of, Route, Table, Tags};
use super::odata::default;
use super::tree::Tree;
use super::{Failed, Input};

/// Beside a column, for its relation: Directus has one name for both.
const RELATED: &str = "_record";

#[derive(Default)]
struct Schema<'a> {
    collections: Vec<&'a Tree>,
    fields: Vec<&'a Tree>,
    relations: Vec<&'a Tree>,
}

/// Whether it looks like one of the lists, or a snapshot.
pub(super) fn is(tree: &Tree) -> bool {
    let listed =
        list(tree).is_some_and(|all| !all.is_empty() && all.iter().all(|one| one.text_of("collection").is_some()));
    listed || (tree.get("directus").is_some() && tree.get("collections").is_some())
}

fn list(tree: &Tree) -> Option<&[Tree]> {
    match tree.get("data").unwrap_or(tree) {
        Tree::List(all) => Some(all),
        _ => None,
    }
}

impl<'a> Schema<'a> {
    fn take(&mut self, input: &Input, tree: &'a Tree) -> Result<(), Failed> {
        if tree.get("directus").is_some() {
            self.collections.extend(tree.items_of("collections"));
            self.fields.extend(tree.items_of("fields"));
            self.relations.extend(tree.items_of("relations"));
            return Ok(());
        }
        for one in list(tree).ok_or_else(|| Failed::Unknown(input.name.clone()))? {
            if one.get("related_collection").is_some() {
                self.relations.push(one);
            } else if one.get("field").is_some() {
                self.fields.push(one);
            } else {
                self.collections.push(one);
            }
        }
        Ok(())
    }

    fn relation(&self, collection: &str, field: &str) -> Option<&'a Tree> {
        let is = |one: &&&Tree| one.text_of("collection") == Some(collection) && one.text_of("field") == Some(field);
        self.relations.iter().find(is).copied()
    }

    /// The collection whose records point to one by a list of this name.
    fn pointing(&self, collection: &str, field: &str) -> Option<&'a str> {
        let is = |one: &&&Tree| {
            let back = one.get("meta").and_then(|meta| meta.text_of("one_field"));
            one.text_of("related_collection") == Some(collection) && back == Some(field)
        };
        self.relations.iter().find(is)?.text_of("collection")
    }

    /// What goes with a deleted record is the database's doing, and lies with whatever points to it.
    fn cascades(&self) -> Vec<Cascade> {
        let told = self.relations.iter().filter_map(|relation| {
            let on_delete = relation.get("schema")?.text_of("on_delete")?;
            let is = on_delete.eq_ignore_ascii_case("cascade");
            let by = relation.text_of("field").map(|field| format!("{field}{RELATED}")).ok_or("it has no name");
            let (of, along) = (relation.text_of("related_collection")?, relation.text_of("collection")?);
            is.then(|| Cascade { of: of.to_owned(), along: along.to_owned(), by, meaning: None })
        });
        let given: HashSet<(&str, &str)> =
            self.relations.iter().filter_map(|one| Some((one.text_of("collection")?, one.text_of("field")?))).collect();
        let untold = self.fields.iter().filter_map(|field| {
            let of = field.get("schema")?.text_of("foreign_key_table")?.to_owned();
            let (along, name) = (field.text_of("collection")?, field.text_of("field")?);
            let by = Err("nothing says that it does not: give the answer of /relations too");
            (!given.contains(&(along, name))).then(|| Cascade { of, along: along.to_owned(), by, meaning: None })
        });
        told.chain(untold).collect()
    }
}

pub(super) fn read(input: &Input, trees: &[Tree], notes: &mut Notes) -> Result<Draft, Failed> {
    let mut schema = Schema::default();
    trees.iter().try_for_each(|tree| schema.take(input, tree))?;
    if schema.fields.is_empty() {
        return Err(Failed::Unsupported(
            input.name.clone(),
            "the fields are missing: give the answer of /fields too".to_owned(),
        ));
    }
    let mut tables: Vec<Table> = Vec::new();
    for described in &schema.fields {
        let (Some(collection), Some(name)) = (described.text_of("collection"), described.text_of("field")) else {
            notes.push("fields", "a field has no name or no collection");
            continue;
        };
        if collection.starts_with("directus_") {
            notes.push(collection, "it is the server's own collection");
            continue;
        }
        let place = format!("{collection}.{name}");
        let at = match tables.iter().position(|table| table.name == collection) {
            Some(at) => at,
            None if tables.len() > super::settle::MAX_TABLES => continue,
            None => {
                tables.push(table(collection));
                tables.len() - 1
            }
        };
        let Some(table) = tables.get_mut(at) else { continue };
        if described.get("schema").is_some_and(|schema| schema.is("is_primary_key")) {
            table.key = name.to_owned();
        }
        if table.fields.len() <= super::settle::MAX_FIELDS {
            table.fields.extend(column(&place, collection, name, described, &schema, notes));
        }
    }
    tables.retain(|table| {
        let described = schema.collections.iter().find(|one| one.text_of("collection") == Some(&table.name));
        let single = described.and_then(|one| one.get("meta")).is_some_and(|meta| meta.is("singleton"));
        if single {
            notes.push(&*table.place, "it is a single record without a key");
        }
        !single
    });
    let cascades = schema.cascades();
    Ok(Draft { dialect: Dialect::Directus, source: "the schema of a Directus".to_owned(), tables, cascades })
}

fn table(name: &str) -> Table {
    let routes =
        ["list", "read", "create", "update", "delete"].iter().map(|action| Route::of_dialect(action)).collect();
    Table { routes, ..Table::named(name) }
}

fn column(
    place: &str,
    collection: &str,
    name: &str,
    described: &Tree,
    schema: &Schema<'_>,
    notes: &mut Notes,
) -> Vec<Field> {
    let special: Vec<&str> =
        described.get("meta").into_iter().flat_map(|meta| meta.items_of("special")).filter_map(Tree::text).collect();
    let (of, comment) = match described.text_of("type") {
        Some("string" | "text" | "uuid" | "time" | "char") => ("string", None),
        Some("hash") => ("string", None),
        Some("csv") => ("list(string)", None),
        Some("integer") => ("int", None),
        Some("bigInteger") => ("int", Some("where it comes as a text, declare it string")),
        Some("float") => ("double", None),
        Some("decimal") => ("decimal", None),
        Some("boolean") => ("bool", None),
        Some("timestamp") => ("timestamp", None),
        Some("dateTime") => ("string", Some("a dateTime has no time zone, so that it is a text")),
        Some("date") => ("date", None),
        Some("json") => ("json", None),
        Some(geometry) if geometry.starts_with("geometry") => ("json", None),
        Some("alias") => return list_of(place, collection, name, &special, schema, notes),
        Some(other) => {
            notes.push(place, format!("the type {other:?} is not known"));
            return Vec::new();
        }
        None => {
            notes.push(place, "it has no type");
            return Vec::new();
        }
    };
    let stored = described.get("schema");
    let nullable = stored.is_none_or(|stored| !matches!(stored.get("is_nullable"), Some(Tree::Bool(false))));
    let mut field = Field { comment, ..Field::plain(name, of, nullable) };
    if special.iter().any(|word| matches!(*word, "conceal" | "hash")) || described.text_of("type") == Some("hash") {
        field.tags = Tags::SECRET;
    }
    field.default = stored.and_then(|stored| match stored.get("default_value")? {
        Tree::Text(text) => default(of, text),
        Tree::Int(number) => default(of, &number.to_string()).filter(|_| of == "int"),
        Tree::Bool(value) => default(of, &value.to_string()).filter(|_| of == "bool"),
        _ => None,
    });
    let mut fields = vec![field];
    match schema.relation(collection, name).map(|relation| relation.text_of("related_collection")) {
        None => {}
        Some(Some(target)) if target.starts_with("directus_") => {
            notes.push(place, format!("{target:?} is the server's own collection; its column stays"));
        }
        Some(Some(target)) => {
            let of = Of::One { table: target.to_owned(), by: name.to_owned() };
            fields.push(Field::relation(&format!("{name}{RELATED}"), of));
        }
        Some(None) => notes.push(place, "it points to any of several collections; its column stays"),
    }
    fields
}

/// A field without a column: a list of the records that point here, or something to look at.
fn list_of(
    place: &str,
    collection: &str,
    name: &str,
    special: &[&str],
    schema: &Schema<'_>,
    notes: &mut Notes,
) -> Vec<Field> {
    if let Some(target) = schema.pointing(collection, name) {
        return vec![Field::relation(name, Of::Many { table: target.to_owned() })];
    }
    if !special.iter().any(|word| matches!(*word, "no-data" | "group")) {
        notes.push(place, "what it lists is not said by the relations");
    }
    Vec::new()
}
