//! What it takes to say where a value does not fit. A union that nothing fits asks all of its branches, each from the beginning: where those
//! lead back to it from deeper in a value, every level doubles the work, and an answer would never come (T34, T36).

use std::collections::BTreeMap;

use serde_json::Value;

use super::DEPTH;
use super::circle::Steps;

/// How often schemas may be asked altogether, to say where a value does not fit.
const MOST: u64 = 100_000;

/// How a schema within another is asked of what is within a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// Of what none of the others that are apart is asked of: each of another member or element.
    Apart,
    /// Of what others may be asked of as well.
    Beside,
}

impl Within {
    /// Of the schemas of a keyword that are not asked of the same value.
    pub(super) fn of(keyword: &str) -> Self {
        match keyword {
            "additionalItems" | "additionalProperties" | "items" | "prefixItems" | "properties" => {
                Self::Apart
            }
            _ => Self::Beside,
        }
    }
}

/// How often schemas are asked, at most, of a value and of one in it and one in that, and so on, by how many of them lie inside one
/// another.
pub(super) struct Effort(Vec<u64>);

impl Effort {
    /// Of the schema `root`; `order` has all, each after those that it asks of the same value.
    pub(super) fn of<K: Ord + Clone, R: Clone>(steps: &Steps<K, R>, order: &[K], root: &K) -> Self {
        let places: BTreeMap<&K, usize> =
            order.iter().enumerate().map(|(at, it)| (it, at)).collect();
        let place = |of: &K| places.get(of).copied().unwrap_or(usize::MAX);
        let schemas: Vec<_> = order
            .iter()
            .map(|it| {
                let same: Vec<_> = steps.same(it).map(place).collect();
                let within = steps.within(it).map(|(to, how)| (place(to), how));
                (same, within.collect::<Vec<_>>())
            })
            .collect();
        let of = |asked: &[u64], at: usize| asked.get(at).copied().unwrap_or(u64::MAX);
        let mut deeper = vec![0; order.len()];
        let mut by_depth = Vec::new();
        for _ in 0..=DEPTH {
            let mut here: Vec<u64> = Vec::with_capacity(order.len());
            for (same, within) in &schemas {
                let mut asked = same
                    .iter()
                    .fold(1_u64, |sum, at| sum.saturating_add(of(&here, *at)));
                let mut apart = 0;
                for (at, how) in within {
                    let inner = of(&deeper, *at);
                    match how {
                        Within::Apart => apart = inner.max(apart),
                        Within::Beside => asked = asked.saturating_add(inner),
                    }
                }
                here.push(asked.saturating_add(apart));
            }
            by_depth.push(of(&here, place(root)));
            deeper = here;
        }
        Self(by_depth)
    }

    /// Whether it can be said where this value does not fit.
    pub(super) fn is_little(&self, value: &Value) -> bool {
        let (mut count, mut deepest) = (0_u64, 0_usize);
        let mut rest = vec![(value, 0_usize)];
        while let Some((value, depth)) = rest.pop() {
            count = count.saturating_add(1);
            match value {
                Value::Array(list) => {
                    deepest = deepest.max(depth.saturating_add(1));
                    rest.extend(list.iter().map(|it| (it, depth.saturating_add(1))));
                }
                Value::Object(map) => {
                    deepest = deepest.max(depth.saturating_add(1));
                    rest.extend(map.values().map(|it| (it, depth.saturating_add(1))));
                }
                _ => {}
            }
        }
        let asked = self.0.get(deepest).copied().unwrap_or(u64::MAX);
        asked.saturating_mul(count) <= MOST
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::sync::mpsc;

    use serde_json::json;

    use super::*;
    use crate::schema::compile;

    /// Where the value does not fit; `None` where that is not said in time.
    fn misfit(schema: &Value, value: &Value) -> Option<String> {
        let (schema, value) = (schema.to_string(), value.clone());
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let schema = compile(schema.as_bytes()).unwrap_or_else(|why| panic!("{why}"));
            assert!(!schema.fits(&value));
            let _ = tell.send(schema.misfit(&value));
        });
        told.recv_timeout(Duration::from_secs(10)).ok()
    }

    fn nested(levels: usize, inner: Value, wrap: fn(Value) -> Value) -> Value {
        (0..levels).fold(inner, |value, _| wrap(value))
    }

    /// One of two, by a mark that neither has.
    fn union(keyword: &str) -> Value {
        let branch = |mark: &str| json!({ "properties": { "op": { "const": mark }, "x": { "$ref": "#/$defs/e" } } });
        json!({ "properties": { "a": { "$ref": "#/$defs/e" } },
            "$defs": { "e": { keyword: [branch("a"), branch("b")] } } })
    }

    #[test]
    fn t36_no_value_has_every_branch_of_a_schema_asked_at_every_level() {
        let schemas = [
            union("anyOf"),
            union("oneOf"),
            union("allOf"),
            json!({ "$id": "https://a.example/s", "$dynamicAnchor": "e", "anyOf": [
                { "properties": { "op": { "const": "a" }, "x": { "$dynamicRef": "#e" } } },
                { "properties": { "op": { "const": "b" }, "x": { "$dynamicRef": "#e" } } }
            ], "properties": { "a": { "$ref": "#" } } }),
            json!({ "properties": { "a": { "$ref": "#/$defs/e" } }, "$defs": { "e": {
                "properties": { "op": { "const": "a" }, "x": { "$ref": "#/$defs/e" } },
                "patternProperties": { "^x": { "$ref": "#/$defs/e" } }
            } } }),
            json!({ "properties": { "a": { "$ref": "#/$defs/e" } }, "$defs": { "e": {
                "properties": { "op": { "const": "a" }, "x": { "$ref": "#/$defs/e" } },
                "dependentSchemas": { "op": { "properties": { "x": { "$ref": "#/$defs/e" } } } }
            } } }),
            json!({ "properties": { "a": { "$ref": "#/$defs/e" } }, "$defs": { "e": {
                "properties": { "op": { "const": "a" }, "x": { "$ref": "#/$defs/e" } },
                "if": { "required": ["op"] }, "then": { "properties": { "x": { "$ref": "#/$defs/e" } } }
            } } }),
            json!({ "$schema": "http://json-schema.org/draft-07/schema#",
                "properties": { "a": { "$ref": "#/definitions/e" } }, "definitions": { "e": {
                "properties": { "op": { "const": "a" }, "x": { "$ref": "#/definitions/e" } },
                "dependencies": { "op": { "properties": { "x": { "$ref": "#/definitions/e" } } } }
            } } }),
        ];
        let deep = nested(60, json!({}), |x| json!({ "op": "c", "x": x }));
        let value = json!({ "a": deep });
        for schema in schemas {
            assert_eq!(misfit(&schema, &value).as_deref(), Some(""), "{schema}");
        }
        // Nor of many elements of a list.
        let branch = json!({ "items": { "anyOf": vec![json!({ "const": 1 }); 400] } });
        let schema = json!({ "properties": { "a": { "anyOf": [branch, branch] } } });
        let value = json!({ "a": vec![0; 20_000] });
        assert_eq!(misfit(&schema, &value).as_deref(), Some(""));
    }

    #[test]
    fn where_a_value_does_not_fit_is_said_where_that_takes_little() {
        // A union, where the value is shallow.
        for levels in [1, 5] {
            let value = nested(levels, json!({}), |x| json!({ "op": "c", "x": x }));
            let value = json!({ "a": value });
            for keyword in ["anyOf", "oneOf"] {
                let at = misfit(&union(keyword), &value);
                assert_eq!(at.as_deref(), Some("/a"), "{keyword}, {levels}");
            }
        }
        // What leads back to itself from other members or elements each time, however deep the value.
        let tree = json!({ "type": "object", "properties": {
            "left": { "$ref": "#" }, "right": { "$ref": "#" }, "more": { "items": { "$ref": "#" } }, "name": { "type": "string" }
        }, "additionalProperties": { "$ref": "#" } });
        let value = nested(
            50,
            json!({ "name": 7 }),
            |left| json!({ "left": left, "right": {} }),
        );
        let at = format!("{}/name", "/left".repeat(50));
        assert_eq!(misfit(&tree, &value), Some(at));
        let choice = json!({ "anyOf": [{ "type": "string" }, { "items": { "$ref": "#" }, "type": "array" }] });
        let value = nested(50, json!(7), |inner| json!([inner]));
        assert_eq!(misfit(&choice, &value).as_deref(), Some(""));
        let value = json!({ "a": value });
        let choice = json!({ "properties": { "a": { "$ref": "#/$defs/c" } }, "$defs": { "c": { "anyOf": [
            { "type": "string" }, { "items": { "$ref": "#/$defs/c" }, "type": "array" }
        ] } } });
        assert_eq!(misfit(&choice, &value).as_deref(), Some("/a"));
    }
}
