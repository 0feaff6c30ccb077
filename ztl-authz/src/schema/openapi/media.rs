//! The media types of a request's body (OpenAPI 3.1.1 §4.8.13, §4.8.14).

use serde_json::Value;
use ztl_core::json;
use ztl_core::schema::RequestHead;

use super::form::Form;
use super::node::Node;
use super::sites::{Site, Sites};

/// A media type or a range of them.
pub(super) struct Content {
    kind: String,
    subtype: String,
    pub(super) wants: Wants,
}

/// What a body of a media type has to fit.
pub(super) enum Wants {
    /// Nothing: any bytes are taken.
    Bytes,
    /// A schema, as JSON.
    Json(Site),
    /// A schema, as the fields of a form.
    Form(Form, Site),
}

/// WHATWG URL §5, RFC 1866 §8.2.1.
const FORM: &str = "application/x-www-form-urlencoded";

impl Content {
    pub(super) fn new(
        root: &Value,
        key: &str,
        node: &Node<'_>,
        sites: &mut Sites,
    ) -> Result<Self, String> {
        node.only(&["encoding", "example", "examples", "schema"])?;
        let (essence, parameters) = key.split_once(';').unwrap_or((key, ""));
        let parameters = parameters.trim();
        if !parameters.is_empty() && !parameters.eq_ignore_ascii_case("charset=utf-8") {
            return Err(node.fault("media types are told apart without parameters"));
        }
        let essence = essence.trim().to_ascii_lowercase();
        let (kind, subtype) = essence
            .split_once('/')
            .ok_or_else(|| node.fault("is no media type"))?;
        let is_range = subtype == "*";
        if kind == "*" && !is_range || kind.is_empty() || subtype.is_empty() {
            return Err(node.fault("is no media type and no range of them"));
        }
        let schema = node.child("schema").filter(says_something);
        let wants = match schema {
            None => Wants::Bytes,
            Some(schema) if is_range || json::is_media_type(&essence) => {
                Wants::Json(sites.add(root, &schema)?)
            }
            Some(schema) if essence == FORM => {
                let form = Form::new(root, &schema, node.child("encoding"), sites)?;
                Wants::Form(form, sites.add(root, &schema)?)
            }
            Some(schema) if essence.starts_with("multipart/") => {
                return Err(schema.fault(
                    "the parts of `multipart` have more than one reading: leave the schema out, and such bodies are taken as they are",
                ));
            }
            Some(schema) => {
                return Err(schema.fault(
                    "only JSON and forms are held against a schema: leave it out, and such bodies are taken as they are",
                ));
            }
        };
        Ok(Self {
            kind: kind.to_owned(),
            subtype: subtype.to_owned(),
            wants,
        })
    }

    /// Whether both speak of the same bodies: how a key is written tells no media types apart.
    pub(super) fn is_same_type(&self, other: &Self) -> bool {
        (&self.kind, &self.subtype) == (&other.kind, &other.subtype)
    }

    /// Names before ranges: only the most specific one is applicable.
    pub(super) fn width(&self) -> u8 {
        u8::from(self.kind == "*") + u8::from(self.subtype == "*")
    }

    /// The first of these that the body of a request is of.
    pub(super) fn of<'a>(all: &'a [Self], head: &RequestHead<'_>) -> Option<&'a Self> {
        let mut lines = Vec::new();
        head.headers.for_each("content-type", &mut |line| {
            lines.push(core::str::from_utf8(line).map(str::to_ascii_lowercase));
        });
        let [Ok(line)] = lines.as_slice() else {
            return None;
        };
        let essence = line.split(';').next().unwrap_or_default().trim();
        let (kind, subtype) = essence.split_once('/')?;
        let meets = |range: &str, name: &str| range == "*" || range == name;
        all.iter()
            .find(|it| meets(&it.kind, kind) && meets(&it.subtype, subtype))
    }
}

/// `true` and `{}` say nothing.
fn says_something(schema: &Node<'_>) -> bool {
    match schema.value {
        Value::Bool(all) => !all,
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}
