//! Everything that one exchange is judged by, loaded together and swapped together: all or nothing.
//!
//! A configuration that can't be loaded never replaces one that could. At first start there is none, and nothing is served.

use std::path::Path;
use std::sync::Arc;

use http::{HeaderName, header};

use crate::admission::Admission;
use crate::api::{self, Catalog, Service};
use crate::authn::Authenticator;
use crate::clock::Clock;
use crate::config::{self, Config, Draft, Upstream};
use crate::cursor::Cursors;
use crate::diagnostic::{self, Diagnostic};
use crate::hierarchy::Hierarchy;
use crate::listener::tls::Material;
use crate::metrics::Metrics;
use crate::model::Name;
use crate::policy::{KeyedMask, PolicySet};
use crate::upstream::{self, Upstreams};

pub struct Snapshot {
    pub config: Config,
    pub catalog: Arc<Catalog>,
    pub policies: PolicySet,
    pub authenticator: Authenticator,
    pub admission: Admission,
    pub cursors: Cursors,
    pub hierarchy: Hierarchy,
    pub upstreams: Arc<Upstreams>,
    /// Headers that only the gateway may send to an upstream: those that carry the tenant or a credential.
    pub identity_headers: Vec<HeaderName>,
}

/// What was found in all files that a start would read.
pub struct Checked {
    /// Sorted.
    pub found: Vec<Diagnostic>,
    /// Whether policies were compiled; they can't be where what they speak of has a mistake.
    pub policies: bool,
}

/// Reads and checks all that a start would read: the gateway file, certificates, keys, API descriptions and policies.
/// Nothing is started or asked. Every mistake of every file is found in one run.
pub fn check(path: &Path) -> Checked {
    let (draft, mut found) = Draft::read(path);
    let Some(draft) = draft else { return Checked { found, policies: false } };
    let certificates = draft.config().listeners.iter().filter_map(|listener| listener.tls.as_ref());
    let (clock, metrics) = (Clock::system(), Metrics::new());
    found.extend(certificates.flat_map(|tls| Material::load(tls, &clock).1));
    found.extend(draft.config().upstreams.values().flat_map(|of| upstream::check(of, clock.now())));
    let names = &draft.upstream_names;
    let rules = Rules::read(draft.config(), names, draft.principal_holds, clock, &metrics, &mut found);
    if !draft.masks_with_key {
        found.extend(rules.masks_without_key());
    }
    found.extend(rules.roles_without_grant(draft.config()));
    found.extend(rules.hierarchy_missing(draft.config()));
    Checked { found: sorted(found), policies: rules.judged }
}

/// What the files beside the gateway file say, as far as they hold.
struct Rules {
    catalog: Option<Arc<Catalog>>,
    policies: Option<PolicySet>,
    authenticator: Option<Authenticator>,
    hierarchy: Option<Hierarchy>,
    /// Whether policies were compiled, with or without mistakes.
    judged: bool,
}

impl Rules {
    /// A part is `None` only beside an error. `principal_holds`: policies can be checked against the principal's schema.
    fn read(
        config: &Config,
        upstreams: &[Name],
        principal_holds: bool,
        clock: Clock,
        metrics: &Metrics,
        found: &mut Vec<Diagnostic>,
    ) -> Self {
        let dimensions = &config.tenancy.dimensions;
        let described = api::read(&config.apis).map_err(|wrong| named(wrong, config));
        let described = described.and_then(|files| Catalog::compile(&files, &services(config, upstreams), dimensions));
        // Beside an error these may be unnamed, which the gateway file's own diagnostics say.
        let is_named = |path: &Path| !path.as_os_str().is_empty();
        let catalog = collect(described, found).filter(|_| !config.apis.is_empty()).map(Arc::new);
        let files = is_named(&config.policies).then(|| config::policy_files(&config.policies));
        let files = files.map(|files| files.map_err(|wrong| named(wrong, config)));
        let files = files.and_then(|files| collect(files.map(|files| (files, Vec::new())), found));
        let authenticator = Authenticator::load(config, clock, metrics).map(|authenticator| {
            let warnings = authenticator.warnings().to_vec();
            (authenticator, warnings)
        });
        let authenticator = collect(authenticator.map_err(|wrong| named(wrong, config)), found);
        let organizations = authenticator.as_ref().map(Authenticator::organizations);
        found.extend(authenticator.iter().flat_map(Authenticator::expired_keys));
        if let (Some(authenticator), Some(catalog)) = (&authenticator, &catalog) {
            found.extend(authenticator.idle_scopes(catalog));
        }
        let hierarchy = Hierarchy::load(config, catalog.as_ref(), organizations.as_ref());
        let hierarchy = collect(hierarchy.map_err(|wrong| named(wrong, config)), found);
        let compiled = match (&catalog, &files) {
            (Some(catalog), Some(files)) if principal_holds => {
                Some(PolicySet::compile(files, catalog, &config.principal, dimensions))
            }
            _ => None,
        };
        let judged = compiled.is_some();
        let policies = compiled.and_then(|compiled| collect(compiled, found));
        Self { catalog, policies, authenticator, hierarchy, judged }
    }

    /// For whoever has no other role there is no table.
    fn roles_without_grant(&self, config: &Config) -> impl Iterator<Item = Diagnostic> {
        let roles = config.principal.roles.iter().zip(&config.places.roles);
        let idle = roles.filter(|(role, _)| self.policies.as_ref().is_some_and(|set| !set.grants_to(role)));
        idle.map(|(role, place)| {
            let message = format!("no grant is for the role `{role}`");
            let warning = Diagnostic::warning("role-without-grant", place.clone(), message);
            warning.help("leave it out, or list it under `roles` of a grant")
        })
    }

    /// Nobody would manage anybody, which nobody meant who wrote it.
    fn hierarchy_missing(&self, config: &Config) -> impl Iterator<Item = Diagnostic> {
        let missing = matches!(config.hierarchy, config::Hierarchy::None);
        let asked = self.policies.iter().flat_map(PolicySet::hierarchies).filter(move |_| missing);
        asked.map(|place| {
            let message = "`hierarchy: true` has no effect: the gateway file has no `hierarchy`";
            let warning = Diagnostic::warning("hierarchy-missing", place.clone(), message);
            warning.help("say there who manages whom, for example hierarchy: { claim: claims.reports }")
        })
    }

    /// Without the key these would remove their fields, which nobody meant who wrote them.
    fn masks_without_key(&self) -> impl Iterator<Item = Diagnostic> {
        self.policies.iter().flat_map(PolicySet::keyed_masks).map(|KeyedMask { mask, span }| {
            let message = format!("`{mask}` needs `masking.key` in the gateway file");
            Diagnostic::error("mask-without-key", span.clone(), message).help("masking: { key: { secret: name } }")
        })
    }
}

impl Snapshot {
    /// Reads and checks everything and makes the upstreams ready. `adjust` changes the configuration before it is used.
    /// `before` is what is in force, which stays as it is: upstreams that are as they were go on with what they have.
    ///
    /// Errors: every mistake of every file, sorted. Warnings come with the snapshot.
    pub fn load(
        path: &Path,
        adjust: &dyn Fn(&mut Config),
        clock: &Clock,
        metrics: &Metrics,
        before: Option<&Self>,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (mut config, mut found) = Config::load(path)?;
        adjust(&mut config);
        let names: Vec<Name> = config.upstreams.keys().cloned().collect();
        found.extend(config.upstreams.values().flat_map(|of| upstream::check(of, clock.now())));
        let rules = Rules::read(&config, &names, true, clock.clone(), metrics, &mut found);
        if config.masking_key.is_none() {
            found.extend(rules.masks_without_key());
        }
        found.extend(rules.roles_without_grant(&config));
        found.extend(rules.hierarchy_missing(&config));
        let found = sorted(found);
        let Rules {
            catalog: Some(catalog),
            policies: Some(policies),
            authenticator: Some(authenticator),
            hierarchy: Some(hierarchy),
            ..
        } = rules
        else {
            return Err(found);
        };
        if diagnostic::has_errors(&found) {
            return Err(found);
        }
        let (keyring, before) = (&config.keyring, before.map(|before| &*before.upstreams));
        let upstreams = config.upstreams.values();
        let upstreams = Upstreams::new(upstreams, keyring, &config.limits, metrics, before, clock.now());
        let upstreams = upstreams.map_err(|(name, unusable)| {
            let spans = config.upstreams.get(&name).map(|upstream| upstream.span.clone());
            let message = format!("upstream `{name}` {unusable}");
            spans.into_iter().map(|span| Diagnostic::error("upstream-unusable", span, &*message)).collect::<Vec<_>>()
        })?;
        let tenant = catalog.apis().flat_map(|(_, api)| api.tenant_headers.iter().map(|(name, _)| name.clone()));
        let credentials = config.upstreams.values().filter_map(|upstream| Some(&upstream.credential.as_ref()?.header));
        let credentials = credentials.filter(|name| **name != header::AUTHORIZATION).cloned();
        let identity_headers = tenant.chain(credentials).collect();
        let upstreams = Arc::new(upstreams);
        let admission = Admission::new(&config.rates, &config.limits);
        let cursors = Cursors::new(&config.paging);
        let all = Self {
            config,
            catalog,
            policies,
            authenticator,
            admission,
            cursors,
            hierarchy,
            upstreams,
            identity_headers,
        };
        Ok((all, found))
    }
}

/// What API descriptions may name: the upstreams of these names.
pub fn services(config: &Config, names: &[Name]) -> Vec<Service> {
    let service = |name: &Name| {
        let upstream = config.upstreams.get(name);
        // One that doesn't hold has a mistake of its own, and its routes none because of it.
        let shown = upstream.map_or_else(|| config.tenancy.dimensions.clone(), Upstream::shown);
        let credential = upstream.and_then(|upstream| upstream.credential.as_ref());
        Service { name: Name::clone(name), shown, header: credential.map(|credential| credential.header.clone()) }
    };
    names.iter().map(service).collect()
}

/// A file or folder that can't be read is shown where the gateway file names it: it has no place of its own.
fn named(wrong: Vec<Diagnostic>, config: &Config) -> Vec<Diagnostic> {
    let place = |wrong: Diagnostic| {
        let by = config.places.files.iter().find(|(path, _)| {
            wrong.code == "file-unreadable" && *path.display().to_string() == *wrong.span.source.path
        });
        match by {
            Some((_, place)) => {
                let message = format!("`{}` {}", wrong.span.source.path, wrong.message);
                Diagnostic { span: place.clone(), message, ..wrong }
            }
            None => wrong,
        }
    };
    wrong.into_iter().map(place).collect()
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

#[cfg(test)]
mod tests;
