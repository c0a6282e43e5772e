//! Where a request comes from: the address of its connection or, where that is a proxy that is trusted, the one that it says.
//!
//! Each proxy adds the address that it was spoken to from at the right end. So the list is read from there, and its first
//! address that is no trusted proxy's is the client: all further left is what that client wrote itself. What a trusted proxy
//! does not say plainly is refused, for a rule that lets an address in must not take the proxy's own for the client's.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};

use super::raw::{is_token, trim};
use crate::config::{Forwarding, TrustedProxies};
use crate::model::Reason;

/// Trusted proxies that a request may have passed.
const MAX_HOPS: usize = 16;
/// Of one line of `Forwarded`, which must be read from its beginning.
const MAX_LINE: usize = 8 * 1024;
const FORWARDED: HeaderName = http::header::FORWARDED;
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client of a request that came over a connection of `peer`. Errors: a trusted proxy did not say whose it is.
pub fn origin(peer: IpAddr, headers: &HeaderMap, trusted: Option<&TrustedProxies>) -> Result<IpAddr, Reason> {
    let peer = peer.to_canonical();
    let Some(trusted) = trusted.filter(|trusted| trusted.trusts(peer)) else { return Ok(peer) };
    match trusted.header {
        Forwarding::XForwardedFor => {
            // Several lines are one list, in their order (RFC 9110, section 5.3).
            let lines: Vec<&[u8]> = headers.get_all(X_FORWARDED_FOR).iter().map(|value| value.as_bytes()).collect();
            let listed = lines.iter().rev().flat_map(|line| line.rsplit(|b| *b == b',')).map(trim);
            nearest(peer, listed.filter(|node| !node.is_empty()).map(node), trusted)
        }
        Forwarding::Forwarded => {
            let mut elements = Vec::new();
            for line in headers.get_all(FORWARDED) {
                forwarded(line.as_bytes(), &mut elements)?;
            }
            let nodes = elements.iter().rev().map(|named| named.as_deref().and_then(node));
            nearest(peer, nodes, trusted)
        }
    }
}

/// `nodes`: from the right, each an address if it is one.
fn nearest(
    peer: IpAddr,
    nodes: impl Iterator<Item = Option<IpAddr>>,
    trusted: &TrustedProxies,
) -> Result<IpAddr, Reason> {
    let mut at = peer;
    for (passed, node) in nodes.enumerate() {
        if passed == MAX_HOPS {
            return Err(Reason::AmbiguousHeader);
        }
        at = node.ok_or(Reason::AmbiguousHeader)?;
        if !trusted.trusts(at) {
            break;
        }
    }
    Ok(at)
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:443`. No zone: it means nothing elsewhere.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok().filter(|text| !text.contains('%'))?;
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            IpAddr::V6(address.parse().ok().filter(|_| port_fits)?)
        }
        None => match text.split_once(':') {
            Some((address, port)) if !port.contains(':') => IpAddr::V4(address.parse().ok().filter(|_| is_port(port))?),
            _ => text.parse().ok()?,
        },
    };
    Some(address.to_canonical())
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// The `for` of each element of a line (RFC 7239, section 4). Errors: it can't be told where elements end.
fn forwarded(line: &[u8], elements: &mut Vec<Option<Vec<u8>>>) -> Result<(), Reason> {
    if line.len() > MAX_LINE {
        return Err(Reason::AmbiguousHeader);
    }
    let mut rest = line;
    let (mut named, mut is_empty) = (None, true);
    loop {
        rest = rest.trim_ascii_start();
        let name = taken(&mut rest, is_token);
        if !name.is_empty() {
            is_empty = false;
            rest = rest.strip_prefix(b"=").ok_or(Reason::AmbiguousHeader)?;
            let value = value(&mut rest)?;
            if name.eq_ignore_ascii_case(b"for") && named.replace(value).is_some() {
                return Err(Reason::AmbiguousHeader);
            }
            rest = rest.trim_ascii_start();
        }
        match rest.split_first() {
            Some((b';', after)) => rest = after,
            Some((b',', after)) => {
                rest = after;
                if !std::mem::replace(&mut is_empty, true) {
                    elements.push(named.take());
                }
            }
            Some(_) => return Err(Reason::AmbiguousHeader),
            None => {
                if !is_empty {
                    elements.push(named);
                }
                return Ok(());
            }
        }
    }
}

/// A token, with what addresses are written with besides, or a quoted text without its quotes.
fn value(rest: &mut &[u8]) -> Result<Vec<u8>, Reason> {
    let Some(mut quoted) = rest.strip_prefix(b"\"") else {
        return Ok(taken(rest, |b| is_token(b) || matches!(b, b':' | b'[' | b']')).to_vec());
    };
    let mut value = Vec::new();
    loop {
        let (first, after) = quoted.split_first().ok_or(Reason::AmbiguousHeader)?;
        quoted = after;
        match first {
            b'"' => break,
            b'\\' => {
                let (escaped, after) = quoted.split_first().ok_or(Reason::AmbiguousHeader)?;
                value.push(*escaped);
                quoted = after;
            }
            plain => value.push(*plain),
        }
    }
    *rest = quoted;
    Ok(value)
}

fn taken<'a>(rest: &mut &'a [u8], fits: impl Fn(u8) -> bool) -> &'a [u8] {
    let end = rest.iter().position(|b| !fits(*b)).unwrap_or(rest.len());
    let (taken, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
    *rest = after;
    taken
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn found(header: Forwarding, peer: &str, lines: &[&str]) -> Option<String> {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("a network"));
        let trusted = TrustedProxies { from: networks.to_vec(), header };
        let mut headers = HeaderMap::new();
        for line in lines {
            let name = if header == Forwarding::Forwarded { FORWARDED } else { X_FORWARDED_FOR };
            headers.append(name, HeaderValue::from_str(line).expect("a value"));
        }
        let peer = peer.parse().expect("an address");
        origin(peer, &headers, Some(&trusted)).ok().map(|address| address.to_string())
    }

    #[test]
    fn the_nearest_that_is_not_trusted_is_the_client() {
        for (peer, lines, wanted) in [
            // Nobody else is believed.
            ("192.0.2.1", &["198.51.100.7"][..], Some("192.0.2.1")),
            ("::ffff:192.0.2.1", &["198.51.100.7"], Some("192.0.2.1")),
            ("10.0.0.1", &["198.51.100.7"], Some("198.51.100.7")),
            ("::ffff:10.0.0.1", &["198.51.100.7"], Some("198.51.100.7")),
            ("fd00::1", &["2001:db8::7"], Some("2001:db8::7")),
            // What the client wrote itself stands further left.
            ("10.0.0.1", &["10.9.9.9, 198.51.100.7"], Some("198.51.100.7")),
            ("10.0.0.1", &["127.0.0.1", "198.51.100.7"], Some("198.51.100.7")),
            ("10.0.0.1", &["198.51.100.7,10.0.0.2 ,\t10.0.0.3"], Some("198.51.100.7")),
            ("10.0.0.1", &["1.1.1.1, 198.51.100.7", "10.0.0.2"], Some("198.51.100.7")),
            ("10.0.0.1", &["<script>, _x, unknown, 198.51.100.7"], Some("198.51.100.7")),
            // All of them are trusted, or nothing is said.
            ("10.0.0.1", &["10.0.0.4, 10.0.0.3"], Some("10.0.0.4")),
            ("10.0.0.1", &[], Some("10.0.0.1")),
            ("10.0.0.1", &["", " , "], Some("10.0.0.1")),
            // As some write it.
            ("10.0.0.1", &["198.51.100.7:4711"], Some("198.51.100.7")),
            ("10.0.0.1", &["[2001:db8::7]:4711"], Some("2001:db8::7")),
            ("10.0.0.1", &["[2001:db8::7]"], Some("2001:db8::7")),
            ("10.0.0.1", &["::ffff:198.51.100.7"], Some("198.51.100.7")),
            // A trusted proxy that does not say whom it speaks for.
            ("10.0.0.1", &["198.51.100.7, unknown"], None),
            ("10.0.0.1", &["198.51.100.7, _hidden, 10.0.0.2"], None),
            ("10.0.0.1", &["fe80::1%eth0"], None),
            ("10.0.0.1", &["[fe80::1%1]:80"], None),
            ("10.0.0.1", &["198.51.100.7:"], None),
            ("10.0.0.1", &["198.51.100.7:99999"], None),
            ("10.0.0.1", &["198.51.100.7:+80"], None),
            ("10.0.0.1", &["198.51.100.007"], None),
            ("10.0.0.1", &["3325256711"], None),
            ("10.0.0.1", &["[198.51.100.7]"], None),
            ("10.0.0.1", &["[2001:db8::7"], None),
            ("10.0.0.1", &["198.51.100.7 10.0.0.2"], None),
            ("10.0.0.1", &["\"198.51.100.7\""], None),
            ("10.0.0.1", &["ü"], None),
        ] {
            assert_eq!(found(Forwarding::XForwardedFor, peer, lines).as_deref(), wanted, "{peer} {lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_by_its_grammar() {
        for (lines, wanted) in [
            (&["for=198.51.100.7"][..], Some("198.51.100.7")),
            (&["for=10.1.1.1, for=198.51.100.7;proto=https;by=10.0.0.1"], Some("198.51.100.7")),
            (&["For=\"[2001:db8::7]:4711\""], Some("2001:db8::7")),
            (&["for=\"198.51.100.7:80\"", "host=crm;for=10.0.0.2"], Some("198.51.100.7")),
            (&["for=_x;secret=\"a,for=1.1.1.1\", for=198.51.100.7"], Some("198.51.100.7")),
            (&["for=\"198.51.\\100.7\""], Some("198.51.100.7")),
            (&["", ","], Some("10.0.0.1")),
            (&["for=unknown"], None),
            (&["for=_hidden"], None),
            (&["for=\"_hidden:80\""], None),
            (&["proto=https"], None),
            (&["for=198.51.100.7, by=10.0.0.2"], None),
            (&["for=198.51.100.7;for=10.0.0.2"], None),
            (&["for="], None),
            (&["198.51.100.7"], None),
            (&["for = 198.51.100.7"], None),
            (&["for=198.51.100.7 for=10.0.0.2"], None),
            // A client that opens a quote for a proxy to write in.
            (&["for=\"1.1.1.1, for=198.51.100.7"], None),
            (&["for=1.1.1.1;x=\", for=\"[2001:db8::7]\""], None),
            (&["for=1.1.1.1;x=\"\\, for=\"[2001:db8::7]\""], None),
            (&["for=\"198.51.100.7\\"], None),
        ] {
            assert_eq!(found(Forwarding::Forwarded, "10.0.0.1", lines).as_deref(), wanted, "{lines:?}");
        }
        assert_eq!(found(Forwarding::Forwarded, "192.0.2.1", &["for=\""]).as_deref(), Some("192.0.2.1"));
        let long = format!("for=198.51.100.7;x={}", "y".repeat(MAX_LINE));
        assert_eq!(found(Forwarding::Forwarded, "10.0.0.1", &[&long]), None);
    }

    #[test]
    fn proxies_without_end_are_refused() {
        let hops = |count| vec!["10.0.0.2"; count].join(",");
        let with = |hops: String| found(Forwarding::XForwardedFor, "10.0.0.1", &[&format!("198.51.100.7,{hops}")]);
        assert_eq!(with(hops(MAX_HOPS - 1)).as_deref(), Some("198.51.100.7"));
        assert_eq!(with(hops(MAX_HOPS)), None);
        // Whatever the client writes in front, it is not read.
        let long = format!("{},198.51.100.7", vec!["1.1.1.1"; 5000].join(","));
        assert_eq!(found(Forwarding::XForwardedFor, "10.0.0.1", &[&long]).as_deref(), Some("198.51.100.7"));
    }

    proptest! {
        /// Whatever a client writes itself, it is known by the address that the proxy wrote, or refused.
        #[test]
        fn a_client_never_chooses_its_address(own in "[ -~]{0,60}", quoted: bool) {
            let proxy = if quoted { "for=\"[2001:db8::7]:80\"" } else { "for=198.51.100.7" };
            let lines = format!("{own}, {proxy}");
            let address = found(Forwarding::Forwarded, "10.0.0.1", &[&lines]);
            let wanted = if quoted { "2001:db8::7" } else { "198.51.100.7" };
            prop_assert!(address.is_none() || address.as_deref() == Some(wanted), "{lines}: {address:?}");
            let lines = format!("{own}, 198.51.100.7");
            prop_assert_eq!(found(Forwarding::XForwardedFor, "10.0.0.1", &[&lines]), Some("198.51.100.7".to_owned()));
        }
    }
}
