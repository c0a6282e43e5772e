//! Why credentials are refused. All but an absent one and a gateway that can't tell are the same to the client.

use super::Nonce;
use crate::model::Reason;

/// Why a credential was refused; for the log and the metric, never for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("no credential")]
    Missing,
    #[error("more than one credential")]
    Several,
    #[error("malformed credential")]
    Malformed,
    #[error("unknown issuer")]
    Issuer,
    #[error("wrong audience")]
    Audience,
    #[error("unknown key")]
    Key,
    #[error("algorithm not allowed for this key")]
    Algorithm,
    #[error("wrong signature")]
    Signature,
    #[error("expired")]
    Expired,
    #[error("not yet valid")]
    Immature,
    #[error("a claim is missing or of the wrong type")]
    Claim,
    #[error("not of the declared kind of token")]
    Kind,
    #[error("bound to a key that the request does not show")]
    Binding,
    #[error("no proof that holds for this request")]
    Proof,
    #[error("a proof without a nonce that holds")]
    Nonce(Nonce),
    #[error("a proof that was used before")]
    Replayed,
    #[error("too many proofs to remember another one")]
    ProofsExhausted,
    #[error("revoked")]
    Revoked,
    #[error("not active")]
    Inactive,
    #[error("no answer about the token")]
    IntrospectionUnavailable,
    #[error("unknown API key")]
    ApiKey,
    #[error("a certificate that means nobody")]
    Certificate,
    #[error("the connection's certificate no longer holds, or there is none and one is required")]
    Withdrawn,
    #[error("a page of another site sent it with the browser's certificate")]
    CrossSite,
    #[error("no verification keys at hand")]
    KeysUnavailable,
}

impl Refused {
    pub fn reason(self) -> Reason {
        match self {
            Self::Missing => Reason::CredentialsMissing,
            Self::KeysUnavailable | Self::IntrospectionUnavailable | Self::ProofsExhausted => {
                Reason::IdentityUnavailable
            }
            _ => Reason::CredentialsInvalid,
        }
    }

    /// What the client is asked for. It tells what kind of credential was not good, which the client knows, and not why (RFC
    /// 6750, section 3.1; RFC 9449, section 7.1).
    pub fn challenge(self) -> &'static str {
        match self {
            Self::Nonce(_) => r#"DPoP error="use_dpop_nonce""#,
            Self::Proof | Self::Replayed => r#"DPoP error="invalid_dpop_proof""#,
            Self::Missing | Self::ApiKey | Self::Certificate | Self::Withdrawn | Self::CrossSite => "Bearer",
            _ => r#"Bearer error="invalid_token""#,
        }
    }

    /// Stable, for a metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Several => "several",
            Self::Malformed => "malformed",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Key => "key",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::Immature => "immature",
            Self::Claim => "claim",
            Self::Kind => "kind",
            Self::Binding => "binding",
            Self::Proof => "proof",
            Self::Nonce(_) => "nonce",
            Self::Replayed => "replayed",
            Self::ProofsExhausted => "proofs_exhausted",
            Self::Revoked => "revoked",
            Self::Inactive => "inactive",
            Self::IntrospectionUnavailable => "introspection_unavailable",
            Self::ApiKey => "api_key",
            Self::Certificate => "certificate",
            Self::Withdrawn => "withdrawn",
            Self::CrossSite => "cross_site",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }
}
