//! What the gateway asks for of its own accord, in the server's words: a sieve, as far as there are words and room.
//!
//! What can't be said is left out where that lets more through, and only there. An instant is stored in whole
//! milliseconds, so a finer one is rounded to where it makes no difference. A field that is empty has no value, and
//! passes no test but that for null.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::grammar;
use super::{expression, value};
use crate::api::{Field, FieldId, Operator, Shape, Table};
use crate::dialect::{Added, Comparison, Condition};
use crate::model::Value;
use crate::model::filter::{Filter, Leaf, Part, Sieve, Sign, Test};
use crate::model::value::Type;

/// Bytes of what is added to a client's filter.
const MAX_ADDED: usize = 1400;
/// Comparisons of what is added: with a client's and a tenant's fewer than the server takes.
const MAX_COMPARISONS: usize = 100;

pub(super) fn add(table: &Table, sieve: &Sieve) -> Added {
    let parts = match &sieve.filter {
        Filter::And(parts) => parts.as_slice(),
        part => std::slice::from_ref(part),
    };
    let mut said: Vec<Said> = parts.iter().map(|part| say(table, part)).collect();
    // What is soonest said comes first: there may be no room for all.
    said.sort_by_key(|said| said.size(table).0);
    let mut added = Added { condition: Condition::default(), exact: sieve.exact };
    let (mut bytes, mut comparisons) = (0, 0);
    for part in said {
        let (size, count) = part.size(table);
        if bytes + size > MAX_ADDED || comparisons + count > MAX_COMPARISONS {
            added.exact = false;
            continue;
        }
        (bytes, comparisons) = (bytes + size, comparisons + count);
        added.condition = added.condition.and(part.condition);
        added.exact &= part.exact;
    }
    if let Condition::And(parts) = &mut added.condition {
        // That a related record is there need be said once.
        let mut said: Vec<Condition> = Vec::with_capacity(parts.len());
        for part in std::mem::take(parts) {
            if !said.contains(&part) {
                said.push(part);
            }
        }
        *parts = said;
    }
    added
}

struct Said {
    condition: Condition,
    exact: bool,
}

impl Said {
    const WIDE: Self = Self { condition: Condition::And(Vec::new()), exact: false };

    fn exact(condition: Condition) -> Self {
        Self { condition, exact: true }
    }

    /// Bytes and comparisons, as it is printed. What can't be is too long.
    fn size(&self, table: &Table) -> (usize, usize) {
        let count = self.condition.comparisons().len();
        match expression(table, &self.condition) {
            None => (0, count),
            Some(expression) => (grammar::print(&expression).map_or(usize::MAX / 2, |text| text.len() + 4), count),
        }
    }
}

/// Recursion is bounded by the depth of a condition.
fn say(table: &Table, filter: &Filter) -> Said {
    match filter {
        Filter::All => Said::exact(Condition::default()),
        Filter::None => Said::exact(Condition::Or(Vec::new())),
        Filter::And(parts) => {
            let said: Vec<Said> = parts.iter().map(|part| say(table, part)).collect();
            let exact = said.iter().all(|part| part.exact);
            let condition = said.into_iter().fold(Condition::default(), |all, part| all.and(part.condition));
            Said { condition, exact }
        }
        Filter::Or(parts) => {
            let said: Vec<Said> = parts.iter().map(|part| say(table, part)).collect();
            if said.iter().any(|part| part.condition.is_empty()) {
                return Said::WIDE;
            }
            let exact = said.iter().all(|part| part.exact);
            Said { condition: Condition::Or(said.into_iter().map(|part| part.condition).collect()), exact }
        }
        Filter::Leaf(leaf) => self::leaf(table, leaf).unwrap_or(Said::WIDE),
    }
}

/// `None`: there are no words for it.
fn leaf(table: &Table, leaf: &Leaf) -> Option<Said> {
    let (through, id) = table.column(&leaf.column)?;
    let field = table.reached(through, id)?;
    let Shape::Plain(kind) = &field.shape else { return None };
    if !value::is_scalar(kind) {
        return None;
    }
    let said = test(&Tests { through, id, field, kind }, &leaf.test)?;
    match through {
        // Where there is no related record, its fields are as good as empty.
        Some(relation) if leaf.test != Test::Null => {
            let (field, operator) = (table.related(relation)?.key, Operator::Null);
            let exists = Condition::Is(Comparison { through, field, operator, value: false.to_string() });
            Some(Said { condition: exists.and(said.condition), ..said })
        }
        _ => Some(said),
    }
}

/// `None`: there are no words for it.
fn test(tests: &Tests<'_>, test: &Test) -> Option<Said> {
    let field = tests.field;
    match test {
        Test::NotNull if !field.nullable => Some(Said::exact(Condition::default())),
        Test::Null => Some(Said::exact(tests.is(Operator::Null, "true"))),
        Test::NotNull => Some(Said::exact(tests.has_value())),
        Test::OneOf(values) | Test::NoneOf(values) if values.len() > MAX_COMPARISONS => None,
        Test::OneOf(values) => tests.one_of(values).map(Said::exact),
        Test::NoneOf(values) => tests.none_of(values).map(Said::exact),
        Test::Order(sign, value) => tests.order(*sign, value).map(Said::exact),
        Test::Text { part, text, expected: true } => tests.contains(*part, text),
        // Where letters are folded, what is not found may be there.
        Test::Text { expected: false, .. } => None,
    }
}

struct Tests<'t> {
    through: Option<FieldId>,
    id: FieldId,
    field: &'t Field,
    kind: &'t Type,
}

impl Tests<'_> {
    fn is(&self, operator: Operator, value: &str) -> Condition {
        Condition::Is(Comparison { through: self.through, field: self.id, operator, value: value.to_owned() })
    }

    fn has_value(&self) -> Condition {
        self.is(Operator::Null, "false")
    }

    /// A comparison that an empty field passes, although it has no value.
    fn valued(&self, condition: Condition) -> Condition {
        let is_empty = self.field.nullable || *self.kind == Type::Timestamp;
        if is_empty { self.has_value().and(condition) } else { condition }
    }

    fn one_of(&self, values: &[Value]) -> Option<Condition> {
        let mut parts = Vec::new();
        for value in values {
            match self.text(value)? {
                Told::Exactly(text) if text.is_empty() && self.field.nullable => {}
                Told::Exactly(text) => parts.push(self.is(Operator::Equal, &text)),
                Told::Between(_) => {}
            }
        }
        match parts.pop() {
            Some(only) if parts.is_empty() => Some(only),
            last => {
                parts.extend(last);
                Some(Condition::Or(parts))
            }
        }
    }

    fn none_of(&self, values: &[Value]) -> Option<Condition> {
        let mut all = Condition::default();
        for value in values {
            if let Told::Exactly(text) = self.text(value)? {
                all = all.and(self.is(Operator::NotEqual, &text));
            }
        }
        Some(self.valued(all))
    }

    fn order(&self, sign: Sign, value: &Value) -> Option<Condition> {
        let (operator, text) = match (self.text(value)?, sign) {
            (Told::Exactly(text), Sign::Less) => (Operator::Less, text),
            (Told::Exactly(text), Sign::LessOrEqual) => (Operator::LessOrEqual, text),
            (Told::Exactly(text), Sign::Greater) => (Operator::Greater, text),
            (Told::Exactly(text), Sign::GreaterOrEqual) => (Operator::GreaterOrEqual, text),
            (Told::Between(before), Sign::Less | Sign::LessOrEqual) => (Operator::LessOrEqual, before),
            (Told::Between(before), Sign::Greater | Sign::GreaterOrEqual) => (Operator::Greater, before),
        };
        Some(self.valued(self.is(operator, &text)))
    }

    /// Letters are folded, so that more is found.
    fn contains(&self, part: Part, text: &str) -> Option<Said> {
        let plain = !text.is_empty() && !text.contains(['%', '_', '\\']) && grammar::is_quotable(text);
        if *self.kind != Type::String || !plain {
            return None;
        }
        let pattern = match part {
            Part::Start => format!("{text}%"),
            Part::End => format!("%{text}"),
            Part::Anywhere => text.to_owned(),
        };
        Some(Said { condition: self.is(Operator::Contains, &pattern), exact: false })
    }

    /// `None`: it can't be said.
    fn text(&self, value: &Value) -> Option<Told> {
        let text = match (self.kind, value) {
            (Type::Bool, Value::Bool(truth)) => truth.to_string(),
            (Type::String, Value::String(text)) => text.to_string(),
            (Type::Date, Value::Timestamp(instant)) => TimeZone::UTC.to_datetime(*instant).date().to_string(),
            (Type::Timestamp, Value::Timestamp(instant)) => return stored(*instant),
            (Type::Int | Type::Double | Type::Decimal, Value::Int(number)) => number.to_string(),
            (Type::Int | Type::Double | Type::Decimal, Value::Double(number)) => number.to_string(),
            (Type::Int | Type::Double | Type::Decimal, Value::Decimal(number)) => number.to_string(),
            _ => return None,
        };
        let sayable = match self.kind {
            Type::Int | Type::Double | Type::Decimal => grammar::is_number(&text),
            _ => grammar::is_quotable(&text),
        };
        sayable.then_some(Told::Exactly(text))
    }
}

enum Told {
    Exactly(String),
    /// Nothing that is stored is equal: the last before it.
    Between(String),
}

/// An instant as the server stores it: `2025-03-01 00:00:00.123Z`. Years of other lengths are not in the order of their texts.
fn stored(instant: Timestamp) -> Option<Told> {
    let whole = Timestamp::from_millisecond(instant.as_nanosecond().div_euclid(1_000_000).try_into().ok()?).ok()?;
    let at = TimeZone::UTC.to_datetime(whole);
    if !(0..=9999).contains(&at.year()) {
        return None;
    }
    let (date, time) = (at.date(), at.time());
    let milliseconds = time.subsec_nanosecond() / 1_000_000;
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    let text = format!("{date} {hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z");
    Some(if whole == instant { Told::Exactly(text) } else { Told::Between(text) })
}
