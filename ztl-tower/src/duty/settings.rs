//! What a guard was told of its duties.

use ztl_core::ObligationKinds;

use super::log::{self, Takes};

/// What discharges obligations.
pub(crate) struct Duties {
    pub(super) access_log: Takes,
    /// In place of the one above, once it is open.
    pub(super) access_log_file: Option<std::path::PathBuf>,
    #[cfg(feature = "limit")]
    pub(super) limits: super::limit::Limits,
    #[cfg(feature = "redis")]
    pub(super) shared_limits: Option<super::RedisLimits>,
    #[cfg(feature = "schema")]
    pub(super) schemas: super::schema::Looks,
}

impl Duties {
    /// With all that the builder was told.
    pub(crate) fn open(mut self) -> Result<Self, crate::guard::BuildError> {
        if let Some(path) = self.access_log_file.take() {
            self.access_log = log::appended(path)?;
        }
        #[cfg(feature = "redis")]
        self.open_shared()?;
        Ok(self)
    }

    /// How many bytes of bodies wait before a schema.
    #[cfg(all(feature = "metrics", feature = "schema"))]
    pub(crate) fn waiting(&self) -> usize {
        self.schemas.waiting()
    }
}

impl Default for Duties {
    fn default() -> Self {
        Self {
            access_log: log::standard_error(),
            access_log_file: None,
            #[cfg(feature = "limit")]
            limits: super::limit::Limits::default(),
            #[cfg(feature = "redis")]
            shared_limits: None,
            #[cfg(feature = "schema")]
            schemas: super::schema::Looks::default(),
        }
    }
}

/// What this build discharges.
pub(crate) const fn kinds() -> ObligationKinds {
    let kinds = ObligationKinds::none().with_max_body().with_log();
    #[cfg(feature = "limit")]
    let kinds = kinds.with_limit();
    #[cfg(feature = "schema")]
    let kinds = kinds.with_schema();
    kinds
}
