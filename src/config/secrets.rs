//! The secrets that a gateway file names: each from a file or the environment, or many from one sealed file.
//!
//! They are read when the configuration is loaded, and appear in no message. Those of the sealed file are read again while
//! the gateway runs; see [`Keyring::read_again`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use zeroize::Zeroizing;

use super::credential::{Choice, Pattern};
use super::raw::{path, text, unknown, warn};
use super::{Authn, Upstream};
use crate::diagnostic::{Diagnostic, Span};
use crate::files;
use crate::model::Name;
use crate::sealed::{Entries, Keys, store};
use crate::secret::Secret;
use crate::yaml::{self, Node, Reader, Text};

const MAX_SECRET: u64 = 64 * 1024;

/// All secrets of a configuration.
#[derive(Debug, Default)]
pub struct Keyring {
    named: BTreeMap<Name, Secret>,
    opened: BTreeMap<Name, Secret>,
    sealed: Option<Sealed>,
    /// Of the sealed file and its key before they were read.
    fingerprint: Option<Fingerprint>,
}

/// What lies on disk; equal only where the content is.
pub type Fingerprint = [u8; 32];

impl Keyring {
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.named.get(name).or_else(|| self.opened.get(name))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Secret)> {
        self.named.iter().chain(&self.opened)
    }

    /// Of what this one was read from.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }

    /// Of what lies there now. `None`: there is no sealed file.
    pub fn look(&self) -> Option<Fingerprint> {
        self.sealed.as_ref().map(Sealed::fingerprint)
    }

    /// With the sealed file as it is now; all others stay as they were read.
    pub fn read_again(&self) -> Result<Self, Diagnostic> {
        let Some(sealed) = &self.sealed else { return Ok(Self { named: self.named.clone(), ..Self::default() }) };
        let fingerprint = Some(sealed.fingerprint());
        let opened = values(sealed.read()?);
        Ok(Self { named: self.named.clone(), opened, sealed: Some(sealed.clone()), fingerprint })
    }
}

fn values(entries: Entries) -> BTreeMap<Name, Secret> {
    entries.into_iter().map(|(name, entry)| (name, entry.value)).collect()
}

/// Where sealed secrets lie, and where the key is that opens them.
#[derive(Clone, Debug)]
pub struct Sealed {
    pub file: PathBuf,
    pub key: KeyPlace,
    file_span: Span,
    key_span: Span,
}

#[derive(Clone, Debug)]
pub enum KeyPlace {
    File(PathBuf),
    Variable(String),
}

impl Sealed {
    /// What a gateway file says of it; nothing else of the file needs to hold.
    pub fn named_in(file: &Path) -> Result<Option<Self>, Vec<Diagnostic>> {
        let source = files::source(file).map_err(|error| vec![error])?;
        let tree = yaml::parse(&source)?;
        let mut reader = Reader::default();
        let node = reader.fields(&tree, "a gateway file").take("sealed_secrets");
        let found = node.and_then(|node| sealed(node, file.parent().unwrap_or(Path::new("")), &mut reader));
        if reader.diagnostics.is_empty() { Ok(found) } else { Err(reader.diagnostics) }
    }

    pub fn keys(&self) -> Result<Keys, Diagnostic> {
        let wrong = |message: String| Diagnostic::error("bad-secret", self.key_span.clone(), message);
        let text = match &self.key {
            KeyPlace::File(path) => {
                if folders(path).iter().any(|folder| folders(&self.file).contains(folder)) {
                    let message = "the key lies beside what it seals";
                    let error = Diagnostic::error("key-beside-secrets", self.key_span.clone(), message);
                    return Err(error.help("who gets a copy of the folder would have both: keep the key elsewhere"));
                }
                files::bytes(path, MAX_SECRET).map_err(|error| wrong(unread("the key", path, &error)))?
            }
            KeyPlace::Variable(name) => std::env::var_os(name)
                .ok_or_else(|| wrong(format!("the environment has no variable `{name}`")))?
                .into_encoded_bytes(),
        };
        Keys::parse(&Zeroizing::new(text))
            .map_err(|reason| wrong(format!("the key can't be used: {reason}")).help("scrim secrets key makes one"))
    }

    pub fn read(&self) -> Result<Entries, Diagnostic> {
        store::read(&self.file, &self.keys()?).map_err(|error| {
            let message = format!("the sealed secrets can't be read from `{}`: {error}", self.file.display());
            let wrong = Diagnostic::error("bad-secret", self.file_span.clone(), message);
            if error.is_missing() { wrong.help("`scrim secrets set NAME` makes it") } else { wrong }
        })
    }

    /// Files that others than the owner and its group could read.
    fn lies_open(&self) -> Vec<Diagnostic> {
        let key = match &self.key {
            KeyPlace::File(path) => Some((path, &self.key_span, "the key")),
            KeyPlace::Variable(_) => None,
        };
        let named = [Some((&self.file, &self.file_span, "the sealed secrets")), key];
        named.into_iter().flatten().filter_map(|(path, span, what)| lies_open(path, span, what)).collect()
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut hash = Context::new(&SHA256);
        let key = match &self.key {
            KeyPlace::File(path) => Some((path, MAX_SECRET)),
            KeyPlace::Variable(_) => None,
        };
        for (path, limit) in [Some((&self.file, store::MAX_FILE)), key].into_iter().flatten() {
            match files::bytes(path, limit) {
                Ok(bytes) => {
                    hash.update(&(bytes.len() as u64).to_be_bytes());
                    hash.update(&Zeroizing::new(bytes));
                }
                Err(error) => hash.update(format!("{:?}", error.kind()).as_bytes()),
            }
        }
        hash.finish().as_ref().first_chunk().copied().unwrap_or_default()
    }
}

/// Reads `sealed_secrets`.
pub(super) fn sealed(node: &Node, folder: &Path, reader: &mut Reader) -> Option<Sealed> {
    let mut fields = reader.fields(node, "`sealed_secrets`");
    let (named, key) = (fields.require("file", reader), fields.require("key", reader));
    fields.finish(reader);
    let file = path(named, "`file`", folder, reader);
    let mut fields = reader.fields(key?, "`key`");
    let (from_file, variable) = (fields.take("file"), fields.take("env"));
    fields.finish(reader);
    let (key, key_span) = match (from_file, variable) {
        (Some(node), None) => (KeyPlace::File(path(Some(node), "`file`", folder, reader)?), node.span.clone()),
        (None, Some(node)) => (KeyPlace::Variable(reader.text(node, "`env`")?.value), node.span.clone()),
        _ => {
            reader.error("bad-secret", &key?.span, "`key` needs one of `file` and `env`");
            return None;
        }
    };
    Some(Sealed { file: file?, key, file_span: named?.span.clone(), key_span })
}

/// What a gateway file declares, read; and which of it something uses.
#[derive(Default)]
pub(super) struct Secrets {
    /// `None`: declared, but it could not be read.
    known: BTreeMap<Name, (Span, Option<Secret>)>,
    /// Those of the sealed file, which are among the known ones too.
    opened: BTreeSet<Name>,
    sealed: Option<Sealed>,
    fingerprint: Option<Fingerprint>,
    /// Nothing can be said of what is in it.
    sealed_unread: bool,
    used: BTreeSet<Name>,
    /// By which tenants' own are named.
    patterns: Vec<(Pattern, Span)>,
}

impl Secrets {
    pub(super) fn read(node: Option<&Node>, sealed: Option<Sealed>, folder: &Path, reader: &mut Reader) -> Self {
        let mut this = Self::default();
        if let Some(sealed) = sealed {
            this.fingerprint = Some(sealed.fingerprint());
            reader.diagnostics.extend(sealed.lies_open());
            match sealed.read() {
                Ok(entries) => {
                    let span = &sealed.file_span;
                    this.opened.extend(entries.keys().cloned());
                    this.known =
                        values(entries).into_iter().map(|(n, value)| (n, (span.clone(), Some(value)))).collect();
                }
                Err(error) => {
                    reader.diagnostics.push(error);
                    this.sealed_unread = true;
                }
            }
            this.sealed = Some(sealed);
        }
        for (word, node) in node.map(|node| reader.entries(node, "`secrets`")).unwrap_or_default() {
            let secret = read_secret(node, folder, reader);
            let name = Name::from(word.value.as_str());
            if this.opened.contains(&name) {
                let message = format!("the sealed file holds a secret `{name}` as well");
                reader.error("duplicate-name", &word.span, message);
            }
            this.known.insert(name, (word.span.clone(), secret));
        }
        this
    }

    /// Reads `{ secret: name }`.
    pub(super) fn reference(&mut self, node: &Node, what: &'static str, reader: &mut Reader) -> Option<Secret> {
        let mut fields = reader.fields(node, what);
        let word = text(fields.require("secret", reader), "`secret`", reader);
        fields.finish(reader);
        self.named(&word?, reader)
    }

    /// The secret of that name.
    pub(super) fn named(&mut self, word: &Text, reader: &mut Reader) -> Option<Secret> {
        let Some((_, secret)) = self.known.get(word.value.as_str()) else {
            // It may be in what could not be read, of which there is an error already.
            if !self.sealed_unread {
                unknown("secret", "unknown-secret", word, self.known.keys().map(|name| &**name), reader);
            }
            return None;
        };
        self.used.insert(word.value.as_str().into());
        secret.clone()
    }

    /// Those that are tenants' own by a pattern.
    pub(super) fn own(&mut self, pattern: &Pattern, word: &Text) -> Vec<(Name, Secret)> {
        self.patterns.push((pattern.clone(), word.span.clone()));
        let fitting = self.known.iter().filter(|(name, _)| pattern.fits(name));
        fitting.filter_map(|(name, (_, secret))| Some((Name::clone(name), secret.clone()?))).collect()
    }

    /// Reports what nothing uses, and what a tenant's name could lead to though it is for something else.
    pub(super) fn finish(self, reader: &mut Reader) -> Keyring {
        for (name, (span, _)) in &self.known {
            let own = self.patterns.iter().find(|(pattern, _)| pattern.fits(name));
            match own {
                Some((_, place)) if self.used.contains(name) => {
                    let message =
                        format!("a tenant could be called so that `{name}`, which is named elsewhere, is its own");
                    reader.error("bad-credential", place, message).help =
                        Some("name the tenants' own secrets apart from all others".to_owned());
                }
                None if !self.used.contains(name) => {
                    warn(reader, "unused-secret", span, format!("nothing uses the secret `{name}`"));
                }
                _ => {}
            }
        }
        let (mut named, mut opened) = (BTreeMap::new(), BTreeMap::new());
        for (name, (_, secret)) in self.known {
            let of = if self.opened.contains(&name) { &mut opened } else { &mut named };
            of.extend(secret.map(|secret| (name, secret)));
        }
        Keyring { named, opened, sealed: self.sealed, fingerprint: self.fingerprint }
    }
}

/// Warns of organizations that may come in though an upstream would be shown nothing for them.
pub(super) fn tenants_without(
    upstreams: &BTreeMap<Name, Upstream>,
    authn: &Authn,
    dimension: &Name,
    keyring: &Keyring,
    reader: &mut Reader,
) {
    let organizations = organizations(authn);
    for (name, upstream) in upstreams {
        let Some(credential) = &upstream.credential else { continue };
        let Choice::Own { pattern, otherwise: None } = &credential.secret else { continue };
        let own: Vec<&Name> = keyring.iter().map(|(name, _)| name).filter(|name| pattern.fits(name)).collect();
        let mut say = |message: String| {
            let warning = Diagnostic::warning("tenant-without-credential", credential.span.clone(), message);
            reader.diagnostics.push(warning.help("give it one (scrim secrets set), or all of them a `default`"));
        };
        if own.is_empty() {
            say(format!("no secret is named like this, so the upstream `{name}` is asked for no tenant"));
            continue;
        }
        for organization in &organizations {
            if !own.iter().any(|own| pattern.fits_with(own, dimension, organization)) {
                say(format!(
                    "no secret of `{organization}` is named like this, so the upstream `{name}` is not asked for it"
                ));
            }
        }
    }
}

/// For whom issuers may speak.
pub(super) fn organizations(authn: &Authn) -> BTreeSet<&Name> {
    let tokens = authn.jwt.iter().flat_map(|issuer| &issuer.organizations);
    let asked = authn.introspection.iter().flat_map(|introspection| &introspection.organizations);
    tokens.chain(asked).collect()
}

fn read_secret(node: &Node, folder: &Path, reader: &mut Reader) -> Option<Secret> {
    let mut fields = reader.fields(node, "a secret");
    let (file, env) = (fields.take("file"), fields.take("env"));
    fields.finish(reader);
    let (span, bytes) = match (file, env) {
        (Some(node), None) => (&node.span, secret_file(node, folder, reader)?),
        (None, Some(node)) => {
            let name = reader.text(node, "`env`")?;
            let Some(value) = std::env::var_os(&name.value) else {
                let message = format!("the environment has no variable `{}`", name.value);
                reader.error("bad-secret", &node.span, message);
                return None;
            };
            (&node.span, value.into_encoded_bytes())
        }
        _ => {
            reader.error("bad-secret", &node.span, "a secret needs one of `file` and `env`");
            return None;
        }
    };
    let bytes = Zeroizing::new(bytes);
    let trimmed = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let trimmed = trimmed.strip_suffix(b"\r").unwrap_or(trimmed);
    if trimmed.is_empty() {
        reader.error("bad-secret", span, "the secret is empty");
        return None;
    }
    Some(Secret::new(trimmed))
}

/// With the file itself: a relative path starts where the gateway file lies.
fn unread(what: &str, path: &Path, error: &io::Error) -> String {
    format!("{what} can't be read from `{}`: {}", path.display(), files::reason(error))
}

fn secret_file(node: &Node, folder: &Path, reader: &mut Reader) -> Option<Vec<u8>> {
    let path = folder.join(reader.text(node, "`file`")?.value);
    match files::bytes(&path, MAX_SECRET) {
        Ok(bytes) => {
            reader.diagnostics.extend(lies_open(&path, &node.span, "the secret's file"));
            Some(bytes)
        }
        Err(error) => {
            reader.error("bad-secret", &node.span, unread("the secret", &path, &error));
            None
        }
    }
}

/// Where a file is and, if it is a link, where it leads to.
fn folders(path: &Path) -> Vec<PathBuf> {
    let named = path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let named = named.and_then(|folder| folder.canonicalize().ok());
    let target = path.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
    [named, target].into_iter().flatten().collect()
}

fn lies_open(path: &Path, span: &Span, what: &str) -> Option<Diagnostic> {
    #[cfg(unix)]
    {
        let metadata = std::fs::metadata(path).ok()?;
        let open = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o004 != 0;
        let message = format!("every user of this machine can read {what}");
        open.then(|| Diagnostic::warning("readable-secret", span.clone(), message))
    }
    #[cfg(not(unix))]
    None
}
