//! Schemas that lead back to themselves before they have looked further into a value. What such a schema means is not defined
//! (JSON Schema Core 2020-12 §9.4.1), and the validator takes the way back for something that fits: it is refused (law 1).

use core::ptr;
use std::collections::{BTreeMap, BTreeSet};

use jsonschema::{Draft, Registry, uri};
use serde_json::{Map, Value};

/// What a schema without `$id` is called.
const HERE: &str = "json-schema:///";

/// Keywords whose schemas are asked of the same value.
const SAME: [&str; 9] = [
    "allOf",
    "anyOf",
    "dependencies",
    "dependentSchemas",
    "else",
    "if",
    "not",
    "oneOf",
    "then",
];

/// What is wrong with it, after its place.
pub(super) const BACK: &str = "leads back to itself without looking further into a value, which says nothing: take it out, or refer to it from \
     within `properties` or `items`";

/// Whether the schemas of a keyword are asked of the value that the keyword is asked of.
pub(super) fn is_of_same_value(keyword: &str) -> bool {
    SAME.contains(&keyword)
}

/// Which schemas ask which others of the same value.
pub(super) struct Steps<K>(BTreeMap<K, Vec<K>>);

impl<K> Default for Steps<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone> Steps<K> {
    pub(super) fn add(&mut self, from: &K, to: K) {
        self.0.entry(from.clone()).or_default().push(to);
    }

    /// The schemas of a circle; none where there is none.
    pub(super) fn circle(&self) -> Vec<K> {
        let mut done = BTreeSet::new();
        for start in self.0.keys() {
            let mut way = Vec::new();
            let mut on_way = BTreeSet::new();
            let mut next = Some(start);
            loop {
                if let Some(here) = next.filter(|it| !done.contains(it)) {
                    if !on_way.insert(here) {
                        let way = way.iter().map(|(it, _)| *it);
                        return way.skip_while(|it| *it != here).cloned().collect();
                    }
                    let to = self.0.get(here).map_or(&[][..], Vec::as_slice);
                    way.push((here, to.iter()));
                }
                let Some((here, rest)) = way.last_mut() else {
                    break;
                };
                next = rest.next();
                if next.is_none() {
                    done.insert(*here);
                    on_way.remove(*here);
                    way.pop();
                }
            }
        }
        Vec::new()
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Schema(*const Value),
    /// All that a dynamic reference of this name may lead to.
    Dynamic(String),
}

/// Refuses a JSON Schema with a circle, however its references are written: `options` compile it.
pub(super) fn refuse(document: &Value, draft: Draft) -> Result<(), String> {
    let draft = draft.detect(document);
    let failed = |error| format!("is no schema that can be used: {error}");
    let here = uri::from_str(HERE).map_err(failed)?;
    let registry = Registry::new()
        .draft(draft)
        .add(HERE, draft.create_resource(document.clone()))
        .and_then(jsonschema::RegistryBuilder::prepare)
        .map_err(failed)?;
    let root = registry.resolver(here).lookup("#").map_err(failed)?;
    let mut steps = Steps::default();
    // How the references are written.
    let mut said = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut rest = vec![root.into_inner()];
    while let Some((schema, resolver, draft)) = rest.pop() {
        let from = Step::Schema(ptr::from_ref(schema));
        let Some(map) = schema.as_object().filter(|_| seen.insert(from.clone())) else {
            continue;
        };
        for inner in draft.subresources_of(schema) {
            let draft = draft.detect(inner);
            let resolver = resolver.in_subresource(draft.create_resource_ref(inner));
            rest.push((inner, resolver.map_err(failed)?, draft));
        }
        for inner in of_same_value(map) {
            steps.add(&from, Step::Schema(ptr::from_ref(inner)));
        }
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let Some(to) = map.get(keyword).and_then(Value::as_str) else {
                continue;
            };
            said.insert(from.clone(), (keyword, to));
            // Whether it leads anywhere was seen when the schema was compiled.
            if let Ok(target) = resolver.lookup(to) {
                steps.add(&from, Step::Schema(ptr::from_ref(target.contents())));
                rest.push(target.into_inner());
            }
            if keyword != "$ref" {
                let name = to.rsplit_once('#').map_or("", |(_, name)| name);
                steps.add(&from, Step::Dynamic(name.to_owned()));
            }
        }
        let anchor = map.get("$dynamicAnchor").and_then(Value::as_str);
        let root = map.get("$recursiveAnchor") == Some(&Value::Bool(true));
        for name in anchor.into_iter().chain(root.then_some("")) {
            steps.add(&Step::Dynamic(name.to_owned()), from.clone());
        }
    }
    match steps.circle().iter().find_map(|it| said.get(it)) {
        Some((keyword, to)) => Err(format!("`{keyword}` to `{}` {BACK}", to.escape_debug())),
        None => Ok(()),
    }
}

fn of_same_value(schema: &Map<String, Value>) -> Vec<&Value> {
    let mut each = Vec::new();
    for keyword in SAME {
        match schema.get(keyword) {
            Some(Value::Array(list)) => each.extend(list),
            Some(Value::Object(map)) if keyword.starts_with("depend") => each.extend(map.values()),
            inner => each.extend(inner),
        }
    }
    each
}
