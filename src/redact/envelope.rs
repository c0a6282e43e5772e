//! The envelope around the records: what of it is walked through, what passes, and that all else goes.
//!
//! An envelope is a small tree of the member names that the API description knows. A member of it that occurs twice, or
//! that leads to the records and isn't there or isn't of the right shape, fails the answer.

use super::plan::Frame;
use super::{Unreadable, kind, text};
use crate::api::Place;
use crate::model::Name;

#[derive(Clone, Debug)]
pub(super) struct Envelope {
    /// The first is the whole answer.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    role: Role,
    /// Whether the records lie here or below.
    leads: bool,
    members: Vec<(Name, usize)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// Only what is below it counts.
    #[default]
    Inner,
    List,
    Record,
    /// The whole answer is records, one a line.
    Lines,
    /// Passes if it is a scalar.
    Echo,
    /// The same, while no record was dropped.
    Scalar,
    /// Passes if it is a number, also one in a string, while no record was dropped.
    Number,
    /// Never passes; named so that it can't occur twice.
    Nothing,
}

impl Envelope {
    pub(super) const ROOT: usize = 0;

    pub(super) fn new(frame: &Frame) -> Self {
        let mut envelope = Self { nodes: vec![Node::default()] };
        match frame {
            Frame::List { records, totals, keep, echoes, exact } => {
                for place in echoes {
                    envelope.insert(place, Role::Echo);
                }
                for place in keep {
                    envelope.insert(place, if *exact { Role::Scalar } else { Role::Nothing });
                }
                for place in totals {
                    envelope.insert(place, if *exact { Role::Number } else { Role::Nothing });
                }
                envelope.insert(records, Role::List);
            }
            Frame::Record(place) => envelope.insert(place, Role::Record),
            Frame::Lines => envelope.insert(&Place::default(), Role::Lines),
        }
        envelope
    }

    fn insert(&mut self, place: &Place, role: Role) {
        let leads = matches!(role, Role::List | Role::Record);
        let mut at = Self::ROOT;
        self.lead(at, leads);
        for name in &place.0 {
            let known = self.find(at, name.as_bytes()).map(|(_, node)| node);
            let next = known.unwrap_or(self.nodes.len());
            if known.is_none() {
                self.nodes.push(Node::default());
                if let Some(node) = self.nodes.get_mut(at) {
                    node.members.push((Name::clone(name), next));
                }
            }
            at = next;
            self.lead(at, leads);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.role = role;
        }
    }

    fn lead(&mut self, node: usize, leads: bool) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.leads |= leads;
        }
    }

    /// Lets nothing pass that may speak of a record that was dropped.
    pub(super) fn drop_totals(&mut self) {
        for node in &mut self.nodes {
            if node.role.counts() {
                node.role = Role::Nothing;
            }
        }
    }

    /// Whether the answer is a list, a record or lines.
    pub(super) fn carries(&self) -> Role {
        let found = self.nodes.iter().map(|node| node.role);
        found.into_iter().find(|role| matches!(role, Role::List | Role::Record | Role::Lines)).unwrap_or_default()
    }

    pub(super) fn role(&self, node: usize) -> Role {
        self.nodes.get(node).map_or(Role::Nothing, |node| node.role)
    }

    pub(super) fn leads(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(|node| node.leads)
    }

    /// Whether it is worth walking into an object here.
    pub(super) fn opens(&self, node: usize) -> bool {
        self.len(node) > 0
    }

    pub(super) fn len(&self, node: usize) -> usize {
        self.nodes.get(node).map_or(0, |node| node.members.len())
    }

    /// The number of a member and its node, by its unescaped name.
    pub(super) fn find(&self, node: usize, name: &[u8]) -> Option<(usize, usize)> {
        let members = &self.nodes.get(node)?.members;
        let number = members.iter().position(|(known, _)| known.as_bytes() == name)?;
        members.get(number).map(|(_, member)| (number, *member))
    }

    /// After an object was walked: whether it had the member that leads to the records.
    pub(super) fn is_complete(&self, node: usize, seen: &[bool]) -> Result<(), Unreadable> {
        let members = self.nodes.get(node).map_or(&[][..], |node| &node.members);
        let missing = members.iter().zip(seen).any(|((_, member), seen)| self.leads(*member) && !seen);
        if missing { Err(Unreadable::Shape) } else { Ok(()) }
    }
}

/// Whether a value looks like a link. Those name the upstream, and hold what it was asked for: the tenant's columns and the
/// policy's own conditions.
fn is_link(raw: &[u8]) -> bool {
    text::string(raw).is_some_and(|text| text.contains("://") || text.contains(['?', '&']) && text.contains('='))
}

impl Role {
    /// Whether it passes only while no record was dropped.
    pub(super) fn counts(self) -> bool {
        matches!(self, Self::Scalar | Self::Number)
    }

    /// Whether a value passes as it is.
    pub(super) fn passes(self, raw: &[u8]) -> bool {
        match self {
            Self::Echo => !matches!(raw.first(), Some(b'{' | b'[')),
            Self::Scalar => !matches!(raw.first(), Some(b'{' | b'[')) && !is_link(raw),
            Self::Number => kind::decimal(raw).is_some(),
            Self::Inner | Self::List | Self::Record | Self::Lines | Self::Nothing => false,
        }
    }
}
