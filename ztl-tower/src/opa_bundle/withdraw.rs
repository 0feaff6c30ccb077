//! Taking back what nobody knows of whether it is in force.

use core::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ztl_authz::bundle::BundleConsumer;

use crate::refresh::off_thread;

/// Takes back what there is. Where that panics nobody knows how much it took back; what the panic says is the error.
pub(super) fn withdraw(consumer: &dyn BundleConsumer) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| consumer.withdraw()))
        .map_err(|panicked| said(&*panicked).to_owned())
}

/// The same, where no request waits.
pub(super) async fn withdraw_aside(consumer: &Arc<dyn BundleConsumer>) -> Result<(), String> {
    let consumer = Arc::clone(consumer);
    let withdrawn = off_thread((), move |()| withdraw(&*consumer)).await;
    withdrawn.map_or_else(|error| Err(error.to_string()), |((), withdrawn)| withdrawn)
}

/// What a panic said.
fn said(panicked: &(dyn Any + Send)) -> &str {
    let text = panicked.downcast_ref::<&str>().copied();
    text.or_else(|| panicked.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic that says nothing")
}
