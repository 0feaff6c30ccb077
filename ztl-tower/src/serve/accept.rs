//! The accept loop: it takes connections and nothing else, so that nothing can stall it.

use core::future::Future;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::door::Door;
use super::error::ServeError;
use super::place::Place;
use super::remote::Remote;
use crate::transport::Transport;

/// What is bound, and gives streams.
pub(super) trait Binds: Send + Sync + 'static {
    type Stream: Transport;

    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, Remote)>> + Send;
}

impl Binds for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, Remote)> {
        let (stream, remote) = self.accept().await?;
        let _ = stream.set_nodelay(true);
        Ok((stream, Remote::from_addr(Some(remote))))
    }
}

#[cfg(unix)]
impl Binds for tokio::net::UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn next(&self) -> io::Result<(Self::Stream, Remote)> {
        let (stream, _) = self.accept().await?;
        let remote = Remote::local(&stream);
        Ok((stream, remote))
    }
}

/// Takes connections until the guard shuts down, and has each handled in a task of its own. Then waits for those, within the drain
/// timeout, and says how much of that is left.
pub(super) async fn accept<L, H, F>(
    listener: L,
    shown: &str,
    door: Arc<Door>,
    handle: H,
) -> Result<Duration, ServeError>
where
    L: Binds,
    H: Fn(Arc<Door>, L::Stream, Remote, Place) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let guard = door.guard.clone();
    let mut shutdown = guard.shutdown_signal();
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        // A slot first: past the bound, connections wait in the kernel's queue instead of in our memory.
        let slot = tokio::select! {
            slot = Arc::clone(&door.slots).acquire_owned() => slot,
            _ = shutdown.wait_for(|stop| *stop) => break,
        };
        let Ok(slot) = slot else { break };
        let accepted = tokio::select! {
            accepted = listener.next() => accepted,
            _ = shutdown.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, remote)) => match door.place(slot, remote) {
                Some(place) => drop(tasks.spawn(handle(Arc::clone(&door), stream, remote, place))),
                // No answer, and nothing that the kernel would keep of it.
                None => stream.sever(),
            },
            // What is wrong with one connection is not wrong with the listener.
            Err(error) if is_per_connection(&error) => {}
            Err(error) if is_fatal(&error) => {
                let address = shown.to_owned();
                return Err(ServeError::Accept { address, error });
            }
            // Descriptors, memory, or an error of the network that accept(2) hands on: it passes.
            Err(error) => {
                tracing::error!(target: "ztl", %error, "no connection can be taken just now");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    // Whoever comes from here on.
    guard.refuses();
    drop(listener);
    let drained = async { while tasks.join_next().await.is_some() {} };
    // Connections drain by themselves, with the same deadline; this one is the last resort.
    let last = guard.limits().drain.saturating_add(Duration::from_secs(1));
    let begun = Instant::now();
    let _ = tokio::time::timeout(last, drained).await;
    Ok(last.saturating_sub(begun.elapsed()))
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
