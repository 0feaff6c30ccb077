//! The members of an object that is written as text: which it can have, and of which types.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::node::Node;
use super::shape::Fault;
use super::sites::Sites;
use super::types::{Kind, MAX_STEPS, Types};

/// The schemas of an object's members: by name, and of all others.
pub(super) struct Named<'a> {
    pub(super) names: BTreeMap<&'a str, Vec<Node<'a>>>,
    pub(super) others: Vec<Node<'a>>,
}

impl<'a> Named<'a> {
    /// What `properties` and `additionalProperties` say, in these schemas and through `$ref`, `allOf`, `anyOf` and `oneOf`.
    pub(super) fn of(
        root: &'a Value,
        schemas: &[Node<'a>],
        sites: &mut Sites,
    ) -> Result<Self, String> {
        let mut this = Self {
            names: BTreeMap::new(),
            others: Vec::new(),
        };
        let mut rest = schemas.to_vec();
        let mut seen: BTreeSet<String> = rest.iter().map(|node| node.at.clone()).collect();
        while let Some(node) = rest.pop() {
            if seen.len() > MAX_STEPS {
                let message = format!("its members stand in more than {MAX_STEPS} schemas");
                return Err(node.fault(message));
            }
            this.add(&node)?;
            let mut inner = Vec::new();
            for keyword in ["allOf", "anyOf", "oneOf"] {
                inner.extend(node.each(keyword)?);
            }
            if node.value.get("$ref").is_some() {
                inner.push(node.target(root)?);
            }
            inner.retain(|inner| seen.insert(inner.at.clone()));
            rest.extend(inner);
        }
        let count = this.names.len().saturating_add(this.others.len());
        if let Some(schema) = schemas.first() {
            sites.count_members(schema, count)?;
        }
        Ok(this)
    }

    fn add(&mut self, node: &Node<'a>) -> Result<(), String> {
        if let Some(patterns) = node.child("patternProperties") {
            let message = "members by patterns cannot be read from text: name them in `properties`";
            return Err(patterns.fault(message));
        }
        if let Some(properties) = node.child("properties") {
            for (name, property) in properties.members()? {
                self.names.entry(name).or_default().push(property);
            }
        }
        match node.child("additionalProperties") {
            Some(others) if *others.value == Value::Bool(true) => Err(others
                .fault("does not say of which `type` members are, so that text cannot be read")),
            Some(others) if others.value.is_object() => {
                self.others.push(others);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Members that are single values.
pub(super) struct Members {
    pub(super) named: BTreeMap<String, Types>,
    others: Option<Types>,
}

impl Members {
    /// Those of an object that has to fit these schemas.
    pub(super) fn of(
        root: &Value,
        schemas: &[Node<'_>],
        sites: &mut Sites,
    ) -> Result<Self, String> {
        let found = Named::of(root, schemas, sites)?;
        if let (0, Some(schema)) = (found.names.len() + found.others.len(), schemas.first()) {
            return Err(schema.fault("is an object without members: name them in `properties`"));
        }
        let named = found.names.into_iter().map(|(name, schemas)| {
            let types = single(root, &schemas)?;
            Ok((name.to_owned(), types))
        });
        Ok(Self {
            named: named.collect::<Result<_, String>>()?,
            others: others(root, &found.others)?,
        })
    }

    /// Of which types a member is; `None` where there is none of this name.
    pub(super) fn types(&self, name: &str) -> Option<Types> {
        self.named.get(name).copied().or(self.others)
    }

    /// Whether it can have members that it does not name.
    pub(super) const fn is_open(&self) -> bool {
        self.others.is_some()
    }

    /// An object of names and texts.
    pub(super) fn read<'t>(
        &self,
        pairs: impl Iterator<Item = Result<(Cow<'t, str>, Cow<'t, str>), Fault>>,
    ) -> Result<Value, Fault> {
        let mut map = Map::new();
        for pair in pairs {
            let (name, text) = pair?;
            let types = self.types(&name).ok_or(Fault::Unfit)?;
            let value = types.read(&text).ok_or(Fault::Unfit)?;
            // RFC 7493 §2.3: another reader may take the first, or the last.
            if map.insert(name.into_owned(), value).is_some() {
                return Err(Fault::Ambiguous);
            }
        }
        Ok(Value::Object(map))
    }
}

/// The types of members that nothing names.
pub(super) fn others(root: &Value, schemas: &[Node<'_>]) -> Result<Option<Types>, String> {
    if schemas.is_empty() {
        return Ok(None);
    }
    single(root, schemas).map(Some)
}

fn single(root: &Value, schemas: &[Node<'_>]) -> Result<Types, String> {
    match (Kind::of(root, schemas)?, schemas.first()) {
        (Kind::One(types), _) => Ok(types),
        (_, Some(schema)) => Err(schema.fault(
            "lists and objects within an object cannot be read from text: write JSON, by a media type",
        )),
        (_, None) => Err("a member has no schema".to_owned()),
    }
}
