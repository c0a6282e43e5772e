//! Functions beside simpler ones that mean the same, on every small input.

use std::cmp::Ordering;

use crate::model::value::Decimal;
use crate::policy::functions::compare::arrange;
use crate::policy::functions::{Made, equal, find, order};
use crate::policy::ir::Failure;
use crate::policy::value::Value;

/// Every text of up to that many of four letters of one to four bytes.
fn texts(most: u32) -> Vec<Vec<char>> {
    const LETTERS: [char; 4] = ['a', 'é', '€', '😀'];
    let mut all = vec![Vec::new()];
    let mut last = all.clone();
    for _ in 0..most {
        last = last.iter().flat_map(|text| LETTERS.map(|letter| [text.as_slice(), &[letter]].concat())).collect();
        all.extend(last.iter().cloned());
    }
    all
}

fn text(letters: &[char]) -> Value {
    Value::String(letters.iter().collect::<String>().into())
}

fn call(name: &str, arguments: &[Value]) -> Made {
    find(name, true, arguments.len()).expect("a function").call(arguments)
}

fn places() -> impl Iterator<Item = i64> {
    (-1..=6).chain([i64::MIN, i64::MAX])
}

#[test]
fn places_in_texts_are_those_of_their_letters() {
    let finds = |of: &[char], part: &[char], at: usize| of.get(at..).is_some_and(|rest| rest.starts_with(part));
    let number = |at: Option<usize>| at.map_or(-1, |at| i64::try_from(at).unwrap());
    for of in texts(3) {
        for at in places() {
            let place = usize::try_from(at).ok().filter(|at| *at <= of.len());
            let letter = place.map(|at| text(&of[at..(at + 1).min(of.len())]));
            same(&call("charAt", &[text(&of), Value::Int(at)]), letter);
            same(&call("substring", &[text(&of), Value::Int(at)]), place.map(|at| text(&of[at..])));
            for end in places() {
                let part = place.zip(usize::try_from(end).ok()).and_then(|(at, end)| of.get(at..end));
                same(&call("substring", &[text(&of), Value::Int(at), Value::Int(end)]), part.map(text));
            }
            for part in texts(2) {
                let first = place.map(|at| number((at..=of.len()).find(|at| finds(&of, &part, *at))));
                let last = place.map(|at| number((0..=at).rev().find(|at| finds(&of, &part, *at))));
                let arguments = [text(&of), text(&part), Value::Int(at)];
                same(&call("indexOf", &arguments), first.map(Value::Int));
                same(&call("lastIndexOf", &arguments), last.map(Value::Int));
            }
        }
    }
}

/// The same value, or a place that is not there.
fn same(got: &Made, wanted: Option<Value>) {
    match (got, &wanted) {
        (Ok(got), Some(wanted)) if equal(got, wanted) => {}
        (Err(Failure::Range), None) => {}
        _ => panic!("{got:?}, not {wanted:?}"),
    }
}

#[test]
fn numbers_of_all_kinds_have_one_order() {
    let whole = [0, 1, -1, i64::MAX, i64::MIN, (1 << 53) + 1, 1 << 53, 1 << 60, (1 << 60) + 1];
    let floats =
        [0.0, -0.0, 0.1, -0.5, 1.0, 0.3, 9_007_199_254_740_992.0, 1_152_921_504_606_846_976.0, 9.3e18, -9.3e18, 1e300];
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE];
    let decimals =
        ["0", "0.1", "0.30000000000000000001", "1152921504606846976", "1152921504606847000", "18446744073709551615.5"];
    let mut all: Vec<Value> = whole.map(Value::Int).into();
    all.extend([0, 1, u64::MAX, 1 << 53, 1 << 63].map(Value::Uint));
    all.extend(floats.into_iter().chain(odd).map(Value::Double));
    all.extend(decimals.map(|text| Value::Decimal(Decimal::parse(text).expect("a number"))));
    all.extend([Value::Null, Value::Bool(true), text(&['a'])]);
    for a in &all {
        for b in &all {
            assert_eq!(arrange(a, b), arrange(b, a).reverse(), "{a:?} {b:?}");
            assert_eq!(equal(a, b), equal(b, a), "{a:?} {b:?}");
            if let Ok(Some(order)) = order(a, b) {
                assert_eq!(arrange(a, b), order, "{a:?} {b:?}");
                assert_eq!(equal(a, b), order == Ordering::Equal, "{a:?} {b:?}");
            }
            for c in &all {
                if arrange(a, b).is_le() && arrange(b, c).is_le() {
                    assert!(arrange(a, c).is_le(), "{a:?} {b:?} {c:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_arranged_beside_each_other_is_equal() {
    let leaves = [Value::Null, Value::Int(1), Value::Double(1.0), Value::Uint(2), text(&['a']), text(&[])];
    let mut all = leaves.to_vec();
    for _ in 0..2 {
        let lists = all.iter().flat_map(|a| all.iter().map(|b| Value::List([a.clone(), b.clone()].into()))).take(40);
        let optionals = all.iter().map(|a| Value::Optional(Some(a.clone().into()))).take(10);
        all = leaves.iter().cloned().chain(lists).chain(optionals).chain([Value::Optional(None)]).collect();
    }
    for a in &all {
        for b in &all {
            assert_eq!(arrange(a, b).is_eq(), equal(a, b), "{a:?} {b:?}");
            assert_eq!(arrange(a, b), arrange(b, a).reverse(), "{a:?} {b:?}");
        }
    }
}
