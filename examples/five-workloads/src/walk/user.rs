//! The user's part of the walk.

use std::error::Error;
use std::time::Duration;

use ztl_core::Verdict;

use super::{Before, Steps, Story, judged};
use crate::foretell::Ask;
use crate::mesh::{GATEWAY, Mesh};
use crate::step::Heard;
use crate::table::Section;
use crate::user::{self, User};
use crate::wire::Protocol;

/// The user's part.
pub(crate) async fn user(mesh: &Mesh) -> Result<Section, Box<dyn Error>> {
    let user = User::new(&mesh.pki, mesh.places.user, mesh.address(GATEWAY)?)?;
    let token = mesh.pki.token("ask", Duration::ZERO)?;
    let mut story = Story {
        step: "asks with a token",
        caller: "user",
        told: Verdict::Permit,
        protocol: Some(Protocol::Http2),
    };
    let ask = Ask {
        from: mesh.places.user,
        chain: None,
        target: GATEWAY,
        method: user::METHOD,
        path: user::PATH,
        token: Some(&token),
    };
    let before = Before::of(mesh)?;
    let exchange = user.ask(Some(&token), Protocol::Http2).await;
    let mut steps = vec![judged(mesh, &before, &story, &ask, &Heard::of(&exchange)).await?];
    steps.extend(hops(mesh, &before).await?);
    for (step, token) in user::bad_tokens(&mesh.pki)? {
        for protocol in Protocol::BOTH {
            (story.step, story.told, story.protocol) = (step, Verdict::Deny, Some(protocol));
            let ask = Ask {
                token: token.as_deref(),
                ..ask
            };
            let before = Before::of(mesh)?;
            let exchange = user.ask(token.as_deref(), protocol).await;
            steps.push(judged(mesh, &before, &story, &ask, &Heard::of(&exchange)).await?);
        }
    }
    let answer = user::answer(&exchange).unwrap_or("no answer");
    Ok(Section {
        title: "A user asks, and the request walks through all five",
        story: format!("asked:  {}\nanswer: {answer}", user::QUESTION),
        steps,
    })
}

/// The hops of the user's request behind the gateway: each judged at both its ends.
async fn hops(mesh: &Mesh, before: &Before) -> Steps {
    let mut steps = Vec::new();
    for (caller, target, path) in [
        ("gateway", "router", "/v1/route"),
        ("router", "retriever", "/v1/search/handbook"),
        (
            "retriever",
            "vector-store",
            "/v1/collections/handbook/query",
        ),
        ("retriever", "model-server", "/v1/models/tiny/infer"),
    ] {
        let ask = Ask {
            from: mesh.places.of_workload(caller),
            chain: Some(mesh.pki.of(caller)?.chain()),
            target,
            method: "POST",
            path,
            token: None,
        };
        let story = Story {
            step: "  hands it on",
            caller,
            told: Verdict::Permit,
            protocol: None,
        };
        let mut step = judged(mesh, before, &story, &ask, &Heard::Elsewhere).await?;
        let action = ask.action();
        let ledger = &mesh.workload(caller)?.ledger;
        let left = ledger.find(before.records(caller), |entry| {
            !entry.is_ingress() && entry.action.as_deref() == Some(&*action)
        });
        if left.await.is_none_or(|entry| entry.verdict != "permit") {
            step.wrong
                .push(format!("the guard of `{caller}` did not let it leave"));
        }
        steps.push(step);
    }
    Ok(steps)
}
