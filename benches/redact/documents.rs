//! Answers as a CRM gives them: records of one shape whose values differ in kind, length, script and spelling.
//!
//! Four of five contacts may be seen, half of these with masks. What nobody may see bears a marker, so that a leak can't be
//! taken for speed.

use std::fmt::Write;

/// In hidden records, secret and undeclared fields, and in what a mask must hide.
pub(crate) const MARKER: &str = "UNSEEN";

const FIRST: [&str; 12] =
    ["Anna", "Zoë", "José", "Łukasz", "Marie", "Bob", "Иван", "田中", "Priya", "O'Neil", "Jean-Luc", "Tim"];
const LAST: [&str; 10] =
    ["Müller", "Smith", "García", "Kowalski", "Nguyen", "Johnson", "Петров", "Sharma", "Lefèvre", "Öztürk"];
const WORDS: [&str; 24] = [
    "asked",
    "about",
    "the renewal of",
    "their enterprise contract",
    "and",
    "a discount",
    "next quarter",
    r#"\"urgent\""#,
    r"path C:\\crm\\export",
    r"a line\nbreak",
    r"a tab\tthere",
    "déjà vu",
    "Grüße",
    "€ 1.200",
    "demo",
    "pricing",
    "legal review",
    r"\u00e9t\u00e9",
    "procurement",
    "budget approved",
    "the champion left",
    "😀",
    "security questionnaire",
    "onboarding",
];

/// xorshift64*: the same documents in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % sides
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        let number = self.roll(of.len() as u64) as usize;
        of.get(number).copied().unwrap_or_default()
    }
}

/// A list of at least so many bytes, with its envelope.
pub(crate) fn list(bytes: usize, pretty: bool) -> Vec<u8> {
    let mut dice = Dice(0x5C21_9F0B_77D1);
    let mut out = String::with_capacity(bytes + 4096);
    let (indent, between) = if pretty { ("\n      ", ",\n    ") } else { ("", ",") };
    out.push_str(if pretty {
        "{\n  \"object\": \"list\",\n  \"data\": [\n    "
    } else {
        r#"{"object":"list","data":["#
    });
    let mut count = 0;
    while count == 0 || out.len() < bytes {
        if count > 0 {
            out.push_str(between);
        }
        record(&mut dice, count, indent, &mut out);
        count += 1;
    }
    let tail =
        if pretty { "\n  ],\n  \"meta\": { \"limit\": 100, \"total\": " } else { r#"],"meta":{"limit":100,"total":"# };
    let _unlimited = write!(out, "{tail}{count}}}}}");
    out.into_bytes()
}

fn record(dice: &mut Dice, number: u64, indent: &str, out: &mut String) {
    let (first, last) = (dice.pick(&FIRST), dice.pick(&LAST));
    let kind = dice.roll(5);
    let hidden = kind == 0;
    let owner = if kind <= 2 { "u1".to_owned() } else { format!("u{}", 2 + dice.roll(40)) };
    let (a, b) = (dice.roll(1 << 40), dice.roll(1 << 40));
    out.push('{');
    let mut put = |name: &str, value: std::fmt::Arguments<'_>| {
        let comma = if out.ends_with('{') { "" } else { "," };
        let _unlimited = write!(out, "{comma}{indent}\"{name}\":{value}");
    };
    put("id", format_args!("\"rec_{a:010x}\""));
    put("object", format_args!("\"{MARKER}\""));
    put("organization_id", format_args!("\"{}\"", if hidden { "globex" } else { "acme" }));
    put("created_at", format_args!("\"2025-{:02}-{:02}T10:{:02}:07.123Z\"", 1 + a % 12, 1 + a % 28, b % 60));
    put("updated_at", format_args!("\"2026-{:02}-{:02}T11:{:02}:55.001Z\"", 1 + b % 12, 1 + b % 28, a % 60));
    put("region", format_args!("\"{}\"", dice.pick(&["emea", "emea", "amer", "apac"])));
    put("owner_id", format_args!("\"{owner}\""));
    put("team_id", format_args!("{}", dice.roll(40)));
    put("status", format_args!("\"{}\"", dice.pick(&["open", "won", "lost", "qualified"])));
    put(
        "stage",
        format_args!("\"{}\"", dice.pick(&["Discovery", "Proposal Sent", "Negotiation / Review", "Closed Won"])),
    );
    put("title", format_args!("\"{first} {} \\u2013 {} seats\"", dice.pick(&["Renewal", "Upsell"]), dice.roll(900)));
    put("name", format_args!("\"{}{first} {last}\"", if hidden { MARKER } else { "" }));
    put("email", format_args!("\"{}{}@corp.example\"", if kind > 2 { MARKER } else { "mail" }, dice.roll(99_999)));
    put("phone", format_args!("\"+49 30 {:07}\"", dice.roll(9_999_999)));
    put("ssn", format_args!("\"{MARKER}-{:02}-{:04}\"", b % 90, a % 9000));
    put("bank_account", format_args!("\"{MARKER}{b:018}\""));
    put("salary", format_args!("{}.{:02}", 30_000 + dice.roll(90_000), dice.roll(100)));
    put("amount", format_args!("{}", dice.roll(10_000_000)));
    put("currency", format_args!("\"EUR\""));
    put("probability", format_args!("0.{}", 1 + dice.roll(98)));
    put("external_ref", format_args!("{}", 9_007_199_254_740_993 + a));
    put("is_archived", format_args!("{}", a % 2 == 0));
    put("deleted_at", format_args!("null"));
    put("score", format_args!("-{}.{}e-3", dice.roll(100), dice.roll(1000)));
    let city = dice.pick(&["Berlin", "München", "Köln"]);
    let (street, zip, lat) = (dice.roll(200), dice.roll(99_999), dice.roll(999_999));
    put(
        "address",
        format_args!(
            r#"{{"street":"Hauptstraße {street}","city":"{city}","zip":"{zip:05}","country":"DE","geo":{{"lat":52.{lat:06},"lon":13.{zip:06}}}}}"#
        ),
    );
    let (x, y, by) = (dice.roll(99_999), dice.roll(99_999), dice.roll(99));
    put(
        "emails",
        format_args!(
            r#"[{{"type":"work","address":"x{x}@corp.example","primary":true,"verified_by":"agent-{by}"}},{{"type":"home","address":"y{y}@mail.example","primary":false,"verified_by":null}}]"#
        ),
    );
    put("tags", format_args!(r#"["{}","q{}"]"#, dice.pick(&["vip", "churn-risk", "partner"]), dice.roll(4)));
    let mut notes = String::new();
    for _ in 0..10 + dice.roll(14) {
        notes.push_str(dice.pick(&WORDS));
        notes.push(' ');
    }
    put("notes", format_args!("\"{notes}\""));
    let (industry, employees) = (dice.pick(&["Manufacturing", "SaaS", "Public Sector"]), dice.roll(90_000));
    put(
        "custom",
        format_args!(
            r#"{{"industry":"{industry}","employees":{employees},"arr":{x}.5,"source":"{}","gdpr":true,"ref":null}}"#,
            dice.pick(&["webinar", "referral", "cold call"])
        ),
    );
    put(
        "links",
        format_args!(
            r#"{{"self":"https://crm.example.com/{MARKER}/{number}","activities":"https://crm.example.com/{number}/activities?page=1"}}"#
        ),
    );
    put("version", format_args!("{}", dice.roll(90)));
    out.push('}');
}
