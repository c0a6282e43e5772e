//! The rules that are measured, the policies that they are written in, and the records that they judge.

use std::fmt::Write;

use crate::world::{TABLES, table_name};

/// One kind of rule, as policies have them.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// As a policy says it.
    pub(crate) rows: &'static str,
    /// The same without what only policies know.
    pub(crate) cel: &'static str,
}

pub(crate) const SHAPES: [Shape; 8] = [
    Shape::new("owner", "record.owner_id == principal.id"),
    Shape::new("role_owner", "'sales_manager' in principal.roles || record.owner_id == principal.id"),
    Shape::new("list_amount", "record.stage in ['lead', 'qualified', 'won'] && record.amount < 100000.0"),
    Shape::new("tenant", "record.organization_id == tenant.organization_id && record.app_id == tenant.app_id"),
    Shape {
        rows: "now - record.created_at < duration('2160h')",
        ..Shape::new("age", "now - timestamp(record.created_at) < duration('2160h')")
    },
    Shape::new("has_nested", "has(record.custom.vip) && record.custom.vip == true"),
    Shape::new("ends_with", "record.email.endsWith('@example.com')"),
    Shape {
        rows: "shared",
        ..Shape::new("hierarchy", "record.owner_id == principal.id || record.owner_id in principal.reports")
    },
];

/// Of one table: grants and denials.
pub(crate) const RULES: usize = 13;
pub(crate) const MANY_RULES: usize = TABLES * 10;

const SHARING: &str = "sharing: { default: private, hierarchy: true }";

impl Shape {
    const fn new(name: &'static str, cel: &'static str) -> Self {
        Self { name, rows: cel, cel }
    }

    /// A policy of the table `rules` with this rule as its only grant.
    pub(crate) fn policy(&self, table: &str, actions: &str) -> String {
        let table = if table.is_empty() { "rules" } else { table };
        let mut text = format!("table: {table}\n{SHARING}\ngrants:\n");
        grant(&mut text, self.name, actions, self.rows, "clear: all");
        text
    }
}

fn grant(text: &mut String, name: &str, actions: &str, rows: &str, read: &str) {
    let head = format!("{{ name: {name}, roles: [sales_rep], actions: [{actions}]");
    writeln!(text, "  - {head}, rows: {rows:?}, read: {{ {read} }} }}").expect("text grows");
}

fn denial(text: &mut String, name: &str, rows: &str) {
    writeln!(text, "  - {{ name: {name}, actions: [list, read], rows: {rows:?} }}").expect("text grows");
}

/// Eleven grants and two denials on contacts; one of them reads the clock.
pub(crate) fn thirteen() -> String {
    let mut text = format!("table: contacts\n{SHARING}\ngrants:\n");
    for (number, shape) in SHAPES.iter().filter(|shape| shape.name != "tenant").enumerate() {
        let read = if number % 2 == 0 { "clear: all" } else { "clear: [id, name], partial: [email], last4: [phone]" };
        grant(&mut text, shape.name, "list, read", shape.rows, read);
    }
    for (name, rows) in [
        ("region", "record.region in principal.attributes.regions"),
        ("small", "record.amount == null || record.amount < 1000"),
        ("starts", "record.phone != null && record.phone.startsWith('+49')"),
        ("not_lost", "record.stage != 'lost' && !record.legal_hold"),
    ] {
        grant(&mut text, name, "list", rows, "clear: [id, stage]");
    }
    text.push_str("denials:\n");
    denial(&mut text, "hold", "record.legal_hold");
    denial(&mut text, "secret", "record.custom != null && has(record.custom.secret) && record.custom.secret == true");
    text
}

/// Ten rules for each table; one table in ten has a rule that reads the clock.
pub(crate) fn many_policies() -> Vec<String> {
    let policy = |number: usize| {
        let mut text = format!("table: {}\n{SHARING}\ngrants:\n", table_name(number));
        for place in 0..8 {
            let clock = place == 7 && number.is_multiple_of(10);
            let shapes = SHAPES.iter().filter(|shape| clock == (shape.name == "age"));
            let Some(shape) = shapes.cycle().nth(number + place) else { continue };
            grant(&mut text, &format!("grant_{place}"), "list, read", shape.rows, "clear: all, except: [phone]");
        }
        text.push_str("denials:\n");
        denial(&mut text, "hold", "record.legal_hold");
        denial(&mut text, "lost", "record.stage == 'lost' && record.region != 'emea'");
        text
    };
    (0..TABLES).map(policy).collect()
}

/// Records of which every rule holds for some.
pub(crate) fn records() -> Vec<String> {
    let record = |n: usize| {
        let pick = |words: &[&'static str]| words.get(n % words.len()).copied().unwrap_or_default();
        let owner = pick(&["user-0017", "user-0120", "user-0900", "user-0017", "user-0555"]);
        let (app, domain) = (pick(&["shop", "shop", "desk"]), pick(&["example.com", "mail.example.net"]));
        let stage = pick(&["lead", "lost", "won", "open"]);
        let amount = pick(&["1250.00", "250000.50", "99999.99", "12", "7300000"]);
        let created = pick(&["2025-06-01T08:30:00Z", "2024-01-15T17:05:09.123Z", "2025-05-20T00:00:00Z"]);
        let custom = pick(&[
            "{\"vip\":true,\"score\":7}",
            "{\"vip\":false}",
            "{\"score\":3,\"segment\":\"smb\",\"tags\":[\"a\",\"b\"]}",
        ]);
        format!(
            "{{\"id\":{n},\"organization_id\":\"acme\",\"app_id\":\"{app}\",\"owner_id\":\"{owner}\",\"name\":\"Contact number {n}\",\
             \"email\":\"contact.{n}@{domain}\",\"phone\":\"+49 30 1234567{n}\",\"stage\":\"{stage}\",\"region\":\"{}\",\
             \"amount\":{amount},\"legal_hold\":false,\"created_at\":\"{created}\",\"custom\":{custom},\"ssn\":\"123-45-{n:04}\",\
             \"notes\":\"met at the fair, wants an offer for the second quarter; call again after the holidays\",\
             \"updated_at\":\"2025-06-02T10:00:00Z\",\"created_by\":\"import\",\"source\":\"web\",\"language\":\"en\"}}",
            pick(&["emea", "apac", "latam", "na"]),
        )
    };
    (0..60).map(record).collect()
}
