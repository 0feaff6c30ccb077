//! An ordinary authority, and chains of its own for `ztl verify-svid`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber,
};

use crate::common::{Run, scratch, ztl};

/// 2026-06-01T00:00:00Z, when all of it is judged.
pub(crate) const NOW: u64 = 1_780_272_000;
pub(crate) const AT: &str = "2026-06-01T00:00:00Z";
pub(crate) const ID: &str = "spiffe://a.test/ns/x/sa/y";

/// An ordinary authority, its bundle on disk, and a leaf that it issues.
pub(crate) struct Pki {
    pub(crate) folder: PathBuf,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

pub(crate) fn valid(params: &mut CertificateParams, from: u64, to: u64) {
    let at = |secs| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(secs);
    (params.not_before, params.not_after) = (at(from), at(to));
}

pub(crate) fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut params, NOW - 86_400, NOW + 86_400);
    params
}

impl Pki {
    pub(crate) fn new(test: &str) -> Self {
        let (params, key) = (ca_params(), KeyPair::generate().expect("key"));
        let root = params.self_signed(&key).expect("root");
        let folder = scratch(test);
        fs::write(folder.join("bundle.pem"), root.pem()).expect("write");
        Self {
            folder,
            issuer: Issuer::new(params, key),
        }
    }

    /// A leaf in PEM, changed as the test wants it.
    pub(crate) fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> String {
        self.leaf_and_key(change).0
    }

    pub(crate) fn leaf_and_key(
        &self,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![uri(ID)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        valid(&mut params, NOW - 60, NOW + 3600);
        change(&mut params);
        let key = KeyPair::generate().expect("key");
        let leaf = params.signed_by(&key, &self.issuer).expect("leaf");
        (leaf.pem(), key.serialize_pem())
    }

    /// A revocation list of these serial numbers, in PEM.
    pub(crate) fn crl(&self, revoked: &[u64]) -> String {
        let at = |secs| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(secs);
        let params = CertificateRevocationListParams {
            this_update: at(NOW - 60),
            next_update: at(NOW + 600),
            crl_number: SerialNumber::from(7_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .iter()
                .map(|serial| RevokedCertParams {
                    serial_number: SerialNumber::from(*serial),
                    revocation_time: at(NOW - 60),
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("list");
        list.pem().expect("PEM")
    }

    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.folder.join(name);
        fs::write(&path, bytes).expect("write");
        path.display().to_string()
    }

    /// `ztl verify-svid` of these bytes, by the bundle of `a.test`.
    pub(crate) fn verify(&self, chain: impl AsRef<[u8]>, more: &[&str]) -> Run {
        let chain = self.file("chain.pem", chain);
        let bundle = bundle(&self.folder);
        let mut args = vec!["verify-svid", "--bundle", &bundle, "--at", AT];
        args.extend(more);
        args.push(&chain);
        ztl(&args)
    }
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("ASCII"))
}

pub(crate) fn bundle(folder: &Path) -> String {
    format!("a.test={}", folder.join("bundle.pem").display())
}
