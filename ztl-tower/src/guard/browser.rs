//! The boundary towards browsers that the guard's file says, until the program puts it around its service.

use core::sync::atomic::{AtomicBool, Ordering};

use super::Guard;
use crate::browser::Browser;

/// What `[browser]` of a guard's file says.
#[derive(Debug)]
pub(crate) struct Pages {
    browser: Browser,
    /// Whether the program has it.
    handed: AtomicBool,
    /// Whether an event said that it has not.
    told: AtomicBool,
}

impl Pages {
    pub(super) const fn new(browser: Browser) -> Self {
        Self {
            browser,
            handed: AtomicBool::new(false),
            told: AtomicBool::new(false),
        }
    }
}

impl Guard {
    /// The boundary towards browsers as `[browser]` of the guard's file says it, to be put around the service; `None` where the file
    /// has none. Which responses are pages is the program's to know, so that it is not put there by itself.
    ///
    /// Where the file has one that nobody asked for, [`run`](Self::run), every `serve` and public acceptors refuse to begin: it would be
    /// taken for in force. Behind [`authorize`](Self::authorize) and [`protect`](Self::protect), which cannot refuse, a warning comes
    /// with the first request.
    ///
    /// ```no_run
    /// # #[cfg(all(feature = "axum", feature = "serve"))]
    /// # async fn example(app: axum::Router) -> Result<(), Box<dyn std::error::Error>> {
    /// use ztl_tower::Guard;
    ///
    /// let guard = Guard::from_file("guard.toml").await?;
    /// let boundary = guard.browser().ok_or("guard.toml has no [browser]")?;
    /// guard.run(app.layer(boundary)).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "the boundary is in force where it is put around a service"]
    pub fn browser(&self) -> Option<Browser> {
        let pages = self.0.pages.as_ref()?;
        pages.handed.store(true, Ordering::Release);
        Some(pages.browser.clone())
    }

    /// Whether the file says a boundary that nobody put anywhere.
    #[cfg(feature = "serve")]
    pub(crate) fn lacks_its_boundary(&self) -> bool {
        let pages = self.0.pages.as_ref();
        pages.is_some_and(|pages| !pages.handed.load(Ordering::Acquire))
    }

    /// Tells of such a boundary once, when a request comes: until then the program may ask for it.
    #[inline]
    pub(crate) fn tell_of_its_boundary(&self) {
        if let Some(pages) = &self.0.pages
            && !pages.handed.load(Ordering::Acquire)
            && !pages.told.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(target: "ztl", workload = self.name(), "the boundary that the guard's file says is not in force: requests come, and nobody asked `Guard::browser` for it");
        }
    }
}
