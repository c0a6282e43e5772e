//! The tour's client: HTTP/1.1 and HTTP/2 over TLS, trusting the demo's authority and nobody else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::Reply;
use super::cases::Case;
use crate::demo::Entrance;
use crate::demo::identity::Identity;

const ANSWER: usize = 8 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

pub(super) struct Clients {
    http1: Https,
    http2: Https,
    public: SocketAddr,
    admin: Option<SocketAddr>,
}

impl Clients {
    pub(super) fn new(ca: &str, entrance: Entrance) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(ca.as_bytes()).map_err(io::Error::other)?;
        roots.add(ca).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let builder = || HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_only();
        let client = |connector| Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self {
            http1: client(builder().enable_http1().build()),
            http2: Client::builder(TokioExecutor::new()).http2_only(true).build(builder().enable_http2().build()),
            public: entrance.public,
            admin: entrance.admin,
        })
    }

    pub(super) async fn send(&self, case: &Case, identity: &Identity) -> io::Result<Reply> {
        let mut request = Request::builder().method(case.method).uri(format!("https://{}{}", self.public, case.target));
        match case.who {
            None => {}
            Some("billing") => request = request.header("x-api-key", &identity.api_key),
            Some(who) => {
                let forged = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbmEifQ.";
                let token = if who == "forger" { forged } else { identity.token(who) };
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
        }
        for (name, value) in &case.headers {
            request = request.header(*name, *value);
        }
        if case.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = case.body.as_ref().map(ToString::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).map_err(io::Error::other)?;
        exchange(if case.http2 { &self.http2 } else { &self.http1 }, request).await
    }

    /// What the admin listener tells Prometheus; nothing if there is none.
    pub(super) async fn metrics(&self) -> io::Result<String> {
        let Some(admin) = self.admin else { return Ok(String::new()) };
        let request =
            Request::get(format!("http://{admin}/metrics")).body(Full::default()).map_err(io::Error::other)?;
        let reply = exchange(&Client::builder(TokioExecutor::new()).build_http(), request).await?;
        Ok(String::from_utf8_lossy(&reply.body).into_owned())
    }
}

async fn exchange<C>(client: &Client<C, Full<Bytes>>, request: Request<Full<Bytes>>) -> io::Result<Reply>
where
    C: hyper_util::client::legacy::connect::Connect + Clone + Send + Sync + 'static,
{
    let answer = async {
        let (head, body) = client.request(request).await.map_err(io::Error::other)?.into_parts();
        let body = Limited::new(body, ANSWER).collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Reply::new(head.status, head.headers, body))
    };
    tokio::time::timeout(PATIENCE, answer).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
