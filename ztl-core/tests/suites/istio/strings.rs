//! How texts are matched. Here a text is a segment of a path, all of it or any that is not empty (rules 10 and 41).

use ztl_core::policy::ActionPattern;
use ztl_core::{Action, IdPattern, SpiffeId};

use crate::tally::{Counts, Stands, Tally, UNSAID};
use crate::{rows, text};

#[test]
fn rule_10_string_matches() {
    let mut tally = Tally::new(include_str!("string_match.toml"));
    for row in rows(include_str!("string_match.json")) {
        let (pattern, input) = (text(&row, "pattern"), text(&row, "input"));
        let segment = |pattern: &str| {
            let pattern = ActionPattern::parse(&format!("GET /{pattern}")).expect("a pattern");
            let target = format!("/{input}");
            let action = Action::request("GET", &target);
            Some(action.is_ok_and(|action| pattern.permits(&action)))
        };
        let ours = match text(&row, "kind") {
            "exact" => segment(pattern),
            "presence" => segment("{any}"),
            // No regular expression and no glob is made of an identity's text (law 5).
            "principal_glob" => IdPattern::parse(pattern)
                .ok()
                .map(|pattern| SpiffeId::parse(input).is_ok_and(|id| pattern.matches(&id))),
            _ => None,
        };
        // What it would be matched by.
        let unsaid = format!("{UNSAID}{}", text(&row, "kind"));
        let answer = |matches| if matches { "match" } else { "none" };
        let stands = match ours {
            Some(true) => Stands::Looser,
            _ => Stands::Stricter,
        };
        let ours = ours.map_or(unsaid.as_str(), answer);
        tally.row(text(&row, "id"), answer(row["match"] == true), ours, stands);
    }
    let expected = Counts {
        agree: 3,
        unsaid: 8,
        ..Counts::default()
    };
    tally.finish("string matches", expected);
}
