//! All listeners of a guard at once.

use core::net::SocketAddr;
use core::pin::Pin;
use std::path::PathBuf;

use bytes::Bytes;
use http::{Request, Response};
use tokio::task::JoinSet;
use tower_service::Service;

use super::body::RequestBody;
use super::door::Door;
use super::error::ServeError;
use super::listener::{bind, serve};
use super::public::PublicTls;
use crate::guard::Guard;

/// A listener that [`Guard::run`] serves: one `[[listen]]` of a guard's file, or given to
/// [`GuardBuilder::listener`](crate::GuardBuilder::listener).
#[derive(Clone, Debug)]
pub struct Listen(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Mesh(SocketAddr),
    Public(SocketAddr, PathBuf, PathBuf),
    #[cfg(unix)]
    Unix(PathBuf, u16),
}

impl Listen {
    /// As [`Guard::serve`] does.
    #[must_use]
    pub const fn mesh(address: SocketAddr) -> Self {
        Self(Kind::Mesh(address))
    }

    /// As [`Guard::serve_public`] does, with a certificate chain and its key from PEM files, read once when it begins.
    #[must_use]
    pub fn public(
        address: SocketAddr,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        Self(Kind::Public(address, certificate.into(), key.into()))
    }

    /// As [`Guard::serve_unix`] does, for connections that rules see as ones to `port`.
    #[cfg(unix)]
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>, port: u16) -> Self {
        Self(Kind::Unix(path.into(), port))
    }
}

/// A listener that is bound, until it ends.
type Serves = Pin<Box<dyn Future<Output = Result<(), ServeError>> + Send>>;

impl Guard {
    /// Serves `app` on every listener that the builder or its file was told of, until [`shutdown`](Guard::shutdown).
    ///
    /// What it returns borrows nothing of the guard, as with [`serve`](Guard::serve).
    /// All are bound before any of them takes a connection. Where one breaks later the others are shut down.
    ///
    /// # Errors
    /// [`ServeError`]: there is none, one cannot be bound, or one broke; or the file's `[browser]` is nowhere in force.
    ///
    /// # Panics
    /// Where a listener did, once all have ended: cloning `app` panicked.
    pub fn run<S, B>(
        &self,
        app: S,
    ) -> impl Future<Output = Result<(), ServeError>> + Send + 'static + use<S, B>
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        let guard = self.clone();
        async move {
            #[cfg(feature = "browser")]
            if guard.lacks_its_boundary() {
                return Err(ServeError::NoBoundary);
            }
            let mut bound = Vec::new();
            for listen in guard.listeners() {
                bound.push(guard.bound(listen, app.clone()).await?);
            }
            if bound.is_empty() {
                return Err(ServeError::NoListener);
            }
            let mut serving: JoinSet<_> = bound.into_iter().collect();
            let (mut first, mut panicked) = (Ok(()), None);
            while let Some(ended) = serving.join_next().await {
                match ended {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) if first.is_ok() => first = Err(error),
                    Ok(Err(_)) => {}
                    // It is no reason to go on without it.
                    Err(ended) => panicked = panicked.or(ended.try_into_panic().ok()),
                }
                guard.shutdown();
            }
            match panicked {
                Some(panic) => std::panic::resume_unwind(panic),
                None => first,
            }
        }
    }

    async fn bound<S, B>(&self, listen: &Listen, app: S) -> Result<Serves, ServeError>
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        Ok(match &listen.0 {
            Kind::Mesh(address) => {
                let listener = bind(*address).await?;
                let address = self.checked(&listener, "ports")?;
                let door = Door::mutual(self, address.port());
                Box::pin(serve(listener, address.to_string(), door, app))
            }
            Kind::Public(address, certificate, key) => {
                let tls = PublicTls::from_pem_files(certificate, key)?;
                let listener = bind(*address).await?;
                let address = self.checked(&listener, "public_ports")?;
                let door = Door::public(self, address.port(), &tls)?;
                Box::pin(serve(listener, address.to_string(), door, app))
            }
            #[cfg(unix)]
            Kind::Unix(path, port) => {
                let shown = path.display().to_string();
                self.check_port(&shown, *port, "ports")?;
                let bound = super::unix::bind(path).await?;
                Box::pin(serve(bound, shown, Door::mutual(self, *port), app))
            }
        })
    }
}
