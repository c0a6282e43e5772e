//! Raw policies -> checked rules over a catalog.

use std::sync::Arc;

use crate::api::{Catalog, TableId};
use crate::config::PrincipalSchema;
use crate::diagnostic::{Diagnostic, Source};
use crate::model::Name;
use crate::policy::{Decision, Layout, Question};

pub(super) struct Compiled;

pub(super) fn policies(
    _files: &[Arc<Source>],
    _catalog: &Arc<Catalog>,
    _principal: &PrincipalSchema,
    _dimensions: &[Name],
) -> Result<(Compiled, Vec<Diagnostic>), Vec<Diagnostic>> {
    todo!()
}

impl Compiled {
    pub(super) fn hash(&self) -> &str {
        todo!()
    }
    pub(super) fn decide(&self, _question: &Question<'_>) -> Decision {
        todo!()
    }
    pub(super) fn layout(&self, _table: TableId) -> &Arc<Layout> {
        todo!()
    }
}
