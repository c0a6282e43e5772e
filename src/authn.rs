//! Credentials -> [`Principal`]. Absent and wrong are different inside and the same to the client.
//!
//! A credential that cannot be verified is never ignored: a request with a wrong token is refused even where another
//! credential would do. The token's own header chooses nothing: algorithm and key are bound by configuration.

pub mod api_key;
mod claims;
mod discovery;
mod fetch;
mod issuer;
mod json;
mod jwks;
mod jwt;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{self, SHA256};
use http::{HeaderMap, header};
use moka::sync::Cache;

use issuer::Issuer;

use crate::canonical::Canonical;
use crate::clock::Clock;
use crate::config::{Authn, Config, Hierarchy, PrincipalSchema, Tenancy};
use crate::diagnostic::{Diagnostic, Source, Span};
use crate::metrics::Metrics;
use crate::model::{Name, Principal, Reason};

/// How many verified tokens are remembered, and for how long at most.
const CACHED_TOKENS: u64 = 10_000;
const CACHED_SECONDS: i64 = 300;

/// The verifiers of one configuration: keys, issuers, mappings.
pub struct Authenticator {
    issuers: HashMap<Name, Arc<Issuer>>,
    api_keys: Option<api_key::ApiKeys>,
    /// Counts changes of any issuer's keys. Part of the cache's key, so that a change makes every older entry unreachable.
    generation: Arc<AtomicU64>,
    verified: Cache<([u8; 32], u64), Cached>,
    warnings: Vec<Diagnostic>,
    metrics: Metrics,
    clock: Clock,
}

#[derive(Clone)]
struct Cached {
    principal: Arc<Principal>,
    until: i64,
}

/// Who sent a request, and whether a verified token was remembered (API keys never are).
#[derive(Clone, Debug)]
pub struct Authenticated {
    pub principal: Arc<Principal>,
    pub remembered: bool,
}

/// What a request shows of who sends it.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'r> {
    pub headers: &'r HeaderMap,
    pub request: &'r Canonical,
}

/// The parts of a configuration that say who may be who.
#[derive(Clone, Copy)]
pub struct Parts<'c> {
    pub authn: &'c Authn,
    pub principal: &'c PrincipalSchema,
    pub tenancy: &'c Tenancy,
    pub hierarchy: &'c Hierarchy,
    /// Shown where a mistake has no file of its own.
    pub path: &'c Path,
    pub metrics: &'c Metrics,
}

/// Why a credential was refused; for the log and the metric, never for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("no credential")]
    Missing,
    #[error("more than one credential")]
    Several,
    #[error("malformed credential")]
    Malformed,
    #[error("unknown issuer")]
    Issuer,
    #[error("wrong audience")]
    Audience,
    #[error("unknown key")]
    Key,
    #[error("algorithm not allowed for this key")]
    Algorithm,
    #[error("wrong signature")]
    Signature,
    #[error("expired")]
    Expired,
    #[error("not yet valid")]
    Immature,
    #[error("a claim is missing or of the wrong type")]
    Claim,
    #[error("unknown API key")]
    ApiKey,
    #[error("no verification keys at hand")]
    KeysUnavailable,
}

impl Refused {
    pub fn reason(self) -> Reason {
        match self {
            Self::Missing => Reason::CredentialsMissing,
            Self::KeysUnavailable => Reason::IdentityUnavailable,
            _ => Reason::CredentialsInvalid,
        }
    }

    /// Stable, for a metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Several => "several",
            Self::Malformed => "malformed",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Key => "key",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::Immature => "immature",
            Self::Claim => "claim",
            Self::ApiKey => "api_key",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }
}

impl Authenticator {
    /// Reads keys from files; key sets behind URLs are fetched by [`refresh`](Self::refresh). Errors name the file.
    pub fn load(config: &Config, clock: Clock, metrics: &Metrics) -> Result<Self, Vec<Diagnostic>> {
        let Config { authn, principal, tenancy, hierarchy, path, .. } = config;
        Self::from_parts(&Parts { authn, principal, tenancy, hierarchy, path, metrics }, clock)
    }

    /// As [`load`](Self::load), from the parts that matter.
    pub fn from_parts(parts: &Parts<'_>, clock: Clock) -> Result<Self, Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        let mut warnings = Vec::new();
        let generation = Arc::default();
        let mut issuers = HashMap::new();
        for issuer in &parts.authn.jwt {
            let name = Name::clone(&issuer.issuer);
            match Issuer::load(issuer, parts, &generation, &clock) {
                Ok(_) if issuers.contains_key(&name) => {
                    diagnostics.push(misplaced(parts.path, format!("issuer `{name}` is configured twice")));
                }
                Ok(issuer) => drop(issuers.insert(name, Arc::new(issuer))),
                Err(found) => diagnostics.extend(found),
            }
        }
        let api_keys = match parts.authn.api_keys.as_ref().map(|file| api_key::ApiKeys::load(file, parts)) {
            None => None,
            Some(Ok((keys, found))) => {
                warnings.extend(found);
                Some(keys)
            }
            Some(Err(found)) => {
                diagnostics.extend(found);
                None
            }
        };
        if !diagnostics.is_empty() {
            crate::diagnostic::sort(&mut diagnostics);
            return Err(diagnostics);
        }
        let verified = Cache::builder()
            .max_capacity(CACHED_TOKENS)
            .time_to_live(Duration::from_secs(CACHED_SECONDS.unsigned_abs()))
            .build();
        let metrics = parts.metrics.clone();
        Ok(Self { issuers, api_keys, generation, verified, warnings, metrics, clock })
    }

    /// What is dubious but not wrong in the files that were read.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Fetches every key set that lies elsewhere once. A set that can't be fetched keeps its last keys. Called at start and
    /// then by the gateway's refresh task after [`refresh_after`](Self::refresh_after).
    pub async fn refresh(&self) {
        let mut fetches = tokio::task::JoinSet::new();
        for issuer in self.issuers.values().filter(|issuer| issuer.is_remote()) {
            let issuer = Arc::clone(issuer);
            fetches.spawn(async move { issuer.refresh().await });
        }
        // One slow issuer must not hold up the others; dropping the set with this future ends the fetches.
        while fetches.join_next().await.is_some() {}
        let failing = self.issuers.values().filter(|issuer| issuer.is_failing()).count();
        self.metrics.key_sets_stale.set(i64::try_from(failing).unwrap_or(i64::MAX));
    }

    /// Takes over from `old`, which this one replaces, key sets that could not be fetched: a reload must not forget what a
    /// gateway that was not reloaded would go on using. Only those of the same issuer at the same place.
    pub fn inherit(&self, old: &Self) {
        for (name, issuer) in &self.issuers {
            old.issuers.get(name).into_iter().for_each(|before| issuer.inherit(before));
        }
    }

    /// Until [`refresh`](Self::refresh) wants to be called again; `None` if nothing lies elsewhere.
    pub fn refresh_after(&self) -> Option<Duration> {
        self.issuers.values().filter_map(|issuer| issuer.refresh_after()).min()
    }

    /// Whether every issuer has keys; part of readiness.
    pub fn is_ready(&self) -> bool {
        self.issuers.values().all(|issuer| issuer.is_ready())
    }

    /// Values of the first dimension for which somebody can come in.
    pub fn organizations(&self) -> BTreeSet<Name> {
        let issued = self.issuers.values().flat_map(|issuer| issuer.mapping.organizations());
        issued.cloned().chain(self.api_keys.iter().flat_map(api_key::ApiKeys::organizations)).collect()
    }

    /// Who sends this request.
    pub async fn authenticate(&self, presented: &Presented<'_>) -> Result<Authenticated, Refused> {
        let headers = presented.headers;
        let mut bearers = headers.get_all(header::AUTHORIZATION).iter();
        let mut keys = headers.get_all("x-api-key").iter();
        match (bearers.next(), keys.next()) {
            (None, None) => Err(Refused::Missing),
            (Some(_), Some(_)) => Err(Refused::Several),
            _ if bearers.next().is_some() || keys.next().is_some() => Err(Refused::Several),
            (Some(bearer), None) => {
                let (scheme, token) =
                    bearer.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Refused::Malformed)?;
                if scheme.eq_ignore_ascii_case("Bearer") { self.token(token).await } else { Err(Refused::Malformed) }
            }
            (None, Some(key)) => {
                let key = key.to_str().map_err(|_| Refused::Malformed)?;
                let known = self.api_keys.as_ref().ok_or(Refused::ApiKey)?;
                let principal = known.authenticate(key, self.clock.now())?;
                Ok(Authenticated { principal: Arc::new(principal), remembered: false })
            }
        }
    }

    async fn token(&self, token: &str) -> Result<Authenticated, Refused> {
        if token.len() > jwt::MAX_TOKEN {
            return Err(Refused::Malformed);
        }
        let now = self.clock.now().as_second();
        // Read before the keys are: what is verified with older keys is then filed under the older generation.
        let generation = self.generation.load(Ordering::SeqCst);
        let place = (sha256(token.as_bytes()), generation);
        if let Some(cached) = self.verified.get(&place).filter(|cached| now < cached.until) {
            return Ok(Authenticated { principal: cached.principal, remembered: true });
        }
        let token = jwt::Unverified::parse(token)?;
        let issuer = self.issuers.get(token.issuer()?).ok_or(Refused::Issuer)?;
        let proven = issuer.verify(token).await?;
        let principal = issuer.mapping.principal(&issuer.expected.issuer, &proven.verified.claims)?;
        let until = proven.until.min(now.saturating_add(CACHED_SECONDS));
        let principal = Arc::new(principal);
        self.verified.insert(place, Cached { principal: Arc::clone(&principal), until });
        Ok(Authenticated { principal, remembered: false })
    }
}

/// A file as text, or the diagnostic that names it.
fn read(path: &Path) -> Result<Arc<Source>, Vec<Diagnostic>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Source::new(path.display().to_string(), text)),
        Err(error) => Err(vec![misplaced(path, format!("can't be read: {error}"))]),
    }
}

/// A mistake in a file of which no place is known.
fn misplaced(path: &Path, message: impl Into<String>) -> Diagnostic {
    let source = Source::new(path.display().to_string(), "");
    Diagnostic::error("identity", Span::new(&source, 0..0), message)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(digest::digest(&SHA256, bytes).as_ref()) {
        *to = *from;
    }
    hash
}

#[cfg(test)]
mod tests;
