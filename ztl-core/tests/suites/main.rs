//! Test tables of other projects of this field, run on ztl-core. A folder a suite, with a README that says where its rows come
//! from, and a list of the rows that are answered otherwise on purpose.

#![cfg(test)]

mod http_path;
mod istio;
mod netpol;
mod spiffe;
mod tally;

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
