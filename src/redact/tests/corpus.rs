//! JSONTestSuite, in its place beside the project: every `y_` accepted, every `n_` refused.

use std::path::PathBuf;

use super::*;

fn read(body: &[u8]) -> Result<(), Unreadable> {
    super::scan(body, scan::MAX_DEPTH)
}

#[test]
fn the_test_suite_of_json_is_read_as_it_says() {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpora");
    let folder = PathBuf::from(std::env::var_os("SCRIM_CORPORA").unwrap_or(beside.into())).join("json/test_parsing");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("SKIPPED: no JSONTestSuite at {}; set SCRIM_CORPORA", folder.display());
        return;
    };
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in files {
        let path = file.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let outcome = read(&std::fs::read(&path).expect("readable"));
        count += 1;
        match name.as_bytes().first() {
            Some(b'y') if outcome.is_err() => wrong.push((name, outcome)),
            Some(b'n') if outcome.is_ok() => wrong.push((name, outcome)),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(count > 300, "only {count} files");
}

#[test]
fn nesting_is_refused_at_the_limit_however_deep_it_goes() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let mixed = |depth: usize| format!("{}1{}", r#"{"a":["#.repeat(depth), "]}".repeat(depth));
    assert_eq!(read(nested(96).as_bytes()), Ok(()));
    assert_eq!(read(mixed(48).as_bytes()), Ok(()));
    assert_eq!(read(nested(97).as_bytes()), Err(Unreadable::Depth));
    assert_eq!(read(mixed(49).as_bytes()), Err(Unreadable::Depth));
    assert_eq!(read("[".repeat(1_000_000).as_bytes()), Err(Unreadable::Depth));
}
