//! The header fields of a query.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::QueryError;
use crate::headers::{Headers, is_same_field};
use crate::policy::diagnostic::quoted;

/// Header fields: a lower-case name to its values.
#[derive(Clone, Default)]
pub(super) struct Fields(BTreeMap<Box<str>, Vec<Box<str>>>);

impl Fields {
    pub(super) fn read(object: &Map<String, Value>) -> Result<Self, QueryError> {
        let mut fields = Self::default();
        for (name, value) in object {
            let field = name.to_ascii_lowercase();
            if field.is_empty() || !field.bytes().all(is_token_byte) {
                return Err(refused(format!(
                    "has {}, which is no field name (RFC 9110 §5.1)",
                    quoted(name)
                )));
            }
            if fields
                .0
                .insert(field.into(), values(name, value)?)
                .is_some()
            {
                return Err(refused(format!(
                    "has {} twice: upper and lower case are one name",
                    quoted(name)
                )));
            }
        }
        Ok(fields)
    }

    /// What the request wants its connection to become. Several values are one token that no rule names.
    pub(super) fn upgrade(&self) -> Option<Box<str>> {
        let values = self.0.get("upgrade").filter(|values| !values.is_empty())?;
        Some(values.join(", ").into())
    }
}

impl Headers for Fields {
    fn for_each(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        for (key, values) in &self.0 {
            if **key == *name {
                values.iter().for_each(|value| each(value.as_bytes()));
            } else if !values.is_empty() && is_same_field(key.as_bytes(), name) {
                each(&[]);
            }
        }
    }
}

/// The values of one field. A list that is empty says that the field is not there.
fn values(name: &str, value: &Value) -> Result<Vec<Box<str>>, QueryError> {
    let one = |value: &Value| match value.as_str() {
        // RFC 9110 §5.5: no control character but the tab can stand in a value.
        Some(text) if text.chars().all(|c| !c.is_ascii_control() || c == '\t') => Ok(text.into()),
        Some(_) => Err(refused(format!(
            "has a control character in a value of {}",
            quoted(name)
        ))),
        None => {
            let name = quoted(name);
            Err(refused(format!(
                "has a value of {name} that is neither a text nor a list of texts"
            )))
        }
    };
    match value {
        Value::Array(list) => list.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

fn refused(message: String) -> QueryError {
    QueryError::value("headers", message)
}

/// RFC 9110 §5.6.2
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}
