//! A catalog like the demo's, principals, and questions in a line each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use crate::api::*;
use crate::config::PrincipalSchema;
use crate::diagnostic::{Diagnostic, Source};
use crate::model::value::Type;
use crate::model::{Action, Method, Name, Principal, Reason, RequestFacts, TenantScope, Value};
use crate::policy::types::{Phase, Scope, Typed};
use crate::policy::*;
use crate::yaml::Text;

/// `name:type`, `?` for nullable, `!` for secret; `name>table:by` is to-one, `name*table` to-many.
const TABLES: [(&str, &str, &str); 12] = [
    (
        "users",
        "",
        "id:string organization_id:string app_id:string name:string email:string role:string region:string manager_id:string? password_hash:string!",
    ),
    (
        "accounts",
        "owner_id",
        "id:int organization_id:string app_id:string owner_id:string name:string industry:string region:string team:string? annual_revenue:decimal credit_score:int! internal_note:string! custom:json? created_at:timestamp flag:bool? scores:list(int) labels:map(string)",
    ),
    (
        "contacts",
        "owner_id",
        "id:int organization_id:string app_id:string owner_id:string account_id:int? name:string email:string phone:string? birthday:date? region:string stage:string amount:decimal? legal_hold:bool ssn:string?! created_at:timestamp account>accounts:account_id notes*activities",
    ),
    (
        "deals",
        "owner_id",
        "id:int organization_id:string app_id:string owner_id:string account_id:int title:string stage:string amount:decimal margin:decimal! region:string close_date:date? account>accounts:account_id",
    ),
    (
        "activities",
        "owner_id",
        "id:int owner_id:string account_id:int kind:string subject:string body:string private:bool happened_at:timestamp account>accounts:account_id",
    ),
    (
        "reports",
        "owner_id",
        "id:int organization_id:string app_id:string owner_id:string folder:string title:string query:string contact_count:int created_at:timestamp",
    ),
    ("things", "", "id:int organization_id:string app_id:string qty:int region:string name:string custom:json?"),
    ("currencies", "", "id:string name:string"),
    ("flags", "", "id:int organization_id:string app_id:string key:string"),
    (
        "samples",
        "",
        "id:int organization_id:string app_id:string qty:int price:double amount:decimal? name:string note:string? active:bool vip:bool? at:timestamp seen:timestamp? born:date took:duration tags:list(string) scores:list(int) labels:map(string) custom:json? extra:json account_id:int account>accounts:account_id",
    ),
    (
        "tickets",
        "owner_id",
        "id:int organization_id:string app_id:string owner_id:int subject:string? qty:int price:double",
    ),
    ("visits", "", "id:int organization_id:string app_id:string embargo:bool? boss_id:int? boss>visits:boss_id"),
];

pub(super) static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(|| Arc::new(catalog()));

fn catalog() -> Catalog {
    let id_of = |name: &str| TableId(TABLES.iter().position(|(table, ..)| *table == name).expect("a table") as u16);
    let tables = TABLES.iter().map(|(name, owner, fields)| {
        let words: Vec<&str> = fields.split(' ').collect();
        let word = |word: &str| word.split([':', '>', '*']).next().expect("a name").to_owned();
        let position =
            |wanted: &str| FieldId(words.iter().position(|text| word(text) == wanted).expect("a field") as u16);
        let fields = words.iter().map(|text| {
            let shape = if let Some((_, to)) = text.split_once('>') {
                let (table, by) = to.split_once(':').expect("a column");
                Shape::One { table: id_of(table), by: position(by) }
            } else if let Some((_, table)) = text.split_once('*') {
                Shape::Many { table: id_of(table) }
            } else {
                let of = text.split_once(':').expect("a type").1.trim_end_matches(['?', '!']);
                Shape::Plain(Type::parse(of).expect("a type"))
            };
            Field {
                name: word(text).as_str().into(),
                shape,
                nullable: text.contains('?'),
                tags: if text.ends_with('!') { vec!["secret".into()] } else { Vec::new() },
                derived_from: if text.starts_with("contact_count") { vec![id_of("contacts")] } else { Vec::new() },
                keys_of: None,
                default: None,
                push: None,
            }
        });
        let tenant = match *name {
            "activities" => Tenancy::Via(Parent { relation: position("account"), columns: Vec::new() }),
            "currencies" => Tenancy::Shared,
            _ => Tenancy::Columns(vec![
                ("organization_id".into(), position("organization_id")),
                ("app_id".into(), position("app_id")),
            ]),
        };
        Table {
            id: id_of(name),
            api: ApiId(0),
            name: (*name).into(),
            key: FieldId(0),
            owner: (!owner.is_empty()).then(|| position(owner)),
            tenant,
            tenant_filter: Vec::new(),
            tenant_body: Vec::new(),
            fields: fields.collect(),
            related: Arc::default(),
            absent_is_null: ["tickets", "visits"].contains(name),
            empty_is_null: false,
            container: None,
            in_place: false,
            race: Race::Accept,
            cascades: Vec::new(),
            client_keys: false,
            inexact_paging: InexactPaging::Refill,
            search: Vec::new(),
        }
    });
    let tables = tables.collect();
    let close = Route {
        method: http::Method::POST,
        path: Template { segments: Vec::new() },
        upstream_path: Template { segments: Vec::new() },
        kind: RouteKind::Table { table: id_of("deals"), action: Action::Custom("close".into()) },
        form: crate::api::Form::Fields,
        sent: crate::api::Sent::Alike,
    };
    let api = Api {
        name: "crm".into(),
        upstream: "crm".into(),
        dialect: Dialect::Rest(Box::new(Rest {
            list: crate::api::Records::Array(Place::default()),
            record: Place::default(),
            total: None,
            keep: Vec::new(),
            parameters: Parameters::default(),
        })),
        routes: vec![close],
        tenant_headers: Vec::new(),
        idempotent: false,
    };
    Catalog::from_parts(vec![api], tables)
}

pub(super) fn schema() -> PrincipalSchema {
    let attributes =
        [("regions", "list(string)"), ("mfa", "bool"), ("limit", "decimal"), ("team", "string"), ("profile", "json")];
    PrincipalSchema {
        roles: ["sales_rep", "sales_manager", "support", "analyst"].map(Name::from).into(),
        attributes: attributes.map(|(name, of)| (name.into(), Type::parse(of).expect("a type"))).into(),
    }
}

fn dimensions() -> [Name; 2] {
    ["organization_id".into(), "app_id".into()]
}

pub(super) fn compile(files: &[Arc<Source>]) -> Result<(PolicySet, Vec<Diagnostic>), Vec<Diagnostic>> {
    PolicySet::compile(files, &CATALOG, &schema(), &dimensions())
}

/// Without the second look at what rules mean: what is judged here need make no sense.
pub(super) fn set(files: &[&str]) -> PolicySet {
    let files: Vec<_> = files.iter().enumerate().map(|(i, text)| Source::new(format!("{i}.yaml"), *text)).collect();
    let loaded = PolicySet::load(&files, &CATALOG, &schema(), &dimensions(), false);
    loaded.unwrap_or_else(|wrong| panic!("{}", crate::diagnostic::render(&wrong, false))).0
}

/// The only grant of one table for reps: for these actions, with these rows and further lines.
pub(super) fn granting(table: &str, actions: &str, rows: &str, more: &str) -> String {
    format!(
        "table: {table}\ngrants:\n  - name: it\n    roles: [sales_rep]\n    actions: [{actions}]\n    rows: {rows:?}\n    {more}\n"
    )
}

pub(super) fn rep() -> Principal {
    Principal {
        id: "u1".into(),
        issuer: "test".into(),
        method: Method::Jwt,
        roles: vec!["sales_rep".into()],
        groups: vec!["industry-tech".into()],
        attributes: BTreeMap::from([
            ("regions".into(), Value::strings(&["emea".into(), "latam".into()])),
            ("mfa".into(), Value::Bool(true)),
        ]),
        reports: ["u2".into()].into(),
        memberships: Vec::new(),
        overreaches: false,
        scopes: None,
    }
}

/// An expression of any type over one table, or the first thing that is wrong with it.
pub(super) fn checked(table: &str, source: &str, layout: &mut Layout) -> Result<Typed, Diagnostic> {
    let dimensions: [Name; 2] = ["organization_id".into(), "app_id".into()];
    let (principal, mut diagnostics) = (schema(), Vec::new());
    let mut scope = Scope {
        catalog: &CATALOG,
        table: CATALOG.table_named(table).expect("a table"),
        principal: &principal,
        dimensions: &dimensions,
        lets: BTreeMap::new(),
        used: BTreeSet::new(),
        layout,
        diagnostics: &mut diagnostics,
        judged: None,
    };
    let typed = types::expression(&mut scope, &Text::whole(source), Phase::Rows);
    match (typed, diagnostics.pop()) {
        (Some((typed, _)), None) => Ok(typed),
        (_, wrong) => Err(wrong.expect("a refusal says why")),
    }
}

pub(super) const NOW: &str = "2025-06-15T12:00:00Z";

/// What is asked by a principal of acme's shop, of one table.
pub(super) fn put<T>(principal: &Principal, table: &str, action: &str, to: impl FnOnce(&Question<'_>) -> T) -> T {
    put_from("10.0.0.1", principal, table, action, to)
}

fn put_from<T>(ip: &str, principal: &Principal, table: &str, action: &str, to: impl FnOnce(&Question<'_>) -> T) -> T {
    let tenant = TenantScope::new(&dimensions(), |d| Some(if d == "app_id" { "shop" } else { "acme" })).expect("whole");
    to(&Question {
        principal: &Caller::new(principal),
        tenant: &tenant,
        request: &RequestFacts { method: http::Method::GET, ip: ip.parse().expect("an address") },
        now: NOW.parse().expect("an instant"),
        table: CATALOG.table_named(table).expect("a table").id,
        action: &Action::parse(action),
    })
}

pub(super) fn ask_from(set: &PolicySet, principal: &Principal, table: &str, ip: &str) -> Decision {
    put_from(ip, principal, table, "list", |question| set.decide(question))
}

pub(super) fn ask(set: &PolicySet, principal: &Principal, table: &str, action: &str) -> Decision {
    put(principal, table, action, |question| set.decide(question))
}

pub(super) fn refusal(decision: &Decision) -> Option<(Reason, Option<&str>)> {
    match decision {
        Decision::Deny(reason, rule) => Some((*reason, rule.as_deref())),
        _ => None,
    }
}

pub(super) fn residual(decision: &Decision) -> &Residual {
    match decision {
        Decision::Allow(residual) | Decision::Conditional(residual) => residual,
        Decision::Deny(reason, rule) => panic!("denied: {reason:?} {rule:?}"),
    }
}

pub(super) fn field(table: &str, name: &str) -> FieldId {
    CATALOG.table_named(table).and_then(|table| table.field_named(name)).expect("a field")
}

/// Top-level and nested members of a record, as the scanner would find them. `raw`: `{"a":1,"b":{"c":2}}`.
pub(super) fn slots<'b>(layout: &Layout, raw: &'b str) -> Slots<'b> {
    let mut slots = Slots::empty(layout);
    fill(layout, slots::NodeId::ROOT, raw, &mut slots);
    slots
}

fn fill<'b>(layout: &Layout, node: slots::NodeId, raw: &'b str, slots: &mut Slots<'b>) {
    for (name, value) in members(raw) {
        let Some(next) = layout.member(node, name.as_bytes()) else { continue };
        if let Some(slot) = layout.slot(next) {
            assert!(slots.fill(slot, value.as_bytes()), "a test's record says nothing twice");
        }
        fill(layout, next, value, slots);
    }
}

/// The members of an object written without white space; none of anything else.
fn members(raw: &str) -> Vec<(&str, &str)> {
    let Some(inner) = raw.strip_prefix('{').and_then(|raw| raw.strip_suffix('}')) else { return Vec::new() };
    let (mut depth, mut quoted, mut escaped, mut start, mut found) = (0, false, false, 0, Vec::new());
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 && at > start => {
                found.extend(
                    inner
                        .get(start..at)
                        .expect("at a comma")
                        .split_once(':')
                        .map(|(name, value)| (name.trim_matches('"'), value)),
                );
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// A record of tenant acme/shop, with these members.
pub(super) fn ours(members: &str) -> String {
    format!(r#"{{"organization_id":"acme","app_id":"shop",{members}}}"#)
}

pub(super) fn judge(residual: &Residual, record: &str) -> Judgement {
    residual.judge(&slots(residual.layout(), record))
}

/// `foreign`, `denied`, `unmatched` or `visible`.
pub(super) fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Foreign => "foreign",
        Verdict::Denied(_) => "denied",
        Verdict::Unmatched => "unmatched",
        Verdict::Visible(_) => "visible",
    }
}
