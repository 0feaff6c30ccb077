//! A declared workload.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::forwarding::{Forwarding, ForwardingError};
use crate::id::SpiffeId;
use crate::zone::ZoneIdx;

use super::Policy;
use super::rule::{TargetRule, Who};

/// A workload's place in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkloadIdx(pub(crate) u32);

/// A workload of the policy: who it is, where it stands, what it listens on.
#[derive(Debug)]
pub struct Workload {
    pub(crate) name: Arc<str>,
    pub(crate) id: SpiffeId,
    pub(crate) zone: Option<ZoneIdx>,
    pub(crate) labels: BTreeMap<Arc<str>, Arc<str>>,
    pub(crate) ports: Vec<u16>,
    pub(crate) public_ports: Vec<u16>,
    pub(crate) hosts: Vec<Arc<str>>,
    pub(crate) asserted_by: Vec<Arc<str>>,
    pub(crate) forwards: Vec<Who>,
    pub(crate) forwards_in: Option<Forwarding>,
    /// The rules that speak of it as target, each in document order.
    pub(crate) forbids: Vec<TargetRule>,
    pub(crate) permits: Vec<TargetRule>,
    pub(crate) shadow: Vec<TargetRule>,
}

impl Workload {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Its SPIFFE ID, in the primary trust domain.
    #[must_use]
    pub const fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The ports on which it takes mutual TLS.
    #[must_use]
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// The ports on which it takes callers without an SVID.
    #[must_use]
    pub fn public_ports(&self) -> &[u16] {
        &self.public_ports
    }

    /// The host names it answers to; empty for any.
    #[must_use]
    pub fn hosts(&self) -> &[Arc<str>] {
        &self.hosts
    }

    /// The header field in which it passes ids on, as a proxy. None: no field is read.
    #[must_use]
    pub const fn forwards_in(&self) -> Option<Forwarding> {
        self.forwards_in
    }

    /// Whom it says that it speaks for, by the lines of the field that it does so in: as
    /// [`FlowPermit::passed_on`](crate::FlowPermit::passed_on) reads them where it is the peer, and under no permit.
    ///
    /// # Errors
    /// [`ForwardingError`].
    ///
    /// ```
    /// use ztl_core::policy::Policy;
    ///
    /// let policy = Policy::from_toml(
    ///     "schema = 1\ntrust_domain = 'prod.example'\n\
    ///      [workloads.front]\nid = 'spiffe://prod.example/front'\nforwards = 'cart'\nforwards_in = 'xfcc'\n\
    ///      [workloads.cart]\nid = 'spiffe://prod.example/cart'\n",
    /// )?;
    /// let front = policy.workload_by_name("front").expect("declared");
    /// let field = b"By=spiffe://prod.example/front;URI=spiffe://prod.example/cart";
    /// let passed = front.passed_on(&policy, [&field[..]])?.expect("somebody");
    /// assert_eq!(passed.as_str(), "spiffe://prod.example/cart");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn passed_on<'a>(
        &self,
        policy: &Policy,
        lines: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<SpiffeId>, ForwardingError> {
        let Some(field) = self.forwards_in else {
            return Ok(None);
        };
        let Some(passed) = field.read(lines)? else {
            return Ok(None);
        };
        let is_peer = |by: &SpiffeId| {
            let by = policy.workload_by_id(by);
            by.is_some_and(|by| by.id() == self.id())
        };
        if field == Forwarding::Xfcc && !passed.by.as_ref().is_some_and(is_peer) {
            return Err(ForwardingError::By);
        }
        let client = policy.workload_by_id(&passed.id);
        if client.is_some_and(|client| client.forwards_in().is_some()) {
            return Err(ForwardingError::Chain);
        }
        Ok(Some(passed.id))
    }

    /// The port that a rule or a request means which names none: the only one that takes mutual TLS.
    #[must_use]
    pub fn default_port(&self) -> Option<u16> {
        only(
            self.ports
                .iter()
                .filter(|port| !self.public_ports.contains(port)),
        )
        .or_else(|| only(self.ports.iter()))
    }

    /// The same for a caller without an SVID: the only public port.
    #[must_use]
    pub fn default_public_port(&self) -> Option<u16> {
        only(self.public_ports.iter())
    }

    /// Whether it declares the port, for mutual TLS or for the public.
    #[must_use]
    pub fn listens_on(&self, port: u16) -> bool {
        self.ports.contains(&port) || self.public_ports.contains(&port)
    }

    /// All rules that speak of it as target.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &TargetRule> {
        self.forbids.iter().chain(&self.permits).chain(&self.shadow)
    }

    pub(crate) fn is_asserted_by(&self, party: &str) -> bool {
        self.asserted_by.iter().any(|name| **name == *party)
    }
}

fn only<'a>(mut ports: impl Iterator<Item = &'a u16>) -> Option<u16> {
    let port = ports.next()?;
    if ports.next().is_none() {
        Some(*port)
    } else {
        None
    }
}
