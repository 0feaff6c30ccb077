//! A service behind a server of the host's own.

use core::fmt;
use core::task::{Context, Poll};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::Body;
use tower_service::Service;

use super::acceptor::Accepted;
use super::body::RequestBody;
use super::carry::{Answered, Answers, Carry};
use crate::guard::Guard;
use crate::live::Carried;
use crate::transport::Transport;

impl Guard {
    /// A service for an HTTP server of one's own over connections of an [`Acceptor`](crate::Acceptor) or of
    /// [`incoming`](Guard::incoming): it judges every request before `service` sees it, as [`serve`](Guard::serve) does, and hands on the same
    /// [`RequestBody`].
    ///
    /// ```no_run
    /// # #[cfg(feature = "axum-core")]
    /// # async fn example(guard: ztl_tower::Guard, app: axum::Router) -> Result<(), Box<dyn std::error::Error>> {
    /// use hyper_util::rt::{TokioExecutor, TokioIo};
    /// use hyper_util::server::conn::auto::Builder;
    /// use hyper_util::service::TowerToHyperService;
    ///
    /// let protect = guard.protect(app);
    /// let mut incoming = guard.incoming("0.0.0.0:8443").await?;
    /// while let Some(accepted) = incoming.accept().await? {
    ///     let service = TowerToHyperService::new(protect.on(&accepted));
    ///     tokio::spawn(async move {
    ///         let server = Builder::new(TokioExecutor::new());
    ///         server.serve_connection(TokioIo::new(accepted), service).await
    ///     });
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn protect<S>(&self, service: S) -> Protect<S> {
        Protect {
            guard: self.clone(),
            service,
        }
    }

    /// Resolves once [`shutdown`](Guard::shutdown) was called: for the graceful end of a server of one's own.
    pub fn shutting_down(&self) -> impl Future<Output = ()> + Send + 'static {
        let (mut shutdown, guard) = (self.shutdown_signal(), Arc::downgrade(self.inner()));
        async move {
            // A guard that is gone serves nobody.
            let _ = shutdown.wait_for(|stop| *stop).await;
            if let Some(guard) = guard.upgrade() {
                Self::from_inner(guard).refuses();
            }
        }
    }
}

/// A service that is to be protected, once for each connection. Made by [`Guard::protect`].
#[derive(Clone, Debug)]
pub struct Protect<S> {
    guard: Guard,
    service: S,
}

impl<S: Clone> Protect<S> {
    /// The service for the requests of this connection, and of no other.
    ///
    /// A connection that another guard let in ends: what that one permitted is not this one's to serve.
    pub fn on<T: Transport>(&self, accepted: &Accepted<T>) -> Protected<S> {
        let live = accepted.live();
        if accepted.is_of(&self.guard) {
            live.protect();
        } else {
            tracing::error!(target: "ztl", workload = self.guard.name(), "a connection that another guard let in is not served: it ends");
            live.revoke();
        }
        let (span, service) = (accepted.span().clone(), self.service.clone());
        let remote = accepted.remote();
        let activity = live.hosted();
        Protected(Carry::new(
            &self.guard,
            live,
            activity,
            span,
            remote,
            service,
        ))
    }
}

/// A service for the requests of one connection, each judged before it sees it and again while it runs.
///
/// A request that is no longer authorized ends with its whole connection, for the server that carries it is not ours.
#[derive(Clone)]
pub struct Protected<S>(Carry<S>);

impl<S, B, R> Service<Request<B>> for Protected<S>
where
    S: Service<Request<RequestBody>, Response = Response<R>> + Clone,
    B: Body<Data = Bytes, Error: Into<Box<dyn core::error::Error + Send + Sync>>> + Send + 'static,
{
    type Response = Answered<R>;
    type Error = S::Error;
    type Future = Answers<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let carried = if request.version() < Version::HTTP_2 {
            Carried::Alone
        } else {
            Carried::Elsewhere
        };
        self.0.ask(carried, request, RequestBody::of)
    }
}

impl<S> fmt::Debug for Protected<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protected").finish_non_exhaustive()
    }
}

#[cfg(feature = "axum")]
mod axum_serve {
    use core::convert::Infallible;
    use core::future::{Ready, ready};
    use core::pin::Pin;

    use axum::body::Body;
    use axum::extract::Request;
    use axum::response::{IntoResponse, Response};
    use axum::serve::IncomingStream;

    use super::*;
    use crate::serve::incoming::Incoming;

    impl<S> Service<IncomingStream<'_, Incoming>> for Protect<S>
    where
        S: Clone,
    {
        type Response = ProtectedRouter<S>;
        type Error = Infallible;
        type Future = Ready<Result<ProtectedRouter<S>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, stream: IncomingStream<'_, Incoming>) -> Self::Future {
            ready(Ok(ProtectedRouter(self.on(stream.io()))))
        }
    }

    /// [`Protected`], as `axum::serve` takes it.
    #[derive(Clone, Debug)]
    pub struct ProtectedRouter<S>(Protected<S>);

    impl<S> Service<Request> for ProtectedRouter<S>
    where
        S: Service<Request<RequestBody>, Response = Response, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        type Response = Response;
        type Error = Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Service::<Request>::poll_ready(&mut self.0, cx)
        }

        fn call(&mut self, request: Request) -> Self::Future {
            let answer = self.0.call(request);
            Box::pin(async move { Ok(answer.await?.map(Body::new).into_response()) })
        }
    }
}

#[cfg(feature = "axum")]
pub use axum_serve::ProtectedRouter;
