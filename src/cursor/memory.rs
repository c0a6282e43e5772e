//! Places that are kept for clients that count pages: a few lists of each caller, and a few places of each list.
//!
//! Whoever asks for many lists pushes out their own places first, and only makes their own pages slower. There are no more
//! callers than the operator says, and a place is kept for a time of its own: who looks at one page again and again is not to
//! see it as of long ago.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

use super::{Binding, Place};

/// Of one caller; the one that was used last stays.
const LISTS: usize = 8;
/// Of one list; the newest stay.
const PLACES: usize = 8;

pub(super) struct Memory {
    shelves: Cache<[u8; 32], Arc<Mutex<Shelf>>>,
    callers: u64,
    idle: Duration,
}

/// A caller's lists, the one that was used last in front.
#[derive(Default)]
struct Shelf(VecDeque<List>);

struct List {
    of: [u8; 32],
    /// With their ends in seconds, the newest in front.
    places: VecDeque<(i64, Place)>,
}

impl Memory {
    pub(super) fn new(callers: u64, idle: Duration) -> Self {
        Self { shelves: Cache::builder().max_capacity(callers).time_to_idle(idle).build(), callers, idle }
    }

    /// Goes on with what another one of the same size keeps.
    pub(super) fn inherit(&mut self, before: &Self) {
        if (self.callers, self.idle) == (before.callers, before.idle) {
            self.shelves = before.shelves.clone();
        }
    }

    pub(super) fn find(&self, binding: &Binding, position: u64, now: i64) -> Option<Place> {
        let shelf = self.shelves.get(&binding.caller)?;
        let mut shelf = open(&shelf);
        let list = shelf.take(binding)?;
        let found = list.places.iter().filter(|(until, place)| *until > now && place.position <= position);
        let found = found.map(|(_, place)| *place).max_by_key(|place| place.position);
        shelf.0.push_front(list);
        found
    }

    pub(super) fn keep(&self, place: Place, binding: &Binding, now: i64, until: i64) {
        let shelf = self.shelves.get_with(binding.caller, Arc::default);
        let mut shelf = open(&shelf);
        let mut list = shelf.take(binding).unwrap_or_else(|| List { of: binding.whole, places: VecDeque::new() });
        list.places.retain(|(until, known)| *until > now && known.position != place.position);
        list.places.push_front((until, place));
        list.places.truncate(PLACES);
        shelf.0.push_front(list);
        shelf.0.truncate(LISTS);
    }
}

impl Shelf {
    fn take(&mut self, binding: &Binding) -> Option<List> {
        let at = self.0.iter().position(|list| list.of == binding.whole)?;
        self.0.remove(at)
    }
}

/// It holds no promise that a panic could break.
fn open(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}
