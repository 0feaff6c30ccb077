//! What is looked for in a list of the request, element by element where they lie.

use cel::common::types::{CelBool, CelDouble, CelInt, CelNull, CelUInt};
use cel::common::value::Val;
use serde_json::Value as Json;

use super::value::{comparable, text_of};

/// A value, as what most conditions look for.
#[derive(Clone, Copy)]
pub(super) enum Sought<'v> {
    Text(&'v str),
    Int(i64),
    Other(&'v dyn Val),
}

impl<'v> Sought<'v> {
    pub(super) fn new(value: &'v (dyn Val + 'v)) -> Self {
        if let Some(text) = text_of(value) {
            Self::Text(text)
        } else if let Some(int) = value.downcast_ref::<CelInt>() {
            Self::Int(*int.inner())
        } else {
            Self::Other(value)
        }
    }

    /// Whether it is equal to an element; none where that is of another kind. No list and no object is of its kind.
    pub(super) fn is(self, element: &Json) -> Option<bool> {
        match (element, self) {
            (Json::Array(_) | Json::Object(_), _) => None,
            (Json::String(text), _) => self.is_text(text),
            (Json::Null, Self::Other(value)) => Some(value.equals(&CelNull)),
            // Nothing is of every kind, and equal to itself alone.
            (Json::Null, _) => Some(false),
            (_, Self::Text(_)) => None,
            (Json::Bool(truth), _) => self.is_val(&CelBool::from(*truth)),
            (Json::Number(number), _) => match (number.as_i64(), self) {
                (Some(int), Self::Int(sought)) => Some(int == sought),
                (Some(int), _) => self.is_val(&CelInt::from(int)),
                (None, _) => match number.as_u64() {
                    Some(uint) => self.is_val(&CelUInt::from(uint)),
                    None => self.is_val(&CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
                },
            },
        }
    }

    /// The same of a text.
    pub(super) fn is_text(self, text: &str) -> Option<bool> {
        match self {
            Self::Text(sought) => Some(sought == text),
            Self::Int(_) => None,
            Self::Other(value) => value.downcast_ref::<CelNull>().map(|_| false),
        }
    }

    fn is_val(self, element: &dyn Val) -> Option<bool> {
        let told = |value: &dyn Val| comparable(value, element).then(|| value.equals(element));
        match self {
            Self::Text(_) => None,
            Self::Int(int) => told(&CelInt::from(int)),
            Self::Other(value) => told(value),
        }
    }
}
