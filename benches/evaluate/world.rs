//! API descriptions, somebody who asks, and decisions in a line each.

use std::fmt::Write;
use std::sync::Arc;

use jiff::Timestamp;
use scrim::api::Catalog;
use scrim::config::PrincipalSchema;
use scrim::diagnostic::{Diagnostic, Source, render};
use scrim::model::value::Type;
use scrim::model::{Action, Method, Name, Principal, RequestFacts, TenantScope, Value};
use scrim::policy::{Caller, Decided, Decision, PolicySet, Question, Residual};

pub(crate) const NOW: &str = "2025-06-15T12:00:00Z";
pub(crate) const TABLES: usize = 100;
const REPORTS: usize = 40;

/// As described in the API description, in YAML; `{tenant}` stands for the table's tenancy.
const FIELDS: &str = "      id: int
      organization_id: string
      app_id: string
      owner_id: string
      name: string
      email: string
      phone: { type: string, nullable: true }
      stage: string
      region: string
      amount: { type: decimal, nullable: true }
      legal_hold: bool
      created_at: timestamp
      custom: { type: json, nullable: true }
      ssn: { type: string, nullable: true, tags: [secret] }
";

pub(crate) struct World {
    catalog: Arc<Catalog>,
    schema: PrincipalSchema,
    dimensions: [Name; 2],
    pub(crate) principal: Principal,
    pub(crate) tenant: TenantScope,
    request: RequestFacts,
    now: Timestamp,
}

impl World {
    /// Contacts, and the same without a tenant scope, so that a rule can be judged alone.
    pub(crate) fn new() -> Self {
        let mut text = head();
        table(&mut text, "contacts", "{ organization_id: organization_id, app_id: app_id }");
        table(&mut text, "rules", "shared");
        Self::of(&text)
    }

    pub(crate) fn of(description: &str) -> Self {
        let dimensions: [Name; 2] = ["organization_id".into(), "app_id".into()];
        let source = Source::new("api.yaml", description);
        let (catalog, _) = or_fail(Catalog::compile(&[source], &["crm".into()], &dimensions));
        let schema = PrincipalSchema {
            roles: ["sales_rep", "sales_manager", "support"].map(Name::from).into(),
            attributes: [("regions".into(), Type::List(Box::new(Type::String)))].into(),
        };
        let tenant = TenantScope::new(&dimensions, |name| Some(if name == "app_id" { "shop" } else { "acme" }));
        let tenant = tenant.expect("a whole tenant");
        let principal = Principal {
            id: "user-0017".into(),
            issuer: "https://id.example.com".into(),
            method: Method::Jwt,
            roles: ["sales_rep", "support"].map(Name::from).into(),
            groups: vec!["north".into()],
            attributes: [("regions".into(), Value::strings(&["emea".into(), "latam".into()]))].into(),
            reports: (100..100 + REPORTS).map(|n| Name::from(format!("user-{n:04}"))).collect(),
            memberships: vec![tenant.clone()],
            overreaches: false,
            scopes: None,
        };
        Self {
            catalog: Arc::new(catalog),
            schema,
            dimensions,
            principal,
            tenant,
            request: RequestFacts { method: http::Method::GET, ip: [127, 0, 0, 1].into() },
            now: NOW.parse().expect("an instant"),
        }
    }

    pub(crate) fn set(&self, policies: &[String]) -> PolicySet {
        let source = |(number, text): (usize, &String)| Source::new(format!("{number}.yaml"), text.as_str());
        let files: Vec<_> = policies.iter().enumerate().map(source).collect();
        or_fail(PolicySet::compile(&files, &self.catalog, &self.schema, &self.dimensions)).0
    }

    pub(crate) fn decide(&self, set: &PolicySet, caller: &Caller<'_>, table: &str, action: &str) -> Decided {
        set.decided(&Question {
            principal: caller,
            tenant: &self.tenant,
            request: &self.request,
            now: self.now,
            table: self.catalog.table_named(table).expect("described").id,
            action: &Action::parse(action),
        })
    }

    /// What is left of the policies of the table `rules`.
    pub(crate) fn residual(&self, policies: &[String], action: &str) -> Arc<Residual> {
        let caller = Caller::new(&self.principal);
        residual(self.decide(&self.set(policies), &caller, "rules", action).decision).expect("some records")
    }
}

pub(crate) fn residual(decision: Decision) -> Result<Arc<Residual>, String> {
    match decision {
        Decision::Allow(residual) | Decision::Conditional(residual) => Ok(residual),
        Decision::Deny(reason, rule) => Err(format!("refused: {reason:?} {rule:?}")),
    }
}

pub(crate) fn table_name(number: usize) -> String {
    format!("table_{number:03}")
}

pub(crate) fn many_tables() -> String {
    let mut text = head();
    for number in 0..TABLES {
        table(&mut text, &table_name(number), "{ organization_id: organization_id, app_id: app_id }");
    }
    text
}

fn head() -> String {
    "api: crm
upstream: crm
dialect: rest
rest: { list: \"$.data[*]\", record: \"$.data\" }
tables:
"
    .to_owned()
}

fn table(text: &mut String, name: &str, tenant: &str) {
    let routes = format!("routes: {{ list: GET /{name}, read: \"GET /{name}/{{id}}\" }}");
    let written = write!(
        text,
        "  {name}:\n    key: id\n    owner: owner_id\n    tenant: {tenant}\n    {routes}\n    fields:\n{FIELDS}"
    );
    written.expect("text grows");
}

fn or_fail<T>(result: Result<T, Vec<Diagnostic>>) -> T {
    result.unwrap_or_else(|wrong| panic!("{}", render(&wrong, false)))
}
