//! Replaces what is known by its values and computes what then is constant, without changing what an expression means.
//!
//! An error stays an error where it is: `false && error` is false from either side, but `error && x` still depends on x.
//! A comprehension over a known list becomes its parts, where they are few. What is left says the same of every record,
//! though it may need fewer steps for it.

mod simplify;

use std::sync::Arc;

use super::super::evaluate::{self, MAX_STEPS};
use super::super::ir::{Bind, Each, EachKind, Expr, Fact, Failure, Operator, Otherwise, Then};
use crate::model;
use crate::policy::Question;
use crate::policy::value::{Key, Value};

/// Of what the comprehensions of one expression become. Beyond that they stay as they are.
const MAX_NODES: usize = 2048;

/// What is left of an expression for this question.
pub(in crate::policy) fn fold(expr: &Expr, question: &Question<'_>) -> Expr {
    with(expr, &|fact| Some(known(fact, question)))
}

/// What is left of an expression whoever asks.
pub(in crate::policy) fn simplify(expr: &Expr) -> Expr {
    with(expr, &|_| None)
}

/// What is left of an expression where some facts are known, or known to fail.
pub(in crate::policy) fn with(expr: &Expr, facts: &dyn Fn(&Fact) -> Option<Result<Value, Failure>>) -> Expr {
    Fold { facts, known: Vec::new(), variables: Vec::new(), nodes: MAX_NODES, steps: MAX_STEPS }.expr(expr)
}

struct Fold<'f> {
    facts: &'f dyn Fn(&Fact) -> Option<Result<Value, Failure>>,
    /// Facts that were asked for: within a comprehension they are again for each element, and lists may be long.
    known: Vec<(Fact, Expr)>,
    /// What stands for a variable, by its place; `None` while only the record knows.
    variables: Vec<Option<Expr>>,
    /// That may still be made of comprehensions.
    nodes: usize,
    /// For what is computed here.
    steps: u32,
}

impl Fold<'_> {
    fn expr(&mut self, expr: &Expr) -> Expr {
        match expr {
            Expr::Fact(fact) => self.fact(fact),
            Expr::Variable(place) => {
                let known = self.variables.get(usize::from(*place)).and_then(Option::as_ref);
                known.unwrap_or(expr).clone()
            }
            Expr::And(a, b) => simplify::junction(self.expr(a), self.expr(b), false),
            Expr::Or(a, b) => simplify::junction(self.expr(a), self.expr(b), true),
            Expr::Choice(parts) => self.choice(parts),
            Expr::Otherwise(otherwise) => self.otherwise(otherwise),
            Expr::Each(each) => self.each(each),
            Expr::Bind(bind) => self.bind(bind),
            Expr::Then(then) => self.then(then),
            Expr::Constant(_) | Expr::Fails(_) | Expr::Field(_) | Expr::HasField { .. } => expr.clone(),
            Expr::Member(..)
            | Expr::Has(..)
            | Expr::Index(..)
            | Expr::Maybe(..)
            | Expr::Condition(_)
            | Expr::Not(_)
            | Expr::Negate(_)
            | Expr::Binary(..)
            | Expr::Call(..)
            | Expr::List(_)
            | Expr::Map(_)
            | Expr::Present(_) => {
                let folded = expr.of_parts(&mut |part| self.expr(part));
                self.strict(folded)
            }
        }
    }

    fn fact(&mut self, fact: &Fact) -> Expr {
        if let Some((_, known)) = self.known.iter().find(|(known, _)| known == fact) {
            return known.clone();
        }
        let Some(value) = (self.facts)(fact) else { return Expr::Fact(fact.clone()) };
        let known = value.map_or_else(Expr::Fails, Expr::Constant);
        self.known.push((fact.clone(), known.clone()));
        known
    }

    /// Fails where a part fails, and is computed where all parts are constant.
    fn strict(&mut self, expr: Expr) -> Expr {
        let inner = |part: &Expr| match part {
            Expr::Present(of) if !matches!(expr, Expr::Present(_)) => matches!(**of, Expr::Constant(_)),
            part => matches!(part, Expr::Constant(_)),
        };
        let failure = expr.parts().find_map(|part| match part {
            Expr::Fails(failure) => Some(*failure),
            _ => None,
        });
        match failure {
            Some(failure) => Expr::Fails(failure),
            None if matches!(expr, Expr::Present(_)) => expr,
            None if expr.parts().all(inner) => self.computed(expr),
            None => simplify::strict(expr),
        }
    }

    /// As it is where the steps don't suffice: then they are the judge's to spend.
    fn computed(&mut self, expr: Expr) -> Expr {
        match evaluate::constant(&expr, &mut self.steps) {
            Ok(value) => Expr::Constant(value),
            Err(Failure::Budget) => expr,
            Err(failure) => Expr::Fails(failure),
        }
    }

    fn choice(&mut self, parts: &[Expr; 3]) -> Expr {
        let [condition, yes, no] = parts;
        match self.expr(condition) {
            Expr::Constant(Value::Bool(true)) => self.expr(yes),
            Expr::Constant(Value::Bool(false)) => self.expr(no),
            Expr::Constant(_) => Expr::Fails(Failure::Type),
            Expr::Fails(failure) => Expr::Fails(failure),
            condition => match (self.expr(yes), self.expr(no)) {
                (yes, no) if yes.is(true) && no.is(false) => condition,
                (yes, no) if yes.is(false) && no.is(true) => simplify::strict(Expr::Not(condition.into())),
                (yes, no) => Expr::Choice([condition, yes, no].into()),
            },
        }
    }

    fn otherwise(&mut self, otherwise: &Otherwise) -> Expr {
        let unwraps = otherwise.unwraps;
        let of = match self.expr(&otherwise.of) {
            Expr::Fails(failure) => return Expr::Fails(failure),
            Expr::Constant(Value::Optional(Some(value))) if unwraps => {
                return Expr::Constant(Arc::unwrap_or_clone(value));
            }
            of @ Expr::Constant(Value::Optional(Some(_))) => return of,
            Expr::Constant(Value::Optional(None)) if unwraps => return self.expr(&otherwise.other),
            of => of,
        };
        let other = self.expr(&otherwise.other);
        let is_constant = matches!(of, Expr::Constant(_)) && matches!(other, Expr::Constant(_) | Expr::Fails(_));
        let folded = Expr::Otherwise(Box::new(Otherwise { of, other, unwraps }));
        if is_constant { self.computed(folded) } else { folded }
    }

    /// Folds what a variable is read in; `value` stands for it.
    fn within(&mut self, place: u8, value: Option<Expr>, body: &Expr) -> Expr {
        self.variables.resize(usize::from(place), None);
        self.variables.push(value);
        let folded = self.expr(body);
        self.variables.truncate(usize::from(place));
        folded
    }

    fn bind(&mut self, bind: &Bind) -> Expr {
        let place = bind.variable;
        let value = self.expr(&bind.value);
        // What costs no more than the variable needs none.
        if matches!(value, Expr::Constant(_) | Expr::Fails(_) | Expr::Fact(_) | Expr::Variable(_)) {
            return self.within(place, Some(value), &bind.body);
        }
        let body = self.within(place, None, &bind.body);
        if reads(&body, place) { Expr::Bind(Box::new(Bind { variable: place, value, body })) } else { body }
    }

    fn then(&mut self, then: &Then) -> Expr {
        let Then { variable, flat, .. } = *then;
        let known = match self.expr(&then.of) {
            Expr::Fails(failure) => return Expr::Fails(failure),
            none @ Expr::Constant(Value::Optional(None)) => return none,
            Expr::Constant(Value::Optional(Some(value))) => Ok(Arc::unwrap_or_clone(value)),
            Expr::Constant(_) => return Expr::Fails(Failure::Type),
            of => Err(of),
        };
        match known {
            Ok(value) => {
                let body = self.within(variable, Some(Expr::Constant(value)), &then.body);
                if flat { body } else { self.strict(Expr::call("optional.of", false, vec![body])) }
            }
            Err(of) => {
                let body = self.within(variable, None, &then.body);
                Expr::Then(Box::new(Then { variable, of, body, flat }))
            }
        }
    }

    fn each(&mut self, each: &Each) -> Expr {
        let range = match self.expr(&each.range) {
            Expr::Fails(failure) => return Expr::Fails(failure),
            range => range,
        };
        if let Expr::Constant(range) = &range
            && let Some(parts) = self.among(each, range).or_else(|| self.unrolled(each, range))
        {
            return parts;
        }
        let filter = each.filter.as_ref().map(|filter| self.element(each, None, filter));
        let body = self.element(each, None, &each.body);
        let is_closed = |expr: &Expr| !expr.any(&mut |part| is_open(part, each.variable));
        let closed = matches!(range, Expr::Constant(_)) && is_closed(&body) && filter.as_ref().is_none_or(is_closed);
        let each = Each { range, filter, body, ..*each };
        let expr = Expr::Each(Box::new(each));
        if closed { self.computed(expr) } else { simplify::each(expr) }
    }

    /// Folds a body for one element, or for one that is not known.
    fn element(&mut self, each: &Each, known: Option<&(Value, Value)>, body: &Expr) -> Expr {
        let place = usize::from(each.variable);
        self.variables.resize(place, None);
        let constant = |value: &Value| Expr::Constant(value.clone());
        match known {
            Some((key, value)) if each.pairs => self.variables.extend([Some(constant(key)), Some(constant(value))]),
            Some((_, value)) => self.variables.push(Some(constant(value))),
            None => self.variables.extend(std::iter::repeat_n(None, if each.pairs { 2 } else { 1 })),
        }
        let folded = self.expr(body);
        self.variables.truncate(place);
        folded
    }

    /// Whether some element of a known list is something that does not depend on the element: whether that is in the list.
    fn among(&mut self, each: &Each, range: &Value) -> Option<Expr> {
        let Value::List(items) = range else { return None };
        let Expr::Binary(operator, a, b) = &each.body else { return None };
        let wanted = match (&**a, &**b) {
            (Expr::Variable(place), wanted) | (wanted, Expr::Variable(place)) if *place == each.variable => wanted,
            _ => return None,
        };
        let fits =
            matches!((each.kind, operator), (EachKind::Exists, Operator::Equal) | (EachKind::All, Operator::NotEqual));
        // In an empty list nothing is looked for, and beside null a field is not read.
        if !fits || each.pairs || items.is_empty() || items.iter().any(Value::is_null) || reads(wanted, each.variable) {
            return None;
        }
        let wanted = self.element(each, None, wanted);
        let found = Expr::Binary(Operator::In, wanted.into(), Expr::Constant(range.clone()).into());
        let found = self.strict(found);
        Some(if each.kind == EachKind::All { self.strict(Expr::Not(found.into())) } else { found })
    }

    /// The parts of a comprehension over what is known. `None`: it has none, or too many.
    fn unrolled(&mut self, each: &Each, range: &Value) -> Option<Expr> {
        let joins = matches!(each.kind, EachKind::All | EachKind::Exists);
        let makes = matches!(each.kind, EachKind::Map | EachKind::MapValues) && each.filter.is_none();
        let count = match range {
            Value::List(items) => items.len(),
            Value::Map(members) => members.len(),
            _ => return None,
        };
        let nodes = size(&each.body).saturating_mul(count);
        if !(joins || makes) || nodes > self.nodes {
            return None;
        }
        let elements = elements(range, each.pairs)?;
        self.nodes -= nodes;
        let mut parts = Vec::with_capacity(elements.len());
        for element in &elements {
            let part = self.element(each, Some(element), &each.body);
            if joins && part.is(each.kind == EachKind::Exists) {
                return Some(part);
            }
            parts.push(part);
        }
        Some(match each.kind {
            EachKind::All => simplify::joined(parts, false),
            EachKind::Exists => simplify::joined(parts, true),
            EachKind::MapValues => {
                let keys = elements.into_iter().map(|(key, _)| Expr::Constant(key));
                self.strict(Expr::Map(keys.zip(parts).collect()))
            }
            _ => self.strict(Expr::List(parts)),
        })
    }
}

/// Keys or indices with what they hold; the second is what a single variable stands for. `None`: nothing to go through.
fn elements(range: &Value, pairs: bool) -> Option<Vec<(Value, Value)>> {
    match range {
        Value::List(items) => {
            let index = |at| Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
            Some(items.iter().enumerate().map(|(at, item)| (index(at), item.clone())).collect())
        }
        Value::Map(members) => {
            let element = |(key, value): (&Key, &Value)| {
                let key = Value::from(key);
                (key.clone(), if pairs { value.clone() } else { key })
            };
            Some(members.iter().map(element).collect())
        }
        _ => None,
    }
}

/// How many nodes an expression has.
fn size(expr: &Expr) -> usize {
    1 + expr.parts().map(size).sum::<usize>()
}

fn reads(expr: &Expr, place: u8) -> bool {
    expr.any(&mut |part| matches!(part, Expr::Variable(variable) if *variable == place))
}

/// Depends on the record, or on a variable of a comprehension around this one.
fn is_open(part: &Expr, depth: u8) -> bool {
    match part {
        Expr::Field(_) | Expr::HasField { .. } | Expr::Fact(_) => true,
        Expr::Variable(variable) => *variable < depth,
        _ => false,
    }
}

/// Null or missing in an attribute is an error, so that `null == null` grants nothing.
pub(in crate::policy) fn known(fact: &Fact, question: &Question<'_>) -> Result<Value, Failure> {
    let principal = question.principal;
    Ok(match fact {
        Fact::Id => Value::String(Arc::clone(&principal.id)),
        Fact::Issuer => Value::String(Arc::clone(&principal.issuer)),
        Fact::Method => Value::string(principal.method.name()),
        Fact::Roles => Value::strings(&principal.roles),
        Fact::Groups => Value::strings(&principal.groups),
        Fact::Reports => Value::strings(&*principal.reports),
        Fact::Attribute(name) => match principal.attributes.get(name) {
            None => return Err(Failure::Missing),
            Some(value) => attribute(value)?,
        },
        Fact::Tenant(name) => {
            question.tenant.value(name).map(|v| Value::String(Arc::clone(v))).ok_or(Failure::Missing)?
        }
        Fact::RequestMethod => Value::string(question.request.method.as_str()),
        // One address is one text: an IPv4 client may come mapped into IPv6.
        Fact::RequestIp => Value::string(question.request.ip.to_canonical().to_string()),
        Fact::Now => Value::Timestamp(question.now),
    })
}

/// Nulls within are errors too: a member that is null is not there, and a list that holds one has no value.
fn attribute(value: &model::Value) -> Result<Value, Failure> {
    Ok(match value {
        model::Value::Null => return Err(Failure::Null),
        model::Value::List(items) => Value::List(items.iter().map(attribute).collect::<Result<_, _>>()?),
        model::Value::Map(members) => {
            let there = members.iter().filter(|(_, member)| **member != model::Value::Null);
            let members = there.map(|(name, member)| Ok((Key::from(name), attribute(member)?)));
            Value::Map(Arc::new(members.collect::<Result<_, _>>()?))
        }
        value => Value::from(value),
    })
}
