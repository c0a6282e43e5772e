//! Whole listings, page by page, of which the upstream can't be asked for the visible records alone: none comes twice, none is
//! left out, and no page tells how many there are in all.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::upstream::Seen;
use crate::support::world::{API, Setup};
use crate::support::{Answer, World};

const POLICY: &str = "table: contacts
grants:
  - { name: own, roles: [rep], actions: [list], rows: record.owner_id == principal.id, read: { clear: [id] } }
";
const LISTINGS: u64 = 24;

/// The same numbers in each run.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Ids and whose they are.
type Rows = Arc<Mutex<Vec<(u64, bool)>>>;

pub(super) fn number(seen: &Seen, name: &str) -> Option<usize> {
    let (_, query) = seen.target.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

/// The upstream's own page of all rows.
fn page(rows: &Rows, seen: &Seen, limit: &str, offset: &str, records: &str) -> Answer {
    let rows = rows.lock().expect("unpoisoned");
    let record = |(id, own): &(u64, bool)| json!({ "id": id, "organization_id": "acme", "app_id": "shop", "owner_id": if *own { "ana" } else { "SECRET" } });
    let (limit, offset) = (number(seen, limit).unwrap_or(1), number(seen, offset).unwrap_or(0));
    let found: Vec<Value> = rows.iter().skip(offset).take(limit).map(record).collect();
    Answer::json(200, json!({ records: found, "meta": { "total": 4711 }, "@odata.count": 4711 }).to_string())
}

/// Rows of which few, some or most are hidden, in runs or one by one; and those that show.
fn drawn(chance: &mut Chance) -> (Vec<(u64, bool)>, Vec<u64>) {
    let (count, hidden, long) = (chance.below(90), chance.below(11), chance.below(2) == 0);
    let mut own = true;
    let rows: Vec<(u64, bool)> = (0..count)
        .map(|id| {
            if !long || chance.below(9) == 0 {
                own = chance.below(10) >= hidden;
            }
            (id * 7 % 97, own)
        })
        .collect();
    let visible = rows.iter().filter(|(_, own)| *own).map(|(id, _)| *id).collect();
    (rows, visible)
}

pub(super) fn ids(records: &Value) -> Vec<u64> {
    records.as_array().into_iter().flatten().filter_map(|record| record["id"].as_u64()).collect()
}

async fn world(api: String) -> (World, Rows) {
    let world = Setup { api, ..Setup::default() }.policy("contacts", POLICY).start().await;
    (world, Rows::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_by_numbers_hold_each_visible_record_once() {
    let limit = "limit: { name: limit, default: 4, max: 9 }";
    let (world, rows) = world(API.replace("limit: { name: limit, default: 20, max: 50 }", limit)).await;
    let held = Arc::clone(&rows);
    world.upstream.answers(move |seen| Some(page(&held, seen, "limit", "offset", "data")));
    let client = world.person("ana", &json!({ "roles": ["rep"] }));
    let mut chance = Chance(11);
    for listing in 0..LISTINGS {
        let (all, visible) = drawn(&mut chance);
        *rows.lock().expect("unpoisoned") = all;
        let size = chance.below(9) + 1;
        let mut found: Vec<u64> = Vec::new();
        for number in 0.. {
            let got = client.get(&format!("/contacts?limit={size}&offset={}", number * size)).await;
            assert_eq!(got.status, 200, "listing {listing}: {}", got.text());
            assert!(!got.text().contains("4711") && !got.everything().contains("SECRET"), "{}", got.everything());
            let part = ids(&got.json()["data"]);
            found.extend(part.iter().copied());
            if (part.len() as u64) < size {
                break;
            }
        }
        assert_eq!(found, visible, "listing {listing}, pages of {size}");
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_from_link_to_link_hold_each_visible_record_once() {
    let api = "\
api: crm
upstream: crm
dialect: odata
odata: { root: /svc, default: 4, max: 9 }
tables:
  contacts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list]
    fields: { id: int, organization_id: string, app_id: string, owner_id: string }
";
    let (world, rows) = world(api.to_owned()).await;
    let held = Arc::clone(&rows);
    world.upstream.answers(move |seen| Some(page(&held, seen, "$top", "$skip", "value")));
    let client = world.person("ana", &json!({ "roles": ["rep"] }));
    let mut chance = Chance(12);
    for listing in 0..LISTINGS {
        let (all, visible) = drawn(&mut chance);
        *rows.lock().expect("unpoisoned") = all;
        let (mut found, mut link) = (Vec::<u64>::new(), Some("contacts".to_owned()));
        while let Some(next) = link {
            let got = client.get(&format!("/svc/{next}")).await;
            let is_first = next == "contacts";
            assert!(is_first || next.starts_with("contacts?$skiptoken="), "{next}");
            assert_eq!(got.status, 200, "listing {listing}: {}", got.text());
            assert!(!got.text().contains("4711") && !got.everything().contains("SECRET"), "{}", got.everything());
            let got = got.json();
            found.extend(ids(&got["value"]));
            link = got["@odata.nextLink"].as_str().map(str::to_owned);
        }
        assert_eq!(found, visible, "listing {listing}");
    }
    assert!(!world.upstream.lines().iter().any(|line| line.contains("skiptoken")), "{:?}", world.upstream.lines());
    world.gateway.shutdown().await;
}
