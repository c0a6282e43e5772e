//! The `odata` dialect: which names it can spell, and where a service has the records of a table.

use super::tables::plain;
use crate::api::template::{Segment, is_identifier};
use crate::api::{Form, Odata, Route, RouteKind, raw};
use crate::model::Action;
use crate::model::value::Type;
use crate::yaml::{Reader, Text};

pub(super) fn odata(api: &raw::Api, reader: &mut Reader) -> Option<Odata> {
    let raw = api.odata.as_ref()?;
    for (_, table) in &api.tables {
        for field in &table.fields {
            let name = &field.name;
            if !is_simple_identifier(&name.value) {
                let message = format!("`{}` can't be a property's name in OData", name.value);
                reader.error("bad-name", &name.span, message).help =
                    Some("letters, digits and `_`, not beginning with a digit".to_owned());
            }
        }
        for (parameter, _) in &table.tenant_filter {
            let message = "the dialect `odata` filters by the tenant's columns itself";
            reader.error("bad-filter", &parameter.span, message).help = Some("leave `tenant_filter` out".to_owned());
        }
    }
    let (aggregates, search) = (raw.aggregates, raw.search);
    Some(Odata { aggregates, search, ..Odata::new(raw.default, raw.max) })
}

/// `GET /odata/v4/crm/contacts({id})`, written where the action was. `None`: beside an error.
pub(super) fn route(api: &raw::Api, name: &Text, table: &raw::Table, word: &Text, reader: &mut Reader) -> Option<Text> {
    let root = api.odata.as_ref()?.root.as_ref()?.value.trim_end_matches('/');
    let set = table.set.as_ref().unwrap_or(name);
    if !is_simple_identifier(&set.value) {
        let message = format!("`{}` can't be the name of an entity set", set.value);
        reader.error("bad-name", &set.span, message).help = Some("name it with `set`".to_owned());
        return None;
    }
    let key = table.key.as_ref()?;
    let of = table.fields.iter().find(|field| field.name.value == key.value).and_then(plain);
    let record = match of {
        Some(Type::String) => format!("{}('{{{}}}')", set.value, key.value),
        _ => format!("{}({{{}}})", set.value, key.value),
    };
    if is_count(api, word) {
        return Some(word.meaning(format!("GET {root}/{}/$count", set.value)));
    }
    let (method, path) = match Action::parse(&word.value) {
        _ if word.value == "upsert" => ("PATCH", &record),
        Action::List => ("GET", &set.value),
        Action::Read => ("GET", &record),
        Action::Create => ("POST", &set.value),
        Action::Update => ("PATCH", &record),
        Action::Delete => ("DELETE", &record),
        Action::Transfer | Action::Export | Action::Custom(_) => {
            let message = format!("OData has no route for `{}`", word.value);
            reader.error("bad-route", &word.span, message).help = Some(
                "one of list, count, read, create, update, delete; or write each as `close: POST /path`".to_owned(),
            );
            return None;
        }
    };
    Some(word.meaning(format!("{method} {root}/{path}")))
}

/// Stands for a property's name in a path. No variable of an operator's can be called so.
const PROPERTY: &str = "$property";

/// The paths of a record's properties and of their values, beside the route that reads the record (OData 4.01, part 1,
/// section 11.2.4). The upstream is asked for the record.
pub(super) fn properties(read: &Route) -> Vec<Route> {
    let RouteKind::Table { table, action: Action::Read } = read.kind else { return Vec::new() };
    let route = |raw: bool| {
        let mut path = read.path.clone();
        path.segments.push(Segment::Variable(PROPERTY.into()));
        path.segments.extend(raw.then(|| Segment::Literal("$value".into())));
        Route {
            method: read.method.clone(),
            path,
            upstream_path: read.upstream_path.clone(),
            kind: RouteKind::Property { table, raw },
            form: Form::Fields,
            sent: read.sent.clone(),
        }
    };
    vec![route(false), route(true)]
}

/// Whether a route is that of how many records there are.
pub(super) fn is_count(api: &raw::Api, word: &Text) -> bool {
    api.dialect == Some(raw::Dialect::Odata) && word.value == "count"
}

/// OData 4.01 CSDL, section 15.2, of ASCII.
fn is_simple_identifier(text: &str) -> bool {
    text.len() <= 128 && is_identifier(text)
}
