//! JSON Schemas that refuse to load, and those that look like them.

use serde_json::{Value, json};

use super::compile;

fn refusal(schema: &Value) -> String {
    let compiled = compile(schema.to_string().as_bytes());
    compiled.err().unwrap_or_default()
}

#[test]
fn law_1_a_schema_that_asks_itself_the_same_again_does_not_load() {
    for schema in [
        json!({ "$ref": "#" }),
        json!({ "allOf": [{ "$ref": "#" }], "type": "integer" }),
        json!({ "anyOf": [{ "$ref": "#" }, { "type": "integer" }] }),
        json!({ "oneOf": [{ "$ref": "#" }, { "type": "integer" }] }),
        json!({ "not": { "$ref": "#" } }),
        json!({ "if": { "$ref": "#" }, "then": false }),
        json!({ "if": true, "then": { "$ref": "#" } }),
        json!({ "if": false, "else": { "$ref": "#" } }),
        json!({ "dependentSchemas": { "a": { "$ref": "#" } } }),
        // Round by others, named by pointers, anchors and identifiers.
        json!({ "$ref": "#/$defs/a", "$defs": {
            "a": { "$ref": "#/$defs/b" }, "b": { "anyOf": [{ "$ref": "#/$defs/a" }, { "type": "integer" }] }
        } }),
        json!({ "$ref": "#a", "$defs": { "x": { "$anchor": "a", "allOf": [{ "$ref": "#a" }] } } }),
        json!({ "$id": "https://a.example/x", "$ref": "y", "$defs": {
            "y": { "$id": "y", "$ref": "x" }
        } }),
        json!({ "items": { "$ref": "#/$defs/a" }, "$defs": { "a": { "not": { "$ref": "#/$defs/a" } } } }),
        json!({ "$ref": "#/x-else", "x-else": { "anyOf": [{ "$ref": "#/x-else" }] } }),
        // By dynamic references.
        json!({ "$dynamicAnchor": "a", "anyOf": [{ "$dynamicRef": "#a" }] }),
        json!({ "$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveAnchor": true,
            "anyOf": [{ "$recursiveRef": "#" }] }),
        // In older drafts.
        json!({ "$schema": "http://json-schema.org/draft-07/schema#",
            "dependencies": { "a": { "$ref": "#" } } }),
        json!({ "$schema": "http://json-schema.org/draft-04/schema#", "id": "https://a.example/x",
            "anyOf": [{ "$ref": "x" }] }),
    ] {
        let refusal = refusal(&schema);
        assert!(
            refusal.contains("leads back to itself"),
            "{schema}: {refusal}"
        );
    }
}

#[test]
fn a_circle_is_told_by_a_reference_that_leads_on_in_it() {
    let named = |to: &str| format!("`$ref` to `{to}` leads back to itself");
    for (schema, to) in [
        // Beside one that leads out of it.
        (
            json!({ "$ref": "#/$defs/a", "$defs": {
                "a": { "$ref": "#/$defs/b", "anyOf": [{ "$ref": "#/$defs/a" }] }, "b": { "type": "integer" }
            } }),
            "#/$defs/a",
        ),
        (
            json!({ "$defs": {
                "a": { "$ref": "#/$defs/b", "$dynamicRef": "#x" }, "b": { "$ref": "#/$defs/a" },
                "x": { "$dynamicAnchor": "x", "type": "integer" }
            } }),
            "#/$defs/a",
        ),
    ] {
        let said = refusal(&schema);
        assert!(said.contains(&named(to)), "{schema}: {said}");
    }
    // One of several, the same wherever they come to lie in memory.
    let circle = |at: u32| {
        let name = format!("c{at:02}");
        let to = json!({ "$ref": format!("#/$defs/{name}") });
        (name, json!({ "anyOf": [to] }))
    };
    let all: Value = (0..50).map(circle).collect();
    let schema = json!({ "$defs": all });
    let first = refusal(&schema);
    let mut beside = Vec::new();
    for at in 0..20 {
        beside.push(json!({ "beside": at }));
        assert_eq!(refusal(&schema), first, "{beside:?}");
    }
}

#[test]
fn law_1_a_reference_that_leads_nowhere_refuses_the_schema_wherever_it_stands() {
    for schema in [
        json!({ "$ref": "#/$defs/gone" }),
        json!({ "type": "integer", "$defs": { "a": { "$ref": "#/$defs/gone" } } }),
        json!({ "type": "integer", "$defs": { "a": { "$ref": "#gone" } } }),
        json!({ "type": "integer", "$defs": { "a": { "$dynamicRef": "#gone" } } }),
        json!({ "type": "integer", "$defs": { "a": { "$ref": "https://gone.example/" } } }),
    ] {
        let refusal = refusal(&schema);
        let start = "is no schema that can be used: ";
        assert!(refusal.starts_with(start), "{schema}: {refusal}");
        assert!(refusal.contains("gone"), "{schema}: {refusal}");
    }
}

#[test]
fn a_schema_that_asks_itself_of_what_is_within_a_value_loads() {
    let same = json!({ "$ref": "#/$defs/a" });
    for schema in [
        json!({ "properties": { "a": { "$ref": "#" } } }),
        json!({ "items": { "anyOf": [{ "$ref": "#" }, { "type": "integer" }] } }),
        json!({ "$id": "https://a.example/x", "additionalProperties": { "$ref": "x" } }),
        json!({ "propertyNames": { "$ref": "#" } }),
        // Often, and not in a circle.
        json!({ "allOf": [same, same], "not": { "anyOf": [same] }, "$defs": { "a": { "type": "integer" } } }),
        // Of a name, and as a value.
        json!({ "properties": { "$ref": { "type": "string" } } }),
        json!({ "const": { "$ref": "#/const" }, "enum": [{ "anyOf": [{ "$ref": "#" }] }] }),
        // The schemas of the drafts themselves.
        json!({ "$ref": "https://json-schema.org/draft/2020-12/schema" }),
        json!({ "$schema": "https://json-schema.org/draft/2019-09/schema",
            "$ref": "https://json-schema.org/draft/2019-09/schema" }),
        json!({ "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "http://json-schema.org/draft-07/schema#" }),
        // A tree, and a stricter one (JSON Schema Core 2020-12 appendix C).
        json!({ "$id": "https://a.example/strict", "$dynamicAnchor": "node", "$ref": "tree",
            "unevaluatedProperties": false, "$defs": { "tree": {
                "$id": "tree", "$dynamicAnchor": "node", "type": "object",
                "properties": { "children": { "type": "array", "items": { "$dynamicRef": "#node" } } }
            } } }),
    ] {
        assert_eq!(refusal(&schema), "", "{schema}");
    }
}

#[test]
fn a_long_way_through_a_schema_ends() {
    let chain = |wrap: fn(Value) -> Value, last: Value| {
        let mut all: serde_json::Map<_, _> = (0..2000)
            .map(|at| {
                let next = json!({ "$ref": format!("#/$defs/{}", at + 1) });
                (at.to_string(), wrap(next))
            })
            .collect();
        all.insert("2000".to_owned(), last);
        json!({ "$ref": "#/$defs/0", "$defs": all })
    };
    let back = json!({ "$ref": "#/$defs/7" });
    assert!(refusal(&chain(|next| next, back.clone())).contains("leads back to itself"));
    let refused = refusal(&chain(|next| json!({ "anyOf": [next] }), back));
    assert!(refused.contains("leads back to itself"), "{refused}");
    assert_eq!(
        refusal(&chain(|next| next, json!({ "type": "integer" }))),
        ""
    );
}

/// Which of these texts a format takes.
fn taken<'a>(format: &str, texts: &[&'a str]) -> Vec<&'a str> {
    let schema = json!({ "type": "string", "format": format });
    let schema = compile(schema.to_string().as_bytes()).expect(format);
    let fits = |text: &&&str| schema.fits(&json!(**text));
    texts.iter().filter(fits).copied().collect()
}

#[test]
fn formats_of_names_in_every_script_are_asserted() {
    let names = [
        "실례.테스트",
        "a.example",
        "xn--ihqwcrb4cv8a8dqg056pqjye",
        "-a",
        "a..b",
        "〮a",
        "",
    ];
    assert_eq!(taken("idn-hostname", &names), &names[..3]);
    let mail = [
        "실례@실례.테스트",
        "joe@a.example",
        "2962",
        "a@",
        "@a.example",
    ];
    assert_eq!(taken("idn-email", &mail), &mail[..2]);
    // In no more time than reading them takes (T36).
    let long = [
        "ü".repeat(1 << 20),
        "ü.".repeat(1 << 19),
        format!("a@{}", "ü".repeat(1 << 20)),
    ];
    for format in ["idn-hostname", "idn-email"] {
        let long: Vec<_> = long.iter().map(String::as_str).collect();
        assert!(taken(format, &long).is_empty(), "{format}");
    }
}

#[test]
fn the_formats_of_texts_that_openapi_adds_are_read_in_every_schema() {
    let texts = [
        "", "YQ==", "YWI=", "YWJj", "+/+/", "YQ=", "Y===", "====", "=", "YQ", "Y-_w", "YWJj\n",
    ];
    assert_eq!(taken("byte", &texts), &texts[..5]);
    assert_eq!(taken("password", &texts), texts);
    // Of what is no text they say nothing.
    let schema = compile(br#"{"format": "byte"}"#).expect("a schema");
    assert!(schema.fits(&json!(7)));
    for format in ["int32", "int64", "float", "double", "no-such", "a\u{1b}b"] {
        let refusal = refusal(&json!({ "items": { "format": format } }));
        let said = format!(
            "asks for the format `{}`, which is not known here",
            format.escape_debug()
        );
        assert!(refusal.contains(&said), "{refusal}");
    }
}
