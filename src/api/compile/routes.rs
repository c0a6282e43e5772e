//! Routes: which method and path mean which action, and that no request means two things.
//!
//! "First match wins" is never an answer here: two routes that one request can match are an error that names both. Nor
//! may an opaque route reach, at the upstream, what a table's route reaches: it would pass unread.

use http::Method;

use super::{Known, guards, opaque, place, unknown, writes};
use crate::api::template::Segment;
use crate::api::{ApiId, Document, Form, Route, RouteKind, Sent, Template, raw};
use crate::model::{Action, Name};
use crate::yaml::{Reader, Text};

/// A route and where it is written.
pub(super) struct Placed {
    pub(super) api: ApiId,
    pub(super) route: Route,
    upstream: Option<Name>,
    /// The table or the opaque route.
    owner: Name,
    text: Text,
}

pub(super) fn routes(known: &Known<'_>, api: ApiId, described: &raw::Api, reader: &mut Reader) -> Vec<Placed> {
    let upstream: Option<Name> = described.upstream.as_ref().map(|name| name.value.as_str().into());
    let mut placed = Vec::new();
    for (name, table) in &described.tables {
        for raw in &table.routes {
            let (mut action, form) = writes::meaning(described, table, raw, reader);
            let counts = super::odata::is_count(described, &raw.action);
            if counts {
                action = Action::List;
            }
            let Some(text) = raw.route.clone().or_else(|| preset(described, name, table, &raw.action, reader)) else {
                continue;
            };
            let route = table_route(known, &action, form, raw, &text, reader);
            if matches!(table.tenant, Some(raw::Tenant::Shared)) && action.writes() {
                let message = format!("the table `{}` is shared by all tenants and can't be written", name.value);
                reader.error("shared-write", &raw.action.span, message);
            }
            let Some(((method, path, upstream_path), table_id)) =
                route.zip(known.tables.get(name.value.as_str()).map(|known| known.id))
            else {
                continue;
            };
            let sent = guards::sent(known, described, table, raw, form, (&method, &upstream_path), reader);
            let kind = match counts {
                true => RouteKind::Count { table: table_id },
                false => RouteKind::Table { table: table_id, action },
            };
            placed.push(Placed {
                api,
                route: Route { method, path, upstream_path, kind, form, sent },
                upstream: upstream.clone(),
                owner: name.value.as_str().into(),
                text,
            });
        }
    }
    for (document, text) in documents(described, reader) {
        let Some((method, path)) = method_and_path(&text, reader) else { continue };
        check_dimensions(known, &path, &text, reader);
        if path.variables().next().is_some() {
            let message = "a document is about no record, so its path has no variable";
            reader.error("bad-path", &text.span, message);
        }
        let (upstream_path, kind) = (path.clone(), RouteKind::Metadata(document));
        placed.push(Placed {
            api,
            route: Route { method, path, upstream_path, kind, form: Form::Fields, sent: Sent::Alike },
            upstream: upstream.clone(),
            owner: "metadata".into(),
            text,
        });
    }
    for (name, raw) in &described.opaque {
        super::check_word(name, "an opaque route's name", reader);
        let Some(route) = opaque::route(known, described, name, raw, reader) else { continue };
        let Some(text) = raw.route.clone() else { continue };
        let owner = name.value.as_str().into();
        placed.push(Placed { api, route, upstream: upstream.clone(), owner, text });
    }
    if let Some((route, text)) = described.batch.as_ref().and_then(|raw| writes::batch(known, described, raw, reader)) {
        placed.push(Placed { api, route, upstream, owner: "batch".into(), text });
    }
    placed
}

/// The documents that are declared, each with its route.
fn documents(described: &raw::Api, reader: &mut Reader) -> Vec<(Document, Text)> {
    let Some(metadata) = &described.metadata else { return Vec::new() };
    let get = |path: &Text, route: String| path.meaning(format!("GET {route}"));
    let openapi = metadata.openapi.as_ref().map(|path| (Document::Openapi, get(path, path.value.clone())));
    let mut all: Vec<(Document, Text)> = openapi.into_iter().collect();
    match described.odata.as_ref().and_then(|odata| odata.root.as_ref()) {
        Some(root) if metadata.odata => {
            let path = root.value.trim_end_matches('/');
            let service = if path.is_empty() { "/" } else { path };
            all.push((Document::Service, get(root, service.to_owned())));
            all.push((Document::Csdl, get(root, format!("{path}/$metadata"))));
        }
        None if metadata.odata && described.dialect.is_some_and(|spoken| spoken != raw::Dialect::Odata) => {
            reader.error("bad-route", &metadata.span, "only the dialect `odata` has OData's documents").help =
                Some("openapi: /openapi.json is for every dialect".to_owned());
        }
        _ => {}
    }
    if all.is_empty() && !metadata.odata {
        reader.error("missing-key", &metadata.span, "`metadata` declares no document").help =
            Some("openapi: /openapi.json, or odata: true".to_owned());
    }
    all
}

/// Where the dialect has the route of an action that is only named. `None`: beside an error.
fn preset(api: &raw::Api, name: &Text, table: &raw::Table, word: &Text, reader: &mut Reader) -> Option<Text> {
    match api.dialect? {
        raw::Dialect::Odata => super::odata::route(api, name, table, word, reader),
        raw::Dialect::Directus => super::directus::route(name, table, word, reader),
        raw::Dialect::Rest | raw::Dialect::Pocketbase => {
            let message = "only the dialects `odata` and `directus` have routes of their own";
            reader.error("bad-route", &word.span, message).help =
                Some("write each with its method and path, for example list: GET /v1/contacts".to_owned());
            None
        }
    }
}

fn table_route(
    known: &Known<'_>,
    action: &Action,
    form: Form,
    raw: &raw::Route,
    text: &Text,
    reader: &mut Reader,
) -> Option<(Method, Template, Template)> {
    let word = &raw.action;
    let expected = match action {
        Action::Update if form != Form::Fields => writes::expected(form, text),
        Action::List => (Method::GET, 0),
        Action::Read => (Method::GET, 1),
        Action::Create => (Method::POST, 0),
        Action::Update => (Method::PATCH, 1),
        Action::Delete => (Method::DELETE, 1),
        Action::Custom(_) => {
            super::check_word(word, "an action's name", reader);
            (Method::POST, 1)
        }
        Action::Transfer | Action::Export => {
            let help = match action {
                Action::Transfer => "changing the owner is an `update`; a policy grants `transfer` beside it",
                _ => "a list answers `Accept: text/csv` where a policy grants `export`",
            };
            reader.error("bad-route", &word.span, format!("`{action}` has no route of its own")).help =
                Some(help.to_owned());
            return None;
        }
    };
    let (method, path) = method_and_path(text, reader)?;
    let variables = path.variables().count();
    if method != expected.0 {
        let replaces = method == Method::PUT && form == Form::Fields;
        let message = if replaces {
            format!("`{}` does not replace a record", word.value)
        } else {
            format!("`{}` is {} and not {method}", word.value, expected.0)
        };
        let help = if replaces && *action == Action::Update {
            "declare PATCH, which changes the fields that it names; `replace` is PUT".to_owned()
        } else {
            format!("write `{}: {} {path}`", word.value, expected.0)
        };
        reader.error("bad-method", &text.span, message).help = Some(help);
        return None;
    }
    if variables != expected.1 {
        let (message, help) = if expected.1 == 0 {
            (format!("`{}` is about no single record, so its path has no variable", word.value), None)
        } else {
            let message = format!("the path of `{}` needs exactly one variable, the record's key", word.value);
            (message, Some("for example /v1/contacts/{id}".to_owned()))
        };
        reader.error("bad-path", &text.span, message).help = help;
        return None;
    }
    let upstream_path = upstream_path(known, &path, raw.upstream_path.as_ref(), text, reader)?;
    Some((method, path, upstream_path))
}

pub(super) fn method_and_path(text: &Text, reader: &mut Reader) -> Option<(Method, Template)> {
    let Some((method, path)) = text.value.split_once(' ').map(|(method, path)| (method, path.trim())) else {
        reader.error("bad-route", &text.span, format!("`{}` is not a method and a path", text.value)).help =
            Some("for example GET /v1/contacts".to_owned());
        return None;
    };
    let method = match method {
        "GET" => Method::GET,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        "HEAD" | "OPTIONS" | "TRACE" | "CONNECT" => {
            reader.error("bad-method", &text.span, format!("{method} can't be declared"));
            return None;
        }
        _ => {
            let upper = method.to_ascii_uppercase();
            let known = ["GET", "POST", "PATCH", "DELETE"];
            let help = known.contains(&upper.as_str()).then(|| format!("write {upper}"));
            reader.error("bad-method", &text.span, format!("unknown method `{method}`")).help =
                help.or_else(|| Some(format!("one of {}", known.join(", "))));
            return None;
        }
    };
    template(path, text, reader).map(|path| (method, path))
}

fn template(path: &str, text: &Text, reader: &mut Reader) -> Option<Template> {
    match Template::parse(path) {
        Ok(template) => Some(template),
        Err(message) => {
            reader.error("bad-path", &text.span, message);
            None
        }
    }
}

/// The upstream's path, or the client's where none is given. It bears the same variables, or it would mean another record.
pub(super) fn upstream_path(
    known: &Known<'_>,
    path: &Template,
    written: Option<&Text>,
    route: &Text,
    reader: &mut Reader,
) -> Option<Template> {
    check_dimensions(known, path, route, reader);
    let Some(text) = written else { return Some(path.clone()) };
    let upstream = template(&text.value, text, reader)?;
    check_dimensions(known, &upstream, text, reader);
    for variable in upstream.variables().filter(|name| !path.variables().any(|known| known == *name)) {
        reader.error("bad-path", &text.span, format!("`{{{variable}}}` is not a variable of the route"));
    }
    for variable in path.variables().filter(|name| !upstream.variables().any(|known| known == *name)) {
        let message = format!("the upstream's path leaves out `{{{variable}}}`, and would mean another record");
        reader.error("bad-path", &text.span, message);
    }
    Some(upstream)
}

pub(super) fn check_dimensions(known: &Known<'_>, path: &Template, text: &Text, reader: &mut Reader) {
    for dimension in path.tenant_dimensions().filter(|name| !known.dimensions.contains(*name)) {
        unknown("dimension", dimension, &text.span, known.dimensions.iter().map(|name| &**name), reader);
    }
}

/// Over all APIs: they share the listeners.
pub(super) fn check_overlaps(placed: &[Placed], reader: &mut Reader) {
    for (index, later) in placed.iter().enumerate() {
        for earlier in placed.iter().take(index) {
            let same_method = earlier.route.method == later.route.method;
            if same_method && earlier.route.path.overlaps(&later.route.path) {
                let message = format!(
                    "`{}` of `{}` and `{}` of `{}` can match the same request",
                    later.text.value, later.owner, earlier.text.value, earlier.owner
                );
                reader.error("overlapping-routes", &later.text.span, message).help =
                    Some(format!("the other one is at {}", place(&earlier.text)));
            } else if earlier.is_opaque() != later.is_opaque()
                && earlier.upstream == later.upstream
                && earlier.route.upstream_path.overlaps(&later.route.upstream_path)
            {
                let (opaque, table) = if later.is_opaque() { (later, earlier) } else { (earlier, later) };
                if !same_method && !reaches(&opaque.route.upstream_path, &table.route.upstream_path) {
                    continue;
                }
                let message = format!(
                    "the opaque route `{}` reaches `{}` of `{}` unread",
                    opaque.owner, table.route.upstream_path, table.owner
                );
                reader.error("overlapping-routes", &opaque.text.span, message).help =
                    Some(format!("the table's route is at {}", place(&table.text)));
            }
        }
    }
}

/// Whether a path names all that a table's path names: then any method of it meets the table's records. A word where the
/// table has its key, such as `/contacts/import`, is a place of its own.
fn reaches(opaque: &Template, table: &Template) -> bool {
    opaque.segments.iter().zip(&table.segments).all(|(opaque, table)| {
        matches!(
            (opaque, table),
            (Segment::Variable(_) | Segment::Tenant(_), _)
                | (Segment::Literal(_), Segment::Literal(_))
                | (Segment::Keyed { .. }, Segment::Keyed { .. })
        )
    })
}

impl Placed {
    fn is_opaque(&self) -> bool {
        matches!(self.route.kind, RouteKind::Opaque { .. })
    }
}
