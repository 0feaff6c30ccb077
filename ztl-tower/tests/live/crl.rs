//! Revocation lists that name one certificate of two.

use rcgen::{
    CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, Issuer,
    KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::CertificateRevocationListDer;
use ztl_mtls::{CrlSet, X509Svid};

use super::*;

/// A list of the mesh's authority that names these.
fn crl(mesh: &Mesh, revoked: &[&X509Svid]) -> CrlSet {
    let key = KeyPair::from_pem(&mesh.authority.key_pem()).expect("key");
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let name = "ztl development authority";
    params
        .distinguished_name
        .push(DnType::OrganizationName, name);
    let date = |seconds| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
    let made = now().as_unix_secs() - 60;
    let revoked_certs = revoked.iter().map(|svid| {
        let Denied::Serial(serial) = Denied::serial_of(&svid.chain()[0]).expect("serial") else {
            panic!("a serial number");
        };
        RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial.serial()),
            revocation_time: date(made),
            reason_code: None,
            invalidity_date: None,
        }
    });
    let list = CertificateRevocationListParams {
        this_update: date(made),
        next_update: date(made + 3600),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: revoked_certs.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&Issuer::new(params, key)).expect("list");
    let list = CertificateRevocationListDer::from(list);
    CrlSet::from_der(mesh.authority.trust_domain().clone(), [list]).expect("set")
}

async fn connect(db: &Db, svid: &X509Svid) -> Two {
    let stream = raw_connect(db.address, None, Some(svid), b"h2").await;
    let io = TokioIo::new(stream.expect("connect"));
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("http");
    tokio::spawn(connection);
    sender
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t14_t25_a_revocation_list_ends_the_connection_it_names_and_no_other() {
    let db = Db::start().await;
    let (good, bad) = (db.mesh.svid("/caller"), db.mesh.svid("/caller"));
    let (mut kept, mut cut) = (connect(&db, &good).await, connect(&db, &bad).await);
    let mut feeds = Vec::new();
    for two in [&mut kept, &mut cut] {
        let mut feed = two.send_request(ask("/feed")).await.expect("feed");
        feed.frame().await.expect("frame").expect("data");
        feeds.push(feed);
    }
    // A list that names nobody ends nothing.
    db.guard.swap_crls(crl(&db.mesh, &[]));
    assert_eq!(status(&mut kept, "/v1/x").await, StatusCode::OK);
    assert_eq!(status(&mut cut, "/v1/x").await, StatusCode::OK);
    assert_eq!(db.running.count(), 2);

    let since = Instant::now();
    db.guard.swap_crls(crl(&db.mesh, &[&bad]));
    until("one is cut", || db.running.count() == 1).await;
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    assert!(cut.send_request(ask("/v1/x")).await.is_err());
    assert_eq!(status(&mut kept, "/v1/x").await, StatusCode::OK);
    assert_eq!(db.running.count(), 1, "the honest feed runs on");
    until("one is open", || db.guard.connections().len() == 1).await;
    let recorded = reasons(&db.audit);
    let denied: Vec<_> = recorded
        .iter()
        .filter(|reason| *reason != "permitted")
        .collect();
    assert_eq!(denied, ["identity_revoked"], "{recorded:?}");
}
