//! Who decides.

#[cfg(feature = "peers")]
mod casbin;
mod cedar;
mod hand;
#[cfg(feature = "peers")]
mod rego;
mod ztl;

#[cfg(feature = "peers")]
pub use casbin::Casbin;
pub use cedar::Cedar;
pub use hand::{Bound, Tuned};
#[cfg(feature = "peers")]
pub use rego::Rego;
pub use ztl::{Loaded, Part, PolicyText, Ring, Void, Ztl};

use crate::mesh::{Mesh, Query, Questions};

/// Something that answers the questions it was made for.
pub trait Engine {
    /// Whether this is permitted; `at` is the place of the question among those that the engine was made for.
    fn permits(&self, at: usize, query: &Query) -> bool;
}

/// An engine and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A hash of target and caller, and a small matcher: what is physically reachable.
    HandTuned,
    /// The same with target and caller looked up once.
    HandBound,
    /// `Action::request`, `permit_flow` and `authorize`: a request on a new connection. The audit takes every record and
    /// keeps none.
    Ztl,
    /// The same with the action named beforehand: `permit_flow` and `authorize` alone.
    ZtlCalls,
    /// `permit_flow` alone.
    ZtlFlow,
    /// `Action::request` and `authorize` on a permit that is kept: a request on an open connection.
    ZtlRequest,
    /// `authorize` alone.
    ZtlAuthorize,
    /// `authorize` alone with an audit that keeps the last records in memory.
    ZtlAuthorizeRing,
    /// `permit_flow` alone with such an audit.
    ZtlFlowRing,
    /// `permit_flow` and `authorize`, asked only about what is denied.
    ZtlDenied,
    /// The same with every denial explained: its deciding rule and first failing clause.
    ZtlDeniedExplained,
    /// `authorize` alone, asked only about what is denied on permitted flows.
    ZtlRefused,
    /// The same with every denial explained.
    ZtlRefusedExplained,
    /// The pure function `decide`, with `Action::request`.
    ZtlDecide,
    /// Cedar in its best form: one policy, every grant in the data, the route found first.
    Cedar,
    /// Rego on regorus's register machine.
    #[cfg(feature = "peers")]
    Rego,
    /// casbin; tries every line, so that it is asked only where there are few.
    #[cfg(feature = "peers")]
    Casbin,
}

impl Kind {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::HandTuned,
        Self::HandBound,
        Self::Ztl,
        Self::ZtlCalls,
        Self::ZtlFlow,
        Self::ZtlRequest,
        Self::ZtlAuthorize,
        Self::ZtlAuthorizeRing,
        Self::ZtlFlowRing,
        Self::ZtlDenied,
        Self::ZtlDeniedExplained,
        Self::ZtlRefused,
        Self::ZtlRefusedExplained,
        Self::ZtlDecide,
        Self::Cedar,
        #[cfg(feature = "peers")]
        Self::Rego,
        #[cfg(feature = "peers")]
        Self::Casbin,
    ];

    /// The engines that can be asked about so many rules.
    pub fn at(size: usize) -> impl Iterator<Item = Self> {
        let few = size <= 1_000;
        let kinds = Self::ALL.iter().copied();
        kinds.filter(move |kind| few || kind.name() != "casbin")
    }

    /// Its name in tables and results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HandTuned => "hand-tuned",
            Self::HandBound => "hand-bound",
            Self::Ztl => "ztl",
            Self::ZtlCalls => "ztl-calls",
            Self::ZtlFlow => "ztl-flow",
            Self::ZtlRequest => "ztl-request",
            Self::ZtlAuthorize => "ztl-authorize",
            Self::ZtlAuthorizeRing => "ztl-authorize-ring",
            Self::ZtlFlowRing => "ztl-flow-ring",
            Self::ZtlDenied => "ztl-denied",
            Self::ZtlDeniedExplained => "ztl-denied-explained",
            Self::ZtlRefused => "ztl-refused",
            Self::ZtlRefusedExplained => "ztl-refused-explained",
            Self::ZtlDecide => "ztl-decide",
            Self::Cedar => "cedar",
            #[cfg(feature = "peers")]
            Self::Rego => "regorus-rvm",
            #[cfg(feature = "peers")]
            Self::Casbin => "casbin",
        }
    }

    /// The engine of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Whether it starts from a connection whose flow is permitted: it is asked only about those.
    #[must_use]
    pub const fn is_bound(self) -> bool {
        matches!(
            self,
            Self::HandBound
                | Self::ZtlRequest
                | Self::ZtlAuthorize
                | Self::ZtlAuthorizeRing
                | Self::ZtlRefused
                | Self::ZtlRefusedExplained
        )
    }

    /// Whether it is asked only about what is denied.
    #[must_use]
    pub const fn is_denied(self) -> bool {
        matches!(
            self,
            Self::ZtlDenied
                | Self::ZtlDeniedExplained
                | Self::ZtlRefused
                | Self::ZtlRefusedExplained
        )
    }

    /// The questions that it is asked.
    #[must_use]
    pub const fn of(self, questions: &Questions) -> &Vec<Query> {
        match (self.is_bound(), self.is_denied()) {
            (false, false) => &questions.any,
            (true, false) => &questions.bound,
            (false, true) => &questions.denied,
            (true, true) => &questions.refused,
        }
    }

    /// Whether it answers only for the flow.
    #[must_use]
    pub const fn is_flow_only(self) -> bool {
        matches!(self, Self::ZtlFlow | Self::ZtlFlowRing)
    }

    /// What it should say.
    #[must_use]
    pub const fn expects(self, query: &Query) -> bool {
        if self.is_flow_only() {
            query.flow
        } else {
            query.permitted
        }
    }

    /// Makes it.
    #[must_use]
    pub fn build<'a>(
        self,
        mesh: &Mesh,
        loaded: &Loaded,
        queries: &'a [Query],
    ) -> Box<dyn Engine + 'a> {
        let ztl = |part| Ztl::new(loaded.silent(), part, queries);
        let explained = |part| Ztl::new(loaded.explaining(), part, queries);
        let ring = |part| Ztl::new(loaded.kept(), part, queries);
        match self {
            Self::HandTuned => Box::new(Tuned::new(mesh)),
            Self::HandBound => Box::new(Bound::new(mesh, queries)),
            Self::Ztl => Box::new(ztl(Part::Whole)),
            Self::ZtlCalls => Box::new(ztl(Part::Calls)),
            Self::ZtlFlow => Box::new(ztl(Part::Flow)),
            Self::ZtlRequest => Box::new(ztl(Part::Request)),
            Self::ZtlAuthorize => Box::new(ztl(Part::Authorize)),
            Self::ZtlAuthorizeRing => Box::new(ring(Part::Authorize)),
            Self::ZtlFlowRing => Box::new(ring(Part::Flow)),
            Self::ZtlDenied => Box::new(ztl(Part::Calls)),
            Self::ZtlDeniedExplained => Box::new(explained(Part::Calls)),
            Self::ZtlRefused => Box::new(ztl(Part::Authorize)),
            Self::ZtlRefusedExplained => Box::new(explained(Part::Authorize)),
            Self::ZtlDecide => Box::new(ztl(Part::Decide)),
            Self::Cedar => Box::new(Cedar::new(mesh)),
            #[cfg(feature = "peers")]
            Self::Rego => Box::new(Rego::new(mesh)),
            #[cfg(feature = "peers")]
            Self::Casbin => Box::new(Casbin::new(mesh)),
        }
    }
}

/// Asks everything once and compares each answer with the right one.
///
/// # Panics
/// Where an answer is wrong: the figures of an engine that decides otherwise mean nothing.
pub fn agree(kind: Kind, engine: &dyn Engine, queries: &[Query]) {
    for (at, query) in queries.iter().enumerate() {
        let (said, right) = (engine.permits(at, query), kind.expects(query));
        assert_eq!(said, right, "{} about {query:?}", kind.name());
    }
}
