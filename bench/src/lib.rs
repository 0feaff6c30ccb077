//! A mesh to decide about, the engines that decide, and how their cost is taken.

pub mod authority;
pub mod condition;
pub mod cpu;
pub mod document;
pub mod engine;
pub mod mesh;
pub mod random;
pub mod report;
pub mod service;
pub mod sidecar;
#[cfg(feature = "spiffe")]
pub mod spiffe;
pub mod tls;
pub mod trust;
pub mod wire;

/// The numbers of rules at which everything is measured: those in the environment's `BENCH_SIZES`, else all.
///
/// # Panics
/// Where one is no number.
#[must_use]
pub fn sizes() -> Vec<usize> {
    let named = std::env::var("BENCH_SIZES").unwrap_or_default();
    let named: Vec<_> = named
        .split_whitespace()
        .map(|size| size.parse().expect("a number of rules"))
        .collect();
    if named.is_empty() {
        vec![10, 100, 1_000, 10_000, 100_000]
    } else {
        named
    }
}
