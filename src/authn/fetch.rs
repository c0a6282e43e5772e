//! Questions to identity providers over HTTP: bounded in time and size, no redirects, no proxies.
//!
//! A server's certificate is verified against the declared authorities alone, else the system's. Plain http goes to this
//! machine itself only; that is looked at again for every URL, since some are named by an answer.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::diagnostic::{Diagnostic, Span};

/// A larger answer is not read.
const MAX_BODY: usize = 1024 * 1024;
const MAX_HEAD: usize = 64 * 1024;
/// For an exchange as a whole: name, connection, TLS, head and body.
const FETCH_TIME: Duration = Duration::from_secs(5);
/// How many connections are kept open to one server, and for how long.
const IDLE_CONNECTIONS: usize = 4;
const IDLE_TIME: Duration = Duration::from_secs(30);

/// Why there is no answer. Says nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfetched {
    #[error("the answer did not arrive in time")]
    Timeout,
    #[error("the server could not be reached or its certificate not be verified")]
    Unreachable,
    #[error("the answer's status is not 200")]
    Status,
    #[error("the answer is larger than 1 MiB or was cut off")]
    Body,
    #[error("it would have to be fetched over plain http")]
    Plaintext,
}

/// A client for one identity provider.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Fetcher {
    /// Errors: the file of authorities can't be used.
    pub(super) fn new(ca: Option<&PathBuf>) -> Result<Self, Vec<Diagnostic>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .with_root_certificates(roots(ca)?)
            .with_no_client_auth();
        // Plain http is held back by `ask`, which looks at every URL.
        let connector =
            hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_max_buf_size(MAX_HEAD)
            .build(connector);
        Ok(Self { client })
    }

    /// The body of a document.
    pub(super) async fn get(&self, url: &Uri) -> Result<Bytes, Unfetched> {
        self.ask(Request::get(url.clone()).body(Full::default()).map_err(|_| Unfetched::Unreachable)?).await
    }

    /// The body of the answer to a form. `authorization` is sent as it is.
    pub(super) async fn post(&self, url: &Uri, form: String, authorization: HeaderValue) -> Result<Bytes, Unfetched> {
        let mut authorization = authorization;
        authorization.set_sensitive(true);
        let request = Request::builder()
            .method(Method::POST)
            .uri(url.clone())
            .header(header::AUTHORIZATION, authorization)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form)));
        self.ask(request.map_err(|_| Unfetched::Unreachable)?).await
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Bytes, Unfetched> {
        if !is_fetchable(request.uri()) {
            return Err(Unfetched::Plaintext);
        }
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|_| Unfetched::Unreachable)?;
            if answer.status() != StatusCode::OK {
                return Err(Unfetched::Status);
            }
            let body = Limited::new(answer.into_body(), MAX_BODY).collect().await.map_err(|_| Unfetched::Body)?;
            Ok(body.to_bytes())
        };
        tokio::time::timeout(FETCH_TIME, exchange).await.map_err(|_| Unfetched::Timeout)?
    }
}

/// Whether an answer from there may be trusted: it comes over https, or from this machine itself.
pub(super) fn is_fetchable(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    match url.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => loopback,
        _ => false,
    }
}

/// The authorities that may vouch for a server: the declared file's alone, else the system's.
fn roots(ca: Option<&PathBuf>) -> Result<rustls::RootCertStore, Vec<Diagnostic>> {
    let mut roots = rustls::RootCertStore::empty();
    let Some(path) = ca else {
        let found = rustls_native_certs::load_native_certs().unwrap_or_default();
        roots.add_parsable_certificates(found);
        return Ok(roots);
    };
    let source = super::read(path)?;
    let fail = |what: &str| vec![Diagnostic::error("ca-file", Span::new(&source, 0..0), what)];
    for certificate in CertificateDer::pem_slice_iter(source.text.as_bytes()) {
        let certificate = certificate.map_err(|_| fail("this is no file of PEM certificates"))?;
        roots.add(certificate).map_err(|_| fail("a certificate in this file is not one of an authority"))?;
    }
    if roots.is_empty() {
        return Err(fail("this file holds no certificate"));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_over_https_or_from_this_machine() {
        for (url, fetchable) in [
            ("https://id.example.com/jwks", true),
            ("http://127.0.0.1:1/jwks", true),
            ("http://[::1]:1/jwks", true),
            ("http://localhost/jwks", true),
            ("http://id.example.com/jwks", false),
            ("http://localhost.example.com/jwks", false),
            ("http://127.0.0.1.example.com/jwks", false),
            ("http://10.0.0.1/jwks", false),
            ("http://169.254.169.254/latest", false),
            ("/jwks", false),
        ] {
            assert_eq!(is_fetchable(&url.parse().expect("a URL")), fetchable, "{url}");
        }
    }

    #[tokio::test]
    async fn plain_http_to_another_machine_is_never_tried() {
        let fetcher = Fetcher::new(None).expect("a client");
        let url: Uri = "http://192.0.2.1/jwks".parse().expect("a URL");
        assert_eq!(fetcher.get(&url).await, Err(Unfetched::Plaintext));
    }
}
