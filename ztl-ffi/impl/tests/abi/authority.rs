//! An authority that issues X.509-SVIDs for the tests.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::harness::NOW;

pub(crate) struct Authority {
    pub(crate) issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
    pub(crate) der: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        lasts(&mut params, NOW + 86_400);
        let key = KeyPair::generate().expect("a key");
        let root = params.self_signed(&key).expect("a root");
        Self {
            issuer: Issuer::new(params, key),
            pem: root.pem(),
            der: root.der().to_vec(),
        }
    }

    /// A leaf in DER that lasts an hour from [`NOW`].
    pub(crate) fn issue(&self, id: &str) -> Vec<u8> {
        self.issue_until(id, NOW + 3600)
    }

    pub(crate) fn issue_until(&self, id: &str, end: u64) -> Vec<u8> {
        self.issue_changed(id, |params| lasts(params, end))
    }

    /// A leaf that says something else.
    pub(crate) fn issue_changed(
        &self,
        id: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(id.try_into().expect("ASCII"))];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        lasts(&mut params, NOW + 3600);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        params
            .signed_by(&key, &self.issuer)
            .expect("a leaf")
            .der()
            .to_vec()
    }
}

/// From an hour before [`NOW`] until the given second.
fn lasts(params: &mut CertificateParams, end: u64) {
    let at = |unix: u64| rcgen::date_time_ymd(1970, 1, 1) + core::time::Duration::from_secs(unix);
    params.not_before = at(NOW - 3600);
    params.not_after = at(end);
}
