//! Carries out what is due: one task an endpoint.

use core::time::Duration;
use std::sync::{Arc, Weak};

use tokio::sync::Mutex;
use ztl_mtls::source::{BundleEndpoint, Due, Fetch, Received};

use super::error::FederationError;
use super::{Federated, Federation, in_force};
use crate::guard::{Guard, Inner};
use crate::refresh::{LONGEST_SLEEP, off_thread, pause};
use crate::watch::fetched;

/// What a refresh that succeeded came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refreshed {
    /// Other keys are in force now.
    Changed,
    /// The keys in force are the newest.
    Unchanged,
}

impl Guard {
    /// Fetches the bundle of a federated trust domain now, whether it is due or not. Whoever calls this often is a burden to the
    /// endpoint: the guard refreshes by itself.
    ///
    /// # Errors
    /// [`FederationError`]; the last good bundle stays, for as long as it may.
    pub async fn refresh_bundle(&self, trust_domain: &str) -> Result<Refreshed, FederationError> {
        let federated = self
            .federation()
            .get(trust_domain)
            .ok_or_else(|| FederationError::NotFederated(trust_domain.to_owned()))?;
        let mut federated = federated.lock().await;
        let fetch = federated.endpoint.fetch(self.now());
        federated.refresh(self, fetch).await
    }
}

/// Begins to refresh every endpoint, for as long as the guard lives.
pub(crate) fn spawn(federation: &Federation, guard: &Arc<Inner>) {
    for federated in federation.values() {
        tokio::spawn(keep(Arc::clone(federated), Arc::downgrade(guard)));
    }
}

async fn keep(federated: Arc<Mutex<Federated>>, guard: Weak<Inner>) {
    // The bundle that it begins with is in force already; its keys for JWT-SVIDs are not.
    #[cfg(feature = "jwt")]
    if let Some(guard) = guard.upgrade().map(Guard::from_inner) {
        federated.lock().await.put_svid_keys_in_force(&guard);
    }
    loop {
        let wait = {
            let Some(guard) = guard.upgrade().map(Guard::from_inner) else {
                return;
            };
            federated.lock().await.step(&guard).await
        };
        tokio::time::sleep(wait).await;
    }
}

impl Federated {
    fn put_in_force(&self, guard: &Guard) {
        guard.replace_bundle(in_force(&self.endpoint));
        #[cfg(feature = "jwt")]
        self.put_svid_keys_in_force(guard);
    }

    /// Does what is due, and says how long nothing is.
    async fn step(&mut self, guard: &Guard) -> Duration {
        let domain = self.endpoint.trust_domain().to_string();
        let workload = guard.name();
        let now = guard.now();
        match self.endpoint.due(now) {
            Due::At(at) => return pause(at, now),
            Due::Withdraw => {
                self.put_in_force(guard);
                fetched(guard, "bundle", &domain, "withdrawn");
                tracing::error!(target: "ztl", workload, trust_domain = domain, "the bundle was not refreshed for longer than it may be used; its trust domain proves nobody now");
            }
            Due::Fetch(fetch) => match self.refresh(guard, fetch).await {
                Ok(Refreshed::Changed) => {
                    fetched(guard, "bundle", &domain, "changed");
                    tracing::info!(target: "ztl", workload, trust_domain = domain, "federated bundle changed");
                }
                Ok(_) => fetched(guard, "bundle", &domain, "unchanged"),
                Err(error) => {
                    fetched(guard, "bundle", &domain, "failed");
                    let in_force = self.endpoint.is_in_force();
                    tracing::error!(target: "ztl", workload, trust_domain = domain, in_force, %error, "federated bundle not refreshed; the last good one stays");
                }
            },
            // What a later version of the source asks for is not known here.
            _ => return LONGEST_SLEEP,
        }
        Duration::ZERO
    }

    async fn refresh(&mut self, guard: &Guard, fetch: Fetch) -> Result<Refreshed, FederationError> {
        let work = super::fetch::fetch(guard, &self.endpoint, fetch, self.address);
        let fetched = tokio::time::timeout(self.timeout, work).await;
        let now = guard.now();
        let body = match fetched.unwrap_or(Err(FederationError::TimedOut(self.timeout))) {
            Ok(body) => body,
            Err(error) => {
                self.endpoint.failed(now);
                return Err(error);
            }
        };
        let refreshed = match self.endpoint.receive(&body, now)? {
            Received::Unchanged => Refreshed::Unchanged,
            _ => {
                self.put_in_force(guard);
                Refreshed::Changed
            }
        };
        if let Err(error) = self.store().await {
            // Whoever withdraws an authority is not told that it is trusted still.
            let (workload, domain) = (guard.name(), self.endpoint.trust_domain().to_string());
            tracing::error!(target: "ztl", workload, trust_domain = domain, %error, "the federated bundle in force could not be stored as the newest; after a restart an older one could be taken");
        }
        Ok(refreshed)
    }

    /// What is in force already: a full disk must not keep a withdrawn key trusted.
    async fn store(&self) -> Result<(), FederationError> {
        let Some(path) = self.state.clone() else {
            return Ok(());
        };
        let store = move |endpoint: &mut BundleEndpoint| endpoint.store_file(path);
        let (_, stored) = off_thread(self.endpoint.clone(), store).await?;
        Ok(stored?)
    }
}
