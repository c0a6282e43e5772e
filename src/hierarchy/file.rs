//! A hierarchy that an operator wrote: tenant -> manager -> direct reports.
//!
//! ```yaml
//! acme: # every app of acme
//!   petra: [marta]
//! acme/shop: # and in this one, besides
//!   marta: [ana, max]
//! ```
//!
//! A tenant is written as a client names it, or by its first dimensions alone. An id means a person of that tenant only.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::edges::Edges;
use crate::diagnostic::{Diagnostic, Source, Span, has_errors, nearest};
use crate::files;
use crate::model::{Name, TenantScope};
use crate::yaml::{self, Reader, Text};

/// What holds in each tenant that is written, those of its first dimensions included.
#[derive(Debug, Default)]
pub(super) struct Tenants(HashMap<String, (u64, Edges)>);

/// What a file's tenants can be.
#[derive(Clone, Copy)]
pub(super) struct Known<'k> {
    pub(super) dimensions: usize,
    /// Those for whom somebody can come in, where that is known.
    pub(super) organizations: Option<&'k BTreeSet<Name>>,
}

impl Tenants {
    /// The edges of a tenant with their generation. `None`: nobody manages anybody there.
    pub(super) fn of(&self, tenant: &TenantScope) -> Option<&(u64, Edges)> {
        let whole = tenant.to_string();
        prefixes(&whole).rev().find_map(|prefix| self.0.get(prefix))
    }
}

/// `acme`, then `acme/shop`. Values hold no `/`.
fn prefixes(tenant: &str) -> impl DoubleEndedIterator<Item = &str> {
    let ends = tenant.match_indices('/').map(|(at, _)| at).chain([tenant.len()]);
    ends.filter_map(|end| tenant.get(..end)).collect::<Vec<_>>().into_iter()
}

/// Reads a file. Warnings: loops, people who manage themselves, tenants for whom nobody can come in.
pub(super) fn load(path: &Path, known: Known<'_>) -> Result<(Tenants, Vec<Diagnostic>), Vec<Diagnostic>> {
    compile(&files::source(path).map_err(|error| vec![error])?, known)
}

fn compile(source: &Arc<Source>, known: Known<'_>) -> Result<(Tenants, Vec<Diagnostic>), Vec<Diagnostic>> {
    let root = yaml::parse(source)?;
    let mut reader = Reader::default();
    let mut written: BTreeMap<&str, Vec<(Name, Name)>> = BTreeMap::new();
    // Where each id is listed as a report.
    let mut places: HashMap<(&str, Name), Span> = HashMap::new();
    for (tenant, managers) in reader.entries(&root, "a hierarchy, whose keys are tenants,") {
        check_tenant(tenant, known, &mut reader);
        let pairs = written.entry(&tenant.value).or_default();
        for (manager, reports) in reader.entries(managers, "a tenant's managers with their reports") {
            let name = Name::from(manager.value.as_str());
            let mut listed = BTreeSet::new();
            for report in reader.texts(reports, "the list of direct reports") {
                let id = Name::from(report.value.as_str());
                if !listed.insert(Name::clone(&id)) {
                    let message = format!("`{id}` is listed twice");
                    reader.error("duplicate-name", &report.span, message);
                } else if id == name {
                    let message = format!("`{id}` can't be its own manager, and this is not followed");
                    reader.diagnostics.push(Diagnostic::warning("hierarchy-self", report.span, message));
                } else {
                    places.entry((&tenant.value, Name::clone(&id))).or_insert(report.span);
                    pairs.push((Name::clone(&name), id));
                }
            }
        }
    }
    if has_errors(&reader.diagnostics) {
        return Err(reader.diagnostics);
    }
    let mut tenants = HashMap::new();
    for tenant in written.keys() {
        let pairs = prefixes(tenant).filter_map(|prefix| written.get(prefix)).flatten().cloned();
        let edges = Edges::new(pairs);
        for id in edges.loops() {
            let place = prefixes(tenant).find_map(|prefix| places.get(&(prefix, Name::clone(&id))));
            let message = format!("`{id}` is, through others, among its own reports in `{tenant}`");
            let warning = place.map(|place| Diagnostic::warning("hierarchy-loop", place.clone(), message));
            reader.diagnostics.extend(warning.map(|it| it.help("on a loop everybody manages everybody")));
        }
        tenants.insert((*tenant).to_owned(), (super::generation(), edges));
    }
    Ok((Tenants(tenants), reader.diagnostics))
}

fn check_tenant(tenant: &Text, known: Known<'_>, reader: &mut Reader) {
    let parts: Vec<&str> = tenant.value.split('/').collect();
    if parts.len() > known.dimensions || parts.iter().any(|part| part.is_empty()) {
        let message = format!("`{}` is not a tenant of up to {} values joined by `/`", tenant.value, known.dimensions);
        reader.error("hierarchy-tenant", &tenant.span, message);
        return;
    }
    let Some(organizations) = known.organizations else { return };
    let Some(first) = parts.first().filter(|first| !organizations.contains(**first)) else { return };
    let message = format!("nobody can come in for `{first}`");
    let help = match nearest(first, organizations.iter().map(|name| &**name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "the keys of a hierarchy are tenants; below each stand managers with their reports".to_owned(),
    };
    reader.diagnostics.push(Diagnostic::warning("hierarchy-tenant", tenant.span.clone(), message).help(help));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Tenants, Vec<Diagnostic>), Vec<Diagnostic>> {
        let organizations = ["acme".into(), "globex".into()].into();
        compile(&Source::new("reports.yaml", text), Known { dimensions: 2, organizations: Some(&organizations) })
    }

    fn of(tenants: &Tenants, organization: &str, app: &str, id: &str) -> String {
        let dimensions: [Name; 2] = ["organization_id".into(), "app_id".into()];
        let tenant = TenantScope::new(&dimensions, |name| Some(if name == "app_id" { app } else { organization }));
        let edges = tenants.of(&tenant.expect("a whole tenant"));
        edges.map_or_else(String::new, |(_, edges)| edges.reports(&id.into()).join(" "))
    }

    #[test]
    fn an_id_manages_in_its_own_tenant_only() {
        let (tenants, warnings) =
            read("acme: { ceo: [vp] }\nacme/shop: { vp: [u1] }\nglobex/shop: { ceo: [u9], vp: [ceo] }\n")
                .expect("sound");
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(of(&tenants, "acme", "shop", "ceo"), "vp u1");
        assert_eq!(of(&tenants, "acme", "desk", "ceo"), "vp");
        assert_eq!(of(&tenants, "acme", "desk", "vp"), "");
        assert_eq!(of(&tenants, "globex", "shop", "ceo"), "u9");
        assert_eq!(of(&tenants, "globex", "shop", "vp"), "ceo u9");
        assert_eq!(of(&tenants, "globex", "desk", "ceo"), "");
        assert_eq!(of(&tenants, "acm", "e", "ceo"), "");
        assert_eq!(of(&tenants, "ac", "me", "ceo"), "");
    }

    #[test]
    fn what_is_odd_is_told_where_it_is_written() {
        let text =
            "acme:\n  a: [b]\n  b: [c]\n  x: [x, y]\nacme/shop:\n  c: [a, leaf]\nacmee: { a: [b] }\nvp: { a: [b] }\n";
        let (tenants, warnings) = read(text).expect("only warnings");
        let mut shown: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        shown.sort();
        assert_eq!(
            shown,
            [
                "reports.yaml:4:7: warning[hierarchy-self]: `x` can't be its own manager, and this is not followed",
                "reports.yaml:6:7: warning[hierarchy-loop]: `a` is, through others, among its own reports in `acme/shop` \
                 (help: on a loop everybody manages everybody)",
                "reports.yaml:7:1: warning[hierarchy-tenant]: nobody can come in for `acmee` (help: did you mean `acme`?)",
                "reports.yaml:8:1: warning[hierarchy-tenant]: nobody can come in for `vp` (help: the keys of a hierarchy \
                 are tenants; below each stand managers with their reports)",
            ]
        );
        assert_eq!(of(&tenants, "acme", "shop", "a"), "b c leaf");
        assert_eq!(of(&tenants, "acme", "desk", "a"), "b c", "the loop is in one app only");
        assert_eq!(of(&tenants, "acme", "desk", "x"), "y");
    }

    #[test]
    fn wrong_files_are_errors_in_their_place() {
        for (text, code) in [
            ("- a\n", "expected-mapping"),
            // Managers without a tenant would manage in every one.
            ("ceo: [vp]\n", "expected-mapping"),
            ("acme: { a: b }\n", "expected-list"),
            ("acme: { a: [null] }\n", "expected-text"),
            ("acme: { a: [b, b] }\n", "duplicate-name"),
            ("acme: { a: [b], a: [c] }\n", "yaml-duplicate-key"),
            ("acme/shop/x: { a: [b] }\n", "hierarchy-tenant"),
            ("acme/: { a: [b] }\n", "hierarchy-tenant"),
            ("/shop: { a: [b] }\n", "hierarchy-tenant"),
        ] {
            let errors = read(text).err().unwrap_or_default();
            assert!(errors.iter().any(|error| error.code == code), "{text}: {errors:?}");
        }
    }
}
