//! An authority for tests, without the mark of a development authority, that signs whatever it is told to.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::expect_used, reason = "a test may panic")]

pub(crate) mod counting;
pub(crate) mod crl;
pub(crate) mod folder;
pub(crate) mod wire;

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use ztl_core::{Peer, Timestamp, TrustDomain};
use ztl_mtls::{BundleSet, Bundles, ProveError, Prover, Purpose, TrustBundle, X509Svid, provider};

pub(crate) const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const ID: &str = "spiffe://a.test/ns/x/sa/y";

pub(crate) struct Ca {
    pub(crate) issuer: Issuer<'static, KeyPair>,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) pem: String,
}

pub(crate) struct Issued {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) pem: String,
    pub(crate) key: KeyPair,
}

pub(crate) fn domain(name: &str) -> TrustDomain {
    TrustDomain::parse(name).expect("trust domain")
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("ASCII"))
}

/// Sets the validity in seconds from [`NOW`].
pub(crate) fn valid(params: &mut CertificateParams, from: i64, to: i64) {
    let at = |offset: i64| {
        let now = i64::try_from(NOW.as_unix_secs()).expect("time");
        let secs = u64::try_from(now + offset).expect("after the epoch");
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(secs)
    };
    params.not_before = at(from);
    params.not_after = at(to);
}

pub(crate) fn extension(oid: &[u64], critical: bool, value: &[u8]) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, value.to_vec());
    extension.set_criticality(critical);
    extension
}

pub(crate) fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut params, -86_400, 86_400 * 30);
    params
}

pub(crate) fn leaf_params(id: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.subject_alt_names = vec![uri(id)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    valid(&mut params, -60, 3600);
    params
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    pub(crate) fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        let key = KeyPair::generate().expect("key");
        let cert = params.self_signed(&key).expect("root");
        Self {
            der: cert.der().clone(),
            pem: cert.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn intermediate(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        let key = KeyPair::generate().expect("key");
        let cert = params.signed_by(&key, &self.issuer).expect("intermediate");
        Self {
            der: cert.der().clone(),
            pem: cert.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = leaf_params(ID);
        change(&mut params);
        let key = KeyPair::generate().expect("key");
        let cert = params.signed_by(&key, &self.issuer).expect("leaf");
        Issued {
            der: cert.der().clone(),
            pem: cert.pem(),
            key,
        }
    }

    pub(crate) fn leaf_of(&self, id: &str) -> Issued {
        self.leaf(|params| params.subject_alt_names = vec![uri(id)])
    }

    pub(crate) fn bundle(&self, trust_domain: &str) -> TrustBundle {
        TrustBundle::from_der(domain(trust_domain), [self.der.clone()]).expect("bundle")
    }
}

impl Issued {
    pub(crate) fn svid(&self) -> X509Svid {
        X509Svid::from_parts(vec![self.der.clone()], self.key_der(), &provider()).expect("svid")
    }

    pub(crate) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }
}

pub(crate) fn bundles(of: impl IntoIterator<Item = TrustBundle>) -> Bundles {
    Bundles::new(BundleSet::new(of).expect("set"))
}

pub(crate) fn prover(of: impl IntoIterator<Item = TrustBundle>) -> Prover {
    Prover::new(bundles(of), &provider())
}

/// Proves a chain as a client's, at [`NOW`], by one root for `a.test`.
pub(crate) fn prove(root: &Ca, chain: &[&CertificateDer<'static>]) -> Result<Peer, ProveError> {
    let chain: Vec<_> = chain.iter().map(|der| (*der).clone()).collect();
    prover([root.bundle("a.test")]).prove(&chain, NOW, Purpose::Client)
}

/// DER of one element.
pub(crate) fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match value.len() {
        short @ 0..=127 => out.push(u8::try_from(short).expect("short")),
        medium @ 128..=255 => out.extend([0x81, u8::try_from(medium).expect("medium")]),
        long => {
            let [high, low] = u16::try_from(long).expect("long").to_be_bytes();
            out.extend([0x82, high, low]);
        }
    }
    out.extend(value);
    out
}
