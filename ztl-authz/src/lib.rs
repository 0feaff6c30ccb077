// Says beside each item which feature it is of.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(feature = "dev-issuer", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "dev-issuer"),
    doc = "Evidence and authorizers of ztl, one folder a subject, each behind a feature."
)]

#[cfg(feature = "artefacts")]
pub mod artefacts;
#[cfg(feature = "bundle")]
pub mod bundle;
#[cfg(feature = "cel")]
pub mod cel;
#[cfg(any(
    feature = "bundle",
    feature = "opa",
    feature = "opa-readers",
    feature = "rego"
))]
mod data;
#[cfg(feature = "jwt")]
pub mod jwt;
#[cfg(any(feature = "opa", feature = "opa-readers"))]
pub mod opa;
#[cfg(any(
    feature = "cel",
    feature = "opa",
    feature = "opa-readers",
    feature = "rego"
))]
mod re2;
#[cfg(any(feature = "opa", feature = "opa-readers", feature = "rego"))]
pub mod rego;
#[cfg(any(feature = "bundle", feature = "oidc", feature = "trust"))]
mod schedule;
#[cfg(feature = "schema")]
pub mod schema;
#[cfg(test)]
#[allow(dead_code, reason = "not every feature has tables of others")]
#[path = "../../ztl-core/tests/suites/tally.rs"]
mod tally;
#[cfg(feature = "trust")]
pub mod trust;
