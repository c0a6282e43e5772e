//! The demo as a newcomer runs it: the whole tour, in this process, and the binary while policies are edited.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use scrim::demo::{self, Options};

use crate::support::Client;

/// A running `scrim demo --keep`, ended with the test.
struct Shown {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Shown {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_scrim"))
            .args(["demo", "--keep"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, out }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("it runs");
        assert!(sent.success());
    }

    /// Everything up to the line that holds this.
    fn wait(&mut self, part: &str) -> String {
        let mut all = String::new();
        loop {
            let start = all.len();
            assert!(self.out.read_line(&mut all).expect("text") > 0, "`{part}` never came:\n{all}");
            if all[start..].contains(part) {
                return all;
            }
        }
    }

    fn end(mut self) {
        self.signal("-TERM");
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_reloads_edited_policies_on_sighup_and_keeps_them_for_the_next_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = folder.path().join("policies/contacts.yaml");
    let mut shown = Shown::start(folder.path());
    let introduction = shown.wait("Ctrl-C ends it.");
    assert!(introduction.contains(&format!("kill -HUP {}\n", shown.child.id())), "{introduction}");
    assert!(!introduction.contains("Kept "), "{introduction}");
    let metrics = introduction.lines().find_map(|line| line.trim().strip_prefix("metrics    http://")).expect("a line");
    let admin = metrics.strip_suffix("/metrics").expect("a path").parse().expect("an address");
    let generation = async || {
        let text = Client::new(admin).get("/metrics").await.text();
        text.lines().find_map(|line| line.strip_prefix("scrim_policy_generation ")).expect("the metric").to_owned()
    };
    let good = std::fs::read_to_string(&policy).expect("the policy");
    assert_eq!(generation().await, "1");

    std::fs::write(&policy, "table: [").expect("written");
    shown.signal("-HUP");
    let told = shown.wait("Not reloaded");
    assert!(told.contains("contacts.yaml:1:"), "{told}");
    assert_eq!(generation().await, "1");

    let edited = format!("{good}# edited\n");
    std::fs::write(&policy, &edited).expect("written");
    shown.signal("-HUP");
    shown.wait("Reloaded");
    assert_eq!(generation().await, "2");
    shown.end();

    let mut again = Shown::start(folder.path());
    let introduction = again.wait("Ctrl-C ends it.");
    assert_eq!(introduction.lines().filter(|line| line.starts_with("Kept 8 existing files")).count(), 1);
    assert_eq!(std::fs::read_to_string(&policy).expect("the policy"), edited);
    again.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_gets_what_the_policies_promise() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut out = anstream::StripStream::new(Vec::new());
    let passed = demo::run(&Options { tour: true, keep: None }, &mut out).await.expect("the demo runs");
    let text = String::from_utf8(out.into_inner()).expect("text");
    assert!(passed, "{text}");
    assert!(!text.contains("BAD"), "{text}");
    assert!(!text.replace("SECRET- seen", "").replace("ssn=SECRET", "").contains("SECRET"), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 110, "{line}");
    }
    // Why each answer is as it is: a rule that granted, one that masked, one that denied, and a reason without a rule.
    for part in ["reps-work-their-own", "masked email", "won-deals-stay", "legal-hold", "table_hidden"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}
