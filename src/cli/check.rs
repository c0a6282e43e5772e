//! `scrim check`: everything that a start would read is read and checked, and every mistake is shown at once.
//!
//! Later files are checked against earlier ones, so policies are judged only once the API descriptions hold; where they
//! don't, it says so.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::{Check, Format};
use crate::diagnostic::{self, Diagnostic, Severity, Span};
use crate::snapshot::{self, Checked};

/// Whether everything holds. Errors: the result can't be shown.
pub fn run(arguments: &Check) -> io::Result<bool> {
    let Checked { found, policies } = snapshot::check(&arguments.config);
    match arguments.format {
        Format::Json => writeln!(io::stdout(), "{}", json(&found)?)?,
        Format::Text => {
            show(&found)?;
            if !policies {
                writeln!(io::stderr(), "policies were not checked: mend the above first")?;
            }
        }
    }
    Ok(policies && !diagnostic::has_errors(&found) && (found.is_empty() || !arguments.deny_warnings))
}

/// Everything found, for people, on stderr.
pub(super) fn show(found: &[Diagnostic]) -> io::Result<()> {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    write!(io::stderr(), "{}", diagnostic::render(found, colour))?;
    writeln!(io::stderr(), "{}", summary(found))
}

fn summary(found: &[Diagnostic]) -> String {
    let count = |severity, word: &str| {
        let count = found.iter().filter(|diagnostic| diagnostic.severity == severity).count();
        format!("{count} {word}{}", if count == 1 { "" } else { "s" })
    };
    format!("{}, {}", count(Severity::Error, "error"), count(Severity::Warning, "warning"))
}

fn json(found: &[Diagnostic]) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Shown<'a> {
        severity: &'static str,
        code: &'static str,
        file: &'a str,
        line: usize,
        column: usize,
        end_line: usize,
        end_column: usize,
        message: &'a str,
        help: Option<&'a str>,
    }
    let shown = |found: &Diagnostic| {
        let (line, column) = found.span.position();
        let end = found.span.range.end;
        let (end_line, end_column) = Span::new(&found.span.source, end..end).position();
        serde_json::to_value(Shown {
            severity: match found.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            code: found.code,
            file: &found.span.source.path,
            line,
            column,
            end_line,
            end_column,
            message: &found.message,
            help: found.help.as_deref(),
        })
    };
    serde_json::to_string_pretty(&found.iter().map(shown).collect::<Result<Vec<_>, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Source;

    #[test]
    fn what_was_found_is_counted_and_placed() {
        let source = Source::new("a.yaml", "x: 1\ny: two\n");
        let found = [
            Diagnostic::error("e", Span::new(&source, 8..11), "bad"),
            Diagnostic::warning("w", Span::new(&source, 0..1), "odd").help("mend it"),
        ];
        assert_eq!(summary(&found), "1 error, 1 warning");
        assert_eq!(summary(&[]), "0 errors, 0 warnings");
        let shown: serde_json::Value = serde_json::from_str(&json(&found).unwrap()).unwrap();
        assert_eq!(
            (&shown[0]["line"], &shown[0]["column"], &shown[0]["end_column"]),
            (&2.into(), &4.into(), &7.into())
        );
        assert_eq!(shown[1]["help"], "mend it");
    }
}
