//! Listeners at Unix sockets: the same mutual TLS, for callers on this machine or behind a proxy on it.

use core::time::Duration;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Request, Response};
use tokio::net::{UnixListener, UnixStream};
use tower_service::Service;

use super::accept::Binds;
use super::body::RequestBody;
use super::door::Door;
use super::error::ServeError;
use super::listener::serve;
use super::remote::Remote;
use crate::guard::Guard;

impl Guard {
    /// Serves `app` at a Unix socket to callers that prove themselves by mutual TLS, until [`shutdown`](Guard::shutdown). Rules
    /// see such a connection as one to `port`, which the policy has to list under `ports` of this workload.
    ///
    /// Who may open the file decides nothing: a caller proves itself as over TCP, and where it arrives from is unknown, so that a
    /// permit which names a zone does not permit, a forbid which names one forbids, and a workload with a zone of its own is not
    /// reached this way (T26).
    ///
    /// A socket that an earlier process left behind is replaced; one at which somebody listens is not. Two processes must not begin at
    /// one left-behind socket in the same instant: nothing there tells one from the other. The file is removed when no more
    /// connections are taken, unless it is another by then.
    ///
    /// # Errors
    /// [`ServeError`]: the socket cannot be bound, the policy does not list the port, or the file's `[browser]` is nowhere in force.
    pub fn serve_unix<P, S, B>(
        &self,
        path: P,
        port: u16,
        app: S,
    ) -> impl Future<Output = Result<(), ServeError>> + Send + 'static + use<P, S, B>
    where
        P: AsRef<Path>,
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    {
        let (guard, path) = (self.clone(), path.as_ref().to_owned());
        async move {
            let shown = path.display().to_string();
            guard.check_port(&shown, port, "ports")?;
            let bound = bind(&path).await?;
            serve(bound, shown, Door::mutual(&guard, port), app).await
        }
    }

    /// The same on a listener that is already bound, whose file is the caller's.
    ///
    /// # Errors
    /// As [`serve_unix`](Guard::serve_unix).
    pub fn serve_unix_listener<S, B>(
        &self,
        listener: UnixListener,
        port: u16,
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
            let shown = "a Unix socket";
            guard.check_port(shown, port, "ports")?;
            serve(listener, shown.to_owned(), Door::mutual(&guard, port), app).await
        }
    }
}

/// A socket with its file, which goes first: whoever takes its place finds nobody listening, and his file is not removed.
pub(super) struct Bound {
    _file: SocketFile,
    listener: UnixListener,
}

impl Binds for Bound {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<(UnixStream, Remote)> {
        self.listener.next().await
    }
}

/// The file of a socket that is open, removed when it is dropped.
struct SocketFile {
    path: PathBuf,
    is: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Its number is nobody else's while the socket is open.
        if which(&self.path).is_ok_and(|is| is == self.is) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Device and number of a file.
fn which(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|file| number(&file))
}

fn number(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

pub(super) async fn bind(path: &Path) -> Result<Bound, ServeError> {
    let bound = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => match left_behind(path).await {
            // Asked just before, so that what another process put there meanwhile stays.
            Some(left) if which(path).is_ok_and(|is| is == left) => {
                std::fs::remove_file(path).and_then(|()| UnixListener::bind(path))
            }
            _ => Err(error),
        },
        bound => bound,
    };
    let bound = bound.and_then(|listener| {
        let (path, is) = (path.to_owned(), which(path)?);
        let _file = SocketFile { path, is };
        Ok(Bound { _file, listener })
    });
    bound.map_err(|error| ServeError::Bind {
        address: path.display().to_string(),
        error,
    })
}

/// How long a socket that is there may take to answer.
const ANSWERS: Duration = Duration::from_secs(1);

/// Which file this is, where it is a socket at which nobody listens.
async fn left_behind(path: &Path) -> Option<(u64, u64)> {
    let file = std::fs::symlink_metadata(path).ok()?;
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    let answer = tokio::time::timeout(ANSWERS, UnixStream::connect(path)).await;
    let is_left = file.file_type().is_socket() && answer.is_ok_and(|it| it.is_err_and(refused));
    is_left.then(|| number(&file))
}
