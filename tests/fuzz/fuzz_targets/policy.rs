//! Any text is a policy or a list of placed mistakes; any policy decides, and judges any record, without a panic. A rule more
//! of one kind only widens, of the other only narrows, and none reaches a record of another tenant or a secret unnamed.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use scrim::diagnostic::Source;
use scrim::enforcement::Case;
use scrim::model::Action;
use scrim::policy::{Caller, Decision, PolicySet, Residual, Verdict, Visibility};
use scrim::redact;
use scrim_fuzz::{WORLD, bounded};

const RECORDS: [&str; 4] = [
    r#"{"id":1,"organization_id":"acme","app_id":"shop","owner_id":"u1","account_id":1,"name":"Ana","email":"a@b.example",
        "amount":12.5,"score":1.5,"vip":false,"born":"1990-01-02","created_at":"2025-01-02T03:04:05Z","labels":["a","b"],
        "custom":{"region":"EMEA","n":1},"ssn":"1","account":{"id":1,"organization_id":"acme","app_id":"shop","name":"A"}}"#,
    r#"{"id":2,"organization_id":"acme","app_id":"shop","owner_id":"u3"}"#,
    r#"{"id":"x","organization_id":"acme","app_id":"shop","owner_id":null,"amount":"1e999","custom":[[]],"labels":{}}"#,
    r#"{"id":3,"organization_id":"globex","app_id":"shop","owner_id":"u1"}"#,
];
const FOREIGN: usize = 3;
const ACTIONS: [Action; 5] = [Action::List, Action::Read, Action::Create, Action::Update, Action::Delete];

/// A sound policy of contacts, with a list of denials at its end.
const CONTACTS: &str = include_str!("../src/contacts.yaml");

/// Where a text is put, by the control character that it begins with; a text that begins with none is a whole file and the
/// condition of a grant.
const PLACES: [fn(&str) -> String; 8] = [
    |text| grant(&format!("rows: {}, read: {{ clear: all }}", quoted(text)), "list, read"),
    |text| format!("{CONTACTS}  - {{ name: more, actions: [list, read, update], rows: {} }}\n", quoted(text)),
    |text| {
        CONTACTS.replace(
            "denials:",
            &format!("  - {{ name: more, roles: [rep], actions: [list, update], rows: {} }}\ndenials:", quoted(text)),
        )
    },
    |text| format!("{CONTACTS}requirements:\n  - {{ name: must, actions: [list, update], must: {} }}\n", quoted(text)),
    |text| grant(&format!("rows: all, write: [name, amount], check: {}", quoted(text)), "update, create"),
    |text| format!("let:\n  it: {}\n{}", quoted(text), grant("rows: it || it, read: { clear: [id] }", "list")),
    |text| grant(&format!("write: [name], presets: {{ email: {}, amount: {0} }}", quoted(text)), "create"),
    // What shows and how, as YAML has it.
    |text| grant(&format!("rows: all, read: {{ {text} }}"), "list, read"),
];
const DENIAL: usize = 1;
const GRANT: usize = 2;
const REQUIREMENT: usize = 3;

fn grant(rest: &str, actions: &str) -> String {
    format!("table: contacts\ngrants:\n  - {{ name: a, roles: [rep], actions: [{actions}], {rest} }}\n")
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\n', " ").replace('\'', "''"))
}

fn compile(text: &str) -> Option<PolicySet> {
    let source = Source::new("fuzz.yaml", text);
    match PolicySet::compile(&[source], &WORLD.catalog, &WORLD.schema, &WORLD.dimensions) {
        Ok((policies, _)) => Some(policies),
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            assert!(mistakes.iter().all(|it| it.span.source.text.get(it.span.range.clone()).is_some()), "{mistakes:?}");
            None
        }
    }
}

/// For each action on contacts, which records are visible.
type Seen = Vec<[bool; RECORDS.len()]>;

fn judge(policies: &PolicySet, text: &str) -> Seen {
    let caller = Caller::new(&WORLD.principal);
    let case = Case { policies, principal: &caller, ..WORLD.case() };
    let mut seen = Vec::new();
    for (table, action) in WORLD.catalog.tables().flat_map(|table| ACTIONS.map(|action| (table, action))) {
        let residual = |decision| match decision {
            Decision::Allow(residual) | Decision::Conditional(residual) => Some(residual),
            Decision::Deny(..) => None,
        };
        let Some(residual) = residual(case.decide(table.id, &action)) else {
            seen.push([false; RECORDS.len()]);
            continue;
        };
        let visible: [bool; RECORDS.len()] = std::array::from_fn(|number| {
            let verdict = verdict(&residual, RECORDS[number]);
            if let (Some(Verdict::Visible(plan)), Some(ssn)) = (&verdict, table.field_named("ssn")) {
                let clear = plan.fields.get(usize::from(ssn.0)) == Some(&Visibility::Clear);
                // Quoted YAML can spell a name by escapes.
                assert!(!clear || text.contains("ssn") || text.contains('\\'), "a secret that no policy names");
            }
            matches!(verdict, Some(Verdict::Visible(_)))
        });
        assert!(!visible[FOREIGN], "no policy lifts the tenant");
        for (_, condition) in residual.explain() {
            assert!(!condition.is_empty());
        }
        // What was remembered is what was decided.
        let again = case.decide(table.id, &action);
        assert!(matches!(&again, Decision::Allow(_) | Decision::Conditional(_)));
        seen.push(visible);
    }
    seen
}

fn verdict(residual: &Arc<Residual>, record: &str) -> Option<Verdict> {
    let slots = redact::slots(record.as_bytes(), residual.layout(), 64).ok()?;
    Some(residual.judge(&slots).verdict)
}

/// Whether whatever is in `part` is in `whole`.
fn within(part: &Seen, whole: &Seen) -> bool {
    part.iter().flatten().zip(whole.iter().flatten()).all(|(part, whole)| !part || *whole)
}

static SOUND: LazyLock<Seen> = LazyLock::new(|| judge(&compile(CONTACTS).expect("a sound policy"), CONTACTS));

fn hold(text: &str) {
    let place = text.bytes().next().and_then(|first| usize::from(first).checked_sub(1)).filter(|it| *it < PLACES.len());
    let Some(place) = place else {
        for text in [text, &PLACES[0](text)] {
            if let Some(policies) = compile(text) {
                judge(&policies, text);
            }
        }
        return;
    };
    let file = PLACES[place](&text[1..]);
    let Some(policies) = compile(&file) else { return };
    let seen = judge(&policies, &file);
    match place {
        DENIAL | REQUIREMENT => assert!(within(&seen, &SOUND), "a denial or a requirement opened something"),
        GRANT => assert!(within(&SOUND, &seen), "a grant closed something"),
        _ => {}
    }
}

fuzz_target!(|text: &str| {
    LazyLock::force(&SOUND);
    bounded(|| hold(text));
});
