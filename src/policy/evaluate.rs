//! One expression over one record's slots, under a budget of steps. No DOM, no I/O, no clock.
//!
//! `&&` and `||` are CEL's: false decides a conjunction and true a disjunction from either side, even beside an error.
//! Everything else fails where a part of it fails. A member or an element of an optional is an optional again.

mod each;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::decode;
use super::functions::{self, arithmetic, equal, negate, order, weight};
use super::ir::{Bind, Expr, Failure, Field, Function, Operator, Otherwise, Subject, Then};
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
    /// By their places. What is bound to a value that fails, fails where it is read.
    variables: Vec<Result<Value, Failure>>,
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

/// The value of an expression that reads no record, within what is left of its steps.
pub(super) fn constant(expr: &Expr, steps: &mut u32) -> Result<Value, Failure> {
    let mut scene = Scene { record: None, after: None, variables: Vec::new(), steps: *steps };
    let value = scene.value(expr).map(Cow::into_owned);
    *steps = scene.steps;
    value
}

/// The value of an expression that reads variables only.
pub(super) fn with_variables(expr: &Expr, variables: Vec<Value>, steps: u32) -> Result<Value, Failure> {
    let variables = variables.into_iter().map(Ok).collect();
    let mut scene = Scene { record: None, after: None, variables, steps };
    scene.value(expr).map(Cow::into_owned)
}

/// The value of an expression that reads one record.
#[cfg(test)]
pub(super) fn of_record(expr: &Expr, record: &Slots<'_>) -> Result<Value, Failure> {
    Scene { record: Some(record), after: None, variables: Vec::new(), steps: MAX_STEPS }.owned(expr)
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

/// One side of a comparison.
enum Side<'e> {
    Value(Cow<'e, Value>),
    /// A field that is not null.
    Unread(&'e Expr),
}

impl<'s> Scene<'s> {
    fn spend(&mut self, steps: usize) -> Result<(), Failure> {
        let left = u32::try_from(steps).ok().and_then(|steps| self.steps.checked_sub(steps));
        // What is too much stays too much: a decisive side of `&&` does not hide it.
        self.steps = left.unwrap_or(0);
        left.map(|_| ()).ok_or(Failure::Budget)
    }

    fn truth(&mut self, expr: &Expr) -> Result<bool, Failure> {
        match *self.value(expr)? {
            Value::Bool(truth) => Ok(truth),
            _ => Err(Failure::Type),
        }
    }

    fn owned(&mut self, expr: &Expr) -> Result<Value, Failure> {
        self.value(expr).map(Cow::into_owned)
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
            Expr::Variable(place) => self.variables.get(usize::from(*place)).cloned().ok_or(Failure::Unknown)??,
            Expr::Member(of, name) => member(&*self.value(of)?, name)?,
            Expr::Has(of, name) => Value::Bool(match &*self.value(of)? {
                Value::Optional(None) => false,
                Value::Optional(Some(of)) => has(of, name)?,
                of => has(of, name)?,
            }),
            Expr::Index(of, key) => {
                let of = self.value(of)?;
                index(&of, &*self.value(key)?)?
            }
            Expr::Maybe(of, key) => {
                let of = self.value(of)?;
                maybe(&of, &*self.value(key)?)?
            }
            Expr::Condition(of) => self.truth(of)?.into(),
            Expr::Not(of) => Value::Bool(!self.truth(of)?),
            Expr::Negate(of) => negate(&*self.value(of)?)?,
            Expr::And(a, b) => self.either(a, b, false)?.into(),
            Expr::Or(a, b) => self.either(a, b, true)?.into(),
            Expr::Choice(parts) => {
                let [condition, yes, no] = &**parts;
                return if self.truth(condition)? { self.value(yes) } else { self.value(no) };
            }
            Expr::Binary(operator, a, b) => self.binary(*operator, a, b)?,
            Expr::Call(function, arguments) => self.call(function, arguments)?,
            Expr::Otherwise(otherwise) => match self.otherwise(otherwise)? {
                Ok(value) => value,
                Err(other) => return self.value(other),
            },
            Expr::Each(each) => self.each(each)?,
            Expr::Bind(bind) => {
                self.bind(bind)?;
                return self.value(&bind.body);
            }
            Expr::Then(then) => self.then(then)?,
            Expr::List(items) => self.list(items)?,
            Expr::Map(entries) => self.map(entries)?,
            // Only a list or a map can leave something out.
            Expr::Present(_) => return Err(Failure::Type),
        };
        Ok(Cow::Owned(value))
    }

    /// `decisive` from either side decides; otherwise an error on either side is an error.
    fn either(&mut self, a: &Expr, b: &Expr, decisive: bool) -> Result<bool, Failure> {
        let first = self.truth(a);
        if first == Ok(decisive) || first == Err(Failure::Budget) {
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
        if let Operator::Equal | Operator::NotEqual = operator {
            return Ok(Value::Bool(self.equal(a, b)? == (operator == Operator::Equal)));
        }
        let a = self.value(a)?;
        let b = self.value(b)?;
        let ordered =
            |wanted: fn(std::cmp::Ordering) -> bool| order(&a, &b).map(|o| Value::Bool(o.is_some_and(wanted)));
        match operator {
            Operator::Less => ordered(|o| o == Less),
            Operator::LessOrEqual => ordered(|o| o != Greater),
            Operator::Greater => ordered(|o| o == Greater),
            Operator::GreaterOrEqual => ordered(|o| o != Less),
            Operator::In => match &*b {
                Value::List(items) => {
                    let each = matches!(*a, Value::List(_) | Value::Map(_) | Value::Optional(_));
                    self.spend(if each { weight(&b) } else { items.len() / 8 })?;
                    Ok(items.iter().any(|item| equal(&a, item)).into())
                }
                map @ Value::Map(_) => element(map, &a).map(|found| found.is_some().into()),
                _ => Err(Failure::Type),
            },
            _ => {
                self.spend(weight(&a) + weight(&b))?;
                arithmetic(operator, &a, &b)
            }
        }
    }

    /// A field beside null needs no value: a document need not be read for it.
    fn equal(&mut self, a: &Expr, b: &Expr) -> Result<bool, Failure> {
        let (a, b) = (self.side(a)?, self.side(b)?);
        if let (Side::Unread(_), Side::Value(value)) | (Side::Value(value), Side::Unread(_)) = (&a, &b)
            && value.is_null()
        {
            return Ok(false);
        }
        let (a, b) = (self.read(a)?, self.read(b)?);
        self.spend(weight(&a).min(weight(&b)))?;
        Ok(equal(&a, &b))
    }

    /// Whether a field is null, or the value of anything else. What comes down to a field is one too, so that folding
    /// changes nothing.
    fn side<'e>(&mut self, expr: &'e Expr) -> Result<Side<'e>, Failure> {
        self.spend(1)?;
        match expr {
            Expr::Field(read) => match self.slots(read.subject)?.get(read.slot) {
                Slot::Raw(b"null") if !read.nullable => Err(Failure::Null),
                Slot::Raw(raw) if raw != b"null" => Ok(Side::Unread(expr)),
                Slot::Missing if !(read.absent_is_null && read.nullable) => Err(Failure::Missing),
                _ => Ok(Side::Value(Cow::Owned(Value::Null))),
            },
            Expr::Choice(parts) => {
                let [condition, yes, no] = &**parts;
                if self.truth(condition)? { self.side(yes) } else { self.side(no) }
            }
            Expr::Otherwise(otherwise) => match self.otherwise(otherwise)? {
                Ok(value) => Ok(Side::Value(Cow::Owned(value))),
                Err(other) => self.side(other),
            },
            Expr::Bind(bind) => {
                self.bind(bind)?;
                self.side(&bind.body)
            }
            expr => self.value(expr).map(Side::Value),
        }
    }

    fn read<'e>(&mut self, side: Side<'e>) -> Outcome<'e> {
        match side {
            Side::Value(value) => Ok(value),
            Side::Unread(field) => self.value(field),
        }
    }

    fn call(&mut self, function: &Function, arguments: &[Expr]) -> Result<Value, Failure> {
        match (function, arguments) {
            (Function::Matches(pattern), [text]) => match &*self.value(text)? {
                Value::String(text) => {
                    self.spend(text.len() / 64)?;
                    Ok(pattern.is_match(text).into())
                }
                _ => Err(Failure::Type),
            },
            (Function::Matches(_), _) => Err(Failure::Type),
            (Function::Library(function), arguments) => {
                let values = arguments.iter().map(|part| self.owned(part)).collect::<Result<Vec<_>, _>>()?;
                let weight: usize = values.iter().map(weight).sum();
                self.spend(weight + function.cost as usize)?;
                let made = function.call(&values)?;
                // What is made is paid for too: a call of nothing may make a list of thousands.
                self.spend(functions::weight(&made))?;
                Ok(made)
            }
        }
    }

    /// The value, or what is to be asked instead.
    fn otherwise<'e>(&mut self, otherwise: &'e Otherwise) -> Result<Result<Value, &'e Expr>, Failure> {
        let Otherwise { of, other, unwraps } = otherwise;
        match self.owned(of)? {
            Value::Optional(Some(value)) if *unwraps => Ok(Ok(Arc::unwrap_or_clone(value))),
            Value::Optional(None) if *unwraps => Ok(Err(other)),
            Value::Optional(None) => match self.owned(other)? {
                other @ Value::Optional(_) => Ok(Ok(other)),
                _ => Err(Failure::Type),
            },
            found @ Value::Optional(_) => Ok(Ok(found)),
            _ => Err(Failure::Type),
        }
    }

    /// Puts a variable in its place. Places count from a comprehension that may lie outside of a part that is evaluated
    /// alone, and hold what a comprehension before left there.
    fn set(&mut self, place: u8, value: Result<Value, Failure>) {
        self.variables.resize(usize::from(place), Err(Failure::Unknown));
        self.variables.push(value);
    }

    fn bind(&mut self, bind: &Bind) -> Result<(), Failure> {
        let value = self.owned(&bind.value);
        if let Err(Failure::Budget) = value {
            return Err(Failure::Budget);
        }
        self.set(bind.variable, value);
        Ok(())
    }

    fn then(&mut self, then: &Then) -> Result<Value, Failure> {
        let value = match self.owned(&then.of)? {
            Value::Optional(Some(value)) => Arc::unwrap_or_clone(value),
            none @ Value::Optional(None) => return Ok(none),
            _ => return Err(Failure::Type),
        };
        self.set(then.variable, Ok(value));
        match self.owned(&then.body)? {
            made @ Value::Optional(_) if then.flat => Ok(made),
            _ if then.flat => Err(Failure::Type),
            made => Ok(Value::Optional(Some(made.into()))),
        }
    }

    /// The value of an element or an entry; `None` where it is left out.
    fn present(&mut self, expr: &Expr) -> Result<Option<Value>, Failure> {
        let Expr::Present(of) = expr else { return self.owned(expr).map(Some) };
        match self.owned(of)? {
            Value::Optional(value) => Ok(value.map(Arc::unwrap_or_clone)),
            _ => Err(Failure::Type),
        }
    }

    fn list(&mut self, items: &[Expr]) -> Result<Value, Failure> {
        let mut made = Vec::with_capacity(items.len());
        for item in items {
            made.extend(self.present(item)?);
        }
        Ok(Value::List(made.into()))
    }

    fn map(&mut self, entries: &[(Expr, Expr)]) -> Result<Value, Failure> {
        let mut members = BTreeMap::new();
        for (key, value) in entries {
            let key = self.value(key)?.to_key().ok_or(Failure::Type)?;
            if members.contains_key(&key) {
                return Err(Failure::Malformed);
            }
            members.extend(self.present(value)?.map(|value| (key, value)));
        }
        Ok(Value::Map(members.into()))
    }
}

/// What is said of the value that an optional has; of one that has none, there is none.
fn chained(of: &Option<Arc<Value>>, read: impl Fn(&Value) -> Result<Option<Value>, Failure>) -> Result<Value, Failure> {
    let found = of.as_deref().map(read).transpose()?.flatten();
    Ok(Value::Optional(found.map(Arc::new)))
}

fn member(of: &Value, name: &Arc<str>) -> Result<Value, Failure> {
    let found = |of: &Value| match of {
        Value::Map(members) => Ok(members.get(&Key::from(name)).cloned()),
        _ => Err(Failure::Type),
    };
    match of {
        Value::Optional(of) => chained(of, found),
        of => found(of)?.ok_or(Failure::Missing),
    }
}

fn has(of: &Value, name: &Arc<str>) -> Result<bool, Failure> {
    match of {
        Value::Map(members) => Ok(members.contains_key(&Key::from(name))),
        _ => Err(Failure::Type),
    }
}

/// The element of a list or the value of a key, if it is there.
fn element(of: &Value, key: &Value) -> Result<Option<Value>, Failure> {
    match of {
        Value::List(items) => match key.as_key() {
            Some(Key::Int(at)) => Ok(usize::try_from(at).ok().and_then(|at| items.get(at)).cloned()),
            Some(Key::Uint(at)) => Ok(usize::try_from(at).ok().and_then(|at| items.get(at)).cloned()),
            _ => Err(Failure::Type),
        },
        Value::Map(members) => match (key, key.as_key()) {
            (_, Some(key)) => Ok(members.get(&key).cloned()),
            // Between whole numbers: there is no such key.
            (Value::Double(_), None) => Ok(None),
            _ => Err(Failure::Type),
        },
        _ => Err(Failure::Type),
    }
}

fn index(of: &Value, key: &Value) -> Result<Value, Failure> {
    let absent = if matches!(of, Value::List(_)) { Failure::Range } else { Failure::Missing };
    match of {
        Value::Optional(of) => chained(of, |of| element(of, key)),
        of => element(of, key)?.ok_or(absent),
    }
}

fn maybe(of: &Value, key: &Value) -> Result<Value, Failure> {
    match of {
        Value::Optional(of) => chained(of, |of| element(of, key)),
        of => Ok(Value::Optional(element(of, key)?.map(Arc::new))),
    }
}

#[cfg(test)]
mod tests;
