//! `scrim secrets` as an operator runs it: what it takes, what it prints, and what lies on disk afterwards.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const VALUE: &str = "s3cr3t-that-nobody-sees";

fn scrim(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scrim"));
    command.current_dir(folder).args(arguments).env("SEALED_KEY", "no-key");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    // Whoever does not read closes it.
    child.stdin.take().expect("piped").write_all(input).ok();
    child.wait_with_output().expect("it ends")
}

fn run(folder: &Path, arguments: &[&str], input: &[u8]) -> (Option<i32>, String, String) {
    let output = scrim(folder, &[&["secrets"][..], arguments, &["--config", "gateway.yaml"]].concat(), input);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!out.contains(VALUE) && !err.contains(VALUE), "{arguments:?}: {out}{err}");
    (output.status.code(), out, err)
}

fn new_key(folder: &Path) -> String {
    let output = scrim(folder, &["secrets", "key"], b"");
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).expect("text")
}

/// A gateway file of which nothing but the place of secrets is there, and a key elsewhere.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("keys")).expect("made");
    fs::write(at("gateway.yaml"), "sealed_secrets: { file: secrets.sealed, key: { file: keys/key } }\n")
        .expect("written");
    fs::write(at("keys/key"), new_key(folder.path())).expect("written");
    fs::set_permissions(at("keys/key"), fs::Permissions::from_mode(0o600)).expect("set");
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let (code, out, err) = run(folder, &["list"], b"");
    assert_eq!((code, err.as_str()), (Some(0), ""));
    out.lines().map(|line| line.split_once("  ").expect("a date and a name").1.to_owned()).collect()
}

#[test]
fn secrets_are_set_listed_removed_and_sealed_anew() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let done = |out: &str| (Some(0), out.to_owned(), String::new());
    for (name, value) in
        [("crm/acme", format!("{VALUE}\n")), ("crm/globex", format!("{VALUE}\r\n")), ("masking", VALUE.into())]
    {
        assert_eq!(run(folder.path(), &["set", name], value.as_bytes()), done(&format!("set `{name}`\n")));
    }
    assert_eq!(run(folder.path(), &["set", "crm/acme"], VALUE.as_bytes()), done("replaced `crm/acme`\n"));
    assert_eq!(names(folder.path()), ["crm/acme", "crm/globex", "masking"]);
    assert_eq!(fs::metadata(at("secrets.sealed")).expect("it is there").permissions().mode() & 0o777, 0o600);
    let bytes = fs::read(at("secrets.sealed")).expect("bytes");
    assert!(!String::from_utf8_lossy(&bytes).contains(VALUE));
    assert_eq!(run(folder.path(), &["remove", "masking"], b""), done("removed `masking`\n"));
    assert_eq!(names(folder.path()), ["crm/acme", "crm/globex"]);

    let old = fs::read_to_string(at("keys/key")).expect("a key");
    let new = new_key(folder.path());
    fs::write(at("keys/key"), format!("{new}{old}")).expect("written");
    assert_eq!(names(folder.path()).len(), 2, "the old key opens");
    let (code, out, _) = run(folder.path(), &["rotate"], b"");
    assert_eq!(code, Some(0));
    assert!(out.starts_with("sealed 2 secrets anew with the first key\n"), "{out}");
    fs::write(at("keys/key"), &new).expect("written");
    assert_eq!(names(folder.path()), ["crm/acme", "crm/globex"], "the new one alone opens");
    fs::write(at("keys/key"), &old).expect("written");
    let (code, _, err) = run(folder.path(), &["list"], b"");
    assert_eq!((code, err.as_str()), (Some(1), "scrim: the file of sealed secrets: it is sealed with another key\n"));
}

#[test]
fn what_can_not_be_done_changes_nothing_and_says_why() {
    let folder = folder();
    assert_eq!(run(folder.path(), &["set", "a"], VALUE.as_bytes()).0, Some(0));
    let before = fs::read(folder.path().join("secrets.sealed")).expect("bytes");
    let long = "x".repeat(64 * 1024 + 1);
    for (arguments, input, wrong) in [
        (&["set", "b"][..], "", "the value is empty"),
        (&["set", "b"], "\n", "the value is empty"),
        (&["set", "b"], long.as_str(), "the value is longer than 65536 bytes"),
        (&["set", "a b"], VALUE, "`a b` can't be a secret's name"),
        (&["set", "a/{x}"], VALUE, "`a/{x}` can't be a secret's name"),
        (&["remove", "b"], "", "there is no secret `b`"),
    ] {
        let (code, out, err) = run(folder.path(), arguments, input.as_bytes());
        assert_eq!((code, out.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(err.contains(wrong), "{arguments:?}: {err}");
    }
    for (arguments, code) in [(&["set", "b", VALUE][..], 2), (&["set"], 2), (&["show", "a"], 2)] {
        let output = scrim(folder.path(), &[&["secrets"][..], arguments].concat(), b"");
        assert_eq!(output.status.code(), Some(code), "a value is not for the command line: {arguments:?}");
    }
    assert_eq!(fs::read(folder.path().join("secrets.sealed")).expect("bytes"), before);
    assert_eq!(names(folder.path()), ["a"]);
}

#[test]
fn a_key_is_never_beside_what_it_seals_and_must_be_one() {
    let folder = folder();
    let config = folder.path().join("gateway.yaml");
    let good = fs::read(&config).expect("text");
    fs::write(folder.path().join("secrets.key"), new_key(folder.path())).expect("written");
    fs::write(&config, "sealed_secrets: { file: secrets.sealed, key: { file: secrets.key } }").expect("written");
    let (code, _, err) = run(folder.path(), &["set", "a"], VALUE.as_bytes());
    assert!(code == Some(1) && err.contains("key-beside-secrets"), "before there is a file: {err}");
    assert!(!folder.path().join("secrets.sealed").exists());
    fs::write(&config, good).expect("written");
    for (written, wrong) in [
        (
            "sealed_secrets: { file: secrets.sealed, key: { file: secrets.key } }",
            "error[key-beside-secrets]: the key lies beside",
        ),
        ("sealed_secrets: { file: secrets.sealed, key: { file: keys/../secrets.key } }", "error[key-beside-secrets]"),
        (
            "sealed_secrets: { file: secrets.sealed, key: { file: keys/none } }",
            "error[bad-secret]: the key can't be read",
        ),
        (
            "sealed_secrets: { file: secrets.sealed, key: { env: SEALED_KEY } }",
            "the key can't be used: it is not base64",
        ),
        (
            "sealed_secrets: { file: secrets.sealed, key: { env: NO_SUCH } }",
            "the environment has no variable `NO_SUCH`",
        ),
        ("sealed_secrets: { file: secrets.sealed, key: {} }", "`key` needs one of `file` and `env`"),
        ("sealed_secrets: { file: secrets.sealed }", "error[missing-key]"),
        ("sealed_secrets: { file: a, key: { file: keys/key }, mode: x }", "error[unknown-key]"),
        ("upstreams: {}", "scrim: the configuration has no `sealed_secrets`"),
    ] {
        assert_eq!(run(folder.path(), &["set", "a"], VALUE.as_bytes()).0, Some(0), "it holds before");
        let good = fs::read(&config).expect("text");
        fs::write(&config, written).expect("written");
        let (code, _, err) = run(folder.path(), &["set", "a"], VALUE.as_bytes());
        assert_eq!(code, Some(1), "{written}");
        assert!(err.contains(wrong), "{written}: {err}");
        fs::write(&config, good).expect("written");
    }
}

/// A terminal's other side.
fn terminal() -> (rustix::fd::OwnedFd, rustix::fd::OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&side).and_then(|()| unlockpt(&side)).expect("it is ours");
    let name = ptsname(&side, Vec::new()).expect("a name");
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let other = rustix::fs::open(&name, flags, rustix::fs::Mode::empty()).expect("opened");
    (side, other)
}

#[test]
fn a_value_that_is_typed_is_not_shown() {
    let folder = folder();
    let (side, child_side) = terminal();
    let copy = || Stdio::from(child_side.try_clone().expect("another handle"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_scrim"))
        .current_dir(folder.path())
        .args(["secrets", "set", "typed", "--config", "gateway.yaml"])
        .stdin(copy())
        .stdout(copy())
        .stderr(copy())
        .spawn()
        .expect("it runs");
    drop(child_side);
    let mut shown = String::new();
    let mut buffer = [0; 256];
    let mut read = |shown: &mut String| {
        // A terminal without another side is an error, and the end.
        let count = rustix::io::read(&side, &mut buffer).unwrap_or(0);
        shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
        count > 0
    };
    while !shown.contains("(not shown): ") {
        assert!(read(&mut shown), "it asked for nothing: {shown}");
    }
    rustix::io::write(&side, format!("{VALUE}\n").as_bytes()).expect("typed");
    while read(&mut shown) {}
    assert!(child.wait().expect("it ends").success(), "{shown}");
    assert!(!shown.contains(VALUE) && shown.contains("set `typed`"), "{shown}");
    assert_eq!(names(folder.path()), ["typed"]);
}
