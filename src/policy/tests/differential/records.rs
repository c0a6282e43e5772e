//! Records as upstreams send them: whole ones mostly, with fields that are missing, null, or of another type than they were
//! declared to be; and what the oracle is told of each.

use std::collections::HashMap;
use std::sync::Arc;

use super::choices::Choices;
use super::oracle;
use crate::policy::slots::{Layout, NodeId, Slots};

/// A JSON value with its text.
#[derive(Clone, Debug)]
pub(super) struct Json {
    raw: String,
    of: Of,
}

#[derive(Clone, Debug)]
enum Of {
    Null,
    Bool(bool),
    Int(i64),
    /// Not one that an int holds.
    Number(f64),
    String(String),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
    /// What no value can be read from.
    Unreadable,
}

pub(in crate::policy::tests) struct Record {
    json: Json,
    /// What the oracle takes it for; `None` where the two must differ, as a null test here reads no value.
    pub(super) oracle: Option<cel::Value>,
    /// Fields that it was not told of, as they are of another type than was declared.
    pub(super) wrong: Vec<&'static str>,
}

/// What a field may hold.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Int,
    Double,
    Decimal,
    String,
    Bool,
    Timestamp,
    Date,
    Duration,
    Strings,
    Ints,
    Labels,
    Json,
    Account,
}

const FIELDS: [(&str, Shape, bool); 18] = [
    ("id", Shape::Int, false),
    ("qty", Shape::Int, false),
    ("price", Shape::Double, false),
    ("amount", Shape::Decimal, true),
    ("name", Shape::String, false),
    ("note", Shape::String, true),
    ("active", Shape::Bool, false),
    ("vip", Shape::Bool, true),
    ("at", Shape::Timestamp, false),
    ("seen", Shape::Timestamp, true),
    ("born", Shape::Date, false),
    ("took", Shape::Duration, false),
    ("tags", Shape::Strings, false),
    ("scores", Shape::Ints, false),
    ("labels", Shape::Labels, false),
    ("custom", Shape::Json, true),
    ("extra", Shape::Json, false),
    ("account", Shape::Account, true),
];

const TEXTS: [&str; 14] =
    ["a", "", "ab", "b", "u1", "u2", "acme", "emea", "latam", "é", "😀 b", "A-B", "it's \"so\"", "1"];
const INTS: [i64; 11] = [0, 1, -1, 2, 3, 7, -5, 100, 1_000_000_007, i64::MAX, i64::MIN];
const DOUBLES: [&str; 11] =
    ["0.0", "1.5", "-2.25", "0.1", "3", "1e308", "-1e308", "5e-324", "100.0", "-0.0", "9007199254740993"];
// The oracle counts nanoseconds in 64 bits: about 292 years.
const INSTANTS: [&str; 5] = [
    "2025-01-02T03:04:05Z",
    "2025-06-15T12:00:00Z",
    "2025-06-15T14:00:00+02:00",
    "1969-12-31T23:59:59.999Z",
    "2024-02-29T00:00:00.123456789Z",
];
const DATES: [&str; 3] = ["2025-01-02", "1969-12-31", "2024-02-29"];
const DURATIONS: [&str; 5] = ["1h", "-90s", "1.5s", "0s", "87600h"];

impl Json {
    fn new(raw: impl Into<String>, of: Of) -> Self {
        Self { raw: raw.into(), of }
    }

    fn null() -> Self {
        Self::new("null", Of::Null)
    }

    fn int(number: i64) -> Self {
        Self::new(number.to_string(), Of::Int(number))
    }

    fn double(text: &str) -> Self {
        let number = text.parse().expect("a number");
        Self::new(text, text.parse().map_or(Of::Number(number), Of::Int))
    }

    /// Escaped here and there, as a serialiser may.
    fn text(text: &str, choices: &mut Choices<'_>) -> Self {
        let mut raw = String::from("\"");
        for c in text.chars() {
            match c {
                '"' | '\\' => raw.extend(['\\', c]),
                c if choices.rarely(12) => {
                    let mut units = [0; 2];
                    c.encode_utf16(&mut units).iter().for_each(|unit| raw.push_str(&format!("\\u{unit:04x}")));
                }
                c => raw.push(c),
            }
        }
        raw.push('"');
        Self::new(raw, Of::String(text.to_owned()))
    }

    fn list(items: Vec<Self>) -> Self {
        let raws: Vec<&str> = items.iter().map(|item| item.raw.as_str()).collect();
        Self::new(format!("[{}]", raws.join(", ")), Of::List(items))
    }

    fn map(members: Vec<(String, Self)>) -> Self {
        let raws: Vec<String> = members.iter().map(|(name, member)| format!("\"{name}\":{}", member.raw)).collect();
        Self::new(format!("{{{}}}", raws.join(",")), Of::Map(members))
    }

    fn is_readable(&self) -> bool {
        match &self.of {
            Of::List(items) => items.iter().all(Self::is_readable),
            Of::Map(members) => members.iter().all(|(_, member)| member.is_readable()),
            of => !matches!(of, Of::Unreadable),
        }
    }

    fn is_null(&self) -> bool {
        matches!(self.of, Of::Null)
    }
}

/// Any JSON.
fn any(choices: &mut Choices<'_>, depth: usize) -> Json {
    match choices.below(if depth == 0 { 7 } else { 9 }) {
        0 => Json::int(choices.one(&INTS)),
        1 => Json::text(choices.one(&TEXTS), choices),
        2 => Json::null(),
        3 => Json::new("true", Of::Bool(true)),
        4 => Json::new("false", Of::Bool(false)),
        5 => Json::double(choices.one(&["1.5", "-0.5", "3.0", "1e3", "0.1"])),
        6 if choices.rarely(12) => Json::new("99999999999999999999", Of::Unreadable),
        6 => Json::text("x", choices),
        7 => Json::list((0..choices.below(4)).map(|_| any(choices, depth - 1)).collect()),
        _ => {
            let there = ["a", "b", "c", "flag", "list"].into_iter().filter(|_| choices.below(3) != 0);
            let names: Vec<&str> = there.collect();
            Json::map(names.into_iter().map(|name| (name.to_owned(), any(choices, depth - 1))).collect())
        }
    }
}

fn of_shape(shape: Shape, choices: &mut Choices<'_>) -> Json {
    let quoted = |text: &str| Json::new(format!("\"{text}\""), Of::String(text.to_owned()));
    match shape {
        Shape::Int => Json::int(choices.one(&INTS)),
        Shape::Double => Json::double(choices.one(&DOUBLES)),
        Shape::Decimal => {
            let text = choices.one(&["10", "10.5", "-0.25", "1e-7", "99999999999999999999.25", "0"]);
            Json::new(if choices.rarely(3) { format!("\"{text}\"") } else { text.to_owned() }, Of::Unreadable)
        }
        Shape::String => Json::text(choices.one(&TEXTS), choices),
        Shape::Bool => {
            let truth = choices.one(&[true, false]);
            Json::new(if truth { "true" } else { "false" }, Of::Bool(truth))
        }
        Shape::Timestamp => quoted(choices.one(&INSTANTS)),
        Shape::Date => quoted(choices.one(&DATES)),
        Shape::Duration => quoted(choices.one(&DURATIONS)),
        Shape::Strings => Json::list((0..choices.below(4)).map(|_| of_shape(Shape::String, choices)).collect()),
        Shape::Ints => Json::list((0..choices.below(4)).map(|_| of_shape(Shape::Int, choices)).collect()),
        Shape::Labels => {
            let there: Vec<&str> = ["a", "b", "é"].into_iter().filter(|_| choices.below(2) == 0).collect();
            Json::map(there.into_iter().map(|name| (name.to_owned(), of_shape(Shape::String, choices))).collect())
        }
        Shape::Json => any(choices, 3),
        Shape::Account => {
            let mut members = vec![("name".to_owned(), of_shape(Shape::String, choices))];
            if !choices.rarely(6) {
                members.push(("region".to_owned(), of_shape(Shape::String, choices)));
            }
            if choices.rarely(3) {
                members.push(("flag".to_owned(), any(choices, 0)));
            }
            Json::map(members)
        }
    }
}

/// As the oracle holds a value that was declared so. `None`: reading it is an error.
fn declared(json: &Json, shape: Shape) -> Option<cel::Value> {
    let text = |json: &Json| match &json.of {
        Of::String(text) => Some(text.clone()),
        _ => None,
    };
    let items = |shape: Shape| match &json.of {
        Of::List(items) => items.iter().map(|item| declared(item, shape)).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    Some(match (shape, &json.of) {
        (_, Of::Null) => return None,
        (Shape::Int, Of::Int(number)) => cel::Value::Int(*number),
        (Shape::Double, Of::Int(number)) => cel::Value::Float(*number as f64),
        (Shape::Double, Of::Number(number)) => cel::Value::Float(*number),
        (Shape::Bool, Of::Bool(truth)) => cel::Value::Bool(*truth),
        (Shape::String, _) => cel::Value::String(Arc::new(text(json)?)),
        // In UTC: the oracle reads the parts of an instant in the zone that it was written in.
        (Shape::Timestamp, _) => {
            oracle::constant("timestamp", &text(json)?.parse::<jiff::Timestamp>().ok()?.to_string())?
        }
        (Shape::Date, _) => oracle::constant("timestamp", &format!("{}T00:00:00Z", text(json)?))?,
        (Shape::Duration, _) => oracle::constant("duration", &text(json)?)?,
        (Shape::Strings, _) => cel::Value::List(Arc::new(items(Shape::String)?)),
        (Shape::Ints, _) => cel::Value::List(Arc::new(items(Shape::Int)?)),
        (Shape::Labels, Of::Map(members)) => {
            let members = members.iter().map(|(name, member)| Some((name.clone(), declared(member, Shape::String)?)));
            cel::Value::Map(members.collect::<Option<HashMap<_, _>>>()?.into())
        }
        (Shape::Json | Shape::Account, _) => dynamic(json)?,
        _ => return None,
    })
}

fn dynamic(json: &Json) -> Option<cel::Value> {
    Some(match &json.of {
        Of::Null => cel::Value::Null,
        Of::Bool(truth) => cel::Value::Bool(*truth),
        Of::Int(number) => cel::Value::Int(*number),
        Of::Number(number) => cel::Value::Float(*number),
        Of::String(text) => cel::Value::String(Arc::new(text.clone())),
        Of::List(items) => cel::Value::List(Arc::new(items.iter().map(dynamic).collect::<Option<_>>()?)),
        Of::Map(members) => {
            let members = members.iter().map(|(name, member)| Some((name.clone(), dynamic(member)?)));
            cel::Value::Map(members.collect::<Option<HashMap<_, _>>>()?.into())
        }
        Of::Unreadable => return None,
    })
}

impl Record {
    pub(in crate::policy::tests) fn new(choices: &mut Choices<'_>) -> Self {
        let (mut members, mut told, mut wrong, mut differs) = (Vec::new(), HashMap::new(), Vec::new(), false);
        for (name, shape, nullable) in FIELDS {
            let json = match choices.below(24) {
                0 => continue,
                1 | 2 => Json::null(),
                3 => any(choices, 1),
                4 if nullable => Json::null(),
                _ => of_shape(shape, choices),
            };
            let value = declared(&json, shape);
            // What is of a wrong type is an error to read, and yet is not null.
            differs |= nullable && value.is_none() && !json.is_null() && shape != Shape::Decimal;
            differs |= !json.is_readable() && shape != Shape::Decimal;
            // A member of a map is read without the others.
            differs |= value.is_none() && shape == Shape::Labels;
            if value.is_none() && !json.is_null() {
                wrong.push(name);
            }
            let value = if json.is_null() && nullable { Some(cel::Value::Null) } else { value };
            told.extend(value.map(|value| (name.to_owned(), value)));
            members.push((name.to_owned(), json));
        }
        let oracle = (!differs).then(|| cel::Value::Map(told.into()));
        Self { json: Json::map(members), oracle, wrong }
    }

    pub(in crate::policy::tests) fn raw(&self) -> &str {
        &self.json.raw
    }

    pub(in crate::policy::tests) fn slots<'b>(&'b self, layout: &Layout) -> Slots<'b> {
        let mut slots = Slots::empty(layout);
        fill(&self.json, NodeId::ROOT, layout, &mut slots);
        slots
    }
}

/// As the scanner of a response does: along the members that some path leads through.
fn fill<'b>(json: &'b Json, node: NodeId, layout: &Layout, slots: &mut Slots<'b>) {
    let Of::Map(members) = &json.of else { return };
    for (name, member) in members {
        let Some(next) = layout.member(node, name.as_bytes()) else { continue };
        if let Some(slot) = layout.slot(next) {
            assert!(slots.fill(slot, member.raw.as_bytes()), "no member is twice in a record");
        }
        fill(member, next, layout, slots);
    }
}
