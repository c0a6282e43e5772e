//! The types that expressions have while they are checked.

use std::fmt;

use super::Expr;
use crate::api::TableId;
use crate::model::value::Type;

/// Records hold no unsigned numbers and policies write none, so there is no type of them.
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
    Bytes,
    /// Dates too: the first instant of the day in UTC.
    Timestamp,
    Duration,
    /// What `type(x)` gives.
    Type,
    Ip,
    Cidr,
    List(Box<Kind>),
    /// Keys and values.
    Map(Box<Kind>, Box<Kind>),
    Optional(Box<Kind>),
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

    /// Of an element, a member or a result: what is of any type may be null.
    pub(super) fn part(expr: Expr, kind: Kind) -> Self {
        let nullable = kind == Kind::Any;
        Self { expr, kind, nullable }
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
            Type::Map(of) => Self::Map(Self::String.into(), Self::of(of).into()),
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
            (Self::List(a), Self::List(b)) | (Self::Optional(a), Self::Optional(b)) => a.meets(b),
            (Self::Map(a, x), Self::Map(b, y)) => a.meets(b) && x.meets(y),
            _ => self == other || (self.is_number() && other.is_number()),
        }
    }

    /// The type of what may be either.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::List(a), Self::List(b)) => Self::List(a.or(*b).into()),
            (Self::Optional(a), Self::Optional(b)) => Self::Optional(a.or(*b).into()),
            _ => Self::Any,
        }
    }
}

/// The type of a list's elements: theirs if they agree. What may be null is of any type, as its elements would be.
pub(super) fn common<'t>(mut items: impl Iterator<Item = &'t Typed> + Clone) -> Kind {
    let first = match items.next() {
        Some(first) if first.kind != Kind::Null && !first.nullable => &first.kind,
        _ => return Kind::Any,
    };
    if items.clone().all(|item| item.kind == *first && !item.nullable) {
        first.clone()
    } else if first.is_number() && items.all(|item| item.kind.is_number() && !item.nullable) {
        Kind::Double
    } else {
        Kind::Any
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
            Self::Bytes => f.write_str("bytes"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::Type => f.write_str("type"),
            Self::Ip => f.write_str("ip"),
            Self::Cidr => f.write_str("cidr"),
            Self::List(of) => write!(f, "list({of})"),
            Self::Map(key, of) if **key == Self::String => write!(f, "map({of})"),
            Self::Map(key, of) => write!(f, "map({key}, {of})"),
            Self::Optional(of) => write!(f, "optional({of})"),
            Self::Relation(_) => f.write_str("relation"),
        }
    }
}
