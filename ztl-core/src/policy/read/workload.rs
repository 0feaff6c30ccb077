//! `[workloads.NAME]`

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::table::Reader;
use super::{host, name, place, port, principal, subject, value};
use crate::forwarding::Forwarding;
use crate::id::SpiffeId;
use crate::policy::diagnostic::{Report, quoted};
use crate::policy::document::{Spanned, WorkloadDecl};
use crate::policy::limits::{MAX_ENTRIES, MAX_WORKLOADS};
use crate::policy::tree::{Node, Tree};

/// `[workloads.NAME]`
pub(super) fn workloads(root: &mut Reader<'_, '_>) -> Vec<WorkloadDecl> {
    let declared = place::read_all(root, "workloads", MAX_WORKLOADS, |name, table, _| {
        let help = "write its SPIFFE ID, as in `id = \"spiffe://example.org/ns/shop/sa/cart\"`";
        let _ = table.required("id", help);
        let id = table.one("id", id);
        let zone = table.one("zone", name::name);
        let labels = table.one("labels", labels);
        let ports = table.each("ports", MAX_ENTRIES, port::port);
        let public_ports = table.each("public_ports", MAX_ENTRIES, port::port);
        let hosts = table.each("hosts", MAX_ENTRIES, host::of_workload);
        let asserted_by = table.each("asserted_by", MAX_ENTRIES, party);
        let forwards = table.each("forwards", MAX_ENTRIES, subject::forwarded);
        let forwards_in = table.one("forwards_in", forwards_in);
        refuse_idle(forwards_in.as_ref(), forwards.is_empty(), table.report);
        port::refuse_doubles("ports", &ports, table.report);
        port::refuse_doubles("public_ports", &public_ports, table.report);
        Some(WorkloadDecl {
            name: name?,
            id: id?,
            zone,
            labels: labels.unwrap_or_default(),
            ports,
            public_ports,
            hosts,
            asserted_by,
            forwards,
            forwards_in: forwards_in.map(|field| field.value),
        })
    });
    refuse_double_ids(&declared, root.report);
    declared
}

fn id(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<SpiffeId>> {
    let text = value::text(key, node, report)?;
    match SpiffeId::parse_workload(text) {
        Ok(id) => Some(Spanned::new(id, node.span)),
        Err(error) => {
            report.error_with_help(node.span, format!("{} {error}", quoted(text)), error.help());
            None
        }
    }
}

/// A party that may say who a caller is, by the name that it goes by.
fn party(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<Arc<str>>> {
    let party = value::issuer(key, node, report)?;
    let scheme = party.value.split_once(':').map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("spiffe")) {
        // Assertions are proved of parties by the names of workloads; an id has another text in each alias (T12).
        let message = format!(
            "`{key}` names a party by its SPIFFE ID {}",
            quoted(&party.value)
        );
        let help = "write the name of its workload, and have callers asserted by that name";
        report.error_with_help(node.span, message, help);
        return None;
    }
    Some(party)
}

fn forwards_in(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<Forwarding>> {
    let words = [
        (Forwarding::Xfcc.as_str(), Forwarding::Xfcc),
        (Forwarding::Forwarded.as_str(), Forwarding::Forwarded),
    ];
    let field = value::choice(key, node, &words, report)?;
    Some(Spanned::new(field, node.span))
}

/// A field in which nobody may be passed on would deny whatever comes with it.
fn refuse_idle(field: Option<&Spanned<Forwarding>>, nobody: bool, report: &mut Report) {
    if let (Some(field), true) = (field, nobody) {
        report.error_with_help(
            field.span,
            "`forwards_in` says how ids are passed on, and `forwards` names none".to_owned(),
            "name whose SPIFFE IDs it may pass on in `forwards`, or remove `forwards_in`",
        );
    }
}

fn labels(key: &str, node: &Node, report: &mut Report) -> Option<BTreeMap<Arc<str>, Arc<str>>> {
    let Tree::Table(entries) = &node.value else {
        value::wrong_kind(key, "a table of texts", node, report);
        return None;
    };
    if entries.is_empty() || entries.len() > MAX_ENTRIES {
        let message = format!(
            "`{key}` has {} entries; it has 1 to {MAX_ENTRIES}",
            entries.len()
        );
        report.error(node.span, message);
        return None;
    }
    let mut labels = BTreeMap::new();
    for (label, item) in entries {
        if let Err(fault) = principal::check_label_key(&label.value) {
            report.error(label.span, format!("{} {fault}", quoted(&label.value)));
        }
        let Some(text) = value::text(&label.value, item, report) else {
            continue;
        };
        if let Err(fault) = principal::check_label_value(text) {
            report.error(item.span, format!("{} {fault}", quoted(text)));
        }
        labels.insert(label.value.as_str().into(), text.into());
    }
    Some(labels)
}

/// One id is one workload; otherwise two names would have two sets of rights for one caller.
fn refuse_double_ids(declared: &[WorkloadDecl], report: &mut Report) {
    let mut owners = HashMap::new();
    for workload in declared {
        if let Some(owner) = owners.insert(&workload.id.value, &workload.name.value) {
            report.error_with_help(
                workload.id.span,
                format!(
                    "the workloads `{owner}` and `{}` have one id",
                    workload.name.value
                ),
                "an id is one workload's; give one of them its own, or declare it once",
            );
        }
    }
}
