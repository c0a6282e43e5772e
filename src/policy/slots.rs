//! The fields of one record that rules read, found once and shared by all rules.
//!
//! A [`Layout`] is a trie of all paths that any rule of a table reads, with the key, the owner and the tenant columns.
//! The scanner of `redact` walks a record's members along it and fills [`Slots`] with raw JSON values; evaluation then
//! needs no further look at the record. Keys are compared unescaped.

use std::sync::Arc;

use crate::model::Name;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(u16);

impl NodeId {
    /// The record itself.
    pub const ROOT: NodeId = NodeId(0);
}

#[derive(Clone, Debug)]
pub struct Layout {
    nodes: Vec<Node>,
    slots: u16,
    /// By slot, as far as any is: whether an empty text means null there.
    empty: Arc<[bool]>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    members: Members,
    slot: Option<SlotId>,
}

impl Default for Layout {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], slots: 0, empty: Arc::default() }
    }
}

impl Layout {
    /// The slot of a path of member names; made if it is new.
    pub fn insert(&mut self, path: &[Name]) -> SlotId {
        let mut at = NodeId::ROOT;
        for member in path {
            at = match self.member(at, member.as_bytes()) {
                Some(next) => next,
                None => {
                    let next = NodeId(u16::try_from(self.nodes.len()).expect("a policy file is bounded"));
                    self.nodes.push(Node::default());
                    if let Some(node) = self.nodes.get_mut(usize::from(at.0)) {
                        node.members.add(member, next);
                    }
                    next
                }
            };
        }
        let fresh = SlotId(self.slots);
        let Some(node) = self.nodes.get_mut(usize::from(at.0)) else { return fresh };
        if let Some(slot) = node.slot {
            return slot;
        }
        node.slot = Some(fresh);
        self.slots += 1;
        fresh
    }

    /// From now on an empty text in this slot is null.
    pub fn empty_is_null(&mut self, slot: SlotId) {
        let mut empty = self.empty.to_vec();
        let at = usize::from(slot.0);
        empty.resize(empty.len().max(at + 1), false);
        if let Some(empty) = empty.get_mut(at) {
            *empty = true;
        }
        self.empty = empty.into();
    }

    /// The slot of a path that is read by some rule.
    pub fn find(&self, path: &[Name]) -> Option<SlotId> {
        let end = path.iter().try_fold(NodeId::ROOT, |at, member| self.member(at, member.as_bytes()))?;
        self.slot(end)
    }

    /// The node of a member, by its unescaped name.
    pub fn member(&self, of: NodeId, name: &[u8]) -> Option<NodeId> {
        self.nodes.get(usize::from(of.0))?.members.find(name)
    }

    pub fn slot(&self, of: NodeId) -> Option<SlotId> {
        self.nodes.get(usize::from(of.0))?.slot
    }

    pub fn has_members(&self, of: NodeId) -> bool {
        self.nodes.get(usize::from(of.0)).is_some_and(|node| !node.members.all.is_empty())
    }

    /// The members of a node, in the order of their making.
    pub fn members(&self, of: NodeId) -> impl Iterator<Item = (&Name, NodeId)> {
        let node = self.nodes.get(usize::from(of.0));
        node.into_iter().flat_map(|node| node.members.all.iter().map(|(name, next)| (name, *next)))
    }

    /// First member names of all paths: the fields that must be in a record for it to be judged.
    pub fn fields(&self) -> impl Iterator<Item = &Name> {
        self.members(NodeId::ROOT).map(|(name, _)| name)
    }

    pub fn len(&self) -> usize {
        usize::from(self.slots)
    }

    pub fn is_empty(&self) -> bool {
        self.slots == 0
    }
}

/// The members of one node, in the order of their making, found by their bytes.
#[derive(Clone, Debug, Default)]
struct Members {
    all: Vec<(Name, NodeId)>,
    /// Places in `all`, counted from 1, at the hash of their names or after; 0 is free. Half empty, and a power of two
    /// long; empty itself where there are few members, which are compared one by one.
    places: Vec<u16>,
}

impl Members {
    /// More are hashed.
    const FEW: usize = 8;

    fn add(&mut self, name: &Name, node: NodeId) {
        self.all.push((name.clone(), node));
        let room = self.all.len() * 2;
        if self.all.len() <= Self::FEW {
            return;
        }
        let mut first_new = self.all.len() - 1;
        if self.places.len() < room {
            self.places = vec![0; room.next_power_of_two()];
            first_new = 0;
        }
        let mask = self.places.len() - 1;
        for (at, (name, _)) in self.all.iter().enumerate().skip(first_new) {
            let start = spread(name.as_bytes());
            let free =
                (0..=mask).map(|step| start.wrapping_add(step) & mask).find(|at| self.places.get(*at) == Some(&0));
            if let Some(place) = free.and_then(|free| self.places.get_mut(free)) {
                *place = u16::try_from(at + 1).expect("nodes are counted in as many bits");
            }
        }
    }

    fn find(&self, name: &[u8]) -> Option<NodeId> {
        let is = |(known, node): &(Name, NodeId)| (known.as_bytes() == name).then_some(*node);
        if self.places.is_empty() {
            return self.all.iter().find_map(is);
        }
        let mut at = spread(name);
        // Invariant: half of the places are free, so that the search ends.
        loop {
            let place = *self.places.get(at & (self.places.len() - 1))?;
            let member = self.all.get(usize::from(place).checked_sub(1)?)?;
            if let Some(node) = is(member) {
                return Some(node);
            }
            at = at.wrapping_add(1);
        }
    }
}

/// A hash of a name from its length and four of its bytes. What is in the table is the operator's, so a caller can't make
/// a search longer than the operator's names make it.
fn spread(name: &[u8]) -> usize {
    let byte = |at: usize| u32::from(name.get(at).copied().unwrap_or_default());
    let last = name.len().wrapping_sub(1);
    let word = byte(0) | byte(last) << 8 | byte(last.wrapping_sub(1)) << 16 | byte(name.len() / 2) << 24;
    let mixed = (word ^ (name.len() as u32).rotate_left(5)).wrapping_mul(0x9E37_79B1);
    (mixed >> 15) as usize
}

/// What a record holds at one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot<'b> {
    /// Nothing there, or the path leads through something that is no object.
    Missing,
    /// A valid JSON value as it stands in the record, without surrounding white space.
    Raw(&'b [u8]),
}

/// One record's slots. The scanner refuses a record in which a path occurs twice, so there is no such state here.
#[derive(Clone, Debug, Default)]
pub struct Slots<'b> {
    values: Vec<Slot<'b>>,
    empty: Arc<[bool]>,
}

impl<'b> Slots<'b> {
    pub fn empty(layout: &Layout) -> Self {
        Self { values: vec![Slot::Missing; layout.len()], empty: Arc::clone(&layout.empty) }
    }

    /// Empties all slots for the next record of the same body.
    pub fn clear(&mut self) {
        self.values.fill(Slot::Missing);
    }

    /// Empty slots for the records of another body, in the memory of these.
    pub fn recycle<'c>(self) -> Slots<'c> {
        Slots { values: self.values.into_iter().map(|_| Slot::Missing).collect(), empty: self.empty }
    }

    /// Fills a slot. `false` if it was filled before: the record says two things, and must be refused.
    #[must_use]
    pub fn fill(&mut self, slot: SlotId, raw: &'b [u8]) -> bool {
        let at = usize::from(slot.0);
        let is_null = raw == b"\"\"" && self.empty.get(at).is_some_and(|empty| *empty);
        let raw = if is_null { b"null" } else { raw };
        match self.values.get_mut(at) {
            Some(value @ Slot::Missing) => {
                *value = Slot::Raw(raw);
                true
            }
            _ => false,
        }
    }

    pub fn get(&self, slot: SlotId) -> Slot<'b> {
        self.values.get(usize::from(slot.0)).copied().unwrap_or(Slot::Missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_share_their_beginnings_and_keep_their_slots() {
        let mut layout = Layout::default();
        let path = |text: &str| text.split('.').map(Name::from).collect::<Vec<_>>();
        let owner = layout.insert(&path("owner_id"));
        let region = layout.insert(&path("account.region"));
        let account = layout.insert(&path("account"));
        assert_eq!(layout.insert(&path("account.region")), region);
        assert_eq!(layout.len(), 3);
        assert_eq!(layout.find(&path("account")), Some(account));
        assert_eq!(layout.find(&path("account.name")), None);
        assert_eq!(layout.fields().map(|f| &**f).collect::<Vec<_>>(), ["owner_id", "account"]);
        let mut slots = Slots::empty(&layout);
        assert!(slots.fill(owner, b"1"));
        assert!(!slots.fill(owner, b"2"), "a repeated field must be noticed");
        assert_eq!(slots.get(owner), Slot::Raw(b"1"));
        assert_eq!(slots.get(region), Slot::Missing);
    }

    #[test]
    fn members_are_found_however_many_and_however_alike_they_are() {
        for count in [0, 1, 7, 8, 9, 16, 17, 300] {
            let mut layout = Layout::default();
            // All of one length, and alike at both ends and in the middle.
            let names: Vec<Name> = (0..count).map(|n| format!("a{n:04}mmmmmmmz").into()).collect();
            let slots: Vec<SlotId> = names.iter().map(|name| layout.insert(std::slice::from_ref(name))).collect();
            assert!(layout.fields().eq(&names), "{count}: in the order of their making");
            for (name, slot) in names.iter().zip(&slots) {
                let node = layout.member(NodeId::ROOT, name.as_bytes()).expect("a member");
                assert_eq!(layout.slot(node), Some(*slot), "{name}");
                assert_eq!(layout.member(node, name.as_bytes()), None, "{name} has no members");
            }
            for other in ["", "a", "a9999mmmmmmmz", "A0000mmmmmmmz", "a0000mmmmmmmz ", "a\u{e9}"] {
                assert_eq!(layout.member(NodeId::ROOT, other.as_bytes()), None, "{count}: {other}");
            }
        }
    }

    #[test]
    fn an_empty_text_is_null_where_the_layout_says_so() {
        let mut layout = Layout::default();
        let [a, b] = ["a", "b"].map(|name| layout.insert(&[name.into()]));
        layout.empty_is_null(b);
        let mut slots = Slots::empty(&layout);
        assert!(slots.fill(a, b"\"\"") && slots.fill(b, b"\"\""));
        assert_eq!((slots.get(a), slots.get(b)), (Slot::Raw(b"\"\""), Slot::Raw(b"null")));
        let mut slots = slots.recycle();
        assert!(slots.fill(b, b"\"\""));
        assert_eq!(slots.get(b), Slot::Raw(b"null"));
        slots.clear();
        assert!(slots.fill(b, b"\" \""));
        assert_eq!(slots.get(b), Slot::Raw(b"\" \""));
    }

    #[test]
    fn slots_are_used_again_without_a_trace_of_the_record_before() {
        let mut layout = Layout::default();
        let slot = layout.insert(&["name".into()]);
        let mut slots = Slots::empty(&layout);
        assert!(slots.fill(slot, b"1"));
        slots.clear();
        assert_eq!(slots.get(slot), Slot::Missing);
        assert!(slots.fill(slot, b"2"));
        let other = String::from("3");
        let mut slots = slots.recycle();
        assert_eq!(slots.get(slot), Slot::Missing);
        assert!(slots.fill(slot, other.as_bytes()));
    }
}
