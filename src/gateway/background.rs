//! What a gateway does beside its callers' requests for as long as it runs: it keeps fresh what comes from elsewhere, asks
//! upstreams whether they serve, and forgets.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Shared, certificates};
use crate::metrics::Metrics;
use crate::snapshot::Snapshot;

/// Between two looks where nothing sooner is asked for.
const REFRESH_EVERY: Duration = Duration::from_secs(300);
/// Between two looks at the list of revocations and at sealed secrets. Their content is compared, so that they may be replaced
/// in any way.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often callers who have not asked for long are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// Tasks that end when the set is shut down.
pub(super) fn start(tasks: &mut JoinSet<()>, shared: &Arc<Shared>) {
    for kept in Kept::ALL {
        tasks.spawn(keep_fresh(Arc::clone(shared), kept, shared.reloaded.subscribe()));
    }
    tasks.spawn(certificates::watch(Arc::clone(shared), shared.reloaded.subscribe()));
    tasks.spawn(check_upstreams(Arc::clone(shared), shared.reloaded.subscribe()));
    tasks.spawn(forget_callers(Arc::clone(&shared.in_force)));
}

/// What the gateway keeps from elsewhere, and fetches again for as long as it runs.
#[derive(Clone, Copy)]
pub(super) enum Kept {
    KeySets,
    Hierarchy,
    Revocations,
    Secrets,
}

impl Kept {
    pub(super) const ALL: [Self; 4] = [Self::KeySets, Self::Hierarchy, Self::Revocations, Self::Secrets];

    pub(super) async fn refresh(self, snapshot: &Snapshot, metrics: &Metrics) {
        match self {
            Self::KeySets => snapshot.authenticator.refresh().await,
            Self::Hierarchy => snapshot.hierarchy.refresh(&snapshot.upstreams, metrics).await,
            Self::Revocations => snapshot.authenticator.read_revocations().await,
            Self::Secrets => {
                let upstreams = Arc::clone(&snapshot.upstreams);
                // As files on a network do, it may take its time. A reading that panics changes nothing.
                tokio::task::spawn_blocking(move || upstreams.read_secrets_again()).await.ok();
            }
        }
    }

    /// Until the next fetch.
    fn wait(self, snapshot: &Snapshot) -> Duration {
        match self {
            Self::KeySets => snapshot.authenticator.refresh_after().unwrap_or(REFRESH_EVERY),
            Self::Hierarchy => snapshot.hierarchy.refresh_interval().unwrap_or(REFRESH_EVERY),
            Self::Revocations if snapshot.authenticator.has_revocations() => LOOK_EVERY,
            Self::Secrets if snapshot.upstreams.has_sealed_secrets() => LOOK_EVERY,
            Self::Revocations | Self::Secrets => REFRESH_EVERY,
        }
    }
}

/// Each kind in a task of its own: a slow table must not keep old keys in force.
async fn keep_fresh(shared: Arc<Shared>, kept: Kept, mut reloaded: watch::Receiver<()>) {
    // A reload may change how long is waited, but not since when: who reloads often must not keep anything from being fetched.
    let mut fetched = Instant::now();
    loop {
        let Some(wait) = shared.in_force.load().as_ref().map(|snapshot| kept.wait(snapshot)) else { return };
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(fetched + wait) => {}
            changed = reloaded.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        }
        if let Some(snapshot) = shared.in_force.load_full() {
            kept.refresh(&snapshot, &shared.metrics).await;
        }
        fetched = Instant::now();
    }
}

/// Callers who have not asked for long are not kept.
async fn forget_callers(in_force: Arc<ArcSwapOption<Snapshot>>) {
    loop {
        tokio::time::sleep(FORGET_EVERY).await;
        let snapshot = in_force.load_full();
        let forgotten = tokio::task::spawn_blocking(move || snapshot.iter().for_each(|all| all.admission.forget()));
        if forgotten.await.is_err() {
            tracing::error!("what is known of the rates of callers could not be cleared");
        }
    }
}

/// A slow upstream must not keep others from being checked, so each is in a task of its own.
async fn check_upstreams(shared: Arc<Shared>, mut reloaded: watch::Receiver<()>) {
    let mut under_way = JoinSet::new();
    loop {
        let Some(snapshot) = shared.in_force.load_full() else { return };
        for name in snapshot.upstreams.due_checks(Instant::now().into_std()) {
            let upstreams = Arc::clone(&snapshot.upstreams);
            under_way.spawn(async move { upstreams.check(&name).await });
        }
        let next = snapshot.upstreams.next_checks();
        drop(snapshot);
        let due = async {
            match next {
                Some(next) => tokio::time::sleep_until(next.into()).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            Some(_) = under_way.join_next() => {}
            changed = reloaded.changed() => if changed.is_err() { return },
        }
    }
}
