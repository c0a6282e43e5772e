//! Connections from one address, over all listeners. One client can't take the places of all others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use ipnet::IpNet;

use super::newcomers::Newcomers;
use crate::config::{self, Config, Limits};
use crate::metrics::Metrics;
use crate::model::network;

/// How many connections there are from each [`network`].
pub struct Places {
    most: usize,
    /// Proxies, whose connections are those of many.
    unbounded: ArcSwap<Vec<IpNet>>,
    /// Bytes of a request's head.
    longest_head: AtomicUsize,
    taken: Mutex<HashMap<IpAddr, usize>>,
    pub(super) newcomers: Arc<Newcomers>,
    metrics: Metrics,
}

/// A connection's place; dropped, it is free.
pub(super) struct Place {
    places: Arc<Places>,
    of: IpAddr,
}

impl Places {
    pub fn new(limits: &Limits, metrics: &Metrics) -> Arc<Self> {
        let newcomers = Newcomers::new(limits.new_connections, metrics);
        let most = limits.connections_per_address;
        let (unbounded, taken) = (ArcSwap::default(), Mutex::default());
        let longest_head = AtomicUsize::new(limits.head());
        Arc::new(Self { most, unbounded, longest_head, taken, newcomers, metrics: metrics.clone() })
    }

    /// What may change while connections are open. Those of trusted proxies are bounded by what a listener takes in all; a client
    /// that a proxy names at the beginning of a connection is none of them.
    pub fn heed(&self, config: &Config) {
        self.longest_head.store(config.limits.head(), Ordering::Relaxed);
        let proxies = config.trusted_proxies.as_ref().map(|proxies| proxies.from.clone());
        self.unbounded.store(Arc::new(proxies.unwrap_or_default()));
    }

    /// Whether connections from there are those of many clients.
    pub(super) fn is_of_many(&self, client: IpAddr) -> bool {
        config::contains(&self.unbounded.load(), client)
    }

    pub(super) fn longest_head(&self) -> usize {
        self.longest_head.load(Ordering::Relaxed)
    }

    /// `None`: there are too many from there already.
    pub(super) fn take(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let of = network(client);
        let mut taken = self.taken();
        let count = taken.entry(of).or_default();
        if *count >= self.most && !self.is_of_many(client) {
            self.metrics.connections_refused.inc();
            return None;
        }
        *count += 1;
        self.metrics.connections.inc();
        Some(Place { places: Arc::clone(self), of })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.metrics.connections.dec();
        let mut taken = self.places.taken();
        if let Some(count) = taken.get_mut(&self.of) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_places_and_leaves_the_others_theirs() {
        let metrics = Metrics::new();
        let places = Places::new(&Limits { connections_per_address: 2, ..Limits::default() }, &metrics);
        let take = |address: &str| places.take(address.parse().expect("an address"));
        let held = [take("2001:db8::1"), take("2001:db8::ffff:2")];
        assert!(held.iter().all(Option::is_some));
        assert!(take("2001:db8::3").is_none());
        assert!(take("2001:db8:0:1::1").is_some());
        let four = [take("192.0.2.1"), take("::ffff:192.0.2.1")];
        assert!(four.iter().all(Option::is_some) && take("192.0.2.1").is_none() && take("192.0.2.2").is_some());
        assert_eq!((metrics.connections.get(), metrics.connections_refused.get()), (4, 2));
        drop(held);
        assert!(take("2001:db8::3").is_some());
        drop(four);
        assert_eq!((metrics.connections.get(), places.taken().len()), (0, 0), "nothing is kept of who has left");
    }
}
