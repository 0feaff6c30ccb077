//! Networks in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3), in one form only.

use core::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::value;
use crate::policy::diagnostic::{Report, quoted};
use crate::policy::document::Spanned;
use crate::policy::tree::Node;

/// `10.10.0.0/16`, `fd00:10::/64`: host bits are zero, and the prefix length is written.
pub(super) fn network(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<IpNet>> {
    let text = value::text(key, node, report)?;
    let Some((addr, length)) = read(text) else {
        let message = format!("{} is no network", quoted(text));
        let help = "write an address, `/` and the length of the prefix, as in `10.10.0.0/16`";
        report.error_with_help(node.span, message, help);
        return None;
    };
    let full = if addr.is_ipv4() { 32 } else { 128 };
    let Some(length) = length else {
        let message = format!("{} is an address, not a network", quoted(text));
        report.error_with_help(node.span, message, format!("write `{addr}/{full}`"));
        return None;
    };
    let Ok(network) = IpNet::new(addr, length) else {
        let message = format!("{} has a prefix of more than {full} bits", quoted(text));
        report.error(node.span, message);
        return None;
    };
    let (fault, mended) = if network.trunc() != network {
        ("has bits set after its prefix", network.trunc())
    } else if let Some(mapped) = as_ipv4(&network) {
        (
            "is an IPv4 network in an IPv6 form, and arrivals are compared in the IPv4 form (rule 35)",
            mapped,
        )
    } else {
        return Some(Spanned::new(network, node.span));
    };
    let message = format!("{} {fault}", quoted(text));
    report.error_with_help(node.span, message, format!("write `{mended}`"));
    None
}

/// Whether a text is an address or a network at all.
pub(super) fn is_network(text: &str) -> bool {
    read(text).is_some()
}

/// An address, and the length of a prefix where one is written.
fn read(text: &str) -> Option<(IpAddr, Option<u8>)> {
    let Some((addr, length)) = text.split_once('/') else {
        return text.parse().ok().map(|addr| (addr, None));
    };
    let plain = length.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (length.len() > 1 && length.starts_with('0')) {
        return None;
    }
    Some((addr.parse().ok()?, Some(length.parse().ok()?)))
}

/// The network that a v4-mapped (RFC 4291 §2.5.5.2) or NAT64 (RFC 6052 §2.1) one stands for.
fn as_ipv4(network: &IpNet) -> Option<IpNet> {
    let IpNet::V6(v6) = network else {
        return None;
    };
    let length = v6.prefix_len().checked_sub(96)?;
    let [.., a, b, c, d] = v6.network().octets();
    match v6.network().segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            Ipv4Net::new(Ipv4Addr::new(a, b, c, d), length)
                .ok()
                .map(IpNet::V4)
        }
        _ => None,
    }
}
