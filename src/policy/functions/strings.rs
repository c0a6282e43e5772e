//! CEL's library of strings. Places in a text are counted in code points, never in bytes.

use super::super::ir::Failure;
use super::super::value::Value;
use super::signature::{Overload, Sort};
use super::{Function, MAX_LENGTH, Made, count, format, list, text};

const TEXT: &[Overload] = &[Overload::new(&[Sort::String], Sort::String)];
const INDEX: &[Overload] = &[
    Overload::new(&[Sort::String, Sort::String], Sort::Int),
    Overload::new(&[Sort::String, Sort::String, Sort::Int], Sort::Int),
];

pub(super) const FUNCTIONS: &[Function] =
    &[
        Function::method("charAt", &[Overload::new(&[Sort::String, Sort::Int], Sort::String)], char_at),
        Function::method("indexOf", INDEX, index_of),
        Function::method("lastIndexOf", INDEX, last_index_of),
        Function::method(
            "join",
            &[
                Overload::new(&[Sort::List(&Sort::String)], Sort::String),
                Overload::new(&[Sort::List(&Sort::String), Sort::String], Sort::String),
            ],
            join,
        ),
        Function::method("lowerAscii", TEXT, |of| change(of, |text| text.to_ascii_lowercase())),
        Function::method("upperAscii", TEXT, |of| change(of, |text| text.to_ascii_uppercase())),
        Function::method("trim", TEXT, |of| change(of, |text| text.trim().to_owned())),
        Function::method(
            "replace",
            &[
                Overload::new(&[Sort::String, Sort::String, Sort::String], Sort::String),
                Overload::new(&[Sort::String, Sort::String, Sort::String, Sort::Int], Sort::String),
            ],
            replace,
        ),
        Function::method(
            "split",
            &[
                Overload::new(&[Sort::String, Sort::String], Sort::List(&Sort::String)),
                Overload::new(&[Sort::String, Sort::String, Sort::Int], Sort::List(&Sort::String)),
            ],
            split,
        ),
        Function::method(
            "substring",
            &[
                Overload::new(&[Sort::String, Sort::Int], Sort::String),
                Overload::new(&[Sort::String, Sort::Int, Sort::Int], Sort::String),
            ],
            substring,
        ),
        Function::method("format", &[Overload::new(&[Sort::String, Sort::List(&Sort::Dyn)], Sort::String)], |of| {
            match of {
                [Value::String(clauses), Value::List(items)] => format::format(clauses, items),
                _ => Err(Failure::Type),
            }
        }),
        Function::global("strings.quote", TEXT, |of| change(of, quote)),
    ];

fn change(of: &[Value], to: fn(&str) -> String) -> Made {
    match of {
        [Value::String(of)] => text(to(of)),
        _ => Err(Failure::Type),
    }
}

/// Where the code point of that number begins, in bytes; its end is a place too.
fn place(text: &str, at: i64) -> Result<usize, Failure> {
    let at = usize::try_from(at).map_err(|_| Failure::Range)?;
    text.char_indices().map(|(place, _)| place).chain([text.len()]).nth(at).ok_or(Failure::Range)
}

fn from(text: &str, place: usize) -> Result<&str, Failure> {
    text.get(place..).ok_or(Failure::Range)
}

fn char_at(of: &[Value]) -> Made {
    match of {
        [Value::String(of), Value::Int(at)] => {
            text(from(of, place(of, *at)?)?.chars().next().map(String::from).unwrap_or_default())
        }
        _ => Err(Failure::Type),
    }
}

fn index_of(of: &[Value]) -> Made {
    let (text, part, start) = match of {
        [Value::String(text), Value::String(part)] => (text, part, 0),
        [Value::String(text), Value::String(part), Value::Int(start)] => (text, part, place(text, *start)?),
        _ => return Err(Failure::Type),
    };
    number(text, from(text, start)?.find(&**part).map(|at| start + at))
}

/// The last place that is not after `start`.
fn last_index_of(of: &[Value]) -> Made {
    let (text, part, start) = match of {
        [Value::String(text), Value::String(part)] => (text, part, text.len()),
        [Value::String(text), Value::String(part), Value::Int(start)] => (text, part, place(text, *start)?),
        _ => return Err(Failure::Type),
    };
    let end = text.floor_char_boundary(start.saturating_add(part.len()));
    number(text, text.get(..end).ok_or(Failure::Range)?.rfind(&**part))
}

/// The number of the code point at a place; -1 for none.
fn number(text: &str, place: Option<usize>) -> Made {
    match place {
        Some(place) => count(text.get(..place).ok_or(Failure::Range)?.chars().count()),
        None => Ok(Value::Int(-1)),
    }
}

fn join(of: &[Value]) -> Made {
    let (items, between) = match of {
        [Value::List(items)] => (items, ""),
        [Value::List(items), Value::String(between)] => (items, &**between),
        _ => return Err(Failure::Type),
    };
    let mut made = String::new();
    for (at, item) in items.iter().enumerate() {
        let Value::String(item) = item else { return Err(Failure::Type) };
        if at > 0 {
            made.push_str(between);
        }
        made.push_str(item);
        if made.len() > MAX_LENGTH {
            return Err(Failure::Budget);
        }
    }
    text(made)
}

/// How often at most; a negative number is no limit.
fn limit(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn replace(of: &[Value]) -> Made {
    let (of, old, new, most) = match of {
        [Value::String(of), Value::String(old), Value::String(new)] => (of, old, new, usize::MAX),
        [Value::String(of), Value::String(old), Value::String(new), Value::Int(most)] => (of, old, new, limit(*most)),
        _ => return Err(Failure::Type),
    };
    let found = of.matches(&**old).take(most).count();
    // Known before it is made.
    let length = of.len().saturating_sub(found * old.len()).saturating_add(found.saturating_mul(new.len()));
    if length > MAX_LENGTH {
        return Err(Failure::Budget);
    }
    text(of.replacen(&**old, new, most))
}

fn split(of: &[Value]) -> Made {
    let (of, between, most) = match of {
        [Value::String(of), Value::String(between)] => (of, between, usize::MAX),
        [Value::String(of), Value::String(between), Value::Int(most)] => (of, between, limit(*most)),
        _ => return Err(Failure::Type),
    };
    let make = |part: &str| Value::String(part.into());
    let over = MAX_LENGTH + 1;
    if !between.is_empty() {
        return list(of.splitn(most, &**between).take(over).map(make).collect());
    }
    // Code points, and what is left of them in the last.
    let mut made = Vec::new();
    let mut rest: &str = of;
    while let Some(first) = rest.chars().next().filter(|_| made.len() < most.min(over)) {
        let length = if made.len() + 1 == most { rest.len() } else { first.len_utf8() };
        let (part, after) = rest.split_at_checked(length).ok_or(Failure::Range)?;
        made.push(make(part));
        rest = after;
    }
    list(made)
}

fn substring(of: &[Value]) -> Made {
    let (of, start, end) = match of {
        [Value::String(of), Value::Int(start)] => (of, place(of, *start)?, of.len()),
        [Value::String(of), Value::Int(start), Value::Int(end)] => (of, place(of, *start)?, place(of, *end)?),
        _ => return Err(Failure::Type),
    };
    text(of.get(start..end).ok_or(Failure::Range)?)
}

/// In quotes and escaped, so that it is one line.
fn quote(text: &str) -> String {
    let mut made = String::with_capacity(text.len() + 2);
    made.push('"');
    for c in text.chars() {
        match c {
            '\u{7}' => made.push_str("\\a"),
            '\u{8}' => made.push_str("\\b"),
            '\u{c}' => made.push_str("\\f"),
            '\n' => made.push_str("\\n"),
            '\r' => made.push_str("\\r"),
            '\t' => made.push_str("\\t"),
            '\u{b}' => made.push_str("\\v"),
            '\\' => made.push_str("\\\\"),
            '"' => made.push_str("\\\""),
            c => made.push(c),
        }
    }
    made.push('"');
    made
}
