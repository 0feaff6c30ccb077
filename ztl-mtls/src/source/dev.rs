//! A development authority that rotates.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use ztl_core::{SpiffeId, Timestamp};

use super::{Part, Polled, Source, SourceError};
use crate::dev_ca::DevCa;

/// Issues an SVID from a [`DevCa`], and another one each time half of its life is over, as SPIRE does.
pub struct DevSource {
    authority: Arc<DevCa>,
    id: SpiffeId,
    lifetime: Duration,
    provider: Arc<CryptoProvider>,
    /// From when on its last SVID is good, and when the next is due.
    issued: Option<(Timestamp, Timestamp)>,
}

impl DevSource {
    /// SVIDs of this id, each for `lifetime`, which is at most [`MAX_DEV_LIFETIME`](crate::MAX_DEV_LIFETIME).
    #[must_use]
    pub const fn new(
        authority: Arc<DevCa>,
        id: SpiffeId,
        lifetime: Duration,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        Self {
            authority,
            id,
            lifetime,
            provider,
            issued: None,
        }
    }
}

impl Source for DevSource {
    fn name(&self) -> String {
        format!(
            "the development authority of `{}`",
            self.authority.trust_domain()
        )
    }

    fn poll(&mut self, now: Timestamp) -> Polled {
        // One that was issued by a clock far ahead is good for nobody once the clock is right again (T23).
        if (self.issued).is_some_and(|(from, renew_at)| from <= now && now < renew_at) {
            return Polled::default();
        }
        let first = self.issued.is_none();
        match self
            .authority
            .issue(&self.id, now, self.lifetime, &self.provider)
        {
            Ok(issued) => {
                let renew_at = now.saturating_add(self.lifetime / 2);
                self.issued = Some((issued.svid.not_before(), renew_at));
                let bundles = if first {
                    Part::Changed(vec![self.authority.bundle()])
                } else {
                    Part::Current
                };
                Polled::new(Part::Changed(issued.svid), bundles)
            }
            Err(error) => Polled::svid(Part::Failed(SourceError::new(error))),
        }
    }
}

impl fmt::Debug for DevSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevSource")
            .field("id", &self.id)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
