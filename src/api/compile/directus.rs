//! The `directus` dialect: which names it can spell, and where the server has the records of a table.

use super::Known;
use super::tables::plain;
use crate::api::{Directus, raw};
use crate::model::Action;
use crate::yaml::{Reader, Text};

pub(super) fn directus(api: &raw::Api, known: &Known<'_>, reader: &mut Reader) -> Directus {
    for (_, table) in &api.tables {
        let mut columns: Vec<&str> = Vec::new();
        for field in &table.fields {
            if !is_word(&field.name.value) {
                let message = format!("`{}` can't be asked for by name in Directus", field.name.value);
                reader.error("bad-name", &field.name.span, message).help =
                    Some("letters, digits and `_`, not beginning with `_`".to_owned());
            }
            if let Some(raw::Shape::One { by, .. }) = &field.shape {
                if columns.contains(&by.value.as_str()) {
                    let message = format!("two relations are expanded by the column `{}`", by.value);
                    reader.error("bad-relation", &by.span, message);
                }
                columns.push(&by.value);
                check_alias(table, &field.name, known, reader);
            }
        }
        if let Some((parameter, _)) = table.tenant_filter.first() {
            let message = "Directus' dialect cuts lists to a tenant by itself";
            reader.error("bad-tenant", &parameter.span, message).help = Some("leave `tenant_filter` out".to_owned());
        }
    }
    let page = api.directus.as_ref().and_then(|raw| raw.page);
    let (page, max_page) = page.unwrap_or((Directus::PAGE, Directus::MAX_PAGE));
    let mut directus = Directus::new(page, max_page);
    directus.aggregates = api.directus.as_ref().is_some_and(|raw| raw.aggregates);
    directus
}

/// The server takes the name of a to-one relation for its column wherever it stands, in related records too.
fn check_alias(table: &raw::Table, relation: &Text, known: &Known<'_>, reader: &mut Reader) {
    let related = table.fields.iter().filter_map(|field| match &field.shape {
        Some(raw::Shape::One { table, .. } | raw::Shape::Many { table }) => known.tables.get(table.value.as_str()),
        Some(raw::Shape::Plain(_)) | None => None,
    });
    for other in related {
        let same = other.raw.fields.iter().find(|field| field.name.value == relation.value && plain(field).is_some());
        if let Some(same) = same {
            let message = format!(
                "the relation `{}` has the name of a column of `{}`, which Directus can't tell from it",
                relation.value, other.name.value
            );
            reader.error("bad-relation", &relation.span, message).help =
                Some(format!("give the relation another name; the column is at {}", super::place(&same.name)));
        }
    }
}

/// `GET /items/contacts/{id}`, written where the action was. `None`: beside an error.
pub(super) fn route(name: &Text, table: &raw::Table, word: &Text, reader: &mut Reader) -> Option<Text> {
    let set = table.set.as_ref().unwrap_or(name);
    if !is_word(&set.value) {
        let message = format!("`{}` can't be the name of a collection", set.value);
        reader.error("bad-name", &set.span, message).help = Some("name it with `set`".to_owned());
        return None;
    }
    let list = format!("/items/{}", set.value);
    let record = format!("{list}/{{{}}}", table.key.as_ref()?.value);
    let (method, path) = match Action::parse(&word.value) {
        Action::List => ("GET", list),
        Action::Read => ("GET", record),
        Action::Create => ("POST", list),
        Action::Update => ("PATCH", record),
        Action::Delete => ("DELETE", record),
        Action::Transfer | Action::Export | Action::Custom(_) => {
            let message = format!("Directus has no route for `{}`", word.value);
            reader.error("bad-route", &word.span, message).help =
                Some("one of list, read, create, update, delete; or write each as `close: POST /path`".to_owned());
            return None;
        }
    };
    Some(word.meaning(format!("{method} {path}")))
}

/// What the server takes for a name and nothing else: operators begin with `_`.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
