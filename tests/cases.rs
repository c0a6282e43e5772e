//! The golden suite: each file under tests/cases is a world and what happens in it, as data.
//!
//! Every case says what the client sends, and wants three things: what the client got, what the upstream saw (often
//! nothing), and what the audit log says. No answer may hold `SECRET`, whatever a case wants.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::support::world::{API, Setup};
use crate::support::{Answer, World};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The line of the semantics that the file is about.
    about: String,
    given: Given,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    /// (what, by what) replaced in tests/support/api.yaml.
    #[serde(default)]
    api: Vec<(String, String)>,
    #[serde(default)]
    policies: BTreeMap<String, String>,
    /// `METHOD /path` -> body of a 200 answer, for all cases.
    #[serde(default)]
    upstream: BTreeMap<String, String>,
    #[serde(default)]
    limits: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Who sends it; absent: nobody.
    #[serde(default, rename = "as")]
    person: Option<String>,
    /// Claims of the token beside or in place of the usual ones.
    #[serde(default)]
    claims: Value,
    /// `METHOD /target`
    when: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<String>,
    /// Answers of the upstream for this case: `METHOD /path` -> answer.
    #[serde(default)]
    upstream: BTreeMap<String, Scripted>,
    want: Want,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scripted {
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Want {
    status: u16,
    /// The whole body: JSON is compared as JSON.
    #[serde(default)]
    body: Option<String>,
    /// `code` of a problem.
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    contains: Vec<String>,
    #[serde(default)]
    absent: Vec<String>,
    /// Header -> value; null: absent.
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    /// `METHOD target` of every request that the upstream saw, in order. Mandatory: often it is none.
    upstream: Vec<String>,
    /// Body of the last request that the upstream saw.
    #[serde(default)]
    upstream_body: Option<String>,
    /// Headers of the last request that the upstream saw; null: absent.
    #[serde(default)]
    upstream_headers: BTreeMap<String, Option<String>>,
    /// Members of intent and outcome together. Mandatory.
    audit: BTreeMap<String, Value>,
}

impl Case {
    /// What differs from what is wanted.
    async fn run(&self, world: &World, given: &Given) -> Vec<String> {
        for (request, body) in &given.upstream {
            world.upstream.on(request, [Answer::json(200, body.clone())]);
        }
        for (request, scripted) in &self.upstream {
            let mut answer = Answer::json(scripted.status.unwrap_or(200), scripted.body.clone());
            for (name, value) in &scripted.headers {
                answer = answer.header(name, value);
            }
            world.upstream.on(request, [answer]);
        }
        world.upstream.forget();
        let mut client = match &self.person {
            Some(person) => world.person(person, &self.claims),
            None => world.client(),
        };
        for (name, value) in &self.headers {
            client = client.header(name, value);
        }
        let (method, target) = self.when.split_once(' ').expect("METHOD /target");
        let response = client.send(method, target, self.body.as_deref()).await;
        let (intent, outcome) = world.last_audit().await;

        let mut differs = Vec::new();
        let mut expect = |what: &str, same: bool, found: String| {
            if !same {
                differs.push(format!("{what}: found {found}"));
            }
        };
        let (want, text) = (&self.want, response.text());
        expect(
            &format!("status {}", want.status),
            response.status == want.status,
            format!("{} {text}", response.status),
        );
        if let Some(body) = &want.body {
            let same = match (serde_json::from_str::<Value>(body), serde_json::from_slice::<Value>(&response.body)) {
                (Ok(wanted), Ok(found)) => wanted == found,
                _ => *body == text,
            };
            expect(&format!("body {body}"), same, text.clone());
        }
        if let Some(code) = &want.code {
            expect(&format!("code {code}"), text.contains(&format!("\"code\":\"{code}\"")), text.clone());
        }
        for part in &want.contains {
            expect(&format!("to contain {part}"), text.contains(part.as_str()), text.clone());
        }
        let everything = response.everything();
        for part in want.absent.iter().map(String::as_str).chain(["SECRET"]) {
            expect(&format!("not to contain {part}"), !everything.contains(part), everything.clone());
        }
        for (name, value) in &want.headers {
            let found = response.headers.get(name).map(|value| value.to_str().unwrap_or("?").to_owned());
            expect(&format!("header {name} {value:?}"), found == *value, format!("{found:?}"));
        }
        let lines = world.upstream.lines();
        expect(&format!("upstream {:#?}", want.upstream), lines == want.upstream, format!("{lines:#?}"));
        if let Some(body) = &want.upstream_body {
            let sent = world
                .upstream
                .seen()
                .last()
                .map(|seen| serde_json::from_slice::<Value>(&seen.body).unwrap_or_default());
            expect(&format!("upstream body {body}"), sent == serde_json::from_str(body).ok(), format!("{sent:?}"));
        }
        for (name, value) in &want.upstream_headers {
            let seen = world.upstream.seen().pop();
            let found = seen.and_then(|seen| Some(seen.headers.get(name)?.to_str().unwrap_or("?").to_owned()));
            expect(&format!("upstream header {name} {value:?}"), found == *value, format!("{found:?}"));
        }
        for (member, wanted) in &want.audit {
            let found = if outcome.get(member).is_some() { &outcome[member] } else { &intent[member] };
            expect(&format!("audit {member} {wanted}"), found == wanted, found.to_string());
        }
        differs
    }
}

/// Runs every case of every file; one report with all that differs.
#[tokio::test(flavor = "multi_thread")]
async fn every_case_gives_what_it_wants() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> =
        std::fs::read_dir(&folder).expect("tests/cases").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let (mut count, mut failures) = (0, Vec::new());
    for path in paths {
        let file_name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("readable");
        let file: File = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{file_name}: {error}"));
        assert!(!file.about.is_empty() && !file.cases.is_empty(), "{file_name} says nothing");
        let api = file.given.api.iter().fold(API.to_owned(), |api, (what, by)| {
            assert!(api.contains(what.as_str()), "{file_name}: `{what}` is not in api.yaml");
            api.replace(what.as_str(), by)
        });
        let mut setup = Setup { api, limits: file.given.limits.clone(), ..Setup::default() };
        for (name, text) in &file.given.policies {
            setup = setup.policy(name, text);
        }
        let world = setup.start().await;
        for case in &file.cases {
            count += 1;
            let differs = case.run(&world, &file.given).await;
            if !differs.is_empty() {
                failures.push(format!("{file_name}: {}\n  wanted {}", case.name, differs.join("\n  wanted ")));
            }
        }
        world.gateway.shutdown().await;
    }
    println!("{count} cases");
    assert!(failures.is_empty(), "{} of {count} cases differ:\n{}", failures.len(), failures.join("\n"));
    assert!(count >= 80, "the golden suite shrank to {count} cases");
}
