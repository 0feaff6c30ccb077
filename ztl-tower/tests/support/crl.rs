//! Revocation lists of a development authority.
#![allow(dead_code, reason = "each test file uses another part")]

use std::time::Duration;

use rcgen::{
    CertificateParams, CertificateRevocationList, CertificateRevocationListParams,
    DistinguishedName, DnType, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber,
};
use ztl_core::Timestamp;
use ztl_mtls::{CrlSet, Denied, DevCa, X509Svid};

use crate::support::now;

/// A list of this authority that names these, made a minute ago and due in an hour.
pub(crate) fn list(authority: &DevCa, revoked: &[&X509Svid]) -> CertificateRevocationList {
    let hence = now().saturating_add(Duration::from_secs(3600));
    list_until(authority, revoked, hence)
}

/// The same, due then.
pub(crate) fn list_until(
    authority: &DevCa,
    revoked: &[&X509Svid],
    due: Timestamp,
) -> CertificateRevocationList {
    let key = KeyPair::from_pem(&authority.key_pem()).expect("key");
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
        next_update: date(due.as_unix_secs()),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: revoked_certs.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&Issuer::new(params, key)).expect("list")
}

/// The lists of this authority's trust domain: that one.
pub(crate) fn set(authority: &DevCa, list: &CertificateRevocationList) -> CrlSet {
    let domain = authority.trust_domain().clone();
    CrlSet::from_der(domain, [list.der().clone()]).expect("set")
}
