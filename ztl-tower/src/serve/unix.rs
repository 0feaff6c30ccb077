//! Listeners at Unix sockets: the same mutual TLS, for callers on this machine or behind a proxy on it.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use tokio::net::UnixListener;
use tower_service::Service;

use super::accept::accept;
use super::body::RequestBody;
use super::connection;
use super::door::Door;
use super::error::ServeError;
use crate::guard::Guard;

impl Guard {
    /// Serves `app` at a Unix socket to callers that prove themselves by mutual TLS, until [`shutdown`](Guard::shutdown). Rules
    /// see such a connection as one to `port`, which the policy has to list under `ports` of this workload.
    ///
    /// Who may open the file decides nothing: a caller proves itself as over TCP, and where it arrives from is unknown, so that a
    /// permit which names a zone does not permit, a forbid which names one forbids, and a workload with a zone of its own is not
    /// reached this way (T26).
    ///
    /// A socket that an earlier process left behind is replaced; one at which somebody listens is not. The file is removed at the
    /// end.
    ///
    /// # Errors
    /// [`ServeError`]: the socket cannot be bound, or the policy does not list the port.
    pub async fn serve_unix<S, B>(
        &self,
        path: impl AsRef<Path>,
        port: u16,
        app: S,
    ) -> Result<(), ServeError>
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        let path = path.as_ref();
        self.check_port(&path.display().to_string(), port, "ports")?;
        let (listener, file) = bind(path)?;
        let served = self.serve_unix_listener(listener, port, app).await;
        drop(file);
        served
    }

    /// The same on a listener that is already bound, whose file is the caller's.
    ///
    /// # Errors
    /// As [`serve_unix`](Guard::serve_unix).
    pub async fn serve_unix_listener<S, B>(
        &self,
        listener: UnixListener,
        port: u16,
        app: S,
    ) -> Result<(), ServeError>
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        let shown = "a Unix socket";
        self.check_port(shown, port, "ports")?;
        let door = Arc::new(Door::mutual(self, port));
        accept(listener, shown, door, move |door, stream, remote, place| {
            let app = app.clone();
            async move { connection::serve(&door, stream, remote, place, app).await }
        })
        .await
    }
}

/// The file of a socket, removed when it is dropped.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(super) fn bind(path: &Path) -> Result<(UnixListener, SocketFile), ServeError> {
    let bound = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_behind(path) => {
            std::fs::remove_file(path).and_then(|()| UnixListener::bind(path))
        }
        bound => bound,
    };
    let bound = bound.map(|listener| (listener, SocketFile(path.to_owned())));
    bound.map_err(|error| ServeError::Bind {
        address: path.display().to_string(),
        error,
    })
}

/// Whether this is a socket at which nobody listens.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && std::os::unix::net::UnixStream::connect(path).is_err_and(refused)
}
