//! Any bytes are unreadable or JSON; what leaves is JSON again, without foreign rows and secret fields.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use scrim::api::{Place, Records};
use scrim::enforcement::Listing;
use scrim::model::Action;
use scrim::policy::Decision;
use scrim::redact::{self, Limits, Plan, Redactor, Unreadable, request};
use scrim_fuzz::WORLD;
use serde::de::IgnoredAny;
use serde_json::Value;

const DEPTH: usize = 64;
const LIMIT: usize = 1 << 20;

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
        Listing::Aggregate(_) => None,
    }
}

/// In pieces that the seed cuts: single bytes, a few, or many.
fn in_pieces(plan: &Arc<Plan>, body: &[u8], mut seed: u64) -> Result<Vec<u8>, Unreadable> {
    let mut redactor = Redactor::new(Arc::clone(plan), Limits { body: LIMIT as u64, record: LIMIT });
    let (mut out, mut rest) = (Vec::new(), body);
    while !rest.is_empty() {
        seed = (seed ^ (seed >> 29)).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let size = 1 + (seed >> 32) as usize % [1, 8, 64, 4096][(seed >> 60) as usize % 4];
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        let before = out.len();
        redactor.push(piece, &mut out)?;
        for record in redactor.records() {
            assert!(record.start >= before && is_json(&out[record.clone()]), "a record leaves in one piece");
        }
        rest = behind;
    }
    redactor.finish(&mut out)?;
    Ok(out)
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
        let whole = redact::answer(&plan, body, LIMIT).map(|redacted| redacted.body);
        if redact::scan(body, DEPTH).is_ok() {
            assert!(is_json(body));
        }
        for seed in 0..3_u64 {
            let seed = body.iter().fold(seed, |seed, byte| seed.rotate_left(9) ^ u64::from(*byte));
            match (&whole, in_pieces(&plan, body, seed)) {
                (Ok(whole), Ok(pieces)) => assert_eq!(whole, &pieces, "pieces change nothing"),
                // The total has left when a record is dropped.
                (Ok(_), Err(Unreadable::Count)) | (Err(_), Err(_)) => {}
                (whole, pieces) => panic!("{whole:?} but {pieces:?}"),
            }
        }
        let Ok(out) = whole else { continue };
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
