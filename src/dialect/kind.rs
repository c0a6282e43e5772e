//! What a parameter of a client's query is for, in one word for the audit log: never the client's own.

use crate::api::{Api, Dialect, Direction, Parameters, Rest, Style};

/// `None`: it is a filter by a field's name, or nobody declared it.
pub fn kind(api: &Api, parameter: &str) -> Option<&'static str> {
    match &api.dialect {
        Dialect::Rest(rest) => of_rest(rest, parameter),
        Dialect::Odata(_) => Some(match parameter {
            "$filter" => "filter",
            "$orderby" => "sort",
            "$select" => "fields",
            "$expand" => "expand",
            "$top" => "limit",
            "$skip" => "offset",
            "$skiptoken" => "cursor",
            "$search" => "search",
            _ => return None,
        }),
        Dialect::Pocketbase(_) => Some(match parameter {
            "filter" => "filter",
            "sort" => "sort",
            "fields" => "fields",
            "expand" => "expand",
            "perPage" => "limit",
            "page" => "page",
            _ => return None,
        }),
        Dialect::Directus(_) => Some(match parameter.split('[').next().unwrap_or_default() {
            "filter" => "filter",
            "sort" => "sort",
            "fields" => "fields",
            "limit" => "limit",
            "offset" => "offset",
            "page" => "page",
            "search" => "search",
            _ => return None,
        }),
    }
}

fn of_rest(rest: &Rest, parameter: &str) -> Option<&'static str> {
    let Parameters { style, limit, offset, page, cursor, sort, fields, expand, search, .. } = &rest.parameters;
    if *style == Style::Postgrest {
        match parameter {
            "order" => return Some("sort"),
            "select" => return Some("fields"),
            "and" | "or" | "not.and" | "not.or" => return Some("filter"),
            _ => {}
        }
    }
    let order = sort.as_ref().and_then(|sort| match &sort.direction {
        Direction::Parameter(name) => Some(name),
        Direction::Prefix => None,
    });
    let declared = [
        (limit.as_ref().map(|limit| &limit.name), "limit"),
        (offset.as_ref(), "offset"),
        (page.as_ref(), "page"),
        (Some(cursor), "cursor"),
        (sort.as_ref().map(|sort| &sort.list.name), "sort"),
        (order, "sort"),
        (fields.as_ref().map(|list| &list.name), "fields"),
        (expand.as_ref().map(|list| &list.name), "expand"),
        (search.as_ref(), "search"),
    ];
    declared.into_iter().find(|(name, _)| name.is_some_and(|name| **name == *parameter)).map(|(_, kind)| kind)
}
