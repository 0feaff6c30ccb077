//! What a guard was told of its duties.

use ztl_core::ObligationKinds;

use super::log::{self, Takes};

/// What discharges obligations.
pub(crate) struct Duties {
    pub(super) access_log: Takes,
    #[cfg(feature = "limit")]
    pub(super) limits: super::limit::Limits,
    #[cfg(feature = "redis")]
    pub(super) shared_limits: Option<super::RedisLimits>,
    #[cfg(feature = "schema")]
    pub(super) schemas: super::schema::Looks,
}

impl Duties {
    /// With all that the builder was told.
    #[cfg_attr(
        not(feature = "redis"),
        expect(unused_mut, reason = "only what is elsewhere has to be opened")
    )]
    pub(crate) fn open(mut self) -> Result<Self, crate::guard::BuildError> {
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
