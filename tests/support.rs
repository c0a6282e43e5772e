//! A gateway on a port chosen by the system, an upstream that answers as scripted and remembers what it saw, a client, and
//! an issuer of tokens. Nothing here sleeps: what must be awaited is awaited.

pub mod authority;
pub mod client;
pub mod identities;
pub mod odata;
pub mod record;
pub mod secure;
pub mod strict;
pub mod upstream;
pub mod world;

pub use authority::{Authority, Issued, Wanted};
pub use client::Client;
pub use identities::Identities;
pub use upstream::{Answer, Upstream};
pub use world::World;

/// A text in which every character stands for one byte.
pub fn bytes_of(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).expect("a character up to \\xff")).collect()
}
