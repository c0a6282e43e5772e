//! OpenAPI 3.1: each granted operation with its path, and what its records look like.
//!
//! No field is said to be required, for whether it shows is up to each record. Of query parameters, those that speak of no
//! field are there, and of the filters that the API description spells, those on fields that read in clear on every row.

#![expect(clippy::indexing_slicing, reason = "an object of JSON that is made here takes any member")]

use serde_json::{Map, Value, json};

use super::{Kind, Seen, SeenField, SeenKind, SeenTable};
use crate::api::template::Segment;
use crate::api::{Dialect, FieldId, Operator, Parameters, Place, Records, Route, RouteKind, Shape, Style, Template};
use crate::dialect;
use crate::model::value::Type;
use crate::model::{Action, percent};
use crate::policy::Residual;

pub(super) fn write(seen: &Seen<'_>) -> Vec<u8> {
    let mut paths: Map<String, Value> = Map::new();
    let mut schemas = Map::new();
    for table in &seen.tables {
        let reads = table.fields.iter().filter(|field| field.read);
        schemas.insert(table.table.name.to_string(), record(seen, table, reads, false));
        for (route, action, residual) in &table.operations {
            if action.writes() && **action != Action::Delete {
                let written = table.fields.iter().filter(|field| residual.may_write(field.id));
                schemas.insert(format!("{}.{action}", table.table.name), record(seen, table, written, true));
            }
            let item = paths.entry(path(seen, &route.path)).or_insert_with(|| json!({}));
            item[route.method.as_str().to_ascii_lowercase()] = operation(seen, table, route, action, residual);
        }
        if let Some((read, _, residual)) = table.operation(&Action::Read) {
            for route in &seen.api.routes {
                properties(seen, table, route, read, residual, &mut paths);
            }
        }
        if let (true, Some((_, _, residual))) = (table.figures, table.operation(&Action::List)) {
            for route in seen.api.routes.iter().filter(|route| counts(route, table)) {
                paths.insert(path(seen, &route.path), json!({ "get": count(table, residual) }));
            }
        }
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": { "title": &*seen.api.name, "version": "1" },
        "paths": paths,
        "components": { "schemas": schemas },
    });
    document.to_string().into_bytes()
}

fn counts(route: &Route, of: &SeenTable<'_>) -> bool {
    matches!(route.kind, RouteKind::Count { table } if table == of.table.id)
}

/// What a record's properties are asked for by, if the route is one of these: each of those that a read may show.
fn properties(
    seen: &Seen<'_>,
    table: &SeenTable<'_>,
    route: &Route,
    read: &Route,
    residual: &Residual,
    paths: &mut Map<String, Value>,
) {
    let RouteKind::Property { table: of, raw } = route.kind else { return };
    if of != table.table.id {
        return;
    }
    let shown = || table.fields.iter().filter(|field| residual.may_show(field.id));
    let plain = shown().filter(|field| match &table.table.field(field.id).shape {
        Shape::Plain(of) => !raw || of.is_primitive(),
        Shape::One { .. } | Shape::Many { .. } => false,
    });
    let names: Vec<&str> = plain.map(|field| field.name).collect();
    let keys = keys(table, read);
    if let (Some(property), false) = (route.path.variables().last(), names.is_empty()) {
        let schema = json!({ "type": "string", "enum": names });
        let named = json!({ "name": &**property, "in": "path", "required": true, "schema": schema });
        let answer = match raw {
            true => ("text/plain", text()),
            false => ("application/json", json!({ "type": "object", "properties": { "value": {} } })),
        };
        let parameters = keys.iter().cloned().chain([named]).collect();
        let id = if raw { "$value" } else { "$property" };
        add(paths, path(seen, &route.path), part(table, id, parameters, answer));
    }
    for field in shown().filter(|_| !raw) {
        let SeenKind::One { table: related, .. } = field.kind else { continue };
        let Some(related) = seen.table(related) else { continue };
        let answer = json!({ "$ref": format!("#/components/schemas/{}", related.table.name) });
        let part = part(table, field.name, keys.clone(), ("application/json", answer));
        add(paths, format!("{}/{}", path(seen, &read.path), field.name), part);
    }
}

/// Adds a read, unless one is declared for that path.
fn add(paths: &mut Map<String, Value>, path: String, read: Value) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    if let Some(item) = item.as_object_mut() {
        item.entry("get").or_insert(read);
    }
}

/// What a property of a record answers: nothing where it is null.
fn part(table: &SeenTable<'_>, id: &str, parameters: Vec<Value>, answer: (&str, Value)) -> Value {
    let mut responses = responses(&Action::Read, Some(answer));
    responses["204"] = json!({ "description": "null" });
    json!({ "operationId": format!("{}.read.{id}", table.table.name), "parameters": parameters, "responses": responses })
}

/// How many records there are, as a number in plain text.
fn count(table: &SeenTable<'_>, residual: &Residual) -> Value {
    let names = ["$filter"].into_iter().chain(searches(table, residual).then_some("$search"));
    let parameters: Vec<Value> = names.map(|name| json!({ "name": name, "in": "query", "schema": text() })).collect();
    json!({
        "operationId": format!("{}.count", table.table.name),
        "parameters": parameters,
        "responses": { "200": { "description": "done", "content": { "text/plain": { "schema": number() } } } },
    })
}

/// Whether all that a search reads shows to this caller on every row.
fn searches(table: &SeenTable<'_>, residual: &Residual) -> bool {
    let fields = &table.table.search;
    let shows = |field: &FieldId| residual.is_clear_everywhere(*field) && !table.table.field(*field).is_secret();
    !fields.is_empty() && fields.iter().all(shows)
}

/// As this caller asks for it: a tenant in it is the caller's own.
fn path(seen: &Seen<'_>, template: &Template) -> String {
    let mut out = String::new();
    for segment in &template.segments {
        out.push('/');
        match segment {
            Segment::Literal(text) => out.push_str(text),
            Segment::Variable(name) => out.push_str(&format!("{{{name}}}")),
            Segment::Tenant(dimension) => {
                percent::encode(seen.tenant.value(dimension).map_or("", |value| &**value), &mut out);
            }
            Segment::Keyed { set, variable, quoted: true } => out.push_str(&format!("{set}('{{{variable}}}')")),
            Segment::Keyed { set, variable, quoted: false } => out.push_str(&format!("{set}({{{variable}}})")),
        }
    }
    if out.is_empty() { "/".to_owned() } else { out }
}

fn operation(seen: &Seen<'_>, table: &SeenTable<'_>, route: &Route, action: &Action, residual: &Residual) -> Value {
    let name = &table.table.name;
    let mut parameters = keys(table, route);
    if *action == Action::List {
        let all = query(seen, table, residual).into_iter();
        parameters.extend(all.map(|(name, schema)| json!({ "name": name, "in": "query", "schema": schema })));
    }
    let record = json!({ "$ref": format!("#/components/schemas/{name}") });
    let envelope = dialect::of(seen.api).envelope();
    let reads = table.operations.iter().any(|(_, action, _)| **action == Action::Read);
    let answer = match action {
        Action::List => Some(match envelope.list {
            Records::Array(place) => ("application/json", within(place, json!({ "type": "array", "items": record }))),
            Records::Lines => ("application/x-ndjson", record),
        }),
        Action::Delete => None,
        Action::Read => Some(("application/json", within(envelope.record, record))),
        // What a write answers is judged as a read.
        _ => reads.then(|| ("application/json", within(envelope.record, record))),
    };
    let mut operation = json!({ "operationId": format!("{name}.{action}"), "responses": responses(action, answer) });
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if action.writes() && *action != Action::Delete {
        let schema = json!({ "$ref": format!("#/components/schemas/{name}.{action}") });
        operation["requestBody"] = json!({ "content": { "application/json": { "schema": schema } } });
    }
    operation
}

/// The key that a path names.
fn keys(table: &SeenTable<'_>, route: &Route) -> Vec<Value> {
    let key = match &table.table.field(table.table.key).shape {
        Shape::Plain(of) => schema_of(of),
        Shape::One { .. } | Shape::Many { .. } => json!({}),
    };
    let keys = route.path.variables();
    keys.map(|variable| json!({ "name": &**variable, "in": "path", "required": true, "schema": key })).collect()
}

fn responses(action: &Action, answer: Option<(&str, Value)>) -> Value {
    match answer {
        None => json!({ "204": { "description": "done" } }),
        Some((media_type, schema)) => {
            let status = if *action == Action::Create { "201" } else { "200" };
            let mut content = Map::new();
            content.insert(media_type.to_owned(), json!({ "schema": schema }));
            json!({ status: { "description": "done", "content": content } })
        }
    }
}

/// The document in which something lies.
fn within(place: &Place, schema: Value) -> Value {
    let wrap = |inner: Value, name: &crate::model::Name| {
        let mut properties = Map::new();
        properties.insert(name.to_string(), inner);
        json!({ "type": "object", "properties": properties })
    };
    place.0.iter().rev().fold(schema, wrap)
}

fn record<'f, 'a: 'f>(
    seen: &Seen<'_>,
    table: &SeenTable<'_>,
    fields: impl Iterator<Item = &'f SeenField<'a>>,
    written: bool,
) -> Value {
    let mut properties = Map::new();
    let (mut contained, mut in_place) = (Map::new(), Vec::new());
    for field in fields {
        let reference = |id| {
            let of = seen.table(id)?;
            Some(json!({ "$ref": format!("#/components/schemas/{}", of.table.name) }))
        };
        let declared = table.table.field(field.id);
        let schema = match &field.kind {
            // However it is masked where it is read.
            SeenKind::Plain(kind) => Some(match &declared.shape {
                Shape::Plain(of) if written => value(&Kind::Of(of.clone())),
                _ => value(kind),
            }),
            SeenKind::One { table, .. } => reference(*table).map(|one| json!({ "anyOf": [one, { "type": "null" }] })),
            SeenKind::Many { table } => reference(*table).map(|one| json!({ "type": "array", "items": one })),
        };
        let Some(schema) = schema else { continue };
        match (&field.kind, &table.table.container) {
            // Under the name of its column, which may be hidden: then so is where it would be.
            (SeenKind::One { by, .. }, Some(_)) => {
                if let Some(column) = table.readable(*by) {
                    contained.insert(column.name.to_owned(), schema);
                }
            }
            (SeenKind::One { by, .. }, None) if table.table.in_place => {
                in_place.push((table.table.field(*by).name.to_string(), schema));
            }
            _ => drop(properties.insert(field.name.to_owned(), schema)),
        }
    }
    // The related record, or what the column holds where it was not asked for.
    for (column, related) in in_place {
        let either: Vec<Value> = properties.remove(&column).into_iter().chain([related]).collect();
        properties.insert(column, json!({ "anyOf": either }));
    }
    if let (Some(container), false) = (&table.table.container, contained.is_empty()) {
        properties.insert(container.to_string(), json!({ "type": "object", "properties": contained }));
    }
    json!({ "type": "object", "properties": properties })
}

/// Any value may be null: a mask, or a record, can make it so.
fn value(kind: &Kind) -> Value {
    match kind {
        Kind::Of(Type::Json) | Kind::Mixed => json!({}),
        Kind::Of(of) => {
            let mut schema = schema_of(of);
            let declared = schema["type"].take();
            let kinds = declared.as_array().cloned().unwrap_or_else(|| vec![declared]);
            schema["type"] = kinds.into_iter().chain([json!("null")]).collect();
            schema
        }
    }
}

fn schema_of(of: &Type) -> Value {
    match of {
        Type::Int => json!({ "type": "integer", "format": "int64" }),
        Type::Double => json!({ "type": "number", "format": "double" }),
        Type::Decimal => json!({ "type": ["number", "string"], "format": "decimal" }),
        Type::String | Type::Duration => json!({ "type": "string" }),
        Type::Bool => json!({ "type": "boolean" }),
        Type::Timestamp => json!({ "type": "string", "format": "date-time" }),
        Type::Date => json!({ "type": "string", "format": "date" }),
        Type::List(of) => json!({ "type": "array", "items": value(&Kind::Of((**of).clone())) }),
        Type::Map(of) => json!({ "type": "object", "additionalProperties": value(&Kind::Of((**of).clone())) }),
        Type::Json => json!({}),
    }
}

/// Of a list: (name, schema).
fn query(seen: &Seen<'_>, table: &SeenTable<'_>, residual: &Residual) -> Vec<(String, Value)> {
    if let Dialect::Rest(rest) = &seen.api.dialect {
        let mut all = of_rest(&rest.parameters, table, residual);
        all.extend(dialect::of(seen.api).resumes().map(|resumption| (resumption.parameter.to_owned(), text())));
        return all;
    }
    let of_search = |name| searches(table, residual).then_some(name);
    let figures = |names: &'static [&'static str], known: bool| if known && table.figures { names } else { &[] };
    let more: Vec<&str> = match &seen.api.dialect {
        Dialect::Odata(odata) => {
            of_search("$search").iter().chain(figures(&["$apply"], odata.aggregates)).copied().collect()
        }
        Dialect::Directus(directus) => {
            let names = figures(&["aggregate", "groupBy"], directus.aggregates);
            of_search("search").iter().chain(names).copied().collect()
        }
        Dialect::Rest(_) | Dialect::Pocketbase(_) => Vec::new(),
    };
    let (texts, numbers): (&[&str], &[&str]) = if let Dialect::Odata(_) = &seen.api.dialect {
        (&["$filter", "$orderby", "$select", "$expand", "$count"], &["$top", "$skip"])
    } else if let Dialect::Pocketbase(_) = &seen.api.dialect {
        (&["filter", "sort", "fields", "expand", "skipTotal"], &["page", "perPage"])
    } else {
        (&["filter", "sort", "fields", "meta"], &["limit", "offset", "page"])
    };
    let texts = texts.iter().chain(&more).map(|name| ((*name).to_owned(), text()));
    texts.chain(numbers.iter().map(|name| ((*name).to_owned(), number()))).collect()
}

fn of_rest(parameters: &Parameters, table: &SeenTable<'_>, residual: &Residual) -> Vec<(String, Value)> {
    let mut all: Vec<(String, Value)> = Vec::new();
    if let Some(limit) = &parameters.limit {
        all.push((limit.name.to_string(), json!({ "type": "integer", "minimum": 1, "maximum": limit.max })));
    }
    all.extend(parameters.offset.iter().chain(&parameters.page).map(|name| (name.to_string(), number())));
    let search = parameters.search.iter().filter(|_| searches(table, residual));
    all.extend(search.map(|name| (name.to_string(), text())));
    all.extend(parameters.sort.iter().map(|sort| (sort.list.name.to_string(), text())));
    let lists = parameters.fields.iter().chain(&parameters.expand);
    all.extend(lists.map(|list| (list.name.to_string(), text())));
    let is_postgrest = parameters.style == Style::Postgrest;
    if is_postgrest {
        all.extend(["select", "order", "and", "or", "not.and", "not.or"].map(|name| (name.to_owned(), text())));
    }
    for field in table.fields.iter().filter(|field| residual.is_clear_everywhere(field.id)) {
        let SeenKind::Plain(Kind::Of(of)) = &field.kind else { continue };
        if is_postgrest {
            all.push((field.name.to_string(), text()));
        }
        for (operator, spelling) in &parameters.filter {
            let schema = match operator {
                Operator::Each => continue,
                Operator::Null => json!({ "type": "boolean" }),
                Operator::In | Operator::NotIn => text(),
                _ => schema_of(of),
            };
            all.push((spelling.replacen("{field}", field.name, 1), schema));
        }
    }
    all
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_for_a_path_stays_beside_or_in_place_of_a_property() {
        let mut paths = Map::new();
        paths.insert("/a".to_owned(), json!({ "post": 1 }));
        paths.insert("/b".to_owned(), json!({ "get": 1 }));
        for path in ["/a", "/b", "/c"] {
            add(&mut paths, path.to_owned(), json!(2));
        }
        let expected = json!({ "/a": { "post": 1, "get": 2 }, "/b": { "get": 1 }, "/c": { "get": 2 } });
        assert_eq!(Value::Object(paths), expected);
    }
}
