//! Taking back what nobody knows of whether it is in force.

use core::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ztl_authz::bundle::BundleConsumer;

use super::error::OpaBundleError;

/// Whoever puts bundles in force panicked, as this error says: takes back what there is. Where that panics as well, nobody knows how much it
/// took back, and the error says so.
pub(super) fn withdraw(consumer: &dyn BundleConsumer, error: OpaBundleError) -> OpaBundleError {
    match catch_unwind(AssertUnwindSafe(|| consumer.withdraw())) {
        Ok(()) => error,
        Err(panicked) => OpaBundleError::NotWithdrawn(error.into(), said(&*panicked).to_owned()),
    }
}

/// What a panic said.
fn said(panicked: &(dyn Any + Send)) -> &str {
    let text = panicked.downcast_ref::<&str>().copied();
    text.or_else(|| panicked.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic that says nothing")
}
