//! Of which type a text is read: it has none by itself.

use serde_json::Value;
use ztl_core::json;

use super::node::Node;

/// How many schemas are looked into for the types of one text.
pub(super) const MAX_STEPS: usize = 128;

const STRING: u8 = 1;
const INTEGER: u8 = 1 << 1;
const NUMBER: u8 = 1 << 2;
const BOOLEAN: u8 = 1 << 3;
const NULL: u8 = 1 << 4;
const ARRAY: u8 = 1 << 5;
const OBJECT: u8 = 1 << 6;

/// The types of single values that a schema names.
#[derive(Clone, Copy)]
pub(super) struct Types(u8);

/// What a schema says that a value is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A single value.
    One(Types),
    /// A list of them.
    List(Types),
    /// An object.
    Object,
}

impl Kind {
    /// That of a value which has to fit all of these schemas, or one of them.
    pub(super) fn of(root: &Value, schemas: &[Node<'_>]) -> Result<Self, String> {
        let mut left = MAX_STEPS;
        let Some(schema) = schemas.first() else {
            return Err("a value has no schema".to_owned());
        };
        let found = find_any(root, schemas, &mut left)?;
        let kind = found.bits & (ARRAY | OBJECT);
        if kind == 0 {
            return Ok(Self::One(single(schema, found.bits)?));
        }
        if found.bits & !(kind | NULL) != 0 || kind == ARRAY | OBJECT {
            let what = if kind == OBJECT {
                "an object"
            } else {
                "a list"
            };
            let message = format!("is {what} and a single value: name one of them");
            return Err(schema.fault(message));
        }
        if kind == OBJECT {
            return Ok(Self::Object);
        }
        if found.items.is_empty() {
            return Ok(Self::List(Types(STRING)));
        }
        let mut bits = 0;
        for items in &found.items {
            bits |= find(root, items, &mut left)?.bits;
        }
        Ok(Self::List(single(schema, bits)?))
    }
}

impl Types {
    /// The text as a value of the narrowest of the types that it can be; never null.
    pub(super) fn read(self, text: &str) -> Option<Value> {
        let is = |bits| self.0 & bits != 0;
        let number = || {
            // A number of JSON (RFC 8259 §6), without the blanks that may stand around one.
            // Where only whole ones fit, those that everybody reads alike: `1e2` is 1 for some.
            let marks: &[u8] = if is(NUMBER) { b"+-.eE" } else { b"-" };
            let plain = |byte: u8| byte.is_ascii_digit() || marks.contains(&byte);
            let read = text.bytes().all(plain).then_some(text.as_bytes())?;
            json::value_within(read, 0).ok()
        };
        match text {
            "true" | "false" if is(BOOLEAN) => Some(Value::Bool(text == "true")),
            _ if is(INTEGER | NUMBER) => number().or_else(|| is(STRING).then(|| Value::from(text))),
            _ => is(STRING).then(|| Value::from(text)),
        }
    }
}

fn single(schema: &Node<'_>, bits: u8) -> Result<Types, String> {
    if bits & OBJECT != 0 {
        return Err(schema.fault(
            "lists of objects cannot be read: write `content` with application/json, or send JSON",
        ));
    }
    if bits & ARRAY != 0 {
        return Err(schema.fault("lists within lists cannot be read"));
    }
    match bits & !NULL {
        0 => Err(schema.fault("names no type that a text can have")),
        bits => Ok(Types(bits)),
    }
}

struct Found<'a> {
    bits: u8,
    /// The schemas of a list's elements.
    items: Vec<Node<'a>>,
}

/// The types that these name together, where one of them does.
fn find_any<'a>(
    root: &'a Value,
    schemas: &[Node<'a>],
    left: &mut usize,
) -> Result<Found<'a>, String> {
    let (mut all, mut untold) = (None::<Found<'a>>, None);
    for schema in schemas {
        match (find(root, schema, left), &mut all) {
            (Ok(found), Some(all)) => {
                let is_whole = names_whole(all.bits) || names_whole(found.bits);
                all.bits |= found.bits;
                // Whether it has to be both is not known, so that it is read as what fits both.
                if is_whole {
                    all.bits = whole(all.bits);
                }
                all.items.extend(found.items);
            }
            (Ok(found), none) => *none = Some(found),
            (Err(what), _) => untold = untold.or(Some(what)),
        }
    }
    all.ok_or_else(|| untold.unwrap_or_default())
}

/// The types that a schema names by `type`, and where it does not, by `$ref`, `const`, `enum`, `anyOf`, `oneOf` or `allOf`.
fn find<'a>(root: &'a Value, schema: &Node<'a>, left: &mut usize) -> Result<Found<'a>, String> {
    let untold = || schema.fault("does not say of which `type` it is, so that text cannot be read");
    *left = left.checked_sub(1).ok_or_else(untold)?;
    let mut found = Found {
        bits: 0,
        items: schema.child("items").into_iter().collect(),
    };
    if let Some(said) = schema.child("type") {
        found.bits = match said.value {
            Value::Array(names) => names.iter().fold(0, |bits, name| bits | named(name)),
            name => named(name),
        };
    } else if schema.value.get("$ref").is_some() {
        let target = find(root, &schema.target(root)?, left)?;
        found.bits = target.bits;
        found.items.extend(target.items);
    } else if let Some(value) = schema.value.get("const") {
        found.bits = of_value(value);
    } else if let Some(Value::Array(values)) = schema.value.get("enum") {
        found.bits = values.iter().fold(0, |bits, value| bits | of_value(value));
    } else {
        let any = [schema.each("anyOf")?, schema.each("oneOf")?].concat();
        for branch in &any {
            let branch = find(root, branch, left)?;
            found.bits |= branch.bits;
            found.items.extend(branch.items);
        }
    }
    let parts = schema.each("allOf")?;
    let told: Vec<_> = parts.iter().map(|part| find(root, part, left)).collect();
    if *left == 0 {
        return Err(schema.fault("asks too many schemas of which `type` it is"));
    }
    // A number that has to be a whole one as well is one.
    let is_whole = parts.iter().chain([schema]).any(says_whole)
        || told.iter().flatten().any(|part| names_whole(part.bits));
    if found.bits == 0
        && let Some(part) = told.into_iter().flatten().next()
    {
        found.bits = part.bits;
        found.items.extend(part.items);
    }
    if is_whole {
        found.bits = whole(found.bits);
    }
    if found.bits == 0 {
        return Err(untold());
    }
    Ok(found)
}

fn named(name: &Value) -> u8 {
    match name.as_str() {
        Some("string") => STRING,
        Some("integer") => INTEGER,
        Some("number") => NUMBER,
        Some("boolean") => BOOLEAN,
        Some("null") => NULL,
        Some("array") => ARRAY,
        Some("object") => OBJECT,
        _ => 0,
    }
}

/// Whether its `format` is one of those that say whole numbers, of whatever type they are said to be (OpenAPI 3.1.1 §4.4).
fn says_whole(schema: &Node<'_>) -> bool {
    let format = schema.value.get("format").and_then(Value::as_str);
    matches!(format, Some("int32" | "int64"))
}

/// Whether of numbers only whole ones fit.
const fn names_whole(bits: u8) -> bool {
    bits & (INTEGER | NUMBER) == INTEGER
}

/// The same types where only whole numbers fit.
const fn whole(bits: u8) -> u8 {
    match bits & NUMBER {
        0 => bits,
        _ => bits & !NUMBER | INTEGER,
    }
}

fn of_value(value: &Value) -> u8 {
    match value {
        Value::Null => NULL,
        Value::Bool(_) => BOOLEAN,
        Value::Number(number) if number.is_i64() || number.is_u64() => INTEGER,
        Value::Number(_) => NUMBER,
        Value::String(_) => STRING,
        Value::Array(_) => ARRAY,
        Value::Object(_) => OBJECT,
    }
}
