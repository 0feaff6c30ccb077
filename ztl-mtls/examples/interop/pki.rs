//! Two ordinary authorities and what they issued, right and wrong. Development authorities would not do: the others refuse
//! their critical mark, and are right.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber,
};

use crate::Result;

const HOUR: Duration = Duration::from_secs(3600);

/// A certificate that an end may hold, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    Right,
    None,
    /// Another authority's, for an id of our domain.
    WrongCa,
    /// Our authority's, for an id of another domain.
    OtherDomain,
    Expired,
    TwoUris,
    CaAsLeaf,
    /// The authority's revocation list names it.
    Revoked,
}

impl Credential {
    pub(crate) const ALL: &[Self] = &[
        Self::Right,
        Self::None,
        Self::WrongCa,
        Self::OtherDomain,
        Self::Expired,
        Self::TwoUris,
        Self::CaAsLeaf,
        Self::Revoked,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::None => "none",
            Self::WrongCa => "wrong-ca",
            Self::OtherDomain => "other-domain",
            Self::Expired => "expired",
            Self::TwoUris => "two-uris",
            Self::CaAsLeaf => "ca-as-leaf",
            Self::Revoked => "revoked",
        }
    }

    /// Our code for it, and the alert that its holder is told by (RFC 8446 §6.2); nothing for the right one.
    pub(crate) const fn refusal(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Right => None,
            Self::None => Some(("no_certificate", "certificate_required")),
            Self::WrongCa | Self::OtherDomain => Some(("unknown_issuer", "unknown_ca")),
            Self::Expired => Some(("expired", "certificate_expired")),
            Self::TwoUris => Some(("leaf_many_uris", "certificate_unknown")),
            Self::CaAsLeaf => Some(("leaf_is_authority", "certificate_unknown")),
            Self::Revoked => Some(("revoked", "certificate_revoked")),
        }
    }
}

/// A folder of files in PEM: `ca.pem`, `ca.crl`, `other-ca.pem`, and a `.pem` and a `.key` for each credential.
pub(crate) struct Pki {
    pub(crate) folder: PathBuf,
}

impl Pki {
    pub(crate) fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("ztl-interop-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let pki = Self { folder };
        let (ours, others) = (pki.authority("ca")?, pki.authority("other-ca")?);
        for credential in Credential::ALL {
            let issuer = match credential {
                Credential::None => continue,
                Credential::WrongCa => &others,
                _ => &ours,
            };
            pki.issue(*credential, issuer)?;
        }
        pki.revoke(&ours)?;
        Ok(pki)
    }

    /// Writes `ca.crl`, which names the one that is revoked.
    fn revoke(&self, issuer: &Issuer<'_, KeyPair>) -> Result<()> {
        let now = now()?;
        let at = |since: Duration| rcgen::date_time_ymd(1970, 1, 1) + since;
        let list = CertificateRevocationListParams {
            this_update: at(now.saturating_sub(HOUR)),
            next_update: at(now + HOUR),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: REVOKED.into(),
                revocation_time: at(now.saturating_sub(HOUR)),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(issuer)?;
        fs::write(self.folder.join("ca.crl"), list.pem()?)?;
        Ok(())
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn authority(&self, name: &str) -> Result<Issuer<'static, KeyPair>> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?;
        fs::write(self.folder.join(format!("{name}.pem")), root.pem())?;
        Ok(Issuer::new(params, key))
    }

    fn issue(&self, credential: Credential, issuer: &Issuer<'_, KeyPair>) -> Result<()> {
        let uri = |text: &str| Ok::<_, rcgen::Error>(SanType::URI(text.try_into()?));
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params
            .distinguished_name
            .push(DnType::CommonName, credential.name());
        params.subject_alt_names.push(uri(match credential {
            Credential::OtherDomain => "spiffe://b.test/end",
            _ => ID,
        })?);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let now = now()?;
        let at = |since: Duration| rcgen::date_time_ymd(1970, 1, 1) + since;
        params.not_before = at(now.saturating_sub(HOUR * 2));
        params.not_after = at(now + HOUR);
        match credential {
            Credential::Expired => params.not_after = at(now.saturating_sub(HOUR)),
            Credential::TwoUris => params.subject_alt_names.push(uri("spiffe://a.test/two")?),
            Credential::CaAsLeaf => {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.key_usages.push(KeyUsagePurpose::KeyCertSign);
            }
            Credential::Revoked => params.serial_number = Some(REVOKED.into()),
            _ => {}
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, issuer)?;
        let file = |kind: &str| self.folder.join(format!("{}.{kind}", credential.name()));
        fs::write(file("pem"), certificate.pem())?;
        fs::write(file("key"), key.serialize_pem())?;
        Ok(())
    }
}

/// The serial number that is revoked.
const REVOKED: u64 = 0x7e_5e11;

/// Whom the right credentials name.
pub(crate) const ID: &str = "spiffe://a.test/end";

impl Drop for Pki {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

fn remove(folder: &Path) {
    // What stays behind in the folder for temporary files harms nobody.
    let _ = fs::remove_dir_all(folder);
}

#[expect(
    clippy::disallowed_methods,
    reason = "the others look at the clock, so what they are given is of today"
)]
fn now() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}
