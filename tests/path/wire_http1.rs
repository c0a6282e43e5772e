//! The table of requests in bytes over HTTP/1.1 (tests/wire/http1.yaml): each is refused, with a status, and its connection
//! closed, or an upstream that reads by the letter sees exactly what was authorised. Each also comes byte by byte, for where
//! the bytes are cut must not matter.

use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{CREATION, contact, rep, seen, setup};
use crate::support::strict::{Received, Strict};
use crate::support::world::Setup;
use crate::support::{World, bytes_of};
use serde_json::json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    send: String,
    /// A chunked body, in place of `send`.
    #[serde(default)]
    chunks: Option<String>,
    answers: Vec<u16>,
    #[serde(default)]
    code: Option<String>,
    /// The connection can be used on.
    #[serde(default)]
    open: bool,
    /// The last answer has no body, whatever it says.
    #[serde(default)]
    bodiless: bool,
    #[serde(default)]
    upstream: Vec<String>,
}

/// How long a peer may take that should answer or close.
const PATIENCE: Duration = Duration::from_secs(20);

fn cases() -> Vec<Case> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/http1.yaml");
    let text = std::fs::read_to_string(path).expect("readable");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// What answers as the API does, whatever is asked.
pub(super) fn answers(received: &Received) -> (u16, String) {
    let path = received.target.split('?').next().unwrap_or_default();
    match (received.method.as_str(), path.strip_prefix("/contacts/").and_then(|id| id.parse().ok())) {
        ("POST", _) => (201, contact(9)),
        (_, Some(id)) => (200, contact(id)),
        ("GET", None) if path == "/contacts" => (200, r#"{"data":[]}"#.to_owned()),
        _ => (404, "{}".to_owned()),
    }
}

/// What the gateway itself must have said in each request: whose it is, by which credential, and where it goes.
pub(super) fn own(received: &Received, strict: &Strict) -> Result<(), String> {
    let host = strict.address.to_string();
    for (name, value) in [
        ("x-organization-id", "acme"),
        ("x-app-id", "shop"),
        ("authorization", "Bearer token-0123456789abcdef0123456789abcdef"),
        ("host", host.as_str()),
    ] {
        let found = received.all(name);
        if found != [value] {
            return Err(format!("{name}: {found:?}"));
        }
    }
    Ok(())
}

/// Replaces `{name*count}` and the other words in braces.
fn expand(text: &str, token: &str) -> String {
    let auth = format!("authorization: Bearer {token}\r\n");
    let get = format!("GET /contacts/2 HTTP/1.1\r\nhost: crm.test\r\n{auth}\r\n");
    let length = CREATION.len();
    let mut out = String::new();
    let mut rest = text.replace("{{", "\u{e000}").replace("}}", "\u{e001}");
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (word, after) = after.split_once('}').expect("a closing brace");
        let (word, count) =
            word.split_once('*').map_or((word, 1), |(word, count)| (word, count.parse().expect("a count")));
        let expanded = match word {
            "host" => "host: crm.test\r\n".to_owned(),
            "auth" => auth.clone(),
            "json" => "content-type: application/json\r\n".to_owned(),
            "creation" => CREATION.to_owned(),
            "length" => length.to_string(),
            "hex" => format!("{length:x}"),
            "chunk" => format!("{length:x}\r\n{CREATION}\r\n"),
            "get" => get.clone(),
            "x" => "x".repeat(count),
            "zeros" => "0".repeat(40),
            "headers" => (0..count).map(|index| format!("x-{index}: 1\r\n")).collect(),
            other => panic!("{{{other}}} stands for nothing"),
        };
        out.push_str(&expanded);
        rest = after.to_owned();
    }
    out.push_str(&rest);
    out.replace('\u{e000}', "{").replace('\u{e001}', "}")
}

/// Everything the gateway says on a connection until it closes it, or (`false`) until it took too long.
async fn converse(world: &World, bytes: &[u8], cut: bool) -> (Vec<u8>, bool) {
    let stream = TcpStream::connect(world.gateway.addresses()[0]).await.expect("the gateway listens");
    stream.set_nodelay(true).expect("set");
    let (mut from, mut to) = stream.into_split();
    let sends = async {
        // What is refused may be closed before all of it was sent.
        if cut {
            for piece in bytes.chunks(if bytes.len() < 4096 { 1 } else { 997 }) {
                if to.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        } else {
            let _ = to.write_all(bytes).await;
        }
        to
    };
    let mut said = Vec::new();
    let hears = async {
        // A reset loses nothing that was read before.
        while from.read_buf(&mut said).await.is_ok_and(|count| count > 0) {}
    };
    let ended = tokio::time::timeout(PATIENCE, async { tokio::join!(sends, hears) }).await.is_ok();
    (said, ended)
}

/// Status, head and body of each answer. Errors: what is none.
fn read_answers(mut said: &[u8], last_is_bodiless: bool) -> Result<Vec<(u16, String, String)>, String> {
    let mut found = Vec::new();
    while !said.is_empty() {
        let end = said.windows(4).position(|window| window == b"\r\n\r\n").ok_or("an answer without an end")?;
        let head = String::from_utf8(said[..end].to_vec()).map_err(|_| "a head that is no text")?.to_lowercase();
        let status: u16 = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
        said = &said[end + 4..];
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let length = if last_is_bodiless && said.is_empty() { 0 } else { length };
        let body = said.get(..length).ok_or("an answer that was cut")?;
        found.push((status, head, String::from_utf8_lossy(body).into_owned()));
        said = &said[length..];
    }
    Ok(found)
}

impl Case {
    fn text(&self) -> String {
        match &self.chunks {
            None => self.send.clone(),
            Some(chunks) => format!(
                "POST /contacts HTTP/1.1\r\n{{host}}{{auth}}{{json}}transfer-encoding: chunked\r\n\r\n{chunks}{{get}}"
            ),
        }
    }

    /// What differs from what is wanted.
    async fn run(&self, world: &World, strict: &Strict, token: &str, cut: bool) -> Result<(), String> {
        // What is still open takes one more request, and nothing comes between.
        let last = if self.open { "GET /nothing HTTP/1.1\r\n{host}{auth}connection: close\r\n\r\n" } else { "" };
        let bytes = bytes_of(&expand(&(self.text() + last), token));
        strict.take();
        let (said, ended) = converse(world, &bytes, cut).await;
        let answers = read_answers(&said, self.bodiless)?;
        let mut statuses: Vec<u16> = answers.iter().map(|(status, ..)| *status).collect();
        if self.open && statuses.pop_if(|status| *status == 404).is_none() {
            return Err(format!("it was not open after {statuses:?}"));
        }
        world.settled().await;
        let heard = strict.take();
        let lines: Vec<String> = heard
            .iter()
            .map(|heard| heard.as_ref().map(Received::line))
            .collect::<Result<_, _>>()
            .map_err(String::clone)?;
        if statuses != self.answers || lines != self.upstream {
            let last = answers.last().map(|(.., body)| body.as_str()).unwrap_or_default();
            return Err(format!("answers {statuses:?}, upstream {lines:?}, last {last}"));
        }
        if !ended {
            return Err("the connection was not closed".to_owned());
        }
        for received in heard.iter().flatten() {
            own(received, strict)?;
        }
        if let Some((_, head, body)) = answers.last() {
            if !head.contains("\r\nconnection: close") {
                return Err("it does not say that it closes".to_owned());
            }
            if let Some(code) = self.code.as_ref().filter(|_| !self.open)
                && !body.contains(&format!("\"code\":\"{code}\""))
            {
                return Err(body.clone());
            }
        }
        Ok(())
    }
}

async fn start() -> (Strict, World) {
    let strict = Strict::start(answers).await;
    let limits = "idle_time: 2s, request_body_time: 2s";
    let world = Setup { upstream: Some(strict.address), ..setup(limits) }.start().await;
    (strict, world)
}

async fn run_all(cut: bool) {
    let (strict, world) = start().await;
    let token = world.identities.token("ann", &json!({ "roles": ["rep"] }));
    let cases = cases();
    assert!(cases.len() >= 200, "the table shrank to {} requests", cases.len());
    let mut failures = Vec::new();
    for case in &cases {
        if let Err(differs) = case.run(&world, &strict, &token, cut).await {
            failures.push(format!("{}: {differs}", case.name));
        }
    }
    assert!(failures.is_empty(), "{} of {} differ:\n{}", failures.len(), cases.len(), failures.join("\n"));
    assert_eq!(rep(&world).get("/contacts/1").await.json(), seen(1), "it serves on");
    super::every_exchange_is_whole(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_in_bytes_is_refused_or_seen_as_it_was_authorised() {
    run_all(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_matter_where_its_bytes_are_cut() {
    run_all(true).await;
}
