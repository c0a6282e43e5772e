//! What expressions are made of: their parts in order, and the same expression of other parts.

use std::sync::Arc;

use super::{Bind, Each, Expr, Otherwise, Then};

impl Expr {
    /// Those directly below it.
    pub(in crate::policy) fn parts(&self) -> impl Iterator<Item = &Self> {
        let (some, more): ([Option<&Self>; 3], &[Self]) = match self {
            Self::Constant(_)
            | Self::Fails(_)
            | Self::Fact(_)
            | Self::Field(_)
            | Self::HasField { .. }
            | Self::Variable(_)
            | Self::Map(_) => ([None; 3], &[]),
            Self::Member(of, _) | Self::Has(of, _) => ([Some(of), None, None], &[]),
            Self::Condition(of) | Self::Not(of) | Self::Negate(of) | Self::Present(of) => ([Some(of), None, None], &[]),
            Self::And(a, b) | Self::Or(a, b) | Self::Index(a, b) | Self::Maybe(a, b) | Self::Binary(_, a, b) => {
                ([Some(a), Some(b), None], &[])
            }
            Self::Choice(parts) => ([None; 3], &parts[..]),
            Self::Call(_, parts) | Self::List(parts) => ([None; 3], parts),
            Self::Otherwise(otherwise) => ([Some(&otherwise.of), Some(&otherwise.other), None], &[]),
            Self::Each(each) => ([Some(&each.range), each.filter.as_ref(), Some(&each.body)], &[]),
            Self::Bind(bind) => ([Some(&bind.value), Some(&bind.body), None], &[]),
            Self::Then(then) => ([Some(&then.of), Some(&then.body), None], &[]),
        };
        let entries: &[(Self, Self)] = if let Self::Map(entries) = self { entries } else { &[] };
        let entries = entries.iter().flat_map(|(key, value)| [key, value]);
        some.into_iter().flatten().chain(more).chain(entries)
    }

    /// The same of other parts, made one by one in order.
    pub(in crate::policy) fn of_parts(&self, make: &mut impl FnMut(&Self) -> Self) -> Self {
        match self {
            Self::Constant(_)
            | Self::Fails(_)
            | Self::Fact(_)
            | Self::Field(_)
            | Self::HasField { .. }
            | Self::Variable(_) => self.clone(),
            Self::Member(of, name) => Self::Member(make(of).into(), Arc::clone(name)),
            Self::Has(of, name) => Self::Has(make(of).into(), Arc::clone(name)),
            Self::Condition(of) => Self::Condition(make(of).into()),
            Self::Not(of) => Self::Not(make(of).into()),
            Self::Negate(of) => Self::Negate(make(of).into()),
            Self::Present(of) => Self::Present(make(of).into()),
            Self::And(a, b) => Self::And(make(a).into(), make(b).into()),
            Self::Or(a, b) => Self::Or(make(a).into(), make(b).into()),
            Self::Index(a, b) => Self::Index(make(a).into(), make(b).into()),
            Self::Maybe(a, b) => Self::Maybe(make(a).into(), make(b).into()),
            Self::Binary(operator, a, b) => Self::Binary(*operator, make(a).into(), make(b).into()),
            Self::Choice(parts) => Self::Choice(Box::new(parts.each_ref().map(make))),
            Self::Call(function, parts) => Self::Call(function.clone(), parts.iter().map(make).collect()),
            Self::List(parts) => Self::List(parts.iter().map(make).collect()),
            Self::Map(entries) => Self::Map(entries.iter().map(|(key, value)| (make(key), make(value))).collect()),
            Self::Otherwise(otherwise) => {
                let Otherwise { of, other, unwraps } = &**otherwise;
                Self::Otherwise(Box::new(Otherwise { of: make(of), other: make(other), unwraps: *unwraps }))
            }
            Self::Each(each) => {
                let Each { kind, range, variable, pairs, filter, body } = &**each;
                let (range, filter, body) = (make(range), filter.as_ref().map(&mut *make), make(body));
                Self::Each(Box::new(Each { kind: *kind, range, variable: *variable, pairs: *pairs, filter, body }))
            }
            Self::Bind(bind) => {
                let Bind { variable, value, body } = &**bind;
                Self::Bind(Box::new(Bind { variable: *variable, value: make(value), body: make(body) }))
            }
            Self::Then(then) => {
                let Then { variable, of, body, flat } = &**then;
                Self::Then(Box::new(Then { variable: *variable, of: make(of), body: make(body), flat: *flat }))
            }
        }
    }
}
