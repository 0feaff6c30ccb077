//! JSON read so that two readers cannot see two different things in it: no member name twice, bounded depth (rule 22).
//!
//! For what others wrote and a proof rests on: tokens, key sets, trust bundles. How long a text may be is the caller's to say.
//!
//! ```
//! use ztl_core::json::{self, FaultKind};
//!
//! assert_eq!(json::object(br#"{"keys": []}"#)?.len(), 1);
//! let fault = json::object(br#"{"keys": [], "keys": [1]}"#).unwrap_err();
//! assert_eq!((fault.kind, fault.line), (FaultKind::Duplicate, 1));
//! # Ok::<(), ztl_core::json::Fault>(())
//! ```

use core::cell::Cell;
use core::fmt;

use serde_core::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use thiserror::Error;

/// How many objects and lists may stand inside one another, the outermost counted.
pub const MAX_DEPTH: usize = 16;

/// Below what `serde_json` itself gives up at, so that the reason is always ours.
const MOST_DEPTH: usize = 100;

/// Why a text was refused, and where: never with a piece of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{kind}, at line {line} column {column}")]
#[non_exhaustive]
pub struct Fault {
    /// What is wrong.
    pub kind: FaultKind,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// No JSON (RFC 8259), or no object where one has to be.
    #[error("is not one JSON object")]
    Syntax,
    /// A member name stands twice in one object (RFC 7493 §2.3, RFC 7515 §4, RFC 7519 §4).
    #[error("has a member name twice")]
    Duplicate,
    /// Deeper than [`MAX_DEPTH`], or than was asked for.
    #[error("has objects and lists more than {MAX_DEPTH} deep")]
    TooDeep,
}

/// Reads one JSON object and nothing after it.
///
/// # Errors
/// [`Fault`]: what and where, never a piece of the text.
pub fn object(json: &[u8]) -> Result<Map<String, Value>, Fault> {
    match value_within(json, MAX_DEPTH)? {
        Value::Object(members) => Ok(members),
        _ => Err(Fault {
            kind: FaultKind::Syntax,
            line: 1,
            column: 1,
        }),
    }
}

/// Reads one JSON value and nothing after it, with at most `depth` objects and lists inside one another: for documents that may
/// be deeper than [`MAX_DEPTH`]. Above 100 it is 100, so that a small stack suffices.
///
/// # Errors
/// [`Fault`]: what and where, never a piece of the text.
pub fn value_within(json: &[u8], depth: usize) -> Result<Value, Fault> {
    let kind = Cell::new(FaultKind::Syntax);
    let strict = Strict {
        left: depth.min(MOST_DEPTH),
        kind: &kind,
    };
    let mut reader = serde_json::Deserializer::from_slice(json);
    strict
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|err| Fault {
            kind: kind.get(),
            line: err.line(),
            column: err.column(),
        })
}

/// Whether a media type without its parameters, in lower case, is that of JSON (RFC 8259 §11, RFC 6839 §3.1).
///
/// ```
/// assert!(ztl_core::json::is_media_type("application/problem+json"));
/// assert!(!ztl_core::json::is_media_type("text/json"));
/// ```
#[must_use]
pub fn is_media_type(media: &str) -> bool {
    media
        .strip_prefix("application/")
        .is_some_and(|it| it == "json" || it.len() > 5 && it.ends_with("+json"))
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    left: usize,
    kind: &'a Cell<FaultKind>,
}

impl Strict<'_> {
    /// One level down.
    fn inner<E: de::Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Self { left, ..self }),
            None => Err(self.fault(FaultKind::TooDeep)),
        }
    }

    fn fault<E: de::Error>(self, kind: FaultKind) -> E {
        self.kind.set(kind);
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| self.fault(FaultKind::Syntax))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut members = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(self.fault(FaultKind::Duplicate));
            }
            let value = object.next_value_seed(inner)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(json: &str) -> FaultKind {
        object(json.as_bytes()).expect_err(json).kind
    }

    #[test]
    fn t16_a_name_twice_is_refused_at_every_depth() {
        for json in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[{"b":null,"b":null}]}"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            assert_eq!(kind(json), FaultKind::Duplicate, "{json}");
        }
        assert!(object(br#"{"a":{"a":[{"a":1},{"a":1}]}}"#).is_ok());
    }

    #[test]
    fn depth_is_bounded_and_said() {
        let nested = |depth: usize| {
            format!(
                r#"{{"a":{}{}}}"#,
                "[".repeat(depth - 1),
                "]".repeat(depth - 1)
            )
        };
        assert!(object(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(kind(&nested(MAX_DEPTH + 1)), FaultKind::TooDeep);
        assert_eq!(kind(&"{\"a\":".repeat(20_000)), FaultKind::TooDeep);
    }

    #[test]
    fn only_one_whole_object_is_read() {
        for json in [
            "",
            "[]",
            "7",
            "\"a\"",
            "{} {}",
            "{}x",
            "{\"a\":1e400}",
            "{\"a\":NaN}",
            "\u{feff}{}",
            r#"{"a":"\ud800"}"#,
            "{'a':1}",
            "{\"a\":1,}",
            "{\"a\":01}",
        ] {
            assert_eq!(kind(json), FaultKind::Syntax, "{json}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
        assert!(object(b" {\"a\":1.5,\"b\":-1,\"c\":true,\"d\":null} ").is_ok());
    }

    #[test]
    fn a_value_may_be_deeper_where_that_is_asked_for() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let read = |depth, most| value_within(nested(depth).as_bytes(), most).map_err(|it| it.kind);
        assert!(read(64, 64).is_ok());
        assert_eq!(read(65, 64), Err(FaultKind::TooDeep));
        assert!(read(100, usize::MAX).is_ok());
        assert_eq!(read(101, usize::MAX), Err(FaultKind::TooDeep));
        assert_eq!(value_within(b"7", 0), Ok(Value::from(7)));
    }

    #[test]
    fn a_fault_says_where() {
        let fault = object(b"{\n \"a\": 1,\n \"a\": 2}").expect_err("twice");
        assert_eq!((fault.kind, fault.line), (FaultKind::Duplicate, 3));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_taken_is_what_serde_json_reads(value in json()) {
            let text = serde_json::json!({ "v": value }).to_string();
            let plain: Map<String, Value> = serde_json::from_str(&text).expect("json");
            prop_assert_eq!(object(text.as_bytes()), Ok(plain));
        }

        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let plain = serde_json::from_slice::<Map<String, Value>>(&bytes);
            if let Ok(read) = object(&bytes) {
                prop_assert_eq!(read, plain.expect("strict is stricter"));
            }
        }
    }
}
