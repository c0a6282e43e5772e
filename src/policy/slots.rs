//! The fields of one record that rules read, found once and shared by all rules.
//!
//! A [`Layout`] is a trie of all paths that any rule of a table reads, with the key, the owner and the tenant columns.
//! The scanner of `redact` walks a record's members along it and fills [`Slots`] with raw JSON values; evaluation then
//! needs no further look at the record. Keys are compared unescaped.

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
}

#[derive(Clone, Debug, Default)]
struct Node {
    members: Vec<(Name, NodeId)>,
    slot: Option<SlotId>,
}

impl Default for Layout {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], slots: 0 }
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
                        node.members.push((member.clone(), next));
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

    /// The slot of a path that is read by some rule.
    pub fn find(&self, path: &[Name]) -> Option<SlotId> {
        let end = path.iter().try_fold(NodeId::ROOT, |at, member| self.member(at, member.as_bytes()))?;
        self.slot(end)
    }

    /// The node of a member, by its unescaped name.
    pub fn member(&self, of: NodeId, name: &[u8]) -> Option<NodeId> {
        let node = self.nodes.get(usize::from(of.0))?;
        node.members.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, id)| *id)
    }

    pub fn slot(&self, of: NodeId) -> Option<SlotId> {
        self.nodes.get(usize::from(of.0))?.slot
    }

    pub fn has_members(&self, of: NodeId) -> bool {
        self.nodes.get(usize::from(of.0)).is_some_and(|node| !node.members.is_empty())
    }

    /// First member names of all paths: the fields that must be in a record for it to be judged.
    pub fn fields(&self) -> impl Iterator<Item = &Name> {
        self.nodes.first().into_iter().flat_map(|root| root.members.iter().map(|(name, _)| name))
    }

    pub fn len(&self) -> usize {
        usize::from(self.slots)
    }

    pub fn is_empty(&self) -> bool {
        self.slots == 0
    }
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
}

impl<'b> Slots<'b> {
    pub fn empty(layout: &Layout) -> Self {
        Self { values: vec![Slot::Missing; layout.len()] }
    }

    /// Fills a slot. `false` if it was filled before: the record says two things, and must be refused.
    #[must_use]
    pub fn fill(&mut self, slot: SlotId, raw: &'b [u8]) -> bool {
        match self.values.get_mut(usize::from(slot.0)) {
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
}
