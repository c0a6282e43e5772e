//! `aggregate` and `groupBy`: functions of columns, and columns that groups have in common.
//!
//! Both spellings of `aggregate` are read, JSON and brackets. Functions in `groupBy` (`year(…)`), paths and what else is no
//! column are refused. The server names a value `sum.amount`, a count of records `count`: what would bear one name twice
//! is refused, for it would be told once.

use super::raw::Node;
use super::{List, sorted};
use crate::api::{FieldId, Table};
use crate::dialect::figures::{By, Column, Columns, Figures, Function, Measure};
use crate::dialect::value;
use crate::model::Name;

const MAX_GROUPS: usize = 10;
const MAX_MEASURES: usize = 20;

/// (function, the server's word, of records and not of a column)
const FUNCTIONS: [(Function, &str, bool); 10] = [
    (Function::Count, "count", false),
    (Function::Count, COUNT, true),
    (Function::Count, "countAll", true),
    (Function::CountDistinct, "countDistinct", false),
    (Function::Sum, "sum", false),
    (Function::SumDistinct, "sumDistinct", false),
    (Function::Average, "avg", false),
    (Function::AverageDistinct, "avgDistinct", false),
    (Function::Min, "min", false),
    (Function::Max, "max", false),
];
/// With `*`, of records.
const COUNT: &str = "count";

/// What a client has written of both.
#[derive(Default)]
pub(super) struct Written<'p> {
    json: Option<&'p str>,
    /// (function, brackets after it, columns)
    functions: Vec<(&'p str, List<'p>)>,
    pub(super) groups: List<'p>,
}

impl<'p> Written<'p> {
    /// `aggregate` or `aggregate[sum]`, `aggregate[sum][]`, `aggregate[sum][0]`.
    pub(super) fn take(&mut self, brackets: &'p str, text: &'p str) -> Option<()> {
        if brackets.is_empty() {
            return self.json.replace(text).is_none().then_some(());
        }
        let (function, rest) = brackets.strip_prefix('[')?.split_once(']')?;
        match self.functions.iter_mut().find(|(known, _)| *known == function) {
            Some((_, list)) => list.take(rest, text),
            None => {
                let mut list = List::default();
                list.take(rest, text)?;
                self.functions.push((function, list));
                (self.functions.len() <= MAX_MEASURES).then_some(())
            }
        }
    }

    /// `Some(None)`: neither is there.
    pub(super) fn figures(&self, table: &Table, sort: &List<'_>) -> Option<Option<Figures>> {
        let mut figures = Figures::default();
        match (self.json, self.functions.as_slice()) {
            (None, functions) => {
                for (word, list) in functions {
                    for name in list.names()? {
                        measure(table, word, name, &mut figures)?;
                    }
                }
            }
            (Some(text), []) => {
                let Node::Object(members) = Node::parse(text)? else { return None };
                for (word, names) in &members {
                    for name in columns_of(names)? {
                        measure(table, word, name, &mut figures)?;
                    }
                }
            }
            (Some(_), _) => return None,
        }
        for name in self.groups.names()? {
            let field = scalar(table, name)?;
            if figures.groups.contains(&field) || figures.groups.len() == MAX_GROUPS {
                return None;
            }
            figures.groups.push(field);
        }
        if figures == Figures::default() {
            // What is written and names nothing is no list of records either.
            return (self.json.is_none() && self.functions.is_empty()).then_some(None);
        }
        let sort = sorted(table, &sort.names()?)?;
        let is_grouped = sort.iter().all(|(field, _)| figures.groups.contains(field));
        figures.sort = sort.into_iter().map(|(field, down)| (By::Group(field), down)).collect();
        (is_grouped && is_told_once(table, &figures)).then_some(Some(figures))
    }
}

fn columns_of(names: &Node) -> Option<Vec<&str>> {
    match names {
        Node::Text(text) => Some(text.split(',').map(|name| name.trim_matches(' ')).collect()),
        Node::List(all) => {
            fn text(node: &Node) -> Option<&str> {
                if let Node::Text(text) = node { Some(text) } else { None }
            }
            all.iter().map(text).collect::<Option<Vec<&str>>>().filter(|all| !all.is_empty())
        }
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::Object(_) => None,
    }
}

fn measure(table: &Table, word: &str, name: &str, figures: &mut Figures) -> Option<()> {
    let of_records = name == "*";
    let (function, word, _) = FUNCTIONS.iter().find(|(_, known, records)| *known == word && *records == of_records)?;
    let of = if of_records { None } else { Some(scalar(table, name)?) };
    let made = Measure { function: *function, of, alias: (*word).into() };
    if figures.measures.contains(&made) || figures.measures.len() == MAX_MEASURES {
        return None;
    }
    figures.measures.push(made);
    Some(())
}

fn scalar(table: &Table, name: &str) -> Option<FieldId> {
    table.field_named(name).filter(|field| value::is_scalar(&table.field(*field).shape))
}

/// Whether no member of the answer has the name of another.
fn is_told_once(table: &Table, figures: &Figures) -> bool {
    let groups: Vec<&Name> = figures.groups.iter().map(|field| &table.field(*field).name).collect();
    figures.measures.iter().all(|measure| {
        let clashes = |other: &Measure| other.alias == measure.alias && other.of.is_some() != measure.of.is_some();
        !groups.contains(&&measure.alias) && !figures.measures.iter().any(clashes)
    })
}

/// `aggregate` as JSON.
pub(super) fn print(table: &Table, figures: &Figures) -> Option<String> {
    let mut members: Vec<(String, Node)> = Vec::new();
    for measure in &figures.measures {
        let name = measure.of.map_or("*", |field| &table.field(field).name);
        let column = Node::Text(name.to_owned());
        match members.iter_mut().find(|(word, _)| *word == *measure.alias) {
            Some((_, Node::List(columns))) => columns.push(column),
            _ => members.push((measure.alias.to_string(), Node::List(vec![column]))),
        }
    }
    (!members.is_empty()).then(|| Node::Object(members).to_string())
}

pub(super) fn columns(table: &Table, figures: &Figures) -> Columns {
    let name = |field: FieldId| Name::clone(&table.field(field).name);
    let groups = figures.groups.iter().map(|field| vec![name(*field)]);
    let measures = figures
        .measures
        .iter()
        .map(|measure| std::iter::once(Name::clone(&measure.alias)).chain(measure.of.map(name)).collect());
    Columns { all: groups.chain(measures).map(Column::same).collect(), annotated: false }
}
