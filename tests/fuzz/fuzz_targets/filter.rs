//! Any filter of PocketBase's language is refused, or reads back from what is printed, and is longer by its quotes and
//! parentheses alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scrim::dialect::pocketbase::grammar::{MAX_FILTER, Mistake, parse, print};
use scrim_fuzz::bounded;

fuzz_target!(|text: &str| bounded(|| hold(text)));

fn hold(text: &str) {
    let Ok(expression) = parse(text) else { return };
    let printed = print(&expression).expect("what was quoted can be quoted");
    match parse(&printed) {
        Ok(again) => assert_eq!(again, expression, "{printed}"),
        // Alternatives of a group have parentheses of their own.
        Err(Mistake::TooDeep) => {}
        Err(Mistake::TooLong) => assert!(printed.len() > MAX_FILTER, "{printed}"),
        Err(mistake) => panic!("{mistake}: {printed}"),
    }
}
