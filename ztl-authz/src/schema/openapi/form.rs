//! Forms (`application/x-www-form-urlencoded`; OpenAPI 3.1.1 §4.8.14.4, §4.8.15; WHATWG URL §5): which fields they have, and the
//! object that these are.

use core::fmt;
use std::collections::BTreeMap;

use serde_json::{Map, Value};
use ztl_core::json;
use ztl_core::schema::{BodyForm, FormMisfit};

use super::members::{self, Members, Named};
use super::node::Node;
use super::shape::{self, Fault, Shape, Written};
use super::sites::Sites;
use super::style::Styled;
use super::text;
use super::types::{Kind, Types};
use super::values::Values;

/// Most fields that are sent, one that is sent twice counted twice.
const MAX_FIELDS: usize = 4096;
/// Longest name of one, without its escapes.
const MAX_NAME_BYTES: usize = 1024;

const ENCODING_KEYS: [&str; 4] = ["allowReserved", "contentType", "explode", "style"];

/// The fields of a form.
pub(super) struct Form {
    fields: BTreeMap<String, Shape>,
    /// Of which types those are that nothing names.
    others: Option<Types>,
}

impl Form {
    /// A form with the members that the schema names, written as the Encoding Objects say.
    pub(super) fn new(
        root: &Value,
        schema: &Node<'_>,
        encoding: Option<Node<'_>>,
        sites: &mut Sites,
    ) -> Result<Self, String> {
        let schemas = [schema.clone()];
        if !matches!(Kind::of(root, &schemas)?, Kind::Object) {
            return Err(schema.fault("a form is an object: say so by `type`"));
        }
        let named = Named::of(root, &schemas, sites)?;
        if let Some(encoding) = &encoding {
            for (name, node) in encoding.members()? {
                if !named.names.contains_key(name) {
                    return Err(node.fault("the schema has no such property"));
                }
            }
        }
        let mut this = Self {
            fields: BTreeMap::new(),
            others: members::others(root, &named.others)?,
        };
        for (name, schemas) in named.names {
            let encoding = encoding.as_ref().and_then(|it| it.child(name));
            let field = field(root, &schemas, encoding, sites)?;
            this.fields.insert(name.to_owned(), field);
        }
        let all = this.fields.iter().map(|(name, field)| (&**name, field));
        shape::one_name_each(all).map_err(|name| {
            schema.fault(format!(
                "two fields have the name `{}`",
                name.escape_debug()
            ))
        })?;
        let spreads = |field: &Shape| matches!(field, Shape::Spread(_) | Shape::Deep(_));
        if this.others.is_some() && this.fields.values().any(spreads) {
            return Err(schema.fault(
                "has `additionalProperties`, so that fields could be members of an object as well: remove it, or write the object as JSON",
            ));
        }
        Ok(this)
    }

    /// The object that the fields are.
    fn object(&self, body: &str) -> Result<Value, FormMisfit> {
        let mut sent = Values::default();
        for (count, pair) in text::pairs(body).enumerate() {
            let raw = pair.as_ref().map_or_else(|raw| *raw, |(name, _)| &**name);
            if count == MAX_FIELDS || raw.len() > MAX_NAME_BYTES {
                return Err(FormMisfit::TooMany);
            }
            let (name, value) = pair.map_err(|raw| FormMisfit::Ambiguous(raw.to_owned()))?;
            if !self.asks(&name) {
                if self.others.is_none() {
                    return Err(FormMisfit::Unknown(name.into_owned()));
                }
                // Some read brackets as objects and lists, where nothing says that they are a part of the name.
                if name.contains(['[', ']']) {
                    return Err(FormMisfit::Ambiguous(name.into_owned()));
                }
            }
            sent.add(name, value);
        }
        let misfit = |(name, fault)| match fault {
            Fault::Ambiguous => FormMisfit::Ambiguous(name),
            Fault::Unfit => FormMisfit::Unfit(name),
        };
        let mut object = Map::new();
        for (name, field) in &self.fields {
            let value = field.read(name, &sent, Written::FORM);
            if let Some(value) = value.map_err(misfit)? {
                object.insert(name.clone(), value);
            }
        }
        if let Some(types) = self.others {
            let one = Shape::One(types);
            for name in sent.names().filter(|name| !self.fields.contains_key(*name)) {
                let value = one.read(name, &sent, Written::FORM);
                if let Some(value) = value.map_err(misfit)? {
                    object.insert(name.to_owned(), value);
                }
            }
        }
        Ok(Value::Object(object))
    }

    /// Whether a field of this name is named.
    fn asks(&self, name: &str) -> bool {
        let by_name = self.fields.get(name).is_some_and(|it| it.names(name, name));
        let mut all = self.fields.iter();
        by_name || all.any(|(own, field)| field.names(own, name))
    }
}

impl BodyForm for Form {
    fn read(&self, body: &[u8]) -> Result<Value, FormMisfit> {
        // What else may stand in one is read as UTF-8 here and as Latin-1 there, and blanks at its end are cut off or not.
        let body = core::str::from_utf8(body).ok();
        let body = body.filter(|body| body.bytes().all(|byte| byte.is_ascii_graphic()));
        self.object(body.ok_or(FormMisfit::Syntax)?)
    }

    fn sent<'p>(&self, pointer: &'p str) -> &'p str {
        let spread = |(name, field): (&String, &Shape)| {
            let rest = pointer.strip_prefix('/')?.strip_prefix(&*escaped(name))?;
            let is_it =
                matches!(field, Shape::Spread(_)) && (rest.is_empty() || rest.starts_with('/'));
            is_it.then_some(rest)
        };
        self.fields.iter().find_map(spread).unwrap_or(pointer)
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form").finish_non_exhaustive()
    }
}

/// A name as a JSON pointer has it (RFC 6901 §3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// How one field is written (OpenAPI 3.1.1 §4.8.15.1): by a style, or else by a media type.
fn field(
    root: &Value,
    schemas: &[Node<'_>],
    encoding: Option<Node<'_>>,
    sites: &mut Sites,
) -> Result<Shape, String> {
    let Some(schema) = schemas.first() else {
        return Err("a field has no schema".to_owned());
    };
    let kind = Kind::of(root, schemas)?;
    let media = encoding.as_ref().and_then(|it| it.child("contentType"));
    let mut styled = None;
    if let Some(encoding) = encoding {
        let keys = encoding.only(&ENCODING_KEYS)?;
        let says = |key| keys.contains_key(key);
        if says("style") || says("explode") || says("allowReserved") {
            if media.is_some() {
                let message = "has a style and a media type: write one of them";
                return Err(encoding.fault(message));
            }
            encoding.flag("allowReserved")?;
            styled = Some(Styled::of_field(&encoding)?);
        }
    }
    let is_json = match &media {
        None => false,
        Some(media) => match media.text()?.trim().to_ascii_lowercase() {
            text if text == "text/plain" => false,
            text if json::is_media_type(&text) => true,
            _ => return Err(media.fault("is neither `text/plain` nor JSON")),
        },
    };
    match (kind, styled, &media) {
        (Kind::One(_), None, Some(_)) if is_json => Ok(Shape::Json),
        (Kind::Object, None, Some(_)) if is_json => Ok(Shape::Json),
        // OpenAPI 3.1.0 §4.8.14.4 and 3.1.1 §4.8.15.1.1 differ on the default.
        (Kind::Object, None, _) => Err(schema.fault(
            "its `encoding` has to say how the object is written: a `style`, or a `contentType` of JSON",
        )),
        (Kind::List(_), _, Some(media)) if is_json => Err(media.fault(
            "does not say whether the list is JSON or each of its elements: remove it, or write the list in an object",
        )),
        (kind, styled, _) => {
            let members = || Members::of(root, schemas, sites);
            styled.unwrap_or_default().shape(schema, kind, members)
        }
    }
}
