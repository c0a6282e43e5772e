//! The conformance corpus of CEL, judged by the expressions and the interpreter that policies are judged by.
//!
//! A front end of its own lowers what is parsed: every name is a binding whose type only its value knows. Each case is
//! judged as it is, folded, and as it prints; all three must agree. What fails is listed with its reason in
//! `tests/conformance/cel.txt`, and what no longer fails may not be listed.

mod lower;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::corpus::{cases, folder, is_same, read};
use crate::policy::evaluate;
use crate::policy::ir::{Expr, Failure};
use crate::policy::parse::on_large_stack;
use crate::policy::residual::fold;
use crate::policy::value::Value;

const FILES: [&str; 26] = [
    "basic",
    "bindings_ext",
    "block_ext",
    "comparisons",
    "conversions",
    "dynamic",
    "encoders_ext",
    "enums",
    "fields",
    "fp_math",
    "integer_math",
    "lists",
    "logic",
    "macros",
    "macros2",
    "math_ext",
    "namespace",
    "network_ext",
    "optionals",
    "parse",
    "plumbing",
    "proto2",
    "string",
    "string_ext",
    "timestamps",
    "type_deduction",
];
const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/cel.txt");
const CASES: usize = 1757;
const LEAST: usize = 1650;

#[test]
fn conditions_conform_to_cel() {
    let Some(folder) = folder() else { return };
    let list = std::fs::read_to_string(LIST).expect("the list of what fails");
    let listed: BTreeMap<&str, &str> = list
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(": ").expect("a case and its reason"))
        .collect();
    let judged = on_large_stack(|| {
        let all = FILES.iter().flat_map(|file| cases(&folder, file).into_iter().map(move |case| (*file, case)));
        all.map(|(file, case)| {
            let name = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
            (format!("{file}/{}/{}", name("section"), name("name")), judge(&case))
        })
        .collect::<Vec<_>>()
    });
    let judged = judged.expect("no case makes it panic");
    assert_eq!(judged.len(), CASES);
    let failed: BTreeMap<&str, &str> =
        judged.iter().filter_map(|(name, outcome)| Some((name.as_str(), outcome.as_ref().err()?.as_str()))).collect();
    println!("{} of {CASES} cases hold", CASES - failed.len());
    let news: Vec<String> = failed
        .iter()
        .filter(|(name, _)| !listed.contains_key(*name))
        .map(|(name, why)| format!("{name}: {why}"))
        .collect();
    assert!(news.is_empty(), "not listed:\n{}", news.join("\n"));
    let holding: BTreeSet<_> = listed.keys().filter(|name| !failed.contains_key(*name)).collect();
    assert!(holding.is_empty(), "listed, and they hold: {holding:?}");
    assert!(CASES - failed.len() >= LEAST, "only {} hold", CASES - failed.len());
}

/// `Err` says in which way it fails.
fn judge(case: &Json) -> Result<(), String> {
    let source = case["expr"].as_str().expect("an expression");
    let container = case["container"].as_str().unwrap_or_default();
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for (name, value) in case["bindings"].as_object().into_iter().flatten() {
        names.push(name.clone());
        values.push(read(value).ok_or("a binding that is no value here")?);
    }
    let wanted = match (&case["expect"]["value"], &case["expect"]["error"]) {
        (wanted @ Json::Object(_), Json::Null) => Some(read(wanted).ok_or("a result that is no value here")?),
        (Json::Null, Json::Array(_)) => None,
        _ => return Err("neither a value nor an error is expected".to_owned()),
    };
    let expr = match lower::lower(source, container, &names) {
        Ok(expr) => expr,
        // What is no expression fails, as the case may want.
        Err(wrong) => return if wanted.is_none() { Ok(()) } else { Err(wrong) },
    };
    let outcome = evaluate::with_variables(&expr, values.clone(), evaluate::MAX_STEPS);
    let agrees = match (&outcome, &wanted) {
        (Ok(value), Some(wanted)) => is_same(value, wanted),
        (Err(failure), None) => *failure != Failure::Budget,
        _ => false,
    };
    if !agrees {
        return Err(format!("{source} is {outcome:?}"));
    }
    let folded = fold::simplify(&expr);
    same(&folded, &values, &outcome).map_err(|got| format!("{source} folds to {folded}, which is {got}"))?;
    let printed = folded.to_string();
    let places: Vec<String> = (0..names.len()).map(|place| format!("x{place}")).collect();
    let again =
        lower::lower(&printed, "", &places).map_err(|wrong| format!("{source} prints as {printed}: {wrong}"))?;
    same(&again, &values, &outcome).map_err(|got| format!("{source} prints as {printed}, which is {got}"))
}

fn same(expr: &Expr, values: &[Value], outcome: &Result<Value, Failure>) -> Result<(), String> {
    let got = evaluate::with_variables(expr, values.to_vec(), evaluate::MAX_STEPS);
    let agrees = match (&got, outcome) {
        (Ok(got), Ok(value)) => is_same(got, value),
        (got, outcome) => got.is_err() && outcome.is_err(),
    };
    if agrees { Ok(()) } else { Err(format!("{got:?}")) }
}
