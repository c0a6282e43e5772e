//! Any text is a condition or placed mistakes, wherever a policy may hold one; any condition is folded for a caller and judged
//! on a record, in bounded time, without a panic. What is left of it prints, and never grants a foreign record.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use scrim::diagnostic::Source;
use scrim::enforcement::Case;
use scrim::model::Action;
use scrim::policy::{Decision, PolicySet, Residual, Verdict};
use scrim::redact;
use scrim_fuzz::WORLD;

const OWN: &str = r#"{"id":1,"organization_id":"acme","app_id":"shop","owner_id":"u1","account_id":1,"name":"Ana","email":"a@b.example",
    "amount":12.5,"score":1.5,"vip":false,"born":"1990-01-02","created_at":"2025-01-02T03:04:05Z","labels":["a","b","é"],
    "custom":{"region":"EMEA","n":1,"list":[1,"x",null,{"a":[]}],"deep":{"a":{"b":{"c":"d"}}}},"ssn":"1",
    "account":{"id":1,"organization_id":"acme","app_id":"shop","name":"A"}}"#;
const FOREIGN: &str = r#"{"id":2,"organization_id":"globex","app_id":"shop","owner_id":"u1","name":"Ana"}"#;

/// What a condition may take where everything in it counts each step. Without, it is below a tenth of that.
const LONGEST: Duration = Duration::from_secs(1);

fuzz_target!(|text: &str| {
    let started = Instant::now();
    let condition = serde_json::to_string(text).expect("a text");
    for policy in [
        format!(
            "table: contacts\ngrants:\n  - {{ name: a, roles: [rep], actions: [list, update], rows: {condition}, read: {{ clear: all }}, write: [name] }}\n"
        ),
        format!(
            "table: contacts\ngrants:\n  - {{ name: a, roles: [rep], actions: [list, update], rows: all, write: [name], check: {condition} }}\n\
             denials:\n  - {{ name: d, actions: [list], rows: {condition} }}\n"
        ),
        format!(
            "table: contacts\nlet: {{ it: {condition} }}\ngrants:\n  - {{ name: a, roles: [rep], actions: [create], presets: {{ name: it }}, write: [email] }}\n\
             requirements:\n  - {{ name: r, actions: [create], must: it }}\n"
        ),
    ] {
        judge(&policy);
    }
    let took = started.elapsed();
    assert!(took < LONGEST, "{took:?} for {text}");
});

fn judge(policy: &str) {
    let world = &*WORLD;
    let source = Source::new("fuzz.yaml", policy);
    let policies = match PolicySet::compile(&[source], &world.catalog, &world.schema, &world.dimensions) {
        Ok((policies, _)) => policies,
        Err(mistakes) => return assert!(!mistakes.is_empty(), "a refusal says why"),
    };
    let case = Case { policies: &policies, ..world.case() };
    for action in [Action::List, Action::Update, Action::Create] {
        let (Decision::Allow(residual) | Decision::Conditional(residual)) = case.decide(world.contacts().id, &action)
        else {
            continue;
        };
        let printed = residual.explain();
        assert!(printed.iter().all(|(_, condition)| !condition.is_empty()), "what is left has words");
        verdicts(&residual);
    }
}

fn verdicts(residual: &Residual) {
    for (record, foreign) in [(OWN, false), (FOREIGN, true)] {
        let slots = redact::slots(record.as_bytes(), residual.layout(), 64).expect("a record");
        let first = residual.judge(&slots).verdict;
        assert!(!foreign || !matches!(first, Verdict::Visible(_)), "no condition lifts the tenant");
        let again = residual.judge(&slots).verdict;
        assert_eq!(format!("{first:?}"), format!("{again:?}"), "a condition says the same twice");
    }
}
