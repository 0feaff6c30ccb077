//! Policies alone, without decisions: which of them a document says, and what each loses. Requests of our own at their edges show
//! that what is left means the same.

use std::collections::BTreeSet;

use serde_json::Value;

use super::clause::Unsaid;
use super::lower::{self, Policies};
use super::{asked, compare, mesh};
use crate::netpol::cluster::items;
use crate::tally::{Counts, Stands, Tally, UNSAID};
use crate::{rows, text};

const CORPUS: &str = include_str!("policy_corpus.json");
const LIST: &str = include_str!("policy_corpus.toml");
const EDGES: &str = include_str!("policy_corpus_edges.toml");

/// The policies of a row.
fn policies(row: &Value) -> Vec<Policies> {
    let set: Vec<_> = match row.get("doc") {
        Some(doc) => vec![doc.clone()],
        None => items(&row["policies"]).cloned().collect(),
    };
    assert!(!set.is_empty(), "{row}");
    mesh(&["cluster.local"], None).policies(&set)
}

/// Whether they can be written, and what is lost: `in part` of several alternatives, `nothing` where none is left that allows.
fn written(policies: &[Policies]) -> String {
    let lowered = match lower::load(policies) {
        Ok(lowered) => lowered,
        Err(Unsaid(why)) => return format!("{UNSAID}{why}"),
    };
    let without: Vec<_> = lowered.without.into_iter().collect();
    match (without.is_empty(), lowered.permits) {
        (true, _) => "written".to_owned(),
        (false, 0) => format!("nothing: {}", without.join(", ")),
        (false, _) => format!("in part: {}", without.join(", ")),
    }
}

#[test]
fn rules_4_and_9_policies_of_istio_are_written() {
    let mut tally = Tally::new(LIST);
    for row in rows(CORPUS) {
        let ours = written(&policies(&row));
        let (theirs, stands) = match row["valid_in_istio"] == false {
            // Nothing that Istio's own validation refuses permits anything here, whatever the reason.
            true if ours.starts_with("nothing: ") => (ours.as_str(), Stands::Stricter),
            true => ("refused", Stands::Looser),
            false => ("written", Stands::Stricter),
        };
        tally.row(text(&row, "id"), theirs, &ours, stands);
    }
    let expected = Counts {
        agree: 4,
        stricter: 6,
        unsaid: 2,
        ..Counts::default()
    };
    tally.finish("istio policies", expected);
}

#[test]
fn rules_4_and_9_policies_of_istio_mean_the_same() {
    let corpus = rows(CORPUS);
    let mut tally = Tally::new(EDGES);
    let mut asked_of = BTreeSet::new();
    for row in rows(include_str!("policy_corpus_edges.json")) {
        let id = text(&row, "policies");
        let of = corpus.iter().find(|of| of["id"] == id);
        let of = of.unwrap_or_else(|| panic!("{id} is a row of the corpus"));
        compare(&mut tally, &row, &policies(of), &asked(&row["request"]));
        asked_of.insert(id.to_owned());
    }
    // Whatever can be written and is valid there is asked.
    for row in corpus.iter().filter(|row| row["valid_in_istio"] != false) {
        let is_unsaid = written(&policies(row)).starts_with(UNSAID);
        let id = text(row, "id");
        assert_eq!(asked_of.contains(id), !is_unsaid, "{id}");
    }
    let expected = Counts {
        agree: 60,
        stricter: 3,
        ..Counts::default()
    };
    tally.finish("istio policies at their edges", expected);
}
