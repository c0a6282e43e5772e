//! API keys for services: `scrim_<id>_<secret>`, stored as a keyed hash beside the principal that each stands for.
//!
//! The file never holds a key, and without the hash key (a secret of its own) nothing in it helps to guess one. Every
//! key names its tenants and its end. An unknown id costs the same work as a known one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_lc_rs::hmac;
use jiff::Timestamp;
use subtle::ConstantTimeEq;

use super::json::Json;
use super::{Parts, Refused, claims};
use crate::config::{self, Hierarchy};
use crate::diagnostic::{Diagnostic, Source, Span, has_errors, nearest};
use crate::model::value::Type;
use crate::model::{Action, Method, Name, Principal, Scope, TenantScope, Value};
use crate::secret::Secret;
use crate::yaml::{self, Node, Reader, Text};

/// What every key begins with, for scanners that look for leaked secrets.
pub const PREFIX: &str = "scrim";
/// The issuer of principals that come with a key.
pub const ISSUER: &str = "api-keys";
/// A longer key is refused unread.
const MAX_KEY: usize = 256;
/// A hash key with fewer bytes can be guessed.
const MIN_HASH_KEY: usize = 16;

/// The keys of one file, by id.
#[derive(Debug)]
pub(super) struct ApiKeys {
    hash_key: hmac::Key,
    keys: HashMap<String, Entry>,
    /// Of all keys, with their places.
    scopes: Vec<(Scope, Span)>,
}

#[derive(Debug)]
struct Entry {
    hash: [u8; 32],
    principal: Principal,
    expires: Timestamp,
    /// Where the file says so.
    expires_at: Span,
}

/// The hex digits under which a key is stored: HMAC-SHA-256 of the whole key.
pub fn hash(hash_key: &Secret, key: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, hash_key.expose()), key.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether text may be the id within a key: short, and without the character that separates a key's parts.
pub fn is_key_id(text: &str) -> bool {
    (4..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// Whether text may be a principal's id.
pub fn is_principal_id(text: &str) -> bool {
    claims::is_id(text)
}

impl ApiKeys {
    /// Warnings: keys that speak for an organization of an issuer.
    pub(super) fn load(file: &config::ApiKeys, parts: &Parts<'_>) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let source = super::read(&file.file)?;
        compile(&source, file, parts)
    }

    /// Values of the first dimension that any key speaks for.
    pub(super) fn organizations(&self) -> impl Iterator<Item = Name> {
        self.keys.values().flat_map(|entry| &entry.principal.memberships).filter_map(organization).cloned()
    }

    /// What keys are cut down to, with where the file says so.
    pub(super) fn scopes(&self) -> &[(Scope, Span)] {
        &self.scopes
    }

    /// Keys that have ended.
    pub(super) fn expired(&self, now: Timestamp) -> impl Iterator<Item = Diagnostic> {
        let ended = self.keys.iter().filter(move |(_, entry)| entry.expires <= now);
        ended.map(|(id, entry)| {
            let message = format!("the API key `{id}` has expired");
            let warning = Diagnostic::warning("api-key-expired", entry.expires_at.clone(), message);
            warning.help("leave it out, or replace it by a new one of `scrim keys new`")
        })
    }

    /// The principal of a key as a client sent it.
    pub(super) fn authenticate(&self, key: &str, now: Timestamp) -> Result<Principal, Refused> {
        let id = id_of(key).ok_or(Refused::Malformed)?;
        let tag = hmac::sign(&self.hash_key, key.as_bytes());
        let entry = self.keys.get(id);
        // All zeros stand in for an unknown id; they may even match without letting anybody in.
        let stored = entry.map_or(&[0; 32], |entry| &entry.hash);
        let same = bool::from(stored.ct_eq(tag.as_ref()));
        let entry = entry.filter(|_| same).ok_or(Refused::ApiKey)?;
        if now >= entry.expires { Err(Refused::Expired) } else { Ok(entry.principal.clone()) }
    }
}

/// The id within a key of the right form.
pub(super) fn id_of(key: &str) -> Option<&str> {
    let (prefix, rest) = key.split_once('_').filter(|_| key.len() <= MAX_KEY)?;
    let (id, secret) = rest.split_once('_')?;
    let sound = secret.len() >= 43 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    Some(id).filter(|id| prefix == PREFIX && is_key_id(id) && sound)
}

fn organization(tenant: &TenantScope) -> Option<&Name> {
    tenant.dimensions().next().map(|(_, value)| value)
}

fn compile(
    source: &Arc<Source>,
    file: &config::ApiKeys,
    parts: &Parts<'_>,
) -> Result<(ApiKeys, Vec<Diagnostic>), Vec<Diagnostic>> {
    let hash_key = &file.key;
    let root = yaml::parse(source)?;
    let mut reader = Reader::default();
    if hash_key.expose().len() < MIN_HASH_KEY {
        let message = format!("the secret that hashes API keys needs at least {MIN_HASH_KEY} bytes");
        reader.error("weak-secret", &Span::new(source, 0..0), message);
    }
    let mut keys = HashMap::new();
    let mut fields = reader.fields(&root, "the file of API keys");
    let list = fields.require("keys", &mut reader).map(|node| reader.list(node, "`keys`")).unwrap_or_default();
    fields.finish(&mut reader);
    let (mut tenants, mut scopes) = (Vec::new(), Vec::new());
    for node in list {
        if let Some((id, place, entry)) = key(node, parts, &mut tenants, &mut scopes, &mut reader)
            && keys.insert(id.clone(), entry).is_some()
        {
            reader.error("duplicate-key-id", &place, format!("a second key with the id `{id}`"));
        }
    }
    if has_errors(&reader.diagnostics) {
        return Err(reader.diagnostics);
    }
    reader.diagnostics.extend(strangers(&tenants, &file.ids, parts));
    Ok((ApiKeys { hash_key: hmac::Key::new(hmac::HMAC_SHA256, hash_key.expose()), keys, scopes }, reader.diagnostics))
}

/// A key and an issuer that may speak for one organization may have one id for two principals, who then own each other's
/// records. Said once, at the first such key.
pub(super) fn strangers(tenants: &[(TenantScope, Span)], ids: &config::Ids, parts: &Parts<'_>) -> Option<Diagnostic> {
    tenants.iter().find_map(|(tenant, span)| {
        let organization = organization(tenant)?;
        let issuers = parts.authn.jwt.iter().map(|issuer| (&issuer.issuer, &issuer.organizations, &issuer.ids));
        let asked = parts.authn.introspection.iter().map(|asked| (&asked.issuer, &asked.organizations, &asked.ids));
        let (issuer, ..) = issuers
            .chain(asked)
            .find(|(_, organizations, theirs)| organizations.contains(organization) && !theirs.are_those_of(ids))?;
        let message = format!(
            "`{issuer}` may speak for `{organization}` too, and owners of records are told apart by `principal.id` alone"
        );
        Some(Diagnostic::warning("shared-organization", span.clone(), message).help(config::Ids::HELP))
    })
}

/// `tenants` and `scopes`: take those of the key, with their places.
fn key(
    node: &Node,
    parts: &Parts<'_>,
    tenants: &mut Vec<(TenantScope, Span)>,
    scopes: &mut Vec<(Scope, Span)>,
    reader: &mut Reader,
) -> Option<(String, Span, Entry)> {
    let mut fields = reader.fields(node, "an API key");
    let id = fields.require("id", reader).and_then(|node| reader.text(node, "`id`"));
    let hash = fields.require("hash", reader).and_then(|node| hash_bytes(node, reader));
    let principal = fields.require("principal", reader).and_then(|node| principal(node, parts, reader));
    let expires = fields
        .require("expires", reader)
        .and_then(|node| Some((super::timestamp(node, "`expires`", reader)?, node.span.clone())));
    let cut = fields.take("scopes").map(|node| reader.texts(node, "`scopes`"));
    let cut = cut.map(|words| words.iter().filter_map(|word| scope(word, reader)).collect::<Vec<_>>());
    let memberships = memberships(&mut fields, "an API key", parts, reader);
    let reports = fields.take("reports").map(|node| {
        if !matches!(parts.hierarchy, Hierarchy::Claim(_)) {
            let message = "`reports` has no effect unless the hierarchy comes from a claim";
            reader.error("unused-reports", &node.span, message);
        }
        ids(node, "`reports`", reader)
    });
    fields.finish(reader);
    let id = id?;
    if !is_key_id(&id.value) {
        let message = format!("`{}` is no key id: 4 to 32 lower-case letters and digits", id.value);
        reader.error("key-id", &id.span, message);
        return None;
    }
    let mut principal = principal?;
    principal.memberships = memberships.iter().map(|(scope, _)| scope.clone()).collect();
    tenants.extend(memberships);
    principal.reports = reports.unwrap_or_default().into();
    // An empty list is a key that is good for nothing, not for everything.
    principal.scopes = cut.as_ref().map(|cut| cut.iter().map(|(scope, _)| scope.clone()).collect());
    scopes.extend(cut.into_iter().flatten());
    let (expires, expires_at) = expires?;
    Some((id.value, id.span, Entry { hash: hash?, principal, expires, expires_at }))
}

/// `contacts:read`, or `contacts:*`.
fn scope(word: &Text, reader: &mut Reader) -> Option<(Scope, Span)> {
    let parts = word.value.split_once(':').filter(|(table, action)| !table.is_empty() && !action.is_empty());
    let Some((table, action)) = parts else {
        let message = format!("`{}` is no scope", word.value);
        reader.error("bad-scope", &word.span, message).help = Some("for example contacts:read, or contacts:*".into());
        return None;
    };
    let action = (action != "*").then(|| Action::parse(action));
    Some((Scope { table: table.into(), action }, word.span.clone()))
}

fn hash_bytes(node: &Node, reader: &mut Reader) -> Option<[u8; 32]> {
    let text = reader.text(node, "`hash`")?.value;
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let bytes: Option<Vec<u8>> = digits
        .map(|digits| digits.chunks(2).map(|pair| pair.iter().fold(0u8, |byte, digit| byte << 4 | digit)).collect());
    let hash = bytes.filter(|_| text.len() == 64).and_then(|bytes| bytes.try_into().ok());
    if hash.is_none() {
        let help = "`scrim keys new` prints it";
        reader.error("key-hash", &node.span, "`hash` must be 64 hex digits").help = Some(help.into());
    }
    hash
}

pub(super) fn principal(node: &Node, parts: &Parts<'_>, reader: &mut Reader) -> Option<Principal> {
    let mut fields = reader.fields(node, "a principal");
    let id = fields.require("id", reader).and_then(|node| id(node, "the principal's id", reader));
    let roles = fields.require("roles", reader).map(|node| reader.texts(node, "`roles`")).unwrap_or_default();
    for role in &roles {
        let known = &parts.principal.roles;
        if !known.iter().any(|name| **name == *role.value) {
            let help = nearest(&role.value, known.iter().map(|name| &**name)).map(|n| format!("did you mean `{n}`?"));
            reader.error("unknown-role", &role.span, format!("unknown role `{}`", role.value)).help = help;
        }
    }
    let groups = fields.take("groups").map(|node| ids(node, "`groups`", reader)).unwrap_or_default();
    let attributes = fields.take("attributes").map(|node| attributes(node, parts, reader)).unwrap_or_default();
    fields.finish(reader);
    let declared = parts.principal.attributes.keys();
    let attribute = |name: &Name| (name.clone(), attributes.get(name).cloned().unwrap_or(Value::Null));
    Some(Principal {
        id: id?,
        issuer: ISSUER.into(),
        method: Method::ApiKey,
        roles: roles.iter().map(|role| role.value.as_str().into()).collect(),
        groups,
        attributes: declared.map(attribute).collect(),
        reports: Arc::default(),
        memberships: Vec::new(),
        overreaches: false,
        scopes: None,
    })
}

fn id(node: &Node, what: &'static str, reader: &mut Reader) -> Option<Name> {
    let text = reader.text(node, what)?;
    if claims::is_id(&text.value) {
        return Some(text.value.as_str().into());
    }
    let message = format!("{what} must have at most {} characters, none of them a control character", claims::MAX_ID);
    reader.error("principal-id", &node.span, message);
    None
}

pub(super) fn ids(node: &Node, what: &'static str, reader: &mut Reader) -> Vec<Name> {
    reader.list(node, what).iter().filter_map(|node| id(node, what, reader)).collect()
}

fn attributes(node: &Node, parts: &Parts<'_>, reader: &mut Reader) -> BTreeMap<Name, Value> {
    let mut found = BTreeMap::new();
    for (name, node) in reader.entries(node, "`attributes`") {
        let declared = &parts.principal.attributes;
        let Some((known, of)) = declared.get_key_value(name.value.as_str()) else {
            let help = nearest(&name.value, declared.keys().map(|name| &**name));
            reader.error("unknown-attribute", &name.span, format!("unknown attribute `{}`", name.value)).help =
                help.map(|known| format!("did you mean `{known}`?"));
            continue;
        };
        match claims::typed(&json(node, of), of) {
            Some(value) => drop(found.insert(known.clone(), value)),
            None => drop(reader.error("attribute-type", &node.span, format!("`{}` must be of type {of}", name.value))),
        }
    }
    found
}

/// A YAML value as the JSON that a claim of the same type would hold.
fn json(node: &Node, of: &Type) -> Json {
    match &node.value {
        yaml::Value::Quoted(text) => Json::String(text.value.clone()),
        yaml::Value::Plain(text) => match (text.value.as_str(), of) {
            ("" | "null" | "~", _) => Json::Null,
            // YAML leaves the type of `12` open; the declaration decides.
            (plain, Type::String | Type::Decimal | Type::Timestamp | Type::Date | Type::Duration) => {
                Json::String(plain.to_owned())
            }
            (plain, _) => match Json::parse(plain.as_bytes()) {
                Some(scalar @ (Json::Bool(_) | Json::Int(_) | Json::Double(_))) => scalar,
                _ => Json::String(plain.to_owned()),
            },
        },
        yaml::Value::List(items) => Json::List(items.iter().map(|item| json(item, inner(of))).collect()),
        yaml::Value::Map(entries) => {
            Json::Map(entries.iter().map(|(name, node)| (name.value.clone(), json(node, inner(of)))).collect())
        }
    }
}

fn inner(of: &Type) -> &Type {
    match of {
        Type::List(of) | Type::Map(of) => of,
        other => other,
    }
}

/// One `tenant` or a list of `tenants`; at least one in all, since whoever is without a tenant could do nothing.
pub(super) fn memberships(
    fields: &mut yaml::Fields<'_>,
    what: &str,
    parts: &Parts<'_>,
    reader: &mut Reader,
) -> Vec<(TenantScope, Span)> {
    let mut nodes: Vec<&Node> = fields.take("tenant").into_iter().collect();
    if let Some(list) = fields.take("tenants") {
        nodes.extend(reader.list(list, "`tenants`"));
    }
    if nodes.is_empty() {
        reader.error("missing-key", &fields.head(), format!("{what} needs `tenant` or `tenants`"));
    }
    let scope = |node: &Node| Some((membership(node, parts, reader)?, node.span.clone()));
    let mut found: Vec<(TenantScope, Span)> = nodes.into_iter().filter_map(scope).collect();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found.dedup_by(|(one, _), (other, _)| one == other);
    found
}

fn membership(node: &Node, parts: &Parts<'_>, reader: &mut Reader) -> Option<TenantScope> {
    let dimensions = &parts.tenancy.dimensions;
    let mut values: BTreeMap<&str, String> = BTreeMap::new();
    for (name, node) in reader.entries(node, "a tenant") {
        let Some(text) = reader.text(node, "a tenant's value") else { continue };
        if !dimensions.iter().any(|dimension| **dimension == *name.value) {
            let help = nearest(&name.value, dimensions.iter().map(|name| &**name));
            reader.error("unknown-key", &name.span, format!("unknown tenant dimension `{}`", name.value)).help =
                help.map(|known| format!("did you mean `{known}`?"));
        } else if !claims::is_tenant_value(&text.value) {
            reader.error("tenant-value", &node.span, "a tenant's value can't hold `/` or control characters");
        } else {
            values.insert(&name.value, text.value);
        }
    }
    let scope = TenantScope::new(dimensions, |dimension| values.get(dimension).map(String::as_str));
    if scope.is_none() {
        let message = format!("a tenant needs a value for each of {}", dimensions.join(", "));
        reader.error("missing-key", &node.span, message);
    }
    scope
}

#[cfg(test)]
mod tests;
