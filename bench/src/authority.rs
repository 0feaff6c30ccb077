//! An authority of the bench's own. A development authority marks its root in a critical extension, which OpenSSL refuses; who is
//! measured beside ztl has to prove the very same chain.

use core::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use ztl_core::{Timestamp, TrustDomain};
use ztl_mtls::{TrustBundle, X509Svid};

use crate::mesh::{TRUST_DOMAIN, Workload};
use crate::service::now;

/// How long certificates are good.
const LIFE: Duration = Duration::from_secs(3600);
/// How long before now they begin.
const BACKDATED: Duration = Duration::from_secs(60);

/// An authority of the mesh's trust domain.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root_pem: String,
    bundle: TrustBundle,
}

/// An authority's certificate and key, in PEM.
pub struct Secret {
    /// The certificate.
    pub bundle: String,
    /// The key.
    pub key: String,
}

/// A certificate that was issued.
pub struct Issued {
    /// The certificate in PEM.
    pub cert_pem: String,
    /// The key in PEM.
    pub key_pem: String,
    /// The same, loaded.
    pub svid: X509Svid,
}

impl Authority {
    /// With a key of its own.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let root_pem = root().self_signed(&key).expect("a root").pem();
        Self::of(key, root_pem)
    }

    /// The same in another process.
    #[must_use]
    pub fn from_secret(secret: &Secret) -> Self {
        let key = KeyPair::from_pem(&secret.key).expect("a key");
        Self::of(key, secret.bundle.clone())
    }

    fn of(key: KeyPair, root_pem: String) -> Self {
        let root_der = CertificateDer::from_pem_slice(root_pem.as_bytes()).expect("PEM");
        let domain = TrustDomain::parse(TRUST_DOMAIN).expect("a trust domain");
        Self {
            // An issuer is known by its name and key alone: the times of these do not matter.
            issuer: Issuer::new(root(), key),
            root_pem,
            bundle: TrustBundle::from_der(domain, [root_der]).expect("a bundle"),
        }
    }

    /// What another process needs to be the same authority.
    #[must_use]
    pub fn secret(&self) -> Secret {
        Secret {
            bundle: self.root_pem.clone(),
            key: self.issuer.key().serialize_pem(),
        }
    }

    /// What proves its certificates.
    #[must_use]
    pub fn bundle(&self) -> TrustBundle {
        self.bundle.clone()
    }

    /// The same in PEM.
    #[must_use]
    pub fn bundle_pem(&self) -> &str {
        &self.root_pem
    }

    /// A certificate of this workload: its SPIFFE ID as a URI, and its name as the subject, which is what nginx can look at.
    #[must_use]
    pub fn issue(&self, workload: &Workload) -> Issued {
        let mut params = common(&workload.name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = vec![SanType::URI(
            workload.id.as_str().try_into().expect("ASCII"),
        )];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        let (cert_pem, key_pem) = (cert.pem(), key.serialize_pem());
        let svid = X509Svid::from_pem(
            cert_pem.as_bytes(),
            key_pem.as_bytes(),
            &ztl_mtls::provider(),
        );
        Issued {
            svid: svid.expect("an SVID"),
            cert_pem,
            key_pem,
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Authority {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Authority")
    }
}

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret")
    }
}

impl core::fmt::Debug for Issued {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Issued")
            .field("svid", &self.svid)
            .finish_non_exhaustive()
    }
}

fn root() -> CertificateParams {
    let mut params = common("bench authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let id = format!("spiffe://{TRUST_DOMAIN}");
    params.subject_alt_names = vec![SanType::URI(id.as_str().try_into().expect("ASCII"))];
    params
}

fn common(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let at = |time: Timestamp| epoch + Duration::from_secs(time.as_unix_secs());
    params.not_before = at(now().saturating_sub(BACKDATED));
    params.not_after = at(now().saturating_add(LIFE));
    params
}
