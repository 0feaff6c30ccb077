//! The parameters that a request has, as they were sent.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ztl_core::schema::{HeadMisfit, ParameterPlace, RequestHead};

use super::operation::Operation;
use super::text;
use super::values::Values;

/// Values by where they stand and what they are called, with their escapes; of header fields and cookies only those that the
/// operation names.
#[derive(Default)]
pub(super) struct Given<'a> {
    places: BTreeMap<ParameterPlace, Values<'a>>,
    none: Values<'a>,
}

impl<'a> Given<'a> {
    pub(super) fn new(
        operation: &'a Operation,
        segments: &'a [(usize, String)],
        head: &RequestHead<'a>,
    ) -> Result<Self, HeadMisfit> {
        let mut given = Self::default();
        let path: Vec<_> = head.path.segments().collect();
        for (at, name) in segments {
            if let Some(segment) = path.get(*at) {
                given.add(ParameterPlace::Path, name, segment.raw());
            }
        }
        if let Some(query) = head.query {
            given.query(operation, query)?;
        }
        for name in operation.named(ParameterPlace::Header) {
            let lines = lines(head, name, ParameterPlace::Header)?;
            for line in lines {
                given.add(ParameterPlace::Header, name, line);
            }
        }
        if operation.named(ParameterPlace::Cookie).next().is_some() {
            given.cookies(operation, head)?;
        }
        Ok(given)
    }

    pub(super) fn at(&self, place: ParameterPlace) -> &Values<'a> {
        self.places.get(&place).unwrap_or(&self.none)
    }

    fn add(
        &mut self,
        place: ParameterPlace,
        name: impl Into<Cow<'a, str>>,
        value: impl Into<Cow<'a, str>>,
    ) {
        self.places.entry(place).or_default().add(name, value);
    }

    fn query(&mut self, operation: &Operation, query: &'a str) -> Result<(), HeadMisfit> {
        for pair in text::pairs(query) {
            let (name, value) =
                pair.map_err(|raw| HeadMisfit::Ambiguous(ParameterPlace::Query, raw.to_owned()))?;
            if !operation.asks_query(&name) {
                let name = name.into_owned();
                return Err(HeadMisfit::Unknown(ParameterPlace::Query, name));
            }
            self.add(ParameterPlace::Query, name, value);
        }
        Ok(())
    }

    /// RFC 6265 §4.2.1; in HTTP/2 each pair may be a field of its own.
    fn cookies(
        &mut self,
        operation: &'a Operation,
        head: &RequestHead<'_>,
    ) -> Result<(), HeadMisfit> {
        for line in lines(head, "cookie", ParameterPlace::Cookie)? {
            for pair in line.split(';') {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let (name, value) = (name.trim(), value.trim());
                let known = operation.named(ParameterPlace::Cookie);
                if let Some(name) = known.into_iter().find(|known| *known == name) {
                    self.add(ParameterPlace::Cookie, name, value.to_owned());
                }
            }
        }
        Ok(())
    }
}

/// The values of a header field, each of which has to be text.
fn lines(
    head: &RequestHead<'_>,
    name: &str,
    place: ParameterPlace,
) -> Result<Vec<String>, HeadMisfit> {
    let mut lines = Vec::new();
    head.headers.for_each(name, &mut |value| {
        lines.push(core::str::from_utf8(value).map(str::to_owned));
    });
    let lines: Result<Vec<_>, _> = lines.into_iter().collect();
    lines.map_err(|_| HeadMisfit::Ambiguous(place, name.to_owned()))
}
