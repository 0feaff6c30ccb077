//! `ztl canonical-path`: which request targets have one reading.

use std::io;

use serde_json::Value;
use ztl_core::CanonicalPath;

use crate::exit::{Exit, Failure};
use crate::json;
use crate::output::Output;
use crate::stream::{Answer, answer_lines, json_text};

/// Say for each request target on standard input whether its path has one reading
///
/// Each line is a JSON text: the raw target as it stands on the wire. For each, one line is printed:
/// {"raw", "ok", "canonical", "reason"}. A line that is no JSON text gets {"line", "error"}. The exit code is 1 if any target
/// is refused or any line is in error.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(out: &mut Output) -> Result<Exit, Failure> {
    answer_lines(io::stdin().lock(), out, |line| {
        let raw = json_text(line)?;
        let path = CanonicalPath::parse(&raw);
        let canonical = path.map_or(Value::Null, |path| path.as_str().into());
        let reason = path.err().map_or(Value::Null, |error| error.code().into());
        let fine = path.is_ok();
        let raw = Value::from(raw.as_str());
        let json =
            format!(r#"{{"raw":{raw},"ok":{fine},"canonical":{canonical},"reason":{reason}}}"#);
        Ok(Answer {
            json: json::escaped(&json),
            fine,
        })
    })
}
