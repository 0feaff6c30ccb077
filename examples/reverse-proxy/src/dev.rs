//! What a mesh would give us, made for this one run: an authority and an SVID for each workload.

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ztl_tower::core::audit::MemorySink;
use ztl_tower::core::policy::Policy;
use ztl_tower::core::{SpiffeId, Timestamp, TrustDomain};
use ztl_tower::mtls::{self, DevCa};
use ztl_tower::{Guard, GuardBuilder};

const HOUR: Duration = Duration::from_secs(3600);

/// The authority of one run.
pub(crate) struct Authority {
    ca: DevCa,
    domain: TrustDomain,
}

impl Authority {
    pub(crate) fn new(domain: &str) -> Result<Self, Box<dyn Error>> {
        let domain = TrustDomain::parse(domain)?;
        let ca = DevCa::new(domain.clone(), now())?;
        Ok(Self { ca, domain })
    }

    /// A guard for the workload of this name. In production these are `policy_file`, `identity_files`, `bundle_file` and
    /// `audit_file`.
    pub(crate) fn guard(&self, name: &str, policy: &str) -> Result<GuardBuilder, Box<dyn Error>> {
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

#[expect(
    clippy::disallowed_methods,
    reason = "whoever issues certificates reads the clock"
)]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::from_unix_secs(since.unwrap_or_default().as_secs())
}
