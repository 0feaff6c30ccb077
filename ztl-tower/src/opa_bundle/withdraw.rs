//! Taking back what nobody knows of whether it is in force, and saying what became of that.

use core::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ztl_authz::bundle::BundleConsumer;

use super::error::OpaBundleError;
use crate::guard::Guard;
use crate::refresh::off_thread;

/// Takes back what there is. Where that panics nobody knows how much it took back; what the panic says is the error.
pub(super) fn withdraw(consumer: &dyn BundleConsumer) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| consumer.withdraw()))
        .map_err(|panicked| said(&*panicked).to_owned())
}

/// The same, where no request waits.
pub(super) async fn aside(consumer: &Arc<dyn BundleConsumer>) -> Result<(), String> {
    let consumer = Arc::clone(consumer);
    let withdrawn = off_thread((), move |()| withdraw(&*consumer)).await;
    withdrawn.map_or_else(|error| Err(error.to_string()), |((), withdrawn)| withdrawn)
}

/// What it counts as.
pub(super) const fn outcome(withdrawn: &Result<(), String>) -> &'static str {
    match withdrawn {
        Ok(()) => "withdrawn",
        Err(_) => "unknown",
    }
}

/// Says that whoever puts a bundle in force panicked, and what became of withdrawing what there is.
pub(super) fn panicked(guard: &Guard, bundle: &str, error: &OpaBundleError) {
    let workload = guard.name();
    if matches!(error, OpaBundleError::NotWithdrawn(..)) {
        tracing::error!(target: "ztl", workload, bundle, %error, "whoever puts the bundle in force panicked, and so did withdrawing it: what is in force is not known, and it is tried again");
    } else {
        tracing::error!(target: "ztl", workload, bundle, %error, "whoever puts the bundle in force panicked: nothing of it is in force now, and it is tried again");
    }
}

/// Says what became of withdrawing once more what could not be.
pub(super) fn again(guard: &Guard, bundle: &str, withdrawn: &Result<(), String>) {
    let workload = guard.name();
    if let Err(error) = withdrawn {
        tracing::error!(target: "ztl", workload, bundle, error, "withdrawing the bundle panicked again: what of it is in force is not known, and it is tried again");
    } else {
        tracing::error!(target: "ztl", workload, bundle, "the bundle is withdrawn, which broke off before: nothing of it is in force now");
    }
}

/// What a panic said.
fn said(panicked: &(dyn Any + Send)) -> &str {
    let text = panicked.downcast_ref::<&str>().copied();
    text.or_else(|| panicked.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic that says nothing")
}
