//! Buckets that empty steadily, one for each caller.
//!
//! Callers are told apart by a keyed hash, so that nothing is kept of who they are and nobody can aim at another's bucket.
//! Where there are more of them than a gateway can keep, several share a bucket: memory has an end, and an attacker with
//! many addresses gets less from it, not more.

use std::cmp::Reverse;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::{DashMapStateStore, ShrinkableKeyedStateStore};
use governor::{Quota as Cells, RateLimiter};

use crate::config::Rate;
use crate::model::network;

/// Callers of one rate that are told apart.
const MAX_CALLERS: usize = 200_000;
/// Buckets that are shared by those beyond.
const SHARED: u64 = 1 << 12;

/// The same for all rates of a process, so that a reload finds its callers again.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What is told is told in whole seconds.
const SECOND: Duration = Duration::from_secs(1);

/// What is left of a rate for one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    pub rate: Rate,
    pub left: u32,
    /// Until another request is let in; zero while some are left.
    pub wait: Duration,
}

impl Quota {
    /// By what is told first: the least that is left, and where nothing is, the longest wait.
    pub fn urgency(&self) -> impl Ord + use<> {
        (self.left, Reverse(self.wait))
    }

    /// The values of `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4). Seconds.
    pub fn fields(&self) -> (String, String) {
        let name = self.rate.per.name();
        let policy = format!("\"{name}\";q={};w={}", self.rate.requests, self.rate.period.as_secs());
        let now = match self.left {
            0 => format!("\"{name}\";r=0;t={}", self.seconds()),
            left => format!("\"{name}\";r={left}"),
        };
        (policy, now)
    }

    /// Until another request is let in; at least 1.
    pub fn seconds(&self) -> u64 {
        self.wait.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
    }
}

pub(super) struct Bucket {
    rate: Rate,
    limiter: RateLimiter<u64, Counted, DefaultClock, StateInformationMiddleware>,
    counted: Counted,
    clock: DefaultClock,
    is_crowded: AtomicBool,
}

/// One request that was taken, and whose bucket it is from.
#[derive(Debug)]
pub(super) struct Taken {
    from: u64,
    pub(super) quota: Quota,
}

/// When each caller's bucket is full again. The limiter takes; it has no way to give back.
#[derive(Clone, Default)]
struct Counted(Arc<DashMapStateStore<u64>>);

impl StateStore for Counted {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, judge: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, judge)
    }
}

impl ShrinkableKeyedStateStore<u64> for Counted {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.retain_recent(drop_below);
    }

    fn shrink_to_fit(&self) {
        self.0.shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Bucket {
    pub(super) fn new(rate: Rate) -> Self {
        // Invariant: configuration refuses a period that has no time for each request.
        let cells = Cells::with_period(each(&rate)).unwrap_or(Cells::per_second(NonZeroU32::MIN));
        let (counted, clock) = (Counted::default(), DefaultClock::default());
        let limiter = RateLimiter::new(cells.allow_burst(rate.burst), counted.clone(), clock.clone());
        Self { rate, limiter, counted, clock, is_crowded: AtomicBool::new(false) }
    }

    pub(super) fn rate(&self) -> &Rate {
        &self.rate
    }

    /// Takes one request. Errors: there is none.
    pub(super) fn take(&self, caller: u64) -> Result<Taken, Quota> {
        let from = if self.is_crowded.load(Ordering::Relaxed) { caller % SHARED } else { caller };
        let quota = |left, wait| Quota { rate: self.rate, left, wait };
        match self.limiter.check_key(&from).map(|state| state.remaining_burst_capacity()) {
            Ok(0) => Ok(Taken { from, quota: quota(0, self.until_next(from)) }),
            Ok(left) => Ok(Taken { from, quota: quota(left, Duration::ZERO) }),
            Err(until) => Err(quota(0, until.wait_time_from(self.clock.now()))),
        }
    }

    /// For a request that was not let in after all. In a bucket that has become full meanwhile there is no room.
    pub(super) fn give_back(&self, taken: &Taken) {
        let each = Nanos::from(each(&self.rate));
        let sooner = |full: Option<Nanos>| full.map(|full| ((), full.saturating_sub(each))).ok_or(());
        self.counted.measure_and_replace(&taken.from, sooner).ok();
    }

    /// Until a bucket that has just become empty has one again. It is asked for all at once, and has them only when it is full:
    /// nothing is taken.
    fn until_next(&self, from: u64) -> Duration {
        let each = each(&self.rate);
        // As it is told, one moment is like the other. Nor is it asked about what could be full by now.
        if each <= SECOND {
            return each;
        }
        match self.limiter.check_key_n(&from, self.rate.burst) {
            Ok(Err(full)) => {
                full.wait_time_from(self.clock.now()).saturating_sub(each * self.rate.burst.get().saturating_sub(1))
            }
            Ok(Ok(_)) | Err(_) => each,
        }
    }

    /// Lets go of what is full again, and looks whether callers can be told apart. Called again and again.
    pub(super) fn forget(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        self.is_crowded.store(self.limiter.len() > MAX_CALLERS, Ordering::Relaxed);
    }
}

/// The time in which a bucket gets one request back.
fn each(rate: &Rate) -> Duration {
    rate.period / rate.requests.get()
}

pub(super) fn address(client: IpAddr) -> u64 {
    key(&network(client))
}

pub(super) fn key(caller: &impl Hash) -> u64 {
    HASHER.hash_one(caller)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Per;

    fn bucket(requests: u32, burst: u32) -> Bucket {
        let count = |n| NonZeroU32::new(n).expect("some");
        let hour = Duration::from_secs(3600);
        Bucket::new(Rate { per: Per::Address, requests: count(requests), period: hour, burst: count(burst) })
    }

    #[test]
    fn a_burst_is_let_in_and_the_next_is_told_when() {
        let bucket = bucket(60, 3);
        let left: Vec<u32> = (0..3).map(|_| bucket.take(1).expect("let in").quota.left).collect();
        assert_eq!(left, [2, 1, 0]);
        let refused = bucket.take(1).expect_err("the bucket is empty");
        assert_eq!(refused.left, 0);
        assert!(refused.wait <= Duration::from_secs(60) && refused.wait > Duration::from_secs(30), "{refused:?}");
        assert!(bucket.take(2).is_ok(), "another caller has a bucket of their own");
    }

    #[test]
    fn who_takes_the_last_is_told_what_whoever_comes_next_is_told() {
        for (requests, burst) in [(2, 2), (60, 3), (1, 1), (3600, 40), (100, 1)] {
            let bucket = bucket(requests, burst);
            let taken: Vec<Quota> = (0..burst).map(|_| bucket.take(1).expect("let in").quota).collect();
            let last = taken.last().expect("some");
            assert_eq!(last.left, 0);
            let each = Duration::from_secs(3600) / requests;
            assert!(last.wait <= each && last.wait + SECOND > each, "{last:?}");
            assert!(taken.iter().rev().skip(1).all(|quota| quota.wait.is_zero()));
            for _ in 0..3 {
                let next = bucket.take(1).expect_err("it is empty");
                assert!(next.wait <= last.wait && next.wait + SECOND > last.wait, "{last:?} {next:?}");
            }
        }
    }

    #[test]
    fn what_is_given_back_is_there_again_and_no_more_than_that() {
        let bucket = bucket(4, 2);
        let first = bucket.take(1).expect("let in");
        let second = bucket.take(1).expect("let in");
        bucket.give_back(&second);
        let again = bucket.take(1).expect("it is there again");
        assert_eq!(again.quota.left, 0);
        let wait = bucket.take(1).expect_err("and not two").wait;
        assert!(wait <= Duration::from_secs(900) && wait > Duration::from_secs(890), "{wait:?}");
        [first, again].iter().for_each(|taken| bucket.give_back(taken));
        assert_eq!((0..9).filter(|_| bucket.take(1).is_ok()).count(), 2, "no more than its burst");
        bucket.give_back(&Taken { from: 2, ..second });
        assert_eq!((0..9).filter(|_| bucket.take(2).is_ok()).count(), 2, "one that is full has no room");
    }

    #[test]
    fn a_network_is_one_caller_and_a_mapped_address_is_itself() {
        let of = |text: &str| address(text.parse().expect("an address"));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
    }

    #[test]
    fn memory_has_an_end() {
        let bucket = bucket(1, 1);
        for caller in 0..=MAX_CALLERS as u64 {
            assert!(bucket.take(caller).is_ok());
        }
        bucket.forget();
        let let_in = (MAX_CALLERS as u64 + 1..).take(50_000).filter(|caller| bucket.take(*caller).is_ok()).count();
        // The first callers' own buckets are among those that are shared now, and empty.
        assert_eq!(let_in, 0);
        assert_eq!(bucket.limiter.len(), MAX_CALLERS + 1);
    }
}
