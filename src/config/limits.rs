//! Limits and the audit log: every bound has a default, a least and a greatest value.

use std::path::Path;
use std::time::Duration;

use super::raw::{self, duration, path, size};
use super::{Audit, Fsync};
use crate::files;
use crate::yaml::{Fields, Node, Reader, Value};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// Every limit by name. Sizes are bytes.
#[derive(Clone, Debug)]
pub struct Limits {
    pub target: usize,
    pub headers: usize,
    pub header_bytes: usize,
    pub request_body: usize,
    /// An answer that is held as a whole.
    pub response_body: usize,
    /// One record of an answer, or one member of its envelope: what is held while a long answer passes.
    pub record: usize,
    /// An answer that passes as a stream: no memory is at stake, but there is no body without an end.
    pub streamed_body: u64,
    /// An answer is held as a whole up to here although it could be streamed, so that a late error can still refuse it.
    pub buffered_body: usize,
    /// Bytes that may come out of a compressed answer for each that went in.
    pub decoded_ratio: usize,
    pub json_depth: usize,
    /// Connections of clients on one listener at a time; further ones wait to be accepted.
    pub connections: usize,
    /// Of those on all listeners, from one address that is no trusted proxy's; of IPv6, from one network of 64 bits.
    pub connections_per_address: usize,
    /// Of those on all listeners, the ones that have not sent the whole head of a request yet; for a further one, the oldest
    /// is closed.
    pub new_connections: usize,
    pub in_flight: usize,
    /// Exchanges of known callers that are served at a time; others wait for their turn. At most `in_flight`.
    pub concurrent: usize,
    pub concurrent_per_tenant: usize,
    /// How long a turn is waited for.
    pub queue_time: Duration,
    pub upstream_connections: usize,
    /// Records of the upstream that are read to fill one page of a list.
    pub scanned_rows: usize,
    /// Pages of the upstream that are read to fill one of a list; a page that is not full by then is cut and says so.
    pub refill: usize,
    pub request_body_time: Duration,
    /// Bytes a second that a request's body brings on average, once the slack is used up.
    pub request_body_rate: usize,
    pub request_body_slack: Duration,
    pub client_write_time: Duration,
    pub idle_time: Duration,
    /// For all that comes before a connection's first request: the PROXY protocol, TLS, the preface of HTTP/2.
    pub handshake_time: Duration,
    /// For the head of a request, from its first byte; of a connection's first one, from when it may be sent.
    pub head_time: Duration,
    pub connect_time: Duration,
    /// From the request's last byte to the answer's head.
    pub upstream_head_time: Duration,
    /// Between two reads of an answer's body.
    pub upstream_read_time: Duration,
    /// Until an exchange's answer is there; of a streamed one, until it begins.
    pub exchange_time: Duration,
    /// From there until a streamed answer has passed.
    pub stream_time: Duration,
    /// Streams of events and WebSockets at a time; three quarters of them of one tenant.
    pub live_connections: usize,
    pub live_time: Duration,
    /// Without a byte from either side.
    pub live_idle_time: Duration,
    /// One message of a WebSocket.
    pub live_message: usize,
    /// Frames a second from a client of a WebSocket.
    pub live_rate: usize,
    pub drain_time: Duration,
}

impl Limits {
    /// What all of a request's head may have.
    pub fn head(&self) -> usize {
        self.header_bytes.saturating_add(self.target)
    }
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            target: 8 * KIB,
            headers: 100,
            header_bytes: 32 * KIB,
            request_body: MIB,
            response_body: 16 * MIB,
            record: MIB,
            streamed_body: GIB as u64,
            buffered_body: 64 * KIB,
            decoded_ratio: 200,
            json_depth: 64,
            connections: 8192,
            connections_per_address: 1024,
            new_connections: 512,
            in_flight: 1024,
            concurrent: 512,
            concurrent_per_tenant: 384,
            queue_time: seconds(1),
            upstream_connections: 128,
            scanned_rows: 10_000,
            // As many as `scanned_rows` allows.
            refill: usize::MAX,
            request_body_time: seconds(30),
            request_body_rate: KIB,
            request_body_slack: seconds(5),
            client_write_time: seconds(30),
            idle_time: seconds(60),
            handshake_time: seconds(5),
            head_time: seconds(15),
            connect_time: seconds(2),
            upstream_head_time: seconds(15),
            upstream_read_time: seconds(15),
            exchange_time: seconds(60),
            stream_time: seconds(600),
            live_connections: 256,
            live_time: seconds(3600),
            live_idle_time: seconds(60),
            live_message: 64 * KIB,
            live_rate: 50,
            drain_time: seconds(60),
        }
    }
}

pub(super) fn limits(node: &Node, reader: &mut Reader) -> Limits {
    let mut limits = Limits::default();
    let mut fields = reader.fields(node, "`limits`");
    let sizes = [
        ("target", "`target`", 256, 64 * KIB, &mut limits.target),
        ("header_bytes", "`header_bytes`", KIB, MIB, &mut limits.header_bytes),
        ("request_body", "`request_body`", KIB, GIB, &mut limits.request_body),
        ("response_body", "`response_body`", KIB, GIB, &mut limits.response_body),
        ("record", "`record`", KIB, 64 * MIB, &mut limits.record),
        ("buffered_body", "`buffered_body`", KIB, 64 * MIB, &mut limits.buffered_body),
        ("live_message", "`live_message`", 128, 64 * MIB, &mut limits.live_message),
        ("request_body_rate", "`request_body_rate`", 1, GIB, &mut limits.request_body_rate),
    ];
    for (key, what, least, most, place) in sizes {
        if let Some(found) = fields.take(key).and_then(|node| size(node, what, least..=most, reader)) {
            *place = found;
        }
    }
    let range = KIB..=1024 * GIB;
    if let Some(found) = fields.take("streamed_body").and_then(|node| size(node, "`streamed_body`", range, reader)) {
        limits.streamed_body = found as u64;
    }
    let counts = [
        ("headers", "`headers`", 1, 1_000, &mut limits.headers),
        // Redaction recurses no deeper than this.
        ("json_depth", "`json_depth`", 1, 96, &mut limits.json_depth),
        ("connections", "`connections`", 1, 1_000_000, &mut limits.connections),
        ("connections_per_address", "`connections_per_address`", 1, 1_000_000, &mut limits.connections_per_address),
        ("new_connections", "`new_connections`", 1, 1_000_000, &mut limits.new_connections),
        ("upstream_connections", "`upstream_connections`", 1, 100_000, &mut limits.upstream_connections),
        ("live_connections", "`live_connections`", 1, 1_000_000, &mut limits.live_connections),
        ("live_rate", "`live_rate`", 1, 1_000_000, &mut limits.live_rate),
        ("scanned_rows", "`scanned_rows`", 1, 10_000_000, &mut limits.scanned_rows),
        ("refill", "`refill`", 1, 1_000_000, &mut limits.refill),
        ("decoded_ratio", "`decoded_ratio`", 1, 100_000, &mut limits.decoded_ratio),
    ];
    for (key, what, least, most, place) in counts {
        let found = fields.take(key).and_then(|node| reader.integer(node, what, least..=most));
        if let Some(found) = found.and_then(|found| usize::try_from(found).ok()) {
            *place = found;
        }
    }
    turns(&mut limits, &mut fields, reader);
    times(&mut limits, &mut fields, reader);
    fields.finish(reader);
    limits
}

/// As many as may be in flight, half of them served at a time unless it is said otherwise, and of those three quarters of one
/// tenant: whatever it does with its turns, there are some for others.
fn turns(limits: &mut Limits, fields: &mut Fields<'_>, reader: &mut Reader) {
    let mut count = |key, what, most: usize| {
        let node = fields.take(key)?;
        reader.integer(node, what, 1..=most as u64).and_then(|found| usize::try_from(found).ok())
    };
    if let Some(found) = count("in_flight", "`in_flight`", 1_000_000) {
        limits.in_flight = found;
    }
    let concurrent = count("concurrent", "`concurrent`", limits.in_flight);
    limits.concurrent = concurrent.unwrap_or(limits.in_flight.div_ceil(2));
    let per_tenant = count("concurrent_per_tenant", "`concurrent_per_tenant`", limits.concurrent);
    limits.concurrent_per_tenant = per_tenant.unwrap_or(limits.concurrent - limits.concurrent / 4);
}

fn times(limits: &mut Limits, fields: &mut Fields<'_>, reader: &mut Reader) {
    let least = Duration::from_millis(1);
    let most = Duration::from_secs(60 * 60);
    let times = [
        ("request_body_time", "`request_body_time`", &mut limits.request_body_time),
        ("request_body_slack", "`request_body_slack`", &mut limits.request_body_slack),
        ("client_write_time", "`client_write_time`", &mut limits.client_write_time),
        ("idle_time", "`idle_time`", &mut limits.idle_time),
        ("handshake_time", "`handshake_time`", &mut limits.handshake_time),
        ("head_time", "`head_time`", &mut limits.head_time),
        ("queue_time", "`queue_time`", &mut limits.queue_time),
        ("connect_time", "`connect_time`", &mut limits.connect_time),
        ("upstream_head_time", "`upstream_head_time`", &mut limits.upstream_head_time),
        ("upstream_read_time", "`upstream_read_time`", &mut limits.upstream_read_time),
        ("exchange_time", "`exchange_time`", &mut limits.exchange_time),
        ("stream_time", "`stream_time`", &mut limits.stream_time),
        ("live_time", "`live_time`", &mut limits.live_time),
        ("live_idle_time", "`live_idle_time`", &mut limits.live_idle_time),
        ("drain_time", "`drain_time`", &mut limits.drain_time),
    ];
    for (key, what, place) in times {
        if let Some(found) = fields.take(key).and_then(|node| duration(node, what, least..=most, reader)) {
            *place = found;
        }
    }
}

pub(super) fn audit(node: &Node, folder: &Path, reader: &mut Reader) -> Option<Audit> {
    let mut fields = reader.fields(node, "`audit`");
    let node = fields.require("file", reader);
    let file = path(node, "`file`", folder, reader);
    if let (Some(node), Some(file)) = (node, &file) {
        folder_exists(node, file, reader);
    }
    let fsync = fields.take("fsync").map_or(Some(Fsync::Always), |node| fsync(node, reader));
    let mut serve_without = false;
    if let Some(node) = fields.take("serve_without") {
        serve_without = reader.bool(node, "`serve_without`").unwrap_or_default();
        if serve_without {
            let message = "data is served while the audit log can't be written".to_owned();
            raw::warn(reader, "serve-without-audit", &node.span, message);
        }
    }
    fields.finish(reader);
    Some(Audit { file: file?, fsync: fsync?, serve_without })
}

/// The log's folder is not made: a new one in place of a volume that is not mounted would lose the log.
fn folder_exists(node: &Node, file: &Path, reader: &mut Reader) {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let reason = match std::fs::metadata(folder) {
        Ok(found) if found.is_dir() => return,
        Ok(_) => "it is not a folder".to_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "there is no such folder".to_owned(),
        Err(error) => files::reason(&error),
    };
    let message = format!("the audit file's folder `{}` can't be used: {reason}", folder.display());
    reader.error("audit-folder", &node.span, message).help =
        Some("make the folder, or name a file in one that exists".to_owned());
}

fn fsync(node: &Node, reader: &mut Reader) -> Option<Fsync> {
    if matches!(node.value, Value::Map(_)) {
        let mut fields = reader.fields(node, "`fsync`");
        let range = Duration::from_millis(10)..=Duration::from_secs(60);
        let interval = fields.require("interval", reader).and_then(|n| duration(n, "`interval`", range, reader));
        fields.finish(reader);
        return interval.map(Fsync::Interval);
    }
    let text = reader.text(node, "`fsync`")?;
    match text.value.as_str() {
        "always" => Some(Fsync::Always),
        "never" => Some(Fsync::Never),
        other => {
            reader.error("unknown-word", &text.span, format!("`fsync` can't be `{other}`")).help =
                Some("always, never, or { interval: 1s }".to_owned());
            None
        }
    }
}
