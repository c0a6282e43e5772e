//! Tests of raw timestamps and dates against a known instant.
//!
//! The form that APIs send (RFC 3339 with `T`, whole seconds or a fraction, and `Z` or an offset) is read here, for years
//! near ours; other spellings and far years are left to the interpreter. Far years have no part in differences either, so
//! that a difference computed here is one that the interpreter has no range error for.

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};

/// Seconds of the Unix epoch and the part of a second after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    second: i64,
    nano: u32,
}

const SECOND: i128 = 1_000_000_000;
/// The seconds of the years that are read, 1800 to 2199.
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

/// A known instant, also as its second is spelled in UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    moment: Moment,
    second: Spelled,
}

impl Known {
    pub(super) fn new(moment: Moment) -> Option<Self> {
        let text = Timestamp::new(moment.second, 0).ok()?.to_string();
        Some(Self { moment, second: Spelled::read(text.as_bytes().first_chunk()?)? })
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
    pub(super) fn compare(self, raw: &[u8], known: &Known) -> Option<Ordering> {
        let [b'"', text @ .., b'"'] = raw else { return None };
        match text.split_first_chunk() {
            Some((time, rest)) if self != Self::Date => {
                let second = Spelled::read(time)?;
                let (nano, zone) = fraction(rest)?;
                // What is spelled alike has the order of the instants.
                if zone == b"Z" {
                    return Some(second.cmp(&known.second).then(nano.cmp(&known.moment.nano)));
                }
                let moment = Moment { second: second.since_epoch() - offset(zone)?, nano };
                Some(moment.cmp(&known.moment))
            }
            None if self != Self::Timestamp => {
                let mut midnight = *b"0000-00-00T00:00:00";
                let (day, _) = midnight.split_first_chunk_mut()?;
                *day = <[u8; 10]>::try_from(text).ok()?;
                Some(Spelled::read(&midnight)?.cmp(&known.second).then(0.cmp(&known.moment.nano)))
            }
            _ => None,
        }
    }
}

/// `YYYY-MM-DDTHH:MM:SS` in three words, which overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Spelled {
    month: u64,
    minute: u64,
    second: u64,
}

impl Spelled {
    /// `None` unless it is a time that exists, of a year that is read.
    fn read(text: &[u8; 19]) -> Option<Self> {
        let (month, rest) = text.split_first_chunk()?;
        let spelled = Self {
            month: u64::from_be_bytes(*month),
            minute: u64::from_be_bytes(*rest.first_chunk()?),
            second: u64::from_be_bytes(*text.last_chunk()?),
        };
        let formed = is_formed(spelled.month, *b"\0\0\0\0-\0\0-")
            && is_formed(spelled.minute, *b"\0\0T\0\0:\0\0")
            && is_formed(spelled.second, *b"\0\0:\0\0:\0\0");
        (formed && spelled.exists()).then_some(spelled)
    }

    fn exists(&self) -> bool {
        let (year, month, day) = (self.month >> 32, self.month >> 8 & 0xFFFF, self.minute >> 48);
        let (hour, minute, second) = (self.second >> 48, self.second >> 24 & 0xFFFF, self.second & 0xFFFF);
        (word(b"1800")..=word(b"2199")).contains(&year)
            && (word(b"01")..=word(b"12")).contains(&month)
            && day >= word(b"01")
            && (day <= word(b"28") || value(day) <= days(number(year), value(month)))
            && hour <= word(b"23")
            && minute <= word(b"59")
            && second <= word(b"59")
    }

    /// In seconds, in UTC.
    fn since_epoch(&self) -> i64 {
        let days = day_number(number(self.month >> 32), value(self.month >> 8), value(self.minute >> 48));
        days * 86_400 + value(self.second >> 48) * 3600 + value(self.second >> 24) * 60 + value(self.second)
    }
}

/// Whether digits and separators stand where they should; a zero stands for a digit.
#[inline]
fn is_formed(word: u64, separators: [u8; 8]) -> bool {
    let separators = u64::from_be_bytes(separators);
    let mut digits = 0;
    let mut at = 0;
    while at < 64 {
        if separators >> at & 0xFF == 0 {
            digits |= 0xFF << at;
        }
        at += 8;
    }
    let high = u64::from_ne_bytes([0xF0; 8]) & digits;
    let zeros = u64::from_ne_bytes([b'0'; 8]) & digits;
    let sixes = u64::from_ne_bytes([6; 8]) & digits;
    let numbers = word & digits;
    word & !digits == separators && numbers & high == zeros && (numbers + sixes) & high == zeros
}

fn word<const N: usize>(text: &[u8; N]) -> u64 {
    text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Of the last two digits of a word.
fn value(digits: u64) -> i64 {
    (digits >> 8 & 0xF) as i64 * 10 + (digits & 0xF) as i64
}

/// Of four digits.
fn number(digits: u64) -> i64 {
    value(digits >> 16) * 100 + value(digits)
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
