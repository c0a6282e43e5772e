//! A gateway on a port chosen by the system, an upstream that answers as scripted and remembers what it saw, a client, and
//! an issuer of tokens. Nothing here sleeps: what must be awaited is awaited.

pub mod authority;
pub mod client;
pub mod identities;
pub mod secure;
pub mod upstream;
pub mod world;

pub use authority::{Authority, Issued, Wanted};
pub use client::Client;
pub use identities::Identities;
pub use upstream::{Answer, Upstream};
pub use world::World;
