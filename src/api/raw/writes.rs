//! How writes are guarded, and how several of them are sent as one, as it is written.

use super::{Batch, text};
use crate::api::{Otherwise, Race};
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

/// A word, or `filter` and what guards where no filter can.
pub(super) fn race(node: &Node, reader: &mut Reader) -> (Race, Option<Span>) {
    let words = match &node.value {
        Value::List(_) => reader.texts(node, "`race`"),
        _ => reader.text(node, "`race`").into_iter().collect(),
    };
    let spelled: Vec<&str> = words.iter().map(|word| word.value.as_str()).collect();
    let race = match spelled[..] {
        ["if_match"] => Race::IfMatch,
        ["accept"] => Race::Accept,
        ["filter"] => Race::Filter(Otherwise::Refuse),
        ["filter", "if_match"] => Race::Filter(Otherwise::IfMatch),
        ["filter", "accept"] => Race::Filter(Otherwise::Accept),
        _ => {
            if !words.is_empty() {
                let message = format!("`race` can't be `{}`", spelled.join(", "));
                reader.error("unknown-word", &node.span, message).help =
                    Some("one of if_match, accept, filter, [filter, if_match] and [filter, accept]".to_owned());
            }
            Race::IfMatch
        }
    };
    (race, Some(node.span.clone()))
}
