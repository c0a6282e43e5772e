//! JSON Web Tokens in compact form (RFC 7519, RFC 7515, best practices of RFC 8725): verified against one issuer.
//!
//! The token's own words choose only which configured verifier looks at it. Everything that could bring a key, another
//! encoding or another meaning with it (`jku`, `jwk`, `x5c`, `crit`, `b64`, `zip`, nesting, encryption) is refused, not
//! ignored. The time comes from the gateway's clock; the library is asked for the signature alone.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Refused;
use super::json::Json;
use super::jwks::KeySet;
use crate::config::Algorithm;
use crate::model::Name;

/// A longer token is refused unread.
pub(super) const MAX_TOKEN: usize = 8 * 1024;
/// The end of the year 9999; a later instant is a mistake or an attack on arithmetic.
const LAST_SECOND: i64 = 253_402_300_799;
/// Header members that change what the rest means, or that bring keys along.
const REFUSED_MEMBERS: [&str; 10] = ["crit", "b64", "zip", "enc", "cty", "jku", "jwk", "x5u", "x5c", "epk"];

/// A token whose form is sound. Nothing in it has been verified yet.
pub(super) struct Unverified<'t> {
    /// What the signature covers.
    signed: &'t str,
    signature: &'t str,
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    claims: Json,
}

/// What a token must show, besides a signature.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) issuer: Name,
    pub(super) audience: Name,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) leeway: Duration,
    /// Only tokens that say they are access tokens (RFC 9068), so that one made for another purpose is none.
    pub(super) access_tokens_only: bool,
}

/// Claims that hold, and the second from which they no longer do.
pub(super) struct Verified {
    pub(super) claims: Json,
    pub(super) expires: i64,
    /// The id of the key that signed them.
    pub(super) key: Option<Name>,
}

impl<'t> Unverified<'t> {
    pub(super) fn parse(token: &'t str) -> Result<Self, Refused> {
        if token.len() > MAX_TOKEN {
            return Err(Refused::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Refused::Malformed)?;
        let header = object(header)?;
        if REFUSED_MEMBERS.iter().any(|name| header.member(name).is_some()) {
            return Err(Refused::Malformed);
        }
        let text = |name: &str| match header.member(name) {
            None => Ok(None),
            Some(value) => value.text().map(Some).ok_or(Refused::Malformed),
        };
        let typ = text("typ")?;
        if typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT") && !is_access_token(typ)) {
            return Err(Refused::Malformed);
        }
        URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refused::Malformed)?;
        Ok(Self {
            signed,
            signature,
            alg: text("alg")?.ok_or(Refused::Malformed)?.to_owned(),
            kid: text("kid")?.map(str::to_owned),
            typ: typ.map(str::to_owned),
            claims: object(payload)?,
        })
    }

    /// The issuer that the token names: good for choosing whose keys to try, and for nothing else.
    pub(super) fn issuer(&self) -> Result<&str, Refused> {
        self.claims.member("iss").and_then(Json::text).ok_or(Refused::Issuer)
    }

    /// Whether it names a key that is not in the set, by an algorithm that its issuer uses.
    pub(super) fn names_unknown_key(&self, expected: &Expected, keys: &KeySet) -> bool {
        let algorithm = self.algorithm().filter(|named| expected.algorithms.contains(named));
        let unknown = |algorithm| keys.find(self.kid.as_deref(), algorithm).is_err_and(|why| why == Refused::Key);
        self.kid.is_some() && algorithm.is_some_and(unknown)
    }

    /// Checks everything under one issuer: algorithm, key, signature, then the registered claims.
    pub(super) fn verify(self, expected: &Expected, keys: Option<&KeySet>, now: i64) -> Result<Verified, Refused> {
        let algorithm = self.algorithm().filter(|named| expected.algorithms.contains(named));
        let algorithm = algorithm.ok_or(Refused::Algorithm)?;
        if expected.access_tokens_only && !self.typ.as_deref().is_some_and(is_access_token) {
            return Err(Refused::Kind);
        }
        let keys = keys.ok_or(Refused::KeysUnavailable)?;
        let key = self.verify_signature(keys, algorithm)?;
        if self.issuer()? != &*expected.issuer {
            return Err(Refused::Issuer);
        }
        check_audience(&self.claims, &expected.audience)?;
        let expires = check_times(&self.claims, expected.leeway, now)?.ok_or(Refused::Claim)?;
        Ok(Verified { claims: self.claims, expires, key })
    }

    fn algorithm(&self) -> Option<Algorithm> {
        match self.alg.as_str() {
            "ES256" => Some(Algorithm::Es256),
            "RS256" => Some(Algorithm::Rs256),
            "EdDSA" => Some(Algorithm::EdDsa),
            _ => None,
        }
    }

    /// The id of the key that made it.
    fn verify_signature(&self, keys: &KeySet, algorithm: Algorithm) -> Result<Option<Name>, Refused> {
        let key = keys.find(self.kid.as_deref(), algorithm)?;
        if key.verifies(algorithm, self.signed, self.signature) { Ok(key.kid.clone()) } else { Err(Refused::Signature) }
    }
}

pub(super) fn check_audience(claims: &Json, audience: &str) -> Result<(), Refused> {
    let named = match claims.member("aud") {
        Some(Json::String(one)) => one == audience,
        Some(many @ Json::List(_)) => many.texts().is_some_and(|all| all.contains(&audience)),
        _ => false,
    };
    if named { Ok(()) } else { Err(Refused::Audience) }
}

/// Checks that claims hold now, and gives `exp`.
pub(super) fn check_times(claims: &Json, leeway: Duration, now: i64) -> Result<Option<i64>, Refused> {
    let leeway = i64::try_from(leeway.as_secs()).unwrap_or(0);
    let expires = seconds(claims, "exp")?;
    let (not_before, issued) = (seconds(claims, "nbf")?, seconds(claims, "iat")?);
    if expires.is_some_and(|expires| now >= expires.saturating_add(leeway)) {
        return Err(Refused::Expired);
    }
    if not_before.into_iter().chain(issued).any(|from| from > now.saturating_add(leeway)) {
        return Err(Refused::Immature);
    }
    Ok(expires)
}

/// A time claim. RFC 7519 allows fractions; no issuer needs them, and whole seconds can't be rounded two ways.
fn seconds(claims: &Json, name: &str) -> Result<Option<i64>, Refused> {
    match claims.member(name) {
        None => Ok(None),
        Some(Json::Int(seconds)) if (-LAST_SECOND..=LAST_SECOND).contains(seconds) => Ok(Some(*seconds)),
        Some(_) => Err(Refused::Claim),
    }
}

/// As RFC 9068 (section 4) has it.
fn is_access_token(typ: &str) -> bool {
    typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
}

/// A JSON object in strict base64url without padding.
fn object(part: &str) -> Result<Json, Refused> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Malformed)?;
    Json::parse(&bytes).filter(|json| matches!(json, Json::Map(_))).ok_or(Refused::Malformed)
}

#[cfg(test)]
mod tests;
