//! What is left to say of Directus, as it is written.

use super::{Dialect, one_of, read_page};
use crate::api::Push;
use crate::yaml::{Node, Reader};

/// Pages may be longer where memory allows.
const MOST: u64 = 100_000;

#[derive(Debug)]
pub(in crate::api) struct Directus {
    /// Records of a page: (default, most).
    pub(in crate::api) page: Option<(u64, u64)>,
    /// How its database compares texts.
    pub(in crate::api) texts: Push,
    pub(in crate::api) aggregates: bool,
}

pub(super) fn read(node: &Node, spoken: Option<Dialect>, reader: &mut Reader) -> Directus {
    if spoken.is_some_and(|spoken| spoken != Dialect::Directus) {
        reader.error("unknown-key", &node.span, "`directus` is for the dialect of that name").help =
            Some("dialect: directus".to_owned());
    }
    let mut fields = reader.fields(node, "`directus`");
    let page = fields.take("page").and_then(|node| read_page(node, MOST, reader));
    const TEXTS: [(&str, Push); 2] = [("exact", Push::Exact), ("loose", Push::Loose)];
    let texts = fields.take("texts").and_then(|node| one_of(node, "`texts`", &TEXTS, reader));
    let aggregates = fields.take("aggregates").is_some_and(|node| reader.bool(node, "`aggregates`") == Some(true));
    fields.finish(reader);
    Directus { page, texts: texts.map_or(Push::Loose, |(_, texts)| texts), aggregates }
}
