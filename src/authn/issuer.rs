//! One issuer of tokens: its keys, where they come from, and what its tokens must show.
//!
//! Keys from elsewhere are fetched again at their interval, and once more when a token names a key that is not among them:
//! one fetch for the few who may wait, and not more than one in half a minute. Keys that can't be fetched again stay in force up to
//! their declared age. Without keys every token is refused, and never let in unverified.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, Semaphore};

use super::fetch::{Fetcher, Unfetched, is_fetchable};
use super::jwks::KeySet;
use super::nonce::Repeated;
use super::{Parts, Refused, claims, discovery, jwks, jwt, misplaced, read, sha256};
use crate::clock::Clock;
use crate::config::{Jwks, JwtIssuer, KeySource, Proofs};
use crate::diagnostic::{Diagnostic, Span};
use crate::metrics::Metrics;
use crate::model::{Method, Name};

/// Between two fetches that tokens with unknown keys ask for.
const LOOK_AGAIN_AFTER: i64 = 30;
/// Tokens with unknown keys that wait for one: anybody can send them, and each holds a place among the requests in flight.
const MAX_WAITING: usize = 64;
/// After a fetch that failed, while there are keys and while there are none.
const RETRY_AFTER: Duration = Duration::from_secs(30);
const RETRY_WITHOUT_KEYS: Duration = Duration::from_secs(5);

pub(super) struct Issuer {
    pub(super) expected: jwt::Expected,
    pub(super) mapping: claims::Mapping,
    pub(super) proofs: Proofs,
    pub(super) nonce: Option<Repeated>,
    keys: ArcSwapOption<Held>,
    remote: Option<Remote>,
    /// Counts changes of any issuer's keys.
    generation: Arc<AtomicU64>,
    metrics: Metrics,
    clock: Clock,
}

/// Keys in force.
struct Held {
    set: KeySet,
    /// SHA-256 of their text.
    hash: [u8; 32],
    /// When they were last fetched, in seconds since the epoch.
    fetched: AtomicI64,
}

/// Where keys from elsewhere come from.
struct Remote {
    from: KeySource,
    ca: Option<PathBuf>,
    refresh: Duration,
    max_age: Duration,
    fetcher: Fetcher,
    /// When a token with an unknown key last asked for a fetch. Held during that fetch: others wait for it.
    looked: Arc<Mutex<Option<i64>>>,
    /// For those who wait.
    places: Semaphore,
    /// Fetches that are over, however they ended.
    fetches: AtomicU64,
    failing: AtomicBool,
}

/// Why keys from elsewhere could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Fetch(#[from] Unfetched),
    #[error(transparent)]
    Metadata(#[from] discovery::Misled),
    #[error("unusable key set: {0}")]
    Keys(#[from] jwks::Unusable),
}

/// A token's claims, verified, and the second from which they must be verified anew.
pub(super) struct Proven {
    pub(super) verified: jwt::Verified,
    pub(super) until: i64,
}

impl Issuer {
    pub(super) fn load(
        issuer: &JwtIssuer,
        parts: &Parts<'_>,
        generation: &Arc<AtomicU64>,
        clock: &Clock,
    ) -> Result<Self, Vec<Diagnostic>> {
        let known = claims::Known {
            schema: parts.principal,
            organizations: &issuer.organizations,
            dimensions: &parts.tenancy.dimensions,
            reports: parts.reports(),
        };
        let mapping = claims::Mapping::compile(&issuer.map, Method::Jwt, known)?;
        let expected = jwt::Expected {
            issuer: Name::clone(&issuer.issuer),
            audience: Name::clone(&issuer.audience),
            algorithms: issuer.algorithms.clone(),
            leeway: issuer.leeway,
            access_tokens_only: issuer.access_tokens_only,
        };
        let (generation, metrics, clock) = (Arc::clone(generation), parts.metrics.clone(), clock.clone());
        let (proofs, nonce) = (issuer.proofs, issuer.nonces.as_ref().map(Repeated::new));
        let mut this = Self {
            expected,
            mapping,
            proofs,
            nonce,
            keys: ArcSwapOption::empty(),
            remote: None,
            generation,
            metrics,
            clock,
        };
        match &issuer.jwks {
            Jwks::File(path) => {
                let source = read(path)?;
                this.replace(source.text.as_bytes()).map_err(|error| {
                    vec![Diagnostic::error("key-set", Span::new(&source, 0..0), format!("unusable key set: {error}"))]
                })?;
            }
            Jwks::Remote(remote) => {
                if !is_fetchable(remote.from.url()) {
                    let message = format!("the key set of issuer `{}` must be fetched over https", issuer.issuer);
                    let help = "plain http is possible from this machine itself only";
                    return Err(vec![misplaced(parts.path, message).help(help)]);
                }
                this.remote = Some(Remote {
                    from: remote.from.clone(),
                    ca: remote.ca.clone(),
                    refresh: remote.refresh,
                    max_age: remote.max_age,
                    fetcher: Fetcher::new(remote.ca.as_ref())?,
                    looked: Arc::default(),
                    places: Semaphore::new(MAX_WAITING),
                    fetches: AtomicU64::default(),
                    failing: AtomicBool::default(),
                });
            }
        }
        Ok(this)
    }

    /// Takes over keys that could not be fetched, if `old` has them from the same place.
    pub(super) fn inherit(&self, old: &Self) {
        let (Some(here), Some(there)) = (&self.remote, &old.remote) else { return };
        let same =
            here.from == there.from && here.ca == there.ca && self.expected.algorithms == old.expected.algorithms;
        if same && self.keys.load().is_none() {
            self.keys.store(old.keys.load_full());
        }
    }

    pub(super) fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    pub(super) fn is_failing(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| remote.failing.load(Ordering::Relaxed))
    }

    /// Whether there are keys that may still be used.
    pub(super) fn is_ready(&self) -> bool {
        self.keys(self.clock.now().as_second()).is_some()
    }

    /// Until its keys want to be fetched again; `None` if they lie in a file.
    pub(super) fn refresh_after(&self) -> Option<Duration> {
        let refresh = self.remote.as_ref()?.refresh;
        Some(if !self.is_ready() {
            refresh.min(RETRY_WITHOUT_KEYS)
        } else if self.is_failing() {
            refresh.min(RETRY_AFTER)
        } else {
            refresh
        })
    }

    /// Verifies a token. A key that is not known may be new: it is looked for once where the keys come from.
    pub(super) async fn verify(self: &Arc<Self>, token: jwt::Unverified<'_>) -> Result<Proven, Refused> {
        let now = self.clock.now().as_second();
        let mut keys = self.keys(now);
        if keys.as_ref().is_some_and(|keys| token.names_unknown_key(&self.expected, &keys.set))
            && Box::pin(self.look_again(now)).await?
        {
            keys = self.keys(now);
        }
        let verified = token.verify(&self.expected, keys.as_ref().map(|keys| &keys.set), now)?;
        let age = |remote: &Remote, keys: &Held| keys.fetched.load(Ordering::Relaxed).saturating_add(remote.max_age());
        let last = self.remote.as_ref().zip(keys.as_deref()).map_or(i64::MAX, |(remote, keys)| age(remote, keys));
        Ok(Proven { until: verified.expires.min(last), verified })
    }

    /// The keys, unless they are too old to be trusted.
    fn keys(&self, now: i64) -> Option<Arc<Held>> {
        let keys = self.keys.load_full()?;
        let age = now.saturating_sub(keys.fetched.load(Ordering::Relaxed));
        Some(keys).filter(|_| self.remote.as_ref().is_none_or(|remote| age < remote.max_age()))
    }

    /// Fetches the keys because a token names one that is not among them. Whether there was a fetch since it was looked for.
    /// Errors: too many wait for it already.
    async fn look_again(self: &Arc<Self>, now: i64) -> Result<bool, Refused> {
        let Some(remote) = &self.remote else { return Ok(false) };
        let before = remote.fetches.load(Ordering::SeqCst);
        let Ok(_place) = remote.places.try_acquire() else { return Err(Refused::KeysUnavailable) };
        let mut looked = Arc::clone(&remote.looked).lock_owned().await;
        if remote.fetches.load(Ordering::SeqCst) != before {
            return Ok(true);
        }
        // Anybody can send a token with a key that does not exist.
        if looked.is_some_and(|last| (0..LOOK_AGAIN_AFTER).contains(&now.saturating_sub(last))) {
            return Ok(false);
        }
        *looked = Some(now);
        // It goes on without whoever asked: who comes and leaves must not take this look from the others.
        let this = Arc::clone(self);
        let looking = tokio::spawn(async move {
            this.refresh().await;
            drop(looked);
        });
        looking.await.ok();
        Ok(true)
    }

    /// Fetches the keys, if they lie elsewhere. The last ones stay if they can't be had.
    pub(super) async fn refresh(&self) {
        let Some(remote) = &self.remote else { return };
        let issuer = &*self.expected.issuer;
        let fetched = self.fetch(remote).await;
        let outcome = if fetched.is_ok() { "ok" } else { "failed" };
        match fetched {
            Ok(false) => tracing::debug!(issuer, "key set unchanged"),
            Ok(true) => {
                self.generation.fetch_add(1, Ordering::SeqCst);
                tracing::info!(issuer, "key set replaced");
            }
            Err(error) if self.is_ready() => {
                tracing::warn!(issuer, %error, "key set not refreshed, the last keys stay in force");
            }
            Err(error) => tracing::error!(issuer, %error, "no keys at hand, every token of this issuer is refused"),
        }
        remote.failing.store(outcome == "failed", Ordering::Relaxed);
        self.metrics.key_set_fetches.with_label_values(&[outcome]).inc();
        remote.fetches.fetch_add(1, Ordering::SeqCst);
    }

    async fn fetch(&self, remote: &Remote) -> Result<bool, Failed> {
        let found;
        let url = match &remote.from {
            KeySource::Url(url) => url,
            KeySource::Metadata(place) => {
                let metadata = remote.fetcher.get(place).await?;
                found = discovery::keys(&metadata, &self.expected.issuer, place)?;
                &found
            }
        };
        let set = remote.fetcher.get(url).await?;
        Ok(self.replace(&set)?)
    }

    /// Whether the set is another one than before.
    fn replace(&self, text: &[u8]) -> Result<bool, jwks::Unusable> {
        let (hash, now) = (sha256(text), self.clock.now().as_second());
        if let Some(keys) = self.keys.load().as_ref().filter(|keys| keys.hash == hash) {
            keys.fetched.store(now, Ordering::Relaxed);
            return Ok(false);
        }
        let set = KeySet::parse(text, &self.expected.algorithms)?;
        self.keys.store(Some(Arc::new(Held { set, hash, fetched: now.into() })));
        Ok(true)
    }
}

impl Remote {
    /// In seconds.
    fn max_age(&self) -> i64 {
        i64::try_from(self.max_age.as_secs()).unwrap_or(i64::MAX)
    }
}
