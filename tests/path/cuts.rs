//! Pages that `limits.refill` ends before they are full: their clients get on by cursors, whatever rows come and go meanwhile, in
//! every dialect. No record comes twice, none is left out, and nothing tells how many hidden ones were passed over.

use std::sync::Arc;

use serde_json::json;

use super::cursors::{LENGTH, cursor, next};
use super::pages::{Chance, ids};
use super::walks::{POLICY, Rows, WAYS, Way, fill, stir, visible};
use crate::support::World;
use crate::support::world::Setup;

/// More requests than any of these listings takes.
const MOST: usize = 600;

async fn world(way: &'static Way, rows: &Rows, refill: u64) -> World {
    let more = "paging: { remembered: 0 }\n".to_owned();
    let setup = Setup { api: way.api(), limits: format!("refill: {refill}"), more, ..Setup::default() };
    let world = setup.policy("contacts", POLICY).start().await;
    let held = Arc::clone(rows);
    world.upstream.answers(move |seen| Some(way.answer(&held, seen)));
    world
}

/// A whole listing by what each answer says of the next one: what was shown, and how many pages were cut.
async fn listed(world: &World, way: &Way, first: String, mut between: impl FnMut(&[u64])) -> (Vec<u64>, usize) {
    let client = world.person("ana", &json!({ "roles": ["rep"] }));
    let (mut found, mut cut, mut query) = (Vec::new(), 0, Some(first));
    for _ in 0..MOST {
        let Some(now) = query else { return (found, cut) };
        let got = client.get(format!("{}?{now}", way.path).trim_end_matches('?')).await;
        assert_eq!(got.status, 200, "{}: {now}: {}", way.name, got.text());
        assert!(!got.everything().contains("SECRET"), "{}", got.everything());
        found.extend(ids(&got.json()[way.records]));
        let is_cut = got.headers.contains_key("x-scrim-incomplete");
        cut += usize::from(is_cut);
        query = next(&got);
        assert!(!is_cut || query.is_some(), "{}: a page that is cut must say where it goes on", way.name);
        assert!(query.as_ref().is_none_or(|query| cursor(query).len() == LENGTH));
        between(&found);
    }
    panic!("{}: no end after {MOST} pages: {found:?}", way.name);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_whose_pages_are_cut_are_shown_whole_in_every_dialect() {
    for way in &WAYS {
        for refill in [1, 3] {
            let rows = Rows::default();
            let world = world(way, &rows, refill).await;
            let mut chance = Chance(51 + refill);
            for listing in 0..4 {
                fill(&rows, chance.below(160), 1 + chance.below(40));
                let own = visible(&rows);
                world.upstream.forget();
                let count = rows.lock().expect("unpoisoned").len();
                let (found, cut) = listed(&world, way, String::new(), |_| {}).await;
                assert_eq!(found, own, "{}: listing {listing}, {refill} pages", way.name);
                let asked = world.upstream.seen().len();
                assert!(asked <= 3 * (count / 9 + 2) + own.len(), "{}: {asked} requests for {count} rows", way.name);
                assert!(cut > 0 || count < 10 || !own.is_empty(), "{}: {count} rows", way.name);
            }
            world.gateway.shutdown().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_rows_that_come_and_go_move_no_page_that_was_cut() {
    for way in &WAYS {
        for refill in [1, 3] {
            let rows = Rows::default();
            let world = world(way, &rows, refill).await;
            let (mut chance, mut fresh, mut all) = (Chance(61 + refill), 1000, 0);
            for listing in 0..4 {
                fill(&rows, 60 + chance.below(80), 4 + chance.below(30));
                let own = visible(&rows);
                let mut left = 40;
                let (found, cut) = listed(&world, way, String::new(), |_| {
                    left -= i32::from(left > 0);
                    if left > 0 {
                        stir(&rows, &mut chance, &mut fresh);
                    }
                })
                .await;
                assert_eq!(found, own, "{}: listing {listing}, {refill} pages, {cut} of them cut", way.name);
                all += cut;
            }
            assert!(all > 3, "{}: {all} pages were cut", way.name);
            world.gateway.shutdown().await;
        }
    }
}

/// Rows of the caller's own come in front of what was read, behind it and at its edge; those that were there are shown once, and so
/// is none of the others twice.
#[tokio::test(flavor = "multi_thread")]
async fn own_rows_that_come_move_no_page_that_was_cut() {
    for way in &WAYS {
        for refill in [1, 3] {
            let rows = Rows::default();
            let world = world(way, &rows, refill).await;
            let (mut chance, mut fresh, mut all) = (Chance(71 + refill), 1000, 0);
            for listing in 0..4 {
                fill(&rows, 60 + chance.below(80), 4 + chance.below(30));
                let own = visible(&rows);
                let mut left = 40;
                let (found, cut) = listed(&world, way, String::new(), |_| {
                    left -= i32::from(left > 0);
                    let mut rows = rows.lock().expect("unpoisoned");
                    // No more than a page of the upstream can take.
                    for _ in 0..if left > 0 { chance.below(5) } else { 0 } {
                        fresh += 1;
                        let at = chance.below(rows.len() as u64 + 1) as usize;
                        rows.insert(at, (fresh, chance.below(2) == 0));
                    }
                })
                .await;
                let old: Vec<u64> = found.iter().copied().filter(|id| own.contains(id)).collect();
                assert_eq!(old, own, "{}: listing {listing}, {refill} pages, {cut} of them cut", way.name);
                let mut once = found.clone();
                once.sort_unstable();
                once.dedup();
                assert_eq!(once.len(), found.len(), "{}: listing {listing}: {found:?}", way.name);
                all += cut;
            }
            assert!(all > 3, "{}: {all} pages were cut", way.name);
            world.gateway.shutdown().await;
        }
    }
}

/// A page that is cut says the same, and its cursor is as long, whatever was passed over.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_cut_tells_nothing_of_what_was_passed_over() {
    for way in &WAYS {
        let mut told = Vec::new();
        for (hidden, foreign) in [(40, false), (200, false), (41, true)] {
            let rows = Rows::default();
            fill(&rows, hidden, 1_000_000);
            let world = world(way, &rows, 2).await;
            let client = world.person("ana", &json!({ "roles": ["rep"] }));
            if foreign {
                let held = Arc::clone(&rows);
                world.upstream.answers(move |seen| {
                    let mut answer = way.answer(&held, seen);
                    answer.body = String::from_utf8_lossy(&answer.body).replace("acme", "globex").into();
                    Some(answer)
                });
            }
            let got = client.get(way.path).await;
            let (query, mut headers) = (next(&got).expect("a cursor"), got.headers.clone());
            for name in ["x-request-id", "date", "link"] {
                headers.remove(name);
            }
            let text = got.text().replace(&cursor(&query), "");
            told.push((got.status, format!("{headers:?}"), text, query.replace(&cursor(&query), "")));
            world.gateway.shutdown().await;
        }
        assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{}: {told:?}", way.name);
    }
}

/// A client of OData's that names the size of its pages counts, and gets no links: where its page is cut, the head says how to go on.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_names_the_size_of_pages_is_told_in_the_head_where_one_was_cut() {
    let way = WAYS.iter().find(|way| way.name == "odata").expect("one of them");
    let rows = Rows::default();
    fill(&rows, 120, 50);
    let world = world(way, &rows, 1).await;
    let (found, cut) = listed(&world, way, "$top=9".to_owned(), |_| {}).await;
    assert_eq!(found, visible(&rows));
    assert!(cut > 8, "{cut} were cut");
    let client = world.person("ana", &json!({ "roles": ["rep"] }));
    let got = client.get(&format!("{}?$top=9", way.path)).await;
    assert!(got.headers.contains_key("link") && got.json()["@odata.nextLink"].is_null(), "{}", got.text());
    fill(&rows, 120, 1);
    let full = client.get(&format!("{}?$top=9", way.path)).await;
    assert!(!full.headers.contains_key("link") && full.json()["@odata.nextLink"].is_null(), "{}", full.text());
    world.gateway.shutdown().await;
}

/// Whoever has to count can't get on, but is told how by `Link`: in the place of an offset or a page, beside all else.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_stands_in_the_place_of_what_its_client_counted() {
    for way in WAYS.iter().filter(|way| way.name != "odata") {
        let rows = Rows::default();
        fill(&rows, 120, 7);
        let world = world(way, &rows, 1).await;
        let client = world.person("ana", &json!({ "roles": ["rep"] }));
        let own = visible(&rows);
        let (found, _) =
            listed(&world, way, way.target(1, 2).split_once('?').expect("a query").1.to_owned(), |_| {}).await;
        assert_eq!(found, own[2..], "{}", way.name);
        let got = client.get(&way.target(0, 2)).await;
        let query = next(&got).expect("a cursor");
        assert!(query.starts_with(&format!("{}=2&scrim_cursor=", way.limit)), "{query}");
        assert!(!world.upstream.lines().iter().any(|line| line.contains("cursor")), "{:?}", world.upstream.lines());
        for query in [query.replace("=2&", "=2&page=1&"), format!("{query}A"), format!("{query}&scrim_cursor=x")] {
            let refused = client.get(&format!("{}?{query}", way.path)).await;
            assert_eq!(refused.status, 400, "{}: {query}: {}", way.name, refused.text());
        }
        world.gateway.shutdown().await;
    }
}
