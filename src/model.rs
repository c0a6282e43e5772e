//! The words that the steps of the path share: who asks, for which tenant, what for, and with which facts.
//!
//! Steps on the path do not import each other; what one hands to the next is defined here. Nothing here does I/O or
//! decides anything. Types whose values have been verified keep their fields private.

pub mod filter;
mod keys;
pub mod percent;
mod trace;
pub mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

pub use keys::RecordKeys;
pub use trace::Trace;
pub use value::Value;

/// A name that an operator declared: of a table, a field, a role, a rule. Cheap to clone, never empty.
pub type Name = Arc<str>;

/// What a caller wants to do with records of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    List,
    Read,
    Create,
    Update,
    Delete,
    /// Changing the owner of a record, beside `Update`.
    Transfer,
    Export,
    /// A route of the API's own, such as `close` on a deal; the name is declared in the API description.
    Custom(Name),
}

impl Action {
    pub const BUILT_IN: [Action; 7] =
        [Action::List, Action::Read, Action::Create, Action::Update, Action::Delete, Action::Transfer, Action::Export];

    pub fn parse(name: &str) -> Self {
        Self::BUILT_IN.iter().find(|action| action.name() == name).cloned().unwrap_or_else(|| Self::Custom(name.into()))
    }

    pub fn name(&self) -> &str {
        match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Transfer => "transfer",
            Self::Export => "export",
            Self::Custom(name) => name,
        }
    }

    /// For metrics: as [`name`](Self::name), but one word for all custom ones.
    pub fn label(&self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Transfer => "transfer",
            Self::Export => "export",
            Self::Custom(_) => "custom",
        }
    }

    /// Whether it changes records (a custom action is taken to).
    pub fn writes(&self) -> bool {
        !matches!(self, Self::List | Self::Read | Self::Export)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a principal proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Jwt,
    ApiKey,
    Certificate,
    Introspection,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::ApiKey => "api_key",
            Self::Certificate => "certificate",
            Self::Introspection => "introspection",
        }
    }
}

/// An authenticated caller, as every policy sees it. An identity is the pair of issuer and id.
///
/// Attributes hold only names that the configuration declares, each of its declared type or null; lists hold no nulls.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    pub id: Name,
    /// The token's `iss`, `api-keys`, or `certificates:` and the authority's name.
    pub issuer: Name,
    pub method: Method,
    pub roles: Vec<Name>,
    pub groups: Vec<Name>,
    pub attributes: BTreeMap<Name, Value>,
    /// Ids of all whom this principal manages in the tenant of the exchange, transitively; ownership is handed down
    /// through it.
    pub reports: Arc<[Name]>,
    /// The tenants of which the credential proves membership, already cut to those its issuer may speak for.
    pub memberships: Vec<TenantScope>,
    /// Whether the credential names a tenant besides for which its issuer may not speak.
    pub overreaches: bool,
    /// All that the credential may be used for, within what the principal may do; `None`: all of that.
    pub scopes: Option<Arc<[Scope]>>,
}

/// A table and an action on it, or all actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pub table: Name,
    pub action: Option<Action>,
}

impl Principal {
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|held| &**held == role)
    }

    /// Whether the credential may be used for an action on a table.
    pub fn is_in_scope(&self, table: &str, action: &Action) -> bool {
        let covers = |scope: &Scope| *scope.table == *table && scope.action.as_ref().is_none_or(|of| of == action);
        self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(covers))
    }
}

/// Exactly one tenant: a value for each declared dimension, in declared order. Never a union.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantScope(Arc<[(Name, Name)]>);

impl TenantScope {
    /// `None` if a value is missing or empty: half a tenant is no tenant.
    pub fn new<'a>(dimensions: &[Name], value: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let pairs: Option<Vec<(Name, Name)>> = dimensions
            .iter()
            .map(|dimension| value(dimension).filter(|v| !v.is_empty()).map(|v| (Arc::clone(dimension), v.into())))
            .collect();
        pairs.filter(|pairs| !pairs.is_empty()).map(|pairs| Self(pairs.into()))
    }

    pub fn value(&self, dimension: &str) -> Option<&Name> {
        self.0.iter().find(|(name, _)| &**name == dimension).map(|(_, value)| value)
    }

    pub fn dimensions(&self) -> impl Iterator<Item = (&Name, &Name)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

/// `acme/shop`: the values joined as a client writes them in the header that chooses a tenant.
impl fmt::Display for TenantScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (_, value)) in self.0.iter().enumerate() {
            write!(f, "{}{value}", if index == 0 { "" } else { "/" })?;
        }
        Ok(())
    }
}

/// What a policy may know of the request itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFacts {
    pub method: http::Method,
    pub ip: IpAddr,
}

/// Whom an address stands for: itself or, of IPv6, where a client has a network of its own, its first 64 bits (RFC 6177).
pub fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

/// Unique in a log: UUID v7, made by the gateway (a client's own id is never trusted as one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(uuid::Uuid);

impl RequestId {
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a request was refused: a closed list, each with a stable label for metrics and the audit log. Internal; what the
/// client is told is decided in `rejection`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    // canonicalise
    MalformedRequest,
    AmbiguousPath,
    AmbiguousQuery,
    AmbiguousHeader,
    AmbiguousFraming,
    VersionNotSupported,
    MethodNotSupported,
    MethodUnknown,
    UpgradeNotDeclared,
    TargetTooLong,
    TooManyHeaders,
    // authn
    CredentialsMissing,
    CredentialsInvalid,
    IdentityUnavailable,
    // tenancy
    TenantMissing,
    TenantNotAMember,
    HierarchyUnavailable,
    // admission
    RateLimited,
    // routing
    RouteUnknown,
    MediaTypeUnsupported,
    CodingUnsupported,
    NotAcceptable,
    // policy
    TableHidden,
    RecordHidden,
    RecordForeign,
    ActionNotGranted,
    Denied,
    RequirementUnmet,
    FieldNotWritable,
    TenantNotWritable,
    OwnerNotTransferable,
    CheckFailed,
    BudgetExceeded,
    ReferenceNotReadable,
    CascadeNotGranted,
    // query and body
    QueryNotAllowed,
    CursorExpired,
    ListTooLong,
    BodyMalformed,
    BodyTooLarge,
    BodyTimeout,
    BodyExpected,
    // upstream
    UpstreamUnreachable,
    UpstreamCircuitOpen,
    UpstreamTimeout,
    UpstreamFailed,
    UpstreamBroken,
    UpstreamMediaType,
    UpstreamTooLarge,
    UpstreamCannotGuard,
    UpstreamCannotFilter,
    UpstreamCredentialMissing,
    UpstreamRefused,
    UpstreamMisunderstood,
    UpstreamConflict,
    UpstreamRefusedSize,
    UpstreamRefusedType,
    UpstreamRateLimited,
    PreconditionFailed,
    ClientGone,
    ClientSlow,
    // what has no end of its own
    OriginForeign,
    LiveTimeout,
    LiveWithdrawn,
    LiveRefused,
    // the gateway itself
    AuditUnavailable,
    NotReady,
    Overloaded,
    Internal,
}

impl Reason {
    pub fn label(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformed_request",
            Self::AmbiguousPath => "ambiguous_path",
            Self::AmbiguousQuery => "ambiguous_query",
            Self::AmbiguousHeader => "ambiguous_header",
            Self::AmbiguousFraming => "ambiguous_framing",
            Self::VersionNotSupported => "version_not_supported",
            Self::MethodNotSupported => "method_not_supported",
            Self::MethodUnknown => "method_unknown",
            Self::UpgradeNotDeclared => "upgrade_not_declared",
            Self::TargetTooLong => "target_too_long",
            Self::TooManyHeaders => "too_many_headers",
            Self::CredentialsMissing => "credentials_missing",
            Self::CredentialsInvalid => "credentials_invalid",
            Self::IdentityUnavailable => "identity_unavailable",
            Self::TenantMissing => "tenant_missing",
            Self::TenantNotAMember => "tenant_not_a_member",
            Self::RateLimited => "rate_limited",
            Self::HierarchyUnavailable => "hierarchy_unavailable",
            Self::RouteUnknown => "route_unknown",
            Self::MediaTypeUnsupported => "media_type_unsupported",
            Self::CodingUnsupported => "coding_unsupported",
            Self::NotAcceptable => "not_acceptable",
            Self::TableHidden => "table_hidden",
            Self::RecordHidden => "record_hidden",
            Self::RecordForeign => "record_foreign",
            Self::ActionNotGranted => "action_not_granted",
            Self::Denied => "denied",
            Self::RequirementUnmet => "requirement_unmet",
            Self::FieldNotWritable => "field_not_writable",
            Self::TenantNotWritable => "tenant_not_writable",
            Self::OwnerNotTransferable => "owner_not_transferable",
            Self::CheckFailed => "check_failed",
            Self::BudgetExceeded => "budget_exceeded",
            Self::ReferenceNotReadable => "reference_not_readable",
            Self::CascadeNotGranted => "cascade_not_granted",
            Self::QueryNotAllowed => "query_not_allowed",
            Self::CursorExpired => "cursor_expired",
            Self::ListTooLong => "list_too_long",
            Self::BodyMalformed => "body_malformed",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyExpected => "body_expected",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamCircuitOpen => "upstream_circuit_open",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamFailed => "upstream_failed",
            Self::UpstreamBroken => "upstream_broken",
            Self::UpstreamMediaType => "upstream_media_type",
            Self::UpstreamTooLarge => "upstream_too_large",
            Self::UpstreamCannotGuard => "upstream_cannot_guard",
            Self::UpstreamCannotFilter => "upstream_cannot_filter",
            Self::UpstreamCredentialMissing => "upstream_credential_missing",
            Self::UpstreamRefused => "upstream_refused",
            Self::UpstreamMisunderstood => "upstream_misunderstood",
            Self::UpstreamConflict => "upstream_conflict",
            Self::UpstreamRefusedSize => "upstream_refused_size",
            Self::UpstreamRefusedType => "upstream_refused_type",
            Self::UpstreamRateLimited => "upstream_rate_limited",
            Self::ClientGone => "client_gone",
            Self::ClientSlow => "client_slow",
            Self::OriginForeign => "origin_foreign",
            Self::LiveTimeout => "live_timeout",
            Self::LiveWithdrawn => "live_withdrawn",
            Self::LiveRefused => "live_refused",
            Self::PreconditionFailed => "precondition_failed",
            Self::AuditUnavailable => "audit_unavailable",
            Self::NotReady => "not_ready",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
        }
    }
}
