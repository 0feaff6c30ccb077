//! Sizes and times: an integer, or digits with a unit.

use core::time::Duration;

use crate::policy::diagnostic::Report;
use crate::policy::document::Spanned;
use crate::policy::limits::MAX_BODY_BYTES;
use crate::policy::tree::{Node, Tree};

const SIZES: [(&str, u64); 4] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("B", 1),
];

const DAY: u64 = 24 * 3600;
const TIMES: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", DAY)];

/// Bytes, as an integer or with a unit.
pub(super) fn size(key: &str, node: &Node, report: &mut Report) -> Option<Spanned<u64>> {
    let bytes = match &node.value {
        Tree::Int(bytes) => u64::try_from(*bytes).ok(),
        Tree::Text(text) => with_unit(text, &SIZES),
        _ => None,
    };
    match bytes.filter(|bytes| *bytes <= MAX_BODY_BYTES) {
        Some(bytes) => Some(Spanned::new(bytes, node.span)),
        None => {
            let message = format!("`{key}` takes bytes, at most 1024GiB");
            report.error_with_help(
                node.span,
                message,
                "write `65536`, `\"64KiB\"` or `\"1MiB\"`",
            );
            None
        }
    }
}

/// One second to one day, in seconds or with a unit.
pub(super) fn time(key: &str, node: &Node, report: &mut Report) -> Option<Duration> {
    let seconds = match &node.value {
        Tree::Int(seconds) => u64::try_from(*seconds).ok(),
        Tree::Text(text) => with_unit(text, &TIMES),
        _ => None,
    };
    match seconds.filter(|seconds| (1..=DAY).contains(seconds)) {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => {
            let message = format!("`{key}` takes a time from one second to one day");
            report.error_with_help(
                node.span,
                message,
                "write `60`, `\"1m\"`, `\"1h\"` or `\"1d\"`",
            );
            None
        }
    }
}

const MILLIS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", DAY * 1000),
];

/// One millisecond to a thousand days, in seconds or with a unit.
pub(super) fn span(key: &str, node: &Node, report: &mut Report) -> Option<Duration> {
    let millis = match &node.value {
        Tree::Int(seconds) => u64::try_from(*seconds)
            .ok()
            .and_then(|seconds| seconds.checked_mul(1000)),
        Tree::Text(text) => with_unit(text, &MILLIS),
        _ => None,
    };
    match millis.filter(|millis| (1..=1000 * DAY * 1000).contains(millis)) {
        Some(millis) => Some(Duration::from_millis(millis)),
        None => {
            let message = format!("`{key}` takes a time from one millisecond to 1000 days");
            report.error_with_help(
                node.span,
                message,
                "write `10`, `\"250ms\"`, `\"10s\"`, `\"5m\"`, `\"1h\"` or `\"1d\"`",
            );
            None
        }
    }
}

/// Digits and a unit, with nothing before, between or behind.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, factor) = units
        .iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|digits| (digits, factor)))?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}
