//! What an HTTP/2 client may ask of the connection itself, beside requests: frames that cost it nothing and the gateway
//! work (RFC 9113, section 10.5).
//!
//! The framing below bounds streams, headers and windows, but answers any number of PING, SETTINGS and RESET. Here each frame
//! that asks for work and brings no data costs a token; tokens come back with time, and with what the client has to
//! acknowledge: it may speak of windows as often as it is sent data. A client that has none left is cut off.

use std::time::{Duration, Instant};

/// Bytes of an HTTP/2 client's preface (RFC 9113, section 3.4).
pub(super) const PREFACE: usize = 24;
/// Of every frame (section 4.1).
const HEAD: usize = 9;
/// Frames at once, and how often another one comes back.
const BURST: u32 = 400;
const EACH: Duration = Duration::from_millis(50);
/// Bytes sent that earn a token, up to the burst: half of the least frame that a sender of much data would use.
const SENT_FOR_ONE: usize = 2048;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;

/// Counts the frames that a client sends on one connection.
pub(super) struct Frames {
    /// Bytes to pass over before the next frame's head: the preface, then payloads.
    skip: usize,
    head: [u8; HEAD],
    /// Bytes of the head that are there.
    known: usize,
    tokens: u32,
    refilled: Instant,
    /// Bytes sent that have not earned a token yet.
    sent: usize,
}

impl Frames {
    pub(super) fn new(now: Instant) -> Self {
        Self { skip: PREFACE, head: [0; HEAD], known: 0, tokens: BURST, refilled: now, sent: 0 }
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        let sent = self.sent + bytes;
        self.sent = sent % SENT_FOR_ONE;
        self.earn((sent / SENT_FOR_ONE).try_into().unwrap_or(BURST));
    }

    /// Takes what was read. Errors: there was too much of what costs the client nothing.
    pub(super) fn received(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), Flood> {
        while !bytes.is_empty() {
            let (_, rest) = bytes.split_at(self.skip.min(bytes.len()));
            self.skip -= bytes.len() - rest.len();
            let missing = self.head.get_mut(self.known..).unwrap_or_default();
            let (head, rest) = rest.split_at(missing.len().min(rest.len()));
            if self.skip > 0 || head.is_empty() {
                return Ok(());
            }
            if let Some(place) = missing.get_mut(..head.len()) {
                place.copy_from_slice(head);
            }
            self.known += head.len();
            if self.known == HEAD {
                self.known = 0;
                let [high, middle, low, kind, flags, ..] = self.head;
                let length = u32::from_be_bytes([0, high, middle, low]);
                self.skip = length as usize;
                self.frame(kind, length, flags, now)?;
            }
            bytes = rest;
        }
        Ok(())
    }

    fn frame(&mut self, kind: u8, length: u32, flags: u8, now: Instant) -> Result<(), Flood> {
        // Requests and their bodies are bounded where they are served. Data without a byte moves nothing but the end.
        let is_free = match kind {
            HEADERS => true,
            DATA => length > 0 || flags & END_STREAM != 0,
            _ => false,
        };
        if is_free {
            return Ok(());
        }
        let back = now.saturating_duration_since(self.refilled).as_millis() / EACH.as_millis();
        if let Ok(back @ 1..) = u32::try_from(back) {
            self.refilled += EACH * back;
            self.earn(back);
        }
        self.tokens = self.tokens.checked_sub(1).ok_or(Flood)?;
        Ok(())
    }

    fn earn(&mut self, tokens: u32) {
        self.tokens = self.tokens.saturating_add(tokens).min(BURST);
    }
}

/// More frames than a client has a use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many frames that bring no data")]
pub(super) struct Flood;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let [.., high, middle, low] = length.to_be_bytes();
        let mut frame = vec![high, middle, low, kind, flags, 0, 0, 0, 1];
        frame.resize(HEAD + length, 0xaa);
        frame
    }

    fn preface() -> Vec<u8> {
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()
    }

    /// How many of a frame are taken at once.
    fn taken(frame: &[u8], most: usize) -> usize {
        let now = Instant::now();
        let mut frames = Frames::new(now);
        frames.received(&preface(), now).expect("no frame yet");
        (0..most).take_while(|_| frames.received(frame, now).is_ok()).count()
    }

    #[test]
    fn what_costs_nothing_has_an_end() {
        // DATA without a byte, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION,
        // and what nobody knows.
        for (kind, length) in
            [(0, 0), (2, 5), (3, 4), (4, 0), (4, 6), (5, 4), (6, 8), (7, 8), (8, 4), (9, 0), (0xbe, 0)]
        {
            assert_eq!(taken(&frame(kind, 0, length), 1000), BURST as usize, "{kind}");
        }
    }

    #[test]
    fn requests_and_their_bodies_are_free() {
        for (kind, flags, length) in [(HEADERS, 4, 20), (DATA, 0, 1), (DATA, END_STREAM, 0)] {
            assert_eq!(taken(&frame(kind, flags, length), 1000), 1000);
        }
    }

    #[test]
    fn tokens_come_back_with_time_and_with_what_was_sent() {
        let start = Instant::now();
        let spent = || Frames { skip: 0, tokens: 0, ..Frames::new(start) };
        let ping = frame(6, 0, 8);
        assert_eq!(spent().received(&ping, start + EACH / 2), Err(Flood));
        let mut frames = spent();
        frames.received(&ping, start + EACH).expect("one is back");
        assert_eq!(frames.received(&ping, start + EACH), Err(Flood));
        let mut frames = spent();
        frames.sent(SENT_FOR_ONE - 1);
        frames.sent(1);
        frames.received(&frame(8, 0, 4), start).expect("it acknowledges data");
        assert_eq!(frames.received(&frame(8, 0, 4), start), Err(Flood));
        let mut frames = spent();
        frames.sent(usize::MAX / 2);
        assert_eq!(frames.tokens, BURST, "nobody can save up for a flood");
    }

    proptest! {
        /// However the bytes are cut, the same frames are counted.
        #[test]
        fn cuts_do_not_matter(
            sizes in proptest::collection::vec((0..12_u8, 0..2_u8, 0..40_usize), 0..60),
            cuts in proptest::collection::vec(1..30_usize, 1..200),
        ) {
            let now = Instant::now();
            let mut bytes = preface();
            sizes.iter().for_each(|(kind, flags, length)| bytes.extend(frame(*kind, *flags, *length)));
            let mut whole = Frames::new(now);
            prop_assert_eq!(whole.received(&bytes, now), Ok(()));
            let mut pieces = Frames::new(now);
            let (mut rest, mut cuts) = (&bytes[..], cuts.into_iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                prop_assert_eq!(pieces.received(piece, now), Ok(()));
                rest = after;
            }
            prop_assert_eq!((pieces.tokens, pieces.skip, pieces.known), (whole.tokens, whole.skip, whole.known));
            let costly = sizes.iter().filter(|(kind, flags, length)| match *kind {
                HEADERS => false,
                DATA => *length == 0 && flags & END_STREAM == 0,
                _ => true,
            });
            prop_assert_eq!(whole.tokens, BURST - costly.count() as u32);
        }
    }
}
