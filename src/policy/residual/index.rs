//! Which rules of a table concern whom and what, so that a decision looks at these alone.

use std::collections::HashMap;

use super::plans::Grants;
use crate::model::{Action, Name};
use crate::policy::compile::{Denial, Grant, Requirement};

/// Made once, when the policies are loaded.
#[derive(Debug, Default)]
pub(in crate::policy) struct Index {
    roles: HashMap<Name, Grants>,
    actions: HashMap<Action, Rules>,
}

/// Those of one action, by their places in the policy file.
#[derive(Debug, Default)]
struct Rules {
    grants: Grants,
    denials: Vec<usize>,
    requirements: Vec<usize>,
}

impl Index {
    pub(in crate::policy) fn new(grants: &[Grant], denials: &[Denial], requirements: &[Requirement]) -> Self {
        let mut index = Self::default();
        // More grants than there are bits are a mistake that is reported elsewhere.
        for (grant, bit) in grants.iter().zip(super::bits()) {
            grant.roles.iter().for_each(|role| *index.roles.entry(Name::clone(role)).or_default() |= bit);
            grant.actions.iter().for_each(|action| index.of(action).grants |= bit);
        }
        for (place, denial) in denials.iter().enumerate() {
            denial.actions.iter().for_each(|action| add(&mut index.of(action).denials, place));
        }
        for (place, requirement) in requirements.iter().enumerate() {
            requirement.actions.iter().for_each(|action| add(&mut index.of(action).requirements, place));
        }
        index
    }

    fn of(&mut self, action: &Action) -> &mut Rules {
        self.actions.entry(action.clone()).or_default()
    }

    /// The grants that name one of these roles.
    pub(super) fn held(&self, roles: &[Name]) -> Grants {
        roles.iter().filter_map(|role| self.roles.get(role)).fold(0, |held, grants| held | grants)
    }

    pub(super) fn grants(&self, action: &Action) -> Grants {
        self.actions.get(action).map_or(0, |rules| rules.grants)
    }

    pub(super) fn denials(&self, action: &Action) -> &[usize] {
        self.actions.get(action).map_or(&[], |rules| &rules.denials)
    }

    pub(super) fn requirements(&self, action: &Action) -> &[usize] {
        self.actions.get(action).map_or(&[], |rules| &rules.requirements)
    }
}

/// A rule may name an action twice.
fn add(places: &mut Vec<usize>, place: usize) {
    if places.last() != Some(&place) {
        places.push(place);
    }
}

/// The places of a set of grants, in the order of the policy file.
pub(super) fn places(mut grants: Grants) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = grants.trailing_zeros();
        grants &= grants.checked_sub(1)?;
        Some(place as usize)
    })
}
