//! Revocation lists for tests.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::expect_used, reason = "a test may panic")]

use std::time::Duration;

use rcgen::{
    CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope,
    KeyIdMethod, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use ztl_core::Timestamp;
use ztl_mtls::{CrlSet, Denied};

use super::{Ca, NOW, domain};

pub(crate) type List = CertificateRevocationListDer<'static>;

/// When a list was made and the next one is due, in seconds from [`NOW`].
pub(crate) const FRESH: (i64, i64) = (-60, 3600);

pub(crate) fn at(offset: i64) -> Timestamp {
    let now = i64::try_from(NOW.as_unix_secs()).expect("time");
    Timestamp::from_unix_secs(u64::try_from(now + offset).expect("time"))
}

pub(crate) fn serial_of(der: &CertificateDer<'_>) -> Vec<u8> {
    match Denied::serial_of(der).expect("certificate") {
        Denied::Serial(serial) => serial.serial().to_vec(),
        _ => Vec::new(),
    }
}

pub(crate) fn params(
    revoked: &[&CertificateDer<'_>],
    (made, next): (i64, i64),
) -> CertificateRevocationListParams {
    let date =
        |offset| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(at(offset).as_unix_secs());
    CertificateRevocationListParams {
        this_update: date(made),
        next_update: date(next),
        crl_number: SerialNumber::from(7_u64),
        issuing_distribution_point: None,
        revoked_certs: revoked
            .iter()
            .map(|der| RevokedCertParams {
                serial_number: SerialNumber::from_slice(&serial_of(der)),
                revocation_time: date(made),
                reason_code: None,
                invalidity_date: None,
            })
            .collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

pub(crate) fn point(uri: &str, scope: Option<CrlScope>) -> CrlIssuingDistributionPoint {
    CrlIssuingDistributionPoint {
        distribution_point: CrlDistributionPoint {
            uris: vec![uri.to_owned()],
        },
        scope,
    }
}

impl Ca {
    pub(crate) fn crl(&self, revoked: &[&CertificateDer<'_>]) -> List {
        self.crl_of(&params(revoked, FRESH))
    }

    pub(crate) fn crl_of(&self, params: &CertificateRevocationListParams) -> List {
        params.signed_by(&self.issuer).expect("list").into()
    }
}

pub(crate) fn crls(of: &str, lists: impl IntoIterator<Item = List>) -> CrlSet {
    CrlSet::from_der(domain(of), lists).expect("set")
}
