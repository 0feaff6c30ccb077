//! Connections one after the other, each past its handshake: accepted in the background, so that none waits for another's.

use core::fmt;
use core::future::{Future, ready};
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::Arc;

use futures_core::Stream;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};

use super::accept::accept;
use super::acceptor::Accepted;
use super::door::Door;
use super::error::ServeError;
use super::listener::bind;
use crate::guard::Guard;
use crate::raw::RawStream;

/// Connections that have passed and wait to be taken.
const WAITING: usize = 16;

impl Guard {
    /// Listens for raw bytes: streams whose caller is proved, whose flow is permitted and which are authorized for the action
    /// `connect`, each by one decision with one record.
    ///
    /// ```no_run
    /// # async fn example(guard: ztl_tower::Guard) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut listener = guard.listen("0.0.0.0:5671").await?;
    /// while let Some(mut stream) = listener.accept().await? {
    ///     tokio::spawn(async move {
    ///         let (mut read, mut write) = tokio::io::split(&mut stream);
    ///         tokio::io::copy(&mut read, &mut write).await
    ///     });
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ServeError`]: the address cannot be bound, or the policy does not list its port under `ports` of this workload.
    pub async fn listen(
        &self,
        address: impl ToSocketAddrs + fmt::Debug,
    ) -> Result<Listener, ServeError> {
        self.listen_on(bind(address).await?)
    }

    /// The same on a listener that is already bound.
    ///
    /// # Errors
    /// As [`listen`](Guard::listen).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn listen_on(&self, listener: TcpListener) -> Result<Listener, ServeError> {
        let address = self.checked(&listener, "ports")?;
        let door = Door::raw(self, address.port());
        let passes = |accepted: Accepted| async move { accepted.into_raw().await.ok() };
        Ok(Listener(Taken::begin(listener, address, door, passes)))
    }

    /// Listens for connections of an HTTP server of one's own: each proved and permitted, **and nothing of it authorized**, which
    /// is for [`protect`](Guard::protect): without it they carry nothing (T1).
    ///
    /// # Errors
    /// As [`listen`](Guard::listen).
    pub async fn incoming(
        &self,
        address: impl ToSocketAddrs + fmt::Debug,
    ) -> Result<Incoming, ServeError> {
        self.incoming_on(bind(address).await?)
    }

    /// The same on a listener that is already bound.
    ///
    /// # Errors
    /// As [`listen`](Guard::listen).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn incoming_on(&self, listener: TcpListener) -> Result<Incoming, ServeError> {
        let address = self.checked(&listener, "ports")?;
        let door = Door::mutual(self, address.port());
        Ok(Incoming(Taken::begin(
            listener,
            address,
            door,
            |accepted| ready(Some(accepted)),
        )))
    }
}

/// Raw streams, one after the other. Dropped, it listens no longer; streams that were taken live on. Made by [`Guard::listen`].
#[derive(Debug)]
pub struct Listener(Taken<RawStream>);

impl Listener {
    /// The next stream; none once the guard shuts down.
    ///
    /// Cancel safe: a stream that was not answered yet is answered next.
    ///
    /// # Errors
    /// [`ServeError::Accept`]: the listener broke.
    ///
    /// # Panics
    /// Where the task that takes connections did.
    pub async fn accept(&mut self) -> Result<Option<RawStream>, ServeError> {
        core::future::poll_fn(|cx| self.0.poll(cx)).await
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.0.address
    }
}

/// Connections for an HTTP server of one's own, one after the other: a [`Stream`], and with the feature `axum` a
/// [listener](https://docs.rs/axum/latest/axum/serve/trait.Listener.html) for `axum::serve`. Made by [`Guard::incoming`].
#[derive(Debug)]
pub struct Incoming(Taken<Accepted>);

impl Incoming {
    /// The next connection; none once the guard shuts down.
    ///
    /// # Errors
    /// [`ServeError::Accept`]: the listener broke.
    ///
    /// # Panics
    /// Where the task that takes connections did; so does the [`Stream`].
    pub async fn accept(&mut self) -> Result<Option<Accepted>, ServeError> {
        core::future::poll_fn(|cx| self.0.poll(cx)).await
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.0.address
    }
}

impl Stream for Incoming {
    type Item = Result<Accepted, ServeError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll(cx).map(Result::transpose)
    }
}

#[cfg(feature = "axum")]
impl axum::serve::Listener for Incoming {
    type Io = Accepted;
    type Addr = Option<SocketAddr>;

    /// Waits for ever once the guard shuts down: end the server with
    /// [`with_graceful_shutdown(guard.shutting_down())`](Guard::shutting_down).
    async fn accept(&mut self) -> (Accepted, Option<SocketAddr>) {
        match Self::accept(self).await {
            Ok(Some(accepted)) => {
                let remote = accepted.remote();
                (accepted, remote)
            }
            Ok(None) => core::future::pending().await,
            Err(error) => {
                tracing::error!(target: "ztl", %error, "nothing is accepted any more");
                core::future::pending().await
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Option<SocketAddr>> {
        Ok(Some(self.0.address))
    }
}

/// What a task in the background has taken.
#[derive(Debug)]
struct Taken<C> {
    address: SocketAddr,
    passed: mpsc::Receiver<C>,
    /// None once it has ended.
    task: Option<Task>,
    /// How it ended, until that is said.
    ended: Result<(), ServeError>,
}

type Task = JoinHandle<Result<Duration, ServeError>>;

impl<C: Send + 'static> Taken<C> {
    fn begin<F>(
        listener: TcpListener,
        address: SocketAddr,
        door: Door,
        passes: impl Fn(Accepted) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Option<C>> + Send + 'static,
    {
        let (pass, passed) = mpsc::channel(WAITING);
        let task = async move {
            let shown = address.to_string();
            accept(
                listener,
                &shown,
                Arc::new(door),
                move |door, stream, remote, place| {
                    let (pass, passes) = (pass.clone(), passes.clone());
                    async move {
                        let Ok((stream, registered, span)) = door.open(stream, remote, place).await
                        else {
                            return;
                        };
                        let accepted = Accepted::new(&door.guard, stream, registered, remote, span);
                        let Some(accepted) = accepted else { return };
                        if let Some(passed) = passes(accepted).await {
                            // While it waits it is judged as any open connection.
                            let _ = pass.send(passed).await;
                        }
                    }
                },
            )
            .await
        };
        Self {
            address,
            passed,
            task: Some(tokio::spawn(task)),
            ended: Ok(()),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<C>, ServeError>> {
        if let Poll::Ready(Some(passed)) = self.passed.poll_recv(cx) {
            return Poll::Ready(Ok(Some(passed)));
        }
        if let Some(task) = &mut self.task {
            let ended = core::task::ready!(Pin::new(task).poll(cx));
            self.task = None;
            let ended = match ended.map_err(JoinError::try_into_panic) {
                Ok(ended) => ended.map(drop),
                Err(Ok(panic)) => std::panic::resume_unwind(panic),
                // It ends with its runtime.
                Err(Err(_)) => Ok(()),
            };
            return Poll::Ready(self.end(ended));
        }
        Poll::Ready(self.how_it_ended())
    }

    /// The task has ended so; what it passed on last goes before that.
    fn end(&mut self, ended: Result<(), ServeError>) -> Result<Option<C>, ServeError> {
        self.ended = ended;
        match self.passed.try_recv() {
            Ok(passed) => Ok(Some(passed)),
            Err(_) => self.how_it_ended(),
        }
    }

    fn how_it_ended(&mut self) -> Result<Option<C>, ServeError> {
        core::mem::replace(&mut self.ended, Ok(())).map(|()| None)
    }
}

impl<C> Drop for Taken<C> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_passed_on_last_goes_before_how_the_listener_ended() {
        let (pass, passed) = mpsc::channel(WAITING);
        let mut taken = Taken {
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            passed,
            task: None,
            ended: Ok(()),
        };
        // They came between the look for them and that for the end.
        for one in 1..=2 {
            pass.try_send(one).expect("there is room");
        }
        drop(pass);
        let first = taken.end(Err(ServeError::Accept {
            address: "127.0.0.1:1".to_owned(),
            error: std::io::Error::from_raw_os_error(9),
        }));
        assert_eq!(first.expect("passed on"), Some(1));
        let mut next = async || core::future::poll_fn(|cx| taken.poll(cx)).await;
        assert_eq!(next().await.expect("passed on"), Some(2));
        let broke = next().await;
        assert!(matches!(broke, Err(ServeError::Accept { .. })), "{broke:?}");
        assert_eq!(next().await.expect("nothing more"), None);
    }
}
