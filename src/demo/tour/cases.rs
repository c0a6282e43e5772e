//! What the tour asks and what it must get, worked out from the records of the CRM.
//!
//! Reading comes before writing, so that the promises are about the records as they were at the start.

use serde_json::{Value, json};

use crate::demo::data::{Row, Store, text};

pub(super) struct Case {
    pub(super) label: &'static str,
    pub(super) who: Option<&'static str>,
    pub(super) method: &'static str,
    pub(super) target: String,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) body: Option<Value>,
    pub(super) http2: bool,
    pub(super) status: u16,
    pub(super) expected: Vec<Expected>,
    pub(super) why: &'static str,
}

pub(super) enum Expected {
    /// These records and no others.
    Ids(Vec<Value>),
    Total(Option<u64>),
    /// JSON pointers that lead nowhere in any record.
    Absent(&'static [&'static str]),
    /// (record, JSON pointer, value)
    Is(Value, &'static str, Value),
    /// (record, JSON pointer, what it begins with, the clear text that it must not be)
    Starts(Value, &'static str, String, String),
    /// Columns that one record must not have.
    Hidden(Value, &'static [&'static str]),
    /// This denial is why, as the audit log has it.
    Denied(&'static str),
    /// The same bytes as an earlier answer.
    SameAs(&'static str),
    /// A column of the one record in the answer.
    Created(&'static str, Value),
}

/// Where a label stands; filled by the order below.
pub(super) fn position(label: &str) -> Option<usize> {
    all(&Store::seeded()).iter().position(|case| case.label == label)
}

fn case(
    who: Option<&'static str>,
    method: &'static str,
    target: impl Into<String>,
    status: u16,
    why: &'static str,
) -> Case {
    let (headers, expected) = (Vec::new(), Vec::new());
    Case { label: "", who, method, target: target.into(), headers, body: None, http2: false, status, expected, why }
}

impl Case {
    fn label(self, label: &'static str) -> Self {
        Self { label, ..self }
    }

    fn h2(self) -> Self {
        Self { http2: true, ..self }
    }

    fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn expect(mut self, expected: impl IntoIterator<Item = Expected>) -> Self {
        self.expected.extend(expected);
        self
    }
}

fn of<'a>(store: &'a Store, table: &str, organization: &'a str, app: &'a str) -> impl Iterator<Item = &'a Row> {
    store.rows(table).filter(move |row| text(row, "organization_id") == organization && text(row, "app_id") == app)
}

fn id(row: &Row) -> Value {
    row.get("id").cloned().unwrap_or_default()
}

fn first<'a>(mut rows: impl Iterator<Item = &'a Row>) -> &'a Row {
    rows.next().expect("the seeded records have one of each kind")
}

/// How a masked address begins.
fn masked(row: &Row) -> String {
    format!("{}***@", text(row, "email").chars().take(1).collect::<String>())
}

fn last4(row: &Row) -> Value {
    let phone = text(row, "phone");
    json!(format!("***{}", phone.get(phone.len().saturating_sub(4)..).unwrap_or_default()))
}

const CONTACTS: &str = "/v1/contacts?limit=100";
/// What no list of contacts ever holds.
const NEVER: &[&str] = &["/legacy_notes", "/account/legacy_notes", "/account/internal_note", "/account/credit_score"];

pub(super) fn all(store: &Store) -> Vec<Case> {
    let owner = |row: &Row| text(row, "owner_id").to_owned();
    let emea = |row: &Row| text(row, "region") == "EMEA";
    let shop = || of(store, "contacts", "acme", "shop");
    let has_phone = |row: &Row| !text(row, "phone").is_empty();
    let seen_by = |organization, who: &str| -> Vec<Value> {
        let mut team = store.reports_of(who);
        team.push(who.to_owned());
        of(store, "contacts", organization, "shop")
            .filter(|row| emea(row) || team.contains(&owner(row)))
            .map(id)
            .collect()
    };
    let everybody: Vec<Value> = shop().map(id).collect();
    let own = first(shop().filter(|row| owner(row) == "ana" && has_phone(row) && row["legal_hold"] == false));
    let regional = first(shop().filter(|row| owner(row) != "ana" && emea(row) && has_phone(row)));
    let on_hold = first(shop().filter(|row| owner(row) == "ana" && row["legal_hold"] == true));
    let unseen = first(shop().filter(|row| owner(row) != "ana" && !emea(row)));
    let foreign = first(of(store, "contacts", "globex", "shop"));
    let known = first(shop().filter(|row| row["ssn"].is_string() && has_phone(row)));
    let account = first(of(store, "accounts", "acme", "shop").filter(|row| owner(row) == "ana"));
    let won =
        first(of(store, "deals", "acme", "shop").filter(|row| owner(row) == "ana" && text(row, "stage") == "won"));
    let report = first(of(store, "reports", "acme", "shop").filter(|row| text(row, "folder") == "shared"));
    let accounts: Vec<Value> = of(store, "accounts", "acme", "shop")
        .filter(|row| {
            owner(row) == "ana" || emea(row) || text(row, "team") == "alpine" || text(row, "industry") == "energy"
        })
        .map(id)
        .collect();
    let reports = || of(store, "reports", "acme", "shop");
    let personal = |row: &Row| text(row, "folder") == "personal";
    let open: Vec<Value> = reports().filter(|row| owner(row) == "ana" || !personal(row)).map(id).collect();
    let colleagues = first(reports().filter(|row| owner(row) != "ana" && text(row, "folder") == "team"));
    let (ana, marta, sam, lea) = (Some("ana"), Some("marta"), Some("sam"), Some("lea"));
    let one = |row: &Row| format!("/v1/contacts/{}", id(row));
    let team = store.reports_of("marta");
    let public = store.rows("activities").filter(|row| team.contains(&owner(row)) && row["private"] == false);
    let public: Vec<Value> = public.map(id).collect();
    let desk: Vec<Value> = of(store, "contacts", "acme", "desk").filter(|row| emea(row)).map(id).collect();
    vec![
        case(ana, "GET", CONTACTS, 200, "her own in clear, her region's masked").h2().expect([
            Expected::Ids(seen_by("acme", "ana")),
            Expected::Total(None),
            Expected::Absent(&["/ssn", "/legacy_notes"]),
            Expected::Is(id(own), "/email", own["email"].clone()),
            Expected::Is(id(own), "/phone", own["phone"].clone()),
            Expected::Starts(id(regional), "/email", masked(regional), text(regional, "email").to_owned()),
            Expected::Is(id(regional), "/phone", last4(regional)),
            Expected::Hidden(id(regional), &["birthday", "amount", "owner_id", "legal_hold"]),
        ]),
        case(ana, "GET", one(own), 200, "her own contact, without the ssn")
            .expect([Expected::Ids(vec![id(own)]), Expected::Absent(&["/ssn", "/legacy_notes"])]),
        case(marta, "GET", CONTACTS, 200, "a manager sees her team's contacts").expect([
            Expected::Ids(seen_by("acme", "marta")),
            Expected::Total(None),
            Expected::Absent(&["/ssn"]),
        ]),
        case(sam, "GET", CONTACTS, 200, "support sees all, masked, and may count").h2().expect([
            Expected::Ids(everybody.clone()),
            Expected::Total(Some(everybody.len() as u64)),
            Expected::Starts(id(known), "/email", masked(known), text(known, "email").to_owned()),
            Expected::Is(id(known), "/phone", last4(known)),
            Expected::Is(id(known), "/ssn", json!("on file")),
            Expected::Absent(&["/amount", "/owner_id", "/legacy_notes"]),
        ]),
        case(Some("billing"), "GET", CONTACTS, 200, "a service account is bound to one tenant")
            .expect([Expected::Ids(everybody)]),
        case(Some("vic"), "GET", CONTACTS, 200, "another organisation, another world")
            .expect([Expected::Ids(seen_by("globex", "vic")), Expected::Absent(&["/ssn"])]),
        case(ana, "GET", format!("{CONTACTS}&expand=account"), 200, "a related record is judged by its own policy")
            .expect([Expected::Ids(seen_by("acme", "ana")), Expected::Absent(NEVER)]),
        case(ana, "GET", "/v1/accounts?limit=100", 200, "hers, her team's, region's, industry's")
            .expect([Expected::Ids(accounts), Expected::Absent(&["/internal_note", "/credit_score", "/legacy_notes"])]),
        case(ana, "GET", "/v1/reports?limit=100", 200, "all reports but others' personal ones")
            .expect([Expected::Ids(open), Expected::Absent(&["/query", "/legacy_notes"])]),
        case(marta, "GET", "/v1/activities?limit=100", 200, "private activities stay with their owners")
            .expect([Expected::Ids(public), Expected::Absent(&["/legacy_notes", "/account"])]),
        case(sam, "GET", "/v1/users?limit=100", 200, "colleagues, without addresses or hashes").h2().expect([
            Expected::Ids(of(store, "users", "acme", "shop").map(id).collect()),
            Expected::Total(Some(18)),
            Expected::Absent(&["/email", "/password_hash", "/legacy_notes"]),
        ]),
        case(ana, "GET", "/v1/debug/db", 404, "an undeclared route does not exist").label("nothing"),
        case(ana, "GET", "/v1/invoices", 404, "neither does this one").expect([Expected::SameAs("nothing")]),
        case(lea, "GET", CONTACTS, 404, "a hidden table looks the same").h2().expect([Expected::SameAs("nothing")]),
        case(ana, "GET", one(foreign), 404, "so does another tenant's record").expect([Expected::SameAs("nothing")]),
        case(ana, "GET", one(unseen), 404, "and a colleague's, out of her region")
            .expect([Expected::SameAs("nothing")]),
        case(ana, "GET", "/v1/contacts?ssn=SECRET", 400, "a hidden field cannot be guessed at").label("query"),
        case(ana, "GET", "/v1/contacts?shoe_size=42", 400, "a field that is not there: same bytes")
            .expect([Expected::SameAs("query")]),
        case(ana, "GET", "/v1/contacts?sort=email", 400, "an order would tell what a mask hides")
            .expect([Expected::SameAs("query")]),
        case(None, "GET", CONTACTS, 401, "no token").label("unknown"),
        case(Some("forger"), "GET", CONTACTS, 401, "a forged token: same bytes")
            .h2()
            .expect([Expected::SameAs("unknown")]),
        case(Some("max"), "GET", CONTACTS, 403, "two tenants, none chosen"),
        case(Some("max"), "GET", CONTACTS, 200, "two tenants, one chosen")
            .header("x-scrim-tenant", "acme/desk")
            .expect([Expected::Ids(desk), Expected::Total(None)]),
        case(lea, "GET", format!("/v1/reports/{}", id(report)), 403, "reading a report needs a second factor"),
        case(ana, "GET", CONTACTS, 403, "an export is granted apart from a list").header("accept", "text/csv"),
        case(ana, "PATCH", one(own), 200, "her own contact's amount, within the limit")
            .body(json!({ "amount": 4200.25 }))
            .expect([Expected::Created("amount", json!(4200.25)), Expected::Absent(&["/ssn", "/legacy_notes"])]),
        case(ana, "PATCH", one(own), 403, "an amount above what a rep may enter").body(json!({ "amount": 250_000.5 })),
        case(ana, "PATCH", one(own), 403, "a record cannot be moved to another tenant")
            .body(json!({ "organization_id": "globex" })),
        case(ana, "PATCH", one(on_hold), 403, "a legal hold denies what a grant allows")
            .body(json!({ "stage": "former" }))
            .expect([Expected::Denied("legal-hold")]),
        case(ana, "PATCH", format!("/v1/reports/{}", id(colleagues)), 200, "a colleague may edit what is public")
            .body(json!({ "title": "Tour" }))
            .expect([Expected::Created("title", json!("Tour")), Expected::Absent(&["/query", "/legacy_notes"])]),
        case(ana, "PATCH", format!("/v1/reports/{}", id(colleagues)), 403, "but not file it as personal")
            .body(json!({ "folder": "personal" })),
        case(ana, "POST", "/v1/deals", 201, "owner and stage are preset")
            .body(json!({ "title": "Tour", "amount": 1200.75, "region": "EMEA", "account_id": id(account) }))
            .expect([
                Expected::Created("owner_id", json!("ana")),
                Expected::Created("stage", json!("open")),
                Expected::Absent(&["/margin", "/legacy_notes"]),
            ]),
        case(ana, "DELETE", format!("/v1/deals/{}", id(won)), 403, "won deals stay, her own too")
            .expect([Expected::Denied("won-deals-stay")]),
    ]
}
