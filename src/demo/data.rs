//! What the demo CRM knows: two organisations with two apps each, about 2,000 records, the same at every start.
//!
//! Every column that a caller must never see holds a marker, so that a leak is found by looking at bytes: `SECRET-` in
//! text, seven digits that begin with [`CREDIT_SCORE`] or [`MARGIN`] in numbers. Some columns are unknown to the API
//! description (`legacy_notes`). Records of all tenants are interleaved, as they are in a real table.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub const MARKER: &str = "SECRET-";
/// The lowest of the credit scores; no other number begins like them.
pub const CREDIT_SCORE: u64 = 7_700_001;
/// The lowest of the margins; no other number begins like them.
pub const MARGIN: u64 = 9_100_001;

/// (organization_id, app_id)
pub const TENANTS: [(&str, &str); 4] = [("acme", "shop"), ("acme", "desk"), ("globex", "shop"), ("globex", "desk")];

const USERS: usize = 18;
const ACCOUNTS: usize = 80;
const CONTACTS: usize = 96;
const DEALS: usize = 96;
const ACTIVITIES: usize = 176;
const REPORTS: usize = 40;

const REGIONS: [&str; 4] = ["EMEA", "NA", "APAC", "LATAM"];
const INDUSTRIES: [&str; 6] = ["retail", "energy", "health", "finance", "logistics", "public"];
/// One for each manager.
const TEAMS: [&str; MANAGERS] = ["alpine", "coastal", "metro"];
const STAGES: [&str; 4] = ["lead", "qualified", "customer", "former"];
const DEAL_STAGES: [&str; 5] = ["open", "qualified", "proposal", "won", "lost"];
const KINDS: [&str; 4] = ["note", "call", "email", "meeting"];
const FOLDERS: [&str; 3] = ["shared", "team", "personal"];
const MANAGERS: usize = 3;
const REPS: usize = 11;

/// (for ids and addresses, as written)
const FIRST: [(&str, &str); 24] = [
    ("zoe", "Zoë"),
    ("jonas", "Jonas"),
    ("aiko", "愛子"),
    ("priya", "Priya"),
    ("lukasz", "Łukasz"),
    ("noor", "Noor"),
    ("diego", "Diego"),
    ("ines", "Inês"),
    ("kwame", "Kwame"),
    ("sofia", "Sofía"),
    ("henrik", "Henrik"),
    ("mei", "Mei"),
    ("omar", "Omar"),
    ("claire", "Claire"),
    ("tariq", "Tariq"),
    ("freya", "Freya"),
    ("bruno", "Bruno"),
    ("anouk", "Anouk"),
    ("ravi", "Ravi"),
    ("elena", "Елена"),
    ("pablo", "Pablo"),
    ("greta", "Greta"),
    ("yusuf", "Yusuf"),
    ("hana", "Hana"),
];
const LAST: [(&str, &str); 17] = [
    ("mueller", "Müller"),
    ("tanaka", "Tanaka"),
    ("okafor", "Okafor"),
    ("silva", "Silva"),
    ("nowak", "Nowak"),
    ("haddad", "Haddad"),
    ("lindqvist", "Lindqvist"),
    ("sharma", "Sharma"),
    ("moreau", "Moreau"),
    ("oneill", "O'Neill"),
    ("rossi", "Rossi"),
    ("chen", "Chen"),
    ("ivanova", "Ivanova"),
    ("garcia", "García"),
    ("smith", "Smith"),
    ("vandermeer", "van der Meer"),
    ("costa", "Costa"),
];
const COMPANY: [&str; 10] = [
    "Nordwind",
    "Blue Harbor",
    "Kestrel",
    "Alpenglow",
    "Sakura",
    "Meridian",
    "Café Lumière",
    "Ironbark",
    "Solaris",
    "Tidal",
];
const TRADE: [&str; 8] = ["Foods", "Logistics", "Systems", "Energy", "Clinics", "Capital", "Textiles", "Robotics"];

pub type Row = Map<String, Value>;

/// A record and how often it was changed, which makes its ETag.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub version: u64,
    pub row: Row,
}

/// All tables. The order of a table is the order of its keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    pub tables: BTreeMap<&'static str, Vec<Stored>>,
}

impl Store {
    /// The same records at every call.
    pub fn seeded() -> Self {
        let mut store = Self { tables: BTreeMap::new() };
        let teams: Vec<Team> = (0..TENANTS.len()).map(Team::new).collect();
        let mut random = Random(0x5c71);
        store.fill("users", USERS, |tenant, n, _| teams.get(tenant).map(|team| user(team, tenant, n)));
        store.fill("accounts", ACCOUNTS, |tenant, n, id| {
            teams.get(tenant).map(|team| account(team, tenant, n, id, &mut random))
        });
        store.fill("contacts", CONTACTS, |tenant, n, id| {
            teams.get(tenant).map(|team| contact(team, tenant, n, id, &mut random))
        });
        store
            .fill("deals", DEALS, |tenant, n, id| teams.get(tenant).map(|team| deal(team, tenant, n, id, &mut random)));
        store.fill("activities", ACTIVITIES, |tenant, n, id| {
            teams.get(tenant).map(|team| activity(team, tenant, n, id))
        });
        store.fill("reports", REPORTS, |tenant, n, id| teams.get(tenant).map(|team| report(team, tenant, n, id)));
        store
    }

    fn fill(
        &mut self,
        table: &'static str,
        per_tenant: usize,
        mut make: impl FnMut(usize, usize, u64) -> Option<Value>,
    ) {
        let places = (0..per_tenant).flat_map(|n| (0..TENANTS.len()).map(move |tenant| (tenant, n)));
        let rows = places.zip(1..).filter_map(|((tenant, n), id)| match make(tenant, n, id) {
            Some(Value::Object(row)) => Some(Stored { version: 1, row }),
            _ => None,
        });
        self.tables.insert(table, rows.collect());
    }

    pub fn rows(&self, table: &str) -> impl Iterator<Item = &Row> {
        self.tables.get(table).into_iter().flatten().map(|stored| &stored.row)
    }

    pub fn find(&self, table: &str, key: &str) -> Option<&Stored> {
        self.tables.get(table)?.iter().find(|stored| is_key(&stored.row, key))
    }

    /// The ids of everybody below a manager, at any depth.
    pub fn reports_of(&self, manager: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut above = vec![manager.to_owned()];
        while let Some(next) = above.pop() {
            for row in self.rows("users").filter(|row| text(row, "manager_id") == next) {
                above.push(text(row, "id").to_owned());
                found.push(text(row, "id").to_owned());
            }
        }
        found.sort();
        found
    }
}

/// Whether a path segment names this record; ids are text in one table and numbers in the others.
pub fn is_key(row: &Row, key: &str) -> bool {
    match row.get("id") {
        Some(Value::String(id)) => id == key,
        Some(Value::Number(id)) => id.to_string() == key,
        _ => false,
    }
}

/// A text column, empty where it is null or missing.
pub fn text<'a>(row: &'a Row, column: &str) -> &'a str {
    row.get(column).and_then(Value::as_str).unwrap_or_default()
}

/// The users of a tenant: a vice president, managers below, representatives below them, and two other desks.
struct Team {
    ids: Vec<String>,
    names: Vec<String>,
}

impl Team {
    fn new(tenant: usize) -> Self {
        let (mut ids, mut names) = (Vec::new(), Vec::new());
        for n in 0..USERS {
            let (id, name) = named(tenant, n).map_or_else(
                || {
                    let place = tenant * USERS + n;
                    let (first, last) = (pick(&FIRST, place), pick(&LAST, place));
                    (format!("{}.{}", first.0, last.0), format!("{} {}", first.1, last.1))
                },
                |(id, name)| (id.to_owned(), name.to_owned()),
            );
            ids.push(id);
            names.push(name);
        }
        Self { ids, names }
    }

    fn id(&self, n: usize) -> &str {
        self.ids.get(n).map_or("", String::as_str)
    }

    fn rep(&self, n: usize) -> &str {
        self.id(1 + MANAGERS + n % REPS)
    }
}

/// The people that the tour plays.
fn named(tenant: usize, n: usize) -> Option<(&'static str, &'static str)> {
    match (tenant, n) {
        (0, 0) => Some(("petra", "Petra Lindholm")),
        (0, 1) => Some(("marta", "Marta Kowalczyk")),
        (0, 4) => Some(("ana", "Ana Duarte")),
        (0, 5) => Some(("max", "Max Weber")),
        (0, 15) => Some(("sam", "Sam Whitfield")),
        (0, 17) => Some(("lea", "Léa Fontaine")),
        (2, 4) => Some(("vic", "Vic Osei")),
        _ => None,
    }
}

fn user(team: &Team, tenant: usize, n: usize) -> Value {
    let (organization, app) = pick(&TENANTS, tenant);
    let (role, manager) = match n {
        0 => ("sales_manager", None),
        1..=3 => ("sales_manager", Some(team.id(0))),
        4..=14 => ("sales_rep", Some(team.id(1 + (n - 4) % MANAGERS))),
        15 | 16 => ("support", None),
        _ => ("analyst", None),
    };
    json!({
        "id": team.id(n),
        "organization_id": organization,
        "app_id": app,
        "name": team.names.get(n),
        "email": format!("{}@{organization}.example", team.id(n)),
        "role": role,
        "region": pick(&REGIONS, n % 4),
        "manager_id": manager,
        "password_hash": format!("SECRET-HASH-{tenant}{n:04}"),
        "legacy_notes": format!("SECRET-LEGACY-USER-{tenant}{n:04}"),
    })
}

fn account(team: &Team, tenant: usize, n: usize, id: u64, random: &mut Random) -> Value {
    let (organization, app) = pick(&TENANTS, tenant);
    let custom = match n % 5 {
        0 => json!({ "tier": "partner", "since": 2019 }),
        1 => json!({ "tier": "standard" }),
        2 => json!({ "tier": "standard", "tags": ["newsletter", "förderung"] }),
        _ => Value::Null,
    };
    json!({
        "id": id,
        "organization_id": organization,
        "app_id": app,
        "owner_id": team.rep(n),
        "name": format!("{} {}", pick(&COMPANY, n), pick(&TRADE, n / 10)),
        "industry": pick(&INDUSTRIES, n),
        "region": pick(&REGIONS, n),
        // Every ninth waits for a team.
        "team": (n % 9 != 8).then(|| pick(&TEAMS, n % REPS)),
        "annual_revenue": random.money(200_000, 6_000_000),
        "credit_score": CREDIT_SCORE + id,
        "internal_note": format!("SECRET-NOTE-{id:04}"),
        "custom": custom,
        "created_at": moment(n, 2023),
        "legacy_notes": format!("SECRET-LEGACY-ACCOUNT-{id:04}"),
    })
}

fn contact(team: &Team, tenant: usize, n: usize, id: u64, random: &mut Random) -> Value {
    let (organization, app) = pick(&TENANTS, tenant);
    let place = n * 5 + tenant * 31;
    let (first, last) = (pick(&FIRST, place), pick(&LAST, place + n / 24));
    let account = (n % 13 != 12).then_some((n * 7 + 3) % ACCOUNTS);
    let region = pick(&REGIONS, account.unwrap_or(n));
    let amount = if n % 10 == 9 { Value::Null } else { random.money(500, 90_000) };
    json!({
        "id": id,
        "organization_id": organization,
        "app_id": app,
        "owner_id": team.rep(n),
        "account_id": account.map(|account| key(account, tenant)),
        "name": format!("{} {}", first.1, last.1),
        "email": format!("{}.{}{n}@mail.example", first.0, last.0),
        "phone": (n % 12 != 7).then(|| phone(region, id)),
        "birthday": (n % 6 != 4).then(|| date(n * 3, 1961 + n % 40)),
        "region": region,
        "stage": pick(&STAGES, n),
        "amount": amount,
        "legal_hold": n % 17 == 5,
        "ssn": (n % 8 != 6).then(|| format!("SECRET-SSN-{id:04}")),
        "created_at": moment(n, 2024),
        "legacy_notes": format!("SECRET-LEGACY-CONTACT-{id:04}"),
    })
}

fn deal(team: &Team, tenant: usize, n: usize, id: u64, random: &mut Random) -> Value {
    let (organization, app) = pick(&TENANTS, tenant);
    let account = (n * 3 + 1) % ACCOUNTS;
    let stage = pick(&DEAL_STAGES, n);
    json!({
        "id": id,
        "organization_id": organization,
        "app_id": app,
        "owner_id": team.rep(n),
        "account_id": key(account, tenant),
        "title": format!("{} rollout {}", pick(&COMPANY, account), 1 + n / 10),
        "stage": stage,
        "amount": random.money(1_000, 400_000),
        "margin": number(format!("{}.37", MARGIN + id)),
        "region": pick(&REGIONS, account),
        "close_date": (stage == "won" || stage == "lost").then(|| date(n, 2025)),
        "legacy_notes": format!("SECRET-LEGACY-DEAL-{id:04}"),
    })
}

fn activity(team: &Team, tenant: usize, n: usize, id: u64) -> Value {
    let private = n % 4 == 1;
    let kind = pick(&KINDS, n);
    let body =
        if private { format!("SECRET-ACT-{id:04}") } else { format!("Talked about the {kind}, see minutes {n}.") };
    json!({
        "id": id,
        "owner_id": team.rep(n),
        "account_id": key(n % ACCOUNTS, tenant),
        "kind": kind,
        "subject": format!("{kind} {}", n + 1),
        "body": body,
        "private": private,
        "happened_at": moment(n, 2025),
        "legacy_notes": format!("SECRET-LEGACY-ACTIVITY-{id:04}"),
    })
}

fn report(team: &Team, tenant: usize, n: usize, id: u64) -> Value {
    let (organization, app) = pick(&TENANTS, tenant);
    json!({
        "id": id,
        "organization_id": organization,
        "app_id": app,
        "owner_id": team.rep(n),
        "folder": pick(&FOLDERS, n),
        "title": format!("{} contacts {}", pick(&REGIONS, n), 2020 + n % 6),
        "query": format!("region = '{}'", pick(&REGIONS, n)),
        "contact_count": CONTACTS / REGIONS.len(),
        "created_at": moment(n, 2025),
        "legacy_notes": format!("SECRET-LEGACY-REPORT-{id:04}"),
    })
}

/// The key that [`Store::fill`] gives to the n-th record of a tenant.
fn key(n: usize, tenant: usize) -> usize {
    n * TENANTS.len() + tenant + 1
}

fn pick<T: Copy>(list: &[T], n: usize) -> T {
    *list.iter().cycle().nth(n % list.len().max(1)).expect("the lists written here are not empty")
}

fn phone(region: &str, id: u64) -> String {
    let country = match region {
        "EMEA" => "+49 30",
        "NA" => "+1 415",
        "APAC" => "+81 3",
        _ => "+55 11",
    };
    format!("{country} 555 {:04}", 1000 + id)
}

fn date(n: usize, year: usize) -> String {
    format!("{year}-{:02}-{:02}", 1 + n % 12, 1 + n % 28)
}

fn moment(n: usize, year: usize) -> String {
    format!("{}T{:02}:{:02}:00Z", date(n, year), 8 + n % 10, n % 60)
}

fn number(digits: String) -> Value {
    serde_json::from_str(&digits).expect("digits and a point are a number")
}

/// SplitMix64: enough to look like business, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A decimal with two places, the last never zero, so that it is printed with both.
    fn money(&mut self, from: u64, to: u64) -> Value {
        let whole = from + self.next() % (to - from);
        let cents = 10 * (self.next() % 10) + 1 + self.next() % 9;
        number(format!("{whole}.{cents:02}"))
    }
}

#[cfg(test)]
mod tests;
