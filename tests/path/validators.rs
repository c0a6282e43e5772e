//! Tags of records: a reader's own, of what they were shown, and what a write may be made to depend on. Whoever can't see a
//! field learns nothing of it by them.

use serde_json::{Value, json};

use crate::support::client::Response;
use crate::support::record::{Record, make, own, policy};
use crate::support::upstream::Seen;
use crate::support::world::{API, Setup};
use crate::support::{Answer, Client, World};

const POLICY: &str = "table: contacts
grants:
  - name: own
    roles: [rep]
    actions: [list, read, update, delete, archive]
    rows: record.owner_id == 'ana'
    read: { clear: [id, name], partial: [email] }
    write: [name, email]
    check: after.name != 'no'
  - { name: blind, roles: [analyst], actions: [update, delete], rows: record.owner_id == 'ana', write: [name], check: after.name != 'no' }
  - { name: make, roles: [rep], actions: [create], write: [name, email, owner_id, region], check: after.name != 'no' }
";

fn row() -> Value {
    json!({
        "id": 7, "organization_id": "acme", "app_id": "shop", "owner_id": "ana", "account_id": null, "name": "Ann",
        "email": "ann@example.com", "phone": null, "region": "EMEA", "stage": "lead", "amount": null, "born": null,
        "legal_hold": false, "vip": null, "ssn": "SECRET", "custom": null, "note_count": 0,
    })
}

fn service(record: &Record) -> impl Fn(&Seen) -> Option<Answer> + Send + Sync + 'static {
    let record = record.clone();
    move |seen| {
        let other = |id: u64, field: &str, value: &str| {
            let other = Record::new(row());
            other.set("id", id);
            other.set(field, value);
            other
        };
        let told = match (seen.method.as_str(), seen.target.split('?').next()?) {
            ("DELETE", "/contacts/7") => return Some(Answer::json(204, "")),
            ("POST", "/contacts") => return Some(Answer::json(201, json!({ "data": record.now() }).to_string())),
            ("PATCH", "/contacts/7") => {
                record.change(seen);
                record.clone()
            }
            (_, "/contacts/7" | "/contacts/7/archive") => record.clone(),
            (_, "/contacts/8") => other(8, "organization_id", "globex"),
            (_, "/contacts/9") => other(9, "owner_id", "max"),
            _ => return None,
        };
        Some(Answer::json(200, json!({ "data": told.now() }).to_string()))
    }
}

async fn world() -> (World, Record) {
    let api = API.replace("create: POST /contacts\n", "create: { route: POST /contacts, many: 5 }\n");
    let world = Setup { api, ..Setup::default() }.policy("contacts", POLICY).start().await;
    let record = Record::new(row());
    world.upstream.answers(service(&record));
    (world, record)
}

fn rep(world: &World) -> Client {
    world.person("ana", &json!({ "roles": ["rep"] }))
}

fn tag(got: &Response) -> String {
    assert_eq!(got.status, 200, "{}", got.text());
    got.headers["etag"].to_str().expect("text").to_owned()
}

fn writes(world: &World) -> usize {
    world.upstream.seen().iter().filter(|seen| seen.method != "GET").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_of_what_its_reader_was_shown_and_theirs_alone() {
    let (world, record) = world().await;
    let read = async || tag(&rep(&world).get("/contacts/7").await);
    let first = read().await;
    assert!(first.starts_with('"') && first.ends_with('"') && first.len() > 40, "{first}");
    assert_eq!(read().await, first);
    // What is hidden, or masked alike, is no part of it.
    for (field, value) in [("ssn", "SECRET-2"), ("region", "APAC"), ("stage", "won"), ("email", "alf@example.com")] {
        record.set(field, value);
        assert_eq!(read().await, first, "{field}");
    }
    record.set("name", "Eve");
    let second = read().await;
    assert_ne!(second, first);
    record.set("name", "Ann");
    assert_eq!(read().await, first);
    // The order of its members is the service's own affair.
    let shuffled =
        format!(r#"{{"data":{{"name":"Ann",{}"#, json!(row()).to_string().replace(r#""name":"Ann","#, "").split_off(1));
    world.upstream.answers(move |_| Some(Answer::json(200, format!("{shuffled}}}"))));
    assert_eq!(read().await, first);
    world.upstream.answers(service(&record));
    for (who, claims) in [
        ("max", json!({ "roles": ["rep"] })),
        ("ana", json!({ "roles": ["rep"], "org_id": "globex" })),
        ("ana", json!({ "roles": ["rep"], "app_id": "desk" })),
    ] {
        record.set("organization_id", claims["org_id"].as_str().unwrap_or("acme"));
        record.set("app_id", claims["app_id"].as_str().unwrap_or("shop"));
        assert_ne!(tag(&world.person(who, &claims).get("/contacts/7").await), first, "{who} {claims}");
    }
    record.set("organization_id", "acme");
    record.set("app_id", "shop");
    let list = rep(&world).get("/contacts/7?fields=id").await;
    assert_ne!(tag(&list), first, "of other bytes it is another one");
    assert!(!rep(&world).get("/contacts/9").await.headers.contains_key("etag"));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_has_is_not_sent_again() {
    let (world, record) = world().await;
    let first = tag(&rep(&world).get("/contacts/7").await);
    let asked = async |with: &str| rep(&world).header("if-none-match", with).get("/contacts/7").await;
    for with in [first.clone(), format!("W/{first}"), format!("\"x\", {first}"), "*".to_owned()] {
        let got = asked(&with).await;
        assert_eq!((got.status, got.body.len()), (304, 0), "{with}");
        assert_eq!(got.headers["etag"], first, "{with}");
        let (_, outcome) = world.last_audit().await;
        assert_eq!((&outcome["status"], &outcome["keys"]), (&json!(304), &json!(["7"])));
    }
    record.set("ssn", "SECRET-2");
    assert_eq!(asked(&first).await.status, 304, "nothing changed that is shown");
    for with in ["\"v1\"", "\"\"", "x", "\"x"] {
        assert_eq!(asked(with).await.status, 200, "{with}");
    }
    record.set("name", "Eve");
    assert_eq!(asked(&first).await.status, 200);
    // Hidden, foreign and nonexistent records are alike, whatever is said of them.
    let plain = rep(&world).get("/contacts/99").await;
    for path in ["/contacts/8", "/contacts/9", "/contacts/99"] {
        for with in [first.as_str(), "*", "\"v1\""] {
            let got = rep(&world).header("if-none-match", with).get(path).await;
            assert_eq!((got.status, &got.body), (404, &plain.body), "{path} {with}");
        }
    }
    assert!(world.upstream.seen().iter().all(|seen| !seen.headers.contains_key("if-none-match")));
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_depends_on_what_its_writer_was_shown() {
    let (world, record) = world().await;
    let body = r#"{"name":"Eve"}"#;
    let first = tag(&rep(&world).get("/contacts/7").await);
    let sent = async |method: &str, with: &str| {
        world.upstream.forget();
        let body = (method == "PATCH").then_some(body);
        let path = if method == "POST" { "/contacts/7/archive" } else { "/contacts/7" };
        let got = rep(&world).header("if-match", with).send(method, path, body).await;
        record.set("name", "Ann");
        (got.status, writes(&world))
    };
    record.set("ssn", "SECRET-2");
    record.set("email", "alf@example.com");
    for method in ["PATCH", "DELETE", "POST"] {
        let done = if method == "DELETE" { 204 } else { 200 };
        assert_eq!(sent(method, &first).await, (done, 1), "what is hidden from them may change: {method}");
        assert_eq!(sent(method, "*").await, (done, 1), "{method}");
        assert_eq!(sent(method, &format!("\"x\",{first}")).await, (done, 1), "{method}");
        for stale in ["\"v1\"", &format!("W/{first}"), &first.to_uppercase(), "\"\""] {
            assert_eq!(sent(method, stale).await, (412, 0), "{method} {stale}");
        }
        for malformed in [first.trim_matches('"'), "x", "", ",", "*,*"] {
            assert_eq!(sent(method, malformed).await, (400, 0), "{method} {malformed}");
        }
    }
    record.set("name", "Zoe");
    let got = rep(&world).header("if-match", &first).send("PATCH", "/contacts/7", Some(body)).await;
    let (_, outcome) = world.last_audit().await;
    assert_eq!((got.status, outcome["reason"].as_str()), (412, Some("precondition_failed")));
    assert!(!got.everything().contains("SECRET"));
    record.set("name", "Ann");
    // Another's tag of the same record proves nothing.
    let others = tag(&world.person("max", &json!({ "roles": ["rep"] })).get("/contacts/7").await);
    assert_eq!(sent("PATCH", &others).await, (412, 0));
    for with in [first.as_str(), "*"] {
        world.upstream.forget();
        let got = rep(&world).header("if-none-match", with).send("PATCH", "/contacts/7", Some(body)).await;
        assert_eq!((got.status, writes(&world)), (412, 0), "{with}");
    }
    // Hidden, foreign and nonexistent records stay what they are.
    let plain = rep(&world).send("PATCH", "/contacts/99", Some(body)).await;
    for path in ["/contacts/8", "/contacts/9", "/contacts/99"] {
        for with in [first.as_str(), "*", "\"v1\"", "x"] {
            for name in ["if-match", "if-none-match"] {
                let got = rep(&world).header(name, with).send("PATCH", path, Some(body)).await;
                assert_eq!((got.status, &got.body), (404, &plain.body), "{path} {name} {with}");
            }
        }
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_write_unseen_has_no_tag_to_guess() {
    let (world, record) = world().await;
    let blind = world.person("ana", &json!({ "roles": ["analyst"] }));
    let known = tag(&rep(&world).get("/contacts/7").await);
    let mut told = Vec::new();
    for ssn in ["SECRET-1", "SECRET-2"] {
        record.set("ssn", ssn);
        for with in [known.as_str(), "\"v1\""] {
            let got = blind.header("if-match", with).send("PATCH", "/contacts/7", Some(r#"{"name":"Ann"}"#)).await;
            told.push((got.status, got.body));
        }
    }
    assert!(told.iter().all(|one| *one == told[0]) && told[0].0 == 412, "{told:?}");
    let got = blind.header("if-match", "*").send("PATCH", "/contacts/7", Some(r#"{"name":"Ann"}"#)).await;
    assert_eq!(got.status, 204);
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_is_not_there_nothing_matches() {
    let (world, _) = world().await;
    let body = r#"{"name":"Eve","email":"e@example.com","owner_id":"ana","region":"EMEA"}"#;
    let many = format!("[{body}]");
    for (with, body, status) in [("\"v1\"", body, 412), ("*", body, 412), ("x", body, 400), ("*", many.as_str(), 412)] {
        world.upstream.forget();
        let got = rep(&world).header("if-match", with).send("POST", "/contacts", Some(body)).await;
        assert_eq!((got.status, world.upstream.lines().len()), (status, 0), "{with} {}", got.text());
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_in_another_coding_have_another_tag_of_the_same_record() {
    let setup = Setup { more: "compression: [gzip]\n".to_owned(), ..Setup::default() };
    let world = setup.policy("contacts", POLICY).start().await;
    let record = Record::new(row());
    record.set("name", "A".repeat(4000));
    world.upstream.answers(service(&record));
    let plain = tag(&rep(&world).get("/contacts/7").await);
    let zipped = rep(&world).header("accept-encoding", "gzip").get("/contacts/7").await;
    assert_eq!(zipped.headers["content-encoding"], "gzip");
    let zipped = tag(&zipped);
    assert_ne!(zipped, plain);
    for with in [&plain, &zipped] {
        let got = rep(&world).header("accept-encoding", "gzip").header("if-none-match", with).get("/contacts/7").await;
        assert_eq!((got.status, got.headers["etag"].to_str().expect("text")), (304, with.as_str()));
        let got = rep(&world).header("if-match", with).send("DELETE", "/contacts/7", None).await;
        assert_eq!(got.status, 204, "{with}");
    }
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_may_be_kept_from_making_or_from_changing() {
    let api = "
api: crm
upstream: crm
dialect: odata
odata: { root: /svc }
tables:
  contacts:
    key: id
    client_keys: true
    owner: owner_id
    tenant: { organization_id: organization_id, app_id: app_id }
    race: accept
    routes: [read, create, upsert]
    fields: { id: int, organization_id: string, app_id: string, owner_id: string, name: string }
";
    let grants = [
        own("rep", "read, update", "read: { clear: [id, name] }, write: [name], check: after.name != 'no'"),
        make("write: [id, name], check: after.name != 'no'"),
    ];
    let policy = policy("contacts", &grants);
    let world = Setup { api: api.to_owned(), ..Setup::default() }.policy("contacts", &policy).start().await;
    let record = |id: u64, owner: &str| {
        json!({ "id": id, "organization_id": "acme", "app_id": "shop", "owner_id": owner, "name": "Ann" }).to_string()
    };
    world.upstream.answers(move |seen| {
        Some(match (seen.method.as_str(), seen.target.split('?').next()?) {
            ("GET" | "PATCH", "/svc/contacts(7)") => Answer::json(200, record(7, "ana")),
            ("GET", "/svc/contacts(8)") => Answer::json(200, record(8, "max")),
            ("POST", "/svc/contacts") if String::from_utf8_lossy(&seen.body).contains("\"id\":8") => {
                Answer::json(409, "{}")
            }
            ("POST", "/svc/contacts") => Answer::json(201, record(9, "ana")),
            _ => return None,
        })
    });
    let body = r#"{"name":"Eve"}"#;
    let tag = tag(&rep(&world).get("/svc/contacts(7)").await);
    for (key, header, status, written) in [
        (7, None, 200, "PATCH /svc/contacts(7)"),
        (7, Some(("if-match", "*")), 200, "PATCH /svc/contacts(7)"),
        (7, Some(("if-match", tag.as_str())), 200, "PATCH /svc/contacts(7)"),
        (7, Some(("if-match", "\"v1\"")), 412, ""),
        (7, Some(("if-none-match", "*")), 412, ""),
        (9, None, 201, "POST /svc/contacts"),
        (9, Some(("if-none-match", "*")), 201, "POST /svc/contacts"),
        (9, Some(("if-match", "*")), 412, ""),
        (9, Some(("if-match", tag.as_str())), 412, ""),
        // To whom it is hidden, it is not there; the service says that its key is taken, as to whoever makes one.
        (8, None, 422, "POST /svc/contacts"),
        (8, Some(("if-none-match", "*")), 422, "POST /svc/contacts"),
        (8, Some(("if-match", "*")), 412, ""),
    ] {
        world.upstream.forget();
        let client = header.map_or(rep(&world), |(name, value)| rep(&world).header(name, value));
        let got = client.send("PATCH", &format!("/svc/contacts({key})"), Some(body)).await;
        assert_eq!(got.status, status, "{key} {header:?}: {}", got.text());
        let lines = world.upstream.lines();
        let sent: Vec<&str> =
            lines.iter().filter(|line| !line.starts_with("GET")).filter_map(|line| line.split('?').next()).collect();
        assert_eq!(sent.join(" "), written, "{key} {header:?}");
    }
    let got = rep(&world).send("PATCH", "/svc/contacts(9)", Some(r#"{"id":10,"name":"Eve"}"#)).await;
    assert_eq!(got.status, 400, "a key is in its path");
    world.gateway.shutdown().await;
}
