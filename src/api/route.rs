//! Routes: what a request's method and path may be, and what they are about.

use super::{TableId, Template};
use crate::model::{Action, Name};

#[derive(Debug)]
pub struct Route {
    pub method: http::Method,
    /// As the client spells it.
    pub path: Template,
    /// As the upstream spells it; may hold tenant dimensions.
    pub upstream_path: Template,
    pub kind: RouteKind,
    /// Of a write: what its body is.
    pub form: Form,
    /// Of a change, a deletion or a read: how the upstream is told.
    pub sent: Sent,
}

/// How what is done with one record reaches the upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sent {
    /// As the client sends it.
    #[default]
    Alike,
    /// As a PUT of the record as a whole, as it stands but for what changes.
    Whole,
    /// To this path, as a write of all records that a filter lets through: the record, as long as it may be written. Of a read,
    /// as a list of those, which is the record or nothing.
    Filtered(Template),
}

/// What a write's body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The fields of one record; of a change, those that change.
    #[default]
    Fields,
    /// The same, or an array of up to so many records, of which the upstream takes all or none.
    Many(usize),
    /// A record as a whole: what it leaves out becomes what it is in a new one.
    Whole,
    /// Fields of a record, which is made where there is none of its key.
    Upsert,
}

#[derive(Debug)]
pub enum RouteKind {
    Table {
        table: TableId,
        action: Action,
    },
    /// How many records of a table there are, and nothing else.
    Count {
        table: TableId,
    },
    /// One property of a record, which the path names behind what names the record. The gateway's own, beside each route of
    /// OData's that reads records: it answers where nothing is declared for the same path.
    Property {
        table: TableId,
        /// As its value alone, and not as JSON.
        raw: bool,
    },
    /// Passed through unread: only for these roles, and named so in the audit log.
    Opaque {
        name: Name,
        roles: Vec<Name>,
        media_types: Vec<Name>,
        /// Headers of the client's that pass.
        request_headers: Vec<http::HeaderName>,
        live: Option<Live>,
    },
    /// Several requests in one, up to so many.
    Batch {
        most: usize,
    },
    /// About the tables, made by the gateway and cut to what its reader may see.
    Metadata(Document),
}

/// What a client can read about an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// OpenAPI 3.1.
    Openapi,
    /// OData's list of sets.
    Service,
    /// OData's `$metadata`.
    Csdl,
}

impl Document {
    pub fn name(self) -> &'static str {
        match self {
            Self::Openapi => "openapi",
            Self::Service => "service",
            Self::Csdl => "csdl",
        }
    }
}

/// What has no end of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Live {
    /// Events that the upstream sends (WHATWG HTML, section 9.2).
    Events,
    /// Both sides send. Of the protocols that a client speaks, these are passed on.
    WebSocket { protocols: Vec<Name> },
}

impl RouteKind {
    /// Headers of the client's that pass as they are.
    pub fn request_headers(&self) -> &[http::HeaderName] {
        match self {
            Self::Opaque { request_headers, .. } => request_headers,
            _ => &[],
        }
    }

    pub fn is_websocket(&self) -> bool {
        matches!(self, Self::Opaque { live: Some(Live::WebSocket { .. }), .. })
    }
}
