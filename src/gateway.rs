//! The composition root: listeners, admin, the snapshot in force, reload and drain.
//!
//! A gateway owns every task it starts and stops them all. Reloading builds a whole new snapshot and swaps it in; on any
//! mistake the last good one stays in force. Listeners are not reloaded (see `fixed`), their certificates are (see `certificates`).

mod background;
mod certificates;
mod fixed;
pub mod handover;
pub mod sockets;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::admin::{self, Admin};
use crate::audit::Log;
use crate::clock::Clock;
use crate::config::Config;
use crate::diagnostic::{Diagnostic, Source, Span};
use crate::listener::{Listener, Places};
use crate::metrics::Metrics;
use crate::proxy::{Connections, Proxy};
use crate::snapshot::Snapshot;
use background::Kept;
use certificates::Certificates;
use fixed::Fixed;
use sockets::Sockets;

/// How long connections are waited for on which nothing is in flight.
const QUIET: Duration = Duration::from_secs(5);
/// For streams of HTTP/2, which run in tasks of their own, once their connections have ended.
const STREAMS_END: Duration = Duration::from_secs(2);

pub struct Gateway {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    /// Other handles of the listening sockets, for a process that takes over.
    sockets: Sockets,
    admin_address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    cut: watch::Sender<bool>,
    stop_admin: watch::Sender<bool>,
    serving: JoinSet<()>,
    admin: JoinSet<()>,
    background: JoinSet<()>,
}

type Adjust = Box<dyn Fn(&mut Config) + Send + Sync>;

struct Shared {
    path: PathBuf,
    adjust: Adjust,
    clock: Clock,
    metrics: Metrics,
    log: Arc<Log>,
    in_force: Arc<ArcSwapOption<Snapshot>>,
    certificates: Certificates,
    fixed: Fixed,
    places: Arc<Places>,
    stopping: watch::Receiver<bool>,
    /// Whether another process serves on the same sockets: idle connections stay open while this one drains.
    lingers: Arc<AtomicBool>,
    /// One reload at a time.
    reloading: Mutex<()>,
    /// The tasks that keep things fresh waited for what was in force before.
    reloaded: watch::Sender<()>,
    scraping: std::sync::Mutex<()>,
}

impl Gateway {
    /// Loads a configuration, binds its listeners and begins to serve. `adjust` changes what only the running program can
    /// know, such as a port that the system chose.
    ///
    /// Errors: everything that is wrong with the files, or a socket or audit log that can't be opened.
    pub async fn start(
        path: &Path,
        adjust: impl Fn(&mut Config) + Send + Sync + 'static,
        clock: Clock,
    ) -> Result<Self, Vec<Diagnostic>> {
        Self::start_on(Sockets::default(), path, adjust, clock).await
    }

    /// As [`start`](Self::start), on sockets that are there already where they are for addresses that the configuration names.
    pub async fn start_on(
        mut given: Sockets,
        path: &Path,
        adjust: impl Fn(&mut Config) + Send + Sync + 'static,
        clock: Clock,
    ) -> Result<Self, Vec<Diagnostic>> {
        let metrics = Metrics::new();
        let (snapshot, warnings) =
            Snapshot::load(path, &adjust, &clock, &metrics, None).inspect_err(|_| loaded(&metrics, false))?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let config = &snapshot.config;
        let log = Log::open(&config.audit, clock.clone()).map_err(|error| {
            vec![unplaced(
                "audit-unwritable",
                path,
                format!("cannot open the audit log `{}`: {error}", config.audit.file.display()),
            )]
        })?;
        let materials = certificates::read(config, &clock).inspect_err(|_| loaded(&metrics, false))?;
        let places = Places::new(&config.limits, &metrics);
        places.heed(config);
        let mut listeners = Vec::new();
        let mut sockets = Sockets::default();
        let mut secured = Vec::new();
        for (listener, (address, material)) in config.listeners.iter().zip(&materials) {
            let tls = certificates::ready(material.as_ref(), path)?;
            match &tls {
                Some(tls) => secured.push((*address, Arc::clone(tls))),
                None => {
                    tracing::warn!(%address, "this listener takes plain HTTP: credentials and data pass in clear");
                }
            }
            let untaken = |error| vec![unplaced("listener", path, format!("cannot listen on `{address}`: {error}"))];
            let socket = given.bind(*address).await.map_err(untaken)?;
            sockets.keep(*address, &socket).map_err(untaken)?;
            listeners.push(Listener::new(socket, listener, tls, &config.limits).map_err(untaken)?);
        }
        let secured = Certificates(secured);
        secured.replace(&materials, &metrics);
        let admin = match config.admin {
            None => None,
            Some(address) => {
                let untaken = |error| {
                    vec![unplaced("listener", path, format!("cannot listen on `{address}` for admin: {error}"))]
                };
                let socket = given.bind(address).await.map_err(untaken)?;
                sockets.keep(address, &socket).map_err(untaken)?;
                Some(Admin::new(socket))
            }
        };
        for address in given.addresses() {
            tracing::warn!(%address, "a socket was given for an address that the configuration does not name");
        }
        drop(given);
        let (stop, stopping) = watch::channel(false);
        let (cut, cutting) = watch::channel(false);
        let (stop_admin, stopping_admin) = watch::channel(false);
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            adjust: Box::new(adjust),
            clock: clock.clone(),
            metrics: metrics.clone(),
            log: Arc::clone(&log),
            in_force: Arc::new(ArcSwapOption::empty()),
            certificates: secured,
            fixed: Fixed::of(&snapshot.config),
            places: Arc::clone(&places),
            stopping: stopping.clone(),
            lingers: Arc::default(),
            reloading: Mutex::new(()),
            reloaded: watch::Sender::new(()),
            scraping: std::sync::Mutex::default(),
        });
        Kept::KeySets.refresh(&snapshot, &metrics).await;
        snapshot.upstreams.succeed(None).close().await;
        shared.in_force.store(Some(Arc::new(snapshot)));
        loaded(&metrics, true);

        let mut proxy = Proxy::new(Arc::clone(&shared.in_force), clock, log, metrics);
        proxy.lingers = Arc::clone(&shared.lingers);
        let connections = Arc::new(Connections(Arc::new(proxy)));
        let addresses = listeners.iter().map(Listener::address).collect();
        let admin_address = admin.as_ref().and_then(|admin| admin.local_addr().ok());
        let mut serving = JoinSet::new();
        for listener in listeners {
            let (connections, places) = (Arc::clone(&connections), Arc::clone(&places));
            serving.spawn(listener.serve(
                connections,
                places,
                shared.metrics.clone(),
                stopping.clone(),
                cutting.clone(),
                Arc::clone(&shared.lingers),
            ));
        }
        let (mut watched, mut background) = (JoinSet::new(), JoinSet::new());
        if let Some(admin) = admin {
            let source = Arc::clone(&shared);
            let mut stopping = stopping_admin;
            watched.spawn(admin.serve(source, async move {
                stopping.wait_for(|stop| *stop).await.ok();
            }));
        }
        background::start(&mut background, &shared);
        Ok(Self {
            shared,
            addresses,
            sockets,
            admin_address,
            stop,
            cut,
            stop_admin,
            serving,
            admin: watched,
            background,
        })
    }

    /// Where it listens, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Waits until every audit record of exchanges that have ended is on disk.
    pub async fn flush_audit(&self) {
        self.shared.log.flush().await;
    }

    /// Loads everything anew: all of it comes into force, or nothing does and the last good configuration stays.
    pub async fn reload(&self) -> Result<(), Vec<Diagnostic>> {
        self.shared.reload().await
    }

    /// Fetches key sets and hierarchy and reads revocations and sealed secrets now, as the gateway does by itself at their intervals.
    pub async fn refresh(&self) {
        if let Some(snapshot) = self.shared.in_force.load_full() {
            for kept in Kept::ALL {
                kept.refresh(&snapshot, &self.shared.metrics).await;
            }
        }
    }

    /// Its listening sockets once more, to hand over.
    pub fn sockets(&self) -> std::io::Result<Sockets> {
        self.sockets.copy()
    }

    /// Errors: why it is not ready, in fixed words.
    pub fn ready(&self) -> Result<(), Vec<&'static str>> {
        admin::Source::ready(&self.shared)
    }

    /// Drains while another process serves on the same sockets. Connections that are idle stay open until their next answer,
    /// which says that it is the last one: who is just about to ask on one must not find it closed.
    pub async fn retire(self) {
        self.shared.lingers.store(true, Ordering::Release);
        // Whoever watches is to find the other process.
        self.stop_admin.send_replace(true);
        self.shutdown().await;
    }

    /// Stops taking connections, lets requests in flight finish, and returns as soon as none is left or `drain_time` is over.
    pub async fn shutdown(mut self) {
        // Or they would go on listening.
        self.sockets = Sockets::default();
        let limit = self.shared.in_force.load().as_ref().map(|snapshot| snapshot.config.limits.drain_time);
        self.stop.send_replace(true);
        let drained = async { while self.serving.join_next().await.is_some() {} };
        let (metrics, lingers) = (self.shared.metrics.clone(), self.shared.lingers.load(Ordering::Acquire));
        // Who is left then says nothing any more: of HTTP/2 clients a word is awaited that some never say.
        let quiet = async {
            let mut since = Instant::now();
            while lingers || since.elapsed() < QUIET {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if metrics.in_flight.get() > 0 || metrics.live.get() > 0 {
                    since = Instant::now();
                }
            }
        };
        let is_late = tokio::select! {
            biased;
            () = drained => None,
            () = quiet => Some(false),
            () = tokio::time::sleep(limit.unwrap_or_default()) => Some(true),
        };
        if let Some(is_late) = is_late {
            if is_late {
                tracing::warn!("requests were still in flight when the drain time was over");
            }
            // Each exchange that is cut writes its outcome before the log is flushed below.
            self.cut.send_replace(true);
            while self.serving.join_next().await.is_some() {}
        }
        let streams = async {
            let metrics = &self.shared.metrics;
            while metrics.in_flight.get() > 0 || metrics.live.get() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(STREAMS_END, streams).await.is_err() {
            tracing::warn!("requests were still in flight after their connections had ended");
        }
        self.stop_admin.send_replace(true);
        if self.shared.lingers.load(Ordering::Acquire) {
            // Whoever asks this process how things are may just have come to it.
            while self.admin.join_next().await.is_some() {}
        }
        self.admin.shutdown().await;
        self.background.shutdown().await;
        self.shared.log.flush().await;
    }
}

impl Shared {
    async fn reload(&self) -> Result<(), Vec<Diagnostic>> {
        let _alone = self.reloading.lock().await;
        let result = self.load_anew().await;
        loaded(&self.metrics, result.is_ok());
        match &result {
            Ok(()) => tracing::info!("the configuration was reloaded"),
            Err(errors) => {
                for error in errors {
                    tracing::error!("{error}");
                }
                tracing::error!("the configuration was not reloaded: the last good one stays in force");
            }
        }
        result
    }

    async fn load_anew(&self) -> Result<(), Vec<Diagnostic>> {
        let before = self.in_force.load_full();
        let (mut snapshot, warnings) =
            Snapshot::load(&self.path, &self.adjust, &self.clock, &self.metrics, before.as_deref())?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let materials = certificates::read(&snapshot.config, &self.clock)?;
        Kept::KeySets.refresh(&snapshot, &self.metrics).await;
        if let Some(old) = &before {
            snapshot.authenticator.inherit(&old.authenticator);
            snapshot.hierarchy.inherit(&old.hierarchy);
            snapshot.cursors.inherit(&old.cursors);
        }
        let audit = &snapshot.config.audit;
        self.log.reopen(audit).await.map_err(|error| {
            let message = format!("cannot open the audit log `{}`: {error}", audit.file.display());
            vec![unplaced("audit-unwritable", &self.path, message)]
        })?;
        let changed = self.fixed.changed(&snapshot.config);
        if !changed.is_empty() {
            tracing::warn!(settings = changed.join(", "), "changed settings stay as they were: they take a restart");
        }
        self.certificates.replace(&materials, &self.metrics);
        self.places.heed(&snapshot.config);
        if let Some(old) = &before {
            snapshot.admission.inherit(&old.admission);
        }
        // Last, for keys may have taken long to come: what was revoked by now stays revoked.
        Kept::Revocations.refresh(&snapshot, &self.metrics).await;
        let retired = snapshot.upstreams.succeed(before.as_ref().map(|old| &*old.upstreams));
        self.in_force.store(Some(Arc::new(snapshot)));
        self.reloaded.send_replace(());
        retired.close().await;
        Ok(())
    }
}

impl admin::Source for Arc<Shared> {
    fn metrics(&self) -> String {
        // One scrape at a time, or two would count the same failures.
        let _alone = self.scraping.lock();
        let failures = &self.metrics.audit_failures;
        failures.inc_by(self.log.failures().saturating_sub(failures.get()));
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        if let Some(snapshot) = &*self.in_force.load() {
            snapshot.upstreams.show();
        }
        self.metrics.tasks.set(tasks.try_into().unwrap_or(i64::MAX));
        self.metrics.render()
    }

    fn ready(&self) -> Result<(), Vec<&'static str>> {
        let in_force = self.in_force.load();
        let reasons = [
            (in_force.is_none(), "no_valid_policy"),
            (in_force.as_ref().is_some_and(|snapshot| !snapshot.authenticator.is_ready()), "keys_missing"),
            (!self.log.is_writable(), "audit_unwritable"),
            (*self.stopping.borrow() && !self.lingers.load(Ordering::Acquire), "draining"),
        ];
        let reasons: Vec<_> = reasons.into_iter().filter_map(|(holds, reason)| holds.then_some(reason)).collect();
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }
}

fn loaded(metrics: &Metrics, ok: bool) {
    metrics.reloads.with_label_values(&[if ok { "ok" } else { "failed" }]).inc();
    metrics.last_reload_ok.set(i64::from(ok));
    if ok {
        metrics.policy_generation.inc();
    }
}

/// A mistake without a place in a file.
fn unplaced(code: &'static str, path: &Path, message: String) -> Diagnostic {
    Diagnostic::error(code, Span::new(&Source::new(path.display().to_string(), ""), 0..0), message)
}
