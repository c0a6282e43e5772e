//! `scrim check`: everything that a start would read is read and checked, and every mistake is shown at once.
//!
//! Later files are checked against earlier ones, so policies are judged only once the API descriptions hold.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::{Check, Format};
use crate::api::{self, Catalog};
use crate::config::Config;
use crate::diagnostic::{self, Diagnostic, Severity, Source, Span};
use crate::policy::PolicySet;

/// Whether everything holds. Errors: the result can't be shown.
pub fn run(arguments: &Check) -> io::Result<bool> {
    let found = load(&arguments.config).unwrap_or_else(|errors| errors);
    match arguments.format {
        Format::Json => writeln!(io::stdout(), "{}", json(&found)?)?,
        Format::Text => {
            let colour =
                io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            write!(io::stderr(), "{}", diagnostic::render(&found, colour))?;
            writeln!(io::stderr(), "{}", summary(&found))?;
        }
    }
    Ok(!diagnostic::has_errors(&found) && (found.is_empty() || !arguments.deny_warnings))
}

/// Checks what the configuration at `path` names. Warnings if it holds; errors and warnings if not.
pub fn load(path: &Path) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let (config, mut found) = Config::load(path)?;
    let upstreams: Vec<_> = config.upstreams.keys().cloned().collect();
    let dimensions = &config.tenancy.dimensions;
    let catalog = api::read(&config.apis).and_then(|files| Catalog::compile(&files, &upstreams, dimensions));
    let catalog = keep(catalog, &mut found).map(Arc::new);
    let policies = keep(policies(&config.policies).map(|files| (files, Vec::new())), &mut found);
    if let (Some(catalog), Some(files)) = (catalog, policies) {
        keep(PolicySet::compile(&files, &catalog, &config.principal, dimensions), &mut found);
    }
    diagnostic::sort(&mut found);
    if diagnostic::has_errors(&found) { Err(found) } else { Ok(found) }
}

fn keep<T>(result: Result<(T, Vec<Diagnostic>), Vec<Diagnostic>>, found: &mut Vec<Diagnostic>) -> Option<T> {
    let (value, diagnostics) = match result {
        Ok((value, warnings)) => (Some(value), warnings),
        Err(errors) => (None, errors),
    };
    found.extend(diagnostics);
    value
}

/// The policies of a folder, in the order of their names.
fn policies(folder: &Path) -> Result<Vec<Arc<Source>>, Vec<Diagnostic>> {
    let unreadable = |path: &Path, error: &io::Error| {
        let source = Source::new(path.display().to_string(), "");
        vec![Diagnostic::error("file-unreadable", Span::new(&source, 0..0), format!("cannot be read: {error}"))]
    };
    let entries = std::fs::read_dir(folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let mut paths: Vec<PathBuf> =
        entries.map_err(|error| unreadable(folder, &error))?.iter().map(std::fs::DirEntry::path).collect();
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".yaml") && !name.ends_with("_test.yaml")
    });
    paths.sort();
    let mut errors = Vec::new();
    let mut sources = Vec::new();
    for path in paths {
        match std::fs::read_to_string(&path) {
            Ok(text) => sources.push(Source::new(path.display().to_string(), text)),
            Err(error) => errors.extend(unreadable(&path, &error)),
        }
    }
    if errors.is_empty() { Ok(sources) } else { Err(errors) }
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
