//! `scrim serve`: the gateway until it is told to stop. SIGHUP reloads, SIGTERM and SIGINT drain.

use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::clock::Clock;
use crate::diagnostic;
use crate::gateway::Gateway;

/// Runs until a signal ends it. Exit code 1 if the configuration can't be loaded or a socket can't be opened.
pub async fn run(config: &Path, colour: bool) -> ExitCode {
    let (Ok(mut reload), Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::hangup()), signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("the system's signals cannot be watched");
        return ExitCode::FAILURE;
    };
    let gateway = match Gateway::start(config, |_| {}, Clock::system()).await {
        Ok(gateway) => gateway,
        Err(errors) => {
            eprint!("{}", diagnostic::render(&errors, colour));
            tracing::error!("the configuration `{}` cannot be served: `scrim check` shows what is wrong", config.display());
            return ExitCode::FAILURE;
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
    ExitCode::SUCCESS
}
