//! Directus, whose routes, envelope and parameters are known: what is left to say of one, and of its tables' columns.

use std::collections::HashMap;

use super::{FieldId, Place, Records, TableId};
use crate::model::Name;

/// Directus' items API.
#[derive(Debug)]
pub struct Directus {
    pub list: Records,
    pub record: Place,
    pub totals: Vec<Place>,
    /// Records of a page where the client doesn't say how many.
    pub page: u64,
    pub max_page: u64,
    /// Whether clients may ask for `aggregate` and `groupBy`.
    pub aggregates: bool,
    /// Columns by table, to ask for those of a related record.
    columns: HashMap<TableId, Vec<(Name, FieldId)>>,
}

impl Directus {
    /// What the server answers where nothing is asked for.
    pub const PAGE: u64 = 100;
    pub const MAX_PAGE: u64 = 1000;

    pub fn new(page: u64, max_page: u64, columns: HashMap<TableId, Vec<(Name, FieldId)>>) -> Self {
        let data = || Place(vec!["data".into()]);
        Self {
            list: Records::Array(data()),
            record: data(),
            // `total_count` counts the records of everybody.
            totals: vec![Place(vec!["meta".into(), "filter_count".into()])],
            page,
            max_page,
            aggregates: false,
            columns,
        }
    }

    /// The columns of one of its tables; relations are none.
    pub fn columns(&self, table: TableId) -> &[(Name, FieldId)] {
        self.columns.get(&table).map_or(&[], Vec::as_slice)
    }
}
