//! Bounds, and texts that nobody wrote by hand.

use proptest::prelude::*;

use super::super::table::steps;
use super::*;
use crate::policy::limits::{MAX_DIAGNOSTICS, MAX_ENTRIES, MAX_ZONES};

fn rules(count: usize) -> String {
    let mut text = HEAD.to_owned();
    for at in 0..count {
        let (kind, actions) = if at % 3 == 0 {
            ("forbid", "")
        } else {
            ("permit", "actions = [\"GET /a/{b}\"]\n")
        };
        text += &format!(
            "[[{kind}]]\nname = \"rule-{at}\"\nfrom = [\"a\", \"zone:b\"]\nto = \"c\"\n{actions}"
        );
    }
    text + &format!("[end]\nrules = {count}\n")
}

#[test]
fn many_rules_take_steps_in_proportion() {
    let mut taken = Vec::new();
    for count in [1_000, 5_000] {
        let text = rules(count);
        let before = steps();
        let document = load(&text, Format::Toml).unwrap_or_else(|error| panic!("{error}"));
        taken.push(steps() - before);
        assert_eq!(document.rules.len(), count);
        assert!(document.rules.is_sorted_by_key(|rule| rule.span.start));
    }
    assert!(taken[0] > 1_000, "{taken:?}");
    assert!(taken[1] <= 5 * taken[0], "{taken:?}");
}

#[test]
fn the_errors_of_one_load_are_bounded() {
    let text = rules(2_000).replace("name", "nmae");
    let before = steps();
    let error = load(&text, Format::Toml).expect_err("misspelt");
    assert_eq!(error.diagnostics().len(), MAX_DIAGNOSTICS);
    assert!(error.has_more());
    // It stops looking once no more errors are kept.
    assert!(steps() - before < 5_000);
    let many: String = (0..50_000).map(|at| format!("key-{at} = 1\n")).collect();
    let error = load(&format!("{HEAD}{many}"), Format::Toml).expect_err("unknown keys");
    assert_eq!(error.diagnostics().len(), MAX_DIAGNOSTICS);
    assert!(error.has_more());
}

#[test]
fn lists_and_sections_are_bounded() {
    let refused = |text: &str| listing(&faults(&format!("{HEAD}{text}")), 2);
    let rule = |count: usize| {
        let entries = vec!["\"a\""; count].join(", ");
        format!("[[forbid]]\nfrom = [{entries}]\nto = \"b\"\n")
    };
    read(&rule(MAX_ENTRIES));
    assert_eq!(
        refused(&rule(MAX_ENTRIES + 1)),
        "2:1289: `from` has more than 256 entries\n"
    );
    let zones = |count: usize| -> String {
        (0..count)
            .map(|at| format!("[zones.z{at}]\nnetworks = '10.0.0.0/8'\n"))
            .collect()
    };
    read(&zones(MAX_ZONES));
    assert_eq!(
        refused(&zones(MAX_ZONES + 1)),
        "2001:8: there are more `[zones.NAME]` than a document may hold (1000)\n"
    );
    let nevers = "[[never]]\nfrom = \"a\"\nto = \"b\"\n".repeat(MAX_NEVERS + 1);
    assert_eq!(
        refused(&nevers),
        "30001:1: there are more `[[never]]` than a document may hold (10000)\n"
    );
}

#[test]
fn a_document_cut_anywhere_is_refused_or_smaller() {
    let text = rules(6);
    for (at, _) in text.char_indices() {
        let (cut, _) = text.split_at(at);
        match load(cut, Format::Toml) {
            // T6: without its end a document may be whole and smaller; with it, it is not taken.
            Ok(document) => assert!(document.end_rules.is_none() || at + 1 == text.len()),
            Err(error) => assert!(error.diagnostics().iter().all(|at| at.line > 0)),
        }
    }
}

const WORDS: &[&str] = &[
    "[[permit]]\n",
    "[[forbid]]\n",
    "[[never]]\n",
    "[[test]]\n",
    "[permit.require]\n",
    "[zones.x]\n",
    "[workloads.y]\n",
    "[external.z]\n",
    "[issuers.i]\n",
    "[end]\n",
    "name = ",
    "from = ",
    "to = ",
    "ports = ",
    "actions = ",
    "require = ",
    "token = ",
    "headers = ",
    "labels = ",
    "id = ",
    "networks = ",
    "hosts = ",
    "when = ",
    "rules = ",
    "expect = ",
    "mfa = ",
    "\"any\"\n",
    "\"public\"\n",
    "\"zone:x\"\n",
    "\"é\u{1b}\"\n",
    "\"10.0.0.0/8\"\n",
    "\"spiffe://a/b\"\n",
    "\"a.b\"\n",
    "1\n",
    "-1\n",
    "1.5\n",
    "true\n",
    "[]\n",
    "{}\n",
    "[\"a\", 1]\n",
    "{ a = \"b\" }\n",
    "\"1-2\"\n",
    "\"GET /{a}\"\n",
    "\n",
    "\"deny\"\n",
];

proptest! {
    #[test]
    fn no_document_makes_the_reader_panic(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..40)) {
        let text = format!("{HEAD}{}", words.concat());
        if let Err(error) = load(&text, Format::Toml) {
            prop_assert!(!error.diagnostics().is_empty());
            prop_assert!(error.diagnostics().iter().all(|at| at.line > 0 && at.column > 0));
            prop_assert!(error.to_string().chars().all(|c| c == '\n' || !c.is_control()));
        }
    }

    #[test]
    fn toml_and_json_are_judged_alike(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..12)) {
        let text = format!("{HEAD}{}", words.concat());
        if let Ok(root) = parse_toml(&text) {
            let json = root.to_json().to_string();
            let json = load(&json, Format::Json);
            match load(&text, Format::Toml) {
                Ok(document) => {
                    let json = json.expect("the same document");
                    prop_assert_eq!(document.rules.len(), json.rules.len());
                }
                Err(error) => {
                    let messages = |error: &LoadError| {
                        let mut messages: Vec<_> = error.diagnostics().iter().map(|at| at.message.clone()).collect();
                        messages.sort();
                        messages
                    };
                    prop_assert_eq!(messages(&error), messages(&json.expect_err("the same faults")));
                }
            }
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        for format in [Format::Toml, Format::Json] {
            let error = load(&text, format).expect_err("no policy");
            prop_assert!(error.diagnostics().iter().all(|at| at.line > 0 && at.column > 0));
        }
    }
}
