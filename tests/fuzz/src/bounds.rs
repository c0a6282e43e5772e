//! No input may take long or much memory. libFuzzer itself counts in seconds and in the whole process.
//!
//! Both are looked at closely only where an input was slow on the wall clock, so that the others cost nothing. A slow
//! machine is no fault of an input: what seems to hang is done again, and its processor time is what counts.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Processor time of all threads together, on one input.
const LIMIT: Duration = Duration::from_millis(100);
/// By which the process may grow on one input.
const GROWTH_KIB: u64 = 64 * 1024;
/// Nothing touches 64 MiB faster.
const SLOW: Duration = Duration::from_millis(2);
/// The corpus and the coverage of libFuzzer grow too, a little with each input.
const LOOK_EVERY: u64 = 256;
/// Of `utime` and `stime` in /proc, on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Does the work on one input.
pub fn bounded(work: impl Fn()) {
    static PEAK: AtomicU64 = AtomicU64::new(0);
    static INPUTS: AtomicU64 = AtomicU64::new(0);
    let start = Instant::now();
    work();
    let taken = start.elapsed();
    if taken > SLOW || INPUTS.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK_EVERY) {
        let peak = peak_kib();
        // What the system says of the peak is counted in batches by each core, and may fall a little.
        let before = PEAK.fetch_max(peak, Ordering::Relaxed);
        let growth = peak.saturating_sub(before);
        assert!(before == 0 || taken < SLOW || growth <= GROWTH_KIB, "{growth} KiB for one input");
    }
    if taken > LIMIT {
        let before = processor_time();
        work();
        let spent = processor_time() - before;
        assert!(spent <= LIMIT, "{spent:?} of processor time for one input");
    }
}

/// The most memory that the process ever held, `VmHWM` in proc_pid_status(5).
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a process has memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// `utime` and `stime` in proc_pid_stat(5), which stand behind the command's name in parentheses.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks: u32 =
        fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u32>().expect("a number")).sum();
    TICK * ticks
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::panic::catch_unwind;
    use std::thread;

    use super::*;

    #[test]
    fn what_takes_long_or_much_is_found_and_waiting_is_not() {
        let is_found = |work: fn()| catch_unwind(|| bounded(work)).is_err();
        assert!(!is_found(|| {}));
        assert!(!is_found(|| drop(black_box(vec![1_u8; 16 << 20]))));
        assert!(is_found(|| drop(black_box(vec![1_u8; 128 << 20]))));
        // To show where that was found takes memory, too, which is told of the next one.
        is_found(|| thread::sleep(2 * SLOW));
        assert!(!is_found(|| thread::sleep(LIMIT + SLOW)));
        assert!(is_found(|| {
            let start = processor_time();
            while processor_time() - start <= LIMIT + TICK {}
        }));
    }
}
