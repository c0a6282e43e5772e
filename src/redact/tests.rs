//! Answers of a small CRM under a judge whose rules are written here.

use super::*;
use crate::api::Catalog;

pub(super) fn catalog() -> Catalog {
    Catalog::default()
}
