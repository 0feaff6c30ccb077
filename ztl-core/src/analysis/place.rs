//! The places that zones tell apart: one address for each, and one that is unknown.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::policy::Policy;
use crate::zone::Arrival;

/// IPv6 forms that an arrival's address is never compared in (rule 35): v4-mapped and NAT64.
const NORMALISED: [(u128, u8); 2] = [(0xffff << 32, 96), (0x0064_ff9b << 96, 96)];

/// A network, as numbers of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    first: u128,
    last: u128,
    /// Which policy's zone or relay it is, and which zone; none for what is only cut out.
    owner: Option<(usize, Owner)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Relay,
    Zone(usize),
}

/// Which zones hold a place, for each policy: the longest prefix first. Empty where the place is unknown.
type Holding = Vec<Vec<usize>>;

/// One arrival from every place that the policies tell apart; the first is unknown.
pub(crate) fn arrivals(policies: &[&Policy]) -> Vec<Arrival> {
    let unknown: Holding = policies.iter().map(|_| Vec::new()).collect();
    let mut places: Vec<(Holding, Arrival)> = vec![(unknown, Arrival::unknown())];
    let mut seen = std::collections::HashSet::new();
    for ipv4 in [true, false] {
        let mut blocks = blocks(policies, ipv4);
        blocks.sort_by_key(|block| (block.first, core::cmp::Reverse(block.last)));
        let mut around: Vec<Block> = Vec::new();
        for (at, block) in blocks.iter().enumerate() {
            around.retain(|outer| outer.last >= block.last);
            around.push(*block);
            let below = blocks.get(at + 1..).unwrap_or_default();
            let Some(number) = outside(block, below) else {
                continue;
            };
            // What is cut out is compared in the other family.
            if around.iter().any(|outer| outer.owner.is_none()) {
                continue;
            }
            let holding = holding(policies.len(), &around);
            if holding.iter().all(Vec::is_empty) || !seen.insert(holding.clone()) {
                continue;
            }
            let addr = if ipv4 {
                IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or_default()))
            } else {
                IpAddr::V6(Ipv6Addr::from(number))
            };
            places.push((holding, Arrival::from_addr(addr)));
        }
    }
    places.into_iter().map(|(_, arrival)| arrival).collect()
}

fn blocks(policies: &[&Policy], ipv4: bool) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (of, policy) in policies.iter().enumerate() {
        let document = policy.document();
        let relays = document.relays.iter().map(|net| (net.value, Owner::Relay));
        let zones = document.zones.iter().enumerate().flat_map(|(at, zone)| {
            let networks = zone.networks.iter();
            networks.map(move |net| (net.value, Owner::Zone(at)))
        });
        for (net, owner) in relays.chain(zones) {
            let (first, last) = match net {
                IpNet::V4(net) if ipv4 => (
                    u32::from(net.network()).into(),
                    u32::from(net.broadcast()).into(),
                ),
                IpNet::V6(net) if !ipv4 => (net.network().into(), net.broadcast().into()),
                _ => continue,
            };
            blocks.push(Block {
                first,
                last,
                owner: Some((of, owner)),
            });
        }
    }
    if !ipv4 {
        blocks.extend(NORMALISED.map(|(first, length)| Block {
            first,
            last: first | (u128::MAX >> length),
            owner: None,
        }));
    }
    blocks
}

/// An address of the block that is in none of the smaller ones, which come after it in order.
fn outside(block: &Block, below: &[Block]) -> Option<u128> {
    // A machine seldom has the first address of its network.
    let mut next = block.first;
    if block.last > block.first {
        next += 1;
    }
    let mut skipped = Some(block.first).filter(|first| *first != next);
    for inner in below.iter().take_while(|inner| inner.first <= block.last) {
        if skipped.is_some_and(|first| inner.first <= first) {
            skipped = None;
        }
        if inner.first > next {
            break;
        }
        if inner.last >= next {
            match inner.last.checked_add(1) {
                Some(after) => next = after,
                None => return skipped,
            }
        }
    }
    if next <= block.last {
        Some(next)
    } else {
        skipped
    }
}

fn holding(policies: usize, around: &[Block]) -> Holding {
    let mut holding: Holding = Vec::new();
    for of in 0..policies {
        let owners = || {
            around.iter().rev().filter_map(|block| match block.owner {
                Some((policy, owner)) if policy == of => Some(owner),
                _ => None,
            })
        };
        let mut zones = Vec::new();
        if !owners().any(|owner| owner == Owner::Relay) {
            for owner in owners() {
                if let Owner::Zone(at) = owner
                    && !zones.contains(&at)
                {
                    zones.push(at);
                }
            }
        }
        holding.push(zones);
    }
    holding
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(zones: &[(&str, &[&str])], relays: &[&str]) -> Policy {
        let mut text = "schema = 1\ntrust_domain = 'td'\n".to_owned();
        if !relays.is_empty() {
            text.push_str(&format!("relays = {relays:?}\n"));
        }
        for (name, networks) in zones {
            text.push_str(&format!("[zones.{name}]\nnetworks = {networks:?}\n"));
        }
        Policy::from_toml(&text).expect("policy")
    }

    fn zones(policy: &Policy, arrivals: &[Arrival]) -> Vec<Option<String>> {
        let name = |arrival| {
            policy
                .zones()
                .zone_of(arrival)
                .map(|zone| zone.name().to_owned())
        };
        arrivals.iter().map(name).collect()
    }

    #[test]
    fn t26_one_address_of_every_kind() {
        let policy = policy(
            &[
                ("wide", &["10.0.0.0/8", "fd00::/8"]),
                ("half", &["10.0.0.0/9"]),
                ("other-half", &["10.128.0.0/9"]),
                ("narrow", &["10.1.0.0/16"]),
                ("everything", &["::/0"]),
            ],
            &["10.1.2.0/24"],
        );
        let arrivals = arrivals(&[&policy]);
        let seen = zones(&policy, &arrivals);
        let wanted = [
            None,
            Some("half"),
            Some("narrow"),
            Some("other-half"),
            Some("everything"),
            Some("wide"),
        ];
        assert_eq!(seen, wanted.map(|zone| zone.map(str::to_owned)));
        // Nothing of `wide` is left in IPv4: both halves are taken.
        assert!(arrivals[5].addr().expect("address").is_ipv6());
    }

    #[test]
    fn two_documents_are_cut_along_both() {
        let old = policy(&[("here", &["10.0.0.0/8"])], &[]);
        let new = policy(
            &[("here", &["10.0.0.0/9"]), ("there", &["192.0.2.7/32"])],
            &[],
        );
        let arrivals = arrivals(&[&old, &new]);
        let pairs: Vec<_> = zones(&old, &arrivals)
            .into_iter()
            .zip(zones(&new, &arrivals))
            .collect();
        let named = |name: Option<&str>| name.map(str::to_owned);
        for pair in [
            (None, None),
            (Some("here"), None),
            (Some("here"), Some("here")),
            (None, Some("there")),
        ] {
            assert!(
                pairs.contains(&(named(pair.0), named(pair.1))),
                "{pair:?} in {pairs:?}"
            );
        }
        assert_eq!(pairs.len(), 4);
    }
}
