//! Words that don't fit the words around them: one value spelled in two letter cases, a grant that is named like a denial.

use std::collections::BTreeMap;

use super::super::ir::Expr;
use super::super::parse::{Kind as Syntax, Node};
use super::super::raw;
use super::super::types::Scope;
use super::part::{Part, Shape};
use super::{Lints, Parts};
use crate::diagnostic::Span;
use crate::model::Value;
use crate::yaml::Text;

/// First words of names that say the opposite of what a grant does.
const DENYING: [&str; 15] = [
    "block", "blocks", "cannot", "deny", "denies", "disallow", "exclude", "excludes", "forbid", "forbids", "hide",
    "hides", "prevent", "reject", "refuse",
];
/// The same of a denial.
const GRANTING: [&str; 8] = ["allow", "allows", "can", "enable", "grant", "grants", "may", "permit"];

impl<'a> Lints<'a> {
    pub(super) fn words(&mut self, written: &raw::Policy, parts: &Parts<'a>) {
        self.spellings(parts);
        for grant in &written.grants {
            let help = "a grant only ever adds; what takes away stands under `denials`";
            self.name(&grant.name, &DENYING, "the grant", "a denial", help);
            for list in [&grant.roles, &grant.actions] {
                self.twice(list);
            }
        }
        for denial in &written.denials {
            let help = "a denial only ever takes away; what adds stands under `grants`";
            self.name(&denial.name, &GRANTING, "the denial", "a grant", help);
            for list in denial.roles.iter().chain([&denial.actions]) {
                self.twice(list);
            }
        }
        written.requirements.iter().for_each(|requirement| self.twice(&requirement.actions));
    }

    pub(super) fn unused(&mut self, written: &raw::Policy, scope: &Scope<'_>) {
        for (name, _) in &written.lets {
            if scope.lets.contains_key(&name.value) && !scope.used.contains(&name.value) {
                let message = format!("`{}` is never used", name.value);
                self.warn("unused-let", name.span.clone(), message, Some("leave it out, or name it in a rule"));
            }
        }
    }

    fn name(&mut self, name: &Text, words: &[&str], what: &str, opposite: &str, help: &str) {
        let first = name.value.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_lowercase();
        if words.contains(&&*first) {
            let message = format!("{what} `{}` is named like {opposite}", name.value);
            self.warn("misleading-name", name.span.clone(), message, Some(help));
        }
    }

    fn twice(&mut self, list: &[Text]) {
        for (index, word) in list.iter().enumerate() {
            if list.iter().take(index).any(|other| other.value == word.value) {
                let message = format!("`{}` is listed twice", word.value);
                self.warn("listed-twice", word.span.clone(), message, Some("leave it out, or name what was meant"));
            }
        }
    }

    /// `'Won'` here and `'won'` there, for the same field: one of them is never found.
    fn spellings(&mut self, parts: &Parts<'a>) {
        let mut written: Vec<(String, &'a str, Span)> = Vec::new();
        for judged in parts.judged {
            literals(Part::new(parts.lets, &judged.text, &judged.node, &judged.expr), &mut written);
        }
        written.sort_by_key(|(.., span)| (span.range.start, span.range.end));
        written.dedup_by(|a, b| a.2 == b.2);
        let mut first: BTreeMap<(String, String), (&'a str, String)> = BTreeMap::new();
        for field in self.table.fields.iter() {
            if let Some(Value::String(default)) = &field.default {
                let key = (field.name.to_string(), default.to_lowercase());
                first.insert(key, (default, "new records have".to_owned()));
            }
        }
        for (subject, text, span) in written {
            let place = format!("line {} has", span.position().0);
            let (spelled, place) = first.entry((subject, text.to_lowercase())).or_insert((text, place));
            if *spelled != text {
                let message = format!("`{text}` is spelled in other letters elsewhere: {place} `{spelled}`");
                let help = "texts are compared letter by letter; `x.lowerAscii()` makes them small";
                self.warn("letter-case", span, message, Some(help));
            }
        }
    }
}

/// The texts that a condition compares values with, with what is compared.
fn literals<'a>(part: Part<'a>, found: &mut Vec<(String, &'a str, Span)>) {
    if !matches!(part.shape(), Shape::Leaf) {
        return part.parts().into_iter().for_each(|part| literals(part, found));
    }
    if let Some([_, body]) = part.each() {
        return literals(body, found);
    }
    let Some([a, b]) = part.sides() else { return };
    let (value, constant) = if a.constant().is_some() { (b, a) } else { (a, b) };
    let subject = match value.expr {
        Expr::Field(field) => field.path.join("."),
        Expr::Fact(_) => value.expr.to_string(),
        _ => return,
    };
    let nodes: Vec<&Node> = match &constant.node.kind {
        Syntax::String(_) => vec![constant.node],
        Syntax::List(items) => items.iter().map(|item| &item.node).collect(),
        _ => return,
    };
    for node in nodes {
        if let Syntax::String(text) = &node.kind {
            found.push((subject.clone(), text, constant.at(node)));
        }
    }
}
