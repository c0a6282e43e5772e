//! Attacks on what a request is for: the path and query (tests/wire/paths.yaml), the URL corpus, and naughty strings wherever a
//! client can put a string. What is not refused must come out at the upstream in the one form that was authorised, worked out
//! here again by other means. Nothing of it may be an error of the gateway's own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::wire_http1::{answers, own};
use super::{POLICY, every_exchange_is_whole, rep, seen, setup};
use crate::support::strict::{Received, Strict};
use crate::support::world::Setup;
use crate::support::{World, bytes_of};

const COUNTRIES: &str =
    "table: countries\ngrants: [{ name: all, roles: [rep], actions: [list, read], rows: all, read: { clear: all } }]\n";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Paths {
    tricks: Vec<String>,
    places: Vec<String>,
    refused: Vec<String>,
    authorised: Vec<(String, String)>,
}

struct Attack {
    strict: Strict,
    world: World,
    token: String,
}

impl Attack {
    async fn start() -> Self {
        let strict = Strict::start(|received| {
            let path = received.target.split('?').next().unwrap_or_default();
            match path.strip_prefix("/countries") {
                None => answers(received),
                Some("") => (200, json!({ "data": [] }).to_string()),
                Some(code) => (200, json!({ "data": { "code": decoded(&code[1..]), "name": "x" } }).to_string()),
            }
        })
        .await;
        let setup = setup("idle_time: 5s").policy("countries", COUNTRIES).policy("contacts", POLICY);
        let files: BTreeMap<_, _> = [("keys.yaml".to_owned(), "keys: []\n".to_owned())].into();
        let authn = "  api_keys: { file: keys.yaml, hash_key: { secret: token } }\n".to_owned();
        let world = Setup { upstream: Some(strict.address), files, authn, ..setup }.start().await;
        let token = world.identities.token("ann", &json!({ "roles": ["rep"] }));
        Self { strict, world, token }
    }

    /// The status of the one answer to these bytes, after which the connection is closed.
    async fn status(&self, request: &[u8]) -> u16 {
        let mut stream = TcpStream::connect(self.world.gateway.addresses()[0]).await.expect("the gateway listens");
        // What is refused may be closed before all of it was sent.
        let _ = stream.write_all(request).await;
        let mut said = Vec::new();
        let all = async { while stream.read_buf(&mut said).await.is_ok_and(|count| count > 0) {} };
        let shown = || request.escape_ascii().to_string();
        tokio::time::timeout(Duration::from_secs(20), all).await.unwrap_or_else(|_| panic!("left open: {}", shown()));
        let text = String::from_utf8_lossy(&said);
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{}: {text}", shown());
        text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{}: {text}", shown()))
    }

    async fn get(&self, target: &[u8]) -> u16 {
        let head =
            format!(" HTTP/1.1\r\nhost: crm.test\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n", self.token);
        self.status(&[b"GET ", target, head.as_bytes()].concat()).await
    }

    /// What the upstream saw of a target, if it was not refused. Errors: it should have been, or is not what was meant.
    async fn seen(&self, target: &[u8]) -> Result<Option<String>, String> {
        self.strict.take();
        let status = self.get(target).await;
        self.world.settled().await;
        let heard: Vec<Received> = self.strict.take().into_iter().collect::<Result<_, _>>()?;
        match heard.as_slice() {
            [] if (400..500).contains(&status) => Ok(None),
            // 404: the upstream has no such record.
            [received] if status == 200 || status == 404 => {
                own(received, &self.strict)?;
                let wanted = canonical(target).ok_or("it has no canonical form")?;
                let (path, _) = received.target.split_once('?').unwrap_or((&received.target, ""));
                let audited = self.audited();
                if path != wanted || audited.as_deref() != Some(path) {
                    return Err(format!("seen as {path}, meant {wanted}, audited {audited:?}"));
                }
                if !path.starts_with("/countries/") && !path.starts_with("/contacts") && path != "/countries" {
                    return Err(format!("{path} is nobody's to see"));
                }
                Ok(Some(received.target.clone()))
            }
            other => Err(format!("{status}, upstream {other:?}")),
        }
    }

    /// The path of the last exchange in the audit log.
    fn audited(&self) -> Option<String> {
        let log = std::fs::read_to_string(self.world.folder.path().join("audit.jsonl")).expect("the audit log");
        let last = log.lines().rev().take(2).map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        last.filter_map(|line| line["path"].as_str().map(str::to_owned)).next()
    }

    /// It serves on, and everything was recorded.
    async fn end(self) {
        assert_eq!(rep(&self.world).get("/contacts/1").await.json(), seen(1), "it serves on");
        every_exchange_is_whole(&self.world).await;
        let metrics = self.world.admin().get("/metrics").await.text();
        assert!(!metrics.contains("reason=\"internal\""), "a panic");
    }
}

/// The path of a target, decoded once and printed again (RFC 3986, section 6.2.2). `None`: nothing but a refusal will do.
fn canonical(target: &[u8]) -> Option<String> {
    let target = std::str::from_utf8(target).ok().filter(|text| text.is_ascii())?;
    let path = target.split('?').next()?;
    let mut out = String::new();
    for segment in path.strip_prefix('/')?.split('/') {
        let decoded = decoded(segment)?;
        let hidden = |c: char| c.is_control() || "/\\;% ".contains(c);
        if decoded.is_empty() || decoded.chars().all(|c| c == '.') || decoded.chars().any(hidden) {
            return None;
        }
        out.push('/');
        for byte in decoded.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
                other => out.push_str(&format!("%{other:02X}")),
            }
        }
    }
    Some(out)
}

fn decoded(segment: &str) -> Option<String> {
    let mut parts = segment.split('%');
    let mut decoded = parts.next()?.as_bytes().to_vec();
    for part in parts {
        decoded.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        decoded.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(decoded).ok()
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// A corpus beside the project, which may be absent.
fn corpus(name: &str) -> Option<Value> {
    let root = std::env::var_os("SCRIM_CORPORA").map_or_else(|| PathBuf::from("../shared/corpora"), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(root.join(name)) else {
        eprintln!("skipped: no corpus {name} (set SCRIM_CORPORA)");
        return None;
    };
    Some(serde_json::from_str(&text).expect("a corpus is JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_is_refused_or_seen_in_the_one_form_that_was_authorised() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/paths.yaml");
    let text = std::fs::read_to_string(path).expect("readable");
    let paths: Paths = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
    let attack = Attack::start().await;
    let mut failures = Vec::new();
    let (mut taken, mut refused) = (0, 0);
    for place in &paths.places {
        for trick in &paths.tricks {
            let target = place.replace("{}", trick);
            match attack.seen(&bytes_of(&target)).await {
                Ok(Some(_)) => taken += 1,
                Ok(None) => refused += 1,
                Err(differs) => failures.push(format!("{target}: {differs}")),
            }
        }
    }
    for target in &paths.refused {
        let bytes =
            if target.chars().all(|c| u32::from(c) < 256) { bytes_of(target) } else { target.clone().into_bytes() };
        match attack.seen(&bytes).await {
            Ok(None) => refused += 1,
            found => failures.push(format!("{target}: {found:?}")),
        }
    }
    for (target, wanted) in &paths.authorised {
        match attack.seen(target.as_bytes()).await {
            Ok(Some(found)) if found == *wanted => taken += 1,
            found => failures.push(format!("{target}: {found:?}")),
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
    assert!(refused >= 600 && taken >= 40, "{refused} refused, {taken} taken");
    attack.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_of_the_url_corpus_are_refused_or_seen_as_they_were_authorised() {
    let Some(corpus) = corpus("url/urltestdata.json") else { return };
    let attack = Attack::start().await;
    let mut targets = std::collections::BTreeSet::new();
    for case in corpus.as_array().expect("a list").iter().filter(|case| case.is_object()) {
        let word = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
        let (input, path) = (word("input"), word("pathname"));
        for text in [input.clone(), word("href"), path.clone() + &word("search")] {
            // What holds a line's end is more than a target; tests/wire/http1.yaml has those.
            if text.len() < 2000 && !text.contains(['\r', '\n']) {
                targets.insert(text.clone());
                targets.insert(format!("/countries/{}", text.trim_start_matches('/')));
            }
        }
        targets.insert(format!("/countries/{}", escaped(&input)));
    }
    let (mut taken, mut failures) = (0, Vec::new());
    for target in &targets {
        match attack.seen(target.as_bytes()).await {
            Ok(found) => taken += usize::from(found.is_some()),
            Err(differs) => failures.push(format!("{target}: {differs}")),
        }
    }
    assert!(failures.is_empty(), "{} of {} differ:\n{}", failures.len(), targets.len(), failures.join("\n"));
    assert!(taken > 100 && targets.len() > 1000, "{taken} of {}", targets.len());
    attack.end().await;
}

/// Where a client can put a string, as a whole request.
fn request(attack: &Attack, place: &str, text: &str) -> Vec<u8> {
    let bearer = format!("authorization: Bearer {}\r\n", attack.token);
    let get = |target: &str, host: &[u8], headers: &[u8]| {
        let line = format!("GET {target} HTTP/1.1\r\nhost: ");
        [line.as_bytes(), host, b"\r\nconnection: close\r\n", headers, b"\r\n"].concat()
    };
    let post = |body: Value| {
        let body = body.to_string();
        let head =
            "POST /contacts HTTP/1.1\r\nhost: crm.test\r\nconnection: close\r\ncontent-type: application/json\r\n";
        format!("{head}{bearer}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let header = |name: &str| [format!("{name}: ").as_bytes(), text.as_bytes(), b"\r\n"].concat();
    let with = |name: &str| get("/contacts/1", b"crm.test", &[bearer.as_bytes(), &header(name)].concat());
    match place {
        "path segment" => get(&format!("/countries/{}", escaped(text)), b"crm.test", bearer.as_bytes()),
        "path segment as it is" => get(&format!("/countries/{text}"), b"crm.test", bearer.as_bytes()),
        "query value" => get(&format!("/contacts?name={}", escaped(text)), b"crm.test", bearer.as_bytes()),
        "query value as it is" => get(&format!("/contacts?name={text}"), b"crm.test", bearer.as_bytes()),
        "query name" => get(&format!("/contacts?{}=1", escaped(text)), b"crm.test", bearer.as_bytes()),
        "header value" => with("x-note"),
        "tenant" => with("x-scrim-tenant"),
        "accept" => with("accept"),
        "request id" => with("traceparent"),
        "bearer token" => {
            get("/contacts/1", b"crm.test", &[b"authorization: Bearer ", text.as_bytes(), b"\r\n"].concat())
        }
        "credentials" => get("/contacts/1", b"crm.test", &header("authorization")),
        "API key" => get("/contacts/1", b"crm.test", &header("x-api-key")),
        "host" => get("/contacts/1", text.as_bytes(), bearer.as_bytes()),
        "JSON value" => post(json!({ "name": text, "email": text, "region": text })),
        "JSON key" => post(json!({ text: "Ada", "name": "Ada" })),
        other => panic!("no place: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn naughty_strings_are_no_errors_of_the_gateway_wherever_they_stand() {
    let Some(corpus) = corpus("strings/blns.json") else { return };
    let texts: Vec<&str> = corpus.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(texts.len() > 400);
    let attack = Attack::start().await;
    // In which places a string can mean something, so that some must be taken.
    for (place, least) in [
        ("path segment", 100),
        ("path segment as it is", 5),
        ("query value", 300),
        ("query value as it is", 5),
        ("query name", 0),
        ("header value", 200),
        ("tenant", 0),
        ("accept", 0),
        ("request id", 200),
        ("bearer token", 0),
        ("credentials", 0),
        ("API key", 0),
        ("host", 5),
        ("JSON value", 200),
        ("JSON key", 0),
    ] {
        let mut taken = 0;
        for text in &texts {
            attack.strict.take();
            let status = attack.status(&request(&attack, place, text)).await;
            assert!((200..500).contains(&status), "{place}: {text:?}: {status}");
            attack.world.settled().await;
            let heard: Vec<Received> = attack.strict.take().into_iter().collect::<Result<_, _>>().expect("well-formed");
            assert!(heard.len() == 1 || (heard.is_empty() && status >= 400), "{place}: {text:?}: {status} {heard:?}");
            for received in &heard {
                own(received, &attack.strict).unwrap_or_else(|differs| panic!("{place}: {text:?}: {differs}"));
                if place == "JSON value" {
                    let body: Value = serde_json::from_slice(&received.body).expect("JSON");
                    assert_eq!((&body["name"], &body["organization_id"]), (&json!(text), &json!("acme")), "{place}");
                }
                if place == "query value" {
                    assert!(
                        received.target.to_lowercase().contains("organization_id=acme&app_id=shop&name="),
                        "{received:?}"
                    );
                }
            }
            taken += heard.len();
        }
        println!("{place}: {taken} of {} were taken", texts.len());
        assert!(taken >= least, "{place}: {taken}");
    }
    attack.end().await;
}
