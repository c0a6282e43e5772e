//! The certificates of listeners, and what upstreams are trusted by and shown: read with the configuration, and again by
//! themselves when their files change.
//!
//! What is watched are folders, not files: a mounted secret changes by a link that is swapped beside it. A look once a minute
//! finds what no event told of. A certificate without its key, as while both are being replaced, changes nothing: what is in
//! force stays, the log and a metric say so, and the next change is looked at again.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::Watcher;
use prometheus::core::Collector;
use tokio::sync::watch;

use super::{Shared, unplaced};
use crate::clock::Clock;
use crate::config::Config;
use crate::diagnostic::{self, Diagnostic};
use crate::files::{Fingerprint, folders_of};
use crate::listener::tls::{self, Material, Tls};
use crate::metrics::Metrics;
use crate::upstream::{self, Renewed};

/// Between two looks where no event was told.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Files that belong together are written one after the other: this long after the last event they are read.
const SETTLED: Duration = Duration::from_millis(100);
/// Whoever writes all the time does not keep them from being read.
const UNSETTLED: Duration = Duration::from_secs(2);

/// Those of all listeners, by the address that the configuration names.
pub(super) struct Certificates(pub(super) Vec<(SocketAddr, Arc<Tls>)>);

/// What was read for a listener, if it has TLS.
pub(super) type Read = Vec<(SocketAddr, Option<Material>)>;

/// Reads the certificates of all listeners. Errors: all that is wrong with any; warnings are logged.
pub(super) fn read(config: &Config, clock: &Clock) -> Result<Read, Vec<Diagnostic>> {
    let (mut read, mut found) = (Vec::new(), Vec::new());
    for listener in &config.listeners {
        let material = listener.tls.as_ref().and_then(|tls| {
            let (material, wrong) = Material::load(tls, clock);
            found.extend(wrong);
            material
        });
        read.push((listener.address, material));
    }
    if diagnostic::has_errors(&found) {
        return Err(found);
    }
    for warning in found {
        tracing::warn!("{warning}");
    }
    Ok(read)
}

/// Makes ready what a listener that is about to be bound needs.
pub(super) fn ready(material: Option<&Material>, path: &Path) -> Result<Option<Arc<Tls>>, Vec<Diagnostic>> {
    let wrong = |error| vec![unplaced("tls-certificate", path, format!("no TLS can be spoken: {error}"))];
    material.map(|material| Tls::new(material).map(Arc::new).map_err(wrong)).transpose()
}

impl Certificates {
    /// Takes over what was read, listener by listener.
    pub(super) fn replace(&self, read: &Read, metrics: &Metrics) {
        for (address, tls) in &self.0 {
            // None are there for a listener that has another address by now, or no TLS; it stays as it was.
            let found = read.iter().find_map(|(named, material)| material.as_ref().filter(|_| named == address));
            if let Some(Err(error)) = found.map(|material| tls.replace(material)) {
                tracing::error!(%address, %error, "the certificates in force stay");
            }
        }
        metrics.certificate_expiry.reset();
        read.iter().enumerate().for_each(|(index, (_, material))| tell(index, material.as_ref(), metrics));
    }
}

/// Says when certificates end, and nothing more of those that a listener served before.
fn tell(listener: usize, material: Option<&Material>, metrics: &Metrics) {
    let listener = listener.to_string();
    for family in Collector::collect(&metrics.certificate_expiry) {
        for metric in family.get_metric() {
            let label = |name| metric.get_label().iter().find(|label| label.name() == name).map(|label| label.value());
            if label("listener") == Some(&listener)
                && let Some(name) = label("name")
            {
                // It was there a moment ago.
                metrics.certificate_expiry.remove_label_values(&[&listener, name]).ok();
            }
        }
    }
    for (name, until) in material.iter().flat_map(|material| &material.expiries) {
        metrics.certificate_expiry.with_label_values(&[&listener, name]).set(until.as_second());
    }
}

/// Looks whenever a file may have changed, for as long as the gateway runs.
pub(super) async fn watch(shared: Arc<Shared>, mut reloaded: watch::Receiver<()>) {
    loop {
        let Some(snapshot) = shared.in_force.load_full() else { return };
        let mut folders = Folders::watch(&snapshot.config);
        drop(snapshot);
        // Also for what changed before the folders were watched.
        loop {
            look(&shared).await;
            if folders.are_others(&shared) {
                break;
            }
            tokio::select! {
                () = folders.change() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                changed = reloaded.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
            }
        }
    }
}

/// Takes over what changed since it was last looked at, each listener by itself.
async fn look(shared: &Shared) {
    let _alone = shared.reloading.lock().await;
    let Some(snapshot) = shared.in_force.load_full() else { return };
    for (index, listener) in snapshot.config.listeners.iter().enumerate() {
        let address = listener.address;
        let found = shared.certificates.0.iter().find(|(named, _)| *named == address);
        let (Some(named), Some((_, tls))) = (&listener.tls, found) else { continue };
        // Of before they are read: what changes meanwhile is a change.
        let fingerprint = Fingerprint::of(tls::files(named));
        if !tls.has_not_seen(&fingerprint) {
            continue;
        }
        let (material, found) = Material::load(named, &shared.clock);
        let replaced = material.as_ref().is_some_and(|material| tls.replace(material).is_ok());
        let outcome = if replaced { "ok" } else { "failed" };
        shared.metrics.certificate_reloads.with_label_values(&[outcome]).inc();
        let is_early = found.iter().any(|wrong| wrong.code == "certificate-not-yet-valid");
        say(found);
        if replaced {
            tell(index, material.as_ref(), &shared.metrics);
            tracing::info!(%address, "certificates were replaced");
        } else {
            // Not looked at again until they change, or until what was brought too early may hold.
            if !is_early {
                tls.saw(fingerprint);
            }
            tracing::error!(%address, "certificates were not replaced: those in force stay");
        }
    }
    for upstream in snapshot.config.upstreams.values() {
        let Some(renewed) = snapshot.upstreams.renew(upstream, shared.clock.now()) else { continue };
        let Renewed { is_renewed, found, retired } = renewed;
        retired.close().await;
        let outcome = if is_renewed { "ok" } else { "failed" };
        shared.metrics.certificate_reloads.with_label_values(&[outcome]).inc();
        say(found);
        let name = &upstream.name;
        if is_renewed {
            tracing::info!(upstream = %name, "certificates were replaced");
        } else {
            tracing::error!(upstream = %name, "certificates were not replaced: those in force stay");
        }
    }
}

fn say(found: Vec<Diagnostic>) {
    for diagnostic in found {
        match diagnostic.severity {
            diagnostic::Severity::Error => tracing::error!("{diagnostic}"),
            diagnostic::Severity::Warning => tracing::warn!("{diagnostic}"),
        }
    }
}

/// The folders of all files that certificates are read from.
struct Folders {
    watched: BTreeSet<PathBuf>,
    /// Ends with this.
    _watcher: Option<notify::RecommendedWatcher>,
    changed: watch::Receiver<()>,
}

impl Folders {
    fn watch(config: &Config) -> Self {
        let (tell, changed) = watch::channel(());
        let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading them is no change.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                tell.send_replace(());
            }
        });
        let watched = folders(config);
        let watcher = made.and_then(|mut watcher| {
            for folder in &watched {
                watcher.watch(folder, notify::RecursiveMode::NonRecursive)?;
            }
            Ok(watcher)
        });
        let watcher = watcher
            .inspect_err(
                |error| tracing::warn!(%error, "certificates are looked at once a minute: they can't be watched"),
            )
            .ok();
        Self { watched, _watcher: watcher, changed }
    }

    /// Whether others are to be watched by now, as those of a new tenant.
    fn are_others(&self, shared: &Shared) -> bool {
        let in_force = shared.in_force.load();
        in_force.as_ref().is_some_and(|snapshot| folders(&snapshot.config) != self.watched)
    }

    /// Until something has changed and nothing more does.
    async fn change(&mut self) {
        if self.changed.changed().await.is_err() {
            // Nothing will be told.
            std::future::pending::<()>().await;
        }
        let settled = async { while let Ok(Ok(())) = tokio::time::timeout(SETTLED, self.changed.changed()).await {} };
        // Either way it is time to look.
        tokio::time::timeout(UNSETTLED, settled).await.ok();
    }
}

/// Those that are there, also where links lead to.
fn folders(config: &Config) -> BTreeSet<PathBuf> {
    let files = config.listeners.iter().filter_map(|listener| listener.tls.as_ref()).flat_map(tls::files);
    let upstreams = config.upstreams.values().flat_map(upstream::folders);
    files.flat_map(folders_of).chain(upstreams).filter(|folder| folder.is_dir()).collect()
}
