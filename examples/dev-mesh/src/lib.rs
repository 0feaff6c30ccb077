//! What a mesh would give the examples, made for this one run: an authority and an SVID for each workload.
//!
//! It is what a service of your own leaves out: there the [`Guard`]'s builder has `policy_file`, `identity_files`, `bundle_file` and
//! `audit_file`.

use std::error::Error;
use std::time::{Duration, SystemTime};

use ztl_tower::core::audit::MemorySink;
use ztl_tower::core::policy::Policy;
use ztl_tower::core::{SpiffeId, Timestamp, TrustDomain};
use ztl_tower::mtls::{self, DevCa};
use ztl_tower::{Guard, GuardBuilder};

/// Why there is no mesh.
pub type Failed = Box<dyn Error + Send + Sync>;

const HOUR: Duration = Duration::from_secs(3600);

/// The authority of one run.
#[derive(Debug)]
pub struct Authority {
    ca: DevCa,
    domain: TrustDomain,
}

impl Authority {
    /// A new one for this trust domain.
    ///
    /// # Errors
    /// It is no trust domain.
    pub fn new(domain: &str) -> Result<Self, Failed> {
        let domain = TrustDomain::parse(domain)?;
        let ca = DevCa::new(domain.clone(), now())?;
        Ok(Self { ca, domain })
    }

    /// A guard for the workload of this name, whose SPIFFE ID has it as its path.
    ///
    /// # Errors
    /// The policy is none, or the name is no path of a SPIFFE ID.
    pub fn guard(&self, name: &str, policy: &str) -> Result<GuardBuilder, Failed> {
        let id = SpiffeId::parse(&format!("spiffe://{}/{name}", self.domain))?;
        let issued = self.ca.issue(&id, now(), HOUR, &mtls::provider())?;
        Ok(Guard::builder(name)
            .policy(Policy::from_toml(policy)?)
            .identity(issued.svid)
            .bundle(self.ca.bundle())
            .allow_dev_authority()
            .audit(MemorySink::new(1_000)))
    }
}

/// The wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever issues certificates reads the clock"
)]
#[must_use]
pub fn now() -> Timestamp {
    SystemTime::now().into()
}
