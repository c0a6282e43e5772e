//! Where clients come in: addresses, TLS and its certificates, and the address for whoever watches the gateway.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::ClientCertificates;
use super::proxies::proxy_protocol;
use super::raw::{path, text, warn};
use crate::diagnostic::Span;
use crate::model::Name;
use crate::yaml::{Node, Reader, Value};

#[derive(Debug)]
pub struct Listener {
    pub address: SocketAddr,
    /// `None` only where the file says `plaintext: true`.
    pub tls: Option<Tls>,
    /// Whose connections are taken, each with a header of the PROXY protocol at its beginning. `None`: everybody's, without.
    pub proxy_protocol: Option<Vec<IpNet>>,
}

#[derive(Debug)]
pub struct Tls {
    pub min_version: TlsVersion,
    /// At least one.
    pub certificates: Vec<CertificateFiles>,
    pub unknown_name: UnknownName,
    /// `None`: clients are not asked for certificates.
    pub client_auth: Option<ClientAuth>,
}

/// What certificates of clients are verified by.
#[derive(Debug)]
pub struct ClientAuth {
    /// Who has none is refused in the handshake.
    pub required: bool,
    pub ca: PathBuf,
    pub ca_span: Span,
    pub crl: Option<PathBuf>,
    pub crl_span: Span,
    /// What the authority is called where it is said who its certificates mean.
    pub authority: Name,
}

/// A certificate with its chain, its key, and an OCSP response to staple, each with where the gateway file names it.
#[derive(Debug)]
pub struct CertificateFiles {
    pub cert: PathBuf,
    pub span: Span,
    pub key: PathBuf,
    pub key_span: Span,
    pub ocsp: Option<PathBuf>,
    pub ocsp_span: Span,
}

/// What a client gets that asks for a name that no certificate bears, or for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownName {
    Refuse,
    /// The first certificate.
    Default,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

pub(super) fn listeners(node: &Node, folder: &Path, reader: &mut Reader) -> Vec<Listener> {
    let items = reader.list(node, "`listeners`");
    if matches!(&node.value, Value::List(items) if items.is_empty()) {
        reader.error("empty-list", &node.span, "`listeners` must name at least one");
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for item in items {
        let mut fields = reader.fields(item, "a listener");
        let address = fields.require("address", reader).and_then(|node| address(node, &listeners, reader));
        let tls_node = fields.take("tls");
        let plaintext = fields.take("plaintext").map(|node| (node, reader.bool(node, "`plaintext`")));
        match (tls_node, plaintext) {
            (None, Some((node, Some(true)))) => {
                warn(reader, "plaintext", &node.span, "this listener takes credentials in the clear".to_owned());
            }
            (Some(_), Some((node, Some(true)))) => {
                reader.error("bad-listener", &node.span, "a listener has either `tls` or `plaintext: true`");
            }
            (None, None | Some((_, Some(false)))) => {
                reader.error("bad-listener", &item.span, "a listener needs `tls`").help =
                    Some("tls: { certificates: [{ cert: a.pem, key: a.key }] }, or plaintext: true".to_owned());
            }
            _ => {}
        }
        let proxy_protocol = fields.take("proxy_protocol").map(|node| proxy_protocol(node, reader));
        let tls = tls_node.and_then(|node| tls(node, folder, reader));
        fields.finish(reader);
        if let Some(auth) = tls.as_ref().and_then(|tls| tls.client_auth.as_ref()) {
            let others = listeners.iter().filter_map(|listener| listener.tls.as_ref()?.client_auth.as_ref());
            if others.into_iter().any(|other| other.authority == auth.authority && other.ca != auth.ca) {
                let message = format!("`{}` is another listener's authority with another `ca`", auth.authority);
                reader.error("duplicate-authority", &auth.ca_span, message).help =
                    Some("give one of them a name of its own, for example `authority: partners`".to_owned());
            }
        }
        listeners.extend(address.map(|address| Listener { address, tls, proxy_protocol }));
    }
    listeners
}

/// An address of the gateway's own; two listeners can't share one, except that port 0 asks for any free one.
fn address(node: &Node, taken: &[Listener], reader: &mut Reader) -> Option<SocketAddr> {
    let text = reader.text(node, "`address`")?;
    let Ok(address) = text.value.parse::<SocketAddr>() else {
        reader.error("bad-address", &text.span, format!("`{}` is not an address and a port", text.value)).help =
            Some("in numbers, for example 0.0.0.0:8443 or [::1]:8443".to_owned());
        return None;
    };
    let clashes = |other: SocketAddr| {
        let any = address.ip().is_unspecified() || other.ip().is_unspecified();
        let same = other.ip() == address.ip() || (any && other.is_ipv4() == address.is_ipv4());
        address.port() != 0 && other.port() == address.port() && same
    };
    if taken.iter().any(|listener| clashes(listener.address)) {
        reader.error("duplicate-address", &text.span, format!("`{address}` is taken by another listener"));
    }
    Some(address)
}

pub(super) fn admin(node: &Node, listeners: &[Listener], reader: &mut Reader) -> Option<SocketAddr> {
    let mut fields = reader.fields(node, "`admin`");
    let address = fields.require("address", reader).and_then(|node| address(node, listeners, reader));
    fields.finish(reader);
    address
}

fn tls(node: &Node, folder: &Path, reader: &mut Reader) -> Option<Tls> {
    let mut fields = reader.fields(node, "`tls`");
    let min_version = match text(fields.take("min_version"), "`min_version`", reader) {
        None => TlsVersion::Tls12,
        Some(text) if text.value == "1.2" => TlsVersion::Tls12,
        Some(text) if text.value == "1.3" => TlsVersion::Tls13,
        Some(text) => {
            reader.error("bad-tls", &text.span, format!("`min_version` can't be `{}`", text.value)).help =
                Some("\"1.2\" or \"1.3\"".to_owned());
            TlsVersion::Tls13
        }
    };
    let certificates = fields.require("certificates", reader);
    let unknown = text(fields.take("unknown_name"), "`unknown_name`", reader);
    let client_auth = fields.take("client_auth").map(|node| client_auth(node, folder, reader));
    fields.finish(reader);
    let client_auth = match client_auth {
        None => None,
        Some(found) => found?,
    };
    let node = certificates?;
    let items = reader.list(node, "`certificates`");
    if matches!(&node.value, Value::List(items) if items.is_empty()) {
        reader.error("empty-list", &node.span, "`certificates` must name at least one");
    }
    let certificates: Vec<_> = items.iter().filter_map(|item| certificate(item, folder, reader)).collect();
    let unknown_name = match unknown {
        Some(text) => match text.value.as_str() {
            "refuse" => UnknownName::Refuse,
            "default" => UnknownName::Default,
            other => {
                reader.error("unknown-word", &text.span, format!("`unknown_name` can't be `{other}`")).help =
                    Some("refuse, or default for the first certificate".to_owned());
                UnknownName::Refuse
            }
        },
        // Whoever has one certificate shows it; which of several is shown is for the operator to say.
        None if items.len() > 1 => {
            reader.error("missing-key", &node.span, "`tls` with several certificates needs `unknown_name`").help =
                Some("refuse whoever asks for another name or none, or default for the first certificate".to_owned());
            UnknownName::Refuse
        }
        None => UnknownName::Default,
    };
    let whole = certificates.len() == items.len() && !items.is_empty();
    whole.then_some(Tls { min_version, certificates, unknown_name, client_auth })
}

/// `None` beside an error; within, `None` for `mode: off`.
fn client_auth(node: &Node, folder: &Path, reader: &mut Reader) -> Option<Option<ClientAuth>> {
    let mut fields = reader.fields(node, "`client_auth`");
    let mode = text(fields.require("mode", reader), "`mode`", reader);
    let (ca, crl) = (fields.take("ca"), fields.take("crl"));
    let authority = text(fields.take("authority"), "`authority`", reader);
    fields.finish(reader);
    let ca_file = path(ca, "`ca`", folder, reader);
    let crl_file = path(crl, "`crl`", folder, reader);
    let mode = mode?;
    let required = match mode.value.as_str() {
        "off" => return Some(None),
        "optional" => false,
        "required" => true,
        other => {
            reader.error("unknown-word", &mode.span, format!("`mode` can't be `{other}`")).help =
                Some("off, optional or required".to_owned());
            return None;
        }
    };
    if ca.is_none() {
        reader.error("missing-key", &node.span, "`client_auth` needs `ca`").help =
            Some("whose certificates are taken: a file of PEM certificates".to_owned());
    }
    let authority = authority.map_or_else(|| ClientCertificates::AUTHORITY.into(), |text| text.value.as_str().into());
    let span = |named: Option<&Node>| named.unwrap_or(node).span.clone();
    let (ca_span, crl_span) = (span(ca), span(crl));
    Some(Some(ClientAuth { required, ca: ca_file?, ca_span, crl: crl_file, crl_span, authority }))
}

/// Whose certificates any listener asks for.
pub(super) fn authorities(listeners: &[Listener]) -> Vec<Name> {
    let asked = listeners.iter().filter_map(|listener| listener.tls.as_ref()?.client_auth.as_ref());
    let mut found: Vec<Name> = asked.map(|auth| Name::clone(&auth.authority)).collect();
    found.sort();
    found.dedup();
    found
}

fn certificate(node: &Node, folder: &Path, reader: &mut Reader) -> Option<CertificateFiles> {
    let mut fields = reader.fields(node, "a certificate");
    let (cert, key) = (fields.require("cert", reader), fields.require("key", reader));
    let ocsp = fields.take("ocsp");
    let span = |named: Option<&Node>| named.unwrap_or(node).span.clone();
    let files = (path(cert, "`cert`", folder, reader), path(key, "`key`", folder, reader));
    let ocsp_file = path(ocsp, "`ocsp`", folder, reader);
    fields.finish(reader);
    Some(CertificateFiles {
        cert: files.0?,
        span: span(cert),
        key: files.1?,
        key_span: span(key),
        ocsp: ocsp_file,
        ocsp_span: span(ocsp),
    })
}
