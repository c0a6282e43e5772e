//! Certificates of which each tenant has its own: found by the names of their files.
//!
//! No path is ever made of a tenant's name. What lies in the folders is listed, and a tenant has what is called as its values
//! are, percent-encoded, each for all that stands between a declared beginning and end: no two tenants have one file, and no
//! value leads anywhere else. Files whose names begin with a dot are nobody's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::credential::is_encoded;
use super::upstreams::{ClientCertificate, Shown, Upstream};
use super::{Authn, raw, secrets};
use crate::diagnostic::{Diagnostic, Span};
use crate::model::{Name, TenantScope, percent};
use crate::yaml::{Reader, Text};

/// Tenants of one upstream that have their own.
const MAX_OWN: usize = 1000;

/// What the gateway shows an upstream of itself for each tenant.
#[derive(Clone, Debug)]
pub struct OwnCertificates {
    cert: Pattern,
    pub cert_span: Span,
    key: Pattern,
    pub key_span: Span,
}

/// The same files, wherever they are named.
impl PartialEq for OwnCertificates {
    fn eq(&self, other: &Self) -> bool {
        self.cert == other.cert && self.key == other.key
    }
}

impl Eq for OwnCertificates {}

/// The files of one tenant.
#[derive(Debug)]
pub struct OwnCertificate {
    /// See [`tenant_name`].
    pub tenant: String,
    pub files: ClientCertificate,
}

/// `tls/{organization_id}.pem`: a folder, and what leads from there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    folder: PathBuf,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Word(String),
    /// A name that begins and ends so, with a tenant's value in between.
    Own {
        before: String,
        dimension: Name,
        after: String,
    },
}

/// Whether a path differs by tenant.
pub(super) fn is_own(path: &Text) -> bool {
    path.value.contains(['{', '}'])
}

/// How a tenant is called in the names of files: its values in these dimensions, percent-encoded. `None`: it lacks one.
pub fn tenant_name(dimensions: &[Name], tenant: &TenantScope) -> Option<String> {
    let mut name = String::new();
    for dimension in dimensions {
        if !name.is_empty() {
            name.push('/');
        }
        percent::encode(tenant.value(dimension)?, &mut name);
    }
    Some(name)
}

/// Reads `cert` and `key` of which at least one differs by tenant.
pub(super) fn own_certificates(
    cert: Text,
    key: Text,
    folder: &Path,
    dimensions: &[Name],
    reader: &mut Reader,
) -> Option<OwnCertificates> {
    let read = |path: &Text, reader: &mut Reader| Pattern::parse(path, folder, dimensions, reader);
    let (own, private) = (read(&cert, reader), read(&key, reader));
    let (own, private) = (own?, private?);
    if let Some(strange) = private.dimensions().find(|name| !own.dimensions().any(|known| known == *name)) {
        let message = format!("`key` differs by `{strange}`, and `cert` does not");
        reader.error("bad-upstream", &key.span, message).help =
            Some("cert: \"tls/{organization_id}.pem\", key: \"tls/{organization_id}.key\"".to_owned());
        return None;
    }
    Some(OwnCertificates { cert: own, cert_span: cert.span, key: private, key_span: key.span })
}

impl OwnCertificates {
    /// By which tenants are told apart, in this order.
    pub fn dimensions(&self) -> Vec<Name> {
        self.cert.dimensions().cloned().collect()
    }

    /// Every tenant's that is there now, sorted. Errors: the folder can't be listed, or holds too many.
    pub fn list(&self) -> io::Result<Vec<OwnCertificate>> {
        let found = self.cert.list()?.into_iter().map(|(values, cert)| {
            let key = self.key.path(&values);
            let (cert_span, key_span) = (self.cert_span.clone(), self.key_span.clone());
            let tenant = values.into_iter().map(|(_, value)| value).collect::<Vec<_>>().join("/");
            OwnCertificate { tenant, files: ClientCertificate { cert, cert_span, key, key_span } }
        });
        let mut found: Vec<OwnCertificate> = found.collect();
        found.sort_by(|a, b| a.tenant.cmp(&b.tenant));
        Ok(found)
    }

    /// The folders in which they lie, whether there are any or not.
    pub fn folders(&self) -> BTreeSet<PathBuf> {
        let within = |pattern: &Pattern| {
            let mut folders: BTreeSet<PathBuf> = [pattern.folder.clone()].into();
            let mut parts = pattern.parts.iter();
            parts.next_back();
            let mut here = vec![(Vec::new(), pattern.folder.clone())];
            for part in parts {
                here = part.follow(here).unwrap_or_default();
                folders.extend(here.iter().map(|(_, path)| path.clone()));
            }
            folders
        };
        within(&self.cert).into_iter().chain(within(&self.key)).collect()
    }
}

/// Dimension -> value as it stands in the name of a file.
type Values<'p> = Vec<(&'p Name, String)>;

impl Pattern {
    fn parse(path: &Text, folder: &Path, dimensions: &[Name], reader: &mut Reader) -> Option<Self> {
        let (mut base, mut parts) = (Vec::new(), Vec::new());
        for (number, text) in path.value.split('/').enumerate() {
            if text.is_empty() && number > 0 {
                reader.error("bad-upstream", &path.span, "a part of the path is empty");
                return None;
            }
            if !text.contains(['{', '}']) {
                if parts.is_empty() {
                    base.push(text)
                } else {
                    parts.push(Part::Word(text.to_owned()))
                }
                continue;
            }
            let inner = text.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
            let plain = |text: &str| !text.contains(['{', '}']);
            let Some((before, (name, after))) = inner.filter(|(_, (name, after))| plain(name) && plain(after)) else {
                let message = format!("one dimension may stand between two slashes, not `{text}`");
                reader.error("bad-upstream", &path.span, message).help =
                    Some("for example tls/{organization_id}.pem".to_owned());
                return None;
            };
            // Without any, `tenancy` has a mistake of its own.
            if !dimensions.is_empty() && !dimensions.iter().any(|known| **known == *name) {
                let known = dimensions.iter().map(|name| &**name);
                raw::unknown("dimension", "unknown-dimension", &path.meaning(name.to_owned()), known, reader);
                return None;
            }
            if parts.iter().any(|part| matches!(part, Part::Own { dimension, .. } if **dimension == *name)) {
                reader.error("bad-upstream", &path.span, format!("`{{{name}}}` stands twice in one path"));
                return None;
            }
            parts.push(Part::Own { before: before.to_owned(), dimension: name.into(), after: after.to_owned() });
        }
        // What doesn't differ is a file of its folder all the same.
        if parts.is_empty() {
            parts.extend(base.pop().map(|last| Part::Word(last.to_owned())));
        }
        let base = if base == [""] { "/".to_owned() } else { base.join("/") };
        let folder = folder.join(base);
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
        Some(Self { folder, parts })
    }

    fn dimensions(&self) -> impl Iterator<Item = &Name> {
        self.parts.iter().filter_map(|part| match part {
            Part::Own { dimension, .. } => Some(dimension),
            Part::Word(_) => None,
        })
    }

    fn list(&self) -> io::Result<Vec<(Values<'_>, PathBuf)>> {
        let mut found = vec![(Vec::new(), self.folder.clone())];
        for part in &self.parts {
            found = part.follow(found)?;
        }
        found.retain(|(_, path)| fs::metadata(path).is_ok_and(|file| file.is_file()));
        Ok(found)
    }

    /// Where a tenant's file is, whose values were listed.
    fn path(&self, values: &Values<'_>) -> PathBuf {
        self.parts.iter().fold(self.folder.clone(), |path, part| match part {
            Part::Word(word) => path.join(word),
            Part::Own { before, dimension, after } => {
                let value =
                    values.iter().find(|(known, _)| *known == dimension).map_or("", |(_, value)| value.as_str());
                path.join(format!("{before}{value}{after}"))
            }
        })
    }
}

impl Part {
    /// Where it leads from these places. Errors: the first folder can't be listed, or there are too many.
    fn follow<'p>(&'p self, from: Vec<(Values<'p>, PathBuf)>) -> io::Result<Vec<(Values<'p>, PathBuf)>> {
        let mut found = Vec::new();
        for (values, path) in from {
            let (before, dimension, after) = match self {
                Self::Word(word) => {
                    found.push((values, path.join(word)));
                    continue;
                }
                Self::Own { before, dimension, after } => (before, dimension, after),
            };
            let entries = match fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if values.is_empty() => return Err(error),
                // What lies beside the folders of tenants is none of them.
                Err(_) => continue,
            };
            for entry in entries {
                let name = entry?.file_name();
                let value = name.to_str().and_then(|name| name.strip_prefix(&**before)?.strip_suffix(&**after));
                let Some(value) = value.filter(|value| is_encoded(value) && !value.starts_with('.')) else { continue };
                if found.len() == MAX_OWN {
                    return Err(io::Error::other(format!("more than {MAX_OWN} tenants' files")));
                }
                let values = values.iter().cloned().chain([(dimension, value.to_owned())]).collect();
                found.push((values, path.join(&name)));
            }
        }
        Ok(found)
    }
}

/// Warns of organizations that may come in though an upstream would be shown nothing for them.
pub(super) fn tenants_without(
    upstreams: &BTreeMap<Name, Upstream>,
    authn: &Authn,
    dimension: &Name,
    reader: &mut Reader,
) {
    for (name, upstream) in upstreams {
        let Some(Shown::Own(own)) = &upstream.client_certificate else { continue };
        let mut say = |message: String| {
            let warning = Diagnostic::warning("tenant-without-credential", own.cert_span.clone(), message);
            reader.diagnostics.push(warning.help("put one there; it is found while the gateway runs"));
        };
        // One that can't be listed is an error of its own, once certificates are looked at.
        let Ok(found) = own.cert.list() else { continue };
        if found.is_empty() {
            say(format!("no certificate is named like this, so the upstream `{name}` is asked for no tenant"));
            continue;
        }
        if !own.cert.dimensions().any(|known| known == dimension) {
            continue;
        }
        for organization in secrets::organizations(authn) {
            let mut encoded = String::new();
            percent::encode(organization, &mut encoded);
            let is_its = |(values, _): &(Values<'_>, PathBuf)| {
                values.iter().any(|(of, value)| *of == dimension && *value == encoded)
            };
            if !found.iter().any(is_its) {
                say(format!(
                    "no certificate of `{organization}` is named like this, so the upstream `{name}` is not asked for it"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimensions() -> Vec<Name> {
        vec!["organization_id".into(), "app_id".into()]
    }

    fn own(cert: &str, key: &str, folder: &Path) -> Result<OwnCertificates, Vec<String>> {
        let mut reader = Reader::default();
        let read = own_certificates(Text::whole(cert), Text::whole(key), folder, &dimensions(), &mut reader);
        read.ok_or_else(|| reader.diagnostics.into_iter().map(|found| found.message).collect())
    }

    fn tenant(organization: &str, app: &str) -> TenantScope {
        let value = |name: &str| Some(if name == "app_id" { app } else { organization });
        TenantScope::new(&dimensions(), value).expect("a tenant")
    }

    fn put(folder: &Path, names: &[&str]) {
        for name in names {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, "x").expect("written");
        }
    }

    #[test]
    fn a_tenant_has_what_is_called_as_it_is_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        let named = ["acme", "a%2Fb", "%2E%2E", "a b", "a%2fb", "%41", ".hidden", "..", "", "é", "A"];
        put(at, &named.map(|name| format!("tls/{name}.pem")).iter().map(String::as_str).collect::<Vec<_>>());
        put(at, &["tls/acme.pem.bak", "secret.pem", "tls/other.key", "tls/folder.pem/x"]);
        let own = own("tls/{organization_id}.pem", "keys/{organization_id}.key", at).expect("it reads");
        let listed = own.list().expect("listed");
        let names: Vec<&str> = listed.iter().map(|one| one.tenant.as_str()).collect();
        assert_eq!(names, ["A", "a%2Fb", "acme"]);
        let acme = listed.last().expect("some");
        assert_eq!((&*acme.files.cert, &*acme.files.key), (&*at.join("tls/acme.pem"), &*at.join("keys/acme.key")));
        // What no file was listed for leads to none.
        for (name, expected) in [
            ("acme", Some("acme")),
            ("a/b", Some("a%2Fb")),
            ("A", Some("A")),
            ("Acme", None),
            ("..", None),
            (".", None),
            ("../secret", None),
            ("../tls/acme", None),
            ("acme\0", None),
            ("acme.pem", None),
            ("{organization_id}", None),
            ("a b", None),
            ("", None),
        ] {
            let tenant = tenant(if name.is_empty() { "x" } else { name }, "shop");
            let name = tenant_name(&own.dimensions(), &tenant).expect("all dimensions");
            let found = listed.iter().find(|one| one.tenant == name).map(|one| one.tenant.as_str());
            assert_eq!(found, expected, "{name}");
        }
        assert!(own.folders().contains(&at.join("tls")) && own.folders().contains(&at.join("keys")));
    }

    #[test]
    fn folders_of_tenants_are_followed_and_no_two_tenants_share_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        put(
            at,
            &["acme/shop/own.pem", "acme/desk/own.pem", "globex/shop/own.pem", "globex/file", "..data/shop/own.pem"],
        );
        let text = at.display().to_string();
        let cert = format!("{text}/{{organization_id}}/{{app_id}}/own.pem");
        let own = own(&cert, "all.key", at).expect("it reads");
        let names: Vec<String> = own.list().expect("listed").into_iter().map(|one| one.tenant).collect();
        assert_eq!(names, ["acme/desk", "acme/shop", "globex/shop"]);
        assert!(own.list().expect("listed").iter().all(|one| one.files.key == at.join("all.key")));
        assert_eq!(tenant_name(&own.dimensions(), &tenant("acme/shop", "x")).as_deref(), Some("acme%2Fshop/x"));
        assert!(own.folders().contains(&at.join("globex/shop")));
        fs::remove_dir_all(at).expect("removed");
        assert!(own.list().is_err(), "a folder that is not there holds nobody's");
    }

    #[test]
    fn a_path_that_can_be_read_in_two_ways_is_refused() {
        for (cert, key) in [
            ("{organization_id}{app_id}.pem", "a.key"),
            ("{organization_id}-{app_id}.pem", "a.key"),
            ("{organization}.pem", "a.key"),
            ("{}.pem", "a.key"),
            ("{organization_id.pem", "a.key"),
            ("organization_id}.pem", "a.key"),
            ("{{organization_id}}.pem", "a.key"),
            ("tls//{organization_id}.pem", "a.key"),
            ("{organization_id}/{organization_id}.pem", "a.key"),
            ("own.pem", "{organization_id}.key"),
            ("{organization_id}.pem", "{app_id}.key"),
        ] {
            let wrong = own(cert, key, Path::new("")).expect_err(cert);
            assert_eq!(wrong.len(), 1, "{cert} {key}: {wrong:?}");
        }
    }
}
