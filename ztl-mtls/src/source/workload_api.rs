//! The SPIFFE Workload API, as SPIRE's agent serves it.

use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::Waker;
use core::time::Duration;
use std::sync::Arc;

use futures_core::Stream;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use spiffe::transport::Endpoint;
use spiffe::workload_api::{WorkloadApiClient, X509Context};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use ztl_core::{SpiffeId, Timestamp, TrustDomain};

use super::{MemorySource, Part, Polled, Source, SourceError};
use crate::bundle::TrustBundle;
use crate::svid::X509Svid;

/// The first pause after a stream ended; each further one is twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Where a workload is told of its agent (SPIFFE Workload Endpoint §4).
const VARIABLE: &str = "SPIFFE_ENDPOINT_SOCKET";
/// How long the agent may take to give the first SVID: it denies a workload whose entry has not reached it yet.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most ids that an error lists.
const SHOWN_IDS: usize = 8;

/// SVID and bundles of a workload from the SPIFFE Workload API, streamed: what the agent rotates is news within moments.
///
/// - Among several SVIDs it takes the first that is **ours** (T22), never merely the first. It is chosen anew with each answer.
/// - Bundles are those of our own trust domain and of all that it is federated with. One that an answer leaves out is no longer
///   trusted, at once: the agent has said so.
/// - An answer that cannot be used, a denial, a stream that ends and an agent that is gone are failures: what was given last
///   stays for the grace of the [`Supply`](super::Supply). The source goes on connecting, at most every 5 seconds.
/// - All it gives comes out of a stream that is open while it is given, so no update falls in between (rule 30).
///
/// CRLs in the answers are read past.
pub struct WorkloadApi {
    name: String,
    held: MemorySource,
    patience: Duration,
    task: AbortHandle,
}

impl WorkloadApi {
    /// Begins to listen to the socket that the environment's `SPIFFE_ENDPOINT_SOCKET` names. `ours` says which id is ours.
    ///
    /// # Errors
    /// [`SourceError`] where the variable is missing or names no socket, or outside a tokio runtime.
    pub fn from_env(
        provider: Arc<CryptoProvider>,
        ours: impl Fn(&SpiffeId) -> bool + Send + Sync + 'static,
    ) -> Result<Self, SourceError> {
        let endpoint = spiffe::workload_api::endpoint::from_env().map_err(|error| {
            SourceError::new(format!(
                "`{VARIABLE}` of the environment names no Workload API: {}; write `unix:///path/to/socket` into it",
                said(&error)
            ))
        })?;
        Self::spawn(endpoint, VARIABLE, provider, ours)
    }

    /// Begins to listen to a socket: `unix:///run/spire/agent.sock`, or `tcp://127.0.0.1:8081`.
    ///
    /// # Errors
    /// [`SourceError`] where it is no address of a socket, or outside a tokio runtime.
    pub fn at(
        endpoint: &str,
        provider: Arc<CryptoProvider>,
        ours: impl Fn(&SpiffeId) -> bool + Send + Sync + 'static,
    ) -> Result<Self, SourceError> {
        let parsed = Endpoint::parse(endpoint).map_err(|error| {
            SourceError::new(format!(
                "`{endpoint}` is no address of a Workload API: {error}; write `unix:///path/to/socket`"
            ))
        })?;
        Self::spawn(parsed, endpoint, provider, ours)
    }

    /// How long its first answer may take, where a guard is built with it. 30 seconds where not set.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn spawn(
        endpoint: Endpoint,
        shown: &str,
        provider: Arc<CryptoProvider>,
        ours: impl Fn(&SpiffeId) -> bool + Send + Sync + 'static,
    ) -> Result<Self, SourceError> {
        let runtime = Handle::try_current().map_err(|error| {
            SourceError::new(format!(
                "the Workload API is listened to within tokio: {error}"
            ))
        })?;
        let held = MemorySource::new();
        held.put(failed(&SourceError::new("it has not answered yet")));
        let listener = Listener {
            endpoint,
            held: held.clone(),
            provider,
            ours: Box::new(ours),
        };
        Ok(Self {
            name: format!("the Workload API at `{shown}`"),
            held,
            patience: PATIENCE,
            task: runtime.spawn(listener.listen()).abort_handle(),
        })
    }
}

impl Source for WorkloadApi {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn poll(&mut self, now: Timestamp) -> Polled {
        if self.task.is_finished() {
            // It ends by a panic alone. What it gave last is vouched for by nobody.
            return failed(&SourceError::new("it is no longer listened to"));
        }
        self.held.poll(now)
    }

    fn notify(&mut self, waker: Waker) {
        self.held.notify(waker);
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}

impl Drop for WorkloadApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for WorkloadApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkloadApi")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

struct Listener {
    endpoint: Endpoint,
    held: MemorySource,
    provider: Arc<CryptoProvider>,
    ours: Box<dyn Fn(&SpiffeId) -> bool + Send + Sync>,
}

impl Listener {
    async fn listen(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = self.follow(&mut pause).await;
            self.held.put(failed(&error));
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    /// Follows one stream to its end, and says why it ended.
    async fn follow(&self, pause: &mut Duration) -> SourceError {
        let opened = async {
            let client = WorkloadApiClient::connect(self.endpoint.clone()).await?;
            client.stream_x509_contexts().await
        };
        let mut stream = match opened.await {
            Ok(stream) => stream,
            Err(error) => return said(&error),
        };
        while let Some(answer) = poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await {
            match answer {
                Ok(context) => {
                    *pause = FIRST_PAUSE;
                    self.held.put(self.read(&context));
                }
                // Not asked again: where bytes are no message the client's stream says so for ever, without ever waiting.
                Err(error) => return said(&error),
            }
        }
        SourceError::new("it closed the stream")
    }

    fn read(&self, context: &X509Context) -> Polled {
        Polled::new(
            self.svid(context).map(Some).into(),
            bundles(context).map(Some).into(),
        )
    }

    fn svid(&self, context: &X509Context) -> Result<X509Svid, SourceError> {
        let mine = context.svids().iter().find(|svid| {
            SpiffeId::parse(&svid.spiffe_id().to_string()).is_ok_and(|id| (self.ours)(&id))
        });
        let Some(mine) = mine else {
            let ids = context.svids().iter().take(SHOWN_IDS);
            let ids: Vec<_> = ids.map(|svid| format!("`{}`", svid.spiffe_id())).collect();
            return Err(SourceError::new(format!(
                "none of its {} SVIDs is ours, but those of {}: register this workload under its id in the policy",
                context.svids().len(),
                ids.join(", ")
            )));
        };
        let chain = mine.cert_chain().iter();
        let chain = chain
            .map(|certificate| CertificateDer::from(certificate.as_bytes().to_vec()))
            .collect();
        let key = PrivatePkcs8KeyDer::from(mine.private_key().as_bytes().to_vec());
        X509Svid::from_parts(chain, PrivateKeyDer::from(key), &self.provider)
            .map_err(SourceError::new)
    }
}

/// The bundles, by name. That of our own trust domain has to be one. That of another is somebody else's to mend: where it is none,
/// its domain proves nobody (rule 21), and the others hold.
fn bundles(context: &X509Context) -> Result<Vec<TrustBundle>, SourceError> {
    let ours: Vec<&str> = context
        .svids()
        .iter()
        .map(|svid| svid.spiffe_id().trust_domain_name())
        .collect();
    let mut bundles = Vec::new();
    for (domain, bundle) in context.bundle_set().iter() {
        let is_ours = ours.contains(&domain.as_ref());
        let parsed = TrustDomain::parse(domain.as_ref());
        let domain = match parsed {
            Ok(parsed) => parsed,
            Err(error) if is_ours => {
                let why = format!("the trust domain `{domain}` {error}");
                return Err(SourceError::new(why));
            }
            // A name that no SVID can bear.
            Err(_) => continue,
        };
        let authorities = bundle.authorities().iter();
        let authorities =
            authorities.map(|authority| CertificateDer::from(authority.as_bytes().to_vec()));
        bundles.push(match TrustBundle::from_der(domain.clone(), authorities) {
            Ok(bundle) => bundle,
            Err(error) if is_ours => return Err(SourceError::new(error)),
            Err(_) => TrustBundle::empty(domain),
        });
    }
    bundles.sort_by(|a, b| a.trust_domain().as_str().cmp(b.trust_domain().as_str()));
    Ok(bundles)
}

/// An error of the client and what it was caused by, each said once: by itself it is often only "transport error".
fn said(error: &dyn core::error::Error) -> SourceError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    SourceError::new(text)
}

fn failed(error: &SourceError) -> Polled {
    Polled::new(Part::Failed(error.clone()), Part::Failed(error.clone()))
}
