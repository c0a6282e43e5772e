//! What a client gets: a head made here, of which nothing comes from the upstream, and a body held or on its way.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use pingora::http::ResponseHeader;

use super::conditions;
use super::encode::{self, Encoder};
use super::export::{self, Rows};
use super::flow::Flow;
use super::live::{Admitted, Live};
use super::negotiation::Compression;
use crate::admission::Quota;
use crate::config::Coding;
use crate::exchange::Exchange;
use crate::model::Reason;
use crate::rejection::Rejection;
use crate::upstream::upgrade::Upgraded;

/// Bytes that are compressed before others get their turn.
const TURN: usize = 256 * 1024;

pub(super) struct Reply<'u> {
    pub status: StatusCode,
    pub content: Content<'u>,
    /// `None`: of no bytes that would be anything.
    content_type: Option<HeaderValue>,
    disposition: Option<HeaderValue>,
    /// Said in the head alone.
    told: Vec<(&'static str, String)>,
    coding: Option<Coding>,
    /// Whether it would be another one for a client that accepts other codings.
    varies: bool,
}

pub(super) enum Content<'u> {
    /// None at all, not even an empty one.
    Nothing,
    Whole(Bytes),
    Flow(Box<Flow<'u>>),
    /// What has no end of its own, and who was let in to it.
    Live(Live<'u>, Option<Box<Admitted>>),
}

impl<'u> Reply<'u> {
    pub(super) fn of(status: StatusCode, content_type: HeaderValue, content: Content<'u>) -> Self {
        let content_type = Some(content_type);
        Self { status, content, content_type, disposition: None, told: Vec::new(), coding: None, varies: false }
    }

    /// The same, as a page that was ended by `limits.refill`.
    pub(super) fn cut(mut self) -> Self {
        self.told.push(("x-scrim-incomplete", "refill".to_owned()));
        self
    }

    /// The same, as a file, if it is said to be one.
    pub(super) fn called(mut self, disposition: Option<HeaderValue>) -> Self {
        self.disposition = disposition;
        self
    }

    /// The same, with more in its head.
    pub(super) fn tells(mut self, told: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.told.extend(told);
        self
    }

    pub(super) fn json(status: StatusCode, body: Vec<u8>) -> Self {
        Self::of(status, HeaderValue::from_static("application/json"), Content::Whole(body.into()))
    }

    pub(super) fn empty() -> Self {
        Self::of(StatusCode::NO_CONTENT, HeaderValue::from_static("application/json"), Content::Nothing)
    }

    /// A status, and no bytes.
    pub(super) fn bare(status: StatusCode) -> Self {
        match status {
            StatusCode::NO_CONTENT => Self::empty(),
            _ => Self { status, content_type: None, content: Content::Whole(Bytes::new()), ..Self::empty() },
        }
    }

    /// The client has it already, under this tag.
    pub(super) fn unchanged(tag: String) -> Self {
        Self { status: StatusCode::NOT_MODIFIED, ..Self::told(vec![("etag", tag)]) }
    }

    /// Nothing but what its head says.
    pub(super) fn told(told: Vec<(&'static str, String)>) -> Self {
        Self { told, ..Self::empty() }
    }

    pub(super) fn refused(rejection: &Rejection) -> Self {
        let content_type = HeaderValue::from_static("application/problem+json");
        Self::of(rejection.status, content_type, Content::Whole(rejection.body().into()))
    }

    /// A list as it is written: CSV, or what the upstream's list is.
    pub(super) fn list(rows: Option<&Rows>, media_type: &'static str, content: Content<'u>) -> Self {
        let Some(rows) = rows else {
            return Self::of(StatusCode::OK, HeaderValue::from_static(media_type), content);
        };
        let mut reply = Self::of(StatusCode::OK, HeaderValue::from_static(export::MEDIA_TYPE), content);
        reply.disposition = HeaderValue::from_str(&rows.disposition()).ok();
        reply
    }

    pub(super) fn flow(media_type: &'static str, flow: Flow<'u>) -> Self {
        let disposition = flow.rows().and_then(|rows| HeaderValue::from_str(&rows.disposition()).ok());
        let content_type = if flow.rows().is_some() { export::MEDIA_TYPE } else { media_type };
        let content = Content::Flow(Box::new(flow));
        Self { disposition, ..Self::of(StatusCode::OK, HeaderValue::from_static(content_type), content) }
    }

    pub(super) fn events(flow: Flow<'u>) -> Self {
        let content = Content::Live(Live::Events(Box::new(flow)), None);
        Self::of(StatusCode::OK, HeaderValue::from_static("text/event-stream"), content)
    }

    /// `accept`: what proves to the client that its handshake was read. `None`: it is a stream of HTTP/2 that goes on (RFC 8441,
    /// section 5).
    pub(super) fn tunnel(upgraded: Box<Upgraded<'u>>, accept: Option<String>) -> Self {
        let (status, mut told) = match accept {
            None => (StatusCode::OK, Vec::new()),
            Some(accept) => {
                let upgrade = [("connection", "Upgrade".to_owned()), ("upgrade", "websocket".to_owned())];
                let proof = ("sec-websocket-accept", accept);
                (StatusCode::SWITCHING_PROTOCOLS, upgrade.into_iter().chain([proof]).collect())
            }
        };
        let protocol = upgraded.protocol.as_ref().and_then(|protocol| protocol.to_str().ok());
        told.extend(protocol.map(|protocol| ("sec-websocket-protocol", protocol.to_owned())));
        let content = Content::Live(Live::Tunnel(upgraded), None);
        let content_type = HeaderValue::from_static("application/octet-stream");
        Self { told, ..Self::of(status, content_type, content) }
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.content, Content::Live(..))
    }

    /// Who was let in, to be looked at again.
    pub(super) fn admits(mut self, whom: Admitted) -> Self {
        if let Content::Live(_, admitted) = &mut self.content {
            *admitted = Some(Box::new(whom));
        }
        self
    }

    /// Compresses the body, now or as it comes, where that is worth it. `offered`: whether any client could have it so.
    pub(super) async fn compress(&mut self, how: Compression, offered: bool) -> Result<(), Reason> {
        self.varies = offered;
        let Some(coding) = how.coding else { return Ok(()) };
        match &mut self.content {
            Content::Nothing | Content::Live(..) => return Ok(()),
            Content::Whole(body) if body.len() < encode::LEAST && how.optional => return Ok(()),
            Content::Whole(body) => {
                let mut encoder = Encoder::new(coding).map_err(|_| Reason::Internal)?;
                let mut out = Vec::with_capacity(body.len() / 4);
                for part in body.chunks(TURN) {
                    out.append(&mut encoder.push(part).map_err(|_| Reason::Internal)?);
                    if body.len() > TURN {
                        tokio::task::yield_now().await;
                    }
                }
                out.append(&mut encoder.finish().map_err(|_| Reason::Internal)?);
                if how.optional && out.len() >= body.len() {
                    return Ok(());
                }
                *body = out.into();
            }
            Content::Flow(flow) => flow.compress(coding).map_err(|_| Reason::Internal)?,
        }
        self.coding = Some(coding);
        for (_, tag) in self.told.iter_mut().filter(|(name, _)| *name == "etag") {
            if let Some(coded) = conditions::coded(tag, coding) {
                *tag = coded;
            }
        }
        Ok(())
    }

    /// Its head. `to_head`: no body will follow, whatever it says.
    pub(super) fn head(&self, exchange: &Exchange, to_head: bool) -> pingora::Result<ResponseHeader> {
        let mut head = ResponseHeader::build_no_case(self.status, Some(12))?;
        let length = match &self.content {
            Content::Nothing | Content::Live(..) => None,
            Content::Whole(body) => Some(body.len() as u64),
            Content::Flow(flow) => flow.length(),
        };
        if !matches!(self.content, Content::Nothing | Content::Live(Live::Tunnel(_), _)) {
            if let Some(content_type) = &self.content_type {
                head.insert_header(header::CONTENT_TYPE, content_type.clone())?;
            }
            match length {
                Some(length) => head.insert_header(header::CONTENT_LENGTH, HeaderValue::from(length))?,
                None if to_head => {}
                None => head.insert_header(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?,
            }
        }
        if let Some(disposition) = &self.disposition {
            head.insert_header(header::CONTENT_DISPOSITION, disposition.clone())?;
        }
        for (name, value) in &self.told {
            head.insert_header(*name, value.as_str())?;
        }
        if let Some(coding) = self.coding {
            head.insert_header(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()))?;
        }
        if self.varies {
            head.insert_header(header::VARY, HeaderValue::from_static("accept-encoding"))?;
        }
        head.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"))?;
        head.insert_header(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))?;
        // RFC 9449, section 8.
        if let Some(nonce) = exchange.nonce() {
            head.insert_header("dpop-nonce", nonce.to_string())?;
        }
        if self.status == StatusCode::UNAUTHORIZED {
            head.insert_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(exchange.challenge()))?;
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            head.insert_header(header::RETRY_AFTER, HeaderValue::from_static("1"))?;
        }
        if let Some(quota) = exchange.quota() {
            let (policy, left) = quota.fields();
            head.insert_header("ratelimit-policy", policy)?;
            head.insert_header("ratelimit", left)?;
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS
            && let Some(seconds) = exchange.wait().or_else(|| exchange.quota().map(Quota::seconds))
        {
            head.insert_header(header::RETRY_AFTER, HeaderValue::from(seconds))?;
        }
        head.insert_header("x-request-id", exchange.id.to_string())?;
        Ok(head)
    }
}
