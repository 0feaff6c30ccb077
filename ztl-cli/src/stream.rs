//! One JSON line out for every line in, in order, and never kept back while more input is waited for.

use std::io::{Read, Write};

use serde_json::Value;
use ztl_core::policy::MAX_QUERY_BYTES;

use crate::exit::{Exit, Failure};
use crate::json;
use crate::lines::{Line, Lines};
use crate::output::Output;

/// What a line came to.
pub(crate) struct Answer {
    /// One JSON object.
    pub(crate) json: String,
    /// Whether it is good news.
    pub(crate) fine: bool,
}

/// Answers each line. One that cannot be read gets `{"line", "error"}` and the run goes on; one with nothing on it gets
/// nothing. The exit is [`Exit::Fine`] only if all that was asked was answered well.
pub(crate) fn answer_lines(
    input: impl Read,
    out: &mut Output,
    mut answer: impl FnMut(&str) -> Result<Answer, String>,
) -> Result<Exit, Failure> {
    let mut lines = Lines::new(input);
    let mut fine = true;
    while let Some((number, line)) = lines.next(&mut || Ok(out.flush()?))? {
        let answered = match line {
            Line::Text(text) if text.trim_ascii().is_empty() => continue,
            Line::Text(text) => answer(text),
            Line::TooLong => Err(format!("the line has more than {MAX_QUERY_BYTES} bytes")),
            Line::NotUtf8 => Err("the line is not UTF-8".to_owned()),
        };
        match answered {
            Ok(answer) => {
                fine &= answer.fine;
                writeln!(out, "{}", answer.json)?;
            }
            Err(message) => {
                fine = false;
                let error = json::escaped(&Value::from(message).to_string());
                writeln!(out, r#"{{"line":{number},"error":{error}}}"#)?;
            }
        }
    }
    Ok(Exit::fine_if(fine))
}

/// A line that is one JSON text.
pub(crate) fn json_text(line: &str) -> Result<String, String> {
    serde_json::from_str(line).map_err(|error| format!("the line is no JSON text: {error}"))
}
