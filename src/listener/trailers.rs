//! Whether the trailers of an HTTP/2 request can be told to hold no pseudo-header (RFC 9113, section 8.1).
//!
//! The parser below passes over pseudo-headers there. Only names count, and only how they are written (RFC 7541, section 6):
//! one from the client's table of its own can't be told, and is refused like a pseudo-header. So is what is not well-formed.

/// Names of the static table that are pseudo-headers, and all of that table (appendix A).
const PSEUDO: usize = 14;
const STATIC: usize = 61;
/// `:` in Huffman's code, seven bits.
const COLON: u8 = 0b101_1100;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

/// Of a whole frame's payload.
pub(super) fn are_plain(payload: &[u8], flags: u8) -> bool {
    block(payload, flags).and_then(fields).is_some()
}

/// What of the payload is the head (RFC 9113, section 6.2).
fn block(payload: &[u8], flags: u8) -> Option<&[u8]> {
    let (padding, rest) =
        if flags & PADDED == 0 { (0, payload) } else { payload.split_first().map(|(n, r)| (*n, r))? };
    let rest = if flags & PRIORITY == 0 { rest } else { rest.get(5..)? };
    rest.get(..rest.len().checked_sub(usize::from(padding))?)
}

/// Passes over all of them. `None`: one is not plain.
fn fields(mut rest: &[u8]) -> Option<()> {
    while let Some(first) = rest.first() {
        let (name, has_value, after) = match first {
            0x80.. => {
                let (index, after) = integer(rest, 7)?;
                (index.checked_sub(1)?, false, after)
            }
            0x20..0x40 => {
                // The size of a table.
                rest = integer(rest, 5)?.1;
                continue;
            }
            _ => {
                let (index, after) = integer(rest, if *first >= 0x40 { 6 } else { 4 })?;
                match index.checked_sub(1) {
                    Some(name) => (name, true, after),
                    None => (PSEUDO, true, text(after).filter(|(begins, _)| *begins != Some(b':'))?.1),
                }
            }
        };
        if !(PSEUDO..STATIC).contains(&name) {
            return None;
        }
        rest = if has_value { text(after)?.1 } else { after };
    }
    Some(())
}

/// A number whose first bits are in the low ones of the first byte (RFC 7541, section 5.1). `None`: larger than any here.
fn integer(bytes: &[u8], bits: u32) -> Option<(usize, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    let most = (1_usize << bits) - 1;
    let mut value = usize::from(*first) & most;
    if value < most {
        return Some((value, rest));
    }
    for shift in [0, 7, 14] {
        let (next, after) = rest.split_first()?;
        value += usize::from(next & 0x7f) << shift;
        rest = after;
        if next & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    None
}

/// Passes over a text (section 5.2): `:` if it begins with one, and what follows it.
fn text(bytes: &[u8]) -> Option<(Option<u8>, &[u8])> {
    let is_coded = bytes.first()? & 0x80 != 0;
    let (length, rest) = integer(bytes, 7)?;
    let (text, after) = rest.split_at_checked(length)?;
    let begins = match text.first() {
        Some(first) if is_coded => (first >> 1 == COLON).then_some(b':'),
        first => first.copied(),
    };
    Some((begins, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pseudo_header_is_found_however_it_is_written() {
        let plain: [&[u8]; 7] = [
            b"",
            b"\x00\x03x-a\x011",
            b"\x40\x03x-a\x011",
            // `x-test: ok`, coded.
            b"\x40\x85\xf2\xb4\xa7\x42\x7f\x82\x3d\x51",
            // `accept-charset`, `www-authenticate` and the first two of the static table that are none.
            b"\x8f\xbd\x90",
            b"\x0f\x2e\x011",
            b"\x20\x00\x03x-a\x011",
        ];
        for block in plain {
            assert!(are_plain(block, 0), "{block:02x?}");
        }
        let refused: [&[u8]; 12] = [
            b"\x82",
            b"\x8e",
            b"\x44\x01/",
            b"\x04\x01/",
            b"\x14\x01/",
            b"\x00\x05:path\x01/",
            b"\x10\x05:path\x01/",
            // `:path`, coded.
            b"\x00\x84\xb9\x58\xd3\x3f\x01/",
            // After one that is plain, and from the client's table.
            b"\x00\x03x-a\x011\x84",
            b"\xbe",
            b"\x0f\x2f\x011",
            b"\x80",
        ];
        for block in refused {
            assert!(!are_plain(block, 0), "{block:02x?}");
        }
        assert!(are_plain(b"\x02\x00\x01a\x00\x84\x84", PADDED), "padding is none");
        assert!(!are_plain(b"\x01\x84\x00", PADDED));
        assert!(are_plain(b"\x82\x82\x82\x82\x82\x90", PRIORITY));
        assert!(!are_plain(b"\x05\x00", PADDED) && !are_plain(b"\0", PRIORITY));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(payload in proptest::collection::vec(any::<u8>(), 0..60), flags in any::<u8>()) {
            let is_pseudo = block(&payload, flags).and_then(<[u8]>::first).is_some_and(|first| (0x81..0x8f).contains(first));
            prop_assert!(!(is_pseudo && are_plain(&payload, flags)));
        }
    }
}
