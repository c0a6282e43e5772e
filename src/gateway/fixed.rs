//! What a gateway reads when it starts and not again: where it listens, and by which limits connections are let in.
//!
//! A reload that finds any of it changed goes on with what was, and says so by name.

use std::fmt::Debug;

use crate::config::Config;

/// Settings by name, each with what it was.
pub(super) struct Fixed(Vec<(&'static str, String)>);

impl Fixed {
    pub(super) fn of(config: &Config) -> Self {
        let Config { admin, limits, .. } = config;
        let mut listeners: Vec<_> = config
            .listeners
            .iter()
            .map(|listener| (listener.address, listener.tls.is_some(), &listener.proxy_protocol))
            .collect();
        listeners.sort();
        let setting = |name, value: &dyn Debug| (name, format!("{value:?}"));
        Self(vec![
            setting("listeners", &listeners),
            setting("admin", admin),
            setting("limits.connections", &limits.connections),
            setting("limits.connections_per_address", &limits.connections_per_address),
            setting("limits.new_connections", &limits.new_connections),
            setting("limits.handshake_time", &limits.handshake_time),
            setting("limits.head_time", &limits.head_time),
            setting("limits.idle_time (of HTTP/2)", &limits.idle_time),
        ])
    }

    /// The names of those that a configuration says otherwise.
    pub(super) fn changed(&self, config: &Config) -> Vec<&'static str> {
        let other = Self::of(config);
        let pairs = self.0.iter().zip(&other.0);
        pairs.filter(|(own, other)| own != other).map(|((name, _), _)| *name).collect()
    }
}
