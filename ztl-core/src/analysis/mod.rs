//! Questions about a whole document: who can reach what, and what a change of it changes.
//!
//! A document's language is finite where it matters: callers, places, ports, methods and paths that no rule tells apart are
//! answered alike. So these questions are answered exactly, by trying one of each kind, without a solver.

mod among;
mod asked;
mod caller;
mod compare;
mod diff;
mod edge;
mod facts;
pub mod lint;
mod need;
mod outward;
mod place;
mod reach;
mod routes;

pub(crate) use asked::{ActionSpace, Asked};
pub(crate) use caller::undeclared;
pub use diff::{
    Caller, Change, Diff, DocumentChange, MAX_ACTIONS_OF_EDGE, MAX_COMPARED_ACTIONS, Otherwise,
    ReplayError, Replayed, TooLarge, diff, replay,
};
pub(crate) use edge::Need;
pub(crate) use facts::{MadeUp, NOW, beside};
pub(crate) use reach::{Chains, Counting, Mesh, Start, Step, Way};
pub use reach::{
    Reach, ReachEdge, ReachError, ReachExit, ReachOptions, Reached, ReachedBy, ReachedFrom, Use,
    reach, reached_by,
};
pub use routes::{IdleAction, RouteCheck, routes};
