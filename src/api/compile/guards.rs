//! How writes are guarded between the look at a record and the write: what a table says of it, and what its routes must be.
//!
//! A write of whatever a filter finds is only as good as the filter. Where the upstream can't be trusted to find the record
//! by its key and its tenant, and nothing else, there is no such write, and the description says so before anything is sent.

use http::Method;

use super::tables::{compares_exactly, named, plain};
use super::{Known, routes, writes};
use crate::api::template::Segment;
use crate::api::{Form, Otherwise, Push, Race, Sent, Template, raw};
use crate::diagnostic::Span;
use crate::model::Action;
use crate::model::value::Type;
use crate::yaml::{Reader, Text};

/// A table's `race`, checked against its dialect, its columns and its routes.
pub(super) fn race(api: &raw::Api, table: &raw::Table, reader: &mut Reader) -> Race {
    let (race, Some(span)) = &table.race else { return table.race.0 };
    let Race::Filter(otherwise) = race else { return *race };
    let is_rest = match api.dialect {
        Some(raw::Dialect::Odata | raw::Dialect::Pocketbase) => {
            let message = "the dialect has no writes of what a filter finds";
            reader.error("bad-race", span, message).help = Some("race: if_match, or accept".to_owned());
            return *race;
        }
        Some(raw::Dialect::Rest) => true,
        Some(raw::Dialect::Directus) => false,
        None => return *race,
    };
    columns(api, table, span, reader);
    if is_rest {
        parameters(api, span, reader);
    }
    if *otherwise != Otherwise::Refuse {
        return *race;
    }
    for route in &table.routes {
        let word = &route.action;
        let help = match Action::parse(&word.value) {
            Action::Update | Action::Delete if is_rest && route.by_filter.is_none() => {
                format!("{}: {{ route: …, by_filter: /v1/contacts }}, or race: [filter, if_match]", word.value)
            }
            _ if is_rest && route.by_filter.is_none() && writes::is_change(api, route) => {
                format!("{}: {{ route: …, by_filter: /v1/contacts }}, or race: [filter, if_match]", word.value)
            }
            Action::Custom(_) if !matches!(word.value.as_str(), "replace" | "upsert" | "update_many") => {
                "race: [filter, if_match], or [filter, accept]".to_owned()
            }
            _ => continue,
        };
        let message = format!("nothing guards `{}`, which is sent to no filter", word.value);
        reader.error("bad-race", &word.span, message).help = Some(help);
    }
    *race
}

/// The columns by which every such write finds its record must be ones that find nothing else.
fn columns(api: &raw::Api, table: &raw::Table, span: &Span, reader: &mut Reader) {
    let mut needed: Vec<&str> = table.key.iter().map(|key| key.value.as_str()).collect();
    if let Some(raw::Tenant::Columns(_, columns)) = &table.tenant {
        let columns = columns.iter().map(|(_, column)| column.value.as_str());
        // A `rest` upstream has parameters of their own for its tenants, which may be said to take one for another.
        let is_loose = |name: &&str| {
            let push = named(table, name).and_then(|(_, field)| field.push.as_ref());
            matches!(push, Some((_, Push::Loose | Push::Rounded)))
        };
        match api.dialect {
            Some(raw::Dialect::Directus) => needed.extend(columns),
            _ => needed.extend(columns.filter(is_loose)),
        }
    }
    for name in needed {
        let Some((_, field)) = named(table, name) else { continue };
        let Some(of) = plain(field).filter(|of| !compares_exactly(api, field, of)) else { continue };
        let message = format!("the upstream may take another `{name}` for the one that is meant");
        let help = match (api.dialect, of) {
            (Some(raw::Dialect::Directus), Type::String) => "directus: { texts: exact }, where that is so".to_owned(),
            _ => format!("{name}: {{ type: …, push: exact }}, where that is so"),
        };
        reader.error("bad-race", span, message).help = Some(help);
    }
    if let (Some(raw::Tenant::Columns(_, columns)), Some(raw::Dialect::Rest)) = (&table.tenant, api.dialect) {
        let is_filtered = |dimension: &Text| table.tenant_filter.iter().any(|(_, of)| of.value == dimension.value);
        if !columns.iter().all(|(dimension, _)| is_filtered(dimension)) {
            reader.error("bad-race", span, "a filter finds the records of every tenant here").help =
                Some("tenant_filter: { … } for each dimension, where the upstream honours it in writes".to_owned());
        }
    }
}

/// A `rest` upstream is asked by parameters that are declared.
fn parameters(api: &raw::Api, span: &Span, reader: &mut Reader) {
    let Some(rest) = &api.rest else { return };
    if !rest.parameters.finds_equal() {
        reader.error("bad-race", span, "a record is found by the filter `eq`").help =
            Some("declare rest.parameters.filter.eq".to_owned());
    }
}

/// How a route's writes reach the upstream. `route`: its paths, at the gateway and there.
pub(super) fn sent(
    known: &Known<'_>,
    api: &raw::Api,
    table: &raw::Table,
    raw: &raw::Route,
    form: Form,
    (method, upstream_path): (&Method, &Template),
    reader: &mut Reader,
) -> Sent {
    let is_rest = api.dialect == Some(raw::Dialect::Rest);
    let filters = matches!(table.race.0, Race::Filter(_));
    let of_one =
        form == Form::Fields && matches!(raw.action.value.as_str(), "update" | "delete") || writes::is_change(api, raw);
    if let Some(word) = &raw.sent_as {
        let help = match (word.value.as_str(), raw.action.value.as_str()) {
            ("put", "update") if is_rest && raw.by_filter.is_none() => return Sent::Whole,
            ("put", "update") if is_rest => "a whole record is not sent to what a filter finds; leave one of them out",
            ("put", "update") => "the dialect changes single fields; leave `as` out",
            _ => "update: { route: \"PATCH /v1/contacts/{id}\", as: put }, for upstreams that can only replace",
        };
        let message = format!("`{}` can't be sent as `{}`", raw.action.value, word.value);
        reader.error("bad-route", &word.span, message).help = Some(help.to_owned());
        return Sent::Alike;
    }
    let reads = is_rest && raw.action.value == "read";
    if reads && raw.by_filter.is_some() && !api.rest.as_ref().is_some_and(|rest| rest.parameters.finds_equal()) {
        let span = raw.by_filter.as_ref().map_or(&raw.action.span, |word| &word.span);
        reader.error("bad-route", span, "a record is found by the filter `eq`").help =
            Some("declare rest.parameters.filter.eq".to_owned());
    }
    match &raw.by_filter {
        Some(word) if reads => filtered_path(known, method, word, reader),
        Some(word) if !filters || !of_one || !(is_rest || api.dialect == Some(raw::Dialect::Directus)) => {
            let message = format!("`{}` is not sent to what a filter finds", raw.action.value);
            let help = "`by_filter` goes with `read` and, where there is race: filter, with `update` and `delete`";
            reader.error("bad-route", &word.span, message).help = Some(help.to_owned());
            Sent::Alike
        }
        Some(word) => filtered_path(known, method, word, reader),
        // Where a Directus has its records is known.
        None if filters && of_one && api.dialect == Some(raw::Dialect::Directus) => {
            match upstream_path.segments.split_last() {
                Some((Segment::Variable(_), list)) if !list.is_empty() => {
                    Sent::Filtered(Template { segments: list.to_vec() })
                }
                _ => Sent::Alike,
            }
        }
        None => Sent::Alike,
    }
}

fn filtered_path(known: &Known<'_>, method: &Method, word: &Text, reader: &mut Reader) -> Sent {
    let text = word.meaning(format!("{method} {}", word.value));
    match routes::method_and_path(&text, reader) {
        Some((_, path)) if path.variables().next().is_none() => {
            routes::check_dimensions(known, &path, word, reader);
            Sent::Filtered(path)
        }
        Some(_) => {
            let message = "the filter says which record it is, so the path has no variable";
            reader.error("bad-path", &word.span, message);
            Sent::Alike
        }
        None => Sent::Alike,
    }
}
