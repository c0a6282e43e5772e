//! The tour: some thirty requests of six people through the real listener, each with what the policies promise.
//!
//! What is promised is worked out here from the CRM's own records, not asked of the gateway. An answer with another
//! status, another row or field, or a marker in any of its bytes makes the tour fail and is printed. Why an answer is as
//! it is, is read in the audit log: the rules, and what they did.

mod cases;
mod client;
mod record;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::Demo;
use super::data::{CREDIT_SCORE, MARGIN, MARKER, Store};
use cases::{Case, Expected};
use client::Clients;
use record::Record;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();
const HEADING: Style = Style::new().bold();

/// Columns of the table, and where its second column begins.
const WIDTH: usize = 110;
const INDENT: usize = 14;
/// For an exchange to end whose answer has arrived.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer with all bytes that the client saw.
pub(super) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    json: Value,
    /// What the audit log says of it.
    record: Option<Record>,
}

impl Reply {
    fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Self { status, headers, body, json, record: None }
    }

    /// The records: of a list all, of a read the one.
    fn rows(&self) -> Vec<&Value> {
        match self.json.get("data") {
            Some(Value::Array(rows)) => rows.iter().collect(),
            Some(row @ Value::Object(_)) => vec![row],
            _ => Vec::new(),
        }
    }

    fn row(&self, id: &Value) -> Option<&Value> {
        self.rows().into_iter().find(|row| row.get("id") == Some(id))
    }
}

/// Sends every request and prints the table. True if every answer was as promised. Prints with colours: give it an
/// `anstream` where they may not be wanted.
pub async fn run(demo: &Demo, out: &mut impl Write) -> io::Result<bool> {
    let clients = Clients::new(&demo.identity.ca, demo.entrance)?;
    let store = Store::seeded();
    let cases = cases::all(&store);
    heading(out)?;
    let mut replies: Vec<Option<Reply>> = Vec::new();
    let (mut markers, mut records, mut failed): (usize, usize, usize) = Default::default();
    for case in &cases {
        let (reply, differences) = match clients.send(case, &demo.identity).await {
            Ok(mut reply) => {
                reply.record = record(demo, &reply).await;
                let mut differences = differences(case, &reply, &replies);
                if reply.record.is_none() {
                    differences.push("the audit log says nothing of it".to_owned());
                }
                (Some(reply), differences)
            }
            Err(error) => (None, vec![format!("no answer: {error}")]),
        };
        line(out, case, reply.as_ref(), differences.is_empty())?;
        for difference in &differences {
            writeln!(out, "     {BAD}{difference}{BAD:#}")?;
        }
        failed += usize::from(!differences.is_empty());
        markers += reply.as_ref().map_or(0, leaks);
        records += reply.as_ref().map_or(0, |reply| reply.rows().len());
        replies.push(reply);
    }
    let metrics = clients.metrics().await.unwrap_or_default();
    let (dropped, redacted) = (sum(&metrics, "scrim_rows_dropped_total"), sum(&metrics, "scrim_fields_redacted_total"));
    let style = if failed == 0 && markers == 0 { GOOD } else { BAD };
    writeln!(
        out,
        "\n{style}{} requests, {records} records returned, {dropped} rows dropped, {redacted} fields redacted, \
         markers seen by clients: {markers}{style:#}",
        cases.len()
    )?;
    if failed > 0 {
        writeln!(out, "{BAD}{failed} answers are not what the policies promise{BAD:#}")?;
    }
    out.flush()?;
    Ok(failed == 0 && markers == 0)
}

/// What the audit log says of an answer. The exchange may end a little after its answer has arrived.
async fn record(demo: &Demo, reply: &Reply) -> Option<Record> {
    let id = reply.headers.get("x-request-id")?.to_str().ok()?;
    let ended = async {
        while demo.gateway.metrics().in_flight.get() > 0 {
            tokio::task::yield_now().await;
        }
        demo.gateway.flush_audit().await;
    };
    tokio::time::timeout(PATIENCE, ended).await.ok()?;
    Record::find(&std::fs::read_to_string(demo.identity.audit_file()).ok()?, id)
}

/// All that an answer has or lacks against its promise. `earlier` are the answers before it, in order.
fn differences(case: &Case, reply: &Reply, earlier: &[Option<Reply>]) -> Vec<String> {
    let mut found = Vec::new();
    if reply.status.as_u16() != case.status {
        found.push(format!("expected {}, got {}", case.status, reply.status.as_u16()));
    }
    if let Some(leaked) = Some(leaks(reply)).filter(|leaked| *leaked > 0) {
        found.push(format!("{leaked} markers of hidden data in the answer"));
    }
    for expected in &case.expected {
        if let Err(difference) = holds(expected, reply, earlier) {
            found.push(difference);
        }
    }
    found
}

fn holds(expected: &Expected, reply: &Reply, earlier: &[Option<Reply>]) -> Result<(), String> {
    let fail = |holds: bool, message: String| if holds { Ok(()) } else { Err(message) };
    match expected {
        Expected::Ids(ids) => {
            let got: Vec<&Value> = reply.rows().into_iter().filter_map(|row| row.get("id")).collect();
            let (extra, missing) =
                (got.iter().filter(|id| !ids.contains(id)).count(), ids.iter().filter(|id| !got.contains(id)).count());
            fail(
                extra == 0 && missing == 0 && got.len() == ids.len(),
                format!("expected {} rows, got {} ({extra} that must not be, {missing} missing)", ids.len(), got.len()),
            )
        }
        Expected::Total(total) => {
            let got = reply.json.pointer("/meta/total").filter(|total| !total.is_null());
            let wanted = total.map(Value::from);
            fail(got == wanted.as_ref(), format!("expected total {wanted:?}, got {got:?}"))
        }
        Expected::Absent(columns) => {
            for row in reply.rows() {
                if let Some(column) = columns.iter().find(|column| row.pointer(column).is_some()) {
                    return Err(format!("{column} of {} must not be there", row.get("id").unwrap_or(&Value::Null)));
                }
            }
            Ok(())
        }
        Expected::Is(id, place, value) => {
            let got = reply.row(id).and_then(|row| row.pointer(place));
            fail(got == Some(value), format!("{place} of {id}: expected {value}, got {got:?}"))
        }
        Expected::Starts(id, place, start, clear) => {
            let got = reply.row(id).and_then(|row| row.pointer(place)).and_then(Value::as_str).unwrap_or_default();
            fail(
                got.starts_with(start.as_str()) && got != clear,
                format!("{place} of {id}: expected {start}..., got {got}"),
            )
        }
        Expected::Hidden(id, columns) => {
            let row = reply.row(id).ok_or_else(|| format!("{id} is missing"))?;
            let seen = columns.iter().find(|column| row.get(**column).is_some());
            fail(seen.is_none(), format!("{seen:?} of {id} must not be there"))
        }
        Expected::SameAs(label) => {
            let other = cases::position(label).and_then(|place| earlier.get(place)?.as_ref());
            let same = other.is_some_and(|other| other.status == reply.status && other.body == reply.body);
            fail(same, format!("must be the same bytes as `{label}`"))
        }
        Expected::Denied(rule) => {
            let named = reply.record.as_ref().is_some_and(|record| record.denied.iter().any(|denied| denied == rule));
            fail(named, format!("expected to be denied by {rule}"))
        }
        Expected::Created(column, value) => {
            let got = reply.rows().first().and_then(|row| row.get(*column).cloned());
            fail(got.as_ref() == Some(value), format!("{column}: expected {value}, got {got:?}"))
        }
    }
}

/// Markers in the head and the body: `SECRET-`, and the numbers of hidden columns.
fn leaks(reply: &Reply) -> usize {
    let count = |bytes: &[u8]| memchr::memmem::find_iter(bytes, MARKER).count();
    let heads: usize = reply.headers.iter().map(|(name, value)| count(name.as_ref()) + count(value.as_bytes())).sum();
    let numbers = reply.body.split(|byte| !byte.is_ascii_digit()).filter(|digits| {
        let number = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 7);
        let number: u64 = number.and_then(|digits| digits.parse().ok()).unwrap_or_default();
        [CREDIT_SCORE, MARGIN].iter().any(|lowest| (lowest - 1..lowest + 10_000).contains(&number))
    });
    heads + count(&reply.body) + numbers.count()
}

/// The sum of a metric over its labels.
fn sum(metrics: &str, name: &str) -> u64 {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = if rest.starts_with('{') { rest.rsplit_once("} ")?.1 } else { rest.strip_prefix(' ')? };
        value.parse::<u64>().ok()
    });
    values.sum()
}

fn heading(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{HEADING}     {:<8} {:<38} {:>6} {:>4}  what, and why{HEADING:#}",
        "who", "request", "status", "rows"
    )
}

/// One line for the request, and as many as needed for what was shown, masked and removed, and by which rules.
fn line(out: &mut impl Write, case: &Case, reply: Option<&Reply>, passed: bool) -> io::Result<()> {
    let (mark, style) = if passed { ("ok", GOOD) } else { ("BAD", BAD) };
    let request = cut(&format!("{} {}", case.method, case.target), 38);
    let rows = reply.map_or(0, |reply| reply.rows().len());
    let rows = if rows == 0 { "-".to_owned() } else { rows.to_string() };
    let status = reply.map_or_else(|| "none".to_owned(), |reply| reply.status.as_u16().to_string());
    let (who, what) = (case.who.unwrap_or("nobody"), cut(case.why, 46));
    writeln!(out, "{style}{mark:<4}{style:#} {who:<8} {request:<38} {style}{status:>6}{style:#} {rows:>4}  {what}")?;
    for text in reply.map(because).iter().flat_map(|text| wrapped(text)) {
        writeln!(out, "{:INDENT$}{DIM}{text}{DIM:#}", "")?;
    }
    Ok(())
}

/// What was shown in clear, on all records or on some, and what the audit log says.
fn because(reply: &Reply) -> String {
    let Some(record) = &reply.record else { return String::new() };
    let names: BTreeSet<&String> =
        reply.rows().into_iter().filter_map(Value::as_object).flat_map(|row| row.keys()).collect();
    let clear = names.iter().filter(|name| !record.masked.contains(name));
    let (some, all): (Vec<&str>, Vec<&str>) =
        clear.map(|name| name.as_str()).partition(|name| record.removed.iter().any(|removed| removed == name));
    let removed: Vec<&str> = record.removed.iter().filter(|name| !names.contains(name)).map(String::as_str).collect();
    let masked: Vec<&str> = record.masked.iter().map(String::as_str).collect();
    let fields = [("shows", all), ("on some records", some), ("masked", masked), ("removed", removed)];
    let fields = fields.into_iter().filter(|(_, names)| !names.is_empty());
    fields
        .map(|(what, names)| format!("{what} {}", names.join(", ")))
        .chain(record.parts())
        .collect::<Vec<_>>()
        .join("; ")
}

/// In lines that fit the table, broken between words.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if INDENT + line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(cut(word, WIDTH - INDENT)),
        }
    }
    lines
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(2)).chain("..".chars()).collect()
}

#[cfg(test)]
mod tests;
