//! The JSON-Schema-Test-Suite, each schema as that of a body in a document. `tests/suites/README.md` says from where.

use super::*;
use crate::schema::suites::{COMMON, DRAFT_2020_12, groups, judge};
use crate::tally::{Counts, Tally};

/// A schema under its own name in a document, so that what refers to its root refers to that.
fn moved(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let moved = members.iter().map(|(name, value)| {
                let to = value.as_str().and_then(|to| to.strip_prefix('#'));
                let value = match to {
                    _ if name == "enum" || name == "const" => value.clone(),
                    Some(to) if name == "$ref" && (to.is_empty() || to.starts_with('/')) => {
                        json!(format!("#/components/schemas/It{to}"))
                    }
                    _ => moved(value),
                };
                (name.clone(), value)
            });
            Value::Object(moved.collect())
        }
        Value::Array(values) => values.iter().map(moved).collect(),
        other => other.clone(),
    }
}

#[test]
fn json_schema_test_suite() {
    let exceptions = include_str!("../../../../tests/suites/json_schema_openapi.toml");
    let mut tally = Tally::new(exceptions).with_rules_of(COMMON);
    for group in groups(&DRAFT_2020_12) {
        let load = |schema: &Value| {
            let mut document = with_body(json!({ "$ref": "#/components/schemas/It" }));
            document["components"]["schemas"]["It"] = moved(schema);
            load(&document)
        };
        judge(&mut tally, &group, load, takes);
    }
    let expected = Counts {
        agree: 642,
        stricter: 85,
        ..Counts::default()
    };
    tally.finish("JSON Schema, in OpenAPI", expected);
}
