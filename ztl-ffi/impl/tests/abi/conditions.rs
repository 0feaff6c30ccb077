//! Conditions (`when`) over C: read where the library was built with them, refused elsewhere.

use ztl_ffi_impl::*;

use crate::harness::*;

/// `POLICY`, where who infers may only ask for one model, and with a score above 30; and where nobody whose device is lost chats.
fn conditional() -> String {
    let asked = "actions = [\"POST /v1/models/{model}/infer\", \"GET /v1/chat\"]\n";
    let when = "[permit.require]\nwhen = 'params.model == \"llama\" && trust_score > 30 && now > timestamp(\"2026-01-01T00:00:00Z\")'\n";
    let narrowed = format!("actions = [\"POST /v1/models/{{model}}/infer\"]\n{when}");
    assert!(POLICY.contains(asked));
    let chat = "[[permit]]\nname = \"chat\"\nfrom = \"router\"\nto = \"model-server\"\nports = 8443\nactions = [\"GET /v1/chat\"]\n\
        [[forbid]]\nname = \"lost\"\nfrom = \"router\"\nto = \"model-server\"\nports = 8443\nactions = [\"GET /v1/chat\"]\nwhen = 'posture.lost == true'\n";
    format!("{}\n{chat}", POLICY.replace(asked, &narrowed))
}

#[cfg(feature = "cel")]
#[test]
fn a_condition_is_asked_of_what_c_says() {
    let engine = Engine::new(&conditional());
    let flow = engine.flow();
    let infer = |target, trust_score| ztl_action_request {
        trust_score,
        ..request("POST", target)
    };
    let ask = |target, score| engine.authorize(&flow, &infer(target, score));
    let permitted = ask("/v1/models/llama/infer", 31);
    assert_eq!(permitted.is_permitted().rule(), "router-infers");
    ask("/v1/models/llama/infer", 30).is_denied(ZTL_REASON_OBJECTED);
    ask("/v1/models/gpt/infer", 90).is_denied(ZTL_REASON_OBJECTED);
    // Law 4: what is missing is no good news, nor what C has no words for.
    ask("/v1/models/llama/infer", -1).is_denied(ZTL_REASON_EVIDENCE_MISSING);
    let chat = engine.authorize(&flow, &request("GET", "/v1/chat"));
    chat.is_denied(ZTL_REASON_FORBIDDEN);
}

#[cfg(feature = "cel")]
#[test]
fn rule_15_a_condition_that_is_none_refuses_the_policy_with_its_place() {
    let nested = format!(
        "when = '{}1{} == 1'",
        "(".repeat(10_000),
        ")".repeat(10_000)
    );
    for (when, said) in [
        ("when = 'parms.model == \"llama\"'", "unknown name `parms`"),
        ("when = 'params.model +'", "the condition ends too early"),
        (nested.as_str(), "30:"),
    ] {
        let conditional = conditional();
        let there = conditional
            .lines()
            .find(|line| line.starts_with("when = 'params"));
        let policy = conditional.replace(there.expect("there"), when);
        let (status, message) = refused(&policy);
        assert_eq!(status, ZTL_ERR_POLICY);
        assert!(message.contains(said), "{message}");
    }
}

#[cfg(not(feature = "cel"))]
#[test]
fn a_library_without_conditions_refuses_a_policy_that_has_one() {
    let (status, message) = refused(&conditional());
    assert_eq!(status, ZTL_ERR_POLICY);
    assert!(message.contains("when"), "{message}");
}

fn refused(policy: &str) -> (ztl_status, String) {
    let engine = Engine::new(POLICY);
    let (status, error) = engine.swap(policy);
    let (told, message) = error.expect("an error");
    assert_eq!(status, told);
    // What was in force is.
    engine.authorize(&engine.flow(), &infer()).is_permitted();
    (status, message)
}
