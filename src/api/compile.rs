//! From API descriptions as written to a catalog in which every name resolves.
//!
//! All files are checked together, because tables, routes and names are unique over all of them. A mistake never makes
//! a smaller catalog: there is one that is whole, or there is none.

mod bodies;
mod dialect;
mod directus;
mod guards;
mod odata;
mod opaque;
mod postgrest;
mod routes;
mod search;
mod tables;
mod writes;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use http::HeaderName;

use super::{Api, ApiId, Catalog, Dialect, Service, Table, TableId, raw};
use crate::diagnostic::{self, Diagnostic, Source, Span, nearest};
use crate::files;
use crate::model::Name;
use crate::yaml::{self, Reader, Text};

/// Far more than any API has; ids must fit.
const MAX_TABLES: usize = 2_000;
const MAX_FIELDS: usize = 2_000;

pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Arc<Source>>, Vec<Diagnostic>> {
    let mut sources = Vec::new();
    let mut diagnostics = Vec::new();
    for path in paths {
        match files::source(path) {
            Ok(source) => sources.push(source),
            Err(error) => diagnostics.push(error),
        }
    }
    if diagnostics.is_empty() { Ok(sources) } else { Err(diagnostics) }
}

pub(super) fn catalog(
    files: &[Arc<Source>],
    upstreams: &[Service],
    dimensions: &[Name],
) -> Result<(Catalog, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut trees = Vec::new();
    let mut broken = Vec::new();
    for source in files {
        match yaml::parse(source) {
            Ok(tree) => trees.push(tree),
            Err(errors) => broken.extend(errors),
        }
    }
    // A file without a tree would make every name of it unknown in the others.
    if !broken.is_empty() {
        diagnostic::sort(&mut broken);
        return Err(broken);
    }
    let mut reader = Reader::default();
    let apis: Vec<raw::Api> = trees.iter().map(|tree| raw::read(tree, &mut reader)).collect();
    let catalog = check(&apis, upstreams, dimensions, &mut reader);
    let mut diagnostics = reader.diagnostics;
    diagnostic::sort(&mut diagnostics);
    match catalog {
        Some(catalog) if !diagnostic::has_errors(&diagnostics) => {
            Ok((Catalog { hash: hash(files), ..catalog }, diagnostics))
        }
        _ => Err(diagnostics),
    }
}

fn hash(files: &[Arc<Source>]) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    for file in files {
        hash.update(&(file.text.len() as u64).to_be_bytes());
        hash.update(file.text.as_bytes());
    }
    hash.finish().as_ref().first_chunk().copied().unwrap_or_default()
}

/// What names can refer to, over all files.
struct Known<'a> {
    upstreams: &'a [Service],
    dimensions: &'a [Name],
    tables: HashMap<&'a str, KnownTable<'a>>,
    /// Headers that only the gateway may send to an upstream, whichever: the tenant's, and credentials'; as lax servers see them.
    identity: Vec<String>,
}

struct KnownTable<'a> {
    id: TableId,
    api: ApiId,
    name: &'a Text,
    raw: &'a raw::Table,
}

/// `None` only beside an error.
fn check(apis: &[raw::Api], upstreams: &[Service], dimensions: &[Name], reader: &mut Reader) -> Option<Catalog> {
    let tenant = apis.iter().flat_map(|api| &api.tenant_headers).map(|(name, _)| name.value.as_str());
    let credentials = upstreams.iter().filter_map(|service| service.header.as_ref()).map(HeaderName::as_str);
    let identity = tenant.chain(credentials).map(lax).collect();
    let known = Known { upstreams, dimensions, tables: index(apis, reader), identity };
    check_api_names(apis, reader);
    let mut tables: Vec<Option<Table>> = Vec::new();
    let mut checked: Vec<Option<Api>> = Vec::new();
    let mut placed = Vec::new();
    for (id, api) in (0..).map(ApiId).zip(apis) {
        let dialect = dialect::dialect(api, &known, reader);
        tables.extend(api.tables.iter().map(|(name, table)| tables::table(&known, id, api, name, table, reader)));
        placed.extend(routes::routes(&known, id, api, reader));
        let upstream = api.upstream.as_ref().and_then(|upstream| known.upstream(upstream, reader));
        let tenant_headers = tenant_headers(&known, &api.tenant_headers, reader);
        let idempotent = api.idempotent;
        let api = api.name.as_ref().zip(upstream).zip(dialect);
        checked.push(api.map(|((name, upstream), dialect)| Api {
            name: name.value.as_str().into(),
            upstream,
            dialect,
            routes: Vec::new(),
            tenant_headers,
            idempotent,
        }));
    }
    routes::check_overlaps(&placed, reader);
    let mut apis: Vec<Api> = checked.into_iter().collect::<Option<_>>()?;
    let tables: Vec<Table> = tables.into_iter().collect::<Option<_>>()?;
    for placed in placed {
        if let Some(api) = apis.get_mut(usize::from(placed.api.0)) {
            if let Dialect::Odata(_) = api.dialect {
                api.routes.extend(odata::properties(&placed.route));
            }
            api.routes.push(placed.route);
        }
    }
    Some(Catalog::from_parts(apis, tables))
}

/// Every table by name. One that repeats a name or is beyond the limit is an error and not indexed.
fn index<'a>(apis: &'a [raw::Api], reader: &mut Reader) -> HashMap<&'a str, KnownTable<'a>> {
    let mut tables: HashMap<&str, KnownTable<'_>> = HashMap::new();
    let mut next = 0_usize;
    for (api, described) in (0..).map(ApiId).zip(apis) {
        for (name, raw) in &described.tables {
            if next == MAX_TABLES {
                reader.error("too-many", &name.span, format!("more than {MAX_TABLES} tables"));
                return tables;
            }
            let id = TableId(u16::try_from(next).expect("fewer than the limit"));
            next += 1;
            if raw.fields.len() > MAX_FIELDS {
                reader.error("too-many", &name.span, format!("more than {MAX_FIELDS} fields in one table"));
            }
            check_word(name, "a table's name", reader);
            match tables.get(name.value.as_str()) {
                Some(first) => {
                    let help = format!("the other one is at {}", place(first.name));
                    let message = format!("the table `{}` is described twice", name.value);
                    reader.error("duplicate-table", &name.span, message).help = Some(help);
                }
                None => {
                    tables.insert(&name.value, KnownTable { id, api, name, raw });
                }
            }
        }
    }
    tables
}

fn check_api_names(apis: &[raw::Api], reader: &mut Reader) {
    let mut seen: HashMap<&str, &Text> = HashMap::new();
    for name in apis.iter().filter_map(|api| api.name.as_ref()) {
        check_word(name, "an API's name", reader);
        if let Some(first) = seen.insert(&name.value, name) {
            let help = format!("the other one is at {}", place(first));
            reader.error("duplicate-api", &name.span, format!("the API `{}` is described twice", name.value)).help =
                Some(help);
        }
    }
}

/// Headers that the gateway or HTTP itself gives a meaning; a tenant in one would be removed, replaced or misread.
const RESERVED: [&str; 22] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "if-none-match",
    "keep-alive",
    "proxy-authorization",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-api-key",
    "x-request-id",
];

fn tenant_headers(known: &Known<'_>, raw: &[(Text, Text)], reader: &mut Reader) -> Vec<(HeaderName, Name)> {
    let mut seen: HashMap<String, &Text> = HashMap::new();
    let mut headers = Vec::new();
    for (header, dimension) in raw {
        let dimension = known.dimension(dimension, reader);
        let Ok(name) = HeaderName::try_from(header.value.as_str()) else {
            reader.error("bad-header", &header.span, format!("`{}` is not a header's name", header.value));
            continue;
        };
        // `X_Org` and `X-Org` are one header to many servers.
        let plain = name.as_str().replace('_', "-");
        if RESERVED.contains(&plain.as_str()) || plain.starts_with("x-scrim-") {
            let message = format!("`{}` has a meaning of its own and can't carry a tenant", header.value);
            reader.error("bad-header", &header.span, message);
        }
        if let Some(first) = seen.insert(plain, header) {
            let message = format!("`{}` and `{}` are one header to many servers", first.value, header.value);
            reader.error("duplicate-header", &header.span, message);
        }
        headers.extend(dimension.map(|dimension| (name, dimension)));
    }
    headers
}

/// A header's name as a server sees it that does not tell `-` from `_` or `.`.
fn lax(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

impl Known<'_> {
    fn upstream(&self, word: &Text, reader: &mut Reader) -> Option<Name> {
        let found = self.service(word).map(|service| Name::clone(&service.name));
        if found.is_none() {
            unknown("upstream", &word.value, &word.span, self.upstreams.iter().map(|known| &*known.name), reader);
        }
        found
    }

    fn service(&self, word: &Text) -> Option<&Service> {
        self.upstreams.iter().find(|known| *known.name == *word.value)
    }

    fn dimension(&self, word: &Text, reader: &mut Reader) -> Option<Name> {
        let found = self.dimensions.iter().find(|name| ***name == *word.value).cloned();
        if found.is_none() {
            unknown("dimension", &word.value, &word.span, self.dimensions.iter().map(|name| &**name), reader);
        }
        found
    }

    /// Of a pair whose other side is `other`: a parameter, a member or a column. `turned`: the pair as it would be if both were
    /// written the other way round.
    fn dimension_beside(&self, word: &Text, other: &Text, turned: (&Text, &Text), reader: &mut Reader) -> Option<Name> {
        let is_known = |word: &Text| self.dimensions.iter().any(|name| **name == *word.value);
        let found = self.dimension(word, reader);
        if found.is_none()
            && is_known(other)
            && let Some(wrong) = reader.diagnostics.last_mut()
        {
            let (left, right) = turned;
            wrong.help = Some(format!("written the other way round: `{{ {}: {} }}`", left.value, right.value));
        }
        found
    }

    fn table(&self, word: &Text, reader: &mut Reader) -> Option<&KnownTable<'_>> {
        let found = self.tables.get(word.value.as_str());
        if found.is_none() {
            unknown("table", &word.value, &word.span, self.tables.keys().copied(), reader);
        }
        found
    }
}

/// `unknown table `x``, with the nearest of the known ones, or all where they are few.
fn unknown<'a>(what: &str, word: &str, at: &Span, known: impl Iterator<Item = &'a str>, reader: &mut Reader) {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    let help = match nearest(word, known.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => None,
        None if known.len() <= 12 => Some(format!("declared: {}", known.join(", "))),
        None => None,
    };
    let code = match what {
        "upstream" => "unknown-upstream",
        "dimension" => "unknown-dimension",
        "table" => "unknown-table",
        _ => "unknown-field",
    };
    reader.error(code, at, format!("unknown {what} `{word}`")).help = help;
}

/// Names that end up in metrics, logs and paths stay plain words.
fn check_word(word: &Text, what: &str, reader: &mut Reader) {
    let plain = word.value.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        && word.value.len() <= 64;
    if !plain {
        let message = format!("{what} must be up to 64 letters, digits, `_` or `-`, not `{}`", word.value);
        reader.error("bad-name", &word.span, message);
    }
}

fn place(text: &Text) -> String {
    let (line, column) = text.span.position();
    format!("{}:{line}:{column}", text.span.source.path)
}

#[cfg(test)]
mod tests;
