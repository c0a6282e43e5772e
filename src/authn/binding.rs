//! Tokens that only the holder of a key may use: `cnf` (RFC 7800), with certificates (RFC 8705) and proofs (RFC 9449).
//!
//! A confirmation that is not understood can't be met, so the token is refused. It is met anew for each request, also where
//! the token was remembered: who stole a token does not have the key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::dpop::Proof;
use super::json::Json;
use super::nonce::Repeated;
use super::{Presented, Refused};
use crate::config::Proofs;

/// What whoever shows a token must show besides.
#[derive(Clone, Debug, Default)]
pub(super) struct Binding {
    /// SHA-256 of the certificate of the TLS connection (`x5t#S256`).
    certificate: Option<[u8; 32]>,
    /// The thumbprint of the key of a proof (`jkt`).
    key: Option<[u8; 32]>,
    /// What proofs of that key must repeat, if anything.
    pub(super) nonce: Option<Repeated>,
}

impl Binding {
    /// What verified claims ask for.
    pub(super) fn of(claims: &Json, proofs: Proofs, nonce: Option<&Repeated>) -> Result<Self, Refused> {
        let mut binding = Self { nonce: nonce.cloned(), ..Self::default() };
        let unbound = if proofs == Proofs::Required { Err(Refused::Binding) } else { Ok(Self::default()) };
        let Some(confirmation) = claims.member("cnf") else { return unbound };
        let Json::Map(members) = confirmation else { return Err(Refused::Binding) };
        if members.is_empty() {
            return Err(Refused::Binding);
        }
        for (name, value) in members {
            match name.as_str() {
                "x5t#S256" => binding.certificate = Some(thumbprint(value)?),
                "jkt" if proofs != Proofs::Unused => binding.key = Some(thumbprint(value)?),
                _ => return Err(Refused::Binding),
            }
        }
        if binding.key.is_none() { unbound.and(Ok(binding)) } else { Ok(binding) }
    }

    /// Whether the request shows it. A proof is of no use beside a token that is bound to no key, or to another.
    pub(super) fn check(&self, presented: &Presented<'_>, proof: Option<&Proof>) -> Result<(), Refused> {
        let shown = presented.peer.map(|peer| peer.thumbprint);
        let certificate = self.certificate.is_none_or(|bound| shown == Some(bound));
        let met = certificate && self.key == proof.map(|proof| proof.thumbprint);
        if met { Ok(()) } else { Err(Refused::Binding) }
    }
}

/// SHA-256 in base64url.
fn thumbprint(value: &Json) -> Result<[u8; 32], Refused> {
    let bytes = value.text().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(Refused::Binding)
}
