//! Whom `subject` and `actors` speak of, and whom `forwards` names.

use super::principal::{self, Word};
use super::value;
use crate::policy::diagnostic::{Report, quoted};
use crate::policy::document::{Principal, Spanned, Subject};
use crate::policy::limits::MAX_ISSUER_BYTES;
use crate::policy::tree::{Node, Tree};

/// One entry of `subject` or `actors`.
pub(super) fn subject(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<Subject>> {
    if let Tree::Text(_) = node.value {
        let _ = value::text(key, node, report)?;
    }
    let subject = match &node.value {
        Tree::Text(text) if text.starts_with("issuer:") => issuer(text, node, report)?,
        Tree::Text(text) if text.starts_with("user:") => user(text, node, report)?,
        _ => match principal::word(key, node, report)? {
            Word::Workload(name) => Subject::Workload(name),
            Word::Id(pattern) => Subject::Id(pattern),
            Word::Label { key, value } => Subject::Label { key, value },
            Word::Any => Subject::Any,
            Word::Zone(_) | Word::External(_) | Word::Public => {
                let message = format!(
                    "`{key}` speaks of whom a token names, who is no place and not `public`"
                );
                let help = "write a workload's name, `spiffe://..`, `trust-domain:..`, `label:key=value`, `issuer:NAME`, `user:ISSUER/SUB` or `any`";
                report.error_with_help(node.span, message, help);
                return None;
            }
        },
    };
    Some(Spanned::new(subject, node.span))
}

/// One entry of `forwards`.
pub(super) fn forwarded(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<Principal>> {
    let principal = match principal::word(key, node, report)? {
        Word::Workload(name) => Principal::Workload(name),
        Word::Id(pattern) => Principal::Id(pattern),
        Word::Label { key, value } => Principal::Label { key, value },
        Word::Any => Principal::Any,
        Word::Zone(_) | Word::External(_) | Word::Public => {
            let message = format!(
                "`{key}` names whose SPIFFE IDs may be passed on, which is no place and not `public`"
            );
            let help = "write a workload's name, `spiffe://..`, `trust-domain:..`, `label:key=value` or `any`";
            report.error_with_help(node.span, message, help);
            return None;
        }
    };
    Some(Spanned::new(principal, node.span))
}

fn issuer(text: &str, node: &Node, report: &mut Report) -> Option<Subject> {
    let name = text.strip_prefix("issuer:").unwrap_or_default();
    fits(text, name, node, report).then(|| Subject::Issuer(name.into()))
}

/// `user:ISSUER/SUB`: an identity is the pair of both (T16). What stands after the first `/` is the subject.
fn user(text: &str, node: &Node, report: &mut Report) -> Option<Subject> {
    let pair = text.strip_prefix("user:").unwrap_or_default();
    let Some((issuer, subject)) = pair.split_once('/') else {
        let message = format!("{} names no issuer", quoted(text));
        let help = "write `user:ISSUER/SUB`, with a name declared under `issuers`: a subject means nothing without its issuer";
        report.error_with_help(node.span, message, help);
        return None;
    };
    // An id has one name in each alias of the trust domain, and a text is compared as it stands (rule 28, T13).
    if subject
        .get(.."spiffe:".len())
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"))
    {
        let message = format!("{} speaks of a workload as if it were a user", quoted(text));
        let help = "name the workload, or its `spiffe://..`; to ask for the issuer as well, require a `token` with an `issuer`";
        report.error_with_help(node.span, message, help);
        return None;
    }
    let fit = fits(text, issuer, node, report) && fits(text, subject, node, report);
    fit.then(|| Subject::User {
        issuer: issuer.into(),
        subject: subject.into(),
    })
}

/// Whether a part of an entry could stand in a token.
fn fits(text: &str, part: &str, node: &Node, report: &mut Report) -> bool {
    let fault = if part.is_empty() {
        "has an empty part"
    } else if part.len() > MAX_ISSUER_BYTES {
        "has a part of more than 2048 bytes"
    } else if part.chars().any(char::is_control) {
        "has a control character"
    } else {
        return true;
    };
    report.error(node.span, format!("{} {fault}", quoted(text)));
    false
}
