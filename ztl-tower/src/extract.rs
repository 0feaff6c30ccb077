//! What a judgement leaves in a request, as handlers take it.

use core::ops::Deref;
use std::sync::Arc;

use ztl_core::{DecisionId, FlowPermit};

use crate::guard::Answers;
use crate::live::Link;
use crate::name::WireTarget;

/// The claims of the caller's token, verified: an extractor for handlers, and an extension of every request whose token a rule of its
/// flow could read and was good.
///
/// A request without has none: the extractor answers it with 401 and the challenge of every other refusal (`WWW-Authenticate: Bearer`).
///
/// ```
/// # #[cfg(feature = "axum-core")] {
/// async fn whoami(claims: ztl_tower::Claims) -> String {
///     claims.subject().unwrap_or("nobody").to_owned()
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Claims(pub(crate) ztl_core::Claims);

impl Deref for Claims {
    type Target = ztl_core::Claims;

    fn deref(&self) -> &ztl_core::Claims {
        &self.0
    }
}

impl core::fmt::Debug for Claims {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Claims")
    }
}

/// The proof that the action was authorized: an extractor for handlers, and an extension of every request that was judged.
///
/// A request without was never judged, for the handler is behind no listener and no layer of a guard: the extractor answers it with 500.
#[derive(Clone)]
pub struct ActionPermit {
    pub(crate) permit: ztl_core::ActionPermit,
    pub(crate) given_for: GivenFor,
}

/// What exactly a permit was given for, and what was known then.
#[derive(Clone)]
pub(crate) struct GivenFor {
    pub(crate) wire: WireTarget,
    /// That it was given on. Where the caller could not pass ids on by it, such a field is not there any more.
    pub(crate) flow: FlowPermit,
    /// The request itself, where a listener of ours took it.
    pub(crate) link: Option<Link>,
    /// Of what is known of callers and issuers.
    pub(crate) evidence_generation: u64,
    /// What its caller is told where a handler takes what it has not.
    #[cfg_attr(
        not(feature = "axum-core"),
        allow(dead_code, reason = "no handler takes anything")
    )]
    pub(crate) answers: Arc<Answers>,
}

impl GivenFor {
    /// Whether what it rests on was withdrawn from a request that a listener of ours took, or that one is over.
    pub(crate) fn is_cut(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_cut)
    }
}

impl ActionPermit {
    /// The permit of the flow that the action was authorized on: who is at the other end, where it arrived from, on which port.
    ///
    /// ```
    /// # #[cfg(feature = "axum-core")] {
    /// async fn whence(permit: ztl_tower::ActionPermit) -> String {
    ///     permit.flow().arrival().addr().map_or_else(String::new, |addr| addr.to_string())
    /// }
    /// # }
    /// ```
    pub const fn flow(&self) -> &FlowPermit {
        &self.given_for.flow
    }
}

impl Deref for ActionPermit {
    type Target = ztl_core::ActionPermit;

    fn deref(&self) -> &ztl_core::ActionPermit {
        &self.permit
    }
}

impl core::fmt::Debug for ActionPermit {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("ActionPermit").field(&self.permit).finish()
    }
}

/// Which decision let a request in: what a handler writes beside its own records, to find the engine's again.
///
/// ```
/// # #[cfg(feature = "axum-core")] {
/// async fn handler(decision: ztl_tower::Decision) -> String {
///     format!("let in by `{}`, decision {}", decision.rule(), decision.id())
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    id: DecisionId,
    rule: Arc<str>,
}

impl Decision {
    /// Of a request that was judged; none of another.
    #[must_use]
    pub fn of(extensions: &http::Extensions) -> Option<Self> {
        let permit = extensions.get::<ActionPermit>()?;
        Some(Self {
            id: permit.id(),
            rule: permit.rule().into(),
        })
    }

    /// The id under which the audit log has it: `ztl explain --id` finds it there.
    #[must_use]
    pub const fn id(&self) -> DecisionId {
        self.id
    }

    /// The rule that permits the request.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

#[cfg(feature = "axum-core")]
mod handlers;

#[cfg(feature = "axum-core")]
pub use handlers::Rejection;
