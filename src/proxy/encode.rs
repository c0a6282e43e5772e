//! Answers compressed for clients that accept it: fast rather than small, chunk by chunk.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use zstd::stream::write::Encoder as Zstd;

use crate::config::Coding;

const LEVEL: u32 = 1;
/// Shorter bodies hardly get any shorter.
pub(super) const LEAST: usize = 2 * 1024;

pub(super) enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(Zstd<'static, Vec<u8>>),
}

impl Encoder {
    /// Errors: no memory for it, or a coding that is only ever read.
    pub(super) fn new(coding: Coding) -> io::Result<Self> {
        match coding {
            Coding::Gzip => Ok(Self::Gzip(GzEncoder::new(Vec::new(), Compression::new(LEVEL)))),
            Coding::Zstd => Ok(Self::Zstd(Zstd::new(Vec::new(), LEVEL as i32)?)),
            Coding::Brotli => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// What comes out for these bytes and was not given yet; it may well be nothing.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => {
                encoder.write_all(bytes)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Zstd(encoder) => {
                encoder.write_all(bytes)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }

    /// The rest.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}
