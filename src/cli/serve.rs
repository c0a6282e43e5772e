//! `scrim serve`: the gateway until it is told to stop. SIGHUP reloads, SIGQUIT hands over, SIGTERM and SIGINT drain.
//!
//! Where a service manager wants to know (`NOTIFY_SOCKET`, see sd_notify(3)), it is told when the gateway is ready, reloads,
//! stops or was handed over, and that it is alive.

use std::io;
use std::path::Path;
use std::process::Command;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::Serve;
use crate::clock::Clock;
use crate::gateway::Gateway;
use crate::gateway::handover::{Predecessor, hand_over};
use crate::gateway::sockets::Sockets;

/// By which a process is told that it takes over.
const TAKE_OVER: &str = "--take-over";

/// Runs until a signal ends it. False if the configuration can't be loaded, a socket can't be opened, or nothing could be
/// taken over; then all that is wrong is shown on stderr. Errors: the system's signals can't be watched.
pub async fn run(serve: &Serve) -> io::Result<bool> {
    // Watched before anything listens, so that no signal finds the process unprepared.
    let mut reload = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Now, for later it may be another file.
    let program = std::env::current_exe()?;
    let (predecessor, sockets) = if serve.take_over {
        let (predecessor, sockets) = Predecessor::meet()?;
        (Some(predecessor), sockets)
    } else {
        (None, Sockets::activated()?)
    };
    let gateway = match Gateway::start_on(sockets, &serve.config, |_| {}, Clock::system()).await {
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
    if let Some(predecessor) = predecessor {
        if let Err(reasons) = gateway.ready() {
            tracing::error!(?reasons, "this process is not ready to take over");
            gateway.shutdown().await;
            return Ok(false);
        }
        // One that is gone needs no relief.
        predecessor.relieve().unwrap_or_else(|error| tracing::warn!(%error, "nobody is left to take over from"));
        tracing::info!(pid = std::process::id(), "taken over");
    }
    tell(&[NotifyState::Ready]);
    let watched = tokio::spawn(alive());
    let mut successor = JoinSet::new();
    let handed_over = loop {
        tokio::select! {
            _ = reload.recv() => {
                tell(&[NotifyState::Reloading, NotifyState::monotonic_usec_now()?]);
                // The outcome is in the log and the metrics; the last good configuration stays in force.
                drop(gateway.reload().await);
                tell(&[NotifyState::Ready]);
            }
            _ = quit.recv(), if successor.is_empty() => match gateway.sockets() {
                Ok(sockets) => drop(successor.spawn(hand_over(again(&program), sockets))),
                Err(error) => tracing::error!(%error, "the sockets can't be handed over"),
            },
            Some(ended) = successor.join_next(), if !successor.is_empty() => match ended.map_err(io::Error::from) {
                Ok(Ok(pid)) => {
                    tracing::info!(pid, "handed over");
                    tell(&[NotifyState::MainPid(pid)]);
                    break true;
                }
                Ok(Err(error)) | Err(error) => tracing::error!(%error, "not handed over: this process goes on"),
            },
            _ = terminate.recv() => break false,
            _ = interrupt.recv() => break false,
        }
    };
    watched.abort();
    // A successor that is not ready yet ends with this one.
    successor.shutdown().await;
    tracing::info!("draining");
    if handed_over {
        gateway.retire().await;
    } else {
        tell(&[NotifyState::Stopping]);
        gateway.shutdown().await;
    }
    tracing::info!("ended");
    Ok(true)
}

/// The command of this process, to take over from it.
fn again(program: &Path) -> Command {
    let mut command = Command::new(program);
    let arguments = || std::env::args_os().skip(1);
    command.args(arguments());
    if !arguments().any(|argument| argument == TAKE_OVER) {
        command.arg(TAKE_OVER);
    }
    command
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager can't be told");
    }
}

/// Tells the service manager's watchdog, twice in each of its periods, that tasks are run.
async fn alive() {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = tokio::time::interval(period / 2);
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}
