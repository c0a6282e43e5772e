//! WebSockets of clients (RFC 6455): who may open one, and what may pass on it.
//!
//! Browsers let any page open a WebSocket to any server, with whatever the browser shows of its own accord, and say only which
//! page it was. What passes is not read; but where a frame ends is known, so that no message is longer and none come faster than
//! is allowed. There are no extensions: a compressed message would be of any length.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};

use crate::canonical::Canonical;
use crate::config::Cors;
use crate::model::Reason;
use crate::upstream::upgrade::accept;

/// What a client asks for in its handshake.
#[derive(Debug)]
pub(super) struct Asked<'h> {
    /// What proves to it that its key was read. `None`: in HTTP/2 there is none (RFC 8441, section 5).
    pub accept: Option<String>,
    /// The protocols that it speaks.
    pub protocols: Vec<&'h str>,
}

/// Reads a client's handshake. Errors: it is none, or a page that may not ask has sent it.
pub(super) fn asked<'h>(
    headers: &'h HeaderMap,
    request: &Canonical,
    over_tls: bool,
    http2: bool,
    cors: Option<&Cors>,
) -> Result<Asked<'h>, Reason> {
    if let Some(origin) = headers.get(header::ORIGIN) {
        let declared = cors.is_some_and(|cors| cors.origins.iter().any(|known| known.as_bytes() == origin.as_bytes()));
        if !declared && !is_own(origin, &request.host, over_tls) {
            return Err(Reason::OriginForeign);
        }
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Reason::MalformedRequest);
    }
    let accept = if http2 { None } else { Some(proof(headers)?) };
    let protocols = match headers.get(header::SEC_WEBSOCKET_PROTOCOL) {
        None => Vec::new(),
        Some(list) => list.to_str().map_err(|_| Reason::MalformedRequest)?.split(',').map(str::trim).collect(),
    };
    Ok(Asked { accept, protocols })
}

fn proof(headers: &HeaderMap) -> Result<String, Reason> {
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).ok_or(Reason::MalformedRequest)?;
    if STANDARD.decode(key).is_ok_and(|key| key.len() == 16) { Ok(accept(key)) } else { Err(Reason::MalformedRequest) }
}

/// Whether a page of the gateway's own origin asks. Without TLS something before it may have ended that.
fn is_own(origin: &HeaderValue, host: &str, over_tls: bool) -> bool {
    let is = |scheme: &str, port: &str| {
        let host = host.strip_suffix(port).unwrap_or(host);
        origin.as_bytes().strip_prefix(scheme.as_bytes()).is_some_and(|own| own == host.as_bytes())
    };
    is("https://", ":443") || (!over_tls && is("http://", ":80"))
}

/// Follows the frames that one side sends.
pub(super) struct Frames {
    /// Clients mask what they send; servers never do.
    masked: bool,
    head: [u8; 14],
    /// Bytes of the head that are there.
    known: usize,
    /// Bytes of the payload that are still to come.
    left: u64,
    /// Of a message that goes on: its bytes so far.
    message: Option<u64>,
    most: u64,
    rate: Option<Rate>,
}

/// So many frames a second, and twice as many at once.
struct Rate {
    each: Duration,
    most: u32,
    tokens: u32,
    refilled: Instant,
}

/// What is no frame that may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Wrong {
    #[error("this is no frame of a WebSocket without extensions")]
    Malformed,
    #[error("a message is too long")]
    TooLong,
    #[error("too many frames")]
    TooMany,
}

impl Frames {
    /// Of a client. `most`: bytes of a message; `rate`: frames a second.
    pub(super) fn of_client(most: usize, rate: usize, now: Instant) -> Self {
        let rate = u32::try_from(rate).unwrap_or(u32::MAX).max(1);
        let most_at_once = rate.saturating_mul(2);
        let rate =
            Rate { each: Duration::from_secs(1) / rate, most: most_at_once, tokens: most_at_once, refilled: now };
        Self { masked: true, rate: Some(rate), ..Self::of_server(most) }
    }

    pub(super) fn of_server(most: usize) -> Self {
        Self { masked: false, head: [0; 14], known: 0, left: 0, message: None, most: most as u64, rate: None }
    }

    /// Whether something else could be sent now.
    pub(super) fn is_between(&self) -> bool {
        self.known == 0 && self.left == 0
    }

    /// Takes what is about to be passed on. Errors: it must not be.
    pub(super) fn take(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), Wrong> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let passed = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = bytes.get(passed..).unwrap_or_default();
                self.left -= passed as u64;
                continue;
            }
            bytes = rest;
            *self.head.get_mut(self.known).ok_or(Wrong::Malformed)? = *first;
            self.known += 1;
            if let Some(length) = self.length()? {
                self.begin(length, now)?;
            }
        }
        Ok(())
    }

    /// The length of the payload, once the head is whole.
    fn length(&self) -> Result<Option<u64>, Wrong> {
        let [_, second, extended @ ..] = self.head;
        if self.known < 2 {
            return Ok(None);
        }
        if (second & 0x80 != 0) != self.masked {
            return Err(Wrong::Malformed);
        }
        let (bytes, length) = match second & 0x7f {
            126 => {
                let [high, low, ..] = extended;
                (2, u64::from(u16::from_be_bytes([high, low])))
            }
            127 => {
                let [a, b, c, d, e, f, g, h, ..] = extended;
                (8, u64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
            short => (0, u64::from(short)),
        };
        let head = 2 + bytes + if self.masked { 4 } else { 0 };
        Ok((self.known == head).then_some(length))
    }

    /// A frame's head is there.
    fn begin(&mut self, length: u64, now: Instant) -> Result<(), Wrong> {
        let [first, ..] = self.head;
        (self.known, self.left) = (0, length);
        let (is_last, reserved, kind) = (first & 0x80 != 0, first & 0x70, first & 0x0f);
        if reserved != 0 {
            return Err(Wrong::Malformed);
        }
        match (kind, self.message) {
            // Close, ping and pong come between the parts of a message.
            (8..=10, _) if is_last && length <= 125 => {}
            (0, Some(_)) | (1 | 2, None) => {
                let whole = self.message.unwrap_or_default().saturating_add(length);
                if whole > self.most {
                    return Err(Wrong::TooLong);
                }
                self.message = (!is_last).then_some(whole);
            }
            _ => return Err(Wrong::Malformed),
        }
        self.rate.as_mut().map_or(Ok(()), |rate| rate.take(now))
    }
}

impl Rate {
    fn take(&mut self, now: Instant) -> Result<(), Wrong> {
        let back = now.saturating_duration_since(self.refilled).as_nanos() / self.each.as_nanos().max(1);
        let back = u32::try_from(back).unwrap_or(u32::MAX);
        if back > 0 {
            self.refilled = now;
            self.tokens = self.tokens.saturating_add(back).min(self.most);
        }
        self.tokens = self.tokens.checked_sub(1).ok_or(Wrong::TooMany)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(first: u8, masked: bool, length: usize) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![first];
        match length {
            0..=125 => frame.push(mask | length as u8),
            126..=0xffff => {
                frame.push(mask | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(vec![7; length + if masked { 4 } else { 0 }]);
        frame
    }

    fn client() -> Frames {
        Frames::of_client(1000, 1_000_000, Instant::now())
    }

    fn taken(frames: &[Vec<u8>]) -> Result<bool, Wrong> {
        let mut client = client();
        client.take(&frames.concat(), Instant::now()).map(|()| client.is_between())
    }

    #[test]
    fn messages_pass_up_to_their_length_whole_or_in_parts() {
        for (frames, wanted) in [
            (vec![frame(0x81, true, 0)], Ok(true)),
            (vec![frame(0x82, true, 1000)], Ok(true)),
            (vec![frame(0x82, true, 1001)], Err(Wrong::TooLong)),
            (vec![frame(0x82, true, 70_000)], Err(Wrong::TooLong)),
            (vec![frame(0x01, true, 600), frame(0x89, true, 125), frame(0x80, true, 400)], Ok(true)),
            (vec![frame(0x01, true, 600), frame(0x00, true, 300), frame(0x80, true, 101)], Err(Wrong::TooLong)),
            (vec![frame(0x81, true, 600), frame(0x81, true, 600)], Ok(true)),
            // Only what is written to be unmasked, without extensions, in its order.
            (vec![frame(0x81, false, 5)], Err(Wrong::Malformed)),
            (vec![frame(0xc1, true, 5)], Err(Wrong::Malformed)),
            (vec![frame(0x83, true, 5)], Err(Wrong::Malformed)),
            (vec![frame(0x80, true, 5)], Err(Wrong::Malformed)),
            (vec![frame(0x01, true, 5), frame(0x81, true, 5)], Err(Wrong::Malformed)),
            (vec![frame(0x89, true, 126)], Err(Wrong::Malformed)),
            (vec![frame(0x09, true, 5)], Err(Wrong::Malformed)),
            (vec![b"GET / HTTP/1.1\r\n".to_vec()], Err(Wrong::Malformed)),
            (vec![frame(0x81, true, 5)[..7].to_vec()], Ok(false)),
            (vec![vec![0x81]], Ok(false)),
            (vec![[&[0x82, 0xff][..], &[0xff; 12]].concat()], Err(Wrong::TooLong)),
        ] {
            assert_eq!(taken(&frames), wanted, "{:?}", frames.first().and_then(|frame| frame.get(..2)));
        }
        let mut server = Frames::of_server(10);
        assert_eq!(server.take(&frame(0x81, false, 10), Instant::now()), Ok(()));
        assert_eq!(server.take(&frame(0x81, true, 1), Instant::now()), Err(Wrong::Malformed));
    }

    #[test]
    fn frames_come_at_a_rate() {
        let start = Instant::now();
        let mut frames = Frames::of_client(1000, 10, start);
        let ping = frame(0x89, true, 0);
        for _ in 0..20 {
            assert_eq!(frames.take(&ping, start), Ok(()));
        }
        assert_eq!(frames.take(&ping, start), Err(Wrong::TooMany));
        assert_eq!(frames.take(&ping, start + Duration::from_millis(100)), Ok(()));
        assert_eq!(frames.take(&ping, start + Duration::from_millis(100)), Err(Wrong::TooMany));
        let later = start + Duration::from_secs(3600);
        assert!((0..20).all(|_| frames.take(&ping, later).is_ok()) && frames.take(&ping, later).is_err());
    }

    #[test]
    fn a_handshake_is_whole_and_of_a_page_that_may_ask() {
        let request = Canonical {
            method: http::Method::GET,
            host: "crm.test".to_owned(),
            segments: Vec::new(),
            query: Vec::new(),
            has_body: false,
            websocket: true,
        };
        let cors = Cors { origins: vec!["https://app.test".into()], max_age: Duration::ZERO };
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let version = ("sec-websocket-version", "13");
        for (headers, tls, wanted) in [
            (vec![key, version], true, None),
            (vec![key, version, ("origin", "https://crm.test")], true, None),
            (vec![key, version, ("origin", "https://app.test")], true, None),
            (vec![key, version, ("origin", "http://crm.test")], false, None),
            (vec![key, version, ("origin", "http://crm.test")], true, Some(Reason::OriginForeign)),
            (vec![key, version, ("origin", "https://evil.test")], true, Some(Reason::OriginForeign)),
            (vec![key, version, ("origin", "https://crm.test.evil.test")], true, Some(Reason::OriginForeign)),
            (vec![key, version, ("origin", "null")], true, Some(Reason::OriginForeign)),
            (vec![key], true, Some(Reason::MalformedRequest)),
            (vec![key, ("sec-websocket-version", "8")], true, Some(Reason::MalformedRequest)),
            (vec![version], true, Some(Reason::MalformedRequest)),
            (vec![version, ("sec-websocket-key", "c2hvcnQ=")], true, Some(Reason::MalformedRequest)),
            (vec![version, ("sec-websocket-key", "not base64!")], true, Some(Reason::MalformedRequest)),
        ] {
            let mut all = HeaderMap::new();
            for (name, value) in &headers {
                all.append(*name, HeaderValue::from_static(value));
            }
            let found = asked(&all, &request, tls, false, Some(&cors));
            assert_eq!(found.as_ref().err().copied(), wanted, "{headers:?}");
            if let Ok(asked) = found {
                assert_eq!(asked.accept.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
            }
            // In HTTP/2 there is no key to be proven, and all else is the same.
            let keyed =
                headers.iter().all(|header| *header != ("sec-websocket-version", "8")) && headers.contains(&version);
            let http2 = asked(&all, &request, tls, true, Some(&cors)).map(|asked| asked.accept);
            let origin = wanted.filter(|reason| *reason == Reason::OriginForeign);
            assert_eq!(
                http2,
                origin.map_or(if keyed { Ok(None) } else { Err(Reason::MalformedRequest) }, Err),
                "{headers:?}"
            );
        }
    }

    proptest! {
        /// However the bytes are cut, the same is made of them, and no bytes do harm.
        #[test]
        fn cuts_do_not_matter(
            frames in proptest::collection::vec((any::<u8>(), any::<bool>(), 0..300_usize), 0..20),
            noise in proptest::collection::vec(any::<u8>(), 0..20),
            cuts in proptest::collection::vec(1..40_usize, 1..50),
        ) {
            let mut bytes: Vec<u8> = frames.iter().flat_map(|(first, masked, length)| frame(*first, *masked, *length)).collect();
            bytes.extend(noise);
            let now = Instant::now();
            let whole = client().take(&bytes, now);
            let (mut pieces, mut rest, mut cuts) = (client(), &bytes[..], cuts.into_iter().cycle());
            let mut found = Ok(());
            while !rest.is_empty() && found.is_ok() {
                let (piece, after) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                found = pieces.take(piece, now);
                rest = after;
            }
            prop_assert_eq!(found, whole);
        }
    }
}
