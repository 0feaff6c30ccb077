//! The development authority of public listeners.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use rcgen::{ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use ztl_core::Timestamp;

use super::error::DevCaError;
use super::params::{self, Mark};

/// An authority for the certificate of a public listener, for browsers and `curl --cacert`. It vouches for no workload: its root
/// stands in no bundle, and where one holds it anyway, it is a development authority like the other.
pub struct DevWebCa {
    issuer: Issuer<'static, KeyPair>,
    root_pem: String,
}

/// A certificate for a public listener that a [`DevWebCa`] issued.
#[derive(Clone)]
#[non_exhaustive]
pub struct IssuedWeb {
    /// The certificate in PEM.
    pub cert_pem: String,
    /// The key in PEM. Write it with [`write_private`](crate::write_private).
    pub key_pem: String,
}

impl DevWebCa {
    /// Makes an authority with a new key, valid from `now`.
    ///
    /// # Errors
    /// [`DevCaError::Time`], or what the making of certificates says.
    pub fn new(now: Timestamp) -> Result<Self, DevCaError> {
        let params = params::root("ztl development web authority", Mark::Quiet, now)?;
        let key = KeyPair::generate().map_err(DevCaError::of)?;
        let root_pem = params.self_signed(&key).map_err(DevCaError::of)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            root_pem,
        })
    }

    /// The root in PEM, for the clients of the public listener.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// Issues a server certificate for DNS names and addresses.
    ///
    /// # Errors
    /// [`DevCaError`] for a bad name, a life of more than a day, or a time that no certificate can hold.
    pub fn issue(
        &self,
        hosts: &[&str],
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<IssuedWeb, DevCaError> {
        let mut params = params::leaf(now, lifetime)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        for host in hosts {
            params.subject_alt_names.push(match host.parse::<IpAddr>() {
                Ok(addr) => SanType::IpAddress(addr),
                Err(_) => SanType::DnsName(params::ascii(host)?),
            });
        }
        let (cert_pem, key_pem) = params::sign(&params, &self.issuer)?;
        Ok(IssuedWeb { cert_pem, key_pem })
    }
}

impl fmt::Debug for DevWebCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevWebCa").finish_non_exhaustive()
    }
}

impl fmt::Debug for IssuedWeb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedWeb").finish_non_exhaustive()
    }
}
