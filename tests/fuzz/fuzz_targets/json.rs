//! Any bytes are unreadable or JSON; what leaves is JSON again, without foreign rows and secret fields.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use scrim::api::{Place, Records};
use scrim::enforcement::Listing;
use scrim::model::Action;
use scrim::policy::Decision;
use scrim::redact::{self, Limits, Plan, Redactor, request};
use scrim_fuzz::WORLD;
use serde::de::IgnoredAny;
use serde_json::Value;

const DEPTH: usize = 64;

/// Whether the peer takes it for JSON too. It is more forgiving about the insides of strings, never less.
fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

fn plan() -> Option<Arc<Plan>> {
    let case = WORLD.case();
    let table = WORLD.contacts();
    let residual = match case.decide(table.id, &Action::List) {
        Decision::Allow(residual) | Decision::Conditional(residual) => residual,
        Decision::Deny(..) => return None,
    };
    let route = WORLD.catalog.api(table.api).routes.first()?;
    let pairs = [("expand".to_owned(), "account".to_owned())];
    let plan = |permit: &scrim::enforcement::Permit<scrim::enforcement::Fetch>| Arc::clone(&permit.purpose().plan);
    match case.list(&Action::List, route, &[], residual, &pairs).ok()? {
        Listing::Page(permit) => Some(plan(&permit)),
        Listing::Walk(walk) => Some(plan(&case.page(&walk, 0))),
    }
}

fn redact(plan: &Arc<Plan>, body: &[u8], cut: usize) -> Option<Vec<u8>> {
    let (first, second) = body.split_at(cut.min(body.len()));
    let mut redactor = Redactor::new(Arc::clone(plan), Limits { body: 1 << 20, record: 1 << 20 });
    let mut out = Vec::new();
    redactor.push(first, &mut out).ok()?;
    redactor.push(second, &mut out).ok()?;
    redactor.finish(&mut out).ok()?;
    Some(out)
}

fuzz_target!(|data: &[u8]| {
    let table = WORLD.contacts();
    if let Ok(changes) = request::read(data, table, DEPTH) {
        assert!(is_json(data));
        for change in &changes.fields {
            assert!(is_json(change.raw));
            let _ = request::fits(table, change.field, change.raw);
            let _ = request::text(change.raw);
        }
        let merged = request::merge(data, &[("name", b"\"x\""), ("custom", b"{}")], DEPTH).expect("it was readable");
        assert!(is_json(&merged) && request::read(&merged, table, DEPTH).is_ok());
    }
    if redact::slots(data, WORLD.policies.layout(table.id), DEPTH).is_ok() {
        assert!(is_json(data));
    }
    if let Ok(records) = redact::records(data, &Records::Array(Place(vec!["data".into()])), DEPTH) {
        assert!(is_json(data) && records.into_iter().all(is_json));
    }
    let plan = plan().expect("the policy grants a list");
    // As the whole answer, and as one record of it.
    let wrapped = [br#"{"meta":{"total":1},"data":["#, data, b"]}"].concat();
    for body in [data, &wrapped] {
        let whole = redact(&plan, body, 0);
        assert_eq!(whole, redact(&plan, body, body.len() / 2), "chunks change nothing");
        let Some(out) = whole else { continue };
        assert!(is_json(body) && is_json(&out));
        assert!(redact::records(&out, &Records::Array(Place(vec!["data".into()])), DEPTH).is_ok());
        let Ok(shown) = serde_json::from_slice::<Value>(&out) else { continue };
        for record in shown["data"].as_array().expect("a list") {
            let record = record.as_object().expect("a record");
            let declared = |name: &String| table.field_named(name).is_some();
            assert!(!record.contains_key("ssn") && record.keys().all(declared), "{record:?}");
            assert!(record.get("organization_id").is_none_or(|tenant| tenant == "acme"), "{record:?}");
            assert!(record.get("account").is_none_or(|account| account.get("credit").is_none()), "{record:?}");
        }
    }
});
