//! What lies beside the tables, as it is written: documents about them, and routes that pass unread.

use super::{Metadata, Opaque, nonempty, text};
use crate::yaml::{Node, Reader};

pub(super) fn metadata(node: &Node, reader: &mut Reader) -> Metadata {
    let mut fields = reader.fields(node, "`metadata`");
    let metadata = Metadata {
        span: fields.span.clone(),
        openapi: text(fields.take("openapi"), "`openapi`", reader),
        odata: fields.take("odata").and_then(|node| reader.bool(node, "`odata`")).unwrap_or_default(),
    };
    fields.finish(reader);
    metadata
}

pub(super) fn opaque(node: &Node, reader: &mut Reader) -> Opaque {
    let mut fields = reader.fields(node, "an opaque route");
    let stream = text(fields.take("stream"), "`stream`", reader);
    let upgrade = text(fields.take("upgrade"), "`upgrade`", reader);
    let protocols = fields.take("protocols").map(|node| reader.texts(node, "`protocols`")).unwrap_or_default();
    let request_headers =
        fields.take("request_headers").map(|node| reader.texts(node, "`request_headers`")).unwrap_or_default();
    let media_types = match stream.as_ref().or(upgrade.as_ref()) {
        None => nonempty(&mut fields, "media_types", "`media_types` of an opaque route", reader),
        // What passes is named already.
        Some(named) => {
            if fields.take("media_types").is_some() {
                let message = "`media_types` has no meaning beside `stream` or `upgrade`";
                reader.error("bad-route", &named.span, message);
            }
            Vec::new()
        }
    };
    let opaque = Opaque {
        route: text(fields.require("route", reader), "`route`", reader),
        upstream_path: text(fields.take("upstream_path"), "`upstream_path`", reader),
        roles: nonempty(&mut fields, "roles", "`roles` of an opaque route", reader),
        media_types,
        stream,
        upgrade,
        protocols,
        request_headers,
        tenant: text(fields.take("tenant"), "`tenant` of an opaque route", reader),
    };
    fields.finish(reader);
    opaque
}
