//! The certificate that a listener shows, and what it accepts: TLS 1.2 and 1.3 with rustls' suites (AEAD, forward secrecy).

use std::sync::Arc;

use arc_swap::ArcSwap;
use pingora::listeners::tls::Acceptor;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{Tls, TlsVersion};
use crate::diagnostic::Diagnostic;
use crate::files;

/// The certificate in use; connections in progress keep theirs when it changes.
#[derive(Debug)]
pub struct Certificate(ArcSwap<CertifiedKey>);

impl Certificate {
    /// Reads chain and key. Errors: a file is missing or holds none, or the key is another certificate's.
    pub fn load(tls: &Tls) -> Result<Self, Diagnostic> {
        read(tls).map(|key| Self(ArcSwap::new(key)))
    }

    /// Takes over another certificate, for connections from now on.
    pub fn replace(&self, with: &Self) {
        self.0.store(with.0.load_full());
    }

    pub(super) fn acceptor(self: &Arc<Self>, min: TlsVersion) -> Acceptor {
        let versions: &[&rustls::SupportedProtocolVersion] = match min {
            TlsVersion::Tls12 => &[&rustls::version::TLS12, &rustls::version::TLS13],
            TlsVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let mut config = ServerConfig::builder_with_protocol_versions(versions)
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Acceptor::from_server_config(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// The system's words where a file can't be read at all.
fn reason(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => files::reason(error),
        error => error.to_string(),
    }
}

fn read(tls: &Tls) -> Result<Arc<CertifiedKey>, Diagnostic> {
    let fail = |message: String| Diagnostic::error("tls-certificate", tls.span.clone(), message);
    let (cert, key) = (tls.certificate.display(), tls.key.display());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| fail(format!("can't read certificates from `{cert}`: {}", reason(&error))))?;
    if chain.is_empty() {
        return Err(fail(format!("`{cert}` holds no certificate")));
    }
    let private = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|error| fail(format!("can't read a private key from `{key}`: {}", reason(&error))))?;
    let provider = CryptoProvider::get_default().expect("main and every test install a provider first");
    CertifiedKey::from_der(chain, private, provider).map(Arc::new).map_err(|error| {
        fail(format!("`{key}` does not fit `{cert}`: {error}")).help("the first certificate must be the server's own")
    })
}
