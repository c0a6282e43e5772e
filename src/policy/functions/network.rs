//! Addresses and networks: `ip('10.0.0.1')`, `cidr('10.0.0.0/8')`, and what can be asked of them.
//!
//! An IPv4 address is one value however it is written: one that is mapped into IPv6 is the IPv4 address, so that no rule
//! about IPv4 is passed by in IPv6's clothes. Its mixed form (`::ffff:10.0.0.1`), zones and leading zeros are refused.

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::ir::Failure;
use super::super::value::Value;
use super::signature::{Overload, Sort};
use super::{Function, Made, text as make_text};

const OF_TEXT: &[Overload] = &[Overload::new(&[Sort::String], Sort::Bool)];
const OF_IP: &[Overload] = &[Overload::new(&[Sort::Ip], Sort::Bool)];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global("ip", &[Overload::new(&[Sort::String], Sort::Ip), Overload::new(&[Sort::Ip], Sort::Ip)], |of| {
        match of {
            [Value::String(text)] => address(text).map(Value::Ip),
            [Value::Ip(address)] => Ok(Value::Ip(*address)),
            _ => Err(Failure::Type),
        }
    }),
    Function::method("ip", &[Overload::new(&[Sort::Cidr], Sort::Ip)], |of| match of {
        [Value::Cidr(net)] => Ok(Value::Ip(net.addr())),
        _ => Err(Failure::Type),
    }),
    Function::global("isIP", OF_TEXT, |of| of_text(of, |text| Ok(address(text).is_ok()))),
    Function::global("ip.isCanonical", OF_TEXT, |of| of_text(of, |text| Ok(address(text)?.to_string() == text))),
    Function::method("family", &[Overload::new(&[Sort::Ip], Sort::Int)], |of| match of {
        [Value::Ip(IpAddr::V4(_))] => Ok(Value::Int(4)),
        [Value::Ip(IpAddr::V6(_))] => Ok(Value::Int(6)),
        _ => Err(Failure::Type),
    }),
    Function::method("isUnspecified", OF_IP, |of| of_ip(of, IpAddr::is_unspecified)),
    Function::method("isLoopback", OF_IP, |of| of_ip(of, IpAddr::is_loopback)),
    Function::method("isGlobalUnicast", OF_IP, |of| of_ip(of, is_global_unicast)),
    Function::method("isLinkLocalMulticast", OF_IP, |of| of_ip(of, is_link_local_multicast)),
    Function::method("isLinkLocalUnicast", OF_IP, |of| of_ip(of, is_link_local_unicast)),
    Function::global(
        "cidr",
        &[Overload::new(&[Sort::String], Sort::Cidr), Overload::new(&[Sort::Cidr], Sort::Cidr)],
        |of| match of {
            [Value::String(text)] => net(text).map(Value::Cidr),
            [Value::Cidr(net)] => Ok(Value::Cidr(*net)),
            _ => Err(Failure::Type),
        },
    ),
    Function::global("isCIDR", OF_TEXT, |of| of_text(of, |text| Ok(net(text).is_ok()))),
    Function::method(
        "containsIP",
        &[Overload::new(&[Sort::Cidr, Sort::Ip], Sort::Bool), Overload::new(&[Sort::Cidr, Sort::String], Sort::Bool)],
        |of| match of {
            [Value::Cidr(net), Value::Ip(inner)] => Ok(Value::Bool(net.contains(inner))),
            [Value::Cidr(net), Value::String(text)] => Ok(Value::Bool(net.contains(&address(text)?))),
            _ => Err(Failure::Type),
        },
    ),
    Function::method(
        "containsCIDR",
        &[Overload::new(&[Sort::Cidr, Sort::Cidr], Sort::Bool), Overload::new(&[Sort::Cidr, Sort::String], Sort::Bool)],
        |of| match of {
            [Value::Cidr(outer), Value::Cidr(inner)] => Ok(Value::Bool(outer.contains(inner))),
            [Value::Cidr(outer), Value::String(text)] => Ok(Value::Bool(outer.contains(&net(text)?))),
            _ => Err(Failure::Type),
        },
    ),
    Function::method("masked", &[Overload::new(&[Sort::Cidr], Sort::Cidr)], |of| match of {
        [Value::Cidr(net)] => Ok(Value::Cidr(net.trunc())),
        _ => Err(Failure::Type),
    }),
    Function::method("prefixLength", &[Overload::new(&[Sort::Cidr], Sort::Int)], |of| match of {
        [Value::Cidr(net)] => Ok(Value::Int(net.prefix_len().into())),
        _ => Err(Failure::Type),
    }),
    Function::method(
        "string",
        &[Overload::new(&[Sort::Ip], Sort::String), Overload::new(&[Sort::Cidr], Sort::String)],
        |of| match of {
            [Value::Ip(address)] => make_text(address.to_string()),
            [Value::Cidr(net)] => make_text(net.to_string()),
            _ => Err(Failure::Type),
        },
    ),
];

fn address(text: &str) -> Result<IpAddr, Failure> {
    let is_mixed = text.contains(':') && text.contains('.');
    let address: IpAddr = text.parse().ok().filter(|_| !is_mixed).ok_or(Failure::Range)?;
    Ok(address.to_canonical())
}

/// An address with the length of its prefix. Mapped addresses are refused: of which family the prefix counts is not said.
fn net(text: &str) -> Result<IpNet, Failure> {
    let (of, prefix) = text.split_once('/').ok_or(Failure::Range)?;
    let is_plain = prefix.bytes().all(|byte| byte.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
    let prefix = prefix.parse().ok().filter(|_| is_plain).ok_or(Failure::Range)?;
    let address = address(of)?;
    if address.is_ipv4() && of.contains(':') {
        return Err(Failure::Range);
    }
    IpNet::new(address, prefix).map_err(|_| Failure::Range)
}

fn of_text(of: &[Value], holds: fn(&str) -> Result<bool, Failure>) -> Made {
    match of {
        [Value::String(text)] => holds(text).map(Value::Bool),
        _ => Err(Failure::Type),
    }
}

fn of_ip(of: &[Value], holds: fn(&IpAddr) -> bool) -> Made {
    match of {
        [Value::Ip(address)] => Ok(Value::Bool(holds(address))),
        _ => Err(Failure::Type),
    }
}

/// Of one receiver anywhere, private networks included.
fn is_global_unicast(address: &IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    let is_special = address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_broadcast;
    !is_special && !is_link_local_unicast(address)
}

fn is_link_local_unicast(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn is_link_local_multicast(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => matches!(address.octets(), [224, 0, 0, _]),
        // Whatever its flags: the scope is what counts.
        IpAddr::V6(address) => matches!(address.octets(), [255, flags, ..] if flags & 0x0f == 2),
    }
}
