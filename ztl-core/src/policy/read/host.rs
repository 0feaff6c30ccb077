//! Host names (RFC 1123 §2.1): labels of letters, digits and `-`.

use core::net::IpAddr;
use std::sync::Arc;

use super::value;
use crate::policy::diagnostic::{Report, quoted};
use crate::policy::document::Spanned;
use crate::policy::limits::MAX_HOST_BYTES;
use crate::policy::tree::Node;

/// A name that a workload answers to: folded to lower case, one trailing dot taken off (rule 42).
pub(super) fn of_workload(
    key: &str,
    node: &Node,
    report: &mut Report,
) -> Option<Spanned<Arc<str>>> {
    let text = value::text(key, node, report)?;
    let folded = text.to_ascii_lowercase();
    let host = folded.strip_suffix('.').unwrap_or(&folded);
    match check(host) {
        Ok(()) => Some(Spanned::new(host.into(), node.span)),
        Err(fault) => refuse(text, fault, node, report),
    }
}

/// A name outside the mesh: written in lower case, with a dot in it and none at its end (T27).
pub(super) fn external(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<Arc<str>>> {
    let text = value::text(key, node, report)?;
    let folded = text.to_ascii_lowercase();
    let bare = folded.strip_suffix('.').unwrap_or(&folded);
    let fault = match check(bare) {
        Err(fault) => fault,
        Ok(()) if bare != text => {
            let message = format!(
                "{} has an upper-case letter or ends with a dot",
                quoted(text)
            );
            report.error_with_help(node.span, message, format!("write `{bare}`"));
            return None;
        }
        Ok(()) if !text.contains('.') => {
            "has no dot: a name without one is a workload's, an external host has one"
        }
        Ok(()) if is_address(text) => "is an address: an external host is proved by its name",
        Ok(()) => return Some(Spanned::new(text.into(), node.span)),
    };
    refuse(text, fault, node, report)
}

fn refuse<T>(text: &str, fault: &str, node: &Node, report: &mut Report) -> Option<T> {
    report.error(node.span, format!("{} {fault}", quoted(text)));
    None
}

fn check(host: &str) -> Result<(), &'static str> {
    if host.contains("://") || host.contains('/') {
        return Err("is no host name: write the name alone, without scheme and path");
    }
    if host.contains(':') {
        return Err("is no host name: write it without a port; ports have a key of their own");
    }
    if host.contains('*') {
        return Err("is no host name: there are no patterns of hosts, name each of them");
    }
    if !host.is_ascii() {
        return Err(
            "is no host name in ASCII: write its A-label, which begins with `xn--` (RFC 5890)",
        );
    }
    if host.len() > MAX_HOST_BYTES {
        return Err("is longer than the 253 bytes of a host name");
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if host.split('.').all(label) {
        Ok(())
    } else {
        Err(
            "is no host name: its labels are 1 to 63 letters, digits and `-`, with no `-` at either end",
        )
    }
}

/// An address, or a name whose last label makes it one to many a resolver.
fn is_address(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    host.parse::<IpAddr>().is_ok()
        || last.bytes().all(|byte| byte.is_ascii_digit())
        || last.starts_with("0x")
}
