//! Timestamps and durations as text, and their parts: of an instant in UTC or in a named zone, of a duration as a whole.

use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use super::super::decode;
use super::super::ir::Failure;
use super::super::value::Value;
use super::signature::{Overload, Sort};
use super::{Function, Made};

const OF_INSTANT: &[Overload] =
    &[Overload::new(&[Sort::Timestamp], Sort::Int), Overload::new(&[Sort::Timestamp, Sort::String], Sort::Int)];
const OF_BOTH: &[Overload] = &[
    Overload::new(&[Sort::Timestamp], Sort::Int),
    Overload::new(&[Sort::Timestamp, Sort::String], Sort::Int),
    Overload::new(&[Sort::Duration], Sort::Int),
];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::method("getFullYear", OF_INSTANT, |of| part(of, |time| time.year().into())),
    // From 0.
    Function::method("getMonth", OF_INSTANT, |of| part(of, |time| i64::from(time.month()) - 1)),
    // From 1.
    Function::method("getDate", OF_INSTANT, |of| part(of, |time| time.day().into())),
    // From 0.
    Function::method("getDayOfMonth", OF_INSTANT, |of| part(of, |time| i64::from(time.day()) - 1)),
    // From Sunday, 0.
    Function::method("getDayOfWeek", OF_INSTANT, |of| part(of, |time| time.weekday().to_sunday_zero_offset().into())),
    // From 0.
    Function::method("getDayOfYear", OF_INSTANT, |of| part(of, |time| i64::from(time.day_of_year()) - 1)),
    // Of a duration: all of its hours, minutes or seconds, and its milliseconds beyond whole seconds.
    Function::method("getHours", OF_BOTH, |of| either(of, |time| time.hour().into(), SignedDuration::as_hours)),
    Function::method("getMinutes", OF_BOTH, |of| either(of, |time| time.minute().into(), SignedDuration::as_mins)),
    Function::method("getSeconds", OF_BOTH, |of| either(of, |time| time.second().into(), SignedDuration::as_secs)),
    Function::method("getMilliseconds", OF_BOTH, |of| {
        either(of, |time| time.millisecond().into(), |span| span.subsec_millis().into())
    }),
];

fn part(of: &[Value], read: fn(&ZonedDateTime) -> i64) -> Made {
    let (at, zone) = match of {
        [Value::Timestamp(at)] => (at, TimeZone::UTC),
        [Value::Timestamp(at), Value::String(name)] => (at, zone(name).ok_or(Failure::Range)?),
        _ => return Err(Failure::Type),
    };
    Ok(Value::Int(read(&at.to_zoned_datetime(zone))))
}

fn either(of: &[Value], read: fn(&ZonedDateTime) -> i64, whole: fn(&SignedDuration) -> i64) -> Made {
    match of {
        [Value::Duration(span)] => Ok(Value::Int(whole(span))),
        _ => part(of, read),
    }
}

/// A name of the IANA database that is built in, as what a policy means depends on no machine; or a fixed offset: `+hh:mm`,
/// where plus may be left out.
fn zone(name: &str) -> Option<TimeZone> {
    if name.contains(':') { offset(name).map(TimeZone::fixed) } else { TimeZoneDatabase::bundled().get(name).ok() }
}

fn offset(text: &str) -> Option<Offset> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str, below: i32| {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i32>().ok().filter(|number| is_plain && *number < below)
    };
    Offset::from_seconds(sign * (number(hours, 24)? * 3600 + number(minutes, 60)? * 60)).ok()
}

/// A time with its offset (RFC 3339, section 5.6, with its space for `T`; no leap seconds), or a date: the first instant
/// of its day in UTC. A time without an offset is no instant.
pub(super) fn read_timestamp(text: &str) -> Option<Timestamp> {
    const SHAPE: &str = "0000-00-00T00:00:00";
    let Some((time, rest)) = text.split_at_checked(SHAPE.len()) else {
        return decode::timestamp(text).filter(|_| text.len() == "0000-00-00".len());
    };
    let is_time = time.bytes().zip(SHAPE.bytes()).all(|(byte, of)| match of {
        b'0' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't' | b' '),
        of => byte == of,
    });
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            Some(zone).filter(|zone| zone.len() < fraction.len())?
        }
        None => rest,
    };
    let is_zone = matches!(zone, "Z" | "z") || (zone.starts_with(['+', '-']) && offset(zone).is_some());
    if is_time && is_zone && !time.ends_with("60") { text.parse().ok() } else { None }
}

/// In seconds, as CEL and JSON write it: `5400s`, `-1.5s`.
pub(super) fn span_text(span: SignedDuration) -> String {
    let sign = if span.is_negative() { "-" } else { "" };
    let span = span.unsigned_abs();
    let fraction = format!("{:09}", span.subsec_nanos());
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{}s", span.as_secs()),
        fraction => format!("{sign}{}.{fraction}s", span.as_secs()),
    }
}
