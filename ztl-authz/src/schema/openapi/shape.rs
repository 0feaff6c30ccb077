//! How a value is written as text (OpenAPI 3.1.1 §4.8.12.4, Appendix C; RFC 6570 §3.2), and the one way to read it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Map, Value};
use ztl_core::json;

use super::DEPTH;
use super::members::Members;
use super::text::Escapes;
use super::types::Types;
use super::values::Values;

/// RFC 9110 §5.6.3.
const BLANKS: [char; 2] = [' ', '\t'];

/// Why what was sent is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Two readers may read it differently.
    Ambiguous,
    /// It is not written in this way, or not of the types.
    Unfit,
}

/// How a value is written. `blue` and `black` are a list, `R` and `G` members of an object, all with the name `color`.
pub(super) enum Shape {
    /// `blue`
    One(Types),
    /// `blue,black`
    List(Types),
    /// `color=blue&color=black`
    Repeated(Types),
    /// JSON.
    Json,
    /// `R,100,G,200`
    Row(Members),
    /// `R=100,G=200`
    Pairs(Members),
    /// `R=100&G=200`, each a name of its own.
    Spread(Members),
    /// `color[R]=100&color[G]=200`
    Deep(Members),
}

/// What stands around values in one segment or field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    /// Commas between them.
    Commas,
    /// A dot before all, and commas between them.
    DotCommas,
    /// A dot before each.
    Dots,
}

/// Where the text stands and how the style marks it.
#[derive(Clone, Copy)]
pub(super) struct Written {
    pub(super) escapes: Escapes,
    pub(super) marks: Marks,
}

impl Shape {
    pub(super) const fn is_object(&self) -> bool {
        matches!(
            self,
            Self::Row(_) | Self::Pairs(_) | Self::Spread(_) | Self::Deep(_)
        )
    }

    /// Whether a value of this shape has something of this name, where it is itself called `own`.
    pub(super) fn names(&self, own: &str, name: &str) -> bool {
        match self {
            Self::Spread(members) => members.named.contains_key(name),
            Self::Deep(members) => {
                inner(own, name).is_some_and(|member| members.types(member).is_some())
            }
            _ => own == name,
        }
    }

    /// The names that nothing beside a value of this shape can have.
    pub(super) fn taken<'a>(&'a self, own: &'a str) -> Vec<&'a str> {
        match self {
            Self::Spread(members) => members.named.keys().map(String::as_str).collect(),
            _ => vec![own],
        }
    }

    /// The name of a value that was sent: its own, or that of the first of its members (law 7).
    pub(super) fn sent<'a>(&'a self, own: &'a str, values: &Values<'_>) -> &'a str {
        let Self::Spread(members) = self else {
            return own;
        };
        let mut names = members.named.keys();
        names
            .find(|name| !values.of(name).is_empty())
            .map_or(own, String::as_str)
    }

    /// The value; `None` where nothing of it was sent. Else the name that was sent, and what is wrong with it.
    pub(super) fn read(
        &self,
        own: &str,
        values: &Values<'_>,
        written: Written,
    ) -> Result<Option<Value>, (String, Fault)> {
        let (members, spreads) = match self {
            Self::Spread(members) => (members, true),
            Self::Deep(members) => (members, false),
            _ => {
                let value = self.value(values.of(own), written);
                return value.map_err(|fault| (own.to_owned(), fault));
            }
        };
        let sent: Vec<(&str, &[Cow<'_, str>])> = if spreads {
            let names = members.named.keys().map(|name| (&**name, values.of(name)));
            names.filter(|(_, sent)| !sent.is_empty()).collect()
        } else {
            let beneath = values.beneath(own);
            beneath
                .filter_map(|(rest, sent)| Some((inner("", rest)?, sent)))
                .collect()
        };
        if sent.is_empty() {
            return Ok(None);
        }
        let mut object = Map::new();
        for (name, sent) in sent {
            let fault = |fault| {
                let own = if spreads { name } else { own };
                (own.to_owned(), fault)
            };
            let [raw] = sent else {
                return Err(fault(Fault::Ambiguous));
            };
            let text = written.plain(raw).map_err(fault)?;
            let value = members.types(name).and_then(|types| types.read(&text));
            object.insert(name.to_owned(), value.ok_or(fault(Fault::Unfit))?);
        }
        Ok(Some(Value::Object(object)))
    }

    /// A value whose texts stand behind one name.
    fn value(&self, sent: &[Cow<'_, str>], written: Written) -> Result<Option<Value>, Fault> {
        let Some(first) = sent.first() else {
            return Ok(None);
        };
        // Lists in header fields may stand in several lines (RFC 9110 §5.3).
        let is_list = matches!(self, Self::List(_)) && written.escapes == Escapes::Header;
        if sent.len() > 1 && !is_list && !matches!(self, Self::Repeated(_)) {
            return Err(Fault::Ambiguous);
        }
        let value = match self {
            Self::One(types) => types.read(&written.plain(written.alone(first)?)?),
            Self::Json => json::value_within(written.plain(first)?.as_bytes(), DEPTH).ok(),
            Self::Repeated(types) => {
                let each = sent.iter().map(|raw| Ok(types.read(&written.plain(raw)?)));
                let each: Result<Option<Vec<_>>, Fault> = each.collect();
                each?.map(Value::Array)
            }
            Self::List(types) => {
                let mut each = Vec::new();
                for raw in sent {
                    for raw in written.parts(raw)? {
                        // RFC 9110 §5.6.1.2: who reads lists as that has it, leaves an empty element out.
                        if written.escapes == Escapes::Header && raw.trim_matches(BLANKS).is_empty()
                        {
                            return Err(Fault::Ambiguous);
                        }
                        each.push(types.read(&written.part(raw, &[])?));
                    }
                }
                each.into_iter().collect::<Option<_>>().map(Value::Array)
            }
            Self::Row(members) => {
                let parts = written.parts(first)?.collect::<Vec<_>>();
                Some(members.read(parts.chunks(2).map(|pair| match pair {
                    [name, value] => Ok((written.part(name, &[])?, written.part(value, &[])?)),
                    _ => Err(Fault::Unfit),
                }))?)
            }
            Self::Pairs(members) => Some(members.read(written.parts(first)?.map(|part| {
                let (name, value) = part.split_once('=').ok_or(Fault::Unfit)?;
                // In a header field some cut blanks off here, and some do not.
                if name.ends_with(BLANKS) || value.starts_with(BLANKS) {
                    return Err(Fault::Ambiguous);
                }
                Ok((written.part(name, &['='])?, written.part(value, &['='])?))
            }))?),
            Self::Spread(_) | Self::Deep(_) => None,
        };
        value.map(Some).ok_or(Fault::Unfit)
    }
}

impl Written {
    /// Values behind names, in a query or a form.
    pub(super) const FORM: Self = Self {
        escapes: Escapes::Form,
        marks: Marks::Commas,
    };

    fn plain(self, raw: &str) -> Result<Cow<'_, str>, Fault> {
        self.escapes.plain(raw).ok_or(Fault::Ambiguous)
    }

    /// What stands behind the mark before all. RFC 6570 §3.2.5: a dot within would add another label.
    fn alone(self, raw: &str) -> Result<&str, Fault> {
        if self.marks == Marks::Commas {
            return Ok(raw);
        }
        let raw = raw.strip_prefix('.').ok_or(Fault::Unfit)?;
        if self.marks == Marks::DotCommas && raw.contains('.') {
            return Err(Fault::Ambiguous);
        }
        Ok(raw)
    }

    /// The parts between the marks.
    fn parts(self, raw: &str) -> Result<impl Iterator<Item = &str>, Fault> {
        // Some take what stands between quotes for one part (RFC 9110 §5.6.4).
        if self.escapes == Escapes::Header && raw.contains('"') {
            return Err(Fault::Ambiguous);
        }
        Ok(self.alone(raw)?.split(self.mark()))
    }

    const fn mark(self) -> char {
        match self.marks {
            Marks::Dots => '.',
            Marks::Commas | Marks::DotCommas => ',',
        }
    }

    /// A part as it is meant. Who takes it apart before the escapes are resolved sees one where another sees two, if it holds
    /// what stands between parts.
    fn part<'t>(self, raw: &'t str, more: &[char]) -> Result<Cow<'t, str>, Fault> {
        let text = self.plain(raw)?;
        if text.contains(self.mark()) || text.contains(more) {
            return Err(Fault::Ambiguous);
        }
        Ok(text)
    }
}

/// Whether no name could be of two of these, each with what it is itself called; else the name.
pub(super) fn one_name_each<'a>(
    all: impl Iterator<Item = (&'a str, &'a Shape)>,
) -> Result<(), &'a str> {
    let (mut taken, mut deep) = (BTreeSet::new(), Vec::new());
    for (own, shape) in all {
        for name in shape.taken(own) {
            if !taken.insert(name) {
                return Err(name);
            }
        }
        if matches!(shape, Shape::Deep(_)) {
            deep.push(own);
        }
    }
    for own in deep {
        // Names that begin like its own stand next to one another.
        let mut beneath = taken.range(own..).take_while(|name| name.starts_with(own));
        let clash = beneath.find(|name| {
            let rest = name.strip_prefix(own);
            rest.is_some_and(|rest| rest.starts_with('['))
        });
        if let Some(name) = clash {
            return Err(name);
        }
    }
    Ok(())
}

/// The member that a name speaks of: `R` of `color[R]`.
fn inner<'a>(own: &str, name: &'a str) -> Option<&'a str> {
    let member = name
        .strip_prefix(own)?
        .strip_prefix('[')?
        .strip_suffix(']')?;
    (!member.contains(['[', ']'])).then_some(member)
}
