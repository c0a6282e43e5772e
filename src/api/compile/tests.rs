//! API descriptions: what compiles, and what is a mistake and where.

use super::*;

const DEMO: &str = include_str!("../../../config/apis/demo-crm.yaml");

fn names(words: &[&str]) -> Vec<Name> {
    words.iter().map(|word| Name::from(*word)).collect()
}

fn compile(text: &str) -> Result<(Catalog, Vec<Diagnostic>), Vec<Diagnostic>> {
    catalog(&[Source::new("crm.yaml", text)], &names(&["crm"]), &names(&["organization_id", "app_id"]))
}

#[test]
fn the_demo_description_compiles_without_a_warning() {
    let (catalog, warnings) = compile(DEMO).unwrap_or_else(|errors| panic!("{}", diagnostic::render(&errors, false)));
    assert_eq!(warnings, []);
    assert_eq!(catalog.tables().count(), 6);
}
