//! The table of `docs/tokens.md` is whole.

use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../docs/tokens.md");
const ERRORS: &str = include_str!("../../src/jwt/error.rs");

#[test]
fn every_code_of_a_refused_token_has_a_row() {
    let codes: BTreeSet<&str> = (ERRORS.split('"'))
        .filter(|text| text.starts_with("token_"))
        .collect();
    assert!(codes.len() >= 25, "{codes:?}");
    let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
    let told: BTreeSet<&str> = rows
        .filter_map(|row| row.split(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    let untold: Vec<_> = codes.difference(&told).collect();
    assert_eq!(untold, [&""; 0]);
}
