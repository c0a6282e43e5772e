//! Content codings (RFC 9110, section 8.4.1) as operators name them.

use super::raw::distinct;
use crate::yaml::{Node, Reader};

/// How bytes of a body are compressed on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Zstd,
    Brotli,
}

impl Coding {
    /// Those that an upstream's answer may come in.
    pub const READ: [Self; 3] = [Self::Gzip, Self::Zstd, Self::Brotli];
    /// Those that a client's answer may leave in.
    pub const WRITTEN: [Self; 2] = [Self::Gzip, Self::Zstd];

    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Brotli => "br",
        }
    }

    /// Reads the name of a coding, whatever its case (RFC 9110, sections 8.4.1 and 8.4.1.3).
    pub fn parse(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("x-gzip") {
            return Some(Self::Gzip);
        }
        Self::READ.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.name()))
    }
}

/// A list of distinct codings, in the order given.
pub(super) fn codings(node: &Node, what: &'static str, known: &[Coding], reader: &mut Reader) -> Vec<Coding> {
    let mut codings = Vec::new();
    for text in distinct(Some(node), what, reader) {
        match known.iter().find(|coding| coding.name() == text.value) {
            Some(coding) => codings.push(*coding),
            None => {
                let names: Vec<&str> = known.iter().map(|coding| coding.name()).collect();
                reader.error("unknown-word", &text.span, format!("{what} can't name `{}`", text.value)).help =
                    Some(format!("one or more of {}; leave {what} out for none", names.join(", ")));
            }
        }
    }
    codings
}
