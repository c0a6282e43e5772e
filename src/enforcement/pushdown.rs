//! What may be asked of an upstream so that it answers with the records that a policy lets through: all of them, and as few
//! others as it has words for. Pure.
//!
//! A decision's [`Sieve`] means what the policy means. An upstream's own comparisons mean something close to it: letters of
//! either case may be one, decimals may go through floats, instants may lose their fractions. What a column's `push` says
//! of them is taken off the sieve here, test by test: a test that the upstream might answer with less than was meant gets
//! wider until it can't, or goes. Whatever this leaves, each record of the answer is judged all the same.

mod outward;

use crate::api::{Push, Shape, Table};
use crate::model::filter::{Filter, Leaf, Sieve, Sign, Test};
use crate::model::value::Type;
use outward::{around, is_short};

/// A sieve that the upstream of this table can be trusted with.
pub(crate) fn narrow(sieve: &Sieve, table: &Table) -> Sieve {
    let narrowed = part(&sieve.filter, table);
    if sieve.exact { narrowed } else { narrowed.loosened() }
}

/// Recursion is bounded by the depth of a condition.
fn part(filter: &Filter, table: &Table) -> Sieve {
    match filter {
        Filter::All | Filter::None => Sieve::exact(filter.clone()),
        Filter::And(parts) => Sieve::all(parts.iter().map(|of| part(of, table)).collect()),
        Filter::Or(parts) => Sieve::any(parts.iter().map(|of| part(of, table)).collect()),
        Filter::Leaf(leaf) => trusted(leaf, table).unwrap_or(Sieve::WIDE),
    }
}

/// `None`: nothing is known of how the upstream compares the column.
fn trusted(leaf: &Leaf, table: &Table) -> Option<Sieve> {
    let (through, id) = table.column(&leaf.column)?;
    let field = table.reached(through, id)?;
    let (Shape::Plain(kind), Some(push)) = (&field.shape, field.push) else { return None };
    let said = |test: Test| Sieve::exact(Filter::leaf(&leaf.column, test));
    let valued = || said(Test::NotNull).loosened();
    Some(match (&leaf.test, push) {
        (Test::Null | Test::NotNull, _) => said(leaf.test.clone()),
        (Test::Order(..), Push::Exact) if *kind == Type::String => valued(),
        // Of what is equal nothing follows for patterns, which fold letters in many an upstream.
        (Test::Text { .. }, Push::Exact | Push::Ordered) => said(leaf.test.clone()).loosened(),
        (_, Push::Exact | Push::Ordered) => said(leaf.test.clone()),
        (Test::OneOf(_), Push::Loose) => said(leaf.test.clone()).loosened(),
        // A text that contains another need not contain it where letters are folded.
        (_, Push::Loose) => valued(),
        (test, Push::Double) if values(test).iter().all(is_short) => said(test.clone()),
        (Test::OneOf(values), push) => {
            let around: Option<Vec<_>> = values.iter().map(|value| around(value, push)).collect();
            let Some((low, high)) = around.and_then(outward::hull) else { return Some(valued()) };
            let bounds = [(Sign::GreaterOrEqual, low), (Sign::LessOrEqual, high)];
            Sieve::all(bounds.map(|(sign, value)| said(Test::Order(sign, value)).loosened()).into())
        }
        (Test::Order(sign, value), push) => match (sign, around(value, push)) {
            (Sign::Less | Sign::LessOrEqual, Some((_, high))) => said(Test::Order(Sign::LessOrEqual, high)).loosened(),
            (Sign::Greater | Sign::GreaterOrEqual, Some((low, _))) => {
                said(Test::Order(Sign::GreaterOrEqual, low)).loosened()
            }
            (_, None) => valued(),
        },
        (Test::NoneOf(_) | Test::Text { .. }, _) => valued(),
    })
}

fn values(test: &Test) -> &[crate::model::Value] {
    match test {
        Test::OneOf(values) | Test::NoneOf(values) => values,
        Test::Order(_, value) => std::slice::from_ref(value),
        Test::Null | Test::NotNull | Test::Text { .. } => &[],
    }
}
