//! Who may do what with which table under the shipped policies: each persona of the demo, each action that has a route.
//!
//! The table is checked in as tests/matrix/matrix.txt, so that a change of a policy shows who gains and who loses by it.
//! `SCRIM_BLESS=1` writes it anew. A table that nobody sees, or a role that nobody holds, fails: it would not be tested.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use scrim::api::{self, Catalog, RouteKind, Service, Table, TableId};
use scrim::config::{self, PrincipalSchema};
use scrim::diagnostic::{Diagnostic, render};
use scrim::model::value::Type;
use scrim::model::{Action, Method, Name, Principal, Reason, RequestFacts, TenantScope, Value};
use scrim::policy::{Caller, Decision, PolicySet, Question, Residual};

/// One of the people whom the demo plays, or nobody.
struct Persona {
    who: &'static str,
    id: &'static str,
    roles: &'static [&'static str],
    organization: &'static str,
    regions: &'static [&'static str],
    team: Option<&'static str>,
    groups: &'static [&'static str],
    mfa: bool,
    reports: &'static [&'static str],
}

const REP: Persona = Persona {
    who: "rep",
    id: "ana",
    roles: &["sales_rep"],
    organization: "acme",
    regions: &["EMEA"],
    team: Some("alpine"),
    groups: &[],
    mfa: true,
    reports: &[],
};

const PERSONAS: [Persona; 7] = [
    REP,
    Persona { who: "energy rep", id: "max", team: None, groups: &["industry-energy"], ..REP },
    Persona { who: "manager", id: "marta", roles: &["sales_manager"], reports: &["ana"], ..REP },
    Persona { who: "support", id: "sam", roles: &["support"], regions: &[], team: None, ..REP },
    Persona { who: "analyst", id: "lea", roles: &["analyst"], regions: &[], team: None, mfa: false, ..REP },
    Persona { who: "other's rep", id: "vic", organization: "globex", ..REP },
    Persona { who: "nobody", id: "nel", roles: &[], reports: &["ana"], ..REP },
];

struct Shipped {
    catalog: Arc<Catalog>,
    policies: PolicySet,
    schema: PrincipalSchema,
    dimensions: Vec<Name>,
}

impl Shipped {
    fn load() -> Self {
        let path = |path: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let gateway = std::fs::read_to_string(path("config/demo.yaml")).expect("readable");
        let gateway: serde_json::Value = serde_saphyr::from_str(&gateway).expect("YAML");
        let at = |place: &str| gateway.pointer(place).expect("a member of the gateway file");
        let names = |list: &serde_json::Value| -> Vec<Name> {
            list.as_array().expect("a list").iter().map(|name| name.as_str().expect("a name").into()).collect()
        };
        let attributes = at("/principal/attributes").as_object().expect("attributes");
        let attribute = |(name, of): (&String, &serde_json::Value)| {
            let of = match of.as_str().expect("a type") {
                "bool" => Type::Bool,
                "string" => Type::String,
                "list(string)" => Type::List(Box::new(Type::String)),
                other => panic!("no persona has an attribute of type {other}"),
            };
            (Name::from(name.as_str()), of)
        };
        let schema = PrincipalSchema {
            roles: names(at("/principal/roles")),
            attributes: attributes.iter().map(attribute).collect(),
        };
        let dimensions = names(at("/tenancy/dimensions"));
        let upstreams: Vec<Service> =
            at("/upstreams").as_object().expect("upstreams").keys().map(|name| name.as_str().into()).collect();
        let apis: Vec<PathBuf> = names(at("/apis")).iter().map(|api| path("config").join(&**api)).collect();
        let described = or_fail(api::read(&apis));
        let (catalog, _) = or_fail(Catalog::compile(&described, &upstreams, &dimensions));
        let catalog = Arc::new(catalog);
        let files = or_fail(config::policy_files(&path("policies")));
        let (policies, _) = or_fail(PolicySet::compile(&files, &catalog, &schema, &dimensions));
        Self { catalog, policies, schema, dimensions }
    }

    fn principal(&self, persona: &Persona) -> (Principal, TenantScope) {
        let Persona { id, roles, organization, regions, team, groups, mfa, reports, .. } = *persona;
        let names = |list: &[&str]| -> Vec<Name> { list.iter().map(|name| Name::from(*name)).collect() };
        let tenant = TenantScope::new(&self.dimensions, |name| {
            Some(if name == "organization_id" { organization } else { "shop" })
        });
        let tenant = tenant.expect("a whole tenant");
        let attributes = BTreeMap::from([
            ("regions".into(), Value::strings(&names(regions))),
            ("team".into(), team.map_or(Value::Null, Value::string)),
            ("mfa".into(), Value::Bool(mfa)),
        ]);
        assert!(attributes.keys().eq(self.schema.attributes.keys()), "an attribute that no persona has");
        let principal = Principal {
            id: id.into(),
            issuer: "https://id.demo.example".into(),
            method: Method::Jwt,
            roles: names(roles),
            groups: names(groups),
            attributes,
            reports: names(reports).into(),
            memberships: vec![tenant.clone()],
            overreaches: false,
            scopes: None,
        };
        (principal, tenant)
    }

    /// Those that have a route, and `transfer`, which goes by the route of `update`.
    fn actions(&self, table: &Table) -> Vec<Action> {
        let routes = &self.catalog.api(table.api).routes;
        let mut actions: Vec<Action> = routes
            .iter()
            .filter_map(|route| match &route.kind {
                RouteKind::Table { table: of, action } if *of == table.id => Some(action.clone()),
                RouteKind::Table { .. }
                | RouteKind::Count { .. }
                | RouteKind::Property { .. }
                | RouteKind::Opaque { .. }
                | RouteKind::Batch { .. }
                | RouteKind::Metadata(_) => None,
            })
            .collect();
        if actions.contains(&Action::Update) {
            actions.push(Action::Transfer);
        }
        actions.sort();
        actions.dedup();
        actions
    }

    fn decide(&self, persona: &Persona, table: TableId, action: &Action) -> Decision {
        let (principal, tenant) = self.principal(persona);
        let request = RequestFacts { method: http::Method::GET, ip: IpAddr::V4(Ipv4Addr::LOCALHOST) };
        let now = Timestamp::from_second(1_800_000_000).expect("an instant");
        self.policies.decide(&Question {
            principal: &Caller::new(&principal),
            tenant: &tenant,
            request: &request,
            now,
            table,
            action,
        })
    }

    /// Fields that show (in brackets: not in clear on every row), or that may be written.
    fn fields(&self, table: &Table, action: &Action, residual: &Residual) -> String {
        let shown = table.field_ids().filter_map(|id| {
            let name = &table.field(id).name;
            match action.writes() {
                true => residual.may_write(id).then(|| name.to_string()),
                false if residual.is_clear_everywhere(id) => Some(name.to_string()),
                false => residual.may_show(id).then(|| format!("[{name}]")),
            }
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    fn rows(&self) -> Vec<[String; 6]> {
        let mut rows = Vec::new();
        for table in self.catalog.tables() {
            for action in self.actions(table) {
                for persona in &PERSONAS {
                    let decision = self.decide(persona, table.id, &action);
                    let (word, residual) = match &decision {
                        Decision::Allow(residual) => ("all", Some(residual)),
                        Decision::Conditional(residual) => ("some", Some(residual)),
                        Decision::Deny(Reason::TableHidden, _) => ("hidden", None),
                        Decision::Deny(..) => ("forbidden", None),
                    };
                    let rules = residual.map(|residual| residual.rules().join(" ")).unwrap_or_default();
                    let fields = residual.map(|residual| self.fields(table, &action, residual)).unwrap_or_default();
                    rows.push([
                        table.name.to_string(),
                        action.to_string(),
                        persona.who.to_owned(),
                        word.to_owned(),
                        rules,
                        fields,
                    ]);
                }
            }
        }
        rows
    }
}

fn or_fail<T>(result: Result<T, Vec<Diagnostic>>) -> T {
    result.unwrap_or_else(|wrong| panic!("{}", render(&wrong, false)))
}

fn print(rows: &[[String; 6]]) -> String {
    let head = ["table", "action", "who", "rows", "rules", "fields"].map(str::to_owned);
    let all: Vec<&[String; 6]> = std::iter::once(&head).chain(rows).collect();
    let mut widths = [0; 6];
    for row in &all {
        for (width, cell) in widths.iter_mut().zip(row.iter()) {
            *width = cell.len().max(*width);
        }
    }
    let line = |row: &&[String; 6]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    all.iter().map(line).collect()
}

#[test]
fn who_may_do_what_is_as_checked_in() {
    let printed = print(&Shipped::load().rows());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/matrix/matrix.txt");
    if std::env::var_os("SCRIM_BLESS").is_some() {
        std::fs::write(&path, &printed).expect("written");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let changed: Vec<String> = known
        .lines()
        .filter(|line| !printed.lines().any(|now| now == *line))
        .map(|line| format!("- {line}"))
        .chain(printed.lines().filter(|line| !known.lines().any(|was| was == *line)).map(|line| format!("+ {line}")))
        .collect();
    assert!(known == printed, "the matrix changed; SCRIM_BLESS=1 if it should have:\n{}", changed.join("\n"));
}

#[test]
fn no_table_and_no_role_goes_untested() {
    let shipped = Shipped::load();
    let rows = shipped.rows();
    for table in shipped.catalog.tables() {
        let seen = rows.iter().any(|row| row[0] == *table.name && matches!(row[3].as_str(), "all" | "some"));
        assert!(seen, "nobody in the matrix sees `{}`", table.name);
    }
    for role in &shipped.schema.roles {
        let mut holders = PERSONAS.iter().filter(|persona| persona.roles.contains(&&**role));
        let sees = holders.any(|persona| rows.iter().any(|row| row[2] == persona.who && row[3] != "hidden"));
        assert!(sees, "nobody in the matrix who sees something holds `{role}`");
    }
}

#[test]
fn without_a_role_nothing_exists() {
    let rows = Shipped::load().rows();
    let nobodys: Vec<_> = rows.iter().filter(|row| row[2] == "nobody").collect();
    assert!(!nobodys.is_empty() && nobodys.iter().all(|row| row[3] == "hidden"), "{nobodys:?}");
}

#[test]
fn no_secret_field_is_shown_in_clear() {
    let shipped = Shipped::load();
    for table in shipped.catalog.tables() {
        for action in [Action::List, Action::Read] {
            for persona in &PERSONAS {
                let (Decision::Allow(residual) | Decision::Conditional(residual)) =
                    shipped.decide(persona, table.id, &action)
                else {
                    continue;
                };
                let secret =
                    table.field_ids().find(|id| table.field(*id).is_secret() && residual.is_clear_everywhere(*id));
                assert_eq!(secret, None, "{} shows a secret of `{}` to {}", action, table.name, persona.who);
            }
        }
    }
}
