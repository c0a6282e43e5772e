//! What the answers to one kind of question have taught, kept for the next one: it begins with what the last one knew.
//!
//! Small answers pay for what is made ready more than for what is scanned: views, the order of members, field plans turned
//! into actions, the keys of masks. None of it depends on values of a record. It is kept by the thread that has finished
//! an answer, so nothing is shared and nobody waits; and it is found only by the very same residuals, description, fields,
//! tenant and masking key. Answers that failed leave nothing behind. How much is kept is bounded, in number and in size;
//! what is of no more use, because its policies were replaced, goes as soon as others need its place.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use super::mask::Keys;
use super::plan::{Lens, Plan};
use super::record::Reader;
use super::view::View;
use super::write::Writer;
use crate::api::Catalog;
use crate::model::TenantScope;
use crate::secret::Secret;

/// For each thread.
pub(super) const MAX_KEPT: usize = 16;
/// Members and prepared members that one kit may know of.
const MAX_SIZE: usize = 8192;

thread_local! {
    static KEPT: RefCell<VecDeque<Kept>> = const { RefCell::new(VecDeque::new()) };
}

/// What it takes to read and write the records of an answer.
pub(super) struct Kit {
    /// `None`: is not kept.
    origin: Option<Origin>,
    pub(super) root: Arc<View>,
    pub(super) reader: Reader<'static>,
    pub(super) writer: Writer,
}

/// All of a plan that a kit depends on. It holds the residuals, so that no other one can come to lie in their places.
struct Origin {
    catalog: Arc<Catalog>,
    root: Lens,
    tenant: TenantScope,
    masking_key: Option<Secret>,
}

struct Kept {
    kit: Kit,
    /// Was used since it was last looked at for being the oldest.
    used: bool,
}

impl Kit {
    pub(super) fn new(catalog: &Arc<Catalog>, root: View, keys: Keys) -> Self {
        let (reader, writer) = (Reader::new(&root), Writer::new(Arc::clone(catalog), keys, &root));
        Self { origin: None, reader, writer, root: Arc::new(root) }
    }

    /// One that was kept under an equal plan, or a new one.
    pub(super) fn of(plan: &Plan) -> Self {
        let kept = KEPT.try_with(|kept| {
            let mut kept = kept.try_borrow_mut().ok()?;
            let is = |kept: &Kept| kept.kit.origin.as_ref().is_some_and(|origin| origin.is_of(plan));
            let place = kept.iter().position(is)?;
            kept.remove(place)
        });
        if let Some(kept) = kept.ok().flatten() {
            return kept.kit;
        }
        let keys = Keys::new(Arc::clone(&plan.catalog), plan.tenant.clone(), plan.masking_key.clone());
        let kit = Self::new(&plan.catalog, View::new(&plan.catalog, &plan.root), keys);
        Self { origin: Some(Origin::new(plan)), ..kit }
    }

    /// Keeps it for an answer that is to come, unless it has come to know too much to be of use.
    pub(super) fn keep(mut self) {
        if self.origin.is_none() || !self.reader.is_worth_keeping() {
            return;
        }
        if self.reader.size() + self.writer.size() > MAX_SIZE {
            return;
        }
        self.reader.shrink();
        self.writer.shrink();
        // Dropped behind the borrow.
        let _replaced = KEPT.try_with(|kept| {
            let mut kept = kept.try_borrow_mut().ok()?;
            let replaced = if kept.len() < MAX_KEPT { None } else { oldest(&mut kept) };
            kept.push_back(Kept { kit: self, used: true });
            replaced
        });
    }
}

/// Takes out the one that is oldest and was not used for as long as it took to look at all others.
fn oldest(kept: &mut VecDeque<Kept>) -> Option<Kept> {
    for _ in 0..kept.len() {
        match kept.pop_front() {
            Some(Kept { kit, used: true }) => kept.push_back(Kept { kit, used: false }),
            unused => return unused,
        }
    }
    kept.pop_front()
}

impl Origin {
    fn new(plan: &Plan) -> Self {
        Self {
            catalog: Arc::clone(&plan.catalog),
            root: plan.root.clone(),
            tenant: plan.tenant.clone(),
            masking_key: plan.masking_key.clone(),
        }
    }

    fn is_of(&self, plan: &Plan) -> bool {
        sees_as(&self.root, &plan.root)
            && Arc::ptr_eq(&self.catalog, &plan.catalog)
            && self.tenant == plan.tenant
            && self.masking_key == plan.masking_key
    }
}

/// Whether two lenses are one. Recursion is bounded by the relations that a description declares and a client asks for.
fn sees_as(one: &Lens, other: &Lens) -> bool {
    Arc::ptr_eq(&one.residual, &other.residual)
        && one.fields == other.fields
        && one.relations.len() == other.relations.len()
        && one
            .relations
            .iter()
            .zip(&other.relations)
            .all(|((field, one), (of, other))| field == of && (Arc::ptr_eq(one, other) || sees_as(one, other)))
}

/// How many kits this thread keeps.
#[cfg(test)]
pub(super) fn kept() -> usize {
    KEPT.with_borrow(VecDeque::len)
}
