//! The types of expressions, as far as they can be told before there is a request.

use core::fmt;

use super::names::Object;

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ty {
    /// What a token or an attribute holds: known when it is there.
    Dyn,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Null,
    Time,
    Duration,
    List(Box<Self>),
    /// A map that the condition itself writes.
    Map(Box<Self>, Box<Self>),
    /// Something of the environment that has fields and is no value.
    Object(Object),
}

impl Ty {
    pub(super) fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }

    pub(super) const fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }

    /// Whether something of this type could be of the other: of neither it is known that it cannot.
    pub(super) fn could_be(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            (Self::List(a), Self::List(b)) => a.could_be(b),
            (Self::Map(a, b), Self::Map(c, d)) => a.could_be(c) && b.could_be(d),
            (a, b) => a == b,
        }
    }

    /// Whether the two can be equal: numbers are compared by what they are worth.
    pub(super) fn compares_with(&self, other: &Self) -> bool {
        match (self, other) {
            (a, b) if a.is_number() && b.is_number() => true,
            (Self::List(a), Self::List(b)) => a.compares_with(b),
            (Self::Map(a, b), Self::Map(c, d)) => a.compares_with(c) && b.compares_with(d),
            (a, b) => a.could_be(b),
        }
    }

    /// What is known of something that is of either.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::List(a), Self::List(b)) => Self::list(a.or(*b)),
            _ => Self::Dyn,
        }
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("dyn"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::Text => f.write_str("string"),
            Self::Null => f.write_str("null"),
            Self::Time => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(of) => write!(f, "list({of})"),
            Self::Map(key, of) => write!(f, "map({key}, {of})"),
            Self::Object(_) => f.write_str("object"),
        }
    }
}
