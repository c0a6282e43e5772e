//! What enforcement costs: Scrim judging a list, Scrim passing the same list through, nginx proxying it, and nginx with Lua
//! doing the same redaction.
//!
//! One nginx serves the pages; Scrim and two more nginx stand before it. Every listener is plaintext, or TLS would be most
//! of what is measured. The figure is requests per CPU second of the server's own process, so that neither the upstream nor
//! the load, nor whoever else uses the machine, counts. Every answer is compared with one that was looked at: a benchmark of
//! refusals, or of rows that leak, fails. The audit log is on (`fsync: never`); nginx writes no log at all.
//!
//! `cargo bench --bench gateway`, or with `-- --quick` one short round, which says that all works and little else. With
//! `-- --only enforced` (or `opaque`, `nginx`, `lua`) and `4k` or `30k` one contender alone, for a profiler.

#[path = "gateway/client.rs"]
mod client;
#[path = "gateway/load.rs"]
mod load;
#[path = "gateway/pages.rs"]
mod pages;
#[path = "gateway/servers.rs"]
mod servers;
#[path = "gateway/setup.rs"]
mod setup;

#[path = "../tests/support/identities.rs"]
#[allow(unreachable_pub, reason = "shared with the tests, where it is reachable")]
mod identities;

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use tokio::signal::unix::{SignalKind, signal};

use load::{Ask, CONNECTIONS};
use pages::{Page, Size};
use servers::{Nginx, Server};
use setup::Setup;

/// How long and how often.
struct Pace {
    warm_up: Duration,
    round: Duration,
    rounds: usize,
}

const FULL: Pace = Pace { warm_up: Duration::from_secs(2), round: Duration::from_millis(2_500), rounds: 5 };
const QUICK: Pace = Pace { warm_up: Duration::from_millis(200), round: Duration::from_millis(500), rounds: 1 };

/// Requests of one round, whatever the time: this bounds the audit log between two rounds.
const MAX_REQUESTS: u64 = 100_000;

/// One server at one size: how it is asked, what it must answer, and what it took.
struct Contender<'s> {
    kind: Kind,
    size: Size,
    server: &'s Server,
    ask: Ask,
    figures: Vec<Figure>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Enforced,
    Opaque,
    Nginx,
    Lua,
}

impl Kind {
    /// What it is called on the command line and in ratios.
    fn label(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Opaque => "opaque",
            Self::Nginx => "nginx",
            Self::Lua => "lua",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Enforced => "scrim, enforced",
            Self::Opaque => "scrim, opaque",
            Self::Nginx => "nginx, no policy",
            Self::Lua => "nginx, Lua",
        }
    }
}

#[derive(Clone, Copy)]
struct Figure {
    per_second: f64,
    per_cpu_second: f64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs it without this.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing to do: run it with `cargo bench --bench gateway`");
        return ExitCode::SUCCESS;
    }
    let pace = if arguments.iter().any(|argument| argument == "--quick") { QUICK } else { FULL };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let outcome = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        // Whichever ends first, the servers are dropped, and with that stopped.
        tokio::select! {
            done = run(&pace, &arguments) => done,
            _ = interrupt.recv() => Err("interrupted".to_owned()),
            _ = terminate.recv() => Err("terminated".to_owned()),
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(pace: &Pace, arguments: &[String]) -> Result<(), String> {
    let only = arguments.iter().any(|argument| argument == "--only");
    let named = |label: &str| arguments.iter().any(|argument| argument == label);
    let nginx = Nginx::find()?;
    let setup = Setup::new()?;
    let upstream = nginx.start_static(&setup)?;
    let plain = nginx.start_proxy(&setup, upstream.address)?;
    let lua = nginx.start_lua(&setup, upstream.address)?;
    let scrim = Server::start_scrim(&setup, upstream.address)?;
    let mut servers = vec![(Kind::Enforced, &scrim), (Kind::Opaque, &scrim), (Kind::Nginx, &plain)];
    match &lua {
        Some(lua) => servers.push((Kind::Lua, lua)),
        None => println!("nginx with Lua is left out (Debian: apt-get install libnginx-mod-http-lua lua-cjson)"),
    }

    let mut contenders = Vec::new();
    for page in &setup.pages {
        for (kind, server) in &servers {
            if only && !(named(kind.label()) && named(page.size.label())) {
                continue;
            }
            contenders.push(contender(*kind, server, page, &setup).await?);
        }
    }
    if contenders.is_empty() {
        return Err("`--only` takes a contender and a size, like `--only enforced 4k`".to_owned());
    }
    println!(
        "every listener plaintext, {CONNECTIONS} keep-alive connections, {} rounds of {:?} each, medians; {}",
        pace.rounds, pace.round, nginx.version
    );
    println!("{}", setup.summary());

    let warm_up = pace.warm_up / contenders.len() as u32;
    for contender in &contenders {
        load::run(contender.server.address, &contender.ask, warm_up, MAX_REQUESTS).await?;
    }
    for _ in 0..pace.rounds {
        for contender in &mut contenders {
            contender.round(pace.round).await?;
        }
        setup.empty_audit_log()?;
    }
    report(&contenders);
    Ok(())
}

/// Asks once and looks at the answer; the load then expects the very same bytes.
async fn contender<'s>(kind: Kind, server: &'s Server, page: &Page, setup: &Setup) -> Result<Contender<'s>, String> {
    let target = match kind {
        Kind::Enforced => page.list_target(),
        Kind::Opaque => page.raw_target(),
        Kind::Nginx | Kind::Lua => page.upstream_target(),
    };
    let mut ask = Ask { target, token: setup.token(page.size), expected: Bytes::new() };
    ask.expected = load::once(server.address, &ask).await.map_err(|error| format!("{}: {error}", kind.name()))?;
    match kind {
        Kind::Enforced | Kind::Lua => page.check_enforced(&ask.expected)?,
        Kind::Opaque | Kind::Nginx if ask.expected == page.document => {}
        Kind::Opaque | Kind::Nginx => return Err(format!("{} changed the page", kind.name())),
    }
    Ok(Contender { kind, size: page.size, server, ask, figures: Vec::new() })
}

impl Contender<'_> {
    async fn round(&mut self, length: Duration) -> Result<(), String> {
        let before = self.server.cpu_time()?;
        let (requests, took) = load::run(self.server.address, &self.ask, length, MAX_REQUESTS).await?;
        let cpu = self.server.cpu_time()?.saturating_sub(before).max(servers::TICK);
        let requests = requests as f64;
        self.figures
            .push(Figure { per_second: requests / took.as_secs_f64(), per_cpu_second: requests / cpu.as_secs_f64() });
        Ok(())
    }

    fn median(&self, of: impl Fn(&Figure) -> f64) -> f64 {
        let mut values: Vec<f64> = self.figures.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

fn report(contenders: &[Contender<'_>]) {
    println!("\n{:6} {:18} {:>12} {:>14} {:>16}", "page", "server", "requests/s", "CPU us/request", "requests/CPU-s");
    for contender in contenders {
        let per_cpu_second = contender.median(|figure| figure.per_cpu_second);
        println!(
            "{:6} {:18} {:12.0} {:14.1} {:16.0}",
            contender.size.name(),
            contender.kind.name(),
            contender.median(|figure| figure.per_second),
            1e6 / per_cpu_second,
            per_cpu_second,
        );
    }
    println!();
    let figure = |kind, size| {
        let found = contenders.iter().find(|contender| contender.kind == kind && contender.size == size);
        found.map_or(f64::NAN, |contender| contender.median(|figure| figure.per_cpu_second))
    };
    for peer in [Kind::Opaque, Kind::Nginx, Kind::Lua] {
        for size in Size::ALL {
            let ratio = figure(Kind::Enforced, size) / figure(peer, size);
            if ratio.is_finite() {
                println!("ratio enforced_vs_{}_{} {ratio:.3}", peer.label(), size.label());
            }
        }
    }
}
