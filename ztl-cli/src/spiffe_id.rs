//! `ztl spiffe-id`: which texts are SPIFFE IDs.

use std::io;

use serde_json::Value;
use ztl_core::SpiffeId;

use crate::exit::{Exit, Failure};
use crate::json;
use crate::output::Output;
use crate::stream::{Answer, answer_lines, json_text};

/// Say for each text on standard input whether it is a SPIFFE ID, and take it apart
///
/// Each line is a JSON text. For each, one line is printed: {"input", "ok", "trust_domain", "path", "reason"}; the id of a
/// trust domain has an empty path. A line that is no JSON text gets {"line", "error"}. The exit code is 1 if any text is no
/// SPIFFE ID or any line is in error.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(out: &mut Output) -> Result<Exit, Failure> {
    answer_lines(io::stdin().lock(), out, |line| {
        let input = json_text(line)?;
        let id = SpiffeId::parse(&input);
        let part = |of: fn(&SpiffeId) -> &str| id.as_ref().map_or(Value::Null, |id| of(id).into());
        let (domain, path) = (part(SpiffeId::trust_domain_name), part(SpiffeId::path));
        let reason = id
            .as_ref()
            .err()
            .map_or(Value::Null, |error| error.code().into());
        let (input, fine) = (Value::from(input.as_str()), id.is_ok());
        let json = format!(
            r#"{{"input":{input},"ok":{fine},"trust_domain":{domain},"path":{path},"reason":{reason}}}"#
        );
        Ok(Answer {
            json: json::escaped(&json),
            fine,
        })
    })
}
