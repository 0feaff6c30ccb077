//! What was sent, as it was sent: names and the values that stand behind each.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Names with their escapes resolved, and values with their escapes.
#[derive(Default)]
pub(super) struct Values<'a>(BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>>);

impl<'a> Values<'a> {
    pub(super) fn add(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        self.0.entry(name.into()).or_default().push(value.into());
    }

    pub(super) fn of(&self, name: &str) -> &[Cow<'a, str>] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }

    /// Those whose names begin with this, without it.
    pub(super) fn beneath(&self, prefix: &str) -> impl Iterator<Item = (&str, &[Cow<'a, str>])> {
        let from: Cow<'a, str> = Cow::Owned(prefix.to_owned());
        self.0
            .range(from..)
            .map_while(move |(name, values)| Some((name.strip_prefix(prefix)?, values.as_slice())))
    }
}
