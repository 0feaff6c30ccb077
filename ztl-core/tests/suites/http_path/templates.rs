//! Path templates of Envoy and Istio, written as ours (rule 41).

use serde_json::Value;
use ztl_core::CanonicalPath;
use ztl_core::policy::Template;

use super::REFUSALS;
use crate::tally::{Counts, Stands, Tally, UNSAID};
use crate::{rows, text};

#[test]
fn rule_41_templates() {
    let mut tally = Tally::new(include_str!("templates.toml")).with_rules_of(REFUSALS);
    for row in rows(include_str!("templates.json")) {
        let matches = row["match"] == true;
        let ours = match translate(text(&row, "pattern")) {
            Ok(templates) => ours(&templates, &row),
            Err(why) => format!("{UNSAID}{why}"),
        };
        let (theirs, stands) = match (matches, ours.as_str()) {
            (true, _) => ("match", Stands::Stricter),
            (false, "match") => ("none", Stands::Looser),
            // A path that is refused matches nothing, whatever the reason.
            (false, refused) if refused.starts_with("refused: ") => (refused, Stands::Stricter),
            (false, _) => ("none", Stands::Stricter),
        };
        tally.row(text(&row, "id"), theirs, &ours, stands);
    }
    let expected = Counts {
        agree: 12,
        unsaid: 4,
        looser: 1,
        ..Counts::default()
    };
    tally.finish("path templates", expected);
}

fn ours(templates: &[Template], row: &Value) -> String {
    let path = match CanonicalPath::parse(text(row, "path")) {
        Ok(path) => path,
        Err(error) => return format!("refused: {}", error.code()),
    };
    let Some(params) = templates.iter().find_map(|template| template.params(path)) else {
        return "none".to_owned();
    };
    for (name, value) in row["captures"].as_object().into_iter().flatten() {
        let ours = params.iter().find(|(param, _)| **param == **name);
        let ours = ours.map(|(_, value)| value.as_str());
        assert_eq!(ours, value.as_str(), "{name} of {row}");
    }
    "match".to_owned()
}

/// The templates that mean the same together: `{**}` at the end is zero or more segments there, one or more here.
fn translate(pattern: &str) -> Result<Vec<Template>, String> {
    let texts = translate_text(pattern)?;
    let template = |text: &String| Template::parse(text).map_err(|error| error.to_string());
    texts.iter().map(template).collect()
}

/// `Err` where no template says it: a segment is part text and part operator, or `{**}` is followed by anything.
pub(crate) fn translate_text(pattern: &str) -> Result<Vec<String>, &'static str> {
    let path = pattern.strip_prefix('/').ok_or("no leading slash")?;
    let segments: Vec<_> = path.split('/').collect();
    let mut written = String::new();
    for (at, segment) in segments.iter().enumerate() {
        let operator = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let (name, operator) = match operator {
            Some("*" | "**") => (None, operator),
            Some(named) => match named.split_once('=') {
                Some((name, operator)) => (Some(name), Some(operator)),
                None => (Some(named), Some("*")),
            },
            None if matches!(*segment, "*" | "**") => (None, Some(*segment)),
            None if segment.contains(['*', '{', '}']) => return Err(PART),
            None => (None, None),
        };
        let unnamed = format!("p{at}");
        let name = name.unwrap_or(&unnamed);
        match operator {
            None => written += &format!("/{segment}"),
            Some("*") => written += &format!("/{{{name}}}"),
            Some("**") if at + 1 == segments.len() => {
                return Ok(vec![
                    format!("{written}/"),
                    format!("{written}/{{*{name}}}"),
                ]);
            }
            Some("**") => return Err("`**` before the end"),
            Some(_) => return Err(PART),
        }
    }
    Ok(vec![written])
}

const PART: &str = "an operator within a segment";
