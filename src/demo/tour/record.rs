//! What the audit log says of one exchange: the rules behind an answer, and what they did to it.

use serde_json::Value;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Record {
    reason: Option<String>,
    granted: Vec<String>,
    pub(super) denied: Vec<String>,
    pub(super) masked: Vec<String>,
    pub(super) removed: Vec<String>,
    dropped: u64,
}

impl Record {
    /// The outcome of a request, without the name of its own table before the fields. `None`: it is not in the log.
    pub(super) fn find(log: &str, request_id: &str) -> Option<Self> {
        let lines =
            || log.lines().filter(|line| line.contains(request_id)).filter_map(|line| serde_json::from_str(line).ok());
        let of = |kind: &str| lines().find(|line: &Value| line["kind"] == kind && line["request_id"] == request_id);
        let (intent, outcome) = (of("intent")?, of("outcome")?);
        let table = intent.get("table").and_then(Value::as_str).unwrap_or_default();
        let names = |member: &str| -> Vec<String> {
            let names = outcome.get(member).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            let own = |name: &str| name.strip_prefix(table).and_then(|rest| rest.strip_prefix('.')).map(str::to_owned);
            names.map(|name| own(name).unwrap_or_else(|| name.to_owned())).collect()
        };
        Some(Self {
            reason: outcome.get("reason").and_then(Value::as_str).map(str::to_owned),
            granted: names("rules_granted"),
            denied: names("rules_denied"),
            masked: names("fields_masked"),
            removed: names("fields_removed"),
            dropped: outcome.get("rows_dropped").and_then(Value::as_u64).unwrap_or_default(),
        })
    }

    /// The rules and what they did to rows, in words, leaving out what there is nothing of.
    pub(super) fn parts(&self) -> Vec<String> {
        let by = |what: &str, names: &[String]| format!("{what} by {}", names.join(", "));
        let mut parts = Vec::new();
        match &self.reason {
            Some(reason) if self.denied.is_empty() => parts.push(format!("refused: {reason}")),
            Some(reason) => parts.push(by(&format!("refused: {reason}"), &self.denied)),
            None if self.dropped > 0 => parts.push(format!("{} rows dropped", self.dropped)),
            None => {}
        }
        if !self.granted.is_empty() {
            parts.push(by("granted", &self.granted));
        }
        if self.reason.is_none() && !self.denied.is_empty() {
            parts.push(by("some denied", &self.denied));
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"kind":"intent","request_id":"1","table":"contacts"}
{"kind":"intent","request_id":"2","table":"deals"}
{"kind":"outcome","request_id":"2","reason":"denied","rules_denied":["won-deals-stay"],"rows_dropped":0}
{"kind":"outcome","request_id":"1","rules_granted":["own"],"fields_masked":["contacts.email"],"fields_removed":["accounts.name"],"rows_dropped":3}
"#;

    #[test]
    fn a_record_is_found_by_its_request_and_told_in_words() {
        let told = |id: &str| Record::find(LOG, id).map(|record| record.parts().join("; "));
        assert_eq!(told("1").as_deref(), Some("3 rows dropped; granted by own"));
        assert_eq!(told("2").as_deref(), Some("refused: denied by won-deals-stay"));
        assert_eq!(told("3"), None);
        let fields = Record::find(LOG, "1").map(|record| (record.masked, record.removed));
        assert_eq!(fields, Some((vec!["email".to_owned()], vec!["accounts.name".to_owned()])));
    }
}
