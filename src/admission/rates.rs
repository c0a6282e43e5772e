//! Buckets that empty steadily, one for each caller.
//!
//! Callers are told apart by a keyed hash, so that nothing is kept of who they are and nobody can aim at another's bucket.
//! Where there are more of them than a gateway can keep, several share a bucket: memory has an end, and an attacker with
//! many addresses gets less from it, not more.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota as Cells, RateLimiter};

use crate::config::Rate;
use crate::model::network;

/// Callers of one rate that are told apart.
const MAX_CALLERS: usize = 200_000;
/// Buckets that are shared by those beyond.
const SHARED: u64 = 1 << 12;

/// The same for all rates of a process, so that a reload finds its callers again.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What is left of a rate for one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    pub rate: Rate,
    pub left: u32,
    /// Until another request is let in; zero while some are left.
    pub wait: Duration,
}

impl Quota {
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
    limiter: RateLimiter<u64, DashMapStateStore<u64>, DefaultClock, StateInformationMiddleware>,
    clock: DefaultClock,
    is_crowded: AtomicBool,
}

impl Bucket {
    pub(super) fn new(rate: Rate) -> Self {
        let each = rate.period / rate.requests.get();
        // Invariant: configuration refuses a period that has no time for each request.
        let cells = Cells::with_period(each).unwrap_or(Cells::per_second(NonZeroU32::MIN)).allow_burst(rate.burst);
        let limiter = RateLimiter::dashmap(cells).with_middleware();
        Self { rate, limiter, clock: DefaultClock::default(), is_crowded: AtomicBool::new(false) }
    }

    pub(super) fn rate(&self) -> &Rate {
        &self.rate
    }

    /// Takes one request. Errors: there is none.
    pub(super) fn take(&self, caller: u64) -> Result<Quota, Quota> {
        let caller = if self.is_crowded.load(Ordering::Relaxed) { caller % SHARED } else { caller };
        match self.limiter.check_key(&caller) {
            Ok(state) => Ok(Quota { rate: self.rate, left: state.remaining_burst_capacity(), wait: Duration::ZERO }),
            Err(until) => Err(Quota { rate: self.rate, left: 0, wait: until.wait_time_from(self.clock.now()) }),
        }
    }

    /// Lets go of what is full again, and looks whether callers can be told apart. Called again and again.
    pub(super) fn forget(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        self.is_crowded.store(self.limiter.len() > MAX_CALLERS, Ordering::Relaxed);
    }
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
        let left: Vec<u32> = (0..3).map(|_| bucket.take(1).expect("let in").left).collect();
        assert_eq!(left, [2, 1, 0]);
        let refused = bucket.take(1).expect_err("the bucket is empty");
        assert_eq!(refused.left, 0);
        assert!(refused.wait <= Duration::from_secs(60) && refused.wait > Duration::from_secs(30), "{refused:?}");
        assert!(bucket.take(2).is_ok(), "another caller has a bucket of their own");
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
