//! Policies that can't mean what they say, and such as say it in a way that misleads.
//!
//! Everything here is judged when a policy is loaded, from its text and the tables alone, and changes no decision. An error
//! is what no author can have meant: a comparison that can't hold, a condition that always fails. A warning is what some
//! author may mean, but most who write it do not: it names the record that is forgotten.

mod atom;
mod compare;
mod known;
mod logic;
mod null;
mod part;
mod pattern;
mod roles;
mod rules;
mod words;

use std::collections::BTreeMap;

use super::compile::{Denial, Grant};
use super::ir::Expr;
use super::parse::Node;
use super::raw;
use super::types::{Macro, Scope};
use crate::api::Table;
use crate::config::PrincipalSchema;
use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::yaml::Text;
use part::Part;

/// An expression that was checked, kept for a second look.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) text: Text,
    pub(super) node: Node,
    pub(super) expr: Expr,
}

/// Whose condition it is.
#[derive(Clone, Copy)]
enum Of<'a> {
    Grant(&'a [Text]),
    /// For these roles, or for all.
    Denial(Option<&'a [Text]>),
    Requirement,
}

/// One policy file on its way.
struct Lints<'a> {
    table: &'a Table,
    principal: &'a PrincipalSchema,
    found: Vec<Diagnostic>,
}

/// The rules of one file as compiled; those with a mistake are not among them.
#[derive(Clone, Copy)]
pub(super) struct Compiled<'a> {
    pub(super) grants: &'a [Grant],
    pub(super) denials: &'a [Denial],
}

/// Looks at a whole policy file, once its rules are compiled.
pub(super) fn policy(written: &raw::Policy, rules: Compiled<'_>, scope: &mut Scope<'_>) {
    let Some(judged) = scope.judged.take() else { return };
    let mut lints = Lints { table: scope.table, principal: scope.principal, found: Vec::new() };
    let parts = Parts { judged: &judged, lets: &scope.lets };
    for grant in &written.grants {
        for text in grant.rows.iter().chain(&grant.check) {
            lints.whole(parts.of(text), Of::Grant(&grant.roles));
        }
        let presets = grant.presets.iter().flat_map(|(_, list)| list);
        presets.filter_map(|(_, text)| parts.of(text)).for_each(|part| lints.failures(part));
    }
    for denial in &written.denials {
        lints.whole(parts.of(&denial.rows), Of::Denial(denial.roles.as_deref()));
    }
    for requirement in &written.requirements {
        lints.whole(parts.of(&requirement.must), Of::Requirement);
    }
    lints.words(written, &parts);
    lints.unused(written, scope);
    // Half of a file says nothing about how its rules stand together.
    let file = &written.table.span.source;
    let mut found = scope.diagnostics.iter().chain(&lints.found);
    if !found.any(|found| found.severity == Severity::Error && found.span.source == *file) {
        lints.rules(written, rules, &parts);
    }
    let found = lints.found;
    scope.diagnostics.extend(found);
    rules::unused_lets(scope);
}

/// Where the expressions of a file are found again.
struct Parts<'a> {
    judged: &'a [Judged],
    lets: &'a BTreeMap<String, Macro>,
}

impl<'a> Parts<'a> {
    /// `None` for a word such as `all`, and for what has a mistake.
    fn of(&self, text: &Text) -> Option<Part<'a>> {
        let judged = self.judged.iter().find(|judged| judged.text.span.range == text.span.range)?;
        Some(Part::new(self.lets, &judged.text, &judged.node, &judged.expr))
    }
}

impl<'a> Lints<'a> {
    fn whole(&mut self, part: Option<Part<'a>>, of: Of<'a>) {
        let Some(part) = part else { return };
        let before = self.found.len();
        self.condition(part, of, false, &[]);
        // What can't be meant will be written anew.
        if !self.found.iter().skip(before).any(|found| found.severity == Severity::Error) {
            self.nulls(part, of);
        }
    }

    fn error(&mut self, code: &'static str, part: Part<'_>, message: impl Into<String>, help: Option<&str>) {
        self.push(Diagnostic::error(code, part.span(), message), help);
    }

    fn warning(&mut self, code: &'static str, part: Part<'_>, message: impl Into<String>, help: Option<&str>) {
        self.warn(code, part.span(), message, help);
    }

    fn warn(&mut self, code: &'static str, at: Span, message: impl Into<String>, help: Option<&str>) {
        self.push(Diagnostic::warning(code, at, message), help);
    }

    fn push(&mut self, mut diagnostic: Diagnostic, help: Option<&str>) {
        diagnostic.help = help.map(str::to_owned);
        self.found.push(diagnostic);
    }
}
