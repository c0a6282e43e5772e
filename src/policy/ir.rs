//! Conditions as they are judged: names resolved, types checked, every field a slot.
//!
//! An expression reads known facts (who asks, for which tenant), the record's slots and its own variables; nothing else.
//! A decision replaces the facts by their values; what is left prints back as CEL for people.

mod print;

use std::sync::Arc;

use regex::Regex;

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
    /// By nesting depth of its comprehension.
    Variable(u8),
    Member(Box<Expr>, Name),
    Has(Box<Expr>, Name),
    Index(Box<Expr>, Box<Expr>),
    /// A dynamically typed condition: fails unless it is a bool.
    Condition(Box<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Choice(Box<[Expr; 3]>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    Call(Function, Vec<Expr>),
    Each(Box<Each>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
}

/// A comprehension over a list; `variable` is its depth.
#[derive(Clone, Debug)]
pub(super) struct Each {
    pub(super) kind: EachKind,
    pub(super) range: Expr,
    pub(super) variable: u8,
    pub(super) body: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EachKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
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
    Size,
    StartsWith,
    EndsWith,
    Contains,
    /// Compiled when the policy was, with a size limit.
    Matches(Regex),
    Timestamp,
    Duration,
    Int,
    Double,
    String,
    LowerAscii,
    UpperAscii,
    Part(Part),
}

/// A part of a timestamp in UTC, counted as CEL does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    FullYear,
    /// From 0.
    Month,
    /// Day of the month from 1.
    Date,
    /// From 0.
    DayOfMonth,
    /// From Sunday, 0.
    DayOfWeek,
    /// From 0.
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
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

    /// Whether some part of it, itself included, is as asked.
    pub(super) fn any(&self, test: &mut impl FnMut(&Self) -> bool) -> bool {
        if test(self) {
            return true;
        }
        match self {
            Self::Constant(_)
            | Self::Fails(_)
            | Self::Fact(_)
            | Self::Field(_)
            | Self::HasField { .. }
            | Self::Variable(_) => false,
            Self::Member(of, _) | Self::Has(of, _) => of.any(test),
            Self::Condition(of) | Self::Not(of) | Self::Negate(of) => of.any(test),
            Self::And(a, b) | Self::Or(a, b) | Self::Index(a, b) | Self::Binary(_, a, b) => a.any(test) || b.any(test),
            Self::Choice(parts) => parts.iter().any(|part| part.any(test)),
            Self::Call(_, parts) | Self::List(parts) => parts.iter().any(|part| part.any(test)),
            Self::Each(each) => each.range.any(test) || each.body.any(test),
            Self::Map(entries) => entries.iter().any(|(key, value)| key.any(test) || value.any(test)),
        }
    }

    /// Whether it reads a record through a relation whose column is among `changed`.
    pub(super) fn is_stale(&self, changed: &[FieldId]) -> bool {
        self.any(&mut |part| match part {
            Self::Field(field) | Self::HasField { field, .. } => field.by.is_some_and(|by| changed.contains(&by)),
            _ => false,
        })
    }
}
