//! The invariants of the decision (laws 1, 3, 4 and 6), of one rich document and hostile requests, or of a document that the input
//! makes up out of every form of the language, and questions near its rules (`made_up`):
//!
//! 1. The same inputs give the same decision.
//! 2. A permit names an enforced permit of the document, which names the action and the caller; and nobody whose proof has
//!    expired, or who proved nothing on another port than a public one, gets one.
//! 3. One forbid more never widens, and neither does one requirement more.
//! 4. Less evidence never widens.
//! 5. Rules in shadow, and rules that are off, change nothing.
//! 6. The reference interpreter says what `decide` says.
//! 7. An explanation says what `decide` says, and names no request that would be denied as well: each was decided first.
//! 8. The engine says what `decide` says, and writes one record a decision.

#![no_main]

#[path = "../../../ztl-core/tests/support/forms/mod.rs"]
mod forms;
mod made_up;
mod policy;
mod request;
#[path = "../../../ztl-core/tests/support/toys.rs"]
mod toys;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use policy::WORLD;
use request::{NOW, Request};
use ztl_core::policy::{
    Effect, Input, Loader, Mode, Policy, Principal, decide, explain, reference,
};
use ztl_core::{Clause, Decision, Evidence, Flow, HeaderPairs, Lack, Peer, Reason, Stage, Verdict};

fuzz_target!(|bytes: &[u8]| {
    let Some((which, rest)) = bytes.split_first() else {
        return;
    };
    if which % 2 == 1 {
        made_up::check(rest);
    } else if let Ok(request) = Request::arbitrary_take_rest(Unstructured::new(rest)) {
        check(&request);
    }
});

fn check(request: &Request<'_>) {
    let peer = request.from.peer();
    let port = request.port.number();
    let me = request.to.as_str();
    let flow = match (&peer, request.egress) {
        (Some(peer), true) => Flow::egress(me, port, peer),
        (None, true) => return,
        (peer, false) => Flow::ingress(me, port, request.place.arrival(), peer.as_ref()),
    };
    let claims = request.token.as_ref().map(|token| token.claims());
    let pairs: Option<Vec<_>> = request
        .headers
        .as_ref()
        .map(|headers| headers.iter().map(|header| header.pair()).collect());
    let pairs = pairs.as_deref().map(HeaderPairs);
    let mut evidence = Evidence::none();
    evidence.claims = claims.as_ref();
    evidence.trust_score = request.score.and_then(request::Score::score);
    let forwarded = request.forwarded.as_ref().and_then(request::Whose::id);
    evidence.forwarded = forwarded.as_ref();
    evidence.headers = pairs.as_ref().map(|pairs| pairs as _);

    let ask = |policy: &Policy, evidence: Evidence<'_>| {
        let mut input = Input::new(flow).with_evidence(evidence);
        input.action = request.asked.action();
        let decision = decide(policy, &input, NOW);
        let document = policy.document();
        assert_eq!(
            decision,
            reference::decide(document, &Loader::new(), &input, NOW)
        );
        let why = explain(policy, &input, NOW);
        assert_eq!(why.decision, decision);
        assert!(why.nearest.decisions <= 64);
        let permitted = decision.verdict == Verdict::Permit;
        assert!(!permitted || why.nearest.otherwise.is_empty());
        if let Some(rule) = &decision.rule {
            assert!(why.rules[0].decided && why.rules[0].rule == *rule);
            assert_eq!(
                why.rules[0].failed().map(|failed| failed.clause),
                decision.lack.map(Clause::from)
            );
        }
        decision
    };
    let decision = ask(&WORLD.base, evidence);
    let permitted = decision.verdict == Verdict::Permit;
    assert_eq!(permitted, decision.reason == Reason::Permitted);
    assert_eq!(decision, ask(&WORLD.base, evidence));
    if permitted {
        check_permit(request, peer.as_ref(), &decision);
    }

    let at = usize::from(request.forbid) % WORLD.narrowed.len();
    for tighter in [&WORLD.narrowed[at], &WORLD.stricter] {
        assert!(permitted || ask(tighter, evidence).verdict == Verdict::Deny);
    }
    // Who comes along is no evidence for the caller: without them there is nobody to forbid (T12).
    let along = decision.reason == Reason::Forbidden || decision.lack == Some(Lack::Subject);
    for take in u8::from(along)..3 {
        let mut less = evidence;
        match take {
            0 => less.claims = None,
            1 => less.trust_score = None,
            _ => less.headers = None,
        }
        assert!(permitted || ask(&WORLD.base, less).verdict == Verdict::Deny);
    }
    let mut shadowed = ask(&WORLD.shadowed, evidence);
    assert!(
        !shadowed
            .shadow
            .iter()
            .any(|shadow| &*shadow.rule == "off-forbid")
    );
    shadowed.shadow.clear();
    assert_eq!(decision, shadowed);
    check_engine(request, flow, &evidence, &decision);
}

fn check_permit(request: &Request<'_>, peer: Option<&Peer>, decision: &Decision) {
    assert!(peer.is_none_or(|peer| NOW < peer.expires_at()));
    let name = decision.rule.as_deref().expect("a permit has a rule");
    let document = WORLD.base.document();
    let rule = document
        .rules
        .iter()
        .find(|rule| &*rule.name.value == name)
        .expect("declared");
    assert_eq!((rule.effect, rule.mode), (Effect::Permit, Mode::Enforce));
    let public = rule.from.iter().any(|from| from.value == Principal::Public);
    match peer {
        None => assert!(public && request.port.number() == 443 && !request.egress),
        Some(_) => assert!(!public, "`public` is a caller without an SVID"),
    }
    match request.asked.action() {
        None => assert_eq!(decision.stage, Stage::Flow),
        Some(action) => {
            let action = action.expect("an ambiguous path is never permitted");
            assert_eq!(decision.stage, Stage::Action);
            assert!(
                rule.actions
                    .iter()
                    .any(|pattern| pattern.value.permits(&action))
            );
            assert!(!rule.actions.is_empty());
        }
    }
    // What the document says in its own words, once more and by hand.
    let iot = matches!(request.place, request::Place::Iot(_));
    assert!(request.egress || !iot || request.to == request::Name::Retriever);
}

fn check_engine(
    request: &Request<'_>,
    flow: Flow<'_>,
    evidence: &Evidence<'_>,
    decision: &Decision,
) {
    let before = WORLD.audit.taken();
    let flow_only = decide(&WORLD.base, &Input::new(flow), NOW);
    let permit = WORLD.engine.permit_flow(&flow, NOW);
    assert_eq!(WORLD.audit.taken(), before + 1);
    let permit = match permit {
        Ok(permit) => permit,
        Err(denial) => {
            assert_eq!(denial.decision(), &flow_only);
            return;
        }
    };
    assert_eq!(flow_only.verdict, Verdict::Permit);
    let Some(Ok(action)) = request.asked.action() else {
        return;
    };
    let answer = WORLD.engine.authorize(&permit, &action, evidence, NOW);
    assert_eq!(WORLD.audit.taken(), before + 2);
    match answer {
        Ok(permit) => {
            assert_eq!(decision.verdict, Verdict::Permit);
            assert_eq!(Some(permit.rule()), decision.rule.as_deref());
            assert!(
                NOW < permit.expires_at(),
                "a permit outlives what it rests on"
            );
            assert!(WORLD.engine.is_current(&permit, NOW));
        }
        Err(denial) => assert_eq!(denial.decision(), decision),
    }
}
