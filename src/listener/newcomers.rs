//! Connections that have not asked for anything yet: so many, and no more.
//!
//! Each costs memory, and costs whoever opens it next to nothing. Where there are too many, the one that has waited longest
//! makes room for the next: it loses no request, and who means to ask does so long before it is its turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::metrics::Metrics;

/// Those of all listeners.
pub(super) struct Newcomers {
    most: usize,
    waiting: Mutex<Waiting>,
    metrics: Metrics,
}

/// The order in which they came, and what sends each away.
#[derive(Default)]
struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, oneshot::Sender<()>>,
}

/// One connection, until it has asked or ends.
pub(super) struct Newcomer {
    of: Arc<Newcomers>,
    number: u64,
}

/// Tells a connection that it has to make room.
pub(super) struct SentAway(oneshot::Receiver<()>);

impl Newcomers {
    pub(super) fn new(most: usize, metrics: &Metrics) -> Arc<Self> {
        Arc::new(Self { most, waiting: Mutex::default(), metrics: metrics.clone() })
    }

    /// One more, for which the oldest may have to go.
    pub(super) fn welcome(self: &Arc<Self>) -> (Newcomer, SentAway) {
        let (send, sent) = oneshot::channel();
        let mut waiting = self.waiting();
        if waiting.by_age.len() >= self.most
            && let Some((_, oldest)) = waiting.by_age.pop_first()
        {
            // Whoever has just ended by itself makes room as well.
            oldest.send(()).ok();
            self.metrics.newcomers_sent_away.inc();
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.by_age.insert(number, send);
        (Newcomer { of: Arc::clone(self), number }, SentAway(sent))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Newcomer {
    /// It has asked for something, and nobody takes its place any more. `false`: somebody has.
    pub(super) fn asks(self) -> bool {
        self.leave()
    }

    fn leave(&self) -> bool {
        self.of.waiting().by_age.remove(&self.number).is_some()
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.leave();
    }
}

impl SentAway {
    /// Never, once it has asked.
    pub(super) async fn wait(self) {
        if self.0.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_makes_room_and_who_has_asked_stays() {
        let metrics = Metrics::new();
        let newcomers = Newcomers::new(2, &metrics);
        let (first, first_away) = newcomers.welcome();
        let (second, second_away) = newcomers.welcome();
        assert!(first.asks());
        let (third, _third_away) = newcomers.welcome();
        assert_eq!(metrics.newcomers_sent_away.get(), 0, "there was room");
        let (fourth, _fourth_away) = newcomers.welcome();
        second_away.wait().await;
        assert!(!second.asks(), "too late");
        drop((third, fourth));
        assert_eq!((metrics.newcomers_sent_away.get(), newcomers.waiting().by_age.len()), (1, 0));
        let stays = tokio::time::timeout(std::time::Duration::from_millis(20), first_away.wait());
        assert!(stays.await.is_err());
    }
}
