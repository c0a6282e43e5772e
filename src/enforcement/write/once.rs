//! Writes that are sent again: one caller's `Idempotency-Key` is never another's.
//!
//! An upstream remembers what it answered to a key. Were keys passed on as they are, whoever guesses one would be answered
//! with what somebody else has written, or would keep them from writing.

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue};

use super::super::Outgoing;
use super::Case;
use crate::api::Api;

pub const HEADER: &str = "idempotency-key";

impl Case<'_> {
    /// Adds the client's key, where the upstream knows such keys, as this principal's own in this tenant for this request.
    pub(super) fn once(&self, api: &Api, outgoing: &mut Outgoing) {
        let Some(key) = self.idempotency_key.filter(|_| api.idempotent) else { return };
        let mut digest = Context::new(&SHA256);
        let tenant = self.tenant.dimensions().map(|(_, value)| value.as_bytes());
        let who = [self.principal.issuer.as_bytes(), self.principal.id.as_bytes()];
        let what = [outgoing.method.as_str().as_bytes(), outgoing.target.as_bytes(), key];
        for part in who.into_iter().chain(what).chain(tenant) {
            // Each with its length: no two lists of parts are the same bytes.
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        if let Ok(value) = HeaderValue::from_str(&URL_SAFE_NO_PAD.encode(digest.finish())) {
            outgoing.headers.insert(HeaderName::from_static(HEADER), value);
        }
    }
}
