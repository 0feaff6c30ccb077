//! What a mesh would give the two services, made for this one run.

use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use ztl_tower::core::audit::MemorySink;
use ztl_tower::core::policy::Policy;
use ztl_tower::core::{SpiffeId, Timestamp, TrustDomain};
use ztl_tower::mtls::{self, DevCa};
use ztl_tower::{Guard, GuardBuilder};

use crate::Failed;

const POLICY: &str = include_str!("../policy.toml");

pub(crate) struct Mesh {
    authority: DevCa,
    policy: String,
}

impl Mesh {
    /// With the policy for this issuer.
    pub(crate) fn new(iss: &str) -> Result<Self, Failed> {
        Ok(Self {
            authority: DevCa::new(TrustDomain::parse("oidc.example")?, now())?,
            policy: POLICY.replace("ISSUER", iss),
        })
    }

    pub(crate) fn guard(&self, name: &str) -> Result<GuardBuilder, Failed> {
        let id = SpiffeId::parse(&format!("spiffe://oidc.example/{name}"))?;
        let hour = Duration::from_secs(3600);
        let issued = self.authority.issue(&id, now(), hour, &mtls::provider())?;
        Ok(Guard::builder(name)
            .policy(Policy::from_toml(&self.policy)?)
            .identity(issued.svid)
            .bundle(self.authority.bundle())
            .allow_dev_authority()
            .audit(MemorySink::new(100)))
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
