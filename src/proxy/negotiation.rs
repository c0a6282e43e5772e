//! What a client accepts (RFC 9110, section 12.5): a list as JSON or CSV, as it is or compressed.
//!
//! Reads the headers alone. What cannot be served is refused by the caller, once it is settled that there is something.

use http::{HeaderMap, HeaderName, header};

use crate::config::Coding;
use crate::model::Reason;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Csv,
    Xml,
}

/// How the body of an answer may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Compression {
    /// `None`: not at all.
    pub coding: Option<Coding>,
    /// Whether it may stay as it is where compressing it gains nothing.
    pub optional: bool,
}

/// A weight in thousandths.
type Weight = u16;
const FULL: Weight = 1000;

/// What an answer to a request with these headers is written in. `lists`: CSV is possible too; where a client likes both
/// the same, it gets JSON. `of_lines`: JSON has one record a line, which whoever asks for JSON alone gets, too.
///
/// Errors: `NotAcceptable`.
pub(super) fn format(headers: &HeaderMap, lists: bool, of_lines: bool) -> Result<Format, Reason> {
    let Some(accepted) = Accepted::of(headers) else { return Ok(Format::Json) };
    let names = if of_lines { &["json", "x-ndjson", "ndjson", "jsonl"][..] } else { &["json"] };
    let weights = names.iter().map(|name| accepted.weight("application", name, &|_| true));
    let json = weights.max().unwrap_or_default();
    let csv = if lists { accepted.weight("text", "csv", &|all| all.iter().all(|p| is_csv(p))) } else { 0 };
    match (json, csv) {
        (0, 0) => Err(Reason::NotAcceptable),
        (json, csv) if csv > json => Ok(Format::Csv),
        _ => Ok(Format::Json),
    }
}

/// What a document is written in that is XML unless JSON is liked better.
///
/// Errors: `NotAcceptable`.
pub(super) fn schema(headers: &HeaderMap) -> Result<Format, Reason> {
    let Some(accepted) = Accepted::of(headers) else { return Ok(Format::Xml) };
    let (xml, json) =
        (accepted.weight("application", "xml", &|_| true), accepted.weight("application", "json", &|_| true));
    match (xml, json) {
        (0, 0) => Err(Reason::NotAcceptable),
        (xml, json) if json > xml => Ok(Format::Json),
        _ => Ok(Format::Xml),
    }
}

/// Whether a value may be written as the text that it is. Errors: `NotAcceptable`.
pub(super) fn text(headers: &HeaderMap) -> Result<(), Reason> {
    let is_ours = |parameters: &[&str]| parameters.iter().all(|one| one.eq_ignore_ascii_case("charset=utf-8"));
    match Accepted::of(headers) {
        Some(accepted) if accepted.weight("text", "plain", &is_ours) == 0 => Err(Reason::NotAcceptable),
        _ => Ok(()),
    }
}

/// Whether an answer to a batch of several parts may be one. Errors: `NotAcceptable`.
pub(super) fn mixed(headers: &HeaderMap) -> Result<(), Reason> {
    match Accepted::of(headers) {
        Some(accepted) if accepted.weight("multipart", "mixed", &|_| true) == 0 => Err(Reason::NotAcceptable),
        _ => Ok(()),
    }
}

/// The ranges of an `Accept`: (range, parameters, weight).
struct Accepted<'h>(Vec<(&'h str, Vec<&'h str>, Weight)>);

impl<'h> Accepted<'h> {
    /// `None`: anything will do.
    fn of(headers: &'h HeaderMap) -> Option<Self> {
        let ranges: Vec<_> = elements(headers, &header::ACCEPT).filter_map(|element| weighed(element, true)).collect();
        (!ranges.is_empty() || headers.contains_key(header::ACCEPT)).then_some(Self(ranges))
    }

    fn weight(&self, kind: &str, subtype: &str, serves: &dyn Fn(&[&str]) -> bool) -> Weight {
        // The most specific range that matches decides (RFC 9110, section 12.5.1).
        let specific = |range: &str| match range.split_once('/') {
            Some((k, s)) if k.eq_ignore_ascii_case(kind) && s.eq_ignore_ascii_case(subtype) => Some(2),
            Some((k, "*")) if k.eq_ignore_ascii_case(kind) => Some(1),
            Some(("*", "*")) => Some(0),
            _ => None,
        };
        let matching = self.0.iter().filter(|(_, parameters, _)| serves(parameters));
        let best = matching.filter_map(|(range, _, weight)| Some((specific(range)?, *weight))).max();
        best.map_or(0, |(_, weight)| weight)
    }
}

/// Whether a parameter of `text/csv` is one that our answers have (RFC 7111, section 5.1).
fn is_csv(parameter: &str) -> bool {
    ["charset=utf-8", "header=present"].iter().any(|known| parameter.eq_ignore_ascii_case(known))
}

/// How the answer is compressed, with one of `offered`, the best first.
///
/// Errors: `NotAcceptable`, where the client takes neither any of them nor the bytes as they are.
pub(super) fn compression(headers: &HeaderMap, offered: &[Coding]) -> Result<Compression, Reason> {
    let accepted: Vec<(&str, Weight)> = elements(headers, &header::ACCEPT_ENCODING)
        .filter_map(|element| weighed(element, false))
        .map(|(name, _, weight)| (name, weight))
        .collect();
    let named = |name: &str| accepted.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, weight)| *weight);
    let others = named("*");
    // What is not mentioned is not accepted, but for the bytes as they are.
    let identity = named("identity").or(others.filter(|weight| *weight == 0));
    let mut best: Option<(Coding, Weight)> = None;
    for coding in offered {
        let weight = named(coding.name()).or(others).unwrap_or_default();
        if weight > best.map_or(0, |(_, weight)| weight) {
            best = Some((*coding, weight));
        }
    }
    let optional = identity != Some(0);
    match best {
        // Whoever says so gladly has it as it is.
        Some((_, weight)) if named("identity").is_some_and(|identity| identity > weight) => {
            Ok(Compression { coding: None, optional })
        }
        Some((coding, _)) => Ok(Compression { coding: Some(coding), optional }),
        None if optional => Ok(Compression { coding: None, optional }),
        None => Err(Reason::NotAcceptable),
    }
}

/// The elements of a list in all lines of a header. A line that is no text has none.
fn elements<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|element| !element.is_empty())
}

/// Name, parameters and weight of an element. `ends`: what follows the weight is an extension, and no parameter.
///
/// `None`: its weight is none (RFC 9110, section 12.4.2), so that it can't be told what it wants.
fn weighed(element: &str, ends: bool) -> Option<(&str, Vec<&str>, Weight)> {
    let mut parts = element.split(';').map(str::trim);
    let name = parts.next()?;
    let mut parameters = Vec::new();
    for part in parts {
        match part.split_once('=') {
            Some((key, value)) if key.eq_ignore_ascii_case("q") => return Some((name, parameters, weight(value)?)),
            _ if ends => parameters.push(part),
            _ => return None,
        }
    }
    Some((name, parameters, FULL))
}

/// `0`, `1`, or one with up to three digits after the point; no more than 1.
fn weight(text: &str) -> Option<Weight> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(whole, "0" | "1") || fraction.len() > 3 || !digits {
        return None;
    }
    let thousandths: Weight = format!("{fraction:0<3}").parse().ok()?;
    let found = if whole == "1" { FULL + thousandths } else { thousandths };
    (found <= FULL).then_some(found)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use Coding::{Gzip, Zstd};

    fn headers(name: HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name.clone(), HeaderValue::from_str(line).expect("a value"));
        }
        headers
    }

    #[test]
    fn the_most_specific_range_decides_and_json_wins_a_tie() {
        let (json, csv, neither) = (Ok(Format::Json), Ok(Format::Csv), Err(Reason::NotAcceptable));
        for (lines, found) in [
            (&[][..], json),
            (&["*/*"], json),
            (&["application/*"], json),
            (&["Application/JSON; charset=utf-8"], json),
            (&["text/csv"], csv),
            (&["text/*"], csv),
            (&["TEXT/CSV;charset=UTF-8; header=present"], csv),
            (&["text/csv;header=absent"], neither),
            (&["text/csv;charset=utf-16"], neither),
            (&["text/csv;charset=utf-16, */*;q=0.1"], json),
            (&["text/csv, application/json"], json),
            (&["text/csv", "application/json;q=0.9"], csv),
            (&["text/csv, */*;q=0.1"], csv),
            (&["text/csv;q=0.5, */*"], json),
            (&["text/csv;q=0, */*"], json),
            (&["application/json;q=0, */*"], csv),
            (&["application/json;q=0"], neither),
            (&["application/json;q=0.000, */*;q=0"], neither),
            (&["text/html"], neither),
            (&[""], neither),
            (&["application/json;q=2"], neither),
            (&["application/json;q=-1, text/csv;q=x"], neither),
            (&["text/csv;q=0.001"], csv),
        ] {
            assert_eq!(format(&headers(header::ACCEPT, lines), true, false), found, "{lines:?}");
        }
        assert_eq!(format(&headers(header::ACCEPT, &["text/csv"]), false, false), neither, "no list, no CSV");
        for (accept, found) in [("application/x-ndjson", json), ("application/json", json), ("text/html", neither)] {
            assert_eq!(format(&headers(header::ACCEPT, &[accept]), true, true), found, "lines for {accept}");
        }
        assert_eq!(format(&headers(header::ACCEPT, &["application/x-ndjson"]), true, false), neither);
        assert_eq!(format(&headers(header::ACCEPT, &["text/csv, */*;q=0.1"]), false, false), json);
    }

    #[test]
    fn a_schema_is_xml_unless_json_is_liked_better() {
        for (lines, found) in [
            (&[][..], Ok(Format::Xml)),
            (&["*/*"], Ok(Format::Xml)),
            (&["application/xml"], Ok(Format::Xml)),
            (&["application/json"], Ok(Format::Json)),
            (&["application/json, */*;q=0.1"], Ok(Format::Json)),
            (&["application/xml;q=0, */*"], Ok(Format::Json)),
            (&["text/html"], Err(Reason::NotAcceptable)),
            (&["application/xml;q=0"], Err(Reason::NotAcceptable)),
        ] {
            assert_eq!(schema(&headers(header::ACCEPT, lines)), found, "{lines:?}");
        }
    }

    #[test]
    fn weights_say_what_a_body_is_compressed_with() {
        let with = |coding, optional| Ok(Compression { coding, optional });
        for (lines, offered, found) in [
            (&[][..], &[Zstd, Gzip][..], with(None, true)),
            (&["gzip, deflate, br, zstd"], &[Zstd, Gzip], with(Some(Zstd), true)),
            (&["gzip, deflate, br, zstd"], &[Gzip, Zstd], with(Some(Gzip), true)),
            (&["gzip, zstd;q=0.9"], &[Zstd, Gzip], with(Some(Gzip), true)),
            (&["GZIP"], &[Zstd, Gzip], with(Some(Gzip), true)),
            (&["gzip"], &[], with(None, true)),
            (&["br"], &[Zstd, Gzip], with(None, true)),
            (&["gzip;q=0"], &[Gzip], with(None, true)),
            (&["gzip;q=0, *"], &[Gzip], with(None, true)),
            (&["*"], &[Zstd, Gzip], with(Some(Zstd), true)),
            (&["gzip;q=0.5, identity"], &[Gzip], with(None, true)),
            (&["gzip, identity;q=0.5"], &[Gzip], with(Some(Gzip), true)),
            (&["gzip, identity;q=0"], &[Gzip], with(Some(Gzip), false)),
            (&["gzip, *;q=0"], &[Zstd, Gzip], with(Some(Gzip), false)),
            (&["*;q=0, identity;q=0.1"], &[Gzip], with(None, true)),
            (&["gzip;q=1.1"], &[Gzip], with(None, true)),
            (&["gzip;level=9"], &[Gzip], with(None, true)),
            (&["identity;q=0"], &[Gzip], Err(Reason::NotAcceptable)),
            (&["*;q=0"], &[Gzip], Err(Reason::NotAcceptable)),
            (&["br", "identity;q=0"], &[Zstd, Gzip], Err(Reason::NotAcceptable)),
            (&["gzip, identity;q=0"], &[], Err(Reason::NotAcceptable)),
        ] {
            assert_eq!(
                compression(&headers(header::ACCEPT_ENCODING, lines), offered),
                found,
                "{lines:?} of {offered:?}"
            );
        }
    }
}
