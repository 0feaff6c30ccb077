//! The schemas of a document that requests have to fit: looked through for what cannot be kept to, and compiled each once.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::{Draft, Registry};
use serde_json::{Value, json};

use super::keyword;
use super::node::Node;
use crate::schema::circle::{BACK, Steps, is_of_same_value};
use crate::schema::effort::{Effort, Within};
use crate::schema::{Compiled, options, unusable};

/// Most schemas that requests have to fit.
const MAX_SCHEMAS: usize = 4096;
/// Most schemas within them, one that is referred to by several counted for each of them.
const MAX_PARTS: usize = 200_000;
/// Most members of one object that is written as text, or fields of one form.
const MAX_MEMBERS: usize = 256;
/// Most of all of them together.
const MAX_ALL_MEMBERS: usize = 65_536;
/// What the document is called while it is compiled.
const HERE: &str = "urn:ztl:openapi";

/// The dialects that schemas may be said to be of (OpenAPI 3.1.1 §4.8.24).
const DIALECTS: [&str; 2] = [
    "https://spec.openapis.org/oas/3.1/dialect/base",
    "https://json-schema.org/draft/2020-12/schema",
];

/// Keywords whose value is a schema.
const ONE: [&str; 10] = [
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords whose value is a list of them.
const LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords whose value is an object of them.
const MAP: [&str; 3] = ["dependentSchemas", "patternProperties", "properties"];

/// Which schema of [`Sites`] it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site(pub(super) usize);

/// The places of schemas.
#[derive(Default)]
pub(super) struct Sites {
    all: Vec<(String, Effort)>,
    known: BTreeMap<String, usize>,
    parts: usize,
    members: usize,
    /// What was held against the meta-schema.
    checked: BTreeSet<String>,
    /// What is said in a way that JSON Schema does not assert: the place, and what says the same.
    edits: BTreeMap<String, Vec<Value>>,
}

impl Sites {
    /// Takes a schema in; refuses what cannot be kept to.
    pub(super) fn add(&mut self, root: &Value, node: &Node<'_>) -> Result<Site, String> {
        if let Some(at) = self.known.get(&node.at) {
            return Ok(Site(*at));
        }
        if self.all.len() == MAX_SCHEMAS {
            return Err(node.fault(format!("there are more than {MAX_SCHEMAS} schemas")));
        }
        let effort = self.look_through(root, node)?;
        let at = self.all.len();
        self.known.insert(node.at.clone(), at);
        self.all.push((node.at.clone(), effort));
        Ok(Site(at))
    }

    /// Counts the members of an object that is written as text.
    pub(super) fn count_members(&mut self, node: &Node<'_>, count: usize) -> Result<(), String> {
        self.members = self.members.saturating_add(count);
        if count > MAX_MEMBERS {
            let message = format!("there are more than {MAX_MEMBERS} members of an object or form");
            return Err(node.fault(message));
        }
        if self.members > MAX_ALL_MEMBERS {
            return Err(node.fault(format!(
                "there are more than {MAX_ALL_MEMBERS} members of objects and forms"
            )));
        }
        Ok(())
    }

    /// Every schema that this one is made of, and what it takes to say where a value does not fit it.
    fn look_through(&mut self, root: &Value, node: &Node<'_>) -> Result<Effort, String> {
        let first = node.at.clone();
        let mut seen = BTreeSet::from([node.at.clone()]);
        let mut steps = Steps::default();
        self.check(node)?;
        let mut rest = vec![node.clone()];
        while let Some(node) = rest.pop() {
            self.parts += 1;
            if self.parts > MAX_PARTS {
                let message = format!("the schemas have more than {MAX_PARTS} parts");
                return Err(node.fault(message));
            }
            if node.value.is_boolean() {
                continue;
            }
            self.part(&node)?;
            if node.value.get("$ref").is_some() {
                let target = node.target(root)?;
                let reference = Some(node.text_of("$ref")?);
                steps.add(&node.at, target.at.clone(), reference);
                if seen.insert(target.at.clone()) {
                    self.check(&target)?;
                    rest.push(target);
                }
            }
            for (keyword, inner) in inner(&node)? {
                if is_of_same_value(keyword) {
                    steps.add(&node.at, inner.at.clone(), None);
                } else {
                    steps.add_within(&node.at, inner.at.clone(), Within::of(keyword));
                }
                if seen.insert(inner.at.clone()) {
                    rest.push(inner);
                }
            }
        }
        steps.effort(&first).map_err(|(at, told)| match told {
            Some(to) => format!(
                "at `#{}`: `$ref` to `{}` {BACK}",
                at.escape_debug(),
                to.escape_debug()
            ),
            None => format!("at `#{}`: the schema {BACK}", at.escape_debug()),
        })
    }

    /// Whether it is a schema of draft 2020-12.
    fn check(&mut self, node: &Node<'_>) -> Result<(), String> {
        if !self.checked.insert(node.at.clone()) {
            return Ok(());
        }
        jsonschema::draft202012::meta::validate(node.value).map_err(|error| {
            let (at, within) = (node.at.escape_debug(), error.instance_path());
            format!("at `#{at}{within}`: is no schema of draft 2020-12: {error}")
        })
    }

    /// One of them, by itself.
    fn part(&mut self, node: &Node<'_>) -> Result<(), String> {
        keyword::check(node)?;
        let map = node.map()?;
        if let Some(dialect) = node.child("$schema") {
            of_dialect(&dialect)?;
        }
        let mut says = Vec::new();
        if node.flag("readOnly")? {
            // JSON Schema Validation §9.4: who sends it all the same is refused.
            says.push(json!(false));
        }
        let mut required = map.get("required").and_then(Value::as_array).into_iter();
        if let (Some(required), Some(properties)) = (required.next(), node.child("properties")) {
            for name in required.iter().filter_map(Value::as_str) {
                let child = properties.child(name);
                if child.is_some_and(|child| child.flag("readOnly") == Ok(true)) {
                    let message = format!(
                        "requires `{}`, which is `readOnly`: no request fits",
                        name.escape_debug()
                    );
                    return Err(node.fault(message));
                }
            }
        }
        says.extend(
            map.get("format")
                .and_then(Value::as_str)
                .and_then(of_format),
        );
        if !says.is_empty() {
            self.edits.insert(node.at.clone(), says);
        }
        Ok(())
    }

    /// All of them, in their order.
    pub(super) fn compiled(
        self,
        mut root: Value,
        digest: [u8; 32],
    ) -> Result<Vec<Compiled>, String> {
        for (at, says) in self.edits {
            let Some(Value::Object(schema)) = root.pointer_mut(&at) else {
                continue;
            };
            if (schema.get("format"))
                .and_then(Value::as_str)
                .is_some_and(|it| of_format(it).is_some())
            {
                schema.remove("format");
            }
            let all = schema.entry("allOf").or_insert_with(|| json!([]));
            if let Value::Array(all) = all {
                all.extend(says);
            }
        }
        let document = Draft::Draft202012.create_resource(root);
        let registry = Registry::new()
            .draft(Draft::Draft202012)
            .add(HERE, document)
            .and_then(jsonschema::RegistryBuilder::prepare)
            .map_err(|error| format!("cannot be read: {error}"))?;
        let options = options().with_draft(Draft::Draft202012);
        let options = options.with_registry(&registry);
        let each = self.all.into_iter().map(|(at, effort)| {
            let reference: String = at.bytes().map(escaped).collect();
            let schema = json!({ "$ref": format!("{HERE}#{reference}") });
            match options.build(&schema) {
                Ok(validator) => Ok(Compiled {
                    validator,
                    effort,
                    digest,
                }),
                Err(error) => Err(format!("at `#{}`: {}", at.escape_debug(), unusable(&error))),
            }
        });
        each.collect()
    }
}

/// The schemas that stand within one, by their keywords.
fn inner<'a>(node: &Node<'a>) -> Result<Vec<(&'static str, Node<'a>)>, String> {
    let one = ONE.iter().filter_map(|it| Some((*it, node.child(it)?)));
    let mut inner: Vec<_> = one.collect();
    for keyword in LIST {
        inner.extend(node.each(keyword)?.into_iter().map(|it| (keyword, it)));
    }
    for keyword in MAP {
        if let Some(map) = node.child(keyword) {
            inner.extend(map.members()?.map(|(_, it)| (keyword, it)));
        }
    }
    Ok(inner)
}

/// A byte of a JSON pointer as a fragment has it (RFC 6901 §6).
fn escaped(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

pub(super) fn of_dialect(node: &Node<'_>) -> Result<(), String> {
    let dialect = node.text()?;
    if DIALECTS.contains(&dialect.trim_end_matches('#')) {
        return Ok(());
    }
    Err(node.fault(format!(
        "the dialect `{}` is not read: write schemas in that of OpenAPI 3.1",
        dialect.escape_debug()
    )))
}

/// What the formats say that OpenAPI adds to JSON Schema (OpenAPI 3.1.1 §4.4, and its registry).
fn of_format(format: &str) -> Option<Value> {
    Some(match format {
        "int32" => json!({ "minimum": i32::MIN, "maximum": i32::MAX, "multipleOf": 1 }),
        "int64" => json!({ "minimum": i64::MIN, "maximum": i64::MAX, "multipleOf": 1 }),
        "float" => json!({ "minimum": f32::MIN, "maximum": f32::MAX }),
        "double" => json!(true),
        // `byte` and `password` are read in every schema.
        _ => return None,
    })
}
