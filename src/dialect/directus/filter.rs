//! A client's filter, understood: comparisons of columns with values of their types.
//!
//! Each member of an object is one condition beside the others; `_and` and `_or` hold lists, also below a column's name.
//! Below the column of a to-one relation, columns of the related record have names, too. Deeper ones, functions, and
//! operators that a column's type doesn't have are refused like what is not there.

use super::raw::Node;
use super::value;
use crate::api::{FieldId, Operator, Shape, Table};
use crate::dialect::{Comparison, Condition};
use crate::model::Name;
use crate::model::value::Type;

/// Conditions within each other.
const MAX_DEPTH: usize = 32;
const MAX_COMPARISONS: usize = 200;

/// `None`: it is refused, whatever the cause.
pub(super) fn condition(table: &Table, node: &Node) -> Option<Condition> {
    let mut reading = Reading { table, comparisons: 0 };
    reading.whole(node, None, 0)
}

struct Reading<'t> {
    table: &'t Table,
    comparisons: usize,
}

/// A column of the table, or of the record that a to-one relation leads to.
#[derive(Clone, Copy)]
struct Column<'t> {
    through: Option<FieldId>,
    field: FieldId,
    kind: &'t Type,
}

impl<'t> Reading<'t> {
    /// An object's members, all of which must hold, of a column if one was named.
    fn whole(&mut self, node: &Node, column: Option<Column<'t>>, depth: usize) -> Option<Condition> {
        let Node::Object(members) = node else { return None };
        let mut all = Condition::default();
        for (name, member) in members {
            all = all.and(self.member(name, member, column, depth)?);
        }
        Some(all)
    }

    fn member(&mut self, name: &str, member: &Node, column: Option<Column<'t>>, depth: usize) -> Option<Condition> {
        if depth == MAX_DEPTH {
            return None;
        }
        if let "_and" | "_or" = name {
            let mut parts = Vec::new();
            for element in member.elements().filter(|elements| !elements.is_empty())? {
                parts.push(self.whole(element, column, depth + 1)?);
            }
            return Some(if name == "_and" { Condition::And(parts) } else { Condition::Or(parts) });
        }
        let of = match column {
            None => self.column(None, name)?,
            Some(column) if name.starts_with('_') => return self.comparison(column, name, member),
            Some(Column { through: None, field, .. }) => {
                let relation = self.table.relation_by(&self.table.field(field).name)?;
                self.column(Some(relation), name)?
            }
            Some(_) => return None,
        };
        match member {
            Node::Object(_) => self.whole(member, Some(of), depth + 1),
            value => self.comparison(of, "_eq", value),
        }
    }

    fn column(&self, through: Option<FieldId>, name: &str) -> Option<Column<'t>> {
        let before = through.map(|relation| Name::clone(&self.table.field(relation).name));
        let names: Vec<Name> = before.into_iter().chain([Name::from(name)]).collect();
        let (through, field) = self.table.column(&names)?;
        match &self.table.reached(through, field)?.shape {
            Shape::Plain(kind) => Some(Column { through, field, kind }),
            Shape::One { .. } | Shape::Many { .. } => None,
        }
    }

    fn comparison(&mut self, column: Column<'t>, operator: &str, node: &Node) -> Option<Condition> {
        let kind = column.kind;
        let is_text = *kind == Type::String;
        let is_ordered = value::is_ordered(kind);
        if !is_text && !is_ordered && *kind != Type::Bool {
            return None;
        }
        let mut of = Of { reading: self, column };
        match operator {
            "_eq" if *node == Node::Null => of.null(true),
            "_neq" if *node == Node::Null => of.null(false),
            "_null" => of.null(truth(node)?),
            "_nnull" => of.null(!truth(node)?),
            "_eq" => of.is(Operator::Equal, node),
            "_neq" => of.is(Operator::NotEqual, node),
            "_lt" if is_ordered => of.is(Operator::Less, node),
            "_lte" if is_ordered => of.is(Operator::LessOrEqual, node),
            "_gt" if is_ordered => of.is(Operator::Greater, node),
            "_gte" if is_ordered => of.is(Operator::GreaterOrEqual, node),
            "_between" | "_nbetween" if is_ordered => of.between(node, operator == "_between"),
            "_in" if is_text || is_ordered => of.each(Operator::Equal, node).map(Condition::Or),
            "_nin" if is_text || is_ordered => of.each(Operator::NotEqual, node).map(Condition::And),
            "_empty" if is_text => of.empty(truth(node)?),
            "_nempty" if is_text => of.empty(!truth(node)?),
            pattern if is_text => {
                let (operator, expected) = searching(pattern)?;
                let found = of.is(operator, node)?;
                Some(if expected { found } else { Condition::Not(Box::new(found)) })
            }
            _ => None,
        }
    }
}

/// Comparisons with one column.
struct Of<'r, 't> {
    reading: &'r mut Reading<'t>,
    column: Column<'t>,
}

impl Of<'_, '_> {
    fn said(&mut self, operator: Operator, value: String) -> Option<Condition> {
        self.reading.comparisons += 1;
        let is_room = self.reading.comparisons <= MAX_COMPARISONS;
        let Column { through, field, .. } = self.column;
        is_room.then_some(Condition::Is(Comparison { through, field, operator, value }))
    }

    fn is(&mut self, operator: Operator, node: &Node) -> Option<Condition> {
        let value = value::of(self.column.kind, operator, node)?;
        self.said(operator, value)
    }

    fn null(&mut self, is_null: bool) -> Option<Condition> {
        self.said(Operator::Null, is_null.to_string())
    }

    /// To the server what is empty is null, or a text without characters.
    fn empty(&mut self, is_empty: bool) -> Option<Condition> {
        let null = self.null(is_empty)?;
        Some(if is_empty {
            Condition::Or(vec![null, self.said(Operator::Equal, String::new())?])
        } else {
            Condition::And(vec![null, self.said(Operator::NotEqual, String::new())?])
        })
    }

    fn between(&mut self, node: &Node, inside: bool) -> Option<Condition> {
        let values = values(node)?;
        let [low, high] = values.as_slice() else { return None };
        Some(if inside {
            Condition::And(vec![self.is(Operator::GreaterOrEqual, low)?, self.is(Operator::LessOrEqual, high)?])
        } else {
            Condition::Or(vec![self.is(Operator::Less, low)?, self.is(Operator::Greater, high)?])
        })
    }

    fn each(&mut self, operator: Operator, node: &Node) -> Option<Vec<Condition>> {
        let values = values(node).filter(|values| !values.is_empty())?;
        values.iter().map(|value| self.is(operator, value)).collect()
    }
}

/// A list, or a text with commas between its elements.
fn values(node: &Node) -> Option<Vec<Node>> {
    match node {
        Node::Text(text) => Some(text.split(',').map(|part| Node::Text(part.to_owned())).collect()),
        node => node.elements().map(|elements| elements.into_iter().cloned().collect()),
    }
}

fn truth(node: &Node) -> Option<bool> {
    match node {
        Node::Bool(truth) => Some(*truth),
        Node::Text(text) => text.parse().ok(),
        Node::Null | Node::Number(_) | Node::List(_) | Node::Object(_) => None,
    }
}

/// An operator that looks for a part of a text, and whether it is to be found.
pub(super) fn searching(word: &str) -> Option<(Operator, bool)> {
    PATTERNS.iter().find_map(|(operator, found, not_found)| {
        if *found == word {
            Some((*operator, true))
        } else {
            (*not_found == word && !word.is_empty()).then_some((*operator, false))
        }
    })
}

/// Operators, their words, and the words for what is not so; one has none.
pub(super) const PATTERNS: [(Operator, &str, &str); 6] = [
    (Operator::Contains, "_contains", "_ncontains"),
    (Operator::StartsWith, "_starts_with", "_nstarts_with"),
    (Operator::EndsWith, "_ends_with", "_nends_with"),
    (Operator::ContainsAnyCase, "_icontains", ""),
    (Operator::StartsWithAnyCase, "_istarts_with", "_nistarts_with"),
    (Operator::EndsWithAnyCase, "_iends_with", "_niends_with"),
];
