//! Carries out what is due: one task an endpoint.

use core::time::Duration;
use std::sync::Arc;

use tokio::sync::Mutex;
use ztl_mtls::source::{BundleEndpoint, Due, Fetch, Received};

use super::error::FederationError;
use super::kept::Keeper;
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
        let (_, federated) = self
            .federation()
            .get(trust_domain)
            .ok_or_else(|| FederationError::NotFederated(trust_domain.to_owned()))?;
        let mut federated = federated.lock().await;
        if federated.kept.is_lost() {
            return Err(FederationError::NotKept(trust_domain.to_owned()));
        }
        // Whoever had to wait for others may find that it has ended meanwhile.
        let now = self.now();
        if matches!(federated.endpoint.due(now), Due::Withdraw) {
            federated.withdraw_aged(self);
        }
        let fetch = federated.endpoint.fetch(now);
        federated.refresh(self, fetch).await
    }
}

/// Begins to refresh every endpoint, for as long as the guard lives.
pub(crate) fn spawn(federation: &Federation, guard: &Arc<Inner>) {
    for (kept, federated) in federation.values() {
        // Before the task is: one that is never polled keeps nothing either.
        let keeper = Keeper {
            kept: kept.clone(),
            guard: Arc::downgrade(guard),
        };
        tokio::spawn(keep(keeper, Arc::clone(federated)));
    }
}

async fn keep(keeper: Keeper, federated: Arc<Mutex<Federated>>) {
    let guard = &keeper.guard;
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
            Due::At(at) => {
                let wait = pause(at, now);
                // Not a moment longer than it may be used.
                let left = self.endpoint.ends_at().map(|end| end.since(now));
                return left.map_or(wait, |left| left.min(wait));
            }
            Due::Withdraw => self.withdraw_aged(guard),
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

    fn withdraw_aged(&self, guard: &Guard) {
        self.put_in_force(guard);
        let (workload, domain) = (guard.name(), self.endpoint.trust_domain().to_string());
        fetched(guard, "bundle", &domain, "withdrawn");
        tracing::error!(target: "ztl", workload, trust_domain = domain, "the bundle was not refreshed for longer than it may be used; its trust domain proves nobody now");
    }

    async fn refresh(&mut self, guard: &Guard, fetch: Fetch) -> Result<Refreshed, FederationError> {
        // Law 1: an endpoint that hangs does not keep in force what has become too old.
        let left = self.endpoint.ends_at().map(|end| end.since(guard.now()));
        let timeout = left.map_or(self.timeout, |left| left.min(self.timeout));
        let work = super::fetch::fetch(guard, &self.endpoint, fetch, self.address);
        let fetched = tokio::time::timeout(timeout, work).await;
        let now = guard.now();
        let body = match fetched.unwrap_or(Err(FederationError::TimedOut(timeout))) {
            Ok(body) => body,
            Err(error) => {
                self.endpoint.failed(now);
                return Err(error);
            }
        };
        let refreshed = match self.endpoint.receive(&body, now)? {
            Received::Unchanged => {
                // They end later than they did.
                #[cfg(feature = "jwt")]
                self.put_svid_keys_in_force(guard);
                Refreshed::Unchanged
            }
            _ => {
                self.put_in_force(guard);
                Refreshed::Changed
            }
        };
        if self.kept.is_lost() {
            // Within this very fetch: nobody would withdraw it.
            self.kept.withdraw(guard);
            let domain = self.endpoint.trust_domain().to_string();
            return Err(FederationError::NotKept(domain));
        }
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
