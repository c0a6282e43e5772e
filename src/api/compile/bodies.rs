//! Bodies of writes: where in them an upstream is told whose a record is.
//!
//! Such a member is the gateway's alone. None of them is a field, or a client could write it, and none lies within another,
//! or one would be lost.

use super::{Known, place as at};
use crate::api::{Place, raw};
use crate::model::Name;
use crate::yaml::{Reader, Text};

/// Members within each other.
const MAX_DEPTH: usize = 8;
/// Actions that send no body.
const BODILESS: [&str; 4] = ["list", "read", "delete", "export"];

pub(super) fn tenant_body(known: &Known<'_>, table: &raw::Table, reader: &mut Reader) -> Vec<(Place, Name)> {
    let Some((first, _)) = table.tenant_body.first() else { return Vec::new() };
    if matches!(table.tenant, Some(raw::Tenant::Shared)) {
        reader.error(
            "bad-tenant",
            &first.span,
            "a `shared` table is written for no tenant, so `tenant_body` is never sent",
        );
    } else if table.routes.iter().all(|route| BODILESS.contains(&route.action.value.as_str())) {
        reader.error("bad-tenant", &first.span, "nothing of this table is written, so `tenant_body` is never sent");
    }
    let mut found: Vec<(&Text, Place)> = Vec::new();
    let mut told = Vec::new();
    for (word, dimension) in &table.tenant_body {
        let dimension = known.dimension_beside(dimension, word, (dimension, word), reader);
        let Some(place) = place(word, reader) else { continue };
        let own = table.fields.iter().find(|field| place.0.first().is_some_and(|first| field.name.value == **first));
        if let Some(field) = own {
            let message =
                format!("`{}` lies in the field `{}`, which a client may write", word.value, field.name.value);
            reader.error("bad-tenant", &word.span, message).help =
                Some("a field that holds the tenant is one of the columns of `tenant`".to_owned());
        }
        let within = |other: &Place| place.0.starts_with(&other.0) || other.0.starts_with(&place.0);
        if let Some((other, _)) = found.iter().find(|(_, other)| within(other)) {
            let message = format!("`{}` and `{}` lie within each other", word.value, other.value);
            reader.error("bad-tenant", &word.span, message).help = Some(format!("the other one is at {}", at(other)));
        }
        found.push((word, place.clone()));
        told.extend(dimension.map(|dimension| (place, dimension)));
    }
    told
}

/// `workspace`, or `meta.org` for a member of a member.
fn place(word: &Text, reader: &mut Reader) -> Option<Place> {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_$@-".contains(&b));
    let names: Vec<&str> = word.value.split('.').collect();
    if word.value.len() <= 128 && names.len() <= MAX_DEPTH && names.iter().all(|name| is_name(name)) {
        return Some(Place(names.into_iter().map(Name::from).collect()));
    }
    reader.error("bad-place", &word.span, format!("`{}` is not a place in a body", word.value)).help =
        Some("a member such as workspace, or meta.org for a member of a member".to_owned());
    None
}
