//! Turns: as many exchanges as the gateway serves at a time, shared fairly between tenants.
//!
//! While turns are free, whoever asks has one at once. When none is, callers wait, and each turn that becomes free goes to
//! the next tenant in a circle: a tenant with a thousand requests waits as long for its second one as another does for its
//! first. A tenant may not have more than its share of turns, nor of the places to wait; who finds none is refused at once,
//! for to wait in vain helps nobody.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::config::Limits;
use crate::model::TenantScope;

pub(super) struct Turns(Mutex<State>);

#[derive(Default)]
struct State {
    size: Size,
    /// Turns in use.
    used: usize,
    /// Callers that wait.
    waiting: usize,
    /// Those that use or await a turn.
    tenants: HashMap<TenantScope, Tenant>,
    /// Tenants of which somebody waits, the next one first.
    circle: VecDeque<TenantScope>,
}

/// How many there are.
#[derive(Clone, Copy, Default)]
pub(super) struct Size {
    turns: usize,
    turns_of_tenant: usize,
    places: usize,
    time: Duration,
}

#[derive(Default)]
struct Tenant {
    used: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

impl Size {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            turns: limits.concurrent,
            turns_of_tenant: limits.concurrent_per_tenant.min(limits.concurrent),
            places: limits.in_flight.saturating_sub(limits.concurrent),
            time: limits.queue_time,
        }
    }

    /// Of what lasts: nobody waits for one, and a tenant has three quarters of them.
    pub(super) fn of_live(limits: &Limits) -> Self {
        let turns = limits.live_connections;
        Self { turns, turns_of_tenant: (turns - turns / 4).max(1), places: 0, time: Duration::ZERO }
    }
}

/// A turn; dropped, it goes to the next.
pub struct Turn {
    turns: Arc<Turns>,
    /// Taken when it is given up.
    tenant: Option<TenantScope>,
}

impl Turns {
    pub(super) fn new(size: Size) -> Self {
        Self(Mutex::new(State { size, ..State::default() }))
    }

    /// For turns that are taken from now on.
    pub(super) fn resize(self: &Arc<Self>, size: Size) {
        let mut state = self.state();
        state.size = size;
        let given = self.give(&mut state);
        drop(state);
        send(given);
    }

    pub(super) async fn take(turns: &Arc<Self>, tenant: &TenantScope) -> Option<Turn> {
        let (time, given) = {
            let mut state = turns.state();
            let size = state.size;
            let own = state.tenants.get(tenant);
            let (used, waiting) = own.map_or((0, 0), |own| (own.used, own.waiting.len()));
            if state.used < size.turns && used < size.turns_of_tenant && waiting == 0 {
                state.used += 1;
                state.tenants.entry(tenant.clone()).or_default().used += 1;
                return Some(Turn { turns: Arc::clone(turns), tenant: Some(tenant.clone()) });
            }
            // Half of the places, so that there is always one for somebody else.
            if state.waiting >= size.places || waiting >= size.places.div_ceil(2) {
                return None;
            }
            let (give, given) = oneshot::channel();
            state.waiting += 1;
            if waiting == 0 {
                state.circle.push_back(tenant.clone());
            }
            state.tenants.entry(tenant.clone()).or_default().waiting.push_back(give);
            (size.time, given)
        };
        let mut waits = Waits { turns, tenant, given };
        tokio::time::timeout(time, &mut waits.given).await.ok().and_then(Result::ok)
    }

    /// Gives free turns to those who wait. They are sent when the lock is released: what can't be sent is given up again.
    fn give(self: &Arc<Self>, state: &mut State) -> Vec<(oneshot::Sender<Turn>, Turn)> {
        let mut given = Vec::new();
        let mut passed = 0;
        while state.used < state.size.turns
            && passed < state.circle.len()
            && let Some(tenant) = state.circle.pop_front()
        {
            let Some(own) = state.tenants.get_mut(&tenant) else { continue };
            if own.used >= state.size.turns_of_tenant {
                state.circle.push_back(tenant);
                passed += 1;
                continue;
            }
            let next = own.waiting.pop_front();
            if !own.waiting.is_empty() {
                state.circle.push_back(tenant.clone());
            }
            let Some(next) = next else { continue };
            state.waiting -= 1;
            if next.is_closed() {
                continue;
            }
            own.used += 1;
            state.used += 1;
            passed = 0;
            given.push((next, Turn { turns: Arc::clone(self), tenant: Some(tenant) }));
        }
        given
    }

    fn give_up(self: &Arc<Self>, tenant: &TenantScope) {
        let mut state = self.state();
        state.used = state.used.saturating_sub(1);
        if let Some(own) = state.tenants.get_mut(tenant) {
            own.used = own.used.saturating_sub(1);
        }
        let given = self.give(&mut state);
        state.let_go(tenant);
        drop(state);
        send(given);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets a tenant that neither uses nor awaits anything.
    fn let_go(&mut self, tenant: &TenantScope) {
        if self.tenants.get(tenant).is_some_and(|own| own.used == 0 && own.waiting.is_empty()) {
            self.tenants.remove(tenant);
        }
    }
}

/// Without the lock: a turn whose caller has left is dropped here, and goes on to the next.
fn send(given: Vec<(oneshot::Sender<Turn>, Turn)>) {
    for (caller, turn) in given {
        drop(caller.send(turn));
    }
}

/// A caller that waits; it leaves its place when it stops, for whatever reason.
struct Waits<'t> {
    turns: &'t Arc<Turns>,
    tenant: &'t TenantScope,
    given: oneshot::Receiver<Turn>,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.given.close();
        let mut state = self.turns.state();
        if let Some(own) = state.tenants.get_mut(self.tenant) {
            let before = own.waiting.len();
            own.waiting.retain(|caller| !caller.is_closed());
            let (left, is_empty) = (before - own.waiting.len(), own.waiting.is_empty());
            state.waiting -= left;
            if left > 0 && is_empty {
                state.circle.retain(|tenant| tenant != self.tenant);
            }
            state.let_go(self.tenant);
        }
        drop(state);
        // Given at the last moment: it goes on.
        drop(self.given.try_recv());
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(tenant) = self.tenant.take() {
            self.turns.give_up(&tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use proptest::prelude::*;

    use super::*;

    fn tenant(name: &str) -> TenantScope {
        TenantScope::new(&["organization_id".into()], |_| Some(name)).expect("a tenant")
    }

    fn turns(concurrent: usize, concurrent_per_tenant: usize, places: usize, queue_time: Duration) -> Arc<Turns> {
        Arc::new(Turns::new(Size {
            turns: concurrent,
            turns_of_tenant: concurrent_per_tenant,
            places,
            time: queue_time,
        }))
    }

    const LONG: Duration = Duration::from_secs(60);

    fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn a_busy_tenant_does_not_make_the_others_wait_for_all_it_has_asked() {
        let turns = turns(1, 1, 8, LONG);
        let (busy, calm) = (tenant("busy"), tenant("calm"));
        let first = Turns::take(&turns, &busy).await.expect("free");
        let mut second = pin!(Turns::take(&turns, &busy));
        let mut third = pin!(Turns::take(&turns, &busy));
        let mut other = pin!(Turns::take(&turns, &calm));
        assert!(poll(second.as_mut()).is_pending() && poll(third.as_mut()).is_pending());
        assert!(poll(other.as_mut()).is_pending());
        drop(first);
        let Poll::Ready(Some(turn)) = poll(second.as_mut()) else { panic!("it was the first that waited") };
        assert!(poll(third.as_mut()).is_pending() && poll(other.as_mut()).is_pending());
        drop(turn);
        let Poll::Ready(Some(turn)) = poll(other.as_mut()) else { panic!("another tenant comes before the third") };
        assert!(poll(third.as_mut()).is_pending());
        drop(turn);
        assert!(matches!(poll(third.as_mut()), Poll::Ready(Some(_))));
    }

    #[tokio::test]
    async fn a_tenant_has_no_more_than_its_share_of_turns_and_places() {
        let turns = turns(3, 2, 2, LONG);
        let (busy, calm) = (tenant("busy"), tenant("calm"));
        let used = [Turns::take(&turns, &busy).await, Turns::take(&turns, &busy).await];
        assert!(used.iter().all(Option::is_some));
        let mut waits = pin!(Turns::take(&turns, &busy));
        assert!(poll(waits.as_mut()).is_pending(), "its share is used up though a turn is free");
        assert!(Turns::take(&turns, &busy).await.is_none(), "and so is its share of the places");
        assert!(Turns::take(&turns, &calm).await.is_some());
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_so_and_leaves_nothing_behind() {
        let turns = turns(1, 1, 2, Duration::from_millis(1));
        let held = Turns::take(&turns, &tenant("a")).await;
        assert!(held.is_some());
        assert!(Turns::take(&turns, &tenant("b")).await.is_none());
        drop(held);
        let state = turns.state();
        assert_eq!((state.used, state.waiting, state.tenants.len(), state.circle.len()), (0, 0, 0, 0));
    }

    #[tokio::test]
    async fn more_turns_are_given_to_those_who_wait_for_them() {
        let turns = turns(1, 1, 2, LONG);
        let (a, b) = (tenant("a"), tenant("b"));
        let _held = Turns::take(&turns, &a).await.expect("free");
        let mut waits = pin!(Turns::take(&turns, &b));
        assert!(poll(waits.as_mut()).is_pending());
        turns.resize(Size { turns: 2, turns_of_tenant: 1, places: 2, time: LONG });
        assert!(matches!(poll(waits.as_mut()), Poll::Ready(Some(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whoever comes, leaves or gives up when: no turn is lost, none is given twice, and no share is exceeded.
        #[test]
        fn no_turn_is_lost_or_made(
            size in (1..4_usize, 1..4_usize, 0..6_usize),
            steps in proptest::collection::vec((0..4_u8, 0..3_usize, 0..8_usize), 1..80),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
            let _entered = runtime.enter();
            let turns = turns(size.0, size.1, size.2, LONG);
            let names = ["a", "b", "c"].map(tenant);
            let (mut waiting, mut held) = (Vec::new(), Vec::new());
            for (step, who, which) in steps {
                match step {
                    0 | 1 => waiting.push(Box::pin(Turns::take(&turns, &names[who]))),
                    2 if which < waiting.len() => drop(waiting.remove(which)),
                    3 if which < held.len() => drop(held.remove(which)),
                    _ => {}
                }
                waiting.retain_mut(|waits| match poll(waits.as_mut()) {
                    Poll::Pending => true,
                    Poll::Ready(turn) => {
                        held.extend(turn);
                        false
                    }
                });
                let state = turns.state();
                prop_assert_eq!(state.used, held.len());
                prop_assert_eq!(state.waiting, waiting.len());
                prop_assert!(state.used <= size.0 && state.tenants.values().all(|own| own.used <= size.1));
                let idle = |own: &Tenant| own.waiting.is_empty() || own.used >= size.1;
                prop_assert!(state.used == size.0 || state.tenants.values().all(idle), "a turn is free and somebody waits");
            }
            drop((waiting, held));
            let state = turns.state();
            prop_assert_eq!((state.used, state.waiting, state.tenants.len(), state.circle.len()), (0, 0, 0, 0));
        }
    }
}
