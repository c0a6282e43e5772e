//! Patterns and parts of texts that take more than they seem to: without anchors, with a dot that stands for anything, or
//! with an end that others can have, too.

use regex::Regex;

use super::super::ir::Fact;
use super::Lints;
use super::part::Part;
use crate::api::Tenancy;
use crate::diagnostic::Diagnostic;
use crate::policy::parse::Node;

impl<'a> Lints<'a> {
    pub(super) fn pattern(&mut self, part: Part<'a>) {
        let Some((function, on, texts)) = part.call() else { return };
        let [(text, node)] = texts.as_slice() else { return };
        let found = match function {
            "matches" => self.regex(part, on, text, node),
            "endsWith" if self.is_mail(on) && !text.starts_with(['@', '.']) && text.contains('.') => {
                let message = format!("`x@evil{text}` ends so, too");
                Some(Diagnostic::warning("loose-pattern", part.at(node), message).help(format!("write '@{text}'")))
            }
            "contains" if self.is_identity(on) => {
                let message = format!("`{text}` may stand anywhere in `{}`", on.shown());
                let wrong = Diagnostic::warning("loose-pattern", part.at(node), message);
                Some(wrong.help("`startsWith`, `endsWith` or `==` say where"))
            }
            "startsWith" if on.fact() == Some(&Fact::RequestIp) && !text.ends_with(['.', ':']) => {
                let message = format!("`{text}0` begins so, too");
                let wrong = Diagnostic::warning("loose-pattern", part.at(node), message);
                Some(wrong.help("end it with the `.` or `:` that ends a part of the address"))
            }
            _ => None,
        };
        self.found.extend(found);
    }

    fn regex(&self, part: Part<'a>, on: Part<'a>, pattern: &str, node: &Node) -> Option<Diagnostic> {
        if Regex::new(pattern).is_ok_and(|regex| takes_anything(&regex)) {
            let message = format!("`{}` is always true: the pattern takes any text", part.shown());
            let help = "leave it out, or anchor what it must hold: '^[a-z]+$'";
            return Some(Diagnostic::error("always-true", part.span(), message).help(help));
        }
        if !self.is_identity(on) {
            return None;
        }
        let warn =
            |message: String, help: &str| Some(Diagnostic::warning("loose-pattern", part.at(node), message).help(help));
        if alternatives(pattern) {
            let inner = pattern.trim_start_matches('^').trim_end_matches('$');
            let help = format!("put the alternatives into parentheses: '^({inner})$'");
            return warn("`^` and `$` bind to one alternative each, not to all".to_owned(), &help);
        }
        let start = ["^", "\\A", "(?i)^"].iter().any(|anchor| pattern.starts_with(anchor));
        let end = ["$", "\\z"].iter().any(|anchor| pattern.ends_with(anchor));
        let help = match (start, end) {
            (false, false) => "begin it with `^` and end it with `$`",
            (false, true) => "begin it with `^`",
            (true, false) => "end it with `$`",
            (true, true) => {
                let around: String = pattern.chars().skip(loose_dot(pattern)?.saturating_sub(4)).take(9).collect();
                let message = format!("the `.` in `{around}` stands for any character");
                return warn(message, "write `\\\\.` or `[.]`");
            }
        };
        warn(format!("the pattern may match within `{}`: it is not anchored", on.shown()), help)
    }

    /// Whether a text says who somebody is: a key, an owner, a tenant, an address.
    fn is_identity(&self, part: Part<'a>) -> bool {
        if let Some((_, on, _)) = part.call() {
            return self.is_identity(on);
        }
        let named = |name: &str| {
            let name = name.to_ascii_lowercase();
            let whole = ["id", "user", "username", "login", "upn", "sub", "owner", "domain", "host"];
            whole.contains(&&*name) || name.ends_with("_id") || name.contains("mail")
        };
        if let Some(fact) = part.fact() {
            return match fact {
                Fact::Id | Fact::Issuer | Fact::Tenant(_) => true,
                Fact::Attribute(name) => named(name),
                _ => false,
            };
        }
        let Some([name]) = part.field().map(|field| &*field.path) else {
            return part.field().and_then(|field| field.path.last()).is_some_and(|name| named(name));
        };
        let tenant = match &self.table.tenant {
            Tenancy::Columns(columns) => columns.iter().any(|(_, column)| self.table.field(*column).name == *name),
            _ => false,
        };
        let id = self.table.field_named(name);
        tenant || id == Some(self.table.key) || id.is_some() && id == self.table.owner || named(name)
    }

    /// Whether a text is an address of e-mail.
    fn is_mail(&self, part: Part<'a>) -> bool {
        if let Some((_, on, _)) = part.call() {
            return self.is_mail(on);
        }
        let named = |name: &str| name.to_ascii_lowercase().contains("mail");
        match part.fact() {
            Some(Fact::Id) => true,
            Some(Fact::Attribute(name)) => named(name),
            _ => part.field().and_then(|field| field.path.last()).is_some_and(|name| named(name)),
        }
    }
}

/// Whether no text can be found that it does not match, among some of every kind.
fn takes_anything(regex: &Regex) -> bool {
    let signs = (' '..='~').map(String::from);
    let others = ["", "abc", "ABC", "12", "a b", "a@b.example", "-1.5", "a/b:c", "___", "\t", "\r", "\u{1}", "\u{7f}"];
    let letters = ["\u{e9}", "\u{4e2d}\u{6587}", "\u{627}", "\u{1F600}", "a\u{301}", "\u{200b}"];
    let long = "text ".repeat(2000);
    signs.chain(others.into_iter().chain(letters).map(str::to_owned)).chain([long]).all(|text| regex.is_match(&text))
}

/// The signs of a pattern that stand outside of escapes and classes, with their place in characters and their depth.
fn signs(pattern: &str) -> impl Iterator<Item = (usize, char, usize)> {
    let (mut escaped, mut class, mut depth) = (false, false, 0_usize);
    pattern.chars().enumerate().filter_map(move |(at, c)| {
        if std::mem::take(&mut escaped) {
            return None;
        }
        match c {
            '\\' => escaped = true,
            '[' if !class => class = true,
            ']' if class => class = false,
            _ if class => {}
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => return Some((at, c, depth)),
        }
        None
    })
}

/// `^a|b$`: alternatives that the anchors do not embrace.
fn alternatives(pattern: &str) -> bool {
    let mut signs = signs(pattern);
    signs.any(|(_, c, depth)| c == '|' && depth == 0) && (pattern.starts_with('^') || pattern.ends_with('$'))
}

/// A dot between letters or digits, as in a host name, that is not repeated.
fn loose_dot(pattern: &str) -> Option<usize> {
    let chars: Vec<char> = pattern.chars().collect();
    let is_word = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(char::is_ascii_alphanumeric);
    signs(pattern)
        .find(|(at, c, _)| *c == '.' && is_word(at.checked_sub(1)) && is_word(Some(at + 1)))
        .map(|(at, ..)| at)
}
