//! What was found as one JSON array, for machines: an object for each diagnostic, in the order in which people see them.

use serde::Serialize;

use super::{level, lines};
use crate::diagnostic::Diagnostic;

pub(super) fn report(found: &[Diagnostic]) -> serde_json::Result<String> {
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
    let shown = |found: &'_ Diagnostic| {
        let [line, column, end_line, end_column] = lines(&found.span);
        serde_json::to_value(Shown {
            severity: level(found.severity),
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
