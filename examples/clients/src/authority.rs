//! An authority of the example's own. A development authority marks its root in a critical extension, which clients that are not ztl
//! refuse; and an SVID names a host only where whoever issues it says so.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dev_mesh::now;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use ztl_tower::core::{SpiffeId, Timestamp, TrustDomain};
use ztl_tower::mtls::{self, TrustBundle, X509Svid};

use crate::Failed;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// The authority of one run.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: rcgen::Certificate,
    domain: TrustDomain,
}

/// Certificate and key in PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(domain: &str) -> Result<Self, Failed> {
        let key = KeyPair::generate()?;
        let mut params = common("clients");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root = params.self_signed(&key)?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            root,
            domain: TrustDomain::parse(domain)?,
        })
    }

    /// An SVID for this workload, which names a host too where one is given: X509-SVID §2 allows names beside the SPIFFE ID.
    pub(crate) fn issue(&self, name: &str, host: Option<&str>) -> Result<Issued, Failed> {
        let id = SpiffeId::parse(&format!("spiffe://{}/{name}", self.domain))?;
        let mut params = common(name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.subject_alt_names = vec![SanType::URI(id.as_str().try_into()?)];
        if let Some(host) = host {
            let host = SanType::DnsName(host.try_into()?);
            params.subject_alt_names.push(host);
        }
        let key = KeyPair::generate()?;
        Ok(Issued {
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }

    /// What proves its SVIDs.
    pub(crate) fn bundle(&self) -> Result<TrustBundle, Failed> {
        let root = self.root.der().clone();
        Ok(TrustBundle::from_der(self.domain.clone(), [root])?)
    }

    /// The same in PEM.
    pub(crate) fn bundle_pem(&self) -> String {
        self.root.pem()
    }
}

impl Issued {
    pub(crate) fn svid(&self) -> Result<X509Svid, Failed> {
        let (certificate, key) = (self.certificate.as_bytes(), self.key.as_bytes());
        Ok(X509Svid::from_pem(certificate, key, &mtls::provider())?)
    }

    /// Into two files of this name, the key for its owner alone.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> Result<(), Failed> {
        fs::write(folder.join(format!("{name}.pem")), &self.certificate)?;
        let key = folder.join(format!("{name}.key"));
        Ok(mtls::write_private(&key, self.key.as_bytes())?)
    }
}

fn common(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let at = |time: Timestamp| epoch + Duration::from_secs(time.as_unix_secs());
    params.not_before = at(now().saturating_sub(MINUTE));
    params.not_after = at(now().saturating_add(HOUR));
    params
}
