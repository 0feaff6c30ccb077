//! Hostile callers of the calls beside the three: every pointer NULL once, and handles of another kind.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ptr;

use ztl_ffi_impl::*;

use crate::harness::*;

/// A call that came to nothing: a status below 0, and an output that is closed where there is one.
#[track_caller]
fn refused<T>(call: impl FnOnce(*mut *mut T, *mut *mut ztl_error) -> ztl_status) {
    let (mut out, mut error) = (dangling(), dangling());
    let status = call(&raw mut out, &raw mut error);
    assert_eq!((status, out.is_null()), (ZTL_ERR_ARG, true));
    assert_eq!(
        read_error(error).expect("an error comes with every no").0,
        ZTL_ERR_ARG
    );
}

#[test]
fn no_engine_and_no_place_for_the_answer_are_refused() {
    let engine = Engine::new(POLICY);
    let (router, flow) = (engine.router(), engine.flow());
    let connection = from_router(&router);
    let none: *mut *mut ztl_error = ptr::null_mut();
    let wrong = router.0.cast::<ztl_engine>();
    for no in [ptr::null(), wrong.cast_const()] {
        // SAFETY: NULL, or a live handle of another kind; the rest is good.
        unsafe {
            refused(|out, error| ztl_reach(no, text("router"), out, error));
            refused(|out, error| ztl_diff(no, text(POLICY), ZTL_FORMAT_TOML, out, error));
            refused(|out, error| {
                ztl_explain(no, &raw const connection, ptr::null(), ABSENT, out, error)
            });
            refused(|out, error| ztl_claims_assert_dangerous(no, text("{}"), NOW, out, error));
            refused(|out, error| ztl_token_verify(no, flow.0, text("a.b.c"), NOW, out, error));
        }
    }
    // SAFETY: NULL where an answer or a structure was to be; the rest is good.
    unsafe {
        assert_eq!(
            ztl_reach(engine.0, text("router"), none.cast(), none),
            ZTL_ERR_ARG
        );
        assert_eq!(
            ztl_diff(engine.0, text(POLICY), ZTL_FORMAT_TOML, none.cast(), none),
            ZTL_ERR_ARG
        );
        assert_eq!(
            ztl_claims_assert_dangerous(engine.0, text("{}"), NOW, none.cast(), none),
            ZTL_ERR_ARG
        );
        assert_eq!(
            ztl_token_verify(engine.0, flow.0, text("a"), NOW, none.cast(), none),
            ZTL_ERR_ARG
        );
        assert_eq!(ztl_engine_issuer(engine.0, ptr::null(), none), ZTL_ERR_ARG);
        assert_eq!(
            ztl_svid_check(
                engine.0,
                text("router"),
                ptr::null(),
                1,
                NOW,
                none.cast(),
                none
            ),
            ZTL_ERR_ARG
        );
        refused(|out, error| ztl_explain(engine.0, ptr::null(), ptr::null(), ABSENT, out, error));
        refused(|out, error| ztl_token_verify(engine.0, ptr::null(), text("a"), NOW, out, error));
        refused(|out, error| ztl_token_verify(engine.0, flow.0, NULL_WITH_LEN, NOW, out, error));
        refused(|out, error| ztl_reach(engine.0, NULL_WITH_LEN, out, error));
    }
}

#[test]
fn a_structure_of_another_size_or_kind_is_refused() {
    let engine = Engine::new(POLICY);
    let good = ztl_issuer {
        size: u32::try_from(size_of::<ztl_issuer>()).expect("small"),
        kind: ZTL_TOKEN_ACCESS,
        name: text("sso"),
        iss: text("https://sso.example"),
        audience: text("model-server"),
        jwks: ABSENT,
    };
    for wrong in [
        ztl_issuer { size: 0, ..good },
        ztl_issuer {
            size: good.size + 8,
            ..good
        },
        ztl_issuer { kind: 0, ..good },
        ztl_issuer { kind: 4, ..good },
        ztl_issuer {
            name: ABSENT,
            ..good
        },
        ztl_issuer {
            iss: NULL_WITH_LEN,
            ..good
        },
        ztl_issuer {
            audience: text(""),
            ..good
        },
    ] {
        // SAFETY: readable, whatever it says.
        let status = unsafe { ztl_engine_issuer(engine.0, &raw const wrong, ptr::null_mut()) };
        assert_eq!(status, ZTL_ERR_ARG);
    }
}

#[test]
fn null_is_freed_and_tells_nothing() {
    let (mut at, mut len) = (dangling::<u8>().cast_const(), 9);
    // SAFETY: NULL, or good.
    unsafe {
        ztl_text_free(ptr::null_mut());
        ztl_claims_free(ptr::null_mut());
        assert_eq!(ztl_error_reason(ptr::null()), ZTL_REASON_NOT_JUDGED);
        assert_eq!(
            ztl_text_bytes(ptr::null(), &raw mut at, &raw mut len),
            ZTL_ERR_ARG
        );
    }
    assert_eq!((at.is_null(), len), (true, 0));
}
