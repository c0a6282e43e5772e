//! Who asks, and by which description and policy: one table, its reps' own records in clear and their region's masked.

use std::sync::Arc;

use jiff::Timestamp;
use scrim::api::{Catalog, Place};
use scrim::config::PrincipalSchema;
use scrim::diagnostic::Source;
use scrim::model::value::Type;
use scrim::model::{Action, Method, Name, Principal, RequestFacts, TenantScope, Value};
use scrim::policy::{Caller, Decision, PolicySet, Question};
use scrim::redact::{Frame, Lens, Plan, Relations};
use scrim::secret::Secret;

const API: &str = r#"
api: crm
upstream: crm
dialect: rest
rest: { list: "$.data[*]", record: "$.data", total: "$.meta.total", keep: ["$.meta.limit"] }
tables:
  contacts:
    key: id
    owner: owner_id
    tenant: { organization_id: organization_id }
    absent: null
    routes: { list: GET /contacts }
    fields:
      id: string
      organization_id: string
      created_at: timestamp
      updated_at: timestamp
      region: string
      owner_id: string
      team_id: int
      status: string
      stage: string
      title: string
      name: string
      email: string
      phone: string
      ssn: { type: string, tags: [secret] }
      bank_account: { type: string, tags: [secret] }
      salary: decimal
      amount: int
      currency: string
      probability: double
      external_ref: int
      is_archived: bool
      deleted_at: { type: timestamp, nullable: true }
      score: double
      address: json
      emails: json
      tags: list(string)
      notes: string
      custom: json
      version: int
"#;

const POLICY: &str = r#"
table: contacts
grants:
  - name: reps-work-their-own
    roles: [rep]
    actions: [list]
    rows: record.owner_id == principal.id
    read: { clear: all }
  - name: reps-see-their-region-masked
    roles: [rep]
    actions: [list]
    rows: record.region in principal.attributes.regions
    read: { clear: [CLEAR], partial: [email], last4: [phone], truncate: { salary: 1000 } }
denials:
  - name: archived-and-deleted
    actions: [list]
    rows: record.is_archived == true && record.deleted_at != null
"#;

const CLEAR: [&str; 25] = [
    "id",
    "organization_id",
    "created_at",
    "updated_at",
    "region",
    "owner_id",
    "team_id",
    "status",
    "stage",
    "title",
    "name",
    "amount",
    "currency",
    "probability",
    "external_ref",
    "is_archived",
    "deleted_at",
    "score",
    "address",
    "emails",
    "tags",
    "notes",
    "custom",
    "version",
    "id",
];

/// A plan for the list, with so many planned fields more than the documents have.
pub(crate) fn plan(more: usize) -> Arc<Plan> {
    let dimensions: [Name; 1] = ["organization_id".into()];
    let more: Vec<String> = (0..more).map(|number| format!("custom_field_{number:02}")).collect();
    let fields: String =
        more.iter().map(|name| format!("      {name}: {{ type: string, nullable: true }}\n")).collect();
    let api = Source::new("crm.yaml", format!("{API}{fields}"));
    let (catalog, _) = Catalog::compile(&[api], &["crm".into()], &dimensions).expect("a sound description");
    let catalog = Arc::new(catalog);
    let schema = PrincipalSchema {
        roles: vec!["rep".into()],
        attributes: [("regions".into(), Type::List(Box::new(Type::String)))].into(),
    };
    let clear: Vec<&str> = CLEAR.iter().skip(1).copied().chain(more.iter().map(String::as_str)).collect();
    let policy = Source::new("contacts.yaml", POLICY.replace("CLEAR", &clear.join(", ")));
    let (policies, _) = PolicySet::compile(&[policy], &catalog, &schema, &dimensions).expect("a sound policy");
    let tenant = TenantScope::new(&dimensions, |_| Some("acme")).expect("a tenant");
    let principal = Principal {
        id: "u1".into(),
        issuer: "https://id.example.com".into(),
        method: Method::Jwt,
        roles: vec!["rep".into()],
        groups: Vec::new(),
        attributes: [("regions".into(), Value::List(["emea", "amer"].map(Value::string).to_vec().into()))].into(),
        reports: Default::default(),
        memberships: vec![tenant.clone()],
        overreaches: false,
        scopes: None,
    };
    let table = catalog.table_named("contacts").expect("described");
    let question = Question {
        principal: &Caller::new(&principal),
        tenant: &tenant,
        request: &RequestFacts { method: http::Method::GET, ip: [127, 0, 0, 1].into() },
        now: Timestamp::UNIX_EPOCH,
        table: table.id,
        action: &Action::List,
    };
    let (Decision::Allow(residual) | Decision::Conditional(residual)) = policies.decide(&question) else {
        panic!("the policy grants a list");
    };
    let place = |path: &[&str]| Place(path.iter().map(|name| Name::from(*name)).collect());
    let frame = Frame::List {
        records: place(&["data"]),
        totals: vec![place(&["meta", "total"])],
        keep: Vec::new(),
        echoes: vec![place(&["meta", "limit"])],
        exact: false,
    };
    let root = Lens { residual, fields: None, relations: Relations::new() };
    let masking_key = Some(Secret::new("a key for masks"));
    Arc::new(Plan { catalog: Arc::clone(&catalog), frame, root, tenant, masking_key, depth: 64 })
}
