//! The JSON-Schema-Test-Suite, each schema as that of a body in a document. `tests/suites/README.md` says from where.

use super::*;
use crate::tally::{Counts, Stands, Tally};

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
    let table = include_str!("../../../../tests/suites/json_schema.json");
    let table: Vec<Value> = serde_json::from_str(table).expect("JSON");
    let exceptions = include_str!("../../../../tests/suites/json_schema.toml");
    let mut tally = Tally::new(exceptions);
    for group in &table {
        let mut document = with_body(json!({ "$ref": "#/components/schemas/It" }));
        document["components"]["schemas"]["It"] = moved(&group["schema"]);
        let api = load(&document);
        for (at, test) in group["tests"].as_array().expect("tests").iter().enumerate() {
            let id = format!("{}:{at}", group["id"].as_str().expect("an id"));
            let word = |valid| if valid { "valid" } else { "invalid" };
            let theirs = word(test["valid"] == true);
            let ours = match &api {
                Ok(api) => word(takes(&**api, &test["data"])),
                Err(_) => "refused",
            };
            let stands = match ours {
                "valid" => Stands::Looser,
                _ => Stands::Stricter,
            };
            tally.row(&id, theirs, ours, stands);
        }
    }
    let expected = Counts {
        agree: 401,
        stricter: 63,
        ..Counts::default()
    };
    tally.finish("JSON-Schema-Test-Suite", expected);
}
