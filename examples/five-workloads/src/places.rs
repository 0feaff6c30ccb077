//! Who stands where: each workload, the user and the attacker at an address of their own, which is how zones are real on
//! loopback.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener};

use ztl_core::policy::{Policy, Span};

use crate::document::{DocumentError, declared};
use crate::services::NAMES;

/// The zone that users come from.
const OUTSIDE: &str = "outside";
/// An address that the policy names nowhere.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 99, 99));
/// The only loopback address that every system has.
const ONE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The addresses of a run.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    workloads: HashMap<&'static str, IpAddr>,
    pub(crate) user: IpAddr,
    pub(crate) stray: IpAddr,
    pub(crate) nowhere: IpAddr,
    /// Whether each has its own.
    pub(crate) are_real: bool,
}

impl Places {
    /// Hands out the addresses of the policy's zones; 127.0.0.1 to everybody where the system has no such addresses.
    pub(crate) fn of(policy: &Policy, one_address: bool) -> Result<Self, DocumentError> {
        let mut taken: HashMap<&str, usize> = HashMap::from([(OUTSIDE, 2)]);
        let mut workloads = HashMap::new();
        for name in NAMES {
            let address = match &declared(policy, name)?.zone {
                None => ONE,
                Some(zone) => {
                    let at = taken.entry(&zone.value).or_default();
                    *at += 1;
                    host(policy, &zone.value, *at)?
                }
            };
            workloads.insert(name, address);
        }
        let places = Self {
            workloads,
            user: host(policy, OUTSIDE, 1)?,
            stray: host(policy, OUTSIDE, 2)?,
            nowhere: NOWHERE,
            are_real: true,
        };
        Ok(if one_address || !places.exist() {
            Self::one()
        } else {
            places
        })
    }

    /// Everybody at 127.0.0.1.
    fn one() -> Self {
        Self {
            workloads: NAMES.iter().map(|name| (*name, ONE)).collect(),
            user: ONE,
            stray: ONE,
            nowhere: ONE,
            are_real: false,
        }
    }

    pub(crate) fn of_workload(&self, name: &str) -> IpAddr {
        self.workloads.get(name).copied().unwrap_or(ONE)
    }

    /// Whether this system lets us listen there.
    fn exist(&self) -> bool {
        self.workloads
            .values()
            .chain([&self.user, &self.stray, &self.nowhere])
            .all(|address| TcpListener::bind((*address, 0)).is_ok())
    }
}

/// What has to change in a document whose zones cannot be told apart here: all stand in one zone, which is 127.0.0.1.
pub(crate) fn in_one_zone(policy: &Policy) -> Vec<(Span, String)> {
    let document = policy.document();
    let Some(zone) = document.zones.first() else {
        return Vec::new();
    };
    let networks = zone.networks.iter().enumerate().map(|(at, network)| {
        let alone = format!("\"127.0.0.{}/32\"", at.saturating_add(1));
        (network.span, alone)
    });
    let standing = document.workloads.iter().filter_map(|workload| {
        let stands = workload.zone.as_ref()?;
        Some((stands.span, format!("\"{}\"", zone.name.value)))
    });
    networks.chain(standing).collect()
}

/// The `at`-th address of a zone, from 1.
fn host(policy: &Policy, zone: &str, at: usize) -> Result<IpAddr, DocumentError> {
    let declared = policy
        .document()
        .zones
        .iter()
        .find(|declared| &*declared.name.value == zone)
        .ok_or_else(|| DocumentError::Unfit(format!("it declares no zone `{zone}`")))?;
    let network = declared.networks.first().map(|network| network.value);
    network
        .and_then(|network| network.hosts().nth(at.saturating_sub(1)))
        .filter(IpAddr::is_loopback)
        .ok_or_else(|| {
            let why = format!(
                "the zone `{zone}` has no loopback network to spare; write one of 127.0.x.0/24"
            );
            DocumentError::Unfit(why)
        })
}
