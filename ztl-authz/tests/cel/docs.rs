//! The examples of `docs/conditions.md` load, and its tables are whole.

use super::*;

const PAGE: &str = include_str!("../../../docs/conditions.md");

/// The code blocks of a kind.
fn blocks(kind: &str) -> Vec<&'static str> {
    let fence = format!("```{kind}\n");
    let mut blocks = Vec::new();
    let mut rest = PAGE;
    while let Some((_, after)) = rest.split_once(fence.as_str()) {
        let (block, after) = after.split_once("```").expect("an end");
        blocks.push(block);
        rest = after;
    }
    blocks
}

#[test]
fn every_policy_of_the_page_loads() {
    let policies = blocks("toml");
    assert!(!policies.is_empty());
    for policy in policies {
        loader()
            .load(policy, Format::Toml)
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn every_condition_of_the_page_compiles() {
    let conditions = blocks("cel");
    assert!(!conditions.is_empty());
    for condition in conditions.iter().flat_map(|block| block.split("\n\n")) {
        let setting = Setting::new(Effect::Permit, ["model", "tenant"]);
        let compiled = Cel::new().condition(condition.trim(), &setting);
        compiled.unwrap_or_else(|error| panic!("{}", error.in_text(condition)));
    }
}

#[test]
fn every_refusal_of_the_page_is_one() {
    let refused = blocks("text");
    let shown = refused
        .iter()
        .filter(|block| block.starts_with("error: policy.toml"));
    let mut count = 0;
    for block in shown {
        let line = block
            .lines()
            .find_map(|line| line.split_once("| when = '"))
            .expect("the line")
            .1;
        let condition = line.strip_suffix('\'').expect("its end");
        let error = refused_in(Effect::Permit, condition);
        assert!(block.contains(&error.message), "{block}: {error}");
        assert!(
            block.contains(&error.help.clone().expect("help")),
            "{error:?}"
        );
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn the_page_names_every_bound() {
    use ztl_authz::cel::*;
    for bound in [
        MAX_SOURCE_BYTES,
        MAX_BRACKETS,
        MAX_DEPTH,
        MAX_NODES,
        MAX_LOOPS,
        MAX_PATTERN_BYTES,
    ] {
        assert!(PAGE.contains(&format!("| {bound} ")), "{bound}");
    }
    assert!(PAGE.contains(&format!("| {MAX_STEPS} ")));
}
