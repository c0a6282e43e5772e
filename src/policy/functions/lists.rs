//! CEL's library of lists. Nothing is changed in place: each gives a new list.

use std::cmp::Ordering;

use super::super::ir::Failure;
use super::super::value::Value;
use super::compare::{arrange, equal, order};
use super::signature::{Overload, Sort};
use super::{Function, MAX_LENGTH, Made, list, text};

const T: Sort = Sort::Parameter("T");
const K: Sort = Sort::Parameter("K");
const LIST: Sort = Sort::List(&T);

const CHANGE: &[Overload] = &[Overload::new(&[LIST], LIST)];
const ELEMENT: &[Overload] = &[Overload::new(&[LIST], Sort::Optional(&T))];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::method("slice", &[Overload::new(&[LIST, Sort::Int, Sort::Int], LIST)], slice),
    Function::method(
        "flatten",
        &[
            Overload::new(&[Sort::List(&LIST)], LIST),
            Overload::new(&[Sort::List(&Sort::Dyn)], Sort::List(&Sort::Dyn)),
            Overload::new(&[Sort::List(&Sort::Dyn), Sort::Int], Sort::List(&Sort::Dyn)),
        ],
        flatten,
    ),
    Function::method("distinct", CHANGE, distinct),
    Function::method("sort", CHANGE, |of| match of {
        [Value::List(items)] => sort(items, items),
        _ => Err(Failure::Type),
    }),
    // What is left of `list.sortBy(x, key)` once `list.map(x, key)` is known.
    Function::method("@sortByAssociatedKeys", &[Overload::new(&[LIST, Sort::List(&K)], LIST)], |of| match of {
        [Value::List(items), Value::List(keys)] => sort(items, keys),
        _ => Err(Failure::Type),
    }),
    Function::method("reverse", &[Overload::new(&[Sort::String], Sort::String), Overload::new(&[LIST], LIST)], reverse),
    Function::method("first", ELEMENT, |of| element(of, |items| items.first())),
    Function::method("last", ELEMENT, |of| element(of, |items| items.last())),
    Function::global("lists.range", &[Overload::new(&[Sort::Int], Sort::List(&Sort::Int))], range),
];

fn slice(of: &[Value]) -> Made {
    let [Value::List(items), Value::Int(start), Value::Int(end)] = of else { return Err(Failure::Type) };
    let place = |at: &i64| usize::try_from(*at).map_err(|_| Failure::Range);
    list(items.get(place(start)?..place(end)?).ok_or(Failure::Range)?.to_vec())
}

fn flatten(of: &[Value]) -> Made {
    let (items, depth) = match of {
        [Value::List(items)] => (items, 1),
        [Value::List(items), Value::Int(depth)] => (items, u64::try_from(*depth).map_err(|_| Failure::Range)?),
        _ => return Err(Failure::Type),
    };
    let mut made = Vec::new();
    spread(items, depth, &mut made)?;
    list(made)
}

fn spread(items: &[Value], depth: u64, made: &mut Vec<Value>) -> Result<(), Failure> {
    for item in items {
        match (item, depth.checked_sub(1)) {
            (Value::List(inner), Some(depth)) => spread(inner, depth, made)?,
            _ => made.push(item.clone()),
        }
        if made.len() > MAX_LENGTH {
            return Err(Failure::Budget);
        }
    }
    Ok(())
}

/// The first of each; NaN is equal to nothing, and stays.
fn distinct(of: &[Value]) -> Made {
    let [Value::List(items)] = of else { return Err(Failure::Type) };
    let mut places: Vec<(usize, &Value)> = items.iter().enumerate().collect();
    places.sort_by(|(_, a), (_, b)| arrange(a, b));
    places.dedup_by(|(_, b), (_, a)| equal(a, b));
    places.sort_by_key(|(place, _)| *place);
    list(places.into_iter().map(|(_, item)| item.clone()).collect())
}

/// Ascending by the keys, of which each item has one; equal keys leave the order as it was.
fn sort(items: &[Value], keys: &[Value]) -> Made {
    if items.len() != keys.len() {
        return Err(Failure::Range);
    }
    // All are of one kind that has an order, and numbers are numbers: then the order is total.
    for key in keys {
        order(keys.first().unwrap_or(key), key)?.and(order(key, key)?).ok_or(Failure::Range)?;
    }
    let mut pairs: Vec<(&Value, &Value)> = keys.iter().zip(items).collect();
    pairs.sort_by(|(a, _), (b, _)| order(a, b).ok().flatten().unwrap_or(Ordering::Equal));
    list(pairs.into_iter().map(|(_, item)| item.clone()).collect())
}

fn reverse(of: &[Value]) -> Made {
    match of {
        [Value::String(of)] => text(of.chars().rev().collect::<String>()),
        [Value::List(items)] => list(items.iter().rev().cloned().collect()),
        _ => Err(Failure::Type),
    }
}

fn element(of: &[Value], which: fn(&[Value]) -> Option<&Value>) -> Made {
    match of {
        [Value::List(items)] => Ok(Value::Optional(which(items).cloned().map(Into::into))),
        _ => Err(Failure::Type),
    }
}

/// From 0, that many.
fn range(of: &[Value]) -> Made {
    let [Value::Int(end)] = of else { return Err(Failure::Type) };
    if usize::try_from((*end).max(0)).map_err(|_| Failure::Budget)? > MAX_LENGTH {
        return Err(Failure::Budget);
    }
    list((0..*end).map(Value::Int).collect())
}
