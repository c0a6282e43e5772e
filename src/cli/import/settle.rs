//! What was read becomes what the loader takes: names, keys, tenants, owners, tags and relations.
//!
//! Whose rows a table holds is never made up. A table in which no column looks like it is left out, and the operator is
//! told why and by which option it comes in. What points to a table that is left out goes with it.

use std::collections::{HashMap, HashSet};

use super::Options;
use super::cascades;
use super::draft::{Dialect, Draft, Field, Notes, Of, Table, Tags, Tenant};
use super::words::{self, OWNERS, TENANTS};
use crate::api::Template;

pub(super) const MAX_TABLES: usize = 2_000;
/// Of one table.
pub(super) const MAX_FIELDS: usize = 2_000;
const MAX_ROUTES: usize = 5_000;

pub(super) fn settle(mut draft: Draft, options: &Options, notes: &mut Notes) -> Draft {
    let dimensions = dimensions(&draft.tables, options);
    let mut names = HashSet::new();
    let mut tables = Vec::new();
    for mut table in std::mem::take(&mut draft.tables) {
        let left_out = named(&draft.dialect, &table, &mut names)
            .and_then(|()| fields(&draft.dialect, &mut table, notes))
            .and_then(|()| tenant(&mut table, &dimensions, options))
            .and_then(|()| routes(&table));
        match left_out {
            Ok(()) if tables.len() == MAX_TABLES => notes.push("tables", format!("there are more than {MAX_TABLES}")),
            Ok(()) => tables.push(table),
            Err(why) => notes.push(&*table.place, format!("the table {:?} is left out: {why}", table.name)),
        }
    }
    tables = without_overlaps(tables, notes);
    relations(&mut tables, &draft.dialect, notes);
    tables = with_parents(tables, &draft.dialect, notes);
    // Those to tables that have gone since.
    relations(&mut tables, &draft.dialect, notes);
    keys_of(&mut tables);
    cascades::declare(&mut tables, &draft.cascades, notes);
    for table in &mut tables {
        owner(table, options);
        for field in &mut table.fields {
            tag(field, &table.key, table.tenant.as_ref(), table.owner.as_deref());
        }
    }
    Draft { tables, ..draft }
}

/// (dimension, columns that stand for it). Without a word of the operator's, a second one only where a table has it.
pub(super) fn dimensions(tables: &[Table], options: &Options) -> Vec<(String, Vec<String>)> {
    if !options.tenant.is_empty() {
        return options.tenant.clone();
    }
    let occurs = |columns: &[&str]| {
        tables.iter().flat_map(|table| &table.fields).any(|field| columns.iter().any(|c| words::same(c, &field.name)))
    };
    let all = TENANTS.iter().enumerate().filter(|(at, (name, columns))| {
        let segment = format!("{{tenant.{name}}}");
        let mut routes = tables.iter().flat_map(|table| &table.routes).filter_map(|route| route.route.as_deref());
        *at == 0 || occurs(columns) || routes.any(|route| route.contains(&segment))
    });
    all.map(|(_, (name, columns))| ((*name).to_owned(), columns.iter().map(|c| (*c).to_owned()).collect())).collect()
}

fn named(dialect: &Dialect, table: &Table, names: &mut HashSet<String>) -> Result<(), String> {
    if !is_table_name(&table.name) {
        return Err("a table's name is up to 64 letters, digits, `_` or `-`".to_owned());
    }
    if !matches!(dialect, Dialect::Rest(_)) && table.name.contains('-') {
        return Err("its name can't be asked for".to_owned());
    }
    if !names.insert(table.name.clone()) {
        return Err("another one has this name".to_owned());
    }
    Ok(())
}

pub(super) fn is_table_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        && name.len() <= 64
}

/// What the loader takes for a field's name in this dialect.
fn is_field_name(dialect: &Dialect, name: &str) -> bool {
    let is_word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.len() <= 128
        && match dialect {
            Dialect::Rest(_) => {
                name.starts_with(|c: char| first(c) || matches!(c, '$' | '@'))
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_$@.-".contains(&b))
            }
            Dialect::Odata { .. } => is_word && name.starts_with(first),
            // What begins with `_` is an operator.
            Dialect::Directus => is_word && name.starts_with(|c: char| c.is_ascii_alphabetic()),
            Dialect::Pocketbase => {
                let taken = ["expand", "null", "true", "false"];
                is_word && name.starts_with(first) && !taken.contains(&name.to_ascii_lowercase().as_str())
            }
        }
}

fn fields(dialect: &Dialect, table: &mut Table, notes: &mut Notes) -> Result<(), String> {
    let mut seen = HashSet::new();
    let place = table.place.clone();
    table.fields.retain(|field| {
        let why = if !is_field_name(dialect, &field.name) {
            "it is no field's name here"
        } else if !seen.insert(field.name.clone()) {
            "another one has this name"
        } else {
            return true;
        };
        notes.push(&*place, format!("the field {:?} is left out: {why}", field.name));
        false
    });
    if table.fields.len() > MAX_FIELDS {
        return Err(format!("it has more than {MAX_FIELDS} fields"));
    }
    let Some(key) = table.fields.iter_mut().find(|field| field.name == table.key) else {
        return Err(format!("its key {:?} is no field of it", table.key));
    };
    if !key.of.is_scalar() {
        return Err(format!("its key {:?} is no single value", table.key));
    }
    (key.nullable, key.default) = (false, None);
    Ok(())
}

fn tenant(table: &mut Table, dimensions: &[(String, Vec<String>)], options: &Options) -> Result<(), String> {
    if options.shared.contains(&table.name) {
        table.routes.retain(|route| !route.writes());
        table.tenant = Some(Tenant::Shared);
        return Ok(());
    }
    if let Some((_, relation)) = options.via.iter().find(|(name, _)| *name == table.name) {
        table.tenant = Some(Tenant::Via(relation.clone()));
        return Ok(());
    }
    let mut columns: Vec<(String, String)> = Vec::new();
    for (dimension, candidates) in dimensions {
        let found = candidates.iter().find_map(|candidate| {
            let fits = |field: &&Field| matches!(field.of.plain(), Some("string" | "int"));
            let free = |field: &&Field| columns.iter().all(|(_, column)| *column != field.name);
            let mut all = table.fields.iter().filter(fits).filter(free);
            all.clone().find(|f| f.name == *candidate).or_else(|| all.find(|f| words::same(candidate, &f.name)))
        });
        let Some(found) = found else { return Err(no_tenant(table, dimension)) };
        columns.push((dimension.clone(), found.name.clone()));
    }
    for field in &mut table.fields {
        if columns.iter().any(|(_, column)| *column == field.name) {
            (field.nullable, field.default) = (false, None);
        }
    }
    for (dimension, column) in &columns {
        if let Some(parameter) = table.parameters.iter().find(|parameter| *parameter == column) {
            table.tenant_filter.push((parameter.clone(), dimension.clone()));
        }
    }
    table.tenant = Some(Tenant::Columns(columns));
    Ok(())
}

fn no_tenant(table: &Table, dimension: &str) -> String {
    let name = &table.name;
    let mut ways = vec![format!("--tenant {dimension}=COLUMN"), format!("--shared {name} if it belongs to all")];
    let relation = table.fields.iter().find(|field| matches!(field.of, Of::One { .. }));
    ways.extend(relation.map(|field| format!("--via {name}={} if that says it", field.name)));
    format!("no column of it looks like `{dimension}`; {}", ways.join(", or "))
}

fn routes(table: &Table) -> Result<(), String> {
    if table.routes.iter().any(|route| !route.writes()) { Ok(()) } else { Err("nothing of it can be read".to_owned()) }
}

/// Two routes that one request can mean are an error to the loader: the table of more routes stays.
pub(super) fn without_overlaps(mut tables: Vec<Table>, notes: &mut Notes) -> Vec<Table> {
    let mut order: Vec<usize> = (0..tables.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(tables.get(*at).map_or(0, |table| table.routes.len())));
    let mut taken: HashMap<(String, usize), Vec<(Template, String)>> = HashMap::new();
    let mut count = 0;
    for at in order {
        let Some(table) = tables.get_mut(at) else { continue };
        let (name, place) = (table.name.clone(), table.place.clone());
        table.routes.retain(|route| {
            let Some(text) = &route.route else { return true };
            let parsed = text.split_once(' ').and_then(|(method, path)| Some((method, Template::parse(path).ok()?)));
            let Some((method, path)) = parsed else {
                notes.push(&*place, format!("the route {text:?} of {name:?} is left out: it is no path"));
                return false;
            };
            let others = taken.entry((method.to_owned(), path.segments.len())).or_default();
            count += 1;
            let other = others.iter().find(|(other, _)| other.overlaps(&path));
            let why = match other {
                Some((_, other)) => format!("{other:?} can match the same request"),
                None if count > MAX_ROUTES => format!("there are more than {MAX_ROUTES} routes"),
                None => {
                    others.push((path, text.clone()));
                    return true;
                }
            };
            notes.push(&*place, format!("the route {text:?} of {name:?} is left out: {why}"));
            false
        });
    }
    tables.retain(|table| {
        let readable = routes(table);
        if let Err(why) = &readable {
            notes.push(&*table.place, format!("the table {:?} is left out: {why}", table.name));
        }
        readable.is_ok()
    });
    tables
}

/// `via` needs a parent with tenant columns of its own, and something that brings it along.
fn with_parents(mut tables: Vec<Table>, dialect: &Dialect, notes: &mut Notes) -> Vec<Table> {
    let owning: HashSet<String> = tables
        .iter()
        .filter(|table| matches!(table.tenant, Some(Tenant::Columns(_))))
        .map(|table| table.name.clone())
        .collect();
    let expands = !matches!(dialect, Dialect::Rest(rest) if rest.expand.is_none());
    tables.retain(|table| {
        let Some(Tenant::Via(relation)) = &table.tenant else { return true };
        let why = match table.fields.iter().find(|field| field.name == *relation).map(|field| &field.of) {
            Some(Of::One { table, .. }) if owning.contains(table) && expands => return true,
            Some(Of::One { table, .. }) if owning.contains(table) => {
                "no parameter was found by which its list brings related records along".to_owned()
            }
            Some(Of::One { table, .. }) => format!("{table:?} has no tenant columns to lend"),
            _ => format!("{relation:?} is no to-one relation of it"),
        };
        notes.push(&*table.place, format!("the table {:?} is left out: {why}", table.name));
        false
    });
    tables
}

fn relations(tables: &mut [Table], dialect: &Dialect, notes: &mut Notes) {
    let keys: HashMap<String, Option<String>> = tables
        .iter()
        .map(|table| {
            let key = table.fields.iter().find(|field| field.name == table.key);
            (table.name.clone(), key.and_then(|field| field.of.plain()).map(str::to_owned))
        })
        .collect();
    // Directus takes the name of a to-one relation for its column wherever it stands, in related records too.
    let names: HashMap<String, HashSet<String>> = match dialect {
        Dialect::Directus => tables.iter().map(|table| (table.name.clone(), columns_of(table))).collect(),
        _ => HashMap::new(),
    };
    for table in tables {
        let related: HashSet<String> = table
            .fields
            .iter()
            .filter_map(|field| match &field.of {
                Of::One { table, .. } | Of::Many { table } => names.get(table),
                Of::Plain(_) => None,
            })
            .flatten()
            .cloned()
            .collect();
        let columns: HashMap<String, Option<String>> =
            table.fields.iter().map(|field| (field.name.clone(), field.of.plain().map(str::to_owned))).collect();
        let mut by_column = HashSet::new();
        let (name, place) = (table.name.clone(), table.place.clone());
        table.fields.retain(|field| {
            let why = match &field.of {
                Of::Plain(_) => return true,
                Of::One { table: target, .. } | Of::Many { table: target } if !keys.contains_key(target) => {
                    format!("the table {target:?} is not there")
                }
                Of::Many { .. } if matches!(dialect, Dialect::Pocketbase) => "it is a list of records".to_owned(),
                Of::Many { .. } => return true,
                Of::One { table: target, by } => match (columns.get(by).cloned().flatten(), keys.get(target)) {
                    (None, _) => format!("{by:?} is no column of it"),
                    (of, Some(key)) if of != *key => format!("{by:?} is not of the type of the key of {target:?}"),
                    _ if related.contains(&field.name) => "a related table has a column of this name".to_owned(),
                    _ if matches!(dialect, Dialect::Pocketbase | Dialect::Directus)
                        && !by_column.insert(by.clone()) =>
                    {
                        format!("{by:?} has a relation already")
                    }
                    _ => return true,
                },
            };
            notes.push(&*place, format!("the relation {:?} of {name:?} is left out: {why}", field.name));
            false
        });
    }
}

/// Keys of a table that is not there are not said to be its.
fn keys_of(tables: &mut [Table]) {
    let names: HashSet<String> = tables.iter().map(|table| table.name.clone()).collect();
    for field in tables.iter_mut().flat_map(|table| &mut table.fields) {
        if field.keys_of.take_if(|table| !names.contains(table)).is_some() {
            field.comment = Some("keys that nobody looks up when they are written");
        }
    }
}

fn columns_of(table: &Table) -> HashSet<String> {
    table.fields.iter().filter(|field| field.of.plain().is_some()).map(|field| field.name.clone()).collect()
}

fn owner(table: &mut Table, options: &Options) {
    let guesses: Vec<String> = OWNERS.iter().map(|name| (*name).to_owned()).collect();
    let candidates = if options.owner.is_empty() { &guesses } else { &options.owner };
    let scalar = |field: &&Field| matches!(field.of.plain(), Some("string" | "int"));
    table.owner = candidates.iter().find_map(|candidate| {
        let found = table.fields.iter().filter(scalar).find(|field| words::same(candidate, &field.name));
        found.map(|field| field.name.clone())
    });
}

/// A column by which rules and routes find records stays in sight: a secret one would hide them all.
fn tag(field: &mut Field, key: &str, tenant: Option<&Tenant>, owner: Option<&str>) {
    if field.of.plain().is_none() {
        return;
    }
    field.tags = field.tags.with(words::tags(&field.name));
    let is_tenant = matches!(tenant, Some(Tenant::Columns(all)) if all.iter().any(|(_, c)| *c == field.name));
    if field.name == key || is_tenant || owner == Some(&field.name) {
        field.tags = Tags { secret: false, ..field.tags };
    }
}
