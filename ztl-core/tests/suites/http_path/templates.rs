//! Path templates of Envoy and Istio, written as ours (rule 41).

use serde_json::Value;
use ztl_core::CanonicalPath;
use ztl_core::policy::Template;

use crate::tally::{Counts, Stands, Tally, UNSAID};
use crate::{rows, text};

#[test]
fn rule_41_templates() {
    let mut tally = Tally::new(include_str!("templates.toml"));
    for row in rows(include_str!("templates.json")) {
        let (theirs, stands) = match row["match"] == true {
            true => ("match", Stands::Stricter),
            false => ("none", Stands::Looser),
        };
        let ours = match translate(text(&row, "pattern")) {
            Some(templates) => ours(&templates, &row),
            None => UNSAID.to_owned(),
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
pub(crate) fn translate(pattern: &str) -> Option<Vec<Template>> {
    let texts = translate_text(pattern)?;
    texts
        .iter()
        .map(|text| Template::parse(text).ok())
        .collect()
}

/// `None` where a segment is part text and part operator, or `{**}` is followed by anything.
pub(crate) fn translate_text(pattern: &str) -> Option<Vec<String>> {
    let segments: Vec<_> = pattern.strip_prefix('/')?.split('/').collect();
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
            None if segment.contains(['*', '{', '}']) => return None,
            None => (None, None),
        };
        let unnamed = format!("p{at}");
        let name = name.unwrap_or(&unnamed);
        match operator {
            None => written += &format!("/{segment}"),
            Some("*") => written += &format!("/{{{name}}}"),
            Some("**") if at + 1 == segments.len() => {
                return Some(vec![
                    format!("{written}/"),
                    format!("{written}/{{*{name}}}"),
                ]);
            }
            Some(_) => return None,
        }
    }
    Some(vec![written])
}
