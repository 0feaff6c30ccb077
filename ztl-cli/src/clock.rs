//! The clock, read once a run and only where a question states no time of its own.

use std::time::{SystemTime, UNIX_EPOCH};

use ztl_core::Timestamp;

use crate::exit::Failure;

/// What the clock says.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where this tool reads the clock"
)]
pub(crate) fn now() -> Result<Timestamp, Failure> {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(|span| Timestamp::EPOCH.saturating_add(span))
        .map_err(|_| Failure::Usage("the system clock stands before 1970; give `--now`".to_owned()))
}
