//! How several records and several requests are sent as one, as it is written.

use super::{Batch, text};
use crate::diagnostic::Span;
use crate::yaml::{Node, Reader, Value};

/// Requests of one batch, where nothing else is said.
const BATCH: usize = 50;
/// Records or requests of one request, whatever is said.
const MOST: u64 = 1000;

/// `batch: true`, or a map that says more.
pub(super) fn batch(node: &Node, reader: &mut Reader) -> Batch {
    let mut batch = Batch { span: node.span.clone(), route: None, upstream_path: None, most: BATCH };
    if !matches!(node.value, Value::Map(_)) {
        if reader.bool(node, "`batch`") == Some(false) {
            reader.error("unknown-word", &node.span, "`batch` can only be `true`").help =
                Some("leave it out where there are no batches".to_owned());
        }
        return batch;
    }
    let mut fields = reader.fields(node, "`batch`");
    batch.route = text(fields.take("route"), "`route`", reader);
    batch.upstream_path = text(fields.take("upstream_path"), "`upstream_path`", reader);
    if let Some(most) = fields.take("most").and_then(|node| reader.integer(node, "`most`", 1..=MOST)) {
        batch.most = most as usize;
    }
    fields.finish(reader);
    batch
}

/// Records of one request.
pub(super) fn many(node: &Node, reader: &mut Reader) -> Option<(Span, usize)> {
    let many = reader.integer(node, "`many`", 1..=MOST)?;
    Some((node.span.clone(), many as usize))
}
