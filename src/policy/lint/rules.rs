//! Rules beside each other: what a denial leaves nothing of, what adds nothing, and what a grant forgets to say.

use std::collections::BTreeSet;

use super::super::compile::{Denial, Grant, Rows};
use super::super::ir::Expr;
use super::super::raw;
use super::super::types::{self, Phase, Scope};
use super::atom::Atom;
use super::part::{Part, Shape};
use super::{Compiled, Lints, Parts};
use crate::api::{FieldId, Tenancy};
use crate::diagnostic::Diagnostic;
use crate::model::{Action, Name};
use crate::policy::Visibility;
use crate::policy::slots::Layout;
use crate::yaml::Text;

/// A grant as written and as compiled.
#[derive(Clone, Copy)]
struct Granted<'a> {
    written: &'a raw::Grant,
    made: &'a Grant,
    rows: Option<Part<'a>>,
    check: Option<Part<'a>>,
}

impl<'a> Lints<'a> {
    pub(super) fn rules(&mut self, written: &raw::Policy, made: Compiled<'_>, parts: &Parts<'_>) {
        let grants: Vec<Granted<'_>> = written
            .grants
            .iter()
            .filter_map(|written| {
                let made = made.grants.iter().find(|made| *made.name == *written.name.value)?;
                let part = |text: &Option<Text>| text.as_ref().and_then(|text| parts.of(text));
                Some(Granted { written, made, rows: part(&written.rows), check: part(&written.check) })
            })
            .collect();
        for (index, grant) in grants.iter().enumerate() {
            self.shadowed(*grant, made.denials);
            self.adds_nothing(index, &grants);
            self.gives_nothing(*grant);
            self.owner(*grant);
            self.check(*grant);
        }
        self.denials(written, made.denials, parts);
        let shared =
            written.grants.iter().filter_map(|grant| grant.rows.as_ref()).any(|rows| rows.value.trim() == "shared");
        if let (Some(default), false) = (written.sharing.as_ref().and_then(|sharing| sharing.default.as_ref()), shared)
        {
            let help = "write `rows: shared` where it is meant, or leave `sharing` out";
            self.warn("unused-sharing", default.span.clone(), "no grant says `rows: shared`", Some(help));
        }
    }

    /// What a denial that always holds leaves of a grant.
    fn shadowed(&mut self, grant: Granted<'_>, denials: &[Denial]) {
        let denying = |action: &Action| {
            denials.iter().find(|denial| {
                denial.rows.is(true)
                    && denial.actions.contains(action)
                    && covers(denial.roles.as_deref(), &grant.made.roles)
            })
        };
        let denied: Vec<(&Text, &Denial)> = grant
            .written
            .actions
            .iter()
            .zip(&grant.made.actions)
            .filter_map(|(word, action)| Some((word, denying(action)?)))
            .collect();
        if denied.len() < grant.made.actions.len() {
            for (word, denial) in denied {
                let message = format!("`{}` is always denied by `{}`", word.value, denial.name);
                self.warn("shadowed-grant", word.span.clone(), message, Some("leave it out, or narrow the denial"));
            }
        } else if let Some((_, denial)) = denied.first() {
            let message = format!("nothing is left of this grant: `{}` always denies it", denial.name);
            let help = "leave the grant out, or narrow the denial";
            self.warn("shadowed-grant", grant.written.name.span.clone(), message, Some(help));
        }
    }

    fn adds_nothing(&mut self, index: usize, grants: &[Granted<'_>]) {
        let Some(grant) = grants.get(index) else { return };
        let wider = grants.iter().enumerate().find(|(at, other)| {
            // Of two that give the same, the second is the one too many.
            *at != index && other.gives(grant) && (*at < index || !grant.gives(other))
        });
        if let Some((_, wider)) = wider {
            let message = format!("this grant adds nothing to `{}`", wider.made.name);
            let help = "leave it out, or narrow the other one";
            self.warn("adds-nothing", grant.written.name.span.clone(), message, Some(help));
        }
    }

    /// Records without fields, and writes of nothing.
    fn gives_nothing(&mut self, grant: Granted<'_>) {
        let Granted { written, made, .. } = grant;
        let has = |action: &Action| made.actions.contains(action);
        let at = |word: &str| {
            written.actions.iter().find(|action| action.value == word).unwrap_or(&written.name).span.clone()
        };
        let reads = [Action::List, Action::Read].into_iter().find(|action| has(action));
        if let Some(action) = reads
            && made.shows.iter().all(Option::is_none)
        {
            let help = "name the fields: `read: { clear: all }`, or leave the grant out";
            let message = format!("`{action}` shows records without a single field");
            self.warn("grants-nothing", at(action.name()), message, Some(help));
        }
        let owner = |field: &FieldId| self.table.owner == Some(*field);
        if has(&Action::Update) && made.write.iter().all(owner) && !has(&Action::Transfer) {
            let help = "name the fields that may change: `write: [ … ]`";
            self.warn("grants-nothing", at("update"), "`update` without a field that may change", Some(help));
        }
        if has(&Action::Create) && made.write.is_empty() && made.presets.is_empty() {
            let help = "name the fields that a client may set: `write: [ … ]`";
            self.warn("grants-nothing", at("create"), "`create` without a field that may be set", Some(help));
        }
    }

    /// Whoever creates a record should be its owner, or whoever the rule says.
    fn owner(&mut self, grant: Granted<'_>) {
        let Some(owner) = self.table.owner else { return };
        let name = &self.table.field(owner).name;
        let is_set = grant.made.presets.iter().any(|(field, _)| *field == owner);
        let is_asked = grant.made.check.as_ref().is_some_and(|check| reads(check, name));
        if is_set || is_asked || !grant.made.actions.contains(&Action::Create) || self.table.tenant == Tenancy::Shared {
            return;
        }
        let message = match grant.made.write.contains(&owner) {
            true => format!("whoever creates a record may name anybody as its `{name}`"),
            false => format!("a record that is created has no `{name}`"),
        };
        let help = format!("write `presets: {{ {name}: principal.id }}`");
        let at = grant.written.actions.iter().find(|action| action.value == "create");
        let at = at.unwrap_or(&grant.written.name).span.clone();
        self.warn("owner-not-set", at, message, Some(&help));
    }

    /// `rows: all` with a `check` that was meant as a condition on rows.
    fn check(&mut self, grant: Granted<'_>) {
        let (Some(text), Some(check)) = (&grant.written.check, &grant.made.check) else { return };
        if !matches!(grant.made.rows, Rows::All) {
            return;
        }
        let owner = self.table.owner.map(|owner| &self.table.field(owner).name);
        let by_owner = owner.is_some_and(|owner| reads(check, owner));
        let unasked = |action: &&Action| match action {
            Action::Delete => true,
            Action::List | Action::Read | Action::Export => by_owner,
            _ => false,
        };
        let unasked: Vec<String> =
            grant.made.actions.iter().filter(unasked).map(|action| format!("`{action}`")).collect();
        if !unasked.is_empty() {
            let message =
                format!("`check` is not asked for {}, and `rows: all` gives every record", unasked.join(", "));
            let help = "put the condition into `rows`; `check` judges what a write makes of a record";
            self.warn("check-not-asked", text.span.clone(), message, Some(help));
        }
    }

    fn denials(&mut self, written: &raw::Policy, denials: &[Denial], parts: &Parts<'_>) {
        let all: Vec<(&raw::Denial, &Denial)> = written
            .denials
            .iter()
            .filter_map(|written| Some((written, denials.iter().find(|made| *made.name == *written.name.value)?)))
            .collect();
        let denies = |wide: &(&raw::Denial, &Denial), narrow: &(&raw::Denial, &Denial)| {
            let rows = wide.1.rows.is(true)
                || parts.of(&narrow.0.rows).zip(parts.of(&wide.0.rows)).is_some_and(|(a, b)| implies(a, b));
            let roles = match &narrow.1.roles {
                Some(roles) => covers(wide.1.roles.as_deref(), roles),
                None => wide.1.roles.is_none(),
            };
            rows && roles && narrow.1.actions.iter().all(|action| wide.1.actions.contains(action))
        };
        for (index, denial) in all.iter().enumerate() {
            let wider = all
                .iter()
                .enumerate()
                .find(|(at, other)| *at != index && denies(other, denial) && (*at < index || !denies(denial, other)));
            if let Some((_, (_, wider))) = wider {
                let message = format!("this denial adds nothing to `{}`", wider.name);
                self.warn(
                    "adds-nothing",
                    denial.0.name.span.clone(),
                    message,
                    Some("leave it out, or narrow the other one"),
                );
            }
        }
    }
}

impl Granted<'_> {
    /// Whether whatever the other grant gives, this one gives, too.
    fn gives(&self, other: &Granted<'_>) -> bool {
        let (wide, narrow) = (self.made, other.made);
        let writes = narrow.actions.iter().any(Action::writes);
        // A creation is judged by one grant as a whole.
        let creates = || !narrow.actions.contains(&Action::Create) || same_presets(&wide.presets, &narrow.presets);
        covers(Some(&wide.roles), &narrow.roles)
            && narrow.actions.iter().all(|action| wide.actions.contains(action))
            && wide
                .shows
                .iter()
                .zip(&narrow.shows)
                .all(|(wide, narrow)| narrow.is_none() || *wide == Some(Visibility::Clear) || wide == narrow)
            && narrow.write.iter().all(|field| wide.write.contains(field))
            && creates()
            && self.takes_rows_of(other)
            && (!writes || self.takes_writes_of(other))
    }

    fn takes_rows_of(&self, other: &Granted<'_>) -> bool {
        match (&self.made.rows, &other.made.rows) {
            (Rows::All, _) | (Rows::Shared, Rows::Shared) | (Rows::None, Rows::None) => true,
            (Rows::When(_), Rows::When(_)) => {
                self.rows.zip(other.rows).is_some_and(|(wide, narrow)| implies(narrow, wide))
            }
            _ => false,
        }
    }

    /// Without a `check`, `rows` must hold after a write, too.
    fn takes_writes_of(&self, other: &Granted<'_>) -> bool {
        match (self.check, other.check) {
            (None, None) => true,
            (None, Some(_)) => matches!(self.made.rows, Rows::All | Rows::None),
            (Some(wide), Some(narrow)) => implies(narrow, wide),
            (Some(_), None) => false,
        }
    }
}

fn same_presets(a: &[(FieldId, Expr)], b: &[(FieldId, Expr)]) -> bool {
    let shown = |presets: &[(FieldId, Expr)]| -> BTreeSet<(FieldId, String)> {
        presets.iter().map(|(field, value)| (*field, value.to_string())).collect()
    };
    shown(a) == shown(b)
}

/// Whether rules for `wide` (or for everybody) reach all of `narrow`.
fn covers(wide: Option<&[Name]>, narrow: &[Name]) -> bool {
    wide.is_none_or(|wide| narrow.iter().all(|role| wide.contains(role)))
}

/// Whether what holds here holds there, too. Never says yes where it may not.
fn implies(narrow: Part<'_>, wide: Part<'_>) -> bool {
    if narrow.is_same(wide) {
        return true;
    }
    match (narrow.shape(), wide.shape()) {
        (Shape::Or(members), _) => members.into_iter().all(|member| implies(member, wide)),
        (_, Shape::And(members)) => members.into_iter().all(|member| implies(narrow, member)),
        (Shape::And(members), _) if members.iter().any(|member| implies(*member, wide)) => true,
        (_, Shape::Or(members)) => members.into_iter().any(|member| implies(narrow, member)),
        _ => Atom::of(narrow).zip(Atom::of(wide)).is_some_and(|(narrow, wide)| narrow.implies(&wide)),
    }
}

/// Whether a condition reads a column of the record.
fn reads(expr: &Expr, column: &Name) -> bool {
    expr.any(&mut |part| matches!(part, Expr::Field(field) if field.path.first() == Some(column)))
}

/// A `let` that nothing uses is checked all the same: as if it stood where the most is known.
pub(super) fn unused_lets(scope: &mut Scope<'_>) {
    let unused: Vec<Text> = scope
        .lets
        .iter()
        .filter(|(name, _)| !scope.used.contains(*name))
        .map(|(_, unused)| unused.text.clone())
        .collect();
    let mut layout = Layout::default();
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut apart = Scope {
        lets: std::mem::take(&mut scope.lets),
        used: BTreeSet::new(),
        layout: &mut layout,
        diagnostics: &mut found,
        judged: None,
        ..*scope
    };
    for text in unused {
        types::expression(&mut apart, &text, Phase::Check { creates: false });
    }
    scope.lets = apart.lets;
    scope.diagnostics.append(&mut found);
}
