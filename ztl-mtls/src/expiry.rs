//! Seeing that an SVID or a bundle will end, before it does.

use std::collections::BTreeMap;

use ztl_core::{SpiffeId, Timestamp, TrustDomain};

use crate::bundles::BundleSet;
use crate::svid::X509Svid;

/// What will end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiring {
    /// Our own SVID: from then on we prove nothing to anybody.
    Svid(SpiffeId),
    /// The last authority of a trust domain's bundle: from then on nobody of that domain is proved.
    Bundle(TrustDomain),
}

/// How far a life is over. Issuers renew at a half, so what reaches a sixth was not renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ExpiryStage {
    /// Half of it or less is left.
    Half,
    /// A sixth of it or less is left: a renewal is overdue.
    Sixth,
    /// Nothing is left.
    Expired,
}

/// An end that has come nearer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expiry {
    /// What ends.
    pub what: Expiring,
    /// How near the end is.
    pub stage: ExpiryStage,
    /// When it ends.
    pub not_after: Timestamp,
    /// When that was seen.
    pub now: Timestamp,
}

impl ExpiryStage {
    /// The stage of a life at `now`; `None` while more than half is left.
    #[must_use]
    pub fn of(not_before: Timestamp, not_after: Timestamp, now: Timestamp) -> Option<Self> {
        let left = not_after.since(now);
        let life = not_after.since(not_before);
        if left.is_zero() {
            Some(Self::Expired)
        } else if left <= life / 6 {
            Some(Self::Sixth)
        } else if left <= life / 2 {
            Some(Self::Half)
        } else {
            None
        }
    }
}

/// Looks at an SVID and at bundles now and then, and says each stage of each life once. What is renewed begins anew.
#[derive(Debug, Default)]
pub struct ExpiryWatch {
    svid: Option<Said>,
    bundles: BTreeMap<Box<str>, Said>,
}

#[derive(Clone, Copy, Debug)]
struct Said {
    not_after: Timestamp,
    stage: Option<ExpiryStage>,
}

impl ExpiryWatch {
    /// Begins; nothing was said yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What has come nearer since the last look.
    pub fn look(&mut self, svid: &X509Svid, bundles: &BundleSet, now: Timestamp) -> Vec<Expiry> {
        let mut news = Vec::new();
        let mut tell = |what: Expiring, not_after, stage| {
            news.push(Expiry {
                what,
                stage,
                not_after,
                now,
            });
        };
        let life = (svid.not_before(), svid.not_after());
        if let Some(stage) = observe(&mut self.svid, life, now) {
            tell(Expiring::Svid(svid.id().clone()), life.1, stage);
        }
        self.bundles
            .retain(|domain, _| bundles.get(domain).is_some());
        for bundle in bundles.iter() {
            let Some(life) = bundle.validity() else {
                continue;
            };
            let domain = bundle.trust_domain();
            let mut said = self.bundles.get(domain.as_str()).copied();
            let stage = observe(&mut said, life, now);
            if let Some(said) = said {
                self.bundles.insert(domain.as_str().into(), said);
            }
            if let Some(stage) = stage {
                tell(Expiring::Bundle(domain.clone()), life.1, stage);
            }
        }
        news
    }
}

/// The stage of a life, where it is a later one than was said.
fn observe(
    said: &mut Option<Said>,
    (not_before, not_after): (Timestamp, Timestamp),
    now: Timestamp,
) -> Option<ExpiryStage> {
    let before = said.filter(|said| said.not_after == not_after);
    let stage = ExpiryStage::of(not_before, not_after, now).max(before.and_then(|said| said.stage));
    *said = Some(Said { not_after, stage });
    stage.filter(|_| stage != before.and_then(|said| said.stage))
}
