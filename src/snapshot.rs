//! Everything that one exchange is judged by, loaded together and swapped together: all or nothing.
//!
//! A configuration that can't be loaded never replaces one that could. At first start there is none, and nothing is served.

use std::path::Path;
use std::sync::Arc;

use http::HeaderName;

use crate::api::{self, Catalog};
use crate::authn::Authenticator;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::diagnostic::{self, Diagnostic};
use crate::listener::Certificate;
use crate::metrics::Metrics;
use crate::model::Name;
use crate::policy::PolicySet;
use crate::upstream::Upstreams;

pub struct Snapshot {
    pub config: Config,
    pub catalog: Arc<Catalog>,
    pub policies: PolicySet,
    pub authenticator: Authenticator,
    pub upstreams: Upstreams,
    /// Headers that only the gateway may send to an upstream: those that carry the tenant or a credential.
    pub identity_headers: Vec<HeaderName>,
}

/// What the files say, checked.
struct Rules {
    config: Config,
    catalog: Arc<Catalog>,
    policies: PolicySet,
    authenticator: Authenticator,
}

/// Reads and checks all that a start would read: the gateway file, certificates, keys, API descriptions and policies.
/// Nothing is started or asked. Warnings if it holds; errors: every mistake of every file, sorted.
pub fn check(path: &Path) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let (config, warnings) = Config::load(path)?;
    let (rules, mut found) = Rules::build(config, warnings, Clock::system())?;
    let certificates = rules.config.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    found.extend(certificates.filter_map(|tls| Certificate::load(tls).err()));
    let found = sorted(found);
    if diagnostic::has_errors(&found) { Err(found) } else { Ok(found) }
}

impl Rules {
    fn build(
        config: Config,
        mut found: Vec<Diagnostic>,
        clock: Clock,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let upstreams: Vec<Name> = config.upstreams.keys().cloned().collect();
        let described =
            api::read(&config.apis).and_then(|files| Catalog::compile(&files, &upstreams, &config.tenancy.dimensions));
        let files = config::policy_files(&config.policies);
        let authenticator = Authenticator::load(&config, clock).map(|authenticator| {
            let warnings = authenticator.warnings().to_vec();
            (authenticator, warnings)
        });
        let catalog = collect(described, &mut found).map(Arc::new);
        let authenticator = collect(authenticator, &mut found);
        let files = collect(files.map(|files| (files, Vec::new())), &mut found);
        let (Some(catalog), Some(files)) = (catalog, files) else { return Err(sorted(found)) };
        let compiled = PolicySet::compile(&files, &catalog, &config.principal, &config.tenancy.dimensions);
        let (Some(policies), Some(authenticator)) = (collect(compiled, &mut found), authenticator) else {
            return Err(sorted(found));
        };
        Ok((Self { config, catalog, policies, authenticator }, sorted(found)))
    }
}

impl Snapshot {
    /// Reads and checks everything and makes the upstreams ready. `adjust` changes the configuration before it is used.
    ///
    /// Errors: every mistake of every file, sorted. Warnings come with the snapshot.
    pub fn load(
        path: &Path,
        adjust: &dyn Fn(&mut Config),
        clock: &Clock,
        metrics: &Metrics,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (mut config, warnings) = Config::load(path)?;
        adjust(&mut config);
        let (rules, found) = Rules::build(config, warnings, clock.clone())?;
        let Rules { config, catalog, policies, authenticator } = rules;
        let upstreams = Upstreams::new(config.upstreams.values(), &config.limits, metrics).map_err(|name| {
            let spans = config.upstreams.get(&name).map(|upstream| upstream.span.clone());
            let message = format!("upstream `{name}` has a host or a credential that cannot be sent in a header");
            spans.into_iter().map(|span| Diagnostic::error("upstream-unusable", span, &*message)).collect::<Vec<_>>()
        })?;
        let tenant = catalog.apis().flat_map(|(_, api)| api.tenant_headers.iter().map(|(name, _)| name.clone()));
        let credentials = config.upstreams.values().filter_map(|upstream| match &upstream.credential {
            Some(config::Credential::Header { name, .. }) => Some(name.clone()),
            Some(config::Credential::Bearer(_)) | None => None,
        });
        let identity_headers = tenant.chain(credentials).collect();
        Ok((Self { config, catalog, policies, authenticator, upstreams, identity_headers }, found))
    }
}

fn collect<T>(result: Result<(T, Vec<Diagnostic>), Vec<Diagnostic>>, found: &mut Vec<Diagnostic>) -> Option<T> {
    match result {
        Ok((value, warnings)) => {
            found.extend(warnings);
            Some(value)
        }
        Err(errors) => {
            found.extend(errors);
            None
        }
    }
}

fn sorted(mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    diagnostic::sort(&mut found);
    found
}
