//! Credentials -> [`Principal`]. Absent and wrong are different inside and the same to the client.
//!
//! A credential that cannot be verified is never ignored: a request with a wrong token is refused even where another
//! credential would do. The token's own header chooses nothing: algorithm and key are bound by configuration.

pub mod api_key;
mod claims;
mod json;
pub mod jwks;
mod jwt;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest::{self, SHA256};
use http::{HeaderMap, Uri, header};
use moka::sync::Cache;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::clock::Clock;
use crate::config::{Authn, Config, Hierarchy, Jwks, JwtIssuer, PrincipalSchema, Tenancy};
use crate::diagnostic::{Diagnostic, Source, Span};
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
    clock: Clock,
}

struct Issuer {
    expected: jwt::Expected,
    mapping: claims::Mapping,
    /// The set and the SHA-256 of its text.
    keys: ArcSwapOption<(jwks::KeySet, [u8; 32])>,
    remote: Option<Remote>,
}

/// A key set behind a URL.
struct Remote {
    url: Uri,
    ca: Option<PathBuf>,
    refresh: Duration,
    fetcher: jwks::Fetcher,
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

/// How many key sets could be fetched, and how many could not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetches {
    pub ok: u64,
    pub failed: u64,
}

/// The parts of a configuration that say who may be who.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'c> {
    pub authn: &'c Authn,
    pub principal: &'c PrincipalSchema,
    pub tenancy: &'c Tenancy,
    pub hierarchy: &'c Hierarchy,
    /// Shown where a mistake has no file of its own.
    pub path: &'c Path,
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
    pub fn load(config: &Config, clock: Clock) -> Result<Self, Vec<Diagnostic>> {
        let Config { authn, principal, tenancy, hierarchy, path, .. } = config;
        Self::from_parts(&Parts { authn, principal, tenancy, hierarchy, path }, clock)
    }

    /// As [`load`](Self::load), from the parts that matter.
    pub fn from_parts(parts: &Parts<'_>, clock: Clock) -> Result<Self, Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        let mut warnings = Vec::new();
        let mut issuers = HashMap::new();
        for issuer in &parts.authn.jwt {
            let name = Name::clone(&issuer.issuer);
            match Issuer::load(issuer, parts) {
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
        Ok(Self { issuers, api_keys, generation: Arc::default(), verified, warnings, clock })
    }

    /// What is dubious but not wrong in the files that were read.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Fetches every key set that lies behind a URL once, and says how that went. A set that can't be fetched keeps its
    /// last keys. Called at start and then by the gateway's refresh task at [`refresh_interval`].
    ///
    /// [`refresh_interval`]: Self::refresh_interval
    pub async fn refresh(&self) -> Fetches {
        let mut fetches = tokio::task::JoinSet::new();
        for issuer in self.issuers.values().filter(|issuer| issuer.remote.is_some()) {
            let (issuer, generation) = (Arc::clone(issuer), Arc::clone(&self.generation));
            fetches.spawn(async move { issuer.refresh(&generation).await });
        }
        // One slow issuer must not hold up the others; dropping the set with this future ends the fetches.
        let mut all = Fetches::default();
        while let Some(fetched) = fetches.join_next().await {
            match fetched {
                Ok(true) => all.ok += 1,
                Ok(false) | Err(_) => all.failed += 1,
            }
        }
        all
    }

    /// Takes over from `old`, which this one replaces, key sets that could not be fetched: a reload must not forget what a
    /// gateway that was not reloaded would go on using. Only those of the same issuer at the same place.
    pub fn inherit(&self, old: &Self) {
        for (name, issuer) in &self.issuers {
            let Some(before) = old.issuers.get(name) else { continue };
            let place = |issuer: &Issuer| issuer.remote.as_ref().map(|remote| (remote.url.clone(), remote.ca.clone()));
            let same = place(issuer).is_some_and(|here| place(before) == Some(here))
                && issuer.expected.algorithms == before.expected.algorithms;
            if same && issuer.keys.load().is_none() {
                issuer.keys.store(before.keys.load_full());
            }
        }
    }

    /// How often [`refresh`](Self::refresh) wants to be called; `None` if nothing lies behind a URL.
    pub fn refresh_interval(&self) -> Option<Duration> {
        self.issuers.values().filter_map(|issuer| issuer.remote.as_ref()).map(|remote| remote.refresh).min()
    }

    /// Whether every issuer has keys; part of readiness.
    pub fn is_ready(&self) -> bool {
        self.issuers.values().all(|issuer| issuer.keys.load().is_some())
    }

    /// Values of the first dimension for which somebody can come in.
    pub fn organizations(&self) -> BTreeSet<Name> {
        let issued = self.issuers.values().flat_map(|issuer| issuer.mapping.organizations());
        issued.cloned().chain(self.api_keys.iter().flat_map(api_key::ApiKeys::organizations)).collect()
    }

    /// Who sends these headers.
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<Authenticated, Refused> {
        let mut bearers = headers.get_all(header::AUTHORIZATION).iter();
        let mut keys = headers.get_all("x-api-key").iter();
        match (bearers.next(), keys.next()) {
            (None, None) => Err(Refused::Missing),
            (Some(_), Some(_)) => Err(Refused::Several),
            _ if bearers.next().is_some() || keys.next().is_some() => Err(Refused::Several),
            (Some(bearer), None) => {
                let (scheme, token) =
                    bearer.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Refused::Malformed)?;
                if scheme.eq_ignore_ascii_case("Bearer") { self.token(token) } else { Err(Refused::Malformed) }
            }
            (None, Some(key)) => {
                let key = key.to_str().map_err(|_| Refused::Malformed)?;
                let known = self.api_keys.as_ref().ok_or(Refused::ApiKey)?;
                let principal = known.authenticate(key, self.clock.now())?;
                Ok(Authenticated { principal: Arc::new(principal), remembered: false })
            }
        }
    }

    fn token(&self, token: &str) -> Result<Authenticated, Refused> {
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
        let keys = issuer.keys.load();
        let verified = token.verify(&issuer.expected, keys.as_ref().map(|keys| &keys.0), now)?;
        let principal = issuer.mapping.principal(&issuer.expected.issuer, &verified.claims)?;
        let until = verified.expires.min(now.saturating_add(CACHED_SECONDS));
        let principal = Arc::new(principal);
        self.verified.insert(place, Cached { principal: Arc::clone(&principal), until });
        Ok(Authenticated { principal, remembered: false })
    }
}

impl Issuer {
    fn load(issuer: &JwtIssuer, parts: &Parts<'_>) -> Result<Self, Vec<Diagnostic>> {
        let reports = match parts.hierarchy {
            Hierarchy::Claim(path) => Some(path),
            _ => None,
        };
        let dimensions = &parts.tenancy.dimensions;
        let mapping = claims::Mapping::new(&issuer.map, parts.principal, &issuer.organizations, dimensions, reports);
        let expected = jwt::Expected {
            issuer: Name::clone(&issuer.issuer),
            audience: Name::clone(&issuer.audience),
            algorithms: issuer.algorithms.clone(),
            leeway: issuer.leeway,
        };
        let mut this = Self { expected, mapping, keys: ArcSwapOption::empty(), remote: None };
        match &issuer.jwks {
            Jwks::File(path) => {
                let source = read(path)?;
                this.replace(source.text.as_bytes()).map_err(|error| {
                    vec![Diagnostic::error("key-set", Span::new(&source, 0..0), format!("unusable key set: {error}"))]
                })?;
            }
            Jwks::Url { url, refresh, ca } => {
                if !jwks::is_fetchable(url) {
                    let message = format!("the key set of issuer `{}` must be fetched over https", issuer.issuer);
                    let help = "plain http is possible from this machine itself only";
                    return Err(vec![misplaced(parts.path, message).help(help)]);
                }
                let fetcher = jwks::fetcher(roots(ca.as_ref())?)
                    .map_err(|error| vec![misplaced(parts.path, format!("no TLS for key sets: {error}"))])?;
                this.remote = Some(Remote { url: url.clone(), ca: ca.clone(), refresh: *refresh, fetcher });
            }
        }
        Ok(this)
    }

    /// Whether the set behind the URL could be had.
    async fn refresh(&self, generation: &AtomicU64) -> bool {
        let Some(remote) = &self.remote else { return true };
        let issuer = &*self.expected.issuer;
        let fetched = jwks::fetch(&remote.fetcher, &remote.url).await;
        match fetched.and_then(|body| self.replace(&body)) {
            Ok(false) => tracing::debug!(issuer, "key set unchanged"),
            Ok(true) => {
                generation.fetch_add(1, Ordering::SeqCst);
                tracing::info!(issuer, "key set replaced");
            }
            Err(error) => {
                tracing::warn!(issuer, %error, "key set not refreshed, the last keys stay in force");
                return false;
            }
        }
        true
    }

    /// Whether the set is another one than before.
    fn replace(&self, text: &[u8]) -> Result<bool, jwks::Unusable> {
        let hash = sha256(text);
        if self.keys.load().as_ref().is_some_and(|keys| keys.1 == hash) {
            return Ok(false);
        }
        let keys = jwks::KeySet::parse(text, &self.expected.algorithms)?;
        self.keys.store(Some(Arc::new((keys, hash))));
        Ok(true)
    }
}

/// The authorities that may vouch for a key set's server: the declared file's alone, else the system's.
fn roots(ca: Option<&PathBuf>) -> Result<rustls::RootCertStore, Vec<Diagnostic>> {
    let mut roots = rustls::RootCertStore::empty();
    let Some(path) = ca else {
        let found = rustls_native_certs::load_native_certs().unwrap_or_default();
        roots.add_parsable_certificates(found);
        return Ok(roots);
    };
    let source = read(path)?;
    let fail = |what: &str| vec![Diagnostic::error("ca-file", Span::new(&source, 0..0), what)];
    for certificate in CertificateDer::pem_slice_iter(source.text.as_bytes()) {
        let certificate = certificate.map_err(|_| fail("this is no file of PEM certificates"))?;
        roots.add(certificate).map_err(|_| fail("a certificate in this file is not one of an authority"))?;
    }
    if roots.is_empty() {
        return Err(fail("this file holds no certificate"));
    }
    Ok(roots)
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
