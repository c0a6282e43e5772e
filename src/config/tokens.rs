//! Who vouches for tokens: issuers with their keys, whoever is asked about opaque ones, and what becomes of claims.

use std::path::Path;
use std::time::Duration;

use super::dpop::proofs;
use super::identity::{DAY, DEFAULT_REFRESH, MIN_REFRESH, warn_of_strangers};
use super::raw::{self, claim_path, distinct, duration, name, path, text, unknown};
use super::secrets::Secrets;
use super::{Algorithm, ClaimMap, ClaimValue, Ids, Introspection, Jwks, JwtIssuer, KeySource};
use super::{PrincipalSchema, RemoteKeys, Scheme};
use crate::model::Name;
use crate::model::value::Type;
use crate::yaml::{Node, Reader, Text};

const DEFAULT_CACHE: Duration = Duration::from_secs(30);

/// What the parts of `authn` are read beside.
#[derive(Clone, Copy)]
pub(super) struct Context<'c> {
    pub(super) folder: &'c Path,
    pub(super) schema: &'c PrincipalSchema,
    pub(super) dimensions: &'c [Name],
    /// Whether it is said under which origins clients reach the gateway.
    pub(super) has_origins: bool,
}

pub(super) fn introspection(
    node: &Node,
    context: Context<'_>,
    issuers: &[JwtIssuer],
    secrets: &mut Secrets,
    reader: &mut Reader,
) -> Option<Introspection> {
    let mut fields = reader.fields(node, "`introspection`");
    let issuer = text(fields.require("issuer", reader), "`issuer`", reader);
    let url = text(fields.require("url", reader), "`url`", reader);
    let ca = path(fields.take("ca"), "`ca`", context.folder, reader);
    let client = fields.require("client", reader).and_then(|node| {
        let mut fields = reader.fields(node, "`client`");
        let id = name(fields.require("id", reader), "`id`", reader);
        let secret = text(fields.require("secret", reader), "`secret`", reader);
        fields.finish(reader);
        Some((id?, secrets.named(&secret?, reader)?))
    });
    let audience = name(fields.require("audience", reader), "`audience`", reader);
    let organizations = organizations(fields.require("organizations", reader), reader);
    let map = fields.require("map", reader);
    let map = map.and_then(|node| claim_map(node, context.schema, context.dimensions, reader));
    let ids = Ids(name(fields.take("ids"), "`ids`", reader));
    let leeway = leeway(fields.take("leeway"), reader);
    let proofs = proofs(fields.take("dpop"), context.has_origins, secrets, reader);
    let range = Duration::from_secs(1)..=Duration::from_secs(300);
    let cache = fields.take("cache").map_or(Some(DEFAULT_CACHE), |node| duration(node, "`cache`", range, reader));
    fields.finish(reader);
    warn_of_strangers(&ids, &organizations, issuers, reader);
    let issuer = issuer?;
    if issuers.iter().any(|other| *other.issuer == *issuer.value) {
        let message = format!("the issuer `{}` is declared twice", issuer.value);
        reader.error("duplicate-issuer", &issuer.span, message);
    }
    let url = url?;
    let parsed = raw::url(&url, reader)?;
    if parsed.scheme == Scheme::Http && !parsed.is_loopback() {
        reader.error("plaintext-keys", &url.span, "tokens can't be asked about over plain http").help =
            Some("whoever is on the way would have them, and could answer; use https://".to_owned());
        return None;
    }
    let ((client, secret), (proofs, nonces)) = (client?, proofs?);
    Some(Introspection {
        issuer: issuer.value.as_str().into(),
        url: parsed.uri,
        ca,
        client,
        secret,
        audience: audience?,
        organizations: organizations.iter().map(|word| word.value.as_str().into()).collect(),
        ids,
        map: map?,
        leeway: leeway?,
        cache: cache?,
        proofs,
        nonces,
    })
}

/// Those that somebody may speak for, with their places.
fn organizations(node: Option<&Node>, reader: &mut Reader) -> Vec<Text> {
    let organizations = distinct(node, "`organizations`", reader);
    for word in organizations.iter().filter(|word| word.value.contains('/')) {
        let message = format!("`{}` can't hold `/`, which separates the parts of a tenant", word.value);
        reader.error("bad-name", &word.span, message);
    }
    organizations
}

fn leeway(node: Option<&Node>, reader: &mut Reader) -> Option<Duration> {
    let range = Duration::ZERO..=Duration::from_secs(300);
    node.map_or(Some(Duration::from_secs(30)), |node| duration(node, "`leeway`", range, reader))
}

/// With where the issuer's organizations are written.
pub(super) fn jwt_issuer(
    node: &Node,
    context: Context<'_>,
    secrets: &mut Secrets,
    reader: &mut Reader,
) -> Option<(JwtIssuer, Vec<Text>)> {
    let mut fields = reader.fields(node, "an issuer");
    let issuer = text(fields.require("issuer", reader), "`issuer`", reader);
    let audience = name(fields.require("audience", reader), "`audience`", reader);
    let jwks = fields.require("jwks", reader).and_then(|node| jwks(node, context.folder, issuer.as_ref(), reader));
    let words = distinct(fields.require("algorithms", reader), "`algorithms`", reader);
    let organizations = organizations(fields.require("organizations", reader), reader);
    let map =
        fields.require("map", reader).and_then(|node| claim_map(node, context.schema, context.dimensions, reader));
    let ids = Ids(name(fields.take("ids"), "`ids`", reader));
    let leeway = leeway(fields.take("leeway"), reader);
    let proofs = proofs(fields.take("dpop"), context.has_origins, secrets, reader);
    let access_tokens_only = match text(fields.take("typ"), "`typ`", reader) {
        None => Some(false),
        Some(word) if word.value == "at+jwt" => Some(true),
        Some(word) => {
            reader.error("unknown-word", &word.span, format!("`typ` can't be `{}`", word.value)).help =
                Some("at+jwt, or leave it out: then it may be JWT, at+jwt or missing".to_owned());
            None
        }
    };
    fields.finish(reader);
    let (proofs, nonces) = proofs?;
    let issuer = JwtIssuer {
        issuer: issuer?.value.as_str().into(),
        audience: audience?,
        jwks: jwks?,
        algorithms: words.iter().filter_map(|word| algorithm(word, reader)).collect(),
        organizations: organizations.iter().map(|word| word.value.as_str().into()).collect(),
        ids,
        map: map?,
        leeway: leeway?,
        access_tokens_only: access_tokens_only?,
        proofs,
        nonces,
    };
    Some((issuer, organizations))
}

fn algorithm(word: &Text, reader: &mut Reader) -> Option<Algorithm> {
    match word.value.as_str() {
        "ES256" => Some(Algorithm::Es256),
        "RS256" => Some(Algorithm::Rs256),
        "EdDSA" => Some(Algorithm::EdDsa),
        other => {
            reader.error("unknown-algorithm", &word.span, format!("the algorithm `{other}` is not supported")).help =
                Some("one of ES256, RS256, EdDSA".to_owned());
            None
        }
    }
}

/// `issuer`: that the metadata of `discovery` belong to.
fn jwks(node: &Node, folder: &Path, issuer: Option<&Text>, reader: &mut Reader) -> Option<Jwks> {
    let mut fields = reader.fields(node, "`jwks`");
    let file = fields.take("file");
    let (url, metadata) = (fields.take("url"), fields.take("openid_configuration"));
    let discovery = fields.take("discovery").and_then(|node| Some((node, reader.bool(node, "`discovery`")?)));
    let (refresh, max_age, ca) = (fields.take("refresh"), fields.take("max_age"), fields.take("ca"));
    fields.finish(reader);
    let from = match (file, url, metadata, discovery) {
        (Some(_), None, None, None) => {
            if let Some(node) = refresh.or(max_age).or(ca) {
                let message = "`refresh`, `max_age` and `ca` have no meaning with a `file`";
                reader.error("bad-jwks", &node.span, message);
            }
            return path(file, "`file`", folder, reader).map(Jwks::File);
        }
        (None, Some(node), None, None) => KeySource::Url(key_url(&reader.text(node, "`url`")?, reader)?.uri),
        (None, None, Some(node), None) => {
            let word = reader.text(node, "`openid_configuration`")?;
            KeySource::Metadata(key_url(&word, reader)?.uri)
        }
        (None, None, None, Some((_, true))) => KeySource::Metadata(metadata_of(issuer?, reader)?),
        _ => {
            let message = "`jwks` needs one of `file`, `url`, `discovery: true` and `openid_configuration`";
            reader.error("bad-jwks", &node.span, message);
            return None;
        }
    };
    let refresh = match refresh {
        None => DEFAULT_REFRESH,
        Some(node) => duration(node, "`refresh`", MIN_REFRESH..=DAY, reader)?,
    };
    let max_age = match max_age {
        None => DAY.max(refresh * 2),
        Some(node) => duration(node, "`max_age`", refresh..=DAY * 30, reader)?,
    };
    Some(Jwks::Remote(RemoteKeys { from, refresh, max_age, ca: path(ca, "`ca`", folder, reader) }))
}

/// Where an issuer has its metadata (OpenID Connect Discovery 1.0, section 4).
fn metadata_of(issuer: &Text, reader: &mut Reader) -> Option<http::Uri> {
    key_url(issuer, reader)?;
    format!("{}/.well-known/openid-configuration", issuer.value.trim_end_matches('/')).parse().ok()
}

fn key_url(word: &Text, reader: &mut Reader) -> Option<raw::Url> {
    let url = raw::url(word, reader)?;
    if url.scheme == Scheme::Http && !url.is_loopback() {
        reader.error("plaintext-keys", &word.span, "keys can't be fetched over plain http").help =
            Some("whoever is on the way could put their own keys in; use https://".to_owned());
        return None;
    }
    Some(url)
}

fn claim_map(node: &Node, schema: &PrincipalSchema, dimensions: &[Name], reader: &mut Reader) -> Option<ClaimMap> {
    let mut fields = reader.fields(node, "`map`");
    // Nothing but an attribute can be a bool.
    let claim = |node: Option<&Node>, reader: &mut Reader| {
        let text = text(node, "a claim", reader)?;
        let value = claim_value(&text, reader)?;
        if let ClaimValue::Contains { .. } = value {
            reader.error("bad-claim", &text.span, "`in` gives a bool, and this is none");
        }
        Some(value)
    };
    let id = claim(fields.require("id", reader), reader);
    let roles = claim(fields.take("roles"), reader);
    let groups = claim(fields.take("groups"), reader);
    let tenants = claim(fields.take("tenants"), reader);
    let tenant_node = fields.take("tenant");
    let mut tenant: Vec<(Name, ClaimValue)> = Vec::new();
    if let Some(node) = tenant_node {
        let entries = reader.entries(node, "`tenant`");
        for (word, node) in entries {
            let path = claim(Some(node), reader);
            if !dimensions.iter().any(|name| **name == *word.value) {
                unknown("dimension", "unknown-dimension", word, dimensions.iter().map(|name| &**name), reader);
            }
            tenant.extend(path.map(|path| (word.value.as_str().into(), path)));
        }
        let known = entries.iter().all(|(word, _)| dimensions.iter().any(|name| **name == *word.value));
        let missing = dimensions.iter().filter(|name| !entries.iter().any(|(word, _)| word.value == ***name));
        // A dimension that is misspelled is not missing besides.
        for dimension in missing.filter(|_| known) {
            reader.error("bad-tenant", &node.span, format!("`tenant` has no claim for the dimension `{dimension}`"));
        }
    } else if tenants.is_none() {
        reader.error("bad-tenant", &fields.head(), "`map` needs `tenant` or `tenants`").help =
            Some("a token that names no tenant opens nothing".to_owned());
    }
    let mut attributes = Vec::new();
    if let Some(node) = fields.take("attributes") {
        for (word, node) in reader.entries(node, "`attributes`") {
            let value = reader.text(node, "a claim");
            let Some(of) = schema.attributes.get(word.value.as_str()) else {
                unknown("attribute", "unknown-attribute", word, schema.attributes.keys().map(|name| &**name), reader);
                continue;
            };
            let Some(text) = value else { continue };
            let Some(value) = claim_value(&text, reader) else { continue };
            if matches!(value, ClaimValue::Contains { .. }) && *of != Type::Bool {
                let message = format!("`in` gives a bool, but `{}` is declared as {of}", word.value);
                reader.error("bad-claim", &text.span, message);
            }
            attributes.push((word.value.as_str().into(), value));
        }
    }
    fields.finish(reader);
    Some(ClaimMap { id: id?, roles, groups, tenant, tenants, attributes })
}

/// A claim, whether a list has a word, or any other expression.
fn claim_value(text: &Text, reader: &mut Reader) -> Option<ClaimValue> {
    let words = || text.value.split('.');
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if words().all(is_word) {
        return claim_path(text, reader).map(ClaimValue::Claim);
    }
    let contains = text.value.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
    let list = contains.and_then(|(_, list)| list.trim_start().strip_prefix("in ").map(str::trim));
    match (contains, list.filter(|list| list.split('.').all(is_word)).and_then(raw::claims)) {
        (Some((word, _)), Some(list)) if !word.is_empty() => Some(ClaimValue::Contains { word: word.into(), list }),
        _ => Some(ClaimValue::Expression(text.clone())),
    }
}
