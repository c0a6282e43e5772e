//! The rules of the source tree that no compiler holds: who may import whom, what stays pure, what never appears.
//!
//! It reads the text of `src`, without comments and without the tests at a file's end.

#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect fails by its panic"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Rows from the top down; a module imports from rows below its own only.
const ROWS: [&[&str]; 16] = [
    &["main"],
    &["cli", "demo"],
    &["gateway"],
    &["proxy", "admin"],
    &["exchange", "rejection"],
    &["snapshot"],
    // Who manages whom may have to be read from an upstream.
    &["hierarchy"],
    // Only what is permitted is sent.
    // What is told of the tables is what is decided about them.
    &["upstream", "metadata"],
    // A permit holds the plan by which its answer is redacted.
    &["enforcement"],
    // What is routed is the canonical request.
    &["authn", "routing", "tenancy", "redact", "listener", "audit", "admission", "cursor"],
    &["canonical"],
    &["policy", "dialect"],
    &["config", "api"],
    // What a configuration names and others read.
    &["pki", "sealed"],
    // Mistakes of YAML and of whole files are diagnostics.
    &["yaml", "files"],
    &["model", "diagnostic", "metrics", "clock", "secret"],
];
/// `scrim demo` is a command.
const EXCEPTIONS: [(&str, &str); 1] = [("cli", "demo")];
const PURE: [&str; 6] = ["policy", "routing", "tenancy", "dialect", "canonical", "metadata"];
const IMPURE: [&str; 10] = [
    "async ",
    "std::fs",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "tokio",
    "tracing",
    "Instant",
    "SystemTime",
    "Clock",
];
const PINGORA: [&str; 5] = ["upstream", "listener", "proxy", "exchange", "gateway"];
/// Wire formats of our own, beside every `raw` module.
const SERDE: [&str; 6] = ["audit", "authn", "cli", "admin", "demo", "metadata"];
const WARN_LINES: usize = 400;
const MAX_LINES: usize = 600;

struct Text {
    /// Below `src`.
    path: String,
    /// The first part of the path: `policy` for `policy/parse.rs`.
    module: String,
    whole: String,
    /// Without comments and tests.
    code: String,
}

fn sources() -> Vec<Text> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let whole = fs::read_to_string(path).unwrap();
            let path = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
            let module = path.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
            let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
            let code = if is_test { String::new() } else { code(&whole) };
            Text { path, module, whole, code }
        })
        .collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn code(whole: &str) -> String {
    let lines: Vec<&str> = whole.lines().collect();
    let tests = lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{'));
    lines[..tests.unwrap_or(lines.len())]
        .iter()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// Modules named after `crate::` or, in `main`, `scrim::`, also in a braced list.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["crate::", "scrim::"] {
        for rest in code.split(start).skip(1) {
            let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
            match rest.strip_prefix('{') {
                Some(list) => found.extend(heads(list).iter().map(|item| word(item))),
                None => found.push(word(rest)),
            }
        }
    }
    found
}

/// The items of a braced list without what their own braces hold, whatever its lines and depth.
fn heads(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                found.push(list[start..at].trim());
                start = at + 1;
            }
            '}' => depth -= 1,
            _ => {}
        }
        if c == '}' && depth == 0 && start == at + 1 {
            break;
        }
    }
    found
}

fn hold(broken: Vec<String>) {
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

fn banned(words: &[&str], allowed: impl Fn(&Text) -> bool) {
    let mut broken = Vec::new();
    for text in sources().iter().filter(|text| !allowed(text)) {
        broken.extend(words.iter().filter(|word| text.code.contains(**word)).map(|w| format!("{}: {w}", text.path)));
    }
    hold(broken);
}

#[test]
fn imports_are_found_however_they_are_written() {
    let code = "use crate::a::B;\nuse crate::{\n    b::{self, C},\n    d::{e::{F, G}, H},\n    i,\n};\nfn f() -> crate::j::K {}\nuse scrim::l;";
    let mut found = imports(code);
    found.retain(|module| !module.is_empty());
    assert_eq!(found, ["a", "b", "d", "i", "j", "l"]);
}

#[test]
fn imports_go_downwards_only() {
    let mut broken = Vec::new();
    for text in sources().iter().filter(|text| text.module != "lib") {
        let Some(own) = row(&text.module) else {
            broken.push(format!("{}: its module is on no row", text.path));
            continue;
        };
        for import in imports(&text.code) {
            let allowed = import == text.module || EXCEPTIONS.contains(&(text.module.as_str(), import.as_str()));
            if !allowed && row(&import).is_some_and(|other| other <= own) {
                broken.push(format!("{}: imports {import}", text.path));
            }
        }
    }
    hold(broken);
}

#[test]
fn what_decides_does_no_io_and_reads_no_clock() {
    banned(&IMPURE, |text| !PURE.contains(&text.module.as_str()));
}

#[test]
fn what_drafts_sees_bytes_and_nothing_else() {
    banned(&IMPURE, |text| !text.path.starts_with("cli/import/"));
    banned(&["std::net", "std::process", "std::env"], |text| !text.path.starts_with("cli/import"));
}

#[test]
fn each_library_stays_in_its_place() {
    banned(&["pingora"], |text| PINGORA.contains(&text.module.as_str()) || text.path == "main.rs");
    banned(&["cel::"], |text| text.module == "policy");
    banned(&["roxmltree"], |text| text.path == "cli/import/odata/xml.rs");
    banned(&["serde_saphyr"], |text| text.path == "cli/import/tree.rs");
    banned(&["serde::", "serde_json::"], |text| {
        SERDE.contains(&text.module.as_str()) || text.path.ends_with("raw.rs") || text.path.contains("/raw/")
    });
}

#[test]
fn every_file_says_what_it_is() {
    let sources = sources();
    hold(sources.iter().filter(|text| !text.whole.starts_with("//!")).map(|text| text.path.clone()).collect());
}

#[test]
fn no_file_is_too_long() {
    let mut broken = Vec::new();
    for text in sources() {
        let lines = text.whole.lines().count();
        if lines > MAX_LINES {
            broken.push(format!("{}: {lines} lines", text.path));
        } else if lines > WARN_LINES {
            println!("{}: {lines} lines", text.path);
        }
    }
    hold(broken);
}

#[test]
fn nothing_is_left_to_do_and_nothing_prints() {
    banned(&["todo!", "unimplemented!", "dbg!"], |_| false);
    banned(&["println!", "print!("], |text| ["cli", "demo", "main"].contains(&text.module.as_str()));
}

#[test]
fn every_metric_is_used() {
    let sources = sources();
    let metrics = &sources.iter().find(|text| text.path == "metrics.rs").unwrap().code;
    let fields = metrics.split("pub struct Handles {").nth(1).unwrap().split("\n}").next().unwrap();
    let names = fields.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next());
    let used = |name: &str| sources.iter().any(|t| t.path != "metrics.rs" && t.code.contains(&format!(".{name}")));
    hold(names.filter(|name| !used(name)).map(str::to_owned).collect());
}

#[test]
fn every_reason_is_given_somewhere() {
    let sources = sources();
    let model = &sources.iter().find(|text| text.path == "model.rs").unwrap().code;
    let variants = model.split("pub enum Reason {").nth(1).unwrap().split("\n}").next().unwrap();
    let names = variants.lines().filter_map(|line| {
        let name = line.trim().split([',', '(', ' ']).next()?;
        name.starts_with(|first: char| first.is_ascii_uppercase()).then_some(name)
    });
    let outside = |text: &&Text| text.path != "model.rs" && text.path != "rejection.rs";
    let given = |name: &str| {
        let spelled = format!("Reason::{name}");
        sources.iter().filter(outside).any(|text| {
            text.code.split(&spelled).skip(1).any(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
        })
    };
    hold(names.filter(|name| !given(name)).map(str::to_owned).collect());
}

#[test]
fn no_path_of_a_machine_is_written_down() {
    let sources = sources();
    let paths = [["/ho", "me/"].concat(), ["/Us", "ers/"].concat(), ["/ro", "ot/"].concat()];
    let names = |text: &&Text| paths.iter().any(|path| text.whole.contains(path.as_str()));
    hold(sources.iter().filter(names).map(|text| text.path.clone()).collect());
}
