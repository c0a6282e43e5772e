//! The addresses behind an upstream: which there are, which of them answer, and which is asked next.
//!
//! A name is looked up again from time to time, by one request while the others use what is known; a resolver that fails
//! takes nothing away. Whoever fails several times in a row is left alone for a while, longer each time, but never more than
//! half of all, and then asked by one exchange before it is trusted again; of the others the one with the fewest is asked.
//! Whoever does not pass its health checks is not asked until it does, unless nobody does.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use prometheus::IntCounter;
use tokio::sync::Mutex;

use super::Failure;
use crate::config::{Health, Upstream};

/// How addresses do, as many as there are of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct States {
    pub(super) serving: usize,
    /// Left alone for a while.
    pub(super) ejected: usize,
    /// By their health checks.
    pub(super) unhealthy: usize,
}

/// Addresses beyond these are not asked.
const MAX_ADDRESSES: usize = 64;
/// After a look-up that failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The longest that an address is left alone is so many times as long as the first time.
const MAX_EJECTIONS: u32 = 10;

pub(super) struct Endpoints {
    /// `None` if the addresses are declared.
    name: Option<Lookup>,
    known: ArcSwap<Known>,
    /// Where the search for the least loaded begins, so that equals take turns.
    next: AtomicUsize,
    health: Health,
    /// Checks that an address may fail in a row; it is unhealthy with the last of them.
    missed: u32,
    ejections: IntCounter,
}

struct Lookup {
    host: String,
    port: u16,
    every: Duration,
    /// For one look-up.
    time: Duration,
    /// One at a time.
    asking: Mutex<()>,
}

struct Known {
    endpoints: Vec<Arc<Endpoint>>,
    /// `None`: they are looked up no more.
    until: Option<Instant>,
}

pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    in_use: AtomicUsize,
    /// Health checks that failed since the last one that passed.
    missed: AtomicU32,
    /// Counts them.
    answers: AtomicU64,
    record: std::sync::Mutex<Record>,
}

/// How an address has done lately.
#[derive(Clone, Copy, Default)]
struct Record {
    /// In a row.
    failures: u32,
    ejected_until: Option<Instant>,
    /// Without an answer in between.
    ejections: u32,
}

/// An address in use by one exchange.
pub(super) struct Lease {
    endpoint: Arc<Endpoint>,
    /// Answers until it was taken.
    answers: u64,
}

impl Lease {
    pub(super) fn address(&self) -> SocketAddr {
        self.endpoint.address
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.in_use.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Endpoints {
    /// `time`: for one look-up.
    pub(super) fn new(upstream: &Upstream, time: Duration, ejections: IntCounter) -> Self {
        let fixed = match upstream.host.parse::<IpAddr>() {
            Ok(ip) if upstream.addresses.is_empty() => vec![SocketAddr::new(ip, upstream.port)],
            _ => upstream.addresses.clone(),
        };
        let name = fixed.is_empty().then(|| Lookup {
            host: upstream.host.clone(),
            port: upstream.port,
            every: upstream.resolve_every,
            time,
            asking: Mutex::new(()),
        });
        let until = name.is_some().then(Instant::now);
        let endpoints = fixed.into_iter().map(Endpoint::new).collect();
        let known = ArcSwap::from_pointee(Known { endpoints, until });
        let missed = upstream.health_check.as_ref().map_or(u32::MAX, |check| check.failures);
        Self { name, known, next: AtomicUsize::new(0), health: upstream.health, missed, ejections }
    }

    /// The one to ask, other than `not` if there is another. Errors: the name does not resolve, and never did.
    pub(super) async fn choose(&self, not: Option<SocketAddr>) -> Result<Lease, Failure> {
        if let Some(name) = &self.name {
            self.refresh(name).await;
        }
        let known = self.known.load();
        let now = Instant::now();
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let (before, after) = known.endpoints.split_at(start.checked_rem(known.endpoints.len()).unwrap_or_default());
        let in_turn = || after.iter().chain(before);
        let least = |usable: &dyn Fn(&Endpoint) -> bool| {
            let usable = in_turn().filter(|endpoint| usable(endpoint));
            usable.min_by_key(|endpoint| endpoint.in_use.load(Ordering::Relaxed))
        };
        let other = |endpoint: &Endpoint| Some(endpoint.address) != not;
        let healthy =
            |endpoint: &Endpoint| other(endpoint) && !self.is_unhealthy(endpoint) && endpoint.may_be_asked(now);
        // Better one that failed than none, and better one that failed lately than one that does not pass its checks.
        let passes = |endpoint: &Endpoint| other(endpoint) && !self.is_unhealthy(endpoint);
        let chosen = least(&healthy).or_else(|| least(&passes)).or_else(|| least(&other));
        let chosen = chosen.or_else(|| least(&|_| true)).ok_or(Failure::Unresolved)?;
        chosen.in_use.fetch_add(1, Ordering::Relaxed);
        Ok(Lease { endpoint: Arc::clone(chosen), answers: chosen.answers.load(Ordering::Relaxed) })
    }

    /// All that there are by now, to be checked.
    pub(super) async fn each(&self) -> Vec<Arc<Endpoint>> {
        if let Some(name) = &self.name {
            self.refresh(name).await;
        }
        self.known.load().endpoints.clone()
    }

    /// A health check passed, or did not. Whether it is another state now: unhealthy, or no longer.
    pub(super) fn checked(&self, endpoint: &Endpoint, passed: bool) -> bool {
        let missed = if passed { 0 } else { endpoint.missed.load(Ordering::Relaxed).saturating_add(1) };
        let before = endpoint.missed.swap(missed, Ordering::Relaxed);
        (before >= self.missed) != (missed >= self.missed)
    }

    pub(super) fn is_unhealthy(&self, endpoint: &Endpoint) -> bool {
        endpoint.missed.load(Ordering::Relaxed) >= self.missed
    }

    pub(super) fn states(&self, now: Instant) -> States {
        let mut states = States::default();
        for endpoint in &self.known.load().endpoints {
            if self.is_unhealthy(endpoint) {
                states.unhealthy += 1;
            } else if endpoint.record().is_ejected(now) {
                states.ejected += 1;
            } else {
                states.serving += 1;
            }
        }
        states
    }

    /// All that are known.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.known.load().endpoints.iter().map(|endpoint| endpoint.address).collect()
    }

    /// Whether another one than this could be asked.
    pub(super) fn has_other(&self, than: SocketAddr) -> bool {
        self.known.load().endpoints.iter().any(|endpoint| endpoint.address != than)
    }

    /// An answer came.
    pub(super) fn answered(&self, lease: &Lease) {
        lease.endpoint.answers.fetch_add(1, Ordering::Relaxed);
        let mut record = lease.endpoint.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *record = Record::default();
    }

    /// None came, or none that says that the service is there.
    pub(super) fn failed(&self, lease: &Lease) {
        // It has answered others since.
        if lease.endpoint.answers.load(Ordering::Relaxed) != lease.answers {
            return;
        }
        let now = Instant::now();
        let known = self.known.load();
        let is_out = |endpoint: &Endpoint| endpoint.record().is_ejected(now) || self.is_unhealthy(endpoint);
        let others = known.endpoints.iter().filter(|endpoint| endpoint.address != lease.address());
        let out = others.filter(|endpoint| is_out(endpoint)).count();
        let mut record = lease.endpoint.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        record.failures = record.failures.saturating_add(1);
        // Never more than half: where all fail, it is not them.
        let may = (out + 1) * 2 <= known.endpoints.len();
        if record.failures >= self.health.failures && may && !record.is_ejected(now) {
            record.ejections = (record.ejections + 1).min(MAX_EJECTIONS);
            record.ejected_until = Some(now + self.health.time * record.ejections);
            // One more failure after that is enough.
            record.failures = self.health.failures.saturating_sub(1);
            self.ejections.inc();
            tracing::warn!(address = %lease.address(), "an upstream's address failed and is left alone for a while");
        }
    }

    async fn refresh(&self, name: &Lookup) {
        let is_due = || self.known.load().until.is_some_and(|until| until <= Instant::now());
        if !is_due() {
            return;
        }
        let asking = if self.known.load().endpoints.is_empty() {
            name.asking.lock().await
        } else {
            // Somebody else asks; what is known will do.
            let Ok(asking) = name.asking.try_lock() else { return };
            asking
        };
        if !is_due() {
            return;
        }
        let found = tokio::time::timeout(name.time, tokio::net::lookup_host((name.host.as_str(), name.port))).await;
        let found =
            found.ok().and_then(Result::ok).map(|found| found.take(MAX_ADDRESSES).collect()).unwrap_or_default();
        self.take(found, Instant::now(), name.every);
        drop(asking);
    }

    /// Takes over what a look-up found; those that were known keep their record.
    fn take(&self, mut found: Vec<SocketAddr>, now: Instant, every: Duration) {
        let known = self.known.load_full();
        let next = if found.is_empty() {
            let until = now + if known.endpoints.is_empty() { Duration::ZERO } else { RETRY_AFTER };
            Known { endpoints: known.endpoints.clone(), until: Some(until) }
        } else {
            found.sort_unstable();
            found.dedup();
            let before = |address| known.endpoints.iter().find(|endpoint| endpoint.address == address).cloned();
            let endpoint = |address| before(address).unwrap_or_else(|| Endpoint::new(address));
            Known { endpoints: found.into_iter().map(endpoint).collect(), until: Some(now + every) }
        };
        self.known.store(Arc::new(next));
    }
}

impl Endpoint {
    fn new(address: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            address,
            in_use: AtomicUsize::new(0),
            missed: AtomicU32::new(0),
            answers: AtomicU64::new(0),
            record: std::sync::Mutex::default(),
        })
    }

    /// One that was left alone is asked by one exchange at a time until it has answered.
    fn may_be_asked(&self, now: Instant) -> bool {
        let record = self.record();
        !record.is_ejected(now) && (record.ejections == 0 || self.in_use.load(Ordering::Relaxed) == 0)
    }

    fn record(&self) -> Record {
        *self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Record {
    fn is_ejected(&self, now: Instant) -> bool {
        self.ejected_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 80))
    }

    fn endpoints(count: u8, failures: u32) -> Endpoints {
        let health = Health { failures, time: Duration::from_secs(3600) };
        let endpoints = (1..=count).map(|last| Endpoint::new(address(last))).collect();
        let known = ArcSwap::from_pointee(Known { endpoints, until: None });
        let ejections = IntCounter::new("ejections", "Ejections.").unwrap();
        Endpoints { name: None, known, next: AtomicUsize::new(0), health, missed: 2, ejections }
    }

    #[tokio::test]
    async fn the_least_loaded_is_asked_and_equals_take_turns() {
        let all = endpoints(3, 5);
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..3 {
                let lease = all.choose(None).await.unwrap();
                seen.insert(lease.address());
                held.push(lease);
            }
            assert_eq!(seen.len(), 3);
        }
        let free = held.swap_remove(4).address();
        assert_eq!(all.choose(None).await.unwrap().address(), free);
        assert_ne!(all.choose(Some(free)).await.unwrap().address(), free);
        drop(held);
        assert!(all.known.load().endpoints.iter().all(|endpoint| endpoint.in_use.load(Ordering::Relaxed) == 0));
    }

    #[tokio::test]
    async fn who_fails_in_a_row_is_left_alone_but_never_more_than_half() {
        let all = endpoints(4, 3);
        let lease = async |last| {
            loop {
                let lease = all.choose(None).await.unwrap();
                if lease.address() == address(last) {
                    return lease;
                }
            }
        };
        let one = lease(1).await;
        all.failed(&one);
        all.failed(&one);
        all.answered(&one);
        all.failed(&one);
        assert_eq!(all.ejections.get(), 0, "it has answered since this was asked");
        drop(one);
        let one = lease(1).await;
        all.failed(&one);
        all.failed(&one);
        assert_eq!(all.ejections.get(), 0, "not in a row");
        all.failed(&one);
        assert_eq!(all.ejections.get(), 1);
        for last in [2, 3, 4] {
            let lease = lease(last).await;
            (0..5).for_each(|_| all.failed(&lease));
        }
        assert_eq!(all.ejections.get(), 2, "half of them are left");
        for _ in 0..8 {
            assert!(all.choose(None).await.unwrap().address() > address(2));
        }
        let single = endpoints(1, 1);
        let lease = single.choose(None).await.unwrap();
        single.failed(&lease);
        assert_eq!(single.ejections.get(), 0);
        assert_eq!(single.choose(Some(address(1))).await.unwrap().address(), address(1), "better than none");
    }

    #[tokio::test]
    async fn who_was_left_alone_is_asked_once_before_it_is_trusted() {
        let mut all = endpoints(2, 1);
        all.health.time = Duration::ZERO;
        let other = all.choose(Some(address(1))).await.unwrap();
        let failing = all.choose(None).await.unwrap();
        assert_eq!(failing.address(), address(1));
        all.failed(&failing);
        drop((failing, other));
        let mut held = Vec::new();
        for _ in 0..10 {
            held.push(all.choose(None).await.unwrap());
        }
        let (tries, others): (Vec<_>, Vec<_>) = held.into_iter().partition(|lease| lease.address() == address(1));
        assert_eq!((tries.len(), others.len()), (1, 9));
        tries.iter().for_each(|lease| all.answered(lease));
        assert_eq!(all.choose(None).await.unwrap().address(), address(1), "the least loaded again");
    }

    #[tokio::test]
    async fn who_fails_its_checks_is_not_asked_until_it_passes_one_unless_all_do() {
        let all = endpoints(2, 1);
        let (one, other) = (&all.each().await[0], &all.each().await[1]);
        let asked = async || {
            let leases = [all.choose(None).await.unwrap(), all.choose(None).await.unwrap()];
            leases.map(|lease| lease.address())
        };
        assert!(!all.checked(one, false));
        assert!(asked().await.contains(&address(1)), "one check is not enough");
        assert!(!all.checked(one, true) && !all.checked(one, false));
        assert!(all.checked(one, false) && !all.checked(one, false));
        assert_eq!(asked().await, [address(2); 2]);
        assert_eq!(all.choose(Some(address(2))).await.unwrap().address(), address(1), "better than none");
        all.failed(&all.choose(None).await.unwrap());
        assert_eq!(all.states(Instant::now()), States { serving: 1, ejected: 0, unhealthy: 1 }, "it is the last one");
        // One that is on trial is busy with one exchange; the other does not pass.
        other.record.lock().unwrap().ejections = 1;
        let trial = all.choose(None).await.unwrap();
        assert_eq!([trial.address(), all.choose(None).await.unwrap().address()], [address(2); 2]);
        drop(trial);
        *other.record.lock().unwrap() = Record::default();
        assert!(!all.checked(other, false) && all.checked(other, false));
        assert_ne!(asked().await[0], asked().await[1], "they take turns where none passes");
        all.answered(&all.choose(Some(address(2))).await.unwrap());
        assert!(all.is_unhealthy(one), "an answer to a request passes no check");
        assert!(all.checked(one, true) && !all.is_unhealthy(one));
        assert_eq!(asked().await, [address(1); 2]);
    }

    #[tokio::test]
    async fn a_look_up_keeps_what_is_known_and_a_failed_one_takes_nothing_away() {
        let all = endpoints(0, 1);
        assert_eq!(all.choose(None).await.err(), Some(Failure::Unresolved));
        let now = Instant::now();
        let every = Duration::from_secs(30);
        all.take(vec![address(1), address(2), address(1)], now, every);
        assert_eq!(all.known.load().endpoints.len(), 2);
        let lease = all.choose(Some(address(2))).await.unwrap();
        all.failed(&lease);
        all.take(vec![address(3), address(1)], now, every);
        assert_eq!(all.known.load().until, Some(now + every));
        assert_eq!(all.choose(None).await.unwrap().address(), address(3), "the other one is still left alone");
        assert!(!all.has_other(address(3)) || all.has_other(address(1)));
        all.take(Vec::new(), now, every);
        assert_eq!(all.known.load().endpoints.len(), 2);
        assert_eq!(all.known.load().until, Some(now + RETRY_AFTER));
    }
}
