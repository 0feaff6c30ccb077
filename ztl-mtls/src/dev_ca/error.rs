//! Why a development authority did not issue.

use core::time::Duration;

use thiserror::Error;
use ztl_core::{SpiffeId, Timestamp, TrustDomain};

use crate::bundle::BundleError;
use crate::file::PemError;
use crate::svid::SvidError;

/// Why a development authority could not be made, or did not issue.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DevCaError {
    /// It was asked for a longer life than [`MAX_DEV_LIFETIME`](crate::MAX_DEV_LIFETIME).
    #[error("a development certificate lives at most 24 hours, not {} seconds", .0.as_secs())]
    Lifetime(Duration),
    /// The time is after the year 9999.
    #[error("the time {0} is beyond what a certificate can hold")]
    Time(Timestamp),
    /// It was asked for an id of another trust domain, or of none that is a workload's.
    #[error("`{id}` is no workload of the trust domain `{trust_domain}` of this authority")]
    ForeignId {
        /// The id that was asked for.
        id: SpiffeId,
        /// Whose authority it is.
        trust_domain: TrustDomain,
    },
    /// A host name is no DNS name.
    #[error("`{0}` is no DNS name")]
    HostName(Box<str>),
    /// The text of a stored authority is not PEM.
    #[error("the stored authority {0}")]
    Pem(PemError),
    /// What was stored is no development authority, or its key is another's.
    #[error("what is stored is not a development authority and its key: make a new one")]
    NotDevAuthority,
    /// The certificate could not be made.
    #[error("cannot make the certificate: {0}")]
    Issue(Box<str>),
    /// What was made could not be read back.
    #[error(transparent)]
    Svid(#[from] SvidError),
    /// The root could not be read back.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl From<PemError> for DevCaError {
    fn from(error: PemError) -> Self {
        Self::Pem(error)
    }
}

impl DevCaError {
    #[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
    pub(super) fn of(error: rcgen::Error) -> Self {
        Self::Issue(error.to_string().into())
    }
}
