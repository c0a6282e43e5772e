//! An API description as it is written: every word with its place, nothing resolved.
//!
//! Reads the tree of one file and reports what can be said without looking at anything else: unknown and missing keys,
//! words that are not one of a few. What names something is resolved in `compile`.

mod beside;
mod directus;
mod odata;
mod routes;
mod writes;

use crate::api::{InexactPaging, Nulls, Operator, Parameters as Defaults, Pocketbase as Server, Push, Race};
use crate::diagnostic::Span;
use crate::yaml::{Fields, Node, Reader, Text, Value};
pub(super) use directus::Directus;
pub(super) use odata::Odata;
pub(super) use routes::Route;

const TENANT_HELP: &str =
    "whose rows are these? { dimension: column } for each dimension, { via: relation }, or shared; there is no default";

const PUSH: [(&str, Push); 8] = [
    ("exact", Push::Exact),
    ("ordered", Push::Ordered),
    ("loose", Push::Loose),
    ("double", Push::Double),
    ("rounded", Push::Rounded),
    ("seconds", Push::Seconds),
    ("milliseconds", Push::Milliseconds),
    ("microseconds", Push::Microseconds),
];

#[derive(Debug)]
pub(super) struct Api {
    pub(super) name: Option<Text>,
    pub(super) upstream: Option<Text>,
    pub(super) dialect: Option<Dialect>,
    pub(super) rest: Option<Rest>,
    pub(super) odata: Option<Odata>,
    pub(super) pocketbase: Option<Pocketbase>,
    pub(super) directus: Option<Directus>,
    pub(super) tenant_headers: Vec<(Text, Text)>,
    pub(super) metadata: Option<Metadata>,
    pub(super) tables: Vec<(Text, Table)>,
    pub(super) opaque: Vec<(Text, Opaque)>,
    pub(super) batch: Option<Batch>,
    pub(super) idempotent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Rest,
    Odata,
    Pocketbase,
    Directus,
}

#[derive(Debug)]
pub(super) struct Pocketbase {
    /// Records of a page: (default, most).
    pub(super) page: Option<(u64, u64)>,
}

#[derive(Debug)]
pub(super) struct Rest {
    pub(super) span: Span,
    pub(super) list: Option<Text>,
    pub(super) record: Option<Text>,
    pub(super) total: Option<Text>,
    pub(super) keep: Vec<Text>,
    pub(super) parameters: Parameters,
    pub(super) nulls: Option<Nulls>,
    /// Values of one list.
    pub(super) values: usize,
}

#[derive(Debug, Default)]
pub(super) struct Parameters {
    /// Where they are said to be PostgREST's; otherwise each is declared.
    pub(super) style: Option<Span>,
    pub(super) limit: Option<Limit>,
    pub(super) offset: Option<Text>,
    pub(super) page: Option<Text>,
    pub(super) cursor: Option<Text>,
    pub(super) sort: Option<Sort>,
    pub(super) fields: Option<List>,
    pub(super) expand: Option<List>,
    pub(super) filter: Vec<(Operator, Text)>,
    pub(super) search: Option<Text>,
}

impl Parameters {
    pub(super) fn is_postgrest(&self) -> bool {
        self.style.is_some()
    }

    /// Whether records can be found by what a column equals.
    pub(super) fn finds_equal(&self) -> bool {
        self.is_postgrest() || self.filter.iter().any(|(operator, _)| *operator == Operator::Equal)
    }
}

#[derive(Debug)]
pub(super) struct Limit {
    pub(super) name: Text,
    pub(super) default: u64,
    pub(super) max: u64,
}

#[derive(Debug)]
pub(super) struct List {
    pub(super) name: Text,
    pub(super) separator: Option<Text>,
}

#[derive(Debug)]
pub(super) struct Sort {
    pub(super) list: List,
    /// `None`: a prefix. `Some`: a second parameter.
    pub(super) order: Option<Text>,
}

#[derive(Debug)]
pub(super) struct Opaque {
    pub(super) route: Option<Text>,
    pub(super) upstream_path: Option<Text>,
    pub(super) roles: Vec<Text>,
    pub(super) media_types: Vec<Text>,
    pub(super) stream: Option<Text>,
    pub(super) upgrade: Option<Text>,
    pub(super) protocols: Vec<Text>,
    /// What is said of it where its upstream isn't told whose it is.
    pub(super) tenant: Option<Text>,
    pub(super) request_headers: Vec<Text>,
}

/// Documents about the tables.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) span: Span,
    /// The path of an OpenAPI document.
    pub(super) openapi: Option<Text>,
    /// Whether there are OData's own, where the dialect has them.
    pub(super) odata: bool,
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) key: Option<Text>,
    pub(super) owner: Option<Text>,
    pub(super) tenant: Option<Tenant>,
    pub(super) tenant_filter: Vec<(Text, Text)>,
    pub(super) tenant_body: Vec<(Text, Text)>,
    /// What the upstream calls the table, where it is not its name.
    pub(super) set: Option<Text>,
    pub(super) routes: Vec<Route>,
    pub(super) fields: Vec<Field>,
    pub(super) absent_is_null: bool,
    /// And where it is written, if it is.
    pub(super) race: (Race, Option<Span>),
    /// `table.relation`
    pub(super) cascades: Vec<Text>,
    pub(super) client_keys: bool,
    pub(super) inexact_paging: InexactPaging,
    /// The fields that a search looks into.
    pub(super) search: Vec<Text>,
}

#[derive(Debug)]
pub(super) enum Tenant {
    Columns(Span, Vec<(Text, Text)>),
    Via(Text),
    Shared,
}

/// Where several requests are sent as one.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) span: Span,
    /// `None`: where the dialect has it.
    pub(super) route: Option<Text>,
    pub(super) upstream_path: Option<Text>,
    pub(super) most: usize,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: Text,
    pub(super) shape: Option<Shape>,
    pub(super) nullable: bool,
    pub(super) tags: Vec<Text>,
    pub(super) derived_from: Vec<Text>,
    pub(super) keys_of: Option<Text>,
    pub(super) default: Option<Node>,
    pub(super) push: Option<(Span, Push)>,
}

#[derive(Debug)]
pub(super) enum Shape {
    Plain(Text),
    One { table: Text, by: Text },
    Many { table: Text },
}

pub(super) fn read(node: &Node, reader: &mut Reader) -> Api {
    let mut fields = reader.fields(node, "an API description");
    let name = text(fields.require("api", reader), "`api`", reader);
    let upstream = text(fields.require("upstream", reader), "`upstream`", reader);
    let dialect = text(fields.require("dialect", reader), "`dialect`", reader);
    let spoken = dialect.as_ref().and_then(|word| read_dialect(word, reader));
    let rest = fields.take("rest").map(|node| read_rest(node, reader));
    let odata = fields.take("odata").map(|node| odata::read(node, reader));
    for (key, of, is_there) in [("rest", Dialect::Rest, rest.is_some()), ("odata", Dialect::Odata, odata.is_some())] {
        if let (true, Some(word)) = (is_there && spoken.is_some_and(|spoken| spoken != of), &dialect) {
            reader.error("unknown-key", &word.span, format!("the dialect `{}` takes no `{key}`", word.value));
        }
    }
    if let (Some(word), Some(Dialect::Odata), None) = (&dialect, spoken, &odata) {
        reader.error("missing-key", &word.span, "the dialect `odata` needs `odata`: the path of the service").help =
            Some("odata: { root: /odata/v4/crm }".to_owned());
    }
    if let (Some(word), Some(Dialect::Rest), None) = (&dialect, spoken, &rest) {
        reader.error("missing-key", &word.span, "the dialect `rest` needs `rest`: where the records lie").help =
            Some("rest: { list: \"$.data[*]\", record: \"$.data\" }".to_owned());
    }
    let pocketbase = fields.take("pocketbase").map(|node| read_pocketbase(node, spoken, reader));
    let directus = fields.take("directus").map(|node| directus::read(node, spoken, reader));
    let tenant_headers = fields.take("tenant_headers").map_or_else(Vec::new, |n| pairs(n, "`tenant_headers`", reader));
    let metadata = fields.take("metadata").map(|node| beside::metadata(node, reader));
    let mut tables = Vec::new();
    if let Some(node) = fields.take("tables") {
        for (name, node) in reader.entries(node, "`tables`") {
            tables.push((name.clone(), read_table(node, reader)));
        }
    }
    let mut opaque = Vec::new();
    if let Some(node) = fields.take("opaque") {
        for (name, node) in reader.entries(node, "`opaque`") {
            opaque.push((name.clone(), beside::opaque(node, reader)));
        }
    }
    let batch = fields.take("batch").map(|node| writes::batch(node, reader));
    let idempotent =
        fields.take("idempotency_key").is_some_and(|node| reader.bool(node, "`idempotency_key`") == Some(true));
    if tables.is_empty() && opaque.is_empty() && reader.diagnostics.is_empty() {
        reader.error("missing-key", &fields.head(), "an API description needs `tables`");
    }
    fields.finish(reader);
    Api {
        name,
        upstream,
        dialect: spoken,
        rest,
        odata,
        pocketbase,
        directus,
        tenant_headers,
        metadata,
        tables,
        opaque,
        batch,
        idempotent,
    }
}

fn read_dialect(word: &Text, reader: &mut Reader) -> Option<Dialect> {
    let message = match word.value.as_str() {
        "rest" => return Some(Dialect::Rest),
        "odata" => return Some(Dialect::Odata),
        "pocketbase" => return Some(Dialect::Pocketbase),
        "directus" => return Some(Dialect::Directus),
        other => format!("unknown dialect `{other}`"),
    };
    let help = "`rest` declares routes, paging and filters one by one; `odata`, `pocketbase` and `directus` know them";
    reader.error("unknown-dialect", &word.span, message).help = Some(help.to_owned());
    None
}

fn read_pocketbase(node: &Node, spoken: Option<Dialect>, reader: &mut Reader) -> Pocketbase {
    if spoken.is_some_and(|spoken| spoken != Dialect::Pocketbase) {
        reader.error("unknown-key", &node.span, "`pocketbase` is for the dialect of that name").help =
            Some("dialect: pocketbase".to_owned());
    }
    let mut fields = reader.fields(node, "`pocketbase`");
    let page = fields.take("page").and_then(|node| read_page(node, Server::MAX_PAGE, reader));
    fields.finish(reader);
    Pocketbase { page }
}

/// Records of a page: (default, most).
fn read_page(node: &Node, most: u64, reader: &mut Reader) -> Option<(u64, u64)> {
    let mut fields = reader.fields(node, "`page`");
    let number = |node: Option<&Node>, what, reader: &mut Reader| reader.integer(node?, what, 1..=most);
    let default = number(fields.require("default", reader), "`default`", reader);
    let max = number(fields.require("max", reader), "`max`", reader);
    fields.finish(reader);
    let (default, max) = (default?, max?);
    if default > max {
        let message = format!("the default of {default} is more than the maximum of {max}");
        reader.error("bad-limit", &node.span, message);
    }
    Some((default, max))
}

fn read_rest(node: &Node, reader: &mut Reader) -> Rest {
    let mut fields = reader.fields(node, "`rest`");
    let (nulls, values) = fields.take("pushdown").map_or((None, Defaults::LIST), |node| read_pushdown(node, reader));
    let rest = Rest {
        span: fields.span.clone(),
        list: text(fields.take("list"), "`list`", reader),
        record: text(fields.take("record"), "`record`", reader),
        total: text(fields.take("total"), "`total`", reader),
        keep: fields.take("keep").map_or_else(Vec::new, |node| reader.texts(node, "`keep`")),
        parameters: fields.take("parameters").map(|node| read_parameters(node, reader)).unwrap_or_default(),
        nulls,
        values,
    };
    fields.finish(reader);
    rest
}

fn read_pushdown(node: &Node, reader: &mut Reader) -> (Option<Nulls>, usize) {
    const NULLS: [(&str, Nulls); 2] = [("dropped", Nulls::Dropped), ("kept", Nulls::Kept)];
    let mut fields = reader.fields(node, "`pushdown`");
    let nulls = fields.take("nulls").and_then(|node| one_of(node, "`nulls`", &NULLS, reader));
    let list = fields.take("list").and_then(|node| reader.integer(node, "`list`", 1..=Defaults::MAX_LIST as u64));
    fields.finish(reader);
    (nulls.map(|(_, nulls)| nulls), list.map_or(Defaults::LIST, |list| list as usize))
}

/// One of a few words, with its place.
fn one_of<T: Copy>(node: &Node, what: &'static str, words: &[(&str, T)], reader: &mut Reader) -> Option<(Span, T)> {
    let found = reader.text(node, what)?;
    let known = words.iter().find(|(word, _)| *word == found.value);
    if known.is_none() {
        let all: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        reader.error("unknown-word", &found.span, format!("{what} can't be `{}`", found.value)).help =
            Some(format!("one of {}", all.join(", ")));
    }
    known.map(|(_, meaning)| (found.span, *meaning))
}

fn read_parameters(node: &Node, reader: &mut Reader) -> Parameters {
    let mut fields = reader.fields(node, "`parameters`");
    let style = fields.take("style").and_then(|node| one_of(node, "`style`", &[("postgrest", ())], reader));
    let parameters = Parameters {
        style: style.map(|(span, ())| span),
        limit: fields.take("limit").and_then(|node| read_limit(node, reader)),
        offset: text(fields.take("offset"), "`offset`", reader),
        page: text(fields.take("page"), "`page`", reader),
        cursor: text(fields.take("cursor"), "`cursor`", reader),
        sort: fields.take("sort").and_then(|node| read_sort(node, reader)),
        fields: fields.take("fields").and_then(|node| read_list(node, "`fields`", reader)),
        expand: fields.take("expand").and_then(|node| read_list(node, "`expand`", reader)),
        filter: fields.take("filter").map_or_else(Vec::new, |node| read_filter(node, reader)),
        search: text(fields.take("search"), "`search`", reader),
    };
    fields.finish(reader);
    parameters
}

fn read_limit(node: &Node, reader: &mut Reader) -> Option<Limit> {
    let mut fields = reader.fields(node, "`limit`");
    let name = text(fields.require("name", reader), "`name`", reader);
    let number = |node: Option<&Node>, what, reader: &mut Reader| reader.integer(node?, what, 1..=1_000_000);
    let default = number(fields.require("default", reader), "`default`", reader);
    let max = number(fields.require("max", reader), "`max`", reader);
    fields.finish(reader);
    let (default, max) = (default?, max?);
    if default > max {
        reader.error("bad-limit", &node.span, format!("the default of {default} is more than the maximum of {max}"));
    }
    Some(Limit { name: name?, default, max })
}

fn read_sort(node: &Node, reader: &mut Reader) -> Option<Sort> {
    let mut fields = reader.fields(node, "`sort`");
    let name = text(fields.require("name", reader), "`name`", reader);
    let separator = text(fields.take("separator"), "`separator`", reader);
    let descending = text(fields.take("descending"), "`descending`", reader);
    let order = text(fields.take("order"), "`order`", reader);
    fields.finish(reader);
    if descending.is_some() == order.is_some() {
        reader.error("bad-sort", &node.span, "`sort` needs one of `descending` and `order`").help =
            Some("descending: \"-\" sorts by -amount; order: dir sends a second parameter".to_owned());
    }
    if let Some(prefix) = descending.filter(|prefix| prefix.value != "-") {
        reader.error("bad-sort", &prefix.span, format!("`descending` can only be \"-\", not `{}`", prefix.value));
    }
    Some(Sort { list: List { name: name?, separator }, order })
}

fn read_list(node: &Node, what: &'static str, reader: &mut Reader) -> Option<List> {
    let mut fields = reader.fields(node, what);
    let name = text(fields.require("name", reader), "`name`", reader);
    let separator = text(fields.take("separator"), "`separator`", reader);
    fields.finish(reader);
    Some(List { name: name?, separator })
}

fn read_filter(node: &Node, reader: &mut Reader) -> Vec<(Operator, Text)> {
    let mut fields = reader.fields(node, "`filter`");
    let mut filter = Vec::new();
    for operator in Operator::ALL {
        if let Some(spelling) = text(fields.take(operator.word()), "a filter's spelling", reader) {
            filter.push((operator, spelling));
        }
    }
    fields.finish(reader);
    filter
}

fn nonempty(fields: &mut Fields<'_>, key: &'static str, what: &'static str, reader: &mut Reader) -> Vec<Text> {
    fields.require(key, reader).map_or_else(Vec::new, |node| named(node, what, reader))
}

/// A list that is not empty.
fn named(node: &Node, what: &'static str, reader: &mut Reader) -> Vec<Text> {
    let texts = reader.texts(node, what);
    if matches!(&node.value, Value::List(items) if items.is_empty()) {
        reader.error("empty-list", &node.span, format!("{what} must name at least one"));
    }
    texts
}

fn read_table(node: &Node, reader: &mut Reader) -> Table {
    let mut fields = reader.fields(node, "a table");
    let key = text(fields.require("key", reader), "`key`", reader);
    let owner = text(fields.take("owner"), "`owner`", reader);
    let before = reader.diagnostics.len();
    let tenant = fields.require("tenant", reader);
    if let (None, Some(missing)) = (tenant, reader.diagnostics.get_mut(before)) {
        missing.help = Some(TENANT_HELP.to_owned());
    }
    let table = Table {
        key,
        owner,
        tenant: tenant.and_then(|node| read_tenant(node, reader)),
        tenant_filter: fields.take("tenant_filter").map_or_else(Vec::new, |n| pairs(n, "`tenant_filter`", reader)),
        tenant_body: fields.take("tenant_body").map_or_else(Vec::new, |n| pairs(n, "`tenant_body`", reader)),
        set: text(fields.take("set"), "`set`", reader),
        routes: fields.require("routes", reader).map_or_else(Vec::new, |node| routes::read(node, reader)),
        fields: fields.require("fields", reader).map_or_else(Vec::new, |node| read_fields(node, reader)),
        absent_is_null: fields.take("absent").is_some_and(|node| read_absent(node, reader)),
        race: fields.take("race").map_or((Race::IfMatch, None), |node| writes::race(node, reader)),
        client_keys: fields.take("client_keys").and_then(|node| reader.bool(node, "`client_keys`")).unwrap_or_default(),
        cascades: fields.take("cascades").map_or_else(Vec::new, |node| reader.texts(node, "`cascades`")),
        inexact_paging: word(
            fields.take("inexact_paging"),
            "`inexact_paging`",
            [("refill", InexactPaging::Refill), ("short", InexactPaging::Short)],
            reader,
        ),
        search: fields.take("search").map_or_else(Vec::new, |node| named(node, "`search`", reader)),
    };
    fields.finish(reader);
    table
}

/// One of two words; the first is the default.
fn word<T: Copy>(node: Option<&Node>, what: &'static str, words: [(&str, T); 2], reader: &mut Reader) -> T {
    let [(first, default), (second, other)] = words;
    let Some(found) = text(node, what, reader) else { return default };
    if found.value == second {
        return other;
    }
    if found.value != first {
        let message = format!("{what} must be `{first}` or `{second}`, not `{}`", found.value);
        reader.error("unknown-word", &found.span, message);
    }
    default
}

fn read_absent(node: &Node, reader: &mut Reader) -> bool {
    let null = matches!(&node.value, Value::Plain(text) if text.value == "null");
    if !null {
        reader.error("unknown-word", &node.span, "`absent` can only be `null`").help =
            Some("without `absent`, a declared field that is missing is an error".to_owned());
    }
    null
}

fn read_tenant(node: &Node, reader: &mut Reader) -> Option<Tenant> {
    if let Value::Plain(text) | Value::Quoted(text) = &node.value {
        if text.value == "shared" {
            return Some(Tenant::Shared);
        }
        reader.error("bad-tenant", &node.span, format!("`tenant` can't be `{}`", text.value)).help =
            Some(TENANT_HELP.to_owned());
        return None;
    }
    if matches!(&node.value, Value::Map(entries) if entries.iter().any(|(key, _)| key.value == "via")) {
        let mut fields = reader.fields(node, "`tenant` with `via`");
        let via = text(fields.take("via"), "`via`", reader);
        fields.finish(reader);
        return via.map(Tenant::Via);
    }
    Some(Tenant::Columns(node.span.clone(), pairs(node, "`tenant`", reader)))
}

fn read_fields(node: &Node, reader: &mut Reader) -> Vec<Field> {
    let entries = reader.entries(node, "`fields`");
    entries.iter().map(|(name, node)| read_field(name, node, reader)).collect()
}

fn read_field(name: &Text, node: &Node, reader: &mut Reader) -> Field {
    let name = name.clone();
    let mut field = Field {
        name,
        shape: None,
        nullable: false,
        tags: vec![],
        derived_from: vec![],
        keys_of: None,
        default: None,
        push: None,
    };
    let Value::Map(entries) = &node.value else {
        field.shape = reader.text(node, "a field's type").map(Shape::Plain);
        return field;
    };
    if entries.iter().any(|(key, _)| key.value == "table") {
        let mut fields = reader.fields(node, "a relation");
        let table = text(fields.take("table"), "`table`", reader);
        let by = fields.take("by");
        let many = fields.take("many").map(|node| (node, reader.bool(node, "`many`")));
        fields.finish(reader);
        field.shape = match (table, by, many) {
            (Some(table), Some(by), None) => reader.text(by, "`by`").map(|by| Shape::One { table, by }),
            (Some(table), None, Some((_, Some(true)))) => Some(Shape::Many { table }),
            (None, ..) | (_, None, Some((_, None))) => None,
            (Some(_), ..) => {
                let message = format!("the relation `{}` needs one of `by` and `many: true`", field.name.value);
                reader.error("bad-relation", &node.span, message).help =
                    Some("by: account_id for one related record, many: true for a list of them".to_owned());
                None
            }
        };
        return field;
    }
    let mut fields = reader.fields(node, "a field");
    field.shape = text(fields.require("type", reader), "`type`", reader).map(Shape::Plain);
    field.nullable = fields.take("nullable").and_then(|node| reader.bool(node, "`nullable`")).unwrap_or_default();
    field.tags = fields.take("tags").map_or_else(Vec::new, |node| reader.texts(node, "`tags`"));
    field.derived_from = fields.take("derived_from").map_or_else(Vec::new, |n| reader.texts(n, "`derived_from`"));
    field.keys_of = text(fields.take("keys_of"), "`keys_of`", reader);
    field.default = fields.take("default").cloned();
    field.push = fields.take("push").and_then(|node| one_of(node, "`push`", &PUSH, reader));
    fields.finish(reader);
    field
}

fn pairs(node: &Node, what: &'static str, reader: &mut Reader) -> Vec<(Text, Text)> {
    let mut pairs = Vec::new();
    for (name, node) in reader.entries(node, what) {
        if let Some(value) = reader.text(node, what) {
            pairs.push((name.clone(), value));
        }
    }
    pairs
}

fn text(node: Option<&Node>, what: &'static str, reader: &mut Reader) -> Option<Text> {
    node.and_then(|node| reader.text(node, what))
}
