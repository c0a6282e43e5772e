//! Several requests in one: read strictly, judged one by one elsewhere, and written anew.
//!
//! Nothing of a client's batch is forwarded. What a part says of itself beside its method, target and body is refused, and so
//! is what makes one part depend on another: each is judged by what there is before the batch. The writes of one batch are
//! all done or none, so that a batch whose writes could be done in part is refused. Only writes are sent as a batch.

pub mod mixed;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use super::super::{Permit, Write};
use super::{Case, request};
use crate::api::{Api, Route};
use crate::dialect::{self, Batches};
use crate::model::{Reason, Value};
use crate::redact::parts;
use crate::redact::{Plan, Unreadable};

/// Of what a client calls a part, or a group of them.
const MAX_ID: usize = 64;

/// One request of a batch as the client wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'b> {
    /// How its answer is called, where a dialect calls it something.
    pub id: Option<String>,
    pub group: Option<String>,
    pub method: String,
    pub url: String,
    /// Empty: it has none.
    pub body: &'b [u8],
    /// Whether it takes text alone, which only a count is.
    pub plain: bool,
}

/// To do several writes at once. Each answer goes through its own plan.
#[derive(Debug)]
pub struct Batch {
    batches: Batches,
    plans: Vec<Option<Arc<Plan>>>,
    /// With which the name of each part begins.
    prefix: String,
}

/// What an upstream says of a batch.
#[derive(Debug, PartialEq, Eq)]
pub enum Answers {
    /// All of it was done: the answer to each write, empty where there is none.
    Done(Vec<Bytes>),
    /// None of it was, and this is why.
    Refused(StatusCode),
}

/// What is told of one part.
#[derive(Debug)]
pub struct Told {
    id: Option<String>,
    group: Option<String>,
    status: StatusCode,
    body: Bytes,
    /// Of its body.
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Json,
    /// Text without quotes or anything else to escape.
    Plain,
}

impl Told {
    pub fn of(part: &Part<'_>, status: StatusCode, body: Bytes, kind: Kind) -> Self {
        Self { id: part.id.clone(), group: part.group.clone(), status, body, kind }
    }

    fn media_type(&self) -> &'static str {
        match self.kind {
            Kind::Plain => "text/plain",
            Kind::Json if self.status.is_success() => "application/json",
            Kind::Json => "application/problem+json",
        }
    }

    /// As a value of JSON: a text as a string (OData JSON Format 4.01, section 19.2).
    fn value(&self) -> Vec<u8> {
        match self.kind {
            Kind::Json => self.body.to_vec(),
            Kind::Plain => request::print(&Value::string(String::from_utf8_lossy(&self.body))),
        }
    }
}

/// The answer to a client's batch.
pub fn print(batches: Batches, told: &[Told]) -> Vec<u8> {
    let text = |text: &str| request::print(&Value::string(text));
    let answer = |told: &Told| {
        let mut members = Vec::new();
        if batches == Batches::Odata {
            members.extend(told.id.as_deref().map(|id| ("id", text(id))));
            members.extend(told.group.as_deref().map(|group| ("atomicityGroup", text(group))));
        }
        members.push(("status", told.status.as_str().as_bytes().to_vec()));
        match batches {
            Batches::Odata if told.body.is_empty() => {}
            Batches::Odata => {
                members.push(("headers", request::object([("content-type", text(told.media_type()).as_slice())])));
                members.push(("body", told.value()));
            }
            Batches::Pocketbase if told.body.is_empty() => members.push(("body", b"null".to_vec())),
            Batches::Pocketbase => members.push(("body", told.value())),
        }
        request::object(super::members(&members))
    };
    let answers: Vec<Vec<u8>> = told.iter().map(answer).collect();
    let array = parts::array(answers.iter().map(Vec::as_slice));
    match batches {
        Batches::Odata => request::object([("responses", array.as_slice())]),
        Batches::Pocketbase => array,
    }
}

/// Takes a client's batch apart. Errors: `BodyTooLarge` for more than `most` parts; `BodyMalformed` for whatever else is no
/// plain list of requests that are done together or not at all.
pub fn read(batches: Batches, body: &[u8], most: usize, depth: usize) -> Result<Vec<Part<'_>>, Reason> {
    let malformed = |_| Reason::BodyMalformed;
    let envelope = parts::members(body, depth).map_err(malformed)?;
    let [(name, requests)] = &envelope[..] else { return Err(Reason::BodyMalformed) };
    if name.as_ref() != b"requests" {
        return Err(Reason::BodyMalformed);
    }
    let requests = parts::elements(requests, most, depth).map_err(|unreadable| match unreadable {
        Unreadable::TooLarge => Reason::BodyTooLarge,
        _ => Reason::BodyMalformed,
    })?;
    let parts: Vec<Part<'_>> = requests
        .into_iter()
        .map(|raw| part(batches, raw, depth))
        .collect::<Option<_>>()
        .ok_or(Reason::BodyMalformed)?;
    if parts.is_empty() || !is_whole(batches, &parts) {
        return Err(Reason::BodyMalformed);
    }
    Ok(parts)
}

fn part(batches: Batches, raw: &[u8], depth: usize) -> Option<Part<'_>> {
    let members = parts::members(raw, depth).ok()?;
    let mut part = Part { id: None, group: None, method: String::new(), url: String::new(), body: b"", plain: false };
    for (name, raw) in &members {
        match (name.as_ref(), batches) {
            (b"method", _) => part.method = parts::string(raw)?,
            (b"url", _) => part.url = parts::string(raw)?,
            (b"body", _) => part.body = raw,
            (b"headers", Batches::Pocketbase) => {
                let none = *raw == b"null" || parts::members(raw, depth).is_ok_and(|headers| headers.is_empty());
                none.then_some(())?;
            }
            (b"headers", Batches::Odata) => {
                let headers = parts::members(raw, depth).ok()?;
                let mut seen = HashSet::new();
                for (name, raw) in &headers {
                    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
                    let value = parts::string(raw)?;
                    part.plain |= takes_text(&name, &value);
                    (is_idle(&name, &value) && seen.insert(name)).then_some(())?;
                }
            }
            (b"id", Batches::Odata) => part.id = Some(word(raw)?),
            (b"atomicityGroup", Batches::Odata) => part.group = Some(word(raw)?),
            (b"dependsOn", Batches::Odata) => {
                parts::elements(raw, 1, depth).ok().filter(Vec::is_empty)?;
            }
            _ => return None,
        }
    }
    // An empty object is what a client library sends where there is nothing to send.
    let is_bodiless = matches!(part.method.as_str(), "GET" | "DELETE");
    let is_empty = || parts::members(part.body, depth).is_ok_and(|members| members.is_empty());
    if part.body == b"null" || is_bodiless && is_empty() {
        part.body = b"";
    }
    Some(part)
}

/// A header, its name in lower case, that says only what is so anyway.
fn is_idle(name: &str, value: &str) -> bool {
    match name {
        "content-type" => {
            let essence = value.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/json")
        }
        "accept" => value == "*/*" || value.starts_with("application/json") || takes_text(name, value),
        "accept-language" => true,
        "odata-version" | "odata-maxversion" => matches!(value, "4.0" | "4.01"),
        _ => false,
    }
}

/// Whether text alone is accepted.
fn takes_text(name: &str, value: &str) -> bool {
    name == "accept" && value == "text/plain"
}

fn word(raw: &[u8]) -> Option<String> {
    parts::string(raw).filter(|text| is_plain_id(text))
}

/// What can be said again, and refers to nothing.
fn is_plain_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ID && text.bytes().all(|b| b.is_ascii_graphic() && b != b'$')
}

/// Whether all of its writes are done or none, and each part can be told from the others.
fn is_whole(batches: Batches, parts: &[Part<'_>]) -> bool {
    let writes = |part: &&Part<'_>| part.method != "GET";
    match batches {
        Batches::Pocketbase => parts.iter().all(|part| part.method != "GET"),
        Batches::Odata => {
            let mut ids = HashSet::new();
            let called = parts.iter().all(|part| part.id.as_ref().is_some_and(|id| ids.insert(id)));
            let read = parts.iter().filter(|part| !writes(part)).all(|part| part.group.is_none());
            let groups: Vec<_> = parts.iter().filter(writes).map(|part| &part.group).collect();
            let alone = groups.len() <= 1;
            let one = groups.iter().all(|group| group.is_some() && Some(group) == groups.first());
            let first = parts.iter().position(|part| part.method != "GET").unwrap_or_default();
            let adjacent = parts.iter().skip(first).take(groups.len()).all(|part| writes(&part));
            called && read && adjacent && (alone || one)
        }
    }
}

impl Case<'_> {
    /// Several permitted writes as one request. Errors: there is no way to send them so.
    pub fn batch(&self, api: &Api, route: &Route, permits: Vec<Permit<Write>>) -> Result<Permit<Batch>, Reason> {
        let batches = dialect::of(api).batches().ok_or(Reason::UpstreamCannotGuard)?;
        let mut outgoing = self.outgoing(api, route, &[], "").ok_or(Reason::RouteUnknown)?;
        // What stands before the batch's own name: in OData, targets are relative to it.
        let folder = outgoing.target.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
        let mut requests = Vec::with_capacity(permits.len());
        let mut plans = Vec::with_capacity(permits.len());
        // A service may take `$` and the name of a part for what came of it, wherever it stands (OData 4.01, part 1, section
        // 11.7.3). Nobody who writes a value knows these.
        let prefix = format!("{}-", self.request_id);
        for (number, Permit { outgoing: part, purpose, .. }) in permits.into_iter().enumerate() {
            let text = |text: &str| request::print(&Value::string(text));
            let mut members = Vec::new();
            let target = match batches {
                Batches::Pocketbase => part.target.as_str(),
                Batches::Odata => {
                    members.push(("id", text(&format!("{prefix}{number}"))));
                    members.push(("atomicityGroup", text("all")));
                    part.target.strip_prefix(&folder).unwrap_or(&part.target)
                }
            };
            members.push(("method", text(part.method.as_str())));
            members.push(("url", text(target)));
            let mut headers = Vec::new();
            if !part.body.is_empty() && batches == Batches::Odata {
                headers.push(("content-type", text("application/json")));
            }
            if let Some(etag) = part.headers.get(header::IF_MATCH) {
                let etag = etag.to_str().map_err(|_| Reason::UpstreamCannotGuard)?;
                headers.push(("if-match", text(etag)));
            }
            if !headers.is_empty() {
                members.push(("headers", request::object(super::members(&headers))));
            }
            if !part.body.is_empty() {
                members.push(("body", part.body.to_vec()));
            }
            requests.push(request::object(super::members(&members)));
            plans.push(purpose.plan);
        }
        let requests = parts::array(requests.iter().map(Vec::as_slice));
        outgoing.body = request::object([("requests", requests.as_slice())]).into();
        outgoing.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.once(api, &mut outgoing);
        Ok(Permit { upstream: Arc::clone(&api.upstream), outgoing, purpose: Batch { batches, plans, prefix } })
    }
}

impl Batch {
    /// How the answer to each write is redacted; `None`: it tells nothing.
    pub fn plans(&self) -> &[Option<Arc<Plan>>] {
        &self.plans
    }

    /// Takes the upstream's answer apart. Errors: it doesn't answer each write once.
    pub fn answers(&self, body: &Bytes, depth: usize) -> Result<Answers, Unreadable> {
        let array = match self.batches {
            Batches::Pocketbase => &body[..],
            Batches::Odata => member(body, b"responses", depth)?.ok_or(Unreadable::Shape)?,
        };
        let raws = parts::elements(array, self.plans.len(), depth)?;
        let mut bodies: Vec<Option<Bytes>> = vec![None; self.plans.len()];
        for (number, raw) in raws.iter().enumerate() {
            let status = member(raw, b"status", depth)?.and_then(|raw| std::str::from_utf8(raw).ok()?.parse().ok());
            let status = status.and_then(|code: u16| StatusCode::from_u16(code).ok()).ok_or(Unreadable::Shape)?;
            if !status.is_success() {
                return Ok(Answers::Refused(status));
            }
            let at = match self.batches {
                Batches::Pocketbase => number,
                Batches::Odata => {
                    let id = member(raw, b"id", depth)?.and_then(parts::string);
                    let number = id.as_deref().and_then(|id| id.strip_prefix(&self.prefix));
                    number
                        .and_then(|number| number.parse().ok().filter(|at: &usize| at.to_string() == number))
                        .ok_or(Unreadable::Shape)?
                }
            };
            let answer = match member(raw, b"body", depth)? {
                Some(answer) if answer.starts_with(b"{") => body.slice_ref(answer),
                Some(b"null") | None => Bytes::new(),
                // A service that has nothing to say may say so as a text.
                Some(b"\"\"") => Bytes::new(),
                Some(_) => return Err(Unreadable::Shape),
            };
            let place = bodies.get_mut(at).ok_or(Unreadable::Shape)?;
            if place.replace(answer).is_some() {
                return Err(Unreadable::Duplicate);
            }
        }
        bodies.into_iter().collect::<Option<_>>().map(Answers::Done).ok_or(Unreadable::Incomplete)
    }
}

fn member<'b>(body: &'b [u8], name: &[u8], depth: usize) -> Result<Option<&'b [u8]>, Unreadable> {
    Ok(parts::members(body, depth)?.into_iter().find(|(known, _)| known.as_ref() == name).map(|(_, raw)| raw))
}

#[cfg(test)]
mod tests;
