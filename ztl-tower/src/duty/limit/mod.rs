//! `limit`: how often something may be asked.
//!
//! Who asks spends one of its own count, and where that has one left also one of the total: whoever is over its own limit spends
//! nothing that others need. Its own count is that of an override where its workload has one, else that which `by` says; all
//! whom `by` does not know share one.

mod fields;
mod local;
#[cfg(feature = "redis")]
mod shared;

use http::StatusCode;
use http::header::RETRY_AFTER;
use http::request::Parts;
use ztl_core::policy::Policy;
use ztl_core::{FlowPermit, Limit, LimitBy, Peer, Prefix, Rate, Reason};

pub(super) use local::Limits;
#[cfg(feature = "redis")]
pub use shared::{Away, RedisLimits};

use super::{Asked, Field, Unmet};
use crate::authorize::Answer;
use crate::extract::Claims;
use core::time::Duration;

/// Whose count is spent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Principal {
    /// A workload that an override names.
    Workload(String),
    Peer(String),
    /// Issuer and subject (T16).
    Subject(String, String),
    Prefix(Prefix),
    /// Everybody else.
    Anonymous,
}

impl Principal {
    /// Who asks, and how often it may.
    fn of(policy: &Policy, limit: &Limit, flow: &FlowPermit, parts: &Parts) -> (Self, Rate) {
        let id = flow.peer().map(Peer::id);
        let workload = id.and_then(|id| policy.workload_by_id(id));
        if let Some(workload) = workload
            && let Some(rate) = limit.of_workload(workload.name())
        {
            return (Self::Workload(workload.name().to_owned()), rate);
        }
        // T13: one workload has one count, by whichever name it comes.
        let id = id.map(|id| policy.one_id_of(id));
        let principal = match limit.by {
            LimitBy::Subject => {
                let claims = parts.extensions.get::<Claims>();
                let subject = claims.and_then(|claims| claims.issuer().zip(claims.subject()));
                subject.map(|(issuer, subject)| Self::Subject(issuer.into(), subject.into()))
            }
            LimitBy::Address => flow.arrival().addr().map(|addr| Self::Prefix(addr.into())),
            _ => id.map(|id| Self::Peer(id.to_string())),
        };
        (principal.unwrap_or(Self::Anonymous), limit.each)
    }
}

/// One was spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    rate: Rate,
    left: u32,
}

/// None was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Over {
    whose: Whose,
    rate: Rate,
    wait: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Own,
    All,
    /// Nobody could tell.
    Unknown,
}

/// Spends one, or says that none is left. The fields are for the answer.
pub(super) async fn spend(asked: &Asked, parts: &Parts) -> Result<Vec<Field>, Unmet> {
    let Some(limit) = asked.permit.obligations().limit() else {
        return Ok(Vec::new());
    };
    let policy = asked.guard.engine().policy();
    let (principal, rate) = Principal::of(&policy, limit, &asked.flow, parts);
    let limits = &asked.guard.duties().limits;
    let spent = limits.spend(asked, &policy, limit, &principal, rate).await;
    match spent {
        Ok(left) => Ok(fields::left(left)),
        Err(over) => {
            // RFC 6585 §4; `RESOURCE_EXHAUSTED`.
            let mut answer = match over.whose {
                Whose::Unknown => Answer::new(StatusCode::SERVICE_UNAVAILABLE, "14"),
                Whose::Own | Whose::All => Answer::new(StatusCode::TOO_MANY_REQUESTS, "8"),
            };
            // RFC 9110 §10.2.3: whole seconds.
            let seconds = fields::seconds(over.wait).max(1);
            answer.fields.push((RETRY_AFTER, seconds.into()));
            answer.fields.extend(fields::over(over));
            let detail = match over.whose {
                Whose::Own => "it asked too often",
                Whose::All => "all together asked too often",
                Whose::Unknown => "the store of the counts did not answer",
            };
            Err(Unmet {
                answer: Some(Box::new(answer)),
                ..Unmet::new(Reason::LimitExceeded, detail)
            })
        }
    }
}
