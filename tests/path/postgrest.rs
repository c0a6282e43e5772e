//! The `rest` dialect with PostgREST's parameters: what clients find with its own spellings, what leaves for the upstream, and
//! what nobody learns by them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::pages::ids;
use crate::support::upstream::Seen;
use crate::support::world::Setup;
use crate::support::{Answer, Client, World};

const API: &str = r#"
api: crm
upstream: crm
dialect: rest
rest:
  list: "$[*]"
  record: "$"
  parameters: { style: postgrest, limit: { name: limit, default: 20, max: 50 } }
tables:
  contacts:
    key: id
    owner: owner_id
    tenant: { organization_id: organization_id, app_id: app_id }
    tenant_filter: { organization_id: organization_id, app_id: app_id }
    race: filter
    routes:
      list: GET /contacts
      read: { route: "GET /contacts/{id}", by_filter: /contacts }
      create: POST /contacts
      update: { route: "PATCH /contacts/{id}", by_filter: /contacts }
      delete: { route: "DELETE /contacts/{id}", by_filter: /contacts }
    fields:
      id: { type: int, push: exact }
      organization_id: { type: string, push: exact }
      app_id: { type: string, push: exact }
      owner_id: { type: string, push: exact }
      name: { type: string, nullable: true, push: exact }
      age: { type: int, nullable: true, push: exact }
      active: { type: bool, push: exact }
      note: { type: string, nullable: true, push: exact }
      ssn: { type: string, tags: [secret] }
      data: { type: json, nullable: true }
"#;

const POLICY: &str = "table: contacts
grants:
  - name: own
    roles: [rep]
    actions: [list, read, update, delete]
    rows: record.owner_id == principal.id
    read: { clear: all }
    write: [name, age]
    check: after.age == null || after.age < 100
  - name: active
    roles: [rep]
    actions: [list, read]
    rows: record.active
    read: { clear: [id, name, age, active] }
";

/// Of acme, ana's are the even ones; of the others, those that can be divided by three are active, and show.
fn rows() -> Vec<Value> {
    let names = [
        Some("Anna"),
        Some("Bo"),
        None,
        Some("a,b"),
        Some("say \"x\""),
        Some("back\\slash"),
        Some("(p)"),
        Some(""),
        Some("ann"),
        Some("A.B"),
    ];
    let row = |id: usize| {
        json!({
            "id": id, "organization_id": if id < 30 { "acme" } else { "globex" }, "app_id": "shop",
            "owner_id": if id.is_multiple_of(2) { "ana" } else { "max" }, "name": names[id % names.len()],
            "age": if id % 7 == 3 { Value::Null } else { json!(id * 5 % 70) }, "active": id.is_multiple_of(3),
            "note": if id % 5 == 4 { Value::Null } else { json!(format!("n{}", id % 4)) },
            "ssn": format!("SECRET-{id}"), "data": { "x": "plain" },
        })
    };
    (0..40).map(row).collect()
}

fn shows(row: &Value) -> bool {
    row["organization_id"] == "acme" && (row["owner_id"] == "ana" || row["active"] == json!(true))
}

// A second reading of the language, by whoever serves it: SQL's three truths, and nothing that is unknown.

fn holds(row: &Value, rest: &mut &str) -> Option<bool> {
    if let Some(behind) = rest.strip_prefix("not.") {
        *rest = behind;
        return holds(row, rest).map(|truth| !truth);
    }
    for (word, any) in [("and(", false), ("or(", true), ("(", false)] {
        if let Some(behind) = rest.strip_prefix(word) {
            *rest = behind;
            let (mut truths, mut more) = (Vec::new(), true);
            while more {
                truths.push(holds(row, rest));
                more = rest.starts_with(',');
                assert!(more || rest.starts_with(')'), "{rest}");
                *rest = &rest[1..];
            }
            return match (truths.contains(&Some(any)), truths.contains(&None)) {
                (true, _) => Some(any),
                (false, true) => None,
                (false, false) => Some(!any),
            };
        }
    }
    let (name, behind) = rest.split_once('.').expect("a column");
    let held = row.get(name).unwrap_or_else(|| panic!("{name} is no column"));
    let (negated, behind) = behind.strip_prefix("not.").map_or((false, behind), |behind| (true, behind));
    let (word, behind) = behind.split_once('.').expect("an operator");
    *rest = behind;
    let text = match held {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let truth = match word {
        "is" => {
            assert_eq!(value(rest), "null");
            return Some(held.is_null() != negated);
        }
        "in" => {
            *rest = rest.strip_prefix('(').expect("a list");
            let mut values = vec![value(rest)];
            while let Some(behind) = rest.strip_prefix(',') {
                *rest = behind;
                values.push(value(rest));
            }
            *rest = rest.strip_prefix(')').expect("its end");
            values.contains(&text)
        }
        "like" | "ilike" => {
            let (pattern, fold) = (value(rest), word == "ilike");
            let (pattern, text) = if fold { (pattern.to_lowercase(), text.to_lowercase()) } else { (pattern, text) };
            let part = pattern.trim_matches('*');
            match (pattern.starts_with('*'), pattern.ends_with('*')) {
                (true, true) => text.contains(part),
                (true, false) => text.ends_with(part),
                (false, true) => text.starts_with(part),
                (false, false) => text == pattern,
            }
        }
        word => {
            let other = value(rest);
            let order = match held {
                Value::Number(number) => number.as_i64().cmp(&Some(other.parse().expect("a number"))),
                _ => text.cmp(&other),
            };
            match word {
                "eq" => order.is_eq(),
                "neq" => order.is_ne(),
                "lt" => order.is_lt(),
                "lte" => order.is_le(),
                "gt" => order.is_gt(),
                "gte" => order.is_ge(),
                other => panic!("{other} is no operator"),
            }
        }
    };
    (!held.is_null()).then_some(truth != negated)
}

fn value(rest: &mut &str) -> String {
    let mut value = String::new();
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find([',', ')']).expect("an end");
        value.push_str(&rest[..end]);
        *rest = &rest[end..];
        return value;
    };
    let mut signs = quoted.chars();
    loop {
        match signs.next().expect("a quote") {
            '"' => break,
            '\\' => value.push(signs.next().expect("a sign")),
            sign => value.push(sign),
        }
    }
    *rest = signs.as_str();
    value
}

fn parameters(target: &str) -> Vec<(String, String)> {
    let (_, query) = target.split_once('?').expect("a query");
    let decoded = |text: &str| {
        let (mut bytes, mut rest) = (Vec::new(), text.bytes());
        while let Some(byte) = rest.next() {
            let digits =
                |rest: &mut std::str::Bytes<'_>| [rest.next().expect("a digit"), rest.next().expect("a digit")];
            bytes.push(if byte == b'%' {
                u8::from_str_radix(std::str::from_utf8(&digits(&mut rest)).expect("ASCII"), 16).expect("hex")
            } else {
                byte
            });
        }
        String::from_utf8(bytes).expect("UTF-8")
    };
    query.split('&').map(|pair| pair.split_once('=').expect("a pair")).map(|(n, v)| (decoded(n), decoded(v))).collect()
}

/// A page of the rows that pass, in order, with the columns that are asked for.
fn serve(rows: &[Value], seen: &Seen) -> Answer {
    let mut found: Vec<Value> = rows.to_vec();
    let (mut offset, mut limit, mut columns) = (0, usize::MAX, None);
    let mut by: Vec<(String, bool, bool)> = Vec::new();
    for (name, text) in parameters(&seen.target) {
        match name.as_str() {
            "and" => found.retain(|row| {
                let mut rest = text.as_str();
                let truth = holds(row, &mut rest);
                assert_eq!(rest, "", "{text}");
                truth == Some(true)
            }),
            "order" => {
                by = text
                    .split(',')
                    .map(|item| {
                        let words: Vec<&str> = item.split('.').collect();
                        let down = words[1] == "desc";
                        (words[0].to_owned(), down, words.get(2).map_or(down, |word| *word == "nullsfirst"))
                    })
                    .collect()
            }
            "select" => columns = Some(text.split(',').map(str::to_owned).collect::<Vec<_>>()),
            "limit" => limit = text.parse().expect("a number"),
            "offset" => offset = text.parse().expect("a number"),
            other => panic!("{other} is no parameter"),
        }
    }
    found.sort_by(|a, b| {
        let compared = by.iter().map(|(name, down, nulls_first)| match (&a[name], &b[name]) {
            (Value::Null, Value::Null) => std::cmp::Ordering::Equal,
            (Value::Null, _) if *nulls_first => std::cmp::Ordering::Less,
            (_, Value::Null) if !*nulls_first => std::cmp::Ordering::Less,
            (Value::Null, _) | (_, Value::Null) => std::cmp::Ordering::Greater,
            (a, b) => {
                let order = a.as_i64().cmp(&b.as_i64()).then(a.as_str().cmp(&b.as_str()));
                if *down { order.reverse() } else { order }
            }
        });
        compared.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
    let shown = |row: Value| match &columns {
        Some(columns) => Value::Object(columns.iter().map(|name| (name.clone(), row[name].clone())).collect()),
        None => row,
    };
    let page: Vec<Value> = found.into_iter().skip(offset).take(limit).map(shown).collect();
    Answer::json(200, Value::Array(page).to_string())
}

async fn world() -> World {
    let world = Setup { api: API.to_owned(), ..Setup::default() }.policy("contacts", POLICY).start().await;
    let rows = Arc::new(rows());
    world.upstream.answers(move |seen| Some(serve(&rows, seen)));
    world
}

fn person(world: &World) -> Client {
    world.person("ana", &json!({ "roles": ["rep"] }))
}

/// As a URL has it, where the client escapes no more than it must.
fn target(query: &str) -> String {
    let sign = |sign: char| match sign {
        ' ' | '"' | '\\' | '{' | '}' | '<' | '>' | '#' | '+' | '^' | '`' | '|' => format!("%{:02X}", u32::from(sign)),
        sign => sign.to_string(),
    };
    format!("/contacts?{}", query.chars().map(sign).collect::<String>())
}

type Test = fn(&Value) -> bool;

fn age(row: &Value) -> i64 {
    row["age"].as_i64().unwrap_or(i64::MIN)
}

fn named(row: &Value, name: &str) -> bool {
    row["name"] == name
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_find_what_they_ask_for_in_postgrests_own_words() {
    let world = world().await;
    let client = person(&world);
    let cases: [(&str, Test); 32] = [
        ("", |_| true),
        ("age=gte.18", |row| age(row) >= 18),
        ("age=gte.18&name=eq.Anna", |row| age(row) >= 18 && named(row, "Anna")),
        ("or=(age.eq.10,name.eq.Bo)", |row| age(row) == 10 || named(row, "Bo")),
        ("age=not.gt.30", |row| !row["age"].is_null() && age(row) <= 30),
        ("and=(age.gte.18,age.lt.65)", |row| (18..65).contains(&age(row))),
        ("age=gte.18&and=(age.lt.65)&or=(name.eq.Bo,name.is.null)", |row| {
            (18..65).contains(&age(row)) && (named(row, "Bo") || row["name"].is_null())
        }),
        ("id=in.(2,3,9,31)", |row| [2, 3, 9, 31].contains(&row["id"].as_i64().expect("a number"))),
        ("id=not.in.(2,3,9,31)", |row| ![2, 3, 9, 31].contains(&row["id"].as_i64().expect("a number"))),
        ("name=in.(\"a,b\",\"say \\\"x\\\"\",\"back\\\\slash\")", |row| {
            named(row, "a,b") || named(row, "say \"x\"") || named(row, "back\\slash")
        }),
        ("name=eq.a,b", |row| named(row, "a,b")),
        ("name=eq.say \"x\"", |row| named(row, "say \"x\"")),
        ("name=eq.back\\slash", |row| named(row, "back\\slash")),
        ("name=eq.(p)", |row| named(row, "(p)")),
        ("name=eq.A.B", |row| named(row, "A.B")),
        ("name=eq.", |row| named(row, "")),
        ("name=neq.Anna", |row| !row["name"].is_null() && !named(row, "Anna")),
        ("name=is.null", |row| row["name"].is_null()),
        ("name=not.is.null", |row| !row["name"].is_null()),
        ("name=is.not_null", |row| !row["name"].is_null()),
        ("active=is.true", |row| row["active"] == json!(true)),
        ("active=eq.false", |row| row["active"] == json!(false)),
        ("name=like.A*", |row| row["name"].as_str().is_some_and(|name| name.starts_with('A'))),
        ("name=ilike.an*", |row| row["name"].as_str().is_some_and(|name| name.to_lowercase().starts_with("an"))),
        ("name=not.like.*b", |row| row["name"].as_str().is_some_and(|name| !name.ends_with('b'))),
        ("name=like.*,*", |row| row["name"].as_str().is_some_and(|name| name.contains(','))),
        ("not.or=(age.gt.30,name.eq.Anna)", |row| {
            !row["age"].is_null() && age(row) <= 30 && !row["name"].is_null() && !named(row, "Anna")
        }),
        ("or=(and(age.gt.10,age.lt.30),not.and(active.is.true,id.gt.5))", |row| {
            (11..30).contains(&age(row)) || row["active"] != json!(true) || row["id"].as_i64() <= Some(5)
        }),
        ("or=(name.eq.\"(p)\",name.in.(\"A.B\",ann))", |row| {
            named(row, "(p)") || named(row, "A.B") || named(row, "ann")
        }),
        // One that only own records show in clear is compared on these.
        ("note=eq.n1", |row| row["owner_id"] == "ana" && row["note"] == "n1"),
        ("note=not.eq.n1", |row| row["owner_id"] == "ana" && !row["note"].is_null() && row["note"] != "n1"),
        ("or=(note.is.null,id.eq.3)", |row| row["owner_id"] == "ana" && row["note"].is_null() || row["id"] == 3),
    ];
    for (query, passes) in cases {
        let got = client.get(&target(format!("{query}&limit=50").trim_start_matches('&'))).await;
        assert_eq!(got.status, 200, "{query}: {}", got.text());
        assert!(!got.text().contains("SECRET-"), "{}", got.text());
        let expected: Vec<u64> =
            rows().iter().filter(|row| shows(row) && passes(row)).filter_map(|row| row["id"].as_u64()).collect();
        assert_eq!(ids(&got.json()), expected, "{query}: {:?}", world.upstream.lines().last());
        let (_, outcome) = world.last_audit().await;
        assert_eq!((&outcome["rows_dropped"], &outcome["pushdown_leaks"]), (&json!(0), &json!(0)), "{query}");
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_pages_and_choices_are_the_upstreams_own() {
    let world = world().await;
    let client = person(&world);
    let own: Vec<Value> = rows().into_iter().filter(shows).collect();
    let order = |down: bool, nulls_first: bool| {
        let mut rows = own.clone();
        rows.sort_by_key(|row| {
            let age = age(row);
            ((row["age"].is_null() != nulls_first), if down { -age.max(-1) } else { age }, row["id"].as_u64())
        });
        rows.iter().filter_map(|row| row["id"].as_u64()).collect::<Vec<u64>>()
    };
    for (text, expected) in [
        ("age", order(false, false)),
        ("age.asc", order(false, false)),
        ("age.nullsfirst", order(false, true)),
        ("age.desc", order(true, true)),
        ("age.desc.nullslast", order(true, false)),
        ("age.desc.nullsfirst,id.asc", order(true, true)),
    ] {
        let mut found = Vec::new();
        for page in 0.. {
            let got = client.get(&target(&format!("order={text}&limit=7&offset={}", page * 7))).await;
            assert_eq!(got.status, 200, "{text}: {}", got.text());
            let part = ids(&got.json());
            found.extend(part.iter().copied());
            if part.len() < 7 {
                break;
            }
        }
        assert_eq!(found, expected, "{text}");
    }
    let got = client.get(&target("select=id,name&id=eq.2")).await;
    assert_eq!(got.json(), json!([{ "id": 2, "name": null }]));
    let seen = world.upstream.lines().pop().expect("a list");
    assert!(!seen.contains("ssn") && !seen.contains("data") && seen.contains("select="), "{seen}");
    assert_eq!(
        client.get(&target("select=*&id=eq.9")).await.json(),
        json!([{ "id": 9, "name": "A.B", "age": 45, "active": true }])
    );
    world.gateway.shutdown().await;
}

/// Whatever reaches further than the columns that a caller may compare is refused as a column that isn't there is.
#[tokio::test(flavor = "multi_thread")]
async fn what_reaches_further_is_refused_like_what_is_not_there() {
    let world = world().await;
    let client = person(&world);
    let nothing = client.get(&target("nothing=eq.1")).await;
    assert_eq!((nothing.status, &nothing.json()["code"]), (400, &json!("query_not_allowed")));
    world.upstream.forget();
    for query in [
        // Hidden columns, by every way to read one.
        "ssn=eq.SECRET-1",
        "ssn=like.SECRET*",
        "ssn=not.is.null",
        "ssn=in.(SECRET-1)",
        "or=(ssn.gt.S,id.eq.1)",
        "and=(or(ssn.like.S*,id.gt.0))",
        "not.and=(ssn.is.null)",
        "not.or=(ssn.lt.T,id.gt.90)",
        "order=ssn",
        "order=ssn.desc.nullslast",
        "order=name,ssn",
        "select=ssn",
        "select=id,ssn",
        "order=note",
        "order=owner_id",
        "select=*,ssn",
        // Other names, kinds and sums.
        "select=x:ssn",
        "select=name:ssn",
        "select=ssn::text",
        "select=name::text",
        "select=ssn.max()",
        "select=age.sum()",
        "select=count()",
        "select=id.count(),name",
        "select=data->>x",
        "select=data->x",
        "data->>x=eq.plain",
        "data->x=not.is.null",
        "order=data->>x",
        "or=(data->>x.eq.1)",
        "data=cs.{\"x\":1}",
        "data=is.null",
        "ssn::int=gt.1",
        "select=to_json(ssn)",
        // Related resources.
        "select=id,accounts(*)",
        "select=accounts(ssn)",
        "select=...accounts(ssn)",
        "select=accounts!inner(name)",
        "accounts.name=eq.x",
        "accounts.order=name",
        "accounts.limit=1",
        "accounts.or=(name.eq.x)",
        "order=accounts(name)",
        "or=(accounts.name.eq.x)",
        "accounts=not.is.null",
        // Operators that aren't told, and two meanings.
        "name=match.^S",
        "name=imatch.s",
        "name=fts.s",
        "name=phfts(simple).s",
        "name=isdistinct.x",
        "age=eq(any).{1,2}",
        "name=like(all).{S*}",
        "age=sl.(1,2)",
        "name=eq",
        "name=x",
        "age=eq.x",
        "age=gt.1)",
        "or=(id.eq.1",
        "or=(id.eq.1))",
        "or=(id.eq.1),or=(id.eq.2)",
        "or=()",
        "or=(name.eq.\"a\"b)",
        "or=(name.eq.a\"b\")",
        "name=in.(a,b",
        "name=in.()",
        "name=like.A%25",
        "name=like.A_",
        "Or=(id.eq.1)",
        "or=(id.eq.1,organization_id.eq.globex))",
        "or=(id.eq.1)),organization_id.eq.(globex",
        // Parameters of the server's, and of other dialects.
        "columns=name",
        "on_conflict=id",
        "limit=51",
        "limit=0",
        "offset=-1",
        "page=1",
        "fields=id",
        "sort=id",
        "filter[id][_eq]=1",
        "$filter=id eq 1",
    ] {
        let got = client.get(&target(query)).await;
        assert_eq!((got.status, &got.body), (400, &nothing.body), "{query}: {}", got.text());
    }
    // The first and the last of two are different queries.
    for query in ["id=eq.1&id=eq.2", "or=(id.eq.1)&or=(id.eq.2)", "select=id&select=name", "limit=1&limit=2"] {
        let got = client.get(&target(query)).await;
        assert_eq!((got.status, &got.json()["code"]), (400, &json!("ambiguous_query")), "{query}");
    }
    assert_eq!(world.upstream.lines(), [""; 0], "nothing was asked");
    // Beside its tenant's, nobody's rows are found.
    for query in ["or=(id.gt.0,id.lt.99)", "id=gte.30", "not.and=(id.eq.1,id.eq.2)"] {
        let got = client.get(&target(&format!("{query}&limit=50"))).await;
        assert!(got.status == 200 && ids(&got.json()).iter().all(|id| *id < 30), "{query}: {}", got.text());
    }
    world.gateway.shutdown().await;
}

/// A record is read as whatever its key and its tenant find.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_a_list_of_one() {
    let world = world().await;
    let client = person(&world);
    let got = client.get("/contacts/9").await;
    assert_eq!(
        (got.status, got.json()),
        (200, json!({ "id": 9, "name": "A.B", "age": 45, "active": true })),
        "{}",
        got.text()
    );
    let seen = world.upstream.seen().pop().expect("a read");
    let tree = parameters(&seen.target).into_iter().find(|(name, _)| name == "and").expect("a filter").1;
    assert_eq!(tree, "(organization_id.eq.acme,app_id.eq.shop,id.eq.9)");
    let got = client.get("/contacts/9?select=name").await;
    assert_eq!((got.status, got.json()), (200, json!({ "name": "A.B" })), "{}", got.text());
    // Hidden, another tenant's, not there, and no key at all.
    let absent = client.get("/contacts/4711").await;
    assert_eq!(absent.status, 404);
    for key in ["7", "31", "36", "1", "09", "9.0", "x", "9,id.gt.0", "(9)", "eq.9", "in.(9,7)"] {
        let got = client.get(&format!("/contacts/{key}")).await;
        assert_eq!((got.status, &got.body), (404, &absent.body), "{key}: {}", got.text());
    }
    assert_eq!(client.get("/contacts/9?id=eq.9").await.status, 400);
    for (body, status) in [
        (json!([rows()[9], rows()[9]]), 502),
        (json!([rows()[9], rows()[12]]), 502),
        (json!([rows()[12]]), 404),
        (json!([]), 404),
        (rows()[9].clone(), 502),
        (json!([[rows()[9]]]), 502),
        (json!({ "data": [rows()[9]] }), 502),
    ] {
        let text = body.to_string();
        world.upstream.answers(move |_| Some(Answer::json(200, text.clone())));
        let got = client.get("/contacts/9").await;
        assert_eq!(got.status, status, "{body}: {}", got.text());
        assert!(!got.everything().contains("SECRET"), "{}", got.everything());
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_by_filter_is_said_in_the_same_words() {
    let world = world().await;
    let row = rows()[2].clone();
    world.upstream.answers(move |seen| {
        Some(match (seen.method.as_str(), seen.target.split('?').next()) {
            ("GET", Some("/contacts")) => serve(std::slice::from_ref(&row), seen),
            ("PATCH", Some("/contacts")) => {
                let (_, tree) = parameters(&seen.target).into_iter().find(|(name, _)| name == "and").expect("a filter");
                let found = holds(&row, &mut tree.as_str()) == Some(true);
                let changed = json!({ "id": 2, "name": "Zoe", "organization_id": "acme", "app_id": "shop", "owner_id": "ana", "age": 10, "active": false, "note": "n2", "ssn": "SECRET-2", "data": null });
                Answer::json(200, if found { json!([changed]).to_string() } else { "[]".to_owned() })
            }
            _ => Answer::json(404, "{}"),
        })
    });
    let got = person(&world).send("PATCH", "/contacts/2", Some(r#"{"name":"Zoe"}"#)).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert!(got.json()["name"] == "Zoe" && !got.text().contains("SECRET"), "{}", got.text());
    let seen = world.upstream.seen().pop().expect("the write");
    let (_, tree) = parameters(&seen.target).into_iter().find(|(name, _)| name == "and").expect("a filter");
    assert_eq!(tree, "(organization_id.eq.acme,app_id.eq.shop,id.eq.2,owner_id.eq.ana,age.eq.10)");

    // What is chosen of it is left of the answer, of which the upstream is told nothing.
    let sent = seen.target.clone();
    let got = person(&world).send("PATCH", "/contacts/2?select=name", Some(r#"{"name":"Zoe"}"#)).await;
    assert_eq!((got.status, got.json()), (200, json!({ "name": "Zoe" })), "{}", got.text());
    assert_eq!(world.upstream.seen().pop().expect("the write").target, sent);
    for query in ["select=ssn", "select=nothing", "id=eq.2", "order=name", "limit=1"] {
        world.upstream.forget();
        let got = person(&world).send("PATCH", &format!("/contacts/2?{query}"), Some(r#"{"name":"Zoe"}"#)).await;
        assert_eq!((got.status, world.upstream.lines().len()), (400, 0), "{query}");
    }
    world.gateway.shutdown().await;
}
