//! Claims: from a verified token, or by a word whose call is named dangerous; good for nobody else (T8, T16).

#![expect(unsafe_code, reason = "calls the C ABI")]

use ztl_ffi_impl::*;

use crate::harness::*;

const ISSUERS: &str = "
[issuers.sso]
issuer = \"https://sso.example\"
audience = \"model-server\"

[[permit]]
name = \"readers-read\"
from = \"router\"
to = \"model-server\"
ports = 8443
actions = [\"GET /v1/secrets\"]
[permit.require]
token = { issuer = \"sso\", scopes = [\"read\"] }
";

struct Claims(*mut ztl_claims);

impl Drop for Claims {
    fn drop(&mut self) {
        // SAFETY: made by the library, freed once.
        unsafe { ztl_claims_free(self.0) }
    }
}

fn engine() -> Engine {
    Engine::new(&format!("{POLICY}{ISSUERS}"))
}

fn secrets(claims: Option<&Claims>) -> ztl_action_request {
    ztl_action_request {
        claims: claims.map_or(core::ptr::null(), |claims| claims.0.cast_const()),
        ..request("GET", "/v1/secrets")
    }
}

/// Makes a call that gives claims.
fn made(
    call: impl FnOnce(*mut *mut ztl_claims, *mut *mut ztl_error) -> ztl_status,
) -> Result<Claims, (ztl_status, String)> {
    let (mut claims, mut error) = (dangling(), dangling());
    let status = call(&raw mut claims, &raw mut error);
    assert_eq!(
        claims.is_null(),
        status != ZTL_OK,
        "claims come with success and with nothing else"
    );
    match read_error(error) {
        None => {
            assert_eq!(status, ZTL_OK);
            Ok(Claims(claims))
        }
        Some(error) => {
            assert_eq!(error.0, status);
            Err(error)
        }
    }
}

fn asserted(
    engine: &Engine,
    claims: ztl_str,
    expires: u64,
) -> Result<Claims, (ztl_status, String)> {
    // SAFETY: good, or NULL with a length.
    made(|out, error| unsafe { ztl_claims_assert_dangerous(engine.0, claims, expires, out, error) })
}

fn verify(engine: &Engine, flow: &Flow, token: &str) -> Result<Claims, (ztl_status, String)> {
    // SAFETY: all pointers are good.
    made(|out, error| unsafe { ztl_token_verify(engine.0, flow.0, text(token), NOW, out, error) })
}

fn issuer(engine: &Engine, jwks: &str) -> Option<(ztl_status, String)> {
    let issuer = ztl_issuer {
        size: u32::try_from(size_of::<ztl_issuer>()).expect("small"),
        kind: ZTL_TOKEN_ACCESS,
        name: text("sso"),
        iss: text("https://sso.example"),
        audience: text("model-server"),
        jwks: text(jwks),
    };
    let mut error = dangling();
    // SAFETY: all pointers are good.
    let status = unsafe { ztl_engine_issuer(engine.0, &raw const issuer, &raw mut error) };
    let error = read_error(error);
    assert_eq!(error.as_ref().map_or(ZTL_OK, |(code, _)| *code), status);
    error
}

#[test]
fn claims_that_somebody_vouches_for_are_evidence_until_they_expire() {
    let engine = engine();
    let flow = engine.flow();
    engine
        .authorize(&flow, &secrets(None))
        .is_denied(ZTL_REASON_EVIDENCE_MISSING);
    let good =
        r#"{"iss": "https://sso.example", "sub": "alice", "aud": "model-server", "scope": "read"}"#;
    let claims = asserted(&engine, text(good), NOW + 60).expect("claims");
    engine
        .authorize(&flow, &secrets(Some(&claims)))
        .is_permitted();
    let late = asserted(&engine, text(good), NOW).expect("claims");
    assert_eq!(
        engine
            .authorize(&flow, &secrets(Some(&late)))
            .says_no(ZTL_DENIED)
            .decision
            .permit,
        0
    );
    let poor = good.replace("read", "write");
    let poor = asserted(&engine, text(&poor), NOW + 60).expect("claims");
    engine
        .authorize(&flow, &secrets(Some(&poor)))
        .is_denied(ZTL_REASON_REQUIREMENT_UNMET);
}

#[test]
fn claims_that_are_none_or_are_anothers_are_refused() {
    let engine = engine();
    for (wrong, status) in [
        (text("[]"), ZTL_ERR_ARG),
        (text(r#"{"sub": "a", "sub": "b"}"#), ZTL_ERR_ARG),
        (text(""), ZTL_ERR_ARG),
        (NULL_WITH_LEN, ZTL_ERR_ARG),
        (bytes(b"{\xff}"), ZTL_ERR_UTF8),
    ] {
        assert_eq!(
            asserted(&engine, wrong, NOW + 60).err().expect("refused").0,
            status
        );
    }
    let other = self::engine();
    let claims = asserted(&other, text("{}"), NOW + 60).expect("claims");
    let flow = engine.flow();
    engine
        .authorize(&flow, &secrets(Some(&claims)))
        .says_no(ZTL_ERR_ARG);
    let flow_as_claims = core::mem::ManuallyDrop::new(Claims(flow.0.cast()));
    engine
        .authorize(&flow, &secrets(Some(&flow_as_claims)))
        .says_no(ZTL_ERR_ARG);
}

#[cfg(not(feature = "jwt"))]
#[test]
fn t16_a_library_without_tokens_refuses_every_token() {
    let engine = engine();
    let flow = engine.flow();
    assert_eq!(
        issuer(&engine, "{}").expect("refused").0,
        ZTL_ERR_UNSUPPORTED
    );
    assert_eq!(
        verify(&engine, &flow, "a.b.c").err().expect("refused").0,
        ZTL_ERR_UNSUPPORTED
    );
}

#[cfg(feature = "jwt")]
#[test]
fn t16_a_verified_token_is_evidence_for_its_caller_while_its_key_is_in_use() {
    use ztl_authz::jwt::DevIssuer;

    let engine = engine();
    let flow = engine.flow();
    let dev = DevIssuer::new("https://sso.example").expect("a key");
    let token = |scope: &str| {
        let claims = serde_json::json!({ "sub": "alice", "aud": "model-server", "exp": NOW + 300, "scope": scope });
        dev.sign(claims).expect("a token")
    };
    assert_eq!(
        verify(&engine, &flow, &token("read"))
            .err()
            .expect("no issuer yet")
            .0,
        ZTL_ERR_TOKEN
    );
    assert_eq!(issuer(&engine, "{}").expect("no keys").0, ZTL_ERR_KEYS);
    assert_eq!(issuer(&engine, &dev.jwks_json()), None);
    let claims = verify(&engine, &flow, &token("read")).expect("verified");
    engine
        .authorize(&flow, &secrets(Some(&claims)))
        .is_permitted();
    let poor = verify(&engine, &flow, &token("write")).expect("verified");
    engine
        .authorize(&flow, &secrets(Some(&poor)))
        .is_denied(ZTL_REASON_REQUIREMENT_UNMET);
    // Another caller's flow: the claims are not its own.
    let stranger = engine.peer_until("spiffe://prod.example/stranger", "host", NOW + 60);
    let permitted = format!("{POLICY}{ISSUERS}")
        .replace("from = \"router\"", "from = [\"router\", \"stranger\"]");
    assert_eq!(engine.swap(&permitted), (ZTL_OK, None));
    let (_, other) = engine.permit(&from_router(&stranger));
    if let Some(other) = other {
        engine
            .authorize(&other, &secrets(Some(&claims)))
            .says_no(ZTL_ERR_ARG);
    }
    // Forged by another key, and after the issuer took its key away.
    let forger = DevIssuer::new("https://sso.example").expect("a key");
    let forged = forger
        .sign(serde_json::json!({ "sub": "alice", "aud": "model-server", "exp": NOW + 300, "scope": "read" }))
        .expect("a token");
    assert_eq!(
        verify(&engine, &flow, &forged).err().expect("refused").0,
        ZTL_ERR_TOKEN
    );
    assert_eq!(issuer(&engine, &forger.jwks_json()), None);
    engine
        .authorize(&flow, &secrets(Some(&claims)))
        .is_denied(ZTL_REASON_EVIDENCE_MISSING);
}
