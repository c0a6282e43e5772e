//! Conditions judged in every way that there is, on generated expressions and records: by the interpreter with all facts in
//! place, folded first, as what is left prints, as a program over raw JSON, and by the `cel` crate's own interpreter.
//!
//! `SCRIM_DIFFERENTIAL_CASES` says how many pairs of an expression and a record are judged, `SCRIM_DIFFERENTIAL_SEED` from
//! where the choices start.

pub(super) mod choices;
pub(super) mod drawn;
pub(super) mod expressions;
mod oracle;
pub(super) mod records;

use std::cell::Cell;
use std::fmt;

use cel::{Context, ExecutionError};
use proptest::test_runner::{TestCaseError, TestError};

use super::corpus::is_same;
use super::support::{checked, put, rep};
use crate::policy::evaluate;
use crate::policy::ir::{Expr, Fact, Failure, Operator};
use crate::policy::program::Condition;
use crate::policy::residual::fold;
use crate::policy::slots::{Layout, Slots};
use crate::policy::types::{Kind, Typed};
use crate::policy::value::Value;
use choices::Choices;
use drawn::{from_a_seed, from_env, more, numbers, records, runner};
use expressions::Generator;
use records::Record;

const CASES: u64 = 4_000;
/// Judged by each expression.
const RECORDS: usize = 60;
/// From which those are taken.
const POOL: usize = 600;

/// What was met, for a run that would show nothing to be noticed.
#[derive(Default)]
struct Met {
    cases: Cell<u64>,
    told: Cell<u64>,
    values: Cell<u64>,
    refused: Cell<u64>,
    expressions: Cell<u64>,
    reprinted: Cell<u64>,
    unread: Cell<u64>,
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [cases, expressions, told, values] =
            [&self.cases, &self.expressions, &self.told, &self.values].map(Cell::get);
        let [reprinted, refused, unread] = [&self.reprinted, &self.refused, &self.unread].map(Cell::get);
        write!(
            f,
            "{cases} cases of {expressions} expressions ({refused} more were too large), {reprinted} of them printed and read again; "
        )?;
        write!(
            f,
            "{told} cases told to the oracle, {values} of them values, {unread} with a field that it is not told of"
        )
    }
}

#[test]
fn every_way_to_judge_a_record_says_the_same() {
    from_a_seed(from_env("SCRIM_DIFFERENTIAL_CASES").unwrap_or(CASES), run);
}

fn run(cases: u64, seed: u64) -> Result<(), String> {
    let mut runner = runner(cases.div_ceil(RECORDS as u64), seed);
    let records = records(&mut runner, POOL);
    let world = World { contexts: oracle::contexts(&records, &principal()), records, met: Met::default() };
    let outcome = runner.run(&(0..POOL - RECORDS, numbers(0..120)), |(first, choices)| {
        let text = Generator::new(Choices::new(&choices)).expression();
        world.expression(&text, first).map_err(TestCaseError::fail)
    });
    outcome.map_err(|wrong| match wrong {
        TestError::Fail(reason, _) | TestError::Abort(reason) => reason.message().to_owned(),
    })?;
    let met = &world.met;
    println!("{met}");
    let (all, told) = (met.cases.get(), met.told.get());
    assert!(all >= cases * 9 / 10, "too few expressions were judged: {met}");
    assert!(met.unread.get() <= told / 1000, "too much is not read: {met}");
    assert!(told >= all / 3 && met.values.get() >= told / 4, "too few cases say anything: {met}");
    Ok(())
}

/// Whose attributes are known, missing and null.
fn principal() -> crate::model::Principal {
    let mut principal = rep();
    principal.attributes.insert("team".into(), crate::model::Value::Null);
    principal
}

struct World {
    records: Vec<Record>,
    contexts: Vec<Option<Context<'static, 'static>>>,
    met: Met,
}

type Outcome = Result<Value, Failure>;

impl World {
    fn expression(&self, text: &expressions::Text, first: usize) -> Result<(), String> {
        let mut layout = Layout::default();
        let Some(typed) = expression(&text.ours, &mut layout).map_err(|wrong| format!("{}: {wrong}", text.ours))?
        else {
            more(&self.met.refused);
            return Ok(());
        };
        more(&self.met.expressions);
        let (expr, is_condition) = (typed.expr, typed.kind == Kind::Bool);
        let as_condition = |expr: Expr| if is_condition { Expr::Condition(expr.into()) } else { expr };
        let principal = principal();
        let (whole, folded) = put(&principal, "samples", "list", |question| {
            (substituted(&expr, &|fact| fold::known(fact, question)), fold::fold(&expr, question))
        });
        let program =
            Condition::new(if is_condition { folded.clone() } else { Expr::Condition(folded.clone().into()) });
        let printed = folded.to_string();
        let again = expression(&printed, &mut layout).ok().flatten();
        if again.is_some() {
            more(&self.met.reprinted);
        }
        let again = again.map(|again| as_condition(again.expr));
        let told = text.oracle.as_deref().map(oracle::compile);
        for (record, context) in self.records.iter().zip(&self.contexts).skip(first).take(RECORDS) {
            let slots = record.slots(&layout);
            let own = judged(&whole, &slots);
            if own == Err(Failure::Budget) {
                continue;
            }
            more(&self.met.cases);
            let on = |what: &str| format!("{} on {}: {own:?}, but {what}", text.ours, record.raw());
            let left = judged(&folded, &slots);
            if !same(&own, &left) {
                return Err(on(&format!("{left:?} of what is left: {folded}")));
            }
            if let Some(again) = &again
                && !same(&own, &judged(again, &slots))
            {
                return Err(on(&format!("{:?} of what it prints as: {printed}", judged(again, &slots))));
            }
            let (holds, truth) = (program.holds(Some(&slots), None), truth(&own));
            if holds.is_ok() != truth.is_ok() || holds.is_ok() && holds != truth {
                return Err(on(&format!("{holds:?} as a program: {folded}")));
            }
            let (Some(told), Some(context)) = (&told, context) else { continue };
            more(&self.met.told);
            let told = told.execute(context);
            match (&own, &told) {
                (_, Err(wrong)) if oracle::errs(wrong) => {}
                (Ok(own), Ok(told)) if oracle::agree(own, told) => more(&self.met.values),
                (Err(_), Err(_)) => {}
                // The same, hidden behind another error: to the oracle both sides of `||` fail, where one of ours holds.
                (Ok(_), Err(_)) if orders_what_is_no_number(&whole, &slots) => {}
                // What is beside null is not read, and so not found to be wrong.
                (Ok(_), Err(ExecutionError::NoSuchKey(name)))
                    if record.wrong.iter().any(|wrong| *wrong == name.as_str()) =>
                {
                    more(&self.met.unread);
                }
                _ => return Err(on(&format!("the oracle says {told:?}"))),
            }
        }
        Ok(())
    }
}

/// `Ok(None)`: larger than an expression may be. `Err`: no expression of a policy.
fn expression(source: &str, layout: &mut Layout) -> Result<Option<Typed>, String> {
    match checked("samples", source, layout) {
        Ok(typed) => Ok(Some(typed)),
        Err(wrong) if wrong.code == "cel-too-large" => Ok(None),
        Err(wrong) if ["at most", "more than"].iter().any(|limit| wrong.message.contains(limit)) => Ok(None),
        Err(wrong) => Err(format!("{wrong:?}")),
    }
}

/// With its facts in place, and otherwise as it is.
fn substituted(expr: &Expr, known: &impl Fn(&Fact) -> Result<Value, Failure>) -> Expr {
    match expr {
        Expr::Fact(fact) => known(fact).map_or_else(Expr::Fails, Expr::Constant),
        expr => expr.of_parts(&mut |part| substituted(part, known)),
    }
}

/// Whether something is compared in order with what is not a number, which CEL answers and the oracle does not.
fn orders_what_is_no_number(expr: &Expr, slots: &Slots<'_>) -> bool {
    use Operator::{Greater, GreaterOrEqual, Less, LessOrEqual};
    let is_none = |part: &Expr| matches!(judged(part, slots), Ok(Value::Double(number)) if number.is_nan());
    match expr {
        Expr::Binary(Less | LessOrEqual | Greater | GreaterOrEqual, a, b) if is_none(a) || is_none(b) => true,
        expr => expr.parts().any(|part| orders_what_is_no_number(part, slots)),
    }
}

fn judged(expr: &Expr, slots: &Slots<'_>) -> Outcome {
    evaluate::of_record(expr, slots)
}

fn truth(outcome: &Outcome) -> Result<bool, Failure> {
    match outcome {
        Ok(Value::Bool(truth)) => Ok(*truth),
        Ok(_) => Err(Failure::Type),
        Err(failure) => Err(*failure),
    }
}

fn same(a: &Outcome, b: &Outcome) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => is_same(a, b),
        (a, b) => a.is_err() && b.is_err(),
    }
}
