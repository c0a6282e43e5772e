//! The thread behind the audit log: it takes what is queued, writes it at once, syncs as told, answers.
//!
//! Where nothing need be synced first, an intent is appended by its own exchange instead ([`Book::try_write`]): to hand it
//! over and to wait costs several times what the append does. Outcomes, for which nobody waits, are gathered for a moment.
//!
//! An intent that can't be written is refused. A line that tells of something that has happened is owed instead: it is
//! kept, up to a limit, and written first when the file takes lines again. While the file takes none it is tried anew
//! with every batch and once a second, so that a gateway that is taken out of service for it can come back.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, sleep_until};

use super::sink::Sink;
use super::{MAX_QUEUED_INTENTS, State};
use crate::clock::Clock;
use crate::config::{self, Fsync};

/// Outcomes that are written together.
const MAX_BATCH: usize = 1024;
/// Lines kept while the file takes none; what comes after them is lost (and counted).
const MAX_OWED: usize = 4096;
const RETRY: Duration = Duration::from_secs(1);
/// How long outcomes are gathered before they are written together.
const GATHERED: Duration = Duration::from_millis(2);

pub(super) enum Message {
    Outcome(Line),
    Flush(oneshot::Sender<()>),
    Reopen(config::Audit, oneshot::Sender<io::Result<()>>),
}

pub(super) struct Line {
    /// With its line feed.
    pub(super) text: Vec<u8>,
    /// Whether to keep it for later where it can't be written now.
    pub(super) owed: bool,
    pub(super) answer: Option<oneshot::Sender<Fate>>,
}

/// What became of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Written,
    Unwritten,
    /// Written, but the file system could not say that it will last.
    Unsynced,
}

/// The file and what is still to be written to it; one at a time has it.
pub(super) struct Book(Mutex<Pages>);

struct Pages {
    sink: Sink,
    fsync: Fsync,
    clock: Clock,
    state: Arc<State>,
    owed: VecDeque<Line>,
    /// When the oldest line was written that is not synced.
    unsynced_since: Option<Instant>,
}

impl Book {
    pub(super) fn new(sink: Sink, config: &config::Audit, clock: Clock, state: Arc<State>) -> Self {
        let fsync = config.fsync;
        Self(Mutex::new(Pages { sink, fsync, clock, state, owed: VecDeque::new(), unsynced_since: None }))
    }

    /// Appends one line here and now, if that takes no more than the append: where the file takes lines, nobody else writes,
    /// and nothing is to be synced that the writer doesn't know of. An append to a file waits for no disk unless the system
    /// is far behind in writing; then every exchange waits for its record anyway. What fails is left to the writer, which
    /// tries again and says so.
    pub(super) fn try_write(&self, line: &[u8]) -> bool {
        let mut pages = match self.0.try_lock() {
            Ok(pages) => pages,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let known = match pages.fsync {
            Fsync::Never => true,
            Fsync::Interval(_) => pages.unsynced_since.is_some(),
            Fsync::Always => false,
        };
        let writable = pages.owed.is_empty() && pages.state.writable.load(Ordering::Acquire);
        known && writable && pages.sink.append(line).1.is_ok()
    }

    #[cfg(test)]
    pub(super) fn fsync(&self) -> Fsync {
        self.pages().fsync
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the writer of a book. Errors: the system gives no thread.
pub(super) fn start(
    book: Arc<Book>,
    intents: mpsc::Receiver<Line>,
    outcomes: mpsc::Receiver<Message>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    std::thread::Builder::new()
        .name("audit".to_owned())
        .spawn(move || runtime.block_on(run(&book, intents, outcomes)))
        .map(drop)
}

/// Ends when the log and every pending record are gone.
async fn run(book: &Book, mut intents: mpsc::Receiver<Line>, mut outcomes: mpsc::Receiver<Message>) {
    let mut open = true;
    while open {
        let mut batch = Vec::new();
        let mut messages = Vec::new();
        let wake = book.pages().wake();
        tokio::select! {
            message = outcomes.recv() => match message {
                Some(message) => {
                    let gather = matches!(message, Message::Outcome(_));
                    messages.push(message);
                    // An intent is waited for, and ends the wait.
                    if gather {
                        tokio::select! {
                            () = sleep(GATHERED) => {}
                            Some(intent) = intents.recv() => batch.push(intent),
                        }
                    }
                }
                None => open = false,
            },
            Some(intent) = intents.recv() => batch.push(intent),
            () = async { match wake { Some(at) => sleep_until(at.into()).await, None => pending().await } } => {}
        }
        // Outcomes are taken first and written last. An outcome is queued after its intent, so when it is here the
        // intent is among the next MAX_QUEUED_INTENTS, or was written before.
        while messages.len() < MAX_BATCH
            && let Ok(message) = outcomes.try_recv()
        {
            messages.push(message);
        }
        for _ in 0..MAX_QUEUED_INTENTS {
            let Ok(intent) = intents.try_recv() else { break };
            batch.push(intent);
        }
        let mut flushes = Vec::new();
        let mut reopens = Vec::new();
        for message in messages {
            match message {
                Message::Outcome(line) => batch.push(line),
                Message::Flush(answer) => flushes.push(answer),
                Message::Reopen(config, answer) => reopens.push((config, answer)),
            }
        }
        let mut pages = book.pages();
        let answers = pages.write(batch);
        if !open || !flushes.is_empty() || !reopens.is_empty() || pages.is_sync_due() {
            pages.sync();
        }
        // Whoever asked may have stopped waiting for the answer.
        reopens.into_iter().for_each(|(config, answer)| drop(answer.send(pages.reopen(&config))));
        drop(pages);
        // Answered last: who learns that a line was not written must find the log unwritable. A caller that no longer
        // waits has left its outcome in the queue.
        for (answer, fate) in answers {
            answer.send(fate).ok();
        }
        flushes.into_iter().for_each(|answer| answer.send(()).unwrap_or_default());
    }
}

impl Pages {
    /// When to go on although nothing is queued.
    fn wake(&self) -> Option<Instant> {
        let retry = (!self.state.writable.load(Ordering::Acquire)).then(|| Instant::now() + RETRY);
        retry.into_iter().chain(self.sync_due()).min()
    }

    fn sync_due(&self) -> Option<Instant> {
        match self.fsync {
            Fsync::Interval(every) => self.unsynced_since.map(|since| since + every),
            Fsync::Always | Fsync::Never => None,
        }
    }

    fn is_sync_due(&self) -> bool {
        self.sync_due().is_some_and(|at| at <= Instant::now())
    }

    /// Writes what is owed and then the batch, and keeps what is owed still: the answers to those who wait.
    fn write(&mut self, batch: Vec<Line>) -> Vec<(oneshot::Sender<Fate>, Fate)> {
        let was_writable = self.state.writable.load(Ordering::Acquire);
        if batch.is_empty() && was_writable {
            return Vec::new();
        }
        let resumed = if was_writable { Vec::new() } else { self.resumed() };
        let owed = self.owed.len();
        let lines: Vec<Line> = self.owed.drain(..).chain(batch).collect();
        let parts = || std::iter::once(&resumed).chain(lines.iter().map(|line| &line.text));
        let mut text = Vec::with_capacity(parts().map(Vec::len).sum());
        parts().for_each(|part| text.extend_from_slice(part));
        let (written, mut result) = self.sink.append(&text);
        if written > 0 {
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        if result.is_ok() && self.fsync == Fsync::Always {
            result = self.sink.sync();
            self.unsynced_since = None;
        }
        let mut end = resumed.len();
        let (mut failed, mut answers) = (0, Vec::new());
        for (index, mut line) in lines.into_iter().enumerate() {
            end += line.text.len();
            let fate = match &result {
                Ok(()) => Fate::Written,
                Err(_) if end > written => Fate::Unwritten,
                Err(_) if self.fsync == Fsync::Always => Fate::Unsynced,
                Err(_) => Fate::Written,
            };
            failed += u64::from(fate != Fate::Written && index >= owed);
            let answer = line.answer.take();
            if fate == Fate::Unwritten && line.owed && self.owed.len() < MAX_OWED {
                self.owed.push_back(line);
            }
            answers.extend(answer.map(|answer| (answer, fate)));
        }
        match result {
            Ok(()) => {
                if !was_writable {
                    tracing::info!("the audit log is written again");
                }
                self.state.writable.store(true, Ordering::Release);
            }
            Err(error) => self.fail(failed, &error),
        }
        answers
    }

    fn sync(&mut self) {
        if self.unsynced_since.take().is_some()
            && let Err(error) = self.sink.sync()
        {
            self.fail(1, &error);
        }
    }

    /// What is owed is written to the new file. Errors: it can't be opened; all stays as it was.
    fn reopen(&mut self, config: &config::Audit) -> io::Result<()> {
        self.sink = Sink::open(&config.file)
            .inspect_err(|error| tracing::error!(%error, "the audit log cannot be opened anew"))?;
        self.fsync = config.fsync;
        Ok(())
    }

    fn fail(&self, lines: u64, error: &io::Error) {
        if self.state.writable.load(Ordering::Acquire) {
            tracing::error!(%error, "the audit log cannot be written");
        }
        self.state.fail(lines);
    }

    /// A line that says there was a gap before it; also what shows that the file takes lines again.
    fn resumed(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Resumed {
            kind: &'static str,
            time: String,
            failures: u64,
        }
        let time = format!("{:.6}", self.clock.now());
        let failures = self.state.failures.load(Ordering::Relaxed);
        let mut text = serde_json::to_vec(&Resumed { kind: "resumed", time, failures }).unwrap_or_default();
        text.push(b'\n');
        text
    }
}
