//! `style: postgrest`: parameters that are known need no declaration, and bear no other name.

use super::Known;
use crate::api::{Parameters, Style, raw};
use crate::yaml::{Reader, Text};

pub(super) fn check(api: &raw::Api, rest: &raw::Rest, known: &Known<'_>, reader: &mut Reader) {
    let parameters = &rest.parameters;
    let declared = [
        parameters.page.as_ref(),
        parameters.search.as_ref(),
        parameters.sort.as_ref().map(|sort| &sort.list.name),
        parameters.fields.as_ref().map(|list| &list.name),
        parameters.expand.as_ref().map(|list| &list.name),
    ];
    for text in declared.into_iter().flatten().chain(parameters.filter.iter().map(|(_, text)| text)) {
        let message = format!("`{}` is declared beside parameters that are PostgREST's", text.value);
        reader.error("bad-parameter", &text.span, message).help =
            Some("beside `style: postgrest` stand `limit` and `cursor` alone".to_owned());
    }
    let fixed = [(parameters.limit.as_ref().map(|limit| &limit.name), "limit"), (parameters.offset.as_ref(), "offset")];
    for (text, word) in fixed {
        if let Some(text) = text.filter(|text| text.value != word) {
            reader.error("bad-parameter", &text.span, format!("PostgREST calls it `{word}`, not `{}`", text.value));
        }
    }
    if let Some(text) = parameters.cursor.as_ref().filter(|text| Style::RESERVED.contains(&text.value.as_str())) {
        let message = format!("`{}` means something else to PostgREST", text.value);
        reader.error("bad-parameter", &text.span, message);
    }
    let cursor = parameters.cursor.as_ref().map_or(Parameters::CURSOR, |text| text.value.as_str());
    for (_, table) in &api.tables {
        for field in &table.fields {
            check_column(&field.name, cursor, reader);
        }
        for (column, dimension) in &table.tenant_filter {
            known.dimension_beside(dimension, column, (dimension, column), reader);
            check_column(column, cursor, reader);
        }
    }
}

/// Anything else would be a path, a cast, another table's column, or a word of the language.
fn check_column(name: &Text, cursor: &str, reader: &mut Reader) {
    let is_word = name.value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_word || Style::RESERVED.contains(&name.value.as_str()) || name.value == cursor {
        let message = format!("`{}` can't be the name of a column in PostgREST's queries", name.value);
        reader.error("bad-name", &name.span, message).help =
            Some(format!("letters, digits and `_`; not one of {}", Style::RESERVED.join(", ")));
    }
}
