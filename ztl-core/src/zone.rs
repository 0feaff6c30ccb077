//! Zones: named network places, and where a connection arrives from.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

/// A named network place with a trust level, higher being better trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: Arc<str>,
    trust: u8,
}

impl Zone {
    pub(crate) fn new(name: &str, trust: u8) -> Self {
        Self {
            name: name.into(),
            trust,
        }
    }

    /// Its name in the policy.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its trust level.
    #[must_use]
    pub const fn trust(&self) -> u8 {
        self.trust
    }
}

/// Where a connection arrives from. Holds the address only: its zone depends on the policy in force and is computed with it.
///
/// ```
/// use ztl_core::Arrival;
///
/// let arrival = Arrival::from_addr("::ffff:10.10.0.7".parse()?);
/// assert_eq!(arrival.addr(), Some("10.10.0.7".parse()?)); // v4-mapped forms are one address
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Arrival {
    addr: Option<IpAddr>,
}

impl Arrival {
    /// From a network address, in its normal form (rule 35).
    #[must_use]
    pub const fn from_addr(addr: IpAddr) -> Self {
        Self {
            addr: Some(normal(addr)),
        }
    }

    /// From somewhere without an address, or an unknown one: in no zone (T26).
    #[must_use]
    pub const fn unknown() -> Self {
        Self { addr: None }
    }

    /// The normalised address.
    #[must_use]
    pub const fn addr(&self) -> Option<IpAddr> {
        self.addr
    }
}

/// One address has one form: v4-mapped (RFC 4291 §2.5.5.2) and NAT64 (RFC 6052 §2.1, `64:ff9b::/96`) become IPv4.
const fn normal(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(_) => addr,
        IpAddr::V6(v6) => match v6.segments() {
            [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
                IpAddr::V4(last_four(v6))
            }
            _ => addr,
        },
    }
}

const fn last_four(addr: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = addr.octets();
    Ipv4Addr::new(a, b, c, d)
}

/// A zone's place in its [`ZoneMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ZoneIdx(pub(crate) u16);

/// All zones of a policy: address to zone by the longest prefix.
#[derive(Clone, Debug, Default)]
pub struct ZoneMap {
    zones: Vec<Zone>,
    // The most specific first, so that the first hit is the longest prefix.
    networks: Vec<(IpNet, ZoneIdx)>,
    relays: Vec<IpNet>,
}

impl ZoneMap {
    pub(crate) fn new(
        zones: Vec<Zone>,
        mut networks: Vec<(IpNet, ZoneIdx)>,
        relays: Vec<IpNet>,
    ) -> Self {
        networks.sort_by_key(|(network, _)| core::cmp::Reverse(network.prefix_len()));
        Self {
            zones,
            networks,
            relays,
        }
    }

    /// All zones, in document order.
    pub fn iter(&self) -> impl Iterator<Item = &Zone> {
        self.zones.iter()
    }

    /// The zone of the longest prefix that holds the arrival's address. None for an unknown address, one in no zone, and a
    /// relay's, behind which anyone may stand.
    #[must_use]
    pub fn zone_of(&self, arrival: &Arrival) -> Option<&Zone> {
        self.index_of(arrival).and_then(|index| self.get(index))
    }

    pub(crate) fn named(&self, name: &str) -> Option<ZoneIdx> {
        let at = self.zones.iter().position(|zone| zone.name() == name)?;
        u16::try_from(at).ok().map(ZoneIdx)
    }

    /// Some address in the zone, by the longest prefix.
    pub(crate) fn example(&self, zone: ZoneIdx) -> Option<Arrival> {
        let of = self.networks.iter().filter(|(_, owner)| *owner == zone);
        let ends = of.flat_map(|(network, _)| {
            let second = network.hosts().nth(1);
            [second, Some(network.network()), Some(network.broadcast())]
        });
        let mut arrivals = ends.flatten().map(Arrival::from_addr);
        arrivals.find(|arrival| self.index_of(arrival) == Some(zone))
    }

    /// Whether an address could be in a network of both.
    pub(crate) fn overlap(&self, one: ZoneIdx, two: ZoneIdx) -> bool {
        let of = |zone| {
            self.networks
                .iter()
                .filter(move |(_, owner)| *owner == zone)
        };
        one == two
            || of(one).any(|(network, _)| {
                of(two).any(|(other, _)| network.contains(other) || other.contains(network))
            })
    }

    pub(crate) fn get(&self, index: ZoneIdx) -> Option<&Zone> {
        self.zones.get(usize::from(index.0))
    }

    pub(crate) fn index_of(&self, arrival: &Arrival) -> Option<ZoneIdx> {
        let addr = self.addr_in_a_zone(arrival)?;
        self.networks
            .iter()
            .find(|(network, _)| network.contains(&addr))
            .map(|(_, zone)| *zone)
    }

    /// Whether any network of the zone holds the address, the longest or not; `None` where its place is unknown. A forbid
    /// asks this, a permit asks [`index_of`](Self::index_of) (T26).
    pub(crate) fn any_holds(&self, zone: ZoneIdx, arrival: &Arrival) -> Option<bool> {
        let addr = self.addr_in_a_zone(arrival)?;
        let mut known = false;
        for (network, owner) in &self.networks {
            if network.contains(&addr) {
                known = true;
                if *owner == zone {
                    return Some(true);
                }
            }
        }
        known.then_some(false)
    }

    fn addr_in_a_zone(&self, arrival: &Arrival) -> Option<IpAddr> {
        let addr = arrival.addr?;
        (!self.relays.iter().any(|relay| relay.contains(&addr))).then_some(addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> ZoneMap {
        let net = |text: &str| text.parse::<IpNet>().expect("network");
        ZoneMap::new(
            vec![Zone::new("wide", 1), Zone::new("narrow", 3)],
            vec![
                (net("10.0.0.0/8"), ZoneIdx(0)),
                (net("10.10.0.0/16"), ZoneIdx(1)),
                (net("fd00::/8"), ZoneIdx(0)),
            ],
            vec![net("10.10.9.9/32")],
        )
    }

    fn at(text: &str) -> Arrival {
        Arrival::from_addr(text.parse().expect("address"))
    }

    #[test]
    fn rule_35_the_longest_prefix_wins_and_forms_are_normalised() {
        let zones = map();
        let name = |text| zones.zone_of(&at(text)).map(Zone::name);
        assert_eq!(name("10.10.1.1"), Some("narrow"));
        assert_eq!(name("10.11.1.1"), Some("wide"));
        assert_eq!(name("::ffff:10.10.1.1"), Some("narrow"));
        assert_eq!(name("64:ff9b::a0a:101"), Some("narrow"));
        assert_eq!(name("fd00::1"), Some("wide"));
        assert_eq!(name("192.0.2.1"), None);
        assert_eq!(zones.zone_of(&Arrival::unknown()), None);
    }

    #[test]
    fn t26_a_relay_is_in_no_zone_and_a_forbid_sees_every_containing_zone() {
        let zones = map();
        assert_eq!(zones.zone_of(&at("10.10.9.9")), None);
        assert_eq!(zones.any_holds(ZoneIdx(0), &at("10.10.9.9")), None);
        assert_eq!(zones.any_holds(ZoneIdx(0), &at("10.10.1.1")), Some(true));
        assert_eq!(zones.any_holds(ZoneIdx(1), &at("10.11.1.1")), Some(false));
        assert_eq!(zones.any_holds(ZoneIdx(1), &at("192.0.2.1")), None);
    }
}
