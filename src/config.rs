//! The gateway's own configuration, checked: listeners, upstreams, identity, tenancy, limits, audit.
//!
//! `raw` reads the file as written; `compile` checks it. Relative paths are resolved against the file's folder.
//! Secrets are read when the configuration is loaded and never shown.

mod browsers;
mod coding;
mod compile;
mod identity;
mod limits;
mod listeners;
mod proxies;
mod rates;
mod raw;
mod upstreams;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::diagnostic::{self, Diagnostic, Source, Span};
use crate::model::Name;
use crate::model::value::Type;
use crate::secret::Secret;
use crate::yaml::Text;
pub use coding::Coding;

#[derive(Debug)]
pub struct Config {
    pub path: PathBuf,
    pub listeners: Vec<Listener>,
    pub admin: Option<SocketAddr>,
    /// Without it, a request comes from whoever connected.
    pub trusted_proxies: Option<TrustedProxies>,
    pub upstreams: BTreeMap<Name, Upstream>,
    pub principal: PrincipalSchema,
    pub places: Places,
    pub authn: Authn,
    pub tenancy: Tenancy,
    pub hierarchy: Hierarchy,
    pub apis: Vec<PathBuf>,
    /// A folder; every `*.yaml` in it that is not `*_test.yaml` is a policy.
    pub policies: PathBuf,
    pub limits: Limits,
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
    /// Of each API description.
    pub apis: Vec<Span>,
    pub policies: Option<Span>,
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

#[derive(Debug)]
pub struct Listener {
    pub address: SocketAddr,
    /// `None` only where the file says `plaintext: true`.
    pub tls: Option<Tls>,
    /// Whose connections are taken, each with a header of the PROXY protocol at its beginning. `None`: everybody's, without.
    pub proxy_protocol: Option<Vec<IpNet>>,
}

/// Proxies that say in a header of each request whom it comes from.
#[derive(Debug)]
pub struct TrustedProxies {
    pub from: Vec<IpNet>,
    pub header: Forwarding,
}

impl TrustedProxies {
    pub fn trusts(&self, address: IpAddr) -> bool {
        contains(&self.from, address)
    }
}

/// Whether an address lies in one of the networks.
pub fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// The header that proxies write a request's client into. One of them: what they don't write passes as clients send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

#[derive(Debug)]
pub struct Tls {
    pub min_version: TlsVersion,
    /// At least one.
    pub certificates: Vec<CertificateFiles>,
    pub unknown_name: UnknownName,
    /// `None`: clients are not asked for certificates.
    pub client_auth: Option<ClientAuth>,
}

/// What certificates of clients are verified by.
#[derive(Debug)]
pub struct ClientAuth {
    /// Who has none is refused in the handshake.
    pub required: bool,
    pub ca: PathBuf,
    pub ca_span: Span,
    pub crl: Option<PathBuf>,
    pub crl_span: Span,
    /// What the authority is called where it is said who its certificates mean.
    pub authority: Name,
}

/// A certificate with its chain, its key, and an OCSP response to staple, each with where the gateway file names it.
#[derive(Debug)]
pub struct CertificateFiles {
    pub cert: PathBuf,
    pub span: Span,
    pub key: PathBuf,
    pub key_span: Span,
    pub ocsp: Option<PathBuf>,
    pub ocsp_span: Span,
}

/// What a client gets that asks for a name that no certificate bears, or for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownName {
    Refuse,
    /// The first certificate.
    Default,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

#[derive(Debug)]
pub struct Upstream {
    pub name: Name,
    pub scheme: Scheme,
    /// A host name or address, as in the URL but without brackets.
    pub host: String,
    /// What its certificate must bear. Never empty, which would turn verification off in the TLS stack.
    pub server_name: String,
    pub port: u16,
    /// A path in front of every route, without a trailing slash.
    pub base_path: String,
    /// With where the file names it. `None`: the system's authorities.
    pub ca: Option<(PathBuf, Span)>,
    /// What the gateway shows of itself.
    pub client_certificate: Option<ClientCertificate>,
    /// Whether HTTP/2 is offered beside HTTP/1.1.
    pub http2: bool,
    /// Empty: what the host's name resolves to.
    pub addresses: Vec<SocketAddr>,
    pub resolve_every: Duration,
    /// When an address is left alone, and for how long at first.
    pub health: Health,
    /// When nothing more is asked of it, and for how long.
    pub breaker: Health,
    pub credential: Option<Credential>,
    /// What it is asked to compress its answers with. Empty: nothing.
    pub accept_encoding: Vec<Coding>,
    /// Where the file names the URL, for errors found when it is used.
    pub span: Span,
}

/// So many failures in a row, and for how long something is done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    pub failures: u32,
    pub time: Duration,
}

#[derive(Debug)]
pub struct ClientCertificate {
    pub cert: PathBuf,
    pub cert_span: Span,
    pub key: PathBuf,
    pub key_span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

/// What the gateway shows the upstream in place of the client's credentials.
#[derive(Debug)]
pub enum Credential {
    Bearer(Secret),
    Header { name: http::HeaderName, value: Secret },
}

/// The identity that every policy sees; names that are not declared here do not exist in a policy.
#[derive(Debug, Default)]
pub struct PrincipalSchema {
    pub roles: Vec<Name>,
    pub attributes: BTreeMap<Name, Type>,
}

#[derive(Debug, Default)]
pub struct Authn {
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
}

/// Whether tokens must be bound to a key of whoever sends them (DPoP, RFC 9449).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proofs {
    /// A token that is bound to a key is refused.
    #[default]
    Unused,
    /// Those that are bound need a proof.
    Checked,
    /// All are bound.
    Required,
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

/// Every limit by name. Sizes are bytes.
#[derive(Clone, Debug)]
pub struct Limits {
    pub target: usize,
    pub headers: usize,
    pub header_bytes: usize,
    pub request_body: usize,
    /// An answer that is held as a whole.
    pub response_body: usize,
    /// One record of an answer, or one member of its envelope: what is held while a long answer passes.
    pub record: usize,
    /// An answer that passes as a stream: no memory is at stake, but there is no body without an end.
    pub streamed_body: u64,
    /// An answer is held as a whole up to here although it could be streamed, so that a late error can still refuse it.
    pub buffered_body: usize,
    /// Bytes that may come out of a compressed answer for each that went in.
    pub decoded_ratio: usize,
    pub json_depth: usize,
    /// Connections of clients on one listener at a time; further ones wait to be accepted.
    pub connections: usize,
    /// Of those on all listeners, from one address; of IPv6, from one network of 64 bits.
    pub connections_per_address: usize,
    pub in_flight: usize,
    /// Exchanges of known callers that are served at a time; others wait for their turn. At most `in_flight`.
    pub concurrent: usize,
    pub concurrent_per_tenant: usize,
    /// How long a turn is waited for.
    pub queue_time: Duration,
    pub upstream_connections: usize,
    /// Records of the upstream that are read to fill one page of a list.
    pub scanned_rows: usize,
    /// Pages of the upstream that are read to fill one of a list; a page that is not full by then is cut and says so.
    pub refill: usize,
    pub request_body_time: Duration,
    pub client_write_time: Duration,
    pub idle_time: Duration,
    /// For all that comes before a connection's first request: the PROXY protocol, TLS, the preface of HTTP/2.
    pub handshake_time: Duration,
    pub connect_time: Duration,
    /// From the request's last byte to the answer's head.
    pub upstream_head_time: Duration,
    /// Between two reads of an answer's body.
    pub upstream_read_time: Duration,
    /// Until an exchange's answer is there; of a streamed one, until it begins.
    pub exchange_time: Duration,
    /// From there until a streamed answer has passed.
    pub stream_time: Duration,
    pub drain_time: Duration,
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
    /// A principal that comes with an API key.
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
