//! What a judgement leaves in a request, as handlers take it.

use core::ops::Deref;
use std::sync::Arc;

use ztl_core::{DecisionId, FlowPermit};

use crate::live::Link;
use crate::name::WireTarget;

/// The claims of the caller's token, verified: an extractor for handlers, and an extension of every request whose token a rule of its
/// flow could read and was good.
///
/// A request without has none: the extractor answers it with 401.
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
/// A request without was never judged: the extractor answers it with 403.
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
mod handlers {
    use core::convert::Infallible;

    use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
    use http::StatusCode;
    use http::request::Parts;

    use super::{ActionPermit, Claims, Decision};
    use crate::Peer;

    /// Takes an extension out of a request, or answers with this status.
    macro_rules! from_extensions {
        ($name:ty, $missing:ident) => {
            impl<S: Sync> FromRequestParts<S> for $name {
                type Rejection = StatusCode;

                async fn from_request_parts(
                    parts: &mut Parts,
                    _state: &S,
                ) -> Result<Self, StatusCode> {
                    let found = parts.extensions.get::<Self>().cloned();
                    found.ok_or(StatusCode::$missing)
                }
            }
        };
    }

    from_extensions!(Claims, UNAUTHORIZED);
    from_extensions!(ActionPermit, FORBIDDEN);

    impl<S: Sync> FromRequestParts<S> for Decision {
        type Rejection = StatusCode;

        async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, StatusCode> {
            Self::of(&parts.extensions).ok_or(StatusCode::FORBIDDEN)
        }
    }

    /// For routes that callers with and without may use: `Option<Claims>`, `Option<Peer>`.
    macro_rules! maybe_from_extensions {
        ($name:ty) => {
            impl<S: Sync> OptionalFromRequestParts<S> for $name {
                type Rejection = Infallible;

                async fn from_request_parts(
                    parts: &mut Parts,
                    _state: &S,
                ) -> Result<Option<Self>, Infallible> {
                    Ok(parts.extensions.get::<Self>().cloned())
                }
            }
        };
    }

    maybe_from_extensions!(Claims);
    maybe_from_extensions!(Peer);
}
