//! The router.

use ::axum::handler::Handler;
use ::axum::routing::{MethodFilter, MethodRouter, any, on};
use ztl_core::analysis::RouteCheck;
use ztl_core::policy::{ActionPattern, Template};
use ztl_core::{Method, Methods};

use crate::guard::Guard;
use crate::routes::{RouteError, route};

/// A router of axum that records what it serves.
///
/// ```no_run
/// # #[cfg(all(feature = "serve", feature = "axum-core"))]
/// # async fn example(guard: ztl_tower::Guard) -> Result<(), Box<dyn std::error::Error>> {
/// use ztl_tower::axum::Router;
///
/// let app = Router::new()
///     .on("GET /v1/items/{id}", async || "an item")?
///     .on("DELETE /v1/items/{id}", async || "gone")?;
/// let check = app.check(&guard);
/// assert!(check.is_complete(), "{check}");
/// guard.serve("0.0.0.0:8443", app.into_inner()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Router<S = ()> {
    inner: ::axum::Router<S>,
    served: Vec<ActionPattern>,
}

impl<S: Clone + Send + Sync + 'static> Default for Router<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Clone + Send + Sync + 'static> Router<S> {
    /// A router without routes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: ::axum::Router::new(),
            served: Vec::new(),
        }
    }

    /// Serves an action, written as a policy writes it: `GET,PUT /v1/items/{id}`, `websocket /v1/watch`, `grpc shop.Cart/Add`. A
    /// parameter's kind (`{id:uuid}`) is the policy's to check. A handler of `GET` answers `HEAD` as well, as ever in axum; whether
    /// `HEAD` is permitted is the policy's to say (rule 45).
    ///
    /// # Errors
    /// [`RouteError`]: it is no action of a request.
    pub fn on<H, T>(self, action: &str, handler: H) -> Result<Self, RouteError>
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let pattern = route(action)?;
        let none = || RouteError {
            route: action.to_owned(),
            error: ztl_core::policy::PatternError::Form,
        };
        let (path, served, methods) = match &pattern {
            ActionPattern::Http { methods, path } => {
                let get = Methods::of(Method::Get);
                let head = Methods::of(Method::Head);
                let all = match methods.meets(get) {
                    true => methods.union(head),
                    false => *methods,
                };
                let served = ActionPattern::Http {
                    methods: all,
                    path: path.clone(),
                };
                let filter = filter(*methods).ok_or_else(none)?;
                (path_of(path), served, on(filter, handler))
            }
            ActionPattern::Grpc { service, method } => {
                let method = method.as_deref().unwrap_or("{method}");
                let path = format!("/{service}/{method}");
                (path, pattern, on(MethodFilter::POST, handler))
            }
            // HTTP/2 opens them by CONNECT (RFC 8441).
            ActionPattern::WebSocket(path) | ActionPattern::Upgrade { path, .. } => {
                (path_of(path), pattern, any(handler))
            }
            _ => return Err(none()),
        };
        Ok(self.record(&path, served, methods))
    }

    fn record(mut self, path: &str, served: ActionPattern, methods: MethodRouter<S>) -> Self {
        self.inner = self.inner.route(path, methods);
        self.served.push(served);
        self
    }

    /// Everything else that axum's router can: layers, a fallback, routes that nobody records.
    #[must_use]
    pub fn map(self, change: impl FnOnce(::axum::Router<S>) -> ::axum::Router<S>) -> Self {
        Self {
            inner: change(self.inner),
            served: self.served,
        }
    }

    /// Another router's routes beside these.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.inner = self.inner.merge(other.inner);
        self.served.extend(other.served);
        self
    }

    /// Gives the handlers their state.
    #[must_use]
    pub fn with_state<S2>(self, state: S) -> Router<S2> {
        Router {
            inner: self.inner.with_state(state),
            served: self.served,
        }
    }

    /// The routes that were added, in their order.
    #[must_use]
    pub fn routes(&self) -> &[ActionPattern] {
        &self.served
    }

    /// Holds the routes against the policy in force.
    #[must_use]
    pub fn check(&self, guard: &Guard) -> RouteCheck {
        guard.hold_against_policy(&self.served)
    }

    /// axum's own router.
    pub fn into_inner(self) -> ::axum::Router<S> {
        self.inner
    }
}

/// As axum writes it: what a parameter must look like is no part of it.
fn path_of(template: &Template) -> String {
    let text = template.to_string();
    let mut path = String::with_capacity(text.len());
    for piece in text.split('/').skip(1) {
        path.push('/');
        // All text is escaped, so that a brace can only be a parameter's.
        match piece.split_once(':').filter(|_| piece.starts_with('{')) {
            Some((name, _)) => {
                path.push_str(name);
                path.push('}');
            }
            None => path.push_str(piece),
        }
    }
    path
}

fn filter(methods: Methods) -> Option<MethodFilter> {
    let of = |method| match method {
        Method::Get => Some(MethodFilter::GET),
        Method::Head => Some(MethodFilter::HEAD),
        Method::Post => Some(MethodFilter::POST),
        Method::Put => Some(MethodFilter::PUT),
        Method::Patch => Some(MethodFilter::PATCH),
        Method::Delete => Some(MethodFilter::DELETE),
        Method::Options => Some(MethodFilter::OPTIONS),
        _ => None,
    };
    methods.iter().filter_map(of).reduce(MethodFilter::or)
}
