//! Every function on values that nobody meant for it: none panics, none makes more than it may, and each fails by type
//! exactly where its overloads say that it is not defined.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::calls::of;
use crate::model::value::Decimal;
use crate::policy::functions::*;
use crate::policy::value::{Key, Value};

fn text(of: &str) -> Value {
    Value::String(of.into())
}

fn pool() -> Vec<Value> {
    let mut all = vec![Value::Null, Value::Bool(true), Value::Optional(None), Value::Type("int".into())];
    all.extend([0, 1, -1, 3, 64, 1_000_000_000, i64::MAX, i64::MIN].map(Value::Int));
    all.extend([0, 2, u64::MAX].map(Value::Uint));
    all.extend([0.0, -0.5, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE].map(Value::Double));
    all.extend(["0", "-0.5", "1e300", "-1e-300"].map(|text| Value::Decimal(Decimal::parse(text).expect("a number"))));
    all.extend(["", "a", "😀é\0", "%s%d", "%.999f", "(", "10.0.0.0/8", "::1", "UTC", "2024-01-01T00:00:00Z"].map(text));
    all.push(text(&"é".repeat(MAX_LENGTH / 2)));
    all.push(Value::Bytes([0xff, 0].into()));
    all.push(Value::Bytes(vec![0; MAX_LENGTH].into()));
    all.push(Value::List(vec![Value::Bool(false); 100].into()));
    all.extend([Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH].map(Value::Timestamp));
    all.extend([SignedDuration::MIN, SignedDuration::MAX, SignedDuration::ZERO].map(Value::Duration));
    all.extend([Value::Ip([10, 0, 0, 1].into()), Value::Cidr("10.0.0.0/8".parse().expect("a network"))]);
    all.push(Value::Optional(Some(Value::Int(1).into())));
    all.push(Value::List([].into()));
    all.push(Value::List([Value::Int(1), text("a"), Value::Null].into()));
    all.push(Value::List([text("a"), text("é")].into()));
    all.push(Value::List([Value::List([Value::Double(f64::NAN)].into())].into()));
    let members = [(Key::Bool(true), Value::Null), (Key::Uint(u64::MAX), text("a")), (Key::Int(i64::MIN), text("b"))];
    all.push(Value::Map(BTreeMap::from(members).into()));
    all
}

fn is_of(value: &Value, sort: Sort) -> bool {
    match (sort, value) {
        (Sort::Dyn | Sort::Parameter(_), _)
        | (Sort::Bool, Value::Bool(_))
        | (Sort::Int, Value::Int(_))
        | (Sort::Uint, Value::Uint(_))
        | (Sort::Double, Value::Double(_))
        | (Sort::Decimal, Value::Decimal(_))
        | (Sort::String, Value::String(_))
        | (Sort::Bytes, Value::Bytes(_))
        | (Sort::Timestamp, Value::Timestamp(_))
        | (Sort::Duration, Value::Duration(_))
        | (Sort::Type, Value::Type(_))
        | (Sort::Ip, Value::Ip(_))
        | (Sort::Cidr, Value::Cidr(_))
        | (Sort::Map(..), Value::Map(_)) => true,
        (Sort::List(of), Value::List(items)) => items.iter().all(|item| is_of(item, *of)),
        (Sort::Optional(of), Value::Optional(inner)) => inner.as_deref().is_none_or(|inner| is_of(inner, *of)),
        _ => false,
    }
}

/// Functions that take less than their sorts can say: elements that have an order, or that can be printed.
const PARTIAL: [&str; 5] = ["sort", "@sortByAssociatedKeys", "math.greatest", "math.least", "format"];

fn judge(function: &Function, arguments: &[Value]) {
    let made = function.call(arguments);
    let fitting = |overload: &&Overload| {
        overload.takes(arguments.len())
            && arguments
                .iter()
                .enumerate()
                .all(|(at, value)| overload.argument(at).is_some_and(|sort| is_of(value, sort)))
    };
    let mut fitting = function.overloads.iter().filter(fitting).peekable();
    let told = || format!("{}: {:.200} -> {:.200}", function.name, format!("{arguments:?}"), format!("{made:?}"));
    match &made {
        Ok(made) => {
            assert!(fitting.any(|overload| is_of(made, overload.result)), "{}", told());
            let length = match made {
                Value::String(text) => text.len(),
                Value::Bytes(bytes) => bytes.len(),
                Value::List(items) => items.len(),
                _ => 0,
            };
            assert!(length <= MAX_LENGTH, "{}", told());
        }
        Err(Failure::Type) => assert!(fitting.peek().is_none() || PARTIAL.contains(&function.name), "{}", told()),
        // Too much to look at may be said of what is not looked at.
        Err(Failure::Budget) => {}
        Err(Failure::Range | Failure::Missing) => assert!(fitting.peek().is_some(), "{}", told()),
        Err(failure) => panic!("{failure:?}: {}", told()),
    }
}

#[test]
fn no_function_panics_or_takes_what_it_does_not_declare() {
    let pool = pool();
    let small: Vec<&Value> = pool.iter().filter(|value| weight(value) < 100).step_by(2).collect();
    for function in all() {
        judge(function, &[]);
        for a in &pool {
            judge(function, std::slice::from_ref(a));
            pool.iter().for_each(|b| judge(function, &[a.clone(), b.clone()]));
        }
        if function.overloads.iter().any(|overload| overload.arguments.len() > 2) {
            for a in pool
                .iter()
                .filter(|a| function.overloads.iter().any(|of| of.argument(0).is_some_and(|of| is_of(a, of))))
            {
                for b in &small {
                    small.iter().for_each(|c| judge(function, &[a.clone(), (*b).clone(), (*c).clone()]));
                }
            }
        }
    }
    let replace = find("replace", true, 4).expect("a function");
    for number in &pool {
        for part in ["", "a", "é"].map(text) {
            judge(replace, &[text("aéa"), part, text("bb"), number.clone()]);
        }
    }
}

#[test]
fn arithmetic_of_any_two_values_gives_a_value_or_an_error() {
    use crate::policy::ir::Operator::{Add, Divide, Multiply, Remainder, Subtract};
    let pool = pool();
    for a in &pool {
        assert!(matches!(negate(a), Ok(Value::Int(_) | Value::Double(_)) | Err(Failure::Type | Failure::Range)));
        for b in &pool {
            for operator in [Add, Subtract, Multiply, Divide, Remainder] {
                match arithmetic(operator, a, b) {
                    Ok(Value::List(items)) => assert!(items.len() <= MAX_LENGTH),
                    Ok(Value::String(text)) => assert!(text.len() <= MAX_LENGTH),
                    Ok(Value::Bytes(bytes)) => assert!(bytes.len() <= MAX_LENGTH),
                    Ok(Value::Timestamp(at)) => assert!(at.to_string().len() <= "9999-12-30T22:00:00.999999999Z".len()),
                    Ok(Value::Duration(of)) => assert!(of.unsigned_abs() <= Duration::from_secs(315_576_000_000)),
                    Ok(Value::Int(_) | Value::Uint(_) | Value::Double(_)) => {}
                    Err(Failure::Type | Failure::Range | Failure::Division | Failure::Budget) => {}
                    other => panic!("{a:?} {operator:?} {b:?}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn nothing_grows_without_bounds() {
    let half = format!("'{}'", "a".repeat(MAX_LENGTH / 2 + 1));
    let list = format!("[{}]", "1,".repeat(MAX_LENGTH / 2 + 1));
    for source in [
        format!("{half} + {half}"),
        format!("{list} + {list}"),
        format!("bytes({half}) + bytes({half})"),
        format!("{half}.replace('', 'aa')"),
        format!("{half}.replace('a', {half})"),
        format!("[{half}, {half}].join()"),
        format!("{list}.reverse().flatten() + {list}"),
        format!("'%s%s'.format([{half}, {half}])"),
        format!("'%x'.format([{half}])"),
        format!("{}.format([])", half.replace('a', "%%%%")),
        format!("strings.quote({}.replace('a', '\\n'))", half),
        format!("base64.encode(bytes({half} + 'a'.replace('a', '{}')))", "b".repeat(MAX_LENGTH / 2 - 1)),
        "lists.range(1000000000)".to_owned(),
        "lists.range(9223372036854775807)".to_owned(),
        format!("lists.range({})", MAX_LENGTH + 1),
    ] {
        assert_eq!(of(&source).map(|_| ()), Err(Failure::Budget), "{:.80}", source);
    }
    let whole = text(&"a".repeat(MAX_LENGTH + 1));
    for (name, arguments) in [
        ("split", vec![whole.clone(), text("")]),
        ("split", vec![text(&",".repeat(MAX_LENGTH)), text(",")]),
        ("lowerAscii", vec![whole.clone()]),
        ("reverse", vec![whole.clone()]),
        ("trim", vec![whole.clone()]),
        ("substring", vec![whole.clone(), Value::Int(0)]),
    ] {
        let function = find(name, true, arguments.len()).expect("a function");
        assert_eq!(function.call(&arguments).map(|_| ()), Err(Failure::Budget), "{name}");
    }
    assert!(
        of(&format!("size(lists.range({MAX_LENGTH})) == {MAX_LENGTH}")).is_ok_and(|value| equal(&value, &true.into()))
    );
}

/// A list of two lists that are one, and so on: a few values in memory that look like 2^60.
fn doubled(leaf: Value) -> Value {
    (0..60).fold(leaf, |inner, _| Value::List([inner.clone(), inner].into()))
}

#[test]
fn what_is_shared_many_times_is_not_looked_at_many_times() {
    for leaf in [Value::Int(1), Value::Map(Arc::default()), Value::Optional(None), text(&"a".repeat(1000))] {
        let weight = weight(&doubled(leaf));
        assert!((MAX_LENGTH..2 * MAX_LENGTH).contains(&weight), "{weight}");
    }
    let (one, other) = (doubled(Value::List([].into())), doubled(Value::List([].into())));
    for function in all() {
        for arguments in [vec![one.clone()], vec![one.clone(), other.clone()], vec![text("%s"), one.clone()]] {
            assert_eq!(function.call(&arguments).map(|_| ()), Err(Failure::Budget), "{}", function.name);
        }
    }
}

#[test]
fn work_that_is_more_than_linear_stays_within_reason() {
    let items: Vec<Value> = (0..10_000).map(|i| text(&format!("{:064}", (i * 7919) % 10_000))).collect();
    let items = Value::List(items.into());
    let sorted = find("sort", true, 1).expect("a function").call(std::slice::from_ref(&items)).expect("a list");
    let distinct = find("distinct", true, 1).expect("a function").call(std::slice::from_ref(&sorted)).expect("a list");
    assert!(equal(&sorted, &distinct) && !equal(&sorted, &items));
    let same = find("sets.equivalent", false, 2).expect("a function").call(&[distinct, items]);
    assert!(same.is_ok_and(|same| equal(&same, &true.into())));
}

#[test]
fn each_call_means_one_function() {
    for function in all() {
        assert!(!function.overloads.is_empty(), "{}", function.name);
        for overload in function.overloads {
            let arguments = overload.arguments.len();
            for is_method in [true, false] {
                let found = find(function.name, is_method, arguments);
                let is_this = found.is_some_and(|found| std::ptr::eq(found, function));
                assert_eq!(is_this, function.style.allows(is_method), "{} {arguments}", function.name);
            }
            assert!(!overload.repeats || find(function.name, false, arguments + 20).is_some(), "{}", function.name);
        }
    }
    assert!(find("size", true, 0).is_none() && find("nothing", false, 1).is_none());
    assert!(find("math.greatest", false, 0).is_none() && find("lowerAscii", false, 1).is_none());
    assert!(names().any(|name| name == "strings.quote") && !names().any(|name| name.starts_with('@')));
}

#[test]
fn a_function_says_how_it_is_called() {
    for (name, usage) in [
        ("size", "`size(x)` or `x.size()`"),
        ("substring", "`x.substring(y)` or `x.substring(y, z)`"),
        ("math.greatest", "`math.greatest(x, …)`"),
        ("optional.none", "`optional.none()`"),
    ] {
        assert_eq!(named(name).map(Function::usage).collect::<Vec<_>>(), [usage]);
    }
    let signature = find("sets.contains", false, 2).expect("a function").overloads[0];
    assert_eq!(signature.arguments[0].to_string(), "list(T)");
}
