//! Where audit records go.

use std::path::PathBuf;

use ztl_core::Timestamp;
use ztl_core::audit::chain::ChainBuilder;
use ztl_core::audit::{AuditError, JsonLinesSink, Masks, Sink};

use super::{BuildError, GuardBuilder};

/// What the builder was told of the audit.
#[derive(Default)]
pub(super) struct AuditFrom {
    to: To,
    /// For records that we write ourselves, where the guard's file says any.
    pub(super) masks: Option<Masks>,
    #[cfg(feature = "trust")]
    watched: Option<ztl_authz::trust::Behaviour>,
}

#[derive(Default)]
enum To {
    #[default]
    StandardError,
    File(PathBuf),
    Chain(Box<ChainBuilder>, PathBuf),
    Sink(Box<dyn Sink>),
}

impl AuditFrom {
    /// Into a chain in this file, in place of what was said before.
    pub(super) fn write_chain(&mut self, chain: ChainBuilder, path: PathBuf) {
        self.to = To::Chain(Box::new(chain), path);
    }

    /// Opens it. `now` is when a chain's segment begins.
    pub(super) fn open(self, now: Timestamp) -> Result<Box<dyn Sink>, BuildError> {
        let masked = self.masks.is_some();
        let masks = self.masks.unwrap_or_default();
        let refused = |path: PathBuf| |error: AuditError| BuildError::Audit { path, error };
        let sink: Box<dyn Sink> = match self.to {
            // T30: what is to be masked would stand there in plain.
            To::Sink(_) if masked => return Err(BuildError::MasksOfAnother),
            To::Sink(sink) => sink,
            To::File(path) => {
                let opened = JsonLinesSink::append(&path).map_err(refused(path))?;
                Box::new(opened.with_masks(masks))
            }
            To::Chain(chain, path) => {
                let opened = chain.masks(masks).open(&path, now);
                Box::new(opened.map_err(refused(path))?)
            }
            To::StandardError => Box::new(JsonLinesSink::new(std::io::stderr()).with_masks(masks)),
        };
        #[cfg(feature = "trust")]
        if let Some(behaviour) = self.watched {
            return Ok(Box::new(behaviour.watching(sink)));
        }
        Ok(sink)
    }
}

impl GuardBuilder {
    /// Where audit records go. Without this they are written to standard error as JSON lines; a permit that cannot be written
    /// there is denied (law 6).
    pub fn audit(mut self, sink: impl Sink + 'static) -> Self {
        self.audit.to = To::Sink(Box::new(sink));
        self
    }

    /// Appends audit records to a file as JSON lines.
    pub fn audit_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.audit.to = To::File(path.into());
        self
    }

    /// Shows every decision of this guard to whoever watches how callers behave, wherever the records go. What it measures may be a
    /// signal: [`signals`](Self::signals).
    ///
    /// ```
    /// use core::time::Duration;
    /// use ztl_tower::Guard;
    /// use ztl_tower::authz::trust::{Behaviour, Measure, Signals};
    ///
    /// let behaviour = Behaviour::new(Duration::from_secs(600), 1200);
    /// let builder = Guard::builder("ledger")
    ///     .signals(Signals::none().with("calm", behaviour.measure(Measure::Calm)))
    ///     .behaviour(behaviour);
    /// # let _ = builder;
    /// ```
    #[cfg(feature = "trust")]
    pub fn behaviour(mut self, behaviour: ztl_authz::trust::Behaviour) -> Self {
        self.audit.watched = Some(behaviour);
        self
    }
}
