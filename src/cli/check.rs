//! `scrim check`: everything that a start would read is read and checked, and every mistake is shown at once.
//!
//! Later files are checked against earlier ones, so policies are judged only once the API descriptions hold; where they
//! don't, it says so. What would end while it serves is refused here, before it is rolled out; a gateway that has it already is
//! only warned, for it must be able to start.

mod json;
mod sarif;

use std::io::{self, IsTerminal, Write};

use super::{Check, Format};
use crate::diagnostic::{self, Diagnostic, Severity, Span};
use crate::snapshot::{self, Checked};

/// Warnings that are errors here.
const REFUSED: [&str; 1] = ["certificate-expires-soon"];
/// What is said where policies could not be judged.
const UNCHECKED: &str = "policies were not checked: mend the above first";

/// Whether everything holds. Errors: the result can't be shown.
pub fn run(arguments: &Check) -> io::Result<bool> {
    let Checked { mut found, policies } = snapshot::check(&arguments.config);
    refuse(&mut found);
    match arguments.format {
        Format::Text => show(&found)?,
        Format::Json => writeln!(io::stdout(), "{}", json::report(&found)?)?,
        Format::Sarif => writeln!(io::stdout(), "{}", sarif::report(&found, policies)?)?,
    }
    if !policies {
        writeln!(io::stderr(), "{UNCHECKED}")?;
    }
    Ok(policies && !diagnostic::has_errors(&found) && (found.is_empty() || !arguments.deny_warnings))
}

fn refuse(found: &mut [Diagnostic]) {
    let refused = found.iter_mut().filter(|diagnostic| REFUSED.contains(&diagnostic.code));
    refused.for_each(|diagnostic| diagnostic.severity = Severity::Error);
}

/// Everything found, for people, on stderr.
pub fn show(found: &[Diagnostic]) -> io::Result<()> {
    let colour = coloured(io::stderr().is_terminal(), |name| std::env::var(name).ok());
    write!(io::stderr(), "{}", diagnostic::render(found, colour))?;
    writeln!(io::stderr(), "{}", summary(found))
}

/// Colours are for terminals, unless somebody wants none (<https://no-color.org>) or the terminal has none.
fn coloured(is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let unwanted = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    is_terminal && !unwanted && variable("TERM").is_none_or(|terminal| terminal != "dumb")
}

fn summary(found: &[Diagnostic]) -> String {
    let count = |severity, word: &str| {
        let count = found.iter().filter(|diagnostic| diagnostic.severity == severity).count();
        format!("{count} {word}{}", if count == 1 { "" } else { "s" })
    };
    format!("{}, {}", count(Severity::Error, "error"), count(Severity::Warning, "warning"))
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Line and column of the start and of the end, which is behind the last character; all from 1.
fn lines(span: &Span) -> [usize; 4] {
    let (line, column) = span.position();
    let (end_line, end_column) = Span::new(&span.source, span.range.end..span.range.end).position();
    [line, column, end_line, end_column]
}

#[cfg(test)]
mod tests;
