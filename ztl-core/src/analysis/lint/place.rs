//! Where zones are.

use std::collections::HashSet;

use ipnet::IpNet;

use crate::policy::{Document, Spanned};

use super::finding::Found;
use super::kinds::Lint;

/// Networks of one zone within those of another. A prefix of length 0 is the rest of the world, and nothing lies in it by mistake.
pub(super) fn check(document: &Document, found: &mut Found) {
    let mut networks: Vec<(&Spanned<IpNet>, &str)> = Vec::new();
    for zone in &document.zones {
        let of_zone = zone
            .networks
            .iter()
            .filter(|net| net.value.prefix_len() > 0);
        networks.extend(of_zone.map(|network| (network, &*zone.name.value)));
    }
    // Each network comes right after those that hold it, the wider first.
    networks.sort_by_key(|(net, _)| (net.value.network(), net.value.prefix_len()));
    let mut told: HashSet<(&str, &str)> = HashSet::new();
    let mut around: Vec<(&IpNet, &str)> = Vec::new();
    for (network, zone) in networks {
        let first = network.value.network();
        while around
            .last()
            .is_some_and(|(wide, _)| !wide.contains(&first))
        {
            around.pop();
        }
        if let Some((wide, other)) = around.last()
            && *other != zone
            && told.insert((zone, *other))
        {
            let inner = network.value;
            found.add(
                Lint::NestedZones,
                network.span,
                format!("`{inner}` of the zone `{zone}` lies within `{wide}` of the zone `{other}`: the longest prefix wins, so permits for `{other}` do not speak of it"),
                format!("list in `{other}` the networks that are left, unless that is what you mean; a forbid for `{other}` speaks of `{inner}` too"),
            );
        }
        around.push((&network.value, zone));
    }
}
