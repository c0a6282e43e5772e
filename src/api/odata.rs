//! An OData V4 service: what it calls things is known, but for how many records it gives at a time and what else it can do.

use super::{Place, Records};

#[derive(Debug)]
pub struct Odata {
    /// Records of a page where the client names no number, and at most.
    pub default: u64,
    pub max: u64,
    /// Whether it understands `$apply`.
    pub aggregates: bool,
    pub search: Search,
    pub(crate) list: Records,
    pub(crate) record: Place,
    pub(crate) total: Place,
}

/// How a client's `$search` leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Search {
    /// As a part of `$filter`, which reads the declared fields and no others.
    #[default]
    Filter,
    /// As `$search`, of which the API description says what it reads.
    Service,
}

impl Odata {
    /// Where the API description says nothing else.
    pub const DEFAULT: u64 = 100;
    pub const MAX: u64 = 1000;

    pub fn new(default: u64, max: u64) -> Self {
        Self {
            default,
            max,
            aggregates: false,
            search: Search::default(),
            list: Records::Array(Place(vec!["value".into()])),
            record: Place::default(),
            total: Place(vec!["@odata.count".into()]),
        }
    }
}
