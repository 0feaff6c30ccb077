//! What outlives a restart: the newest good bundle and when it came (Federation §4.2; T24).

use serde_json::{Map, Value};
use ztl_core::{Timestamp, json};

use super::error::EndpointError;
use super::{BundleEndpoint, MAX_STATE_BYTES, newer};
use crate::bundle::{SpiffeBundle, SpiffeBundleError};

impl BundleEndpoint {
    /// What to store after each good answer, for [`restore`](Self::restore). `None` where no bundle is held.
    ///
    /// # Errors
    /// [`EndpointError::Bundle`] where the bundle cannot be written.
    pub fn state(&self) -> Result<Option<String>, EndpointError> {
        let (Some(bundle), Some(good)) = (&self.held, self.schedule.good()) else {
            return Ok(None);
        };
        let mut state = Map::new();
        let domain = self.trust_domain.as_str();
        state.insert("trust_domain".to_owned(), domain.into());
        state.insert("fetched_at".to_owned(), good.as_unix_secs().into());
        state.insert("bundle".to_owned(), bundle.to_members()?.into());
        Ok(Some(Value::Object(state).to_string()))
    }

    /// Goes on from what was stored. A bundle that is held already and that the stored one may not follow, such as a file that
    /// somebody has renewed since, stays; else the stored one is the newer. Past [`max_age`](Self::max_age) it is held, so that
    /// nothing older is ever taken, and not in force.
    ///
    /// # Errors
    /// [`EndpointError`] where the text is no state, or that of another trust domain.
    pub fn restore(&mut self, state: &[u8], now: Timestamp) -> Result<(), EndpointError> {
        let most = MAX_STATE_BYTES;
        if state.len() > most {
            let bytes = state.len();
            return Err(SpiffeBundleError::TooLong { bytes, most }.into());
        }
        let state = json::object(state).map_err(SpiffeBundleError::from)?;
        let domain = state.get("trust_domain").and_then(Value::as_str);
        self.is_of(domain.ok_or(EndpointError::State("trust_domain"))?)?;
        let at = state.get("fetched_at").and_then(Value::as_u64);
        let at = at.ok_or(EndpointError::State("fetched_at"))?;
        let members = state.get("bundle").and_then(Value::as_object);
        let members = members.ok_or(EndpointError::State("bundle"))?;
        let stored = SpiffeBundle::from_members(self.trust_domain.clone(), members)?;
        if self
            .held
            .as_ref()
            .is_some_and(|held| newer(held, &stored).is_err())
        {
            return Ok(());
        }
        self.held = Some(stored);
        // A moment to come would make it younger than it is.
        self.schedule
            .good_at(Timestamp::from_unix_secs(at).min(now));
        if self.schedule.is_past_its_age(now) {
            self.schedule.withdraw();
        }
        Ok(())
    }
}
