//! What an expression may cost.

use super::*;
use crate::policy::ir::{Each, EachKind};

fn string(text: &str) -> Expr {
    Expr::Constant(Value::string(text))
}

fn range(length: i64) -> Expr {
    Expr::call("lists.range", false, vec![Expr::Constant(Value::Int(length))])
}

/// A list of what the body makes, that many times.
fn times(count: i64, body: Expr) -> Expr {
    let (kind, range) = (EachKind::Map, range(count));
    Expr::Each(Each { kind, range, variable: 0, pairs: false, filter: None, body }.into())
}

#[test]
fn what_calls_make_is_paid_for() {
    let long = string(&"a".repeat(60_000));
    let formatted = vec![string(&"%.999f".repeat(60)), Expr::List(vec![Expr::Constant(Value::Double(1.0)); 60])];
    // Little to look at, and much that is made and kept.
    for body in [
        range(15_000),
        Expr::call("split", true, vec![long, string("")]),
        Expr::call("replace", true, vec![string(&"a".repeat(250)), string(""), string(&"b".repeat(250))]),
        Expr::call("format", true, formatted),
    ] {
        let mut steps = MAX_STEPS;
        let made = constant(&times(500, body), &mut steps).map(|made| weight(&made));
        assert_eq!((made, steps), (Err(Failure::Budget), 0));
    }
    let mut steps = MAX_STEPS;
    let made = constant(&times(10, range(100)), &mut steps).map(|made| weight(&made));
    assert_eq!(made, Ok(1010));
    assert!((1010..2000).contains(&(MAX_STEPS - steps)), "{steps}");
}
