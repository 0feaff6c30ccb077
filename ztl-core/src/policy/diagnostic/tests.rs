use proptest::prelude::*;

use super::*;
use crate::policy::limits::{MAX_DIAGNOSTICS, MAX_MESSAGE_CHARS, MAX_SHOWN_COLUMNS};

fn span_of(text: &str, piece: &str) -> Span {
    let start = text.find(piece).expect("the piece");
    Span {
        start,
        end: start + piece.len(),
    }
}

fn one(text: &str, span: Span) -> Diagnostic {
    let mut report = Report::default();
    report.error(span, "it is wrong");
    let error = report.into_error(None, text);
    assert_eq!(error.diagnostics().len(), 1);
    error.diagnostics()[0].clone()
}

#[test]
fn an_error_shows_its_line_with_a_caret() {
    let text = format!("{}form = \"retriever\"\nto = \"x\"\n", "#\n".repeat(11));
    let mut report = Report::default();
    report.error_with_help(
        span_of(&text, "form"),
        "unknown key `form` in [[permit]]",
        "did you mean `from`?",
    );
    let error = report.into_error(Some("policy.toml"), &text);
    assert_eq!(error.source_name(), Some("policy.toml"));
    assert!(!error.has_more());
    assert_eq!(
        error.to_string(),
        "policy.toml:12:1: unknown key `form` in [[permit]]\n   |\n12 | form = \"retriever\"\n   | ^^^^\n   = help: did you mean `from`?"
    );
}

#[test]
fn errors_come_in_the_order_of_the_text() {
    let text = "a\nb\nc\n";
    let mut report = Report::default();
    assert!(report.is_empty());
    report.error(span_of(text, "c"), "third");
    report.error(span_of(text, "b"), "second");
    assert!(!report.is_empty());
    let error = report.into_error(None, text);
    assert_eq!(
        error.to_string(),
        "2:1: second\n  |\n2 | b\n  | ^\n\nerror: 3:1: third\n  |\n3 | c\n  | ^"
    );
}

#[test]
fn only_so_many_errors_are_kept() {
    let mut report = Report::default();
    for at in 0..=MAX_DIAGNOSTICS {
        assert_eq!(report.enough(), at == MAX_DIAGNOSTICS);
        report.error(Span::default(), "again");
    }
    let error = report.into_error(None, "");
    assert_eq!(error.diagnostics().len(), MAX_DIAGNOSTICS);
    assert!(error.has_more());
    assert!(
        error
            .to_string()
            .ends_with("error: there may be more; mend these first")
    );
}

#[test]
fn a_report_without_a_reason_is_an_error_all_the_same() {
    let error = Report::default().into_error(Some("p"), "text");
    assert_eq!(error.to_string(), "p:1:1: the document was refused");
    assert_eq!(error.diagnostics()[0].span, None);
}

#[test]
fn columns_count_characters_and_carets_count_columns() {
    let text = "k\t= 'é漢字' # wrong\r\nnext";
    let at = one(text, span_of(text, "wrong"));
    assert_eq!((at.line, at.column), (1, 13));
    assert_eq!(at.source_line, "k    = 'é漢字' # wrong");
    // A tab takes four columns here, and an East Asian character two.
    let shown = at.to_string();
    assert!(
        shown.ends_with(&format!("\n  | {}^^^^^", " ".repeat(17))),
        "{shown}"
    );
    let at = one(text, span_of(text, "漢字"));
    assert!(at.to_string().ends_with("  |          ^^^^"), "{at}");
}

#[test]
fn a_span_over_lines_is_marked_on_the_first() {
    let text = "a = [\n 1,\n]\n";
    let at = one(text, span_of(text, "[\n 1,\n]"));
    assert_eq!(at.source_line, "a = [");
    assert!(at.to_string().ends_with("  |     ^"), "{at}");
}

#[test]
fn places_at_and_past_the_end_are_shown() {
    for start in [3, 4, 5, 900] {
        let at = one("ab\nc", Span { start, end: start });
        assert_eq!(at.line, 2);
        assert!(at.column <= 2);
        assert!(at.to_string().ends_with('^'));
    }
    // A place within a character is that character's.
    let at = one("é", Span { start: 1, end: 2 });
    assert_eq!((at.line, at.column), (1, 1));
}

#[test]
fn nothing_of_a_hostile_file_reaches_the_terminal() {
    let text = "a = \"\u{1b}[2J\u{202e}evil\u{7}\"\u{feff}";
    let mut report = Report::default();
    report.error_with_help(Span { start: 4, end: 6 }, text, text);
    let error = report.into_error(Some(text), text);
    let shown = error.to_string();
    assert!(
        shown.chars().all(|c| c == '\n' || !c.is_control()),
        "{shown:?}"
    );
    assert!(!shown.contains(['\u{202e}', '\u{feff}']), "{shown:?}");
    assert_eq!(
        error.diagnostics()[0].source_line,
        "a = \"\\u{1b}[2J\\u{202e}evil\\u{7}\"\\u{feff}"
    );
}

#[test]
fn long_lines_and_messages_are_cut() {
    let text = format!("{}here{}", "a".repeat(5_000), "b".repeat(5_000));
    let at = one(&text, span_of(&text, "here"));
    assert_eq!(at.column, 5_001);
    assert!(at.source_line.starts_with("…aaa") && at.source_line.ends_with("bbb…"));
    assert!(at.source_line.chars().count() <= MAX_SHOWN_COLUMNS + 2);
    let caret = at.to_string().lines().last().expect("a line").to_owned();
    assert_eq!(caret.trim_start_matches([' ', '|']), "^^^^");
    // The caret stands below what it speaks of.
    let below = caret.find('^').expect("a caret") - "  | ".len();
    assert!(
        at.source_line
            .chars()
            .skip(below)
            .collect::<String>()
            .starts_with("here")
    );

    let mut report = Report::default();
    report.error(Span::default(), "m".repeat(5_000));
    let error = report.into_error(None, "");
    assert_eq!(
        error.diagnostics()[0].message.chars().count(),
        MAX_MESSAGE_CHARS + 1
    );
}

#[test]
fn quoting_escapes_and_cuts() {
    assert_eq!(quoted("a\nb"), "`a\\u{a}b`");
    assert_eq!(quoted(&"x".repeat(500)), format!("`{}…`", "x".repeat(80)));
}

#[test]
fn suggestions_are_near() {
    let known = ["from", "to", "ports", "actions", "trust_score"];
    for (wanted, near) in [
        ("form", Some("from")),
        ("From", Some("from")),
        ("action", Some("actions")),
        ("port", Some("ports")),
        ("trust-score", Some("trust_score")),
        ("trustscore", Some("trust_score")),
        ("fromage", None),
        ("zz", None),
        ("", None),
        ("observability", None),
    ] {
        assert_eq!(suggest(wanted, known), near, "{wanted}");
    }
    assert_eq!(suggest(&"a".repeat(65), ["a".repeat(65).as_str()]), None);
    // The nearest wins, and of two as near the first.
    assert_eq!(suggest("abcx", ["abzy", "abcy", "abcz"]), Some("abcy"));
}

proptest! {
    #[test]
    fn every_place_of_every_text_can_be_shown(text in any::<String>(), start in 0_usize..300, end in 0_usize..300) {
        let at = one(&text, Span { start, end });
        prop_assert!(at.line > 0 && at.column > 0);
        prop_assert!(at.to_string().chars().all(|c| c == '\n' || !c.is_control()));
    }
}
