//! Credentials -> [`Principal`]. Absent and wrong are different inside and the same to the client.
//!
//! A credential that cannot be verified is never ignored: a request with a wrong token is refused even where another
//! credential would do. The token's own header chooses nothing: algorithm and key are bound by configuration.

pub mod api_key;
mod claims;
pub mod jwks;
mod jwt;

use http::HeaderMap;

use crate::clock::Clock;
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::model::{Principal, Reason};

/// The verifiers of one configuration: keys, issuers, mappings.
pub struct Authenticator {}

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
    #[error("unknown API key")]
    ApiKey,
    #[error("no verification keys at hand")]
    KeysUnavailable,
}

impl Refused {
    pub fn reason(self) -> Reason {
        match self {
            Self::Missing => Reason::CredentialsMissing,
            Self::KeysUnavailable => Reason::IdentityUnavailable,
            _ => Reason::CredentialsInvalid,
        }
    }

    /// Stable, for a metric label.
    pub fn label(self) -> &'static str {
        todo!()
    }
}

impl Authenticator {
    /// Reads keys from files; key sets behind URLs are fetched by [`refresh`](Self::refresh). Errors name the file.
    pub fn load(_config: &Config, _clock: Clock) -> Result<Self, Vec<Diagnostic>> {
        todo!()
    }

    /// Fetches every key set that lies behind a URL once. A set that can't be fetched keeps its last keys; the outcome
    /// goes to log and metrics. Called at start and then by the gateway's refresh task at [`refresh_interval`].
    pub async fn refresh(&self) {
        todo!()
    }

    /// How often [`refresh`](Self::refresh) wants to be called; `None` if nothing lies behind a URL.
    pub fn refresh_interval(&self) -> Option<std::time::Duration> {
        todo!()
    }

    /// Whether every issuer has keys; part of readiness.
    pub fn is_ready(&self) -> bool {
        todo!()
    }

    /// Who sends these headers.
    pub fn authenticate(&self, _headers: &HeaderMap) -> Result<Authenticated, Refused> {
        todo!()
    }
}

pub struct Authenticated { pub principal: std::sync::Arc<Principal>, pub cached: bool }
