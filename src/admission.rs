//! How much a caller may ask for: rates by address, principal, API key and tenant, and turns where all is in use.
//!
//! A rate is a bucket that empties steadily (GCRA): as many requests as its burst at once, and its rate over time. The rate of
//! an address is taken before a credential is looked at, the others once it is known who asks. Nothing here is exact across
//! gateways: each counts what it sees itself.
//!
//! Turns are what keeps one busy tenant from starving the others: see [`turns`].

mod rates;
pub mod turns;

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::{Limits, Per, Rate};
use crate::model::{Name, Principal, TenantScope};
use rates::Bucket;
pub use rates::Quota;
use turns::{Size, Turn, Turns};

/// The rates and turns of one configuration, with what they have counted.
pub struct Admission {
    buckets: Vec<Arc<Bucket>>,
    turns: Arc<Turns>,
    size: Size,
    /// Of what has no end of its own, and would keep the others for ever.
    live: Arc<Turns>,
    live_size: Size,
}

/// A bucket that was empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limited {
    pub per: Per,
    pub quota: Quota,
}

impl Admission {
    pub fn new(rates: &[Rate], limits: &Limits) -> Self {
        let size = Size::new(limits);
        let buckets = rates.iter().map(|rate| Arc::new(Bucket::new(*rate))).collect();
        let live_size = Size::of_live(limits);
        let live = Arc::new(Turns::new(live_size));
        Self { buckets, turns: Arc::new(Turns::new(size)), size, live, live_size }
    }

    /// What was counted before goes on under each rate that stayed as it was, and turns that are in use stay in use: a reload
    /// gives nobody a fresh start.
    pub fn inherit(&mut self, before: &Self) {
        for bucket in &mut self.buckets {
            if let Some(known) = before.buckets.iter().find(|known| known.rate() == bucket.rate()) {
                *bucket = Arc::clone(known);
            }
        }
        self.turns = Arc::clone(&before.turns);
        self.turns.resize(self.size);
        self.live = Arc::clone(&before.live);
        self.live.resize(self.live_size);
    }

    /// Takes one request from the bucket of the client's address. Nothing is known of the client yet.
    pub fn arrive(&self, client: IpAddr) -> Result<Option<Quota>, Limited> {
        self.take(|per| (per == Per::Address).then(|| rates::address(client)))
    }

    /// Takes one request from each bucket of a caller who is known: the one with the least left. `key`: what the API key is
    /// called that they came with.
    pub fn identify(
        &self,
        principal: &Principal,
        key: Option<&Name>,
        tenant: &TenantScope,
    ) -> Result<Option<Quota>, Limited> {
        self.take(|per| match per {
            Per::Address => None,
            Per::Principal => Some(rates::key(&(&principal.issuer, &principal.id))),
            Per::ApiKey => key.map(rates::key),
            Per::Tenant => Some(rates::key(&tenant.to_string())),
        })
    }

    /// A turn to be served. Waits where all are in use; `None`: none came in time, or too many wait already.
    pub async fn turn(&self, tenant: &TenantScope) -> Option<Turn> {
        Turns::take(&self.turns, tenant).await
    }

    /// A turn for a stream of events or a WebSocket. `None`: there are as many as may be.
    pub async fn live_turn(&self, tenant: &TenantScope) -> Option<Turn> {
        Turns::take(&self.live, tenant).await
    }

    /// Lets go of buckets that are full again.
    pub fn forget(&self) {
        for bucket in &self.buckets {
            bucket.forget();
        }
    }

    /// From all of them or from none: whom one bucket refuses has not used up what is in the others. Until it is given back,
    /// what was taken may be missed by another request of the same caller, which is refused then; none is let in too many.
    fn take(&self, whose: impl Fn(Per) -> Option<u64>) -> Result<Option<Quota>, Limited> {
        let mut taken = Vec::new();
        for bucket in &self.buckets {
            let per = bucket.rate().per;
            let Some(key) = whose(per) else { continue };
            match bucket.take(key) {
                Ok(found) => taken.push((bucket, found)),
                Err(quota) => {
                    taken.iter().for_each(|(bucket, taken)| bucket.give_back(taken));
                    return Err(Limited { per, quota });
                }
            }
        }
        let quotas = taken.into_iter().map(|(_, taken)| taken.quota);
        Ok(quotas.min_by_key(Quota::urgency))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::model::Method;

    fn admission(rates: &[(Per, u32)]) -> Admission {
        let rate = |(per, requests): &(Per, u32)| {
            let requests = NonZeroU32::new(*requests).expect("some");
            Rate { per: *per, requests, period: Duration::from_secs(86_400), burst: requests }
        };
        Admission::new(&rates.iter().map(rate).collect::<Vec<_>>(), &Limits::default())
    }

    fn principal(issuer: &str, id: &str) -> Principal {
        Principal {
            id: id.into(),
            issuer: issuer.into(),
            method: Method::Jwt,
            roles: Vec::new(),
            groups: Vec::new(),
            attributes: Default::default(),
            reports: Arc::default(),
            memberships: Vec::new(),
            overreaches: false,
            scopes: None,
        }
    }

    fn tenant(name: &str) -> TenantScope {
        TenantScope::new(&["organization_id".into()], |_| Some(name)).expect("a tenant")
    }

    #[test]
    fn each_rate_has_buckets_of_its_own() {
        let admission = admission(&[(Per::Principal, 2), (Per::Tenant, 3), (Per::ApiKey, 1)]);
        let take = |issuer: &str, id: &str, key: Option<&str>, name: &str| {
            let key = key.map(Name::from);
            admission.identify(&principal(issuer, id), key.as_ref(), &tenant(name)).map_err(|limited| limited.per)
        };
        assert_eq!(take("a", "ann", None, "acme").expect("let in").map(|quota| quota.left), Some(1));
        assert!(take("a", "ann", None, "acme").is_ok());
        assert_eq!(take("a", "ann", None, "acme"), Err(Per::Principal));
        // The same name from another issuer is another caller; the tenant is the same.
        assert!(take("b", "ann", None, "acme").is_ok());
        assert_eq!(take("b", "bob", None, "acme"), Err(Per::Tenant));
        // Two keys of one principal are two, and one key is one whoever it is of.
        assert!(take("c", "sync", Some("one"), "globex").is_ok());
        assert_eq!(take("c", "other", Some("one"), "globex"), Err(Per::ApiKey));
        assert!(take("c", "sync", Some("two"), "initech").is_ok());
        assert_eq!(admission.arrive(IpAddr::from([192, 0, 2, 1])), Ok(None), "no rate is declared for addresses");
    }

    #[test]
    fn whom_one_rate_refuses_has_not_used_up_the_others() {
        let admission = admission(&[(Per::Principal, 2), (Per::ApiKey, 9), (Per::Tenant, 1)]);
        let (ann, key) = (principal("a", "ann"), Name::from("one"));
        let take = |name: &str| admission.identify(&ann, Some(&key), &tenant(name)).map_err(|limited| limited.per);
        assert!(take("acme").is_ok());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                // Meanwhile another one may have what is left, and give it back.
                scope.spawn(|| {
                    (0..500).for_each(|_| assert!(matches!(take("acme"), Err(Per::Tenant | Per::Principal))))
                });
            }
        });
        assert_eq!(take("globex").expect("one is left").map(|quota| quota.left), Some(0));
        assert_eq!(take("initech"), Err(Per::Principal), "and not two");
        // Nor has the last one taken anything of another rate, before or behind it.
        let bob = principal("a", "bob");
        let left = admission.identify(&bob, None, &tenant("initech")).expect("nobody has asked of it");
        assert_eq!(left.map(|quota| (quota.rate.per, quota.left)), Some((Per::Tenant, 0)));
    }

    #[test]
    fn of_what_is_used_up_the_longest_wait_is_told() {
        let rate = |per, seconds| {
            let one = NonZeroU32::MIN;
            Rate { per, requests: one, period: Duration::from_secs(seconds), burst: one }
        };
        let rates = [rate(Per::Principal, 60), rate(Per::Tenant, 3600), rate(Per::ApiKey, 10)];
        let admission = Admission::new(&rates, &Limits::default());
        let quota = admission.identify(&principal("a", "ann"), None, &tenant("acme")).expect("let in");
        let (_, told) = quota.expect("rates").fields();
        assert!(["\"tenant\";r=0;t=3600", "\"tenant\";r=0;t=3599"].contains(&&*told), "{told}");
    }

    #[test]
    fn a_reload_gives_nobody_a_fresh_start() {
        let client = IpAddr::from([192, 0, 2, 1]);
        let before = admission(&[(Per::Address, 1)]);
        assert!(before.arrive(client).is_ok());
        let mut same = admission(&[(Per::Tenant, 5), (Per::Address, 1)]);
        same.inherit(&before);
        assert!(same.arrive(client).is_err());
        let mut other = admission(&[(Per::Address, 2)]);
        other.inherit(&before);
        assert!(other.arrive(client).is_ok(), "another rate counts anew");
    }

    #[tokio::test]
    async fn turns_in_use_stay_in_use_over_a_reload() {
        let limits = Limits { concurrent: 1, concurrent_per_tenant: 1, in_flight: 1, ..Limits::default() };
        let before = Admission::new(&[], &limits);
        let held = before.turn(&tenant("acme")).await;
        let mut after = Admission::new(&[], &limits);
        after.inherit(&before);
        assert!(after.turn(&tenant("globex")).await.is_none());
        drop(held);
        assert!(after.turn(&tenant("globex")).await.is_some());
    }
}
