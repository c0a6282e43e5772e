//! The pages that the upstream serves, and what of them the caller may see.
//!
//! Of five rows two are the caller's own, two are of her region and come masked, one is hidden: of another region, or on
//! hold. What she must not see bears a marker, so that a leak can't be taken for speed.

use bytes::Bytes;
use serde_json::{Value, json};

/// In hidden rows, secret and undeclared fields, and in what a mask must hide.
const MARKER: &str = "UNSEEN";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Small,
    Large,
}

impl Size {
    pub(crate) const ALL: [Self; 2] = [Self::Small, Self::Large];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "4 KB",
            Self::Large => "30 KB",
        }
    }

    /// As it stands in the ratios' names.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Small => "4k",
            Self::Large => "30k",
        }
    }

    /// Each size is a tenant of its own: that is how one route of the upstream finds the page.
    pub(crate) fn tenant(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Small => 4 * 1024,
            Self::Large => 30 * 1024,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Own,
    Masked,
    Hidden,
}

impl Row {
    fn of(index: usize) -> Self {
        match index % 5 {
            0 | 3 => Self::Own,
            1 | 4 => Self::Masked,
            _ => Self::Hidden,
        }
    }
}

/// One document and how many rows of each kind are in it.
pub(crate) struct Page {
    pub(crate) size: Size,
    pub(crate) document: Bytes,
    pub(crate) rows: usize,
    own: usize,
    masked: usize,
}

impl Page {
    pub(crate) fn new(size: Size) -> Self {
        let mut records = Vec::new();
        let mut length = 0;
        while length < size.bytes() {
            let record = record(records.len(), size);
            length += record.to_string().len() + 1;
            records.push(record);
        }
        let count = |kind| (0..records.len()).filter(|index| Row::of(*index) == kind).count();
        let (rows, own, masked) = (records.len(), count(Row::Own), count(Row::Masked));
        let document = json!({ "data": records, "meta": { "total": 40 * rows } }).to_string().into();
        Self { size, document, rows, own, masked }
    }

    /// A list with row conditions is read page by page of the upstream until the client's page is full. The upstream here
    /// answers every page alike, so the client asks for as many rows as one of them shows: one fetch fills its page.
    pub(crate) fn list_target(&self) -> String {
        format!("/v1/contacts?limit={}", self.visible())
    }

    pub(crate) fn raw_target(&self) -> String {
        format!("/raw/{}.json", self.size.tenant())
    }

    pub(crate) fn upstream_target(&self) -> String {
        format!("/v1/contacts?app_id={}&limit={}", self.size.tenant(), self.rows)
    }

    pub(crate) fn visible(&self) -> usize {
        self.own + self.masked
    }

    /// Whether an answer is this page as the caller may see it.
    pub(crate) fn check_enforced(&self, body: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(body);
        if text.contains(MARKER) {
            return Err(format!("the enforced page of {} leaks", self.size.name()));
        }
        let answer: Value = serde_json::from_slice(body).map_err(|error| format!("not JSON ({error}): {text}"))?;
        let records = answer.get("data").and_then(Value::as_array).ok_or("no records")?;
        let text_of = |record: &Value, name: &str| {
            record.get(name).and_then(Value::as_str).map(str::to_owned).unwrap_or_default()
        };
        let own = |record: &&Value| record.get("amount").is_some() && !text_of(record, "email").contains("***@");
        let masked = |record: &&Value| {
            text_of(record, "email").contains("***@")
                && text_of(record, "phone").starts_with("***")
                && record.get("amount").is_none()
        };
        let found = (records.len(), records.iter().filter(own).count(), records.iter().filter(masked).count());
        let expected = (self.visible(), self.own, self.masked);
        if found != expected || self.own == 0 || self.masked == 0 {
            return Err(format!("the enforced page shows (all, own, masked) {found:?}, not {expected:?}: {text}"));
        }
        Ok(())
    }
}

/// A contact as a CRM keeps it, every declared field of it and two that nobody declared.
fn record(index: usize, size: Size) -> Value {
    const FIRST: [&str; 7] = ["Amara", "Bjorn", "Chiara", "Dmitri", "Elif", "Farid", "Gwen"];
    const LAST: [&str; 5] = ["Okafor", "Lindqvist", "Moretti", "van der Berg", "Yilmaz"];
    const COMPANIES: [&str; 4] = ["northwind.example", "contoso.example", "initech.example", "umbrella.example"];
    const STAGES: [&str; 3] = ["lead", "qualified", "customer"];
    let pick =
        |from: &'static [&'static str], step: usize| from.get(index * step % from.len()).copied().unwrap_or_default();
    let row = Row::of(index);
    let (first, last) = (pick(&FIRST, 3), pick(&LAST, 2));
    let (owner, region, marker, held) = match row {
        Row::Own => ("ann", "apac", "", false),
        Row::Masked => ("bob", "emea", MARKER, false),
        Row::Hidden if index.is_multiple_of(2) => ("bob", "amer", MARKER, false),
        Row::Hidden => ("ann", "emea", MARKER, true),
    };
    let name = if row == Row::Hidden { format!("{first} {last} {MARKER}") } else { format!("{first} {last}") };
    json!({
        "id": 100_000 + index * 17,
        "organization_id": "acme",
        "app_id": size.tenant(),
        "owner_id": owner,
        "account_id": if index.is_multiple_of(6) { Value::Null } else { json!(5_000 + index) },
        "name": name,
        "email": format!("{}{marker}.{}@{}", first.to_lowercase(), index, pick(&COMPANIES, 1)),
        "phone": format!("+49 30 55{:05}", index * 7_919 % 100_000),
        "birthday": format!("19{}-{:02}-{:02}", 60 + index % 40, 1 + index % 12, 1 + index % 28),
        "region": region,
        "stage": pick(&STAGES, 1),
        "amount": (index * 12_345) as f64 / 100.0,
        "legal_hold": held,
        "ssn": format!("{MARKER}-{:04}", index),
        "created_at": format!("2026-{:02}-{:02}T09:{:02}:00Z", 1 + index % 9, 1 + index % 28, index % 60),
        "lead_score": index * 31 % 100,
        "import_note": format!("{MARKER} batch {}", index / 10),
    })
}
