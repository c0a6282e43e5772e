//! Decisions that are remembered: for the same question only, and never past what they depend on.

use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::support::*;
use crate::model::{Action, Name, Principal, RequestFacts, TenantScope, Value};
use crate::policy::residual::MAX_REMEMBERED;
use crate::policy::{Caller, Decided, Decision, PolicySet, Question, Verdict};

/// A question with everything in it that may differ.
#[derive(Clone, Debug)]
struct Circumstances {
    principal: Principal,
    app: &'static str,
    method: http::Method,
    ip: IpAddr,
    now: &'static str,
    table: &'static str,
    action: &'static str,
}

impl Circumstances {
    fn new(table: &'static str) -> Self {
        Self {
            principal: rep(),
            app: "shop",
            method: http::Method::GET,
            ip: [10, 0, 0, 1].into(),
            now: "2025-06-15T12:00:00Z",
            table,
            action: "list",
        }
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut other = self.clone();
        change(&mut other);
        other
    }

    fn ask(&self, set: &PolicySet) -> Decided {
        self.put(|question| set.decided(question))
    }

    fn put<T>(&self, to: impl FnOnce(&Question<'_>) -> T) -> T {
        let dimensions: [Name; 2] = ["organization_id".into(), "app_id".into()];
        let tenant = TenantScope::new(&dimensions, |d| Some(if d == "app_id" { self.app } else { "acme" }));
        to(&Question {
            principal: &Caller::new(&self.principal),
            tenant: &tenant.expect("whole"),
            request: &RequestFacts { method: self.method.clone(), ip: self.ip },
            now: self.now.parse().expect("an instant"),
            table: CATALOG.table_named(self.table).expect("a table").id,
            action: &Action::parse(self.action),
        })
    }
}

/// All that can be seen of a decision.
fn seen(decision: &Decision) -> String {
    match decision {
        Decision::Deny(reason, rule) => format!("{reason:?} {rule:?}"),
        Decision::Allow(residual) | Decision::Conditional(residual) => {
            let table = CATALOG.table(residual.table());
            let shown: Vec<_> = table.field_ids().filter(|field| residual.may_show(*field)).collect();
            let of = |app: &str| format!(r#"{{"organization_id":"acme","app_id":"{app}"}}"#);
            let ours = ["shop", "desk"].map(|app| !matches!(judge(residual, &of(app)).verdict, Verdict::Foreign));
            let whole = matches!(decision, Decision::Allow(_));
            format!("{whole} {:?} {:?} {shown:?} {ours:?}", residual.explain(), residual.creations())
        }
    }
}

fn own() -> PolicySet {
    set(&[&granting("contacts", "list, read", "record.owner_id == principal.id", "read: { clear: all }")])
}

#[test]
fn the_same_question_has_the_same_answer_at_any_time_from_anywhere() {
    let set = own();
    let base = Circumstances::new("contacts");
    let first = base.ask(&set);
    assert!(!first.remembered);
    let same = base.with(|other| {
        other.now = "2030-01-01T00:00:00Z";
        other.ip = [192, 168, 0, 1].into();
        other.method = http::Method::POST;
        other.principal.reports = ["u2".into(), "u3".into()].into();
        other.principal.memberships.clear();
    });
    let again = same.ask(&set);
    assert!(again.remembered, "nothing of this is read by a rule of the table");
    let (Decision::Conditional(first), Decision::Conditional(again)) = (first.decision, again.decision) else {
        panic!("some records")
    };
    assert!(Arc::ptr_eq(&first, &again));
}

#[test]
fn another_question_has_its_own_answer() {
    let set = own();
    let base = Circumstances::new("contacts");
    base.ask(&set);
    let others = [
        base.with(|other| other.principal.id = "u2".into()),
        base.with(|other| other.principal.issuer = "else".into()),
        base.with(|other| other.principal.method = crate::model::Method::ApiKey),
        base.with(|other| other.principal.roles.push("support".into())),
        base.with(|other| other.principal.roles.clear()),
        base.with(|other| other.principal.groups.clear()),
        base.with(|other| other.principal.attributes.clear()),
        base.with(|other| {
            other.principal.attributes.insert("mfa".into(), Value::Bool(false));
        }),
        base.with(|other| {
            other.principal.attributes.insert("team".into(), Value::Null);
        }),
        base.with(|other| other.app = "desk"),
        base.with(|other| other.table = "accounts"),
        base.with(|other| other.action = "read"),
        base.with(|other| other.action = "delete"),
        base.with(|other| other.action = "close"),
    ];
    for (at, other) in others.iter().enumerate() {
        assert!(!other.ask(&set).remembered, "{at}");
    }
    for (at, other) in others.iter().enumerate() {
        let Decided { decision, remembered } = other.ask(&set);
        assert!(remembered, "{at}: refusals too");
        assert_eq!(seen(&decision), seen(&other.ask(&own()).decision), "{at}");
    }
}

#[test]
fn policies_that_are_replaced_take_their_decisions_with_them() {
    let base = Circumstances::new("contacts");
    let (before, after) = (own(), set(&[&granting("contacts", "list", "record.region == 'x'", "")]));
    base.ask(&before);
    let Decided { decision, remembered } = base.ask(&after);
    assert!(!remembered);
    assert!(seen(&decision).contains("record.region"));
    assert!(base.ask(&before).remembered, "requests that began under the old ones end under them");
}

#[test]
fn what_reads_the_clock_is_asked_anew_at_every_instant() {
    for place in ["rows", "denial", "must", "check", "let"] {
        let age = "now > timestamp('2026-01-01T00:00:00Z')";
        let plain = granting("contacts", "list, update", "all", "");
        let text = match place {
            "rows" => granting("contacts", "list", age, ""),
            "denial" => plain + &format!("denials:\n  - {{ name: d, actions: [list], rows: {age:?} }}\n"),
            "must" => plain + &format!("requirements:\n  - {{ name: r, actions: [list], must: {age:?} }}\n"),
            "check" => granting("contacts", "list, update", "all", &format!("check: {age:?}")),
            _ => granting("contacts", "list", "late", "") + &format!("let: {{ late: {age:?} }}\n"),
        };
        let set = set(&[&text]);
        let base = Circumstances::new("contacts").with(|base| {
            if place == "check" {
                base.action = "update"
            }
        });
        let later = base.with(|later| later.now = "2027-01-01T00:00:00Z");
        let (first, second) = (base.ask(&set), later.ask(&set));
        assert!(!first.remembered && !second.remembered && !base.ask(&set).remembered, "{place}");
        assert_ne!(seen(&first.decision), seen(&second.decision), "{place}");
    }
}

#[test]
fn what_reads_the_request_is_remembered_for_each_kind_of_request() {
    let set = set(&[
        &granting("contacts", "list", "request.ip == '10.0.0.1'", ""),
        &granting("accounts", "list", "request.method == 'GET'", ""),
    ]);
    let base = Circumstances::new("contacts");
    let far = base.with(|far| far.ip = [10, 0, 0, 2].into());
    let accounts = base.with(|accounts| accounts.table = "accounts");
    let posted = accounts.with(|posted| posted.method = http::Method::POST);
    let all = [&base, &far, &accounts, &posted];
    let firsts = all.map(|question| question.ask(&set));
    assert!(firsts.iter().all(|first| !first.remembered));
    let words = firsts.map(|first| matches!(first.decision, Decision::Allow(_)));
    assert_eq!(words, [true, false, true, false]);
    for (question, allowed) in all.into_iter().zip(words) {
        let again = question.ask(&set);
        assert!(again.remembered);
        assert_eq!(matches!(again.decision, Decision::Allow(_)), allowed);
    }
    assert!(far.with(|moved| moved.table = "accounts").ask(&set).remembered, "accounts have no rule about addresses");
}

#[test]
fn a_change_of_the_hierarchy_is_seen_at_once() {
    let shared = granting("contacts", "list", "shared", "") + "sharing: { default: private, hierarchy: true }\n";
    for text in [shared, granting("contacts", "list", "principal.manages(record.owner_id)", "")] {
        let set = set(&[&text]);
        let base = Circumstances::new("contacts");
        let sees = |question: &Circumstances, owner: &str| {
            let record = ours(&format!(r#""owner_id":"{owner}""#));
            match question.ask(&set).decision {
                Decision::Deny(..) => false,
                decision => word(&judge(residual(&decision), &record).verdict) == "visible",
            }
        };
        assert!(sees(&base, "u2") && !sees(&base, "u3"));
        let moved = base.with(|moved| moved.principal.reports = ["u3".into()].into());
        assert!(!sees(&moved, "u2") && sees(&moved, "u3"));
        assert!(sees(&base, "u2") && base.ask(&set).remembered);
    }
}

#[test]
fn a_derived_field_depends_on_what_other_tables_rules_read() {
    let reports = granting("reports", "list", "all", "read: { clear: all }");
    for (rows, changed) in [
        (
            "now > timestamp('2026-01-01T00:00:00Z')",
            Circumstances::new("reports").with(|c| c.now = "2027-01-01T00:00:00Z"),
        ),
        ("request.ip != '10.0.0.1'", Circumstances::new("reports").with(|c| c.ip = [10, 0, 0, 2].into())),
        ("request.method != 'GET'", Circumstances::new("reports").with(|c| c.method = http::Method::HEAD)),
        ("principal.manages('u7')", Circumstances::new("reports").with(|c| c.principal.reports = ["u7".into()].into())),
    ] {
        let set = set(&[&reports, &granting("contacts", "list", rows, "")]);
        let base = Circumstances::new("reports");
        let count = field("reports", "contact_count");
        let shows = |question: &Circumstances| residual(&question.ask(&set).decision).may_show(count);
        assert!(!shows(&base), "{rows}");
        assert!(shows(&changed), "{rows}");
        assert!(!shows(&base), "{rows}");
    }
}

#[test]
fn the_order_of_roles_counts_where_a_rule_asks_for_it() {
    let set = set(&[&granting("contacts", "list", "principal.roles[0] == 'support'", "")]);
    let base = Circumstances::new("contacts");
    let roles = |words: [&str; 2]| base.with(|other| other.principal.roles = words.map(Name::from).into());
    let (one, other) = (roles(["support", "sales_rep"]), roles(["sales_rep", "support"]));
    for _ in 0..2 {
        assert!(matches!(one.ask(&set).decision, Decision::Allow(_)));
        assert!(matches!(other.ask(&set).decision, Decision::Deny(..)));
    }
}

#[test]
fn what_is_remembered_is_bounded_however_many_ask() {
    let text = granting("contacts", "list", "shared", "read: { clear: all }")
        + "sharing: { default: private, hierarchy: true }\n";
    let set = set(&[&text]);
    let reports: Arc<[Name]> = (0..20_000).map(|n| Name::from(format!("u{n}"))).collect();
    for n in 0..40 {
        let asked = Circumstances::new("contacts").with(|asked| {
            asked.principal.id = format!("boss{n}").into();
            asked.principal.reports = Arc::clone(&reports);
        });
        assert!(!asked.ask(&set).remembered);
    }
    let held = set.decisions.held();
    assert!((1 << 20..=MAX_REMEMBERED).contains(&held), "{held}");
}

/// Rules that read everything that can be read.
const EVERYTHING: &str = r#"table: contacts
sharing: { default: private, hierarchy: true }
grants:
  - { name: own, roles: [sales_rep], actions: [list, read, update], rows: shared, read: { clear: all }, write: [name], check: after.region in principal.attributes.regions }
  - { name: near, roles: [sales_rep, support], actions: [list, read], rows: record.region in principal.attributes.regions, read: { clear: [id] } }
  - { name: in, roles: [support], actions: [list], rows: request.ip == '10.0.0.1' && record.name == tenant.app_id, read: { clear: [name] } }
  - { name: make, roles: [sales_rep], actions: [create], presets: { owner_id: principal.id }, write: [name], check: after.stage == principal.attributes.team }
denials:
  - { name: odd, actions: [list, update], roles: [support], rows: "principal.roles[0] == 'support' && record.legal_hold" }
requirements:
  - { name: strong, actions: [update], must: principal.attributes.mfa || request.method == 'GET' }
"#;

fn circumstances() -> impl Strategy<Value = Circumstances> {
    let words = |words: &'static [&'static str]| {
        subsequence(words, 0..=words.len())
            .prop_shuffle()
            .prop_map(|words| words.into_iter().map(Name::from).collect::<Vec<_>>())
    };
    let team = select(vec![None, Some(Value::Null), Some(Value::string("a")), Some(Value::string("b"))]);
    let principal = (
        select(vec!["u1", "u2"]),
        words(&["sales_rep", "support"]),
        words(&["emea", "latam"]),
        any::<bool>(),
        team,
        words(&["u2", "u3"]),
    );
    let principal = principal.prop_map(|(id, roles, regions, mfa, team, reports)| {
        let mut principal = rep();
        (principal.id, principal.roles, principal.reports) = (id.into(), roles, reports.into());
        principal.attributes.insert("regions".into(), Value::strings(&regions));
        principal.attributes.insert("mfa".into(), Value::Bool(mfa));
        principal.attributes.extend(team.map(|team| ("team".into(), team)));
        principal
    });
    let request = (select(vec!["GET", "POST"]), 1_u8..3);
    let asked = (select(vec!["shop", "desk"]), select(vec!["contacts", "reports"]));
    let action = select(vec!["list", "read", "create", "update", "delete", "transfer", "export"]);
    (principal, request, asked, action).prop_map(|(principal, (method, ip), (app, table), action)| Circumstances {
        principal,
        app,
        method: method.parse().expect("a method"),
        ip: [10, 0, 0, ip].into(),
        now: "2025-06-15T12:00:00Z",
        table,
        action,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    /// Many questions to one set, each answered as a set that remembers nothing answers it.
    #[test]
    fn what_is_remembered_is_what_would_be_decided(questions in proptest::collection::vec(circumstances(), 60)) {
        let reports = granting("reports", "list, read", "all", "read: { clear: all }");
        let set = set(&[EVERYTHING, &reports]);
        for question in questions.iter().chain(&questions) {
            let fresh = question.put(|question| set.inner.decide(question));
            prop_assert_eq!(seen(&question.ask(&set).decision), seen(&fresh), "{:?}", question);
        }
    }
}
