//! What a YAML parser says about broken text, in words for whoever wrote it: where it stands, and what to do.

use std::ops::Range;

use super::QUOTE_HELP;

/// The parser's words and place -> those that are shown.
pub(super) fn explain(kind: &str, file: &str, at: usize) -> (String, Range<usize>, Option<&'static str>) {
    let said = |message: &str, help: &'static str| (message.to_owned(), character(file, at), Some(help));
    if kind.contains("tab") {
        let place = tab(file, at).map_or_else(|| character(file, at), |tab| tab..tab + 1);
        return ("a tab stands where only spaces can".to_owned(), place, Some("indent with spaces"));
    }
    if kind.contains("mapping values are not allowed") {
        return said("a second `: ` on this line begins a value within a value", QUOTE_HELP);
    }
    if kind.contains("illegal placement of ':'") {
        return said("unexpected `:`", "a bracket above may not be closed");
    }
    if kind.contains("invalid trailing content after") {
        return said("unexpected text behind the closing quote", QUOTE_HELP);
    }
    if kind.contains("did not find expected ','") {
        return said(
            "expected `,` or a closing bracket",
            "within brackets, quote a text that holds a bracket or `, `: rows: \"…\"",
        );
    }
    if kind.contains("indentation") || kind.contains("expected key") || kind.contains("'-' indicator") {
        return said("this line is not indented as its neighbours are", "keys of one mapping begin in one column");
    }
    if kind.contains("block sequence entries are not allowed") {
        return said("a list can't begin here", "put its first `-` onto a line of its own");
    }
    // "while scanning a plain scalar, found …": what was found is enough.
    let short = kind.strip_prefix("while ").and_then(|rest| rest.split_once(", ")).map_or(kind, |(_, found)| found);
    (short.to_owned(), character(file, at), None)
}

/// The character at a place; the last one of the file behind its end.
fn character(file: &str, at: usize) -> Range<usize> {
    let rest = file.get(at..).unwrap_or_default();
    match rest.chars().next() {
        Some(c) if c != '\n' => at..at + c.len_utf8(),
        Some(_) => at..at,
        None => file.trim_end().len()..file.trim_end().len(),
    }
}

/// The tab that is meant: the first one in an indentation near the place.
fn tab(file: &str, at: usize) -> Option<usize> {
    const NEAR: usize = 400;
    let before = file.get(..at)?.rfind('\n').map_or(0, |line| line + 1);
    let near: Vec<(usize, char)> = file.get(before..)?.char_indices().take(NEAR).collect();
    let mut indents = true;
    for (offset, c) in near {
        match c {
            '\t' if indents || before + offset == at => return Some(before + offset),
            '\n' => indents = true,
            ' ' => {}
            _ => indents = false,
        }
    }
    None
}
