//! Percent-encoding (RFC 3986, section 2.1), the one way in which text becomes a part of a path or a query.

/// What stands for itself everywhere in a URI (RFC 3986, section 2.3).
pub fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Appends the text with everything but unreserved characters escaped.
pub fn encode(text: &str, out: &mut String) {
    encode_keeping(text, out, is_unreserved);
}

/// As [`encode`], with other characters kept as they are.
pub fn encode_keeping(text: &str, out: &mut String, keep: impl Fn(u8) -> bool) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if keep(byte) {
            out.push(char::from(byte));
        } else {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).map_or('0', |b| char::from(*b));
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}
