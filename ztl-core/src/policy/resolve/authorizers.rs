//! `[authorizers.NAME]`: built once, by the kind that is registered for them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::authorizer::Authorizer;
use crate::policy::diagnostic::{Report, suggest};
use crate::policy::document::Document;
use crate::policy::load::Loader;

/// Every authorizer that rules can name: those of the document and those that are registered by name. One whose kind is not
/// registered refuses the document, whether or not a rule names it.
pub(super) fn authorizers(
    document: &Document,
    loader: &Loader,
    report: &mut Report,
) -> HashMap<Box<str>, Arc<dyn Authorizer>> {
    let mut all = loader.authorizers.clone();
    for decl in &document.authorizers {
        let name = &decl.name.value;
        if loader.authorizers.contains_key(&**name) {
            report.error_with_help(
                decl.name.span,
                format!("the authorizer `{name}` is registered by name as well"),
                "rename one of the two: a rule has to mean one of them",
            );
            continue;
        }
        let Some(factory) = loader.kinds.get(&*decl.kind.value) else {
            let message = format!("no kind of authorizer `{}` is registered", decl.kind.value);
            let near = suggest(&decl.kind.value, loader.kinds.keys().map(|kind| &**kind));
            let help = near.map_or_else(
                || "register it with the loader; an authorizer that nobody runs must not be skipped".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            report.error_with_help(decl.kind.span, message, help);
            continue;
        };
        match factory.build(name, &decl.settings) {
            Ok(authorizer) => {
                all.insert((**name).into(), authorizer);
            }
            Err(fault) => report.error(decl.name.span, format!("the authorizer `{name}`: {fault}")),
        }
    }
    all
}
