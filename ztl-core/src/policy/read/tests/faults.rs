//! Documents that are refused, and what is said of each: `faults/*.txt`.
//!
//! A document is followed by its errors, each on a line that begins with `> `, and its lines are counted without [`HEAD`]. A
//! line that begins with `@` stands for the lines below; a line that begins with `## ` says what is tested.

use super::*;

const PERMIT: &str = "[[permit]]\nfrom = \"a\"\nto = \"b\"\nactions = \"any\"";
const FORBID: &str = "[[forbid]]\nfrom = \"a\"\nto = \"b\"";

fn expanded(line: &str) -> String {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "@permit" => PERMIT.to_owned(),
        "@forbid" => FORBID.to_owned(),
        "@never" => FORBID.replace("forbid", "never"),
        "@test" => "[[test]]\nto = \"b\"\nexpect = \"deny\"".to_owned(),
        "@workload" => "[workloads.a]\nid = \"spiffe://prod.example/a\"".to_owned(),
        "@network" => format!("[zones.x]\nnetworks = '{rest}'"),
        "@host" => format!("[external.x]\nhosts = [\"{rest}\"]"),
        "@from" => format!("[[forbid]]\nfrom = [\"x\", \"{rest}\"]\nto = \"b\""),
        "@ports" => format!("{FORBID}\nports = [{rest}]"),
        "@require" => format!("{PERMIT}\n[permit.require]\n{rest}"),
        "@oblige" => format!("{PERMIT}\n[permit.oblige]\n{rest}"),
        _ => line.to_owned(),
    }
}

/// Judges every document of a file, and says how many there were.
fn check(file: &str) -> usize {
    let mut heading = "";
    let (mut count, mut wrong) = (0, String::new());
    for case in file.trim_end().split("\n\n") {
        if let Some(title) = case.strip_prefix("## ") {
            heading = title;
            continue;
        }
        let (mut document, mut expected) = (String::new(), String::new());
        for line in case.lines() {
            match line.strip_prefix("> ") {
                Some(fault) => expected += &format!("{fault}\n"),
                None => document += &format!("{}\n", expanded(line)),
            }
        }
        let found = listing(&faults(&format!("{HEAD}{document}")), HEAD.lines().count());
        if found != expected {
            wrong += &format!("{heading}: {document}found:\n{found}expected:\n{expected}\n");
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    count
}

#[test]
fn faults_of_the_document_itself() {
    assert!(check(include_str!("faults/root.txt")) >= 40);
}

#[test]
fn faults_of_zones_workloads_externals_and_issuers() {
    assert!(check(include_str!("faults/places.txt")) >= 70);
}

#[test]
fn faults_of_permits_forbids_nevers_and_tests() {
    assert!(check(include_str!("faults/rules.txt")) >= 90);
}

#[test]
fn faults_of_subjects_obligations_limits_and_authorizers() {
    assert!(check(include_str!("faults/oblige.txt")) >= 24);
}

#[test]
fn faults_of_trust() {
    assert!(check(include_str!("faults/trust.txt")) >= 10);
}

#[test]
fn faults_of_requirements() {
    assert!(check(include_str!("faults/require.txt")) >= 50);
}
