//! Lists and maps as they are written. Of literals alone they are values already.

use std::collections::BTreeMap;

use super::super::ir::Expr;
use super::super::parse::{Entry, Item, Node};
use super::{Checker, Kind, Typed, kind};
use crate::policy::value::Value;

impl Checker<'_, '_> {
    pub(super) fn list(&mut self, items: &[Item]) -> Option<Typed> {
        let items: Vec<_> = items.iter().map(|item| self.part(&item.node, item.optional)).collect();
        let items: Vec<Typed> = items.into_iter().collect::<Option<_>>()?;
        let kind = kind::common(items.iter());
        let items = items.into_iter().map(|item| item.expr).collect();
        Some(Typed::new(literal_list(items), Kind::List(kind.into())))
    }

    pub(super) fn map(&mut self, entries: &[Entry]) -> Option<Typed> {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for entry in entries {
            let (key, value) = (self.check(&entry.key), self.part(&entry.value, entry.optional));
            let (key, value) = (key?, value?);
            if key.nullable && key.kind != Kind::Any
                || !matches!(key.kind, Kind::String | Kind::Int | Kind::Bool | Kind::Any)
            {
                let message = format!("keys of a map are strings, ints or bools, not of type `{}`", key.kind);
                self.fail("type-mismatch", &entry.key.span, message, None);
                return None;
            }
            keys.push(key);
            values.push(value);
        }
        let kind = Kind::Map(kind::common(keys.iter()).into(), kind::common(values.iter()).into());
        let entries = keys.into_iter().zip(values).map(|(key, value)| (key.expr, value.expr));
        Some(Typed::new(literal_map(entries.collect()), kind))
    }

    /// An element or the value of an entry; what is optional is there only where it has a value.
    fn part(&mut self, node: &Node, optional: bool) -> Option<Typed> {
        let typed = self.check(node)?;
        match typed.kind {
            _ if !optional => Some(typed),
            Kind::Optional(of) => Some(Typed::part(Expr::Present(typed.expr.into()), *of)),
            Kind::Any => Some(Typed::part(Expr::Present(typed.expr.into()), Kind::Any)),
            kind => {
                let message = format!("`?` is for optional values, and this is of type `{kind}`");
                self.fail("type-mismatch", &node.span, message, None);
                None
            }
        }
    }
}

fn literal_list(items: Vec<Expr>) -> Expr {
    let values: Option<Vec<Value>> = items.iter().map(|item| item.constant().cloned()).collect();
    values.map_or(Expr::List(items), |values| Expr::Constant(Value::List(values.into())))
}

/// What has a key twice is left for the judge to fail.
fn literal_map(entries: Vec<(Expr, Expr)>) -> Expr {
    let mut members = BTreeMap::new();
    for (key, value) in &entries {
        match (key.constant().and_then(Value::to_key), value.constant()) {
            (Some(key), Some(value)) => members.insert(key, value.clone()),
            _ => return Expr::Map(entries),
        };
    }
    if members.len() == entries.len() { Expr::Constant(Value::Map(members.into())) } else { Expr::Map(entries) }
}
