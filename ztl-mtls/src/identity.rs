//! The holder of our own SVID, which rotates while connections come and go.

use core::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use ztl_core::SpiffeId;

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

/// Who we are, for good, and the SVID that proves it just now.
///
/// Both ends of TLS take it as the resolver of their certificate, so the next handshake after a [`swap`](Self::swap) presents
/// the new SVID; handshakes in progress finish with the old one.
pub struct IdentitySource {
    id: SpiffeId,
    current: ArcSwap<Current>,
}

struct Current {
    svid: X509Svid,
    generation: u64,
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
            }),
        }
    }

    /// Who we are.
    #[must_use]
    pub const fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The SVID in use.
    #[must_use]
    pub fn load(&self) -> X509Svid {
        self.current.load().svid.clone()
    }

    /// How often the SVID was replaced.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.current.load().generation
    }

    /// Rotates to another SVID of the same id.
    ///
    /// # Errors
    /// [`IdentityError`] where it names somebody else (T22); the old one stays in use.
    pub fn swap(&self, svid: X509Svid) -> Result<(), IdentityError> {
        if *svid.id() != self.id {
            return Err(IdentityError {
                expected: self.id.clone(),
                found: svid.id().clone(),
            });
        }
        self.current.rcu(|old| Current {
            svid: svid.clone(),
            generation: old.generation.wrapping_add(1),
        });
        Ok(())
    }

    fn certified_key(&self) -> Arc<CertifiedKey> {
        self.current.load().svid.certified_key()
    }
}

impl ResolvesServerCert for IdentitySource {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certified_key())
    }
}

impl ResolvesClientCert for IdentitySource {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.certified_key())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for IdentitySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentitySource")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
