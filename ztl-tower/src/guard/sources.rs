//! Where a guard gets its SVID and its bundles.

use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
#[cfg(feature = "workload-api")]
use ztl_core::Engine;
use ztl_core::TrustDomain;
use ztl_mtls::source::{PemBundle, PemIdentity, Source, Supply};
use ztl_mtls::{Expiry, TrustBundle, X509Svid};

use super::{BuildError, GuardBuilder};
use crate::refresh::OnExpiry;

/// A place that the builder was told of.
pub(super) enum Place {
    IdentityFiles(PathBuf, PathBuf),
    BundleFile(Box<str>, PathBuf),
    Source(Box<dyn Source>),
    /// At the address of a socket, or where the environment says.
    #[cfg(feature = "workload-api")]
    WorkloadApi(Option<String>),
}

impl GuardBuilder {
    /// Who we are: a certificate chain and its key as PEM, read again when they rotate.
    pub fn identity_files(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.places
            .push(Place::IdentityFiles(certificate.into(), key.into()));
        self
    }

    /// Who we are, from memory; [`Guard::swap_identity`](crate::Guard::swap_identity) changes it.
    pub fn identity(mut self, svid: X509Svid) -> Self {
        self.identity = Some(svid);
        self
    }

    /// Whom we can prove: the authorities of one trust domain, read again when they change. Call it once a domain. The file holds PEM,
    /// or, with the feature `federation`, the bundle document that the domain publishes, whose sequence is not looked at.
    pub fn bundle_file(mut self, trust_domain: &str, path: impl Into<PathBuf>) -> Self {
        self.places
            .push(Place::BundleFile(trust_domain.into(), path.into()));
        self
    }

    /// Whom we can prove, from memory; [`Guard::swap_bundles`](crate::Guard::swap_bundles) changes it.
    pub fn bundle(mut self, bundle: TrustBundle) -> Self {
        self.bundles.push(bundle);
        self
    }

    /// Who we are and whom we can prove, from any [`Source`]. Only one place may give an SVID. Where two places give a bundle
    /// of one trust domain the guard is not built; where it comes to that later, the one in force counts.
    pub fn source(mut self, source: impl Source + 'static) -> Self {
        self.places.push(Place::Source(Box::new(source)));
        self
    }

    /// Who we are and whom we can prove, from the SPIFFE Workload API that `SPIFFE_ENDPOINT_SOCKET` names: a SPIRE agent's,
    /// for one. Of the SVIDs that it gives the guard takes this workload's (T22), and waits for it up to 30 seconds.
    #[cfg(feature = "workload-api")]
    pub fn spiffe_workload_api(mut self) -> Self {
        self.places.push(Place::WorkloadApi(None));
        self
    }

    /// The same at a socket: `unix:///run/spire/agent.sock`.
    #[cfg(feature = "workload-api")]
    pub fn spiffe_workload_api_at(mut self, endpoint: &str) -> Self {
        self.places
            .push(Place::WorkloadApi(Some(endpoint.to_owned())));
        self
    }

    /// Whom we can prove beside that: the authorities of another trust domain, fetched from its bundle endpoint again and again.
    /// Call it once a domain, and for none that another place gives a bundle of.
    #[cfg(feature = "federation")]
    pub fn federated_bundle(mut self, bundle: crate::federation::FederatedBundle) -> Self {
        self.federated.push(bundle);
        self
    }

    /// How long an SVID and bundles stay in use while their source is gone, denies or gives nothing usable. After that they
    /// are withdrawn: new handshakes are refused (rule 30). [`DEFAULT_GRACE`](ztl_mtls::source::DEFAULT_GRACE), 10 minutes,
    /// where not set. An SVID that ends before is refused then.
    ///
    /// A source that does not answer at all, such as a file on a mount that hangs, counts as one that is gone since it was asked, and is
    /// waited for 10 seconds at least. All sources are asked one after the other, so that what the others gave is withdrawn with it. It is taken
    /// again once they answer.
    pub const fn source_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Calls `tell` when the end of our SVID, or of a bundle's last authority, comes near: with half of its life left, with a
    /// sixth, and at the end; each once. The same is logged, and with the feature `metrics` there are gauges.
    pub fn on_expiry(mut self, tell: impl Fn(&Expiry) + Send + Sync + 'static) -> Self {
        self.on_expiry = Some(OnExpiry(Box::new(tell)));
        self
    }
}

/// What opening a place takes.
pub(super) struct Opening<'a> {
    #[cfg(feature = "workload-api")]
    pub(super) name: &'a str,
    #[cfg(feature = "workload-api")]
    pub(super) engine: &'a Arc<Engine>,
    pub(super) provider: &'a Arc<CryptoProvider>,
    pub(super) grace: Duration,
}

impl Opening<'_> {
    pub(super) fn supplies(&self, places: Vec<Place>) -> Result<Vec<Supply>, BuildError> {
        places.into_iter().map(|place| self.open(place)).collect()
    }

    fn open(&self, place: Place) -> Result<Supply, BuildError> {
        Ok(match place {
            Place::IdentityFiles(certificate, key) => {
                let files = PemIdentity::new(certificate, key, Arc::clone(self.provider));
                Supply::new(files, self.grace)
            }
            Place::BundleFile(domain, path) => {
                let domain = TrustDomain::parse(&domain).map_err(|error| {
                    BuildError::Bundle(format!("the trust domain `{domain}` {error}").into())
                })?;
                Supply::new(PemBundle::new(domain, path), self.grace)
            }
            Place::Source(source) => Supply::new(source, self.grace),
            #[cfg(feature = "workload-api")]
            Place::WorkloadApi(endpoint) => {
                let source = self.workload_api(endpoint.as_deref());
                let source = source.map_err(|error| BuildError::Identity(error.into()))?;
                Supply::new(source, self.grace)
            }
        })
    }

    /// T22: of several SVIDs, that of the workload which the policy in force says we are.
    #[cfg(feature = "workload-api")]
    fn workload_api(
        &self,
        endpoint: Option<&str>,
    ) -> Result<ztl_mtls::source::WorkloadApi, ztl_mtls::source::SourceError> {
        use ztl_mtls::source::WorkloadApi;

        let (engine, name) = (Arc::downgrade(self.engine), Box::<str>::from(self.name));
        let ours = move |id: &ztl_core::SpiffeId| {
            engine.upgrade().is_some_and(|engine| {
                let policy = engine.policy();
                policy
                    .workload_by_id(id)
                    .is_some_and(|workload| workload.name() == &*name)
            })
        };
        let provider = Arc::clone(self.provider);
        match endpoint {
            Some(endpoint) => WorkloadApi::at(endpoint, provider, ours),
            None => WorkloadApi::from_env(provider, ours),
        }
    }
}
