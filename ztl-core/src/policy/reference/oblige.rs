//! What a permit obliges to, and what an authorizer adds (§11).

use std::sync::Arc;

use crate::authorizer::Demands;
use crate::limit::Limit;
use crate::obligation::{Obligations, Obliged};
use crate::policy::document::RuleDecl;

use super::Asked;

impl Asked<'_> {
    /// §11.1
    pub(super) fn obligations(&self, rule: &RuleDecl) -> Obligations {
        let oblige = &rule.oblige;
        let limit = oblige.limit.as_ref();
        Obligations::new(Obliged {
            limit: limit.and_then(|name| self.limit(&name.value)),
            schema: (oblige.schema.as_ref()).map(|schema| Arc::clone(&schema.value)),
            max_body: oblige.max_body.map(|bytes| bytes.value),
            log: oblige.log.clone(),
        })
    }

    fn limit(&self, name: &str) -> Option<Arc<Limit>> {
        let mut limits = self.document.limits.iter();
        let declared = limits.find(|limit| *limit.name.value == *name)?;
        Some(Arc::clone(&declared.limit))
    }

    /// What is obliged to already, and this (§11.2). None where the one does not go with the other.
    pub(super) fn obliged(&self, before: &Obligations, more: &Demands) -> Option<Obligations> {
        let limit = match (before.limit(), &more.limit) {
            (Some(limit), None) => Some(&*limit.name),
            (Some(limit), Some(name)) if limit.name != *name => return None,
            (_, name) => name.as_deref(),
        };
        let schema = match (before.schema(), more.schema.as_deref()) {
            (_, Some("")) => return None,
            (Some(one), Some(other)) if one != other => return None,
            (one, other) => one.or(other),
        };
        let mut log = before.log().map(<[_]>::to_vec);
        for field in more.log.iter().flatten() {
            let fits =
                |byte: u8| byte.is_ascii_graphic() && !br#"(),/:;<=>?@[\]{}""#.contains(&byte);
            let secret = [
                "authorization",
                "cookie",
                "proxy-authorization",
                "set-cookie",
            ];
            if field.is_empty()
                || field.len() > 256
                || !field.bytes().all(fits)
                || **field != field.to_ascii_lowercase()
                || secret.contains(&&**field)
            {
                return None;
            }
            let log = log.get_or_insert_default();
            if !log.contains(field) {
                log.push(Arc::clone(field));
            }
            if log.len() > 256 {
                return None;
            }
        }
        if more.log.is_some() {
            log.get_or_insert_default();
        }
        Some(Obligations::new(Obliged {
            limit: match limit {
                None => None,
                Some(name) => Some(self.limit(name)?),
            },
            schema: schema.map(Arc::from),
            max_body: before.max_body().into_iter().chain(more.max_body).min(),
            log,
        }))
    }
}
