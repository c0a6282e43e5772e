//! A filter in the words of query parameters: a conjunction of comparisons, each under a name of its own.
//!
//! Parameters know no `or`. Alternatives become a list where they are values of one column, or what they have in common,
//! or nothing: whatever is said lets through at least what was meant. Nothing is said under a name that the client's own
//! query uses, nor under one that a server could take for a part of such a name: two of one name may be merged into either
//! of them, or into both.

use std::sync::Arc;

use super::{is_part, is_tenants, spelling};
use crate::api::{Field, FieldId, Nulls, Operator, Parameters, Rest, Shape, Table};
use crate::dialect::value::{self, MAX_VALUE};
use crate::dialect::{Added, Comparison, Condition, Query};
use crate::model::filter::{Filter, Leaf, Sieve, Sign, Test};
use crate::model::value::Type;
use crate::model::{Name, Value, percent};

/// Bytes of what is added to a query, as it is sent.
const MAX_ADDED: usize = 4096;

/// A sieve in the words of a dialect, beside a client's query.
pub fn add(rest: &Rest, table: &Table, sieve: &Sieve, client: &Query) -> Added {
    let (mut leaves, exact) = common(rest, &sieve.filter);
    let mut adding = Adding { rest, table, client, added: Vec::new(), names: Vec::new(), bytes: 0, exact };
    adding.exact &= sieve.exact;
    adding.names =
        client.filter.comparisons().into_iter().filter_map(|c| spelling(rest, table, c.field, c.operator)).collect();
    // What is found soonest comes first: there may be no room for all.
    leaves.sort_by_key(|leaf| u8::from(!matches!(leaf.test, Test::OneOf(_))));
    for leaf in &leaves {
        adding.exact &= adding.leaf(leaf).unwrap_or(false);
    }
    Added { condition: Condition::And(adding.added), exact: adding.exact }
}

/// The tests that every record of a filter passes, and whether no other record does. Recursion is bounded by the depth of
/// a condition.
fn common(rest: &Rest, filter: &Filter) -> (Vec<Leaf>, bool) {
    match filter {
        Filter::All => (Vec::new(), true),
        // Where nothing can be found, anything may be asked: each record is judged.
        Filter::None => (Vec::new(), false),
        Filter::Leaf(leaf) => (vec![leaf.clone()], true),
        Filter::And(parts) => {
            let (mut leaves, mut exact) = (Vec::new(), true);
            for part in parts {
                let (found, whole) = common(rest, part);
                leaves.extend(found);
                exact &= whole;
            }
            (leaves, exact)
        }
        Filter::Or(parts) => match &**parts {
            [Filter::Leaf(a), Filter::Leaf(b)] if a.column == b.column => match (&a.test, &b.test) {
                (Test::NoneOf(values), Test::Null) | (Test::Null, Test::NoneOf(values))
                    if rest.parameters.nulls == Some(Nulls::Kept) && values.len() == 1 =>
                {
                    (vec![Leaf { column: Arc::clone(&a.column), test: Test::NoneOf(Arc::clone(values)) }], true)
                }
                _ => (Vec::new(), false),
            },
            parts => (shared(parts.iter().map(|part| common(rest, part).0).collect()), false),
        },
    }
}

/// Lists of a column of which each alternative has one: their union.
fn shared(alternatives: Vec<Vec<Leaf>>) -> Vec<Leaf> {
    let Some((first, others)) = alternatives.split_first() else { return Vec::new() };
    let list = |leaves: &[Leaf], column: &Arc<[Name]>| {
        leaves.iter().find_map(|leaf| match &leaf.test {
            Test::OneOf(_) if leaf.column == *column => Some(Filter::Leaf(leaf.clone())),
            _ => None,
        })
    };
    let union = |leaf: &Leaf| {
        let mut lists = vec![list(std::slice::from_ref(leaf), &leaf.column)?];
        for other in others {
            lists.push(list(other, &leaf.column)?);
        }
        match Filter::any(lists) {
            Filter::Leaf(leaf) => Some(leaf),
            _ => None,
        }
    };
    first.iter().filter_map(union).collect()
}

struct Adding<'a> {
    rest: &'a Rest,
    table: &'a Table,
    client: &'a Query,
    added: Vec<Condition>,
    /// Taken by the client, or by what was added.
    names: Vec<String>,
    bytes: usize,
    exact: bool,
}

impl Adding<'_> {
    /// Whether all of it was said, and no more. `None`: none of it.
    fn leaf(&mut self, leaf: &Leaf) -> Option<bool> {
        let [name] = &*leaf.column else { return None };
        let id = self.table.field_named(name)?;
        let field = self.table.field(id);
        let Shape::Plain(kind) = &field.shape else { return None };
        match &leaf.test {
            // Longer than any list may be.
            Test::OneOf(values) | Test::NoneOf(values) if values.len() > Parameters::MAX_LIST => None,
            Test::NotNull if !field.nullable => Some(true),
            Test::Null | Test::NotNull => {
                self.say(id, Operator::Null, &[(leaf.test == Test::Null).to_string()]).then_some(true)
            }
            Test::OneOf(values) => self.one_of(id, kind, values),
            Test::NoneOf(values) => {
                let texts: Vec<String> = values.iter().map(|value| text(kind, value)).collect::<Option<_>>()?;
                let said = match &*texts {
                    [_] => self.say(id, Operator::NotEqual, &texts) || self.list(id, Operator::NotIn, &texts),
                    _ => self.list(id, Operator::NotIn, &texts),
                };
                // `kept` lets records without a value through too.
                said.then_some(self.drops_null(field))
            }
            Test::Order(sign, value) => self.order(id, kind, *sign, value).map(|exact| exact && self.drops_null(field)),
            Test::Text { part, text, expected: true } => {
                let operator = Operator::from(*part);
                // Characters that mean something else in patterns are no text to every upstream.
                let plain = !text.contains(['%', '_', '*', '?', '\\', '[', ']', '^']);
                let text = sayable(&Type::String, text.to_string()).filter(|_| plain)?;
                self.say(id, operator, &[text]).then_some(self.drops_null(field))
            }
            Test::Text { expected: false, .. } => None,
        }
    }

    /// Whether a record without a value is left out by whatever compares it. In some languages null is less than 5.
    fn drops_null(&self, field: &Field) -> bool {
        !field.nullable || self.rest.parameters.nulls == Some(Nulls::Dropped)
    }

    fn one_of(&mut self, id: FieldId, kind: &Type, values: &[Value]) -> Option<bool> {
        let texts: Vec<String> = values.iter().map(|value| text(kind, value)).collect::<Option<_>>()?;
        if self.is_implied(id, &texts) {
            return Some(true);
        }
        let said = match &*texts {
            [_] => self.say(id, Operator::Equal, &texts) || self.list(id, Operator::In, &texts),
            _ => self.list(id, Operator::In, &texts),
        };
        (said || self.list(id, Operator::Each, &texts)).then_some(true)
    }

    /// Whether the client asks for nothing but some of these itself.
    fn is_implied(&self, id: FieldId, texts: &[String]) -> bool {
        let among = |text: &str| texts.iter().any(|known| known == text);
        self.client.filter.comparisons().into_iter().filter(|comparison| comparison.field == id).any(|comparison| {
            match comparison.operator {
                Operator::Equal => among(&comparison.value),
                Operator::In => comparison.value.split(',').all(among),
                _ => false,
            }
        })
    }

    fn order(&mut self, id: FieldId, kind: &Type, sign: Sign, value: &Value) -> Option<bool> {
        let (operator, closed, step) = match sign {
            Sign::Less => (Operator::Less, Operator::LessOrEqual, -1),
            Sign::Greater => (Operator::Greater, Operator::GreaterOrEqual, 1),
            Sign::LessOrEqual => (Operator::LessOrEqual, Operator::LessOrEqual, 0),
            Sign::GreaterOrEqual => (Operator::GreaterOrEqual, Operator::GreaterOrEqual, 0),
        };
        if self.say(id, operator, &[text(kind, value)?]) {
            return Some(true);
        }
        // With its end, where that is the next integer or as near as can be said.
        match value {
            Value::Int(number) if operator != closed => {
                let next = Value::Int(number.checked_add(step)?);
                self.say(id, closed, &[text(kind, &next)?]).then_some(true)
            }
            value => self.say(id, closed, &[text(kind, value)?]).then_some(operator == closed),
        }
    }

    /// As a list, if it may be so long.
    fn list(&mut self, id: FieldId, operator: Operator, texts: &[String]) -> bool {
        if texts.len() > self.rest.parameters.list {
            return false;
        }
        match operator {
            Operator::Each => self.say(id, operator, texts),
            _ => !texts.iter().any(|text| text.contains(',')) && self.say(id, operator, &[texts.join(",")]),
        }
    }

    /// Adds comparisons with a field, if there is a name for them that nothing else has.
    fn say(&mut self, field: FieldId, operator: Operator, values: &[String]) -> bool {
        let Some(name) = spelling(self.rest, self.table, field, operator) else { return false };
        let is_taken = |taken: &String| *taken == name || is_part(taken, &name) || is_part(&name, taken);
        if self.names.iter().any(is_taken)
            || is_tenants(self.table, &name)
            || values.iter().any(|v| v.len() > MAX_VALUE)
        {
            return false;
        }
        let mut sent = String::new();
        for value in values {
            sent.push_str("&=");
            percent::encode(&name, &mut sent);
            percent::encode(value, &mut sent);
        }
        if self.bytes + sent.len() > MAX_ADDED {
            return false;
        }
        self.bytes += sent.len();
        self.names.push(name);
        let mut said: Vec<_> = values
            .iter()
            .map(|value| Condition::Is(Comparison { through: None, field, operator, value: value.clone() }))
            .collect();
        self.added.push(if said.len() == 1 { said.remove(0) } else { Condition::Or(said) });
        true
    }
}

/// A value as a parameter says it. `None`: it can't be said so that every server understands the same.
fn text(kind: &Type, value: &Value) -> Option<String> {
    value::spelled(kind, value).filter(|text| !text.is_empty())
}

/// An empty value is no value to many servers, and a filter without one is none.
fn sayable(kind: &Type, text: String) -> Option<String> {
    (!text.is_empty() && value::is_spelled(kind, &text)).then_some(text)
}
