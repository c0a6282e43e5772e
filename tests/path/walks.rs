//! Lists that are walked, in every dialect, by clients that count: the same pages whether or not it is remembered where the
//! last one ended, whatever happens to rows that they can't see, and as many requests to the upstream as it takes.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::pages::{Chance, ids, number};
use crate::support::upstream::Seen;
use crate::support::world::{API, Setup};
use crate::support::{Answer, World};

/// How a dialect's clients and upstreams count pages.
pub(super) struct Way {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    /// The member that holds the records.
    pub(super) records: &'static str,
    pub(super) limit: &'static str,
    place: &'static str,
    /// Whether that is the number of a page.
    numbered: bool,
}

const STEP: usize = 9;
pub(super) const WAYS: [Way; 5] = [
    Way { name: "rest", path: "/contacts", records: "data", limit: "limit", place: "offset", numbered: false },
    Way { name: "rest, by pages", path: "/contacts", records: "data", limit: "limit", place: "page", numbered: true },
    Way { name: "odata", path: "/svc/contacts", records: "value", limit: "$top", place: "$skip", numbered: false },
    Way {
        name: "directus",
        path: "/items/contacts",
        records: "data",
        limit: "limit",
        place: "offset",
        numbered: false,
    },
    Way {
        name: "pocketbase",
        path: "/api/collections/contacts/records",
        records: "items",
        limit: "perPage",
        place: "page",
        numbered: true,
    },
];

pub(super) const POLICY: &str = "table: contacts
grants:
  - { name: own, roles: [rep], actions: [list], rows: \"record.owner_id.contains('ana')\", read: { clear: [id] } }
";

impl Way {
    pub(super) fn api(&self) -> String {
        let fields = "fields: { id: int, organization_id: string, app_id: string, owner_id: string }";
        let table = "key: id\n    tenant: { organization_id: organization_id, app_id: app_id }";
        let preset = |dialect: &str, routes: &str| {
            format!(
                "api: crm\nupstream: crm\n{dialect}\ntables:\n  contacts:\n    {table}\n    {routes}\n    {fields}\n"
            )
        };
        match self.name {
            "odata" => preset("dialect: odata\nodata: { root: /svc, default: 4, max: 9 }", "routes: [list]"),
            "directus" => preset("dialect: directus\ndirectus: { page: { default: 4, max: 9 } }", "routes: [list]"),
            "pocketbase" => preset(
                "dialect: pocketbase\npocketbase: { page: { default: 4, max: 9 } }",
                "routes: { list: GET /api/collections/contacts/records }",
            ),
            _ => API
                .replace("limit: { name: limit, default: 20, max: 50 }", "limit: { name: limit, default: 4, max: 9 }")
                .replace("    offset: offset\n", &format!("    {0}: {0}\n", self.place)),
        }
    }

    async fn world(&self, remembered: u64) -> World {
        let more = format!("paging: {{ remembered: {remembered} }}\n");
        Setup { api: self.api(), more, ..Setup::default() }.policy("contacts", POLICY).start().await
    }

    /// The upstream's own page of all rows.
    pub(super) fn answer(&self, rows: &Rows, seen: &Seen) -> Answer {
        let (limit, place) = (number(seen, self.limit).expect("a size"), number(seen, self.place));
        let skip = if self.numbered { (place.unwrap_or(1) - 1) * limit } else { place.unwrap_or(0) };
        let rows = rows.lock().expect("unpoisoned");
        let owner = |own: bool| if own { "ana" } else { "SECRET" };
        let record = |(id, own): &(u64, bool)| json!({ "id": id, "organization_id": "acme", "app_id": "shop", "owner_id": owner(*own) });
        let found: Vec<Value> = rows.iter().skip(skip).take(limit).map(record).collect();
        Answer::json(200, json!({ self.records: found }).to_string())
    }

    pub(super) fn target(&self, page: u64, size: u64) -> String {
        let place = if self.numbered { page + 1 } else { page * size };
        format!("{}?{}={size}&{}={place}", self.path, self.limit, self.place)
    }
}

/// Ids and whether they are the caller's own.
pub(super) type Rows = Arc<Mutex<Vec<(u64, bool)>>>;

pub(super) fn visible(rows: &Rows) -> Vec<u64> {
    rows.lock().expect("unpoisoned").iter().filter(|(_, own)| *own).map(|(id, _)| *id).collect()
}

fn part(all: &[u64], page: u64, size: u64) -> Vec<u64> {
    all.iter().copied().skip((page * size) as usize).take(size as usize).collect()
}

/// A row in so many is the caller's own.
pub(super) fn fill(rows: &Rows, count: u64, own: u64) {
    *rows.lock().expect("unpoisoned") = (0..count).map(|id| (id, id % own == own / 2)).collect();
}

async fn start(way: &'static Way, rows: &Rows, remembered: u64) -> World {
    let world = way.world(remembered).await;
    let held = Arc::clone(rows);
    world.upstream.answers(move |seen| Some(way.answer(&held, seen)));
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_remembered_of_a_walk_changes_nothing_but_its_cost() {
    for way in &WAYS {
        let rows = Rows::default();
        let (with, without) = (start(way, &rows, 100).await, start(way, &rows, 0).await);
        let mut chance = Chance(21);
        for listing in 0..5 {
            fill(&rows, 20 + chance.below(120), 1 + chance.below(7));
            let person = format!("ana-{listing}");
            let clients = [&with, &without].map(|world| world.person(&person, &json!({ "roles": ["rep"] })));
            let (mut page, mut size) = (0, 3);
            for _ in 0..24 {
                // Mostly onwards, sometimes anywhere, sometimes in other pages.
                match chance.below(6) {
                    0 => page = chance.below(30),
                    1 => size = 1 + chance.below(9),
                    _ => page += 1,
                }
                let target = way.target(page, size);
                let (one, other) = (clients[0].get(&target).await, clients[1].get(&target).await);
                assert_eq!((one.status, &one.body), (other.status, &other.body), "{}: {target}", way.name);
                assert_eq!(ids(&one.json()[way.records]), part(&visible(&rows), page, size), "{}: {target}", way.name);
            }
        }
        let hits = |outcome: &str| format!("scrim_cache_lookups_total{{cache=\"walks\",outcome=\"{outcome}\"}}");
        assert!(with.metric(&hits("hit")).await > 20.0 && without.metric(&hits("hit")).await == 0.0, "{}", way.name);
        let (cheap, dear) = (with.upstream.seen().len(), without.upstream.seen().len());
        assert!(cheap < dear, "{}: {cheap} requests with, {dear} without", way.name);
        assert_eq!(without.audit().await.iter().filter(|line| !line["resumed"].is_null()).count(), 0);
        with.gateway.shutdown().await;
        without.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_list_costs_its_own_pages_once_and_one_more_for_each_of_the_clients() {
    for way in &WAYS {
        let rows = Rows::default();
        fill(&rows, 450, 5);
        let (own, size) = (visible(&rows), 4);
        let mut cost = [0, 0];
        for (remembered, cost) in [100, 0].into_iter().zip(&mut cost) {
            let world = start(way, &rows, remembered).await;
            let client = world.person("ana", &json!({ "roles": ["rep"] }));
            let mut found = Vec::new();
            for page in 0.. {
                let got = client.get(&way.target(page, size)).await;
                let part = ids(&got.json()[way.records]);
                found.extend(part.iter().copied());
                if (part.len() as u64) < size {
                    break;
                }
            }
            assert_eq!(found, own, "{}", way.name);
            *cost = world.upstream.seen().len();
            world.gateway.shutdown().await;
        }
        let (pages, asked) = (450 / STEP, own.len() / size as usize + 1);
        assert!(cost[0] <= pages + asked + 1, "{}: {} requests for {pages} and {asked}", way.name, cost[0]);
        assert!(cost[1] > pages * asked / 2, "{}: {} requests without", way.name, cost[1]);
    }
}

/// Hidden rows come and go between any two requests, in front, behind and in the midst of what was read already.
pub(super) fn stir(rows: &Rows, chance: &mut Chance, fresh: &mut u64) {
    let mut rows = rows.lock().expect("unpoisoned");
    for _ in 0..1 + chance.below(12) {
        let at = chance.below(rows.len() as u64 + 1) as usize;
        let is_hidden = rows.get(at).is_some_and(|(_, own)| !*own);
        if chance.below(2) == 0 && is_hidden {
            rows.remove(at);
        } else {
            *fresh += 1;
            rows.insert(at, (*fresh, false));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_seen_move_nothing_wherever_they_come_and_go() {
    for way in &WAYS {
        let rows = Rows::default();
        let world = start(way, &rows, 100).await;
        let (mut chance, mut fresh) = (Chance(22), 1000);
        for listing in 0..6 {
            fill(&rows, 40 + chance.below(80), 1 + chance.below(5));
            let (own, size) = (visible(&rows), 1 + chance.below(5));
            let client = world.person(&format!("ana-{listing}"), &json!({ "roles": ["rep"] }));
            for page in 0.. {
                let got = client.get(&way.target(page, size)).await;
                let expected = part(&own, page, size);
                assert_eq!(ids(&got.json()[way.records]), expected, "{}: page {page} of {size}", way.name);
                if (expected.len() as u64) < size {
                    break;
                }
                stir(&rows, &mut chance, &mut fresh);
            }
        }
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_when_own_rows_change_does_not_tell_where_hidden_ones_are() {
    let way = &WAYS[0];
    // The same own rows among different hidden ones; then own rows come or go in front.
    let changes: [(&str, &[u64], &[u64]); 4] = [
        ("two came", &[900, 901], &[]),
        ("two went", &[], &[0, 1]),
        ("the last that was shown went", &[], &[3]),
        ("many came", &[900, 901, 902, 903, 904, 905, 906, 907, 908, 909, 910, 911], &[]),
    ];
    for (what, came, went) in changes {
        let mut shown: Vec<Vec<u64>> = Vec::new();
        for gap in [1, 2, 3, 5, 8, 13] {
            let rows = Rows::default();
            let hidden = |after: u64| (0..gap).map(move |number| (1000 + after * 100 + number, false));
            let all: Vec<(u64, bool)> = (0..40).flat_map(|id| [(id, true)].into_iter().chain(hidden(id))).collect();
            *rows.lock().expect("unpoisoned") = all;
            let world = start(way, &rows, 100).await;
            let client = world.person("ana", &json!({ "roles": ["rep"] }));
            assert_eq!(ids(&client.get(&way.target(0, 4)).await.json()["data"]), [0, 1, 2, 3]);
            {
                let mut rows = rows.lock().expect("unpoisoned");
                rows.retain(|(id, _)| !went.contains(id));
                for id in came {
                    rows.insert(0, (*id, true));
                }
            }
            shown.push(ids(&client.get(&way.target(1, 4)).await.json()["data"]));
            world.gateway.shutdown().await;
        }
        assert!(shown.windows(2).all(|pair| pair[0] == pair[1]), "{what}: {shown:?}");
        match what {
            "two came" | "two went" => assert_eq!(shown[0], [4, 5, 6, 7], "what follows what was shown"),
            "the last that was shown went" => assert_eq!(shown[0], [5, 6, 7, 8], "it is counted, as a service would"),
            _ => assert_eq!(shown[0].len(), 4, "{shown:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_goes_on_where_another_one_stopped() {
    let way = &WAYS[0];
    let rows = Rows::default();
    fill(&rows, 200, 5);
    let world = start(way, &rows, 100).await;
    let claims = json!({ "roles": ["rep"] });
    let first = world.person("ana", &claims);
    let requests = async |client: &crate::support::Client, target: &str| {
        world.upstream.forget();
        let got = client.get(target).await;
        assert_eq!(got.status, 200, "{target}: {}", got.text());
        world.upstream.lines().len()
    };
    let target = way.target(5, 4);
    assert!(requests(&first, &target).await > 10, "all before it is read");
    let next = way.target(6, 4);
    assert!(requests(&first, &next).await < 5, "it is known where it begins");
    world.settled().await;
    let resumed = async || world.last_audit().await.1["resumed"].clone();
    assert_eq!(resumed().await, "memory");
    let other_tenant = json!({ "roles": ["rep"], "org_id": "globex" });
    let others = [
        world.person("bob", &claims),
        world.person("ana", &json!({ "roles": ["rep", "support"] })),
        world.person("ana", &json!({ "roles": ["rep"], "reports": ["bob"] })),
        world.person("ana", &json!({ "roles": ["rep"], "regions": ["north"] })),
    ];
    for other in &others {
        assert!(requests(other, &next).await > 10, "it is somebody else's");
        assert_eq!(resumed().await, Value::Null);
    }
    // The other tenant's rows are none of these; what was remembered of them would begin in their midst.
    let got = world.person("ana", &other_tenant).get(&next).await;
    assert_eq!(ids(&got.json()["data"]), [0; 0]);
    assert!(world.last_audit().await.1["resumed"].is_null());
    for query in ["&sort=-id", "&fields=id", "&id=7", "&id[gt]=1"] {
        assert!(requests(&first, &format!("{next}{query}")).await > 10, "{query}: it is another list");
    }
    assert!(requests(&first, &way.target(9, 3)).await < 5, "of the same list, pages may have any size");
    // Past its time, nothing is remembered.
    world.clock.set(crate::support::identities::NOW + 299);
    assert!(requests(&first, &next).await < 5);
    world.clock.set(crate::support::identities::NOW + 900);
    assert!(requests(&first, &next).await > 10);
    assert!(requests(&first, &way.target(7, 4)).await < 5);
    world.policy("contacts", &format!("{POLICY}# another one\n"));
    world.gateway.reload().await.expect("reloaded");
    assert!(requests(&first, &way.target(7, 4)).await > 10, "nothing is remembered across policies");
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_has_become_short_is_counted_from_its_first_record() {
    for way in &WAYS {
        let rows = Rows::default();
        fill(&rows, 300, 3);
        let world = start(way, &rows, 100).await;
        let client = world.person("ana", &json!({ "roles": ["rep"] }));
        assert_eq!(ids(&client.get(&way.target(9, 4)).await.json()[way.records]).len(), 4);
        fill(&rows, 130, 3);
        let held = Arc::clone(&rows);
        // A service that knows no page behind its last one.
        world.upstream.answers(move |seen| {
            let answer = way.answer(&held, seen);
            let is_empty = !String::from_utf8_lossy(&answer.body).contains("acme");
            Some(if is_empty { Answer::json(404, r#"{"error":"SECRET"}"#) } else { answer })
        });
        let got = client.get(&way.target(10, 4)).await;
        assert_eq!((got.status, ids(&got.json()[way.records])), (200, part(&visible(&rows), 10, 4)), "{}", way.name);
        world.gateway.shutdown().await;
    }
}
