//! Parameter Objects (OpenAPI 3.1.1 §4.8.12): how a value is written, and of which type it is read.

use serde_json::Value;
use ztl_core::json;
use ztl_core::schema::{HeadMisfit, ParameterPlace};

use super::DEPTH;
use super::given::Given;
use super::node::Node;
use super::sites::{Site, Sites};
use super::text;
use super::types::Types;

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
    shape: Shape,
    schema: Site,
}

/// How it is written.
enum Shape {
    /// One value.
    One(Types),
    /// One value of a list behind the other, with commas between them.
    Commas(Types),
    /// Each value of a list with the name before it.
    Repeated(Types),
    /// JSON.
    Json,
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
        let (schema, shape) = match (node.child("schema"), node.child("content")) {
            (Some(schema), None) => (schema.clone(), shape(root, node, place, &schema)?),
            (None, Some(content)) => (of_content(&content, place)?, Shape::Json),
            _ => return Err(node.fault("has to have either `schema` or `content`")),
        };
        Ok(Some(Self {
            place,
            name,
            required,
            allow_empty: place == ParameterPlace::Query && node.flag("allowEmptyValue")?,
            shape,
            schema: sites.add(root, &schema)?,
        }))
    }

    /// Its value, and what it has to fit; `None` where it is not there and need not be, or is empty and may be.
    pub(super) fn read(&self, given: &Given<'_>) -> Result<Option<(Site, Value)>, HeadMisfit> {
        let values = given.values(self.place, &self.name);
        let (first, more) = match values {
            [] if self.required => {
                return Err(HeadMisfit::Missing(self.place, self.name.clone()));
            }
            [] => return Ok(None),
            [first, more @ ..] => (&**first, !more.is_empty()),
        };
        // Lists in header fields may stand in several lines (RFC 9110 §5.3).
        let lines = self.place == ParameterPlace::Header && matches!(self.shape, Shape::Commas(_));
        if more && !lines && !matches!(self.shape, Shape::Repeated(_)) {
            return Err(self.ambiguous());
        }
        if self.allow_empty && !more && first.is_empty() {
            return Ok(None);
        }
        let value = match self.shape {
            Shape::One(types) => types.read(&self.plain(first)?),
            Shape::Json => {
                let text = self.plain(first)?;
                json::value_within(text.as_bytes(), DEPTH).ok()
            }
            Shape::Repeated(types) => {
                let each = values.iter().map(|raw| Ok(types.read(&self.plain(raw)?)));
                let each: Result<Option<Vec<_>>, HeadMisfit> = each.collect();
                each?.map(Value::Array)
            }
            Shape::Commas(types) => {
                let each = values.iter().flat_map(|raw| raw.split(',')).map(|raw| {
                    let text = self.plain(raw)?;
                    // Who splits before the escapes are resolved sees one value, and who splits afterwards two.
                    if text.contains(',') {
                        return Err(self.ambiguous());
                    }
                    Ok(types.read(&text))
                });
                let each: Result<Option<Vec<_>>, HeadMisfit> = each.collect();
                each?.map(Value::Array)
            }
        };
        match value {
            Some(value) => Ok(Some((self.schema, value))),
            None => Err(self.unfit()),
        }
    }

    /// A value as it is meant.
    fn plain<'a>(&self, raw: &'a str) -> Result<std::borrow::Cow<'a, str>, HeadMisfit> {
        let text = match self.place {
            ParameterPlace::Query => text::of_form(raw),
            ParameterPlace::Path => text::decoded(raw),
            // Some resolve escapes and quotes in cookies, and some do not.
            ParameterPlace::Cookie if raw.contains(['%', '"']) => None,
            ParameterPlace::Header => Some(raw.trim_matches([' ', '\t']).into()),
            _ => Some(raw.into()),
        };
        text.ok_or_else(|| self.ambiguous())
    }

    pub(super) fn unfit(&self) -> HeadMisfit {
        HeadMisfit::Unfit(self.place, self.name.clone())
    }

    fn ambiguous(&self) -> HeadMisfit {
        HeadMisfit::Ambiguous(self.place, self.name.clone())
    }
}

/// OpenAPI 3.1.1 §4.8.12.2.2 and §4.8.12.3.
fn shape(
    root: &Value,
    node: &Node<'_>,
    place: ParameterPlace,
    schema: &Node<'_>,
) -> Result<Shape, String> {
    let style = match place {
        ParameterPlace::Path | ParameterPlace::Header => "simple",
        _ => "form",
    };
    if let Some(said) = node.child("style")
        && said.text()? != style
    {
        let message = format!("a {place} parameter is read in the style `{style}` alone");
        return Err(said.fault(message));
    }
    let explode = match node.child("explode") {
        Some(_) => node.flag("explode")?,
        None => style == "form",
    };
    let (types, list) = Types::of(root, schema)?;
    match (list, place) {
        (false, _) => Ok(Shape::One(types)),
        (true, ParameterPlace::Cookie) => {
            Err(schema.fault("lists are not read from cookies: name one value"))
        }
        (true, ParameterPlace::Query) if explode => Ok(Shape::Repeated(types)),
        (true, _) => Ok(Shape::Commas(types)),
    }
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
