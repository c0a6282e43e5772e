//! A client over TLS that blocks, so that a test can hold a connection and look at every part of its handshake.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

/// For a peer that neither answers nor closes.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Secure(pub StreamOwned<ClientConnection, TcpStream>);

impl Secure {
    /// Completes a handshake. Errors: why there was none. In TLS 1.3 a server that refuses a client's certificate says so only
    /// once something is read.
    pub fn open(address: SocketAddr, config: &ClientConfig, name: &str) -> Result<Self, String> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        Self::shake(address, config, name)
    }

    /// Without naming anybody.
    pub fn nameless(address: SocketAddr, config: &ClientConfig) -> Result<Self, String> {
        Self::shake(address, config, ServerName::IpAddress(address.ip().into()))
    }

    fn shake(address: SocketAddr, config: &ClientConfig, name: ServerName<'static>) -> Result<Self, String> {
        let mut tls = ClientConnection::new(Arc::new(config.clone()), name).expect("a client");
        let mut socket = TcpStream::connect(address).expect("it listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("set");
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).map_err(|error| error.to_string())?;
        }
        Ok(Self(StreamOwned::new(tls, socket)))
    }

    pub fn shown(&self) -> CertificateDer<'static> {
        self.0.conn.peer_certificates().expect("a certificate")[0].clone().into_owned()
    }

    /// Sends a request with these header lines and reads the whole answer; its connection can be used again.
    pub fn get(&mut self, target: &str, headers: &str) -> Result<(u16, String), String> {
        self.ask(&format!("GET {target}"), headers)
    }

    /// As [`get`](Self::get), with another method.
    pub fn ask(&mut self, line: &str, headers: &str) -> Result<(u16, String), String> {
        let request = format!("{line} HTTP/1.1\r\nhost: crm.test\r\n{headers}\r\n");
        self.0.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let mut found = Vec::new();
        loop {
            let mut buffer = [0; 4096];
            let count = self.0.read(&mut buffer).map_err(|error| error.to_string())?;
            if count == 0 {
                return Err("closed".to_owned());
            }
            found.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&found).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
                return Ok((status, body.to_owned()));
            }
        }
    }
}

/// Runs what blocks.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

/// Takes any certificate and remembers what was stapled to it.
#[derive(Debug, Default)]
pub struct Anybody {
    pub stapled: Mutex<Vec<u8>>,
}

impl Anybody {
    pub fn client(self: &Arc<Self>, config: &mut ClientConfig) {
        config.dangerous().set_certificate_verifier(Arc::clone(self) as Arc<dyn ServerCertVerifier>);
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.stapled.lock().expect("no panic holds it") = ocsp.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
