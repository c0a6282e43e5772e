//! Comprehensions: an expression for each element of a list or each key of a map.
//!
//! `all` and `exists` are a long `&&` and `||`: one element decides them even beside an error. All others fail where
//! they fail for one element.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::functions::{self, weight};
use super::super::ir::{Each, EachKind, Expr, Failure};
use super::super::value::{Key, Value};
use super::Scene;

/// What a comprehension has found so far.
#[derive(Default)]
struct Found {
    failed: Option<Failure>,
    count: usize,
    items: Vec<Value>,
    members: BTreeMap<Key, Value>,
}

/// An element: what `pairs` call the key, and what it holds.
type Pair = (Value, Option<Value>);

impl Scene<'_> {
    pub(super) fn each(&mut self, each: &Each) -> Result<Value, Failure> {
        let range = self.value(&each.range).map(Cow::into_owned)?;
        let mut found = Found::default();
        let decided = match &range {
            Value::List(items) => {
                let pairs = items.iter().enumerate().map(|(at, item)| match each.pairs {
                    true => (Value::Int(i64::try_from(at).unwrap_or(i64::MAX)), Some(item.clone())),
                    false => (item.clone(), None),
                });
                self.elements(each, pairs, &mut found)?
            }
            Value::Map(members) => {
                let pairs = members.iter().map(|(key, value)| (key.into(), each.pairs.then(|| value.clone())));
                self.elements(each, pairs, &mut found)?
            }
            _ => return Err(Failure::Type),
        };
        match (each.kind, found.failed) {
            _ if decided => Ok(Value::Bool(each.kind == EachKind::Exists)),
            (_, Some(failure)) => Err(failure),
            (EachKind::All, None) => Ok(Value::Bool(true)),
            (EachKind::Exists, None) => Ok(Value::Bool(false)),
            (EachKind::ExistsOne, None) => Ok(Value::Bool(found.count == 1)),
            (EachKind::Filter | EachKind::Map, None) => Ok(Value::List(found.items.into())),
            (EachKind::SortBy, None) => self.sorted(range, found.items),
            (EachKind::MapValues | EachKind::MapEntries, None) => Ok(Value::Map(found.members.into())),
        }
    }

    /// Whether one of the elements decided.
    fn elements(&mut self, each: &Each, pairs: impl Iterator<Item = Pair>, found: &mut Found) -> Result<bool, Failure> {
        for (first, second) in pairs {
            self.set(each.variable, Ok(first.clone()));
            if let Some(second) = second {
                self.variables.push(Ok(second));
            }
            if self.element(each, first, found)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn element(&mut self, each: &Each, first: Value, found: &mut Found) -> Result<bool, Failure> {
        if let Some(filter) = &each.filter
            && !self.truth(filter)?
        {
            return Ok(false);
        }
        match each.kind {
            EachKind::All | EachKind::Exists => match self.truth(&each.body) {
                Ok(truth) if truth == (each.kind == EachKind::Exists) => return Ok(true),
                Err(Failure::Budget) => return Err(Failure::Budget),
                Err(failure) => found.failed = Some(failure),
                Ok(_) => {}
            },
            EachKind::ExistsOne => found.count += usize::from(self.truth(&each.body)?),
            EachKind::Filter => {
                if self.truth(&each.body)? {
                    found.items.push(first);
                }
            }
            EachKind::Map | EachKind::SortBy => found.items.push(self.owned(&each.body)?),
            EachKind::MapValues => {
                let key = first.to_key().ok_or(Failure::Type)?;
                found.members.insert(key, self.owned(&each.body)?);
            }
            EachKind::MapEntries => self.entries(&each.body, &mut found.members)?,
        }
        Ok(false)
    }

    fn sorted(&mut self, items: Value, keys: Vec<Value>) -> Result<Value, Failure> {
        let values = [items, Value::List(keys.into())];
        self.spend(values.iter().map(weight).sum())?;
        let sort = functions::find("@sortByAssociatedKeys", true, 2).expect("it is in the library");
        sort.call(&values)
    }

    fn entries(&mut self, body: &Expr, members: &mut BTreeMap<Key, Value>) -> Result<(), Failure> {
        let Value::Map(entries) = self.owned(body)? else { return Err(Failure::Type) };
        self.spend(entries.len())?;
        for (key, value) in Arc::unwrap_or_clone(entries) {
            if members.insert(key, value).is_some() {
                return Err(Failure::Malformed);
            }
        }
        Ok(())
    }
}
