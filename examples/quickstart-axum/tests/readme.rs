//! The README shows this example as it is.

#![cfg(test)]

const README: &str = include_str!("../../../README.md");

#[test]
fn the_readme_shows_the_program_and_its_policy() {
    assert!(README.contains(include_str!("../src/main.rs").trim_end()));
    assert!(README.contains(include_str!("../policy.toml").trim_end()));
}
