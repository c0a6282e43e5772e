//! Opaque tokens, by asking whoever issued them (OAuth 2.0 Token Introspection, RFC 7662).
//!
//! What is answered is remembered for a short while, for all who show the same token at once, and never longer than the
//! token lives. Where there is no answer, or one that can be read in two ways, nobody comes in.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use moka::sync::Cache;
use tokio::sync::{OnceCell, Semaphore};

use super::binding::Binding;
use super::claims::{Known, Mapping};
use super::fetch::{Fetcher, is_fetchable};
use super::json::Json;
use super::nonce::Repeated;
use super::revocation::Marks;
use super::{Cached, Parts, Refused, jwt, misplaced, sha256};
use crate::clock::Clock;
use crate::config;
use crate::diagnostic::Diagnostic;
use crate::metrics::Metrics;
use crate::model::percent;
use crate::model::{Method, Name};

/// Answers that are remembered at a time.
const REMEMBERED: u64 = 10_000;
/// For how many seconds a refusal is remembered, and that there was no answer.
const REFUSED_SECONDS: i64 = 5;
const UNANSWERED_SECONDS: i64 = 1;
/// Questions under way at a time; anybody can send tokens that nobody knows.
const MAX_QUESTIONS: usize = 32;
/// Further tokens that wait to be asked about.
const MAX_WAITING: usize = 128;
/// For how long a question waits for its turn.
const TURN_TIME: Duration = Duration::from_secs(5);

pub(super) struct Introspector {
    name: Name,
    audience: Name,
    mapping: Mapping,
    leeway: Duration,
    proofs: config::Proofs,
    nonce: Option<Repeated>,
    /// In seconds.
    remembered_for: i64,
    fetcher: Fetcher,
    url: Uri,
    authorization: HeaderValue,
    /// By the hash of the whole token. A cell is filled once: who comes meanwhile waits for the same answer.
    answers: Cache<[u8; 32], Arc<OnceCell<Answer>>>,
    questions: Semaphore,
    /// For those under way and those that wait.
    places: Semaphore,
    metrics: Metrics,
    clock: Clock,
}

#[derive(Clone)]
struct Answer {
    found: Result<Cached, Refused>,
    /// The second from which it must be asked again.
    until: i64,
}

impl Introspector {
    pub(super) fn load(
        file: &config::Introspection,
        parts: &Parts<'_>,
        clock: &Clock,
    ) -> Result<Self, Vec<Diagnostic>> {
        let known = Known {
            schema: parts.principal,
            organizations: &file.organizations,
            dimensions: &parts.tenancy.dimensions,
            reports: parts.reports(),
        };
        if !is_fetchable(&file.url) {
            let help = "plain http is possible from this machine itself only";
            return Err(vec![misplaced(parts.path, "tokens must be asked about over https").help(help)]);
        }
        let authorization = basic(&file.client, &file.secret);
        let authorization = authorization.ok_or_else(|| {
            vec![misplaced(parts.path, "the client's id or secret for introspection can't be sent in a header")]
        })?;
        Ok(Self {
            name: Name::clone(&file.issuer),
            audience: Name::clone(&file.audience),
            mapping: Mapping::compile(&file.map, Method::Introspection, known)?,
            leeway: file.leeway,
            proofs: file.proofs,
            nonce: file.nonces.as_ref().map(Repeated::new),
            remembered_for: i64::try_from(file.cache.as_secs()).unwrap_or(0),
            fetcher: Fetcher::new(file.ca.as_ref())?,
            url: file.url.clone(),
            authorization,
            answers: Cache::builder().max_capacity(REMEMBERED).time_to_live(file.cache.max(TURN_TIME)).build(),
            questions: Semaphore::new(MAX_QUESTIONS),
            places: Semaphore::new(MAX_QUESTIONS + MAX_WAITING),
            metrics: parts.metrics.clone(),
            clock: clock.clone(),
        })
    }

    pub(super) fn issuer(&self) -> &Name {
        &self.name
    }

    pub(super) fn organizations(&self) -> &[Name] {
        self.mapping.organizations()
    }

    /// Who a token stands for, and whether that was remembered.
    pub(super) async fn introspect(&self, token: &str) -> Result<(Cached, bool), Refused> {
        if !is_token(token) {
            return Err(Refused::Malformed);
        }
        let (hash, now) = (sha256(token.as_bytes()), self.clock.now().as_second());
        let mut cell = self.answers.get_with(hash, Arc::default);
        let mut remembered = cell.initialized();
        if cell.get().is_some_and(|answer| now >= answer.until) {
            cell = Arc::default();
            remembered = false;
            self.answers.insert(hash, Arc::clone(&cell));
        }
        let answer = cell.get_or_init(|| Box::pin(self.ask(token))).await;
        answer.found.clone().map(|found| (found, remembered))
    }

    async fn ask(&self, token: &str) -> Answer {
        let answered = self.answered(token).await;
        let now = self.clock.now().as_second();
        let (outcome, found) = match answered.as_ref().map(|answer| self.read(answer, now)) {
            Some(Ok(found)) => ("active", Ok(found)),
            Some(Err(Refused::IntrospectionUnavailable)) | None => ("failed", Err(Refused::IntrospectionUnavailable)),
            Some(Err(refused)) => ("refused", Err(refused)),
        };
        self.metrics.introspections.with_label_values(&[outcome]).inc();
        let until = match &found {
            Ok(found) => found.until,
            Err(Refused::IntrospectionUnavailable) => now.saturating_add(UNANSWERED_SECONDS),
            Err(_) => now.saturating_add(REFUSED_SECONDS.min(self.remembered_for)),
        };
        Answer { found, until }
    }

    /// `None`: there is no answer.
    async fn answered(&self, token: &str) -> Option<Json> {
        // Who finds no place to wait is told so at once: a flood of made-up tokens must not hold everybody's requests.
        let Ok(_place) = self.places.try_acquire() else {
            tracing::warn!("too many tokens wait for introspection");
            return None;
        };
        let turn = tokio::time::timeout(TURN_TIME, self.questions.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            tracing::warn!("too many tokens wait for introspection");
            return None;
        };
        let mut form = "token_type_hint=access_token&token=".to_owned();
        percent::encode(token, &mut form);
        match self.fetcher.post(&self.url, form, self.authorization.clone()).await {
            Ok(body) => {
                let answer = Json::parse(&body);
                if answer.is_none() {
                    tracing::warn!("the answer to an introspection is no JSON without repeated members");
                }
                answer
            }
            Err(error) => {
                tracing::warn!(%error, "a token could not be introspected");
                None
            }
        }
    }

    fn read(&self, answer: &Json, now: i64) -> Result<Cached, Refused> {
        match answer.member("active") {
            Some(Json::Bool(true)) => {}
            Some(Json::Bool(false)) => return Err(Refused::Inactive),
            // Neither yes nor no: whoever answers so is not who was meant to be asked.
            _ => return Err(Refused::IntrospectionUnavailable),
        }
        let says = |name: &str, words: &[&str]| match answer.member(name) {
            None => true,
            Some(value) => value.text().is_some_and(|text| words.iter().any(|word| text.eq_ignore_ascii_case(word))),
        };
        // A refresh token is active, too.
        let kind = says("token_type", &["Bearer", "DPoP", "access_token"])
            && says("typ", &["Bearer", "DPoP", "JWT", "at+jwt"])
            && says("token_use", &["access", "access_token"]);
        if !kind {
            return Err(Refused::Kind);
        }
        if answer.member("iss").is_some_and(|named| named.text() != Some(&self.name)) {
            return Err(Refused::Issuer);
        }
        jwt::check_audience(answer, &self.audience)?;
        let expires = jwt::check_times(answer, self.leeway, now)?.unwrap_or(i64::MAX);
        let principal = self.mapping.principal(&self.name, answer)?;
        Ok(Cached {
            marks: Marks::of(&principal, answer, None),
            principal: Arc::new(principal),
            until: expires.min(now.saturating_add(self.remembered_for)),
            binding: Binding::of(answer, self.proofs, self.nonce.as_ref())?,
        })
    }
}

/// What may stand behind `Bearer` (RFC 6750, section 2.1).
fn is_token(token: &str) -> bool {
    let text = token.trim_end_matches('=');
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

/// Both parts are encoded as in a form first (RFC 6749, section 2.3.1).
fn basic(id: &str, secret: &crate::secret::Secret) -> Option<HeaderValue> {
    let mut pair = String::new();
    percent::encode(id, &mut pair);
    pair.push(':');
    percent::encode(std::str::from_utf8(secret.expose()).ok()?, &mut pair);
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(&pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests;
