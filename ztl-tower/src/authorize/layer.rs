//! The layer.

use tower_layer::Layer;

use super::service::Authorize;
use crate::guard::Guard;

/// Puts [`Authorize`] around a service. Made by [`Guard::authorize`].
#[derive(Clone, Debug)]
pub struct AuthorizeLayer {
    guard: Guard,
}

impl AuthorizeLayer {
    pub(crate) const fn new(guard: Guard) -> Self {
        Self { guard }
    }
}

impl<S> Layer<S> for AuthorizeLayer {
    type Service = Authorize<S>;

    fn layer(&self, inner: S) -> Authorize<S> {
        Authorize::new(inner, self.guard.clone())
    }
}
