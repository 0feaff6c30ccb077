//! Parameter Objects (OpenAPI 3.1.1 §4.8.12): how a value is written, and of which type it is read.

use serde_json::Value;
use ztl_core::json;
use ztl_core::schema::{HeadMisfit, ParameterPlace};

use super::given::Given;
use super::members::Members;
use super::node::Node;
use super::shape::{Fault, Marks, Shape, Written};
use super::sites::{Site, Sites};
use super::style::Styled;
use super::text::Escapes;
use super::types::Kind;

const KEYS: [&str; 13] = [
    "allowEmptyValue",
    "allowReserved",
    "content",
    "deprecated",
    "description",
    "example",
    "examples",
    "explode",
    "in",
    "name",
    "required",
    "schema",
    "style",
];
const MEDIA_KEYS: [&str; 4] = ["encoding", "example", "examples", "schema"];

/// Header fields that say nothing as parameters (OpenAPI 3.1.1 §4.8.12.2.1).
const NOT_HEADERS: [&str; 3] = ["accept", "authorization", "content-type"];

/// A parameter that an operation names.
pub(super) struct Parameter {
    pub(super) place: ParameterPlace,
    /// A header field's in lower case.
    pub(super) name: String,
    pub(super) required: bool,
    allow_empty: bool,
    pub(super) shape: Shape,
    written: Written,
    schema: Site,
}

impl Parameter {
    /// `None` for one that OpenAPI says is to be ignored.
    pub(super) fn new(
        root: &Value,
        node: &Node<'_>,
        sites: &mut Sites,
    ) -> Result<Option<Self>, String> {
        node.only(&KEYS)?;
        let place = match node.text_of("in")? {
            "path" => ParameterPlace::Path,
            "query" => ParameterPlace::Query,
            "header" => ParameterPlace::Header,
            "cookie" => ParameterPlace::Cookie,
            _ => return Err(node.fault("`in` is none of path, query, header and cookie")),
        };
        let mut name = node.text_of("name")?.to_owned();
        if place == ParameterPlace::Header {
            name.make_ascii_lowercase();
            if NOT_HEADERS.contains(&name.as_str()) {
                return Ok(None);
            }
        }
        let required = node.flag("required")?;
        if place == ParameterPlace::Path && !required {
            return Err(node.fault("a parameter of the path has to be `required`"));
        }
        let (schema, shape, marks) = match (node.child("schema"), node.child("content")) {
            (Some(schema), None) => {
                let (shape, marks) = shape(root, node, place, &schema, sites)?;
                (schema, shape, marks)
            }
            (None, Some(content)) => (of_content(&content, place)?, Shape::Json, Marks::Commas),
            _ => return Err(node.fault("has to have either `schema` or `content`")),
        };
        let allow_empty = place == ParameterPlace::Query && node.flag("allowEmptyValue")?;
        if allow_empty && shape.is_object() {
            return Err(node.fault("`allowEmptyValue` says nothing of objects"));
        }
        let escapes = Escapes::of(place);
        Ok(Some(Self {
            place,
            name,
            required,
            allow_empty,
            shape,
            written: Written { escapes, marks },
            schema: sites.add(root, &schema)?,
        }))
    }

    /// Its value, and what it has to fit; `None` where it is not there and need not be, or is empty and may be.
    pub(super) fn read(&self, given: &Given<'_>) -> Result<Option<(Site, Value)>, HeadMisfit> {
        let values = given.at(self.place);
        if self.allow_empty && matches!(values.of(&self.name), [only] if only.is_empty()) {
            return Ok(None);
        }
        match self.shape.read(&self.name, values, self.written) {
            Ok(None) if self.required => Err(HeadMisfit::Missing(self.place, self.name.clone())),
            Ok(value) => Ok(value.map(|value| (self.schema, value))),
            Err((name, Fault::Unfit)) => Err(HeadMisfit::Unfit(self.place, name)),
            Err((name, Fault::Ambiguous)) => Err(HeadMisfit::Ambiguous(self.place, name)),
        }
    }

    /// Its value does not fit its schema.
    pub(super) fn unfit(&self, given: &Given<'_>) -> HeadMisfit {
        let name = self.shape.sent(&self.name, given.at(self.place));
        HeadMisfit::Unfit(self.place, name.to_owned())
    }
}

/// OpenAPI 3.1.1 §4.8.12.2.2 and §4.8.12.3.
fn shape(
    root: &Value,
    node: &Node<'_>,
    place: ParameterPlace,
    schema: &Node<'_>,
    sites: &mut Sites,
) -> Result<(Shape, Marks), String> {
    let style = Styled::of(node, place)?;
    let schemas = [schema.clone()];
    let kind = Kind::of(root, &schemas)?;
    if place == ParameterPlace::Cookie && !matches!(kind, Kind::One(_)) {
        return Err(schema.fault(
            "lists and objects are not read from cookies, whose values have no commas: name one value",
        ));
    }
    let members = || Members::of(root, &schemas, sites);
    Ok((style.shape(schema, kind, members)?, style.marks(kind)))
}

/// The schema of a parameter that is written as JSON.
fn of_content<'a>(content: &Node<'a>, place: ParameterPlace) -> Result<Node<'a>, String> {
    let mut members = content.members()?;
    let (Some((media, object)), None) = (members.next(), members.next()) else {
        return Err(content.fault("has to have one media type"));
    };
    object.only(&MEDIA_KEYS)?;
    if !json::is_media_type(media) || place == ParameterPlace::Cookie {
        return Err(object.fault("cannot be read: JSON is, in all but cookies"));
    }
    object
        .child("schema")
        .ok_or_else(|| object.fault("lacks `schema`"))
}
