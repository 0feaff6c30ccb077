//! `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers, lists of RFC 9651).
//!
//! They name no limit of the policy, and of the total only that it is spent (law 7).

use core::time::Duration;

use http::{HeaderName, HeaderValue};
use ztl_core::Rate;

use super::{Left, Over, Whose};
use crate::duty::Field;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Whole seconds, rounded up.
pub(super) fn seconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}

/// Of an answer to what was let through.
pub(super) fn left(left: Left) -> Vec<Field> {
    // Until all is there again.
    let spent = left.rate.at_once().saturating_sub(left.left);
    let until = period(left.rate).saturating_mul(spent);
    fields("caller", left.rate, left.left, seconds(until))
}

/// Of a refusal.
pub(super) fn over(over: Over) -> Vec<Field> {
    match over.whose {
        Whose::Own => fields("caller", over.rate, 0, seconds(over.wait)),
        Whose::All => {
            let mut fields = fields("total", over.rate, 0, seconds(over.wait));
            fields.truncate(1);
            fields
        }
        Whose::Unknown => Vec::new(),
    }
}

/// After how long one comes back.
pub(super) fn period(rate: Rate) -> Duration {
    (rate.per / rate.requests.max(1)).max(Duration::from_nanos(1))
}

fn fields(name: &str, rate: Rate, left: u32, reset: u64) -> Vec<Field> {
    let limit = format!("\"{name}\";r={left};t={reset}");
    let policy = format!("\"{name}\";q={};w={}", rate.requests, rate.per.as_secs());
    let limit = HeaderValue::try_from(limit).map(|value| (LIMIT, value));
    let policy = HeaderValue::try_from(policy).map(|value| (POLICY, value));
    limit.into_iter().chain(policy).collect()
}
