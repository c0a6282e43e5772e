//! What is asked of an upstream, against what the policy lets through: never less, and no more where that is claimed.
//!
//! Conditions are put together at random from parts that are read as a policy's are; records are those of the differential
//! tests, wrong ones among them. Each decision becomes a filter in three steps: in the policy's own meaning, in what the
//! upstream's comparisons are trusted with, and in query parameters beside a client's. After each step the filter chooses
//! records as an upstream would that compares as badly as it says it may.
//!
//! `SCRIM_CASES` says how many decisions are made, `SCRIM_DIFFERENTIAL_SEED` from where the choices start.

mod parts;
mod server;

use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::test_runner::{TestCaseError, TestError};

use super::differential::choices::Choices;
use super::differential::drawn::{draw, from_a_seed, from_env, more, numbers, records, runner};
use super::support::*;
use crate::api::{Odata, Table, Tenancy};
use crate::dialect::{Language, Query, rest};
use crate::enforcement::pushdown::narrow;
use crate::model::filter::Filter;
use crate::policy::evaluate;
use crate::policy::ir::Expr;
use crate::policy::normal::sieve;
use crate::policy::slots::Slots;
use crate::policy::value::Value;
use parts::Pool;
use server::{Row, Server};

const CASES: u64 = 4_000;
const RECORDS: usize = 10;
const POOL: usize = 600;

#[derive(Default, Debug)]
struct Met {
    chosen: Cell<u64>,
    kept_back: Cell<u64>,
    exact: Cell<u64>,
    trusted: Cell<u64>,
    said: Cell<u64>,
    said_exactly: Cell<u64>,
    beside: Cell<u64>,
    odata: Cell<u64>,
}

#[test]
fn what_is_asked_for_is_all_that_may_be_seen_and_no_more_where_that_is_claimed() {
    from_a_seed(from_env("SCRIM_CASES").unwrap_or(CASES), run);
}

fn run(cases: u64, seed: u64) -> Result<(), String> {
    let mut runner = runner(cases, seed);
    let records = records(&mut runner, POOL);
    let drawn = draw(&mut runner, 20_000);
    let pool = Pool::new(&mut Choices::new(&drawn));
    let table = CATALOG.table_named("samples").expect("a table");
    let rows = records.iter().map(|record| Row::new(record, &pool.layout, table)).collect();
    let world = World { pool, rows, table, met: Met::default() };
    let outcome = runner.run(&(0..POOL - RECORDS, numbers(10..90)), |(first, choices)| {
        world.decision(&mut Choices::new(&choices), first).map_err(TestCaseError::fail)
    });
    outcome.map_err(|wrong| match wrong {
        TestError::Fail(reason, _) | TestError::Abort(reason) => reason.message().to_owned(),
    })?;
    let met = &world.met;
    println!("{met:?}");
    let at_least = |of: &Cell<u64>, part: u64| of.get() >= cases / part;
    assert!(at_least(&met.chosen, 1) && at_least(&met.kept_back, 1), "too few records are told apart: {met:?}");
    assert!(at_least(&met.exact, 3) && at_least(&met.trusted, 8), "too little is exact: {met:?}");
    assert!(at_least(&met.said, 8) && at_least(&met.said_exactly, 20), "too little is said: {met:?}");
    assert!(at_least(&met.odata, 10), "too little is said in OData: {met:?}");
    assert!(at_least(&met.beside, 40), "too little is said beside a client's query: {met:?}");
    Ok(())
}

struct World<'r> {
    pool: Pool,
    rows: Vec<Row<'r>>,
    table: &'static Table,
    met: Met,
}

impl World<'_> {
    fn decision(&self, choices: &mut Choices<'_>, first: usize) -> Result<(), String> {
        let denials: Vec<Expr> = (0..choices.below(3) / 2).map(|_| self.pool.condition(choices)).collect();
        let grants: Vec<Expr> = (0..1 + choices.below(4) / 3).map(|_| self.pool.condition(choices)).collect();
        let meant = sieve(denials.iter(), grants.iter());
        let server = Server::new(self.table, choices);
        let trusted = narrow(&meant, &server.table);
        let client = server.client(choices);
        let added = rest::add(&server.rest, &server.table, &trusted, &client);
        let odata = Odata::new(100, 1000).add(&server.table, &trusted, &client);
        if odata.exact && !odata.condition.is_empty() {
            more(&self.met.odata);
        }
        if meant.exact {
            more(&self.met.exact);
        }
        if trusted.exact {
            more(&self.met.trusted);
        }
        if !added.condition.is_empty() {
            more(&self.met.said);
        }
        if added.exact {
            more(&self.met.said_exactly);
        }
        if !added.condition.is_empty() && !client.filter.is_empty() {
            more(&self.met.beside);
        }
        let mut sent = client.clone();
        sent.filter = sent.filter.and(added.condition.clone());
        server.check(&client, &added)?;
        for row in self.rows.iter().skip(first).take(RECORDS) {
            let may_be_seen = judged(&denials, &grants, &row.slots);
            more(if may_be_seen { &self.met.chosen } else { &self.met.kept_back });
            let steps: [(&str, &dyn Fn() -> bool, bool, bool); 2] = [
                ("means", &|| Server::exact().passes(&meant.filter, row), meant.exact, row.is_declared),
                ("is trusted with", &|| server.passes(&trusted.filter, row), trusted.exact, server.holds(row)),
            ];
            let told = |what: &str, filter: &str| {
                let shown = |exprs: &[Expr]| exprs.iter().map(ToString::to_string).collect::<Vec<_>>();
                format!(
                    "{} on {:?} without {:?}: {may_be_seen}, but it {what} {filter}\n{server:?}",
                    row.raw,
                    shown(&grants),
                    shown(&denials)
                )
            };
            for (what, passes, exact, declared) in steps {
                let passes = passes();
                if may_be_seen && !passes || exact && declared && passes != may_be_seen {
                    return Err(told(what, &format!("{meant:?}, {trusted:?}")));
                }
            }
            let asked = server.finds(&client, row);
            let found = server.finds(&sent, row);
            let said = server.meets(&odata.condition, row);
            if may_be_seen && !said || odata.exact && server.holds(row) && said != may_be_seen {
                return Err(told("says in OData", &format!("{odata:?}")));
            }
            let wrong = asked && (may_be_seen && !found || added.exact && server.holds(row) && found != may_be_seen);
            if wrong || found && !asked {
                return Err(told("says", &format!("{added:?} beside {client:?}")));
            }
        }
        Ok(())
    }
}

/// No denial but is exactly false, and some grant exactly true.
fn judged(denials: &[Expr], grants: &[Expr], slots: &Slots<'_>) -> bool {
    let is = |expr: &Expr, truth: bool| match evaluate::of_record(expr, slots) {
        Ok(Value::Bool(value)) => value == truth,
        Ok(_) | Err(_) => false,
    };
    denials.iter().all(|denial| is(denial, false)) && grants.iter().any(|grant| is(grant, true))
}
