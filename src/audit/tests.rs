//! The audit log as its callers see it: every intent has one outcome, whatever happens to the exchange or the disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::config::Fsync;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("scrim-audit-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn config(file: &Path, fsync: Fsync, serve_without: bool) -> config::Audit {
    config::Audit { file: file.to_owned(), fsync, serve_without }
}

fn open(file: &Path, fsync: Fsync, serve_without: bool) -> Arc<Log> {
    Log::open(&config(file, fsync, serve_without), Clock::fixed(1_700_000_000)).unwrap()
}

fn intent(id: &str) -> Intent {
    Intent { request_id: id.to_owned(), method: "GET".to_owned(), path: "/contacts".to_owned(), ..Intent::default() }
}

fn allowed() -> Outcome {
    Outcome { result: "allowed", status: 200, ..Outcome::default() }
}

fn lines(file: &Path) -> Vec<serde_json::Value> {
    std::fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A log whose file is on a full device until [`mend`]ed.
fn full(name: &str, serve_without: bool) -> (PathBuf, Arc<Log>) {
    let link = folder(name).join("audit.jsonl");
    drop(std::fs::remove_file(&link));
    std::os::unix::fs::symlink("/dev/full", &link).unwrap();
    let log = open(&link, Fsync::Never, serve_without);
    (link, log)
}

async fn mend(link: &Path, log: &Log) {
    std::fs::remove_file(link).unwrap();
    again(link, log).await.unwrap();
}

/// A reload that changes nothing.
async fn again(file: &Path, log: &Log) -> io::Result<()> {
    let serve_without = log.serve_without.load(Ordering::Acquire);
    log.reopen(&config(file, log.book.fsync(), serve_without)).await
}

#[tokio::test]
async fn an_exchange_is_two_lines_without_what_is_empty() {
    let file = folder("lines").join("audit.jsonl");
    let log = open(&file, Fsync::Never, false);
    log.begin(intent("r1")).await.unwrap().end(allowed());
    log.flush().await;
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(
        text,
        concat!(
            r#"{"kind":"intent","time":"2023-11-14T22:13:20.000000Z","request_id":"r1","client":"","method":"GET","#,
            r#""path":"/contacts","policy_hash":"","config_hash":""}"#,
            "\n",
            r#"{"kind":"outcome","time":"2023-11-14T22:13:20.000000Z","request_id":"r1","result":"allowed","#,
            r#""status":200,"rows_returned":0,"rows_dropped":0,"tenant_violations":0,"pushdown_leaks":0,"#,
            r#""upstream_requests":0,"#,
            r#""bytes_sent":0,"opaque":false,"duration_us":0}"#,
            "\n"
        )
    );
}

#[tokio::test]
async fn no_value_can_forge_a_line() {
    let file = folder("forge").join("audit.jsonl");
    let log = open(&file, Fsync::Never, false);
    let forged = "x\"}\n{\"kind\":\"outcome\"}\r\u{2028}\u{0}";
    log.begin(Intent { path: forged.to_owned(), ..intent("r\n1") }).await.unwrap().end(allowed());
    log.flush().await;
    let lines = lines(&file);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["path"], forged);
    assert_eq!(lines[1]["request_id"], "r\n1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_at_once_have_one_outcome_each_after_their_intent() {
    for fsync in [Fsync::Never, Fsync::Always, Fsync::Interval(Duration::from_millis(1))] {
        let file = folder("many").join(format!("{fsync:?}.jsonl"));
        let log = open(&file, fsync, false);
        let tasks: Vec<_> = (0..1000)
            .map(|n| {
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    let pending = log.begin(intent(&format!("r{n}"))).await.unwrap();
                    if n % 3 == 0 { drop(pending) } else { pending.end(allowed()) }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        log.flush().await;
        let mut seen: HashMap<String, Vec<String>> = HashMap::new();
        for line in lines(&file) {
            let kind = line["kind"].as_str().unwrap().to_owned();
            seen.entry(line["request_id"].as_str().unwrap().to_owned()).or_default().push(kind);
        }
        assert_eq!(seen.len(), 1000);
        assert!(seen.values().all(|kinds| kinds == &["intent", "outcome"]));
        assert!(log.is_writable());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_cancelled_at_any_point_leaves_both_lines_or_none() {
    let file = folder("cancel").join("audit.jsonl");
    let log = open(&file, Fsync::Never, false);
    for n in 0..500 {
        let task = tokio::spawn({
            let log = Arc::clone(&log);
            async move { drop(log.begin(intent(&format!("r{n}"))).await) }
        });
        if n % 2 == 0 {
            tokio::task::yield_now().await;
        }
        task.abort();
    }
    // Every aborted task has let go of the log when this one is the last.
    while Arc::strong_count(&log) > 1 {
        tokio::task::yield_now().await;
    }
    log.flush().await;
    let mut open = std::collections::HashSet::new();
    for line in lines(&file) {
        let id = line["request_id"].as_str().unwrap().to_owned();
        if line["kind"] == "intent" {
            assert!(open.insert(id));
        } else {
            assert!(open.remove(&id), "an outcome without its intent: {line}");
            assert_eq!(line["result"], "aborted");
        }
    }
    assert!(open.is_empty(), "intents without an outcome: {open:?}");
}

#[tokio::test]
async fn a_panic_says_so_in_its_outcome() {
    let file = folder("panic").join("audit.jsonl");
    let log = open(&file, Fsync::Never, false);
    let pending = log.begin(intent("r1")).await.unwrap();
    let task = tokio::spawn(async move {
        let _held = pending;
        panic!("a bug");
    });
    assert!(task.await.unwrap_err().is_panic());
    log.flush().await;
    let outcome = &lines(&file)[1];
    assert_eq!((outcome["result"].as_str(), outcome["reason"].as_str()), (Some("aborted"), Some("panicked")));
}

#[tokio::test]
async fn a_full_disk_refuses_and_mended_serves_again() {
    let (file, log) = full("full", false);
    assert_eq!(log.begin(intent("r1")).await.err(), Some(Unwritable));
    assert!(!log.is_writable());
    assert_eq!(log.failures(), 1);
    assert_eq!(log.begin(intent("r2")).await.err(), Some(Unwritable));
    mend(&file, &log).await;
    log.begin(intent("r3")).await.unwrap().end(allowed());
    log.flush().await;
    assert!(log.is_writable());
    let kinds: Vec<_> = lines(&file).iter().map(|line| line["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["resumed", "intent", "outcome"]);
    assert_eq!(lines(&file)[0]["failures"], 2);
}

#[tokio::test]
async fn an_outcome_that_meets_a_full_disk_is_written_once_it_is_mended() {
    let link = folder("owed").join("audit.jsonl");
    let log = open(&link, Fsync::Never, false);
    let pending = log.begin(intent("r1")).await.unwrap();
    std::fs::rename(&link, link.with_extension("1")).unwrap();
    std::os::unix::fs::symlink("/dev/full", &link).unwrap();
    again(&link, &log).await.unwrap();
    pending.end(allowed());
    log.flush().await;
    assert!(!log.is_writable());
    mend(&link, &log).await;
    // Nothing else is queued: the writer must come back by itself, or readiness would stay off.
    let back = async {
        while !log.is_writable() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.unwrap();
    assert_eq!(lines(&link)[1]["request_id"], "r1");
    assert_eq!(lines(&link)[1]["kind"], "outcome");
}

#[tokio::test]
async fn serving_without_a_log_counts_what_is_missing_and_catches_up() {
    let (file, log) = full("without", true);
    log.begin(intent("r1")).await.unwrap().end(allowed());
    log.flush().await;
    assert!(!log.is_writable());
    assert_eq!(log.failures(), 2);
    mend(&file, &log).await;
    log.begin(intent("r2")).await.unwrap().end(allowed());
    log.flush().await;
    let ids: Vec<_> = lines(&file).iter().filter_map(|line| line["request_id"].as_str().map(str::to_owned)).collect();
    assert_eq!(ids, ["r1", "r1", "r2", "r2"]);
}

#[tokio::test]
async fn a_rotated_file_is_let_go_when_told() {
    let file = folder("rotate").join("audit.jsonl");
    let log = open(&file, Fsync::Always, false);
    let pending = log.begin(intent("r1")).await.unwrap();
    let moved = file.with_extension("1");
    std::fs::rename(&file, &moved).unwrap();
    again(&file, &log).await.unwrap();
    pending.end(allowed());
    log.flush().await;
    assert_eq!((lines(&moved).len(), lines(&file).len()), (1, 1));
}

#[tokio::test]
async fn another_file_takes_over_with_how_it_is_written() {
    let (old, new) = (folder("other").join("old.jsonl"), folder("other").join("new.jsonl"));
    let log = open(&old, Fsync::Never, false);
    let pending = log.begin(intent("r1")).await.unwrap();
    log.reopen(&config(&new, Fsync::Always, false)).await.unwrap();
    assert_eq!(log.book.fsync(), Fsync::Always);
    pending.end(allowed());
    log.begin(intent("r2")).await.unwrap().end(allowed());
    log.flush().await;
    assert_eq!((lines(&old).len(), lines(&new).len()), (1, 3));
}

/// Whoever turns this off serves nothing unrecorded from then on, and what was served is still owed.
#[tokio::test]
async fn serving_without_a_log_ends_with_the_word_that_allowed_it() {
    let (file, log) = full("no-longer", true);
    log.begin(intent("r1")).await.unwrap().end(allowed());
    log.reopen(&config(&file, Fsync::Never, false)).await.unwrap();
    assert_eq!(log.begin(intent("r2")).await.err(), Some(Unwritable));
    log.reopen(&config(&file, Fsync::Never, true)).await.unwrap();
    log.begin(intent("r3")).await.unwrap().end(allowed());
    mend(&file, &log).await;
    log.begin(intent("r4")).await.unwrap().end(allowed());
    log.flush().await;
    let ids: Vec<_> = lines(&file).iter().filter_map(|line| line["request_id"].as_str().map(str::to_owned)).collect();
    assert_eq!(ids, ["r1", "r1", "r3", "r3", "r4", "r4"]);
}

#[tokio::test]
async fn a_file_that_cannot_be_reopened_leaves_the_old_one_in_use() {
    let parent = folder("reopen").join("logs");
    std::fs::create_dir_all(&parent).unwrap();
    let file = parent.join("audit.jsonl");
    let log = open(&file, Fsync::Never, false);
    let moved = parent.with_extension("moved");
    drop(std::fs::remove_dir_all(&moved));
    std::fs::rename(&parent, &moved).unwrap();
    assert!(log.reopen(&config(&file, Fsync::Always, true)).await.is_err());
    assert_eq!((log.book.fsync(), log.serve_without.load(Ordering::Acquire)), (Fsync::Never, false), "nothing changes");
    log.begin(intent("r1")).await.unwrap().end(allowed());
    log.flush().await;
    assert_eq!(lines(&moved.join("audit.jsonl")).len(), 2);
}

#[tokio::test]
async fn exchanges_under_way_are_bounded_and_their_ends_never_wait() {
    let file = folder("bounded").join("audit.jsonl");
    let log = open(&file, Fsync::Never, false);
    let held: Vec<_> = (0..MAX_OUTCOMES).map(|_| log.outcomes.clone().try_reserve_owned().unwrap()).collect();
    let mut waiting = Box::pin(log.begin(intent("r1")));
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut waiting).await.is_err());
    drop(held);
    waiting.await.unwrap().end(allowed());
    log.flush().await;
    assert_eq!(lines(&file).len(), 2);
}
