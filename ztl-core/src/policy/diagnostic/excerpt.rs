//! The line that an error speaks of, made safe to show.

use core::fmt::Write as _;

use crate::policy::document::Span;
use crate::policy::limits::MAX_SHOWN_COLUMNS;

/// Most columns before the caret.
const MAX_COLUMNS_BEFORE: usize = MAX_SHOWN_COLUMNS - 40;
const TAB: &str = "    ";
const CUT: char = '…';

/// A place in the text, and what to show of its line.
pub(super) struct Excerpt {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) shown: String,
    /// Columns of `shown` before the caret.
    pub(super) caret_at: usize,
    /// At least 1.
    pub(super) caret_width: usize,
}

impl Excerpt {
    pub(super) fn new(text: &str, span: Span) -> Self {
        let start = text.floor_char_boundary(span.start);
        let (before, after) = text.split_at_checked(start).unwrap_or((text, ""));
        let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
        let before = before.rsplit('\n').next().unwrap_or_default();
        let after = after.split('\n').next().unwrap_or_default();
        let after = after.strip_suffix('\r').unwrap_or(after);

        let mut shown = String::new();
        let caret_at = show_before(before, &mut shown);
        let mut caret_width = 0;
        let mut columns = caret_at;
        for (at, character) in after.char_indices() {
            let width = width(character);
            if columns + width > MAX_SHOWN_COLUMNS {
                shown.push(CUT);
                break;
            }
            columns += width;
            if start + at < span.end {
                caret_width += width;
            }
            show(character, &mut shown);
        }
        Self {
            line,
            column: 1 + before.chars().count(),
            shown,
            caret_at,
            caret_width: caret_width.max(1),
        }
    }
}

/// Shows as much of the text before the caret as there is room for, and says how many columns it took.
fn show_before(before: &str, shown: &mut String) -> usize {
    let mut columns = 0;
    let mut from = before.len();
    for (at, character) in before.char_indices().rev() {
        let width = width(character);
        if columns + width > MAX_COLUMNS_BEFORE {
            break;
        }
        columns += width;
        from = at;
    }
    if from > 0 {
        shown.push(CUT);
        columns += 1;
    }
    let kept = before.get(from..).unwrap_or_default();
    kept.chars().for_each(|character| show(character, shown));
    columns
}

fn show(character: char, shown: &mut String) {
    if character == '\t' {
        shown.push_str(TAB);
    } else {
        push_escaped(character, shown);
    }
}

/// The columns that a terminal needs for what [`show`] writes.
fn width(character: char) -> usize {
    match character {
        '\t' => TAB.len(),
        ' '..='~' => 1,
        _ if is_hidden(character) => character.escape_unicode().len(),
        // Combining marks stand on the character before them.
        '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' => 0,
        // East Asian wide forms and pictures, roughly (UAX #11).
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// Writes a character, or its number where it is one that a terminal obeys or a reader does not see.
pub(super) fn push_escaped(character: char, shown: &mut String) {
    if is_hidden(character) {
        // Writing to a `String` cannot fail.
        let _ = write!(shown, "{}", character.escape_unicode());
    } else {
        shown.push(character);
    }
}

/// Control characters, and the marks that turn, join or hide text (T30).
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}
