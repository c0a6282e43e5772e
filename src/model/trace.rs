//! Trace context (W3C Trace Context, section 3.2): which trace a request belongs to.

use std::fmt;

/// The trace and, within it, this gateway's own span. The trace may be the client's: it names nobody and decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

impl Trace {
    /// Goes on with the trace of a `traceparent` header or, where there is none that can be read, begins one.
    pub fn of(header: Option<&[u8]>) -> Self {
        let (trace, flags) = header.and_then(parse).unwrap_or_else(|| (*uuid::Uuid::new_v4().as_bytes(), 0));
        let [.., a, b, c, d, e, f, g, h] = *uuid::Uuid::new_v4().as_bytes();
        Self { trace, span: [a, b, c, d, e, f, g, h], flags }
    }

    /// 32 hexadecimal digits.
    pub fn id(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.trace))
    }
}

/// As a `traceparent` header.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            u128::from_be_bytes(self.trace),
            u64::from_be_bytes(self.span),
            self.flags
        )
    }
}

/// The trace and whether it is sampled. Later versions may say more after what is known (section 3.2.4).
fn parse(header: &[u8]) -> Option<([u8; 16], u8)> {
    let text = std::str::from_utf8(header).ok()?;
    let (known, more) = text.split_at_checked(55)?;
    let mut parts = known.split('-');
    let mut part = |length: usize| {
        let lower = |part: &&str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        parts.next().filter(|part| part.len() == length).filter(lower)
    };
    let (version, trace, parent, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    if version == "ff" || (version == "00" && !more.is_empty()) || !(more.is_empty() || more.starts_with('-')) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
    u64::from_str_radix(parent, 16).ok().filter(|parent| *parent != 0)?;
    // The only flag that is defined.
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1;
    Some((trace.to_be_bytes(), sampled))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_goes_on_under_a_span_of_its_own() {
        let trace = Trace::of(Some(GIVEN.as_bytes()));
        assert_eq!(trace.id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let sent = trace.to_string();
        assert!(sent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && sent.ends_with("-01"), "{sent}");
        assert!(!sent.contains("00f067aa0ba902b7"), "{sent}");
        assert_eq!(parse(sent.as_bytes()).map(|(_, flags)| flags), Some(1), "what is sent can be read");
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-more";
        assert!(Trace::of(Some(later.as_bytes())).to_string().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    }

    #[test]
    fn what_is_no_trace_context_begins_a_trace() {
        let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let cases = [
            "",
            "00",
            zero,
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473\u{e9}-00f067aa0ba902b7-01",
        ];
        for case in cases {
            assert_eq!(parse(case.as_bytes()), None, "{case}");
            let begun = Trace::of(Some(case.as_bytes()));
            assert!(parse(begun.to_string().as_bytes()).is_some() && begun != Trace::of(None), "{case}");
        }
        assert_eq!(parse(b"\xff\xfe"), None);
    }
}
