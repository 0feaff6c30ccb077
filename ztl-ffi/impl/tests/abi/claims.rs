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
    secrets_at("/v1/secrets", claims)
}

fn secrets_at(target: &'static str, claims: Option<&Claims>) -> ztl_action_request {
    ztl_action_request {
        claims: claims.map_or(core::ptr::null(), |claims| claims.0.cast_const()),
        ..request("GET", target)
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
    tell(
        engine,
        ZTL_TOKEN_ACCESS,
        ("sso", "https://sso.example"),
        jwks,
    )
}

fn tell(
    engine: &Engine,
    kind: u32,
    (name, iss): (&str, &str),
    jwks: &str,
) -> Option<(ztl_status, String)> {
    tell_for(engine, kind, (name, iss), "model-server", jwks)
}

fn tell_for(
    engine: &Engine,
    kind: u32,
    (name, iss): (&str, &str),
    audience: &str,
    jwks: &str,
) -> Option<(ztl_status, String)> {
    let issuer = ztl_issuer {
        size: u32::try_from(size_of::<ztl_issuer>()).expect("small"),
        kind,
        name: text(name),
        iss: text(iss),
        audience: text(audience),
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

#[cfg(feature = "jwt")]
#[test]
fn t16_a_second_token_in_the_query_leaves_a_request_with_none() {
    use ztl_authz::jwt::DevIssuer;

    let engine = engine();
    let flow = engine.flow();
    let dev = DevIssuer::new("https://sso.example").expect("a key");
    assert_eq!(issuer(&engine, &dev.jwks_json()), None);
    let told = serde_json::json!({ "sub": "alice", "aud": "model-server", "exp": NOW + 300, "scope": "read" });
    let verified = verify(&engine, &flow, &dev.sign(told).expect("a token")).expect("verified");
    let told =
        r#"{"iss": "https://sso.example", "sub": "alice", "aud": "model-server", "scope": "read"}"#;
    let vouched_for = asserted(&engine, text(told), NOW + 60).expect("claims");
    for target in [
        "/v1/secrets?access_token=a.b.c",
        "/v1/secrets?access_token",
        "/v1/secrets?page=2;Access%5ftoken=",
    ] {
        engine
            .authorize(&flow, &secrets_at(target, Some(&verified)))
            .is_denied(ZTL_REASON_EVIDENCE_MISSING);
        engine
            .authorize(&flow, &secrets_at(target, Some(&vouched_for)))
            .is_permitted();
    }
    for target in ["/v1/secrets?page=access_token", "/v1/secrets?"] {
        engine
            .authorize(&flow, &secrets_at(target, Some(&verified)))
            .is_permitted();
    }
}

/// RFC 8705 §3.1: with the certificate that the peer was proved by, and no other.
#[cfg(feature = "jwt")]
#[test]
fn t16_a_token_that_is_bound_to_a_certificate_is_good_for_whom_that_proved() {
    use crate::authority::Authority;
    use crate::prove::{ROUTER, connection, policy, prove_at, trust};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ztl_authz::jwt::DevIssuer;
    use ztl_core::LeafDigest;

    let engine = Engine::new(&format!("{}{ISSUERS}", policy()));
    let authority = Authority::new();
    assert_eq!(trust(&engine, text(&authority.pem)).0, ZTL_OK);
    let dev = DevIssuer::new("https://sso.example").expect("a key");
    assert_eq!(issuer(&engine, &dev.jwks_json()), None);
    let (one, other) = (authority.issue(ROUTER), authority.issue(ROUTER));
    let flow_by = |leaf: &[u8]| {
        let peer = prove_at(&engine, &connection(), &[leaf]).expect("proved");
        engine.permit(&from_router(&peer)).1.expect("a flow")
    };
    let (by_one, by_other) = (flow_by(&one), flow_by(&other));
    let bound_to = |leaf: &[u8]| {
        let digest = URL_SAFE_NO_PAD.encode(LeafDigest::of(leaf.into()).as_bytes());
        let told = serde_json::json!({
            "sub": "alice", "aud": "model-server", "exp": NOW + 300, "scope": "read", "cnf": { "x5t#S256": digest },
        });
        dev.sign(told).expect("a token")
    };
    let token = bound_to(&one);
    let claims = verify(&engine, &by_one, &token).expect("verified");
    engine
        .authorize(&by_one, &secrets(Some(&claims)))
        .is_permitted();
    // The same workload with another certificate, as after a rotation, is somebody else.
    let refused = verify(&engine, &by_other, &token).err().expect("refused");
    assert_eq!(refused.0, ZTL_ERR_TOKEN, "{}", refused.1);
    engine
        .authorize(&by_other, &secrets(Some(&claims)))
        .says_no(ZTL_ERR_ARG);
    assert!(verify(&engine, &by_other, &bound_to(&other)).is_ok());
    // Whom no certificate proved can show none.
    let asserts = Engine::new(&format!("{POLICY}{ISSUERS}"));
    assert_eq!(issuer(&asserts, &dev.jwks_json()), None);
    let refused = verify(&asserts, &asserts.flow(), &token);
    assert_eq!(refused.err().expect("refused").0, ZTL_ERR_TOKEN);
}

#[cfg(feature = "jwt")]
#[test]
fn t17_claims_end_with_what_was_said_of_their_issuer() {
    use ztl_authz::jwt::DevIssuer;

    let engine = engine();
    let flow = engine.flow();
    let dev = DevIssuer::new("https://sso.example").expect("a key");
    let told = serde_json::json!({ "sub": "alice", "aud": ["model-server", "other"], "exp": NOW + 300, "scope": "read" });
    let token = dev.sign(told).expect("a token");
    let (sso, keys) = (("sso", "https://sso.example"), dev.jwks_json());
    let good = |claims: &Claims| engine.authorize(&flow, &secrets(Some(claims)));
    assert_eq!(issuer(&engine, &keys), None);
    let claims = verify(&engine, &flow, &token).expect("verified");
    good(&claims).is_permitted();
    // The same said again ends nothing.
    assert_eq!(issuer(&engine, &keys), None);
    good(&claims).is_permitted();
    // The key is the same in each, and held by an issuer: by this one, said otherwise, or by another.
    let elsewhere = ("sso", "https://elsewhere.example");
    for (kind, (name, iss), audience) in [
        (ZTL_TOKEN_ACCESS, sso, "other"),
        (ZTL_TOKEN_ID, sso, "model-server"),
        (ZTL_TOKEN_ACCESS, elsewhere, "model-server"),
    ] {
        assert_eq!(tell_for(&engine, kind, (name, iss), audience, &keys), None);
        good(&claims).is_denied(ZTL_REASON_EVIDENCE_MISSING);
        // Said as it was, it is verified as it was.
        assert_eq!(issuer(&engine, &keys), None);
        good(&claims).is_permitted();
    }
    let tenant = ("tenant", "https://tenant.example");
    assert_eq!(tell(&engine, ZTL_TOKEN_ACCESS, tenant, &keys), None);
    let others = DevIssuer::new("https://sso.example").expect("a key");
    assert_eq!(issuer(&engine, &others.jwks_json()), None);
    good(&claims).is_denied(ZTL_REASON_EVIDENCE_MISSING);
}

#[cfg(feature = "jwt")]
#[test]
fn t34_who_sends_many_bad_tokens_has_no_further_one_checked() {
    use ztl_authz::jwt::DevIssuer;

    let engine = engine();
    let flow = engine.flow();
    let dev = DevIssuer::new("https://sso.example").expect("a key");
    let token = |sub: &str| {
        let claims = serde_json::json!({ "sub": sub, "aud": "model-server", "exp": NOW + 300, "scope": "read" });
        dev.sign(claims).expect("a token")
    };
    assert_eq!(issuer(&engine, &dev.jwks_json()), None);
    let (known, late) = (token("alice"), token("bob"));
    assert!(verify(&engine, &flow, &known).is_ok());
    let refused = |token: &str| verify(&engine, &flow, token).err().map(|(code, _)| code);
    for _ in 0..256 {
        assert_eq!(refused("a.b.c"), Some(ZTL_ERR_TOKEN));
    }
    assert_eq!(refused("a.b.c"), Some(ZTL_ERR_BUDGET));
    assert_eq!(refused(&late), Some(ZTL_ERR_BUDGET));
    assert_eq!(refused(&known), None, "what was good before costs nothing");
    // Whatever keys come to its own.
    let other = DevIssuer::new("https://sso.example").expect("a key");
    let keys = |jwks: String| -> Vec<serde_json::Value> {
        let jwks: serde_json::Value = serde_json::from_str(&jwks).expect("JSON");
        jwks["keys"].as_array().expect("a list").clone()
    };
    let mut both = keys(dev.jwks_json());
    both.extend(keys(other.jwks_json()));
    let both = serde_json::json!({ "keys": both }).to_string();
    assert_eq!(issuer(&engine, &both), None);
    assert_eq!(refused(&known), None, "other keys forget no good token");
    assert_eq!(issuer(&engine, &other.jwks_json()), None);
    assert_eq!(refused(&known), Some(ZTL_ERR_BUDGET), "its key is gone");
    assert_eq!(issuer(&engine, &dev.jwks_json()), None);
    // Another caller has a budget of its own, and the first one's comes back.
    let stranger = engine.peer_until("spiffe://prod.example/stranger", "host", NOW + 3600);
    let both = format!("{POLICY}{ISSUERS}")
        .replace("from = \"router\"", "from = [\"router\", \"stranger\"]");
    assert_eq!(engine.swap(&both), (ZTL_OK, None));
    let other = engine.permit(&from_router(&stranger)).1.expect("a flow");
    assert!(verify(&engine, &other, &late).is_ok());
    // SAFETY: all pointers are good.
    let later = made(|out, error| unsafe {
        ztl_token_verify(engine.0, flow.0, text(&token("carol")), NOW + 1, out, error)
    });
    assert!(later.is_ok());
}

/// JWT-SVID §3, §4: of the workloads of a trust domain, by the keys in its bundle.
#[cfg(feature = "jwt")]
#[test]
fn rule_29_a_jwt_svid_is_verified_by_the_bundle_of_its_trust_domain() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{Algorithm, EncodingKey, Header};

    let policy = ISSUERS
        .replace("https://sso.example", "spiffe://prod.example")
        .replace(", scopes = [\"read\"]", "");
    let engine = Engine::new(&format!("{POLICY}{policy}"));
    let flow = engine.flow();
    let key = rcgen::KeyPair::generate().expect("a key");
    let (x, y) = key.public_key_raw()[1..].split_at(32);
    let of = ztl_core::TrustDomain::parse("prod.example").expect("a trust domain");
    let root = crate::authority::Authority::new().der;
    let root = ztl_mtls::TrustBundle::from_der(of, [root.into()]).expect("a bundle");
    let document = ztl_mtls::SpiffeBundle::new(root).to_json().expect("JSON");
    let bundle_for = |usage: &str| {
        let [x, y] = [x, y].map(|half| URL_SAFE_NO_PAD.encode(half));
        let mut document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
        document["keys"]
            .as_array_mut()
            .expect("a list")
            .push(serde_json::json!(
                { "use": usage, "kid": "one", "kty": "EC", "crv": "P-256", "x": x, "y": y }
            ));
        document.to_string()
    };
    let bundle = bundle_for("jwt-svid");
    let token = |sub: &str| {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("one".to_owned());
        let claims = serde_json::json!({ "sub": sub, "aud": "model-server", "exp": NOW + 300 });
        let signs = EncodingKey::from_ec_der(&key.serialize_der());
        jsonwebtoken::encode(&header, &claims, &signs).expect("a token")
    };
    let domain = ("sso", "spiffe://prod.example");
    for (iss, jwks) in [
        ("prod.example", &*bundle),
        ("spiffe://", &*bundle),
        ("spiffe://prod.example/a", &*bundle),
        ("spiffe://prod.example", "[]"),
    ] {
        let refused = tell(&engine, ZTL_TOKEN_SVID, ("sso", iss), jwks);
        assert_eq!(refused.expect("refused").0, ZTL_ERR_KEYS, "{iss} {jwks}");
    }
    assert_eq!(
        tell(&engine, 4, domain, &bundle).expect("no kind").0,
        ZTL_ERR_ARG
    );
    assert_eq!(tell(&engine, ZTL_TOKEN_SVID, domain, &bundle), None);
    let good = verify(&engine, &flow, &token("spiffe://prod.example/alice")).expect("verified");
    engine
        .authorize(&flow, &secrets(Some(&good)))
        .is_permitted();
    for sub in [
        "alice",
        "spiffe://prod.example",
        "spiffe://other.example/alice",
    ] {
        let refused = verify(&engine, &flow, &token(sub)).err().expect(sub);
        assert_eq!(refused.0, ZTL_ERR_TOKEN, "{sub}: {}", refused.1);
    }
    // Keys for something else verify nothing.
    assert_eq!(
        tell(&engine, ZTL_TOKEN_SVID, domain, &bundle_for("x509-other")),
        None
    );
    assert!(verify(&engine, &flow, &token("spiffe://prod.example/alice")).is_err());
    engine
        .authorize(&flow, &secrets(Some(&good)))
        .is_denied(ZTL_REASON_EVIDENCE_MISSING);
}
