//! Bundles, built in the tests.
#![cfg(test)]

mod archive;
mod contents;
#[cfg(any(feature = "opa", feature = "rego"))]
mod engine;
mod keys;
mod signed;
mod support;
