//! `$apply`, as far as it can be judged: `filter(…)`, then `groupby((…),aggregate(…))` or `aggregate(…)`.
//!
//! Names are the table's own properties: paths, expressions, `from`, custom aggregates and all other transformations are
//! refused. The client's aliases never leave: the service is given names of the gateway's, and the answer bears the
//! client's. An order is by these names and by fields that are grouped by, and by nothing that the answer doesn't show. Source:
//! OData 4.0 Extension for Data Aggregation, sections 3.1, 3.10 and 3.12.

use super::filter;
use crate::api::{FieldId, Table};
use crate::dialect::figures::{By, Column, Columns, Figures, Function, Measure};
use crate::dialect::{Condition, value};
use crate::model::Name;

/// Bytes of one `$apply`.
const MAX_TEXT: usize = 8 * 1024;
const MAX_GROUPS: usize = 10;
const MAX_MEASURES: usize = 20;
const MAX_ALIAS: usize = 128;

/// `None`: it is refused, whatever the cause.
pub(super) fn parse(table: &Table, text: &str) -> Option<(Condition, Figures)> {
    let mut rest = Rest(text);
    (text.len() <= MAX_TEXT).then_some(())?;
    let condition = match rest.takes("filter") {
        true => {
            let condition = filter::parse(table, rest.parenthesised()?)?;
            rest.takes("/").then_some(())?;
            condition
        }
        false => Condition::default(),
    };
    let mut figures = Figures::default();
    if rest.takes("groupby") {
        rest.expect("(")?;
        rest.expect("(")?;
        loop {
            let field = scalar(table, rest.word()?)?;
            if figures.groups.contains(&field) || figures.groups.len() == MAX_GROUPS {
                return None;
            }
            figures.groups.push(field);
            if !rest.takes(",") {
                break;
            }
        }
        rest.expect(")")?;
        if rest.takes(",") {
            rest.expect("aggregate")?;
            aggregate(table, &mut rest, &mut figures)?;
        }
        rest.expect(")")?;
    } else {
        rest.expect("aggregate")?;
        aggregate(table, &mut rest, &mut figures)?;
    }
    rest.0.is_empty().then_some((condition, figures))
}

fn aggregate(table: &Table, rest: &mut Rest<'_>, figures: &mut Figures) -> Option<()> {
    rest.expect("(")?;
    loop {
        let measure = match rest.takes("$count") {
            true => {
                rest.expect("as")?;
                (Function::Count, None)
            }
            false => {
                let field = scalar(table, rest.word()?)?;
                rest.expect("with")?;
                let function = function(rest.word()?)?;
                rest.expect("as")?;
                (function, Some(field))
            }
        };
        let alias = rest.word()?;
        let is_taken = figures.measures.iter().any(|known| *known.alias == *alias)
            || figures.groups.iter().any(|field| *table.field(*field).name == *alias);
        if is_taken || alias.len() > MAX_ALIAS || figures.measures.len() == MAX_MEASURES {
            return None;
        }
        figures.measures.push(Measure { function: measure.0, of: measure.1, alias: alias.into() });
        if !rest.takes(",") {
            return rest.expect(")");
        }
    }
}

/// `$orderby` beside `$apply`: of what the answer names, each once.
pub(super) fn sort(table: &Table, figures: &Figures, text: &str) -> Option<Vec<(By, bool)>> {
    let mut sort: Vec<(By, bool)> = Vec::new();
    for item in text.split(',') {
        let (name, descending) = super::directed(item)?;
        let is_alias = |measure: &Measure| *measure.alias == *name;
        // Invariant: no alias is the name of a field that is grouped by.
        let by = match figures.measures.iter().position(is_alias) {
            Some(place) => By::Measure(place),
            None => By::Group(scalar(table, name).filter(|field| figures.groups.contains(field))?),
        };
        if sort.iter().any(|(known, _)| *known == by) {
            return None;
        }
        sort.push((by, descending));
    }
    Some(sort)
}

fn scalar(table: &Table, name: &str) -> Option<FieldId> {
    table.field_named(name).filter(|field| value::is_scalar(&table.field(*field).shape))
}

fn function(word: &str) -> Option<Function> {
    FUNCTIONS.iter().find(|(_, known)| *known == word).map(|(function, _)| *function)
}

const FUNCTIONS: [(Function, &str); 5] = [
    (Function::Sum, "sum"),
    (Function::Min, "min"),
    (Function::Max, "max"),
    (Function::Average, "average"),
    (Function::CountDistinct, "countdistinct"),
];

/// `conditions` are those of the tenant, the client and the policies, in the service's words.
pub(super) fn print(table: &Table, figures: &Figures, conditions: &str) -> String {
    let aliases = aliases(table, figures);
    let one = |(measure, alias): (&Measure, &Name)| {
        let word = FUNCTIONS.iter().find(|(known, _)| *known == measure.function).map(|(_, word)| word);
        match (measure.of, word) {
            (Some(field), Some(word)) => format!("{} with {word} as {alias}", table.field(field).name),
            // Invariant: the parser makes no others.
            _ => format!("$count as {alias}"),
        }
    };
    let measures: Vec<String> = figures.measures.iter().zip(&aliases).map(one).collect();
    let aggregate = format!("aggregate({})", measures.join(","));
    let names: Vec<&str> = figures.groups.iter().map(|field| &*table.field(*field).name).collect();
    let asked = match (names.is_empty(), measures.is_empty()) {
        (true, _) => aggregate,
        (false, true) => format!("groupby(({}))", names.join(",")),
        (false, false) => format!("groupby(({}),{aggregate})", names.join(",")),
    };
    if conditions.is_empty() { asked } else { format!("filter({conditions})/{asked}") }
}

/// An order in the names that the service was given.
pub(super) fn print_sort(table: &Table, figures: &Figures) -> String {
    let aliases = aliases(table, figures);
    let by = figures.ordered().filter_map(|(by, down)| {
        let name = match by {
            By::Group(field) => &table.field(field).name,
            By::Measure(place) => aliases.get(place)?,
        };
        Some(format!("{name}{}", if down { " desc" } else { "" }))
    });
    by.collect::<Vec<_>>().join(",")
}

/// What the service calls the measures: names that no property of the table has.
fn aliases(table: &Table, figures: &Figures) -> Vec<Name> {
    let mut free = (0..).map(|number| format!("figure{number}")).filter(|name| table.field_named(name).is_none());
    figures.measures.iter().filter_map(|_| free.next().map(Name::from)).collect()
}

pub(super) fn columns(table: &Table, figures: &Figures) -> Columns {
    let groups = figures.groups.iter().map(|field| Column::same(vec![Name::clone(&table.field(*field).name)]));
    let aliases = aliases(table, figures);
    let measures = figures
        .measures
        .iter()
        .zip(aliases)
        .map(|(measure, alias)| Column { at: vec![alias], told: vec![Name::clone(&measure.alias)] });
    Columns { all: groups.chain(measures).collect(), annotated: true }
}

/// What is left of the text.
struct Rest<'t>(&'t str);

impl<'t> Rest<'t> {
    fn takes(&mut self, sign: &str) -> bool {
        let Some(behind) = self.0.trim_start_matches(' ').strip_prefix(sign) else { return false };
        // A word ends where it ends.
        let is_longer = sign.ends_with(is_part) && behind.starts_with(is_part);
        if !is_longer {
            self.0 = behind.trim_start_matches(' ');
        }
        !is_longer
    }

    fn expect(&mut self, sign: &str) -> Option<()> {
        self.takes(sign).then_some(())
    }

    /// A name: letters, digits and `_`, not beginning with a digit.
    fn word(&mut self) -> Option<&'t str> {
        let text = self.0.trim_start_matches(' ');
        let (word, behind) = text.split_at_checked(text.find(|c| !is_part(c)).unwrap_or(text.len()))?;
        if !word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return None;
        }
        self.0 = behind.trim_start_matches(' ');
        Some(word)
    }

    /// What stands between a parenthesis and its own end. In texts there are none.
    fn parenthesised(&mut self) -> Option<&'t str> {
        let text = self.0.strip_prefix('(')?;
        let (mut open, mut quoted) = (0_usize, false);
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                // Two within a text end it and begin it again.
                b'\'' => quoted = !quoted,
                b'(' if !quoted => open += 1,
                b')' if !quoted && open > 0 => open -= 1,
                b')' if !quoted => {
                    let (inner, behind) = text.split_at_checked(at)?;
                    self.0 = behind.strip_prefix(')')?;
                    return Some(inner);
                }
                _ => {}
            }
        }
        None
    }
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
