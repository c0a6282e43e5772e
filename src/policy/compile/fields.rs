//! What a grant shows of each field: in clear, masked, or not at all.

use std::collections::BTreeMap;

use super::super::raw;
use super::super::types::Scope;
use super::masks;
use crate::diagnostic::Diagnostic;
use crate::model::Value;
use crate::policy::decision::Truncation;
use crate::policy::{KeyedMask, Mask, Visibility};
use crate::yaml::Text;

/// By field; what is not named is not shown.
pub(super) fn shows(read: &raw::Read, scope: &mut Scope<'_>) -> Vec<Option<Visibility>> {
    let mut shows = vec![None; scope.table.fields.len()];
    let mut named = vec![false; scope.table.fields.len()];
    if read.all {
        for (shown, field) in shows.iter_mut().zip(scope.table.fields.iter()) {
            *shown = (!field.is_secret()).then_some(Visibility::Clear);
        }
        for name in &read.except {
            if let Some(shown) = super::field(name, scope).and_then(|id| shows.get_mut(usize::from(id.0))) {
                *shown = None;
            }
        }
    }
    for (name, visibility) in listed(read, scope) {
        let Some(id) = super::field(&name, scope) else { continue };
        let (Some(shown), Some(twice)) = (shows.get_mut(usize::from(id.0)), named.get_mut(usize::from(id.0))) else {
            continue;
        };
        let word = &name.value;
        if std::mem::replace(twice, true) || (shown.is_some() && visibility != Visibility::Removed) {
            let help = if read.all { "leave it out of `all` with `except`" } else { "keep one of them" };
            let wrong = Diagnostic::error("field-twice", name.span.clone(), format!("`{word}` is shown in two ways"));
            scope.diagnostics.push(wrong.help(help));
            continue;
        }
        if let Visibility::Masked(mask) = &visibility
            && let Some((message, help)) = masks::misfit(&scope.table.field(id).shape, mask)
        {
            let mut wrong = Diagnostic::error("mask-type", name.span.clone(), format!("`{word}` {message}"));
            wrong.help = help;
            scope.diagnostics.push(wrong);
            continue;
        }
        *shown = (visibility != Visibility::Removed).then_some(visibility);
    }
    shows
}

fn listed(read: &raw::Read, scope: &mut Scope<'_>) -> Vec<(Text, Visibility)> {
    let lists = [
        (&read.clear, Visibility::Clear),
        (&read.partial, Visibility::Masked(Mask::Partial)),
        (&read.last4, Visibility::Masked(Mask::Last4)),
        (&read.tokenise, Visibility::Masked(Mask::Tokenise)),
        (&read.hash, Visibility::Masked(Mask::Hash)),
        (&read.null, Visibility::Masked(Mask::Null)),
        (&read.remove, Visibility::Removed),
    ];
    let mut all: Vec<(Text, Visibility)> = Vec::new();
    for (names, visibility) in lists {
        all.extend(names.iter().map(|name| (name.clone(), visibility.clone())));
    }
    for (name, by) in &read.truncate {
        match truncation(&by.value) {
            Some(truncation) => all.push((name.clone(), Visibility::Masked(Mask::Truncate(truncation)))),
            None => {
                let message = format!("can't truncate to `{}`", by.value);
                let wrong = Diagnostic::error("bad-truncation", by.span.clone(), message);
                scope.diagnostics.push(wrong.help("`month`, `year`, or a whole number above 0"));
            }
        }
    }
    for (name, value) in &read.constant {
        all.push((name.clone(), Visibility::Masked(Mask::Constant(value.clone()))));
    }
    all
}

fn truncation(word: &str) -> Option<Truncation> {
    match word {
        "month" => Some(Truncation::Month),
        "year" => Some(Truncation::Year),
        number => number.parse().ok().filter(|bucket| *bucket > 0).map(Truncation::Bucket),
    }
}

/// Where a policy asks for a mask that needs the gateway's masking key: once for each list of fields.
pub(super) fn keyed_masks(policy: &raw::Policy) -> impl Iterator<Item = KeyedMask> {
    policy.grants.iter().flat_map(|grant| {
        let lists = [("hash", &grant.read.hash), ("tokenise", &grant.read.tokenise)];
        lists.into_iter().filter_map(|(mask, names)| Some(KeyedMask { mask, span: names.first()?.span.clone() }))
    })
}

/// Where two grants mask a field alike, they must mean the same: which of the two shows would be chance.
pub(super) fn one_parameter(policy: &raw::Policy, scope: &mut Scope<'_>) {
    let mut truncations: BTreeMap<&str, &str> = BTreeMap::new();
    let mut constants: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut wrong = |name: &Text, mask: &str| {
        let message = format!("`{}` is masked by another `{mask}` in a grant above", name.value);
        scope.diagnostics.push(Diagnostic::error("mask-parameters", name.span.clone(), message));
    };
    for grant in &policy.grants {
        for (name, by) in &grant.read.truncate {
            if *truncations.entry(&name.value).or_insert(&by.value) != by.value {
                wrong(name, "truncate");
            }
        }
        for (name, value) in &grant.read.constant {
            if *constants.entry(&name.value).or_insert(value) != value {
                wrong(name, "constant");
            }
        }
    }
}
