//! A router of axum that knows its routes.
//!
//! axum does not list the routes of a router. This one takes each route as a policy writes the action, makes axum's own of it, and
//! keeps what was written, so that [`Router::check`] can say which routes no rule reaches and which rules reach no route.

mod router;

pub use router::Router;
