//! How conditions stand together: alternatives that can't hold, conditions that say nothing beside others, and operators
//! that bind otherwise than they read.

use super::atom::{Atom, Test};
use super::part::{Part, Shape};
use super::{Lints, Of};

impl<'a> Lints<'a> {
    /// Looks at all of a condition. `known`: what holds wherever this part counts.
    pub(super) fn condition(&mut self, part: Part<'a>, of: Of<'a>, negated: bool, known: &[Atom<'a>]) {
        match part.shape() {
            Shape::Not(inner) => self.condition(inner, of, !negated, &[]),
            Shape::Choice(parts) => parts.into_iter().for_each(|part| self.condition(part, of, negated, &[])),
            Shape::And(members) => {
                let atoms = self.members(&members, of, negated);
                self.both(&atoms, known);
                for (index, member) in members.iter().enumerate() {
                    if atoms.iter().any(|(at, _)| *at == index) || is_leaf(*member) {
                        continue;
                    }
                    let around = atoms.iter().map(|(_, atom)| atom.clone());
                    let known: Vec<Atom<'a>> = known.iter().cloned().chain(around).collect();
                    self.condition(*member, of, negated, &known);
                }
            }
            Shape::Or(members) => {
                self.precedence(part, &members);
                let atoms = self.members(&members, of, negated);
                self.either(&atoms, known);
                for (index, member) in members.iter().enumerate() {
                    if !atoms.iter().any(|(at, _)| *at == index) && !is_leaf(*member) {
                        self.condition(*member, of, negated, known);
                    }
                }
            }
            Shape::Leaf => {
                self.leaf(part, of, negated);
            }
        }
    }

    /// Looks at the members that are tests of one value; those of which nothing is wrong come back.
    fn members(&mut self, members: &[Part<'a>], of: Of<'a>, negated: bool) -> Vec<(usize, Atom<'a>)> {
        let mut atoms = Vec::new();
        for (index, member) in members.iter().enumerate() {
            let (leaf, negated) = match member.shape() {
                Shape::Leaf => (*member, negated),
                Shape::Not(inner) if is_leaf(inner) => (inner, !negated),
                _ => continue,
            };
            if !self.leaf(leaf, of, negated) {
                atoms.extend(Atom::of(*member).map(|atom| (index, atom)));
            }
        }
        atoms
    }

    /// What must hold together: that it can, and that each says something.
    fn both(&mut self, atoms: &[(usize, Atom<'a>)], known: &[Atom<'a>]) {
        let mut seen: Vec<&Atom<'a>> = known.iter().collect();
        for (_, atom) in atoms {
            if let Some(other) = seen.iter().find(|other| other.contradicts(atom)) {
                let message = format!("`{}` can't hold where `{}` does", atom.part.shown(), other.part.shown());
                self.error("never-true", atom.part, message, alternatives(other, atom));
            } else if let Some(other) = seen.iter().find(|other| comparable(other, atom) && other.implies(atom)) {
                self.idle(atom, other);
            } else if let Some(other) = seen.iter().find(|other| comparable(other, atom) && atom.implies(other)) {
                self.idle(other, atom);
            } else {
                seen.push(atom);
            }
        }
    }

    /// Alternatives: that not everything passes, and that each adds something.
    fn either(&mut self, atoms: &[(usize, Atom<'a>)], known: &[Atom<'a>]) {
        let mut seen: Vec<&Atom<'a>> = Vec::new();
        for (_, atom) in atoms {
            if let Some(other) = known.iter().find(|other| other.contradicts(atom)) {
                let message = format!("`{}` can't hold where `{}` does", atom.part.shown(), other.part.shown());
                self.error("never-true", atom.part, message, None);
            } else if let Some(other) = seen.iter().find(|other| other.covers_with(atom) || atom.covers_with(other)) {
                let message = format!("`{}` or `{}` holds for every value", other.part.shown(), atom.part.shown());
                let help = match (&other.test, &atom.test) {
                    (Test::NotEqual(_) | Test::NoneOf(_), Test::NotEqual(_) | Test::NoneOf(_)) => {
                        Some("`&&` joins what must both hold; or write `!(x in [a, b])`")
                    }
                    _ => None,
                };
                self.error("always-true", atom.part, message, help);
            } else if let Some(other) = seen.iter().find(|other| comparable(other, atom) && atom.implies(other)) {
                self.idle(atom, other);
            } else if let Some(other) = seen.iter().find(|other| comparable(other, atom) && other.implies(atom)) {
                self.idle(other, atom);
            } else {
                seen.push(atom);
            }
        }
    }

    fn idle(&mut self, idle: &Atom<'a>, other: &Atom<'a>) {
        let message = match idle.part.shown() == other.part.shown() {
            true => format!("`{}` stands here twice", idle.part.shown()),
            false => format!("`{}` says nothing beside `{}`", idle.part.shown(), other.part.shown()),
        };
        let help = "leave it out, or write what was meant in its place";
        self.warning("redundant-condition", idle.part, message, Some(help));
    }

    /// `a || b && c` without parentheses: many read it from the left.
    fn precedence(&mut self, part: Part<'a>, members: &[Part<'a>]) {
        let mixed = members.iter().find(|member| {
            matches!(member.shape(), Shape::And(_)) && member.text.span == part.text.span && !member.is_parenthesised()
        });
        if let Some(mixed) = mixed {
            let help = "put parentheses around what belongs together";
            self.warning("mixed-operators", *mixed, "`&&` binds more tightly than the `||` beside it", Some(help));
        }
    }
}

fn is_leaf(part: Part<'_>) -> bool {
    matches!(part.shape(), Shape::Leaf)
}

/// `x != null && x > 3` is how a nullable value is compared, and not a repetition.
fn comparable(a: &Atom<'_>, b: &Atom<'_>) -> bool {
    !a.is_null_test() && !b.is_null_test()
}

/// Two values for one thing are alternatives.
fn alternatives(a: &Atom<'_>, b: &Atom<'_>) -> Option<&'static str> {
    match (&a.test, &b.test) {
        (Test::Equal(_) | Test::OneOf(_), Test::Equal(_) | Test::OneOf(_)) => {
            Some("`||` joins alternatives; or write `x in [a, b]`")
        }
        _ => None,
    }
}
