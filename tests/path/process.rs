//! The built binary as an operator runs it: signals, exit codes, and what is printed where.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{POLICY, contact, seen, setup};
use crate::support::{Answer, Authority, Client, Identities, Upstream, Wanted};

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
    wait_any(log, &[message])
}

/// Reads the log up to the line with one of these messages.
fn wait_any(log: &mut BufReader<ChildStderr>, messages: &[&str]) -> Value {
    let mut all = String::new();
    loop {
        let start = all.len();
        assert!(log.read_line(&mut all).expect("text") > 0, "none of {messages:?} came:\n{all}");
        let line: Value = serde_json::from_str(&all[start..]).unwrap_or_default();
        if messages.iter().any(|message| line["fields"]["message"] == *message) {
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
    assert!(rest.lines().last().is_some_and(|line| line.contains("ended")), "{rest}");
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

/// A check comes before a rollout; a gateway that has such a certificate must be able to start.
#[tokio::test(flavor = "multi_thread")]
async fn check_refuses_a_certificate_that_ends_soon_and_a_start_warns_of_it() {
    let files = Files::new().await;
    let config = std::fs::read_to_string(files.config()).expect("the file");
    files.write(
        "gateway.yaml",
        &config.replace("plaintext: true", "tls: { certificates: [{ cert: a.pem, key: a.key }] }"),
    );
    let issue = |days: i64| {
        let end = scrim::clock::Clock::system().now().as_second() + days * 86_400;
        let end = jiff::Timestamp::from_second(end).expect("a time").strftime("%Y-%m-%d").to_string();
        let part = |range: std::ops::Range<usize>| end[range].parse::<u16>().expect("a number");
        let (month, day) = (u8::try_from(part(5..7)), u8::try_from(part(8..10)));
        let wanted = Wanted::dns(&["a.example"]);
        let wanted = wanted.until(part(0..4).into(), month.expect("a month"), day.expect("a day"));
        let issued = Authority::new().issue(&wanted);
        files.write("a.pem", &issued.pem);
        files.write("a.key", &issued.key);
        end
    };
    let check = || scrim(&["check", "--config", &files.config(), "--format", "json"]);
    issue(60);
    assert_eq!(check().status.code(), Some(0), "{}", text(&check().stdout));
    let end = issue(20);
    let refused = check();
    assert_eq!(refused.status.code(), Some(1));
    let found: Vec<Value> = serde_json::from_slice(&refused.stdout).expect("a JSON array");
    let error = found.iter().find(|found| found["severity"] == "error").expect("an error");
    assert_eq!((&error["code"], &error["line"]), (&json!("certificate-expires-soon"), &1.into()), "{error}");
    assert!(error["message"].as_str().is_some_and(|said| said.contains(&end)), "{error}");
    let mut served = Served::start(Path::new(&files.config()));
    served.signal("-HUP");
    served.wait("the configuration was reloaded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_names_what_takes_a_restart() {
    let files = Files::new().await;
    let mut served = Served::start(Path::new(&files.config()));
    let config = std::fs::read_to_string(files.config()).expect("the file");
    let limits = "limits: { connections: 100, head_time: 3s, idle_time: 9s, json_depth: 9 }";
    let other = config.replacen("address: 127.0.0.1:0", "address: 127.0.0.2:0", 1);
    files.write("gateway.yaml", &format!("{other}{limits}\n"));
    served.signal("-HUP");
    let told = served.wait("changed settings stay as they were: they take a restart");
    let named = "listeners, limits.connections, limits.head_time, limits.idle_time (of HTTP/2)";
    assert_eq!((&told["level"], &told["fields"]["settings"]), (&json!("WARN"), &json!(named)), "{told}");
    served.wait("the configuration was reloaded");
    // What is as it was at the start is not told of.
    files.write("gateway.yaml", &config);
    served.signal("-HUP");
    let message = "changed settings stay as they were: they take a restart";
    let told = wait_any(&mut served.log, &["the configuration was reloaded", message]);
    assert_eq!(told["fields"]["message"], "the configuration was reloaded");
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

/// Asks all the time, on a connection that is kept as long as the gateway keeps it or on a new one each time: how often, and
/// what went wrong.
async fn load(address: SocketAddr, token: String, keeps: bool, stop: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let (mut count, mut failed) = (0, Vec::new());
    let mut kept: Option<SendRequest<Empty<Bytes>>> = None;
    while !stop.load(Ordering::Relaxed) {
        count += 1;
        let asked = async {
            let mut sender = match kept.take() {
                Some(sender) => sender,
                None => {
                    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
                    let (sender, connection) =
                        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
                    drop(tokio::spawn(connection));
                    sender
                }
            };
            let request = Request::get("/contacts/1")
                .header("host", "crm.test")
                .header("authorization", format!("Bearer {token}"))
                .body(Empty::new())
                .expect("a request");
            let answer = sender.send_request(request).await.map_err(|error| format!("{error:?}"))?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            let closes = head.headers.get("connection").is_some_and(|value| value == "close");
            match serde_json::from_slice::<Value>(&body) {
                Ok(found) if head.status == 200 && found == seen(1) => Ok((sender, closes)),
                found => Err(format!("{} {found:?}", head.status)),
            }
        };
        match asked.await {
            Ok((sender, closes)) => kept = Some(sender).filter(|_| keeps && !closes),
            Err(error) => failed.push(error),
        }
    }
    (count, failed)
}

/// Ends a process that is no child of the test's, whatever becomes of the test.
struct Stray(Option<u64>);

impl Drop for Stray {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_hands_over_to_the_next_and_no_request_fails() {
    let files = Files::new().await;
    let mut served = Served::start(Path::new(&files.config()));
    let stop = Arc::new(AtomicBool::new(false));
    let loads: Vec<_> = (0..4)
        .map(|kind| tokio::spawn(load(served.address, files.token(), kind % 2 == 0, Arc::clone(&stop))))
        .collect();
    let mut pid = u64::from(served.child.id());
    let mut stray = Stray(None);
    for _ in 0..5 {
        let sent = Command::new("kill").args(["-QUIT", &pid.to_string()]).status().expect("it runs");
        assert!(sent.success());
        let (mut next, mut drains) = (None, false);
        // Of two processes, in whatever order.
        while next.is_none() || !drains {
            let line = wait_any(&mut served.log, &["handed over", "draining"]);
            match line["fields"]["message"].as_str() {
                Some("draining") => drains = true,
                _ => next = line["fields"]["pid"].as_u64(),
            }
        }
        pid = next.expect("a process");
        stray.0 = next;
        let ready = Client::new(served.admin).get("/readyz").await;
        assert_eq!(ready.status, 200, "{}", ready.text());
    }
    assert_eq!(served.child.wait().expect("it ends").code(), Some(0), "the first one had nothing left to do");
    stop.store(true, Ordering::Relaxed);
    let mut asked = 0;
    for load in loads {
        let (count, failed) = load.await.expect("no panic");
        assert!(failed.is_empty(), "{} of {count} requests failed: {:?}", failed.len(), failed.first());
        assert!(count > 5, "{count} requests are no load");
        asked += count;
    }
    let ended = Command::new("kill").args(["-TERM", &pid.to_string()]).status().expect("it runs");
    assert!(ended.success());
    let mut rest = String::new();
    served.log.read_to_string(&mut rest).expect("text");
    stray.0 = None;
    println!("{asked} requests over 5 hand-overs");
    let log = std::fs::read_to_string(files.folder.path().join("audit.jsonl")).expect("the audit log");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("whole lines")).collect();
    assert_eq!(lines.len(), 2 * asked, "an intent and an outcome of each");
    assert!(lines.iter().filter(|line| line["kind"] == "outcome").all(|line| line["result"] == "allowed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_cannot_take_over_leaves_the_old_one_serving() {
    let files = Files::new().await;
    let mut served = Served::start(Path::new(&files.config()));
    let client = Client::new(served.address).bearer(&files.token());
    files.write("policies/contacts.yaml", "table: [");
    served.signal("-QUIT");
    let refused = served.wait("not handed over: this process goes on");
    assert!(
        refused["fields"]["error"].as_str().is_some_and(|error| error.contains("before it was ready")),
        "{refused}"
    );
    assert_eq!(client.get("/contacts/1").await.json(), seen(1));
    // By itself, there is nothing to take over.
    let alone = scrim(&["serve", "--config", &files.config(), "--take-over"]);
    assert_eq!(alone.status.code(), Some(1));
    served.signal("-TERM");
    served.wait("draining");
    assert_eq!(served.child.wait().expect("it ends").code(), Some(0));
}

/// A service manager that is told what happens, and brings a socket of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_is_told_what_happens() {
    let files = Files::new().await;
    let notified = tokio::net::UnixDatagram::bind(files.folder.path().join("notify")).expect("bound");
    let mut command = Command::new(env!("CARGO_BIN_EXE_scrim"));
    command.args(["serve", "--config", &files.config()]).stderr(Stdio::null());
    command.env("NOTIFY_SOCKET", files.folder.path().join("notify")).env("WATCHDOG_USEC", "100000");
    let mut child = command.spawn().expect("it runs");
    let pid = u64::from(child.id());
    let _stray = Stray(Some(pid));
    let told = async |words: &str| {
        let mut buffer = [0; 512];
        loop {
            let count = notified.recv(&mut buffer).await.expect("a datagram");
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            if words.lines().all(|word| text.contains(word)) {
                return text;
            }
            assert!(text.starts_with("WATCHDOG=1"), "{text} instead of {words}");
        }
    };
    told("READY=1").await;
    told("WATCHDOG=1").await;
    let signal = |name: &str| Command::new("kill").args([name, &pid.to_string()]).status().expect("it runs");
    assert!(signal("-HUP").success());
    told("RELOADING=1\nMONOTONIC_USEC=").await;
    told("READY=1").await;
    assert!(signal("-TERM").success());
    told("STOPPING=1").await;
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
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
