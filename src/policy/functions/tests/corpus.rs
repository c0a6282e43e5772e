//! The cases of the conformance corpus that need only literals, calls and operators.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value as Json;

use super::calls::{Stop, compute};
use crate::policy::functions::named;
use crate::policy::tests::corpus::{cases, folder, is_same, read};

/// How many of a file's cases must be read and hold, at least; what is not read has macros, members or indexes.
const FILES: [(&str, usize); 15] = [
    ("string", 51),
    ("string_ext", 213),
    ("math_ext", 199),
    ("network_ext", 69),
    ("encoders_ext", 4),
    ("conversions", 108),
    ("timestamps", 74),
    ("lists", 22),
    ("optionals", 13),
    ("fp_math", 30),
    ("integer_math", 64),
    ("comparisons", 323),
    ("basic", 30),
    ("logic", 21),
    ("plumbing", 5),
];

/// Cases that fail, and why they may.
const KNOWN: [(&str, &str); 5] = [
    ("toString_timestamp_nanos", "the calendar ends a day before, so that every instant has a date in every zone"),
    ("not_lt_dyn_int_big_lossy_double", "numbers are compared without rounding"),
    ("not_gt_dyn_big_double_int", "numbers are compared without rounding"),
    ("lte_dyn_big_double_int", "numbers are compared without rounding"),
    ("gte_dyn_int_big_lossy_double", "numbers are compared without rounding"),
];

#[test]
fn functions_conform_to_the_corpus() {
    let Some(folder) = folder() else { return };
    let (mut wrong, mut excused) = (Vec::new(), Vec::new());
    for (file, least) in FILES {
        let cases = cases(&folder, file);
        let (mut held, mut beyond) = (0, BTreeMap::new());
        for case in &cases {
            let (name, source) = (case["name"].as_str().unwrap(), case["expr"].as_str().unwrap());
            match judge(case, source) {
                Ok(()) => held += 1,
                Err(Judged::Beyond(what)) => *beyond.entry(what).or_insert(0) += 1,
                Err(Judged::Wrong(_)) if KNOWN.iter().any(|(known, _)| *known == name) => excused.push(name.to_owned()),
                Err(Judged::Wrong(got)) => {
                    wrong.push(format!("{file} {name}: {source}: {got}, not {}", case["expect"]))
                }
            }
        }
        println!("{file}: {held} of {} hold; not read: {beyond:?}", cases.len());
        if held < least {
            wrong.push(format!("{file}: only {held} were read and hold"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let listed: BTreeSet<_> = KNOWN.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(excused.into_iter().collect::<BTreeSet<_>>(), listed, "what no longer fails is no longer listed");
}

/// What the corpus calls that is no function: it needs the text of its arguments.
const MACROS: [&str; 17] = [
    "has",
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "filter",
    "map",
    "transformList",
    "transformMap",
    "optMap",
    "optFlatMap",
    "cel.bind",
    "cel.block",
    "cel.index",
    "cel.iterVar",
    "cel.iterVar2",
    "transformMapEntry",
];
/// What cases declare for themselves.
const DECLARED: [&str; 4] = ["fn", "f_unknown", "tuple", "sort"];

#[test]
fn every_function_that_the_corpus_calls_is_here() {
    let Some(folder) = folder() else { return };
    let mut unknown = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        // What is only parsed calls anything.
        if path.extension().is_none_or(|extension| extension != "json") || path.ends_with("parse.json") {
            continue;
        }
        let cases: Vec<Json> =
            serde_json::from_str(&fs::read_to_string(&path).expect("text")).expect("a list of cases");
        for case in cases.iter().filter(|case| case["proto"] != true) {
            unknown.extend(called(case["expr"].as_str().expect("an expression")).into_iter().filter(|name| {
                let last = name.rsplit('.').next().unwrap_or(name);
                let is_known = named(name).next().is_some() || named(last).any(|function| function.style.allows(true));
                !is_known && ![name.as_str(), last].iter().any(|name| MACROS.contains(name) || DECLARED.contains(name))
            }));
        }
    }
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Names before a parenthesis, outside of literals of text, with what stands before their dots.
fn called(source: &str) -> Vec<String> {
    let (mut names, mut name, mut quoted) = (Vec::new(), String::new(), None);
    let mut letters = source.chars();
    while let Some(c) = letters.next() {
        match (c, quoted) {
            ('\\', Some(_)) => drop(letters.next()),
            (c, Some(quote)) => quoted = Some(quote).filter(|quote| *quote != c),
            ('"' | '\'', None) => quoted = Some(c),
            ('(', None) if name.starts_with(char::is_alphabetic) => names.push(std::mem::take(&mut name)),
            (c, None) if c.is_alphanumeric() || c == '_' || (c == '.' && !name.is_empty()) => name.push(c),
            (_, None) => name.clear(),
        }
    }
    names
}

enum Judged {
    Beyond(&'static str),
    Wrong(String),
}

fn judge(case: &Json, source: &str) -> Result<(), Judged> {
    let mut variables = BTreeMap::new();
    for (name, value) in case["bindings"].as_object().into_iter().flatten() {
        variables.insert(name.clone(), read(value).ok_or(Judged::Beyond("binding"))?);
    }
    let outcome = match compute(source, &variables) {
        Err(Stop::Beyond(what)) => return Err(Judged::Beyond(what)),
        Err(Stop::Failed(failure)) => Err(failure),
        Ok(value) => Ok(value),
    };
    let holds = match (&outcome, &case["expect"]["value"], &case["expect"]["error"]) {
        (Err(_), Json::Null, Json::Array(_)) => true,
        (Ok(value), wanted @ Json::Object(_), Json::Null) => {
            let wanted = read(wanted).ok_or(Judged::Beyond("expectation"))?;
            is_same(value, &wanted)
        }
        (_, Json::Null, Json::Null) => return Err(Judged::Beyond("expectation")),
        _ => false,
    };
    if holds { Ok(()) } else { Err(Judged::Wrong(format!("{outcome:?}"))) }
}
