//! Members of a body by which an upstream is told whose a record is, where that is no column of it.
//!
//! They are the gateway's alone: a client that names one is refused, whatever it says there, and answers that hold one lose it
//! as they lose all that is not declared. A dimension that is told so is not told by its column besides.

use super::{Case, request};
use crate::api::{Shape, Table, Tenancy};
use crate::model::value::Type;
use crate::model::{Name, Reason, Value};
use crate::redact::parts;

impl Case<'_> {
    /// The body to send for a record with these members.
    pub(super) fn sent(&self, table: &Table, members: &[(&str, Vec<u8>)]) -> Result<Vec<u8>, Reason> {
        let told = self.told(table)?;
        let own = super::members(members).filter(|(name, _)| !is_told(table, name));
        Ok(request::object(own.chain(super::members(&told))))
    }

    /// The members by which an upstream is told the tenant.
    pub(super) fn told<'t>(&self, table: &'t Table) -> Result<Vec<(&'t str, Vec<u8>)>, Reason> {
        let mut told: Vec<(&[Name], Vec<u8>)> = Vec::with_capacity(table.tenant_body.len());
        for (place, dimension) in &table.tenant_body {
            let value = self.tenant.value(dimension).ok_or(Reason::TenantMissing)?;
            told.push((&place.0, printed(table, dimension, value)));
        }
        let told: Vec<(&[Name], &[u8])> = told.iter().map(|(place, value)| (*place, value.as_slice())).collect();
        Ok(nested(&told))
    }

    /// Whether a client's body names one of these members, by whichever spelling.
    pub(super) fn names_tenant(&self, table: &Table, body: &[u8]) -> bool {
        let is_tenants = |name: &[u8]| {
            table.tenant_body.iter().any(|(place, _)| place.0.first().is_some_and(|first| first.as_bytes() == name))
        };
        parts::members(body, self.depth).is_ok_and(|members| members.iter().any(|(name, _)| is_tenants(name)))
    }
}

/// Whether a member is the column of a dimension that is told elsewhere.
fn is_told(table: &Table, name: &str) -> bool {
    let Tenancy::Columns(columns) = &table.tenant else { return false };
    let of = columns.iter().find(|(_, column)| *table.field(*column).name == *name);
    of.is_some_and(|(dimension, _)| table.tenant_body.iter().any(|(_, told)| told == dimension))
}

/// A tenant's value as its column holds it: a number where the column is declared one.
pub(super) fn printed(table: &Table, dimension: &Name, value: &Name) -> Vec<u8> {
    let kind = match &table.tenant {
        Tenancy::Columns(columns) => {
            let column = columns.iter().find(|(of, _)| of == dimension);
            column.and_then(|(_, column)| match &table.field(*column).shape {
                Shape::Plain(kind) => Some(kind),
                Shape::One { .. } | Shape::Many { .. } => None,
            })
        }
        Tenancy::Via(parent) => parent.columns.iter().find(|lent| lent.dimension == *dimension).map(|lent| &lent.of),
        Tenancy::Shared => None,
    };
    match (kind, value.parse::<i64>()) {
        (Some(Type::Int), Ok(number)) => request::print(&Value::Int(number)),
        _ => request::print(&Value::String(Name::clone(value))),
    }
}

/// The members of one object, of what lies at places below it.
fn nested<'p>(places: &[(&'p [Name], &[u8])]) -> Vec<(&'p str, Vec<u8>)> {
    let mut members: Vec<(&str, Vec<u8>)> = Vec::new();
    for (place, value) in places {
        let [first, rest @ ..] = place else { continue };
        if members.iter().any(|(known, _)| **known == **first) {
            continue;
        }
        let raw = if rest.is_empty() {
            value.to_vec()
        } else {
            let below = places.iter().filter_map(|(place, value)| match place {
                [name, rest @ ..] if name == first => Some((rest, *value)),
                _ => None,
            });
            request::object(super::members(&nested(&below.collect::<Vec<_>>())))
        };
        members.push((first, raw));
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_below_one_member_are_one_object() {
        let places: [&[Name]; 4] =
            [&["meta".into(), "org".into()], &["workspace".into()], &["meta".into(), "of".into(), "app".into()], &[]];
        let values = [&b"\"acme\""[..], b"7", b"\"shop\"", b"1"];
        let all: Vec<(&[Name], &[u8])> = places.into_iter().zip(values).collect();
        let text = String::from_utf8(request::object(super::super::members(&nested(&all)))).expect("text");
        assert_eq!(text, r#"{"meta":{"org":"acme","of":{"app":"shop"}},"workspace":7}"#);
    }
}
