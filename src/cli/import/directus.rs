//! Directus.
use super::draft::{Draft, Notes};
use super::tree::Tree;
use super::{Failed, Input};

pub(super) fn is(_tree: &Tree) -> bool {
    false
}

pub(super) fn read(input: &Input, _trees: &[Tree], _notes: &mut Notes) -> Result<Draft, Failed> {
    Err(Failed::Unknown(input.name.clone()))
}
