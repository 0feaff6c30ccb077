//! `[authorizers.NAME]`: built once, by the kind that is registered for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::authorizer::Authorizer;
use crate::policy::Revision;
use crate::policy::diagnostic::{Report, suggest};
use crate::policy::document::Document;
use crate::policy::load::Loader;

/// The revision of a document whose rules can ask these: over it and over all that they were made from (T24). Where they were
/// made from nothing but the document it is that of the document.
pub(super) fn revision(
    document: Revision,
    authorizers: &HashMap<Box<str>, Arc<dyn Authorizer>>,
) -> Revision {
    let made = authorizers.iter();
    let made = made.filter_map(|(name, authorizer)| Some((name, authorizer.digest()?)));
    let made: BTreeMap<_, _> = made.collect();
    if made.is_empty() {
        return document;
    }
    let mut hash = Sha256::new();
    hash.update(b"ztl policy with artefacts\n");
    hash.update(document.as_bytes());
    for (name, digest) in made {
        // A name has no line end.
        hash.update(name.as_bytes());
        hash.update(b"\n");
        hash.update(digest);
    }
    Revision(hash.finalize().into())
}

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
