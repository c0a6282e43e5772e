//! What an HTTP/2 client may ask of the connection itself, beside requests: frames that cost it nothing and the gateway
//! work (RFC 9113, section 10.5).
//!
//! The framing below bounds streams, headers and windows, but answers any number of PING, SETTINGS and RESET. Here each frame
//! that asks for work and brings no data costs a token; tokens come back with time, with answers that end, and with what the
//! client has to acknowledge: it may speak of windows as often as it is sent data. A client that has none left is cut off. So is
//! one for which many answers are made that it does not take: each stream that is reset for that costs a good many tokens.
//!
//! The framing below also passes over pseudo-headers in trailers. It refuses trailers that do not end their stream, so those
//! which could hold one lose the flag that says so.

use std::time::{Duration, Instant};

use super::trailers;

/// Bytes of an HTTP/2 client's preface (RFC 9113, section 3.4).
pub(super) const PREFACE: usize = 24;
/// Of every frame (section 4.1).
const HEAD: usize = 9;
/// Of those, the one with the flags.
const FLAGS: usize = 4;
/// Frames at once, and how often another one comes back.
const BURST: u32 = 400;
const EACH: Duration = Duration::from_millis(50);
/// Bytes sent that earn a token, up to the burst: half of the least frame that a sender of much data would use.
const SENT_FOR_ONE: usize = 2048;

/// What a stream costs that was reset because its client did not take the answer.
pub(super) const UNTAKEN: u32 = 20;
/// And where the connection may be that of many.
pub(super) const UNTAKEN_OF_MANY: u32 = 2;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Bytes of a RST_STREAM frame behind its head, and what they say of a client that does not take what it asked for (section 7).
const CODE: usize = 4;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// Counts the frames that a client sends on one connection.
pub(super) struct Frames {
    /// Tokens for an answer that was not taken.
    untaken: u32,
    /// Bytes to pass over before the next frame's head: the preface, then payloads.
    skip: usize,
    head: [u8; HEAD],
    /// Bytes of the head that are there.
    known: usize,
    tokens: u32,
    refilled: Instant,
    /// Bytes sent that have not earned a token yet.
    sent: usize,
    sending: Sending,
    /// Whether the end of a head is missing that has begun.
    in_head: bool,
    /// Whether a whole head has come.
    has_asked: bool,
    /// The last stream that was begun, and whether its client has ended it.
    last_stream: u32,
    last_ended: bool,
    trailers: Option<Trailers>,
}

/// Follows the frames that leave.
#[derive(Default)]
struct Sending {
    /// Bytes of a payload that are still to leave.
    skip: usize,
    /// And, of a RST_STREAM, why.
    head: [u8; HEAD + CODE],
    known: usize,
}

/// What became of streams.
#[derive(Debug, Default, PartialEq, Eq)]
struct Left {
    ended: u32,
    untaken: u32,
}

impl Sending {
    /// How many answers end, and how many are given up, among the frames that begin in these bytes.
    fn follow(&mut self, bytes: &[u8]) -> Left {
        let (mut left, mut rest) = (Left::default(), bytes);
        loop {
            let passed = self.skip.min(rest.len());
            self.skip -= passed;
            rest = rest.get(passed..).unwrap_or_default();
            let wanted = if self.known < HEAD { HEAD } else { HEAD + CODE };
            let missing = self.head.get_mut(self.known..wanted).unwrap_or_default();
            let taken = missing.len().min(rest.len());
            if taken == 0 {
                return left;
            }
            missing.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
            rest = rest.get(taken..).unwrap_or_default();
            self.known += taken;
            let [high, middle, low, kind, flags, _, _, _, _, code @ ..] = self.head;
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            let is_reset = kind == RST_STREAM && length == CODE;
            if self.known == HEAD && !is_reset {
                self.known = 0;
                self.skip = length;
                left.ended += u32::from(matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0);
            } else if self.known == HEAD + CODE {
                self.known = 0;
                left.untaken += u32::from(u32::from_be_bytes(code) == ENHANCE_YOUR_CALM);
            }
        }
    }
}

/// Trailers that are coming in.
struct Trailers {
    flags: u8,
    payload: Vec<u8>,
    /// Where their flags are among the bytes that are being read; `None`: they have passed.
    flags_at: Option<usize>,
}

impl Frames {
    /// `untaken`: tokens that a stream costs which was reset because its client did not take the answer.
    pub(super) fn new(now: Instant, untaken: u32) -> Self {
        Self {
            untaken,
            skip: PREFACE,
            head: [0; HEAD],
            known: 0,
            tokens: BURST,
            refilled: now,
            sent: 0,
            sending: Sending::default(),
            in_head: false,
            has_asked: false,
            last_stream: 0,
            last_ended: false,
            trailers: None,
        }
    }

    /// Whether a request was made, to the end of its head.
    pub(super) fn has_asked(&self) -> bool {
        self.has_asked
    }

    pub(super) fn in_head(&self) -> bool {
        self.in_head
    }

    /// Notes what leaves. Some clients open the window of each stream that they begin, however short its answer is. Errors: too
    /// much was made that was not taken.
    pub(super) fn sent(&mut self, bytes: &[u8], now: Instant) -> Result<(), Cut> {
        let sent = self.sent + bytes.len();
        self.sent = sent % SENT_FOR_ONE;
        let earned = u32::try_from(sent / SENT_FOR_ONE).unwrap_or(BURST);
        let Left { ended, untaken } = self.sending.follow(bytes);
        self.earn(earned.saturating_add(ended));
        if untaken > 0 { self.pay(untaken.saturating_mul(self.untaken), now) } else { Ok(()) }
    }

    /// Takes what was read, and spoils trailers that can't be told to be good. Errors: it goes no further.
    pub(super) fn received(&mut self, bytes: &mut [u8], now: Instant) -> Result<(), Cut> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let passed = rest.get(..self.skip.min(rest.len())).unwrap_or_default();
            if let Some(trailers) = &mut self.trailers {
                trailers.payload.extend_from_slice(passed);
            }
            at += passed.len();
            self.skip -= passed.len();
            if self.skip > 0 {
                break;
            }
            self.judge_trailers(bytes)?;
            let rest = bytes.get(at..).unwrap_or_default();
            let missing = self.head.get_mut(self.known..).unwrap_or_default();
            let part = rest.get(..missing.len().min(rest.len())).unwrap_or_default();
            if let Some(place) = missing.get_mut(..part.len()) {
                place.copy_from_slice(part);
            }
            let flags_at = (at + FLAGS).checked_sub(self.known).filter(|_| self.known <= FLAGS);
            self.known += part.len();
            at += part.len();
            if self.known == HEAD {
                self.known = 0;
                let [high, middle, low, kind, flags, stream @ ..] = self.head;
                let length = u32::from_be_bytes([0, high, middle, low]);
                self.skip = length as usize;
                self.frame(kind, length, flags, now)?;
                let stream = u32::from_be_bytes(stream) & (u32::MAX >> 1);
                if kind == HEADERS {
                    self.head_of(stream, flags, flags_at);
                }
                if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 && stream == self.last_stream {
                    self.last_ended = true;
                }
                if self.skip == 0 {
                    self.judge_trailers(bytes)?;
                }
            }
        }
        if let Some(trailers) = &mut self.trailers {
            trailers.flags_at = None;
        }
        Ok(())
    }

    /// A head begins: the first of its stream, or trailers.
    fn head_of(&mut self, stream: u32, flags: u8, flags_at: Option<usize>) {
        if stream > self.last_stream {
            self.last_stream = stream;
            self.last_ended = false;
        } else if stream != self.last_stream || !self.last_ended {
            // What comes behind the end is told to be so (section 5.1), and no trailers whatever it holds.
            self.trailers = Some(Trailers { flags, payload: Vec::new(), flags_at });
        }
    }

    /// Of those that are whole.
    fn judge_trailers(&mut self, bytes: &mut [u8]) -> Result<(), Cut> {
        let Some(Trailers { flags, payload, flags_at }) = self.trailers.take() else { return Ok(()) };
        if flags & END_HEADERS != 0 && trailers::are_plain(&payload, flags) {
            return Ok(());
        }
        let flags = flags_at.and_then(|at| bytes.get_mut(at)).ok_or(Cut::Trailers)?;
        *flags &= !END_STREAM;
        self.last_ended = false;
        Ok(())
    }

    fn frame(&mut self, kind: u8, length: u32, flags: u8, now: Instant) -> Result<(), Cut> {
        if matches!(kind, HEADERS | CONTINUATION) {
            self.in_head = flags & END_HEADERS == 0;
            self.has_asked |= !self.in_head;
        }
        // Requests and their bodies are bounded where they are served. Data without a byte moves nothing but the end.
        let is_free = match kind {
            HEADERS => true,
            DATA => length > 0 || flags & END_STREAM != 0,
            _ => false,
        };
        if is_free { Ok(()) } else { self.pay(1, now) }
    }

    fn pay(&mut self, tokens: u32, now: Instant) -> Result<(), Cut> {
        let back = now.saturating_duration_since(self.refilled).as_millis() / EACH.as_millis();
        if let Ok(back @ 1..) = u32::try_from(back) {
            self.refilled += EACH * back;
            self.earn(back);
        }
        self.tokens = self.tokens.checked_sub(tokens).ok_or(Cut::Flood)?;
        Ok(())
    }

    fn earn(&mut self, tokens: u32) {
        self.tokens = self.tokens.saturating_add(tokens).min(BURST);
    }
}

/// Why a connection goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Cut {
    /// More frames than a client has a use for, or answers that it does not take.
    #[error("too many frames that bring no data, or answers that are not taken")]
    Flood,
    /// They came in pieces, so that it is too late to refuse them alone.
    #[error("trailers that may hold a pseudo-header")]
    Trailers,
}

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
        let mut frames = Frames::new(now, UNTAKEN);
        frames.received(&mut preface(), now).expect("no frame yet");
        (0..most).take_while(|_| frames.received(&mut frame.to_vec(), now).is_ok()).count()
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
        let spent = || Frames { skip: 0, tokens: 0, ..Frames::new(start, UNTAKEN) };
        let mut ping = frame(6, 0, 8);
        assert_eq!(spent().received(&mut ping, start + EACH / 2), Err(Cut::Flood));
        let mut frames = spent();
        frames.received(&mut ping, start + EACH).expect("one is back");
        assert_eq!(frames.received(&mut ping, start + EACH), Err(Cut::Flood));
        let mut frames = spent();
        let long = frame(DATA, 0, SENT_FOR_ONE);
        frames.sent(&long[..SENT_FOR_ONE - 1], start).expect("it was asked for");
        frames.sent(&long[SENT_FOR_ONE - 1..], start).expect("it was asked for");
        frames.received(&mut frame(8, 0, 4), start).expect("it acknowledges data");
        assert_eq!(frames.received(&mut frame(8, 0, 4), start), Err(Cut::Flood));
        let mut frames = spent();
        frames.sent(&frame(DATA, 0, SENT_FOR_ONE * 1000), start).expect("it was asked for");
        assert_eq!(frames.tokens, BURST, "nobody can save up for a flood");
    }

    /// As some libraries do, which open the window of every stream.
    #[test]
    fn who_speaks_of_each_stream_may_go_on_as_long_as_each_is_answered() {
        let start = Instant::now();
        let mut frames = Frames::new(start, UNTAKEN);
        frames.received(&mut preface(), start).expect("no frame yet");
        let ends = [frame(HEADERS, END_HEADERS, 20), frame(DATA, END_STREAM, 90)].concat();
        let bare = frame(HEADERS, END_HEADERS | END_STREAM, 20);
        for stream in 0..5000_usize {
            frames.received(&mut frame(8, 0, 4), start).expect("one for each answer");
            let answer = if stream % 2 == 0 { &ends } else { &bare };
            // However it is cut.
            answer.chunks(1 + stream % 31).for_each(|part| frames.sent(part, start).expect("it was asked for"));
        }
        // Windows of a byte make many frames of one answer: none of them pays for the next.
        let drip = frame(DATA, 0, 1);
        let taken = (0..1000).take_while(|_| {
            frames.sent(&drip, start).expect("it was asked for");
            frames.received(&mut frame(8, 0, 4), start).is_ok()
        });
        assert!(taken.count() < BURST as usize + 20);
    }

    #[test]
    fn answers_that_are_not_taken_have_an_end() {
        let start = Instant::now();
        let reset = |code: u32| [&[0, 0, 4, RST_STREAM, 0, 0, 0, 0, 1][..], &code.to_be_bytes()].concat();
        let answer = [frame(HEADERS, END_HEADERS, 20), frame(DATA, 0, 3)].concat();
        let given_up = |size: usize, code: u32| {
            let mut frames = Frames::new(start, UNTAKEN);
            let taken = (0..100).take_while(|_| {
                let sent = [&answer[..], &reset(code)].concat();
                sent.chunks(size).all(|part| frames.sent(part, start).is_ok())
            });
            taken.count()
        };
        for size in [1, 5, 1000] {
            assert_eq!(given_up(size, ENHANCE_YOUR_CALM), (BURST / UNTAKEN) as usize, "by {size}");
            // `CANCEL`: whatever else may end one is no fault of the client's.
            assert_eq!(given_up(size, 8), 100, "by {size}");
        }
        let mut frames = Frames { tokens: 0, ..Frames::new(start, UNTAKEN) };
        assert_eq!(frames.sent(&reset(ENHANCE_YOUR_CALM), start + EACH), Err(Cut::Flood));
        let mut frames = Frames { tokens: 0, ..Frames::new(start, UNTAKEN) };
        assert_eq!(frames.sent(&reset(ENHANCE_YOUR_CALM), start + EACH * UNTAKEN), Ok(()));
        // Of many clients some never take anything.
        let mut frames = Frames::new(start, UNTAKEN_OF_MANY);
        let passed = (0..2 * BURST).take_while(|_| frames.sent(&reset(ENHANCE_YOUR_CALM), start).is_ok()).count();
        assert_eq!(passed as u32, BURST / UNTAKEN_OF_MANY);
    }

    fn head(stream: u8, flags: u8, block: &[u8]) -> Vec<u8> {
        [&[0, 0, u8::try_from(block.len()).unwrap(), HEADERS, flags, 0, 0, 0, stream][..], block].concat()
    }

    #[test]
    fn trailers_that_may_hold_a_pseudo_header_do_not_end_their_stream() {
        let now = Instant::now();
        let both = END_HEADERS | END_STREAM;
        let begun = [preface(), head(1, END_HEADERS, b"\x82"), frame(DATA, 0, 3)].concat();
        let good = head(1, both, b"\x00\x01a\x011");
        for (bad, is_refused) in [
            (good.clone(), false),
            (head(1, both, b"\x84"), true),
            (head(1, END_STREAM, b"\x00\x01a\x011"), true),
            (head(1, both, b""), false),
            (head(3, both, b"\x84"), false),
        ] {
            let mut frames = Frames::new(now, UNTAKEN);
            let mut bytes = [&begun[..], &bad, &frame(6, 0, 8)].concat();
            let before = bytes.clone();
            frames.received(&mut bytes, now).expect("no flood");
            let mut wanted = before;
            if is_refused {
                wanted[begun.len() + FLAGS] &= !END_STREAM;
            }
            assert_eq!(bytes, wanted, "{bad:02x?}");
            // What was passed on before it was whole can't be refused alone.
            for cut in 1..bad.len() {
                let mut frames = Frames::new(now, UNTAKEN);
                let (first, second) = bad.split_at(cut);
                frames.received(&mut [&begun[..], first].concat(), now).expect("not whole");
                let mut second = second.to_vec();
                let rest = frames.received(&mut second, now);
                assert_eq!(rest, if is_refused && cut > FLAGS { Err(Cut::Trailers) } else { Ok(()) }, "{cut}");
            }
        }
    }

    #[test]
    fn what_comes_behind_the_end_of_its_stream_is_left_to_be_told_so() {
        let now = Instant::now();
        let both = END_HEADERS | END_STREAM;
        let mut end = frame(DATA, END_STREAM, 3);
        end[HEAD - 1] = 1;
        let ended = [vec![head(1, both, b"\x82")], vec![head(1, END_HEADERS, b"\x83"), end]];
        for begun in ended.map(|frames| [preface(), frames.concat()].concat()) {
            let bad = head(1, both, b"\x84");
            let mut frames = Frames::new(now, UNTAKEN);
            let mut bytes = [&begun[..], &bad].concat();
            let before = bytes.clone();
            frames.received(&mut bytes, now).expect("no flood");
            assert_eq!(bytes, before, "the framing refuses it as what it is");
            // Another stream has not ended by that, and one before the last may have or not.
            let other = [&head(3, END_HEADERS, b"\x83")[..], &head(3, both, b"\x84"), &bad].concat();
            let mut bytes = other.clone();
            frames.received(&mut bytes, now).expect("no flood");
            let spoiled = bytes.iter().zip(&other).filter(|(now, before)| now != before).count();
            assert_eq!(spoiled, 2);
            // Trailers that were refused have ended nothing.
            let mut again = head(3, both, b"\x84");
            frames.received(&mut again, now).expect("no flood");
            assert_eq!(again[FLAGS] & END_STREAM, 0);
        }
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
            for (stream, (kind, flags, length)) in (1..).zip(&sizes) {
                // Each of another stream: none brings trailers.
                let mut frame = frame(*kind, *flags, *length);
                frame[HEAD - 1] = stream;
                bytes.extend(frame);
            }
            let mut whole = Frames::new(now, UNTAKEN);
            prop_assert_eq!(whole.received(&mut bytes, now), Ok(()));
            let mut pieces = Frames::new(now, UNTAKEN);
            let (mut rest, mut cuts) = (&mut bytes[..], cuts.into_iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at_mut(cuts.next().unwrap_or(1).min(rest.len()));
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
