//! What a condition gives where a value is null or a member is missing: the record that its author did not think of.
//!
//! One value is made null, or one member absent, and all outcomes are followed that remain possible. `!=` holds for null
//! and so grants; an order of null is an error, and in a denial an error hides the record.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};
use std::ops::BitOr;
use std::sync::Arc;

use super::super::functions::equal;
use super::super::ir::{EachKind, Expr, Field, Operator, Subject};
use super::part::{Part, Shape};
use super::{Lints, Of};
use crate::api::{Shape as Column, Table};
use crate::model::Name;
use crate::model::value::Type;
use crate::policy::value::Value;

/// Which outcomes are possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct May {
    hold: bool,
    not: bool,
    fail: bool,
}

const HOLDS: May = May { hold: true, not: false, fail: false };
const NOT: May = May { hold: false, not: true, fail: false };
const FAILS: May = May { hold: false, not: false, fail: true };
/// A test of something else, which is taken to have a value.
const EITHER: May = May { hold: true, not: true, fail: false };

impl BitOr for May {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self { hold: self.hold || other.hold, not: self.not || other.not, fail: self.fail || other.fail }
    }
}

impl May {
    fn opposite(self) -> Self {
        Self { hold: self.not, not: self.hold, ..self }
    }

    /// CEL's conjunction: false from either side, even beside an error.
    fn and(self, other: Self) -> Self {
        let fail = self.fail && (other.hold || other.fail) || other.fail && (self.hold || self.fail);
        Self { hold: self.hold && other.hold, not: self.not || other.not, fail }
    }

    fn or(self, other: Self) -> Self {
        self.opposite().and(other.opposite()).opposite()
    }

    fn of(truth: bool) -> Self {
        if truth { HOLDS } else { NOT }
    }
}

/// A value that is null, or a member that is not there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Gap {
    after: bool,
    path: Vec<Name>,
    absent: bool,
}

impl Gap {
    fn is(&self, field: &Field) -> bool {
        self.after == (field.subject == Subject::After) && *field.path == *self.path.as_slice()
    }

    /// Whether a field is that value or lies below it.
    fn holds(&self, field: &Field) -> bool {
        self.after == (field.subject == Subject::After) && field.path.starts_with(&self.path)
    }

    fn is_in(&self, expr: &Expr) -> bool {
        expr.any(&mut |part| match part {
            Expr::Field(field) | Expr::HasField { field, .. } => self.holds(field),
            _ => false,
        })
    }

    /// What a condition may give.
    fn outcome(&self, expr: &Expr) -> May {
        match expr {
            Expr::Constant(Value::Bool(truth)) => May::of(*truth),
            Expr::Condition(of) => self.outcome(of),
            Expr::Not(of) => self.outcome(of).opposite(),
            Expr::And(a, b) => self.outcome(a).and(self.outcome(b)),
            Expr::Or(a, b) => self.outcome(a).or(self.outcome(b)),
            Expr::Choice(parts) => {
                let [condition, yes, no] = &**parts;
                let condition = self.outcome(condition);
                let branch = |taken: bool, branch: &Expr| taken.then(|| self.outcome(branch));
                let failed = condition.fail.then_some(FAILS);
                let all = [branch(condition.hold, yes), branch(condition.not, no), failed];
                all.into_iter().flatten().reduce(BitOr::bitor).unwrap_or(EITHER)
            }
            Expr::HasField { field, .. } if self.is(field) => May::of(!self.absent),
            // Optionals are how to speak of what may be missing; they are followed no further.
            expr if expr.any(&mut |part| matches!(part, Expr::Maybe(..) | Expr::Otherwise(_) | Expr::Then(_))) => {
                EITHER
            }
            Expr::Binary(operator, a, b) if !self.absent => self.comparison(*operator, a, b),
            // A range that is there is followed no further.
            Expr::Each(each) if each.kind != EachKind::Map && !self.is_in(&each.range) => EITHER,
            expr if self.is_in(expr) => FAILS,
            _ => EITHER,
        }
    }

    fn comparison(&self, operator: Operator, a: &Expr, b: &Expr) -> May {
        let is_null = |expr: &Expr| matches!(expr, Expr::Field(field) if self.is(field));
        let (left, right) = (is_null(a), is_null(b));
        let other = if left { b } else { a };
        if !left && !right || self.is_in(other) {
            return if self.is_in(a) || self.is_in(b) { FAILS } else { EITHER };
        }
        let same = match other {
            Expr::Constant(value) => Some(equal(value, &Value::Null)),
            // What is known of a caller is never null.
            Expr::Fact(_) => Some(false),
            _ => None,
        };
        match operator {
            Operator::Equal => same.map_or(EITHER, May::of),
            Operator::NotEqual => same.map_or(EITHER, |same| May::of(!same)),
            Operator::In if left => match other {
                Expr::Constant(Value::List(items)) => May::of(items.iter().any(Value::is_null)),
                Expr::Fact(_) => NOT,
                _ => EITHER,
            },
            _ => FAILS,
        }
    }
}

impl<'a> Lints<'a> {
    /// Looks for the null, and for the missing member, that changes what a whole condition means.
    pub(super) fn nulls(&mut self, part: Part<'a>, of: Of<'a>) {
        let mut gaps = BTreeSet::new();
        part.expr.any(&mut |expr| {
            if let Expr::Field(field) = expr {
                gaps.extend(gaps_of(field, self.table));
            }
            false
        });
        match of {
            Of::Denial(_) => self.denies(part, &gaps),
            Of::Grant(_) => gaps.iter().for_each(|gap| self.differs(part, gap)),
            Of::Requirement => {}
        }
    }

    /// A denial that fails denies, and so hides what nobody thought of.
    fn denies(&mut self, part: Part<'a>, gaps: &BTreeSet<Gap>) {
        let mut failing: Vec<(Part<'a>, Vec<&Gap>)> = Vec::new();
        for gap in gaps.iter().filter(|gap| gap.outcome(part.expr).fail) {
            let leaf = failing_leaf(part, gap);
            match failing.iter_mut().find(|(other, _)| other.span() == leaf.span()) {
                Some((_, gaps)) => gaps.push(gap),
                None => failing.push((leaf, vec![gap])),
            }
        }
        for (leaf, gaps) in failing {
            let states: Vec<_> = gaps.iter().map(|gap| format!("`{gap}` is {}", gap.state())).collect();
            let guards: Vec<_> = gaps.iter().map(|gap| gap.guard()).collect();
            let message = format!("fails where {}, and a denial that fails denies", states.join(" or "));
            let help = format!("if that is not meant, write `{} && …`", guards.join(" && "));
            self.warning("null-denies", leaf, message, Some(&help));
        }
    }

    fn differs(&mut self, part: Part<'a>, gap: &Gap) {
        if gap.absent || !gap.outcome(part.expr).hold || is_asked(part, gap) {
            return;
        }
        if let Some(leaf) = passing_leaf(part, gap, false) {
            let help = format!("if that is not meant, write `{} && …`", gap.guard());
            self.warning("null-differs", leaf, format!("holds where `{gap}` is null"), Some(&help));
        }
    }
}

/// What may be null or missing of a field, by how it is declared.
fn gaps_of(field: &Field, table: &Table) -> Vec<Gap> {
    let after = field.subject == Subject::After;
    let Some(root) = field.path.first().and_then(|name| table.field_named(name)) else { return Vec::new() };
    let declared = table.field(root);
    let mut gaps = Vec::new();
    let nullable = match &declared.shape {
        Column::Plain(_) => declared.nullable,
        Column::One { by, .. } => table.field(*by).nullable,
        Column::Many { .. } => false,
    };
    if nullable {
        gaps.extend(field.path.first().map(|root| Gap { after, path: vec![Arc::clone(root)], absent: false }));
    }
    if field.path.len() > 1 && matches!(&declared.shape, Column::Plain(_)) {
        gaps.push(Gap { after, path: field.path.to_vec(), absent: true });
        if field.of == Type::Json {
            gaps.push(Gap { after, path: field.path.to_vec(), absent: false });
        }
    }
    gaps
}

/// Whether a condition compares the value, or what it is a member of, with null: then its author thought of it.
fn is_asked(part: Part<'_>, gap: &Gap) -> bool {
    part.expr.any(&mut |expr| match expr {
        Expr::Binary(Operator::Equal | Operator::NotEqual, a, b) => {
            let is_gap = |expr: &Expr| match expr {
                Expr::Field(field) => {
                    gap.after == (field.subject == Subject::After) && gap.path.starts_with(&field.path)
                }
                _ => false,
            };
            let is_null = |expr: &Expr| matches!(expr, Expr::Constant(Value::Null));
            is_gap(a) && is_null(b) || is_null(a) && is_gap(b)
        }
        _ => false,
    })
}

/// The test, from the left, because of which the whole fails.
fn failing_leaf<'a>(part: Part<'a>, gap: &Gap) -> Part<'a> {
    let fails = |part: &Part<'a>| gap.outcome(part.expr).fail;
    let inner = match part.shape() {
        Shape::Not(inner) => Some(inner),
        Shape::And(members) | Shape::Or(members) => members.into_iter().find(fails),
        Shape::Choice(parts) => parts.into_iter().find(fails),
        Shape::Leaf => None,
    };
    inner.map_or(part, |inner| failing_leaf(inner, gap))
}

/// The first test that null itself passes; what else grants does not speak of this value. A negation counts as a test.
fn passing_leaf<'a>(part: Part<'a>, gap: &Gap, negated: bool) -> Option<Part<'a>> {
    let wanted = if negated { NOT } else { HOLDS };
    match part.shape() {
        Shape::Not(inner) if matches!(inner.shape(), Shape::Leaf) => passing_leaf(inner, gap, !negated).map(|_| part),
        Shape::Not(inner) => passing_leaf(inner, gap, !negated),
        Shape::And(members) | Shape::Or(members) => {
            members.into_iter().find_map(|member| passing_leaf(member, gap, negated))
        }
        Shape::Choice([_, yes, no]) => [yes, no].into_iter().find_map(|part| passing_leaf(part, gap, negated)),
        Shape::Leaf => (gap.is_in(part.expr) && gap.outcome(part.expr) == wanted).then_some(part),
    }
}

impl Gap {
    fn state(&self) -> &'static str {
        if self.absent { "missing" } else { "null" }
    }

    fn guard(&self) -> String {
        if self.absent { format!("has({self})") } else { format!("{self} != null") }
    }
}

impl Display for Gap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.after { "after" } else { "record" })?;
        self.path.iter().try_for_each(|name| write!(f, ".{name}"))
    }
}
