//! What was found as SARIF 2.1.0 (OASIS, sections 3.13 to 3.30), for code hosts and editors that show it beside the line.
//!
//! Rules are our codes, those that occur. Columns and offsets count characters, which the run says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{UNCHECKED, level, lines};
use crate::diagnostic::{Diagnostic, Span, codes};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// `policies`: whether policies were judged; where they were not, fewer results are no better ones.
pub(super) fn report(found: &[Diagnostic], policies: bool) -> serde_json::Result<String> {
    let mut rules: BTreeMap<&str, usize> = found.iter().map(|found| (found.code, 0)).collect();
    rules.values_mut().enumerate().for_each(|(index, at)| *at = index);
    let results: Vec<Value> = found.iter().map(|found| result(found, &rules)).collect();
    let notification = json!({ "level": "warning", "message": { "text": UNCHECKED } });
    let notifications: &[Value] = if policies { &[] } else { &[notification] };
    let driver = json!({
        "name": "scrim",
        "version": env!("CARGO_PKG_VERSION"),
        "rules": rules.keys().map(|code| rule(code)).collect::<Vec<_>>(),
    });
    serde_json::to_string_pretty(&json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": driver },
            "columnKind": "unicodeCodePoints",
            "invocations": [{ "executionSuccessful": true, "toolExecutionNotifications": notifications }],
            "results": results,
        }],
    }))
}

fn rule(code: &str) -> Value {
    json!({ "id": code, "shortDescription": { "text": codes::described(code).unwrap_or(code) } })
}

fn result(found: &Diagnostic, rules: &BTreeMap<&str, usize>) -> Value {
    let text = match &found.help {
        Some(help) => format!("{} (help: {help})", found.message),
        None => found.message.clone(),
    };
    let mut place = json!({ "artifactLocation": { "uri": uri(&found.span.source.path) } });
    // A file that can't be read has no places.
    if let (Some(place), false) = (place.as_object_mut(), found.span.source.text.is_empty()) {
        place.insert("region".to_owned(), region(&found.span));
    }
    json!({
        "ruleId": found.code,
        "ruleIndex": rules.get(found.code),
        "level": level(found.severity),
        "message": { "text": text },
        "locations": [{ "physicalLocation": place }],
    })
}

/// The end column is behind the last character (3.30.8); offsets are from 0 (3.30.9).
fn region(span: &Span) -> Value {
    let [line, column, end_line, end_column] = lines(span);
    let characters = |text: Option<&str>| text.unwrap_or_default().chars().count();
    json!({
        "startLine": line,
        "startColumn": column,
        "endLine": end_line,
        "endColumn": end_column,
        "charOffset": characters(span.source.text.get(..span.range.start)),
        "charLength": characters(span.source.text.get(span.range.clone())),
    })
}

/// A path as a URI reference (RFC 3986, section 4.2) without `.` and `..` where they can be left out.
fn uri(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match (part, parts.last()) {
            ("." | "", _) => {}
            ("..", Some(&last)) if last != ".." => {
                parts.pop();
            }
            (part, _) => parts.push(part),
        }
    }
    let encoded: Vec<String> = parts.into_iter().map(segment).collect();
    let start = if path.starts_with('/') { "file:///" } else { "" };
    format!("{start}{}", encoded.join("/"))
}

fn segment(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=@".contains(&byte);
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    part.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_uris_without_detours() {
        for (path, expected) in [
            ("config/../policies/contacts.yaml", "policies/contacts.yaml"),
            ("../a/./b.yaml", "../a/b.yaml"),
            ("../../x", "../../x"),
            ("/etc/scrim/a b.yaml", "file:///etc/scrim/a%20b.yaml"),
            ("pr\u{e9}cis: 1.yaml", "pr%C3%A9cis%3A%201.yaml"),
        ] {
            assert_eq!(uri(path), expected);
        }
    }
}
