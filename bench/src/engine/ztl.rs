//! ztl itself, whole and in parts.

use std::cell::OnceCell;
use std::hint::black_box;
use std::sync::Arc;

use ztl_core::audit::{AuditError, MemorySink, Record, Sink};
use ztl_core::policy::{Document, Format, Input, Loader, Policy, decide};
use ztl_core::{
    Action, Arrival, Engine as Core, Evidence, Flow, FlowPermit, PathError, Peer, Proof, Reason,
    SpiffeId, Timestamp,
};

use super::Engine;
use crate::document::{self, PORT};
use crate::mesh::{Mesh, Query};

/// When everything is decided.
const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);
/// How many records the ring keeps.
const KEPT: usize = 64;

/// A policy document as text.
#[derive(Clone, Debug)]
pub struct PolicyText(String);

impl PolicyText {
    /// The mesh's, in TOML.
    #[must_use]
    pub fn of(mesh: &Mesh) -> Self {
        Self(document::toml(mesh, PORT))
    }

    /// How long it is.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Reads it, and no more.
    #[must_use]
    pub fn read(&self) -> Document {
        let read = Loader::new().read(&self.0, Format::Toml);
        read.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Loads it.
    #[must_use]
    pub fn load(&self) -> Policy {
        Policy::from_toml(&self.0).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// An audit that looks at every record and keeps none, so that only the decision is measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Void;

impl Sink for Void {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        black_box(record);
        Ok(())
    }
}

/// The audit that keeps the last records in memory.
#[derive(Debug)]
pub struct Ring(MemorySink);

impl Default for Ring {
    fn default() -> Self {
        Self(MemorySink::new(KEPT))
    }
}

impl Sink for Ring {
    fn record(&self, record: &Record<'_>) -> Result<(), AuditError> {
        self.0.record(record)
    }
}

/// Which calls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// Name the action, permit the flow, authorize the action.
    Whole,
    /// Permit the flow, authorize an action that is named.
    Calls,
    /// Permit the flow.
    Flow,
    /// Name the action, authorize it on the kept permit.
    Request,
    /// Authorize an action that is named, on the kept permit.
    Authorize,
    /// Name the action and ask the pure function.
    Decide,
}

/// The policy of one mesh in three engines, loaded when it is first asked for.
#[derive(Debug)]
pub struct Loaded {
    text: PolicyText,
    silent: OnceCell<Arc<Core>>,
    kept: OnceCell<Arc<Core>>,
    explaining: OnceCell<Arc<Core>>,
}

impl Loaded {
    /// Of this mesh.
    #[must_use]
    pub fn new(mesh: &Mesh) -> Self {
        Self {
            text: PolicyText::of(mesh),
            silent: OnceCell::new(),
            kept: OnceCell::new(),
            explaining: OnceCell::new(),
        }
    }

    /// The engine whose audit keeps nothing.
    pub fn silent(&self) -> &Arc<Core> {
        self.silent.get_or_init(|| Arc::new(self.engine(Void)))
    }

    /// The engine whose audit keeps the last records.
    pub fn kept(&self) -> &Arc<Core> {
        self.kept
            .get_or_init(|| Arc::new(self.engine(Ring::default())))
    }

    /// The engine that says of every denial what it hung on.
    pub fn explaining(&self) -> &Arc<Core> {
        self.explaining
            .get_or_init(|| Arc::new(self.engine(Void).explain_denials(true)))
    }

    fn engine(&self, sink: impl Sink + 'static) -> Core {
        Core::new(self.text.load(), sink).expect("random bits")
    }
}

/// The engine with its peers proved, its permits kept and its actions named, as far as the part needs it.
#[derive(Debug)]
pub struct Ztl<'a> {
    part: Part,
    core: Arc<Core>,
    policy: Arc<Policy>,
    peers: Vec<Peer>,
    permits: Vec<FlowPermit>,
    actions: Vec<Result<Action<'a>, PathError>>,
}

impl<'a> Ztl<'a> {
    /// Does once what a connection does once.
    #[must_use]
    pub fn new(core: &Arc<Core>, part: Part, queries: &'a [Query]) -> Self {
        let mut ztl = Self {
            part,
            core: Arc::clone(core),
            policy: core.policy(),
            peers: queries.iter().map(|query| peer(&query.caller)).collect(),
            permits: Vec::new(),
            actions: Vec::new(),
        };
        if matches!(part, Part::Request | Part::Authorize) {
            let permits = queries.iter().enumerate();
            ztl.permits = permits
                .map(|(at, query)| ztl.permit(at, query).expect("permitted"))
                .collect();
        }
        if matches!(part, Part::Calls | Part::Authorize) {
            ztl.actions = queries.iter().map(action).collect();
        }
        ztl
    }

    // Inlined all three, so that what is measured is the engine and not how the harness calls itself.
    #[inline(always)]
    fn flow<'q>(&'q self, at: usize, query: &'q Query) -> Flow<'q> {
        Flow::ingress(
            &query.target,
            PORT,
            Arrival::unknown(),
            Some(&self.peers[at]),
        )
    }

    #[inline(always)]
    fn permit(&self, at: usize, query: &Query) -> Option<FlowPermit> {
        self.core.permit_flow(&self.flow(at, query), NOW).ok()
    }

    #[inline(always)]
    fn authorize(&self, permit: &FlowPermit, action: &Result<Action<'_>, PathError>) -> bool {
        match action {
            Ok(action) => self
                .core
                .authorize(permit, action, &Evidence::none(), NOW)
                .is_ok(),
            Err(_) => {
                black_box(
                    self.core
                        .refuse_on(permit, None, Reason::PathAmbiguous, NOW),
                );
                false
            }
        }
    }
}

impl Engine for Ztl<'_> {
    fn permits(&self, at: usize, query: &Query) -> bool {
        match self.part {
            Part::Whole => {
                let action = action(query);
                let permit = self.permit(at, query);
                permit.is_some_and(|permit| self.authorize(&permit, &action))
            }
            Part::Calls => {
                let permit = self.permit(at, query);
                permit.is_some_and(|permit| self.authorize(&permit, &self.actions[at]))
            }
            Part::Flow => self.permit(at, query).is_some(),
            Part::Request => self.authorize(&self.permits[at], &action(query)),
            Part::Authorize => self.authorize(&self.permits[at], &self.actions[at]),
            Part::Decide => {
                let input = Input::new(self.flow(at, query)).with_action(action(query));
                decide(&self.policy, &input, NOW).reason == Reason::Permitted
            }
        }
    }
}

fn action(query: &Query) -> Result<Action<'_>, PathError> {
    Action::request(query.method_name(), &query.path)
}

fn peer(id: &str) -> Peer {
    let proof = Proof::X509 {
        id: SpiffeId::parse(id).expect("a SPIFFE ID"),
        leaf_sha256: [7; 32].into(),
        serial: Box::new([1]),
        not_after: Timestamp::MAX,
    };
    Peer::assertion(proof, "made up for a bench")
}
