//! What holds for every answer: generated ones, cut ones, ones in pieces, and bytes at random.
//!
//! The oracle is slow and plain: it works on a `serde_json` tree, by the same rules as the judge of these tests.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::*;

mod schemas;

/// A small generator of its own, so that a failing case is one printed number.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize].clone()
    }

    fn any(&mut self, depth: u64) -> Json {
        match self.roll(if depth == 0 { 6 } else { 8 }) {
            0 => Json::Null,
            1 => json!(self.roll(2) == 0),
            2 => json!(self.roll(2000) as i64 - 1000),
            3 => json!((self.roll(4000) as f64 - 2000.0) / 4.0),
            4 => json!(self.pick(&["", "a \"b\" \\", "é😀\n", "]},{", "Mary Smith", "xy@example.com"])),
            5 => json!("2024-05-17T10:11:12Z"),
            6 => (0..self.roll(3)).map(|_| self.any(depth - 1)).collect(),
            _ => (0..self.roll(3)).map(|n| (format!("k{n}"), self.any(depth - 1))).collect::<Map<_, _>>().into(),
        }
    }

    fn record(&mut self, table: TableId, depth: u64) -> Json {
        let mut record = Map::new();
        let catalog = catalog();
        for field in catalog.table(table).fields.iter() {
            let value = match (&field.shape, &*field.name) {
                _ if self.roll(4) == 0 => continue,
                (_, "organization_id") => json!(self.pick(&["acme", "acme", "acme", "acme", "globex"])),
                (_, "state") => json!(self.pick(&["open", "open", "open", "open", "held", "closed", "lost"])),
                (_, "owner_id") => json!(self.pick(&["me", "you"])),
                (Shape::Plain(_), "amount") => json!(self.roll(2000) as i64 - 1000),
                (Shape::Plain(_), "tags") if self.roll(2) == 0 => json!(["a", "b"]),
                (Shape::One { table, .. }, _) if depth > 0 && self.roll(3) > 0 => self.record(*table, depth - 1),
                (Shape::Many { table }, _) if depth > 0 && self.roll(4) > 0 => {
                    (0..self.roll(4)).map(|_| self.record(*table, depth - 1)).collect()
                }
                _ => self.any(2),
            };
            record.insert(field.name.to_string(), value);
        }
        for name in ["x", "SSN", "Name ", ""] {
            if self.roll(3) == 0 {
                record.insert(name.to_owned(), self.any(2));
            }
        }
        record.into()
    }

    fn page(&mut self) -> Json {
        let records: Vec<Json> = (0..self.roll(5)).map(|_| self.record(CONTACTS, 4)).collect();
        let mut page = json!({ "data": records });
        for (name, value) in [("next", self.any(1)), ("debug", self.any(2))] {
            if self.roll(2) == 0 {
                page[name] = value;
            }
        }
        if self.roll(2) == 0 {
            page["meta"] = json!({ "total": self.any(1), "page": self.any(1), "other": 1 });
        }
        page
    }

    fn space(&mut self, out: &mut String) {
        for _ in 0..self.roll(6).saturating_sub(4) {
            out.push(self.pick(&[' ', '\n', '\t', '\r']));
        }
    }

    /// Prints a string in one of its many spellings.
    fn spell(&mut self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            if self.roll(8) == 0 || matches!(character, '"' | '\\') || character < ' ' {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    *out += &format!("\\u{unit:04x}");
                }
            } else {
                out.push(character);
            }
        }
        out.push('"');
    }

    /// Prints a document in one of its many spellings, members in any order.
    fn print(&mut self, value: &Json, out: &mut String) {
        self.space(out);
        match value {
            Json::String(text) => self.spell(text, out),
            Json::Array(items) => {
                out.push('[');
                for (number, item) in items.iter().enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    self.print(item, out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                let mut names: Vec<_> = members.keys().collect();
                for number in (1..names.len()).rev() {
                    names.swap(number, self.roll(number as u64 + 1) as usize);
                }
                for (number, name) in names.into_iter().enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    self.space(out);
                    self.spell(name, out);
                    self.space(out);
                    out.push(':');
                    self.print(&members[name], out);
                }
                out.push('}');
            }
            scalar => *out += &scalar.to_string(),
        }
        self.space(out);
    }
}

fn page_of(seed: u64) -> (Json, String) {
    let mut dice = Dice(seed);
    let page = dice.page();
    let mut body = String::new();
    dice.print(&page, &mut body);
    (page, body)
}

/// The record as it may be seen, or `None`.
fn seen(record: &Json, table: TableId, depth: usize) -> Option<Json> {
    let record = record.as_object().expect("records are objects");
    if record.get("organization_id") != Some(&json!("acme")) {
        return None;
    }
    let state = record.get("state");
    if state == Some(&json!("held")) || state == Some(&json!("closed")) {
        return None;
    }
    if table == CONTACTS && record.get("account").and_then(|a| a.get("state")) == Some(&json!("lost")) {
        return None;
    }
    let own = table != CONTACTS || record.get("owner_id") == Some(&json!("me"));
    let catalog = catalog();
    let mut shown = Map::new();
    for (name, value) in record {
        let Some(field) = catalog.table(table).field_named(name) else { continue };
        if ["ssn", "margin", "internal", "audit"].contains(&&**name) || !own && name == "prefs" {
            continue;
        }
        let value = match &catalog.table(table).field(field).shape {
            // Expanded are notes, and the account with its contacts and the account of these; nothing below.
            Shape::One { table, .. } if depth == 0 || depth == 2 => match value {
                Json::Null => Some(Json::Null),
                Json::Object(_) => Some(seen(value, *table, depth + 1).unwrap_or(Json::Null)),
                _ => None,
            },
            Shape::Many { table } if depth == 0 || depth == 1 && *table == CONTACTS => match value {
                Json::Array(items) if items.iter().all(Json::is_object) => {
                    let below = if *table == CONTACTS { 2 } else { 4 };
                    Some(items.iter().filter_map(|item| seen(item, *table, below)).collect())
                }
                _ => None,
            },
            Shape::One { .. } | Shape::Many { .. } => None,
            Shape::Plain(kind) => plain(name, value, kind, own),
        };
        if let Some(value) = value {
            shown.insert(name.clone(), value);
        }
    }
    Some(shown.into())
}

fn plain(name: &str, value: &Json, kind: &Type, own: bool) -> Option<Json> {
    if !own && name == "phone" {
        return Some(json!("hidden"));
    }
    if value.is_null() || !own && name == "tags" {
        return Some(Json::Null);
    }
    let right = match kind {
        Type::Int => value.is_number(),
        Type::Decimal => value.is_number(),
        Type::String | Type::Timestamp => value.is_string(),
        Type::List(_) => value.as_array().is_some_and(|items| items.iter().all(|i| i.is_string() || i.is_null())),
        _ => true,
    };
    let masked = match (own, name, value.as_str()) {
        _ if !right => return None,
        (false, "email", Some("xy@example.com")) => json!("x***@example.com"),
        (false, "email", Some("Mary Smith")) => json!("M*** S***"),
        (false, "email", Some("")) => json!("***"),
        (false, "email", Some("2024-05-17T10:11:12Z" | "]},{")) => json!("***"),
        (false, "email", Some("é😀\n")) => json!("é***"),
        (false, "email", Some("a \"b\" \\")) => json!("*** *** ***"),
        (false, "created_at", Some("2024-05-17T10:11:12Z")) => json!("2024-05-01T00:00:00Z"),
        (false, "created_at", Some(_)) => return None,
        (false, "amount", None) => json!((value.as_f64()? / 100.0).floor() as i64 * 100),
        _ => value.clone(),
    };
    Some(masked)
}

fn expected(page: &Json, exact: bool) -> Json {
    let all = page["data"].as_array().expect("a list");
    let records: Vec<Json> = all.iter().filter_map(|r| seen(r, CONTACTS, 0)).collect();
    let whole = records.len() == all.len();
    let mut shown = json!({ "data": records });
    let is_scalar = |value: &Json| !value.is_array() && !value.is_object();
    if let Some(next) = page.get("next").filter(|next| exact && whole && is_scalar(next)) {
        shown["next"] = next.clone();
    }
    if let Some(meta) = page.get("meta") {
        shown["meta"] = json!({});
        if is_scalar(&meta["page"]) {
            shown["meta"]["page"] = meta["page"].clone();
        }
        if exact && whole && meta["total"].is_number() {
            shown["meta"]["total"] = meta["total"].clone();
        }
    }
    shown
}

/// How many cases are tried: `SCRIM_CASES`, or few enough for every run of the tests.
fn cases(few: u32) -> u32 {
    std::env::var("SCRIM_CASES").map_or(few, |count| count.parse().expect("a number of cases"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(500), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shown_is_what_the_oracle_shows(seed: u64, exact: bool) {
        let (page, body) = page_of(seed);
        let (out, tally) = redact(&list(exact), body.as_bytes()).expect("readable");
        let out: Json = serde_json::from_str(&out).expect("valid JSON");
        prop_assert_eq!(&out, &expected(&page, exact), "{}", body);
        prop_assert_eq!(tally.kept as usize, out["data"].as_array().map_or(0, Vec::len));
    }

    #[test]
    fn pieces_of_an_answer_give_the_same_bytes_as_the_whole(seed: u64, cuts in prop::collection::vec(0usize..4000, 0..8)) {
        let (_, body) = page_of(seed);
        let whole = redact(&list(true), body.as_bytes()).expect("readable");
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (body.len() + 1)).collect();
        cuts.sort_unstable();
        match in_chunks(&list(true), body.as_bytes(), &cuts) {
            // The total had left when a record was dropped.
            Err(Unreadable::Count) => {
                prop_assert!(whole.1.kept < whole.1.scanned, "{}", body);
                prop_assert_eq!(in_chunks(&list(false), body.as_bytes(), &cuts), Ok(whole));
            }
            done => prop_assert_eq!(done, Ok(whole)),
        }
    }

    #[test]
    fn redacting_twice_is_redacting_once(seed: u64) {
        let (_, body) = page_of(seed);
        let (once, _) = redact(&list(true), body.as_bytes()).expect("readable");
        let (twice, tally) = redact(&list(true), once.as_bytes()).expect("readable");
        prop_assert_eq!(once, twice);
        prop_assert_eq!((tally.dropped, tally.foreign, tally.undeclared), (0, 0, 0));
    }

    #[test]
    fn bytes_at_random_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), seed: u64) {
        let _refused = redact(&list(true), &bytes).is_err();
        // A valid answer with a few bytes changed comes closer to what an attacker would send.
        let mut body = page_of(seed).1.into_bytes();
        for pair in bytes.chunks_exact(3).take(3) {
            let at = usize::from(pair[0]) << 8 | usize::from(pair[1]);
            let length = body.len();
            body[at % length] = pair[2];
        }
        let catalog = catalog();
        if let Ok((out, _)) = redact(&list(true), &body) {
            prop_assert!(serde_json::from_str::<Json>(&out).is_ok(), "{out}");
        }
        let _read = request::read(&body, catalog.table(CONTACTS), 32).is_ok();
        let _merged = request::merge(&body, &[("name", &bytes)], 32).is_ok();
        let _located = locate(&body, &place("data"), 32).is_ok();
    }
}

#[test]
fn an_answer_that_is_cut_anywhere_is_an_error() {
    // Each is cut at every byte.
    for seed in 0..u64::from(cases(500)).div_ceil(100).min(400) {
        let (_, body) = page_of(seed);
        let body = body.trim_end().as_bytes();
        for cut in 0..body.len() {
            let outcome = run(&list(true), None, &body[..cut]);
            assert!(outcome.is_err(), "seed {seed}, {cut} bytes: {outcome:?}");
            let outcome = in_chunks(&list(false), &body[..cut], &[cut / 2]);
            assert!(outcome.is_err(), "seed {seed}, {cut} bytes in two: {outcome:?}");
        }
    }
}
