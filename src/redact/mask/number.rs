//! One spelling for all numbers that are equal: what is made of a number by its digits must not tell how it was spelled.
//!
//! It is that without a power of ten and without zeros that say nothing, so an integer that is spelled out stays as it is.

use std::borrow::Cow;

use crate::model::value::{Decimal, Type};
use crate::redact::kind;

/// A power of ten is written out with up to this many zeros; a double takes no more than 323.
const MAX_ZEROS: usize = 400;

/// The digits of a value, where its field holds numbers: of a number, or of a decimal in a string. `None`: it is neither,
/// or too far from 1 to be written out.
pub(super) fn spelled(raw: &[u8]) -> Option<Cow<'_, str>> {
    let written = kind::written(raw)?;
    if is_plain_integer(&written) {
        return Some(written);
    }
    Decimal::parse(&written)?.plain(MAX_ZEROS).map(Cow::Owned)
}

/// Whether a field of this type holds numbers.
pub(super) fn is_of(of: &Type) -> bool {
    matches!(of, Type::Int | Type::Double | Type::Decimal)
}

fn is_plain_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    match digits.as_bytes() {
        [b'0'] => text == "0",
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_have_one_spelling() {
        for (spelling, others) in [
            ("12.5", &["12.50", "\"12.50\"", "\"12.5\"", "1.25e1", "1250E-2", "012.5"][..]),
            ("12", &["12.0", "\"12\"", "1.2e1", "1200e-2"]),
            ("0", &["-0", "0.00", "-0.0", "0e999", "\"0\""]),
            ("-7", &["-7.0", "\"-7\"", "-70e-1"]),
            ("0.05", &["5e-2", "0.050"]),
            ("1000000000000000000000000000000", &["1e30", "\"1e+30\""]),
        ] {
            for other in [spelling].iter().chain(others) {
                assert_eq!(spelled(other.as_bytes()).as_deref(), Some(spelling), "{other}");
            }
        }
        let long = format!("1{}", "0".repeat(1000));
        assert_eq!(spelled(long.as_bytes()).as_deref(), Some(&*long), "it is spelled out");
        for none in ["1e1000", "1e-1000000", "1e99999999999999999999", "true", "\"x\"", "\"\"", "\" 1\"", "\"-\""] {
            assert_eq!(spelled(none.as_bytes()), None, "{none}");
        }
    }
}
