//! What is known of a value before there is one: the range of a size, the hours of a day, the methods of HTTP.

use std::cmp::Ordering;
use std::net::IpAddr;

use ipnet::IpNet;

use super::super::functions::{equal, order};
use super::super::ir::Fact;
use super::atom::{Test, is_whole};
use super::compare::Verdict;
use super::part::Part;
use crate::diagnostic::nearest;
use crate::model::Method;
use crate::policy::value::Value;

/// The smallest and the largest value, with what to know about it.
fn range(part: Part<'_>) -> Option<(i64, i64, Option<&'static str>)> {
    if let Some((function, ..)) = part.call() {
        let months = Some("months are counted from 0: December is 11");
        let weekdays = Some("weekdays are counted from Sunday, which is 0");
        let days = Some("`getDayOfMonth()` counts from 0, `getDate()` from 1");
        let found = match function {
            "size" => (0, i64::MAX, None),
            "getMonth" => (0, 11, months),
            "getDate" => (1, 31, days),
            "getDayOfMonth" => (0, 30, days),
            "getDayOfWeek" => (0, 6, weekdays),
            "getDayOfYear" => (0, 365, Some("days of the year are counted from 0")),
            "getHours" => (0, 23, None),
            "getMinutes" | "getSeconds" => (0, 59, None),
            "getMilliseconds" => (0, 999, None),
            "getFullYear" => (-9999, 9999, None),
            "int" => (i64::MIN, i64::MAX, None),
            _ => return None,
        };
        return Some(found);
    }
    (is_whole(part) && part.field().is_some()).then_some((i64::MIN, i64::MAX, None))
}

/// A test that no value in range passes, or every one.
pub(super) fn bounds(value: Part<'_>, test: &Test) -> Option<Verdict> {
    let (low, high, hint) = range(value)?;
    let (low, high) = (Value::Int(low), Value::Int(high));
    let is = |a: &Value, b: &Value, wanted: Ordering| matches!(order(a, b), Ok(Some(found)) if found == wanted);
    let outside = |constant: &Value| is(constant, &low, Ordering::Less) || is(constant, &high, Ordering::Greater);
    let holds = match test {
        Test::Equal(constant) if outside(constant) => false,
        Test::NotEqual(constant) if outside(constant) => true,
        Test::OneOf(values) if values.iter().all(outside) => false,
        Test::Below(bound, with) => {
            let none = is(bound, &low, Ordering::Less) || !with && equal(bound, &low);
            let all = is(bound, &high, Ordering::Greater) || *with && equal(bound, &high);
            (none || all).then_some(all)?
        }
        Test::Above(bound, with) => {
            let none = is(bound, &high, Ordering::Greater) || !with && equal(bound, &high);
            let all = is(bound, &low, Ordering::Less) || *with && equal(bound, &low);
            (none || all).then_some(all)?
        }
        _ => return None,
    };
    let shown = value.shown();
    let why = match (&low, &high) {
        (Value::Int(0), Value::Int(i64::MAX)) => format!("`{shown}` is never below 0"),
        (Value::Int(i64::MIN), _) => "no whole number of 64 bits is so large or so small".to_owned(),
        (Value::Int(low), Value::Int(high)) => format!("`{shown}` is from {low} to {high}"),
        _ => return None,
    };
    let verdict = Verdict::new(holds, why);
    Some(match hint {
        Some(hint) => verdict.help(hint),
        None => verdict,
    })
}

/// The methods that the gateway lets in.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// A fact compared with a text that it never is.
pub(super) fn facts(value: Part<'_>, test: &Test) -> Option<Verdict> {
    let (holds, texts): (bool, &[Value]) = match test {
        Test::Equal(text) => (false, std::slice::from_ref(text)),
        Test::NotEqual(text) => (true, std::slice::from_ref(text)),
        Test::OneOf(texts) => (false, texts),
        _ => return None,
    };
    let texts: Vec<&str> =
        texts.iter().filter_map(|value| if let Value::String(t) = value { Some(&**t) } else { None }).collect();
    let first = texts.first()?;
    let one_of = |known: &[&str], what: &str| {
        let possible = texts.iter().any(|text| known.contains(text));
        (!possible).then(|| {
            let near = nearest(&first.to_uppercase(), known.iter().copied())
                .or_else(|| nearest(&first.to_lowercase(), known.iter().copied()));
            let verdict = Verdict::new(holds, format!("{what} is one of {}", known.join(", ")));
            match near {
                Some(near) => verdict.help(format!("did you mean '{near}'?")),
                None => verdict,
            }
        })
    };
    match value.fact()? {
        Fact::RequestMethod => one_of(&METHODS, "a request's method"),
        Fact::Method => one_of(
            &[Method::Jwt.name(), Method::ApiKey.name(), Method::Certificate.name(), Method::Introspection.name()],
            "how somebody came in",
        ),
        Fact::RequestIp => {
            let canonical = |text: &&str| text.parse().is_ok_and(|ip: IpAddr| ip.to_string() == **text);
            (!texts.iter().any(canonical)).then(|| {
                let verdict = Verdict::new(holds, "an address is written in numbers and without a prefix length");
                match (first.parse::<IpAddr>(), first.parse::<IpNet>()) {
                    (Ok(ip), _) => verdict.help(format!("write '{ip}'")),
                    (_, Ok(net)) => verdict.help(format!("write `cidr('{net}').containsIP(request.ip)`")),
                    _ => verdict,
                }
            })
        }
        _ => None,
    }
}

/// A text made of small or of capital letters, beside a text that has others.
pub(super) fn letters(value: Part<'_>, text: &str, holds: bool) -> Option<Verdict> {
    let (function, ..) = value.call()?;
    let (misfit, what, mended) = match function {
        "lowerAscii" => (text.bytes().any(|b| b.is_ascii_uppercase()), "small", text.to_ascii_lowercase()),
        "upperAscii" => (text.bytes().any(|b| b.is_ascii_lowercase()), "capital", text.to_ascii_uppercase()),
        _ => return None,
    };
    misfit.then(|| {
        Verdict::new(holds, format!("`{function}` leaves {what} letters only")).help(format!("write '{mended}'"))
    })
}
