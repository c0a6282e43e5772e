//! The gateway's own configuration, checked: listeners, upstreams, identity, tenancy, limits, audit.
//!
//! `raw` reads the file as written; `compile` checks it. Relative paths are resolved against the file's folder.
//! Secrets are read when the configuration is loaded, those of a sealed file again when it changes, and never shown.

mod browsers;
mod coding;
mod compile;
mod credential;
mod dpop;
mod identity;
mod limits;
mod listeners;
mod own;
mod paging;
mod proxies;
mod rates;
mod raw;
mod secrets;
mod tokens;
mod upstreams;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::{self, Diagnostic, Source, Span};
use crate::model::Name;
use crate::model::value::Type;
use crate::secret::Secret;
use crate::yaml::Text;
pub use coding::Coding;
pub use credential::{Choice, Credential, is_plain};
pub use dpop::{Nonces, Proofs};
pub use limits::Limits;
pub use listeners::{CertificateFiles, ClientAuth, Listener, Tls, TlsVersion, UnknownName};
pub use own::{OwnCertificate, OwnCertificates, tenant_name};
pub use paging::Paging;
pub use proxies::{Forwarding, TrustedProxies, contains};
pub use secrets::{Fingerprint, Keyring, Sealed};
pub use upstreams::{ClientCertificate, Health, HealthCheck, Scheme, Shown, Upstream};

#[derive(Debug)]
pub struct Config {
    pub path: PathBuf,
    pub listeners: Vec<Listener>,
    pub admin: Option<SocketAddr>,
    /// Without it, a request comes from whoever connected.
    pub trusted_proxies: Option<TrustedProxies>,
    pub upstreams: BTreeMap<Name, Upstream>,
    /// What upstreams' credentials are made of.
    pub keyring: Arc<Keyring>,
    pub principal: PrincipalSchema,
    pub places: Places,
    pub authn: Authn,
    pub tenancy: Tenancy,
    pub hierarchy: Hierarchy,
    pub apis: Vec<PathBuf>,
    /// A folder; every `*.yaml` in it that is not `*_test.yaml` is a policy.
    pub policies: PathBuf,
    pub limits: Limits,
    pub paging: Paging,
    pub rates: Vec<Rate>,
    pub hsts: Hsts,
    /// Without it, pages of no other origin may ask.
    pub cors: Option<Cors>,
    /// What answers may be compressed with for clients that accept it, the best first. Empty: none is.
    pub compression: Vec<Coding>,
    pub audit: Audit,
    /// Keys the masks `hash` and `tokenise`.
    pub masking_key: Option<Secret>,
    /// SHA-256 of the file as read, in hex.
    pub hash: String,
}

/// Where the gateway file names what is found wrong only beside other files.
#[derive(Debug, Default)]
pub struct Places {
    /// Of each of the principal's roles, in their order.
    pub roles: Vec<Span>,
    /// Of files and folders that it names.
    pub files: Vec<(PathBuf, Span)>,
}

impl Config {
    /// Reads and checks one file. Errors: every mistake, placed. Warnings come with the configuration.
    pub fn load(path: &Path) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        match Draft::read(path) {
            (Some(draft), found) if !diagnostic::has_errors(&found) => Ok((draft.config, found)),
            (_, found) => Err(found),
        }
    }
}

/// A gateway file as far as it could be read, mistakes and all, so that other files can be checked against it.
///
/// It lends its configuration and never gives it away: what is served comes from [`Config::load`] alone.
#[derive(Debug)]
pub struct Draft {
    config: Config,
    /// All that are declared, also those that have a mistake.
    pub upstream_names: Vec<Name>,
    /// Whether the principal's schema is whole: policies can't be judged by half of one.
    pub principal_holds: bool,
    /// Whether the file has `masking`, also if its key can't be read.
    pub masks_with_key: bool,
}

impl Draft {
    /// Reads one file and says all that is wrong with it. `None`: nothing can be checked against it.
    pub fn read(path: &Path) -> (Option<Self>, Vec<Diagnostic>) {
        compile::draft(path)
    }

    /// Beside errors, what could not be read is missing or empty in it.
    pub fn config(&self) -> &Config {
        &self.config
    }
}

/// The policies of a folder, sorted: every `*.yaml` that is not `*_test.yaml`. A folder without any hides everything.
///
/// Errors: the folder or one of the files can't be read. A file is never left out in silence.
pub fn policy_files(folder: &Path) -> Result<Vec<Arc<Source>>, Vec<Diagnostic>> {
    compile::policy_files(folder)
}

/// The identity that every policy sees; names that are not declared here do not exist in a policy.
#[derive(Debug, Default)]
pub struct PrincipalSchema {
    pub roles: Vec<Name>,
    pub attributes: BTreeMap<Name, Type>,
}

#[derive(Debug, Default)]
pub struct Authn {
    /// Under which origins clients reach the gateway, as browsers write them. Empty: that is not said.
    pub origins: Vec<Name>,
    pub jwt: Vec<JwtIssuer>,
    pub api_keys: Option<ApiKeys>,
    pub introspection: Option<Introspection>,
    /// The file that lists what was taken back.
    pub revocations: Option<PathBuf>,
    pub certificates: Option<ClientCertificates>,
}

/// A file that says which principal a client's certificate means.
#[derive(Debug)]
pub struct ClientCertificates {
    pub file: PathBuf,
    pub ids: Ids,
    /// Those of all listeners.
    pub authorities: Vec<Name>,
    pub span: Span,
}

impl ClientCertificates {
    /// What an authority is called where nothing is said.
    pub const AUTHORITY: &str = "clients";
}

/// Whoever is asked about tokens that say nothing by themselves.
#[derive(Debug)]
pub struct Introspection {
    pub issuer: Name,
    pub url: http::Uri,
    /// The authorities that may vouch for the server, in place of the system's.
    pub ca: Option<PathBuf>,
    /// By which the gateway proves who it is.
    pub client: Name,
    pub secret: Secret,
    pub audience: Name,
    /// Values of the first tenancy dimension that it may speak for.
    pub organizations: Vec<Name>,
    pub ids: Ids,
    pub map: ClaimMap,
    pub leeway: Duration,
    /// For how long an answer is used.
    pub cache: Duration,
    pub proofs: Proofs,
    /// `None`: proofs need repeat nothing.
    pub nonces: Option<Nonces>,
}

#[derive(Debug)]
pub struct JwtIssuer {
    pub issuer: Name,
    pub audience: Name,
    pub jwks: Jwks,
    pub algorithms: Vec<Algorithm>,
    /// Values of the first tenancy dimension that this issuer may speak for.
    pub organizations: Vec<Name>,
    pub ids: Ids,
    pub map: ClaimMap,
    /// Tolerated clock difference in seconds, for `exp` and `nbf`.
    pub leeway: Duration,
    /// Whether a token must say that it is an access token (`typ: at+jwt`, RFC 9068).
    pub access_tokens_only: bool,
    pub proofs: Proofs,
    /// `None`: proofs need repeat nothing.
    pub nonces: Option<Nonces>,
}

/// Whose ids an issuer or the file of API keys gives out. Under one word, one id is one person, whoever vouches for them;
/// without a word nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids(pub Option<Name>);

impl Ids {
    /// What to do about two who may speak for one organization.
    pub const HELP: &str = "where one id is one person whoever vouches for them, say so with the same word on both, for \
                            example `ids: staff`; else let `id` be something that differs";

    pub fn are_those_of(&self, other: &Self) -> bool {
        self.0.is_some() && self == other
    }
}

#[derive(Debug)]
pub enum Jwks {
    File(PathBuf),
    Remote(RemoteKeys),
}

/// A key set that lies elsewhere.
#[derive(Debug)]
pub struct RemoteKeys {
    pub from: KeySource,
    pub refresh: Duration,
    /// For how long keys are used that can't be fetched again.
    pub max_age: Duration,
    /// The authorities that may vouch for the server, in place of the system's.
    pub ca: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Of the set itself.
    Url(http::Uri),
    /// Of the issuer's metadata, which name the set's.
    Metadata(http::Uri),
}

impl KeySource {
    pub fn url(&self) -> &http::Uri {
        match self {
            Self::Url(url) | Self::Metadata(url) => url,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    Es256,
    Rs256,
    EdDsa,
}

/// Which claim becomes what. A path is member names below the claims object: `claims.realm.roles` is [realm, roles].
#[derive(Debug)]
pub struct ClaimMap {
    pub id: ClaimValue,
    pub roles: Option<ClaimValue>,
    pub groups: Option<ClaimValue>,
    /// (dimension, claim), for a token that names one tenant by a claim for each dimension.
    pub tenant: Vec<(Name, ClaimValue)>,
    /// A claim that lists several tenants, each an object with a member for each dimension.
    pub tenants: Option<ClaimValue>,
    pub attributes: Vec<(Name, ClaimValue)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(pub Vec<Name>);

/// How a value is taken from the claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimValue {
    Claim(ClaimPath),
    /// `'mfa' in claims.amr`: whether a list claim holds a word.
    Contains {
        word: Name,
        list: ClaimPath,
    },
    /// Anything else, in CEL.
    Expression(Text),
}

#[derive(Debug)]
pub struct ApiKeys {
    pub file: PathBuf,
    /// Keys the hash under which API keys are stored.
    pub key: Secret,
    pub ids: Ids,
}

#[derive(Debug)]
pub struct Tenancy {
    /// At least one, for example organization_id and app_id.
    pub dimensions: Vec<Name>,
    /// The header by which a caller with several memberships names one.
    pub choose_by: Option<http::HeaderName>,
}

/// Where it is written who manages whom.
#[derive(Debug)]
pub enum Hierarchy {
    None,
    /// A claim that lists the ids of all reports.
    Claim(ClaimPath),
    /// A YAML file: tenant -> manager id -> ids of direct reports.
    File(PathBuf),
    Table(HierarchyTable),
}

/// A table of the API whose key names a person, with the column that names that person's manager. Read with the gateway's
/// own credential, for one tenant at a time.
#[derive(Debug)]
pub struct HierarchyTable {
    pub table: Name,
    pub manager: Name,
    pub refresh: Duration,
    /// Where the file names the table and the column, for errors found when they are looked up.
    pub table_span: Span,
    pub manager_span: Span,
}

/// How long browsers that came by TLS must come back by it.
#[derive(Clone, Copy, Debug)]
pub struct Hsts {
    pub max_age: Duration,
    pub subdomains: bool,
}

/// Whose pages may ask, with credentials that they bring themselves: a bearer token or a key, never a cookie.
#[derive(Clone, Debug)]
pub struct Cors {
    /// As browsers send them.
    pub origins: Vec<Name>,
    /// How long a browser may remember that it may.
    pub max_age: Duration,
}

/// How often a caller may ask: `requests` in each `period` over time, and at most `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub per: Per,
    pub requests: NonZeroU32,
    pub period: Duration,
    pub burst: NonZeroU32,
}

/// Who shares one allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// A client's IPv4 address, or the first 64 bits of its IPv6 address.
    Address,
    Principal,
    /// Each API key by itself.
    ApiKey,
    Tenant,
}

impl Per {
    pub const ALL: [Self; 4] = [Self::Address, Self::Principal, Self::ApiKey, Self::Tenant];

    pub fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Principal => "principal",
            Self::ApiKey => "api_key",
            Self::Tenant => "tenant",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Audit {
    pub file: PathBuf,
    pub fsync: Fsync,
    /// Whether data is served while the log cannot be written. Off unless the operator turns it on.
    pub serve_without: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Each intent is on disk before the request leaves.
    Always,
    Interval(Duration),
    Never,
}
