//! Certificates, keys and tokens, made for one run and gone with it.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls_pki_types::CertificateDer;
use serde_json::json;
use ztl_authz::jwt::{DevIssuer, Issuer, Jwks, TokenVerifier};
use ztl_core::policy::Policy;
use ztl_core::{SpiffeId, Timestamp, TrustDomain};
use ztl_mtls::{BundleSet, Bundles, DevWebCa, IssuedWeb, Prover, TrustBundle, X509Svid};

use crate::ca::Ca;
use crate::services::NAMES;
use crate::tls::Pem;

/// The host name of the public port.
pub(crate) const PUBLIC_HOST: &str = "ask.prod.example";
/// The issuer of users' tokens, as the policy calls it.
const ISSUER: &str = "corp";
/// A trust domain of which the policy knows nothing.
const ELSEWHERE: &str = "elsewhere.example";
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A certificate chain with its key, as a client shows it and as a verifier reads it.
#[derive(Clone)]
pub(crate) struct Credential {
    pub(crate) pem: Pem,
    pub(crate) svid: X509Svid,
}

impl Credential {
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        self.svid.chain()
    }
}

/// All that proves anybody in a run.
pub(crate) struct Pki {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) bundle: TrustBundle,
    pub(crate) bundle_pem: String,
    workloads: HashMap<&'static str, Credential>,
    /// The router's id, from an authority with our name and another key.
    pub(crate) forged: Credential,
    /// The router's path in another trust domain.
    pub(crate) foreign: Credential,
    /// The router's id, an hour too late.
    pub(crate) expired: Credential,
    pub(crate) web: IssuedWeb,
    pub(crate) web_root: String,
    issuer: DevIssuer,
    pub(crate) tokens: TokenVerifier,
    audience: String,
}

impl Pki {
    pub(crate) fn new(policy: &Policy) -> Result<Self, Box<dyn Error>> {
        let provider = ztl_mtls::provider();
        let now = now();
        let ca = Ca::new(policy.trust_domain().clone(), now)?;
        let forger = Ca::new(policy.trust_domain().clone(), now)?;
        let elsewhere = Ca::new(TrustDomain::parse(ELSEWHERE)?, now)?;
        let mut workloads = HashMap::new();
        for name in NAMES {
            workloads.insert(name, ca.issue(id(policy, name)?, now, &provider)?);
        }
        let router = id(policy, "router")?;
        let foreign = SpiffeId::parse(&format!("spiffe://{ELSEWHERE}{}", router.path()))?;
        let earlier = now.saturating_sub(HOUR.saturating_mul(2));
        let web = DevWebCa::new(now)?;
        let declared = policy.document().issuers.iter();
        let declared = declared
            .into_iter()
            .find(|issuer| &*issuer.name.value == ISSUER);
        let iss = declared.map_or("https://id.corp.example", |issuer| &issuer.issuer.value);
        let audience = declared
            .and_then(|issuer| issuer.audience.as_ref())
            .map_or("gateway", |audience| &audience.value);
        let issuer = DevIssuer::new(iss)?;
        let keys = Jwks::from_json(issuer.jwks_json().as_bytes())?;
        Ok(Self {
            forged: forger.issue(router, now, &provider)?,
            foreign: elsewhere.issue(&foreign, now, &provider)?,
            expired: ca.issue(router, earlier, &provider)?,
            bundle: ca.bundle,
            bundle_pem: ca.bundle_pem,
            web: web.issue(&[PUBLIC_HOST], now, HOUR)?,
            web_root: web.root_pem().to_owned(),
            tokens: TokenVerifier::builder()
                .issuer(Issuer::access_tokens(ISSUER, iss, audience, keys))
                .build()?,
            audience: audience.to_owned(),
            issuer,
            workloads,
            provider,
        })
    }

    pub(crate) fn of(&self, workload: &str) -> Result<&Credential, String> {
        let credential = self.workloads.get(workload);
        credential.ok_or_else(|| format!("`{workload}` has no certificate"))
    }

    /// What the guards prove with, to foretell what they will say.
    pub(crate) fn prover(&self) -> Result<Prover, Box<dyn Error>> {
        let bundles = Bundles::new(BundleSet::new([self.bundle.clone()])?);
        Ok(Prover::new(bundles, &self.provider))
    }

    /// A user's token.
    pub(crate) fn token(&self, scope: &str, age: Duration) -> Result<String, Box<dyn Error>> {
        let issued = now().saturating_sub(age);
        Ok(self.issuer.sign(json!({
            "sub": "ada",
            "aud": self.audience,
            "scope": scope,
            "iat": issued.as_unix_secs(),
            "exp": issued.saturating_add(HOUR).as_unix_secs(),
        }))?)
    }
}

fn id<'a>(policy: &'a Policy, name: &str) -> Result<&'a SpiffeId, String> {
    let workload = policy.workload_by_name(name);
    workload
        .map(|workload| workload.id())
        .ok_or_else(|| format!("the policy declares no workload `{name}`"))
}

/// The wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever issues certificates and asks for a decision tells both the time"
)]
pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}
