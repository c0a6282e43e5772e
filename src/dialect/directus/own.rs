//! What the gateway asks for of its own accord, in Directus' words.
//!
//! The server compares as its database does, in which nothing compares with null; how far that is to be trusted is known
//! of each column, and taken off the sieve before it comes here.

use super::{print, value};
use crate::api::{Operator, Parameters, Shape, Table};
use crate::dialect::{Added, Comparison, Condition, sieve, value as spelling};
use crate::model::filter::{Leaf, Sieve, Test};
use crate::model::value::Type;
use crate::model::{Value, percent};

/// Bytes of what is added to a query, as it is sent: with a client's filter it fits in 16 KiB of headers.
const MAX_ADDED: usize = 4096;

pub(super) fn add(table: &Table, of: &Sieve) -> Added {
    sieve::add(of, &|of| leaf(table, of), MAX_ADDED, &|said| length(table, said))
}

/// Bytes of a condition as it is sent.
pub(super) fn length(table: &Table, said: &Condition) -> usize {
    let mut sent = String::new();
    if let Some(node) = print::condition(table, said) {
        percent::encode(&node.to_string(), &mut sent);
    }
    sent.len()
}

fn leaf(table: &Table, leaf: &Leaf) -> Option<Condition> {
    let (through, id) = table.column(&leaf.column)?;
    let Shape::Plain(kind) = &table.reached(through, id)?.shape else { return None };
    let is = |operator, value: String| Condition::Is(Comparison { through, field: id, operator, value });
    let each = |operator, values: &[Value]| -> Option<Vec<Condition>> {
        let is_short = values.len() <= Parameters::LIST;
        is_short.then(|| values.iter().map(|value| Some(is(operator, spelled(kind, value)?))).collect())?
    };
    Some(match &leaf.test {
        // A record that isn't there has no value either, which is no answer to whether it is null.
        Test::Null if through.is_some() => return None,
        Test::Null | Test::NotNull => is(Operator::Null, (leaf.test == Test::Null).to_string()),
        Test::OneOf(values) => Condition::Or(each(Operator::Equal, values)?),
        Test::NoneOf(values) => Condition::And(each(Operator::NotEqual, values)?),
        Test::Order(sign, value) if value::is_ordered(kind) => is((*sign).into(), spelled(kind, value)?),
        // Texts have no order.
        Test::Order(..) => return None,
        Test::Text { part, text, expected: true } if *kind == Type::String => {
            let operator = Operator::from(*part);
            // The server makes a pattern of it as it is.
            let plain = !text.is_empty() && !text.contains(['%', '_', '\\', '[', ']', '^']);
            is(operator, Some(text.to_string()).filter(|text| plain && value::is_sayable(kind, text))?)
        }
        // Where letters are folded, what is not found may be there.
        Test::Text { .. } => return None,
    })
}

/// A value that the server reads as what it is. `None`: there is no way to say it. Of an instant it reads milliseconds.
fn spelled(kind: &Type, value: &Value) -> Option<String> {
    if let Value::Timestamp(instant) = value
        && instant.subsec_nanosecond() % 1_000_000 != 0
    {
        return None;
    }
    spelling::spelled(kind, value).filter(|text| value::is_sayable(kind, text))
}
