//! What a listener shows and demands in a TLS handshake: certificates by name, TLS 1.2 and 1.3, tickets.
//!
//! [`Material`] is what was read and checked; [`Tls`] holds what is in force and takes over another material for
//! connections from now on, while those in progress keep theirs. What can't be read never replaces what could.

mod clients;
mod names;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use pingora::listeners::tls::{Acceptor, TlsSettings};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs as crypto};
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;

use crate::clock::Clock;
use crate::config::{self, TlsVersion, UnknownName};
use crate::diagnostic::Diagnostic;
use crate::files::Fingerprint;
use crate::pki::{self, Certified, Named};
use clients::{Clients, Remember};
pub use clients::{Connection, Withdrawn};
use names::Names;

/// Authenticated encryption and forward secrecy, whatever a library's defaults become. The best first: this order decides, not
/// the client's.
const SUITES: [rustls::SupportedCipherSuite; 9] = [
    crypto::cipher_suite::TLS13_AES_256_GCM_SHA384,
    crypto::cipher_suite::TLS13_AES_128_GCM_SHA256,
    crypto::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    crypto::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    crypto::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    crypto::cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    crypto::cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    crypto::cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    crypto::cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// What one listener has in force.
pub struct Tls {
    acceptor: ArcSwap<Acceptor>,
    clients: Arc<ArcSwapOption<Clients>>,
    /// The files as they were last looked at, whatever came of it.
    seen: ArcSwap<Fingerprint>,
    /// Their keys change every six hours. `None`: there was no randomness for them, so nothing is resumed.
    tickets: Option<Arc<dyn ProducesTickets>>,
}

/// Everything that a listener's TLS is made of, read and checked.
pub struct Material {
    min_version: TlsVersion,
    resolver: Arc<Resolver>,
    clients: Option<Arc<Clients>>,
    clock: Clock,
    /// When each certificate ends, by its first name, and when the revocation lists do.
    pub expiries: Vec<(String, Timestamp)>,
    fingerprint: Fingerprint,
}

impl Material {
    /// Reads everything that a listener names. `None` only beside an error; warnings come with the material, too.
    pub fn load(tls: &config::Tls, clock: &Clock) -> (Option<Self>, Vec<Diagnostic>) {
        let fingerprint = Fingerprint::of(files(tls));
        let now = clock.now();
        let mut found = Vec::new();
        let mut loaded = Vec::new();
        for files in &tls.certificates {
            match Shown::load(files, now) {
                Ok((shown, warnings)) => {
                    found.extend(warnings);
                    loaded.push((files, shown));
                }
                Err(errors) => found.extend(errors),
            }
        }
        let clients = tls.client_auth.as_ref().and_then(|auth| match Clients::load(auth, now) {
            Ok((clients, warnings)) => {
                found.extend(warnings);
                Some(Arc::new(clients))
            }
            Err(errors) => {
                found.extend(errors);
                None
            }
        });
        let mut expiries: Vec<_> = loaded.iter().map(|(_, (shown, until))| (shown.name.clone(), *until)).collect();
        expiries.extend(clients.iter().filter_map(|clients| clients.ends()));
        let mut resolver = Resolver { by_name: Names::default(), fallback: None, clock: clock.clone() };
        for (index, (files, (shown, _))) in loaded.into_iter().enumerate() {
            let shown = Arc::new(shown);
            if index == 0 && tls.unknown_name == UnknownName::Default {
                resolver.fallback = Some(Arc::clone(&shown));
            }
            found.extend(resolver.add(files, &shown, index == 0));
        }
        if crate::diagnostic::has_errors(&found) || (resolver.by_name.is_empty() && resolver.fallback.is_none()) {
            return (None, found);
        }
        let (min_version, resolver) = (tls.min_version, Arc::new(resolver));
        (Some(Self { min_version, resolver, clients, clock: clock.clone(), expiries, fingerprint }), found)
    }

    /// `current`: what will be in force for as long as connections live.
    fn acceptor(
        &self,
        tickets: Option<&Arc<dyn ProducesTickets>>,
        current: &Arc<ArcSwapOption<Clients>>,
    ) -> Result<Acceptor, rustls::Error> {
        let versions: &[&rustls::SupportedProtocolVersion] = match self.min_version {
            TlsVersion::Tls12 => &[&rustls::version::TLS12, &rustls::version::TLS13],
            TlsVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let provider = CryptoProvider { cipher_suites: SUITES.to_vec(), ..crypto::default_provider() };
        let builder = ServerConfig::builder_with_details(provider.into(), Arc::new(Time(self.clock.clone())))
            .with_protocol_versions(versions)?;
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(Arc::clone(&clients.verifier)),
        };
        let resolver = Arc::clone(&self.resolver) as Arc<dyn ResolvesServerCert>;
        let mut config = builder.with_cert_resolver(Arc::clone(&resolver));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ignore_client_order = true;
        // A session lives in its ticket or nowhere.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        match tickets.filter(|_| self.clients.is_none()) {
            Some(tickets) => config.ticketer = Arc::clone(tickets),
            None => config.send_tls13_tickets = 0,
        }
        let remember = Remember { clients: self.clients.clone(), current: Arc::clone(current) };
        let failed = |_| rustls::Error::General("no handshake can be followed".to_owned());
        let mut settings = TlsSettings::with_callbacks(Box::new(remember)).map_err(failed)?;
        settings.set_cert_resolver(resolver);
        // Settings alone can ask neither for a version nor for a clock, and a configuration alone can't be followed.
        let mut acceptor = settings.build();
        acceptor.acceptor = Acceptor::from_server_config(Arc::new(config)).acceptor;
        Ok(acceptor)
    }
}

impl Tls {
    /// Errors: the library's, which would be a bug of ours.
    pub fn new(material: &Material) -> Result<Self, rustls::Error> {
        let tickets = crypto::Ticketer::new().ok();
        let clients = Arc::new(ArcSwapOption::new(material.clients.clone()));
        let acceptor = ArcSwap::from_pointee(material.acceptor(tickets.as_ref(), &clients)?);
        Ok(Self { acceptor, clients, seen: ArcSwap::from_pointee(material.fingerprint), tickets })
    }

    /// Takes over for connections from now on.
    pub fn replace(&self, material: &Material) -> Result<(), rustls::Error> {
        let acceptor = Arc::new(material.acceptor(self.tickets.as_ref(), &self.clients)?);
        // First, so that no connection is judged by what is no longer in force.
        self.clients.store(material.clients.clone());
        self.acceptor.store(acceptor);
        self.saw(material.fingerprint);
        Ok(())
    }

    /// Whether the files were other ones when they were last looked at.
    pub fn has_not_seen(&self, fingerprint: &Fingerprint) -> bool {
        **self.seen.load() != *fingerprint
    }

    pub fn saw(&self, fingerprint: Fingerprint) {
        self.seen.store(Arc::new(fingerprint));
    }

    pub(super) fn acceptor(&self) -> Arc<Acceptor> {
        self.acceptor.load_full()
    }
}

/// Every file that a listener's TLS is read from.
pub fn files(tls: &config::Tls) -> impl Iterator<Item = &Path> {
    tls.certificates
        .iter()
        .flat_map(|files| [Some(files.cert.as_path()), Some(files.key.as_path()), files.ocsp.as_deref()])
        .flatten()
        .chain(tls.client_auth.iter().flat_map(|auth| [Some(auth.ca.as_path()), auth.crl.as_deref()]).flatten())
}

/// One certificate, with and without what is stapled to it.
struct Shown {
    /// Its first name.
    name: String,
    names: Vec<String>,
    plain: Arc<CertifiedKey>,
    stapled: Option<(Arc<CertifiedKey>, Timestamp)>,
}

impl Shown {
    #[expect(clippy::type_complexity, reason = "what was read, until when it holds, and what is dubious in it")]
    fn load(
        files: &config::CertificateFiles,
        now: Timestamp,
    ) -> Result<((Self, Timestamp), Vec<Diagnostic>), Vec<Diagnostic>> {
        let cert = Named { path: &files.cert, span: &files.span };
        let key = Named { path: &files.key, span: &files.key_span };
        let (certified, warnings) = Certified::load(cert, key, now)?;
        let stapled = match &files.ocsp {
            None => None,
            Some(path) => {
                let (bytes, until) = pki::staple(Named { path, span: &files.ocsp_span }, &certified, now)
                    .map_err(|wrong| vec![wrong])?;
                let mut key = certified.key.clone();
                key.ocsp = Some(bytes);
                Some((Arc::new(key), until))
            }
        };
        let names = certified.facts.dns;
        // Of a certificate for an address alone.
        let name = names.first().cloned().unwrap_or_else(|| "unnamed".to_owned());
        Ok(((Self { name, names, plain: Arc::new(certified.key), stapled }, certified.until), warnings))
    }
}

struct Resolver {
    by_name: Names<Arc<Shown>>,
    /// For clients that name nothing, or something that is not known.
    fallback: Option<Arc<Shown>>,
    clock: Clock,
}

impl Resolver {
    /// Errors: a name is another certificate's, or no client could ever be shown it.
    fn add(&mut self, files: &config::CertificateFiles, shown: &Arc<Shown>, first: bool) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let mut reachable = first && self.fallback.is_some();
        for name in &shown.names {
            match self.by_name.add(name, Arc::clone(shown)) {
                Some(other) if !Arc::ptr_eq(other, shown) => {
                    let message = format!("`{}` bears the name `{name}`, as another one does", files.cert.display());
                    let error = Diagnostic::error("duplicate-certificate-name", files.span.clone(), message);
                    found.push(error.help("a listener has one certificate for each name; leave one out"));
                }
                _ => reachable |= self.by_name.find(&name.replacen('*', "a", 1)).is_some(),
            }
        }
        if !reachable && found.is_empty() {
            let message = format!("no client can ask for `{}`: it bears no DNS name", files.cert.display());
            let error = Diagnostic::error("tls-certificate", files.span.clone(), message);
            found.push(error.help(
                "names stand in `subjectAltName`; for addresses alone, put it first with `unknown_name: default`",
            ));
        }
        found
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.by_name.find(name));
        let shown = named.or(self.fallback.as_ref())?;
        // What is stapled ends long before the certificate does.
        let stapled = shown.stapled.as_ref().filter(|(_, until)| self.clock.now() < *until);
        Some(Arc::clone(stapled.map_or(&shown.plain, |(key, _)| key)))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

/// The clock by which certificates of others are judged.
struct Time(Clock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}
