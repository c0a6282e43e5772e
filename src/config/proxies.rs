//! Who stands before the gateway and may say whom a connection or a request comes from. Nobody is believed by default.

use std::net::IpAddr;

use ipnet::IpNet;

use super::raw::{distinct, text, warn};
use crate::yaml::{Node, Reader};

/// Proxies that say in a header of each request whom it comes from.
#[derive(Debug)]
pub struct TrustedProxies {
    pub from: Vec<IpNet>,
    pub header: Forwarding,
}

impl TrustedProxies {
    pub fn trusts(&self, address: IpAddr) -> bool {
        contains(&self.from, address)
    }
}

/// Whether an address lies in one of the networks.
pub fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// The header that proxies write a request's client into. One of them: what they don't write passes as clients send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// Of one listener: whose connections begin with a header of the PROXY protocol.
pub(super) fn proxy_protocol(node: &Node, reader: &mut Reader) -> Vec<IpNet> {
    let mut fields = reader.fields(node, "`proxy_protocol`");
    let from = fields.require("from", reader);
    fields.finish(reader);
    networks(from, reader)
}

/// Whose word on a request's client is taken, and in which header they give it.
pub(super) fn trusted_proxies(node: &Node, reader: &mut Reader) -> Option<TrustedProxies> {
    let mut fields = reader.fields(node, "`trusted_proxies`");
    let from = fields.require("from", reader);
    let header = text(fields.require("header", reader), "`header`", reader);
    fields.finish(reader);
    let from = networks(from, reader);
    let header = header?;
    match header.value.to_ascii_lowercase().as_str() {
        "x-forwarded-for" => Some(TrustedProxies { from, header: Forwarding::XForwardedFor }),
        "forwarded" => Some(TrustedProxies { from, header: Forwarding::Forwarded }),
        _ => {
            let message = format!("`header` can't be `{}`", header.value);
            reader.error("unknown-word", &header.span, message).help =
                Some("x-forwarded-for or forwarded: the one that these proxies set".to_owned());
            None
        }
    }
}

fn networks(node: Option<&Node>, reader: &mut Reader) -> Vec<IpNet> {
    let mut found = Vec::new();
    for text in distinct(node, "`from`", reader) {
        let network = text.value.parse().or_else(|_| text.value.parse::<IpAddr>().map(IpNet::from));
        let Ok(network) = network else {
            let message = format!("`{}` is neither a network nor an address", text.value);
            reader.error("bad-network", &text.span, message).help =
                Some("for example 10.0.0.0/8, fd00::/8 or 192.0.2.7".to_owned());
            continue;
        };
        if network.trunc() != network {
            let message = format!("`{network}` is an address within a network");
            reader.error("bad-network", &text.span, message).help =
                Some(format!("{} for all of it, or {} alone", network.trunc(), network.addr()));
        } else if network.prefix_len() == 0 {
            let message = format!("`{network}` is everybody: any client can say that it comes from anywhere");
            warn(reader, "trusts-everybody", &text.span, message);
        }
        found.push(network);
    }
    found
}
