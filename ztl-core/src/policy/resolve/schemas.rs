//! The schemas that permits name under `oblige`, each read once.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::policy::Revision;
use crate::policy::diagnostic::Report;
use crate::policy::document::Document;
use crate::policy::limits::MAX_SCHEMAS;
use crate::policy::load::Loader;
use crate::schema::BodySchema;

/// By the name that the document has for each.
pub(in crate::policy) type Schemas = BTreeMap<Arc<str>, Arc<dyn BodySchema>>;

/// Reads what the document names. None are read where the loader knows none.
pub(super) fn schemas(document: &mut Document, loader: &Loader, report: &mut Report) -> Schemas {
    let mut all = Schemas::new();
    let Some(compiler) = &loader.schemas else {
        return all;
    };
    for rule in &mut document.rules {
        let Some(name) = &rule.oblige.schema else {
            continue;
        };
        if !all.contains_key(&name.value) {
            if all.len() == MAX_SCHEMAS {
                let message = format!("the document names more than {MAX_SCHEMAS} schemas");
                report.error(name.span, message);
                return all;
            }
            match compiler.compile(&name.value) {
                Ok(schema) => drop(all.insert(Arc::clone(&name.value), schema)),
                Err(fault) => {
                    let message = format!("the schema `{}`: {fault}", name.value.escape_debug());
                    report.error(name.span, message);
                    if report.enough() {
                        return all;
                    }
                    continue;
                }
            }
        }
        rule.oblige.made_from = all.get(&name.value).map(|schema| schema.digest());
    }
    all
}

/// The revision of a document with these: over it and over all that they were made from (T24).
pub(super) fn revision(document: Revision, schemas: &Schemas) -> Revision {
    if schemas.is_empty() {
        return document;
    }
    let mut hash = Sha256::new();
    hash.update(b"ztl policy with schemas\n");
    hash.update(document.as_bytes());
    for (name, schema) in schemas {
        // A name has no line end.
        hash.update(name.as_bytes());
        hash.update(b"\n");
        hash.update(schema.digest());
    }
    Revision(hash.finalize().into())
}
