//! Classes of callers: each distinct id, `/**`, trust domain and `any` that a rule names, and each label that a permit names, by
//! a number.
//!
//! Whoever calls belongs to a handful of them: at most one exact id, one `/**` for each segment of its path, its trust domain,
//! its labels, and `any`. Which ones is known beforehand for a declared workload, and takes one look for each length of a `/**` for anybody else.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::id::{IdPattern, SpiffeId};
use crate::policy::rule::Who;
use crate::policy::workload::Workload;
use crate::texts::{self, Texts};

/// A class's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClassIdx(u32);

/// The classes that one caller belongs to.
pub(crate) type ClassList = SmallVec<[ClassIdx; 8]>;

/// All classes that the rules of a policy name.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    exact: Texts<ClassIdx>,
    /// By the id above, without `/**`.
    below: Texts<ClassIdx>,
    /// How long those are, the longest first: nothing else need be looked for.
    lengths: Vec<usize>,
    domains: Texts<ClassIdx>,
    any: Option<ClassIdx>,
    labels: HashMap<(Arc<str>, Arc<str>), ClassIdx>,
    next: u32,
}

impl Classes {
    /// The class of a principal that speaks of ids alone; none for one that speaks of a place, a label or the public.
    pub(super) fn intern(&mut self, who: &Who, workloads: &[Workload]) -> Option<ClassIdx> {
        let next = ClassIdx(self.next);
        let mut named = |texts: &mut Texts<ClassIdx>, text: &str, hash: u64| {
            if let Some(class) = texts.get(text, hash) {
                return class;
            }
            texts.insert(text.into(), next);
            self.next = next.0.saturating_add(1);
            next
        };
        let mut of_id =
            |texts: &mut Texts<ClassIdx>, id: &SpiffeId| named(texts, id.as_str(), id.text_hash());
        match who {
            Who::Workload(index) => {
                let workload = workloads.get(usize::try_from(index.0).ok()?)?;
                Some(of_id(&mut self.exact, &workload.id))
            }
            Who::Id(IdPattern::Exact(id)) => Some(of_id(&mut self.exact, id)),
            Who::Id(IdPattern::Below(id)) => {
                let length = id.as_str().len();
                if let Err(at) = (self.lengths).binary_search_by(|other| length.cmp(other)) {
                    self.lengths.insert(at, length);
                }
                Some(of_id(&mut self.below, id))
            }
            Who::Id(IdPattern::TrustDomain(domain)) => {
                let domain = domain.as_str();
                Some(named(&mut self.domains, domain, texts::hash(domain)))
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

    /// The class of a principal as [`intern`](Self::intern) gives it; that of a label as well, which is for permits alone: whether a
    /// forbid speaks of somebody whose label is unknown has to be asked (rule 8).
    pub(super) fn intern_for_permit(
        &mut self,
        who: &Who,
        workloads: &[Workload],
    ) -> Option<ClassIdx> {
        let Who::Label { key, value } = who else {
            return self.intern(who, workloads);
        };
        let next = ClassIdx(self.next);
        let label = (Arc::clone(key), Arc::clone(value));
        let class = *self.labels.entry(label).or_insert(next);
        if class == next {
            self.next = next.0.saturating_add(1);
        }
        Some(class)
    }

    /// The classes that a declared workload belongs to.
    pub(super) fn of_workload(&self, workload: &Workload) -> ClassList {
        let mut classes = self.of(&workload.id);
        if !self.labels.is_empty() {
            let labels = workload.labels.iter();
            classes.extend(labels.filter_map(|(key, value)| {
                let label = (Arc::clone(key), Arc::clone(value));
                self.labels.get(&label).copied()
            }));
        }
        classes
    }

    /// The classes that a proved id belongs to. An id in an alias has to be mapped first.
    pub(crate) fn of(&self, id: &SpiffeId) -> ClassList {
        let mut classes = self.of_named(id.as_str(), id.text_hash(), id.trust_domain_name());
        classes.extend(self.any);
        classes
    }

    /// The classes that name an id, which is of this hash and trust domain: all but `any`.
    pub(crate) fn of_named(&self, id: &str, hash: u64, domain: &str) -> ClassList {
        let mut classes = ClassList::new();
        classes.extend(self.exact.get(id, hash));
        for length in &self.lengths {
            // `/**` is one or more segments below.
            if let Some((above, rest)) = id.split_at_checked(*length)
                && rest.starts_with('/')
            {
                classes.extend(self.below.get(above, texts::hash(above)));
            }
        }
        if !self.domains.is_empty() {
            classes.extend(self.domains.get(domain, texts::hash(domain)));
        }
        classes
    }
}
