//! A sieve in the words of a language that knows `and` and `or`. What has no words, or no room, is left out where that makes
//! the whole wider.

use super::{Added, Condition};
use crate::model::filter::{Filter, Leaf, Sieve};

/// One test as a condition that means the same. `None`: it has no words.
pub(super) type Words<'w> = &'w dyn Fn(&Leaf) -> Option<Condition>;

/// As much of a sieve as there are words for in `room`, in bytes as `length` counts them.
pub(super) fn add(sieve: &Sieve, words: Words<'_>, room: usize, length: &dyn Fn(&Condition) -> usize) -> Added {
    let parts = match &sieve.filter {
        Filter::All => Vec::new(),
        Filter::And(parts) => parts.iter().collect(),
        other => vec![other],
    };
    let mut added = Added { condition: Condition::default(), exact: sieve.exact };
    let mut bytes = 0;
    for part in parts {
        let (said, is_exact) = say(part, words);
        let length = said.as_ref().map_or(0, length);
        if bytes + length > room {
            added.exact = false;
            continue;
        }
        bytes += length;
        added.exact &= is_exact;
        added.condition = added.condition.and(said.unwrap_or_default());
    }
    added
}

/// What lets through at least what a filter does, and whether it does no more. `None`: everything. Recursion is bounded by
/// the depth of a condition.
fn say(of: &Filter, words: Words<'_>) -> (Option<Condition>, bool) {
    match of {
        Filter::All => (None, true),
        Filter::None => (Some(Condition::Or(Vec::new())), true),
        Filter::And(parts) => {
            let (mut all, mut exact) = (Condition::default(), true);
            for part in parts {
                let (said, is_exact) = say(part, words);
                exact &= is_exact;
                all = all.and(said.unwrap_or_default());
            }
            (Some(all).filter(|all| !all.is_empty()), exact)
        }
        Filter::Or(parts) => {
            let (mut any, mut exact) = (Vec::new(), true);
            for part in parts {
                match say(part, words) {
                    (Some(said), is_exact) => {
                        any.push(said);
                        exact &= is_exact;
                    }
                    (None, is_exact) => return (None, is_exact),
                }
            }
            (Some(Condition::Or(any)), exact)
        }
        Filter::Leaf(of) => words(of).map_or((None, false), |said| (Some(said), true)),
    }
}
