//! What operators may be used on. Numbers compare across their kinds; nothing else is converted silently.

use super::super::ir::{Expr, Operator};
use super::super::parse::{Kind as Syntax, Node};
use super::{Checker, Kind, Typed, hint};
use crate::model::value::Decimal;
use crate::policy::value::Value;

impl Checker<'_, '_> {
    pub(super) fn binary(&mut self, operator: Operator, a: &Node, b: &Node, node: &Node) -> Option<Typed> {
        let (left, right) = (self.check(a), self.check(b));
        let (mut left, mut right) = (left?, right?);
        as_decimals(&mut left, a, &right.kind);
        as_decimals(&mut right, b, &left.kind);
        let kind = match operator {
            Operator::Equal | Operator::NotEqual => self.equality(&left, &right, node)?,
            Operator::In => self.membership(&left, &right, node)?,
            _ if operator.is_arithmetic() => self.arithmetic(operator, &left, &right, node)?,
            _ => self.ordering(operator, &left, &right, node)?,
        };
        let nullable = kind == Kind::Any;
        Some(Typed { expr: Expr::Binary(operator, left.expr.into(), right.expr.into()), kind, nullable })
    }

    fn mismatch(&mut self, operator: Operator, a: &Kind, b: &Kind, node: &Node) -> Option<Kind> {
        let sign = operator.sign();
        let help = hint::operator(operator, a, b).or(match (a, b) {
            (Kind::Timestamp, Kind::String) | (Kind::String, Kind::Timestamp) => {
                Some("write `timestamp('2025-01-31T00:00:00Z')`")
            }
            (Kind::Duration, Kind::String) | (Kind::String, Kind::Duration) => Some("write `duration('24h')`"),
            (Kind::Int, Kind::String) | (Kind::String, Kind::Int) => Some("convert one side: `string(…)` or `int(…)`"),
            (Kind::Decimal, _) | (_, Kind::Decimal) if operator.is_arithmetic() => {
                Some("decimals are compared exactly, but not computed with")
            }
            (Kind::Int, Kind::Double) | (Kind::Double, Kind::Int) => Some("convert one side: `double(…)` or `int(…)`"),
            _ => None,
        });
        let message = format!("`{sign}` is not defined between `{a}` and `{b}`");
        self.fail("type-mismatch", &node.span, message, help.map(str::to_owned));
        None
    }

    fn equality(&mut self, a: &Typed, b: &Typed, node: &Node) -> Option<Kind> {
        let (null, other) = match (&a.kind, &b.kind) {
            (Kind::Null, _) => (true, b),
            (_, Kind::Null) => (true, a),
            _ => (false, a),
        };
        if null {
            if other.nullable {
                return Some(Kind::Bool);
            }
            let message = format!("is compared with null, but is a `{}` that is never null", other.kind);
            self.fail("never-null", &node.span, message, None);
            return None;
        }
        let related = matches!(a.kind, Kind::Relation(_)) || matches!(b.kind, Kind::Relation(_));
        if related || !a.kind.meets(&b.kind) {
            return self.mismatch(Operator::Equal, &a.kind, &b.kind, node);
        }
        Some(Kind::Bool)
    }

    fn membership(&mut self, a: &Typed, b: &Typed, node: &Node) -> Option<Kind> {
        let fits = match &b.kind {
            Kind::Any => true,
            Kind::List(of) => a.kind == Kind::Null || a.kind.meets(of),
            Kind::Map(key, _) => a.kind.meets(key),
            _ => false,
        };
        if fits && !matches!(a.kind, Kind::Relation(_)) {
            Some(Kind::Bool)
        } else {
            self.mismatch(Operator::In, &a.kind, &b.kind, node)
        }
    }

    fn ordering(&mut self, operator: Operator, a: &Typed, b: &Typed, node: &Node) -> Option<Kind> {
        let ordered = |kind: &Kind| {
            kind.is_number()
                || matches!(
                    kind,
                    Kind::Any | Kind::Bool | Kind::String | Kind::Bytes | Kind::Timestamp | Kind::Duration
                )
        };
        if ordered(&a.kind) && ordered(&b.kind) && a.kind.meets(&b.kind) {
            Some(Kind::Bool)
        } else {
            self.mismatch(operator, &a.kind, &b.kind, node)
        }
    }

    fn arithmetic(&mut self, operator: Operator, a: &Typed, b: &Typed, node: &Node) -> Option<Kind> {
        use Operator::{Add, Divide, Multiply, Remainder, Subtract};
        let kind = match (operator, &a.kind, &b.kind) {
            (_, Kind::Any, kind) | (_, kind, Kind::Any)
                if !matches!(kind, Kind::Null | Kind::Bool | Kind::Decimal | Kind::Relation(_) | Kind::Map(..)) =>
            {
                Kind::Any
            }
            (_, Kind::Int, Kind::Int) => Kind::Int,
            (Add | Subtract | Multiply | Divide, Kind::Double, Kind::Double) => Kind::Double,
            (Add, Kind::String, Kind::String) => Kind::String,
            (Add, Kind::Bytes, Kind::Bytes) => Kind::Bytes,
            (Add, Kind::List(a), Kind::List(b)) => Kind::List((**a).clone().or((**b).clone()).into()),
            (Add | Subtract, Kind::Timestamp, Kind::Duration) | (Add, Kind::Duration, Kind::Timestamp) => {
                Kind::Timestamp
            }
            (Subtract, Kind::Timestamp, Kind::Timestamp) | (Add | Subtract, Kind::Duration, Kind::Duration) => {
                Kind::Duration
            }
            (Remainder, ..) | (_, _, _) => return self.mismatch(operator, &a.kind, &b.kind, node),
        };
        Some(kind)
    }

    pub(super) fn negate(&mut self, of: &Node) -> Option<Typed> {
        let typed = self.check(of)?;
        match typed.kind {
            Kind::Int | Kind::Double | Kind::Duration | Kind::Any => {
                Some(Typed::part(Expr::Negate(typed.expr.into()), typed.kind))
            }
            kind => {
                self.fail("type-mismatch", &of.span, format!("`-` is not defined on `{kind}`"), None);
                None
            }
        }
    }

    pub(super) fn choice(&mut self, parts: &[Node; 3], node: &Node) -> Option<Typed> {
        let [condition, yes, no] = parts;
        let (tested, left, right) = (self.check(condition), self.check(yes), self.check(no));
        let tested = tested.and_then(|typed| self.as_condition(typed, condition));
        let (tested, left, right) = (tested?, left?, right?);
        let kind = match (&left.kind, &right.kind) {
            (a, b) if a == b => a.clone(),
            (Kind::Null, kind) | (kind, Kind::Null) => kind.clone(),
            (a, b) if a.meets(b) && !(a.is_number() && b.is_number()) => a.clone().or(b.clone()),
            (a, b) => {
                let message = format!("one branch is of type `{a}`, the other of type `{b}`");
                self.fail("type-mismatch", &node.span, message, None);
                return None;
            }
        };
        let nullable = left.nullable || right.nullable;
        Some(Typed { expr: Expr::Choice([tested, left.expr, right.expr].into()), kind, nullable })
    }
}

/// Literals beside a decimal are read again from their digits, so that nothing goes through a float.
pub(in crate::policy) fn as_decimals(typed: &mut Typed, node: &Node, other: &Kind) {
    match (&node.kind, other) {
        (_, Kind::List(of)) if **of == Kind::Decimal && typed.kind.is_number() => {
            as_decimals(typed, node, &Kind::Decimal);
        }
        (Syntax::List(items), Kind::Decimal) => {
            let (Expr::Constant(Value::List(values)), true) =
                (&typed.expr, matches!(&typed.kind, Kind::List(of) if of.is_number()))
            else {
                return;
            };
            let exact: Option<Vec<Value>> =
                values.iter().zip(items).map(|(value, item)| exact(value, &item.node).map(Value::Decimal)).collect();
            if let Some(exact) = exact {
                typed.expr = Expr::Constant(Value::List(exact.into()));
                typed.kind = Kind::List(Kind::Decimal.into());
            }
        }
        (_, Kind::Decimal) => {
            let value = match &typed.expr {
                Expr::Constant(value) => exact(value, node),
                Expr::Negate(of) => match (&**of, &node.kind) {
                    (Expr::Constant(value), Syntax::Negate(node)) => {
                        exact(value, node).and_then(|value| Decimal::parse(&format!("-{value}")))
                    }
                    _ => None,
                },
                _ => None,
            };
            if let Some(value) = value {
                typed.expr = Expr::Constant(Value::Decimal(value));
                typed.kind = Kind::Decimal;
            }
        }
        _ => {}
    }
}

fn exact(value: &Value, node: &Node) -> Option<Decimal> {
    match (value, &node.kind) {
        (Value::Int(number), Syntax::Int(_)) => Decimal::parse(&number.to_string()),
        (Value::Double(number), Syntax::Double(_, digits)) => {
            let sign = if number.is_sign_negative() { "-" } else { "" };
            let lead = if digits.starts_with('.') { "0" } else { "" };
            Decimal::parse(&format!("{sign}{lead}{digits}"))
        }
        _ => None,
    }
}
