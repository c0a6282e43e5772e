//! What is left of a decision as a filter: the T/F normal form of its conditions. Pure.
//!
//! For every condition there are two sets of records: those for which it is exactly true, and those for which it is exactly
//! false. An error is in neither. Both are built from the parts alone: `a && b` is true where both are and false where
//! either is, a negation swaps the two, and so negation ends in the tests of single columns. All that puts them together
//! is monotone: a part that has no words here stands for every record, the whole gets wider, and nothing is lost. A denial
//! lets a record pass where it is exactly false, which is not where it isn't true.
//!
//! A sieve is exact for records as they are declared: there, of their type, and null only where they may be. Others can
//! only make it too wide. The tenant is no part of it.

mod literal;

use std::sync::Arc;

use super::ir::{Expr, Field, Operator, Subject};
use super::value::Value;
use crate::model::filter::{Filter, Part, Sieve, Sign, Test};
use crate::model::value::Type;
use crate::model::{self, Name};
use literal::Literal;

/// Parts looked at for one decision; the rest has no words.
const MAX_PARTS: u32 = 4096;

/// The records that no denial hides and some grant shows.
pub(super) fn sieve<'e>(denials: impl Iterator<Item = &'e Expr>, grants: impl Iterator<Item = &'e Expr>) -> Sieve {
    let mut form = Form { left: MAX_PARTS };
    let mut all: Vec<Sieve> = denials.map(|denial| form.part(denial, false)).collect();
    all.push(Sieve::any(grants.map(|grant| form.part(grant, true)).collect()));
    Sieve::all(all)
}

struct Form {
    left: u32,
}

/// What of a record is compared with something known.
struct Side<'e> {
    field: &'e Field,
    column: &'e Arc<[Name]>,
    reading: Reading,
}

#[derive(Clone, Copy, PartialEq)]
enum Reading {
    /// As it is. Null is a value that differs from others.
    Plain,
    /// An integer's digits. Null is an error.
    Digits,
}

impl Form {
    /// The records for which a condition is exactly `truth`.
    fn part(&mut self, expr: &Expr, truth: bool) -> Sieve {
        let Some(left) = self.left.checked_sub(1) else { return Sieve::WIDE };
        self.left = left;
        match expr {
            Expr::Constant(Value::Bool(value)) if *value == truth => Sieve::exact(Filter::All),
            Expr::Constant(_) | Expr::Fails(_) => Sieve::exact(Filter::None),
            Expr::Not(of) => self.part(of, !truth),
            Expr::Condition(of) => self.part(of, truth),
            Expr::And(a, b) | Expr::Or(a, b) => {
                let parts = vec![self.part(a, truth), self.part(b, truth)];
                if matches!(expr, Expr::And(..)) == truth { Sieve::all(parts) } else { Sieve::any(parts) }
            }
            Expr::Choice(parts) => {
                let [condition, yes, no] = &**parts;
                let yes = vec![self.part(condition, true), self.part(yes, truth)];
                let no = vec![self.part(condition, false), self.part(no, truth)];
                Sieve::any(vec![Sieve::all(yes), Sieve::all(no)])
            }
            Expr::Field(_) => match plain(expr) {
                Some(side) if side.field.of == Type::Bool => side.leaf(Test::OneOf([model::Value::Bool(truth)].into())),
                _ => Sieve::WIDE,
            },
            Expr::Binary(operator, a, b) => compared(*operator, a, b, truth).unwrap_or(Sieve::WIDE),
            Expr::Call(function, arguments) => match &**arguments {
                [of, Expr::Constant(Value::String(text))] => {
                    searched(function.name(), of, text, truth).unwrap_or(Sieve::WIDE)
                }
                _ => Sieve::WIDE,
            },
            _ => Sieve::WIDE,
        }
    }
}

/// A column of the record, or of one that it is related to. `None`: it is no single value, or a part of one, or of a record
/// that is not listed.
fn plain(expr: &Expr) -> Option<Side<'_>> {
    let Expr::Field(field) = expr else { return None };
    let single = !matches!(field.of, Type::Json | Type::Duration | Type::List(_) | Type::Map(_));
    let is_column = field.path.len() == 1 || field.by.is_some();
    (single && is_column && field.subject == Subject::Record).then_some(Side {
        field,
        column: &field.path,
        reading: Reading::Plain,
    })
}

fn side(expr: &Expr) -> Option<Side<'_>> {
    let Expr::Call(function, arguments) = expr else { return plain(expr) };
    let side = plain(arguments.first().filter(|_| arguments.len() == 1)?)?;
    match (function.name(), &side.field.of) {
        ("string", Type::Int) => Some(Side { reading: Reading::Digits, ..side }),
        // Null is an error to it; elsewhere it reads what the field holds.
        ("timestamp", Type::Timestamp | Type::Date) if !side.field.nullable => Some(side),
        _ => None,
    }
}

/// `None`: it can't be said.
fn compared(operator: Operator, a: &Expr, b: &Expr, truth: bool) -> Option<Sieve> {
    match (operator, a, b) {
        (Operator::In, of, Expr::Constant(Value::List(items))) => Some(side(of)?.among(items, truth)?),
        (Operator::Equal | Operator::NotEqual, of, Expr::Constant(value))
        | (Operator::Equal | Operator::NotEqual, Expr::Constant(value), of) => {
            side(of)?.equal(value, truth == (operator == Operator::Equal))
        }
        (operator, of, Expr::Constant(value)) => side(of)?.ordered(sign(operator)?, value, truth),
        (operator, Expr::Constant(value), of) => side(of)?.ordered(mirrored(sign(operator)?), value, truth),
        _ => None,
    }
}

fn sign(operator: Operator) -> Option<Sign> {
    Some(match operator {
        Operator::Less => Sign::Less,
        Operator::LessOrEqual => Sign::LessOrEqual,
        Operator::Greater => Sign::Greater,
        Operator::GreaterOrEqual => Sign::GreaterOrEqual,
        _ => return None,
    })
}

/// The same with its sides exchanged.
fn mirrored(sign: Sign) -> Sign {
    match sign {
        Sign::Less => Sign::Greater,
        Sign::LessOrEqual => Sign::GreaterOrEqual,
        Sign::Greater => Sign::Less,
        Sign::GreaterOrEqual => Sign::LessOrEqual,
    }
}

/// What holds where this doesn't.
fn opposite(sign: Sign) -> Sign {
    match sign {
        Sign::Less => Sign::GreaterOrEqual,
        Sign::LessOrEqual => Sign::Greater,
        Sign::Greater => Sign::LessOrEqual,
        Sign::GreaterOrEqual => Sign::Less,
    }
}

fn searched(function: &str, of: &Expr, text: &Name, truth: bool) -> Option<Sieve> {
    let side = plain(of).filter(|side| side.field.of == Type::String)?;
    let part = match function {
        "startsWith" => Part::Start,
        "endsWith" => Part::End,
        "contains" => Part::Anywhere,
        _ => return None,
    };
    Some(side.leaf(Test::Text { part, text: Arc::clone(text), expected: truth }))
}

impl Side<'_> {
    fn leaf(&self, test: Test) -> Sieve {
        // A related record that is not there is an error here, and no value to an upstream.
        let exact = self.column.len() == 1 || test != Test::Null;
        Sieve { filter: Filter::leaf(self.column, test), exact }
    }

    /// That there is no value, where that may be.
    fn null(&self) -> Sieve {
        let may_be = self.field.nullable && self.reading == Reading::Plain;
        if may_be { self.leaf(Test::Null) } else { Sieve::exact(Filter::None) }
    }

    /// That there is one; always so where it must be.
    fn valued(&self) -> Sieve {
        if self.field.nullable {
            return self.leaf(Test::NotNull);
        }
        Sieve { filter: Filter::All, exact: self.column.len() == 1 }
    }

    fn is_any(&self, items: Vec<model::Value>, truth: bool) -> Sieve {
        match (items.is_empty(), truth) {
            (true, true) => Sieve::exact(Filter::None),
            (true, false) => self.valued(),
            (false, true) => self.leaf(Test::OneOf(items.into())),
            (false, false) => self.leaf(Test::NoneOf(items.into())),
        }
    }

    fn literal(&self, value: &Value) -> Literal {
        match self.reading {
            Reading::Plain => literal::of(&self.field.of, value),
            Reading::Digits => literal::digits(value),
        }
    }

    fn equal(&self, value: &Value, truth: bool) -> Option<Sieve> {
        if value.is_null() {
            // A field beside null is not read; its digits would be.
            return match (self.reading, truth) {
                (Reading::Plain, true) => Some(self.null()),
                (Reading::Plain, false) => Some(self.valued()),
                (Reading::Digits, _) => None,
            };
        }
        self.among(std::slice::from_ref(value), truth)
    }

    fn among(&self, items: &[Value], truth: bool) -> Option<Sieve> {
        let mut values = Vec::with_capacity(items.len());
        let mut null = false;
        for item in items {
            match self.literal(item) {
                Literal::Value(value) => values.push(value),
                Literal::Never if item.is_null() => null = self.reading == Reading::Plain,
                Literal::Never => {}
                Literal::Unsaid => return None,
            }
        }
        let mut parts = vec![self.is_any(values, truth)];
        if null == truth {
            parts.push(self.null());
        }
        Some(Sieve::any(parts))
    }

    fn ordered(&self, sign: Sign, value: &Value, truth: bool) -> Option<Sieve> {
        if self.reading == Reading::Digits {
            return None;
        }
        let sign = if truth { sign } else { opposite(sign) };
        let (sign, value) = literal::bound(&self.field.of, sign, value)?;
        Some(self.leaf(Test::Order(sign, value)))
    }
}
