//! The holder of our own SVID, which rotates while connections come and go.

use core::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use ztl_core::{SpiffeId, Timestamp};

use crate::svid::X509Svid;

/// A rotation that would have made us somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the new SVID names `{found}`, but this identity is `{expected}`: a rotation never changes who we are"
)]
pub struct IdentityError {
    expected: SpiffeId,
    found: SpiffeId,
}

impl IdentityError {
    /// Who we are.
    #[must_use]
    pub const fn expected(&self) -> &SpiffeId {
        &self.expected
    }

    /// Whom the refused SVID names.
    #[must_use]
    pub const fn found(&self) -> &SpiffeId {
        &self.found
    }
}

/// Why we present no SVID, so that no new handshake can succeed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unpresentable {
    /// Its source no longer vouches for it (rule 30).
    #[error("the SVID of `{id}` is withdrawn: {why}")]
    Withdrawn {
        /// Who we are.
        id: SpiffeId,
        /// What is wrong with its source.
        why: Arc<str>,
    },
    /// It has ended, and no other has come.
    #[error("the SVID of `{id}` ended at {not_after}, it is {now}, and no other has come")]
    Expired {
        /// Who we are.
        id: SpiffeId,
        /// Its last moment.
        not_after: Timestamp,
        /// When it was to be presented.
        now: Timestamp,
    },
}

type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// Who we are, for good, and the SVID that proves it just now.
///
/// Both ends of TLS take it as the resolver of their certificate, so the next handshake after a [`swap`](Self::swap) presents
/// the new SVID; handshakes in progress finish with the old one. While there is none to present, because it was
/// [withdrawn](Self::withdraw) or, [with a clock](Self::with_clock), has ended, both ends refuse the handshake.
pub struct IdentitySource {
    id: SpiffeId,
    current: ArcSwap<Current>,
    clock: Option<Clock>,
}

struct Current {
    svid: X509Svid,
    generation: u64,
    withdrawn: Option<Arc<str>>,
}

impl IdentitySource {
    /// Begins with this SVID; its id is the identity's from now on.
    #[must_use]
    pub fn new(svid: X509Svid) -> Self {
        Self {
            id: svid.id().clone(),
            current: ArcSwap::from_pointee(Current {
                svid,
                generation: 0,
                withdrawn: None,
            }),
            clock: None,
        }
    }

    /// The same, and an SVID that has ended by this clock is not presented.
    #[must_use]
    pub fn with_clock(
        svid: X509Svid,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self {
            clock: Some(Box::new(clock)),
            ..Self::new(svid)
        }
    }

    /// Who we are.
    #[must_use]
    pub const fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The SVID in use, or used last.
    #[must_use]
    pub fn load(&self) -> X509Svid {
        self.current.load().svid.clone()
    }

    /// The SVID that a handshake would present now.
    ///
    /// # Errors
    /// [`Unpresentable`] where a handshake would present none.
    pub fn presentable(&self) -> Result<X509Svid, Unpresentable> {
        let current = self.current.load();
        if let Some(why) = &current.withdrawn {
            return Err(Unpresentable::Withdrawn {
                id: self.id.clone(),
                why: Arc::clone(why),
            });
        }
        let not_after = current.svid.not_after();
        match self.clock.as_ref().map(|clock| clock()) {
            Some(now) if now >= not_after => Err(Unpresentable::Expired {
                id: self.id.clone(),
                not_after,
                now,
            }),
            _ => Ok(current.svid.clone()),
        }
    }

    /// Presents none from now on, until the next [`swap`](Self::swap).
    pub fn withdraw(&self, why: &str) {
        let why: Arc<str> = why.into();
        self.current.rcu(|old| Current {
            svid: old.svid.clone(),
            generation: old.generation.wrapping_add(1),
            withdrawn: Some(Arc::clone(&why)),
        });
    }

    /// How often the SVID was replaced or withdrawn.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.current.load().generation
    }

    /// Rotates to another SVID of the same id.
    ///
    /// # Errors
    /// [`IdentityError`] where it names somebody else (T22); the old one stays in use.
    pub fn swap(&self, svid: X509Svid) -> Result<(), IdentityError> {
        self.check(&svid)?;
        self.current.rcu(|old| Current {
            svid: svid.clone(),
            generation: old.generation.wrapping_add(1),
            withdrawn: None,
        });
        Ok(())
    }

    /// Whether an SVID is one that this identity can rotate to.
    ///
    /// # Errors
    /// [`IdentityError`] where it names somebody else (T22).
    pub fn check(&self, svid: &X509Svid) -> Result<(), IdentityError> {
        if *svid.id() == self.id {
            Ok(())
        } else {
            Err(IdentityError {
                expected: self.id.clone(),
                found: svid.id().clone(),
            })
        }
    }

    fn certified_key(&self) -> Option<Arc<CertifiedKey>> {
        self.presentable().ok().map(|svid| svid.certified_key())
    }
}

impl ResolvesServerCert for IdentitySource {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certified_key()
    }
}

impl ResolvesClientCert for IdentitySource {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.certified_key()
    }

    fn has_certs(&self) -> bool {
        self.presentable().is_ok()
    }
}

impl fmt::Debug for IdentitySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentitySource")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
