//! What is left to say of an OData service, as it is written.

use super::{one_of, text};
use crate::api::{Odata as Defaults, Search};
use crate::yaml::{Node, Reader, Text};

#[derive(Debug)]
pub(in crate::api) struct Odata {
    /// The service's path, of the client's and the upstream's side.
    pub(in crate::api) root: Option<Text>,
    pub(in crate::api) default: u64,
    pub(in crate::api) max: u64,
    pub(in crate::api) aggregates: bool,
    pub(in crate::api) search: Search,
}

pub(super) fn read(node: &Node, reader: &mut Reader) -> Odata {
    const SEARCH: [(&str, Search); 2] = [("filter", Search::Filter), ("service", Search::Service)];
    let mut fields = reader.fields(node, "`odata`");
    let root = text(fields.require("root", reader), "`root`", reader);
    let size = |node: Option<&Node>, what, reader: &mut Reader| reader.integer(node?, what, 1..=1_000_000);
    let max = size(fields.take("max"), "`max`", reader).unwrap_or(Defaults::MAX);
    let default = size(fields.take("default"), "`default`", reader).unwrap_or(Defaults::DEFAULT.min(max));
    let aggregates = fields.take("aggregates").is_some_and(|node| reader.bool(node, "`aggregates`") == Some(true));
    let search = fields.take("search").and_then(|node| one_of(node, "`search`", &SEARCH, reader));
    fields.finish(reader);
    if default > max {
        reader.error("bad-limit", &node.span, format!("the default of {default} is more than the maximum of {max}"));
    }
    Odata { root, default, max, aggregates, search: search.map(|(_, search)| search).unwrap_or_default() }
}
