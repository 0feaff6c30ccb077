//! `[[crl_files]]`

use rcgen::{
    CertificateParams, CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, SerialNumber,
};

use super::*;

/// A list of an authority that issued nothing here, in PEM.
fn list_of_another() -> String {
    let date = |seconds| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
    let made = now().as_unix_secs() - 60;
    let list = CertificateRevocationListParams {
        this_update: date(made),
        next_update: date(made + 3600),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let key = KeyPair::generate().expect("key");
    let signed = list.signed_by(&Issuer::new(CertificateParams::default(), key));
    signed.expect("list").pem().expect("pem")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t14_a_status_that_no_list_tells_is_refused_unless_the_file_lets_it_be() {
    let said =
        "[[crl_files]]\ntrust_domain = 'prod.example'\nfiles = ['other.crl']\ndepth = 'leaf'\n";
    let place = Place::new("crl", "", "").await;
    let missing = place.refused("", said).await;
    assert!(missing.contains("other.crl"), "{missing}");
    for (allow, taken) in [("", false), ("allow_unknown_status = true\n", true)] {
        let mut place = Place::new(&format!("crl-{taken}"), "", "").await;
        place.folder.write("other.crl", &list_of_another());
        let service = place.serve("", &format!("{said}{allow}")).await;
        let request = get2("/v1/x");
        let caller = &service.caller;
        let answered = knock(service.address, None, Some(caller), b"h2", request).await;
        assert_eq!(answered.is_ok(), taken, "{answered:?}");
    }
}
