//! Actions: what is asked for on a permitted flow.

#![expect(unsafe_code, reason = "exports")]

use core::time::Duration;

use ztl_core::{
    Action, ActionPermit, Direction, Evidence, MAX_TARGET_BYTES, PathError, Peer, Reason, SpiffeId,
    Timestamp, TrustScore,
};

use crate::boundary::{Fault, Plain, Refusal, export, sized, ztl_str};
use crate::claims::{self, ztl_claims};
use crate::decision::ztl_decision;
use crate::engine::{self, ztl_engine};
use crate::error::ztl_error;
use crate::flow::{self, ztl_flow};
use crate::handle;
use crate::host::Elsewhere;
use crate::status::ztl_status;
use crate::wire::{Fields, MAX_HEADERS, Seen, Sent, ztl_header};

/// In `ztl_action_request.flags`: raw bytes over the flow, without method and target.
pub const ZTL_ACTION_CONNECT: u32 = 1;

/// Longest method or name of a protocol that is read; a longer one is none that a rule can name.
const MAX_TOKEN_BYTES: usize = 256;
/// How long a trust score holds from the moment it was given.
const SCORE_HOLDS: Duration = Duration::from_secs(60);
/// How often a request is judged while the policy changes under the judgement, before it is refused.
const TRIES: usize = 16;

/// What is asked for.
///
/// Texts that come from the peer (`method`, `target`, `upgrade`, header fields) may hold any bytes: what cannot be read is a
/// denial and recorded, not an error, and so are more than 65,536 header fields, none of which is looked at then.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ztl_action_request {
    /// `sizeof(ztl_action_request)`
    pub size: u32,
    /// Zero, or `ZTL_ACTION_CONNECT`.
    pub flags: u32,
    /// The method, exactly as it stood on the wire.
    pub method: ztl_str,
    /// The raw request target, exactly as it stood on the wire: the path with its escapes, and the query. Never a path that a
    /// framework has decoded.
    pub target: ztl_str,
    /// The protocol that the connection is to become: `:protocol` of an extended CONNECT (RFC 8441). Absent or empty: what
    /// the `Upgrade` fields among `headers` say, else none. An `Upgrade` that differs from what stands here, that comes twice, or that
    /// no single `Connection` names beside it (RFC 9110 section 7.8), is one that no rule names: servers serve such a request as they like.
    pub upgrade: ztl_str,
    /// All header fields of the request, in order. A field sent twice stands here twice. `host`, and `:authority` of HTTP/2 and
    /// HTTP/3, are among them: what is no host with an optional port is denied (rule 42), and where the workload lists `hosts`, a
    /// request for another as well (T21). `x-forwarded-client-cert` and
    /// `forwarded` are looked at only where the peer's workload says `forwards_in`, and hidden from rules otherwise (T12); take those
    /// away that `ztl_flow_reads` does not name before anything else sees the request.
    pub headers: *const ztl_header,
    /// How many there are.
    pub headers_len: usize,
    /// The time, in seconds since 1970.
    pub now_unix: u64,
    /// The caller's trust score, 0 to 100, observed now and good for a minute; -1 if there is none.
    pub trust_score: i32,
    /// Zero.
    pub reserved: u32,
    /// The claims of the caller's token, from `ztl_token_verify`; NULL if there are none. They are not looked at where the query of
    /// `target` has a token too, `access_token`: such a request bears two (T16).
    pub claims: *const ztl_claims,
}

// SAFETY: numbers and pointers, the size first.
unsafe impl Plain for ztl_action_request {}

/// Step three: authorizes an action on a permitted flow, or denies it. Recorded either way.
///
/// A flow that was permitted under an earlier policy is judged again first.
///
/// @param engine the engine that permitted the flow
/// @param flow the permitted flow
/// @param request what is asked for
/// @param decision receives the decision; set its `size` first
/// @param error receives the reason, of a denial as well; may be NULL
///
/// # Safety
/// `engine` and `flow` are NULL or live; `request` is NULL or readable, with readable texts and headers and live claims or none; `decision` and `error`
/// are NULL or may be written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ztl_action_authorize(
    engine: *const ztl_engine,
    flow: *const ztl_flow,
    request: *const ztl_action_request,
    decision: *mut ztl_decision,
    error: *mut *mut ztl_error,
) -> ztl_status {
    export!(outputs: (decision), error: error, || {
        // SAFETY: as promised to this function.
        let engine = unsafe { engine::lent(engine) }?;
        // SAFETY: as promised to this function.
        let flow = unsafe { handle::borrow(flow) }?;
        // SAFETY: as promised to this function.
        let request = unsafe { sized(request, "request") }?;
        // SAFETY: as promised to this function.
        let permit = unsafe { authorize(engine, flow, &request) }?;
        Ok(ztl_decision::action(&permit, flow.ends()))
    })
}

/// # Safety
/// The texts and headers of the request are readable, its claims are NULL or live.
unsafe fn authorize(
    engine: &engine::Body,
    flow: &flow::Body,
    request: &ztl_action_request,
) -> Result<ActionPermit, Refusal> {
    let (now, kept) = (Timestamp::from_unix_secs(request.now_unix), flow.kept());
    let permit = &kept.permit;
    let recorded = |action, reason, detail: String| {
        let denial = engine.engine.refuse_on(permit, action, reason, now);
        Refusal::Denied(denial, Some(detail))
    };
    // On a flow that holds no more that is why, whatever was asked for.
    let refuse = |action, reason, detail| match flow.renew(&engine.engine, action, now) {
        Err(denial) => Refusal::Denied(denial, None),
        Ok(_) => recorded(action, reason, detail),
    };
    if Fields::are_too_many(request) {
        // SAFETY: as promised to this function.
        let action = unsafe { named(request) }?;
        let detail = format!("the request has more than {MAX_HEADERS} header fields");
        return Err(refuse(action.as_ref(), Reason::PathAmbiguous, detail));
    }
    // SAFETY: as promised to this function.
    let mut asking = unsafe { Asking::read(request) }?;
    asking.take_claims(engine, permit.peer())?;
    let action = asking
        .action
        .as_ref()
        .map_err(|error| refuse(None, Reason::PathAmbiguous, error.to_string()))?;
    // What the policy says of names, forwarded ids and hosts has to be said by the policy that judges: `None` where it changed meanwhile.
    let judge = || -> Result<Option<ActionPermit>, Refusal> {
        let epoch = engine.engine.epoch();
        let renewed = flow
            .is_named(&engine.engine)
            .then(|| flow.renew_for(&kept, &engine.engine, Some(action), now))
            .transpose()?;
        // The name is asked of the policy that judges: another may have come in between.
        let Some(renewed) = renewed.filter(|renewed| flow.is_named_in(renewed)) else {
            let detail = "the policy gives the name that was called to another workload";
            let reason = Reason::FlowWithdrawn;
            return Err(recorded(Some(action), reason, detail.to_owned()));
        };
        let here = asking.is_here(renewed.direction(), renewed.hosts(), renewed.me());
        here.map_err(|elsewhere| refuse(Some(action), elsewhere.reason(), elsewhere.to_string()))?;
        let passed = asking.fields.passed_on(&renewed);
        let passed = passed
            .map_err(|error| refuse(Some(action), Reason::ForwardedUntrusted, error.to_string()))?;
        let fields = asking.fields.seen(renewed.forwards_in());
        let evidence = asking.evidence(&fields, passed.as_ref());
        // A decision that would be dropped is not made, for each is recorded (law 6).
        if engine.engine.epoch() != epoch {
            return Ok(None);
        }
        let permitted = engine.engine.authorize(&renewed, action, &evidence, now)?;
        Ok((engine.engine.epoch() == epoch).then_some(permitted))
    };
    for _ in 0..TRIES {
        if let Some(permitted) = judge()? {
            return Ok(permitted);
        }
    }
    let detail = "the policy changed as often as the request was judged";
    let reason = Reason::FlowWithdrawn;
    Err(recorded(Some(action), reason, detail.to_owned()))
}

/// What is asked for, read.
pub(crate) struct Asking<'a> {
    /// An `Err` where the target has more than one reading, or none.
    pub(crate) action: Result<Action<'a>, PathError>,
    claims: Option<&'a claims::Body>,
    /// Whether there is a token in the query as well.
    in_query: bool,
    score: Option<TrustScore>,
    pub(crate) fields: Fields<'a>,
    now: Timestamp,
}

impl<'a> Asking<'a> {
    /// # Safety
    /// The texts and headers of the request are readable for `'a`, its claims are NULL or live for `'a`.
    #[inline(always)]
    pub(crate) unsafe fn read(request: &ztl_action_request) -> Result<Self, Fault> {
        let now = Timestamp::from_unix_secs(request.now_unix);
        check_reserved(request)?;
        let score = score(request.trust_score, now)?;
        // SAFETY: as promised to this function.
        let fields = unsafe { Fields::of(request) }?;
        let action = match request.flags {
            // SAFETY: as promised to this function.
            0 => unsafe { asked(request, &fields) }?,
            ZTL_ACTION_CONNECT => Ok(connect(request)?),
            flags => return Err(unknown_flags(flags)),
        };
        let claims = if request.claims.is_null() {
            None
        } else {
            // SAFETY: as promised to this function.
            Some(unsafe { handle::borrow(request.claims) }?)
        };
        // SAFETY: as promised to this function.
        let in_query = claims.is_some() && unsafe { has_token_in_query(request) }?;
        Ok(Self {
            action,
            claims,
            in_query,
            score,
            fields,
            now,
        })
    }

    /// Whether it is what it seems, and for the workload of these hosts: before a rule is looked at.
    pub(crate) fn is_here(
        &self,
        direction: Direction,
        hosts: &[impl AsRef<str>],
        me: &str,
    ) -> Result<(), Elsewhere> {
        // Raw bytes have no fields.
        if matches!(self.action, Ok(Action::Connect)) {
            return Ok(());
        }
        let host = self.fields.host();
        // What this host calls is another's to judge.
        if direction == Direction::Egress {
            return host.map(|_| ());
        }
        if self.fields.asks_for_another() {
            return Err(Elsewhere::Overridden);
        }
        host?.is_one_of(hosts, me)
    }

    /// Takes the claims where they are of this caller, and drops them where what the token was verified by is gone, or where it is not
    /// the only one. What somebody vouches for is theirs to know.
    pub(crate) fn take_claims(
        &mut self,
        engine: &engine::Body,
        peer: Option<&Peer>,
    ) -> Result<(), Fault> {
        if let Some(claims) = self.claims {
            claims.on(engine, peer)?;
            let one_of_two = self.in_query && claims.of.is_some();
            if one_of_two || !engine.tokens.believes(claims, self.now) {
                self.claims = None;
            }
        }
        Ok(())
    }

    /// All of it that a rule may read.
    pub(crate) fn evidence<'b>(
        &'b self,
        fields: &'b Seen<'b>,
        passed: Option<&'b SpiffeId>,
    ) -> Evidence<'b> {
        let mut evidence = Evidence::none().with_headers(fields);
        if let Some(score) = self.score {
            evidence = evidence.with_trust_score(score);
        }
        if let Some(claims) = self.claims {
            evidence = evidence.with_claims(&claims.claims);
        }
        if let Some(passed) = passed {
            evidence = evidence.with_forwarded(passed);
        }
        evidence
    }
}

/// Whether the query of a request bears a token (RFC 6750 section 2.3).
///
/// # Safety
/// The texts of the request are readable.
#[cfg(feature = "jwt")]
unsafe fn has_token_in_query(request: &ztl_action_request) -> Result<bool, Fault> {
    // SAFETY: as promised to this function.
    let target = unsafe { Sent::read(&request.target, "target", MAX_TARGET_BYTES) }?;
    Ok(match target {
        Some(Sent::Text(target)) => {
            (target.split_once('?')).is_some_and(|(_, query)| ztl_authz::jwt::bears_token(query))
        }
        _ => false,
    })
}

/// Nothing verifies tokens here.
///
/// # Safety
/// None is needed.
#[cfg(not(feature = "jwt"))]
#[expect(clippy::unnecessary_wraps, reason = "as where tokens are verified")]
const unsafe fn has_token_in_query(_request: &ztl_action_request) -> Result<bool, Fault> {
    Ok(false)
}

fn score(given: i32, now: Timestamp) -> Result<Option<TrustScore>, Fault> {
    if given == -1 {
        return Ok(None);
    }
    u8::try_from(given)
        .ok()
        .and_then(|value| TrustScore::new(value, now, now.saturating_add(SCORE_HOLDS)))
        .map(Some)
        .ok_or_else(|| {
            Fault::arg(format!(
                "`trust_score` is {given}; a score is 0 to 100, and -1 is none"
            ))
        })
}

/// What was asked for, as far as it can be named: of a request that is refused, whatever it says.
///
/// # Safety
/// The texts and headers of the request are readable for `'a`.
pub(crate) unsafe fn named<'a>(request: &ztl_action_request) -> Result<Option<Action<'a>>, Fault> {
    check_reserved(request)?;
    let fields = if Fields::are_too_many(request) {
        Fields::none()
    } else {
        // SAFETY: as promised to this function.
        unsafe { Fields::of(request) }?
    };
    match request.flags {
        0 if request.method.is_absent() || request.target.is_absent() => Ok(None),
        // SAFETY: as promised to this function.
        0 => unsafe { asked(request, &fields) }.map(Result::ok),
        ZTL_ACTION_CONNECT => connect(request).map(Some),
        flags => Err(unknown_flags(flags)),
    }
}

fn check_reserved(request: &ztl_action_request) -> Result<(), Fault> {
    if request.reserved == 0 {
        Ok(())
    } else {
        Err(Fault::arg("`reserved` is not zero"))
    }
}

fn unknown_flags(flags: u32) -> Fault {
    Fault::arg(format!(
        "`flags` is {flags}, which this library does not know"
    ))
}

fn connect(request: &ztl_action_request) -> Result<Action<'static>, Fault> {
    let texts = [&request.method, &request.target, &request.upgrade];
    if texts.into_iter().all(ztl_str::is_absent) && request.headers_len == 0 {
        Ok(Action::Connect)
    } else {
        Err(Fault::arg(
            "`flags` says raw bytes, which have no method, target, upgrade or headers",
        ))
    }
}

/// The request; an `Err` inside where its target has more than one reading, or none.
///
/// # Safety
/// The texts of the request are readable for `'a`.
#[inline(always)]
unsafe fn asked<'a>(
    request: &ztl_action_request,
    fields: &Fields<'a>,
) -> Result<Result<Action<'a>, PathError>, Fault> {
    // SAFETY: as promised to this function.
    let method = unsafe { Sent::read(&request.method, "method", MAX_TOKEN_BYTES) }?;
    // SAFETY: as promised to this function.
    let target = unsafe { Sent::read(&request.target, "target", MAX_TARGET_BYTES) }?;
    // SAFETY: as promised to this function.
    let upgrade = unsafe { Sent::read(&request.upgrade, "upgrade", MAX_TOKEN_BYTES) }?
        .filter(|upgrade| *upgrade != Sent::Text(""));
    let method = match method
        .ok_or_else(|| Fault::arg("`method` is absent"))?
        .nameable()
    {
        // An extended CONNECT (RFC 8441 section 4) asks for what a GET with an Upgrade field asks for in HTTP/1.1 (T20).
        "CONNECT" if upgrade.is_some() => "GET",
        method => method,
    };
    let target = match target {
        None => {
            return Err(Fault::arg(
                "`target` is absent; it has to be the raw target as it stood on the wire (T9)",
            ));
        }
        Some(Sent::Text(target)) => target,
        Some(Sent::NotText) => return Ok(Err(PathError::NotUtf8)),
        Some(Sent::TooLong) => return Ok(Err(PathError::TooLong)),
    };
    let action = Action::request(method, target);
    Ok(action.map(|action| {
        fields
            .upgrade(upgrade)
            .map_or(action, |token| action.with_upgrade(token))
    }))
}
