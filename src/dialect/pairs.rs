//! The pairs of a query, as all dialects print and number them.

use crate::model::percent;

/// A query on its way, percent-encoded, without a leading `?`.
#[derive(Default)]
pub(super) struct Pairs(pub(super) String);

impl Pairs {
    pub(super) fn pair(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        // OData names begin so, and some services know no `%24`.
        percent::encode_keeping(name, &mut self.0, |byte| percent::is_unreserved(byte) || byte == b'$');
        self.0.push('=');
        percent::encode(value, &mut self.0);
    }
}

/// Digits without a sign or leading zeros, so that a number has one spelling.
pub(super) fn number(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}
