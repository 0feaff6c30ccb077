//! What the author may have meant, and how to name what was written.

use super::excerpt::push_escaped;
use crate::policy::limits::MAX_NAME_BYTES;

/// Candidates that are compared letter by letter for one suggestion; the rest of a longer list is passed over.
const MAX_CANDIDATES: usize = 4096;
/// Characters of the document's own text that an error repeats.
const MAX_QUOTED_CHARS: usize = 80;

/// The known word that is nearest to the wanted one, where one is near enough: a third of the letters may differ.
#[must_use]
pub fn suggest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wanted.len() > MAX_NAME_BYTES {
        return None;
    }
    let length = wanted.chars().count();
    let limit = length.max(3) / 3;
    let folded = fold(wanted);
    known
        .into_iter()
        .filter(|word| word.len() <= MAX_NAME_BYTES && word.len().abs_diff(wanted.len()) <= limit)
        .take(MAX_CANDIDATES)
        .map(|word| (strsim::osa_distance(&folded, &fold(word)), word))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Letters of either case are near, and so are `-` and `_`.
fn fold(word: &str) -> String {
    word.to_lowercase().replace('_', "-")
}

/// A piece of the document in backticks, for an error's message.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown = String::from("`");
    for (at, character) in text.chars().enumerate() {
        if at == MAX_QUOTED_CHARS {
            shown.push('…');
            break;
        }
        push_escaped(character, &mut shown);
    }
    shown.push('`');
    shown
}
