//! What redaction costs: beside a plain scan by the same scanner, beside a tree, with more fields, and in memory.
//!
//! Each document goes through in chunks of 16 KiB, as it comes from a connection. Contenders take turns within one process,
//! and the figure is CPU time, so that whoever else uses the machine doesn't count. What leaves is looked at first: a
//! benchmark of refusals, or of rows that leak, fails.
//!
//! `cargo bench --bench redact`, or with `-- --quick` one short round, which says that all works and little else.

#[path = "redact/documents.rs"]
mod documents;
#[path = "redact/memory.rs"]
mod memory;
#[path = "redact/world.rs"]
mod world;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scrim::redact::{self, Limits, Plan, Redactor, Tally};
use serde_json::Value;

const CHUNK: usize = 16 << 10;
const DEPTH: usize = 64;
const LIMITS: Limits = Limits { body: 1 << 40, record: 1 << 20 };

/// CPU time of this thread so far; wall-clock time where the system doesn't tell.
fn cpu() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = schedule.and_then(|text| text.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

/// Redacts in chunks; `out` is emptied as a connection would.
fn redact(plan: &Arc<Plan>, document: &[u8], out: &mut Vec<u8>, sent: &mut dyn FnMut(&[u8])) -> Tally {
    let mut redactor = Redactor::new(Arc::clone(plan), LIMITS);
    for chunk in document.chunks(CHUNK) {
        out.clear();
        redactor.push(chunk, out).expect("readable");
        sent(out);
    }
    out.clear();
    let tally = redactor.finish(out).expect("readable");
    sent(out);
    tally
}

/// Fails unless the document comes out as the policy says.
fn look_at(plan: &Arc<Plan>, document: &[u8]) {
    let (mut all, mut out) = (Vec::new(), Vec::new());
    let tally = redact(plan, document, &mut out, &mut |part| all.extend_from_slice(part));
    let shown: Value = serde_json::from_slice(&all).expect("JSON");
    let text = String::from_utf8(all).expect("text");
    assert!(!text.contains(documents::MARKER), "it leaks");
    assert!(tally.kept > 0 && tally.errors == 0, "{} of {} kept, {} errors", tally.kept, tally.scanned, tally.errors);
    assert_eq!(shown.pointer("/data").and_then(Value::as_array).map(Vec::len), Some(tally.kept as usize));
    assert!(shown.pointer("/meta/total").is_none() && shown.pointer("/meta/limit").is_some_and(|limit| *limit == 100));
}

/// Takes turns: CPU time of each contender for one document of so many bytes, as often as the rounds go.
fn race<const N: usize>(
    rounds: usize,
    least: Duration,
    bytes: usize,
    mut contenders: [&mut dyn FnMut(); N],
) -> Vec<[f64; N]> {
    // Looking at the time takes as long as a short document.
    let together = 1 + 500_000 / bytes as u32;
    let mut times = Vec::new();
    // One round warms up.
    for round in 0..=rounds {
        let mut row = [0.0; N];
        for (contender, time) in contenders.iter_mut().zip(&mut row) {
            let start = cpu();
            let mut turns = 0_u32;
            while turns == 0 || cpu() - start < least {
                (0..together).for_each(|_| contender());
                turns += together;
            }
            *time = (cpu() - start).as_secs_f64() / f64::from(turns);
        }
        if round > 0 {
            times.push(row);
        }
    }
    times
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What one contender takes beside another, round by round.
fn ratio<const N: usize>(times: &[[f64; N]], of: usize, to: usize) -> f64 {
    median(times.iter().filter_map(|row| Some(row.get(of)? / row.get(to)?)).collect())
}

fn speed<const N: usize>(times: &[[f64; N]], of: usize, bytes: usize) -> f64 {
    bytes as f64 / 1e6 / median(times.iter().filter_map(|row| row.get(of).copied()).collect())
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (rounds, least) = if quick { (1, Duration::from_millis(5)) } else { (11, Duration::from_millis(100)) };
    let (plan, wide) = (world::plan(0), world::plan(60));
    let mut out = Vec::with_capacity(2 * CHUNK);
    for (label, bytes, pretty) in [
        ("1k6", 1_600, false),
        ("30k", 30_000, false),
        ("1m5", 1_500_000, false),
        ("1m5_indented", 1_500_000, true),
        ("50m", 50_000_000, false),
    ] {
        let document = documents::list(bytes, pretty);
        look_at(&plan, &document);
        let rounds = if document.len() > 10_000_000 { rounds.min(5) } else { rounds };
        let times = race(
            rounds,
            least,
            document.len(),
            [&mut || redact::scan(black_box(&document), DEPTH).expect("JSON"), &mut || {
                black_box(redact(&plan, black_box(&document), &mut out, &mut |part| {
                    black_box(part);
                }));
            }],
        );
        println!("ratio redact_vs_scan_{label} {:.3}", ratio(&times, 1, 0));
        let bytes = document.len();
        println!("scan {:.0} MB/s, redact {:.0} MB/s", speed(&times, 0, bytes), speed(&times, 1, bytes));
    }
    let document = documents::list(1_500_000, false);
    let mut other = Vec::with_capacity(2 * CHUNK);
    let times = race(
        rounds,
        least,
        document.len(),
        [
            &mut || {
                black_box(redact(&plan, black_box(&document), &mut out, &mut |_| {}));
            },
            &mut || {
                let tree: Value = serde_json::from_slice(black_box(&document)).expect("JSON");
                black_box(serde_json::to_vec(&tree).expect("JSON"));
            },
            &mut || {
                black_box(redact(&wide, black_box(&document), &mut other, &mut |_| {}));
            },
        ],
    );
    println!("ratio redact_vs_serde_value {:.2}", ratio(&times, 1, 0));
    println!("ratio keys60_cost {:.3}", ratio(&times, 2, 0));
    let document = documents::list(50_000_000, false);
    let peak = memory::peak(|| {
        redact(&plan, &document, &mut out, &mut |_| {});
    });
    println!("ratio peak_kib_50m {:.1}", peak as f64 / 1024.0);
}
