//! Ports, and inclusive ranges of them (rule 36).

use std::collections::BTreeSet;

use super::value;
use crate::policy::diagnostic::{Report, quoted};
use crate::policy::document::{PortRange, Spanned};
use crate::policy::tree::{Node, Tree};

/// One port, from 1 to 65535.
pub(super) fn port(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<u16>> {
    let port = value::integer(key, node, 1..=65535, report)?;
    let value = u16::try_from(port.value).ok()?;
    Some(Spanned::new(value, port.span))
}

/// `8443` or `"9000-9010"`.
pub(super) fn range(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<PortRange>> {
    let Tree::Text(text) = &node.value else {
        let one = port(key, node, report)?;
        let range = PortRange {
            first: one.value,
            last: one.value,
        };
        return Some(Spanned::new(range, one.span));
    };
    match parse(text) {
        Ok(range) => Some(Spanned::new(range, node.span)),
        Err(help) => {
            let message = format!("{} is no range of ports", quoted(text));
            report.error_with_help(node.span, message, help);
            None
        }
    }
}

fn parse(text: &str) -> Result<PortRange, String> {
    if let Some(port) = number(text) {
        return Err(format!("write {port} without quotes"));
    }
    if matches!(text, "any" | "*") {
        return Err(
            "a rule for every port of a workload has no `ports`, or `\"1-65535\"`".to_owned(),
        );
    }
    let ends = text.split_once('-');
    let Some((first, last)) = ends.and_then(|(first, last)| number(first).zip(number(last))) else {
        return Err("write 8443, or \"9000-9010\" with ports from 1 to 65535".to_owned());
    };
    if first == last {
        return Err(format!("write {first} without quotes"));
    }
    if first > last {
        return Err(format!("write \"{last}-{first}\""));
    }
    Ok(PortRange { first, last })
}

/// Decimal, without sign, space or leading zero.
fn number(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok()).flatten()
}

/// Refuses a port that is listed twice.
pub(super) fn refuse_doubles(key: &str, ports: &[Spanned<u16>], report: &mut Report) {
    let mut seen = BTreeSet::new();
    for port in ports {
        if !seen.insert(port.value) {
            let message = format!("`{key}` names the port {} twice", port.value);
            report.error_with_help(port.span, message, "remove one of the two");
        }
    }
}
