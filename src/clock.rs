//! The only reader of the time of day, so that tests can set it.
//!
//! Durations of phases are measured with `std::time::Instant` where they are needed; this is for `exp`, `now` and audit.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

#[derive(Clone, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands at `seconds` since the epoch until it is [`set`](Self::set).
    pub fn fixed(seconds: i64) -> Self {
        Self(Some(Arc::new(AtomicI64::new(seconds))))
    }

    /// Moves a fixed clock, in every clone; the system's clock is not moved.
    pub fn set(&self, seconds: i64) {
        if let Some(fixed) = &self.0 {
            fixed.store(seconds, Ordering::Relaxed);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the time of day")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            None => Timestamp::now(),
            Some(seconds) => Timestamp::from_second(seconds.load(Ordering::Relaxed)).unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Clock(fixed)" } else { "Clock(system)" })
    }
}
