//! Tests of raw timestamps and dates against a known instant.
//!
//! The form that APIs send (RFC 3339 with `T`, whole seconds or a fraction, and `Z` or an offset) is read here, for years
//! near ours; other spellings and far years are left to the interpreter. Far years have no part in differences either, so
//! that a difference computed here is one that the interpreter has no range error for.

use jiff::{SignedDuration, Timestamp};

/// Seconds of the Unix epoch and the part of a second after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    second: i64,
    nano: u32,
}

const SECOND: i128 = 1_000_000_000;
/// The first and the last year that are read.
const YEARS: std::ops::RangeInclusive<i64> = 1800..=2199;
const NEAR: std::ops::RangeInclusive<i64> = -5_364_662_400..=7_258_118_399;

impl Moment {
    /// `None` for what is far from our time.
    pub(super) fn new(instant: Timestamp) -> Option<Self> {
        let nanos = instant.as_nanosecond();
        let moment =
            Self { second: i64::try_from(nanos.div_euclid(SECOND)).ok()?, nano: nanos.rem_euclid(SECOND) as u32 };
        NEAR.contains(&moment.second).then_some(moment)
    }

    /// `None` where it leads far from our time.
    pub(super) fn plus(self, duration: SignedDuration) -> Option<Self> {
        let nanos = i128::from(self.second) * SECOND + i128::from(self.nano);
        let nanos = nanos.checked_add(duration.as_nanos())?;
        let second = i64::try_from(nanos.div_euclid(SECOND)).ok()?;
        NEAR.contains(&second).then_some(Self { second, nano: nanos.rem_euclid(SECOND) as u32 })
    }
}

/// How a field spells an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Timestamp,
    /// A day: its first instant in UTC.
    Date,
    /// Text that is one or the other.
    Either,
}

impl Format {
    /// `None`: not certain.
    pub(super) fn read(self, raw: &[u8]) -> Option<Moment> {
        let [b'"', year @ .., b'"'] = raw else { return None };
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, time @ ..] = year else { return None };
        let (year, month, day) = (pair(*y1, *y2)? * 100 + pair(*y3, *y4)?, pair(*m1, *m2)?, pair(*d1, *d2)?);
        let real = YEARS.contains(&year) && (1..=12).contains(&month) && (1..=days(year, month)).contains(&day);
        let midnight = real.then(|| day_number(year, month, day) * 86_400)?;
        match (self, time) {
            (Self::Date | Self::Either, []) => Some(Moment { second: midnight, nano: 0 }),
            (Self::Timestamp | Self::Either, [b'T', time @ ..]) => time_of_day(midnight, time),
            _ => None,
        }
    }
}

fn time_of_day(midnight: i64, time: &[u8]) -> Option<Moment> {
    let [h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = time else { return None };
    let (hour, minute, second) = (pair(*h1, *h2)?, pair(*m1, *m2)?, pair(*s1, *s2)?);
    let (nano, zone) = fraction(rest)?;
    let real = hour < 24 && minute < 60 && second < 60;
    let second = midnight + hour * 3600 + minute * 60 + second - offset(zone)?;
    real.then_some(Moment { second, nano })
}

/// The nanoseconds of `.123`, and what follows.
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let [b'.', digits @ ..] = text else { return Some((0, text)) };
    let (mut nanos, mut unit, mut rest) = (0, 100_000_000, digits);
    while let [digit @ b'0'..=b'9', more @ ..] = rest {
        if unit == 0 {
            return None;
        }
        nanos += u32::from(digit - b'0') * unit;
        unit /= 10;
        rest = more;
    }
    (rest.len() < digits.len()).then_some((nanos, rest))
}

/// Seconds east of Greenwich.
fn offset(zone: &[u8]) -> Option<i64> {
    match zone {
        [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (pair(*h1, *h2)?, pair(*m1, *m2)?);
            let seconds = (hours < 15 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
            match sign {
                b'+' => Some(seconds),
                // `-00:00` says that the offset is not known.
                _ => (seconds > 0).then_some(-seconds),
            }
        }
        _ => None,
    }
}

fn pair(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
}

fn days(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since the Unix epoch. The year is taken to begin in March, so that a leap day is its last.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
