//! Long lists as CSV: streamed, the rows of the JSON, and cut where the JSON would be.

use serde_json::Value;

use super::source::{Ending, Got, Reader, Script, Source};
use super::{clean, request, told, words};
use crate::support::World;
use crate::support::world::Setup;

/// A rep sees who is called Ada of the even half in clear, and exports the same.
const POLICY: &str = "\
table: contacts
grants:
  - { name: even, roles: [rep], actions: [list, export], rows: record.id % 2 == 0, read: { clear: [id, name, region, vip] } }
  - { name: third, roles: [rep], actions: [list, export], rows: record.id % 3 == 0, read: { clear: [id], partial: [email] } }
";

async fn world(source: &Source) -> World {
    let api = crate::support::world::API
        .replace("  contacts:\n    key: id", "  contacts:\n    inexact_paging: short\n    key: id");
    Setup { upstream: Some(source.address), api, ..Setup::default() }.policy("contacts", POLICY).start().await
}

async fn get(world: &World, accept: &str) -> Got {
    let mut client = Reader::open(world.gateway.addresses()[0]).await;
    client.send(request(world, "GET /contacts", &format!("accept: {accept}\r\n"), "")).await;
    client.rest().await
}

/// The rows of a CSV, each by the names of its columns; what is empty is left out.
fn rows(text: &[u8]) -> Vec<Vec<(String, String)>> {
    let mut reader = csv::ReaderBuilder::new().terminator(csv::Terminator::CRLF).from_reader(text);
    let names = reader.headers().expect("a header").clone();
    let named = |row: csv::StringRecord| {
        let cells = names.iter().zip(row.iter()).filter(|(_, cell)| !cell.is_empty());
        cells.map(|(name, cell)| (name.to_owned(), cell.to_owned())).collect()
    };
    reader.records().map(|row| named(row.expect("a row of as many cells"))).collect()
}

/// The records of a list in the same form.
fn records(text: &[u8]) -> Vec<Vec<(String, String)>> {
    let list: Value = serde_json::from_slice(text).expect("JSON");
    let cell = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let members = |record: &Value| {
        let members = record.as_object().expect("a record").iter().filter(|(_, value)| !value.is_null());
        let mut cells: Vec<_> = members.map(|(name, value)| (name.clone(), cell(value))).collect();
        let order = ["id", "name", "email", "region"];
        cells.sort_by_key(|(name, _)| order.iter().position(|known| known == name));
        cells
    };
    list["data"].as_array().expect("a list").iter().map(members).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_export_has_the_rows_of_the_list() {
    let source = Source::start(Script::default()).await;
    let world = world(&source).await;
    let json = get(&world, "application/json").await;
    let got = get(&world, "text/csv").await;
    assert_eq!((got.status, got.complete), (200, true), "{}", got.head);
    for part in ["content-type: text/csv; charset=utf-8; header=present", "filename=\"contacts.csv\"", "chunked"] {
        assert!(got.head.contains(part), "{}", got.head);
    }
    assert!(got.text().starts_with("id,name,email,region,vip\r\n0,Ada,a***@example.com,north,\r\n2,Ada,"));
    assert!(!got.text().contains("SECRET") && !got.text().contains("ssn"));
    let (rows, records) = (rows(&got.body), records(&json.body));
    let differs = rows.iter().zip(&records).find(|(row, record)| row != record);
    assert!(differs.is_none() && rows.len() == records.len(), "{differs:?}");
    assert_eq!(rows.len(), 3_333);
    let (intent, outcome) = world.last_audit().await;
    assert_eq!((&intent["action"], &outcome["rows_returned"]), (&"export".into(), &3_333.into()));
    assert_eq!(outcome["bytes_sent"], got.body.len());
    assert_eq!(world.metric("scrim_requests_total{action=\"export\",outcome=\"allowed\"}").await, 1.0);
    clean(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_breaks_is_cut() {
    for end in [Ending::Cut, Ending::Bytes("]"), Ending::Record("\"SECRET\"")] {
        let source = Source::start(Script { end, ..Script::default() }).await;
        let world = world(&source).await;
        let got = get(&world, "text/csv").await;
        assert_eq!((got.status, got.complete), (200, false), "{end:?}");
        assert!(got.body.ends_with(b"\r\n") && !got.text().contains("SECRET"), "{end:?}");
        assert!(rows(&got.body).len() > 1_000, "{end:?}");
        assert_eq!(told(&world).await, words(200, "aborted", "upstream_broken"), "{end:?}");
        clean(&world, 1).await;
    }
}
