//! The judgement of a request, and what is kept of it.

use http::request::Parts;
use ztl_core::{Evidence, Flow, FlowPermit, Reason, Stage};

use super::came::Came;
use super::response::{Credential, Refused};
use super::witness::{self, Routed};
use crate::extract::{ActionPermit, Claims, GivenFor};
use crate::forwarded;
use crate::gather::Gathered;
use crate::guard::Guard;
use crate::host;
use crate::live::Asking;
use crate::name::{self, Ambiguity, Fields, WireTarget};
use crate::peer::Peer;
use crate::said::Said;
use crate::token::Token;

pub(crate) type Refusal = (Box<Refused>, Credential);

/// How often a request is judged while the policy changes under the judgement, before it is refused.
const TRIES: usize = 16;

/// Whether this very request was judged, by a layer further out or before its obligations were discharged, and nothing has changed
/// since.
pub(super) fn is_judged(guard: &Guard, parts: &mut Parts, came: &Came) -> bool {
    if parts.extensions.get::<ActionPermit>().is_none() {
        return false;
    }
    let (routed, engine) = (witness::routed(parts), guard.engine());
    let said = Said::of(&parts.headers);
    let Some(ActionPermit { permit, given_for }) = parts.extensions.get() else {
        return false;
    };
    let (flow, asking) = (&came.flow, came.asking.as_ref());
    // A permit of another request, or of none, ends with that one.
    let is_its_own = match (&given_for.link, asking) {
        (Some(link), Some(asking)) => link.is_of(asking),
        (None, None) => true,
        _ => false,
    };
    is_its_own
        && given_for.stands_for(&WireTarget::of(parts, &said), &routed)
        && flow.id() == given_for.flow.id()
        && host::check(parts, &said, flow.hosts(), guard.name(), asking).is_ok()
        && given_for.evidence_generation == guard.evidence_generation()
        && engine.is_current(permit, guard.now())
        && name::check(parts, &said).is_ok()
        && routed.agrees(given_for.wire.path()) != Some(false)
}

impl GivenFor {
    /// T19: what reaches the service is what was judged. A router that takes a prefix off says what it matched.
    fn stands_for(&self, wire: &WireTarget, routed: &Routed) -> bool {
        self.wire == *wire
            || self.wire.is_nested_as(wire) && routed.agrees(self.wire.path()) == Some(true)
    }
}

/// Judges a request. Permitted, it carries an [`ActionPermit`], its [`Peer`] and its [`Claims`] in its extensions.
pub(super) fn judge(guard: &Guard, parts: &mut Parts, came: Came) -> Result<(), Refusal> {
    if is_judged(guard, parts, &came) {
        return Ok(());
    }
    let (now, engine) = (guard.now(), guard.engine());
    let routed = witness::routed(parts);
    let said = Said::of(&parts.headers);
    let mut wire = WireTarget::of(parts, &said);
    let Came {
        mut flow,
        asking,
        mut under,
    } = came;
    let mut forwarded_in = None;
    if let Some(ActionPermit { given_for, .. }) = parts.extensions.get() {
        if !given_for.stands_for(&wire, &routed) {
            return Err(plain(guard, parts, Some(&flow), Reason::NotJudged, None));
        }
        wire = given_for.wire.clone();
        forwarded_in = Some(given_for.flow.forwards_in());
    }
    let mut tries = 0;
    let (token, permit, evidence_generation) = loop {
        tries += 1;
        let (epoch, evidence_generation) = match under.take() {
            Some(just_now) => just_now,
            None => {
                // What changes after this is noticed below, by the policy here and by the request's own record of what it rests on.
                let before = (engine.epoch(), guard.evidence_generation());
                // Under the policy in force, so that evidence is gathered for the rules that will judge (T12).
                let renewed = match &asking {
                    Some(asking) => asking.renew(guard),
                    None => engine.renew_flow(&flow, now),
                };
                flow = renewed.map_err(|denial| bare(denial, None))?;
                before
            }
        };
        let forwards_in = flow.forwards_in();
        if forwarded_in.is_some_and(|field| field != forwards_in) {
            // T12: whom it speaks for was read elsewhere, or not at all.
            let withdrawn = Reason::FlowWithdrawn;
            return Err(plain(guard, parts, Some(&flow), withdrawn, None));
        }
        let refuse = |action, reason, detail: &dyn core::fmt::Display| {
            let denial = engine.refuse_on(&flow, action, reason, now);
            bare(denial, Some(detail.to_string()))
        };
        // T34: the cheap question before the dear one.
        let action = name::check(parts, &said)
            .and_then(|()| wire.action())
            .map_err(|ambiguity| refuse(None, Reason::PathAmbiguous, &ambiguity))?;
        // Rule 49, T19: the path that a router matched is a second witness.
        if routed.agrees(wire.path()) == Some(false) {
            return Err(refuse(None, Reason::PathAmbiguous, &Ambiguity::Route));
        }
        // T21
        host::check(parts, &said, flow.hosts(), guard.name(), asking.as_ref())
            .map_err(|elsewhere| refuse(Some(&action), Reason::Misdirected, &elsewhere))?;
        // T12
        let passed = forwarded::read(&flow, &parts.headers)
            .map_err(|error| refuse(Some(&action), Reason::ForwardedUntrusted, &error))?;
        let token = token(guard, &flow, parts);
        let fields = Fields::new(&parts.headers, forwards_in);
        let mut context = None;
        if guard.asks_context(&flow) {
            // Whoever is asked what it knows of a request may have to know whose it is.
            parts.extensions.insert(flow.clone());
            context = guard.context(parts, now);
            parts.extensions.remove::<FlowPermit>();
        }
        let gathered = Gathered::now(guard, &flow, token.claims.as_ref(), context, now);
        let mut evidence = gathered.beside(Evidence::none().with_headers(&fields));
        if let Some(claims) = &token.claims {
            evidence = evidence.with_claims(claims);
        }
        if let Some(passed) = &passed {
            evidence = evidence.with_forwarded(passed);
        }
        let permitted = match &asking {
            Some(asking) => {
                let renew = || asking.renew(guard);
                engine.authorize_or_renew(&flow, renew, &action, &evidence, now)
            }
            None => engine.authorize(&flow, &action, &evidence, now),
        };
        let permit = match permitted {
            Ok(permit) => permit,
            Err(denial) => {
                let (refused, _) = bare(denial, token.detail);
                return Err((refused, token.credential));
            }
        };
        if engine.epoch() == epoch {
            if let Some(asking) = &asking {
                let passed = (forwards_in, passed.as_ref());
                let asked = ((&wire, &*parts, &said), &token, &fields, &gathered, passed);
                asking.authorized(guard, &permit, evidence_generation, asked);
            }
            break (token, permit, evidence_generation);
        }
        if tries == TRIES {
            let withdrawn = Reason::FlowWithdrawn;
            return Err(plain(guard, parts, Some(&flow), withdrawn, None));
        }
    };
    let names = said.names;
    forwarded::strip(&mut parts.headers, names, flow.forwards_in());
    match token.claims {
        Some(claims) => drop(parts.extensions.insert(Claims(claims))),
        None => drop(parts.extensions.remove::<Claims>()),
    }
    match flow.peer() {
        Some(peer) => drop(parts.extensions.insert(Peer(peer.clone()))),
        None => drop(parts.extensions.remove::<Peer>()),
    }
    let given_for = GivenFor {
        wire,
        flow,
        link: asking.as_ref().map(Asking::link),
        evidence_generation,
        answers: guard.shared_answers(),
    };
    parts.extensions.insert(ActionPermit { permit, given_for });
    Ok(())
}

/// A refusal of a request that came past the door, on this flow where on any.
pub(crate) fn plain(
    guard: &Guard,
    parts: &Parts,
    flow: Option<&FlowPermit>,
    reason: Reason,
    detail: Option<String>,
) -> Refusal {
    let now = guard.now();
    let engine = guard.engine();
    let action = name::action(parts, &Said::of(&parts.headers)).ok();
    let denial = match flow {
        Some(flow) => engine.refuse_on(flow, action.as_ref(), reason, now),
        None => {
            let flow = Flow::ingress(guard.name(), 0, ztl_core::Arrival::unknown(), None);
            engine.refuse(&flow, action.as_ref(), Stage::Action, reason, now)
        }
    };
    bare(denial, detail)
}

/// A refusal that no credential would mend.
fn bare(denial: ztl_core::Denial, detail: Option<String>) -> Refusal {
    (Box::new(Refused::new(denial, detail)), Credential::Absent)
}

/// The caller's token, where a rule of this flow could read it (T34).
#[cfg(feature = "jwt")]
fn token(guard: &Guard, flow: &FlowPermit, parts: &Parts) -> Token {
    match guard.tokens().filter(|_| flow.reads_token()) {
        Some(verifier) => Token::of(guard, &verifier, flow, parts),
        None => Token::absent(),
    }
}

#[cfg(not(feature = "jwt"))]
const fn token(_: &Guard, _: &FlowPermit, _: &Parts) -> Token {
    Token::absent()
}
