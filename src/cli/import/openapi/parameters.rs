//! Query parameters of lists: paging, orders, projection, expansion and filters, where a document is plain about them.
//!
//! The dialect `rest` has one spelling for all tables. Many upstreams ignore a parameter that they don't know, so a filter
//! counts only where most lists have it, and an order, a projection and an expansion only where all have.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use crate::cli::import::draft::{Limit, Notes, Rest, Sort, Table};
use crate::cli::import::tree::Tree;
use crate::cli::import::words;

/// What a page holds at most, where the document doesn't say.
const PAGE: i64 = 100;

#[derive(Clone, Debug)]
pub(super) struct Parameter<'a> {
    pub(super) name: String,
    pub(super) schema: Option<&'a Tree>,
    pub(super) of: &'a Tree,
    pub(super) place: String,
}

/// A list that is drafted.
pub(super) struct Listed<'a> {
    pub(super) table: &'a Table,
    pub(super) parameters: &'a [Parameter<'a>],
}

/// (what ends or precedes a field's name, operator), by words.
const OPERATORS: [(&[&str], &str); 21] = [
    (&[], "eq"),
    (&["eq"], "eq"),
    (&["ne"], "ne"),
    (&["neq"], "ne"),
    (&["not"], "ne"),
    (&["lt"], "lt"),
    (&["lte"], "le"),
    (&["le"], "le"),
    (&["gt"], "gt"),
    (&["gte"], "ge"),
    (&["ge"], "ge"),
    (&["in"], "in"),
    (&["nin"], "not_in"),
    (&["not", "in"], "not_in"),
    (&["null"], "null"),
    (&["isnull"], "null"),
    (&["is", "null"], "null"),
    (&["startswith"], "starts_with"),
    (&["starts", "with"], "starts_with"),
    (&["ends", "with"], "ends_with"),
    (&["contains"], "contains"),
];

pub(super) fn recognise(lists: &[Listed<'_>], tables: &[Table], rest: &mut Rest, notes: &mut Notes) {
    let mut most = |names: &[&str], kind: &str| usual(lists, names, kind, false, notes);
    if let Some(limit) = most(&["limit", "per_page", "page_size", "pagesize", "top"], "integer") {
        let number =
            |key: &str| limit.schema.and_then(|schema| schema.int_of(key)).filter(|n| (1..=1_000_000).contains(n));
        let max = number("maximum").or(number("default")).unwrap_or(PAGE);
        let default = number("default").unwrap_or(max).min(max);
        rest.limit = Some(Limit { name: limit.name.clone(), default, max });
    }
    rest.offset = most(&["offset", "skip"], "integer").map(|offset| offset.name.clone());
    rest.page = most(&["page", "page_number", "page_no"], "integer").map(|page| page.name.clone());
    rest.sort = sort(lists, notes);
    rest.fields = names(lists, &["fields", "select"], notes);
    rest.expand = names(lists, &["expand", "include", "embed"], notes);
    rest.filter = filters(lists, tables, rest, notes);
}

/// The parameter of a kind that most lists, or all, have by one of these names.
fn usual<'a>(
    lists: &'a [Listed<'a>],
    names: &[&str],
    kind: &str,
    all: bool,
    notes: &mut Notes,
) -> Option<&'a Parameter<'a>> {
    let is = |parameter: &&Parameter<'_>| {
        let of = parameter.schema.and_then(|schema| schema.text_of("type"));
        names.iter().any(|name| words::same(name, &parameter.name)) && of.is_none_or(|of| of == kind || of == "array")
    };
    let mut counts: IndexMap<&str, (usize, &Parameter<'_>)> = IndexMap::new();
    for list in lists {
        for parameter in list.parameters.iter().filter(is) {
            counts.entry(&parameter.name).or_insert((0, parameter)).0 += 1;
        }
    }
    let (name, (count, parameter)) = counts.into_iter().max_by_key(|(_, (count, _))| *count)?;
    if is_name(name) && (count == lists.len() || (!all && 2 * count >= lists.len())) {
        return Some(parameter);
    }
    notes.push(&*parameter.place, format!("the parameter {name:?} is of {count} of {} lists", lists.len()));
    None
}

/// What the loader takes for a parameter's name.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b"&=#%+{}".contains(&b))
}

fn description(parameter: &Parameter<'_>) -> String {
    let of = |tree: &Tree| tree.text_of("description").unwrap_or_default().to_owned();
    let both = format!("{} {}", of(parameter.of), parameter.schema.map(of).unwrap_or_default());
    both.chars().take(1000).collect()
}

/// Descending by a prefix `-`, or by a second parameter with `asc` and `desc`.
fn sort(lists: &[Listed<'_>], notes: &mut Notes) -> Option<Sort> {
    let sort = usual(lists, &["sort", "sort_by", "order_by", "orderby", "ordering"], "string", true, notes)?;
    let order_names = ["order", "dir", "direction", "sort_order", "sort_dir", "sort_direction", "order_dir"];
    if let Some(order) = usual(lists, &order_names, "string", true, notes).filter(|order| order.name != sort.name) {
        let values: Vec<&str> = order.schema.iter().flat_map(|of| of.items_of("enum")).filter_map(Tree::text).collect();
        if values.contains(&"asc") && values.contains(&"desc") {
            return Some(Sort { name: sort.name.clone(), order: Some(order.name.clone()) });
        }
    }
    let item = sort.schema.map(|schema| schema.get("items").unwrap_or(schema));
    let begins = |tree: &Tree| tree.text().is_some_and(|text| text.starts_with('-'));
    let by_values = item.is_some_and(|of| of.items_of("enum").any(begins) || of.get("example").is_some_and(begins));
    let by_example = sort.of.get("example").is_some_and(begins);
    let said = description(sort);
    let by_words = ["`-", "'-", "\"-", "prefix", "minus", "(-)", " -"].iter().any(|mark| said.contains(mark));
    if by_values || by_example || by_words {
        return Some(Sort { name: sort.name.clone(), order: None });
    }
    notes.push(&*sort.place, format!("how {:?} sorts the other way is not said", sort.name));
    None
}

/// A list of names in one parameter, separated by commas.
fn names(lists: &[Listed<'_>], known: &[&str], notes: &mut Notes) -> Option<String> {
    let found = usual(lists, known, "string", true, notes)?;
    let is_list = found.schema.is_some_and(|schema| schema.text_of("type") == Some("array"));
    let joined = matches!(found.of.get("explode"), Some(Tree::Bool(false)));
    let said = description(found).to_ascii_lowercase();
    if (is_list && joined) || (!is_list && said.contains("comma")) {
        return Some(found.name.clone());
    }
    notes.push(&*found.place, format!("whether {:?} takes names that are separated by commas is not said", found.name));
    None
}

/// Operators that most lists spell alike, and which can't be taken for anything else in any table.
fn filters(lists: &[Listed<'_>], tables: &[Table], rest: &Rest, notes: &mut Notes) -> Vec<(&'static str, String)> {
    let mut counts: IndexMap<(&'static str, String), usize> = IndexMap::new();
    for list in lists {
        let spelled: HashSet<(&'static str, String)> =
            list.parameters.iter().filter_map(|parameter| spelling(&parameter.name, list.table)).collect();
        let mut spelled: Vec<_> = spelled.into_iter().collect();
        spelled.sort();
        spelled.into_iter().for_each(|one| *counts.entry(one).or_default() += 1);
    }
    let mut found: Vec<(&'static str, String)> = Vec::new();
    counts.sort_by(|_, a, _, b| b.cmp(a));
    for ((operator, text), count) in counts {
        let is_first = found.iter().all(|(known, _)| *known != operator);
        let is_spelling = text == "{field}" || is_name(&text.replace("{field}", ""));
        if is_first && is_spelling && 2 * count >= lists.len() {
            found.push((operator, text));
        } else {
            notes.push("filters", format!("{text:?} is of {count} of {} lists", lists.len()));
        }
    }
    let taken: Vec<&String> = [&rest.offset, &rest.page, &rest.fields, &rest.expand]
        .into_iter()
        .flatten()
        .chain(rest.limit.iter().map(|limit| &limit.name))
        .chain(rest.sort.iter().flat_map(|sort| [Some(&sort.name), sort.order.as_ref()]).flatten())
        .collect();
    let mut kept: Vec<(&'static str, String)> = Vec::new();
    for (operator, text) in found {
        let with: Vec<&str> = kept.iter().map(|(_, text)| text.as_str()).chain([text.as_str()]).collect();
        if tables.iter().all(|table| is_unambiguous(table, &with, &taken)) {
            kept.push((operator, text));
        } else {
            notes.push("filters", format!("{text:?} would mean two things"));
        }
    }
    kept
}

/// `created_at[gte]` is ("ge", "{field}[gte]").
fn spelling(parameter: &str, table: &Table) -> Option<(&'static str, String)> {
    let columns = table.fields.iter().filter(|field| field.of.plain().is_some());
    let field = columns.filter(|field| parameter.contains(&field.name)).max_by_key(|field| field.name.len())?;
    let (before, after) = parameter.split_once(&field.name)?;
    let joins = |c: char| c.is_ascii_alphanumeric();
    if before.ends_with(joins) || after.starts_with(joins) {
        return None;
    }
    let words: Vec<String> = words::words(before).into_iter().chain(words::words(after)).collect();
    let words: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| !matches!(*word, "filter" | "where")).collect();
    let (_, operator) = OPERATORS.iter().find(|(known, _)| *known == words.as_slice())?;
    Some((operator, format!("{before}{{field}}{after}")))
}

fn is_unambiguous(table: &Table, spellings: &[&str], taken: &[&String]) -> bool {
    let mut seen: HashMap<String, ()> = taken.iter().map(|name| ((*name).clone(), ())).collect();
    let expanded =
        table.fields.iter().flat_map(|field| spellings.iter().map(|s| s.replacen("{field}", &field.name, 1)));
    expanded.into_iter().all(|name| seen.insert(name, ()).is_none())
}
