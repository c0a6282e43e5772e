//! The envelope around the records: what of it is walked through, what passes, and that all else goes.
//!
//! An envelope is a small tree of the member names that the API description knows. A member of it that occurs twice, or
//! that leads to the records and isn't there or isn't of the right shape, fails the answer.

use super::plan::Frame;
use super::{Unreadable, kind};
use crate::api::Place;
use crate::model::Name;

#[derive(Clone, Debug, Default)]
pub(super) struct Envelope {
    pub(super) role: Role,
    /// Whether the records lie here or below.
    pub(super) leads: bool,
    members: Vec<(Name, Envelope)>,
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
    Scalar,
    /// Passes if it is a number, also one in a string.
    Number,
    /// Never passes; named so that it can't occur twice.
    Nothing,
}

impl Envelope {
    pub(super) fn new(frame: &Frame) -> Self {
        let mut root = Self::default();
        match frame {
            Frame::List { records, total, keep, exact } => {
                for place in keep {
                    root.insert(place, Role::Scalar);
                }
                if let Some(place) = total {
                    root.insert(place, if *exact { Role::Number } else { Role::Nothing });
                }
                root.insert(records, Role::List);
            }
            Frame::Record(place) => root.insert(place, Role::Record),
            Frame::Lines => root.role = Role::Lines,
        }
        root
    }

    fn insert(&mut self, place: &Place, role: Role) {
        let leads = matches!(role, Role::List | Role::Record);
        let mut at = self;
        at.leads |= leads;
        for name in &place.0 {
            let number = at.members.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                at.members.push((Name::clone(name), Self::default()));
                at.members.len() - 1
            });
            let Some((_, next)) = at.members.get_mut(number) else { return };
            at = next;
            at.leads |= leads;
        }
        at.role = role;
    }

    /// The same without its total; `None` if it passes none.
    pub(super) fn without_total(&self) -> Option<Self> {
        let mut without = self.clone();
        without.drop_total().then_some(without)
    }

    fn drop_total(&mut self) -> bool {
        let own = self.role == Role::Number;
        if own {
            self.role = Role::Nothing;
        }
        self.members.iter_mut().fold(own, |dropped, (_, member)| member.drop_total() || dropped)
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// The number of a member and what it is, by its unescaped name.
    pub(super) fn find(&self, name: &[u8]) -> Option<(usize, &Envelope)> {
        let found = |(_, (known, _)): &(usize, &(Name, Envelope))| known.as_bytes() == name;
        self.members.iter().enumerate().find(found).map(|(number, (_, member))| (number, member))
    }

    /// After an object was walked: whether it had the member that leads to the records.
    pub(super) fn is_complete(&self, seen: &[bool]) -> Result<(), Unreadable> {
        let missing = self.members.iter().zip(seen).any(|((_, member), seen)| member.leads && !seen);
        if missing { Err(Unreadable::Shape) } else { Ok(()) }
    }

    /// Whether a member with this raw value passes as it is.
    pub(super) fn passes(&self, raw: &[u8]) -> bool {
        match self.role {
            Role::Scalar => !matches!(raw.first(), Some(b'{' | b'[')),
            Role::Number => kind::decimal(raw).is_some(),
            Role::Inner | Role::List | Role::Record | Role::Lines | Role::Nothing => false,
        }
    }

    /// Whether it is worth walking into an object here.
    pub(super) fn opens(&self) -> bool {
        !self.members.is_empty()
    }
}
