//! Which fields a search of a table looks into: what it reads is what whoever searches can learn.

use super::tables::{find, plain};
use crate::api::{FieldId, Search, raw};
use crate::model::value::Type;
use crate::yaml::Reader;

/// Each is looked into for each word.
const MAX_FIELDS: usize = 16;

pub(super) fn fields(api: &raw::Api, table: &raw::Table, reader: &mut Reader) -> Vec<FieldId> {
    let Some(first) = table.search.first() else { return Vec::new() };
    let by_filter = match api.dialect {
        Some(raw::Dialect::Rest) => {
            if api.rest.as_ref().is_some_and(|rest| rest.parameters.search.is_none()) {
                reader.error("bad-search", &first.span, "there is no parameter to search with").help =
                    Some("declare rest.parameters.search".to_owned());
            }
            false
        }
        Some(raw::Dialect::Odata) => api.odata.as_ref().is_some_and(|odata| odata.search == Search::Filter),
        Some(raw::Dialect::Directus) => true,
        Some(raw::Dialect::Pocketbase) => {
            reader.error("bad-search", &first.span, "PocketBase has no search").help =
                Some("its clients filter with `~`".to_owned());
            return Vec::new();
        }
        None => return Vec::new(),
    };
    if let Some(beyond) = table.search.get(MAX_FIELDS) {
        reader.error("bad-search", &beyond.span, format!("a search looks into {MAX_FIELDS} fields at most"));
    }
    let mut found: Vec<FieldId> = Vec::new();
    for word in &table.search {
        let Some((id, field)) = find(table, word, reader) else { continue };
        let name = &word.value;
        let of = plain(field);
        let is_text = of.as_ref().is_some_and(|of| *of == Type::String);
        if found.contains(&id) {
            reader.error("bad-search", &word.span, format!("`{name}` is named twice"));
        } else if field.tags.iter().any(|tag| tag.value == "secret") {
            reader.error("bad-search", &word.span, format!("`{name}` is tagged secret and can't be searched")).help =
                Some("where the upstream reads it all the same, leave `search` out: nobody could use it".to_owned());
        } else if field.shape.is_some() && (of.is_none() || (by_filter && !is_text)) {
            let message = format!("`{name}` can't be searched, for it is no text");
            reader.error("bad-search", &word.span, message);
        }
        found.push(id);
    }
    found
}
