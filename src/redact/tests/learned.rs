//! What one answer has taught serves the next one, and nobody else: neither its bytes nor its tally tell that it did.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::*;
use crate::config::PrincipalSchema;
use crate::diagnostic::Source;
use crate::model::{Action, Method, Principal, RequestFacts};
use crate::policy::{Caller, Decision, PolicySet, Question};
use crate::redact::learned::{MAX_KEPT, kept};

const API: &str = r#"
api: crm
upstream: crm
dialect: rest
rest: { list: "$.data[*]", record: "$.data" }
tables:
  contacts:
    key: id
    tenant: { organization_id: organization_id }
    routes: { list: GET /contacts }
    fields: { id: string, organization_id: string, owner: string, name: string, email: string }
"#;

const POLICY: &str = r#"
table: contacts
grants:
  - name: own
    roles: [rep]
    actions: [list]
    rows: record.owner == principal.id
    read: { clear: [id, name], hash: [email] }
  - name: any
    roles: [rep]
    actions: [list]
    rows: all
    read: { clear: [id] }
"#;

struct World {
    catalog: Arc<Catalog>,
    policies: PolicySet,
}

fn world() -> World {
    let dimensions: [Name; 1] = ["organization_id".into()];
    let (catalog, _) = Catalog::compile(&[Source::new("crm.yaml", API)], &["crm".into()], &dimensions).expect("sound");
    let catalog = Arc::new(catalog);
    let schema = PrincipalSchema { roles: vec!["rep".into()], attributes: BTreeMap::new() };
    let policy = Source::new("contacts.yaml", POLICY);
    let (policies, _) = PolicySet::compile(&[policy], &catalog, &schema, &dimensions).expect("sound");
    World { catalog, policies }
}

impl World {
    fn plan(&self, id: &str, tenant: &str, key: &str, fields: Option<&[&str]>) -> Plan {
        let tenant = TenantScope::new(&["organization_id".into()], |_| Some(tenant)).expect("a tenant");
        let principal = Principal {
            id: id.into(),
            issuer: "https://id.example.com".into(),
            method: Method::Jwt,
            roles: vec!["rep".into()],
            scopes: None,
            groups: Vec::new(),
            attributes: Default::default(),
            reports: Default::default(),
            memberships: vec![tenant.clone()],
            overreaches: false,
        };
        let table = self.catalog.table_named("contacts").expect("described");
        let question = Question {
            principal: &Caller::new(&principal),
            tenant: &tenant,
            request: &RequestFacts { method: http::Method::GET, ip: [127, 0, 0, 1].into() },
            now: Timestamp::UNIX_EPOCH,
            table: table.id,
            action: &Action::List,
        };
        let (Decision::Allow(residual) | Decision::Conditional(residual)) = self.policies.decide(&question) else {
            panic!("the policy grants a list");
        };
        let field = |name: &&str| table.field_named(name).expect("declared");
        let fields = fields.map(|names| names.iter().map(field).collect::<BTreeSet<_>>());
        Plan {
            catalog: Arc::clone(&self.catalog),
            frame: list(false),
            root: Lens { residual, fields, relations: Relations::new() },
            tenant,
            masking_key: Some(Secret::new(key)),
            depth: 32,
        }
    }
}

fn record(owner: &str, tenant: &str) -> String {
    format!(r#"{{"id":"1","organization_id":"{tenant}","owner":"{owner}","name":"N","email":"e@x.io","extra":1}}"#)
}

fn body(records: &[String]) -> String {
    format!(r#"{{"data":[{}]}}"#, records.join(","))
}

fn answered(plan: &Plan, body: &str) -> (String, Tally) {
    let redacted = answer(plan, body.as_bytes(), body.len()).expect("readable");
    (String::from_utf8(redacted.body).expect("text"), redacted.tally)
}

/// As by a thread that has answered nothing yet.
fn afresh(plan: &Plan, body: &str) -> (String, Tally) {
    std::thread::scope(|scope| scope.spawn(|| answered(plan, body)).join().expect("no panic"))
}

#[test]
fn an_answer_after_others_is_the_same_as_the_first_one_to_its_tally() {
    let world = world();
    let plans = [
        world.plan("u1", "acme", "key", None),
        world.plan("u2", "acme", "key", None),
        world.plan("u1", "globex", "key", None),
        world.plan("u1", "acme", "another key", None),
        world.plan("u1", "acme", "key", Some(&["id"])),
        world.plan("u1", "acme", "key", Some(&["email"])),
    ];
    let records = [record("u1", "acme"), record("u2", "acme"), record("u1", "globex"), record("u3", "acme")];
    let bodies: Vec<String> = (0..records.len()).map(|from| body(&records[from..])).collect();
    let mut met = BTreeSet::new();
    for _ in 0..3 {
        for body in bodies.iter().chain(bodies.iter().rev()) {
            for plan in &plans {
                let shown = answered(plan, body);
                assert_eq!(shown, afresh(plan, body));
                met.insert(shown.0);
            }
        }
    }
    assert!(met.len() >= plans.len(), "they differ in what they show: {met:?}");
    assert_eq!(kept(), plans.len(), "one for each plan, which all others of it have used");
}

#[test]
fn grants_are_told_of_the_answer_that_they_have_shown_records_of() {
    let world = world();
    let plan = world.plan("u1", "acme", "key", None);
    let (own, other) = (body(&[record("u1", "acme")]), body(&[record("u2", "acme")]));
    let granted = |body| answered(&plan, body).1.granted.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    for _ in 0..3 {
        assert_eq!(granted(&own), ["any", "own"]);
        assert_eq!(granted(&other), ["any"], "and not of the one before");
    }
}

#[test]
fn an_answer_that_fails_leaves_nothing_behind() {
    let world = world();
    let plan = world.plan("u1", "acme", "key", None);
    let good = body(&[record("u1", "acme")]);
    for cut in 0..good.len() {
        assert!(answer(&plan, &good.as_bytes()[..cut], cut).is_err());
        assert_eq!(kept(), 0);
    }
    answered(&plan, &good);
    assert_eq!(kept(), 1);
    let twice = good.replace(r#""name""#, r#""name":1,"name""#);
    assert_eq!(answer(&plan, twice.as_bytes(), twice.len()).map(|_| ()), Err(Unreadable::Duplicate));
    assert_eq!(kept(), 0, "what it had begun with is gone too");
    assert_eq!(answered(&plan, &good), afresh(&plan, &good));
}

#[test]
fn as_much_is_kept_as_is_of_use_and_no_more() {
    let world = world();
    let good = body(&[record("u1", "acme")]);
    for number in 0..3 * MAX_KEPT {
        answered(&world.plan(&format!("u{number}"), "acme", "key", None), &good);
        assert!(kept() <= MAX_KEPT);
    }
    assert_eq!(kept(), MAX_KEPT);
    // More names than are learned: nothing of that would be of use.
    let strange: Vec<String> = (0..100).map(|number| format!(r#""x{number}":1"#)).collect();
    let strange = body(&[format!(r#"{{"organization_id":"acme","owner":"u1","id":"1",{}}}"#, strange.join(","))]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let plan = world.plan("u1", "acme", "key", None);
            assert_eq!(answered(&plan, &strange).1.undeclared, 100);
            assert_eq!(kept(), 0);
            answered(&plan, &good);
            assert_eq!(kept(), 1);
        });
    });
}
