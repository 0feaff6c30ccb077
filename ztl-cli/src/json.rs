//! JSON that may be shown on a terminal.

use core::fmt::Write as _;

/// The same JSON with every character escaped that a terminal obeys or a reader does not see (T30). Outside of texts JSON
/// has none of them, so what it says stays the same.
pub(crate) fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if is_hidden(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(character);
        }
    }
    out
}

/// Control characters, and the marks that turn, join or hide text.
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn t30_a_hidden_character_is_shown_and_means_the_same() {
        let text = "a\u{1b}[31m\u{202e}\u{85}\u{7f}\u{e0041}é";
        let json = escaped(&Value::from(text).to_string());
        assert_eq!(json, "\"a\\u001b[31m\\u202e\\u0085\\u007f\\udb40\\udc41é\"");
        assert_eq!(
            serde_json::from_str::<Value>(&json).expect("json"),
            Value::from(text)
        );
    }
}
