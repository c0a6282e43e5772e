//! What becomes of TLS handshakes that fail: a metric by reason, and at most one line of the log in ten seconds.
//!
//! Whoever can't connect can be told nothing, so the operator is. A scan of the port must not fill the log.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::metrics::Metrics;

/// Between two lines.
const QUIET: Duration = Duration::from_secs(10);

/// Why there was no connection, as the metric calls it. The library tells its errors in words alone.
const REASONS: [(&str, &str); 8] = [
    ("no server certificate chain resolved", "unknown_name"),
    ("invalid peer certificate", "client_certificate"),
    ("peer sent no certificates", "client_certificate"),
    ("peer is incompatible", "incompatible"),
    ("peer doesn't support any known protocol", "incompatible"),
    ("received fatal alert", "alert"),
    ("received corrupt message", "not_tls"),
    ("eof", "closed"),
];

/// Failed handshakes of one listener.
pub(super) struct Handshakes {
    metrics: Metrics,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    last: Option<Instant>,
    /// Not told of since.
    more: u64,
}

impl Handshakes {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self { metrics: metrics.clone(), said: Mutex::default() }
    }

    /// `error`: the library's words; `None`: it took too long.
    pub(super) fn failed(&self, peer: SocketAddr, error: Option<&str>) {
        let reason = error.map_or("timeout", reason);
        self.metrics.handshakes_failed.with_label_values(&[reason]).inc();
        if let Some(more) = self.tells(Instant::now()) {
            let error = error.unwrap_or("it took too long");
            tracing::info!(%peer, reason, error, more, "a TLS handshake failed");
        }
    }

    /// How many were passed over since the last line, if it is time for one.
    fn tells(&self, now: Instant) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.last.is_some_and(|last| now.duration_since(last) < QUIET) {
            said.more = said.more.saturating_add(1);
            return None;
        }
        said.last = Some(now);
        Some(std::mem::take(&mut said.more))
    }
}

fn reason(error: &str) -> &'static str {
    REASONS.iter().find(|(words, _)| error.contains(words)).map_or("other", |(_, reason)| reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_failures_is_counted_whole_and_told_of_seldom() {
        let metrics = Metrics::new();
        let handshakes = Handshakes::new(&metrics);
        let start = Instant::now();
        assert_eq!(handshakes.tells(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(handshakes.tells(start + QUIET / 2), None);
        }
        assert_eq!(handshakes.tells(start + QUIET), Some(1000));
        assert_eq!(handshakes.tells(start + QUIET), None);
        let peer = SocketAddr::from(([192, 0, 2, 1], 1));
        for error in [None, Some("tls handshake eof"), Some("words of a later version"), None] {
            handshakes.failed(peer, error);
        }
        let count = |reason| metrics.handshakes_failed.with_label_values(&[reason]).get();
        assert_eq!((count("timeout"), count("closed"), count("other")), (2, 1, 1));
    }
}
