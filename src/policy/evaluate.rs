//! One expression over one record's slots, under a budget of steps. No DOM, no I/O, no clock.
//!
//! `&&` and `||` are CEL's: false decides a conjunction and true a disjunction from either side, even beside an error.
//! Everything else fails where a part of it fails.

mod functions;

use std::borrow::Cow;

use super::decode;
use super::functions::{arithmetic, equal, negate, order, weight};
use super::ir::{Each, EachKind, Expr, Failure, Field, Operator, Subject};
use super::slots::{Slot, Slots};
use super::value::{Key, Value};

/// Nodes visited, elements looked at and blocks of text made, for one evaluation.
pub(super) const MAX_STEPS: u32 = 20_000;

pub(super) type Outcome<'e> = Result<Cow<'e, Value>, Failure>;

/// What an expression may read.
#[derive(Debug)]
pub(super) struct Scene<'s> {
    record: Option<&'s Slots<'s>>,
    after: Option<&'s Slots<'s>>,
    variables: Vec<Value>,
    steps: u32,
}

/// Whether a condition is exactly true or exactly false, within what is left of its steps.
pub(super) fn holds(
    expr: &Expr,
    record: Option<&Slots<'_>>,
    after: Option<&Slots<'_>>,
    steps: &mut u32,
) -> Result<bool, Failure> {
    let mut scene = Scene { record, after, variables: Vec::new(), steps: *steps };
    let truth = scene.truth(expr);
    *steps = scene.steps;
    truth
}

/// The value of an expression that reads no record.
pub(super) fn constant(expr: &Expr) -> Result<Value, Failure> {
    let mut scene = Scene { record: None, after: None, variables: Vec::new(), steps: MAX_STEPS };
    scene.value(expr).map(Cow::into_owned)
}

/// What a record holds where a field is read.
pub(super) fn field(field: &Field, slots: &Slots<'_>) -> Result<Value, Failure> {
    let value = match slots.get(field.slot) {
        Slot::Raw(raw) => decode::value(raw, &field.of)?,
        Slot::Missing if field.absent_is_null => Value::Null,
        Slot::Missing => return Err(Failure::Missing),
    };
    if value.is_null() && !field.nullable { Err(Failure::Null) } else { Ok(value) }
}

impl<'s> Scene<'s> {
    fn spend(&mut self, steps: usize) -> Result<(), Failure> {
        let steps = u32::try_from(steps).map_err(|_| Failure::Budget)?;
        self.steps = self.steps.checked_sub(steps).ok_or(Failure::Budget)?;
        Ok(())
    }

    fn truth(&mut self, expr: &Expr) -> Result<bool, Failure> {
        match *self.value(expr)? {
            Value::Bool(truth) => Ok(truth),
            _ => Err(Failure::Type),
        }
    }

    fn slots(&self, subject: Subject) -> Result<&'s Slots<'s>, Failure> {
        match subject {
            Subject::Record => self.record,
            Subject::After => self.after,
        }
        .ok_or(Failure::Unknown)
    }

    fn value<'e>(&mut self, expr: &'e Expr) -> Outcome<'e> {
        self.spend(1)?;
        let value = match expr {
            Expr::Constant(value) => return Ok(Cow::Borrowed(value)),
            Expr::Fails(failure) => return Err(*failure),
            // Invariant: a decision replaced every fact.
            Expr::Fact(_) => return Err(Failure::Unknown),
            Expr::Field(read) => {
                let slots = self.slots(read.subject)?;
                // A long value is read anew wherever it is named: inside a comprehension, once for each element.
                if let Slot::Raw(raw) = slots.get(read.slot) {
                    self.spend(raw.len() / 256)?;
                }
                field(read, slots)?
            }
            Expr::HasField { field, parent } => {
                let slots = self.slots(field.subject)?;
                match (slots.get(field.slot), slots.get(*parent)) {
                    (Slot::Raw(_), _) => Value::Bool(true),
                    (Slot::Missing, Slot::Raw(raw)) if raw.first() == Some(&b'{') => Value::Bool(false),
                    (Slot::Missing, Slot::Raw(_)) => return Err(Failure::Type),
                    (Slot::Missing, Slot::Missing) => return Err(Failure::Missing),
                }
            }
            Expr::Variable(depth) => self.variables.get(usize::from(*depth)).cloned().ok_or(Failure::Unknown)?,
            Expr::Member(of, name) => match &*self.value(of)? {
                Value::Map(members) => members.get(&Key::from(name)).cloned().ok_or(Failure::Missing)?,
                _ => return Err(Failure::Type),
            },
            Expr::Has(of, name) => match &*self.value(of)? {
                Value::Map(members) => Value::Bool(members.contains_key(&Key::from(name))),
                _ => return Err(Failure::Type),
            },
            Expr::Index(of, key) => {
                let of = self.value(of)?;
                let key = self.value(key)?;
                index(&of, &key)?
            }
            Expr::Condition(of) => Value::Bool(self.truth(of)?),
            Expr::Not(of) => Value::Bool(!self.truth(of)?),
            Expr::Negate(of) => negate(&*self.value(of)?)?,
            Expr::And(a, b) => Value::Bool(self.either(a, b, false)?),
            Expr::Or(a, b) => Value::Bool(self.either(a, b, true)?),
            Expr::Choice(parts) => {
                let [condition, yes, no] = &**parts;
                return if self.truth(condition)? { self.value(yes) } else { self.value(no) };
            }
            Expr::Binary(operator, a, b) => self.binary(*operator, a, b)?,
            Expr::Call(function, arguments) => {
                let values = arguments.iter().map(|part| self.value(part)).collect::<Result<Vec<_>, _>>()?;
                self.spend(values.iter().map(|value| weight(value)).sum())?;
                functions::call(function, &values)?
            }
            Expr::Each(each) => self.each(each)?,
            Expr::List(items) => {
                let items = items.iter().map(|item| self.value(item).map(Cow::into_owned));
                Value::List(items.collect::<Result<_, _>>()?)
            }
            Expr::Map(entries) => {
                let mut members = std::collections::BTreeMap::new();
                for (key, value) in entries {
                    let Value::String(key) = self.value(key)?.into_owned() else { return Err(Failure::Type) };
                    if members.insert(Key::String(key), self.value(value)?.into_owned()).is_some() {
                        return Err(Failure::Malformed);
                    }
                }
                Value::Map(members.into())
            }
        };
        Ok(Cow::Owned(value))
    }

    /// `decisive` from either side decides; otherwise an error on either side is an error.
    fn either(&mut self, a: &Expr, b: &Expr, decisive: bool) -> Result<bool, Failure> {
        let first = self.truth(a);
        if first == Ok(decisive) {
            return first;
        }
        let second = self.truth(b);
        if second == Ok(decisive) {
            return second;
        }
        first.and(second)
    }

    fn binary(&mut self, operator: Operator, a: &Expr, b: &Expr) -> Result<Value, Failure> {
        use std::cmp::Ordering::{Greater, Less};
        if let (Operator::Equal | Operator::NotEqual, Some(is_null)) = (operator, self.null_test(a, b)) {
            return Ok(Value::Bool(is_null? == (operator == Operator::Equal)));
        }
        let a = self.value(a)?;
        let b = self.value(b)?;
        let ordered =
            |wanted: fn(std::cmp::Ordering) -> bool| order(&a, &b).map(|o| Value::Bool(o.is_some_and(wanted)));
        match operator {
            Operator::Equal | Operator::NotEqual => {
                self.spend(weight(&a).min(weight(&b)))?;
                Ok(Value::Bool(equal(&a, &b) == (operator == Operator::Equal)))
            }
            Operator::Less => ordered(|o| o == Less),
            Operator::LessOrEqual => ordered(|o| o != Greater),
            Operator::Greater => ordered(|o| o == Greater),
            Operator::GreaterOrEqual => ordered(|o| o != Less),
            Operator::In => match &*b {
                Value::List(items) => {
                    let each = matches!(*a, Value::List(_) | Value::Map(_) | Value::Optional(_));
                    self.spend(if each { weight(&b) } else { items.len() / 8 })?;
                    Ok(Value::Bool(items.iter().any(|item| equal(&a, item))))
                }
                Value::Map(members) => match &*a {
                    Value::String(key) => Ok(Value::Bool(members.contains_key(&Key::from(key)))),
                    _ => Ok(Value::Bool(false)),
                },
                _ => Err(Failure::Type),
            },
            _ => {
                self.spend(weight(&a) + weight(&b))?;
                arithmetic(operator, &a, &b)
            }
        }
    }

    /// A field compared with null needs no value: a JSON document need not be read for it.
    fn null_test(&self, a: &Expr, b: &Expr) -> Option<Result<bool, Failure>> {
        let (Expr::Field(read), Expr::Constant(Value::Null)) = (a, b) else {
            return match (a, b) {
                (Expr::Constant(Value::Null), Expr::Field(_)) => self.null_test(b, a),
                _ => None,
            };
        };
        Some(self.slots(read.subject).and_then(|slots| match slots.get(read.slot) {
            Slot::Raw(b"null") if !read.nullable => Err(Failure::Null),
            Slot::Raw(raw) => Ok(raw == b"null"),
            Slot::Missing if read.absent_is_null && read.nullable => Ok(true),
            Slot::Missing => Err(Failure::Missing),
        }))
    }

    fn each(&mut self, each: &Each) -> Result<Value, Failure> {
        let range = self.value(&each.range)?;
        let Value::List(items) = &*range else { return Err(Failure::Type) };
        let depth = usize::from(each.variable);
        let mut failed = None;
        let mut found = 0;
        let mut made = Vec::new();
        for item in items.iter() {
            // The depth counts from a comprehension that may lie outside of a part that is evaluated alone.
            self.variables.resize(depth, Value::Null);
            self.variables.push(item.clone());
            if each.kind == EachKind::Map {
                made.push(self.value(&each.body)?.into_owned());
                continue;
            }
            match (each.kind, self.truth(&each.body)) {
                (_, Err(Failure::Budget)) => return Err(Failure::Budget),
                (EachKind::All, Ok(false)) => return Ok(Value::Bool(false)),
                (EachKind::Exists, Ok(true)) => return Ok(Value::Bool(true)),
                (EachKind::All | EachKind::Exists, Err(failure)) => failed = Some(failure),
                (_, Err(failure)) => return Err(failure),
                (EachKind::ExistsOne, Ok(true)) => found += 1,
                (EachKind::Filter, Ok(true)) => made.push(item.clone()),
                _ => {}
            }
        }
        self.variables.truncate(depth);
        match (each.kind, failed) {
            (_, Some(failure)) => Err(failure),
            (EachKind::All, None) => Ok(Value::Bool(true)),
            (EachKind::Exists, None) => Ok(Value::Bool(false)),
            (EachKind::ExistsOne, None) => Ok(Value::Bool(found == 1)),
            (EachKind::Filter | EachKind::Map, None) => Ok(Value::List(made.into())),
        }
    }
}

fn index(of: &Value, key: &Value) -> Result<Value, Failure> {
    match (of, key) {
        (Value::List(items), Value::Int(at)) => {
            usize::try_from(*at).ok().and_then(|at| items.get(at)).cloned().ok_or(Failure::Range)
        }
        (Value::Map(members), Value::String(name)) => members.get(&Key::from(name)).cloned().ok_or(Failure::Missing),
        _ => Err(Failure::Type),
    }
}
