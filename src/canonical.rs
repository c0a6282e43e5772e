//! One meaning for each request, or a refusal.
//!
//! Whatever two parsers could read differently is refused with 400 before anything looks at it: encoded slashes, dot
//! segments, double encoding, repeated security headers, ambiguous framing, method overrides, undeclared upgrades. What
//! passes is taken apart once into decoded segments and query pairs; only these are matched, and only what is printed
//! from them is forwarded. Second step on the path; pure.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, Method, Version};

use crate::config::Limits;
use crate::model::Reason;

/// A request's head as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub method: &'a Method,
    /// The request target's bytes as received: path and query (or, in HTTP/2, `:path`).
    pub target: &'a [u8],
    pub version: Version,
    pub headers: &'a HeaderMap,
    /// HTTP/1 only: the whole head as received, to see what a parser forgives (bare LF, obs-fold, raw spaces).
    pub raw: Option<&'a [u8]>,
    /// HTTP/2 only: `:authority`.
    pub authority: Option<&'a str>,
    pub client: IpAddr,
}

/// A request with one meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical {
    pub method: Method,
    pub host: String,
    /// Decoded path segments: no empty, dot or slash-bearing ones.
    pub segments: Vec<String>,
    /// Decoded pairs in the order given; no name occurs twice.
    pub query: Vec<(String, String)>,
    /// Whether a body follows.
    pub has_body: bool,
}

/// Reads a head. `identity` names headers that carry tenant or identity upstream: a client that sends one, or a
/// look-alike (`X_Org_Id`), is refused.
pub fn canonicalise(_head: &Head<'_>, _identity: &[HeaderName], _limits: &Limits) -> Result<Canonical, Reason> {
    todo!()
}

impl Canonical {
    /// For logs of the audit: the path as it was understood, percent-encoded again.
    pub fn path(&self) -> String {
        todo!()
    }
}
