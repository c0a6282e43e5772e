//! The types that expressions have while they are checked.

use std::fmt;

use super::Expr;
use crate::api::TableId;
use crate::model::value::Type;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::policy) enum Kind {
    /// Known only when it is judged.
    Any,
    Null,
    Bool,
    Int,
    Double,
    Decimal,
    String,
    /// Dates too: the first instant of the day in UTC.
    Timestamp,
    Duration,
    List(Box<Kind>),
    Map(Box<Kind>),
    /// A to-one relation: may be compared with null, and has members.
    Relation(TableId),
}

#[derive(Clone, Debug)]
pub(in crate::policy) struct Typed {
    pub(in crate::policy) expr: Expr,
    pub(in crate::policy) kind: Kind,
    pub(in crate::policy) nullable: bool,
}

impl Typed {
    pub(super) fn new(expr: Expr, kind: Kind) -> Self {
        Self { expr, kind, nullable: false }
    }
}

impl Kind {
    pub(in crate::policy) fn of(declared: &Type) -> Self {
        match declared {
            Type::Int => Self::Int,
            Type::Double => Self::Double,
            Type::Decimal => Self::Decimal,
            Type::String => Self::String,
            Type::Bool => Self::Bool,
            Type::Timestamp | Type::Date => Self::Timestamp,
            Type::Duration => Self::Duration,
            Type::List(of) => Self::List(Self::of(of).into()),
            Type::Map(of) => Self::Map(Self::of(of).into()),
            Type::Json => Self::Any,
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Double | Self::Decimal)
    }

    /// Whether values of the two may be equal.
    pub(super) fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::List(a), Self::List(b)) | (Self::Map(a), Self::Map(b)) => a.meets(b),
            _ => self == other || (self.is_number() && other.is_number()),
        }
    }
}

/// The type of a list's elements: theirs if they agree.
pub(super) fn common(items: &[Typed]) -> Kind {
    match items.split_first() {
        Some((first, rest)) if rest.iter().all(|item| item.kind == first.kind) && first.kind != Kind::Null => {
            first.kind.clone()
        }
        Some((first, rest)) if first.kind.is_number() && rest.iter().all(|item| item.kind.is_number()) => Kind::Double,
        _ => Kind::Any,
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("json"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Double => f.write_str("double"),
            Self::Decimal => f.write_str("decimal"),
            Self::String => f.write_str("string"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(of) => write!(f, "list({of})"),
            Self::Map(of) => write!(f, "map({of})"),
            Self::Relation(_) => f.write_str("relation"),
        }
    }
}
