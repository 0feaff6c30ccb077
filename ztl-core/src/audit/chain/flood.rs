//! Denials of callers that proved nothing, counted together (T31): a flood of them costs a line a network and reason, and
//! takes no room from what was proved.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::HashMap;

use super::super::mask::{Field, Mask, Masks};
use super::super::text;
use crate::reason::Reason;
use crate::time::Timestamp;

/// Most pairs of network and reason that are told apart between two checkpoints.
const MAX_NETWORKS: usize = 1024;

/// Where denials came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    /// No address was known.
    Unknown,
    /// Those that came after the table was full.
    Other,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    more: u64,
    first: Timestamp,
    last: Timestamp,
}

/// Counts since the last checkpoint.
#[derive(Debug, Default)]
pub(super) struct Flood {
    counts: HashMap<(Network, Reason), Count>,
    counted: bool,
}

impl Flood {
    /// Whether this is the first of its network and reason, which gets a record of its own.
    pub(super) fn is_first(&mut self, addr: Option<IpAddr>, reason: Reason, at: Timestamp) -> bool {
        let key = (network(addr), reason);
        if self.counts.contains_key(&key) || self.counts.len() >= MAX_NETWORKS {
            return false;
        }
        self.counts.insert(
            key,
            Count {
                more: 0,
                first: at,
                last: at,
            },
        );
        true
    }

    /// Counts one that gets none.
    pub(super) fn count(&mut self, addr: Option<IpAddr>, reason: Reason, at: Timestamp) {
        let known = (network(addr), reason);
        let key = if self.counts.contains_key(&known) {
            known
        } else {
            (Network::Other, reason)
        };
        let count = self.counts.entry(key).or_insert(Count {
            more: 0,
            first: at,
            last: at,
        });
        if count.more == 0 {
            count.first = at;
        }
        count.more = count.more.saturating_add(1);
        count.last = count.last.max(at);
        self.counted = true;
    }

    /// Whether something was counted that no record tells of yet.
    pub(super) const fn is_counted(&self) -> bool {
        self.counted
    }

    /// Begins again, and writes the body of a line for each count, one after the other and each with a line end.
    pub(super) fn drain(&mut self, out: &mut String, masks: &Masks) -> u64 {
        self.counted = false;
        let mut lines: Vec<_> = self.counts.drain().filter(|(_, it)| it.more > 0).collect();
        lines.sort_by_key(|((_, reason), count)| (count.first, reason.code()));
        let mut total = 0_u64;
        for ((network, reason), count) in lines {
            total = total.saturating_add(count.more);
            out.push_str("\"kind\":\"denials\"");
            write_network(out, network, masks);
            out.push_str(",\"reason\":\"");
            out.push_str(reason.code());
            out.push_str("\",\"count\":");
            text::number(out, count.more);
            out.push_str(",\"first\":");
            text::time(out, count.first);
            out.push_str(",\"last\":");
            text::time(out, count.last);
            out.push('\n');
        }
        total
    }
}

fn network(addr: Option<IpAddr>) -> Network {
    match addr.map(|addr| addr.to_canonical()) {
        None => Network::Unknown,
        Some(IpAddr::V4(addr)) => Network::V4(Ipv4Addr::from_bits(addr.to_bits() & 0xffff_ff00)),
        Some(IpAddr::V6(addr)) => Network::V6(Ipv6Addr::from_bits(
            addr.to_bits() & 0xffff_ffff_ffff_ffff_0000_0000_0000_0000,
        )),
    }
}

fn write_network(out: &mut String, network: Network, masks: &Masks) {
    let (text, plain) = match network {
        Network::V4(addr) => (format!("{addr}/24"), false),
        Network::V6(addr) => (format!("{addr}/64"), false),
        Network::Unknown => ("unknown".to_owned(), true),
        Network::Other => ("other".to_owned(), true),
    };
    match masks.get(Field::Addr) {
        Mask::Drop if !plain => {}
        Mask::Hash if !plain => {
            out.push_str(",\"network\":");
            masks.hashed(out, Field::Addr, text.as_bytes());
        }
        _ => {
            out.push_str(",\"network\":");
            text::quoted(out, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REASON: Reason = Reason::IdentityUnproven;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_unix_secs(secs)
    }

    #[test]
    fn t31_one_line_a_network_and_reason() {
        let mut flood = Flood::default();
        let addr = |text: &str| Some(text.parse().expect("address"));
        assert!(flood.is_first(addr("192.0.2.1"), REASON, at(1)));
        assert!(!flood.is_first(addr("::ffff:192.0.2.99"), REASON, at(2)));
        flood.count(addr("192.0.2.99"), REASON, at(2));
        flood.count(addr("192.0.2.98"), REASON, at(3));
        assert!(flood.is_first(addr("2001:db8::1"), REASON, at(4)));
        flood.count(addr("2001:db8::ffff"), REASON, at(4));
        let mut out = String::new();
        assert_eq!(flood.drain(&mut out, &Masks::none()), 3);
        assert_eq!(
            out,
            "\"kind\":\"denials\",\"network\":\"192.0.2.0/24\",\"reason\":\"identity_unproven\",\"count\":2,\"first\":2,\"last\":3\n\
             \"kind\":\"denials\",\"network\":\"2001:db8::/64\",\"reason\":\"identity_unproven\",\"count\":1,\"first\":4,\"last\":4\n"
        );
        assert!(
            flood.is_first(addr("192.0.2.1"), REASON, at(5)),
            "begun again"
        );
    }

    #[test]
    fn t31_the_table_is_bounded_and_t30_masks_hold_for_networks() {
        let mut flood = Flood::default();
        for n in 0..5_000_u32 {
            let addr = Some(IpAddr::V4(Ipv4Addr::from_bits(n << 8)));
            if !flood.is_first(addr, REASON, at(1)) {
                flood.count(addr, REASON, at(1));
            }
        }
        assert!(flood.counts.len() <= MAX_NETWORKS + Reason::ALL.len());
        let mut out = String::new();
        assert_eq!(flood.drain(&mut out, &Masks::none()), 5_000 - 1024);
        assert!(out.contains("\"other\""));
        let addr = Some("192.0.2.1".parse().expect("address"));
        for mask in [Mask::Hash, Mask::Drop] {
            flood.count(addr, REASON, at(1));
            assert!(flood.is_first(addr, REASON, at(1)));
            flood.count(addr, REASON, at(1));
            out.clear();
            flood.drain(&mut out, &Masks::none().with(Field::Addr, mask));
            assert!(!out.contains("192.0"), "{out}");
        }
    }
}
