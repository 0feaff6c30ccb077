//! What a permit obliges to, discharged before the service is called: `limit`, `max_body`, `schema`, `log`.
//!
//! 1. A permit that obliges to nothing costs one look.
//! 2. In this order, each at the price of the one before: the action counts against its limit; a body that says that it is too
//!    large is refused; one that has to fit a schema is read and looked at. What is let through then is written to the access log.
//! 3. What cannot be discharged is refused and recorded as a denial by the rule that had permitted: `limit_exceeded` (429),
//!    `body_too_large` (413), `body_unfit` (400, 415 or 422), `audit_unavailable` where the access log takes no line,
//!    `obligation_unknown` where there is no such schema.
//! 4. A body that grows past its bound while the service reads it fails there; where the service has not answered yet, 413 is
//!    the answer.
//! 5. A permit is discharged once, however many layers ask for it.
//! 6. Who was judged before a body came, or before Redis answered, is judged again where anything changed since (law 8), and goes
//!    on only where what was done is what is owed now.

mod body;
mod log;
mod settings;

#[cfg(feature = "limit")]
mod limit;
#[cfg(feature = "schema")]
mod schema;

use core::future::Future;
use core::pin::Pin;
use std::sync::{Arc, OnceLock};

use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use ztl_core::{ActionPermit, DecisionId, Denial, FlowPermit, Reason, Timestamp};

pub use body::AnyBody;
#[cfg(feature = "redis")]
pub use limit::{Away, RedisLimits};
pub(crate) use settings::{Duties, kinds};

use crate::authorize::{
    Answer, Credential, Dress, Refused, ResponseBody, dress, judged_on, plain, refusal,
};
use crate::extract;
use crate::guard::Guard;
use crate::name::{self, WireTarget};
use crate::said::Said;

/// A request to go on with, and what its answer needs; or why not.
pub(crate) type Discharged<B> = Result<(Request<B>, After), Undone>;

/// What a permit obliges to, while it is discharged.
pub(crate) type Discharging<B> = Pin<Box<dyn Future<Output = Discharged<B>> + Send>>;

/// Why not, and how to say so.
pub(crate) type Undone = (Box<Refused>, Dress);

/// Whether the permit of a request obliges to nothing, or all of it was done.
#[inline]
pub(crate) fn is_free(parts: &Parts, permit: &ActionPermit) -> bool {
    permit.obligations().is_empty()
        || (parts.extensions.get()).is_some_and(|Done(id)| *id == permit.id())
}

/// Discharges what the permit of a request obliges to.
pub(crate) fn begin<B: AnyBody>(guard: &Guard, parts: Parts, body: B) -> Discharging<B> {
    // Law 1: what nobody permitted goes nowhere, whoever lost the permit.
    let Some(extract::ActionPermit { permit, .. }) = parts.extensions.get() else {
        let refused = unjudged(guard, &parts);
        return Box::pin(core::future::ready(Err(refused)));
    };
    let permit = permit.clone();
    Box::pin(discharge(guard.clone(), permit, parts, body))
}

/// Which permit was discharged for this request.
#[derive(Clone, Copy)]
struct Done(DecisionId);

/// A request that came without a permit.
fn unjudged(guard: &Guard, parts: &Parts) -> Undone {
    let (refused, _) = plain(guard, parts, judged_on(parts), Reason::NotJudged, None);
    (refused, dress(parts))
}

async fn discharge<B: AnyBody>(
    guard: Guard,
    permit: ActionPermit,
    parts: Parts,
    body: B,
) -> Discharged<B> {
    let Some(flow) = judged_on(&parts).cloned() else {
        // No permit is there without its flow's.
        return Err(unjudged(&guard, &parts));
    };
    let dress = dress(&parts);
    let asked = Arc::new(Asked {
        guard,
        flow,
        permit,
        wire: WireTarget::of(&parts, &Said::of(&parts.headers)),
        passed: OnceLock::new(),
    });
    let mut after = After {
        asked: Arc::clone(&asked),
        dress,
        fields: Vec::new(),
    };
    let refused = |unmet: Unmet| (Box::new(asked.refused(unmet)), dress);
    let obligations = asked.permit.obligations();
    if obligations.limit().is_some() {
        after.fields = limited(&asked, &parts).await.map_err(refused)?;
    }
    let mut body = body;
    if let Some(most) = obligations.max_body() {
        if says_more_than(most, &parts, &body) {
            return Err(refused(Unmet::too_large()));
        }
        if !body.is_end_stream() {
            body = B::from_body(body::Bounded::new(body, most, Arc::clone(&asked)));
        }
    }
    if let Some(schema) = obligations.schema() {
        body = (fitting(&asked, schema, &parts, body).await).map_err(|unmet| {
            let large = asked.too_large();
            large.map_or_else(|| refused(unmet), |large| (Box::new(large), dress))
        })?;
    }
    Ok((Request::from_parts(parts, body), after))
}

/// RFC 9110 §8.6: who says that it sends too much is believed.
fn says_more_than<B: AnyBody>(most: u64, parts: &Parts, body: &B) -> bool {
    let said = parts.headers.get(CONTENT_LENGTH);
    let said = said.and_then(|said| said.to_str().ok()?.trim().parse::<u64>().ok());
    said.is_some_and(|said| said > most) || body.size_hint().lower() > most
}

#[cfg(feature = "limit")]
async fn limited(asked: &Asked, parts: &Parts) -> Result<Vec<Field>, Unmet> {
    limit::spend(asked, parts).await
}

#[cfg(not(feature = "limit"))]
async fn limited(_: &Asked, _: &Parts) -> Result<Vec<Field>, Unmet> {
    Err(Unmet::new(
        Reason::ObligationUnknown,
        "the guard counts nothing",
    ))
}

#[cfg(feature = "schema")]
async fn fitting<B: AnyBody>(
    asked: &Asked,
    name: &str,
    parts: &Parts,
    body: B,
) -> Result<B, Unmet> {
    schema::check(asked, name, parts, body).await
}

#[cfg(not(feature = "schema"))]
async fn fitting<B: AnyBody>(_: &Asked, _: &str, _: &Parts, _: B) -> Result<B, Unmet> {
    Err(Unmet::new(
        Reason::ObligationUnknown,
        "the guard reads no schemas",
    ))
}

/// A header field of an answer.
type Field = (HeaderName, HeaderValue);

/// Why an obligation does not come about.
pub(crate) struct Unmet {
    reason: Reason,
    /// For the response's extensions and the log, never on the wire. Nothing of it is the caller's own.
    detail: String,
    /// Where in the caller's request, in its own words: for the response's extensions alone.
    place: Option<String>,
    answer: Option<Box<Answer>>,
}

impl Unmet {
    fn new(reason: Reason, detail: &str) -> Self {
        Self {
            reason,
            detail: detail.to_owned(),
            place: None,
            answer: None,
        }
    }

    /// RFC 9110 §15.5.14; `RESOURCE_EXHAUSTED` as gRPC has it for messages.
    fn too_large() -> Self {
        Self {
            answer: Some(Box::new(Answer::new(StatusCode::PAYLOAD_TOO_LARGE, "8"))),
            ..Self::new(Reason::BodyTooLarge, "the body is larger than `max_body`")
        }
    }
}

/// A permitted request, as far as its obligations need it.
pub(crate) struct Asked {
    guard: Guard,
    flow: FlowPermit,
    permit: ActionPermit,
    wire: WireTarget,
    /// Its body grew past its bound.
    passed: OnceLock<Denial>,
}

impl Asked {
    fn now(&self) -> Timestamp {
        self.guard.now()
    }

    fn denial(&self, reason: Reason) -> Denial {
        let action = self.wire.action().ok();
        let engine = self.guard.engine();
        engine.refuse_permitted(
            &self.flow,
            &self.permit,
            action.as_ref(),
            reason,
            self.now(),
        )
    }

    fn refused(&self, unmet: Unmet) -> Refused {
        let denial = self.denial(unmet.reason);
        let refused = Refused::new(denial, Some(unmet.detail)).at(unmet.place);
        refused.answered(unmet.answer)
    }

    /// The answer where its body grew past its bound, which was recorded then.
    fn too_large(&self) -> Option<Refused> {
        let denial = self.passed.get()?.clone();
        let unmet = Unmet::too_large();
        Some(Refused::new(denial, Some(unmet.detail)).answered(unmet.answer))
    }

    /// Its body grew past its bound: recorded once.
    fn passes(&self) {
        self.passed
            .get_or_init(|| self.denial(Reason::BodyTooLarge));
    }
}

/// What the answer to a request needs whose permit was discharged.
pub(crate) struct After {
    asked: Arc<Asked>,
    dress: Dress,
    fields: Vec<Field>,
}

impl After {
    /// The last before the service is called. Where the request was judged anew meanwhile, what was done has to be what its permit
    /// obliges to now; then it is written to the access log.
    pub(crate) fn conclude(&self, parts: &mut Parts) -> Result<(), Undone> {
        let asked = &self.asked;
        let Some(extract::ActionPermit { permit, .. }) = parts.extensions.get() else {
            return Err(unjudged(&asked.guard, parts));
        };
        let refused = |unmet: Unmet| (Box::new(asked.refused(unmet)), self.dress);
        let obligations = permit.obligations();
        // A schema is a name, and what it says belongs to the policy.
        let same = *obligations == *asked.permit.obligations()
            && (obligations.schema().is_none() || permit.is_of_one_policy_with(&asked.permit));
        if !same {
            let what = "what its permit obliges to changed while it was done";
            return Err(refused(Unmet::new(Reason::FlowWithdrawn, what)));
        }
        if let Some(fields) = obligations.log() {
            log::write(asked, permit, fields, parts).map_err(refused)?;
        }
        let id = permit.id();
        parts.extensions.insert(Done(id));
        Ok(())
    }

    /// The service's answer as it goes out.
    pub(crate) fn finish<B>(
        self,
        mut response: Response<ResponseBody<B>>,
    ) -> Response<ResponseBody<B>> {
        if let Some(refused) = self.asked.too_large() {
            response = refusal(&self.asked.guard, refused, Credential::Absent, self.dress);
        }
        response.headers_mut().extend(self.fields);
        response
    }
}

/// The request as `name` reads it, for the log.
fn action_text(parts: &Parts) -> String {
    let named = name::action(parts, &Said::of(&parts.headers));
    named.map_or_else(|_| String::new(), |action| action.to_string())
}
