//! A circuit breaker: an upstream that failed many times in a row is not asked for a while, then by one request alone.
//!
//! What is refused meanwhile is refused at once, without a connection. A probe whose caller leaves before it is known how it
//! went says nothing: the next one is let through.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use prometheus::IntGauge;

use crate::config::Health;

pub(super) struct Breaker {
    health: Health,
    inner: Mutex<Inner>,
    /// Counts answers.
    answers: AtomicU64,
}

struct Inner {
    state: State,
    /// 1 while it refuses. `None`: it is not in force, and what it does is nobody's concern.
    open: Option<IntGauge>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// With so many failures in a row.
    Closed(u32),
    Open(Instant),
    /// One request is on its way.
    Probing,
}

/// Leave to ask. Dropped without a word, it says nothing.
pub(super) struct Pass<'b> {
    breaker: &'b Breaker,
    probe: bool,
    /// Answers until it was given.
    answers: u64,
    told: bool,
}

impl Breaker {
    pub(super) fn new(health: Health) -> Self {
        let inner = Inner { state: State::Closed(0), open: None };
        Self { health, inner: Mutex::new(inner), answers: AtomicU64::new(0) }
    }

    /// It is in force: whether it refuses is told by this from now on.
    pub(super) fn show(&self, open: IntGauge) {
        let mut inner = self.inner();
        inner.open = Some(open);
        inner.tell();
    }

    /// It is not in force any more, though exchanges that began before may still ask it.
    pub(super) fn hide(&self) {
        self.inner().open = None;
    }

    /// `None`: it is open.
    pub(super) fn admit(&self, now: Instant) -> Option<Pass<'_>> {
        let mut inner = self.inner();
        let probe = match inner.state {
            State::Closed(_) => false,
            State::Open(until) if until <= now => {
                inner.state = State::Probing;
                true
            }
            State::Open(_) | State::Probing => return None,
        };
        Some(Pass { breaker: self, probe, answers: self.answers.load(Ordering::Relaxed), told: false })
    }

    fn set(&self, next: impl FnOnce(State) -> State) {
        let mut inner = self.inner();
        inner.state = next(inner.state);
        inner.tell();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tell(&self) {
        if let Some(open) = &self.open {
            open.set(i64::from(!matches!(self.state, State::Closed(_))));
        }
    }
}

impl Pass<'_> {
    pub(super) fn succeeded(mut self) {
        self.told = true;
        let probe = self.probe;
        self.breaker.answers.fetch_add(1, Ordering::Relaxed);
        self.breaker.set(|state| match state {
            State::Closed(_) => State::Closed(0),
            // An answer to what was asked before it opened is not the probe's.
            state => {
                if probe {
                    State::Closed(0)
                } else {
                    state
                }
            }
        });
    }

    pub(super) fn failed(mut self, now: Instant) {
        self.told = true;
        let (health, probe) = (self.breaker.health, self.probe);
        // Others were answered since it was asked: requests that take too long are no outage, however many end at once.
        if !probe && self.breaker.answers.load(Ordering::Relaxed) != self.answers {
            return;
        }
        self.breaker.set(|state| match state {
            State::Closed(failures) if failures + 1 < health.failures => State::Closed(failures + 1),
            State::Closed(_) => State::Open(now + health.time),
            state => {
                if probe {
                    State::Open(now + health.time)
                } else {
                    state
                }
            }
        });
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe && !self.told {
            self.breaker.set(|_| State::Open(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shown() -> (Breaker, IntGauge) {
        let breaker = Breaker::new(Health { failures: 3, time: Duration::from_secs(10) });
        let open = IntGauge::new("open", "Open.").unwrap();
        breaker.show(open.clone());
        (breaker, open)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_one_good_probe() {
        let (breaker, open) = shown();
        let now = Instant::now();
        let fail = |now| breaker.admit(now).expect("closed").failed(now);
        fail(now);
        fail(now);
        breaker.admit(now).expect("closed").succeeded();
        fail(now);
        fail(now);
        let late = breaker.admit(now).expect("closed");
        fail(now);
        assert!(breaker.admit(now).is_none() && open.get() == 1);
        late.succeeded();
        assert!(breaker.admit(now + Duration::from_secs(9)).is_none(), "an old answer closes nothing");

        let then = now + Duration::from_secs(10);
        let probe = breaker.admit(then).expect("a probe");
        assert!(breaker.admit(then).is_none(), "one at a time");
        drop(probe);
        let probe = breaker.admit(Instant::now() + Duration::from_secs(10)).expect("the last one said nothing");
        probe.failed(then);
        assert!(breaker.admit(then + Duration::from_secs(9)).is_none());
        breaker.admit(then + Duration::from_secs(10)).expect("a probe").succeeded();
        assert!(breaker.admit(then).is_some() && open.get() == 0);
        fail(then);
        fail(then);
        assert!(breaker.admit(then).is_some(), "it counts anew");
    }

    #[test]
    fn slow_requests_of_one_caller_are_no_outage_while_others_are_answered() {
        let (breaker, open) = shown();
        let now = Instant::now();
        let slow: Vec<Pass<'_>> = (0..10).map(|_| breaker.admit(now).expect("closed")).collect();
        breaker.admit(now).expect("closed").succeeded();
        slow.into_iter().for_each(|pass| pass.failed(now));
        assert!(breaker.admit(now).is_some() && open.get() == 0);
    }

    #[test]
    fn only_what_is_in_force_is_told_of() {
        let (old, open) = shown();
        let now = Instant::now();
        let late = old.admit(now).expect("closed");
        (0..3).for_each(|_| old.admit(now).expect("closed").failed(now));
        assert_eq!(open.get(), 1);
        // Made for a configuration that may never come into force.
        let new = Breaker::new(old.health);
        assert_eq!(open.get(), 1, "it says nothing of its own yet");
        old.hide();
        new.show(open.clone());
        assert_eq!(open.get(), 0);
        late.failed(now);
        old.set(|_| State::Open(now));
        assert_eq!(open.get(), 0, "the old one is nobody's concern");
        old.show(open.clone());
        assert_eq!(open.get(), 1, "one that is kept is shown as it is");
    }
}
