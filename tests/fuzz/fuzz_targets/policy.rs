//! Any text is a policy or a list of placed mistakes; any policy decides, and judges any record, without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scrim::diagnostic::Source;
use scrim::enforcement::Case;
use scrim::model::Action;
use scrim::policy::{Decision, PolicySet, Verdict};
use scrim::redact;
use scrim_fuzz::WORLD;

const RECORDS: [&str; 4] = [
    r#"{"id":1,"organization_id":"acme","app_id":"shop","owner_id":"u1","account_id":1,"name":"Ana","email":"a@b.example",
        "amount":12.5,"score":1.5,"vip":false,"born":"1990-01-02","created_at":"2025-01-02T03:04:05Z","labels":["a","b"],
        "custom":{"region":"EMEA","n":1},"ssn":"1","account":{"id":1,"organization_id":"acme","app_id":"shop","name":"A"}}"#,
    r#"{"id":2,"organization_id":"acme","app_id":"shop","owner_id":"u3"}"#,
    r#"{"id":"x","organization_id":"acme","app_id":"shop","owner_id":null,"amount":"1e999","custom":[[]],"labels":{}}"#,
    r#"{"id":3,"organization_id":"globex","app_id":"shop","owner_id":"u1"}"#,
];

fuzz_target!(|text: &str| {
    let world = &*WORLD;
    // The text is a whole file, or the condition of one.
    let condition = text.replace('\n', " ").replace('\'', "''");
    let wrapped = format!(
        "table: contacts\ngrants:\n  - {{ name: a, roles: [rep], actions: [list], rows: '{condition}', read: {{ clear: all }} }}\n"
    );
    for text in [text, &wrapped] {
        let source = Source::new("fuzz.yaml", text);
        let policies = match PolicySet::compile(&[source], &world.catalog, &world.schema, &world.dimensions) {
            Ok((policies, _)) => policies,
            Err(mistakes) => {
                assert!(!mistakes.is_empty());
                continue;
            }
        };
        let case = Case { policies: &policies, ..world.case() };
        for (table, action) in world.catalog.tables().flat_map(|table| {
            [Action::List, Action::Read, Action::Create, Action::Update, Action::Delete].map(|action| (table.id, action))
        }) {
            let (Decision::Allow(residual) | Decision::Conditional(residual)) = case.decide(table, &action) else {
                continue;
            };
            for (number, record) in RECORDS.iter().enumerate() {
                let Ok(slots) = redact::slots(record.as_bytes(), residual.layout(), 64) else { continue };
                let verdict = residual.judge(&slots).verdict;
                assert!(number != 3 || !matches!(verdict, Verdict::Visible(_)), "no policy lifts the tenant");
            }
        }
    }
});
