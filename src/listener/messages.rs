//! Where the requests of an HTTP/1 connection begin and end, read by the letter (RFC 9112).
//!
//! The parser below forgives: it escapes what may not stand in a request line, and passes over whatever follows the size of a
//! chunk. Somebody before the gateway who reads the same bytes in another way sees other requests than it does. So each byte
//! is followed here before the parser has it. What breaks the rules reaches it as zero bytes, which no parser takes, and so
//! does all that follows. A head that leaves its framing open is refused later, and its connection ends with that. One that
//! goes on beyond its limit is read no further: it is not held until its end has come.

use std::io;

/// Of a line that came in pieces, for as long as its end is missing: as much as the parser below holds of a head.
const MAX_LINE: usize = 1024 * 1024;
/// A chunk's size with its extensions, which nobody has a use for.
const MAX_SIZE_LINE: usize = 256;
const MAX_TRAILERS: usize = 8 * 1024;

/// Follows one connection.
#[derive(Default)]
pub(super) struct Messages {
    at: At,
    /// Of a line whose end has not come.
    line: Vec<u8>,
    head: Framing,
    /// Bytes of a head whose end has not come.
    head_bytes: usize,
    /// Bytes of the trailers so far.
    trailers: usize,
    /// Whether a whole head has come.
    has_asked: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    RequestLine,
    Header,
    /// So many bytes of a body that are counted, or of a chunk, are to come.
    Body(u64),
    Chunk(u64),
    ChunkEnd,
    Size,
    Trailer,
    /// Whatever comes is not followed: the connection ends with the request before, or is no longer HTTP.
    Unknown,
    Broken {
        /// The parser could wait for the rest of what it has had the beginning of.
        within: bool,
    },
    /// Within a head that was longer than it may be before its end had come.
    TooLong,
}

/// What a head has said of its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Framing {
    #[default]
    None,
    Length(u64),
    Chunked,
    /// Two of them, or none that is understood.
    Unknown,
}

/// Bytes that can be read in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request that can be read in more than one way")]
pub(super) struct Ambiguous;

/// A head that goes on beyond its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the head of a request is too long")]
pub struct TooLong;

impl TooLong {
    /// Whether it is what ended a connection.
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

impl Messages {
    /// Errors: nothing more may be read.
    pub(super) fn may_go_on(&self) -> io::Result<()> {
        match self.at {
            At::Broken { within: true } => Err(io::Error::new(io::ErrorKind::InvalidData, Ambiguous)),
            At::TooLong => Err(io::Error::new(io::ErrorKind::InvalidData, TooLong)),
            _ => Ok(()),
        }
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.at == At::TooLong
    }

    /// Between two reads: nothing more is read of a head that has passed what it may have without having come to its end. One
    /// that came to it with the last read is judged as a whole.
    pub(super) fn bound_head(&mut self, most: impl FnOnce() -> usize) {
        if self.in_head() && self.head_bytes > most() {
            self.at = At::TooLong;
            self.line = Vec::new();
        }
    }

    /// Whether a request was made, to the end of its head.
    pub(super) fn has_asked(&self) -> bool {
        self.has_asked
    }

    /// Whether the end of a head is missing that has begun.
    pub(super) fn in_head(&self) -> bool {
        self.at == At::Header || (self.at == At::RequestLine && !self.line.is_empty())
    }

    /// Takes what was read, and wipes what breaks the rules.
    pub(super) fn received(&mut self, bytes: &mut [u8]) {
        let mut rest: &[u8] = bytes;
        let mut good = 0;
        while !rest.is_empty() {
            // Zero bytes in a trailer are passed over.
            let within = self.at == At::Trailer || !self.line.is_empty();
            match self.step(rest) {
                Ok(used) => {
                    good += used;
                    rest = rest.get(used..).unwrap_or_default();
                }
                Err(Ambiguous) => {
                    if !matches!(self.at, At::Broken { .. } | At::TooLong) {
                        self.at = At::Broken { within };
                    }
                    self.line = Vec::new();
                    bytes.get_mut(good..).unwrap_or_default().fill(0);
                    return;
                }
            }
        }
    }

    /// Takes one line, or as much of a body as there is.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, Ambiguous> {
        match self.at {
            At::Unknown => Ok(bytes.len()),
            At::Broken { .. } | At::TooLong => Err(Ambiguous),
            At::Body(left) => Ok(self.skip(left, bytes, At::Body, At::RequestLine)),
            At::Chunk(left) => Ok(self.skip(left, bytes, At::Chunk, At::ChunkEnd)),
            At::ChunkEnd | At::Size | At::Trailer => self.take_line(bytes),
            At::RequestLine | At::Header => {
                let used = self.take_line(bytes)?;
                self.head_bytes = if self.in_head() { self.head_bytes + used } else { 0 };
                Ok(used)
            }
        }
    }

    fn skip(&mut self, left: u64, bytes: &[u8], on: fn(u64) -> At, after: At) -> usize {
        let used = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - used as u64;
        self.at = if left == 0 { after } else { on(left) };
        used
    }

    fn take_line(&mut self, bytes: &[u8]) -> Result<usize, Ambiguous> {
        let longest = match self.at {
            At::ChunkEnd => 2,
            At::Size => MAX_SIZE_LINE,
            At::Trailer => MAX_TRAILERS,
            _ => MAX_LINE,
        };
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            // A carriage return can only be the last byte of a line whose end is to come. What came before was looked at then.
            let has_return = self.line.last() == Some(&b'\r');
            let inner = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            let fits = self.line.len() + bytes.len() < longest;
            if has_return || !fits || memchr::memchr2(b'\r', 0, inner).is_some() {
                return Err(Ambiguous);
            }
            self.line.extend_from_slice(bytes);
            return Ok(bytes.len());
        };
        let piece = bytes.get(..=end).unwrap_or_default();
        let used = piece.len();
        if self.line.is_empty() {
            self.whole_line(piece, longest)?;
        } else {
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(piece);
            self.whole_line(&line, longest)?;
            line.clear();
            // Kept for the next one, unless it is far more than most need.
            if line.capacity() <= 4096 {
                self.line = line;
            }
        }
        Ok(used)
    }

    fn whole_line(&mut self, line: &[u8], longest: usize) -> Result<(), Ambiguous> {
        let line = line.strip_suffix(b"\r\n").ok_or(Ambiguous)?;
        if line.len() + 2 > longest || memchr::memchr2(b'\r', 0, line).is_some() {
            return Err(Ambiguous);
        }
        self.at = match self.at {
            At::RequestLine => {
                request_line(line)?;
                self.head = Framing::None;
                At::Header
            }
            At::Header if line.is_empty() => {
                self.has_asked = true;
                match self.head {
                    Framing::None | Framing::Length(0) => At::RequestLine,
                    Framing::Length(length) => At::Body(length),
                    Framing::Chunked => At::Size,
                    Framing::Unknown => At::Unknown,
                }
            }
            At::Header => {
                self.head = self.head.and(line);
                At::Header
            }
            At::Size => match chunk_size(line)? {
                0 => {
                    self.trailers = 0;
                    At::Trailer
                }
                size => At::Chunk(size),
            },
            At::ChunkEnd if line.is_empty() => At::Size,
            At::Trailer if line.is_empty() => At::RequestLine,
            At::Trailer => {
                self.trailers += line.len();
                if self.trailers > MAX_TRAILERS || !is_header(line) {
                    return Err(Ambiguous);
                }
                At::Trailer
            }
            _ => return Err(Ambiguous),
        };
        Ok(())
    }
}

impl Framing {
    /// What holds after one more header.
    fn and(self, line: &[u8]) -> Self {
        let is = |name: &[u8]| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        let value = |name: &[u8]| line.get(name.len()..).unwrap_or_default().trim_ascii();
        const LENGTH: &[u8] = b"content-length:";
        const ENCODING: &[u8] = b"transfer-encoding:";
        match line.first() {
            // A folded line could belong to either.
            Some(b' ' | b'\t') => Self::Unknown,
            Some(b'c' | b'C') if is(LENGTH) => match (self, std::str::from_utf8(value(LENGTH)).map(str::parse)) {
                (Self::None, Ok(Ok(length))) => Self::Length(length),
                _ => Self::Unknown,
            },
            Some(b't' | b'T') if is(ENCODING) => {
                let chunked = value(ENCODING).eq_ignore_ascii_case(b"chunked");
                if self == Self::None && chunked { Self::Chunked } else { Self::Unknown }
            }
            // What follows an upgrade is no HTTP, and one that is refused ends the connection.
            Some(b'u' | b'U') if is(b"upgrade:") => Self::Unknown,
            _ => self,
        }
    }
}

/// Three words with one space between them, and nothing that would have to be escaped.
fn request_line(line: &[u8]) -> Result<(), Ambiguous> {
    let mut words = line.split(|byte| *byte == b' ');
    let words = (words.next(), words.next(), words.next(), words.next());
    let (Some([_, ..]), Some(target @ [_, ..]), Some(version), None) = words else { return Err(Ambiguous) };
    if version.starts_with(b"HTTP/1.") && target.iter().all(u8::is_ascii_graphic) { Ok(()) } else { Err(Ambiguous) }
}

/// Up to 16 digits, and extensions that are well-formed (section 7.1.1) without white space.
fn chunk_size(line: &[u8]) -> Result<u64, Ambiguous> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, mut rest) = line.split_at_checked(digits).ok_or(Ambiguous)?;
    let text = std::str::from_utf8(digits).map_err(|_| Ambiguous)?;
    let size = u64::from_str_radix(text, 16).map_err(|_| Ambiguous)?;
    while let [b';', after @ ..] = rest {
        rest = token(after)?;
        if let [b'=', after @ ..] = rest {
            rest = if let [b'"', after @ ..] = after { quoted(after)? } else { token(after)? };
        }
    }
    if rest.is_empty() && digits.len() <= 16 { Ok(size) } else { Err(Ambiguous) }
}

/// What follows a token.
fn token(text: &[u8]) -> Result<&[u8], Ambiguous> {
    let end = text.iter().take_while(|byte| is_token(**byte)).count();
    text.get(end..).filter(|_| end > 0).ok_or(Ambiguous)
}

/// What follows the closing quote.
fn quoted(mut text: &[u8]) -> Result<&[u8], Ambiguous> {
    loop {
        match text {
            [b'"', rest @ ..] => return Ok(rest),
            [b'\\', b'\t' | b' '..=b'~', rest @ ..] | [b'\t' | b' '..=b'~', rest @ ..] => text = rest,
            _ => return Err(Ambiguous),
        }
    }
}

fn is_header(line: &[u8]) -> bool {
    let Ok([b':', value @ ..]) = token(line) else { return false };
    !value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

    /// What the parser gets, and where the bytes have led to.
    fn followed(pieces: &[&[u8]]) -> (Vec<u8>, At) {
        let mut messages = Messages::default();
        let mut out = Vec::new();
        for piece in pieces {
            let mut piece = piece.to_vec();
            if messages.may_go_on().is_ok() {
                messages.received(&mut piece);
                out.extend(piece);
            }
        }
        (out, messages.at)
    }

    fn is_broken(at: At) -> bool {
        matches!(at, At::Broken { .. })
    }

    #[test]
    fn requests_follow_each_other() {
        for (text, at) in [
            (GET.to_owned(), At::RequestLine),
            (GET.repeat(3), At::RequestLine),
            ("POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nab".to_owned(), At::Body(1)),
            (format!("POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\n\n\r\0{GET}"), At::RequestLine),
            (
                format!(
                    "POST /a HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=\"\\\"\";b\r\n\r\n\0\r\n000\r\nX: 1\r\n\r\n{GET}"
                ),
                At::RequestLine,
            ),
            ("POST /a HTTP/1.1\r\ntransfer-encoding:chunked\r\n\r\nfF\r\n".to_owned(), At::Chunk(255)),
            ("GET /a HTTP/1.1\r\nUpgrade: x\r\n\r\n\0\n\r".to_owned(), At::Unknown),
            ("POST /a HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n\n".to_owned(), At::Unknown),
            ("POST /a HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n\n".to_owned(), At::Unknown),
            ("POST /a HTTP/1.1\r\nX: 1\r\n Content-Length: 3\r\n\r\n\n".to_owned(), At::Unknown),
        ] {
            assert_eq!(followed(&[text.as_bytes()]), (text.clone().into_bytes(), at), "{text:?}");
        }
    }

    #[test]
    fn what_breaks_the_rules_never_reaches_the_parser_and_what_is_before_does() {
        for bad in [
            "GET /a b HTTP/1.1\r\n",
            "GET /\u{7f} HTTP/1.1\r\n",
            "PRI * HTTP/2.0\r\n",
            "GET /a\r\n",
            "\r\n",
            "GET /a HTTP/1.1\n",
            "GET /a\0HTTP",
            "GET /a\rHTTP",
        ] {
            let (found, at) = followed(&[format!("{GET}{bad}{GET}").as_bytes()]);
            assert_eq!(at, At::Broken { within: false }, "{bad:?}");
            let (before, wiped) = found.split_at(GET.len());
            assert_eq!(before, GET.as_bytes());
            assert!(wiped.len() == bad.len() + GET.len() && wiped.iter().all(|byte| *byte == 0), "{bad:?}");
        }
        for bad in [
            "5\n",
            " 5\r\n",
            "5 \r\n",
            "5;\r\n",
            "5;a b\r\n",
            "5;a=\"\u{1}\"\r\n",
            "5;a=\"\r\n",
            ";a\r\n",
            "+5\r\n",
            "00000000000000005\r\n",
            "1\r\nab\r\n",
            "1\r\na\n",
            "0\r\nX\r\n",
            "0\r\n X: 1\r\n",
            "0\r\nX: 1\n",
        ] {
            let text = format!("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{bad}{GET}");
            assert!(is_broken(followed(&[text.as_bytes()]).1), "{bad:?}");
        }
        let long = format!("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;{}", "a".repeat(300));
        assert!(is_broken(followed(&[long.as_bytes()]).1));
        let trailers =
            format!("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{}", "X: 12345\r\n".repeat(2000));
        assert_eq!(followed(&[trailers.as_bytes()]).1, At::Broken { within: true });
        let pieces: [&[u8]; 3] = [b"GET /a", b"\nHost: a\r\n\r\n", GET.as_bytes()];
        assert_eq!(followed(&pieces), ([b"GET /a".as_slice(), &[0; 12]].concat(), At::Broken { within: true }));
        let pieces: [&[u8]; 3] = [GET.as_bytes(), b"\r\n", GET.as_bytes()];
        let wiped = [GET.as_bytes(), &[0; 2], &vec![0; GET.len()]].concat();
        assert_eq!(followed(&pieces), (wiped, At::Broken { within: false }));
    }

    #[test]
    fn a_head_is_read_no_further_once_it_is_too_long() {
        let begins = "GET /a HTTP/1.1\r\n";
        let many = format!("{begins}{}", "X: 1\r\n".repeat(100));
        let chunked = "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: 1\r\n\r\n";
        for (before, long) in [
            ("", many.clone()),
            ("", format!("GET /{}", "a".repeat(200))),
            ("", format!("{begins}X: {}", "a".repeat(200))),
            (GET, many.clone()),
            (chunked, many.clone()),
        ] {
            for size in [1, 7, 1000] {
                let mut messages = Messages::default();
                let mut taken = 0;
                for piece in format!("{before}{long}").as_bytes().chunks(size) {
                    if messages.may_go_on().is_err() {
                        break;
                    }
                    let mut bytes = piece.to_vec();
                    messages.received(&mut bytes);
                    assert_eq!(bytes, piece, "what came before is left as it was");
                    messages.bound_head(|| 100);
                    taken += piece.len();
                }
                assert!(messages.may_go_on().is_err_and(|error| TooLong::is(&error)), "{long:.20} by {size}");
                assert!(taken > before.len() + 100 && taken < before.len() + 101 + size, "{taken} by {size}");
                let mut rest = *b"\r\n\r\n";
                messages.received(&mut rest);
                assert_eq!(rest, [0; 4], "it never comes to an end");
                messages.bound_head(|| 1000);
                assert!(messages.is_too_long());
            }
        }
        // As many as come, each within its limit, and bodies of any length.
        let mut messages = Messages::default();
        let body = format!("POST /a HTTP/1.1\r\nContent-Length: 5000\r\n\r\n{}", "\n".repeat(5000));
        for piece in [GET.repeat(100), body, GET.to_owned()].concat().as_bytes().chunks(10) {
            messages.received(&mut piece.to_vec());
            messages.bound_head(|| 50);
        }
        assert_eq!(messages.at, At::RequestLine);
    }

    proptest! {
        /// However the bytes are cut, they lead to the same place, and nothing that is broken is ever whole again.
        #[test]
        fn cuts_do_not_matter(
            parts in proptest::collection::vec(proptest::sample::select(vec![
                "GET /a HTTP/1.1", "POST /b HTTP/1.1", "\r\n", "\r\n\r\n", "\n", "\r", "\0", " ", "Content-Length: 3", "abc",
                "Transfer-Encoding: chunked", "3\r\nabc\r\n", "0\r\n\r\n", ";a=b", "X: 1", "Upgrade: x",
            ]), 0..30),
            cuts in proptest::collection::vec(1..9_usize, 1..40),
        ) {
            let text = parts.concat().into_bytes();
            let (whole, at) = followed(&[&text]);
            let (mut rest, mut cuts, mut pieces) = (&text[..], cuts.into_iter().cycle(), Vec::new());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            let (found, ends) = followed(&pieces);
            // Of a line that breaks the rules, the parser may have had the first pieces.
            if is_broken(at) {
                prop_assert!(is_broken(ends));
            } else {
                prop_assert_eq!((found, ends), (whole, at));
            }
        }
    }
}
