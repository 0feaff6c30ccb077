//! What ends a service.

use core::future::Future;
use std::sync::Arc;

use crate::guard::Guard;

impl Guard {
    /// Shuts this guard down when `signal` resolves. The guard is not kept alive by it.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// ```no_run
    /// # fn example(guard: ztl_tower::Guard, told: tokio::sync::oneshot::Receiver<()>) {
    /// guard.shutdown_on(async {
    ///     let _ = told.await;
    /// });
    /// # }
    /// ```
    pub fn shutdown_on(&self, signal: impl Future<Output = ()> + Send + 'static) {
        let guard = Arc::downgrade(self.inner());
        tokio::spawn(async move {
            signal.await;
            if let Some(guard) = guard.upgrade() {
                Self::from_inner(guard).shutdown();
            }
        });
    }

    /// Shuts this guard down on SIGTERM or SIGINT, which no longer end the process by themselves from here on.
    ///
    /// # Errors
    /// The handlers cannot be set.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[cfg(all(feature = "signal", unix))]
    pub fn shutdown_on_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};

        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        self.shutdown_on(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        Ok(())
    }

    /// Shuts this guard down on Ctrl-C, which no longer ends the process by itself from here on.
    ///
    /// # Errors
    /// The handler cannot be set.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[cfg(all(feature = "signal", windows))]
    pub fn shutdown_on_signals(&self) -> std::io::Result<()> {
        let mut interrupt = tokio::signal::windows::ctrl_c()?;
        self.shutdown_on(async move {
            interrupt.recv().await;
        });
        Ok(())
    }
}
