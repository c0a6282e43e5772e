//! Every function that an expression may call: how it is written, on what it is defined, and what it gives.
//!
//! Standard CEL without protobuf, and its libraries for strings, lists, sets, mathematics, encodings, optionals and
//! networks. What needs the text of its argument (`has`, `map`, `optMap`, `cel.bind`) is no function and not here.
//!
//! A body looks at the kinds that it is given, so that it serves what is typed and what is known only when it is judged:
//! where there is no overload it fails. No input makes it panic, and what it makes is at most [`MAX_LENGTH`] long.

mod arithmetic;
mod compare;
mod conversions;
mod encoders;
mod format;
mod lists;
mod math;
mod network;
mod optionals;
mod sets;
mod signature;
mod strings;
mod texts;
mod times;

pub(super) use arithmetic::{arithmetic, negate};
pub(super) use compare::{equal, order};
pub(super) use signature::{Overload, Sort, Style};
pub(super) use texts::pattern;

use super::ir::Failure;
use super::value::{Key, Value};

/// Of a string or a list that an expression makes: bytes or elements.
pub(super) const MAX_LENGTH: usize = 64 << 10;

/// What a call gives.
pub(super) type Made = Result<Value, Failure>;

/// A function under one name and style. `reverse` of a text and of a list are two overloads of one; `ip(x)` and
/// `x.ip()` are two functions.
#[derive(Debug)]
pub(super) struct Function {
    /// With its namespace: `math.greatest`.
    pub(super) name: &'static str,
    pub(super) style: Style,
    pub(super) overloads: &'static [Overload],
    /// Steps that a call costs beside the [`weight`] of its arguments.
    pub(super) cost: u32,
    body: fn(&[Value]) -> Made,
}

/// By library, those that are written most first.
const LIBRARIES: [&[Function]; 10] = [
    texts::FUNCTIONS,
    conversions::FUNCTIONS,
    times::FUNCTIONS,
    strings::FUNCTIONS,
    lists::FUNCTIONS,
    sets::FUNCTIONS,
    math::FUNCTIONS,
    optionals::FUNCTIONS,
    network::FUNCTIONS,
    encoders::FUNCTIONS,
];

/// The function that a call means. `arguments` counts the receiver too.
pub(super) fn find(name: &str, is_method: bool, arguments: usize) -> Option<&'static Function> {
    named(name).find(|function| {
        function.style.allows(is_method) && function.overloads.iter().any(|overload| overload.takes(arguments))
    })
}

/// Every function of a name, to say how it is called where it is called otherwise.
pub(super) fn named(name: &str) -> impl Iterator<Item = &'static Function> {
    all().filter(move |function| function.name == name)
}

/// Every name that can be written, for hints.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|function| function.name).filter(|name| !name.starts_with('@'))
}

fn all() -> impl Iterator<Item = &'static Function> {
    LIBRARIES.into_iter().flatten()
}

impl Function {
    /// The receiver comes first. Values that are too large to look at are [`Failure::Budget`].
    pub(super) fn call(&self, arguments: &[Value]) -> Made {
        let weight = arguments.iter().map(weight).fold(0, usize::saturating_add);
        if weight > MAX_LENGTH { Err(Failure::Budget) } else { (self.body)(arguments) }
    }

    /// As people write a call, for messages: `x.substring(y)` or `x.substring(y, z)`.
    pub(super) fn usage(&self) -> String {
        let mut counts: Vec<usize> = self.overloads.iter().map(|overload| overload.arguments.len()).collect();
        counts.sort_unstable();
        counts.dedup();
        let more = self.overloads.iter().any(|overload| overload.repeats).then_some("…");
        let written = |is_method: bool, count: usize| {
            let mut names: Vec<&str> = ["x", "y", "z", "u", "v", "w"].into_iter().take(count).collect();
            let receiver = if is_method { format!("{}.", names.remove(0)) } else { String::new() };
            names.extend(more);
            format!("`{receiver}{}({})`", self.name, names.join(", "))
        };
        let styles = [false, true].into_iter().filter(|is_method| self.style.allows(*is_method));
        let all: Vec<_> = styles.flat_map(|is_method| counts.iter().map(move |count| (is_method, *count))).collect();
        all.into_iter().map(|(is_method, count)| written(is_method, count)).collect::<Vec<_>>().join(" or ")
    }

    const fn new(name: &'static str, style: Style, overloads: &'static [Overload], body: fn(&[Value]) -> Made) -> Self {
        Self { name, style, overloads, cost: 0, body }
    }

    const fn global(name: &'static str, overloads: &'static [Overload], body: fn(&[Value]) -> Made) -> Self {
        Self::new(name, Style::Global, overloads, body)
    }

    const fn method(name: &'static str, overloads: &'static [Overload], body: fn(&[Value]) -> Made) -> Self {
        Self::new(name, Style::Method, overloads, body)
    }

    const fn either(name: &'static str, overloads: &'static [Overload], body: fn(&[Value]) -> Made) -> Self {
        Self::new(name, Style::Either, overloads, body)
    }

    const fn costs(self, cost: u32) -> Self {
        Self { cost, ..self }
    }
}

/// What it costs to look at all of a value: its elements at every depth, and its text in blocks. Never counts much beyond
/// [`MAX_LENGTH`], as parts that are shared make a small value look endless.
pub(super) fn weight(value: &Value) -> usize {
    let mut total = 0;
    weigh(value, &mut total);
    total
}

fn weigh(value: &Value, total: &mut usize) {
    match value {
        Value::String(text) => *total += text.len() / 64,
        Value::Bytes(bytes) => *total += bytes.len() / 64,
        Value::List(items) => items.iter().for_each(|item| weigh_part(item, 0, total)),
        Value::Map(members) => members.iter().for_each(|(key, member)| match key {
            Key::String(name) => weigh_part(member, name.len() / 64, total),
            Key::Bool(_) | Key::Int(_) | Key::Uint(_) => weigh_part(member, 0, total),
        }),
        Value::Optional(Some(inner)) => weigh_part(inner, 0, total),
        _ => {}
    }
}

fn weigh_part(part: &Value, key: usize, total: &mut usize) {
    if *total <= MAX_LENGTH {
        *total += 1 + key;
        weigh(part, total);
    }
}

fn text(made: impl AsRef<str>) -> Made {
    let made = made.as_ref();
    if made.len() > MAX_LENGTH { Err(Failure::Budget) } else { Ok(Value::String(made.into())) }
}

fn bytes(made: &[u8]) -> Made {
    if made.len() > MAX_LENGTH { Err(Failure::Budget) } else { Ok(Value::Bytes(made.into())) }
}

fn list(made: Vec<Value>) -> Made {
    if made.len() > MAX_LENGTH { Err(Failure::Budget) } else { Ok(Value::List(made.into())) }
}

/// A count as an int.
fn count(of: usize) -> Made {
    i64::try_from(of).map(Value::Int).map_err(|_| Failure::Range)
}

#[cfg(test)]
mod tests;
