//! Certificates of those who are proved in the generated questions. Others are taken at somebody's word; but whom somebody vouches for
//! passes nobody's id on, and is no server that was called.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// Whether the caller of a question shows a certificate.
pub(crate) fn are_shown(from: &str, how: &str) -> bool {
    how == "egress" || from.ends_with("/gateway")
}

/// Writes the authority of all domains, in PEM, and a certificate for each, in DER, good at the time of the questions.
pub(crate) fn write(folder: &Path, questions: &[String]) {
    let lasts = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2026, 9, 20);
        params.not_after = rcgen::date_time_ymd(2026, 9, 24);
    };
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    lasts(&mut root);
    let key = KeyPair::generate().expect("a key");
    let pem = root.self_signed(&key).expect("a root").pem();
    fs::write(folder.join("authority.pem"), pem).expect("written");
    let issuer = Issuer::new(root, key);
    let ids: BTreeSet<&str> = questions
        .iter()
        .filter_map(|line| line.split('\t').next())
        .filter(|id| *id != "-")
        .collect();
    for id in ids {
        let mut leaf = CertificateParams::default();
        leaf.subject_alt_names = vec![SanType::URI(id.try_into().expect("ASCII"))];
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        lasts(&mut leaf);
        let key = KeyPair::generate().expect("a key");
        let leaf = leaf.signed_by(&key, &issuer).expect("a leaf");
        let name = id.trim_start_matches("spiffe://").replace('/', "_");
        fs::write(folder.join(name + ".der"), leaf.der()).expect("written");
    }
}
