//! Proofs that whoever sends a token holds the key that it is bound to (DPoP, RFC 9449).
//!
//! A proof is for one request: its method, its URL, its token, about now, and once. Its URL is one of the gateway's own as the
//! configuration says them: a request's word on its host is the sender's, who may have got the proof as somebody else. Proofs that were used are remembered
//! for as long as they would be accepted; when there is no room to remember one, it is not accepted. Each caller has room of
//! their own, so that one who sends without end leaves the others theirs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;
use moka::sync::Cache;

use super::json::Json;
use super::jwks::{self, ProofKey};
use super::nonce::{Nonces, Repeated};
use super::{Nonce, Presented, Refused, sha256};
use crate::canonical;
use crate::config::Algorithm;
use crate::model::{Name, Principal};

/// How many seconds a proof may be older, or newer, than now.
const WINDOW: i64 = 60;
/// How long a used proof is remembered: over the whole window, and some more.
const REMEMBERED_FOR: Duration = Duration::from_secs(150);
const MAX_REMEMBERED: u64 = 400_000;
/// Of one caller, counted anew each time that the first one is forgotten: more than 100 requests a second.
const MAX_OF_ONE: u32 = 20_000;
/// A longer proof is refused unread.
const MAX_PROOF: usize = 4 * 1024;
const MAX_ID: usize = 256;
/// Of a proof's header; anything else could change what the rest means.
const MEMBERS: [&str; 4] = ["typ", "alg", "jwk", "kid"];

/// Proofs that were used, and what others must repeat.
pub(super) struct Proofs(ArcSwap<Used>);

struct Used {
    /// By the hash of their key and their id.
    proofs: Cache<[u8; 32], ()>,
    /// How many there are of each principal.
    counts: Cache<[u8; 32], Arc<AtomicU32>>,
    most_of_one: u32,
    nonces: Nonces,
}

impl Default for Proofs {
    fn default() -> Self {
        Self::of_one(MAX_OF_ONE)
    }
}

/// A proof that holds for a request. It is not used up yet.
#[derive(Debug)]
pub(super) struct Proof {
    /// Of its key (RFC 7638).
    pub(super) thumbprint: [u8; 32],
    id: [u8; 32],
    nonce: Option<String>,
    /// When it was looked at.
    at: i64,
}

impl Proof {
    /// Reads and checks a proof for a request with a token. `origins`: the gateway's own.
    pub(super) fn check(
        proof: &str,
        token: &str,
        presented: &Presented<'_>,
        origins: &[Name],
        now: i64,
    ) -> Result<Self, Refused> {
        if proof.len() > MAX_PROOF {
            return Err(Refused::Proof);
        }
        let (signed, signature) = proof.rsplit_once('.').ok_or(Refused::Proof)?;
        let (header, claims) = signed.split_once('.').ok_or(Refused::Proof)?;
        let (header, claims) = (object(header)?, object(claims)?);
        let Json::Map(members) = &header else { return Err(Refused::Proof) };
        if !members.iter().all(|(name, _)| MEMBERS.contains(&name.as_str())) {
            return Err(Refused::Proof);
        }
        let text = |of: &Json, name: &str| of.member(name).and_then(Json::text).map(str::to_owned);
        if text(&header, "typ").as_deref() != Some("dpop+jwt") {
            return Err(Refused::Proof);
        }
        let algorithm = match text(&header, "alg").as_deref() {
            Some("ES256") => Algorithm::Es256,
            Some("RS256") => Algorithm::Rs256,
            Some("EdDSA" | "Ed25519") => Algorithm::EdDsa,
            _ => return Err(Refused::Proof),
        };
        let key = header.member("jwk").and_then(jwks::proof_key).ok_or(Refused::Proof)?;
        let ProofKey { thumbprint, key } = key;
        if !key.verifies(algorithm, signed, signature) {
            return Err(Refused::Proof);
        }
        let id = text(&claims, "jti").filter(|id| !id.is_empty() && id.len() <= MAX_ID).ok_or(Refused::Proof)?;
        if text(&claims, "htm").as_deref() != Some(presented.request.method.as_str()) {
            return Err(Refused::Proof);
        }
        if !text(&claims, "htu").is_some_and(|url| is_of(&url, presented, origins)) {
            return Err(Refused::Proof);
        }
        let hash = URL_SAFE_NO_PAD.encode(sha256(token.as_bytes()));
        if text(&claims, "ath") != Some(hash) {
            return Err(Refused::Proof);
        }
        let is_now = match claims.member("iat") {
            Some(Json::Int(issued)) => (now - WINDOW..=now + WINDOW).contains(issued),
            _ => false,
        };
        if !is_now {
            return Err(Refused::Proof);
        }
        let nonce = match claims.member("nonce") {
            None => None,
            Some(nonce) => Some(nonce.text().ok_or(Refused::Proof)?.to_owned()),
        };
        Ok(Self { thumbprint, id: sha256(&[&thumbprint[..], id.as_bytes()].concat()), nonce, at: now })
    }
}

impl Proofs {
    fn of_one(most_of_one: u32) -> Self {
        fn remembered<V: Clone + Send + Sync + 'static>() -> Cache<[u8; 32], V> {
            let lru = moka::policy::EvictionPolicy::lru();
            Cache::builder().max_capacity(MAX_REMEMBERED).time_to_live(REMEMBERED_FOR).eviction_policy(lru).build()
        }
        let nonces = Nonces::default();
        Self(ArcSwap::from_pointee(Used { proofs: remembered(), counts: remembered(), most_of_one, nonces }))
    }

    /// Uses a principal's proof up. Errors: it was used before, or there is no room to remember it. Keys are no measure of
    /// whose room it is, for one caller may have tokens for many.
    pub(super) fn consume(&self, proof: &Proof, principal: &Principal) -> Result<(), Refused> {
        let used = self.0.load();
        let whose = sha256(format!("{}\0{}", principal.issuer, principal.id).as_bytes());
        let count = used.counts.get_with(whose, Arc::default);
        if count.load(Ordering::Relaxed) >= used.most_of_one {
            return Err(Refused::ProofsExhausted);
        }
        if used.proofs.entry_count() >= MAX_REMEMBERED {
            used.proofs.run_pending_tasks();
            if used.proofs.entry_count() >= MAX_REMEMBERED {
                return Err(Refused::ProofsExhausted);
            }
        }
        if !used.proofs.entry(proof.id).or_insert(()).is_fresh() {
            // Whoever repeats what another one sent takes none of that one's room.
            return Err(Refused::Replayed);
        }
        count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Whether a proof repeats what it must.
    pub(super) fn check_nonce(&self, proof: &Proof, repeated: &Repeated) -> Result<Option<Nonce>, Refused> {
        repeated.check(&self.0.load().nonces, proof.nonce.as_deref(), proof.at)
    }

    /// What was used before a reload stays used, and what was told stays told.
    pub(super) fn inherit(&self, old: &Self) {
        self.0.store(Arc::clone(&old.0.load()));
    }
}

/// Whether a proof's URL is the request's, without query and fragment (section 4.3): under an origin of the gateway's own,
/// whatever the request says of its host. Over TLS it is one of https; behind something else that ends TLS, it may be.
fn is_of(url: &str, presented: &Presented<'_>, origins: &[Name]) -> bool {
    let Ok(uri) = url.split(['?', '#']).next().unwrap_or_default().parse::<Uri>() else { return false };
    let (scheme, default) = match uri.scheme_str() {
        Some("https") => ("https://", ":443"),
        Some("http") if !presented.over_tls => ("http://", ":80"),
        _ => return false,
    };
    let Some(authority) = uri.authority().map(|authority| authority.as_str().to_ascii_lowercase()) else {
        return false;
    };
    let host = authority.strip_suffix(default).unwrap_or(&authority);
    let is_own = origins.iter().any(|own| own.strip_prefix(scheme) == Some(host));
    is_own && canonical::path(uri.path()).as_deref() == Some(&*presented.request.path())
}

fn object(part: &str) -> Result<Json, Refused> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Proof)?;
    Json::parse(&bytes).filter(|json| matches!(json, Json::Map(_))).ok_or(Refused::Proof)
}

#[cfg(test)]
mod tests;
