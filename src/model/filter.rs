//! Which records to ask an upstream for, in no upstream's language.
//!
//! A [`Filter`] knows `and`, `or` and tests of one column. Negation lives in the tests alone, so that wherever an upstream
//! can't say something, what is wider may stand in its place and the whole only gets wider. A column without a value passes
//! [`Test::Null`] and no other test, as in an SQL `WHERE`. What is put together here is simplified on the way, and means
//! the same.

use std::sync::Arc;

use super::{Name, Value};

/// A filter, and whether it lets through nothing but what was meant. It never keeps anything of that back.
#[derive(Clone, Debug, PartialEq)]
pub struct Sieve {
    pub filter: Filter,
    pub exact: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Every record.
    All,
    /// No record.
    None,
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Leaf(Leaf),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// Member names from the record on: more than one lead through a relation.
    pub column: Arc<[Name]>,
    pub test: Test,
}

/// Values are of the column's declared type. Every test but the first wants the column to have a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    Null,
    NotNull,
    OneOf(Arc<[Value]>),
    NoneOf(Arc<[Value]>),
    Order(Sign, Value),
    Text { part: Part, text: Name, expected: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Where in a column's text another one is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Start,
    End,
    Anywhere,
}

/// Comparisons of values that simplifying two lists may take; longer ones stay as they are.
const MAX_COMPARED: usize = 1_000_000;

impl Sieve {
    /// Lets everything through, for want of words.
    pub const WIDE: Self = Self { filter: Filter::All, exact: false };

    pub fn exact(filter: Filter) -> Self {
        Self { filter, exact: true }
    }

    /// The same, where some of what passes may not have been meant.
    pub fn loosened(self) -> Self {
        Self { exact: self.exact && self.filter == Filter::None, ..self }
    }

    pub fn all(parts: Vec<Self>) -> Self {
        let exact = parts.iter().all(|part| part.exact);
        let filter = Filter::all(parts.into_iter().map(|part| part.filter).collect());
        // Nothing is wider than nothing.
        Self { exact: exact || filter == Filter::None, filter }
    }

    pub fn any(parts: Vec<Self>) -> Self {
        let whole = parts.iter().any(|part| part.exact && part.filter == Filter::All);
        let exact = whole || parts.iter().all(|part| part.exact);
        Self { filter: Filter::any(parts.into_iter().map(|part| part.filter).collect()), exact }
    }
}

impl Filter {
    pub fn leaf(column: &Arc<[Name]>, test: Test) -> Self {
        match test {
            Test::OneOf(values) if values.is_empty() => Self::None,
            Test::NoneOf(values) if values.is_empty() => Self::leaf(column, Test::NotNull),
            test => Self::Leaf(Leaf { column: Arc::clone(column), test }),
        }
    }

    /// What passes every one of them.
    pub fn all(parts: Vec<Self>) -> Self {
        let mut flat: Vec<Self> = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::All => {}
                Self::None => return Self::None,
                Self::And(parts) => parts.into_iter().for_each(|part| joined(&mut flat, part, Leaf::both)),
                part => joined(&mut flat, part, Leaf::both),
            }
        }
        if flat.contains(&Self::None) {
            return Self::None;
        }
        // What has a value is not null: alternatives that say so are none.
        let valued = |flat: &[Self], column: &Arc<[Name]>| {
            flat.iter()
                .any(|part| matches!(part, Self::Leaf(leaf) if leaf.column == *column && leaf.test != Test::Null))
        };
        let idle = |flat: &[Self], part: &Self| matches!(part, Self::Leaf(leaf) if leaf.test == Test::Null && valued(flat, &leaf.column));
        let found =
            flat.iter().position(|part| matches!(part, Self::Or(any) if any.iter().any(|part| idle(&flat, part))));
        if let Some(at) = found
            && let Self::Or(mut any) = flat.remove(at)
        {
            any.retain(|part| !idle(&flat, part));
            flat.push(Self::any(any));
            return Self::all(flat);
        }
        match flat.len() {
            0 => Self::All,
            1 => flat.remove(0),
            _ => Self::And(flat),
        }
    }

    /// What passes one of them.
    pub fn any(parts: Vec<Self>) -> Self {
        let mut flat: Vec<Self> = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::None => {}
                Self::All => return Self::All,
                Self::Or(parts) => parts.into_iter().for_each(|part| joined(&mut flat, part, Leaf::either)),
                part => joined(&mut flat, part, Leaf::either),
            }
        }
        if flat.contains(&Self::All) {
            return Self::All;
        }
        match flat.len() {
            0 => Self::None,
            1 => flat.remove(0),
            _ => Self::Or(flat),
        }
    }
}

/// Adds a part to those that are there, made one with the first leaf of its column that `one` knows how to.
fn joined(flat: &mut Vec<Filter>, part: Filter, one: impl Fn(&Leaf, &Leaf) -> Option<Filter>) {
    if let Filter::Leaf(new) = &part {
        let made = flat.iter().enumerate().find_map(|(at, known)| match known {
            Filter::Leaf(known) if known.column == new.column => one(known, new).map(|made| (at, made)),
            _ => None,
        });
        if let Some((at, made)) = made {
            flat.remove(at);
            // What it became may go together with the others.
            return if let Filter::Leaf(_) = made { joined(flat, made, one) } else { flat.push(made) };
        }
    }
    if !flat.contains(&part) {
        flat.push(part);
    }
}

impl Leaf {
    /// One filter for two tests of a column that must both hold. `None`: there is no plainer one.
    fn both(&self, other: &Self) -> Option<Filter> {
        let made = |test| Some(Filter::leaf(&self.column, test));
        match (&self.test, &other.test) {
            (a, b) if a == b => Some(Filter::Leaf(self.clone())),
            (Test::Null, _) | (_, Test::Null) => Some(Filter::None),
            (Test::NotNull, test) | (test, Test::NotNull) => made(test.clone()),
            (Test::OneOf(a), Test::OneOf(b)) => made(Test::OneOf(chosen(a, b, true)?)),
            (Test::OneOf(a), Test::NoneOf(b)) | (Test::NoneOf(b), Test::OneOf(a)) => {
                made(Test::OneOf(chosen(a, b, false)?))
            }
            (Test::NoneOf(a), Test::NoneOf(b)) => made(Test::NoneOf(union(a, b)?)),
            _ => None,
        }
    }

    /// One filter for two tests of a column of which one must hold. `None`: there is no plainer one.
    fn either(&self, other: &Self) -> Option<Filter> {
        let made = |test| Some(Filter::leaf(&self.column, test));
        match (&self.test, &other.test) {
            (a, b) if a == b => Some(Filter::Leaf(self.clone())),
            (Test::Null, Test::NotNull) | (Test::NotNull, Test::Null) => Some(Filter::All),
            (Test::Null, _) | (_, Test::Null) => None,
            (Test::NotNull, _) | (_, Test::NotNull) => made(Test::NotNull),
            (Test::OneOf(a), Test::OneOf(b)) => made(Test::OneOf(union(a, b)?)),
            (Test::OneOf(a), Test::NoneOf(b)) | (Test::NoneOf(b), Test::OneOf(a)) => {
                made(Test::NoneOf(chosen(b, a, false)?))
            }
            (Test::NoneOf(a), Test::NoneOf(b)) => made(Test::NoneOf(chosen(a, b, true)?)),
            _ => None,
        }
    }
}

/// Those of `from` that are among `others`, or those that are not. `None`: too many to compare.
fn chosen(from: &[Value], others: &[Value], among: bool) -> Option<Arc<[Value]>> {
    let few = from.len().saturating_mul(others.len()) <= MAX_COMPARED;
    few.then(|| from.iter().filter(|value| others.contains(value) == among).cloned().collect())
}

fn union(a: &[Value], b: &[Value]) -> Option<Arc<[Value]>> {
    let new = chosen(b, a, false)?;
    Some(a.iter().chain(&*new).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str) -> Arc<[Name]> {
        [Name::from(name)].into()
    }

    fn texts(test: fn(Arc<[Value]>) -> Test, of: &str) -> Filter {
        Filter::leaf(&column("a"), test(of.chars().map(|c| Value::string(c.to_string())).collect()))
    }

    fn one_of(of: &str) -> Filter {
        texts(Test::OneOf, of)
    }

    fn none_of(of: &str) -> Filter {
        texts(Test::NoneOf, of)
    }

    fn of(test: Test) -> Filter {
        Filter::leaf(&column("a"), test)
    }

    #[test]
    fn lists_of_one_column_become_one() {
        for (parts, all, any) in [
            (vec![one_of("xy"), one_of("yz")], one_of("y"), one_of("xyz")),
            (vec![one_of("xy"), none_of("yz")], one_of("x"), none_of("z")),
            (vec![none_of("yz"), one_of("xy")], one_of("x"), none_of("z")),
            (vec![none_of("xy"), none_of("yz")], none_of("xyz"), none_of("y")),
            (vec![one_of("x"), one_of("y")], Filter::None, one_of("xy")),
            (vec![none_of("x"), none_of("y")], none_of("xy"), of(Test::NotNull)),
            (vec![of(Test::Null), one_of("x")], Filter::None, Filter::Or(vec![of(Test::Null), one_of("x")])),
            (vec![of(Test::NotNull), one_of("x")], one_of("x"), of(Test::NotNull)),
            (vec![of(Test::NotNull), of(Test::Null)], Filter::None, Filter::All),
            (vec![Filter::All, one_of("x")], one_of("x"), Filter::All),
            (vec![Filter::None, one_of("x")], Filter::None, one_of("x")),
            (vec![], Filter::All, Filter::None),
        ] {
            assert_eq!(Filter::all(parts.clone()), all, "all of {parts:?}");
            assert_eq!(Filter::any(parts.clone()), any, "any of {parts:?}");
        }
    }

    #[test]
    fn alternatives_without_a_value_go_where_there_must_be_one() {
        let differs = Filter::any(vec![none_of("x"), of(Test::Null)]);
        assert_eq!(Filter::all(vec![differs.clone(), of(Test::NotNull)]), none_of("x"));
        assert_eq!(Filter::all(vec![differs.clone(), one_of("xy")]), one_of("y"));
        let other = Filter::leaf(&column("b"), Test::NotNull);
        assert_eq!(Filter::all(vec![differs.clone(), other.clone()]), Filter::And(vec![differs, other]));
    }

    #[test]
    fn what_is_nothing_or_everything_for_certain_is_exact() {
        let exact = Sieve::exact;
        assert_eq!(Sieve::all(vec![Sieve::WIDE, exact(Filter::None)]), exact(Filter::None));
        assert_eq!(Sieve::any(vec![Sieve::WIDE, exact(Filter::All)]), exact(Filter::All));
        assert_eq!(Sieve::all(vec![Sieve::WIDE, exact(one_of("x"))]), Sieve { filter: one_of("x"), exact: false });
        assert_eq!(Sieve::any(vec![Sieve::WIDE, exact(one_of("x"))]), Sieve::WIDE);
        assert!(!exact(one_of("x")).loosened().exact);
        assert!(exact(Filter::None).loosened().exact);
    }
}
