//! Verified claims -> [`Principal`], by the mapping that the configuration declares for their issuer.
//!
//! Nothing is guessed: a claim of the wrong type refuses the token, roles that the configuration does not know are
//! dropped, and memberships in organizations for which the issuer may not speak are dropped. Attribute values are
//! typed here once; API keys use the same typing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Refused;
use super::json::Json;
use crate::config::{ClaimMap, ClaimPath, ClaimValue, PrincipalSchema};
use crate::model::value::{Decimal, Type};
use crate::model::{Method, Name, Principal, TenantScope, Value};

/// Longer ids are refused: they go to the audit log and into queries.
pub(super) const MAX_ID: usize = 256;

/// A [`ClaimMap`] together with what it needs to know of the rest of the configuration.
#[derive(Debug)]
pub(super) struct Mapping {
    id: ClaimPath,
    roles: Option<ClaimPath>,
    groups: Option<ClaimPath>,
    tenant: Vec<(Name, ClaimPath)>,
    tenants: Option<ClaimPath>,
    /// Every declared attribute; `None` where nothing maps to it.
    attributes: Vec<(Name, Type, Option<ClaimValue>)>,
    reports: Option<ClaimPath>,
    known_roles: Vec<Name>,
    organizations: Vec<Name>,
    dimensions: Vec<Name>,
}

impl Mapping {
    pub(super) fn new(
        map: &ClaimMap,
        schema: &PrincipalSchema,
        organizations: &[Name],
        dimensions: &[Name],
        reports: Option<&ClaimPath>,
    ) -> Self {
        let source = |name: &Name| map.attributes.iter().find(|(mapped, _)| mapped == name).map(|(_, v)| v.clone());
        Self {
            id: map.id.clone(),
            roles: map.roles.clone(),
            groups: map.groups.clone(),
            tenant: map.tenant.clone(),
            tenants: map.tenants.clone(),
            attributes: schema.attributes.iter().map(|(name, of)| (name.clone(), of.clone(), source(name))).collect(),
            reports: reports.cloned(),
            known_roles: schema.roles.clone(),
            organizations: organizations.to_vec(),
            dimensions: dimensions.to_vec(),
        }
    }

    /// The principal of verified claims.
    pub(super) fn principal(&self, issuer: &Name, claims: &Json) -> Result<Principal, Refused> {
        let id = at(claims, &self.id).and_then(Json::text).filter(|id| is_id(id)).ok_or(Refused::Claim)?;
        let mut roles = names(claims, self.roles.as_ref())?;
        roles.retain(|role| self.known_roles.contains(role));
        let mut attributes = BTreeMap::new();
        for (name, of, source) in &self.attributes {
            let value = source.as_ref().map_or(Some(Value::Null), |source| attribute(claims, source, of));
            attributes.insert(name.clone(), value.ok_or(Refused::Claim)?);
        }
        Ok(Principal {
            id: id.into(),
            issuer: issuer.clone(),
            method: Method::Jwt,
            roles,
            groups: names(claims, self.groups.as_ref())?,
            attributes,
            reports: names(claims, self.reports.as_ref())?.into(),
            memberships: self.memberships(claims)?,
            scopes: None,
        })
    }

    /// Those that this issuer may speak for.
    pub(super) fn organizations(&self) -> &[Name] {
        &self.organizations
    }

    fn memberships(&self, claims: &Json) -> Result<Vec<TenantScope>, Refused> {
        let mut found = Vec::new();
        let single = |dimension: &Name| {
            let path = self.tenant.iter().find(|(name, _)| name == dimension).map(|(_, path)| path);
            path.and_then(|path| at(claims, path))
        };
        // All claims absent: the token names no tenant here. Some absent: half a tenant, which is a broken token.
        if !self.tenant.is_empty() && self.dimensions.iter().any(|dimension| single(dimension).is_some()) {
            found.push(scope(&self.dimensions, single)?);
        }
        match self.tenants.as_ref().and_then(|path| at(claims, path)) {
            None => {}
            Some(Json::List(items)) => {
                for item in items {
                    found.push(scope(&self.dimensions, |dimension| item.member(dimension))?);
                }
            }
            Some(_) => return Err(Refused::Claim),
        }
        let speaks_for = |scope: &TenantScope| {
            let first = scope.dimensions().next().map(|(_, value)| value);
            first.is_some_and(|value| self.organizations.contains(value))
        };
        found.retain(speaks_for);
        found.sort();
        found.dedup();
        Ok(found)
    }
}

/// The claim at a path; absent if any step of it is.
fn at<'j>(claims: &'j Json, path: &ClaimPath) -> Option<&'j Json> {
    path.0.iter().try_fold(claims, |value, name| value.member(name))
}

/// A list of non-empty strings; an absent claim is an empty list.
fn names(claims: &Json, path: Option<&ClaimPath>) -> Result<Vec<Name>, Refused> {
    let Some(claim) = path.and_then(|path| at(claims, path)) else { return Ok(Vec::new()) };
    let texts = claim.texts().filter(|texts| texts.iter().all(|text| is_id(text))).ok_or(Refused::Claim)?;
    Ok(texts.into_iter().map(Name::from).collect())
}

fn scope<'j>(dimensions: &[Name], value: impl Fn(&Name) -> Option<&'j Json>) -> Result<TenantScope, Refused> {
    let value = |name: &str| {
        let dimension = dimensions.iter().find(|dimension| &***dimension == name)?;
        value(dimension).and_then(Json::text).filter(|text| is_tenant_value(text))
    };
    TenantScope::new(dimensions, value).ok_or(Refused::Claim)
}

/// Whether text may be the id of a principal, a role or a group.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= MAX_ID && !text.chars().any(char::is_control)
}

/// Whether text may be a tenant dimension's value: `/` joins the values where a client names a tenant, so it can't be
/// part of one.
pub(super) fn is_tenant_value(text: &str) -> bool {
    is_id(text) && !text.contains('/')
}

fn attribute(claims: &Json, source: &ClaimValue, of: &Type) -> Option<Value> {
    match source {
        ClaimValue::Claim(path) => at(claims, path).map_or(Some(Value::Null), |claim| typed(claim, of)),
        ClaimValue::Contains { word, list } => match at(claims, list) {
            None => Some(Value::Null),
            Some(claim) => Some(Value::Bool(claim.texts()?.contains(&&**word))).filter(|_| *of == Type::Bool),
        },
    }
}

/// A JSON value as a declared type; `None` if it is of another. Null is null at the top only: a null inside a
/// list or a map could equal a record's null.
pub(super) fn typed(json: &Json, of: &Type) -> Option<Value> {
    if *json == Json::Null { Some(Value::Null) } else { present(json, of) }
}

fn present(json: &Json, of: &Type) -> Option<Value> {
    match (of, json) {
        (_, Json::Null) => None,
        (Type::Int | Type::Json, Json::Int(number)) => Some(Value::Int(*number)),
        (Type::Double, Json::Int(number)) => Some(Value::Double(*number as f64)),
        (Type::Double | Type::Json, Json::Double(number)) => Some(Value::Double(*number)),
        // A fraction has been through f64 by now; only whole numbers and strings keep their digits.
        (Type::Decimal, Json::Int(number)) => Decimal::parse(&number.to_string()).map(Value::Decimal),
        (Type::Decimal, Json::String(text)) => Decimal::parse(text).map(Value::Decimal),
        (Type::String | Type::Json, Json::String(text)) => Some(Value::string(text.as_str())),
        (Type::Bool | Type::Json, Json::Bool(value)) => Some(Value::Bool(*value)),
        (Type::Timestamp, Json::String(text)) => text.parse::<Timestamp>().ok().map(Value::Timestamp),
        (Type::Date, Json::String(text)) => {
            let date: Date = Some(text).filter(|text| text.len() == 10)?.parse().ok()?;
            TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok().map(Value::Timestamp)
        }
        (Type::Duration, Json::String(text)) => text.parse::<SignedDuration>().ok().map(Value::Duration),
        (Type::List(of), Json::List(items)) => list(items, of),
        (Type::Json, Json::List(items)) => list(items, &Type::Json),
        (Type::Map(of), Json::Map(members)) => map(members, of),
        (Type::Json, Json::Map(members)) => map(members, &Type::Json),
        _ => None,
    }
}

fn list(items: &[Json], of: &Type) -> Option<Value> {
    items.iter().map(|item| present(item, of)).collect::<Option<Arc<[_]>>>().map(Value::List)
}

fn map(members: &[(String, Json)], of: &Type) -> Option<Value> {
    let entry = |(name, json): &(String, Json)| Some((Name::from(name.as_str()), present(json, of)?));
    members.iter().map(entry).collect::<Option<BTreeMap<_, _>>>().map(|map| Value::Map(Arc::new(map)))
}

#[cfg(test)]
mod tests;
