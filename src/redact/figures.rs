//! Answers that hold no records but what many of them come to: read strictly, and written anew.
//!
//! Nothing passes but the values that were asked for, under the names that the client was promised: a member that nobody
//! asked for, one that is missing, one that is there twice and one that is not of its kind fail the whole answer.

use super::parts::{elements, members};
use super::{Frame, Unreadable, kind, text};
use crate::api::Place;
use crate::dialect::figures::{Column, Columns};
use crate::model::Name;
use crate::model::value::Type;

/// What an answer must look like.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Where the groups lie.
    pub groups: Place,
    pub columns: Columns,
    /// Of the values of each column, in their order.
    pub kinds: Vec<Kind>,
    /// Whether it is one group, of all records.
    pub single: bool,
    /// Groups beyond this are too many.
    pub most: usize,
    /// How many the service was asked for: more are no answer to that.
    pub limit: Option<usize>,
    /// Of an answer that has all of them: those that are told.
    pub window: Option<Window>,
    pub depth: usize,
}

/// Some of the groups, beside how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Where their number is told, at the head of the answer.
    pub total: Place,
    pub skip: usize,
    pub take: usize,
}

/// What a value may be.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A whole number from 0.
    Count,
    /// Any number, also in a string, or null.
    Number,
    /// Of a field's type, or null.
    Own(Type),
}

impl Kind {
    fn fits(&self, raw: &[u8]) -> bool {
        match self {
            Self::Count => {
                let inner = raw.strip_prefix(b"\"").and_then(|raw| raw.strip_suffix(b"\"")).unwrap_or(raw);
                let number = std::str::from_utf8(inner).ok().and_then(|digits| digits.parse::<u64>().ok());
                number.is_some_and(|number| number.to_string().as_bytes() == inner)
            }
            Self::Number => raw == b"null" || kind::is_number(raw) || kind::decimal(raw).is_some(),
            Self::Own(of) => raw == b"null" || kind::reads(of, raw),
        }
    }
}

/// An answer as it may leave.
#[derive(Debug, PartialEq, Eq)]
pub enum Figures {
    Whole {
        body: Vec<u8>,
        groups: u64,
    },
    /// There are more groups than may be told at once.
    TooMany,
}

/// Reads an answer that is there as a whole.
pub fn figures(expected: &Expected, body: &[u8]) -> Result<Figures, Unreadable> {
    let mut rest = body;
    for name in &expected.groups.0 {
        let mut found = None;
        for (member, value) in members(rest, expected.depth)? {
            if *member == *name.as_bytes() {
                found = Some(value);
            } else if !(expected.columns.annotated && member.contains(&b'@')) {
                return Err(Unreadable::Shape);
            } else if member.ends_with(b"nextLink") {
                return Ok(Figures::TooMany);
            }
        }
        rest = found.ok_or(Unreadable::Shape)?;
    }
    let groups = match elements(rest, expected.most, expected.depth) {
        Err(Unreadable::TooLarge) => return Ok(Figures::TooMany),
        groups => groups?,
    };
    if expected.single && groups.len() != 1 || expected.limit.is_some_and(|limit| groups.len() > limit) {
        return Err(Unreadable::Shape);
    }
    let all: Vec<Vec<&[u8]>> = groups.iter().map(|group| values(expected, group)).collect::<Result<_, _>>()?;
    let (skip, take) = expected.window.as_ref().map_or((0, usize::MAX), |window| (window.skip, window.take));
    let total = expected.window.as_ref().and_then(|window| window.total.0.first());
    let lead = total.and_then(|name| Some((&**name, i64::try_from(all.len()).ok()?)));
    let frame = Frame::List {
        records: expected.groups.clone(),
        totals: Vec::new(),
        keep: Vec::new(),
        echoes: Vec::new(),
        exact: true,
    };
    let mut out = frame.opening_with(lead.as_slice());
    let mut told = 0;
    for group in all.iter().skip(skip).take(take) {
        if told > 0 {
            out.extend_from_slice(frame.between());
        }
        write(expected, group, &mut out);
        told += 1;
    }
    out.extend_from_slice(&frame.closing());
    Ok(Figures::Whole { body: out, groups: told })
}

/// The values of one group, in the order of the columns.
fn values<'b>(expected: &Expected, group: &'b [u8]) -> Result<Vec<&'b [u8]>, Unreadable> {
    let columns = &expected.columns.all;
    let mut found: Vec<Option<&[u8]>> = vec![None; columns.len()];
    let mut take = |path: &[&[u8]], value: &'b [u8]| {
        let is_at = |column: &Column| column.at.iter().map(|name| name.as_bytes()).eq(path.iter().copied());
        let place = columns.iter().position(is_at).and_then(|at| found.get_mut(at)).ok_or(Unreadable::Shape)?;
        *place = Some(value);
        Ok(())
    };
    for (name, value) in members(group, expected.depth)? {
        if expected.columns.annotated && name.contains(&b'@') {
            continue;
        }
        let is_outer =
            |column: &Column| column.at.len() > 1 && column.at.first().is_some_and(|n| n.as_bytes() == &*name);
        if !columns.iter().any(is_outer) {
            take(&[&name], value)?;
            continue;
        }
        for (inner, value) in members(value, expected.depth)? {
            take(&[&name, &inner], value)?;
        }
    }
    let fits = |(value, kind): (Option<&'b [u8]>, &Kind)| value.filter(|raw| kind.fits(raw)).ok_or(Unreadable::Shape);
    found.into_iter().zip(&expected.kinds).map(fits).collect()
}

/// One group as the client was promised it.
fn write(expected: &Expected, values: &[&[u8]], out: &mut Vec<u8>) {
    let told: Vec<(&[Name], &[u8])> =
        expected.columns.all.iter().map(|column| column.told.as_slice()).zip(values.iter().copied()).collect();
    out.push(b'{');
    let mut written: Vec<&Name> = Vec::new();
    for (path, value) in &told {
        let Some((name, inner)) = path.split_first().filter(|(name, _)| !written.contains(name)) else { continue };
        if !written.is_empty() {
            out.push(b',');
        }
        written.push(name);
        text::escape(name, out);
        out.push(b':');
        if inner.is_empty() {
            out.extend_from_slice(value);
            continue;
        }
        // All that bears this name, where the first of it stands.
        out.push(b'{');
        let same = told.iter().filter(|(path, _)| path.first() == Some(name));
        for (number, (path, value)) in same.enumerate() {
            if number > 0 {
                out.push(b',');
            }
            text::escape(path.last().map_or("", |name| name), out);
            out.push(b':');
            out.extend_from_slice(value);
        }
        out.push(b'}');
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odata() -> Expected {
        let column = |at: &str, told: &str| Column { at: vec![at.into()], told: vec![told.into()] };
        Expected {
            groups: Place(vec!["value".into()]),
            columns: Columns {
                all: vec![column("stage", "stage"), column("figure0", "n"), column("figure1", "sum")],
                annotated: true,
            },
            kinds: vec![Kind::Own(Type::String), Kind::Count, Kind::Number],
            single: false,
            most: 3,
            limit: None,
            window: None,
            depth: 8,
        }
    }

    fn directus() -> Expected {
        let column = |names: &[&str]| Column::same(names.iter().map(|name| Name::from(*name)).collect());
        Expected {
            groups: Place(vec!["data".into()]),
            columns: Columns {
                all: vec![column(&["sum", "amount"]), column(&["count"]), column(&["sum", "rank"])],
                annotated: false,
            },
            kinds: vec![Kind::Number, Kind::Count, Kind::Number],
            single: true,
            ..odata()
        }
    }

    fn told(expected: &Expected, body: &str) -> Result<String, Option<Unreadable>> {
        match figures(expected, body.as_bytes()) {
            Ok(Figures::Whole { body, .. }) => Ok(String::from_utf8(body).expect("text")),
            Ok(Figures::TooMany) => Err(None),
            Err(unreadable) => Err(Some(unreadable)),
        }
    }

    #[test]
    fn groups_are_told_under_the_promised_names_and_without_annotations() {
        let body = r##"{"@odata.context":"$metadata#x(SECRET)","value":[
            {"@odata.id":null,"figure0":2,"stage":"w\u006fn","figure1":1.50,"figure1@odata.type":"#Decimal"},
            {"stage":null,"figure0":"3","figure1":"-7"}]}"##;
        let expected = r#"{"value":[{"stage":"w\u006fn","n":2,"sum":1.50},{"stage":null,"n":"3","sum":"-7"}]}"#;
        assert_eq!(told(&odata(), body), Ok(expected.to_owned()));
        assert_eq!(told(&odata(), r#"{"value":[]}"#), Ok(r#"{"value":[]}"#.to_owned()));
    }

    #[test]
    fn values_of_one_function_are_told_together() {
        let body = r#"{"data":[{"count":4,"sum":{"rank":null,"amount":"12.5"}}]}"#;
        let expected = r#"{"data":[{"sum":{"amount":"12.5","rank":null},"count":4}]}"#;
        assert_eq!(told(&directus(), body), Ok(expected.to_owned()));
    }

    #[test]
    fn whatever_was_not_asked_for_fails_the_answer() {
        let group = |more: &str| format!(r#"{{"value":[{{"stage":"a","figure0":1,"figure1":1{more}}}]}}"#);
        assert!(told(&odata(), &group("")).is_ok());
        for (body, error) in [
            (group(r#","ssn":"SECRET""#), Unreadable::Shape),
            (group(r#","figure2":1"#), Unreadable::Shape),
            (group(r#","stage":"b""#), Unreadable::Duplicate),
            (group(r#","\u0073tage":"b""#), Unreadable::Duplicate),
            (r#"{"value":[{"stage":"a","figure0":1}]}"#.to_owned(), Unreadable::Shape),
            (r#"{"value":[{"stage":"a","n":1,"sum":1}]}"#.to_owned(), Unreadable::Shape),
            (r#"{"value":[{"stage":{"SECRET":1},"figure0":1,"figure1":1}]}"#.to_owned(), Unreadable::Shape),
            (r#"{"value":[{"stage":7,"figure0":1,"figure1":1}]}"#.to_owned(), Unreadable::Shape),
            (r#"{"value":[{"stage":"a","figure0":-1,"figure1":1}]}"#.to_owned(), Unreadable::Shape),
            (r#"{"value":[{"stage":"a","figure0":1.0,"figure1":1}]}"#.to_owned(), Unreadable::Shape),
            (r#"{"value":[{"stage":"a","figure0":null,"figure1":1}]}"#.to_owned(), Unreadable::Shape),
            (r#"{"value":[{"stage":"a","figure0":1,"figure1":"SECRET"}]}"#.to_owned(), Unreadable::Shape),
            (r#"{"value":[{"stage":"a","figure0":1,"figure1":[1]}]}"#.to_owned(), Unreadable::Shape),
            (r#"{"value":[["a",1,1]]}"#.to_owned(), Unreadable::Shape),
            (r#"{"value":{"stage":"a"}}"#.to_owned(), Unreadable::Shape),
            (r#"{"value":[],"more":1}"#.to_owned(), Unreadable::Shape),
            ("[]".to_owned(), Unreadable::Shape),
            ("{}".to_owned(), Unreadable::Shape),
            (r#"{"value":[]} x"#.to_owned(), Unreadable::Trailing),
            (r#"{"value":["#.to_owned(), Unreadable::Incomplete),
        ] {
            assert_eq!(told(&odata(), &body), Err(Some(error)), "{body}");
        }
        for body in [
            r#"{"data":[]}"#,
            r#"{"data":[{"count":1,"sum":{"rank":1,"amount":1}},{"count":1,"sum":{"rank":1,"amount":1}}]}"#,
            r#"{"data":[{"count":1,"sum":{"rank":1,"amount":1,"ssn":1}}]}"#,
            r#"{"data":[{"count":1,"sum":{"rank":1}}]}"#,
            r#"{"data":[{"count":1,"sum":7}]}"#,
            r#"{"data":[{"count":{"a":1},"sum":{"rank":1,"amount":1}}]}"#,
            r#"{"data":[{"count":1,"sum":{"rank":1,"amount":1},"@x":1}]}"#,
        ] {
            assert_eq!(told(&directus(), body), Err(Some(Unreadable::Shape)), "{body}");
        }
    }

    #[test]
    fn what_was_cut_is_not_taken_for_all() {
        let group = r#"{"stage":"a","figure0":1,"figure1":1}"#;
        let body = format!(r#"{{"value":[{group},{group},{group},{group}]}}"#);
        assert_eq!(told(&odata(), &body), Err(None));
        let body = format!(r#"{{"value":[{group}],"@odata.nextLink":"contacts?$skiptoken=1"}}"#);
        assert_eq!(told(&odata(), &body), Err(None));
        // Whoever answers with more than was asked for has not understood it.
        let two = format!(r#"{{"value":[{group},{group}]}}"#);
        assert!(told(&Expected { limit: Some(2), ..odata() }, &two).is_ok());
        assert_eq!(told(&Expected { limit: Some(1), ..odata() }, &two), Err(Some(Unreadable::Shape)));
    }

    #[test]
    fn a_window_is_cut_out_of_all_groups_and_tells_how_many_they_are() {
        let group = |stage: &str| format!(r#"{{"stage":"{stage}","figure0":1,"figure1":1}}"#);
        let shown = |stage: &str| format!(r#"{{"stage":"{stage}","n":1,"sum":1}}"#);
        let body = format!(r#"{{"@odata.count":9,"value":[{},{},{}]}}"#, group("a"), group("b"), group("c"));
        let total = Place(vec!["@odata.count".into()]);
        for (skip, take, stages) in
            [(0, usize::MAX, &["a", "b", "c"][..]), (1, 1, &["b"]), (2, 5, &["c"]), (3, 1, &[]), (0, 0, &[])]
        {
            let window = Some(Window { total: total.clone(), skip, take });
            let all: Vec<String> = stages.iter().map(|stage| shown(stage)).collect();
            let expected = format!(r#"{{"@odata.count":3,"value":[{}]}}"#, all.join(","));
            assert_eq!(told(&Expected { window, ..odata() }, &body), Ok(expected), "{skip}, {take}");
        }
        // What isn't told is read as strictly.
        let broken = format!(r#"{{"value":[{},{{"stage":"b","ssn":1}}]}}"#, group("a"));
        let window = Some(Window { total, skip: 0, take: 1 });
        assert_eq!(told(&Expected { window, ..odata() }, &broken), Err(Some(Unreadable::Shape)));
    }
}
