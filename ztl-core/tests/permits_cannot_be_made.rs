//! Law 2: a permit is made in one place only.

#![cfg(test)]

#[test]
fn law_2_no_permit_can_be_made_by_hand() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
