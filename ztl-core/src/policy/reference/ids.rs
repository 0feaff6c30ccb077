//! Ids and places.

use core::net::IpAddr;

use crate::id::{IdPattern, SpiffeId};
use crate::policy::document::ZoneDecl;

use super::Asked;

impl<'a> Asked<'a> {
    /// §1.3
    pub(super) fn matches(&self, pattern: &IdPattern, id: &SpiffeId) -> bool {
        match pattern {
            IdPattern::Exact(exact) => self.primary(exact).as_ref() == Some(id),
            IdPattern::Below(above) => self
                .primary(above)
                .is_some_and(|above| id.as_str().starts_with(&format!("{above}/"))),
            IdPattern::TrustDomain(domain) => {
                let alias = self
                    .document
                    .aliases
                    .iter()
                    .any(|alias| alias.value == *domain);
                let domain = if alias {
                    &self.document.trust_domain.value
                } else {
                    domain
                };
                id.trust_domain_name() == domain.as_str()
            }
        }
    }

    /// The id in the primary trust domain; none where it does not fit there (§1.1, §1.2).
    pub(super) fn primary(&self, id: &SpiffeId) -> Option<SpiffeId> {
        let aliases = &self.document.aliases;
        let named = |domain: &str| aliases.iter().any(|alias| alias.value.as_str() == domain);
        if named(id.trust_domain_name()) {
            id.with_trust_domain(&self.document.trust_domain.value).ok()
        } else {
            Some(id.clone())
        }
    }

    /// §1.5, §1.6
    pub(super) fn zones_of(&self, addr: IpAddr) -> Option<Vec<&'a ZoneDecl>> {
        if self
            .document
            .relays
            .iter()
            .any(|relay| relay.value.contains(&addr))
        {
            return None;
        }
        let mut holding: Vec<_> = self
            .document
            .zones
            .iter()
            .flat_map(|zone| {
                zone.networks
                    .iter()
                    .map(move |network| (network.value, zone))
            })
            .collect();
        holding.retain(|(network, _)| network.contains(&addr));
        holding.sort_by_key(|(network, _)| core::cmp::Reverse(network.prefix_len()));
        (!holding.is_empty()).then(|| holding.into_iter().map(|(_, zone)| zone).collect())
    }
}
