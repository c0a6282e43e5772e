//! A connection on which an upstream agreed to speak WebSocket (RFC 6455): bytes both ways, until either side ends it.
//!
//! The handshake is the gateway's own: its key is made here, and an upstream that does not prove to have read it, or that
//! speaks of extensions or protocols that it was not asked for, has not agreed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;

use super::answer::InUse;
use super::endpoints::Lease;
use super::{Failure, Peer, Upstreams, failure_of};
use crate::enforcement::{Outgoing, Permit, WebSocket};

/// What a key is hashed with (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What an upstream says to a WebSocket.
pub enum Upgrade<'u> {
    Agreed(Box<Upgraded<'u>>),
    Refused(StatusCode, HeaderMap),
}

pub struct Upgraded<'u> {
    session: InUse<'u>,
    /// The address counts as in use until it has ended.
    _lease: Lease,
    /// The one of the protocols that it was asked for.
    pub protocol: Option<HeaderValue>,
}

/// What proves that a handshake's key was read.
pub fn accept(key: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat());
    STANDARD.encode(digest.as_ref())
}

impl Upstreams {
    /// Asks an upstream to speak WebSocket. Retries are those of [`send`](Self::send).
    pub async fn upgrade(&self, permit: &Permit<WebSocket>) -> Result<Upgrade<'_>, Failure> {
        let asked = match self.by_name.get(permit.upstream()) {
            Some(peer) => self.agree(peer, permit.outgoing()).await,
            None => Err(Failure::Unknown),
        };
        let outcome = asked.as_ref().map_or_else(|failure| failure.label(), |_| "answered");
        self.metrics.upstream_requests.with_label_values(&[outcome]).inc();
        asked
    }

    async fn agree<'u>(&'u self, peer: &'u Peer, outgoing: &Outgoing) -> Result<Upgrade<'u>, Failure> {
        let (head, key) = handshake(peer, outgoing)?;
        let pool = peer.link.trust.pool(&outgoing.tenant).ok_or(Failure::NoCredential)?;
        let pass = peer.link.breaker.admit(std::time::Instant::now()).ok_or(Failure::Open)?;
        let (mut session, lease) = match self.attempt(peer, pool, &head, outgoing).await {
            Ok((session, lease, _)) => (session, lease),
            Err(failure) => {
                pass.failed(std::time::Instant::now());
                return Err(failure);
            }
        };
        let open = session.session.as_mut().ok_or(Failure::Broken)?;
        let (status, headers) =
            open.response_header().map(|head| (head.status, head.headers.clone())).ok_or(Failure::Broken)?;
        if matches!(status.as_u16(), 502..=504) {
            peer.link.endpoints.failed(&lease);
            pass.failed(std::time::Instant::now());
        } else {
            peer.link.endpoints.answered(&lease);
            pass.succeeded();
        }
        if status != StatusCode::SWITCHING_PROTOCOLS {
            session.close().await;
            return Ok(Upgrade::Refused(status, headers));
        }
        let agreed = agreed(&headers, &key, &head.headers);
        // Whoever reads has a deadline of their own.
        open.set_read_timeout(None);
        match (open, agreed) {
            (HttpSession::H1(open), Some(protocol)) => {
                open.maybe_upgrade_body_writer();
                Ok(Upgrade::Agreed(Box::new(Upgraded { session, _lease: lease, protocol })))
            }
            _ => {
                session.close().await;
                Err(Failure::Broken)
            }
        }
    }
}

impl Upgraded<'_> {
    /// The next bytes; never none of them. `None`: it has ended.
    pub async fn read(&mut self) -> Result<Option<Bytes>, Failure> {
        let open = self.session.session.as_mut().ok_or(Failure::Broken)?;
        loop {
            let read = open.read_response_body().await.map_err(|error| failure_of(&error, Failure::Broken))?;
            if read.as_ref().is_none_or(|bytes| !bytes.is_empty()) {
                return Ok(read);
            }
        }
    }

    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Failure> {
        let open = self.session.session.as_mut().ok_or(Failure::Broken)?;
        open.write_request_body(bytes, false).await.map_err(|error| failure_of(&error, Failure::Broken))
    }

    pub async fn close(mut self) {
        self.session.close().await;
    }
}

/// The request and its key.
fn handshake(peer: &Peer, outgoing: &Outgoing) -> Result<(RequestHeader, String), Failure> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| Failure::Broken)?;
    let key = STANDARD.encode(random);
    let mut head = peer.head(outgoing)?;
    let shown = HeaderValue::from_str(&key).map_err(|_| Failure::Broken)?;
    head.insert_header(header::SEC_WEBSOCKET_KEY, shown).map_err(|_| Failure::Broken)?;
    Ok((head, key))
}

/// The protocol that was agreed on, if any; `None`: nothing was agreed on (RFC 6455, section 4.1).
fn agreed(headers: &HeaderMap, key: &str, asked: &HeaderMap) -> Option<Option<HeaderValue>> {
    let only = |name: header::HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())
    };
    let is = |name, wanted: &[u8]| only(name).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(wanted));
    let proven =
        only(header::SEC_WEBSOCKET_ACCEPT).is_some_and(|value| value.as_bytes() == accept(key.as_bytes()).as_bytes());
    let sound = is(header::UPGRADE, b"websocket")
        && is(header::CONNECTION, b"upgrade")
        && proven
        && !headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS);
    if !sound {
        return None;
    }
    let offered = asked.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match (headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL), only(header::SEC_WEBSOCKET_PROTOCOL)) {
        (false, _) => Some(None),
        (true, Some(chosen)) if offered.split(", ").any(|known| known.as_bytes() == chosen.as_bytes()) => {
            Some(Some(chosen.clone()))
        }
        (true, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_proven_as_in_the_standards_example() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn nothing_is_agreed_on_that_was_not_asked_for() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let proof = accept(key.as_bytes());
        let usual = [("upgrade", "WebSocket"), ("connection", "Upgrade"), ("sec-websocket-accept", &*proof)];
        let found = |more: &[(&'static str, &str)], offered: &str| {
            let mut headers = HeaderMap::new();
            for (name, value) in
                usual.iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name)).chain(more)
            {
                headers.append(*name, value.parse().expect("a value"));
            }
            let mut asked = HeaderMap::new();
            if !offered.is_empty() {
                asked.insert(header::SEC_WEBSOCKET_PROTOCOL, offered.parse().expect("a value"));
            }
            agreed(&headers, key, &asked)
        };
        assert_eq!(found(&[], ""), Some(None));
        assert_eq!(found(&[], "chat, feed"), Some(None));
        let chosen = found(&[("sec-websocket-protocol", "feed")], "chat, feed").expect("agreed");
        assert_eq!(chosen, Some(HeaderValue::from_static("feed")));
        for more in [
            &[("sec-websocket-protocol", "other")][..],
            &[("sec-websocket-protocol", "chat, feed")],
            &[("sec-websocket-protocol", "chat"), ("sec-websocket-protocol", "feed")],
            &[("sec-websocket-extensions", "permessage-deflate")],
            &[("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOp=")],
            &[("sec-websocket-accept", "")],
            &[("upgrade", "h2c")],
            &[("connection", "close")],
        ] {
            assert_eq!(found(more, "chat, feed"), None, "{more:?}");
        }
        assert_eq!(found(&[("sec-websocket-protocol", "chat")], ""), None);
    }
}
