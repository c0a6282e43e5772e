//! Any text is a YAML tree or a list of placed mistakes, and so is any text as a description of an API.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scrim::api::Catalog;
use scrim::diagnostic::{Source, render};
use scrim_fuzz::{WORLD, bounded};

fn hold(text: &str) {
    let source = Source::new("fuzz.yaml", text);
    if let Err(mistakes) = scrim::yaml::parse(&source) {
        assert!(!mistakes.is_empty());
        assert!(!render(&mistakes, false).is_empty());
    }
    match Catalog::compile(&[source], &["crm".into()], &WORLD.dimensions) {
        Ok((catalog, _)) => assert!(catalog.tables().all(|table| table.field_ids().count() > 0)),
        Err(mistakes) => assert!(!render(&mistakes, false).is_empty()),
    }
}

fuzz_target!(|text: &str| bounded(|| hold(text)));
