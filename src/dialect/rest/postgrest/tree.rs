//! The client's side of PostgREST's filters: `eq.5` behind a column's parameter, and trees of `and` and `or`.
//!
//! Negation is handed down to the tests, in which it has a meaning of its own: `not.or=(a.eq.1,b.is.null)` is that `a` differs
//! from 1 and `b` has a value. What has no value passes neither a test nor its negation, as in PostgREST.

use crate::api::{FieldId, Operator, Shape, Table};
use crate::dialect::{Comparison, Condition, value};
use crate::model::value::Type;

/// Of one query.
const MAX_COMPARISONS: usize = 100;
const MAX_DEPTH: usize = 8;
/// Values of one list.
const MAX_LIST: usize = 100;

/// One query's filters, as far as they may go.
pub(super) struct Reading<'t> {
    table: &'t Table,
    /// Comparisons that are left.
    left: usize,
}

/// Where a test stands: in a parameter of its own all that is left is its value, in a tree signs end it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Parameter,
    Tree,
}

/// Whether nothing in a text means anything else in a pattern.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(['%', '_', '*', '\\'])
}

impl<'t> Reading<'t> {
    pub(super) fn new(table: &'t Table) -> Self {
        Self { table, left: MAX_COMPARISONS }
    }

    /// `gte.18`, of a column that is its parameter.
    pub(super) fn parameter(&mut self, column: FieldId, text: &str) -> Option<Condition> {
        let mut rest = text;
        let test = self.test(column, &mut rest, Within::Parameter, false)?;
        rest.is_empty().then_some(test)
    }

    /// `(a.eq.1,or(b.gt.2,c.is.null))`, of a parameter that says how its parts go together.
    pub(super) fn group(&mut self, word: &str, text: &str) -> Option<Condition> {
        let (word, negated) = word.strip_prefix("not.").map_or((word, false), |word| (word, true));
        let mut rest = text;
        let group = self.parts(&mut rest, word == "or", negated, 0)?;
        rest.is_empty().then_some(group)
    }

    /// Recursion is bounded by [`MAX_DEPTH`].
    fn parts(&mut self, rest: &mut &str, any: bool, negated: bool, depth: usize) -> Option<Condition> {
        if depth == MAX_DEPTH {
            return None;
        }
        eat(rest, "(").then_some(())?;
        let mut parts = Vec::new();
        loop {
            parts.push(self.part(rest, negated, depth)?);
            if eat(rest, ")") {
                // Not all of them is any that isn't (De Morgan), whatever is null.
                return Some(if any == negated { Condition::And(parts) } else { Condition::Or(parts) });
            }
            eat(rest, ",").then_some(())?;
        }
    }

    fn part(&mut self, rest: &mut &str, negated: bool, depth: usize) -> Option<Condition> {
        let negated = negated != eat(rest, "not.");
        for (word, any) in [("and", false), ("or", true)] {
            if let Some(behind) = rest.strip_prefix(word).filter(|behind| behind.starts_with('(')) {
                *rest = behind;
                return self.parts(rest, any, negated, depth + 1);
            }
        }
        let (name, behind) = rest.split_once('.')?;
        *rest = behind;
        self.test(self.table.field_named(name)?, rest, Within::Tree, negated)
    }

    fn test(&mut self, column: FieldId, rest: &mut &str, within: Within, negated: bool) -> Option<Condition> {
        self.left = self.left.checked_sub(1)?;
        let field = self.table.field(column);
        let Shape::Plain(kind) = &field.shape else { return None };
        if !value::is_scalar(&field.shape) {
            return None;
        }
        let negated = negated != eat(rest, "not.");
        let (word, behind) = rest.split_once('.')?;
        *rest = behind;
        let is = |operator, value: String| {
            let fits = value::fits(kind, operator, &value);
            fits.then_some(Condition::Is(Comparison { through: None, field: column, operator, value }))
        };
        let either = |holds, fails| if negated { fails } else { holds };
        match word {
            "eq" => is(either(Operator::Equal, Operator::NotEqual), text(rest, within)?),
            "neq" => is(either(Operator::NotEqual, Operator::Equal), text(rest, within)?),
            "lt" => is(either(Operator::Less, Operator::GreaterOrEqual), text(rest, within)?),
            "lte" => is(either(Operator::LessOrEqual, Operator::Greater), text(rest, within)?),
            "gt" => is(either(Operator::Greater, Operator::LessOrEqual), text(rest, within)?),
            "gte" => is(either(Operator::GreaterOrEqual, Operator::Less), text(rest, within)?),
            "in" => {
                let operator = either(Operator::Equal, Operator::NotEqual);
                let mut values = Vec::new();
                for value in list(rest)? {
                    // Lists count as what they hold.
                    self.left = self.left.checked_sub(usize::from(!values.is_empty()))?;
                    values.push(is(operator, value)?);
                }
                Some(if negated { Condition::And(values) } else { Condition::Or(values) })
            }
            "is" => {
                let null = |is_null: bool| is(Operator::Null, is_null.to_string());
                match text(rest, within)?.as_str() {
                    "null" => null(!negated),
                    "not_null" => null(negated),
                    // Null is not true, and it is not false.
                    truth @ ("true" | "false") if *kind == Type::Bool && negated => {
                        Some(Condition::Or(vec![is(Operator::NotEqual, truth.to_owned())?, null(true)?]))
                    }
                    truth @ ("true" | "false") if *kind == Type::Bool => is(Operator::Equal, truth.to_owned()),
                    _ => None,
                }
            }
            "like" | "ilike" => {
                let pattern = text(rest, within)?;
                let (operator, part) = pattern_of(&pattern, word == "ilike")?;
                let found = is(operator, part.to_owned())?;
                Some(if negated { Condition::Not(Box::new(found)) } else { found })
            }
            _ => None,
        }
    }
}

fn eat(rest: &mut &str, sign: &str) -> bool {
    let behind = rest.strip_prefix(sign);
    *rest = behind.unwrap_or(rest);
    behind.is_some()
}

/// `abc*`, `*abc` or `*abc*`. Others, and what has other signs of patterns in it, are more than can be said of a text.
fn pattern_of(pattern: &str, any_case: bool) -> Option<(Operator, &str)> {
    let (start, end) = (pattern.strip_prefix('*'), pattern.strip_suffix('*'));
    let (part, operators) = match (start, end) {
        (Some(rest), Some(_)) => (rest.strip_suffix('*')?, [Operator::Contains, Operator::ContainsAnyCase]),
        (Some(rest), None) => (rest, [Operator::EndsWith, Operator::EndsWithAnyCase]),
        (None, Some(rest)) => (rest, [Operator::StartsWith, Operator::StartsWithAnyCase]),
        (None, None) => return None,
    };
    let [same, any] = operators;
    is_plain(part).then_some((if any_case { any } else { same }, part))
}

/// One value. In a parameter of its own, it is all that is left; quotes mean nothing there.
fn text(rest: &mut &str, within: Within) -> Option<String> {
    match within {
        Within::Parameter => Some(std::mem::take(rest).to_owned()),
        Within::Tree => item(rest),
    }
}

/// `(1,2,"a,b")`, with one value at least.
fn list(rest: &mut &str) -> Option<Vec<String>> {
    eat(rest, "(").then_some(())?;
    let mut values = Vec::new();
    while values.len() < MAX_LIST {
        values.push(item(rest)?);
        if eat(rest, ")") {
            return Some(values);
        }
        eat(rest, ",").then_some(())?;
    }
    None
}

/// A value that ends before `,` or `)`: in quotes, where a backslash takes the next character as it is, or without any sign
/// that could mean something else.
fn item(rest: &mut &str) -> Option<String> {
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find([',', ')'])?;
        let (value, behind) = rest.split_at_checked(end)?;
        *rest = behind;
        let is_plain = !value.is_empty() && !value.contains(['"', '\\', '(', '{', '}']);
        return is_plain.then(|| value.to_owned());
    };
    let (mut value, mut signs) = (String::new(), quoted.chars());
    loop {
        match signs.next()? {
            '"' => break,
            '\\' => value.push(signs.next()?),
            sign => value.push(sign),
        }
    }
    *rest = signs.as_str();
    rest.starts_with([',', ')']).then_some(value)
}
