//! An upstream in memory, with SQL's nulls, that compares no better than its description says.

use std::cmp::Ordering;
use std::sync::Arc;

use super::super::differential::choices::Choices;
use super::super::differential::records::Record;
use super::*;
use crate::api::{Nulls, Operator, Parameters, Place, Push, Records, Rest, Shape};
use crate::dialect::{Added, Comparison, Condition};
use crate::model;
use crate::model::Name;
use crate::model::filter::{Leaf, Part, Sign, Test};
use crate::model::value::{Decimal, Type};
use crate::policy::decode;
use crate::policy::slots::{Layout, Slot};

/// A record as an upstream holds it.
pub(super) struct Row<'r> {
    pub(super) raw: &'r str,
    pub(super) slots: Slots<'r>,
    columns: BTreeMap<Vec<Name>, Held>,
    /// Whether all of it is as it was declared.
    pub(super) is_declared: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Held {
    Null,
    /// Something of another type.
    Wrong,
    Value(model::Value),
}

impl<'r> Row<'r> {
    pub(super) fn new(record: &'r Record, layout: &Layout, table: &Table) -> Self {
        let slots = record.slots(layout);
        let mut columns = BTreeMap::new();
        let mut is_declared = true;
        let mut hold = |path: &[&str], of: &Type, nullable: bool, must: bool| {
            let path: Vec<Name> = path.iter().map(|name| Name::from(*name)).collect();
            let slot = layout.find(&path).map(|slot| slots.get(slot));
            let held = match slot {
                Some(Slot::Raw(raw)) => match decode::value(raw, of) {
                    Ok(Value::Null) => Held::Null,
                    Ok(value) => value.into_model().map_or(Held::Wrong, Held::Value),
                    Err(_) => Held::Wrong,
                },
                _ => {
                    is_declared &= !must;
                    Held::Null
                }
            };
            is_declared &= held != Held::Wrong && (nullable || held != Held::Null);
            columns.insert(path, held);
        };
        for field in table.fields.iter() {
            match &field.shape {
                Shape::Plain(of) => {
                    let id = ["organization_id", "app_id", "account_id"].contains(&&*field.name);
                    hold(&[&field.name], of, field.nullable || id, !id);
                }
                Shape::One { .. } => {
                    hold(&[&field.name], &Type::Json, true, false);
                    for name in ["region", "name"] {
                        hold(&[&field.name, name], &Type::String, true, false);
                    }
                }
                Shape::Many { .. } => {}
            }
        }
        Self { raw: record.raw(), slots, columns, is_declared }
    }
}

/// What an upstream makes of its columns, and how it is asked.
pub(super) struct Server {
    pub(super) table: Table,
    pub(super) rest: Rest,
    /// Whether it cuts what it is asked for as it cuts what it holds.
    cuts: bool,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let push: Vec<_> = self.table.fields.iter().filter_map(|f| Some((&f.name, f.push?))).collect();
        let parameters = &self.rest.parameters;
        write!(f, "{push:?} {:?} {:?} {}", parameters.filter, parameters.nulls, parameters.list)
    }
}

fn words(of: &Type) -> &'static [Push] {
    match of {
        Type::String => &[Push::Exact, Push::Ordered, Push::Loose],
        Type::Int | Type::Decimal => &[Push::Exact, Push::Double, Push::Rounded],
        Type::Double => &[Push::Exact, Push::Rounded],
        Type::Timestamp => &[Push::Exact, Push::Seconds, Push::Milliseconds, Push::Microseconds],
        Type::Bool | Type::Date => &[Push::Exact],
        Type::Duration | Type::List(_) | Type::Map(_) | Type::Json => &[],
    }
}

impl Server {
    pub(super) fn new(table: &Table, choices: &mut Choices<'_>) -> Self {
        let fields = table.fields.iter().map(|field| {
            let push = match &field.shape {
                Shape::Plain(of) if !words(of).is_empty() && !choices.rarely(6) => Some(choices.one(words(of))),
                _ => None,
            };
            let shape = match &field.shape {
                Shape::Plain(of) => Shape::Plain(of.clone()),
                Shape::One { table, by } => Shape::One { table: *table, by: *by },
                Shape::Many { table } => Shape::Many { table: *table },
            };
            crate::api::Field {
                name: field.name.clone(),
                shape,
                nullable: field.nullable,
                tags: Vec::new(),
                derived_from: Vec::new(),
                keys_of: None,
                default: None,
                push,
            }
        });
        let fields = fields.collect();
        let bracketed = choices.rarely(2);
        let spelled = |operator: Operator| -> Name {
            match operator {
                Operator::Equal | Operator::Each => "{field}".into(),
                other if bracketed => format!("{{field}}[{}]", other.word()).into(),
                other => format!("{{field}}_{}", other.word()).into(),
            }
        };
        let filter = Operator::ALL.into_iter().filter(|_| !choices.rarely(4)).map(|o| (o, spelled(o))).collect();
        let parameters = Parameters {
            filter,
            nulls: choices.one(&[None, Some(Nulls::Dropped), Some(Nulls::Kept)]),
            list: choices.one(&[100, 2]),
            ..Parameters::default()
        };
        let rest = Rest {
            list: Records::Array(Place::default()),
            record: Place::default(),
            total: None,
            keep: Vec::new(),
            parameters,
        };
        let table = Table {
            id: table.id,
            api: table.api,
            name: table.name.clone(),
            key: table.key,
            owner: table.owner,
            tenant: Tenancy::Shared,
            tenant_filter: vec![("organization_id".into(), "organization_id".into())],
            tenant_body: Vec::new(),
            fields,
            related: Arc::default(),
            absent_is_null: table.absent_is_null,
            empty_is_null: false,
            container: None,
            in_place: false,
            race: table.race,
            cascades: Vec::new(),
            client_keys: table.client_keys,
            inexact_paging: table.inexact_paging,
            search: Vec::new(),
        };
        Self { table, rest, cuts: choices.rarely(2) }
    }

    /// One that compares exactly, and text by its code points.
    pub(super) fn exact() -> Exactly {
        Exactly
    }

    /// A client's query: a comparison or two, as such a one may be.
    pub(super) fn client(&self, choices: &mut Choices<'_>) -> Query {
        let mut query = Query::default();
        for _ in 0..choices.below(3) {
            let (name, value) = choices.one(&[
                ("name", "a"),
                ("name", "u2"),
                ("note", "ab"),
                ("qty", "1"),
                ("qty", "7"),
                ("active", "true"),
                ("amount", "10.5"),
            ]);
            let operator = choices.one(&[Operator::Equal, Operator::Equal, Operator::NotEqual, Operator::In]);
            let field = self.table.field_named(name).expect("a field");
            let spelled = rest::spelling(&self.rest, &self.table, field, operator).is_some();
            if spelled && !query.filter.comparisons().iter().any(|known| known.field == field) {
                query.filter =
                    query.filter.and(Condition::Is(Comparison { through: None, field, operator, value: value.into() }));
            }
        }
        query
    }

    /// No name is said twice but where that is a list, and none that could be a part of another.
    pub(super) fn check(&self, client: &Query, added: &Added) -> Result<(), String> {
        let name = |c: &Comparison| rest::spelling(&self.rest, &self.table, c.field, c.operator);
        let own: Vec<(String, Operator)> =
            added.condition.comparisons().into_iter().filter_map(|c| Some((name(c)?, c.operator))).collect();
        let clients: Vec<String> = client.filter.comparisons().into_iter().filter_map(name).collect();
        if own.len() != added.condition.comparisons().len() {
            return Err(format!("{added:?} has no spelling in {self:?}"));
        }
        let is_part = |a: &str, b: &str| b.strip_prefix(a).is_some_and(|rest| rest.starts_with('['));
        for (at, (one, operator)) in own.iter().enumerate() {
            let among_own = own.iter().enumerate().any(|(other, (two, other_operator))| {
                let is_list = *operator == Operator::Each && other_operator == operator && one == two;
                other != at && !is_list && (one == two || is_part(one, two))
            });
            let among_clients = clients.iter().any(|two| one == two || is_part(one, two) || is_part(two, one));
            if among_own || among_clients || one.starts_with("organization_id") && one != "organization_id_ne" {
                return Err(format!("{one} of {added:?} beside {client:?}"));
            }
        }
        Ok(())
    }

    /// Whether it can hold the row at all: what it keeps as floats is no longer than a float.
    pub(super) fn holds(&self, row: &Row<'_>) -> bool {
        row.is_declared
            && self.table.fields.iter().filter(|field| field.push == Some(Push::Double)).all(|field| {
                match row.columns.get(std::slice::from_ref(&field.name)) {
                    Some(Held::Value(model::Value::Int(number))) => number.unsigned_abs() <= 1 << 53,
                    Some(Held::Value(model::Value::Decimal(number))) => {
                        let float: f64 = number.to_string().parse().expect("a number");
                        Decimal::parse(&float.to_string()).as_ref() == Some(number)
                    }
                    _ => true,
                }
            })
    }

    pub(super) fn passes(&self, filter: &Filter, row: &Row<'_>) -> bool {
        passes(
            filter,
            row,
            &|leaf| match &*leaf.column {
                [name] => self.table.field_named(name).and_then(|field| self.table.field(field).push),
                _ => None,
            },
            self.cuts,
        )
    }

    /// What it makes of a query's parameters.
    pub(super) fn finds(&self, query: &Query, row: &Row<'_>) -> bool {
        self.meets(&query.filter, row)
    }

    pub(super) fn meets(&self, condition: &Condition, row: &Row<'_>) -> bool {
        match condition {
            Condition::And(parts) => parts.iter().all(|part| self.meets(part, row)),
            Condition::Or(parts) => parts.iter().any(|part| self.meets(part, row)),
            Condition::Not(part) => !self.meets(part, row),
            Condition::Is(comparison) => self.finds_one(comparison, row),
        }
    }

    fn finds_one(&self, comparison: &Comparison, row: &Row<'_>) -> bool {
        let field = self.table.field(comparison.field);
        let column: Arc<[Name]> = [field.name.clone()].into();
        let Shape::Plain(of) = &field.shape else { panic!("no column") };
        let one = |text: &str| read(of, text);
        let list = || comparison.value.split(',').map(one).collect::<Arc<[_]>>();
        let single = || [one(&comparison.value)].into();
        let order = |sign| Test::Order(sign, one(&comparison.value));
        let text = |part| Test::Text { part, text: comparison.value.as_str().into(), expected: true };
        let test = match comparison.operator {
            Operator::Equal | Operator::Each => Test::OneOf(single()),
            Operator::In => Test::OneOf(list()),
            Operator::NotEqual => Test::NoneOf(single()),
            Operator::NotIn => Test::NoneOf(list()),
            Operator::Less => order(Sign::Less),
            Operator::LessOrEqual => order(Sign::LessOrEqual),
            Operator::Greater => order(Sign::Greater),
            Operator::GreaterOrEqual => order(Sign::GreaterOrEqual),
            Operator::Null if comparison.value == "true" => Test::Null,
            Operator::Null => Test::NotNull,
            Operator::StartsWith | Operator::StartsWithAnyCase => text(Part::Start),
            Operator::EndsWith | Operator::EndsWithAnyCase => text(Part::End),
            Operator::Contains | Operator::ContainsAnyCase => text(Part::Anywhere),
        };
        let held = row.columns.get(&column[..]);
        // Where it is not said that it drops them, null may be unlike and less than anything.
        let kept = matches!(test, Test::NoneOf(_) | Test::Order(..))
            && self.rest.parameters.nulls != Some(Nulls::Dropped)
            && held == Some(&Held::Null);
        // Patterns fold letters also where `=` does not.
        let folded = match (&test, held) {
            (Test::Text { part, text, .. }, Some(Held::Value(model::Value::String(held)))) => {
                is_found(*part, &held.to_lowercase(), &text.to_lowercase())
            }
            _ => false,
        };
        // What nobody vouches for is compared as badly as can be.
        let push = field.push.or(words(of).last().copied());
        kept || folded || passes(&Filter::Leaf(Leaf { column, test }), row, &|_| push, self.cuts)
    }
}

pub(super) struct Exactly;

impl Exactly {
    pub(super) fn passes(&self, filter: &Filter, row: &Row<'_>) -> bool {
        passes(filter, row, &|_| Some(Push::Ordered), false)
    }
}

fn read(of: &Type, text: &str) -> model::Value {
    let read = match of {
        Type::String => Some(model::Value::string(text)),
        Type::Bool => text.parse().ok().map(model::Value::Bool),
        Type::Int => text.parse().ok().map(model::Value::Int),
        Type::Double => text.parse().ok().map(model::Value::Double),
        Type::Decimal => Decimal::parse(text).map(model::Value::Decimal),
        Type::Timestamp | Type::Date => decode::timestamp(text).map(model::Value::Timestamp),
        _ => None,
    };
    read.unwrap_or_else(|| panic!("{text} is no {of}"))
}

fn passes(filter: &Filter, row: &Row<'_>, push: &dyn Fn(&Leaf) -> Option<Push>, cuts: bool) -> bool {
    match filter {
        Filter::All => true,
        Filter::None => false,
        Filter::And(parts) => parts.iter().all(|part| passes(part, row, push, cuts)),
        Filter::Or(parts) => parts.iter().any(|part| passes(part, row, push, cuts)),
        Filter::Leaf(leaf) => {
            let held = row.columns.get(&leaf.column[..]).unwrap_or_else(|| panic!("{leaf:?} on {}", row.raw));
            match (held, &leaf.test) {
                (Held::Null, test) => *test == Test::Null,
                (_, Test::Null) => false,
                (_, Test::NotNull) => true,
                (Held::Wrong, _) => false,
                (Held::Value(held), test) => compared(held, test, push(leaf).expect("vouched for"), cuts),
            }
        }
    }
}

/// A column's value as the upstream sees it.
fn seen(value: &model::Value, push: Push) -> model::Value {
    use model::Value;
    let number = |text: String| Value::Double(text.parse().expect("a number"));
    let unit = match push {
        Push::Seconds => 1_000_000_000,
        Push::Milliseconds => 1_000_000,
        Push::Microseconds => 1_000,
        _ => 1,
    };
    match (value, push) {
        (Value::Int(of), Push::Double | Push::Rounded) => number(of.to_string()),
        (Value::Decimal(of), Push::Double | Push::Rounded) => number(of.to_string()),
        (Value::String(text), Push::Loose) => Value::string(text.to_lowercase().trim_end()),
        (Value::Timestamp(at), _) => {
            let nanos = at.as_nanosecond();
            Value::Timestamp(jiff::Timestamp::from_nanosecond(nanos - nanos.rem_euclid(unit)).expect("near"))
        }
        (value, _) => value.clone(),
    }
}

fn is_found(part: Part, held: &str, text: &str) -> bool {
    match part {
        Part::Start => held.starts_with(text),
        Part::End => held.ends_with(text),
        Part::Anywhere => held.contains(text),
    }
}

fn compared(held: &model::Value, test: &Test, push: Push, cuts: bool) -> bool {
    use model::Value;
    let cut = seen(held, push);
    let wanted = |value: &Value| match value {
        Value::Timestamp(_) if !cuts => value.clone(),
        value => seen(value, push),
    };
    let equal = |value: &Value| order(&cut, &wanted(value), Push::Ordered) == Some(Ordering::Equal);
    match test {
        Test::Null | Test::NotNull => unreachable!("answered before"),
        Test::OneOf(values) => values.iter().any(equal),
        Test::NoneOf(values) => !values.iter().any(equal),
        Test::Order(sign, value) => {
            let Some(order) = order(&cut, &wanted(value), push) else { return false };
            match sign {
                Sign::Less => order.is_lt(),
                Sign::LessOrEqual => order.is_le(),
                Sign::Greater => order.is_gt(),
                Sign::GreaterOrEqual => order.is_ge(),
            }
        }
        Test::Text { part, text, expected } => {
            let (Value::String(held), Value::String(text)) = (&cut, &wanted(&Value::String(text.clone()))) else {
                return false;
            };
            is_found(*part, held, text) == *expected
        }
    }
}

fn order(a: &model::Value, b: &model::Value, push: Push) -> Option<Ordering> {
    use model::Value;
    match (a, b) {
        // A locale's order, where nothing better is promised.
        (Value::String(a), Value::String(b)) if push != Push::Ordered => {
            Some(a.to_lowercase().chars().rev().cmp(b.to_lowercase().chars().rev()))
        }
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Decimal(a), Value::Decimal(b)) => Some(a.cmp(b)),
        (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        _ => panic!("{a:?} beside {b:?}"),
    }
}
