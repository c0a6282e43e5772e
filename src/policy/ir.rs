//! Conditions as they are judged: names resolved, types checked, every field a slot.
//!
//! An expression reads known facts (who asks, for which tenant), the record's slots and its own variables; nothing else.
//! A decision replaces the facts by their values; what is left prints back as CEL for people.

mod parts;
mod print;

use std::sync::Arc;

use regex::Regex;

use super::functions;
use super::slots::SlotId;
use super::value::Value;
use crate::api::FieldId;
use crate::model::Name;
use crate::model::value::Type;

/// Why an expression has no value. An error is never false: what it means depends on the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A member or field that is not there.
    Missing,
    /// Null where it may not be, or in an attribute.
    Null,
    Type,
    Range,
    Division,
    Malformed,
    Budget,
    /// A fact or a record that is not known in this phase.
    Unknown,
}

#[derive(Clone, Debug)]
pub(super) enum Expr {
    Constant(Value),
    Fails(Failure),
    Fact(Fact),
    Field(Field),
    /// Whether a member of a JSON or map field is there.
    HasField {
        field: Field,
        parent: SlotId,
    },
    /// By its place among those that are in force.
    Variable(u8),
    Member(Box<Expr>, Name),
    Has(Box<Expr>, Name),
    Index(Box<Expr>, Box<Expr>),
    /// `a.?b` and `a[?b]`: an optional value.
    Maybe(Box<Expr>, Box<Expr>),
    /// A dynamically typed condition: fails unless it is a bool.
    Condition(Box<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Choice(Box<[Expr; 3]>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    Call(Function, Vec<Expr>),
    Otherwise(Box<Otherwise>),
    Each(Box<Each>),
    Bind(Box<Bind>),
    Then(Box<Then>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    /// The element of a list or the value of an entry that is there only where this optional has a value.
    Present(Box<Expr>),
}

/// `of.or(other)` or, where it gives the value itself, `of.orValue(other)`. `other` is asked only where `of` has none.
#[derive(Clone, Debug)]
pub(super) struct Otherwise {
    pub(super) of: Expr,
    pub(super) other: Expr,
    pub(super) unwraps: bool,
}

/// A comprehension over a list or a map. `variable` is its element or key; or, in `pairs`, the index or key, and the
/// variable after it the value.
#[derive(Clone, Debug)]
pub(super) struct Each {
    pub(super) kind: EachKind,
    pub(super) range: Expr,
    pub(super) variable: u8,
    pub(super) pairs: bool,
    /// What an element must be for the body to be asked, where it makes something.
    pub(super) filter: Option<Expr>,
    pub(super) body: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EachKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    /// A list of what the body makes.
    Map,
    /// A map of the same keys with what the body makes.
    MapValues,
    /// A map of all entries of the maps that the body makes.
    MapEntries,
    /// The elements in the order of what the body makes of them.
    SortBy,
}

/// A name for a value within the body. Where the value fails, so does what reads it, and nothing else.
#[derive(Clone, Debug)]
pub(super) struct Bind {
    pub(super) variable: u8,
    pub(super) value: Expr,
    pub(super) body: Expr,
}

/// What the body makes of an optional's value, if it has one; the body of a flat one makes an optional itself.
#[derive(Clone, Debug)]
pub(super) struct Then {
    pub(super) variable: u8,
    pub(super) of: Expr,
    pub(super) body: Expr,
    pub(super) flat: bool,
}

/// What is known once the question is asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fact {
    Id,
    Issuer,
    Method,
    Roles,
    Groups,
    Reports,
    Attribute(Name),
    Tenant(Name),
    RequestMethod,
    RequestIp,
    Now,
}

/// Which record a field is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Record,
    After,
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) subject: Subject,
    pub(super) path: Arc<[Name]>,
    pub(super) slot: SlotId,
    pub(super) of: Type,
    pub(super) nullable: bool,
    pub(super) absent_is_null: bool,
    /// The column behind the relation through which the field is read: where it changes, what was expanded is stale.
    pub(super) by: Option<FieldId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    pub(super) fn is_arithmetic(self) -> bool {
        matches!(self, Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Remainder)
    }
}

#[derive(Clone, Debug)]
pub(super) enum Function {
    /// Compiled when the policy was, with a size limit. Shared, as every copy would fill caches of its own.
    Matches(Arc<Regex>),
    Library(&'static functions::Function),
}

impl Function {
    /// As it is written.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Matches(_) => "matches",
            Self::Library(function) => function.name,
        }
    }
}

impl Expr {
    pub(super) const TRUE: Self = Self::Constant(Value::Bool(true));
    pub(super) const FALSE: Self = Self::Constant(Value::Bool(false));

    pub(super) fn constant(&self) -> Option<&Value> {
        match self {
            Self::Constant(value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn is(&self, truth: bool) -> bool {
        matches!(self, Self::Constant(Value::Bool(value)) if *value == truth)
    }

    /// Whether some record may make it exactly true. Never says no where one may.
    pub(super) fn can_hold(&self) -> bool {
        match self {
            Self::Constant(_) => self.is(true),
            Self::Fails(_) => false,
            Self::Binary(Operator::In, _, list) => !list.is_empty_list(),
            Self::And(a, b) => a.can_hold() && b.can_hold(),
            Self::Or(a, b) => a.can_hold() || b.can_hold(),
            Self::Choice(parts) => {
                let [_, yes, no] = &**parts;
                yes.can_hold() || no.can_hold()
            }
            _ => true,
        }
    }

    fn is_empty_list(&self) -> bool {
        matches!(self, Self::Constant(Value::List(items)) if items.is_empty())
    }

    /// A call of a function that the library is known to have: `f(x)` or, as a method, `x.f(…)`.
    pub(super) fn call(name: &str, is_method: bool, arguments: Vec<Self>) -> Self {
        let function = functions::find(name, is_method, arguments.len()).expect("it is in the library");
        Self::Call(Function::Library(function), arguments)
    }

    /// Whether some part of it, itself included, is as asked.
    pub(super) fn any(&self, test: &mut impl FnMut(&Self) -> bool) -> bool {
        test(self) || self.parts().any(|part| part.any(test))
    }

    /// Whether it reads a record through a relation whose column is among `changed`.
    pub(super) fn is_stale(&self, changed: &[FieldId]) -> bool {
        self.any(&mut |part| match part {
            Self::Field(field) | Self::HasField { field, .. } => field.by.is_some_and(|by| changed.contains(&by)),
            _ => false,
        })
    }
}
