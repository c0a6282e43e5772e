//! Every metric, named once. No label can grow with users, tenants, paths or records.

use std::ops::Deref;
use std::sync::Arc;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// All metrics of one gateway, in a registry of their own (so that tests run side by side). Cheap to clone: every exchange
/// has one.
#[derive(Clone)]
pub struct Metrics(Arc<Handles>);

pub struct Handles {
    registry: Registry,
    /// Exchanges by `action` and `outcome` (`allowed`, `refused`, `failed`, `aborted`).
    pub requests: IntCounterVec,
    /// Refusals by `reason`.
    pub refusals: IntCounterVec,
    /// Requests beyond a rate by `per`: `address`, `principal`, `api_key`, `tenant`.
    pub rate_limited: IntCounterVec,
    /// Connections of clients.
    pub connections: IntGauge,
    /// Connections that were closed at once because there were too many from their address.
    pub connections_refused: IntCounter,
    /// Connections that were closed for others because they had not asked for anything yet.
    pub newcomers_sent_away: IntCounter,
    /// Connections on listeners for proxies that are of no trusted one or do not say whom they are for.
    pub proxies_refused: IntCounter,
    /// TLS handshakes that came to nothing, by `reason`: see `listener`.
    pub handshakes_failed: IntCounterVec,
    /// Connections that were cut for asking for work without end: see `listener`.
    pub floods: IntCounter,
    /// Tasks of the gateway's own that run or wait, as of when it was asked.
    pub tasks: IntGauge,
    /// Exchanges that wait for their turn.
    pub waiting: IntGauge,
    /// Refused credentials by `reason`; finer than `refusals`.
    pub credentials_refused: IntCounterVec,
    /// Seconds by `phase`: `authenticate`, `queue`, `decide`, `upstream`, `redact`, `total`.
    pub phase_seconds: HistogramVec,
    pub upstream_seconds: Histogram,
    pub upstream_requests: IntCounterVec,
    /// Answers that left while they still came in, by `end`: `complete`, `cut`.
    pub streams: IntCounterVec,
    pub rows_returned: IntCounter,
    pub rows_dropped: IntCounter,
    /// Fields changed by `how`: `masked`, `removed`, `undeclared`, and `mismatched` for those not of their declared type.
    pub fields_redacted: IntCounterVec,
    /// Rows of a foreign tenant that came back although the tenant filter had been pushed to the upstream. Should be 0.
    pub tenant_violations: IntCounter,
    /// Rows that the policies drop although the upstream had been asked for those they let through only. Should be 0.
    pub pushdown_leaks: IntCounter,
    pub policy_errors: IntCounter,
    /// Counts up with each configuration that came into force.
    pub policy_generation: IntGauge,
    /// Loads by `outcome`: `ok`, `failed`.
    pub reloads: IntCounterVec,
    pub last_reload_ok: IntGauge,
    pub in_flight: IntGauge,
    /// Of those in flight, the ones that have given up their place: their clients are to take what is there as a whole.
    pub delivering: IntGauge,
    /// Streams of events and WebSockets; not in flight.
    pub live: IntGauge,
    /// Upstream sessions taken from or opened for the pool and not yet given back.
    pub upstream_in_use: IntGauge,
    /// Look-ups by `cache` and `outcome` (`hit`, `miss`).
    pub cache: IntCounterVec,
    pub audit_failures: IntCounter,
    /// Fetches of key sets by `outcome`.
    pub key_set_fetches: IntCounterVec,
    /// Issuers whose keys could not be fetched again and are used as they were, up to their age. Should be 0.
    pub key_sets_stale: IntGauge,
    /// Entries of the list of revocations in force.
    pub revocations: IntGauge,
    /// 1 while the file of revocations can't be used and the last list stays in force. Should be 0.
    pub revocations_stale: IntGauge,
    /// Whether the sealed secrets in force are not those that lie there.
    pub sealed_secrets_stale: IntGauge,
    /// Questions about opaque tokens by `outcome`: `active`, `refused`, `failed`.
    pub introspections: IntCounterVec,
    /// Reads of a tenant's people from the hierarchy's table by `outcome` (`ok`, `failed`).
    pub hierarchy_reads: IntCounterVec,
    /// What is odd about the people that are known, by `kind`: `loop`, `self`, `orphan`.
    pub hierarchy_faults: IntGaugeVec,
    /// Tenants whose people could not be read again and are used as they were. Should be 0.
    pub hierarchy_stale: IntGauge,
    /// Times that an address was left alone, by `upstream`.
    pub upstream_ejections: IntCounterVec,
    /// Addresses, by `upstream` and `state`: `serving`, `ejected`, `unhealthy`. Known when it is scraped.
    pub upstream_addresses: IntGaugeVec,
    /// When certificates end that the gateway shows of itself, in seconds since 1970, by `upstream` and `tenant` (empty: all).
    /// Known when it is scraped.
    pub upstream_certificate_expiry: IntGaugeVec,
    /// Health checks, by `upstream` and `outcome`: `passed`, `failed`.
    pub upstream_checks: IntCounterVec,
    /// 1 while an `upstream` is not asked because it failed too often.
    pub upstream_circuit_open: IntGaugeVec,
    /// When certificates end, in seconds since 1970, by `listener` (its place in the configuration) and `name` (the
    /// certificate's first).
    pub certificate_expiry: IntGaugeVec,
    /// Looks at changed certificates by `outcome` (`ok`, `failed`).
    pub certificate_reloads: IntCounterVec,
}

const SECONDS: [f64; 14] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| register(&registry, IntCounter::with_opts(Opts::new(name, help)));
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauge = |name: &str, help: &str| register(&registry, IntGauge::with_opts(Opts::new(name, help)));
        let seconds = |name: &str, help: &str| HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        Self(Arc::new(Handles {
            requests: counters("scrim_requests_total", "Exchanges by action and outcome.", &["action", "outcome"]),
            refusals: counters("scrim_refusals_total", "Refused exchanges by reason.", &["reason"]),
            rate_limited: counters(
                "scrim_rate_limited_total",
                "Requests beyond a rate, by whose rate it is.",
                &["per"],
            ),
            connections: gauge("scrim_connections", "Connections of clients."),
            connections_refused: counter(
                "scrim_connections_refused_total",
                "Connections beyond those that one address may have.",
            ),
            newcomers_sent_away: counter(
                "scrim_connections_unused_total",
                "Connections that were closed to make room, for they had not sent a request yet.",
            ),
            proxies_refused: counter(
                "scrim_proxies_refused_total",
                "Connections on listeners for proxies that did not come from one or did not say whom they were for.",
            ),
            handshakes_failed: counters(
                "scrim_tls_handshakes_failed_total",
                "TLS handshakes that came to nothing, by reason.",
                &["reason"],
            ),
            floods: counter(
                "scrim_floods_total",
                "HTTP/2 connections that were cut for too many frames without data, or answers that were not taken.",
            ),
            tasks: gauge("scrim_tasks", "Tasks that run or wait for something."),
            waiting: gauge("scrim_waiting", "Exchanges that wait for their turn."),
            credentials_refused: counters(
                "scrim_credentials_refused_total",
                "Refused credentials by reason.",
                &["reason"],
            ),
            phase_seconds: register(
                &registry,
                HistogramVec::new(
                    seconds("scrim_phase_seconds", "Time spent in each phase of an exchange."),
                    &["phase"],
                ),
            ),
            upstream_seconds: register(
                &registry,
                Histogram::with_opts(seconds(
                    "scrim_upstream_seconds",
                    "Time from an upstream request to the end of its answer.",
                )),
            ),
            upstream_requests: counters("scrim_upstream_requests_total", "Upstream requests by outcome.", &["outcome"]),
            streams: counters(
                "scrim_streamed_answers_total",
                "Answers that were streamed, by how they ended.",
                &["end"],
            ),
            rows_returned: counter("scrim_rows_returned_total", "Records that reached a caller."),
            rows_dropped: counter("scrim_rows_dropped_total", "Records that the policy kept from a caller."),
            fields_redacted: counters("scrim_fields_redacted_total", "Fields masked or removed.", &["how"]),
            tenant_violations: counter(
                "scrim_tenant_violations_total",
                "Foreign rows returned by an upstream that had been asked for one tenant only. Should be 0.",
            ),
            pushdown_leaks: counter(
                "scrim_pushdown_leaks_total",
                "Rows dropped although the upstream had been asked exactly for those that may be seen. Should be 0.",
            ),
            policy_errors: counter("scrim_policy_errors_total", "Conditions that failed with an error on a record."),
            policy_generation: gauge("scrim_policy_generation", "Counts configurations that came into force."),
            reloads: counters("scrim_reloads_total", "Loads of configuration and policies by outcome.", &["outcome"]),
            last_reload_ok: gauge("scrim_last_reload_ok", "1 if the last load came into force."),
            in_flight: gauge("scrim_in_flight", "Exchanges under way."),
            delivering: gauge(
                "scrim_delivering",
                "Of those, the ones whose short answer is only to be taken by its client.",
            ),
            live: gauge("scrim_live", "Streams of events and WebSockets under way."),
            upstream_in_use: gauge("scrim_upstream_sessions_in_use", "Upstream sessions in use by exchanges."),
            cache: counters("scrim_cache_lookups_total", "Cache look-ups by cache and outcome.", &["cache", "outcome"]),
            audit_failures: counter("scrim_audit_failures_total", "Audit records that could not be written."),
            key_set_fetches: counters(
                "scrim_key_set_fetches_total",
                "Fetches of JSON Web Key Sets by outcome.",
                &["outcome"],
            ),
            key_sets_stale: gauge(
                "scrim_key_sets_stale",
                "Issuers whose keys could not be fetched again and are used as they were. Should be 0.",
            ),
            revocations: gauge("scrim_revocations", "Entries of the list of revocations in force."),
            sealed_secrets_stale: gauge(
                "scrim_sealed_secrets_stale",
                "Whether the sealed secrets could not be read again, so that older ones are in force.",
            ),
            revocations_stale: gauge(
                "scrim_revocations_stale",
                "1 while the file of revocations can't be used and the last list stays in force. Should be 0.",
            ),
            introspections: counters(
                "scrim_introspections_total",
                "Questions about opaque tokens by outcome.",
                &["outcome"],
            ),
            hierarchy_reads: counters(
                "scrim_hierarchy_reads_total",
                "Reads of a tenant's people from the hierarchy's table by outcome.",
                &["outcome"],
            ),
            hierarchy_faults: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new("scrim_hierarchy_faults", "Loops, people who manage themselves, unknown managers."),
                    &["kind"],
                ),
            ),
            hierarchy_stale: gauge(
                "scrim_hierarchy_stale",
                "Tenants whose people could not be read again and are used as they were. Should be 0.",
            ),
            upstream_ejections: counters(
                "scrim_upstream_ejections_total",
                "Times that an address of an upstream was left alone for a while.",
                &["upstream"],
            ),
            upstream_addresses: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new("scrim_upstream_addresses", "Known addresses of an upstream by how they do."),
                    &["upstream", "state"],
                ),
            ),
            upstream_certificate_expiry: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new(
                        "scrim_upstream_certificate_expiry_timestamp_seconds",
                        "When a certificate ends that an upstream is shown.",
                    ),
                    &["upstream", "tenant"],
                ),
            ),
            upstream_checks: counters(
                "scrim_upstream_checks_total",
                "Health checks of an upstream's addresses by outcome.",
                &["upstream", "outcome"],
            ),
            upstream_circuit_open: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new("scrim_upstream_circuit_open", "1 while an upstream that failed too often is not asked."),
                    &["upstream"],
                ),
            ),
            certificate_expiry: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new("scrim_certificate_expiry_timestamp_seconds", "When a listener's certificate ends."),
                    &["listener", "name"],
                ),
            ),
            certificate_reloads: counters(
                "scrim_certificate_reloads_total",
                "Certificates whose files had changed by outcome.",
                &["outcome"],
            ),
            registry,
        }))
    }

    /// The text exposition format of Prometheus.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

impl Deref for Metrics {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.0
    }
}

/// Registers a metric whose name, written above, is valid and unique.
fn register<M: prometheus::core::Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<M>) -> M {
    let metric = metric.expect("the names and labels written here are valid");
    registry.register(Box::new(metric.clone())).expect("each name is registered once");
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_registered_once_and_scraped() {
        let metrics = Metrics::new();
        metrics.refusals.with_label_values(&["not_ready"]).inc();
        let text = metrics.render();
        assert!(text.contains("scrim_refusals_total{reason=\"not_ready\"} 1"), "{text}");
        assert!(text.contains("scrim_tenant_violations_total 0"), "{text}");
        assert!(text.contains("scrim_pushdown_leaks_total 0"), "{text}");
    }
}
