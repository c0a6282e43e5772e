//! Certificates, keys and authorities as operators hand them in: read from PEM, taken apart, checked against the time.
//!
//! Every mistake is placed where a configuration names the file. Keys appear in no message. Nothing here trusts anything:
//! chains are verified by rustls, for whose use all of this is read.

pub mod ocsp;

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use x509_parser::prelude::{CertificateRevocationList, FromDer, GeneralName, X509Certificate};

use crate::diagnostic::{Diagnostic, Span};
use crate::files::{self, MAX_FILE};
use crate::model::Name;

/// A certificate that ends sooner is warned about.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A file as a configuration names it.
#[derive(Clone, Copy, Debug)]
pub struct Named<'c> {
    pub path: &'c Path,
    pub span: &'c Span,
}

impl Named<'_> {
    fn wrong(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error("tls-certificate", self.span.clone(), message)
    }

    /// The bytes of a file of bounded size.
    fn bytes(&self) -> Result<Vec<u8>, Diagnostic> {
        files::bytes(self.path, MAX_FILE)
            .map_err(|error| self.wrong(format!("can't read `{}`: {}", self.path.display(), files::reason(&error))))
    }

    /// Whether others than the owner and its group could take the key.
    fn lies_open(&self) -> Option<Diagnostic> {
        #[cfg(unix)]
        {
            let metadata = std::fs::metadata(self.path).ok()?;
            if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o004 == 0 {
                return None;
            }
            let message = format!("every user of this machine can read the private key `{}`", self.path.display());
            let warning = Diagnostic::warning("readable-secret", self.span.clone(), message);
            Some(warning.help("leave it to the user that the gateway runs as: chmod 600"))
        }
        #[cfg(not(unix))]
        None
    }

    /// Everything of one kind that a PEM file holds; at least one.
    fn pem<T: PemObject>(&self, what: &str) -> Result<Vec<T>, Diagnostic> {
        let shown = self.path.display();
        let wrong = |error: &pem::Error| self.wrong(format!("can't read {what} from `{shown}`: {}", words(error)));
        let found: Vec<T> =
            T::pem_slice_iter(&self.bytes()?).collect::<Result<_, _>>().map_err(|error| wrong(&error))?;
        if found.is_empty() { Err(self.wrong(format!("`{shown}` holds no {what}"))) } else { Ok(found) }
    }
}

/// What is wrong with a PEM file. The error's own words repeat what was read, which may be all of a key on one line.
fn words(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end: each marker stands on a line of its own",
        pem::Error::IllegalSectionStart { .. } => "the beginning of a section is not a line of its own",
        pem::Error::Base64Decode(_) => "what stands between the markers is not base64",
        pem::Error::NoItemsFound => "nothing of this kind is in it",
        _ => "it is not PEM",
    }
}

/// What is said in a certificate, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub dns: Vec<String>,
    pub uris: Vec<String>,
    pub emails: Vec<String>,
    /// In the order of the certificate; a value that can't be read as text is empty.
    pub subject: Vec<(Attribute, String)>,
    pub serial: Vec<u8>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

/// The parts of a subject by which somebody can be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    CommonName,
    Organization,
    Unit,
}

/// The certificate of a client, verified when its connection began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who vouched for it, as the listener calls it.
    pub authority: Name,
    /// SHA-256 of its DER form, as in `x5t#S256` (RFC 8705, section 3.1).
    pub thumbprint: [u8; 32],
    pub facts: Facts,
}

/// The bytes are no certificate, or one with a name or an extension that can be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it can't be read as a certificate")]
pub struct Unreadable;

impl Facts {
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, Unreadable> {
        let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|_| Unreadable)?;
        let validity = parsed.validity();
        let time = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
        let names = parsed.subject_alternative_name().map_err(|_| Unreadable)?;
        let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
        let all = |pick: fn(&GeneralName<'_>) -> Option<String>| names.iter().filter_map(pick).collect();
        Some(Self {
            dns: all(|name| if let GeneralName::DNSName(name) = name { Some((*name).to_owned()) } else { None }),
            uris: all(|name| if let GeneralName::URI(name) = name { Some((*name).to_owned()) } else { None }),
            emails: all(|name| if let GeneralName::RFC822Name(name) = name { Some((*name).to_owned()) } else { None }),
            subject: subject(&parsed),
            serial: parsed.raw_serial().to_vec(),
            not_before: time(validity.not_before).ok_or(Unreadable)?,
            not_after: time(validity.not_after).ok_or(Unreadable)?,
        })
        .filter(|_| rest.is_empty())
        .ok_or(Unreadable)
    }
}

/// A certificate with what leads to its authority, and its key.
#[derive(Debug)]
pub struct Certified {
    pub key: CertifiedKey,
    /// Of the certificate itself.
    pub facts: Facts,
    /// When the first of the chain ends.
    pub until: Timestamp,
}

impl Certified {
    /// Reads chain and key, and checks that they fit and hold now. Errors: all that is wrong. Warnings: what ends soon.
    pub fn load(cert: Named<'_>, key: Named<'_>, now: Timestamp) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let chain = cert.pem::<CertificateDer<'static>>("certificate").map_err(|wrong| vec![wrong]);
        let private = key.pem::<PrivateKeyDer<'static>>("private key").map_err(|wrong| vec![wrong]);
        let (chain, mut keys) = both(chain, private)?;
        let (first, several) = (keys.pop(), !keys.is_empty());
        let private = first.filter(|_| !several);
        let Some(private) = private else {
            return Err(vec![key.wrong(format!("`{}` must hold one private key alone", key.path.display()))]);
        };
        let facts = facts(&chain, cert)?;
        let mut warnings = in_time(&facts, cert, now)?;
        warnings.extend(key.lies_open());
        let provider = CryptoProvider::get_default().expect("main and every test install a provider first");
        let fitted = CertifiedKey::from_der(chain, private, provider).map_err(|error| {
            let (key_file, cert_file) = (key.path.display(), cert.path.display());
            vec![match error {
                rustls::Error::InconsistentKeys(_) => key
                    .wrong(format!("the key `{key_file}` does not fit the first certificate of `{cert_file}`"))
                    .help("one of the two belongs to another pair, or the chain is in the wrong order: its owner's comes first"),
                _ => key.wrong(format!("no TLS can be spoken with the key `{key_file}` and `{cert_file}`")),
            }]
        })?;
        let until = facts.iter().map(|facts| facts.not_after).min().unwrap_or(now);
        let own = facts.into_iter().next().ok_or_else(|| vec![cert.wrong("no certificate")])?;
        Ok((Self { key: fitted, facts: own, until }, warnings))
    }
}

/// Certificates of authorities that hold now.
pub fn authorities(
    file: Named<'_>,
    now: Timestamp,
) -> Result<(rustls::RootCertStore, Vec<Diagnostic>), Vec<Diagnostic>> {
    let found = file.pem::<CertificateDer<'static>>("certificate").map_err(|wrong| vec![wrong])?;
    let warnings = in_time(&facts(&found, file)?, file, now)?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in found {
        roots.add(certificate).map_err(|error| {
            vec![file.wrong(format!("`{}` holds what can't be an authority: {error}", file.path.display()))]
        })?;
    }
    Ok((roots, warnings))
}

/// Certificate revocation lists, with when the first of them ends. Errors: one has ended.
pub fn revocations(
    file: Named<'_>,
    now: Timestamp,
) -> Result<(Vec<CertificateRevocationListDer<'static>>, Timestamp), Diagnostic> {
    let lists = file.pem::<CertificateRevocationListDer<'static>>("revocation list")?;
    let shown = file.path.display();
    let until = |list: &CertificateRevocationListDer<'_>| {
        let (_, parsed) = CertificateRevocationList::from_der(list.as_ref()).ok()?;
        Timestamp::from_second(parsed.next_update()?.timestamp()).ok()
    };
    let until: Option<Vec<Timestamp>> = lists.iter().map(until).collect();
    let until = until.and_then(|all| all.into_iter().min());
    let until = until.ok_or_else(|| file.wrong(format!("`{shown}` does not say when the next list comes")))?;
    if until < now {
        let message = format!("`{shown}` has ended on {}", day(until));
        let error = Diagnostic::error("certificate-expired", file.span.clone(), message);
        return Err(error.help("fetch the authority's next list; until then no client is known not to be revoked"));
    }
    Ok((lists, until))
}

/// A stapled answer about `certified`, with when it ends.
pub fn staple(file: Named<'_>, certified: &Certified, now: Timestamp) -> Result<(Vec<u8>, Timestamp), Diagnostic> {
    let bytes = file.bytes()?;
    let status = ocsp::status(&bytes, &certified.facts.serial, now);
    status.map(|until| (bytes, until)).map_err(|wrong| {
        let message = format!("`{}` can't be stapled: {wrong}", file.path.display());
        Diagnostic::error("ocsp-staple", file.span.clone(), message)
            .help("fetch a fresh answer of the certificate's authority, in DER")
    })
}

fn subject(certificate: &X509Certificate<'_>) -> Vec<(Attribute, String)> {
    use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME, OID_X509_ORGANIZATIONAL_UNIT};
    let known = [
        (OID_X509_COMMON_NAME, Attribute::CommonName),
        (OID_X509_ORGANIZATION_NAME, Attribute::Organization),
        (OID_X509_ORGANIZATIONAL_UNIT, Attribute::Unit),
    ];
    let parts = certificate.subject().iter_attributes().filter_map(|part| {
        let (_, attribute) = known.iter().find(|(oid, _)| oid == part.attr_type())?;
        Some((*attribute, part.as_str().unwrap_or_default().to_owned()))
    });
    parts.collect()
}

fn facts(chain: &[CertificateDer<'_>], file: Named<'_>) -> Result<Vec<Facts>, Vec<Diagnostic>> {
    let facts = chain.iter().map(Facts::of).collect::<Result<_, _>>();
    facts.map_err(|error| vec![file.wrong(format!("`{}`: {error}", file.path.display()))])
}

/// Errors: one of them does not hold yet, or no longer. Warnings: one ends soon.
fn in_time(all: &[Facts], file: Named<'_>, now: Timestamp) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let shown = file.path.display();
    let (mut wrong, mut warnings) = (Vec::new(), Vec::new());
    for Facts { not_before, not_after, .. } in all {
        if now > *not_after {
            let message = format!("`{shown}` has expired on {}", day(*not_after));
            let error = Diagnostic::error("certificate-expired", file.span.clone(), message);
            wrong.push(error.help("renew it; whoever is shown it refuses it"));
        } else if now < *not_before {
            let message = format!("`{shown}` is not valid before {}", day(*not_before));
            let error = Diagnostic::error("certificate-not-yet-valid", file.span.clone(), message);
            wrong.push(error.help("look at this machine's clock, or wait"));
        } else if now.duration_until(*not_after) < SOON {
            let days = now.duration_until(*not_after).as_hours() / 24;
            let message = format!("`{shown}` expires on {}, in {days} days", day(*not_after));
            let warning = Diagnostic::warning("certificate-expires-soon", file.span.clone(), message);
            warnings.push(warning.help("renew it; a new file is taken over while the gateway runs"));
        }
    }
    if wrong.is_empty() { Ok(warnings) } else { Err(wrong) }
}

fn day(time: Timestamp) -> impl std::fmt::Display {
    time.strftime("%Y-%m-%d %H:%M UTC")
}

/// Both, or all that is wrong with either.
pub fn both<A, B>(a: Result<A, Vec<Diagnostic>>, b: Result<B, Vec<Diagnostic>>) -> Result<(A, B), Vec<Diagnostic>> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => Err(a.err().into_iter().chain(b.err()).flatten().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Source;

    #[test]
    fn a_key_that_lost_its_lines_is_not_repeated() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("server.key");
        let span = Span::new(&Source::new("gateway.yaml", "key: server.key"), 5..15);
        for text in [
            "-----BEGIN PRIVATE KEY-----MIIEkeykeykey-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----MIIEkeykeykey-----END PRIVATE KEY-----\\n",
            "-----BEGIN PRIVATE KEY-----\\nMIIEkeykeykey\\n-----END PRIVATE KEY-----\\n",
            "-----BEGIN PRIVATE KEY-----\nMIIEkeykeykey\n",
            "-----BEGIN PRIVATE KEY-----\n$MIIEkeykeykey\n-----END PRIVATE KEY-----\n",
        ] {
            std::fs::write(&path, text).expect("written");
            let wrong = Named { path: &path, span: &span }.pem::<PrivateKeyDer<'_>>("private key").expect_err(text);
            let said = wrong.message.replace(&path.display().to_string(), "");
            // Neither as text nor as a list of bytes.
            assert!(!said.contains("key-----") && !said.contains("MIIE") && !said.contains("77, 73"), "{said}");
            assert!(!said.replace("base64", "").chars().any(|sign| sign.is_ascii_digit()), "{said}");
        }
    }
}
