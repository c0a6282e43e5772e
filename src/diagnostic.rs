//! What an operator wrote wrong: where it stands, what is wrong with it, and what to write instead.
//!
//! Every reader of a file (YAML, API descriptions, policies, CEL) collects [`Diagnostic`]s and goes on, so that one
//! run shows every mistake. Nothing here speaks to clients: see `rejection`.

pub mod codes;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// One file as it was read. `path` is what is shown to people.
#[derive(PartialEq, Eq)]
pub struct Source {
    pub path: String,
    pub text: String,
}

impl Source {
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { path: path.into(), text: text.into() })
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.path)
    }
}

/// A byte range of a [`Source`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub source: Arc<Source>,
    pub range: Range<usize>,
}

impl Span {
    pub fn new(source: &Arc<Source>, range: Range<usize>) -> Self {
        let end = range.end.min(source.text.len());
        Self { source: Arc::clone(source), range: range.start.min(end)..end }
    }

    /// Line and column of the start, both from 1; the column counts characters.
    pub fn position(&self) -> (usize, usize) {
        let before = self.source.text.get(..self.range.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

/// One mistake. The message is lower case without a full stop, with the operator's words in backticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Stable and greppable, for example `yaml-duplicate-key`; one of [`codes::CODES`].
    pub code: &'static str,
    pub span: Span,
    pub message: String,
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        debug_assert!(codes::described(code).is_some(), "`{code}` is not described in diagnostic/codes.rs");
        Self { severity: Severity::Error, code, span, message: message.into(), help: None }
    }

    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// `path:line:col: error[code]: message`, without the source line; for logs.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.span.position();
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}:{line}:{column}: {severity}[{}]: {}", self.span.source.path, self.code, self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, " (help: {help})"))
    }
}

/// Whether any of them forbids to go on.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|d| d.severity == Severity::Error)
}

/// By file, place, then message, without repeats: the order in which they are shown and compared.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| {
        let key =
            |d: &Diagnostic| (d.span.source.path.clone(), d.span.range.start, d.span.range.end, d.message.clone());
        key(a).cmp(&key(b))
    });
    diagnostics.dedup();
}

/// All of them as people read them, each with its line underlined, with ANSI colours where `colour` says so.
pub fn render(diagnostics: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for diagnostic in diagnostics {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let source = &diagnostic.span.source;
        let group = Group::with_title(level.primary_title(&diagnostic.message).id(diagnostic.code));
        // Of a file as a whole there is no line to show.
        let mut group = if source.text.is_empty() {
            group.element(Origin::path(&source.path))
        } else {
            let primary = AnnotationKind::Primary.span(diagnostic.span.range.clone());
            group.element(Snippet::source(&source.text).path(&source.path).annotation(primary))
        };
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(help));
        }
        out.push_str(&renderer.render(&[group]));
        out.push_str("\n\n");
    }
    out
}

/// The candidate that `word` is most likely a misspelling of, if one is near enough to be worth a hint.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = word.chars().count().div_ceil(3);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, candidate)| (*distance, *candidate))
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance in characters: insertions, deletions, replacements, and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&row, j) + usize::from(x != *y);
            let mut best = replaced.min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            if j > 0 && last == Some(*y) && b.get(j - 1) == Some(&x) {
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
        last = Some(x);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn render_underlines_the_span_and_shows_the_hint() {
        let source = Source::new("policies/contacts.yaml", "table: contacts\nrows: mine\n");
        let text = render(
            &[Diagnostic::error("unknown-name", Span::new(&source, 22..26), "unknown name `mine`").help("declare it")],
            false,
        );
        assert!(text.contains("policies/contacts.yaml:2:7"), "{text}");
        assert!(text.contains("^^^^"), "{text}");
        assert!(text.contains("help: declare it"), "{text}");
    }

    #[test]
    fn a_file_that_is_not_there_has_no_line() {
        let source = Source::new("gateway.yaml", "");
        let error = Diagnostic::error("file-unreadable", Span::new(&source, 0..0), "can't be read");
        let text = render(&[error.help("name it with --config")], false);
        assert_eq!(
            text.trim_end(),
            "error[file-unreadable]: can't be read\n--> gateway.yaml\n = help: name it with --config"
        );
    }

    #[test]
    fn a_near_word_is_offered_and_a_far_one_is_not() {
        assert_eq!(nearest("owner", ["owner_id", "name"]), None);
        assert_eq!(nearest("ownr_id", ["owner_id", "name"]), Some("owner_id"));
        assert_eq!(nearest("tsl", ["address", "tls"]), Some("tls"));
    }

    #[test]
    fn columns_count_characters_from_one() {
        let source = Source::new("f", "é: x");
        assert_eq!(Span::new(&source, 4..5).position(), (1, 4));
    }
}
