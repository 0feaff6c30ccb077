//! The development authority of a trust domain.

use core::fmt;
use core::time::Duration;

use rcgen::{ExtendedKeyUsagePurpose, Issuer, KeyPair, PublicKeyData, SanType};
use rustls::crypto::CryptoProvider;
use ztl_core::{SpiffeId, Timestamp, TrustDomain};

use super::error::DevCaError;
use super::params::{self, Mark};
use crate::bundle::TrustBundle;
use crate::cert::Cert;
use crate::file;
use crate::svid::X509Svid;

const NAME: &str = "ztl development authority";

/// An authority of one trust domain, for 30 days. Its key is in memory, unless it is [stored](Self::key_pem).
pub struct DevCa {
    trust_domain: TrustDomain,
    issuer: Issuer<'static, KeyPair>,
    root_pem: String,
    bundle: TrustBundle,
}

/// An SVID that a development authority issued.
#[derive(Clone)]
#[non_exhaustive]
pub struct IssuedSvid {
    /// The certificate in PEM.
    pub cert_pem: String,
    /// The key in PEM. Write it with [`write_private`](crate::write_private).
    pub key_pem: String,
    /// The same, loaded.
    pub svid: X509Svid,
}

impl DevCa {
    /// Makes an authority with a new key, valid from `now`.
    ///
    /// # Errors
    /// [`DevCaError::Time`], or what the making of certificates says.
    pub fn new(trust_domain: TrustDomain, now: Timestamp) -> Result<Self, DevCaError> {
        let mut params = params::root(NAME, Mark::Critical, now)?;
        // X509-SVID §3.2: a signing certificate may name its trust domain, without a path.
        let id = format!("spiffe://{trust_domain}");
        params.subject_alt_names = vec![SanType::URI(params::ascii(&id)?)];
        let key = KeyPair::generate().map_err(DevCaError::of)?;
        let root = params.self_signed(&key).map_err(DevCaError::of)?;
        let bundle = TrustBundle::from_der(trust_domain.clone(), [root.der().clone()])?;
        Ok(Self {
            trust_domain,
            issuer: Issuer::new(params, key),
            root_pem: root.pem(),
            bundle,
        })
    }

    /// Takes up a stored authority again: what [`bundle_pem`](Self::bundle_pem) and [`key_pem`](Self::key_pem) gave.
    ///
    /// # Errors
    /// [`DevCaError::NotDevAuthority`] for anything else.
    pub fn from_pem(bundle_pem: &str, key_pem: &str) -> Result<Self, DevCaError> {
        let mut certificates = file::certificates(bundle_pem.as_bytes())?;
        let root = match (certificates.pop(), certificates.is_empty()) {
            (Some(root), true) => root,
            _ => return Err(DevCaError::NotDevAuthority),
        };
        let key = KeyPair::from_pem(key_pem).map_err(|_| DevCaError::NotDevAuthority)?;
        let cert = Cert::read(&root).map_err(|_| DevCaError::NotDevAuthority)?;
        if !cert.extensions.is_dev_authority() || cert.spki != key.subject_public_key_info() {
            return Err(DevCaError::NotDevAuthority);
        }
        let trust_domain = named_by(&cert).ok_or(DevCaError::NotDevAuthority)?;
        // The issuer is known by its name and key alone; the times of a new root do not matter to it.
        let params = params::root(NAME, Mark::Critical, cert.not_before)?;
        let bundle = TrustBundle::from_der(trust_domain.clone(), [root])?;
        Ok(Self {
            trust_domain,
            issuer: Issuer::new(params, key),
            root_pem: bundle_pem.to_owned(),
            bundle,
        })
    }

    /// Whose authority it is.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The bundle that proves what it issues, to a prover that allows development authorities.
    #[must_use]
    pub fn bundle(&self) -> TrustBundle {
        self.bundle.clone()
    }

    /// The same in PEM.
    #[must_use]
    pub fn bundle_pem(&self) -> &str {
        &self.root_pem
    }

    /// Its key in PEM, to be written with [`write_private`](crate::write_private). Whoever has it is everybody.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Issues an SVID, valid from a minute before `now`. An expired one is made with a `now` in the past.
    ///
    /// # Errors
    /// [`DevCaError`] for an id of another trust domain, a life of more than a day, or a time that no certificate can hold.
    pub fn issue(
        &self,
        id: &SpiffeId,
        now: Timestamp,
        lifetime: Duration,
        provider: &CryptoProvider,
    ) -> Result<IssuedSvid, DevCaError> {
        if id.trust_domain_name() != self.trust_domain.as_str() || id.path().is_empty() {
            return Err(DevCaError::ForeignId {
                id: id.clone(),
                trust_domain: self.trust_domain.clone(),
            });
        }
        let mut params = params::leaf(now, lifetime)?;
        params.subject_alt_names = vec![SanType::URI(params::ascii(id.as_str())?)];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let (cert_pem, key_pem) = params::sign(&params, &self.issuer)?;
        let svid = X509Svid::from_pem(cert_pem.as_bytes(), key_pem.as_bytes(), provider)?;
        Ok(IssuedSvid {
            cert_pem,
            key_pem,
            svid,
        })
    }
}

/// The trust domain that a root of ours names.
fn named_by(root: &Cert<'_>) -> Option<TrustDomain> {
    let names = root.extensions.names().ok()?;
    let id = SpiffeId::parse(core::str::from_utf8(names.last_uri).ok()?).ok()?;
    (names.uris == 1 && id.path().is_empty()).then(|| id.trust_domain())
}

impl fmt::Debug for DevCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevCa")
            .field("trust_domain", &self.trust_domain)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for IssuedSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedSvid")
            .field("svid", &self.svid)
            .finish_non_exhaustive()
    }
}
