//! The C ABI, called as C calls it. Hostile callers first: whatever they pass, none gets a permit.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod audit;
mod authority;
mod claims;
mod conditions;
mod crl;
mod decisions;
mod egress;
mod explanation;
mod harness;
mod hostile;
mod hostile_action;
mod hostile_handle;
mod hostile_nulls;
mod hostile_verbs;
mod leaves;
mod new_verbs;
mod prove;
mod quiet;
mod refusal;
mod renewal;
mod request_fields;
mod suites;
mod swap;
mod threads;
