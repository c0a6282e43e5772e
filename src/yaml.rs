//! Strict YAML 1.2 with places: one tree of nodes, each of which knows where it stands in its file.
//!
//! Raw structs (`config::raw`, `api::raw`, `policy::raw`) are read from this tree through [`Reader`] and [`Fields`], which
//! collect every mistake instead of stopping at the first. Tags, anchors, aliases, merge keys, duplicate keys and
//! several documents in a file are errors. Two traps of YAML get their own: `rows: !record.private` is a tag, so a
//! naive reader sees no condition, and `rows: mine #&& record.ok` ends at the comment.

mod message;
mod types;

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use granit_parser::{Event, Options, Parser, Placement, ScalarStyle, Tag};

use crate::diagnostic::{Diagnostic, Source, Span, nearest};

/// Deeper nesting is refused: no file of ours needs it, and a recursive reader must not be driven by its input.
const MAX_DEPTH: usize = 32;

const QUOTE_HELP: &str = "quote the whole expression: rows: \"…\"";

/// A scalar as it reads after unescaping, and the place of each of its bytes in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub value: String,
    pub span: Span,
    /// (offset in `value`, offset in the file), ascending: where a run of equal bytes begins.
    runs: Vec<(usize, usize)>,
}

impl Text {
    /// What stands for this word.
    pub fn meaning(&self, value: String) -> Self {
        Self { value, span: self.span.clone(), runs: Vec::new() }
    }

    /// One that stands alone, for tests of what reads it.
    #[cfg(test)]
    pub fn whole(value: &str) -> Self {
        let source = Source::new("text", value);
        Self { value: value.to_owned(), span: Span::new(&source, 0..value.len()), runs: vec![(0, 0)] }
    }

    /// What holds where nothing was written, with the place where it could have been.
    pub fn implied(value: &str, span: &Span) -> Self {
        Self { value: value.to_owned(), span: span.clone(), runs: vec![(0, span.range.start)] }
    }

    /// The place in the file of a byte range of `value`, through quotes, escapes, folds and block indentation.
    pub fn part(&self, range: Range<usize>) -> Span {
        let place = |offset: usize| {
            let run =
                self.runs.partition_point(|(value, _)| *value <= offset).checked_sub(1).and_then(|i| self.runs.get(i));
            run.map_or(self.span.range.start, |(value, source)| source + (offset - value))
        };
        let start = place(range.start);
        let end = if range.end > range.start { place(range.end - 1) + 1 } else { start };
        let text = &self.span.source.text;
        let end = (end..=text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(end);
        Span::new(&self.span.source, start..end)
    }
}

#[derive(Clone, Debug)]
pub struct Node {
    pub span: Span,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub enum Value {
    /// An unquoted scalar: text, or `true`, `12`, `null`, as its reader wants it.
    Plain(Text),
    /// A quoted or block scalar: always text.
    Quoted(Text),
    List(Vec<Node>),
    Map(Vec<(Text, Node)>),
}

/// Reads one file. On errors there is no tree, so that nothing is decided on half a file.
pub fn parse(source: &Arc<Source>) -> Result<Node, Vec<Diagnostic>> {
    let mut builder = Builder { source, diagnostics: Vec::new(), stack: Vec::new(), root: None, last_plain: None };
    let mut options = Options::default();
    options.emit_unresolved_aliases = true;
    for next in Parser::new_from_str_with_options(&source.text, options) {
        match next {
            Ok((event, span)) => builder.event(event, &span),
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or_default();
                let (message, at, help) = message::explain(&error.kind().to_string(), &source.text, at);
                builder.fail("yaml-syntax", at, message, help);
                break;
            }
        }
    }
    let Builder { diagnostics, root, .. } = builder;
    match root {
        Some(root) if diagnostics.is_empty() => Ok(root),
        None if diagnostics.is_empty() => {
            Err(vec![Diagnostic::error("yaml-empty", Span::new(source, 0..0), "the file is empty")])
        }
        _ => Err(diagnostics),
    }
}

/// A collection that is still open; a mapping waits for a key (`None`) or for the value of one.
enum Open {
    List { start: usize, items: Vec<Node> },
    Map { start: usize, entries: Vec<(Text, Node)>, key: Option<Text>, seen: HashMap<String, Range<usize>> },
}

struct Builder<'s> {
    source: &'s Arc<Source>,
    diagnostics: Vec<Diagnostic>,
    stack: Vec<Open>,
    root: Option<Node>,
    /// Where the last plain scalar ended, to notice a comment that swallowed the rest of an expression.
    last_plain: Option<Range<usize>>,
}

impl Builder<'_> {
    fn fail(&mut self, code: &'static str, at: Range<usize>, message: impl Into<String>, help: Option<&str>) {
        let mut diagnostic = Diagnostic::error(code, Span::new(self.source, at), message);
        diagnostic.help = help.map(str::to_owned);
        self.diagnostics.push(diagnostic);
    }

    fn event(&mut self, event: Event<'_>, span: &granit_parser::Span) {
        let at = span.byte_range().unwrap_or_default();
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Anchor(..) => {}
            Event::DocumentStart(..) => {
                if self.root.is_some() {
                    self.fail(
                        "yaml-documents",
                        at,
                        "a second document in one file",
                        Some("put it into a file of its own"),
                    );
                }
            }
            Event::Comment(text, placement) => self.comment(&text, placement, at),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.fail("yaml-alias", at.clone(), "aliases are not allowed", Some("write the value out"));
                self.scalar("", ScalarStyle::Plain, at);
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.properties(anchor, tag.as_deref(), span, &at);
                self.scalar(&text, style, at);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.properties(anchor, tag.as_deref(), span, &at);
                self.open(Open::List { start: at.start, items: Vec::new() }, at);
            }
            Event::MappingStart(_, anchor, tag) => {
                self.properties(anchor, tag.as_deref(), span, &at);
                self.open(Open::Map { start: at.start, entries: Vec::new(), key: None, seen: HashMap::new() }, at);
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(at.end),
            // The parser may learn new events; what is not understood here is not accepted.
            _ => self.fail("yaml-syntax", at, "this YAML is not supported", None),
        }
    }

    fn comment(&mut self, text: &str, placement: Placement, at: Range<usize>) {
        let swallowed = text.trim_start();
        let operator = ["&&", "||", "==", "!=", "?"].iter().any(|operator| swallowed.starts_with(operator));
        let file = &self.source.text;
        let same_line = |plain: &&Range<usize>| !file.get(plain.end..at.start).unwrap_or_default().contains('\n');
        let before = self.last_plain.as_ref().filter(same_line).and_then(|plain| file.get(plain.clone()));
        let quote = before.and_then(open_quote).filter(|quote| text.contains(*quote));
        if placement == Placement::Right && before.is_some() && (operator || quote.is_some()) {
            // Between quotes of the other kind.
            let help = if quote == Some('"') { "quote the whole expression: rows: '…'" } else { QUOTE_HELP };
            self.fail("yaml-comment", at, "the rest of this expression is a comment to YAML", Some(help));
        }
    }

    fn properties(&mut self, anchor: usize, tag: Option<&Tag>, span: &granit_parser::Span, at: &Range<usize>) {
        if anchor != 0 {
            self.fail(
                "yaml-anchor",
                anchor_before(&self.source.text, at.start).unwrap_or_else(|| at.clone()),
                "anchors are not allowed",
                Some("write the value out where it is needed"),
            );
        }
        if tag.is_some() {
            let place = span.tag_span().and_then(|tag| tag.byte_range()).unwrap_or_else(|| at.clone());
            let word = self.source.text.get(place.clone()).unwrap_or("!").to_owned();
            // `!!str` is meant as a tag; `!record.private` is not.
            let help = if word.starts_with("!!") { "leave the tag out" } else { QUOTE_HELP };
            self.fail("yaml-tag", place, format!("`{word}` is a YAML tag, not a part of the value"), Some(help));
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, at: Range<usize>) {
        let plain = style == ScalarStyle::Plain;
        self.last_plain = plain.then(|| at.clone());
        let text = Text {
            value: text.to_owned(),
            span: Span::new(self.source, at.clone()),
            runs: align(text, &self.source.text, at, style),
        };
        if let Some(Open::Map { key: key @ None, seen, .. }) = self.stack.last_mut() {
            let repeated = seen.insert(text.value.clone(), text.span.range.clone()).is_some();
            let (value, place) = (text.value.clone(), text.span.range.clone());
            *key = Some(text);
            if repeated {
                self.fail("yaml-duplicate-key", place, format!("duplicate key `{value}`"), Some("keep one of them"));
            } else if value == "<<" && plain {
                self.fail("yaml-merge", place, "merge keys are not allowed", Some("write the keys out"));
            }
            return;
        }
        let span = text.span.clone();
        self.attach(Node { span, value: if plain { Value::Plain(text) } else { Value::Quoted(text) } });
    }

    fn open(&mut self, open: Open, at: Range<usize>) {
        if let Some(Open::Map { key: key @ None, .. }) = self.stack.last_mut() {
            // Give it a name, so that the value that follows still finds its place.
            *key = Some(Text { value: String::new(), span: Span::new(self.source, at.clone()), runs: Vec::new() });
            self.fail("yaml-key", at.clone(), "a key must be a plain word", None);
        }
        if self.stack.len() == MAX_DEPTH {
            self.fail("yaml-depth", at, format!("nested more than {MAX_DEPTH} levels deep"), None);
        }
        self.stack.push(open);
    }

    fn close(&mut self, end: usize) {
        let (start, value) = match self.stack.pop() {
            Some(Open::List { start, items }) => (start, Value::List(items)),
            Some(Open::Map { start, entries, .. }) => (start, Value::Map(entries)),
            None => return,
        };
        self.attach(Node { span: Span::new(self.source, start..end.max(start)), value });
    }

    fn attach(&mut self, node: Node) {
        match self.stack.last_mut() {
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => {
                if let Some(key) = key.take() {
                    entries.push((key, node));
                }
            }
            None if self.root.is_none() => self.root = Some(node),
            None => {}
        }
    }
}

/// The quote of a text within an expression that has no end. An apostrophe within a word begins none.
fn open_quote(expression: &str) -> Option<char> {
    let (mut open, mut before) = (None, ' ');
    let mut chars = expression.chars();
    while let Some(c) = chars.next() {
        match open {
            Some(_) if c == '\\' => drop(chars.next()),
            Some(quote) if c == quote => open = None,
            None if matches!(c, '"' | '\'') && !before.is_alphanumeric() => open = Some(c),
            _ => {}
        }
        before = c;
    }
    open
}

/// Where the anchor of the node at a place is written.
fn anchor_before(file: &str, node: usize) -> Option<Range<usize>> {
    let before = file.get(..node)?;
    let start = before.rfind('&')?;
    let name = before.get(start..)?.split_whitespace().next()?;
    Some(start..start + name.len())
}

/// Finds for each byte of a scalar's value its place in the file: equal characters advance together, a folded line
/// break or a doubled quote advances the file alone, and an escape is one place.
fn align(value: &str, file: &str, at: Range<usize>, style: ScalarStyle) -> Vec<(usize, usize)> {
    let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    let source = file.get(at.clone()).unwrap_or_default();
    let mut place = usize::from(quoted && source.starts_with(['"', '\'']));
    if block && source.starts_with(['|', '>']) {
        place = source.find('\n').map_or(source.len(), |i| i + 1);
    }
    let mut runs = Vec::new();
    for (offset, wanted) in value.char_indices() {
        let rest = source.get(place..).unwrap_or_default();
        let skip = if rest.starts_with(wanted) && !(quoted && rest.starts_with('\\')) {
            0
        } else {
            rest.find(|c: char| !c.is_whitespace()).unwrap_or(0)
        };
        let folded = wanted.is_whitespace() && skip > 0;
        let from = place + if folded { 0 } else { skip };
        let rest = source.get(from..).unwrap_or_default();
        let length = if folded {
            skip
        } else if style == ScalarStyle::DoubleQuoted && rest.starts_with('\\') {
            match rest.as_bytes().get(1) {
                Some(b'x') => 4,
                Some(b'u') => 6,
                Some(b'U') => 10,
                _ => 2,
            }
        } else if style == ScalarStyle::SingleQuoted && rest.starts_with("''") {
            2
        } else {
            rest.chars().next().map_or(0, char::len_utf8)
        };
        let expected = runs.last().map(|(v, s): &(usize, usize)| s + (offset - v));
        if expected != Some(at.start + from) {
            runs.push((offset, at.start + from));
        }
        place = from + length;
    }
    runs
}

/// Collects the mistakes met while a tree is read into raw structs.
#[derive(Debug, Default)]
pub struct Reader {
    pub diagnostics: Vec<Diagnostic>,
    /// Files and folders that were named, with where.
    pub named: Vec<(PathBuf, Span)>,
}

impl Reader {
    pub fn error(&mut self, code: &'static str, span: &Span, message: impl Into<String>) -> &mut Diagnostic {
        self.diagnostics.push(Diagnostic::error(code, span.clone(), message));
        let last = self.diagnostics.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "just pushed")]
        &mut self.diagnostics[last]
    }

    /// The entries of a mapping; `what` names it in messages, for example "a grant".
    pub fn fields<'n>(&mut self, node: &'n Node, what: &'static str) -> Fields<'n> {
        let entries: &[_] = match &node.value {
            Value::Map(entries) => entries,
            _ => {
                self.error("expected-mapping", &node.span, format!("{what} must be a mapping of keys to values"));
                let (span, known, missing) = (node.span.clone(), Vec::new(), Vec::new());
                return Fields { what, span, entries: &[], known, missing, broken: true };
            }
        };
        let (known, missing) = (Vec::new(), Vec::new());
        Fields { what, span: node.span.clone(), entries, known, missing, broken: false }
    }

    /// The entries of a mapping whose keys the operator chooses, such as `let` or `tables`.
    pub fn entries<'n>(&mut self, node: &'n Node, what: &'static str) -> &'n [(Text, Node)] {
        match &node.value {
            Value::Map(entries) => entries,
            _ => {
                self.error("expected-mapping", &node.span, format!("{what} must be a mapping of names to values"));
                &[]
            }
        }
    }

    pub fn list<'n>(&mut self, node: &'n Node, what: &'static str) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            _ => {
                self.error("expected-list", &node.span, format!("{what} must be a list: [a, b]"));
                &[]
            }
        }
    }

    /// A non-empty scalar as text, whatever it looks like (`12` and `true` are text here).
    pub fn text(&mut self, node: &Node, what: &'static str) -> Option<Text> {
        match &node.value {
            Value::Plain(text) if !matches!(text.value.as_str(), "" | "null" | "~") => Some(text.clone()),
            Value::Quoted(text) if !text.value.trim().is_empty() => Some(text.clone()),
            Value::List(_) | Value::Map(_) => {
                let wrong = self.error("expected-text", &node.span, format!("{what} must be text"));
                wrong.help = Some("a text that begins with a bracket must be quoted: \"[…] …\"".to_owned());
                None
            }
            Value::Plain(_) | Value::Quoted(_) => {
                self.error("expected-text", &node.span, format!("{what} must be text and not empty"));
                None
            }
        }
    }

    pub fn texts(&mut self, node: &Node, what: &'static str) -> Vec<Text> {
        self.list(node, what).iter().filter_map(|item| self.text(item, what)).collect()
    }

    pub fn bool(&mut self, node: &Node, what: &'static str) -> Option<bool> {
        match &node.value {
            Value::Plain(text) if text.value == "true" => Some(true),
            Value::Plain(text) if text.value == "false" => Some(false),
            _ => {
                self.error("expected-bool", &node.span, format!("{what} must be `true` or `false`"));
                None
            }
        }
    }

    /// A whole number within `range`.
    pub fn integer(&mut self, node: &Node, what: &'static str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let number = match &node.value {
            Value::Plain(text) => text.value.parse::<u64>().ok(),
            _ => None,
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let message = format!("{what} must be a whole number from {} to {}", range.start(), range.end());
            self.error("expected-number", &node.span, message);
        }
        number
    }
}

/// The entries of one mapping with known keys. Call [`finish`](Self::finish) to report the unknown ones.
#[derive(Debug)]
pub struct Fields<'n> {
    what: &'static str,
    pub span: Span,
    entries: &'n [(Text, Node)],
    known: Vec<&'static str>,
    /// Keys whose absence was said.
    missing: Vec<&'static str>,
    broken: bool,
}

impl<'n> Fields<'n> {
    /// Where a mapping begins: what it lacks is shown at its first key, not under all of it.
    pub fn head(&self) -> Span {
        self.entries.first().map_or_else(|| self.span.clone(), |(name, _)| name.span.clone())
    }

    pub fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        self.entries.iter().find(|(name, _)| name.value == key).map(|(_, node)| node)
    }

    /// As [`take`](Self::take), but its absence is a mistake.
    pub fn require(&mut self, key: &'static str, reader: &mut Reader) -> Option<&'n Node> {
        let found = self.take(key);
        if found.is_none() && !self.broken {
            reader.error("missing-key", &self.head(), self.lacks(key));
            self.missing.push(key);
        }
        found
    }

    fn lacks(&self, key: &str) -> String {
        format!("{} needs `{key}`", self.what)
    }

    pub fn finish(self, reader: &mut Reader) {
        for (name, _) in self.entries {
            if !self.known.contains(&name.value.as_str()) {
                let near = nearest(&name.value, self.known.iter().copied());
                // A key that is misspelled is not missing besides.
                if let Some(missing) = near.filter(|near| self.missing.contains(near)) {
                    let (head, said) = (self.head(), self.lacks(missing));
                    reader.diagnostics.retain(|other| other.span != head || other.message != said);
                }
                let longer = || self.known.iter().copied().find(|known| begins(known, &name.value));
                let help = near
                    .or_else(longer)
                    .map(|known| format!("did you mean `{known}`?"))
                    .unwrap_or_else(|| format!("known keys: {}", self.known.join(", ")));
                let what = self.what;
                reader.error("unknown-key", &name.span, format!("unknown key `{}` in {what}", name.value)).help =
                    Some(help);
            }
        }
    }
}

/// Whether a key is another one with further words behind it: `choose_by` and `choose`.
fn begins(key: &str, beginning: &str) -> bool {
    key.strip_prefix(beginning).is_some_and(|rest| rest.starts_with('_'))
}

#[cfg(test)]
mod tests;
