// Says beside each item which feature it is of.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]

/// TLS configurations, crypto providers and certificates are of these crates: what a host gives has to be of the same versions.
pub use {rustls, rustls_pki_types};

mod authority;
mod bundle;
mod bundles;
mod cert;
mod clause;
mod config;
mod crl;
#[cfg(feature = "dev-ca")]
mod dev_ca;
mod element;
mod expiry;
mod extension;
mod file;
mod file_key;
mod fingerprint;
mod help;
mod identity;
mod key;
mod leaf;
mod outside;
mod pair;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod provider;
mod regular;
mod revocation;
mod serial;
pub mod source;
mod svid;
mod verify;
mod web;

pub use authority::AuthorityError;
pub use bundle::{BundleError, MAX_AUTHORITIES, TrustBundle};
#[cfg(feature = "spiffe-bundle")]
pub use bundle::{
    JwkError, JwtAuthority, JwtBundle, MAX_BUNDLE_BYTES, MAX_BUNDLE_KEYS, MAX_MAP_BYTES,
    MAX_MAP_DOMAINS, SpiffeBundle, SpiffeBundleError, SpiffeBundleMap,
};
pub use bundles::{BundleSet, Bundles};
pub use cert::{CertError, MAX_CERTIFICATE_BYTES};
pub use config::{LentConfig, ServerConfigs, client_config, public_server_config, server_config};
#[cfg(feature = "tls12")]
pub use config::{
    client_config_allowing_tls12, public_server_config_allowing_tls12, server_config_allowing_tls12,
};
pub use crl::{
    CrlError, CrlListError, CrlSet, MAX_CRL_BYTES, MAX_CRLS, RevocationDepth, UnknownStatus,
};
#[cfg(feature = "dev-ca")]
pub use dev_ca::{
    DevCa, DevCaError, DevWebCa, IssuedSvid, IssuedWeb, MAX_DEV_LIFETIME, write_private,
};
pub use expiry::{Expiring, Expiry, ExpiryStage, ExpiryWatch};
pub use extension::MAX_EXTENSIONS;
pub use file::{FileError, MAX_PEM_BYTES, PemError, certificates as certificates_from_pem};
pub use file_key::{FileKeyError, FileKeys};
pub use fingerprint::Fingerprint;
pub use identity::{IdentityError, IdentitySource, Unpresentable};
pub use key::KeyError;
pub use leaf::{Leaf, LeafError, MAX_NAMES};
pub use outside::{HostVerifier, WebRoots, WebRootsError};
pub use pair::MAX_CHAIN;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use provider::provider;
pub use regular::{open_regular, replace_file};
pub use revocation::{
    Denied, DeniedError, DenyList, DenyListError, IssuedSerial, MAX_DENIED, MAX_DENY_LIST_BYTES,
    Revocation,
};
pub use svid::{SvidError, X509Svid};
pub use verify::{
    ClientVerifier, Generations, PeerHook, Position, ProveError, Proved, ProvedChain, Prover,
    Purpose, Refused, ServerVerifier, Unknown,
};
pub use web::WebIdentity;
