//! TODO

use std::path::Path;

use super::Config;
use crate::diagnostic::Diagnostic;

pub(super) fn load(_path: &Path) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    todo!()
}
