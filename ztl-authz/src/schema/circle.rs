//! Schemas that lead back to themselves before they have looked further into a value. What such a schema means is not defined
//! (JSON Schema Core 2020-12 §9.4.1), and the validator takes the way back for something that fits: it is refused (law 1).

use core::ptr;
use std::collections::{BTreeMap, BTreeSet};

use jsonschema::{Draft, Registry, uri};
use serde_json::{Map, Value};

use super::effort::{Effort, Within};

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

/// Keywords whose schemas are asked of what is within it.
const WITHIN: [&str; 10] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "items",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// What is wrong with it, after its place.
pub(super) const BACK: &str = "leads back to itself without looking further into a value, which says nothing: take it out, or refer to it from \
     within `properties` or `items`";

/// Whether the schemas of a keyword are asked of the value that the keyword is asked of.
pub(super) fn is_of_same_value(keyword: &str) -> bool {
    SAME.contains(&keyword)
}

/// Which schemas ask which others.
pub(super) struct Steps<K, R> {
    /// Of the same value, and how the reference is written where one leads there.
    same: BTreeMap<K, Vec<(K, Option<R>)>>,
    /// Of what is within it.
    within: BTreeMap<K, Vec<(K, Within)>>,
}

impl<K, R> Default for Steps<K, R> {
    fn default() -> Self {
        Self {
            same: BTreeMap::new(),
            within: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Clone, R: Clone> Steps<K, R> {
    pub(super) fn add(&mut self, from: &K, to: K, reference: Option<R>) {
        self.same
            .entry(from.clone())
            .or_default()
            .push((to, reference));
    }

    pub(super) fn add_within(&mut self, from: &K, to: K, how: Within) {
        self.same.entry(to.clone()).or_default();
        self.within.entry(from.clone()).or_default().push((to, how));
    }

    /// Those that it asks of the same value.
    pub(super) fn same(&self, from: &K) -> impl Iterator<Item = &K> {
        let to = self.same.get(from).map_or(&[][..], Vec::as_slice);
        to.iter().map(|(to, _)| to)
    }

    /// Those that it asks of what is within the value.
    pub(super) fn within(&self, from: &K) -> impl Iterator<Item = (&K, Within)> {
        let to = self.within.get(from).map_or(&[][..], Vec::as_slice);
        to.iter().map(|(to, how)| (to, *how))
    }

    /// What it takes to say where a value does not fit this schema. Where there is a circle, a schema of the first that is one and the
    /// reference that leads on from it there.
    pub(super) fn effort(mut self, root: &K) -> Result<Effort, (K, Option<R>)> {
        self.same.entry(root.clone()).or_default();
        let order = self.order()?;
        Ok(Effort::of(&self, &order, root))
    }

    /// All of them, each after those that it asks of the same value.
    fn order(&self) -> Result<Vec<K>, (K, Option<R>)> {
        let mut done = BTreeSet::new();
        let mut order = Vec::new();
        for start in self.same.keys() {
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
                        return Err((at.clone(), on.cloned()));
                    }
                    let to = self.same.get(here).map_or(&[][..], Vec::as_slice);
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
                    order.push((*here).clone());
                    on_way.remove(*here);
                    way.pop();
                }
            }
        }
        Ok(order)
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

/// What it takes to say where a value does not fit a JSON Schema. One with a circle is refused, however its references are written. Without
/// `$schema` it is of draft 2020-12.
pub(super) fn effort(document: &Value) -> Result<Effort, String> {
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
    let first = numbers.step(root.contents());
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
        for (keyword, inner) in of_within(map) {
            steps.add_within(&from, numbers.step(inner), Within::of(keyword));
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
    steps.effort(&first).map_err(|(_, told)| match told {
        Some((keyword, to)) => format!("`{keyword}` to `{}` {BACK}", to.escape_debug()),
        None => format!("a schema {BACK}"),
    })
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

fn of_within(schema: &Map<String, Value>) -> Vec<(&'static str, &Value)> {
    let mut each = Vec::new();
    for keyword in WITHIN {
        match schema.get(keyword) {
            Some(Value::Array(list)) => each.extend(list.iter().map(|it| (keyword, it))),
            Some(Value::Object(map)) if ["patternProperties", "properties"].contains(&keyword) => {
                each.extend(map.values().map(|it| (keyword, it)));
            }
            inner => each.extend(inner.map(|it| (keyword, it))),
        }
    }
    each
}
