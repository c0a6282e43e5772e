//! Schemas: which fields a record has, and where in an answer it lies.
//!
//! References are followed within the document alone, and no deeper than a limit; every step is counted, so that schemas
//! that hold each other end.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use super::parameters::Parameter;
use super::{Endpoint, Found};
use crate::cli::import::draft::{Notes, Route};
use crate::cli::import::tree::Tree;
use crate::cli::import::{Failed, words};

/// References to references, and schemas within schemas.
pub(super) const MAX_DEPTH: usize = 16;
const MAX_STEPS: usize = 300_000;
/// Of one list.
const MAX_PARAMETERS: usize = 500;

pub(super) struct Reading<'a, 'n> {
    pub(super) document: &'a Tree,
    pub(super) notes: &'n mut Notes,
    steps: usize,
    /// Schemas that are records of a table; `None`: of several.
    pub(super) owned: HashMap<String, Option<String>>,
}

/// All properties of a schema, those of the schemas that it is made of included.
#[derive(Debug, Default)]
pub(super) struct Object<'a> {
    /// `#/components/schemas/Contact`
    pub(super) pointer: Option<String>,
    pub(super) properties: IndexMap<String, Property<'a>>,
    pub(super) required: HashSet<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Property<'a> {
    pub(super) schema: &'a Tree,
    pub(super) place: String,
}

impl Object<'_> {
    /// Whether an answer has it at all.
    pub(super) fn answers(&self, name: &str) -> bool {
        self.properties.get(name).is_some_and(|property| !property.schema.is("writeOnly"))
    }
}

/// A schema and where it stands.
type Placed<'a> = (&'a Tree, String);

/// A name in a JSON pointer (RFC 6901).
pub(super) fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

impl<'a, 'n> Reading<'a, 'n> {
    pub(super) fn new(document: &'a Tree, notes: &'n mut Notes) -> Self {
        Self { document, notes, steps: 0, owned: HashMap::new() }
    }

    pub(super) fn own(&mut self, pointer: String, table: &str) {
        let owner = self.owned.entry(pointer).or_insert_with(|| Some(table.to_owned()));
        if owner.as_deref() != Some(table) {
            *owner = None;
        }
    }

    pub(super) fn step(&mut self) -> Result<(), Failed> {
        self.steps += 1;
        if self.steps > MAX_STEPS { Err(Failed::Intricate) } else { Ok(()) }
    }

    /// What a reference stands for, and its place. `None`: nothing in this document.
    pub(super) fn resolve(&mut self, tree: &'a Tree, place: &str) -> Option<(&'a Tree, String)> {
        let (mut tree, mut at) = (tree, place.to_owned());
        for _ in 0..MAX_DEPTH {
            let Some(reference) = tree.text_of("$ref") else { return Some((tree, at)) };
            let Some(pointer) = reference.strip_prefix('#') else {
                self.notes.push(place, format!("{reference:?} is in another document, which is not read"));
                return None;
            };
            let Some(target) = self.find(pointer) else {
                self.notes.push(place, format!("{reference:?} is not there"));
                return None;
            };
            (tree, at) = (target, pointer.to_owned());
        }
        self.notes.push(place, "its references have no end");
        None
    }

    fn find(&self, pointer: &str) -> Option<&'a Tree> {
        let mut tokens = pointer.strip_prefix('/')?.split('/');
        tokens.try_fold(self.document, |tree, token| tree.get(&token.replace("~1", "/").replace("~0", "~")))
    }

    pub(super) fn object(&mut self, schema: &'a Tree, place: &str) -> Result<Object<'a>, Failed> {
        let mut object = Object { pointer: schema.text_of("$ref").map(str::to_owned), ..Object::default() };
        self.merge(schema, place, 0, &mut object)?;
        Ok(object)
    }

    fn merge(&mut self, schema: &'a Tree, place: &str, depth: usize, into: &mut Object<'a>) -> Result<(), Failed> {
        self.step()?;
        if depth > MAX_DEPTH {
            self.notes.push(place, "it is nested too deeply");
            return Ok(());
        }
        let Some((schema, place)) = self.resolve(schema, place) else { return Ok(()) };
        for (at, part) in schema.items_of("allOf").enumerate() {
            self.merge(part, &format!("{place}/allOf/{at}"), depth + 1, into)?;
        }
        for (name, property) in schema.members_of("properties") {
            self.step()?;
            let place = format!("{place}/properties/{}", token(name));
            into.properties.insert(name.clone(), Property { schema: property, place });
        }
        into.required.extend(schema.items_of("required").filter_map(Tree::text).map(str::to_owned));
        Ok(())
    }

    /// The schema of what an operation answers where it went well.
    fn answered(&mut self, operation: &'a Tree, place: &str) -> Option<(&'a Tree, String)> {
        let responses = operation.get("responses")?;
        let found = ["200", "201", "2XX", "2xx"].iter().find_map(|status| Some((*status, responses.get(status)?)))?;
        let (response, place) = self.resolve(found.1, &format!("{place}/responses/{}", found.0))?;
        Self::json(response, &place)
    }

    fn json(content: &'a Tree, place: &str) -> Option<(&'a Tree, String)> {
        let is_json = |name: &str| {
            let name = name.split(';').next().unwrap_or_default().trim();
            name == "application/json" || (name.starts_with("application/") && name.ends_with("+json"))
        };
        let (name, media) = content.members_of("content").find(|(name, _)| is_json(name))?;
        Some((media.get("schema")?, format!("{place}/content/{}/schema", token(name))))
    }

    /// Where the answer to a list has its records, and what they are.
    pub(super) fn list(&mut self, list: &Endpoint<'a>, found: &mut Found<'a>) -> Result<(), Failed> {
        let Some(operation) = list.item.get("get") else { return Ok(()) };
        let place = format!("{}/get", list.place);
        let Some((schema, at)) = self.answered(operation, &place) else {
            self.notes.push(place, "it answers with no JSON that is described");
            return Ok(());
        };
        let Some((schema, at)) = self.resolve(schema, &at) else { return Ok(()) };
        let (records, items) = if let Some(items) = schema.get("items") {
            ("$[*]".to_owned(), Some((items, format!("{at}/items"))))
        } else {
            let object = self.object(schema, &at)?;
            found.total = self.total(&object)?;
            match self.list_in(&object)? {
                Some((name, items)) => (format!("$.{name}[*]"), Some(items)),
                None => (String::new(), None),
            }
        };
        let Some((items, at)) = items else {
            self.notes.push(place, "it answers with no one list of records");
            return Ok(());
        };
        found.answers.push(self.object(items, &at)?);
        found.routes.push((Route::new("list", format!("GET {}", list.path)), Some(records)));
        found.parameters = self.parameters(list, operation);
        Ok(())
    }

    /// The member that is a list of objects; where there are several, the one with a usual name.
    fn list_in(&mut self, object: &Object<'a>) -> Result<Option<(String, Placed<'a>)>, Failed> {
        const USUAL: [&str; 8] = ["data", "items", "results", "records", "value", "values", "rows", "entries"];
        let mut lists = Vec::new();
        for (name, property) in object.properties.iter().filter(|(name, _)| is_member(name)) {
            let Some((schema, place)) = self.resolve(property.schema, &property.place) else { continue };
            let Some(items) = schema.get("items") else { continue };
            let place = format!("{place}/items");
            if !self.object(items, &place)?.properties.is_empty() {
                lists.push((name.clone(), (items, place)));
            }
        }
        let usual = lists.iter().position(|(name, _)| USUAL.contains(&name.as_str()));
        Ok(match (lists.len(), usual) {
            (1, _) => lists.pop(),
            (_, Some(at)) => Some(lists.swap_remove(at)),
            _ => None,
        })
    }

    fn total(&mut self, object: &Object<'a>) -> Result<Option<String>, Failed> {
        const TOTALS: [&str; 5] = ["total", "total_count", "total_items", "total_records", "count"];
        let number = |object: &Object<'a>| {
            let is = |schema: &Tree| schema.text_of("type") == Some("integer");
            let known = |name: &String| TOTALS.iter().any(|total| words::same(total, name)) && is_member(name);
            object.properties.iter().find(|(name, p)| known(name) && is(p.schema)).map(|(name, _)| name.clone())
        };
        if let Some(name) = number(object) {
            return Ok(Some(format!("$.{name}")));
        }
        for (name, property) in &object.properties {
            if ["meta", "pagination", "paging", "page_info"].iter().any(|known| words::same(known, name)) {
                let inner = self.object(property.schema, &property.place)?;
                if let (Some(total), true) = (number(&inner), is_member(name)) {
                    return Ok(Some(format!("$.{name}.{total}")));
                }
            }
        }
        Ok(None)
    }

    fn parameters(&mut self, list: &Endpoint<'a>, operation: &'a Tree) -> Vec<Parameter<'a>> {
        let mut all = Vec::new();
        let shared = list.item.items_of("parameters").map(|parameter| (parameter, ""));
        let own = operation.items_of("parameters").map(|parameter| (parameter, "/get"));
        for (at, (parameter, under)) in shared.chain(own).enumerate().take(MAX_PARAMETERS) {
            let place = format!("{}{under}/parameters/{at}", list.place);
            let Some((parameter, place)) = self.resolve(parameter, &place) else { continue };
            if parameter.text_of("in") != Some("query") {
                continue;
            }
            let schema =
                parameter.get("schema").and_then(|schema| self.resolve(schema, &place)).map(|(schema, _)| schema);
            let Some(name) = parameter.text_of("name") else { continue };
            // `filter[name]` for each property of an object.
            if parameter.text_of("style") == Some("deepObject") {
                let members = schema.into_iter().flat_map(|schema| schema.members_of("properties"));
                all.extend(members.map(|(member, of)| {
                    let name = format!("{name}[{member}]");
                    Parameter { name, schema: Some(of), of: parameter, place: place.clone() }
                }));
            } else {
                all.push(Parameter { name: name.to_owned(), schema, of: parameter, place });
            }
        }
        all
    }

    /// What an operation on a record answers with: the whole, before it is known where the record lies in it.
    pub(super) fn answer(&mut self, record: &Endpoint<'a>, method: &str) -> Result<Option<Object<'a>>, Failed> {
        let place = format!("{}/{method}", record.place);
        let Some(operation) = record.item.get(method) else { return Ok(None) };
        match self.answered(operation, &place) {
            Some((schema, at)) => self.object(schema, &at).map(Some),
            None => Ok(None),
        }
    }

    /// The field that the path's variable stands for: of its name, or `id`.
    pub(super) fn key(
        &mut self,
        variable: Option<&str>,
        listed: Option<&Object<'a>>,
        read: Option<&Object<'a>>,
    ) -> Result<Option<String>, Failed> {
        let mut candidates: Vec<&str> = variable.into_iter().collect();
        candidates.push("id");
        let read = match (listed, read) {
            (None, Some(read)) => Some(self.inner(read, &candidates)?),
            _ => None,
        };
        let Some(object) = listed.or(read.as_ref().and_then(|inner| inner.as_ref().map(|(_, object)| object))) else {
            return Ok(None);
        };
        let exact = |candidate: &str| object.properties.contains_key(candidate).then(|| candidate.to_owned());
        let alike = |candidate: &str| object.properties.keys().find(|name| words::same(candidate, name)).cloned();
        Ok(candidates.iter().find_map(|candidate| exact(candidate).or_else(|| alike(candidate))))
    }

    /// Where in an answer the object lies that has one of these: the whole, or one of its members.
    fn inner(&mut self, whole: &Object<'a>, keys: &[&str]) -> Result<Option<(String, Object<'a>)>, Failed> {
        let has =
            |object: &Object<'a>| keys.iter().any(|key| object.properties.keys().any(|name| words::same(key, name)));
        if has(whole) {
            let copy = Object {
                pointer: whole.pointer.clone(),
                properties: whole.properties.clone(),
                required: whole.required.clone(),
            };
            return Ok(Some(("$".to_owned(), copy)));
        }
        for (name, property) in whole.properties.iter().filter(|(name, _)| is_member(name)) {
            let inner = self.object(property.schema, &property.place)?;
            if has(&inner) {
                return Ok(Some((format!("$.{name}"), inner)));
            }
        }
        Ok(None)
    }

    pub(super) fn record(
        &mut self,
        record: &Endpoint<'a>,
        read: Option<Object<'a>>,
        found: &mut Found<'a>,
    ) -> Result<(), Failed> {
        let key = found.key.clone();
        if record.item.get("get").is_some() {
            match read.map(|read| self.inner(&read, &[&key])).transpose()?.flatten() {
                Some((place, object)) => {
                    found.answers.push(object);
                    found.routes.push((Route::new("read", format!("GET {}", record.path)), Some(place)));
                }
                None => self.notes.push(format!("{}/get", record.place), "it answers with no record that is described"),
            }
        }
        self.write(record, "patch", "update", found)?;
        if record.item.get("delete").is_some() {
            found.routes.push((Route::new("delete", format!("DELETE {}", record.path)), None));
        }
        if record.item.get("put").is_some() {
            self.notes.push(format!("{}/put", record.place), "replacing a record is not supported");
        }
        Ok(())
    }

    /// A route that has a body: its fields are the table's.
    pub(super) fn write(
        &mut self,
        endpoint: &Endpoint<'a>,
        method: &str,
        action: &str,
        found: &mut Found<'a>,
    ) -> Result<(), Failed> {
        let Some(operation) = endpoint.item.get(method) else { return Ok(()) };
        let place = format!("{}/{method}", endpoint.place);
        let request = operation.get("requestBody").and_then(|body| self.resolve(body, &format!("{place}/requestBody")));
        let body = match request.and_then(|(body, at)| Self::json(body, &at)) {
            Some((schema, at)) => self.object(schema, &at)?,
            None => Object::default(),
        };
        let is_record =
            body.properties.keys().any(|name| found.answers.iter().any(|a| a.properties.contains_key(name)));
        if !is_record {
            self.notes.push(place, "its body is no JSON object with fields of the record");
            return Ok(());
        }
        // An answer without a body has nothing that could be in another place.
        let at = match self.answer(endpoint, method)? {
            Some(answer) => self.inner(&answer, &[&found.key.clone()])?.map(|(place, _)| place),
            None => None,
        };
        // What is stored where it leaves something out is asked of the first.
        let at_first = if action == "create" { 0 } else { found.bodies.len() };
        found.bodies.insert(at_first, body);
        let route = format!("{} {}", method.to_ascii_uppercase(), endpoint.path);
        found.routes.push((Route::new(action, route), at));
        Ok(())
    }
}

/// What a place in a document can name.
fn is_member(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-@$".contains(&b))
}
