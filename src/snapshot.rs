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

/// The files alone, checked: enough to judge, without keys or connections.
pub struct Rules {
    pub config: Config,
    pub catalog: Arc<Catalog>,
    pub policies: PolicySet,
}

impl Rules {
    /// Reads and checks a gateway file, its API descriptions and its policies.
    ///
    /// Errors: every mistake of every file that could be read, sorted. Warnings come with the rules.
    pub fn load(path: &Path) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (config, warnings) = Config::load(path)?;
        Self::build(config, warnings)
    }

    fn build(config: Config, mut found: Vec<Diagnostic>) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let upstreams: Vec<Name> = config.upstreams.keys().cloned().collect();
        let described = api::read(&config.apis).and_then(|files| Catalog::compile(&files, &upstreams, &config.tenancy.dimensions));
        let files = config::policy_files(&config.policies);
        let catalog = collect(described, &mut found);
        let files = files.map_err(|errors| found.extend(errors)).ok();
        let (Some(catalog), Some(files)) = (catalog, files) else { return Err(sorted(found)) };
        let catalog = Arc::new(catalog);
        let compiled = PolicySet::compile(&files, &catalog, &config.principal, &config.tenancy.dimensions);
        let Some(policies) = collect(compiled, &mut found) else { return Err(sorted(found)) };
        Ok((Self { config, catalog, policies }, sorted(found)))
    }
}

impl Snapshot {
    /// As [`Rules::load`], with key files read and upstreams made ready.
    pub fn load(path: &Path, adjust: &dyn Fn(&mut Config), clock: &Clock, metrics: &Metrics) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (mut config, warnings) = Config::load(path)?;
        adjust(&mut config);
        let (rules, mut found) = Rules::build(config, warnings)?;
        let Rules { config, catalog, policies } = rules;
        let authenticator = match Authenticator::load(&config, clock.clone()) {
            Ok(authenticator) => authenticator,
            Err(errors) => {
                found.extend(errors);
                return Err(sorted(found));
            }
        };
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
