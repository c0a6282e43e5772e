//! Instructions in place of time: they are the same in every run, whoever else uses the machine.
//!
//! Valgrind runs this benchmark anew for one piece of work at a time, twice, with a different number of repetitions. What
//! the second run took more, by repetition, is what the work takes; all that is made ready first is in both and goes.

use std::process::Command;

/// The argument that makes this process do one piece of work, with the work's name and how often.
pub(crate) const WORK: &str = "--work";
const FEW: usize = 100;
const MANY: usize = 400;

/// Whether Valgrind is there to count.
pub(crate) fn can_be_counted() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Instructions of one repetition of a piece of work; `share` of the usual number of repetitions.
pub(crate) fn of(work: &str, share: usize) -> Result<f64, String> {
    let few = run(work, FEW / share)?;
    let many = run(work, MANY / share)?;
    Ok((many as f64 - few as f64) / ((MANY - FEW) / share) as f64)
}

fn run(work: &str, times: usize) -> Result<u64, String> {
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
    valgrind.arg(here).args(["--bench", WORK, work, &times.to_string()]);
    let output = valgrind.output().map_err(|error| format!("valgrind: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind, {work}: {told}"));
    }
    // ==123== I   refs:      12,345,678
    let total = told.lines().find_map(|line| line.split_once("refs:")).map(|(_, count)| count.replace([',', ' '], ""));
    total.and_then(|count| count.parse().ok()).ok_or_else(|| format!("valgrind told no count for {work}: {told}"))
}
