//! Who did what, to which records, under which rules: one logical record for each exchange, in two lines.
//!
//! The **intent** is written before the first byte leaves, upstream or to the client; the **outcome** at the end. If the
//! intent can't be written, the exchange is refused. A [`Pending`] record that is dropped writes its outcome itself, so
//! that a panic or a cancelled exchange leaves its trace. No value of any record is ever logged, only keys and names.
//!
//! Intents and outcomes queue apart: room for an outcome is taken before its intent is queued, so that exchanges that
//! hold room can never keep the intents of others, nor their own, from the writer.

mod sink;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::config;
use crate::model::RecordKeys;
use sink::Sink;
use writer::{Book, Fate, Line, Message};

/// Intents that wait for the writer.
const MAX_QUEUED_INTENTS: usize = 1024;
/// Exchanges under way, each of which holds room for its outcome.
const MAX_OUTCOMES: usize = 32 * 1024;

/// The open log: one file, one JSON object a line, and a writer thread with bounded queues.
pub struct Log {
    intents: mpsc::Sender<Line>,
    outcomes: mpsc::Sender<Message>,
    book: Arc<Book>,
    state: Arc<State>,
    clock: Clock,
    serve_without: AtomicBool,
}

/// What the writer tells the others.
struct State {
    writable: AtomicBool,
    failures: AtomicU64,
}

impl State {
    fn fail(&self, lines: u64) {
        self.writable.store(false, Ordering::Release);
        self.failures.fetch_add(lines, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct Unwritable;

impl Log {
    /// Opens the file for appending and starts the writer. Errors: the file can't be opened.
    pub fn open(config: &config::Audit, clock: Clock) -> io::Result<Arc<Self>> {
        let sink = Sink::open(&config.file)?;
        let state = Arc::new(State { writable: AtomicBool::new(true), failures: AtomicU64::new(0) });
        let (intents, queued_intents) = mpsc::channel(MAX_QUEUED_INTENTS);
        let (outcomes, queued_outcomes) = mpsc::channel(MAX_OUTCOMES);
        let book = Arc::new(Book::new(sink, config, clock.clone(), Arc::clone(&state)));
        writer::start(Arc::clone(&book), queued_intents, queued_outcomes)?;
        let serve_without = AtomicBool::new(config.serve_without);
        Ok(Arc::new(Self { intents, outcomes, book, state, clock, serve_without }))
    }

    /// Writes the intent; returns when it is written (and synced, where `fsync: always`). Room for the outcome is
    /// reserved with it.
    ///
    /// Errors: it could not be written, and the configuration does not say to serve without a log.
    pub async fn begin(self: &Arc<Self>, intent: Intent) -> Result<Pending, Unwritable> {
        let permit = self.outcomes.clone().reserve_owned().await.map_err(|_closed| Unwritable)?;
        let Some(text) = line(&self.clock, "intent", &intent.request_id, &intent) else {
            self.state.fail(1);
            return Err(Unwritable);
        };
        let mut pending = Pending { permit: None, request_id: intent.request_id, log: Arc::clone(self) };
        if self.book.try_write(&text) {
            pending.permit = Some(permit);
            return Ok(pending);
        }
        let room = self.intents.reserve().await.map_err(|_closed| Unwritable)?;
        // Armed before the intent is queued: a caller that is cancelled while it waits still leaves an outcome.
        pending.permit = Some(permit);
        let (answer, written) = oneshot::channel();
        // Once: what is owed is what is served.
        let serve_without = self.serve_without.load(Ordering::Acquire);
        room.send(Line { text, owed: serve_without, answer: Some(answer) });
        match written.await.unwrap_or(Fate::Unwritten) {
            Fate::Written => Ok(pending),
            Fate::Unwritten | Fate::Unsynced if serve_without => Ok(pending),
            Fate::Unsynced => {
                // The line may well be in the file: it must not look like an exchange that went on.
                pending.end(Outcome { result: "refused", reason: Some("audit_unavailable"), ..Outcome::default() });
                Err(Unwritable)
            }
            Fate::Unwritten => {
                pending.permit = None;
                Err(Unwritable)
            }
        }
    }

    /// Whether the last write succeeded; part of readiness.
    pub fn is_writable(&self) -> bool {
        // A writer that is gone has closed its end.
        self.state.writable.load(Ordering::Acquire) && !self.intents.is_closed()
    }

    /// Lines that could not be written when they were due, since the log was opened.
    pub fn failures(&self) -> u64 {
        self.state.failures.load(Ordering::Relaxed)
    }

    /// Waits until everything queued is written and synced; for shutdown.
    pub async fn flush(&self) {
        let (answer, done) = oneshot::channel();
        if self.outcomes.send(Message::Flush(answer)).await.is_ok() {
            // A writer that has ended has nothing left to write.
            drop(done.await);
        }
    }

    /// Goes on as a configuration says from now on. Its file is opened anew even if it is the same, so that one that was moved
    /// away by log rotation is let go.
    ///
    /// Errors: it can't be opened; all stays as it was.
    pub async fn reopen(&self, config: &config::Audit) -> io::Result<()> {
        let ended = |_| io::Error::other("the audit writer has ended");
        let (answer, done) = oneshot::channel();
        self.outcomes.send(Message::Reopen(config.clone(), answer)).await.map_err(|_closed| ended(()))?;
        done.await.map_err(|_closed| ended(()))??;
        self.serve_without.store(config.serve_without, Ordering::Release);
        Ok(())
    }
}

/// An exchange whose intent is written and whose outcome is not.
pub struct Pending {
    /// Taken when the outcome is written, or when none is due.
    permit: Option<mpsc::OwnedPermit<Message>>,
    request_id: String,
    log: Arc<Log>,
}

impl Pending {
    /// Writes the outcome; never blocks and never fails silently (a lost line turns readiness off).
    pub fn end(mut self, outcome: Outcome) {
        self.write(&outcome);
    }

    fn write(&mut self, outcome: &Outcome) {
        let Some(permit) = self.permit.take() else { return };
        match line(&self.log.clock, "outcome", &self.request_id, outcome) {
            Some(text) => {
                permit.send(Message::Outcome(Line { text, owed: true, answer: None }));
            }
            None => self.log.state.fail(1),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let reason = if std::thread::panicking() { "panicked" } else { "dropped" };
        self.write(&Outcome { result: "aborted", reason: Some(reason), ..Outcome::default() });
    }
}

/// Known before the request leaves.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Intent {
    #[serde(skip)]
    pub request_id: String,
    /// See [`Trace`](crate::model::Trace).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace_id: String,
    pub client: String,
    pub method: String,
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authenticated_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the requests of a batch are about, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    pub policy_hash: String,
    pub config_hash: String,
}

/// One request of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    pub table: String,
    pub action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Known at the end.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// `allowed`, `refused`, `failed` (upstream or gateway), `aborted` (client left, panic, stream cut).
    pub result: &'static str,
    /// The status that was sent, or was about to be; 0 if none was.
    pub status: u16,
    /// Label of the `Reason`, or of what cut the exchange short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// More for the operator, for example which check of a token failed. Never a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The field for which it was refused, by its declared name, or `unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_for: Option<String>,
    /// Keys of records seen or changed.
    #[serde(skip_serializing_if = "RecordKeys::is_empty", serialize_with = "listed")]
    pub keys: RecordKeys,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules_granted: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules_denied: Vec<String>,
    /// `table.field`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields_masked: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields_removed: Vec<String>,
    /// Removed because they are not of their declared type: the API description is wrong, or the upstream is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields_mismatched: Vec<String>,
    /// Fields that the upstream was asked to compare for the policies, and how: `owner_id in`. Never what with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pushed: Vec<String>,
    /// What was told of many records taken together, in the place of records: `count`, `sum amount`, `by stage`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aggregated: Vec<String>,
    /// Groups of which it was told.
    #[serde(skip_serializing_if = "is_none")]
    pub groups: u64,
    /// By what a list went on where an earlier page of it ended: `cursor` or `memory`. Never where that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumed: Option<&'static str>,
    pub rows_returned: u64,
    pub rows_dropped: u64,
    pub tenant_violations: u64,
    /// Rows dropped although the upstream had been asked exactly for those that may be seen.
    pub pushdown_leaks: u64,
    pub upstream_requests: u32,
    /// Of the answer's body.
    pub bytes_sent: u64,
    pub opaque: bool,
    pub duration_us: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

fn listed<S: serde::Serializer>(keys: &RecordKeys, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(keys.iter())
}

/// One JSON object with a line feed at its end, and none inside: serde_json escapes every control character.
fn line(clock: &Clock, kind: &'static str, request_id: &str, body: &impl Serialize) -> Option<Vec<u8>> {
    #[derive(Serialize)]
    struct Written<'a, T> {
        kind: &'static str,
        time: String,
        request_id: &'a str,
        #[serde(flatten)]
        body: &'a T,
    }
    let time = format!("{:.6}", clock.now());
    let mut text = serde_json::to_vec(&Written { kind, time, request_id, body }).ok()?;
    text.push(b'\n');
    Some(text)
}
