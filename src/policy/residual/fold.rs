//! Replaces what is known by its values and computes what then is constant, without changing what an expression means.
//!
//! An error stays an error where it is: `false && error` is false from either side, but `error && x` still depends on x.

use std::sync::Arc;

use super::super::evaluate;
use super::super::ir::{Each, Expr, Fact, Failure};
use crate::model;
use crate::policy::Question;
use crate::policy::value::Value;

/// What is left of an expression for this question.
pub(super) fn fold(expr: &Expr, question: &Question<'_>) -> Expr {
    let part = |expr: &Expr| fold(expr, question);
    let boxed = |expr: &Expr| Box::new(fold(expr, question));
    match expr {
        Expr::Constant(_) | Expr::Fails(_) | Expr::Field(_) | Expr::HasField { .. } | Expr::Variable(_) => expr.clone(),
        Expr::Fact(fact) => known(fact, question).map_or_else(Expr::Fails, Expr::Constant),
        Expr::And(a, b) => either(boxed(a), boxed(b), false),
        Expr::Or(a, b) => either(boxed(a), boxed(b), true),
        Expr::Choice(parts) => {
            let [condition, yes, no] = &**parts;
            match part(condition) {
                Expr::Constant(Value::Bool(true)) => part(yes),
                Expr::Constant(Value::Bool(false)) => part(no),
                Expr::Constant(_) => Expr::Fails(Failure::Type),
                Expr::Fails(failure) => Expr::Fails(failure),
                condition => Expr::Choice([condition, part(yes), part(no)].into()),
            }
        }
        Expr::Member(of, name) => strict(Expr::Member(boxed(of), Arc::clone(name))),
        Expr::Has(of, name) => strict(Expr::Has(boxed(of), Arc::clone(name))),
        Expr::Index(of, key) => strict(Expr::Index(boxed(of), boxed(key))),
        Expr::Condition(of) => strict(Expr::Condition(boxed(of))),
        Expr::Not(of) => strict(Expr::Not(boxed(of))),
        Expr::Negate(of) => strict(Expr::Negate(boxed(of))),
        Expr::Binary(operator, a, b) => strict(Expr::Binary(*operator, boxed(a), boxed(b))),
        Expr::Call(function, arguments) => strict(Expr::Call(function.clone(), arguments.iter().map(part).collect())),
        Expr::List(items) => strict(Expr::List(items.iter().map(part).collect())),
        Expr::Map(entries) => strict(Expr::Map(entries.iter().map(|(k, v)| (part(k), part(v))).collect())),
        Expr::Each(each) => {
            let each = Each { range: part(&each.range), body: part(&each.body), ..**each };
            if let Expr::Fails(failure) = each.range {
                return Expr::Fails(failure);
            }
            let closed =
                matches!(each.range, Expr::Constant(_)) && !each.body.any(&mut |part| is_open(part, each.variable));
            let each = Expr::Each(each.into());
            if closed { computed(each) } else { each }
        }
    }
}

/// Depends on the record, or on a variable of a comprehension around this one.
fn is_open(part: &Expr, depth: u8) -> bool {
    match part {
        Expr::Field(_) | Expr::HasField { .. } | Expr::Fact(_) => true,
        Expr::Variable(variable) => *variable < depth,
        _ => false,
    }
}

/// `decisive` decides from either side; its opposite leaves the other side, which is a bool or an error by its type.
fn either(a: Box<Expr>, b: Box<Expr>, decisive: bool) -> Expr {
    if a.is(decisive) || b.is(decisive) {
        return Expr::Constant(Value::Bool(decisive));
    }
    match (&*a, &*b) {
        (Expr::Constant(Value::Bool(_)), _) => *b,
        (_, Expr::Constant(Value::Bool(_))) => *a,
        (Expr::Constant(_) | Expr::Fails(_), Expr::Constant(_) | Expr::Fails(_)) => Expr::Fails(Failure::Type),
        _ if decisive => Expr::Or(a, b),
        _ => Expr::And(a, b),
    }
}

/// Fails where a part fails, and is computed where all parts are constant.
fn strict(expr: Expr) -> Expr {
    let parts: Vec<&Expr> = match &expr {
        Expr::Member(of, _) | Expr::Has(of, _) | Expr::Condition(of) | Expr::Not(of) | Expr::Negate(of) => vec![of],
        Expr::Index(a, b) | Expr::Binary(_, a, b) => vec![a, b],
        Expr::Call(_, parts) | Expr::List(parts) => parts.iter().collect(),
        Expr::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
        _ => return expr,
    };
    let failure = parts.iter().find_map(|part| match part {
        Expr::Fails(failure) => Some(*failure),
        _ => None,
    });
    let constant = parts.iter().all(|part| matches!(part, Expr::Constant(_)));
    match failure {
        Some(failure) => Expr::Fails(failure),
        None if constant => computed(expr),
        None => expr,
    }
}

fn computed(expr: Expr) -> Expr {
    evaluate::constant(&expr).map_or_else(Expr::Fails, Expr::Constant)
}

/// Null or missing in an attribute is an error, so that `null == null` grants nothing.
fn known(fact: &Fact, question: &Question<'_>) -> Result<Value, Failure> {
    let principal = question.principal;
    Ok(match fact {
        Fact::Id => Value::String(Arc::clone(&principal.id)),
        Fact::Issuer => Value::String(Arc::clone(&principal.issuer)),
        Fact::Method => Value::string(principal.method.name()),
        Fact::Roles => Value::strings(&principal.roles),
        Fact::Groups => Value::strings(&principal.groups),
        Fact::Reports => Value::strings(principal.reports.iter()),
        Fact::Attribute(name) => match principal.attributes.get(name) {
            None => return Err(Failure::Missing),
            Some(model::Value::Null) => return Err(Failure::Null),
            Some(model::Value::List(items)) if items.contains(&model::Value::Null) => return Err(Failure::Null),
            Some(value) => Value::from(value),
        },
        Fact::Tenant(name) => {
            question.tenant.value(name).map(|v| Value::String(Arc::clone(v))).ok_or(Failure::Missing)?
        }
        Fact::RequestMethod => Value::string(question.request.method.as_str()),
        Fact::RequestIp => Value::string(question.request.ip.to_string()),
        Fact::Now => Value::Timestamp(question.now),
    })
}
