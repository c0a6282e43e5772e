//! Tables: that keys, owners, tenant columns and relations exist and have the type their use needs.

use super::{Known, bodies, guards, search, unknown, writes};
use crate::api::{ApiId, Field, FieldId, Lent, Parent, Pocketbase, Push, Shape, Table, TableId, Tenancy, raw};
use crate::diagnostic::Span;
use crate::model::value::{Decimal, Type};
use crate::model::{Name, Value};
use crate::yaml::{self, Node, Reader, Text};

/// `None` only beside an error.
pub(super) fn table(
    known: &Known<'_>,
    api: ApiId,
    described: &raw::Api,
    name: &Text,
    raw: &raw::Table,
    reader: &mut Reader,
) -> Option<Table> {
    let id = known.tables.get(name.value.as_str())?.id;
    let fields: Vec<Option<Field>> =
        raw.fields.iter().map(|field| compile_field(known, api, described, raw, field, reader)).collect();
    let key = raw.key.as_ref().and_then(|word| identifying(raw, word, "key", reader));
    let owner = raw.owner.as_ref().map(|word| column(raw, word, reader));
    if let (Some(word), Some(Some((_, field)))) = (&raw.owner, &owner)
        && plain(field).is_some_and(|of| !is_scalar(&of))
    {
        reader.error("bad-column", &word.span, format!("the owner `{}` can't be a {}", word.value, type_word(field)));
    }
    let tenant = raw.tenant.as_ref().and_then(|tenant| tenancy(known, described, raw, tenant, reader));
    let is_pocketbase = described.dialect == Some(raw::Dialect::Pocketbase);
    let tenant_filter = raw.tenant_filter.iter().map(|(p, d)| (p.value.as_str().into(), d.value.as_str().into()));
    Some(Table {
        id,
        api,
        name: name.value.as_str().into(),
        key: key?,
        client_keys: raw.client_keys,
        owner: owner.flatten().map(|(id, _)| id),
        tenant: tenant?,
        tenant_filter: tenant_filter.collect(),
        tenant_body: bodies::tenant_body(known, raw, reader),
        fields: fields.into_iter().collect::<Option<_>>()?,
        related: std::sync::Arc::default(),
        absent_is_null: raw.absent_is_null,
        empty_is_null: is_pocketbase,
        container: is_pocketbase.then(|| Pocketbase::CONTAINER.into()),
        in_place: described.dialect == Some(raw::Dialect::Directus),
        race: guards::race(described, raw, reader),
        cascades: raw
            .cascades
            .iter()
            .filter_map(|word| writes::cascade(known, api, described, name, word, reader))
            .collect(),
        inexact_paging: raw.inexact_paging,
        search: search::fields(described, raw, reader),
    })
}

fn compile_field(
    known: &Known<'_>,
    api: ApiId,
    described: &raw::Api,
    table: &raw::Table,
    raw: &raw::Field,
    reader: &mut Reader,
) -> Option<Field> {
    check_field_name(&raw.name, reader);
    let mut default = None;
    let derived_from =
        raw.derived_from.iter().filter_map(|word| known.table(word, reader).map(|table| table.id)).collect();
    let shape = match raw.shape.as_ref()? {
        raw::Shape::Plain(word) => {
            let of = field_type(word, reader)?;
            default = raw.default.as_ref().map(|node| default_value(node, &of, raw, reader));
            if let Some((span, push)) = &raw.push {
                check_push(*push, &of, span, reader);
            }
            Shape::Plain(of)
        }
        raw::Shape::Many { table } => Shape::Many { table: related(known, api, table, reader)?.0 },
        raw::Shape::One { table: target, by } => {
            let related = related(known, api, target, reader);
            let (by_id, by_field) = column(table, by, reader)?;
            let (target_id, target_table) = related?;
            let key = target_table.key.as_ref().and_then(|key| named(target_table, &key.value));
            if let Some((key_type, by_type)) = key.and_then(|(_, field)| plain(field)).zip(plain(by_field))
                && key_type != by_type
            {
                let message = format!(
                    "`{}` is of type {by_type}, but the key of `{}` is of type {key_type}",
                    by.value, target.value
                );
                reader.error("bad-relation", &by.span, message);
            }
            Shape::One { table: target_id, by: by_id }
        }
    };
    let keys_of = match &raw.keys_of {
        None => None,
        Some(word) => Some(keys_of(known, api, &shape, word, reader)?),
    };
    Some(Field {
        name: raw.name.value.as_str().into(),
        shape,
        nullable: raw.nullable,
        tags: raw.tags.iter().map(|tag| tag.value.as_str().into()).collect(),
        derived_from,
        keys_of,
        default: match default {
            Some(value) => Some(value?),
            None => None,
        },
        push: raw.push.as_ref().map(|(_, push)| *push).or_else(|| known_push(described, plain(raw).as_ref()?)),
    })
}

/// The table of whose records a field holds keys, one or a list of them.
fn keys_of(known: &Known<'_>, api: ApiId, shape: &Shape, word: &Text, reader: &mut Reader) -> Option<TableId> {
    let (id, table) = related(known, api, word, reader)?;
    let key = table.key.as_ref().and_then(|key| named(table, &key.value)).and_then(|(_, field)| plain(field))?;
    let of = match shape {
        Shape::Plain(Type::List(of)) => of,
        Shape::Plain(of) => of,
        Shape::One { .. } | Shape::Many { .. } => return None,
    };
    if *of != key {
        let message = format!("this is of type {of}, but the key of `{}` is of type {key}", word.value);
        reader.error("bad-relation", &word.span, message).help = Some(format!("{key} or list({key})"));
        return None;
    }
    Some(id)
}

/// How a server compares whose ways are known. PocketBase is SQLite with numbers that are floats and instants that are
/// texts of one form. Directus makes floats of numbers and milliseconds of instants, and dates are days of a time zone
/// that only the server knows; its texts are those of whichever database it has.
fn known_push(described: &raw::Api, of: &Type) -> Option<Push> {
    match (described.dialect?, of) {
        (raw::Dialect::Rest | raw::Dialect::Odata, _) => None,
        (raw::Dialect::Pocketbase, Type::String) => Some(Push::Ordered),
        (raw::Dialect::Pocketbase, Type::Int | Type::Decimal) => Some(Push::Double),
        (raw::Dialect::Pocketbase, Type::Double | Type::Bool | Type::Timestamp | Type::Date) => Some(Push::Exact),
        (raw::Dialect::Directus, Type::String) => Some(described.directus.as_ref().map_or(Push::Loose, |of| of.texts)),
        (raw::Dialect::Directus, Type::Int | Type::Decimal) => Some(Push::Double),
        (raw::Dialect::Directus, Type::Double | Type::Bool) => Some(Push::Exact),
        (raw::Dialect::Directus, Type::Timestamp) => Some(Push::Milliseconds),
        (raw::Dialect::Directus, Type::Date) => None,
        (_, Type::Duration | Type::List(_) | Type::Map(_) | Type::Json) => None,
    }
}

/// Whether the upstream's own `eq` on a field finds what is equal and nothing else.
pub(super) fn compares_exactly(described: &raw::Api, raw: &raw::Field, of: &Type) -> bool {
    match raw.push.as_ref().map(|(_, push)| *push).or_else(|| known_push(described, of)) {
        Some(Push::Exact | Push::Ordered) => true,
        Some(Push::Double) => *of == Type::Int,
        _ => false,
    }
}

/// A word for how an upstream compares must be one that its values can be compared in.
fn check_push(push: Push, of: &Type, span: &Span, reader: &mut Reader) {
    let known: &[Push] = match of {
        Type::String => &[Push::Exact, Push::Ordered, Push::Loose],
        Type::Int | Type::Decimal => &[Push::Exact, Push::Double, Push::Rounded],
        Type::Double => &[Push::Exact, Push::Rounded],
        Type::Timestamp => &[Push::Exact, Push::Seconds, Push::Milliseconds, Push::Microseconds],
        Type::Bool | Type::Date => &[Push::Exact],
        Type::Duration | Type::List(_) | Type::Map(_) | Type::Json => &[],
    };
    if known.contains(&push) {
        return;
    }
    let help = match of {
        Type::String => "`exact`, `ordered` or `loose`",
        Type::Int | Type::Decimal => "`exact`, `double` or `rounded`",
        Type::Double => "`exact` or `rounded`",
        Type::Timestamp => "`exact`, `seconds`, `milliseconds` or `microseconds`",
        Type::Bool | Type::Date => "`exact`",
        Type::Duration | Type::List(_) | Type::Map(_) | Type::Json => "leave `push` out: it can't be filtered by",
    };
    reader.error("bad-push", span, format!("values of type {of} are not compared so")).help = Some(help.to_owned());
}

/// Names that stay themselves in a query parameter and in a list of names.
fn check_field_name(name: &Text, reader: &mut Reader) {
    let first = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$' | '@');
    let rest = |b: u8| b.is_ascii_alphanumeric() || b"_$@.-".contains(&b);
    if !(name.value.starts_with(first) && name.value.bytes().all(rest) && name.value.len() <= 128) {
        reader.error("bad-name", &name.span, format!("`{}` can't be a field's name", name.value)).help =
            Some("up to 128 letters, digits and `_ $ @ . -`, not beginning with a digit".to_owned());
    }
}

fn field_type(word: &Text, reader: &mut Reader) -> Option<Type> {
    reader.field_type(word)
}

/// The table of a relation: an upstream can only expand what is its own.
fn related<'k>(
    known: &'k Known<'_>,
    api: ApiId,
    word: &Text,
    reader: &mut Reader,
) -> Option<(crate::api::TableId, &'k raw::Table)> {
    let table = known.table(word, reader)?;
    if table.api != api {
        let message = format!("the table `{}` is of another API, which can't be expanded here", word.value);
        reader.error("bad-relation", &word.span, message);
    }
    Some((table.id, table.raw))
}

pub(super) fn named<'r>(table: &'r raw::Table, name: &str) -> Option<(FieldId, &'r raw::Field)> {
    (0..).map(FieldId).zip(&table.fields).find(|(_, field)| field.name.value == name)
}

pub(super) fn find<'r>(table: &'r raw::Table, word: &Text, reader: &mut Reader) -> Option<(FieldId, &'r raw::Field)> {
    let found = named(table, &word.value);
    if found.is_none() {
        unknown("field", &word.value, &word.span, table.fields.iter().map(|field| field.name.value.as_str()), reader);
    }
    found
}

/// A field that is no relation.
fn column<'r>(table: &'r raw::Table, word: &Text, reader: &mut Reader) -> Option<(FieldId, &'r raw::Field)> {
    let (id, field) = find(table, word, reader)?;
    if matches!(field.shape, Some(raw::Shape::One { .. } | raw::Shape::Many { .. })) {
        reader.error("bad-column", &word.span, format!("`{}` is a relation and no column", word.value));
        return None;
    }
    Some((id, field))
}

/// A column that tells records or tenants apart: scalar and never null.
fn identifying(table: &raw::Table, word: &Text, role: &str, reader: &mut Reader) -> Option<FieldId> {
    let (id, field) = column(table, word, reader)?;
    if plain(field).is_some_and(|of| !is_scalar(&of)) {
        reader.error("bad-column", &word.span, format!("the {role} `{}` can't be a {}", word.value, type_word(field)));
    }
    if field.nullable {
        reader.error("bad-column", &word.span, format!("the {role} `{}` can't be nullable", word.value));
    }
    Some(id)
}

pub(super) fn plain(field: &raw::Field) -> Option<Type> {
    match &field.shape {
        Some(raw::Shape::Plain(word)) => Type::parse(&word.value),
        _ => None,
    }
}

fn type_word(field: &raw::Field) -> String {
    plain(field).map_or_else(String::new, |of| of.to_string())
}

fn is_scalar(of: &Type) -> bool {
    !matches!(of, Type::List(_) | Type::Map(_) | Type::Json)
}

fn tenancy(
    known: &Known<'_>,
    api: &raw::Api,
    table: &raw::Table,
    raw: &raw::Tenant,
    reader: &mut Reader,
) -> Option<Tenancy> {
    match raw {
        raw::Tenant::Shared => Some(Tenancy::Shared),
        raw::Tenant::Via(word) => via(known, api, table, word, reader),
        raw::Tenant::Columns(span, columns) => {
            let mut pairs: Vec<(Name, FieldId)> = Vec::new();
            for (dimension, word) in columns {
                // A column that is called as a dimension is says nothing of a word that is no column.
                let is_column = table.fields.iter().any(|field| field.name.value == dimension.value);
                let dimension = if is_column {
                    known.dimension_beside(dimension, word, (word, dimension), reader)
                } else {
                    known.dimension(dimension, reader)
                };
                let Some((dimension, id)) = dimension.zip(identifying(table, word, "tenant column", reader)) else {
                    continue;
                };
                if pairs.iter().any(|(_, other)| *other == id) {
                    reader.error("bad-tenant", &word.span, format!("`{}` stands for two dimensions", word.value));
                }
                pairs.push((dimension, id));
            }
            let all_known = columns.iter().all(|(name, _)| known.dimensions.iter().any(|d| **d == *name.value));
            let missing = known.dimensions.iter().filter(|d| !columns.iter().any(|(name, _)| name.value == ***d));
            // A dimension that is misspelled is not missing besides.
            for dimension in missing.filter(|_| all_known) {
                let message = format!("`tenant` names no column for the dimension `{dimension}`");
                reader.error("bad-tenant", span, message).help =
                    Some("a row belongs to a tenant only if every dimension is known".to_owned());
            }
            // In declared order, as a tenant is.
            let position = |name: &Name| known.dimensions.iter().position(|dimension| dimension == name);
            pairs.sort_by_key(|(name, _)| position(name));
            Some(Tenancy::Columns(pairs))
        }
    }
}

fn via(known: &Known<'_>, api: &raw::Api, table: &raw::Table, word: &Text, reader: &mut Reader) -> Option<Tenancy> {
    let (id, field) = find(table, word, reader)?;
    let Some(raw::Shape::One { table: target, .. }) = &field.shape else {
        if field.shape.is_some() {
            reader.error("bad-tenant", &word.span, format!("`{}` is not a to-one relation", word.value)).help =
                Some("for example account: { table: accounts, by: account_id }".to_owned());
        }
        return None;
    };
    let parent = known.tables.get(target.value.as_str())?;
    if parent.raw.tenant.as_ref().is_some_and(|tenant| !matches!(tenant, raw::Tenant::Columns(..))) {
        let message = format!("`{}` has no tenant columns of its own, so it can't lend them", target.value);
        reader.error("bad-tenant", &word.span, message);
    }
    if api.rest.as_ref().is_some_and(|rest| rest.parameters.expand.is_none()) {
        let message = format!("`via: {}` needs a parameter that expands relations", word.value);
        reader.error("bad-tenant", &word.span, message).help =
            Some("declare rest.parameters.expand: the parent's tenant must come with each row".to_owned());
    }
    Some(Tenancy::Via(Parent { relation: id, columns: lent(parent.raw) }))
}

/// What a parent says of its tenant. Mistakes in it are the parent's own.
fn lent(parent: &raw::Table) -> Vec<Lent> {
    let Some(raw::Tenant::Columns(_, columns)) = &parent.tenant else { return Vec::new() };
    let of = |(dimension, word): &(Text, Text)| {
        let field = parent.fields.iter().find(|field| field.name.value == word.value)?;
        let (dimension, column) = (dimension.value.as_str().into(), word.value.as_str().into());
        Some(Lent { dimension, column, of: plain(field)? })
    };
    columns.iter().filter_map(of).collect()
}

/// What the upstream stores where a create leaves the field out, as a value of the field's type.
fn default_value(node: &Node, of: &Type, field: &raw::Field, reader: &mut Reader) -> Option<Value> {
    let plain = match &node.value {
        yaml::Value::Plain(text) => Some(text.value.as_str()),
        _ => None,
    };
    if plain == Some("null") {
        if !field.nullable && *of != Type::Json {
            let message = format!("the default of `{}` is null, but the field is not nullable", field.name.value);
            reader.error("bad-default", &node.span, message).help = Some("add `nullable: true`".to_owned());
            return None;
        }
        return Some(Value::Null);
    }
    let value = typed(node, of);
    if value.is_none() {
        let message = format!("the default of `{}` is not of type {of}", field.name.value);
        let quote = *of == Type::String && plain.is_some();
        reader.error("bad-default", &node.span, message).help =
            quote.then(|| "to YAML this is no text; quote it".to_owned());
    }
    value
}

fn typed(node: &Node, of: &Type) -> Option<Value> {
    let (text, is_plain) = match &node.value {
        yaml::Value::Plain(text) => (text.value.as_str(), true),
        yaml::Value::Quoted(text) => (text.value.as_str(), false),
        yaml::Value::List(items) => {
            let inner = match of {
                Type::List(inner) => inner,
                Type::Json => of,
                _ => return None,
            };
            return items.iter().map(|item| typed(item, inner)).collect::<Option<_>>().map(Value::List);
        }
        yaml::Value::Map(entries) => {
            let inner = match of {
                Type::Map(inner) => inner,
                Type::Json => of,
                _ => return None,
            };
            let entry = |(name, node): &(Text, Node)| Some((name.value.as_str().into(), typed(node, inner)?));
            return entries.iter().map(entry).collect::<Option<_>>().map(|map| Value::Map(std::sync::Arc::new(map)));
        }
    };
    let other_kind = || matches!(text, "true" | "false" | "null" | "~" | "") || Decimal::parse(text).is_some();
    match of {
        Type::Int => text.parse().ok().filter(|_| is_plain).map(Value::Int),
        Type::Double => text.parse().ok().filter(|n: &f64| is_plain && n.is_finite()).map(Value::Double),
        Type::Decimal => Decimal::parse(text).filter(|_| is_plain).map(Value::Decimal),
        Type::Bool => text.parse().ok().filter(|_| is_plain).map(Value::Bool),
        Type::String => (!is_plain || !other_kind()).then(|| Value::string(text)),
        Type::Timestamp => text.parse().ok().map(Value::Timestamp),
        // Policies see a date as midnight in UTC.
        Type::Date => {
            let date: jiff::civil::Date = text.parse().ok()?;
            jiff::tz::TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok().map(Value::Timestamp)
        }
        Type::Duration => text.parse().ok().map(Value::Duration),
        Type::Json => json(text, is_plain),
        Type::List(_) | Type::Map(_) => None,
    }
}

fn json(text: &str, is_plain: bool) -> Option<Value> {
    match text {
        _ if !is_plain => Some(Value::string(text)),
        "null" => Some(Value::Null),
        "true" | "false" => Some(Value::Bool(text == "true")),
        _ => {
            let int = text.parse().ok().map(Value::Int);
            int.or_else(|| Decimal::parse(text).map(Value::Decimal)).or_else(|| Some(Value::string(text)))
        }
    }
}
