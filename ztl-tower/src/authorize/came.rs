//! How a request came.

#[cfg(feature = "serve")]
use std::sync::Arc;

use http::request::Parts;
#[cfg(feature = "serve")]
use ztl_core::Denial;
use ztl_core::{Direction, FlowPermit};

use crate::extract::ActionPermit;
use crate::guard::Guard;
use crate::live::Asking;

/// On which flow a request came, into this workload and no other.
pub(crate) struct Came {
    pub(super) flow: FlowPermit,
    /// The request itself, where a listener of ours took it.
    pub(super) asking: Option<Asking>,
    /// Where the flow was permitted just now: which policy and which evidence were in force before.
    pub(super) under: Option<(u64, u64)>,
}

impl Came {
    /// By what stands in its extensions: the permit that a host put there, which is taken out, or that of a layer further out.
    ///
    /// # Errors
    /// Nobody let it in; or a listener of ours took it and it is over, and then on which flow that was.
    pub(super) fn of(guard: &Guard, parts: &mut Parts) -> Result<Self, Option<FlowPermit>> {
        let given = parts.extensions.remove::<FlowPermit>();
        let earlier: Option<&ActionPermit> = parts.extensions.get();
        let flow = given.or_else(|| earlier.map(|earlier| earlier.flow().clone()));
        let flow = flow.filter(|flow| is_ours(guard, flow)).ok_or(None)?;
        let asking = match earlier.and_then(|earlier| earlier.given_for.link.as_ref()) {
            // Law 8: over, it is nobody's to ask with.
            Some(link) => Some(link.asking().ok_or_else(|| Some(flow.clone()))?),
            None => None,
        };
        Ok(Self {
            flow,
            asking,
            under: None,
        })
    }

    /// On a connection of a listener of ours, whatever stands in its extensions.
    ///
    /// # Errors
    /// [`Denial`]: the connection is no longer permitted.
    #[cfg(feature = "serve")]
    pub(super) fn on(
        guard: &Guard,
        parts: &mut Parts,
        request: &Arc<crate::live::Request>,
    ) -> Result<Option<Self>, Denial> {
        parts.extensions.remove::<FlowPermit>();
        // Before the flow: what changes from here on is noticed when the request is judged.
        let under = (guard.engine().epoch(), guard.evidence_generation());
        let asking = Asking::of(request);
        let flow = asking.renew(guard)?;
        Ok(is_ours(guard, &flow).then_some(Self {
            flow,
            asking: Some(asking),
            under: Some(under),
        }))
    }

    /// The same to be judged later, when the flow may have to be permitted again.
    pub(super) fn later(self) -> Self {
        Self {
            under: None,
            ..self
        }
    }
}

fn is_ours(guard: &Guard, flow: &FlowPermit) -> bool {
    flow.direction() == Direction::Ingress && flow.me() == guard.name()
}

/// The flow on which a request was judged.
pub(crate) fn judged_on(parts: &Parts) -> Option<&FlowPermit> {
    parts.extensions.get().map(ActionPermit::flow)
}
