//! What a rule costs: judging a record by what is left of one, by the `cel` crate's own interpreter, and deciding what is left.
//!
//! Eight shapes of rules are judged on the same records by this engine and by the crate's interpreter, one after the other
//! in the same process; both must say the same of every record, or the benchmark fails. Then a page of a hundred records,
//! from raw bytes, under thirteen rules; deciding with these rules anew; loading a thousand rules of a hundred tables; and
//! deciding with these when the answer is remembered. Every figure is a median. Last, where Valgrind is installed, the same
//! work in instructions.
//!
//! `cargo bench --bench evaluate`, or with `-- --quick` one short round, which says that all works and little else.

#[path = "evaluate/instructions.rs"]
mod instructions;
#[path = "evaluate/oracle.rs"]
mod oracle;
#[path = "evaluate/shapes.rs"]
mod shapes;
#[path = "evaluate/world.rs"]
mod world;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use scrim::policy::{Caller, Decided, Residual, Slots, Verdict};
use scrim::redact;

use oracle::Oracle;
use shapes::{SHAPES, Shape};
use world::World;

/// How often everything is measured, and how many evaluations make one measurement.
struct Pace {
    rounds: usize,
    evaluations: usize,
}

const FULL: Pace = Pace { rounds: 101, evaluations: 4_000 };
const QUICK: Pace = Pace { rounds: 3, evaluations: 400 };
/// The crate's interpreter is that much slower.
const ORACLE_SHARE: usize = 20;
const RECORDS: usize = 100;
const DEPTH: usize = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs it without this.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing to do: run it with `cargo bench --bench evaluate`");
        return ExitCode::SUCCESS;
    }
    if let Some(at) = arguments.iter().position(|argument| argument == instructions::WORK) {
        let times = arguments.get(at + 2).and_then(|times| times.parse().ok()).unwrap_or(1);
        return ended(work(arguments.get(at + 1).map_or("", String::as_str), times));
    }
    let pace = if arguments.iter().any(|argument| argument == "--quick") { QUICK } else { FULL };
    // Only what the argument names, for a profiler.
    let only = arguments.iter().find(|argument| !argument.starts_with("--"));
    let asked = |name: &str| only.is_none_or(|only| name.contains(only.as_str()));
    type Part = fn(&Pace) -> Result<(), String>;
    let parts: [(&str, Part); 5] =
        [("eval", rules), ("page", page), ("load", load), ("decide", decide), ("instructions", count)];
    ended(parts.iter().filter(|(name, _)| asked(name)).try_for_each(|(_, part)| part(&pace)))
}

fn ended(result: Result<(), String>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("evaluate: {error}");
    ExitCode::FAILURE
}

/// One shape with all that it is judged by.
struct Contest<'w> {
    shape: &'static Shape,
    residual: &'w Residual,
    slots: &'w [Slots<'w>],
    oracle: Oracle,
    /// Nanoseconds for one evaluation, a round each.
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

fn rules(pace: &Pace) -> Result<(), String> {
    let world = World::new();
    let records = shapes::records();
    let residuals: Vec<_> = SHAPES.iter().map(|shape| world.residual(&[shape.policy("", "list")], "list")).collect();
    let slots = residuals.iter().map(|residual| {
        let read = records.iter().map(|raw| redact::slots(raw.as_bytes(), residual.layout(), DEPTH));
        read.collect::<Result<Vec<_>, _>>().map_err(|wrong| wrong.to_string())
    });
    let slots = slots.collect::<Result<Vec<_>, _>>()?;
    let contests = SHAPES.iter().zip(&residuals).zip(&slots);
    let mut contests: Vec<Contest<'_>> = contests
        .map(|((shape, residual), slots)| {
            let oracle = Oracle::new(shape, &world, &records);
            Contest { shape, residual, slots, oracle, ours: Vec::new(), theirs: Vec::new() }
        })
        .collect();
    contests.iter().try_for_each(Contest::agree)?;
    for _ in 0..pace.rounds {
        for contest in &mut contests {
            contest.round(pace);
        }
    }
    println!("{:12} {:>10} {:>10} {:>8}", "rule", "ns", "cel, ns", "ratio");
    let figures: Vec<(f64, f64)> =
        contests.iter().map(|contest| (median(&contest.ours), median(&contest.theirs))).collect();
    for (contest, (ours, theirs)) in contests.iter().zip(&figures) {
        println!("{:12} {ours:10.1} {theirs:10.1} {:8.1}", contest.shape.name, theirs / ours);
    }
    for (contest, (ours, theirs)) in contests.iter().zip(&figures) {
        println!("ratio eval_ns_{} {ours:.1}", contest.shape.name);
        println!("ratio eval_vs_cel_{} {:.1}", contest.shape.name, theirs / ours);
    }
    let mean = |of: fn(&(f64, f64)) -> f64| figures.iter().map(of).sum::<f64>() / figures.len() as f64;
    println!("ratio eval_ns_mean {:.1}", mean(|(ours, _)| *ours));
    println!("ratio eval_vs_cel {:.1}", mean(|(_, theirs)| *theirs) / mean(|(ours, _)| *ours));
    Ok(())
}

impl Contest<'_> {
    /// Both say the same of every record, and not the same of all records.
    fn agree(&self) -> Result<(), String> {
        let mut held = 0;
        for (number, slots) in self.slots.iter().enumerate() {
            let ours = matches!(self.residual.judge(slots).verdict, Verdict::Visible(_));
            if self.oracle.holds(number) != Some(ours) {
                return Err(format!("{}: the interpreters differ on record {number}", self.shape.name));
            }
            held += usize::from(ours);
        }
        let some = held > 0 && held < self.slots.len();
        if some { Ok(()) } else { Err(format!("{}: {held} of {} records hold", self.shape.name, self.slots.len())) }
    }

    fn round(&mut self, pace: &Pace) {
        let began = Instant::now();
        for slots in self.slots.iter().cycle().take(pace.evaluations) {
            black_box(self.residual.judge(black_box(slots)));
        }
        self.ours.push(began.elapsed().as_nanos() as f64 / pace.evaluations as f64);
        let count = pace.evaluations / ORACLE_SHARE;
        let began = Instant::now();
        for number in (0..self.slots.len()).cycle().take(count) {
            black_box(self.oracle.holds(black_box(number)));
        }
        self.theirs.push(began.elapsed().as_nanos() as f64 / count as f64);
    }
}

/// A hundred records from their bytes, under thirteen rules and the tenant scope; and these rules residualised anew, as
/// one of them reads the clock.
fn page(pace: &Pace) -> Result<(), String> {
    let world = World::new();
    let set = world.set(&[shapes::thirteen()]);
    let caller = Caller::new(&world.principal);
    let (mut pages, mut decisions) = (Vec::new(), Vec::new());
    let records = page_of_records();
    let bytes = records.iter().map(String::len).sum::<usize>() / RECORDS;
    let mut seen = 0;
    for _ in 0..pace.rounds {
        let began = Instant::now();
        let Decided { decision, remembered } = world.decide(&set, &caller, "contacts", "list");
        decisions.push(began.elapsed().as_nanos() as f64 / 1e3);
        if remembered {
            return Err("a decision that depends on the clock was remembered".to_owned());
        }
        let residual = world::residual(decision)?;
        // The first records of a page make the field plans, which the next pages of a caller find.
        for warm in [false, true] {
            let began = Instant::now();
            seen = visible(&records, &residual)?;
            if warm {
                pages.push(began.elapsed().as_nanos() as f64 / 1e3);
            }
        }
    }
    if seen == 0 || seen == RECORDS {
        return Err(format!("{seen} of {RECORDS} records are visible"));
    }
    println!("\n{RECORDS} records of {bytes} bytes, {} rules, {seen} visible", shapes::RULES);
    println!("ratio page_us {:.1}", median(&pages));
    println!("ratio residualise_us {:.1}", median(&decisions));
    Ok(())
}

fn page_of_records() -> Vec<String> {
    shapes::records().into_iter().cycle().take(RECORDS).collect()
}

/// How many of these records may be seen, from their bytes.
fn visible(records: &[String], residual: &Residual) -> Result<usize, String> {
    records.iter().try_fold(0, |visible, record| {
        let slots = redact::slots(record.as_bytes(), residual.layout(), DEPTH).map_err(|wrong| wrong.to_string())?;
        Ok(visible + usize::from(matches!(residual.judge(&slots).verdict, Verdict::Visible(_))))
    })
}

fn load(pace: &Pace) -> Result<(), String> {
    let (description, policies) = (world::many_tables(), shapes::many_policies());
    let rounds = (pace.rounds / 10).max(1);
    let mut loads = Vec::new();
    for _ in 0..rounds {
        let began = Instant::now();
        let world = World::of(&description);
        black_box(world.set(&policies));
        loads.push(began.elapsed().as_nanos() as f64 / 1e6);
    }
    println!("\n{} rules of {} tables", shapes::MANY_RULES, world::TABLES);
    println!("ratio load_1000_rules_ms {:.1}", median(&loads));
    Ok(())
}

/// As one request after the other asks: each with the fingerprint of its caller made anew.
fn decide(pace: &Pace) -> Result<(), String> {
    let world = World::of(&world::many_tables());
    let set = world.set(&shapes::many_policies());
    let mut took = [Vec::new(), Vec::new()];
    for round in 0..=pace.rounds {
        for table in 0..world::TABLES {
            let table = world::table_name(table);
            let began = Instant::now();
            let caller = Caller::new(&world.principal);
            let decided = black_box(world.decide(&set, &caller, &table, "list"));
            let micros = began.elapsed().as_nanos() as f64 / 1e3;
            world::residual(decided.decision)?;
            let kind = if decided.remembered { &mut took[0] } else { &mut took[1] };
            // The first round is what fills the cache.
            if round > 0 || !decided.remembered {
                kind.push(micros);
            }
        }
    }
    let [remembered, anew] = took;
    if remembered.len() < anew.len() {
        return Err("most decisions were not remembered".to_owned());
    }
    println!("\n{} decisions remembered, {} made anew", remembered.len(), anew.len());
    println!("ratio decide_1000_rules_us {:.2}", median(&remembered));
    println!("ratio decide_1000_rules_anew_us {:.2}", median(&anew));
    Ok(())
}

/// Instructions of the same work, by Valgrind.
fn count(_: &Pace) -> Result<(), String> {
    if !instructions::can_be_counted() {
        println!("\nno instructions are counted: valgrind is not installed");
        return Ok(());
    }
    println!();
    let records = shapes::records().len() as f64;
    let (mut ours, mut theirs) = (0.0, 0.0);
    for shape in &SHAPES {
        let of = instructions::of(&format!("eval {}", shape.name), 1)? / records;
        println!("ratio eval_instructions_{} {of:.1}", shape.name);
        ours += of;
        theirs += instructions::of(&format!("cel {}", shape.name), 20)? / records;
    }
    println!("ratio eval_instructions_mean {:.1}", ours / SHAPES.len() as f64);
    println!("ratio eval_vs_cel_instructions {:.1}", theirs / ours);
    println!("ratio page_instructions {:.0}", instructions::of("page", 10)?);
    println!("ratio residualise_instructions {:.0}", instructions::of("residualise", 10)?);
    Ok(())
}

/// One piece of work, so many times. Of evaluations: each time with every record.
fn work(name: &str, times: usize) -> Result<(), String> {
    let world = World::new();
    let records = shapes::records();
    if let Some((by, shape)) = name.split_once(' ') {
        let shape = SHAPES.iter().find(|known| known.name == shape).ok_or("no such rule")?;
        if by == "cel" {
            let oracle = Oracle::new(shape, &world, &records);
            for _ in 0..times {
                (0..records.len()).for_each(|number| _ = black_box(oracle.holds(black_box(number))));
            }
            return Ok(());
        }
        let residual = world.residual(&[shape.policy("", "list")], "list");
        let read = records.iter().map(|raw| redact::slots(raw.as_bytes(), residual.layout(), DEPTH));
        let slots = read.collect::<Result<Vec<_>, _>>().map_err(|wrong| wrong.to_string())?;
        for _ in 0..times {
            slots.iter().for_each(|slots| _ = black_box(residual.judge(black_box(slots))));
        }
        return Ok(());
    }
    let set = world.set(&[shapes::thirteen()]);
    let caller = Caller::new(&world.principal);
    let decide = || world::residual(world.decide(&set, &caller, "contacts", "list").decision);
    let (residual, records) = (decide()?, page_of_records());
    for _ in 0..times {
        match name {
            "page" => _ = black_box(visible(black_box(&records), &residual)?),
            "residualise" => _ = black_box(decide()?),
            _ => return Err(format!("no such work: {name}")),
        }
    }
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
