//! Dialects. Of `rest`: where records lie in an answer, and how query parameters are spelled.
//!
//! A kept member of the envelope can't hold the records, and no two parameters share a spelling: otherwise rows would
//! pass unread, or a filter would be taken for something else.

use std::collections::HashMap;

use super::{Known, place};
use crate::api::{
    Dialect, Direction, Limit, ListParameter, Operator, Parameters, Place, Pocketbase, Records, Rest, Sort, Style, raw,
};
use crate::model::Name;
use crate::yaml::{Reader, Text};

pub(super) fn dialect(api: &raw::Api, known: &Known<'_>, reader: &mut Reader) -> Option<Dialect> {
    match api.dialect? {
        raw::Dialect::Rest => rest(api, known, reader).map(|rest| Dialect::Rest(Box::new(rest))),
        raw::Dialect::Odata => super::odata::odata(api, reader).map(Dialect::Odata),
        raw::Dialect::Pocketbase => Some(Dialect::Pocketbase(pocketbase(api, reader))),
        raw::Dialect::Directus => Some(Dialect::Directus(super::directus::directus(api, known, reader))),
    }
}

fn rest(api: &raw::Api, known: &Known<'_>, reader: &mut Reader) -> Option<Rest> {
    let raw = api.rest.as_ref()?;
    let lists = api.tables.iter().any(|(_, table)| table.routes.iter().any(|route| route.action.value == "list"));
    if lists && raw.list.is_none() {
        reader.error("missing-key", &raw.span, "`rest` needs `list`: where the records of a list lie").help =
            Some("list: \"$.data[*]\", or \"$[*]\" where the answer is a list".to_owned());
    }
    let list = raw.list.as_ref().and_then(|text| records(text, reader)).unwrap_or(Records::Array(Place::default()));
    let record = raw.record.as_ref().and_then(|text| member_place(text, reader)).unwrap_or_default();
    let total = raw.total.as_ref().and_then(|text| member_place(text, reader).map(|place| (text, place)));
    let keep: Vec<_> =
        raw.keep.iter().filter_map(|text| member_place(text, reader).map(|place| (text, place))).collect();
    match &list {
        Records::Array(place) => {
            check_places(raw.list.as_ref().map(|text| (text, place)), total.as_ref(), &keep, reader);
        }
        Records::Lines => {
            for (text, _) in total.iter().chain(&keep) {
                let message = format!("`{}` lies in an envelope, and lines have none", text.value);
                reader.error("bad-place", &text.span, message);
            }
        }
    }
    let parameters = parameters(raw, reader);
    match raw.parameters.is_postgrest() {
        true => super::postgrest::check(api, raw, known, reader),
        false => check_spellings(api, known, reader),
    }
    Some(Rest {
        list,
        record,
        total: total.map(|(_, place)| place),
        keep: keep.into_iter().map(|(_, place)| place).collect(),
        parameters,
    })
}

/// What PocketBase's language can't say of a table is a mistake here, not a surprise later.
fn pocketbase(api: &raw::Api, reader: &mut Reader) -> Pocketbase {
    for (_, table) in &api.tables {
        let mut columns: Vec<&str> = Vec::new();
        for field in &table.fields {
            let name = &field.name;
            let word = name.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let taken = [Pocketbase::CONTAINER, "null", "true", "false"];
            if !word || taken.contains(&name.value.to_ascii_lowercase().as_str()) {
                let message = format!("`{}` is no field's name in PocketBase's filters", name.value);
                reader.error("bad-name", &name.span, message).help = Some(
                    "letters, digits and `_`; `expand`, `null`, `true` and `false` mean something else".to_owned(),
                );
            }
            match &field.shape {
                Some(raw::Shape::Many { .. }) => {
                    let message = format!("PocketBase's dialect can't ask for `{}`, a to-many relation", name.value);
                    reader.error("bad-relation", &name.span, message);
                }
                Some(raw::Shape::One { by, .. }) if columns.contains(&by.value.as_str()) => {
                    let message = format!("two relations are expanded by the column `{}`", by.value);
                    reader.error("bad-relation", &by.span, message);
                }
                Some(raw::Shape::One { by, .. }) => columns.push(&by.value),
                Some(raw::Shape::Plain(_)) | None => {}
            }
        }
        if let Some((parameter, _)) = table.tenant_filter.first() {
            let message = "PocketBase's dialect cuts lists to a tenant by itself";
            reader.error("bad-tenant", &parameter.span, message).help = Some("leave `tenant_filter` out".to_owned());
        }
    }
    let page = api.pocketbase.as_ref().and_then(|raw| raw.page);
    let (page, max_page) = page.unwrap_or((Pocketbase::PAGE, Pocketbase::MAX_PAGE));
    Pocketbase::new(page, max_page)
}

fn records(text: &Text, reader: &mut Reader) -> Option<Records> {
    match text.value.strip_suffix("[*]") {
        Some(path) => path_of(path).or_else(|| bad_place(text, reader)).map(Records::Array),
        None if text.value == "lines" => Some(Records::Lines),
        None => {
            let message = format!("`{}` is not the place of a list's records", text.value);
            reader.error("bad-place", &text.span, message).help =
                Some("for example \"$.data[*]\" or \"$[*]\", or `lines` for one record a line".to_owned());
            None
        }
    }
}

fn member_place(text: &Text, reader: &mut Reader) -> Option<Place> {
    path_of(&text.value).or_else(|| bad_place(text, reader))
}

fn path_of(path: &str) -> Option<Place> {
    let rest = path.strip_prefix('$')?;
    if rest.is_empty() {
        return Some(Place::default());
    }
    let names: Vec<Name> = rest.strip_prefix('.')?.split('.').map(Name::from).collect();
    let member =
        |name: &Name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-@$".contains(&b));
    names.iter().all(member).then_some(Place(names))
}

fn bad_place(text: &Text, reader: &mut Reader) -> Option<Place> {
    reader.error("bad-place", &text.span, format!("`{}` is not a place in a document", text.value)).help =
        Some("`$` is the whole answer, `$.meta.total` a member of a member".to_owned());
    None
}

fn check_places(
    list: Option<(&Text, &Place)>,
    total: Option<&(&Text, Place)>,
    keep: &[(&Text, Place)],
    reader: &mut Reader,
) {
    let mut taken: Vec<(&Text, &Place)> = list.into_iter().collect();
    for (text, place) in total.into_iter().chain(keep) {
        if let Some((other, _)) = taken.iter().find(|(_, other)| contains(other, place) || contains(place, other)) {
            let message = format!("`{}` and `{}` lie within each other", text.value, other.value);
            reader.error("overlapping-places", &text.span, message).help =
                Some("what is kept passes unread, so it can't hold the records or the total".to_owned());
        }
        taken.push((text, place));
    }
}

fn contains(outer: &Place, inner: &Place) -> bool {
    inner.0.starts_with(&outer.0)
}

fn parameters(rest: &raw::Rest, reader: &mut Reader) -> Parameters {
    let raw = &rest.parameters;
    let name = |text: &Option<Text>| text.as_ref().map(|text| Name::from(text.value.as_str()));
    let mut list = |raw: &raw::List| ListParameter {
        name: raw.name.value.as_str().into(),
        separator: raw.separator.as_ref().map_or(',', |text| separator(text, reader)),
    };
    let is_postgrest = raw.is_postgrest();
    Parameters {
        style: if is_postgrest { Style::Postgrest } else { Style::Declared },
        limit: raw.limit.as_ref().map(|limit| Limit {
            name: limit.name.value.as_str().into(),
            default: limit.default,
            max: limit.max,
        }),
        offset: if is_postgrest { Some("offset".into()) } else { name(&raw.offset) },
        page: name(&raw.page),
        cursor: name(&raw.cursor).unwrap_or_else(|| Parameters::CURSOR.into()),
        sort: raw.sort.as_ref().map(|sort| Sort {
            list: list(&sort.list),
            direction: name(&sort.order).map_or(Direction::Prefix, Direction::Parameter),
        }),
        fields: raw.fields.as_ref().map(&mut list),
        expand: raw.expand.as_ref().map(&mut list),
        filter: raw.filter.iter().map(|(operator, text)| (*operator, text.value.as_str().into())).collect(),
        search: name(&raw.search),
        nulls: rest.nulls,
        list: rest.values,
    }
}

/// No character that a field's name can hold, so that a list of names reads back as it was.
fn separator(text: &Text, reader: &mut Reader) -> char {
    let mut chars = text.value.chars();
    match (chars.next(), chars.next()) {
        (Some(separator @ (',' | ';' | '|' | ':' | ' ')), None) => separator,
        _ => {
            let message = format!("`{}` can't separate names", text.value);
            reader.error("bad-separator", &text.span, message).help = Some("one of `,` `;` `|` `:`".to_owned());
            ','
        }
    }
}

/// Every query parameter of every table has one meaning.
fn check_spellings(api: &raw::Api, known: &Known<'_>, reader: &mut Reader) {
    let Some(rest) = &api.rest else { return };
    let raw = &rest.parameters;
    // The gateway's own, also where nothing is said of it.
    let cursor = raw.cursor.clone().unwrap_or_else(|| Text::implied(Parameters::CURSOR, &rest.span));
    let fixed = [
        Some(&cursor),
        raw.limit.as_ref().map(|limit| &limit.name),
        raw.offset.as_ref(),
        raw.page.as_ref(),
        raw.sort.as_ref().map(|sort| &sort.list.name),
        raw.sort.as_ref().and_then(|sort| sort.order.as_ref()),
        raw.fields.as_ref().map(|list| &list.name),
        raw.expand.as_ref().map(|list| &list.name),
        raw.search.as_ref(),
    ];
    let mut taken: HashMap<String, Text> = HashMap::new();
    for text in fixed.into_iter().flatten() {
        if text.value.bytes().any(|b| !b.is_ascii_graphic() || b"&=#%+{}".contains(&b)) {
            reader.error("bad-parameter", &text.span, format!("`{}` is not a parameter's name", text.value));
        }
        if let Some(first) = taken.insert(text.value.clone(), text.clone()) {
            let message = format!("two parameters are named `{}`", text.value);
            reader.error("duplicate-parameter", &text.span, message).help =
                Some(match first.value == cursor.value && raw.cursor.is_none() {
                    true => {
                        "the gateway tells clients places in a list by it; `cursor` calls that otherwise".to_owned()
                    }
                    false => format!("the other one is at {}", place(&first)),
                });
        }
    }
    if !check_filters(&raw.filter, reader) {
        return;
    }
    for (_, table) in &api.tables {
        check_table(&raw.filter, table, &taken, known, reader);
    }
}

fn check_filters(filters: &[(Operator, Text)], reader: &mut Reader) -> bool {
    let mut seen: HashMap<&str, &Text> = HashMap::new();
    let mut fine = true;
    for (operator, text) in filters {
        let rest = text.value.replacen("{field}", "", 1);
        let bad =
            rest.len() == text.value.len() || rest.bytes().any(|b| !b.is_ascii_graphic() || b"&=#%+{}".contains(&b));
        if bad {
            let message =
                format!("`{}` must hold `{{field}}` exactly once, and else only plain characters", text.value);
            reader.error("bad-filter", &text.span, message).help =
                Some("for example \"{field}[gt]\" or \"filter[{field}][gt]\"".to_owned());
        }
        // Several of one that is equal to a value are the list of these values.
        let is_each = *operator == Operator::Each && is_spelled(filters, Operator::Equal, text);
        if let Some(first) = seen.insert(&text.value, text).filter(|_| !is_each) {
            let message = format!("two operators are spelled `{}`", text.value);
            reader.error("duplicate-parameter", &text.span, message).help =
                Some(format!("the other one is at {}", place(first)));
            fine = false;
        }
        fine &= !bad;
    }
    fine
}

fn is_spelled(filters: &[(Operator, Text)], operator: Operator, text: &Text) -> bool {
    filters.iter().any(|(known, spelling)| *known == operator && spelling.value == text.value)
}

/// A tenant filter may be spelled as the filter `eq` of that dimension's own column: then both mean the same.
fn check_table(
    filters: &[(Operator, Text)],
    table: &raw::Table,
    fixed: &HashMap<String, Text>,
    known: &Known<'_>,
    reader: &mut Reader,
) {
    let mut seen: HashMap<String, (Operator, &Text)> = HashMap::new();
    for field in &table.fields {
        for (operator, spelling) in filters {
            if *operator == Operator::Each && is_spelled(filters, Operator::Equal, spelling) {
                continue;
            }
            let expanded = spelling.value.replacen("{field}", &field.name.value, 1);
            let other = fixed.get(&expanded).or_else(|| seen.get(&expanded).map(|(_, text)| *text));
            if let Some(other) = other {
                let message =
                    format!("a filter on `{}` is spelled `{expanded}`, which means something else", field.name.value);
                reader.error("duplicate-parameter", &field.name.span, message).help =
                    Some(format!("the other meaning is at {}", place(other)));
            }
            seen.insert(expanded, (*operator, &field.name));
        }
    }
    let columns = match &table.tenant {
        Some(raw::Tenant::Columns(_, columns)) => columns.as_slice(),
        _ => &[],
    };
    for (parameter, dimension) in &table.tenant_filter {
        known.dimension_beside(dimension, parameter, (dimension, parameter), reader);
        let own_column =
            |text: &Text| columns.iter().any(|(d, column)| d.value == dimension.value && column.value == text.value);
        let other = match seen.get(&parameter.value) {
            Some((Operator::Equal, field)) if own_column(field) => None,
            Some((_, field)) => Some(*field),
            None => fixed.get(&parameter.value),
        };
        if let Some(other) = other {
            let message = format!("the tenant filter `{}` also means something else", parameter.value);
            reader.error("duplicate-parameter", &parameter.span, message).help =
                Some(format!("the other meaning is at {}", place(other)));
        }
    }
}
