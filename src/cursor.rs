//! Where walks through lists stopped, so that the next page begins there and not at the first record.
//!
//! A list whose rows the upstream can't be trusted to choose is read page by page until the client's own page is full (see
//! `enforcement::walk`). How far it was read is a matter of hidden rows, and must not reach a client: it is told sealed
//! (`seal`), in a text of one length whatever it says, or kept here (`memory`) for clients that count pages.
//!
//! Both are good for one caller, tenant, list, query, set of policies and API description alone: the [`Binding`]. What a
//! [`Place`] means depends on visible rows only: it is behind the last record that the client was shown, wherever that is
//! by now. On which page it was is a hint, which saves the time to look for it.

mod memory;
mod seal;
#[cfg(test)]
mod tests;

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256, digest};
use jiff::Timestamp;

use crate::config;
use crate::model::RecordKeys;
use memory::Memory;
use seal::Seal;

/// A place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The upstream's page, from 0, that the anchor was on; without one, the first that was not read.
    pub page: u64,
    /// Visible records before it, as its client counts them.
    pub position: u64,
    /// Further ones that are before the client's next page.
    pub skip: u64,
    pub anchor: Option<Anchor>,
}

/// The record that a place is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Of its key.
    hash: [u8; ANCHOR_LEN],
    /// Whether it is looked for among all records, not only among those that its client sees. One that its client saw is not
    /// there for it any more once it is hidden.
    looked_at: bool,
}

const ANCHOR_LEN: usize = 16;

impl Anchor {
    /// Of records that are shown. `None`: no such record was noted.
    pub fn nth(keys: &RecordKeys, index: u64) -> Option<Self> {
        let key = keys.iter().nth(usize::try_from(index).ok()?)?;
        Some(Self { hash: Self::hash(key), looked_at: false })
    }

    /// The last of records that were looked at.
    pub fn last(keys: &RecordKeys) -> Option<Self> {
        keys.iter().last().map(|key| Self { hash: Self::hash(key), looked_at: true })
    }

    pub fn looked_at(&self) -> bool {
        self.looked_at
    }

    fn hash(key: &str) -> [u8; ANCHOR_LEN] {
        let hash = digest(&SHA256, key.as_bytes());
        hash.as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// Which of these records it is, from 0.
    pub fn among(&self, keys: &RecordKeys) -> Option<u64> {
        keys.iter().position(|key| Self::hash(key) == self.hash).map(|index| index as u64)
    }
}

/// What a place is good for: a hash of all that it must not be taken away from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// The caller alone.
    caller: [u8; 32],
    whole: [u8; 32],
}

impl Binding {
    /// Parts are counted by their lengths, so that no two lists of parts read the same.
    pub fn of<'p>(caller: [u8; 32], parts: impl IntoIterator<Item = &'p [u8]>) -> Self {
        let mut hash = Context::new(&SHA256);
        let mut update = |part: &[u8]| {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        update(b"scrim walk v1");
        update(&caller);
        parts.into_iter().for_each(update);
        let whole = hash.finish().as_ref().first_chunk().copied().unwrap_or_default();
        Self { caller, whole }
    }
}

/// All that is known of places: the key that seals them, and those that are kept.
pub struct Cursors {
    seal: Seal,
    /// `None`: nothing is kept.
    memory: Option<Memory>,
    /// What is told and what is kept, in seconds.
    lasts: i64,
    kept: i64,
}

impl Cursors {
    /// Without a key of the operator's, with one of its own.
    pub fn new(config: &config::Paging) -> Self {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let (lasts, kept) = (seconds(config.cursor_time), seconds(config.remember_time));
        let memory = (config.remembered > 0).then(|| Memory::new(config.remembered, config.remember_time));
        Self { seal: Seal::new(config.cursor_key.as_ref()), memory, lasts, kept }
    }

    /// What was told before a reload can still be opened, unless the operator has changed the key, and what is kept is kept on,
    /// unless as much is to be kept no more. It is bound to the policies and descriptions by which it was found.
    pub fn inherit(&mut self, old: &Self) {
        self.seal.inherit(&old.seal);
        if let (Some(memory), Some(before)) = (&mut self.memory, &old.memory) {
            memory.inherit(before);
        }
    }

    /// A place as its client is told it. `None`: it can't be told.
    pub fn sealed(&self, place: &Place, binding: &Binding, now: Timestamp) -> Option<String> {
        self.seal.close(place, now.as_second().saturating_add(self.lasts), &binding.whole)
    }

    /// What a client was told. `None`: it is over, it was told to another caller or of another list, or it was never told.
    pub fn opened(&self, text: &str, binding: &Binding, now: Timestamp) -> Option<Place> {
        let (place, until) = self.seal.open(text, &binding.whole)?;
        (now.as_second() < until).then_some(place)
    }

    pub fn remembers(&self) -> bool {
        self.memory.is_some()
    }

    /// The last known place that is not behind a position.
    pub fn recalled(&self, binding: &Binding, position: u64, now: Timestamp) -> Option<Place> {
        self.memory.as_ref()?.find(binding, position, now.as_second())
    }

    pub fn remember(&self, place: Place, binding: &Binding, now: Timestamp) {
        if let Some(memory) = &self.memory {
            memory.keep(place, binding, now.as_second(), now.as_second().saturating_add(self.kept));
        }
    }
}
