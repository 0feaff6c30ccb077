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

/// Which schemas ask which others of the same value, and how the reference is written where one leads there.
pub(super) struct Steps<K, R>(BTreeMap<K, Vec<(K, Option<R>)>>);

impl<K, R> Default for Steps<K, R> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone, R: Clone> Steps<K, R> {
    pub(super) fn add(&mut self, from: &K, to: K, reference: Option<R>) {
        self.0
            .entry(from.clone())
            .or_default()
            .push((to, reference));
    }

    /// A schema of a circle and the reference that leads on from it there, the first that is one; none where there is no circle.
    pub(super) fn circle(&self) -> Option<(K, Option<R>)> {
        let mut done = BTreeSet::new();
        for start in self.0.keys() {
            let mut way = Vec::new();
            let mut on_way = BTreeSet::new();
            let mut next = Some(start);
            loop {
                if let Some(here) = next.filter(|it| !done.contains(it)) {
                    if !on_way.insert(here) {
                        let way = way.iter().map(|(it, on, _)| (*it, *on));
                        let circle: Vec<_> = way.skip_while(|(it, _)| *it != here).collect();
                        let told = circle
                            .iter()
                            .find(|(_, on): &&(_, Option<&R>)| on.is_some());
                        let (at, on) = told.copied().unwrap_or((here, None));
                        return Some((at.clone(), on.cloned()));
                    }
                    let to = self.0.get(here).map_or(&[][..], Vec::as_slice);
                    way.push((here, None, to.iter()));
                }
                let Some((here, on, rest)) = way.last_mut() else {
                    break;
                };
                let step = rest.next();
                *on = step.and_then(|(_, reference)| reference.as_ref());
                next = step.map(|(to, _)| to);
                if next.is_none() {
                    done.insert(*here);
                    on_way.remove(*here);
                    way.pop();
                }
            }
        }
        None
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A schema, by its number.
    Schema(usize),
    /// All that a dynamic reference of this name may lead to.
    Dynamic(String),
}

/// Schemas in the order in which they were come across: where they lie in memory would name another circle each time.
#[derive(Default)]
struct Numbers(BTreeMap<*const Value, usize>);

impl Numbers {
    fn step(&mut self, schema: &Value) -> Step {
        let next = self.0.len();
        Step::Schema(*self.0.entry(ptr::from_ref(schema)).or_insert(next))
    }
}

/// Whether a draft has this keyword; where it has not, it says nothing there.
fn is_known(keyword: &str, draft: Draft) -> bool {
    match keyword {
        "$dynamicRef" => draft == Draft::Draft202012,
        "$recursiveRef" => draft == Draft::Draft201909,
        _ => true,
    }
}

/// Refuses a JSON Schema with a circle, however its references are written. Without `$schema` it is of draft 2020-12.
pub(super) fn refuse(document: &Value) -> Result<(), String> {
    let draft = Draft::Draft202012.detect(document);
    let failed = |error| format!("is no schema that can be used: {error}");
    let here = uri::from_str(HERE).map_err(failed)?;
    let registry = Registry::new()
        .draft(draft)
        .add(HERE, draft.create_resource(document.clone()))
        .and_then(jsonschema::RegistryBuilder::prepare)
        .map_err(failed)?;
    let root = registry.resolver(here).lookup("#").map_err(failed)?;
    let mut steps = Steps::default();
    let mut numbers = Numbers::default();
    let mut seen = BTreeSet::new();
    let mut rest = vec![root.into_inner()];
    while let Some((schema, resolver, draft)) = rest.pop() {
        let from = numbers.step(schema);
        let Some(map) = schema.as_object().filter(|_| seen.insert(from.clone())) else {
            continue;
        };
        for inner in draft.subresources_of(schema) {
            let draft = draft.detect(inner);
            let resolver = resolver.in_subresource(draft.create_resource_ref(inner));
            rest.push((inner, resolver.map_err(failed)?, draft));
        }
        for inner in of_same_value(map) {
            steps.add(&from, numbers.step(inner), None);
        }
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let Some(to) = map.get(keyword).and_then(Value::as_str) else {
                continue;
            };
            // What leads nowhere here could lead back where the validator follows it.
            let target = match resolver.lookup(to) {
                Ok(target) => target,
                Err(_) if !is_known(keyword, draft) => continue,
                Err(_) => {
                    let to = to.escape_debug();
                    return Err(format!(
                        "is no schema that can be used: `{keyword}` to `{to}` leads to nothing"
                    ));
                }
            };
            let reference = Some((keyword, to));
            steps.add(&from, numbers.step(target.contents()), reference);
            rest.push(target.into_inner());
            if keyword != "$ref" {
                let name = to.rsplit_once('#').map_or("", |(_, name)| name);
                steps.add(&from, Step::Dynamic(name.to_owned()), reference);
            }
        }
        let anchor = map.get("$dynamicAnchor").and_then(Value::as_str);
        let root = map.get("$recursiveAnchor") == Some(&Value::Bool(true));
        for name in anchor.into_iter().chain(root.then_some("")) {
            steps.add(&Step::Dynamic(name.to_owned()), from.clone(), None);
        }
    }
    match steps.circle() {
        None => Ok(()),
        Some((_, Some((keyword, to)))) => {
            Err(format!("`{keyword}` to `{}` {BACK}", to.escape_debug()))
        }
        Some((_, None)) => Err(format!("a schema {BACK}")),
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
