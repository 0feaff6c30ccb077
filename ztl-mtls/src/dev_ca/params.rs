//! What development certificates have in common.

use core::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use ztl_core::Timestamp;

use super::error::DevCaError;
use crate::extension::DEV_AUTHORITY_ARCS;

/// Longest life of what a development authority issues.
pub const MAX_DEV_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

const ROOT_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long before `now` a certificate begins, for clocks that differ a little.
const BACKDATED: Duration = Duration::from_secs(60);
/// 9999-12-31T23:59:59Z: X.509 knows no later time (RFC 5280 §4.1.2.5).
const LAST_SECOND: u64 = 253_402_300_799;

/// How loudly a root says that it is for development.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Verifiers that do not know the mark refuse the root.
    Critical,
    /// They read past it.
    Quiet,
}

pub(crate) fn root(
    name: &str,
    mark: Mark,
    now: Timestamp,
) -> Result<CertificateParams, DevCaError> {
    let mut params = common(name, now, ROOT_LIFETIME)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // A NULL: the mark says all it has to say by being there.
    let mut extension = CustomExtension::from_oid_content(DEV_AUTHORITY_ARCS, vec![0x05, 0x00]);
    extension.set_criticality(mark == Mark::Critical);
    params.custom_extensions = vec![extension];
    Ok(params)
}

pub(crate) fn leaf(now: Timestamp, lifetime: Duration) -> Result<CertificateParams, DevCaError> {
    if lifetime > MAX_DEV_LIFETIME {
        return Err(DevCaError::Lifetime(lifetime));
    }
    let mut params = common("ztl development", now, lifetime)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Valid from a minute before `now`. The serial number is left to rcgen, which takes 20 bytes of the new key's hash.
fn common(name: &str, now: Timestamp, life: Duration) -> Result<CertificateParams, DevCaError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, name);
    let end = now.saturating_add(life);
    if end.as_unix_secs() > LAST_SECOND {
        return Err(DevCaError::Time(end));
    }
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let at = |time: Timestamp| epoch + Duration::from_secs(time.as_unix_secs());
    params.not_before = at(now.saturating_sub(BACKDATED));
    params.not_after = at(end);
    Ok(params)
}

/// Certificate and key in PEM, for a key made just now.
pub(crate) fn sign(
    params: &CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<(String, String), DevCaError> {
    let key = KeyPair::generate().map_err(DevCaError::of)?;
    let certificate = params.signed_by(&key, issuer).map_err(DevCaError::of)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

pub(crate) fn ascii(text: &str) -> Result<Ia5String, DevCaError> {
    Ia5String::try_from(text).map_err(|_| DevCaError::HostName(text.into()))
}
