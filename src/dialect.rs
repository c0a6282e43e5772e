//! How an upstream spells queries: the client's query is parsed into a [`Query`], checked by `enforcement`, and printed anew.
//!
//! Pure. Nothing of the client's text is forwarded; an unknown parameter is an error, never passed on.

pub mod rest;

use crate::api::{FieldId, Operator};

/// A list or read query, understood. Fields are resolved; names that do not resolve are an error of the parser.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    pub filter: Vec<Comparison>,
    /// (field, descending)
    pub sort: Vec<(FieldId, bool)>,
    pub fields: Option<Vec<FieldId>>,
    /// To-one or to-many relations to expand, one level deep.
    pub expand: Vec<FieldId>,
    pub limit: Option<u64>,
    pub offset: Option<u64>,
    /// From 1.
    pub page: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub field: FieldId,
    pub operator: Operator,
    pub value: String,
}
