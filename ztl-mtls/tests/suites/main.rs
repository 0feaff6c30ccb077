//! Test tables of other projects of this field, run on the verifier. A folder a suite, with a README that says where its rows
//! come from, and a list of the rows that are answered otherwise on purpose.

#![cfg(test)]
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]

mod chains;
#[path = "../common/mod.rs"]
mod common;
mod scenario;
mod spiffe;
// The tally of the suites of ztl-core: one way to say what is answered otherwise.
#[path = "../../../ztl-core/tests/suites/tally.rs"]
mod tally;
mod webpki;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use serde_json::Value;

/// The rows of a table.
fn rows(table: &str) -> Vec<Value> {
    serde_json::from_str(table).expect("a list of rows")
}

/// A text of a row.
fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    let text = row[key].as_str();
    text.unwrap_or_else(|| panic!("`{key}` is a text: {row}"))
}

/// A certificate or another thing in DER, as the tables hold it.
fn der(base64: &str) -> CertificateDer<'static> {
    STANDARD.decode(base64).expect("base64").into()
}
