//! OpenAPI 3.0 and 3.1: paths become tables of the dialect `rest`, with what is around their records and in their queries.
//!
//! A table is a path that lists, a path with one variable behind it, or both. All tables of an API share their envelope,
//! so the one that most have is taken, and what answers otherwise is left out.

mod parameters;
mod schema;
mod types;

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use self::parameters::{Listed, Parameter};
use self::schema::{Object, Reading};
use super::draft::{Dialect, Draft, Field, Notes, Rest, Route, Table};
use super::settle::{self, is_table_name};
use super::tree::Tree;
use super::words::{self, TENANTS};
use super::{Failed, Input, Options, print};
use crate::model::Action;

const MAX_PATHS: usize = 20_000;

/// What a path of the document is, once its base and tenant are put in.
struct Endpoint<'a> {
    /// As a route has it.
    path: String,
    place: String,
    item: &'a Tree,
}

#[derive(Default)]
struct Candidate<'a> {
    list: Option<Endpoint<'a>>,
    /// (endpoint, variable)
    record: Option<(Endpoint<'a>, String)>,
    /// (endpoint, action)
    acts: Vec<(Endpoint<'a>, String)>,
}

/// A table, and where its answers hold its records.
struct Found<'a> {
    name: String,
    place: String,
    key: String,
    /// (route, place of the records or the record)
    routes: Vec<(Route, Option<String>)>,
    total: Option<String>,
    /// What the answers to a list and a read hold, and the bodies of writes.
    answers: Vec<Object<'a>>,
    bodies: Vec<Object<'a>>,
    parameters: Vec<Parameter<'a>>,
}

pub(super) fn read(input: &Input, document: &Tree, options: &Options, notes: &mut Notes) -> Result<Draft, Failed> {
    let unsupported = |what: &str| Err(Failed::Unsupported(input.name.clone(), what.to_owned()));
    match document.text_of("openapi") {
        Some(version) if version.starts_with("3.0") || version.starts_with("3.1") => {}
        Some(version) => return unsupported(&format!("OpenAPI {version:?} is not read, only 3.0 and 3.1")),
        None => return unsupported("it is no OpenAPI 3 document: convert Swagger 2.0 first"),
    }
    let title = document.get("info").and_then(|info| info.text_of("title")).unwrap_or("no title");
    let source = format!("an OpenAPI document ({title:?})");
    let base = base(document, notes);
    let mut reading = Reading::new(document, notes);
    let candidates = candidates(&mut reading, &base, options);
    let mut found = Vec::new();
    let mut names: HashMap<String, usize> = HashMap::new();
    for (path, candidate) in &candidates {
        found.extend(table(&mut reading, path, candidate, &mut names)?);
    }
    // A search that lists the records of a table is not where they are.
    for is_read in [true, false] {
        let owned: HashSet<String> = reading.owned.keys().cloned().collect();
        for table in found.iter().filter(|table| table.has("read") == is_read) {
            let pointers = table.answers.iter().filter_map(|answer| answer.pointer.clone());
            let free = pointers.filter(|pointer| !owned.contains(pointer));
            free.for_each(|pointer| reading.own(pointer, &table.name));
        }
    }
    let list = most(&found, true).unwrap_or_else(|| "$[*]".to_owned());
    let record = most(&found, false).unwrap_or_else(|| "$".to_owned());
    let totals = found.iter().filter(|table| table.has_list_at(&list)).map(|table| table.total.clone());
    let mut rest = Rest { total: common(totals.flatten()), list, record, ..Rest::default() };
    let mut tables = Vec::new();
    for table in &found {
        tables.push(finish(&mut reading, table, &rest)?);
    }
    let tables = settle::without_overlaps(tables, reading.notes);
    let is_listed = |table: &&Table| table.routes.iter().any(|route| route.action == "list");
    let listed: Vec<Listed<'_>> = (tables.iter().filter(is_listed))
        .filter_map(|table| Some((table, found.iter().find(|found| found.name == table.name)?)))
        .map(|(table, found)| Listed { table, parameters: &found.parameters })
        .collect();
    parameters::recognise(&listed, &tables, &mut rest, reading.notes);
    Ok(Draft { dialect: Dialect::Rest(Box::new(rest)), source, tables, cascades: Vec::new() })
}

impl Found<'_> {
    fn has(&self, action: &str) -> bool {
        self.routes.iter().any(|(route, _)| route.action == action)
    }

    fn has_list_at(&self, list: &str) -> bool {
        self.routes.iter().any(|(route, place)| route.action == "list" && place.as_deref() == Some(list))
    }
}

/// The path of the first server, which stands before all others.
fn base(document: &Tree, notes: &mut Notes) -> String {
    let Some(server) = document.items_of("servers").next() else { return String::new() };
    let mut url = server.text_of("url").unwrap_or_default().to_owned();
    for (name, variable) in server.members_of("variables").take(20) {
        if let Some(default) = variable.text_of("default") {
            url = url.replace(&format!("{{{name}}}"), default);
        }
    }
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default(),
        None => &url,
    };
    let path = path.trim_end_matches('/');
    let fits = path.is_empty() || crate::api::Template::parse(path).is_ok_and(|base| base.variables().next().is_none());
    if !fits {
        notes.push("/servers/0", format!("{url:?} is no path that can stand before the routes"));
    }
    if fits { path.to_owned() } else { String::new() }
}

/// Paths by what they list: `/v1/contacts` with `/v1/contacts/{id}` and `/v1/contacts/{id}/close`.
fn candidates<'a>(reading: &mut Reading<'a, '_>, base: &str, options: &Options) -> IndexMap<String, Candidate<'a>> {
    let mut all: IndexMap<String, Candidate<'a>> = IndexMap::new();
    let document = reading.document;
    for (path, item) in document.members_of("paths").take(MAX_PATHS).filter(|(path, _)| path.starts_with('/')) {
        let place = format!("/paths/{}", schema::token(path));
        let Some((item, place)) = reading.resolve(item, &place) else { continue };
        let segments: Vec<String> = path.split('/').skip(1).map(|segment| tenant_segment(segment, options)).collect();
        let variable = |segment: &String| {
            let name = segment.strip_prefix('{')?.strip_suffix('}')?;
            (!name.starts_with("tenant.")).then(|| name.to_owned())
        };
        let variables: Vec<(usize, String)> =
            segments.iter().enumerate().filter_map(|(at, segment)| Some((at, variable(segment)?))).collect();
        let joined = |segments: &[String]| format!("{base}/{}", segments.join("/"));
        let endpoint = Endpoint { path: joined(&segments), place: place.clone(), item };
        let until = |at: usize| joined(segments.get(..at).unwrap_or_default());
        match variables.as_slice() {
            [] => all.entry(joined(&segments)).or_default().list = Some(endpoint),
            [(at, name)] if at + 1 == segments.len() => {
                all.entry(until(*at)).or_default().record = Some((endpoint, name.clone()));
            }
            [(at, _)] if at + 2 == segments.len() => {
                let action = segments.last().cloned().unwrap_or_default();
                all.entry(until(*at)).or_default().acts.push((endpoint, action));
            }
            _ => reading.notes.push(place, "a path of a table has at most one variable, its record's key"),
        }
    }
    all
}

/// `{org_id}` is the caller's own tenant.
fn tenant_segment(segment: &str, options: &Options) -> String {
    let Some(name) = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) else {
        return segment.to_owned();
    };
    let named = options.tenant.iter().find(|(_, columns)| columns.iter().any(|column| words::same(column, name)));
    let usual = TENANTS.iter().find(|(_, columns)| columns.iter().any(|column| words::same(column, name)));
    match (named, usual) {
        (Some((dimension, _)), _) => format!("{{tenant.{dimension}}}"),
        (None, Some((dimension, _))) if options.tenant.is_empty() => format!("{{tenant.{dimension}}}"),
        _ => segment.to_owned(),
    }
}

/// The last word of its path; with the one before it, where another table has that name.
fn name(path: &str, names: &mut HashMap<String, usize>) -> String {
    let literal = |segment: &&str| !segment.is_empty() && !segment.starts_with('{');
    let mut words = path.rsplit('/').filter(literal);
    let last = words.next().unwrap_or_default().to_owned();
    let count = names.entry(last.clone()).or_default();
    *count += 1;
    match words.next() {
        Some(before) if *count > 1 => format!("{before}_{last}"),
        _ => last,
    }
}

fn table<'a>(
    reading: &mut Reading<'a, '_>,
    path: &str,
    candidate: &Candidate<'a>,
    names: &mut HashMap<String, usize>,
) -> Result<Option<Found<'a>>, Failed> {
    let place =
        candidate.list.as_ref().or(candidate.record.as_ref().map(|(record, _)| record)).map(|e| e.place.clone());
    let Some(place) = place else {
        for (act, _) in &candidate.acts {
            reading.notes.push(&*act.place, "it belongs to no table that can be read");
        }
        return Ok(None);
    };
    let mut found = Found {
        name: String::new(),
        place: place.clone(),
        key: String::new(),
        routes: Vec::new(),
        total: None,
        answers: Vec::new(),
        bodies: Vec::new(),
        parameters: Vec::new(),
    };
    if let Some(list) = &candidate.list {
        reading.list(list, &mut found)?;
    }
    let variable = candidate.record.as_ref().map(|(_, variable)| variable.as_str());
    let read = match &candidate.record {
        Some((record, _)) => reading.answer(record, "get")?,
        None => None,
    };
    let listed = found.answers.first();
    let Some(key) = reading.key(variable, listed, read.as_ref())? else {
        let reads = !found.routes.is_empty() || read.is_some();
        if reads {
            reading.notes.push(place, "the table is left out: no field of it looks like its key");
        } else {
            reading.notes.push(place, "it is no table: nothing in it lists or reads records");
        }
        return Ok(None);
    };
    found.key = key;
    found.name = name(path, names);
    if let Some((record, _)) = &candidate.record {
        reading.record(record, read, &mut found)?;
    }
    if let Some(list) = &candidate.list {
        reading.write(list, "post", "create", &mut found)?;
    }
    for (act, action) in &candidate.acts {
        let is_free = matches!(Action::parse(action), Action::Custom(_)) && is_table_name(action);
        if act.item.get("post").is_some() && !is_free {
            reading.notes.push(&*act.place, format!("{action:?} can't be the name of an action"));
        } else if act.item.get("post").is_some() {
            found.routes.push((Route::new(action, format!("POST {}", act.path)), None));
        }
        for method in ["get", "put", "patch", "delete"].iter().filter(|method| act.item.get(method).is_some()) {
            reading.notes.push(format!("{}/{method}", act.place), "an action of a record's own is a POST");
        }
    }
    Ok(Some(found))
}

/// The place that most lists, or most records, have.
fn most(found: &[Found<'_>], lists: bool) -> Option<String> {
    let routes = found.iter().flat_map(|table| &table.routes);
    common(routes.filter(|(route, _)| (route.action == "list") == lists).filter_map(|(_, place)| place.clone()))
}

/// What occurs most often; of several, the first.
fn common(all: impl Iterator<Item = String>) -> Option<String> {
    let mut counts: IndexMap<String, usize> = IndexMap::new();
    all.for_each(|one| *counts.entry(one).or_default() += 1);
    let most = counts.values().max().copied()?;
    counts.into_iter().find(|(_, count)| *count == most).map(|(one, _)| one)
}

fn finish<'a>(reading: &mut Reading<'a, '_>, found: &Found<'a>, rest: &Rest) -> Result<Table, Failed> {
    let mut routes = Vec::new();
    for (route, place) in &found.routes {
        let expected = if route.action == "list" { &rest.list } else { &rest.record };
        match place {
            Some(other) if other != expected => {
                let text = route.route.as_deref().unwrap_or_default();
                let what = format!("the route {text:?} is left out: it answers at {other:?}, most at {expected:?}");
                reading.notes.push(&*found.place, what);
            }
            _ => routes.push(route.clone()),
        }
    }
    let usual = ["list", "read", "create", "update", "delete"];
    routes.sort_by_key(|route| usual.iter().position(|action| *action == route.action).unwrap_or(usual.len()));
    let mut fields: Vec<Field> = Vec::new();
    let mut absent = false;
    let mut seen = HashSet::new();
    for object in found.answers.iter().chain(&found.bodies) {
        for name in object.properties.keys() {
            if seen.len() > settle::MAX_FIELDS || !seen.insert(name) {
                continue;
            }
            let required = |answer: &Object<'_>| answer.required.contains(name) && answer.answers(name);
            let always = found.answers.iter().all(required);
            let Some(mut field) = reading.field(name, object, &found.answers)? else { continue };
            let is_column = field.of.plain().is_some();
            absent |= is_column && !always && *name != found.key;
            field.nullable |= is_column && !always;
            field.default = found.bodies.first().and_then(|body| default(&field, body.properties.get(name)?.schema));
            fields.push(field);
        }
    }
    Ok(Table {
        place: found.place.clone(),
        key: found.key.clone(),
        routes,
        fields,
        absent,
        parameters: found.parameters.iter().map(|parameter| parameter.name.clone()).collect(),
        ..Table::named(&found.name)
    })
}

/// What is stored where a create leaves it out.
fn default(field: &Field, schema: &Tree) -> Option<String> {
    match (field.of.plain()?, schema.get("default")?) {
        ("string", Tree::Text(text)) => Some(print::quoted(text)),
        ("bool", Tree::Bool(value)) => Some(value.to_string()),
        ("int", Tree::Int(value)) => Some(value.to_string()),
        _ => None,
    }
}
