//! JSONTestSuite, in its place beside the project: every `y_` accepted, every `n_` refused.

use std::path::PathBuf;

use super::*;

fn read(body: &[u8]) -> Result<(), Unreadable> {
    super::scan(body, scan::MAX_DEPTH)
}

/// Numbers of any size: they keep their bytes. Text that is no UTF-8, lone surrogates, byte order marks and deep nesting
/// are refused.
const LEFT_OPEN: [&str; 10] = [
    "i_number_double_huge_neg_exp.json",
    "i_number_huge_exp.json",
    "i_number_neg_int_huge_exp.json",
    "i_number_pos_double_huge_exp.json",
    "i_number_real_neg_overflow.json",
    "i_number_real_pos_overflow.json",
    "i_number_real_underflow.json",
    "i_number_too_big_neg_int.json",
    "i_number_too_big_pos_int.json",
    "i_number_very_big_negative_int.json",
];

/// The document as a member that goes, a byte at a time.
fn in_single_bytes(document: &[u8]) -> Result<(), Unreadable> {
    let body = [br#"{"data":[],"x":"#, document, b"}"].concat();
    let limits = Limits { body: body.len() as u64, record: body.len() };
    let mut redactor = Redactor { stream: Stream::new(job(&list(false), None), limits) };
    let mut out = Vec::new();
    body.chunks(1).try_for_each(|byte| redactor.push(byte, &mut out))?;
    redactor.finish(&mut out)?;
    out.retain(|byte| !byte.is_ascii_whitespace());
    assert_eq!(out, br#"{"data":[]}"#);
    Ok(())
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
    let mut left_open = Vec::new();
    let mut count = 0;
    for file in files {
        let path = file.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let document = std::fs::read(&path).expect("readable");
        let outcome = read(&document);
        assert_eq!(in_single_bytes(&document).is_ok(), outcome.is_ok(), "{name} byte by byte");
        count += 1;
        match name.as_bytes().first() {
            Some(b'y') if outcome.is_err() => wrong.push((name, outcome)),
            Some(b'n') if outcome.is_ok() => wrong.push((name, outcome)),
            Some(b'i') if outcome.is_ok() => left_open.push(name),
            _ => {}
        }
    }
    left_open.sort();
    assert_eq!(left_open, LEFT_OPEN, "of what the grammar leaves open, these are read and no others");
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
