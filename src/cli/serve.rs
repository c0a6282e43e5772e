//! `scrim serve`: the gateway until it is told to stop. SIGHUP reloads, SIGTERM and SIGINT drain.

use std::io;
use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

use crate::clock::Clock;
use crate::gateway::Gateway;

/// Runs until a signal ends it. False if the configuration can't be loaded or a socket can't be opened; then all that is
/// wrong is shown on stderr. Errors: the system's signals can't be watched.
pub async fn run(config: &Path) -> io::Result<bool> {
    // Watched before anything listens, so that no signal finds the process unprepared.
    let mut reload = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let gateway = match Gateway::start(config, |_| {}, Clock::system()).await {
        Ok(gateway) => gateway,
        Err(errors) => {
            super::check::show(&errors)?;
            return Ok(false);
        }
    };
    for address in gateway.addresses() {
        tracing::info!(%address, "listening");
    }
    if let Some(address) = gateway.admin_address() {
        tracing::info!(%address, "admin: /metrics /healthz /readyz");
    }
    loop {
        tokio::select! {
            // The outcome is in the log and the metrics; the last good configuration stays in force.
            _ = reload.recv() => drop(gateway.reload().await),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    tracing::info!("draining");
    gateway.shutdown().await;
    Ok(true)
}
