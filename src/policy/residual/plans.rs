//! The field plans of one residual: made when a record first needs one, and found again by the grants that match.
//!
//! Records of many threads look here at the same time, so nothing is locked: a plan, once made, stays in its place.

use std::sync::{Arc, OnceLock};

use crate::policy::decision::FieldPlan;

/// Matching grants, a bit for each grant of the residual.
pub(super) type Grants = u128;

/// Plans kept by one residual; those that find no place are made anew for each record.
const MAX_PLANS: usize = 64;
/// Places that one set of grants may have.
const TRIES: usize = 4;

/// A power of two of places: with few grants one for each set of them, otherwise shared by what hashes alike.
#[derive(Debug)]
pub(super) struct Plans(Box<[Place]>);

type Place = OnceLock<(Grants, Arc<FieldPlan>)>;

impl Plans {
    /// For so many grants.
    pub(super) fn new(grants: usize) -> Self {
        let sets = u32::try_from(grants).ok().and_then(|grants| 1_usize.checked_shl(grants)).unwrap_or(MAX_PLANS);
        Self((0..sets.clamp(1, MAX_PLANS)).map(|_| OnceLock::new()).collect())
    }

    /// The plan for these grants, which `make` makes.
    pub(super) fn find(&self, grants: Grants, make: impl Fn() -> FieldPlan) -> Arc<FieldPlan> {
        let start = if grants < self.0.len() as Grants { grants as usize } else { spread(grants) };
        for step in 0..TRIES {
            let Some(place) = self.0.get((start + step) & (self.0.len() - 1)) else { break };
            let (of, plan) = place.get_or_init(|| (grants, Arc::new(make())));
            if *of == grants {
                return Arc::clone(plan);
            }
        }
        Arc::new(make())
    }
}

fn spread(grants: Grants) -> usize {
    let folded = (grants ^ (grants >> 64)) as u64;
    (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(grants: Grants) -> FieldPlan {
        FieldPlan { fields: Vec::new(), grants: vec![grants.to_string().into()] }
    }

    #[test]
    fn every_set_of_grants_has_its_own_plan_however_many_there_are() {
        for count in [0, 1, 2, 6, 7, 128] {
            let plans = Plans::new(count);
            let sets = (0..300_u128).map(|n| if count < 64 { n % (1 << count) } else { n << (n % 100) });
            for grants in sets.clone().chain(sets) {
                assert_eq!(*plans.find(grants, || plan(grants)), plan(grants), "{count} grants");
            }
        }
    }

    #[test]
    fn a_plan_is_made_once_even_by_threads_at_the_same_time() {
        let plans = Plans::new(3);
        let made = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for grants in 1..8 {
                        let found = plans.find(grants, || {
                            made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            plan(grants)
                        });
                        assert_eq!(*found, plan(grants));
                    }
                });
            }
        });
        assert_eq!(made.into_inner(), 7);
    }
}
