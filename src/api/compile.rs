//! TODO

use std::path::PathBuf;
use std::sync::Arc;

use super::Catalog;
use crate::diagnostic::{Diagnostic, Source};
use crate::model::Name;

pub(super) fn catalog(
    _files: &[Arc<Source>],
    _upstreams: &[Name],
    _dimensions: &[Name],
) -> Result<(Catalog, Vec<Diagnostic>), Vec<Diagnostic>> {
    todo!()
}

pub(super) fn read(_paths: &[PathBuf]) -> Result<Vec<Arc<Source>>, Vec<Diagnostic>> {
    todo!()
}
