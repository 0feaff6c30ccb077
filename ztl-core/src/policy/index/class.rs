//! Classes of callers: each distinct id, `/**`, trust domain and `any` that a rule names, by a number.
//!
//! Whoever calls belongs to a handful of them: at most one exact id, one `/**` for each segment of its path, its trust domain,
//! and `any`. Which ones is known beforehand for a declared workload, and takes one look for each segment for anybody else.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::id::{IdPattern, SpiffeId};
use crate::policy::rule::Who;
use crate::policy::workload::Workload;

use super::Hashed;

/// A class's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClassIdx(u32);

/// The classes that one caller belongs to.
pub(crate) type ClassList = SmallVec<[ClassIdx; 8]>;

/// All classes that the rules of a policy name.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    exact: HashMap<Arc<str>, ClassIdx, Hashed>,
    /// By the id above, without `/**`.
    below: HashMap<Arc<str>, ClassIdx, Hashed>,
    /// The length of the longest of them: what is longer need not be looked for.
    longest_below: usize,
    domains: HashMap<Arc<str>, ClassIdx, Hashed>,
    any: Option<ClassIdx>,
    next: u32,
}

impl Classes {
    /// The class of a principal that speaks of ids alone; none for one that speaks of a place, a label or the public.
    pub(super) fn intern(&mut self, who: &Who, workloads: &[Workload]) -> Option<ClassIdx> {
        let next = ClassIdx(self.next);
        let mut named = |map: &mut HashMap<Arc<str>, ClassIdx, Hashed>, text: &str| {
            if let Some(class) = map.get(text) {
                return *class;
            }
            map.insert(text.into(), next);
            self.next = next.0.saturating_add(1);
            next
        };
        match who {
            Who::Workload(index) => {
                let workload = workloads.get(usize::try_from(index.0).ok()?)?;
                Some(named(&mut self.exact, workload.id.as_str()))
            }
            Who::Id(IdPattern::Exact(id)) => Some(named(&mut self.exact, id.as_str())),
            Who::Id(IdPattern::Below(id)) => {
                self.longest_below = self.longest_below.max(id.as_str().len());
                Some(named(&mut self.below, id.as_str()))
            }
            Who::Id(IdPattern::TrustDomain(domain)) => {
                Some(named(&mut self.domains, domain.as_str()))
            }
            Who::Any => {
                if self.any.is_none() {
                    self.any = Some(next);
                    self.next = next.0.saturating_add(1);
                }
                self.any
            }
            Who::Label { .. } | Who::Zone(_) | Who::Public => None,
        }
    }

    /// The classes that a proved id belongs to. An id in an alias has to be mapped first.
    pub(crate) fn of(&self, id: &SpiffeId) -> ClassList {
        let mut classes = self.of_named(id.as_str(), id.trust_domain_name());
        classes.extend(self.any);
        classes
    }

    /// The classes that name an id, which is of this trust domain: all but `any`.
    pub(crate) fn of_named(&self, id: &str, domain: &str) -> ClassList {
        let mut classes = ClassList::new();
        classes.extend(self.exact.get(id).copied());
        if !self.below.is_empty() {
            // `/**` is one or more segments below; the path begins behind the trust domain.
            let root = "spiffe://".len() + domain.len();
            let mut above = id;
            while above.len() > root
                && let Some((parent, _)) = above.rsplit_once('/')
            {
                if parent.len() <= self.longest_below {
                    classes.extend(self.below.get(parent).copied());
                }
                above = parent;
            }
        }
        classes.extend(self.domains.get(domain).copied());
        classes
    }
}
