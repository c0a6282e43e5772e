//! The built binary as an operator runs it: signals, exit codes, and what is printed where.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use serde_json::{Value, json};

use super::{POLICY, contact, seen, setup};
use crate::support::{Answer, Client, Identities, Upstream};

fn scrim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_scrim")).args(arguments).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A running `scrim serve`, ended with the test.
struct Served {
    child: Child,
    log: BufReader<ChildStderr>,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Served {
    fn start(config: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_scrim"))
            .args(["serve", "--config"])
            .arg(config)
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let address = |line: Value| line["fields"]["address"].as_str().expect("an address").parse().expect("one");
        let public = address(wait(&mut log, "listening"));
        let admin = address(wait(&mut log, "admin: /metrics /healthz /readyz"));
        Self { child, log, address: public, admin }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("it runs");
        assert!(sent.success());
    }

    fn wait(&mut self, message: &str) -> Value {
        wait(&mut self.log, message)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the log up to the line with this message.
fn wait(log: &mut BufReader<ChildStderr>, message: &str) -> Value {
    let mut all = String::new();
    loop {
        let start = all.len();
        assert!(log.read_line(&mut all).expect("text") > 0, "`{message}` never came:\n{all}");
        let line: Value = serde_json::from_str(&all[start..]).unwrap_or_default();
        if line["fields"]["message"] == message {
            return line;
        }
    }
}

struct Files {
    folder: tempfile::TempDir,
    identities: Identities,
    upstream: Upstream,
}

impl Files {
    async fn new() -> Self {
        let (folder, identities) = (tempfile::tempdir().expect("a folder"), Identities::new());
        let upstream = Upstream::start().await;
        upstream.on("GET /contacts/1", [Answer::json(200, contact(1))]);
        setup("").lay_out(folder.path(), &identities, upstream.address);
        Self { folder, identities, upstream }
    }

    fn config(&self) -> String {
        self.folder.path().join("gateway.yaml").display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("written");
    }

    /// A token that holds now: the process has the system's clock.
    fn token(&self) -> String {
        let since = std::fs::metadata(self.folder.path()).and_then(|made| made.modified()).expect("a time");
        let now = since.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        self.identities.token("ann", &json!({ "roles": ["rep"], "iat": now - 60, "exp": now + 3600 }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_reloads_on_sighup_and_drains_on_sigterm() {
    let files = Files::new().await;
    let mut served = Served::start(Path::new(&files.config()));
    let client = Client::new(served.address).bearer(&files.token());
    assert_eq!(client.get("/contacts/1").await.json(), seen(1));

    files.write("policies/contacts.yaml", "table: [");
    served.signal("-HUP");
    served.wait("the configuration was not reloaded: the last good one stays in force");
    assert_eq!(client.get("/contacts/1").await.json(), seen(1));

    files.write("policies/contacts.yaml", &POLICY.replace("[id, name]", "[id]"));
    served.signal("-HUP");
    served.wait("the configuration was reloaded");
    assert_eq!(client.get("/contacts/1").await.json(), json!({ "data": { "id": 1 } }));

    let url = format!("http://{}/readyz", served.admin);
    assert_eq!(scrim(&["health", "--url", &url]).status.code(), Some(0));
    served.signal("-TERM");
    served.wait("draining");
    let mut rest = String::new();
    served.log.read_to_string(&mut rest).expect("text");
    assert_eq!(served.child.wait().expect("it ends").code(), Some(0), "{rest}");
    let log = std::fs::read_to_string(files.folder.path().join("audit.jsonl")).expect("the audit log");
    assert_eq!(log.lines().count(), 6, "{log}");
    let failed = scrim(&["health", "--url", &url]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(!failed.stderr.is_empty());
    assert_eq!(files.upstream.seen().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_shows_every_mistake_and_exits_with_one() {
    let files = Files::new().await;
    files.write("policies/contacts.yaml", &POLICY.replace("[id, name]", "[id, nmae]").replace("[rep]", "[rpe]"));
    files.write("policies/accounts.yaml", "table: acounts\n");
    let ended = scrim(&["serve", "--config", &files.config()]);
    let shown = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{shown}");
    for word in ["nmae", "rpe", "acounts", "contacts.yaml:", "accounts.yaml:"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    assert!(ended.stdout.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_is_wrong_to_people_and_to_machines() {
    let files = Files::new().await;
    let config = files.config();
    let fine = scrim(&["check", "--config", &config]);
    assert_eq!(fine.status.code(), Some(0), "{}", text(&fine.stderr));
    assert!(text(&fine.stderr).contains("0 errors"));
    let strict = scrim(&["check", "--config", &config, "--deny-warnings"]);
    assert_eq!(strict.status.code(), Some(1), "plain HTTP is a warning");

    files.write("policies/contacts.yaml", &POLICY.replace("[id, name]", "[id, nmae]"));
    let wrong = scrim(&["check", "--config", &config, "--format", "json"]);
    assert_eq!(wrong.status.code(), Some(1));
    let found: Vec<Value> = serde_json::from_slice(&wrong.stdout).expect("a JSON array");
    let error = found.iter().find(|found| found["severity"] == "error").expect("an error");
    assert!(error["file"].as_str().expect("a path").ends_with("contacts.yaml"), "{error}");
    assert_eq!((&error["line"], &error["column"]), (&7.into(), &25.into()), "{error}");
    assert!(error["help"].as_str().is_some_and(|help| help.contains("name")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_works_once_its_entry_is_in_the_file() {
    let files = Files::new().await;
    let config = std::fs::read_to_string(files.config()).expect("the file");
    let config = config
        .replace("secrets: {", "secrets: { hashing: { file: hashing },")
        .replace("authn:\n", "authn:\n  api_keys: { file: keys.yaml, hash_key: { secret: hashing } }\n");
    files.write("gateway.yaml", &config);
    files.write("hashing", "hashing-0123456789abcdef0123456789abcdef");
    let made = scrim(&[
        "keys",
        "new",
        "--config",
        &files.config(),
        "--principal",
        "sync",
        "--role",
        "rep",
        "--tenant",
        "acme/shop",
        "--expires",
        "1d",
    ]);
    let shown = text(&made.stdout);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let key = shown.lines().find(|line| line.starts_with("scrim_")).expect("a key").to_owned();
    let entry = shown.split_once("  - id:").expect("an entry").1;
    files.write("keys.yaml", &format!("keys:\n  - id:{entry}"));

    let served = Served::start(Path::new(&files.config()));
    let client = Client::new(served.address);
    assert_eq!(client.header("x-api-key", &key).get("/contacts/1").await.json(), seen(1));
    let last = if key.ends_with('A') { "B" } else { "A" };
    let wrong = format!("{}{last}", &key[..key.len() - 1]);
    assert_eq!(client.header("x-api-key", &wrong).get("/contacts/1").await.status, 401);
    assert!(!std::fs::read_to_string(files.folder.path().join("audit.jsonl")).expect("the log").contains(&key));

    let wrong = scrim(&[
        "keys",
        "new",
        "--config",
        &files.config(),
        "--principal",
        "sync",
        "--role",
        "root",
        "--tenant",
        "acme/shop",
        "--expires",
        "1d",
    ]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(wrong.stdout.is_empty());
}

#[test]
fn a_wrong_command_line_exits_with_two() {
    for arguments in [&["sevre"][..], &[], &["check", "--format", "xml"], &["keys", "new"], &["serve", "--nope"]] {
        let ended = scrim(arguments);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert!(ended.stdout.is_empty() && text(&ended.stderr).contains("--help"), "{arguments:?}");
    }
    assert_eq!(scrim(&["--version"]).status.code(), Some(0));
}
