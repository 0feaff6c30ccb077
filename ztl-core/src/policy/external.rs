//! A declared destination outside the mesh, and which addresses its hosts may have.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::zone::Arrival;

use super::Policy;
use super::document::{ExternalDecl, Mode, PortRange, RuleDecl};
use super::rule::{Rule, RuleIdx, TargetRule};
use super::workload::Workload;

/// `[external.NAME]`: hosts outside the mesh, which the Web PKI proves.
#[derive(Debug)]
pub struct External {
    pub(crate) name: Arc<str>,
    pub(crate) hosts: Vec<Arc<str>>,
    pub(crate) ports: Vec<u16>,
    pub(crate) networks: Vec<IpNet>,
    /// The rules that speak of it, each in document order.
    pub(crate) forbids: Vec<TargetRule>,
    pub(crate) permits: Vec<TargetRule>,
    pub(crate) shadow: Vec<TargetRule>,
}

impl External {
    /// As it is declared, with no rule about it yet.
    pub(super) fn declared(decl: &ExternalDecl) -> Self {
        Self {
            name: Arc::clone(&decl.name.value),
            hosts: (decl.hosts.iter())
                .map(|host| Arc::clone(&host.value))
                .collect(),
            ports: decl.ports.iter().map(|port| port.value).collect(),
            networks: decl.networks.iter().map(|network| network.value).collect(),
            forbids: Vec::new(),
            permits: Vec::new(),
            shadow: Vec::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hosts that it stands for, in lower case.
    #[must_use]
    pub fn hosts(&self) -> &[Arc<str>] {
        &self.hosts
    }

    /// The ports on which they are called.
    #[must_use]
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Whether a host of it may have this address (T27): one in its `networks`; where it states none, one that is reachable from
    /// everywhere (RFC 6890), and so neither private nor of this machine or link. v4-mapped and NAT64 forms are what they stand
    /// for (rule 35).
    ///
    /// ```
    /// use ztl_core::policy::Policy;
    ///
    /// let policy = Policy::from_toml(
    ///     "schema = 1\ntrust_domain = 'prod.example'\n[external.hub]\nhosts = ['hub.example.org']\n",
    /// )?;
    /// let hub = policy.external_by_host("hub.example.org").expect("declared");
    /// assert!(hub.admits("93.184.216.34".parse()?));
    /// assert!(!hub.admits("169.254.169.254".parse()?)); // the metadata of a cloud's machine
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn admits(&self, addr: IpAddr) -> bool {
        let Some(addr) = Arrival::from_addr(addr).addr() else {
            return false;
        };
        if self.networks.is_empty() {
            return match addr {
                IpAddr::V4(addr) => is_global_v4(addr),
                IpAddr::V6(addr) => is_global_v6(addr),
            };
        }
        self.networks.iter().any(|network| network.contains(&addr))
    }

    /// Those of its ports that a permit speaks of.
    pub(crate) fn ports_in(&self, ranges: &[PortRange]) -> Vec<PortRange> {
        let ports = self.ports.iter().copied();
        let meant = ports
            .filter(|port| ranges.is_empty() || ranges.iter().any(|range| range.contains(*port)));
        meant
            .map(|port| PortRange {
                first: port,
                last: port,
            })
            .collect()
    }
}

/// RFC 6890 §2.2.2 and the registry that it founded: what is not for one network, one machine or a book.
const fn is_global_v4(addr: Ipv4Addr) -> bool {
    !matches!(
        addr.octets(),
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

/// RFC 4291 §2.4, RFC 6890 §2.2.3: within 2000::/3, and neither a protocol's own block, a tunnel's, which hides an address of
/// IPv4, nor one for books.
const fn is_global_v6(addr: Ipv6Addr) -> bool {
    let [first, second, ..] = addr.segments();
    first & 0xe000 == 0x2000
        && !matches!(
            (first, second),
            (0x2001, 0..=0x01ff | 0x0db8) | (0x2002, _) | (0x3fff, 0..=0x0fff)
        )
}

/// Whom a rule is about: a workload, or a destination outside the mesh.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim<'a> {
    Workload(&'a Workload),
    External(&'a External),
}

impl<'a> Aim<'a> {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Workload(workload) => workload.name().to_owned(),
            Self::External(external) => format!("external:{}", external.name),
        }
    }

    pub(crate) fn workload(self) -> Option<&'a Workload> {
        match self {
            Self::Workload(workload) => Some(workload),
            Self::External(_) => None,
        }
    }

    pub(crate) fn forbids(self) -> &'a [TargetRule] {
        match self {
            Self::Workload(workload) => &workload.forbids,
            Self::External(external) => &external.forbids,
        }
    }

    pub(crate) fn permits(self) -> &'a [TargetRule] {
        match self {
            Self::Workload(workload) => &workload.permits,
            Self::External(external) => &external.permits,
        }
    }

    pub(crate) fn shadow(self) -> &'a [TargetRule] {
        match self {
            Self::Workload(workload) => &workload.shadow,
            Self::External(external) => &external.shadow,
        }
    }

    /// All rules that speak of it as target.
    pub(crate) fn rules(self) -> impl Iterator<Item = &'a TargetRule> {
        let permits = self.permits().iter();
        self.forbids().iter().chain(permits).chain(self.shadow())
    }

    /// The enforced rules that speak of it on a port, with how each is written.
    pub(crate) fn enforced(
        self,
        policy: &'a Policy,
        port: u16,
    ) -> impl Iterator<Item = (RuleIdx, &'a Rule, &'a RuleDecl)> {
        self.rules()
            .filter(move |entry| entry.covers_port(port))
            .filter_map(|entry| {
                let at = usize::try_from(entry.rule.0).ok()?;
                let decl = policy.document().rules.get(at)?;
                Some((entry.rule, policy.rule(entry.rule)?, decl))
            })
            .filter(|(_, rule, _)| rule.mode == Mode::Enforce)
    }

    /// The ports that it declares.
    pub(crate) fn ports(self) -> impl Iterator<Item = u16> {
        let (ports, public): (&[u16], &[u16]) = match self {
            Self::Workload(workload) => (&workload.ports, &workload.public_ports),
            Self::External(external) => (&external.ports, &[]),
        };
        ports.iter().chain(public).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn external(networks: &[&str]) -> External {
        External {
            name: "x".into(),
            hosts: Vec::new(),
            ports: vec![443],
            networks: networks
                .iter()
                .map(|network| network.parse().expect("network"))
                .collect(),
            forbids: Vec::new(),
            permits: Vec::new(),
            shadow: Vec::new(),
        }
    }

    #[test]
    fn t27_only_what_is_reachable_from_everywhere_is_an_address_of_a_host_outside() {
        let admits = |addr: &str| external(&[]).admits(addr.parse().expect("address"));
        for good in [
            "1.1.1.1",
            "93.184.216.34",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "100.63.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(admits(good), "{good}");
        }
        for bad in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b:1::a00:1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!admits(bad), "{bad}");
        }
    }

    #[test]
    fn t27_networks_that_are_written_are_all_there_are() {
        let inner = external(&["10.2.0.0/16", "fd00:2::/32"]);
        let admits = |addr: &str| inner.admits(addr.parse().expect("address"));
        assert!(admits("10.2.3.4") && admits("fd00:2::1") && admits("::ffff:10.2.3.4"));
        assert!(!admits("10.3.0.1") && !admits("1.1.1.1") && !admits("127.0.0.1"));
    }
}
