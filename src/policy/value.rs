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

use crate::model;
use crate::model::Name;
use crate::model::value::Decimal;

/// `==` of CEL is [`equal`](super::functions::equal); only tests compare values by their parts.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq))]
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

impl Value {
    pub(super) fn string(text: impl Into<Name>) -> Self {
        Self::String(text.into())
    }

    pub(super) fn strings<'a>(texts: impl IntoIterator<Item = &'a Name>) -> Self {
        Self::List(texts.into_iter().map(|text| Self::String(Arc::clone(text))).collect())
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// As the key of an entry that is made.
    pub(super) fn to_key(&self) -> Option<Key> {
        Some(match self {
            Self::Bool(key) => Key::Bool(*key),
            Self::Int(key) => Key::Int(*key),
            Self::Uint(key) => Key::Uint(*key),
            Self::String(key) => Key::String(Arc::clone(key)),
            _ => return None,
        })
    }

    /// As a key that is looked for: a double that is a whole number is that number's key.
    pub(super) fn as_key(&self) -> Option<Key> {
        // 2^63 and 2^64.
        const INT_LIMIT: f64 = 9_223_372_036_854_775_808.0;
        const UINT_LIMIT: f64 = 18_446_744_073_709_551_616.0;
        match self {
            Self::Double(number) if number.fract() != 0.0 => None,
            Self::Double(number) if (-INT_LIMIT..INT_LIMIT).contains(number) => Some(Key::Int(*number as i64)),
            Self::Double(number) if (0.0..UINT_LIMIT).contains(number) => Some(Key::Uint(*number as u64)),
            _ => self.to_key(),
        }
    }

    /// As an attribute or a field of a record could hold it. `None` for what only expressions know.
    pub(super) fn into_model(self) -> Option<model::Value> {
        Some(match self {
            Self::Null => model::Value::Null,
            Self::Bool(truth) => model::Value::Bool(truth),
            Self::Int(number) => model::Value::Int(number),
            Self::Double(number) => model::Value::Double(number),
            Self::Decimal(number) => model::Value::Decimal(number),
            Self::String(text) => model::Value::String(text),
            Self::Timestamp(instant) => model::Value::Timestamp(instant),
            Self::Duration(duration) => model::Value::Duration(duration),
            Self::List(items) => {
                model::Value::List(items.iter().map(|item| item.clone().into_model()).collect::<Option<_>>()?)
            }
            Self::Map(members) => {
                let member = |(key, value): (&Key, &Self)| match key {
                    Key::String(name) => Some((Arc::clone(name), value.clone().into_model()?)),
                    Key::Bool(_) | Key::Int(_) | Key::Uint(_) => None,
                };
                let members: BTreeMap<_, _> = members.iter().map(member).collect::<Option<_>>()?;
                model::Value::Map(members.into())
            }
            Self::Uint(_) | Self::Bytes(_) | Self::Type(_) | Self::Optional(_) | Self::Ip(_) | Self::Cidr(_) => {
                return None;
            }
        })
    }
}

impl From<&model::Value> for Value {
    fn from(value: &model::Value) -> Self {
        match value {
            model::Value::Null => Self::Null,
            model::Value::Bool(truth) => Self::Bool(*truth),
            model::Value::Int(number) => Self::Int(*number),
            model::Value::Double(number) => Self::Double(*number),
            model::Value::Decimal(number) => Self::Decimal(number.clone()),
            model::Value::String(text) => Self::String(Arc::clone(text)),
            model::Value::Timestamp(instant) => Self::Timestamp(*instant),
            model::Value::Duration(duration) => Self::Duration(*duration),
            model::Value::List(items) => Self::List(items.iter().map(Self::from).collect()),
            model::Value::Map(members) => {
                let member = |(name, value): (&Name, &model::Value)| (Key::from(name), Self::from(value));
                Self::Map(Arc::new(members.iter().map(member).collect()))
            }
        }
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
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

impl From<&Key> for Value {
    fn from(key: &Key) -> Self {
        match key {
            Key::Bool(key) => Self::Bool(*key),
            Key::Int(key) => Self::Int(*key),
            Key::Uint(key) => Self::Uint(*key),
            Key::String(key) => Self::String(Arc::clone(key)),
        }
    }
}

impl From<&Name> for Key {
    fn from(name: &Name) -> Self {
        Self::String(Arc::clone(name))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_can_declare_goes_both_ways() {
        let members = BTreeMap::from([("a".into(), model::Value::Int(-1)), ("b".into(), model::Value::Null)]);
        let decimal = Decimal::parse("1.50").expect("a number");
        let items = [model::Value::Map(members.into()), model::Value::Decimal(decimal), model::Value::string("x")];
        let declared = model::Value::List(items.into());
        assert_eq!(Value::from(&declared).into_model(), Some(declared));
    }

    #[test]
    fn what_only_expressions_know_has_no_way_out() {
        let members = BTreeMap::from([(Key::Int(1), Value::Null)]);
        let nested = Value::List([Value::Optional(None)].into());
        for value in [Value::Uint(1), Value::Bytes([1].into()), Value::Map(members.into()), nested] {
            assert_eq!(value.into_model(), None);
        }
    }

    #[test]
    fn whole_doubles_find_the_keys_of_their_numbers() {
        for (double, key) in [
            (2.0, Some(Key::Int(2))),
            (-0.0, Some(Key::Int(0))),
            (1.8e19, Some(Key::Uint(18_000_000_000_000_000_000))),
            (-9_223_372_036_854_775_808.0, Some(Key::Int(i64::MIN))),
            (9_223_372_036_854_775_808.0, Some(Key::Uint(1 << 63))),
            (18_446_744_073_709_551_616.0, None),
            (-1e19, None),
            (0.5, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(Value::Double(double).as_key(), key, "{double}");
            assert_eq!(Value::Double(double).to_key(), None, "{double}");
        }
    }

    #[test]
    fn numbers_are_one_key_whatever_their_kind() {
        assert_eq!(Key::Int(1), Key::Uint(1));
        assert!(Key::Int(-1) < Key::Uint(u64::MAX));
        assert!(Key::Uint(u64::MAX) > Key::Int(i64::MAX));
        assert_ne!(Key::Bool(true), Key::Int(1));
        assert_ne!(Key::String("1".into()), Key::Int(1));
    }
}
