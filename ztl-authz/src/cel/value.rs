//! Values while a condition is evaluated: those of a request are borrowed from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelNull, CelString, CelUInt, Kind,
};
use cel::common::value::{CowVal, Val};
use serde_json::Value as Json;

/// Bytes of text that are one step.
const BYTES_PER_STEP: usize = 64;

#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Val(CowVal<'a, 'a>),
    /// A list of the token or of an attribute.
    List(&'a [Json]),
    /// What has fields, of which one at a time is looked at.
    Object(Fields<'a>),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Fields<'a> {
    Json(&'a serde_json::Map<String, Json>),
    Labels(&'a BTreeMap<Arc<str>, Arc<str>>),
    Params(&'a [(Arc<str>, String)]),
    /// There is none: the caller is not declared, and has no labels.
    None,
}

impl<'a> Fields<'a> {
    pub(super) fn get(self, name: &str) -> Option<Value<'a>> {
        match self {
            Self::Json(map) => map.get(name).map(Value::json),
            Self::Labels(labels) => labels.get(name).map(|label| Value::text(label)),
            Self::Params(params) => {
                let mut params = params.iter();
                let found = params.find(|(param, _)| **param == *name);
                found.map(|(_, value)| Value::text(value))
            }
            Self::None => None,
        }
    }
}

impl<'a> Value<'a> {
    pub(super) fn json(json: &'a Json) -> Self {
        match json {
            Json::Array(list) => Self::List(list),
            Json::Object(map) => Self::Object(Fields::Json(map)),
            scalar => Self::Val(CowVal::Owned(scalar_val(scalar))),
        }
    }

    pub(super) fn text(text: &'a str) -> Self {
        Self::owned(CelString::from(text))
    }

    pub(super) fn owned<T: Val + 'a>(value: T) -> Self {
        Self::Val(CowVal::owned(value))
    }

    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Self::Val(value) => value.downcast_ref::<CelBool>().map(|truth| *truth.inner()),
            _ => None,
        }
    }

    /// Of which kind it is, as an error says it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Val(value) => kind_name(value.as_ref()),
            Self::List(_) => "list",
            Self::Object(_) => "object",
        }
    }
}

/// What is neither a list nor an object.
pub(super) fn scalar_val<'a>(json: &'a Json) -> Box<dyn Val + 'a> {
    match json {
        Json::Bool(truth) => Box::new(CelBool::from(*truth)),
        Json::String(text) => Box::new(CelString::from(text.as_str())),
        Json::Number(number) => {
            if let Some(int) = number.as_i64() {
                Box::new(CelInt::from(int))
            } else if let Some(uint) = number.as_u64() {
                Box::new(CelUInt::from(uint))
            } else {
                Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN)))
            }
        }
        Json::Null | Json::Array(_) | Json::Object(_) => Box::new(CelNull),
    }
}

pub(super) fn text_of<'b>(value: &'b (dyn Val + '_)) -> Option<&'b str> {
    value.downcast_ref::<CelString>().map(CelString::inner)
}

pub(super) fn kind_name(value: &dyn Val) -> &'static str {
    match value.get_type().kind() {
        Kind::Boolean => "bool",
        Kind::Int => "int",
        Kind::UInt => "uint",
        Kind::Double => "double",
        Kind::String => "string",
        Kind::NullType => "null",
        Kind::Timestamp => "timestamp",
        Kind::Duration => "duration",
        Kind::List => "list",
        Kind::Map => "map",
        _ => "another type",
    }
}

/// Whether two are of a kind, so that they can be equal and differ. Numbers are one kind, and nothing is of every kind.
pub(super) fn comparable(a: &dyn Val, b: &dyn Val) -> bool {
    let number = |kind| matches!(kind, Kind::Int | Kind::UInt | Kind::Double);
    let (a, b) = (a.get_type().kind(), b.get_type().kind());
    a == b || number(a) && number(b) || a == Kind::NullType || b == Kind::NullType
}

/// How many steps it is to look at all of a value, or to copy it.
pub(super) fn weight(value: &(dyn Val + '_)) -> u32 {
    if let Some(text) = text_of(value) {
        text_weight(text)
    } else if let Some(list) = value.downcast_ref::<CelList>() {
        list.inner().iter().fold(0, |sum: u32, one| {
            sum.saturating_add(1).saturating_add(weight(&**one))
        })
    } else if let Some(map) = value.downcast_ref::<CelMap>() {
        map.inner().values().fold(0, |sum: u32, one| {
            sum.saturating_add(2).saturating_add(weight(&**one))
        })
    } else {
        0
    }
}

/// The same of a list of the request.
pub(super) fn json_weight(list: &[Json]) -> u32 {
    list.iter().fold(0, |sum: u32, one| {
        let more = match one {
            Json::Array(list) => json_weight(list),
            scalar => scalar_weight(scalar),
        };
        sum.saturating_add(1).saturating_add(more)
    })
}

/// The same of what is no list of it.
pub(super) fn scalar_weight(json: &Json) -> u32 {
    json.as_str().map_or(0, text_weight)
}

pub(super) fn text_weight(text: &str) -> u32 {
    u32::try_from(text.len() / BYTES_PER_STEP).unwrap_or(u32::MAX)
}
