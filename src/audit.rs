//! Who did what, to which records, under which rules: one logical record for each exchange, in two lines.
//!
//! The **intent** is written before the first byte leaves, upstream or to the client; the **outcome** at the end. If the
//! intent can't be written, the exchange is refused. A [`Pending`] record that is dropped writes its outcome itself, so
//! that a panic or a cancelled exchange leaves its trace. No value of any record is ever logged, only keys and names.

mod sink;

use std::sync::Arc;

use serde::Serialize;

use crate::clock::Clock;
use crate::config;

/// The open log: a writer thread with a bounded queue and one file, one JSON object a line.
pub struct Log {}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct Unwritable;

/// Known before the request leaves.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Intent {
    pub request_id: String,
    pub client: String,
    pub method: String,
    pub path: String,
    pub principal: Option<String>,
    pub issuer: Option<String>,
    pub authenticated_by: Option<&'static str>,
    pub roles: Vec<String>,
    pub tenant: Option<String>,
    pub api: Option<String>,
    pub table: Option<String>,
    pub action: Option<String>,
    pub key: Option<String>,
    pub policy_hash: String,
    pub config_hash: String,
}

/// Known at the end.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// `allowed`, `refused`, `failed` (upstream or gateway), `aborted` (client left, panic, stream cut).
    pub result: &'static str,
    /// The status that was sent; 0 if none was.
    pub status: u16,
    /// Label of the `Reason`, or of what cut the exchange short.
    pub reason: Option<&'static str>,
    /// More for the operator, for example which check of a token failed. Never a value.
    pub detail: Option<String>,
    /// Keys of records seen or changed.
    pub keys: Vec<String>,
    pub rules_granted: Vec<String>,
    pub rules_denied: Vec<String>,
    /// `table.field`.
    pub fields_masked: Vec<String>,
    pub fields_removed: Vec<String>,
    pub rows_returned: u64,
    pub rows_dropped: u64,
    pub tenant_violations: u64,
    pub upstream_requests: u32,
    pub opaque: bool,
    pub duration_us: u64,
}

impl Log {
    /// Opens the file for appending and starts the writer. Errors: the file can't be opened.
    pub fn open(_config: &config::Audit, _clock: Clock) -> std::io::Result<Arc<Self>> {
        todo!()
    }

    /// Writes the intent; returns when it is written (and synced, where `fsync: always`). Room for the outcome is
    /// reserved with it.
    pub async fn begin(self: &Arc<Self>, _intent: Intent) -> Result<Pending, Unwritable> {
        todo!()
    }

    /// Whether the last write succeeded; part of readiness.
    pub fn is_writable(&self) -> bool {
        todo!()
    }

    /// Waits until everything queued is written and synced; for shutdown.
    pub async fn flush(&self) {
        todo!()
    }
}

/// An exchange whose intent is written and whose outcome is not.
pub struct Pending {}

impl Pending {
    /// Writes the outcome; never blocks and never fails silently (a lost line turns readiness off).
    pub fn end(self, _outcome: Outcome) {
        todo!()
    }
}
