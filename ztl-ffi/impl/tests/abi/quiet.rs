//! The panic hook is the process's, and stays what it was.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::panic;

use ztl_ffi_impl::*;

use crate::harness::*;

#[test]
fn the_panic_hook_is_the_hosts_before_and_after() {
    static HEARD: AtomicUsize = AtomicUsize::new(0);
    const MARK: &str = "a panic of the host's own";
    let otherwise = panic::take_hook();
    // One that stands before that of the tests, which may panic at the same time.
    panic::set_hook(Box::new(move |told| {
        if told.payload().downcast_ref() == Some(&MARK) {
            HEARD.fetch_add(1, Ordering::Relaxed);
        } else {
            otherwise(told);
        }
    }));
    let heard = || {
        let before = HEARD.load(Ordering::Relaxed);
        assert!(panic::catch_unwind(|| panic::panic_any(MARK)).is_err());
        HEARD.load(Ordering::Relaxed) - before
    };
    assert_eq!(heard(), 1);
    let engine = Engine::new(POLICY);
    let flow = engine.flow();
    engine.authorize(&flow, &infer()).is_permitted();
    engine
        .authorize(&flow, &request("GET", "/admin"))
        .is_denied(ZTL_REASON_NO_ACTION_PERMITTED);
    assert_eq!(engine.swap("nonsense").0, ZTL_ERR_POLICY);
    assert_eq!(engine.swap(POLICY), (ZTL_OK, None));
    assert_eq!(heard(), 1, "another hook was set");
    drop((flow, engine));
    assert_eq!(heard(), 1, "another hook was set");
}
