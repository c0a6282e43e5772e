//! The same in fewer or plainer words. Each rule here holds for every value of what it names, errors included.

use super::super::super::ir::{EachKind, Expr, Failure, Operator};
use crate::policy::value::Value;

/// `&&` or, where true decides, `||`. What decides does so from either side; its opposite leaves the other side, which is
/// a bool or an error.
pub(super) fn junction(a: Expr, b: Expr, decisive: bool) -> Expr {
    if a.is(decisive) || b.is(decisive) {
        return Expr::Constant(Value::Bool(decisive));
    }
    match (&a, &b) {
        (Expr::Constant(Value::Bool(_)), _) => b,
        (_, Expr::Constant(Value::Bool(_))) => a,
        (Expr::Constant(_), Expr::Constant(_) | Expr::Fails(_)) => Expr::Fails(Failure::Type),
        (Expr::Fails(failure), Expr::Constant(_) | Expr::Fails(_)) => Expr::Fails(*failure),
        _ if decisive => Expr::Or(a.into(), b.into()),
        _ => Expr::And(a.into(), b.into()),
    }
}

/// All parts joined by `&&` or `||`, by halves: as deep as their count has digits in binary.
pub(super) fn joined(mut parts: Vec<Expr>, decisive: bool) -> Expr {
    match parts.len() {
        0 => Expr::Constant(Value::Bool(!decisive)),
        1 => parts.pop().unwrap_or(Expr::FALSE),
        count => {
            let rest = parts.split_off(count / 2);
            junction(joined(parts, decisive), joined(rest, decisive), decisive)
        }
    }
}

/// An expression of which some part is open.
pub(super) fn strict(expr: Expr) -> Expr {
    match expr {
        Expr::Condition(of) if is_bool(&of) => *of,
        Expr::Not(of) => match *of {
            Expr::Not(of) if is_bool(&of) => *of,
            Expr::Binary(Operator::Equal, a, b) => Expr::Binary(Operator::NotEqual, a, b),
            Expr::Binary(Operator::NotEqual, a, b) => Expr::Binary(Operator::Equal, a, b),
            of => Expr::Not(of.into()),
        },
        Expr::Binary(Operator::In, a, list) => match *list {
            Expr::Constant(Value::List(items)) => match &*items {
                // A field beside null is not read, and in a list it is.
                [only] if !only.is_null() => Expr::Binary(Operator::Equal, a, Expr::Constant(only.clone()).into()),
                _ => Expr::Binary(Operator::In, a, Expr::Constant(Value::List(items)).into()),
            },
            list => Expr::Binary(Operator::In, a, list.into()),
        },
        expr => expr,
    }
}

/// Whether it is true, false or an error, whatever the record holds.
fn is_bool(expr: &Expr) -> bool {
    match expr {
        Expr::Constant(value) => matches!(value, Value::Bool(_)),
        Expr::HasField { .. } | Expr::Has(..) | Expr::Condition(_) | Expr::Not(_) => true,
        Expr::And(..) | Expr::Or(..) => true,
        Expr::Binary(operator, ..) => !operator.is_arithmetic(),
        Expr::Each(each) => matches!(each.kind, EachKind::All | EachKind::Exists | EachKind::ExistsOne),
        _ => false,
    }
}

/// A quantifier over a list that only the record knows: whether some element is something is whether that is in the list.
/// Where the list is empty nothing else is asked, so that what is looked for must not fail.
pub(super) fn each(expr: Expr) -> Expr {
    let Expr::Each(each) = expr else { return expr };
    let operator = match each.kind {
        EachKind::Exists => Operator::Equal,
        EachKind::All => Operator::NotEqual,
        _ => return Expr::Each(each),
    };
    let wanted = match &each.body {
        Expr::Binary(found, a, b) if *found == operator && !each.pairs => match (&**a, &**b) {
            (Expr::Variable(place), Expr::Constant(wanted)) | (Expr::Constant(wanted), Expr::Variable(place))
                // What can't be a key must not be looked for in a map.
                if *place == each.variable && wanted.to_key().is_some() =>
            {
                Some(Expr::Constant(wanted.clone()))
            }
            _ => None,
        },
        _ => None,
    };
    match wanted {
        Some(wanted) => {
            let found = Expr::Binary(Operator::In, wanted.into(), each.range.into());
            if operator == Operator::Equal { found } else { Expr::Not(found.into()) }
        }
        None => Expr::Each(each),
    }
}
