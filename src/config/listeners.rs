//! Where clients come in: addresses, TLS and its certificates, and the address for whoever watches the gateway.

use std::net::SocketAddr;
use std::path::Path;

use super::raw::{path, text, warn};
use super::{CertificateFiles, Listener, Tls, TlsVersion, UnknownName};
use crate::yaml::{Node, Reader, Value};

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
        let tls = tls_node.and_then(|node| tls(node, folder, reader));
        fields.finish(reader);
        listeners.extend(address.map(|address| Listener { address, tls }));
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
    fields.finish(reader);
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
    (certificates.len() == items.len() && !items.is_empty()).then_some(Tls { min_version, certificates, unknown_name })
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
