//! What a request knows of the connection that it came on.

#[cfg(feature = "serve")]
use std::sync::{Arc, Weak};

use http::request::Parts;
use ztl_core::{ActionPermit, Denial, FlowPermit, Forwarding, SpiffeId};

#[cfg(feature = "serve")]
use super::request::{Asked, Request};
use crate::gather::Gathered;
use crate::guard::Guard;
#[cfg(feature = "serve")]
use crate::host::Host;
use crate::name::{Fields, WireTarget};
use crate::said::Said;
use crate::token::Token;

/// What a request was authorized as: what it asked for and of which host, its token, its header fields, what else was known of it, and where
/// its caller may pass ids on and whom it did.
type As<'a> = (
    (&'a WireTarget, &'a Parts, &'a Said<'a>),
    &'a Token,
    &'a Fields<'a>,
    &'a Gathered,
    (Option<Forwarding>, Option<&'a SpiffeId>),
);

/// A request that a listener of ours took, for as long as somebody looks at it: where to get a permit that rests on what is in force.
#[cfg(feature = "serve")]
pub(crate) struct Asking(Arc<Request>);

/// Leads from a permit back to its request. Whoever keeps the permit keeps no request running.
#[cfg(feature = "serve")]
#[derive(Clone)]
pub(crate) struct Link(Weak<Request>);

/// Without listeners of ours there is no such request.
#[cfg(not(feature = "serve"))]
pub(crate) enum Asking {}

/// Nor anything that leads to one.
#[cfg(not(feature = "serve"))]
#[derive(Clone)]
pub(crate) enum Link {}

#[cfg(feature = "serve")]
impl Asking {
    pub(crate) fn of(request: &Arc<Request>) -> Self {
        Self(Arc::clone(request))
    }

    pub(crate) fn link(&self) -> Link {
        Link(Arc::downgrade(&self.0))
    }

    /// A permit of the connection that rests on what is in force now.
    pub(crate) fn renew(&self, guard: &Guard) -> Result<FlowPermit, Denial> {
        self.0.live().current(guard)
    }

    /// The server name of the handshake of its connection.
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.0.live().server_name()
    }

    /// It was authorized as this, and is judged again as this. `evidence` is the generation under which its evidence was
    /// gathered.
    pub(crate) fn authorized(
        &self,
        guard: &Guard,
        permit: &ActionPermit,
        evidence: u64,
        ((wire, parts, said), token, fields, gathered, (forwards_in, forwarded)): As<'_>,
    ) {
        let asked = Asked {
            wire: wire.clone(),
            host: Host::of(parts, said, self),
            claims: token.claims.clone(),
            #[cfg(feature = "jwt")]
            key: token.key,
            headers: fields.kept(),
            context: gathered.context.clone(),
            forwards_in,
            forwarded: forwarded.cloned(),
        };
        self.0
            .authorized(guard, permit, evidence, asked, gathered.scored());
    }
}

#[cfg(feature = "serve")]
impl Link {
    /// The request, where it runs still.
    pub(crate) fn asking(&self) -> Option<Asking> {
        self.0.upgrade().map(Asking)
    }

    /// Whether it leads to this request.
    pub(crate) fn is_of(&self, asking: &Asking) -> bool {
        core::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&asking.0))
    }

    /// Whether it is no longer authorized, or over.
    pub(crate) fn is_cut(&self) -> bool {
        let request = self.0.upgrade();
        request.is_none_or(|request| request.is_cut() || request.live().is_revoked())
    }
}

#[cfg(not(feature = "serve"))]
impl Asking {
    pub(crate) const fn link(&self) -> Link {
        match *self {}
    }

    pub(crate) const fn renew(&self, _guard: &Guard) -> Result<FlowPermit, Denial> {
        match *self {}
    }

    pub(crate) const fn server_name(&self) -> Option<&str> {
        match *self {}
    }

    pub(crate) const fn authorized(
        &self,
        _guard: &Guard,
        _permit: &ActionPermit,
        _evidence: u64,
        _as: As<'_>,
    ) {
        match *self {}
    }
}

#[cfg(not(feature = "serve"))]
impl Link {
    pub(crate) const fn asking(&self) -> Option<Asking> {
        match *self {}
    }

    pub(crate) const fn is_of(&self, _asking: &Asking) -> bool {
        match *self {}
    }

    pub(crate) const fn is_cut(&self) -> bool {
        match *self {}
    }
}
