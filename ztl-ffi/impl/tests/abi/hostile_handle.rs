//! Hostile callers: handles of the wrong kind or of another engine, NULL, and what is asked of errors.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ptr;

use ztl_ffi_impl::*;

use crate::audit::{file, records};
use crate::harness::*;

#[test]
fn a_handle_of_another_kind_is_refused() {
    let engine = Engine::new(POLICY);
    let (router, flow) = (engine.router(), engine.flow());
    let (request, action) = (from_router(&router), infer());
    let mut out = dangling();
    for wrong in [router.0.cast::<ztl_engine>(), flow.0.cast::<ztl_engine>()] {
        // SAFETY: live handles, of another kind than asked for.
        let answer = call(|decision, error| unsafe {
            ztl_flow_permit(wrong, &raw const request, &raw mut out, decision, error)
        });
        answer.says_no(ZTL_ERR_ARG);
        // SAFETY: as above.
        let answer = call(|decision, error| unsafe {
            ztl_action_authorize(wrong, flow.0, &raw const action, decision, error)
        });
        answer.says_no(ZTL_ERR_ARG);
        let mut error = dangling();
        // SAFETY: as above.
        let status =
            unsafe { ztl_engine_swap(wrong, text(POLICY), ZTL_FORMAT_TOML, &raw mut error) };
        assert_eq!((status, read_error(error).is_some()), (ZTL_ERR_ARG, true));
        // SAFETY: a free of the wrong kind, which is to be noticed.
        unsafe { ztl_engine_free(wrong) };
    }
    for wrong in [engine.0.cast::<ztl_peer>(), flow.0.cast::<ztl_peer>()] {
        engine
            .permit(&ztl_flow_request {
                peer: wrong,
                ..request
            })
            .0
            .says_no(ZTL_ERR_ARG);
    }
    for wrong in [engine.0.cast::<ztl_flow>(), router.0.cast::<ztl_flow>()] {
        let wrong = core::mem::ManuallyDrop::new(Flow(wrong));
        engine.authorize(&wrong, &infer()).says_no(ZTL_ERR_ARG);
    }
    // Nothing was freed by mistake.
    engine.authorize(&flow, &infer()).is_permitted();
}

#[test]
fn a_peer_of_another_engine_is_refused() {
    let (engine, other) = (Engine::new(POLICY), Engine::new(POLICY));
    let router = other.router();
    engine.permit(&from_router(&router)).0.says_no(ZTL_ERR_ARG);
    // Nor is a peer good at an engine that came to lie where its own one was.
    drop(other);
    let next = Engine::new(POLICY);
    next.permit(&from_router(&router)).0.says_no(ZTL_ERR_ARG);
}

#[test]
fn on_a_flow_of_another_engine_nothing_is_recorded_or_verified() {
    let path = file("another");
    let (engine, other) = (
        Engine::with_audit(POLICY, text(path.to_str().expect("a path in UTF-8"))),
        Engine::new(POLICY),
    );
    let flow = other.flow();
    let asked = infer();
    // SAFETY: all pointers are good.
    call(|decision, error| unsafe {
        let reason = ZTL_REASON_OBJECTED;
        ztl_action_refuse(engine.0, flow.0, &raw const asked, reason, decision, error)
    })
    .says_no(ZTL_ERR_ARG);
    let (mut claims, mut error) = (dangling(), dangling());
    // SAFETY: all pointers are good.
    let status = unsafe {
        ztl_token_verify(
            engine.0,
            flow.0,
            text("a.b.c"),
            NOW,
            &raw mut claims,
            &raw mut error,
        )
    };
    assert_eq!((status, claims.is_null()), (ZTL_ERR_ARG, true));
    let (_, said) = read_error(error).expect("an error");
    assert!(said.contains("another engine"), "{said}");
    // The audit has nothing of a caller whom this engine has not seen.
    assert_eq!(records(&path), Vec::<serde_json::Value>::new());
    other.authorize(&flow, &asked).is_permitted();
}

#[test]
fn null_is_freed_and_is_no_error() {
    // SAFETY: NULL.
    unsafe {
        ztl_engine_free(ptr::null_mut());
        ztl_peer_free(ptr::null_mut());
        ztl_flow_free(ptr::null_mut());
        ztl_error_free(ptr::null_mut());
        assert_eq!(
            ztl_error_code(ptr::null()),
            ZTL_ERR_ARG,
            "never to be mistaken for success"
        );
        let (mut at, mut len) = (dangling::<u8>().cast_const(), 9);
        assert_eq!(
            ztl_error_message(ptr::null(), &raw mut at, &raw mut len),
            ZTL_ERR_ARG
        );
        assert_eq!((at.is_null(), len), (true, 0));
    }
}

#[test]
fn the_text_of_an_error_needs_both_its_outputs() {
    let mut error = ptr::null_mut();
    let (mut at, mut len) = (dangling::<u8>().cast_const(), 9);
    // SAFETY: NULL or good.
    unsafe {
        assert_eq!(
            ztl_engine_swap(ptr::null(), ABSENT, 0, &raw mut error),
            ZTL_ERR_ARG
        );
        assert_eq!(
            ztl_error_message(error, ptr::null_mut(), &raw mut len),
            ZTL_ERR_ARG
        );
        assert_eq!(
            ztl_error_message(error, &raw mut at, ptr::null_mut()),
            ZTL_ERR_ARG
        );
        assert_eq!((at.is_null(), len), (true, 0));
        ztl_error_free(error);
    }
}

#[test]
fn versions_are_there_to_be_compared() {
    assert_eq!(ztl_abi_version(), ZTL_ABI_VERSION);
    // SAFETY: ended by NUL and never freed.
    let version = unsafe { core::ffi::CStr::from_ptr(ztl_version()) };
    assert_eq!(version.to_str(), Ok(env!("CARGO_PKG_VERSION")));
}
