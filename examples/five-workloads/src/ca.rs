//! The certificate authority of a run, as an organisation has one.

use std::error::Error;
use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::crypto::CryptoProvider;
use ztl_core::{SpiffeId, Timestamp, TrustDomain};
use ztl_mtls::{TrustBundle, X509Svid};

use crate::pki::{Credential, HOUR};
use crate::tls::Pem;

const MINUTE: Duration = Duration::from_secs(60);

/// An authority of one trust domain. All of them have the same name.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) bundle: TrustBundle,
    pub(crate) bundle_pem: String,
}

impl Ca {
    pub(crate) fn new(domain: TrustDomain, now: Timestamp) -> Result<Self, Box<dyn Error>> {
        let mut params = params(now);
        params
            .distinguished_name
            .push(DnType::CommonName, "five workloads");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?;
        Ok(Self {
            bundle: TrustBundle::from_der(domain, [root.der().clone()])?,
            bundle_pem: root.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Issues an X.509-SVID for the hour from `now` on.
    pub(crate) fn issue(
        &self,
        id: &SpiffeId,
        now: Timestamp,
        provider: &CryptoProvider,
    ) -> Result<Credential, Box<dyn Error>> {
        let mut params = params(now);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(id.as_str())?)];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let pem = Pem {
            cert: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        };
        Ok(Credential {
            svid: X509Svid::from_pem(pem.cert.as_bytes(), pem.key.as_bytes(), provider)?,
            pem,
        })
    }
}

fn params(now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let at = |time: Timestamp| epoch + Duration::from_secs(time.as_unix_secs());
    params.not_before = at(now.saturating_sub(MINUTE));
    params.not_after = at(now.saturating_add(HOUR));
    params
}
