//! A value of CEL while a condition is judged.
//!
//! It holds all that CEL knows without protobuf, so that the whole language can be evaluated; [`model::Value`] holds what an
//! operator can declare, and becomes one of these. Values are cheap to clone. Records never contain `Uint`, `Bytes`, `Type`,
//! `Optional`, `Ip` or `Cidr`: JSON integers are `Int` whatever their sign.
//!
//! [`model::Value`]: crate::model::Value

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use crate::model::Name;
use crate::model::value::Decimal;

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Decimal(Decimal),
    String(Name),
    Bytes(Arc<[u8]>),
    Timestamp(Timestamp),
    Duration(SignedDuration),
    List(Arc<[Value]>),
    Map(Arc<BTreeMap<Key, Value>>),
    Type(Name),
    Optional(Option<Arc<Value>>),
    Ip(IpAddr),
    Cidr(IpNet),
}

/// A key of a map. Numbers are one key whatever their kind: `1` and `1u` are the same.
#[derive(Clone, Debug)]
pub(super) enum Key {
    Bool(bool),
    Int(i64),
    Uint(u64),
    String(Name),
}

impl Key {
    /// Kinds apart, in the order of CEL's own; numbers together, by what they count.
    fn rank(&self) -> (u8, i128, &str) {
        match self {
            Self::Bool(value) => (0, i128::from(*value), ""),
            Self::Int(value) => (1, i128::from(*value), ""),
            Self::Uint(value) => (1, i128::from(*value), ""),
            Self::String(value) => (2, 0, value),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}
