//! Any text is a YAML tree or a list of placed mistakes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scrim::diagnostic::Source;

fuzz_target!(|text: &str| {
    if let Err(mistakes) = scrim::yaml::parse(&Source::new("fuzz.yaml", text)) {
        assert!(!mistakes.is_empty());
    }
});
