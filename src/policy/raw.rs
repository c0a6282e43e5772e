//! A policy file as written: keys known, shapes right, nothing resolved yet.

use std::sync::Arc;

use crate::diagnostic::{Source, Span};

use crate::model::Value;
use crate::model::value::Decimal;
use crate::yaml::{Node, Reader, Text, Value as Yaml};

#[derive(Debug)]
pub(super) struct Policy {
    pub(super) table: Text,
    pub(super) sharing: Option<Sharing>,
    pub(super) lets: Vec<(Text, Text)>,
    pub(super) grants: Vec<Grant>,
    pub(super) denials: Vec<Denial>,
    pub(super) requirements: Vec<Requirement>,
}

#[derive(Debug)]
pub(super) struct Sharing {
    pub(super) default: Option<Text>,
    /// Where it is `true`.
    pub(super) hierarchy: Option<Span>,
}

#[derive(Debug)]
pub(super) struct Grant {
    /// Where the grant stands, for what it lacks.
    pub(super) span: Span,
    pub(super) name: Text,
    pub(super) roles: Vec<Text>,
    pub(super) actions: Vec<Text>,
    pub(super) rows: Option<Text>,
    pub(super) read: Read,
    pub(super) write: Option<(Span, Vec<Text>)>,
    pub(super) presets: Option<(Span, Vec<(Text, Text)>)>,
    pub(super) check: Option<Text>,
}

/// How fields show.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) all: bool,
    pub(super) clear: Vec<Text>,
    pub(super) except: Vec<Text>,
    pub(super) partial: Vec<Text>,
    pub(super) last4: Vec<Text>,
    pub(super) hash: Vec<Text>,
    pub(super) tokenise: Vec<Text>,
    pub(super) null: Vec<Text>,
    pub(super) remove: Vec<Text>,
    pub(super) truncate: Vec<(Text, Text)>,
    pub(super) constant: Vec<(Text, Value)>,
}

#[derive(Debug)]
pub(super) struct Denial {
    pub(super) name: Text,
    pub(super) actions: Vec<Text>,
    pub(super) roles: Option<Vec<Text>>,
    pub(super) rows: Text,
}

#[derive(Debug)]
pub(super) struct Requirement {
    pub(super) name: Text,
    pub(super) actions: Vec<Text>,
    pub(super) must: Text,
}

/// Reads one file. `None` if there is no telling which table it is for; mistakes are with the reader.
pub(super) fn policy(source: &Arc<Source>, reader: &mut Reader) -> Option<Policy> {
    let root = match crate::yaml::parse(source) {
        Ok(root) => root,
        Err(mut wrong) => {
            reader.diagnostics.append(&mut wrong);
            return None;
        }
    };
    let mut fields = reader.fields(&root, "a policy");
    let table = fields.require("table", reader).and_then(|node| reader.text(node, "`table`"));
    let sharing = fields.take("sharing").map(|node| sharing(node, reader));
    let lets = fields.take("let").map(|node| texts_by_name(node, "`let`", reader)).unwrap_or_default();
    let grants = items(fields.take("grants"), "`grants`", reader, grant);
    let denials = items(fields.take("denials"), "`denials`", reader, denial);
    let requirements = items(fields.take("requirements"), "`requirements`", reader, requirement);
    fields.finish(reader);
    Some(Policy { table: table?, sharing, lets, grants, denials, requirements })
}

fn items<T>(
    node: Option<&Node>,
    what: &'static str,
    reader: &mut Reader,
    read: fn(&Node, &mut Reader) -> Option<T>,
) -> Vec<T> {
    node.map(|node| reader.list(node, what).iter().filter_map(|item| read(item, reader)).collect()).unwrap_or_default()
}

fn texts_by_name(node: &Node, what: &'static str, reader: &mut Reader) -> Vec<(Text, Text)> {
    let entries = reader.entries(node, what);
    entries.iter().filter_map(|(name, value)| Some((name.clone(), reader.text(value, what)?))).collect()
}

fn sharing(node: &Node, reader: &mut Reader) -> Sharing {
    let mut fields = reader.fields(node, "`sharing`");
    let default = fields.require("default", reader).and_then(|node| reader.text(node, "`default`"));
    let hierarchy = fields.take("hierarchy");
    let hierarchy =
        hierarchy.filter(|node| reader.bool(node, "`hierarchy`") == Some(true)).map(|node| node.span.clone());
    fields.finish(reader);
    Sharing { default, hierarchy }
}

/// A list that must hold something: an empty one would be read as "any" by some and as "none" by others.
fn names(node: Option<&Node>, what: &'static str, reader: &mut Reader) -> Vec<Text> {
    let Some(node) = node else { return Vec::new() };
    let found = reader.texts(node, what);
    if matches!(&node.value, Yaml::List(items) if items.is_empty()) {
        reader.error("empty-list", &node.span, format!("{what} must name at least one"));
    }
    found
}

fn grant(node: &Node, reader: &mut Reader) -> Option<Grant> {
    let mut fields = reader.fields(node, "a grant");
    let name = fields.require("name", reader).and_then(|node| reader.text(node, "`name`"));
    let roles = names(fields.require("roles", reader), "`roles`", reader);
    let actions = names(fields.require("actions", reader), "`actions`", reader);
    let rows = fields.take("rows").map(|node| reader.text(node, "`rows`"));
    let read = fields.take("read").map(|node| read(node, reader)).unwrap_or_default();
    let write = fields.take("write").map(|node| (node.span.clone(), reader.texts(node, "`write`")));
    let presets = fields.take("presets").map(|node| (node.span.clone(), texts_by_name(node, "`presets`", reader)));
    let check = fields.take("check").map(|node| reader.text(node, "`check`"));
    let span = fields.span.clone();
    fields.finish(reader);
    // What is written but unreadable must not count as absent.
    Some(Grant {
        span,
        name: name?,
        roles,
        actions,
        rows: all_or_none(rows)?,
        read,
        write,
        presets,
        check: all_or_none(check)?,
    })
}

fn all_or_none<T>(written: Option<Option<T>>) -> Option<Option<T>> {
    match written {
        Some(None) => None,
        Some(read) => Some(read),
        None => Some(None),
    }
}

fn denial(node: &Node, reader: &mut Reader) -> Option<Denial> {
    let mut fields = reader.fields(node, "a denial");
    let name = fields.require("name", reader).and_then(|node| reader.text(node, "`name`"));
    let actions = names(fields.require("actions", reader), "`actions`", reader);
    let roles = fields.take("roles").map(|node| names(Some(node), "`roles`", reader));
    let rows = fields.require("rows", reader).and_then(|node| reader.text(node, "`rows`"));
    fields.finish(reader);
    Some(Denial { name: name?, actions, roles, rows: rows? })
}

fn requirement(node: &Node, reader: &mut Reader) -> Option<Requirement> {
    let mut fields = reader.fields(node, "a requirement");
    let name = fields.require("name", reader).and_then(|node| reader.text(node, "`name`"));
    let actions = names(fields.require("actions", reader), "`actions`", reader);
    let must = fields.require("must", reader).and_then(|node| reader.text(node, "`must`"));
    fields.finish(reader);
    Some(Requirement { name: name?, actions, must: must? })
}

fn read(node: &Node, reader: &mut Reader) -> Read {
    let mut fields = reader.fields(node, "`read`");
    let mut read = Read::default();
    match fields.take("clear") {
        Some(Node { value: Yaml::Plain(text) | Yaml::Quoted(text), .. }) if text.value == "all" => read.all = true,
        Some(Node { value: Yaml::List(items), .. }) => {
            read.clear = items.iter().filter_map(|item| reader.text(item, "a field")).collect();
        }
        Some(node) => {
            reader.error("expected-list", &node.span, "`clear` must be `all` or a list of fields");
        }
        None => {}
    }
    let except = fields.take("except");
    if let (Some(node), false) = (except, read.all) {
        reader.error("except-without-all", &node.span, "`except` goes with `clear: all` only");
    }
    let mut list = |key| fields.take(key).map(|node| reader.texts(node, "a list of fields")).unwrap_or_default();
    read.partial = list("partial");
    read.last4 = list("last4");
    read.hash = list("hash");
    read.tokenise = list("tokenise");
    read.null = list("null");
    read.remove = list("remove");
    read.except = except.map(|node| reader.texts(node, "`except`")).unwrap_or_default();
    read.truncate = fields.take("truncate").map(|n| texts_by_name(n, "`truncate`", reader)).unwrap_or_default();
    if let Some(node) = fields.take("constant") {
        for (name, node) in reader.entries(node, "`constant`") {
            match scalar(node) {
                Some(value) => read.constant.push((name.clone(), value)),
                None => {
                    reader.error("expected-text", &node.span, "a constant must be a single value that is not null");
                }
            }
        }
    }
    fields.finish(reader);
    read
}

/// A constant as YAML means it: quoted is text, unquoted may be a number or a bool.
fn scalar(node: &Node) -> Option<Value> {
    match &node.value {
        Yaml::Quoted(text) => Some(Value::string(text.value.as_str())),
        Yaml::Plain(text) => match text.value.as_str() {
            "" | "~" | "null" => None,
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            word => Some(match (word.parse().ok(), Decimal::parse(word)) {
                (Some(number), _) => Value::Int(number),
                (None, Some(number)) => Value::Decimal(number),
                (None, None) => Value::string(word),
            }),
        },
        Yaml::List(_) | Yaml::Map(_) => None,
    }
}
