//! Styles (OpenAPI 3.1.1 §4.8.12.3): how the document says that a value is written.

use ztl_core::schema::ParameterPlace;

use super::members::Members;
use super::node::Node;
use super::shape::{Marks, Shape};
use super::types::Kind;

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Simple,
    Label,
    Form,
    Deep,
}

/// A style, and whether lists and objects are taken apart in it.
#[derive(Clone, Copy)]
pub(super) struct Styled {
    style: Style,
    explodes: bool,
}

impl Styled {
    /// What a Parameter Object says, or the default of its place (OpenAPI 3.1.1 §4.8.12.2.2).
    pub(super) fn of(node: &Node<'_>, place: ParameterPlace) -> Result<Self, String> {
        let default = match place {
            ParameterPlace::Path | ParameterPlace::Header => Style::Simple,
            _ => Style::Form,
        };
        let style = match node.child("style") {
            None => default,
            Some(said) => {
                let style = named(&said)?;
                let more = match place {
                    ParameterPlace::Path => Style::Label,
                    ParameterPlace::Query => Style::Deep,
                    _ => default,
                };
                if style != default && style != more {
                    return Err(said.fault(format!("is no style of a {place} parameter")));
                }
                style
            }
        };
        Self::exploded(node, style)
    }

    /// What an Encoding Object says of a field of a form (OpenAPI 3.1.1 §4.8.15.1.2).
    pub(super) fn of_field(node: &Node<'_>) -> Result<Self, String> {
        Self::of(node, ParameterPlace::Query)
    }

    fn exploded(node: &Node<'_>, style: Style) -> Result<Self, String> {
        // `form` explodes where nothing is said, and no other style does.
        let explodes = match node.child("explode") {
            Some(_) => node.flag("explode")?,
            None => matches!(style, Style::Form | Style::Deep),
        };
        if let (Style::Deep, false) = (style, explodes) {
            return Err(node.fault("`deepObject` has no meaning that is not exploded"));
        }
        Ok(Self { style, explodes })
    }

    /// How a value is written; `members` is asked for those of an object.
    pub(super) fn shape(
        self,
        schema: &Node<'_>,
        kind: Kind,
        members: impl FnOnce() -> Result<Members, String>,
    ) -> Result<Shape, String> {
        if self.style == Style::Deep && !matches!(kind, Kind::Object) {
            return Err(schema.fault("`deepObject` is for objects"));
        }
        let shape = match (kind, self.style) {
            (Kind::One(types), _) => Shape::One(types),
            (Kind::List(types), Style::Form) if self.explodes => Shape::Repeated(types),
            (Kind::List(types), _) => Shape::List(types),
            (Kind::Object, Style::Deep) => Shape::Deep(members()?),
            (Kind::Object, Style::Form) if self.explodes => Shape::Spread(members()?),
            (Kind::Object, _) if self.explodes => Shape::Pairs(members()?),
            (Kind::Object, _) => Shape::Row(members()?),
        };
        match &shape {
            Shape::Spread(members) if members.is_open() => Err(schema.fault(
                "exploded in the style `form` each member has a name of its own: name all in `properties`, without `additionalProperties`",
            )),
            Shape::Deep(members) if members.named.keys().any(|it| it.contains(['[', ']'])) => {
                Err(schema.fault("a member's name has brackets, which part names in `deepObject`"))
            }
            _ => Ok(shape),
        }
    }

    /// What stands around the values.
    pub(super) const fn marks(self, kind: Kind) -> Marks {
        match (self.style, kind) {
            (Style::Label, Kind::List(_) | Kind::Object) if self.explodes => Marks::Dots,
            (Style::Label, _) => Marks::DotCommas,
            _ => Marks::Commas,
        }
    }
}

impl Default for Styled {
    fn default() -> Self {
        Self {
            style: Style::Form,
            explodes: true,
        }
    }
}

fn named(said: &Node<'_>) -> Result<Style, String> {
    Ok(match said.text()? {
        "simple" => Style::Simple,
        "label" => Style::Label,
        "form" => Style::Form,
        "deepObject" => Style::Deep,
        "matrix" => {
            return Err(said.fault(
                "the style `matrix` cannot be read: a path with `;` has more than one reading, and no request with one is let in",
            ));
        }
        "spaceDelimited" | "pipeDelimited" => {
            return Err(said.fault(
                "cannot be read: what parts values is escaped as it is within them, so that they have more than one reading; write `form`",
            ));
        }
        _ => return Err(said.fault("is no style")),
    })
}
