//! What the service itself says of a request.

use core::fmt;
use std::sync::Arc;

use http::request::Parts;
use ztl_core::{Attributes, FlowPermit, Timestamp};

use super::{Guard, GuardBuilder};

type Says = dyn Fn(&Parts, Timestamp) -> Option<Attributes> + Send + Sync;

/// Asks the service.
#[derive(Clone)]
pub(super) struct ContextFrom(Arc<Says>);

impl fmt::Debug for ContextFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextFrom").finish_non_exhaustive()
    }
}

impl GuardBuilder {
    /// Where the `context` comes from that conditions and authorizers read: what only the service knows of a request, such as who
    /// owns what is asked for. Asked for each request on a flow whose rules could read it, and for no other (T34), on the path of
    /// the request: it answers from memory, at once, on the thread that judges, which is none of tokio's where a rule asks what may take
    /// long. A layer in front of [`Guard::authorize`] that has to wait for something leaves
    /// what it found in the request's extensions, where this finds it, and beside it who asks: the [`FlowPermit`].
    ///
    /// What it says holds until it [expires](Attributes::expires_at), also for what is judged again meanwhile. Where it says nothing,
    /// a permit that reads the context does not permit, and a forbid forbids (T7).
    ///
    /// ```
    /// use core::time::Duration;
    /// use serde_json::{Map, Value};
    /// use ztl_tower::Guard;
    /// use ztl_tower::core::Attributes;
    ///
    /// let builder = Guard::builder("ledger").context_from(|parts, now| {
    ///     let tenant = parts.uri.path().split('/').nth(1)?;
    ///     let said = Map::from_iter([("tenant".to_owned(), Value::from(tenant))]);
    ///     Some(Attributes::new(said, now, now.saturating_add(Duration::from_secs(60))))
    /// });
    /// # let _ = builder;
    /// ```
    pub fn context_from(
        mut self,
        says: impl Fn(&Parts, Timestamp) -> Option<Attributes> + Send + Sync + 'static,
    ) -> Self {
        self.context = Some(ContextFrom(Arc::new(says)));
        self
    }
}

impl Guard {
    /// Whether the service is asked what it knows of requests: where it says anything, and a rule of their flow could read it (T34).
    pub(crate) fn asks_context(&self, flow: &FlowPermit) -> bool {
        self.0.context.is_some() && flow.reads_context()
    }

    /// What the service says of a request.
    pub(crate) fn context(&self, parts: &Parts, now: Timestamp) -> Option<Attributes> {
        let ContextFrom(says) = self.0.context.as_ref()?;
        says(parts, now)
    }
}
