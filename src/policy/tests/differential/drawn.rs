//! What is drawn from one seed, which is printed: the run of a property, and the records that it judges.

use std::cell::Cell;
use std::ops::Range;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::choices::Choices;
use super::records::Record;
use crate::policy::parse::on_large_stack;

/// Choices that a record takes.
const RECORD: usize = 80;

pub(in crate::policy) fn more(of: &Cell<u64>) {
    of.set(of.get() + 1);
}

pub(in crate::policy) fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs from the seed that `SCRIM_DIFFERENTIAL_SEED` says, or from one of the clock.
pub(in crate::policy) fn from_a_seed(cases: u64, run: fn(u64, u64) -> Result<(), String>) {
    let seed =
        from_env("SCRIM_DIFFERENTIAL_SEED").unwrap_or_else(|| crate::clock::Clock::system().now().as_second() as u64);
    println!("seed {seed}");
    on_large_stack(|| run(cases, seed)).expect("no panic").unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
}

pub(in crate::policy) fn runner(cases: u64, seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(seed.to_be_bytes()).for_each(|(byte, of)| *byte = of);
    let config = ProptestConfig {
        cases: u32::try_from(cases).expect("not so many"),
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..ProptestConfig::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

pub(in crate::policy) fn numbers(count: Range<usize>) -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), count)
}

/// So many numbers, once.
pub(in crate::policy) fn draw(runner: &mut TestRunner, count: usize) -> Vec<u16> {
    numbers(count..count + 1).new_tree(runner).expect("numbers").current()
}

pub(in crate::policy) fn records(runner: &mut TestRunner, count: usize) -> Vec<Record> {
    draw(runner, RECORD * count).chunks(RECORD).map(|part| Record::new(&mut Choices::new(part))).collect()
}
