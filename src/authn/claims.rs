//! Verified claims -> [`Principal`], by the mapping that the configuration declares for their issuer.
//!
//! Nothing is guessed: a claim of the wrong type refuses the token, roles that the configuration does not know are
//! dropped, and memberships in organizations for which the issuer may not speak are dropped. Attribute values are
//! typed here once; API keys use the same typing.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Refused;
use super::json::Json;
use crate::config::{ClaimMap, ClaimPath, ClaimValue, PrincipalSchema};
use crate::diagnostic::Diagnostic;
use crate::model::value::{Decimal, Type};
use crate::model::{Method, Name, Principal, TenantScope, Value};
use crate::policy::{ClaimExpression, Unmapped};

/// Longer ids are refused: they go to the audit log and into queries.
pub(super) const MAX_ID: usize = 256;

/// A [`ClaimMap`] together with what it needs to know of the rest of the configuration.
#[derive(Debug)]
pub(super) struct Mapping {
    method: Method,
    id: Source,
    roles: Option<Source>,
    groups: Option<Source>,
    tenant: Vec<(Name, Source)>,
    tenants: Option<Source>,
    /// Every declared attribute; `None` where nothing maps to it.
    attributes: Vec<(Name, Type, Option<Source>)>,
    reports: Option<Source>,
    known_roles: Vec<Name>,
    organizations: Vec<Name>,
    dimensions: Vec<Name>,
}

/// Where a value is taken from.
#[derive(Debug)]
enum Source {
    Claim(ClaimPath),
    Contains { word: Name, list: ClaimPath },
    Made(ClaimExpression, Type),
}

/// What a mapping needs to know beside itself.
#[derive(Clone, Copy)]
pub(super) struct Known<'c> {
    pub(super) schema: &'c PrincipalSchema,
    pub(super) organizations: &'c [Name],
    pub(super) dimensions: &'c [Name],
    pub(super) reports: Option<&'c ClaimPath>,
}

/// Claims, also as expressions read them, once one asks.
struct Claims<'j> {
    json: &'j Json,
    value: OnceCell<Value>,
}

impl Mapping {
    /// Errors: every mistake in its expressions.
    pub(super) fn compile(map: &ClaimMap, method: Method, known: Known<'_>) -> Result<Self, Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        let text = Type::String;
        let texts = Type::List(Box::new(Type::String));
        let mut source = |value: &ClaimValue, of: &Type| match Source::compile(value, of) {
            Ok(source) => Some(source),
            Err(wrong) => {
                diagnostics.extend(wrong);
                None
            }
        };
        let id = source(&map.id, &text);
        let mut optional = |value: &Option<ClaimValue>, of: &Type| value.as_ref().and_then(|value| source(value, of));
        let (roles, groups) = (optional(&map.roles, &texts), optional(&map.groups, &texts));
        let tenants = optional(&map.tenants, &Type::Json);
        let tenant =
            map.tenant.iter().filter_map(|(name, value)| Some((name.clone(), source(value, &text)?))).collect();
        let mut attributes = Vec::new();
        for (name, of) in &known.schema.attributes {
            let mapped = map.attributes.iter().find(|(mapped, _)| mapped == name);
            let mapped = mapped.and_then(|(_, value)| source(value, of));
            attributes.push((name.clone(), of.clone(), mapped));
        }
        let Some(id) = id.filter(|_| diagnostics.is_empty()) else { return Err(diagnostics) };
        Ok(Self {
            method,
            id,
            roles,
            groups,
            tenant,
            tenants,
            attributes,
            reports: known.reports.cloned().map(Source::Claim),
            known_roles: known.schema.roles.clone(),
            organizations: known.organizations.to_vec(),
            dimensions: known.dimensions.to_vec(),
        })
    }

    /// The principal of verified claims.
    pub(super) fn principal(&self, issuer: &Name, claims: &Json) -> Result<Principal, Refused> {
        let claims = &Claims { json: claims, value: OnceCell::new() };
        let id = self.id.find(claims)?;
        let id = id.as_deref().and_then(Json::text).filter(|id| is_id(id)).ok_or(Refused::Claim)?;
        let mut roles = names(claims, self.roles.as_ref())?;
        roles.retain(|role| self.known_roles.contains(role));
        let mut attributes = BTreeMap::new();
        for (name, of, source) in &self.attributes {
            let found = source.as_ref().map_or(Ok(None), |source| source.find(claims))?;
            let value = found.map_or(Some(Value::Null), |found| typed(&found, of));
            attributes.insert(name.clone(), value.ok_or(Refused::Claim)?);
        }
        let (memberships, overreaches) = self.memberships(claims)?;
        Ok(Principal {
            id: id.into(),
            issuer: issuer.clone(),
            method: self.method,
            roles,
            groups: names(claims, self.groups.as_ref())?,
            attributes,
            reports: names(claims, self.reports.as_ref())?.into(),
            memberships,
            overreaches,
            scopes: None,
        })
    }

    /// Those that this issuer may speak for.
    pub(super) fn organizations(&self) -> &[Name] {
        &self.organizations
    }

    /// With whether others were named, for which this issuer may not speak.
    fn memberships(&self, claims: &Claims<'_>) -> Result<(Vec<TenantScope>, bool), Refused> {
        let mut found = Vec::new();
        let mut single = Vec::new();
        for (dimension, source) in &self.tenant {
            single.extend(source.find(claims)?.map(|value| (dimension, value)));
        }
        // All claims absent: the token names no tenant here. Some absent: half a tenant, which is a broken token.
        if !single.is_empty() {
            let value = |wanted: &Name| single.iter().find(|(name, _)| *name == wanted).map(|(_, value)| &**value);
            found.push(scope(&self.dimensions, value)?);
        }
        match self.tenants.as_ref().map_or(Ok(None), |source| source.find(claims))?.as_deref() {
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
        let named = found.len();
        found.retain(speaks_for);
        let overreaches = found.len() < named;
        found.sort();
        found.dedup();
        Ok((found, overreaches))
    }
}

impl Source {
    fn compile(value: &ClaimValue, of: &Type) -> Result<Self, Vec<Diagnostic>> {
        Ok(match value {
            ClaimValue::Claim(path) => Self::Claim(path.clone()),
            ClaimValue::Contains { word, list } => Self::Contains { word: word.clone(), list: list.clone() },
            ClaimValue::Expression(text) => Self::Made(ClaimExpression::compile(text, of)?, of.clone()),
        })
    }

    /// `None`: a claim that it needs is not there. Errors: what is there does not fit.
    fn find<'j>(&self, claims: &Claims<'j>) -> Result<Option<Cow<'j, Json>>, Refused> {
        match self {
            Self::Claim(path) => Ok(at(claims.json, path).map(Cow::Borrowed)),
            Self::Contains { word, list } => match at(claims.json, list) {
                None => Ok(None),
                Some(claim) => {
                    let held = claim.texts().ok_or(Refused::Claim)?.contains(&&**word);
                    Ok(Some(Cow::Owned(Json::Bool(held))))
                }
            },
            Self::Made(expression, of) => {
                let value = claims.value.get_or_init(|| claims.json.to_value());
                match expression.value(value) {
                    Ok(made) => Json::of(&made, of).map(|made| Some(Cow::Owned(made))).ok_or(Refused::Claim),
                    Err(Unmapped::Absent) => Ok(None),
                    Err(Unmapped::Failed) => Err(Refused::Claim),
                }
            }
        }
    }
}

impl Json {
    /// As an expression reads it; every value has its own.
    fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Int(number) => Value::Int(*number),
            Self::Double(number) => Value::Double(*number),
            Self::String(text) => Value::string(text.as_str()),
            Self::List(items) => Value::List(items.iter().map(Self::to_value).collect()),
            Self::Map(members) => {
                let member = |(name, json): &(String, Self)| (Name::from(name.as_str()), json.to_value());
                Value::Map(Arc::new(members.iter().map(member).collect()))
            }
        }
    }

    /// As a claim would hold a value of the declared type.
    fn of(value: &Value, of: &Type) -> Option<Self> {
        let inner = match of {
            Type::List(of) | Type::Map(of) => of,
            other => other,
        };
        Some(match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Int(number) => Self::Int(*number),
            Value::Double(number) => Self::Double(*number),
            Value::String(text) => Self::String(text.to_string()),
            Value::Decimal(number) => Self::String(number.to_string()),
            Value::Duration(duration) => Self::String(duration.to_string()),
            Value::Timestamp(instant) if *of == Type::Date => {
                Self::String(instant.to_string().strip_suffix("T00:00:00Z")?.to_owned())
            }
            Value::Timestamp(instant) => Self::String(instant.to_string()),
            Value::List(items) => Self::List(items.iter().map(|item| Self::of(item, inner)).collect::<Option<_>>()?),
            Value::Map(members) => {
                let member = |(name, value): (&Name, &Value)| Some((name.to_string(), Self::of(value, inner)?));
                Self::Map(members.iter().map(member).collect::<Option<_>>()?)
            }
        })
    }
}

/// The claim at a path; absent if any step of it is.
fn at<'j>(claims: &'j Json, path: &ClaimPath) -> Option<&'j Json> {
    path.0.iter().try_fold(claims, |value, name| value.member(name))
}

/// A list of non-empty strings; an absent claim is an empty list.
fn names(claims: &Claims<'_>, source: Option<&Source>) -> Result<Vec<Name>, Refused> {
    let Some(claim) = source.map_or(Ok(None), |source| source.find(claims))? else { return Ok(Vec::new()) };
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
