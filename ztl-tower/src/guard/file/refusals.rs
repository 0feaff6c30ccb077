//! `[refusals]`: what a caller is told.

use http::Uri;
use ztl_core::settings::Table;

use crate::guard::GuardBuilder;

pub(super) fn refusals(table: &mut Table<'_, '_>, mut builder: GuardBuilder) -> GuardBuilder {
    let read = |inner: &mut Table<'_, '_>| {
        let answers = &mut builder.answers;
        answers.without_bodies = inner.boolean("bodies") == Some(false);
        answers.uniform = inner.boolean("uniform") == Some(true);
        inner.parsed("resource_metadata", |text| match text.parse::<Uri>() {
            Ok(url) if url.scheme().is_some() => Ok(url),
            _ => Err(
                "write a URL, as in `https://api.example/.well-known/oauth-protected-resource`"
                    .to_owned(),
            ),
        })
    };
    match table.table("refusals", "[refusals]", read).flatten() {
        Some(url) => builder.resource_metadata(&url),
        None => builder,
    }
}
