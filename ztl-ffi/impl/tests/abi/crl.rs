//! Revocation lists, and bundles as SPIFFE writes them.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::ptr;

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use ztl_core::TrustDomain;
use ztl_ffi_impl::*;
use ztl_mtls::{Denied, SpiffeBundle, TrustBundle};

use crate::authority::Authority;
use crate::harness::*;
use crate::prove::{ROUTER, connection, policy, prove_at, trust};

impl Authority {
    /// A list in PEM that is good for an hour and names these leaves.
    fn list(&self, revoked: &[&[u8]]) -> String {
        let serial = |der: &&[u8]| match Denied::serial_of(der).expect("a certificate") {
            Denied::Serial(serial) => SerialNumber::from_slice(serial.serial()),
            other => panic!("{other:?} is no serial number"),
        };
        let at =
            |unix: u64| rcgen::date_time_ymd(1970, 1, 1) + core::time::Duration::from_secs(unix);
        let revoked = revoked.iter().map(|der| RevokedCertParams {
            serial_number: serial(der),
            revocation_time: at(NOW - 60),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: at(NOW - 60),
            next_update: at(NOW + 3600),
            crl_number: SerialNumber::from(7_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params
            .signed_by(&self.issuer)
            .expect("a list")
            .pem()
            .expect("PEM")
    }
}

fn crls(engine: *const ztl_engine, domain: ztl_str, lists: ztl_str) -> ztl_status {
    let mut error = dangling();
    // SAFETY: good, NULL, or longer than what is read of it.
    let status = unsafe { ztl_engine_crls(engine, domain, lists, &raw mut error) };
    assert_eq!(read_error(error).map_or(ZTL_OK, |(code, _)| code), status);
    status
}

#[test]
fn t25_a_certificate_that_a_list_names_proves_nothing_and_ends_what_it_proved() {
    let authority = Authority::new();
    let engine = Engine::new(&policy());
    assert_eq!(trust(&engine, text(&authority.pem)).0, ZTL_OK);
    let (stolen, other) = (authority.issue(ROUTER), authority.issue(ROUTER));
    let of = text("prod.example");
    let peer = prove_at(&engine, &connection(), &[&stolen]).expect("proved");
    let flow = engine.permit(&from_router(&peer)).1.expect("permitted");
    engine.authorize(&flow, &infer()).is_permitted();

    assert_eq!(
        crls(engine.0, of, text(&authority.list(&[&stolen]))),
        ZTL_OK
    );
    engine
        .authorize(&flow, &infer())
        .is_denied(ZTL_REASON_FLOW_WITHDRAWN);
    engine
        .permit(&from_router(&peer))
        .0
        .is_denied(ZTL_REASON_IDENTITY_EXPIRED);
    let (code, said) = prove_at(&engine, &connection(), &[&stolen])
        .err()
        .expect("revoked");
    assert_eq!(code, ZTL_DENIED, "{said}");
    let kept = prove_at(&engine, &connection(), &[&other]).expect("proved");

    // What is refused leaves the lists in force.
    for (lists, wanted) in [
        (text(""), ZTL_ERR_CRL),
        (
            text("-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----\n"),
            ZTL_ERR_CRL,
        ),
        (text(&authority.pem), ZTL_ERR_CRL),
        (NULL_WITH_LEN, ZTL_ERR_ARG),
        (
            ztl_str {
                len: usize::MAX,
                ..text("x")
            },
            ZTL_ERR_ARG,
        ),
    ] {
        assert_eq!(crls(engine.0, of, lists), wanted);
    }
    assert_eq!(crls(engine.0, ABSENT, ABSENT), ZTL_ERR_ARG);
    assert_eq!(crls(ptr::null(), of, ABSENT), ZTL_ERR_ARG);
    engine.permit(&from_router(&kept)).0.is_permitted();
    assert!(prove_at(&engine, &connection(), &[&stolen]).is_err());

    // A list that is overdue says nothing of anybody, and nobody is proved.
    let late = ztl_flow_request {
        now_unix: NOW + 3599,
        ..connection()
    };
    assert!(prove_at(&engine, &late, &[&other]).is_ok());
    let late = ztl_flow_request {
        now_unix: NOW + 3601,
        ..connection()
    };
    let long = authority.issue_until(ROUTER, NOW + 7200);
    assert!(prove_at(&engine, &late, &[&long]).is_err());

    assert_eq!(crls(engine.0, of, ABSENT), ZTL_OK);
    assert!(prove_at(&engine, &late, &[&long]).is_ok());
}

#[test]
fn t25_an_overdue_list_ends_what_was_proved_before() {
    let authority = Authority::new();
    let engine = Engine::new(&policy());
    assert_eq!(trust(&engine, text(&authority.pem)).0, ZTL_OK);
    let of = text("prod.example");
    assert_eq!(crls(engine.0, of, text(&authority.list(&[]))), ZTL_OK);
    // The list ends an hour from now, long before the certificate does.
    let (due, leaf) = (NOW + 3600, authority.issue_until(ROUTER, NOW + 7200));
    let peer = prove_at(&engine, &connection(), &[&leaf]).expect("proved");
    let (answer, flow) = engine.permit(&from_router(&peer));
    assert_eq!(answer.is_permitted().decision.expires_unix, due);
    let flow = flow.expect("a flow");
    let at = |now_unix| ztl_action_request {
        now_unix,
        ..infer()
    };
    let connect_at = |now_unix| ztl_flow_request {
        now_unix,
        ..from_router(&peer)
    };
    let reads = |now| {
        let mut reads = 0;
        // SAFETY: all pointers are good.
        unsafe { ztl_flow_reads(engine.0, flow.0, now, &raw mut reads, ptr::null_mut()) }
    };

    let answer = engine.authorize(&flow, &at(due - 1));
    assert_eq!(answer.is_permitted().decision.expires_unix, due);
    engine.permit(&connect_at(due - 1)).0.is_permitted();
    assert_eq!(reads(due - 1), ZTL_OK);

    let answer = engine.authorize(&flow, &at(due));
    answer.is_denied(ZTL_REASON_FLOW_WITHDRAWN);
    assert_eq!(answer.decision.stage, ZTL_STAGE_FLOW);
    assert_eq!(reads(due), ZTL_DENIED);
    let answer = engine.permit(&connect_at(due)).0;
    answer.is_denied(ZTL_REASON_IDENTITY_EXPIRED);
    // Another policy changes nothing about it.
    assert_eq!(engine.swap(&format!("{}\n", policy())), (ZTL_OK, None));
    engine
        .authorize(&flow, &at(due))
        .is_denied(ZTL_REASON_FLOW_WITHDRAWN);

    // Without lists no status is asked for, and the end is that of the certificate.
    assert_eq!(crls(engine.0, of, ABSENT), ZTL_OK);
    let anew = ztl_flow_request {
        peer: ptr::null(),
        ..connect_at(due)
    };
    let peer = prove_at(&engine, &anew, &[&leaf]).expect("proved");
    let request = ztl_flow_request {
        peer: peer.0,
        ..anew
    };
    let answer = engine.permit(&request).0;
    assert_eq!(answer.is_permitted().decision.expires_unix, NOW + 7200);
}

#[test]
fn a_bundle_may_be_a_document_of_spiffe() {
    let authority = Authority::new();
    let engine = Engine::new(&policy());
    let domain = TrustDomain::parse("prod.example").expect("a trust domain");
    let bundle = TrustBundle::from_der(domain, [authority.der.clone().into()]).expect("a bundle");
    let json = SpiffeBundle::new(bundle).to_json().expect("a document");
    let leaf = authority.issue(ROUTER);
    assert!(prove_at(&engine, &connection(), &[&leaf]).is_err());
    assert_eq!(trust(&engine, text(&json)), (ZTL_OK, None));
    let peer = prove_at(&engine, &connection(), &[&leaf]).expect("proved");
    for bad in [
        "{",
        "{}",
        "{\"keys\":[{\"use\":\"x509-svid\",\"kty\":\"EC\"}]}",
    ] {
        assert_eq!(trust(&engine, text(bad)).0, ZTL_ERR_BUNDLE, "{bad}");
    }
    engine.permit(&from_router(&peer)).0.is_permitted();
}
