//! Credentials -> [`Principal`]. Absent and wrong are different inside and the same to the client.
//!
//! A credential that cannot be verified is never ignored: a request with a wrong token is refused even where another
//! credential would do. The token's own header chooses nothing: algorithm and key are bound by configuration.

pub mod api_key;
mod binding;
mod claims;
mod discovery;
mod dpop;
mod fetch;
mod introspection;
mod issuer;
mod json;
mod jwks;
mod jwt;
mod mtls;
mod nonce;
mod refused;
mod revocation;
pub mod scopes;
mod site;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{self, SHA256};
use http::{HeaderMap, header};
use jiff::Timestamp;
use moka::sync::Cache;

use binding::Binding;
use dpop::{Proof, Proofs};
use introspection::Introspector;
use issuer::Issuer;
pub use nonce::Nonce;
pub use refused::Refused;
use revocation::{Marks, Revocations};

use crate::api::Catalog;
use crate::canonical::Canonical;
use crate::clock::Clock;
use crate::config::{Authn, ClaimPath, Config, Hierarchy, PrincipalSchema, Tenancy};
use crate::diagnostic::{Diagnostic, Source, Span};
use crate::files;
use crate::metrics::Metrics;
use crate::model::{Name, Principal};
use crate::pki::Peer;
use crate::yaml::{Node, Reader};

/// How many verified tokens are remembered, and for how long at most.
const CACHED_TOKENS: u64 = 10_000;
const CACHED_SECONDS: i64 = 300;

/// The verifiers of one configuration: keys, issuers, mappings.
pub struct Authenticator {
    issuers: HashMap<Name, Arc<Issuer>>,
    introspector: Option<Introspector>,
    api_keys: Option<api_key::ApiKeys>,
    certificates: Option<mtls::Clients>,
    revocations: Option<Arc<Revocations>>,
    /// Counts changes of any issuer's keys. Part of the cache's key, so that a change makes every older entry unreachable.
    generation: Arc<AtomicU64>,
    verified: Cache<([u8; 32], u64), Cached>,
    proofs: Proofs,
    /// Under which clients reach the gateway, if that is said.
    origins: Vec<Name>,
    warnings: Vec<Diagnostic>,
    metrics: Metrics,
    clock: Clock,
}

/// A token that was verified, with what is looked at anew for each request.
#[derive(Clone)]
struct Cached {
    principal: Arc<Principal>,
    until: i64,
    binding: Binding,
    marks: Marks,
}

/// Who sent a request, and whether a verified token was remembered (API keys never are).
#[derive(Clone, Debug)]
pub struct Authenticated {
    pub principal: Arc<Principal>,
    pub remembered: bool,
    /// What the client's next proof should repeat, if that is not what this one did.
    pub nonce: Option<Nonce>,
    /// What the API key is called that it came with.
    pub key: Option<Name>,
}

/// What a request shows of who sends it.
#[derive(Clone, Copy)]
pub struct Presented<'r> {
    pub headers: &'r HeaderMap,
    pub request: &'r Canonical,
    /// The certificate by which the connection's client proved to hold its key, verified.
    pub peer: Option<&'r Peer>,
    /// Whether the connection is one of TLS.
    pub over_tls: bool,
    /// When the request was let in, if it is looked at again while it lasts: its proof was new then, and was used up.
    pub since: Option<i64>,
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

impl<'c> Parts<'c> {
    /// The claim that lists a principal's reports.
    fn reports(&self) -> Option<&'c ClaimPath> {
        match self.hierarchy {
            Hierarchy::Claim(path) => Some(path),
            _ => None,
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
        let certificates = match parts.authn.certificates.as_ref().map(|file| mtls::Clients::load(file, parts)) {
            None => None,
            Some(Ok((clients, found))) => {
                warnings.extend(found);
                Some(clients)
            }
            Some(Err(found)) => {
                diagnostics.extend(found);
                None
            }
        };
        let introspector = parts.authn.introspection.as_ref().map(|file| Introspector::load(file, parts, &clock));
        let introspector = introspector.transpose().unwrap_or_else(|found| {
            diagnostics.extend(found);
            None
        });
        let revocations = parts.authn.revocations.as_ref().map(|path| Revocations::load(path, parts.metrics));
        let revocations = revocations.transpose().unwrap_or_else(|found| {
            diagnostics.extend(found);
            None
        });
        if !diagnostics.is_empty() {
            crate::diagnostic::sort(&mut diagnostics);
            return Err(diagnostics);
        }
        let verified = Cache::builder()
            .max_capacity(CACHED_TOKENS)
            .time_to_live(Duration::from_secs(CACHED_SECONDS.unsigned_abs()))
            .build();
        let metrics = parts.metrics.clone();
        let (revocations, proofs) = (revocations.map(Arc::new), Proofs::default());
        Ok(Self {
            issuers,
            introspector,
            api_keys,
            certificates,
            revocations,
            generation,
            verified,
            proofs,
            origins: parts.authn.origins.clone(),
            warnings,
            metrics,
            clock,
        })
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

    /// Reads the list of revocations again. Called often: what is revoked must not wait.
    pub async fn read_revocations(&self) {
        if let Some(revocations) = self.revocations.clone() {
            // A file on a network may take its time. A reading that panics changes nothing.
            tokio::task::spawn_blocking(move || revocations.read_again()).await.ok();
        }
    }

    pub fn has_revocations(&self) -> bool {
        self.revocations.is_some()
    }

    /// Takes over from `old`, which this one replaces, key sets that could not be fetched: a reload must not forget what a
    /// gateway that was not reloaded would go on using. Only those of the same issuer at the same place.
    /// Proofs that were used stay used.
    pub fn inherit(&self, old: &Self) {
        self.proofs.inherit(&old.proofs);
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

    /// Scopes of API keys that no request can be in, since there is no such table or action.
    pub fn idle_scopes(&self, catalog: &Catalog) -> Vec<Diagnostic> {
        let scopes = self.api_keys.iter().flat_map(|keys| keys.scopes());
        scopes.filter_map(|(scope, place)| scopes::idle(scope, place, catalog)).collect()
    }

    /// API keys that no longer let anybody in.
    pub fn expired_keys(&self) -> Vec<Diagnostic> {
        let now = self.clock.now();
        self.api_keys.iter().flat_map(|keys| keys.expired(now)).collect()
    }

    /// Values of the first dimension for which somebody can come in.
    pub fn organizations(&self) -> BTreeSet<Name> {
        let issued = self.issuers.values().flat_map(|issuer| issuer.mapping.organizations());
        let issued = issued.chain(self.introspector.iter().flat_map(|introspector| introspector.organizations()));
        let keyed = self.api_keys.iter().flat_map(api_key::ApiKeys::organizations);
        issued.cloned().chain(keyed).chain(self.certificates.iter().flat_map(mtls::Clients::organizations)).collect()
    }

    /// Who sends this request. A certificate counts where no header names anybody.
    pub async fn authenticate(&self, presented: &Presented<'_>) -> Result<Authenticated, Refused> {
        let headers = presented.headers;
        let mut bearers = headers.get_all(header::AUTHORIZATION).iter();
        let mut keys = headers.get_all("x-api-key").iter();
        match (bearers.next(), keys.next()) {
            (None, None) => match (presented.peer, &self.certificates) {
                (Some(peer), Some(clients)) => {
                    let principal = clients.authenticate(peer)?;
                    self.check_principal(&principal)?;
                    if site::is_foreign(presented, &self.origins) {
                        return Err(Refused::CrossSite);
                    }
                    Ok(Authenticated { principal, remembered: false, nonce: None, key: None })
                }
                _ => Err(Refused::Missing),
            },
            (Some(_), Some(_)) => Err(Refused::Several),
            _ if bearers.next().is_some() || keys.next().is_some() => Err(Refused::Several),
            (Some(bearer), None) => {
                let (scheme, token) =
                    bearer.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Refused::Malformed)?;
                if scheme.eq_ignore_ascii_case("Bearer") {
                    return self.token(token, presented, None).await;
                }
                if !scheme.eq_ignore_ascii_case("DPoP") || token.len() > jwt::MAX_TOKEN {
                    return Err(Refused::Malformed);
                }
                let mut proofs = headers.get_all("dpop").iter();
                let (Some(proof), None) = (proofs.next(), proofs.next()) else { return Err(Refused::Proof) };
                let proof = proof.to_str().map_err(|_| Refused::Proof)?;
                let at = presented.since.unwrap_or_else(|| self.clock.now().as_second());
                let proof = Proof::check(proof, token, presented, &self.origins, at)?;
                let found = self.token(token, presented, Some(&proof)).await?;
                // Last, so that only whoever holds a token and its key takes room.
                if presented.since.is_none() {
                    self.proofs.consume(&proof, &found.principal)?;
                }
                Ok(found)
            }
            (None, Some(key)) => {
                let key = key.to_str().map_err(|_| Refused::Malformed)?;
                let known = self.api_keys.as_ref().ok_or(Refused::ApiKey)?;
                let principal = known.authenticate(key, self.clock.now())?;
                let id = api_key::id_of(key).map(Name::from);
                if let (Some(revocations), Some(id)) = (&self.revocations, &id) {
                    revocations.check_api_key(id)?;
                }
                self.check_principal(&principal)?;
                Ok(Authenticated { principal: Arc::new(principal), remembered: false, nonce: None, key: id })
            }
        }
    }

    async fn token(
        &self,
        token: &str,
        presented: &Presented<'_>,
        proof: Option<&Proof>,
    ) -> Result<Authenticated, Refused> {
        if token.len() > jwt::MAX_TOKEN {
            return Err(Refused::Malformed);
        }
        let now = self.clock.now().as_second();
        // Read before the keys are: what is verified with older keys is then filed under the older generation.
        let generation = self.generation.load(Ordering::SeqCst);
        let place = (sha256(token.as_bytes()), generation);
        if let Some(cached) = self.verified.get(&place).filter(|cached| now < cached.until) {
            let nonce = self.check(&cached, presented, proof)?;
            return Ok(Authenticated { principal: cached.principal, remembered: true, nonce, key: None });
        }
        let unverified = match (&self.introspector, jwt::Unverified::parse(token)) {
            (Some(introspector), Ok(found)) if found.issuer() == Ok(introspector.issuer()) => None,
            // What has not the form of a JWT says nothing by itself.
            (Some(_), Err(_)) if token.split('.').count() < 3 => None,
            (_, found) => Some(found?),
        };
        let Some(unverified) = unverified else {
            let introspector = self.introspector.as_ref().ok_or(Refused::Malformed)?;
            let (found, remembered) = introspector.introspect(token).await?;
            let nonce = self.check(&found, presented, proof)?;
            return Ok(Authenticated { principal: found.principal, remembered, nonce, key: None });
        };
        let issuer = self.issuers.get(unverified.issuer()?).ok_or(Refused::Issuer)?;
        let proven = issuer.verify(unverified).await?;
        let (name, claims) = (&issuer.expected.issuer, &proven.verified.claims);
        let principal = issuer.mapping.principal(name, claims)?;
        let found = Cached {
            until: proven.until.min(now.saturating_add(CACHED_SECONDS)),
            binding: Binding::of(claims, issuer.proofs, issuer.nonce.as_ref())?,
            marks: Marks::of(&principal, claims, proven.verified.key.as_deref()),
            principal: Arc::new(principal),
        };
        let nonce = self.check(&found, presented, proof);
        let principal = Arc::clone(&found.principal);
        // Also where a nonce is wanted first: the same token comes again.
        if matches!(nonce, Ok(_) | Err(Refused::Nonce(_))) {
            self.verified.insert(place, found);
        }
        Ok(Authenticated { principal, remembered: false, nonce: nonce?, key: None })
    }

    /// Whether somebody who comes without a token was taken back as a person.
    fn check_principal(&self, principal: &Principal) -> Result<(), Refused> {
        self.revocations.as_ref().map_or(Ok(()), |revocations| revocations.check_principal(principal))
    }

    /// What may change from one request to the next.
    fn check(
        &self,
        found: &Cached,
        presented: &Presented<'_>,
        proof: Option<&Proof>,
    ) -> Result<Option<Nonce>, Refused> {
        self.revocations.as_ref().map_or(Ok(()), |revocations| revocations.check_token(&found.marks))?;
        found.binding.check(presented, proof)?;
        // Last: to nobody but whoever holds a token and its key is a nonce told.
        match (proof, &found.binding.nonce) {
            (Some(proof), Some(repeated)) => self.proofs.check_nonce(proof, repeated),
            _ => Ok(None),
        }
    }
}

/// A date and time of a file.
fn timestamp(node: &Node, what: &'static str, reader: &mut Reader) -> Option<Timestamp> {
    let text = reader.text(node, what)?;
    let parsed = text.value.parse::<Timestamp>().ok();
    if parsed.is_none() {
        let message = format!("{what} must be a date and time");
        reader.error("expected-timestamp", &node.span, message).help = Some("for example 2027-01-01T00:00:00Z".into());
    }
    parsed
}

/// A file as text, or the diagnostic that names it.
fn read(path: &Path) -> Result<Arc<Source>, Vec<Diagnostic>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Source::new(path.display().to_string(), text)),
        Err(error) => Err(vec![files::unreadable(path, &error)]),
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
