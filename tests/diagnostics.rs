//! Broken configurations and what an operator is shown of each: every file under tests/diagnostics, put in the place of
//! one file of a whole configuration, with the exact output of `scrim check` beside it.
//!
//! `BLESS=1` writes what is shown now; read it as an operator would before it is kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where a case of each folder goes.
const FOLDERS: [(&str, &str); 6] = [
    ("yaml", "policies/contacts.yaml"),
    ("cel", "policies/contacts.yaml"),
    ("policies", "policies/contacts.yaml"),
    ("lints", "policies/contacts.yaml"),
    ("api", "api.yaml"),
    ("gateway", "gateway.yaml"),
];
/// The endings of what is kept beside a case, with the format that they hold.
const FORMATS: [(&str, &str); 3] = [("txt", "text"), ("json", "json"), ("sarif", "sarif")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> = entries.filter(|path| path.extension().is_some_and(|found| found == ending)).collect();
    found.sort();
    found
}

/// The whole configuration, with nothing wrong in it.
fn base() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let base = root().join("base");
    fs::create_dir(folder.path().join("policies")).expect("made");
    for file in files(&base, "yaml").into_iter().chain(files(&base.join("policies"), "yaml")) {
        let to = folder.path().join(file.strip_prefix(&base).expect("below it"));
        fs::copy(&file, to).expect("copied");
    }
    let made = rcgen::generate_simple_self_signed(vec!["crm.example".to_owned()]).expect("a certificate");
    fs::write(folder.path().join("tls.pem"), made.cert.pem()).expect("written");
    fs::write(folder.path().join("tls.key"), made.signing_key.serialize_pem()).expect("written");
    let alone = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(folder.path().join("tls.key"), alone).expect("set");
    folder
}

fn check(folder: &Path, format: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_scrim"))
        .current_dir(folder)
        .args(["check", "--config", "gateway.yaml", "--format", format])
        .args(more)
        .output()
        .expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_broken_file_is_shown_as_it_was_read_by_people() {
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    let (mut count, mut differs) = (0, Vec::new());
    let folder = base();
    let whole = check(folder.path(), "text", &["--deny-warnings"]);
    assert_eq!((whole.status.code(), &*text(&whole.stderr)), (Some(0), "0 errors, 0 warnings\n"));
    for (kind, place) in FOLDERS {
        for case in files(&root().join(kind), "yaml") {
            count += 1;
            let written = fs::read_to_string(&case).expect("text");
            let place = if written.contains("\ntable: users\n") || written.starts_with("table: users\n") {
                "policies/users.yaml"
            } else {
                place
            };
            let at = folder.path().join(place);
            let kept = fs::read(&at).expect("a file of the whole configuration");
            fs::write(&at, written).expect("written");
            for (ending, format) in FORMATS {
                let golden = case.with_extension(ending);
                if ending != "txt" && !golden.exists() {
                    continue;
                }
                let shown = check(folder.path(), format, &[]);
                let (found, other) = match ending {
                    "txt" => (text(&shown.stderr), text(&shown.stdout)),
                    _ => (
                        text(&shown.stdout),
                        text(&shown.stderr).replace("policies were not checked: mend the above first\n", ""),
                    ),
                };
                assert_eq!(other, "", "{}", case.display());
                let fails = found.contains("error") && !found.contains("\n0 errors, ");
                assert_eq!(shown.status.code(), Some(i32::from(fails)), "{}:\n{found}", case.display());
                let wanted = fs::read_to_string(&golden).unwrap_or_default();
                if bless {
                    fs::write(&golden, &found).expect("written");
                } else if found != wanted {
                    differs.push(format!("{}\n--- wanted\n{wanted}\n--- found\n{found}", golden.display()));
                }
            }
            fs::write(&at, kept).expect("written");
        }
        for (ending, _) in FORMATS {
            let stray =
                files(&root().join(kind), ending).into_iter().find(|golden| !golden.with_extension("yaml").exists());
            assert_eq!(stray, None, "an output without its file");
        }
    }
    println!("{count} broken files");
    assert!(differs.is_empty(), "{} outputs differ:\n{}", differs.len(), differs.join("\n"));
    assert!(count >= 60, "the golden files shrank to {count}");
}

#[test]
fn warnings_fail_a_check_only_where_they_are_denied() {
    let folder = base();
    let warns = fs::read(root().join("lints/constants.yaml")).expect("a case");
    fs::write(folder.path().join("policies/contacts.yaml"), warns).expect("written");
    let shown = check(folder.path(), "text", &[]);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    assert!(text(&shown.stderr).contains("0 errors, "), "{}", text(&shown.stderr));
    assert_eq!(check(folder.path(), "text", &["--deny-warnings"]).status.code(), Some(1));
    assert_eq!(check(folder.path(), "sarif", &["--deny-warnings"]).status.code(), Some(1));
}

#[test]
fn a_wrong_command_line_exits_with_two_and_a_missing_file_with_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scrim"));
        command.current_dir(folder.path()).arg("check").args(arguments).output().expect("it runs")
    };
    for wrong in [&["--format", "xml"][..], &["--config"], &["--strict"], &["gateway.yaml"]] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    // Without --config it looks where a gateway's file lies.
    let missing = run(&[]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("config/gateway.yaml"), "{}", text(&missing.stderr));
}
