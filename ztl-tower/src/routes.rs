//! Whether the routes of the service and the rules of its policy fit.

use thiserror::Error;
use ztl_core::analysis::{self, RouteCheck};
use ztl_core::policy::{ActionPattern, PatternError};

use crate::guard::Guard;

/// A route that is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the route `{route}` {error}")]
#[non_exhaustive]
pub struct RouteError {
    /// As it was given.
    pub route: String,
    /// What is wrong with it.
    #[source]
    pub error: PatternError,
}

/// Reads a route, written as a policy writes an action.
pub(crate) fn route(text: &str) -> Result<ActionPattern, RouteError> {
    ActionPattern::parse(text).map_err(|error| RouteError {
        route: text.to_owned(),
        error,
    })
}

impl Guard {
    /// Holds the routes of the service against the policy in force: which of them no rule permits to anybody, and which actions
    /// of rules no route serves. A route is written as a policy writes an action. To be called at the start, or from a test:
    ///
    /// ```no_run
    /// # async fn example(guard: ztl_tower::Guard) -> Result<(), Box<dyn std::error::Error>> {
    /// let check = guard.check_routes(&["GET /v1/items/{id}", "websocket /v1/watch", "grpc shop.Cart/Add"])?;
    /// assert!(check.is_complete(), "{check}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// With the feature `axum`, `ztl_tower::axum::Router` knows its routes by itself.
    ///
    /// # Errors
    /// [`RouteError`]: one of them is no action that a policy could name.
    pub fn check_routes<R: AsRef<str>>(&self, routes: &[R]) -> Result<RouteCheck, RouteError> {
        let served: Result<Vec<_>, _> = routes.iter().map(|text| route(text.as_ref())).collect();
        Ok(self.hold_against_policy(&served?))
    }

    /// A policy that has lost this workload permits nothing, and serves nothing.
    pub(crate) fn hold_against_policy(&self, served: &[ActionPattern]) -> RouteCheck {
        let check = analysis::routes(&self.engine().policy(), self.name(), served);
        check.unwrap_or_else(|| {
            let mut nothing = RouteCheck::default();
            nothing.unreached = served.to_vec();
            nothing
        })
    }
}
