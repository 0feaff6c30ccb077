//! Lists and maps in the walk: every element is a step.

use std::collections::HashMap;

use cel::common::types::{CelBool, CelList, CelMap, CelMapKey};
use cel::common::value::{CowVal, Val};
use serde_json::Value as Json;

use super::names::Fact;
use super::operand::{Operand, copy};
use super::plan::{Loop, Node};
use super::sought::Sought;
use super::value::{Value, comparable, scalar_weight, text_weight, weight};
use super::walk::{OBJECT, Told, Walk, failure};

const OTHER_KIND: &str = "looks among what is of another type";

impl<'a> Walk<'a> {
    /// Each element of a list is a step, and those of lists in it.
    pub(super) fn pay(&mut self, node: &'a Node, list: &'a [Json]) -> Told<'a, ()> {
        for one in list {
            self.spend(1, node)?;
            match one {
                Json::Array(list) => self.pay(node, list)?,
                Json::Object(_) => return failure(node, "holds an object, which is no value"),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn map(&mut self, node: &'a Node, pairs: &'a [[Node; 2]]) -> Told<'a> {
        let mut map: HashMap<CelMapKey<'a>, Box<dyn Val + 'a>> = HashMap::new();
        for [key, value] in pairs {
            let at = key;
            let (key, value) = (self.val(key)?, self.val(value)?);
            let Ok(key) = CelMapKey::try_from(key) else {
                return failure(at, "cannot be the key of a map");
            };
            if map.insert(key, value.into_owned()).is_some() {
                return failure(node, "has a key twice");
            }
        }
        Ok(Value::owned(CelMap::from(map)))
    }

    /// `one in of`
    pub(super) fn contains(
        &mut self,
        node: &'a Node,
        one: Operand<'a>,
        of: Value<'a>,
    ) -> Told<'a, bool> {
        let mut other_kind = false;
        let found = match &of {
            Value::List(list) => {
                let one = one.by_kind();
                let sought = Sought::new(one.as_ref());
                let mut found = false;
                for element in *list {
                    self.spend(1, node)?;
                    self.spend(scalar_weight(element), node)?;
                    match sought.is(element) {
                        Some(equal) => found |= equal,
                        None => other_kind = true,
                    }
                }
                found
            }
            Value::Val(value) => {
                self.spend(weight(value.as_ref()), node)?;
                if let Some(list) = value.downcast_ref::<CelList>() {
                    let mut elements = list.inner().iter();
                    let of_lists = elements.any(|one| one.downcast_ref::<CelList>().is_some());
                    let one = if of_lists {
                        one.copied()
                    } else {
                        one.by_kind()
                    };
                    let mut elements = list.inner().iter();
                    let mut kinds = list.inner().iter();
                    other_kind = kinds.any(|element| !comparable(one.as_ref(), &**element));
                    elements.any(|element| one.equals(&**element))
                } else if let Some(container) = value.as_container() {
                    match container.contains(one.by_kind().as_ref()) {
                        Ok(found) => found,
                        Err(_) => return failure(node, "asks for what cannot be a key"),
                    }
                } else {
                    return failure(node, format!("looks into {}", of.kind()));
                }
            }
            Value::Object(_) => return failure(node, OBJECT),
        };
        if other_kind && !found {
            return failure(node, OTHER_KIND);
        }
        Ok(found)
    }

    /// `one in token.scopes`: as in a list of these texts, which is not made.
    pub(super) fn is_among(
        &mut self,
        node: &'a Node,
        one: &CowVal<'a, 'a>,
        of: &'a Node,
        fact: Fact,
    ) -> Told<'a, bool> {
        self.spend(1, of)?;
        let Some(texts) = fact.texts(self.facts) else {
            return failure(of, "is not there");
        };
        let (mut steps, mut found, mut other_kind) = (0_u32, false, false);
        let sought = Sought::new(one.as_ref());
        for text in texts {
            steps = steps.saturating_add(text_weight(text)).saturating_add(1);
            match sought.is_text(text) {
                Some(equal) => found |= equal,
                None => other_kind = true,
            }
        }
        self.spend(steps, of)?;
        self.spend(steps, node)?;
        if other_kind && !found {
            return failure(node, OTHER_KIND);
        }
        Ok(found)
    }

    pub(super) fn run(
        &mut self,
        node: &'a Node,
        kind: Loop,
        of: &'a Node,
        body: &'a Node,
    ) -> Told<'a> {
        let elements: Vec<Value<'a>> = match self.value(of)? {
            Value::List(list) => {
                let steps = u32::try_from(list.len()).unwrap_or(u32::MAX);
                self.spend(steps, node)?;
                list.iter().map(Value::json).collect()
            }
            Value::Val(value) => {
                self.spend(weight(value.as_ref()), node)?;
                let Some(list) = value.downcast_ref::<CelList>() else {
                    return failure(of, "is no list");
                };
                let elements = list.inner().iter();
                let elements = elements.map(|one| Value::Val(CowVal::Owned(one.clone_as_boxed())));
                elements.collect()
            }
            Value::Object(_) => return failure(of, OBJECT),
        };
        let mut count = 0_u32;
        let mut made: Vec<Box<dyn Val + 'a>> = Vec::new();
        for element in elements {
            self.locals.push(element.clone());
            let told = match kind {
                Loop::Map => self.val(body).map(Some),
                _ => self.truth(body).map(|holds| {
                    count = count.saturating_add(u32::from(holds));
                    None
                }),
            };
            self.locals.pop();
            let before = made.len();
            match (kind, told?) {
                (Loop::All, _) if count == 0 => return Ok(Value::owned(CelBool::from(false))),
                (Loop::All, _) => count = 0,
                (Loop::Exists, _) if count > 0 => return Ok(Value::owned(CelBool::from(true))),
                (Loop::Filter, _) if count > 0 => {
                    count = 0;
                    match element {
                        Value::Val(value) => made.push(value.into_owned()),
                        Value::List(list) => {
                            self.pay(node, list)?;
                            made.push(copy(list));
                        }
                        Value::Object(_) => {
                            return failure(node, "keeps an object, which is no value");
                        }
                    }
                }
                (_, Some(value)) => made.push(value.into_owned()),
                _ => {}
            }
            if let Some(new) = made.get(before) {
                self.spend(weight(&**new).saturating_add(1), node)?;
            }
        }
        Ok(match kind {
            Loop::All => Value::owned(CelBool::from(true)),
            Loop::Exists => Value::owned(CelBool::from(false)),
            Loop::ExistsOne => Value::owned(CelBool::from(count == 1)),
            Loop::Filter | Loop::Map => Value::owned(CelList::from(made)),
        })
    }
}
