//! A place in a document: every fault says where it is.

use core::fmt;

use serde_json::{Map, Value};

use super::text;

/// How many references may follow one another.
const MAX_STEPS: usize = 16;

/// A value and the JSON pointer to it.
#[derive(Clone)]
pub(super) struct Node<'a> {
    pub(super) value: &'a Value,
    pub(super) at: String,
}

impl<'a> Node<'a> {
    pub(super) const fn root(value: &'a Value) -> Self {
        Self {
            value,
            at: String::new(),
        }
    }

    pub(super) fn fault(&self, what: impl fmt::Display) -> String {
        format!("at `#{}`: {what}", self.at.escape_debug())
    }

    /// A member of an object.
    pub(super) fn child(&self, name: &str) -> Option<Self> {
        Some(self.down(name, self.value.get(name)?))
    }

    pub(super) fn down(&self, name: &str, value: &'a Value) -> Self {
        let name = name.replace('~', "~0").replace('/', "~1");
        let at = format!("{}/{name}", self.at);
        Self { value, at }
    }

    pub(super) fn map(&self) -> Result<&'a Map<String, Value>, String> {
        let map = self.value.as_object();
        map.ok_or_else(|| self.fault("has to be an object"))
    }

    /// An object with none but these members, and what begins with `x-`: what is misspelt is refused, and nothing passes because of it.
    pub(super) fn only(&self, known: &[&str]) -> Result<&'a Map<String, Value>, String> {
        let map = self.map()?;
        let stranger = map
            .keys()
            .find(|key| !known.contains(&key.as_str()) && !key.starts_with("x-"));
        match stranger {
            Some(key) => Err(self.fault(format!(
                "`{}` is unknown here, or cannot be kept to",
                key.escape_debug()
            ))),
            None => Ok(map),
        }
    }

    /// The members of an object.
    pub(super) fn members(&self) -> Result<impl Iterator<Item = (&'a str, Self)>, String> {
        let map = self.map()?;
        let this = self.clone();
        Ok(map
            .iter()
            .map(move |(name, value)| (name.as_str(), this.down(name, value))))
    }

    /// The elements of a list; of what is not there, none.
    pub(super) fn each(&self, name: &str) -> Result<Vec<Self>, String> {
        let Some(list) = self.child(name) else {
            return Ok(Vec::new());
        };
        let values = list.value.as_array();
        let values = values.ok_or_else(|| list.fault("has to be a list"))?;
        let each = values.iter().enumerate();
        Ok(each
            .map(|(at, value)| list.down(&at.to_string(), value))
            .collect())
    }

    pub(super) fn text(&self) -> Result<&'a str, String> {
        let text = self.value.as_str();
        text.ok_or_else(|| self.fault("has to be text"))
    }

    pub(super) fn text_of(&self, name: &str) -> Result<&'a str, String> {
        let child = self.child(name);
        child
            .ok_or_else(|| self.fault(format!("lacks `{name}`")))?
            .text()
    }

    /// `false` where it is not there.
    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        let Some(child) = self.child(name) else {
            return Ok(false);
        };
        let flag = child.value.as_bool();
        flag.ok_or_else(|| child.fault("has to be true or false"))
    }

    /// What this refers to in the document, or itself: a Reference Object (OpenAPI 3.1.1 §4.8.23).
    pub(super) fn resolved(self, root: &'a Value) -> Result<Self, String> {
        let mut here = self;
        for _ in 0..MAX_STEPS {
            if here.value.get("$ref").is_none() {
                return Ok(here);
            }
            // Nothing may stand beside it that a reader could take for a part of what it refers to.
            here.only(&["$ref", "summary", "description"])?;
            here = here.target(root)?;
        }
        Err(here.fault(format!("more than {MAX_STEPS} references in a row")))
    }

    /// What the `$ref` of this refers to.
    pub(super) fn target(&self, root: &'a Value) -> Result<Self, String> {
        let to = self.text_of("$ref")?;
        let fault = |what| self.fault(format!("`$ref` to `{}` {what}", to.escape_debug()));
        let at = to
            .strip_prefix('#')
            .ok_or_else(|| fault("leads out of the document, and nothing is fetched"))?;
        let at = text::decoded(at).ok_or_else(|| fault("has an escape that is none"))?;
        if !at.is_empty() && !at.starts_with('/') {
            return Err(fault("is no JSON pointer"));
        }
        match root.pointer(&at) {
            Some(value) => Ok(Self {
                value,
                at: at.into_owned(),
            }),
            None => Err(fault("leads to nothing")),
        }
    }
}
