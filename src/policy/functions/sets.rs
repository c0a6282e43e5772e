//! CEL's library of sets: lists of which only matters what is in them.

use super::super::ir::Failure;
use super::super::value::Value;
use super::compare::{arrange, equal};
use super::signature::{Overload, Sort};
use super::{Function, Made};

const T: Sort = Sort::Parameter("T");
const PAIR: &[Overload] = &[Overload::new(&[Sort::List(&T), Sort::List(&T)], Sort::Bool)];

pub(super) const FUNCTIONS: &[Function] = &[
    // Whether all of the second is in the first.
    Function::global("sets.contains", PAIR, |of| judge(of, covers)),
    Function::global("sets.equivalent", PAIR, |of| judge(of, |a, b| covers(a, b) && covers(b, a))),
    Function::global("sets.intersects", PAIR, |of| judge(of, |a, b| b.iter().any(|item| has(a, item)))),
];

/// In the order of `arrange`, so that what is looked for is found without looking at all.
type Arranged<'v> = [&'v Value];

fn judge(of: &[Value], holds: fn(&Arranged<'_>, &Arranged<'_>) -> bool) -> Made {
    let [Value::List(a), Value::List(b)] = of else { return Err(Failure::Type) };
    Ok(Value::Bool(holds(&arranged(a), &arranged(b))))
}

fn arranged(items: &[Value]) -> Vec<&Value> {
    let mut items: Vec<_> = items.iter().collect();
    items.sort_by(|a, b| arrange(a, b));
    items
}

fn covers(a: &Arranged<'_>, b: &Arranged<'_>) -> bool {
    b.iter().all(|item| has(a, item))
}

fn has(items: &Arranged<'_>, wanted: &Value) -> bool {
    // NaN is found beside NaN, and is in no set.
    let found = items.binary_search_by(|item| arrange(item, wanted)).ok();
    found.and_then(|at| items.get(at)).is_some_and(|item| equal(item, wanted))
}
