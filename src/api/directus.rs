//! Directus, whose routes, envelope and parameters are known: what is left to say of one.

use super::{Place, Records};

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
}

impl Directus {
    /// What the server answers where nothing is asked for.
    pub const PAGE: u64 = 100;
    pub const MAX_PAGE: u64 = 1000;

    pub fn new(page: u64, max_page: u64) -> Self {
        let data = || Place(vec!["data".into()]);
        Self {
            list: Records::Array(data()),
            record: data(),
            // `total_count` counts the records of everybody.
            totals: vec![Place(vec!["meta".into(), "filter_count".into()])],
            page,
            max_page,
            aggregates: false,
        }
    }
}
