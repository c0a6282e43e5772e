//! A sieve in OData's words.

use crate::api::{Operator, Parameters, Shape, Table};
use crate::dialect::{Added, Comparison, Condition, sieve, value};
use crate::model::Value;
use crate::model::filter::{Leaf, Sieve, Test};
use crate::model::percent;
use crate::model::value::Type;

/// Bytes of what is added to a query, as it is sent: many services take URLs of 8 KiB.
const MAX_ADDED: usize = 4096;

pub(super) fn add(table: &Table, of: &Sieve) -> Added {
    sieve::add(of, &|of| leaf(table, of), MAX_ADDED, &|said| length(table, said))
}

fn length(table: &Table, condition: &Condition) -> usize {
    let mut sent = String::new();
    percent::encode(&super::print::condition(table, condition), &mut sent);
    sent.len()
}

/// Exactly what the test means, in a language in which nothing compares with null but `eq null` and `ne null`. `None`: it
/// has no words.
fn leaf(table: &Table, leaf: &Leaf) -> Option<Condition> {
    let (through, id) = table.column(&leaf.column)?;
    let field = table.reached(through, id)?;
    let Shape::Plain(kind) = &field.shape else { return None };
    let spelled = |value: &Value| super::plain(kind, value::spelled(kind, value)?);
    let is = |operator, value: String| Condition::Is(Comparison { through, field: id, operator, value });
    let null = |is_null: bool| is(Operator::Null, is_null.to_string());
    let said = match &leaf.test {
        Test::Null | Test::NotNull => return Some(null(leaf.test == Test::Null)),
        Test::OneOf(values) | Test::NoneOf(values) if values.len() > Parameters::LIST => return None,
        Test::OneOf(values) => {
            let one = |value: &Value| Some(is(Operator::Equal, spelled(value)?));
            Condition::Or(values.iter().map(one).collect::<Option<_>>()?)
        }
        Test::NoneOf(values) => {
            let other = |value: &Value| Some(is(Operator::NotEqual, spelled(value)?));
            Condition::And(values.iter().map(other).collect::<Option<_>>()?)
        }
        Test::Order(sign, value) => is((*sign).into(), spelled(value)?),
        Test::Text { part, text, expected: true } => {
            let operator = Operator::from(*part);
            // Characters that mean something else in patterns are no text to every service.
            let plain = !text.is_empty() && !text.contains(['%', '_', '*', '?', '\\', '[', ']', '^']);
            is(operator, Some(text.to_string()).filter(|text| plain && value::is_spelled(&Type::String, text))?)
        }
        // What a service finds too much of, it would leave out too much of here.
        Test::Text { expected: false, .. } => return None,
    };
    // To some services null is unlike anything, to others it is not even that.
    // Nothing of a record that isn't there has a value.
    let may_be_null = (field.nullable || through.is_some()) && !matches!(leaf.test, Test::OneOf(_));
    Some(if may_be_null { said.and(null(false)) } else { said })
}
