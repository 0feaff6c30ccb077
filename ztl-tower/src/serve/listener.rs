//! The accept loop: it takes connections and nothing else, so that nothing can stall it.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower_service::Service;

use super::body::RequestBody;
use super::connection;
use super::error::ServeError;
use super::handshake::Door;
use super::public::PublicTls;
use crate::guard::Guard;
use crate::live::Sever;

impl Guard {
    /// Serves `app` on `address` to callers that prove themselves by mutual TLS, until [`shutdown`](Guard::shutdown).
    ///
    /// `app` is any tower service of requests: an axum router, tonic's routes as a router, or one of your own. Every request
    /// is judged before it gets there.
    ///
    /// # Errors
    /// [`ServeError`]: the address cannot be bound, or the policy does not list its port under `ports` of this workload.
    pub async fn serve<S, B>(
        &self,
        address: impl ToSocketAddrs + core::fmt::Debug,
        app: S,
    ) -> Result<(), ServeError>
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        self.serve_listener(bind(address).await?, app).await
    }

    /// The same on a listener that is already bound.
    ///
    /// # Errors
    /// As [`serve`](Guard::serve).
    pub async fn serve_listener<S, B>(
        &self,
        listener: TcpListener,
        app: S,
    ) -> Result<(), ServeError>
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        let address = local(&listener)?;
        self.check_port(address, "ports")?;
        self.accept(listener, address, Door::mutual(self, address.port()), app)
            .await
    }

    /// Serves `app` on `address` to callers without an SVID, by server-side TLS: the door to the outside. Rules for `public`
    /// decide, and one that does not say `anonymous = true` asks for a user's token.
    ///
    /// # Errors
    /// [`ServeError`]; the policy must list the port under `public_ports` of this workload.
    pub async fn serve_public<S, B>(
        &self,
        address: impl ToSocketAddrs + core::fmt::Debug,
        tls: PublicTls,
        app: S,
    ) -> Result<(), ServeError>
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        self.serve_public_listener(bind(address).await?, tls, app)
            .await
    }

    /// The same on a listener that is already bound.
    ///
    /// # Errors
    /// As [`serve_public`](Guard::serve_public).
    pub async fn serve_public_listener<S, B>(
        &self,
        listener: TcpListener,
        tls: PublicTls,
        app: S,
    ) -> Result<(), ServeError>
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        let address = local(&listener)?;
        self.check_port(address, "public_ports")?;
        let door = Door::public(self, address.port(), &tls)?;
        self.accept(listener, address, door, app).await
    }

    async fn accept<S, B>(
        &self,
        listener: TcpListener,
        address: SocketAddr,
        door: Door,
        app: S,
    ) -> Result<(), ServeError>
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        let door = Arc::new(door);
        let slots = Arc::new(Semaphore::new(self.limits().connections));
        let mut shutdown = self.shutdown_signal();
        let mut tasks = JoinSet::new();
        loop {
            while tasks.try_join_next().is_some() {}
            // A slot first: past the bound, connections wait in the kernel's queue instead of in our memory.
            let slot = tokio::select! {
                slot = Arc::clone(&slots).acquire_owned() => slot,
                _ = shutdown.wait_for(|stop| *stop) => break,
            };
            let Ok(slot) = slot else { break };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = shutdown.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, remote)) => {
                    let Some(place) = door.place(slot, remote) else {
                        // No answer, and nothing that the kernel would keep of it.
                        stream.sever();
                        continue;
                    };
                    let (door, app) = (Arc::clone(&door), app.clone());
                    tasks.spawn(async move {
                        let _ = stream.set_nodelay(true);
                        connection::serve(&door, stream, remote, place, app).await;
                    });
                }
                // What is wrong with one connection is not wrong with the listener.
                Err(error) if is_per_connection(&error) => {}
                Err(error) if is_fatal(&error) => {
                    return Err(ServeError::Accept { address, error });
                }
                // Descriptors, memory, or an error of the network that accept(2) hands on: it passes.
                Err(error) => {
                    tracing::error!(target: "ztl", %error, "no connection can be taken just now");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        let drained = async { while tasks.join_next().await.is_some() {} };
        // Connections drain by themselves, with the same deadline; this one is the last resort.
        let _ = tokio::time::timeout(
            self.limits().drain.saturating_add(Duration::from_secs(1)),
            drained,
        )
        .await;
        Ok(())
    }

    fn check_port(&self, address: SocketAddr, key: &'static str) -> Result<(), ServeError> {
        let policy = self.engine().policy();
        let listed = policy
            .workload_by_name(self.name())
            .is_some_and(|me| match key {
                "ports" => me.ports().contains(&address.port()),
                _ => me.public_ports().contains(&address.port()),
            });
        if listed {
            Ok(())
        } else {
            Err(ServeError::UnlistedPort {
                workload: self.name().to_owned(),
                address,
                key,
            })
        }
    }
}

async fn bind(address: impl ToSocketAddrs + core::fmt::Debug) -> Result<TcpListener, ServeError> {
    let shown = format!("{address:?}");
    TcpListener::bind(address)
        .await
        .map_err(|error| ServeError::Bind {
            address: shown.trim_matches('"').to_owned(),
            error,
        })
}

fn local(listener: &TcpListener) -> Result<SocketAddr, ServeError> {
    listener.local_addr().map_err(|error| ServeError::Bind {
        address: "a bound listener".to_owned(),
        error,
    })
}

fn is_per_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

/// The listener itself is gone: EBADF, EINVAL.
fn is_fatal(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(9 | 22))
}

/// A stream and where it came from, on its way through the door.
pub(super) struct Knock {
    pub(super) stream: TcpStream,
    pub(super) remote: SocketAddr,
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_network_does_not_end_a_listener() {
        let error = std::io::Error::from_raw_os_error;
        // EPERM, ENOMEM, ENFILE, EMFILE, EPROTO, ENOPROTOOPT, EOPNOTSUPP, ENETDOWN, ENETUNREACH, ENOBUFS, EHOSTUNREACH
        for passing in [1, 12, 23, 24, 71, 92, 95, 100, 101, 105, 113] {
            assert!(!is_fatal(&error(passing)), "{passing}");
        }
        for fatal in [9, 22] {
            assert!(
                is_fatal(&error(fatal)) && !is_per_connection(&error(fatal)),
                "{fatal}"
            );
        }
        assert!(is_per_connection(&error(103)));
    }
}
