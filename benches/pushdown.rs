//! What it is worth to ask only for what may be seen: a page of 20 out of 100,000 records, of which the caller may see one in
//! a hundred, once with the policy's condition pushed down, once filled up from pages that the upstream did not cut.
//!
//! One gateway in this process has two tables over one upstream, which filters and pages from memory; they differ in `push`
//! alone. They are asked in turn, and every answer is compared with the records that the data themselves say it must hold:
//! a benchmark of refusals, of rows that leak, or of two pages that differ, fails. Time is the client's, bytes are those of
//! the upstream's answers.
//!
//! A list that is filled goes on where its last page ended: the page after the one in the middle shows what that saves, as does
//! the whole list, page by page, of a gateway that remembers and of one that doesn't.
//!
//! `cargo bench --bench pushdown`, or with `-- --quick` one short round, which says that all works and little else.

#[path = "gateway/client.rs"]
mod client;
#[path = "pushdown/setup.rs"]
mod setup;
#[path = "pushdown/upstream.rs"]
mod upstream;

#[path = "../tests/support/identities.rs"]
#[allow(unreachable_pub, reason = "shared with the tests, where it is reachable")]
mod identities;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use scrim::clock::Clock;
use scrim::gateway::Gateway;

use client::{ask, connect};
use setup::Setup;
use upstream::{RECORDS, Upstream, VISIBLE};

/// Records of a page.
const PAGE: usize = 20;
/// One answer takes no longer, or something hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// The first page, one in the middle of what may be seen, and the one after it.
const PLACES: [(&str, usize); 3] = [("first", 0), ("middle", VISIBLE / 2), ("next", VISIBLE / 2 + PAGE)];
/// The two ways to come to a page, by the first part of the path.
const WAYS: [&str; 2] = ["pushed", "filled"];

/// What one page took, time after time.
struct Figures {
    place: &'static str,
    offset: usize,
    way: &'static str,
    times: Vec<Duration>,
    /// Of the upstream's answers; the same each time.
    bytes: u64,
    requests: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs it without this.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing to do: run it with `cargo bench --bench pushdown`");
        return ExitCode::SUCCESS;
    }
    let rounds = if arguments.iter().any(|argument| argument == "--quick") { 1 } else { 25 };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(run(rounds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pushdown: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(rounds: usize) -> Result<(), String> {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return Err("the cryptography could not be set up".to_owned());
    }
    let upstream = Upstream::start().await.map_err(|error| format!("no upstream: {error}"))?;
    let setup = Setup::new(upstream.address)?;
    let gateway = Gateway::start(&setup.gateway_file(), |_| {}, Clock::system())
        .await
        .map_err(|errors| scrim::diagnostic::render(&errors, false))?;
    let address = *gateway.addresses().first().ok_or("the gateway listens nowhere")?;
    let mut connection = connect(address).await?;
    let of = |(place, offset)| WAYS.map(|way| Figures { place, offset, way, times: Vec::new(), bytes: 0, requests: 0 });
    let mut figures: Vec<Figures> = PLACES.into_iter().flat_map(of).collect();
    // The first round only warms up, and is judged as all others are.
    for round in 0..=rounds {
        for figure in &mut figures {
            let before = (upstream.bytes(), upstream.requests());
            let target = format!("/{}/contacts?limit={PAGE}&offset={}", figure.way, figure.offset);
            let begun = Instant::now();
            let body = ask(&mut connection, address, &target, setup.token(), PATIENCE).await?;
            let took = begun.elapsed();
            let expected = upstream.visible(figure.offset, PAGE);
            if setup::page(&body)? != expected {
                return Err(format!("{target} is not the page that the caller may see"));
            }
            let moved = (upstream.bytes() - before.0, upstream.requests() - before.1);
            if round > 0 {
                if (figure.bytes, figure.requests) != (0, 0) && (figure.bytes, figure.requests) != moved {
                    return Err(format!(
                        "{target} moved {moved:?} now, and {:?} before",
                        (figure.bytes, figure.requests)
                    ));
                }
                (figure.bytes, figure.requests) = moved;
                figure.times.push(took);
            }
        }
    }
    if gateway.metrics().pushdown_leaks.get() + gateway.metrics().tenant_violations.get() > 0 {
        return Err("rows came that were not asked for".to_owned());
    }
    gateway.shutdown().await;
    report(&figures, rounds);
    let with = whole(&upstream, &setup, &setup.gateway_file()).await?;
    let without = whole(&upstream, &setup, &setup.forgetful_file()).await?;
    println!("\n{:16} {:>10} {:>10}", "the whole list", "ms", "requests");
    for (name, (seconds, requests)) in [("remembering", with), ("forgetful", without)] {
        println!("{name:16} {:10.2} {requests:10}", seconds * 1e3);
    }
    println!();
    println!("ratio walk_time {:.1}", without.0 / with.0);
    println!("ratio walk_requests {:.1}", without.1 as f64 / with.1 as f64);
    Ok(())
}

/// Walks through all that may be seen, page by page: how long it takes in seconds, and in requests to the upstream.
async fn whole(upstream: &Upstream, setup: &Setup, file: &Path) -> Result<(f64, u64), String> {
    let gateway = Gateway::start(file, |_| {}, Clock::system())
        .await
        .map_err(|errors| scrim::diagnostic::render(&errors, false))?;
    let address = *gateway.addresses().first().ok_or("the gateway listens nowhere")?;
    let mut connection = connect(address).await?;
    let (begun, before) = (Instant::now(), upstream.requests());
    for offset in (0..VISIBLE).step_by(PAGE) {
        let target = format!("/filled/contacts?limit={PAGE}&offset={offset}");
        let body = ask(&mut connection, address, &target, setup.token(), PATIENCE).await?;
        if setup::page(&body)? != upstream.visible(offset, PAGE) {
            return Err(format!("{target} is not the page that the caller may see"));
        }
    }
    let took = (begun.elapsed().as_secs_f64(), upstream.requests() - before);
    gateway.shutdown().await;
    Ok(took)
}

fn report(figures: &[Figures], rounds: usize) {
    println!("{RECORDS} records, {VISIBLE} of them visible, pages of {PAGE}; medians of {rounds} rounds, in turn");
    println!("\n{:7} {:8} {:>10} {:>14} {:>10}", "page", "", "ms", "upstream bytes", "requests");
    for figure in figures {
        let (ms, bytes) = (figure.median() * 1e3, figure.bytes);
        println!("{:7} {:8} {ms:10.2} {bytes:14} {:10}", figure.place, figure.way, figure.requests);
    }
    println!();
    for (place, _) in PLACES {
        let of = |way| figures.iter().find(|figure| figure.place == place && figure.way == way);
        if let [Some(pushed), Some(filled)] = WAYS.map(of) {
            println!("ratio pushdown_{place}_time {:.1}", filled.median() / pushed.median());
            println!("ratio pushdown_{place}_bytes {:.1}", filled.bytes as f64 / pushed.bytes as f64);
        }
    }
}

impl Figures {
    /// In seconds.
    fn median(&self) -> f64 {
        let mut times: Vec<f64> = self.times.iter().map(Duration::as_secs_f64).collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
    }
}
