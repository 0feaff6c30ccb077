//! The JSON-Schema-Test-Suite, as JSON Schemas for bodies, of drafts 4, 7 and 2020-12. `tests/suites/README.md` says from where.

use std::sync::Arc;

use serde_json::Value;
use ztl_core::schema::BodySchema;

use super::compile;
use crate::tally::{Counts, Stands, Tally};

/// What is answered otherwise in every form and draft. Whether each is needed is seen to by the table of draft 2020-12.
pub(super) const COMMON: &str = include_str!("../../tests/suites/json_schema.toml");
/// The rows of draft 2020-12, and those of it that the suite has as optional.
pub(super) const DRAFT_2020_12: [&str; 2] = [
    include_str!("../../tests/suites/json_schema.json"),
    include_str!("../../tests/suites/json_schema_optional.json"),
];

pub(super) type Loaded = Result<Arc<dyn BodySchema>, String>;

/// The groups of tables.
pub(super) fn groups(tables: &[&str]) -> Vec<Value> {
    let groups = tables
        .iter()
        .map(|table| serde_json::from_str::<Vec<Value>>(table));
    groups.flat_map(|groups| groups.expect("JSON")).collect()
}

/// Judges every test of a group: by its schema as `load` loads it and `takes` asks it, and where that says no and the suite yes, by
/// the same schema without its formats, which the suite takes for remarks and which are asserted here.
pub(super) fn judge(
    tally: &mut Tally,
    group: &Value,
    load: impl Fn(&Value) -> Loaded,
    takes: impl Fn(&dyn BodySchema, &Value) -> bool,
) {
    let schema = load(&group["schema"]);
    let formless = load(&without_formats(&group["schema"]));
    let word = |valid| if valid { "valid" } else { "invalid" };
    for (at, test) in group["tests"].as_array().expect("tests").iter().enumerate() {
        let id = format!("{}:{at}", group["id"].as_str().expect("an id"));
        let (data, valid) = (&test["data"], test["valid"] == true);
        let fits = schema.as_ref().map(|schema| takes(&**schema, data));
        let (ours, stands) = match (fits, &formless) {
            (Ok(true), _) => ("valid".to_owned(), Stands::Looser),
            (Ok(false), Ok(formless)) if valid && takes(&**formless, data) => {
                ("invalid: a format".to_owned(), Stands::Stricter)
            }
            (Ok(false), _) => ("invalid".to_owned(), Stands::Stricter),
            (Err(why), _) => (format!("refused: {}", reason(why)), Stands::Stricter),
        };
        tally.row(&id, word(valid), &ours, stands);
    }
}

/// A schema and all in it without `format`, but for what is no schema.
fn without_formats(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let kept = members
                .iter()
                .filter(|(name, value)| *name != "format" || !value.is_string());
            let inner = |(name, value): (&String, &Value)| {
                let value = match name.as_str() {
                    "const" | "enum" => value.clone(),
                    _ => without_formats(value),
                };
                (name.clone(), value)
            };
            Value::Object(kept.map(inner).collect())
        }
        Value::Array(values) => values.iter().map(without_formats).collect(),
        other => other.clone(),
    }
}

/// By which rule a schema did not load; its text where none of these is it.
fn reason(why: &str) -> &str {
    let known = [
        ("refer by `$ref` and a JSON pointer", "no JSON pointer"),
        ("is no JSON pointer", "no JSON pointer"),
        ("leads out of the document", "leads out"),
        ("Retrieval is disabled", "leads out"),
        ("the dialect", "another dialect"),
        ("Unknown meta-schema", "another dialect"),
        ("is unknown here, or cannot be kept to", "unknown keyword"),
        ("what stands within a text is not read", "content"),
        ("write `format` or `pattern`", "content"),
        ("write `dependentRequired`", "dependencies"),
        ("is not known here", "unknown format"),
    ];
    let found = known.iter().find(|(said, _)| why.contains(said));
    found.map_or(why, |(_, reason)| reason)
}

/// A schema of a draft that does not say so says so.
fn of_draft(schema: &Value, dialect: &str) -> Value {
    let mut schema = schema.clone();
    if let Some(members) = schema.as_object_mut() {
        let said = members.entry("$schema");
        said.or_insert_with(|| dialect.into());
    }
    schema
}

/// All tests of some tables, as JSON Schemas of a draft.
fn run(tables: &[&str], dialect: &str, mut tally: Tally, name: &str, expected: Counts) {
    for group in groups(tables) {
        let load = |schema: &Value| compile(of_draft(schema, dialect).to_string().as_bytes());
        judge(&mut tally, &group, load, |schema, data| schema.fits(data));
    }
    tally.finish(name, expected);
}

#[test]
fn json_schemas_of_draft_4() {
    run(
        &[include_str!("../../tests/suites/json_schema_draft4.json")],
        "http://json-schema.org/draft-04/schema#",
        Tally::new("").with_rules_of(COMMON),
        "JSON Schema, draft 4",
        Counts {
            agree: 402,
            stricter: 9,
            ..Counts::default()
        },
    );
}

#[test]
fn json_schemas_of_draft_7() {
    run(
        &[include_str!("../../tests/suites/json_schema_draft7.json")],
        "http://json-schema.org/draft-07/schema#",
        Tally::new("").with_rules_of(COMMON),
        "JSON Schema, draft 7",
        Counts {
            agree: 577,
            stricter: 18,
            ..Counts::default()
        },
    );
}

#[test]
fn json_schemas_of_draft_2020_12() {
    run(
        &DRAFT_2020_12,
        "https://json-schema.org/draft/2020-12/schema",
        Tally::new(COMMON),
        "JSON Schema, draft 2020-12",
        Counts {
            agree: 700,
            stricter: 27,
            ..Counts::default()
        },
    );
}
