//! Listeners at TCP addresses, for the mesh and for the outside.

use core::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use tokio::net::{TcpListener, ToSocketAddrs};
use tower_service::Service;

use super::accept::{Binds, accept};
use super::body::RequestBody;
use super::connection;
use super::door::Door;
use super::error::ServeError;
use super::public::PublicTls;
use crate::guard::Guard;

impl Guard {
    /// Serves `app` on `address` to callers that prove themselves by mutual TLS, until [`shutdown`](Guard::shutdown).
    ///
    /// `app` is any tower service of requests: an axum router, tonic's routes as a router, or one of your own. Every request
    /// is judged before it gets there. What it returns borrows nothing of the guard: `tokio::spawn(guard.serve(address, app))`. Nothing
    /// is done before it is polled.
    ///
    /// # Errors
    /// [`ServeError`]: the address cannot be bound, the policy does not list its port under `ports` of this workload, or the file's
    /// `[browser]` is nowhere in force.
    pub fn serve<A, S, B>(
        &self,
        address: A,
        app: S,
    ) -> impl Future<Output = Result<(), ServeError>> + Send + use<A, S, B>
    where
        A: ToSocketAddrs + core::fmt::Debug + Send,
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        let guard = self.clone();
        async move { guard.serve_listener(bind(address).await?, app).await }
    }

    /// The same on a listener that is already bound.
    ///
    /// # Errors
    /// As [`serve`](Guard::serve).
    pub fn serve_listener<S, B>(
        &self,
        listener: TcpListener,
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
            let address = guard.checked(&listener, "ports")?;
            let door = Door::mutual(&guard, address.port());
            serve(listener, address.to_string(), door, app).await
        }
    }

    /// Serves `app` on `address` to callers without an SVID, by server-side TLS: the door to the outside. Rules for `public`
    /// decide, and one that does not say `anonymous = true` asks for a user's token.
    ///
    /// # Errors
    /// [`ServeError`]; the policy must list the port under `public_ports` of this workload, and the file's `[browser]` be in force.
    pub fn serve_public<A, S, B>(
        &self,
        address: A,
        tls: PublicTls,
        app: S,
    ) -> impl Future<Output = Result<(), ServeError>> + Send + use<A, S, B>
    where
        A: ToSocketAddrs + core::fmt::Debug + Send,
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        let guard = self.clone();
        async move {
            let listener = bind(address).await?;
            guard.serve_public_listener(listener, tls, app).await
        }
    }

    /// The same on a listener that is already bound.
    ///
    /// # Errors
    /// As [`serve_public`](Guard::serve_public).
    pub fn serve_public_listener<S, B>(
        &self,
        listener: TcpListener,
        tls: PublicTls,
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
            let address = guard.checked(&listener, "public_ports")?;
            let door = Door::public(&guard, address.port(), &tls)?;
            serve(listener, address.to_string(), door, app).await
        }
    }

    /// The address of a listener whose port the policy lists.
    pub(super) fn checked(
        &self,
        listener: &TcpListener,
        key: &'static str,
    ) -> Result<SocketAddr, ServeError> {
        let address = listener.local_addr().map_err(|error| ServeError::Bind {
            address: "a bound listener".to_owned(),
            error,
        })?;
        self.check_port(&address.to_string(), address.port(), key)?;
        Ok(address)
    }

    /// T22: a port that the policy does not list for this workload.
    pub(super) fn check_port(
        &self,
        address: &str,
        port: u16,
        key: &'static str,
    ) -> Result<(), ServeError> {
        let policy = self.engine().policy();
        let listed = policy
            .workload_by_name(self.name())
            .is_some_and(|me| match key {
                "ports" => me.ports().contains(&port),
                _ => me.public_ports().contains(&port),
            });
        if listed {
            return Ok(());
        }
        self.refuses();
        Err(ServeError::UnlistedPort {
            workload: self.name().to_owned(),
            address: address.to_owned(),
            port,
            key,
        })
    }
}

/// Serves `app` to whom the door lets in.
pub(super) async fn serve<L, S, B>(
    listener: L,
    shown: String,
    door: Door,
    app: S,
) -> Result<(), ServeError>
where
    L: Binds,
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
{
    #[cfg(feature = "browser")]
    if door.guard.lacks_its_boundary() {
        return Err(ServeError::NoBoundary);
    }
    let slots = Arc::clone(&door.slots);
    let all = u32::try_from(door.guard.limits().connections).unwrap_or(u32::MAX);
    let left = accept(
        listener,
        &shown,
        Arc::new(door),
        move |door, stream, remote, place| {
            let app = app.clone();
            async move { connection::serve(&door, stream, remote, place, app).await }
        },
    )
    .await?;
    // A stream that was upgraded is of no task any more, and has its slot until it ends.
    let _ = tokio::time::timeout(left, slots.acquire_many(all)).await;
    Ok(())
}

pub(super) async fn bind(
    address: impl ToSocketAddrs + core::fmt::Debug,
) -> Result<TcpListener, ServeError> {
    let shown = format!("{address:?}");
    TcpListener::bind(address)
        .await
        .map_err(|error| ServeError::Bind {
            address: shown.trim_matches('"').to_owned(),
            error,
        })
}
