//! Who knows something of a caller.

use core::fmt;
use std::sync::Arc;

use ztl_core::trust::{Of, Signal};
use ztl_core::{Claims, SpiffeId, Timestamp};

/// Whom a signal is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum About<'a> {
    /// A workload.
    Peer(&'a SpiffeId),
    /// A user: the pair of issuer and subject is one identity (T16).
    Subject {
        /// `iss`.
        issuer: &'a str,
        /// `sub`.
        subject: &'a str,
        /// The workload that brought the token, where it was proved.
        through: Option<&'a SpiffeId>,
    },
}

/// The identities of one caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whom<'a> {
    peer: Option<&'a SpiffeId>,
    subject: Option<(&'a str, &'a str)>,
}

impl<'a> Whom<'a> {
    /// Nobody: a caller that proved nothing and has no token.
    #[must_use]
    pub fn nobody() -> Self {
        Self::default()
    }

    /// A workload that was proved.
    #[must_use]
    pub const fn peer(peer: &'a SpiffeId) -> Self {
        Self {
            peer: Some(peer),
            subject: None,
        }
    }

    /// And the user of a token that was verified. A token without issuer or subject speaks of nobody.
    #[must_use]
    pub fn with_claims(self, claims: &'a Claims) -> Self {
        Self {
            subject: claims.issuer().zip(claims.subject()),
            ..self
        }
    }

    /// Of this kind, where it is known.
    #[must_use]
    pub fn about(&self, of: Of) -> Option<About<'a>> {
        match of {
            Of::Peer => self.peer.map(About::Peer),
            Of::Subject => self.subject.map(|(issuer, subject)| About::Subject {
                issuer,
                subject,
                through: self.peer,
            }),
            _ => None,
        }
    }
}

/// Knows something of callers. Asked on the path of a request: it answers from memory, at once.
pub trait SignalSource: fmt::Debug + Send + Sync {
    /// What it knows now; none where it knows nothing. How old that may be is the policy's to say.
    fn signal(&self, name: &str, about: About<'_>, now: Timestamp) -> Option<Signal>;

    /// Counts up whenever something may have changed that was answered before, **after** the change: whoever reads the same count
    /// before and after an answer then has one of what is known now. What rests on an answer is judged again when the count is
    /// another; without it, when the answer ends or its age does.
    fn generation(&self) -> u64 {
        0
    }

    /// Counts up, after the change, whenever what it says of **one** caller may have changed by what that one does. Whoever rests on an
    /// answer is asked about again within a second, and judged again only where another score comes of it: so it may count as
    /// often as callers ask for something, where each count of [`generation`](Self::generation) has all that runs judged again.
    fn drift(&self) -> u64 {
        0
    }
}

impl<S: SignalSource + ?Sized> SignalSource for Arc<S> {
    fn signal(&self, name: &str, about: About<'_>, now: Timestamp) -> Option<Signal> {
        (**self).signal(name, about, now)
    }

    fn generation(&self) -> u64 {
        (**self).generation()
    }

    fn drift(&self) -> u64 {
        (**self).drift()
    }
}
