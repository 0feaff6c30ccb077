//! Who comes along is looked up, however many forbids there are (T12).
#![expect(
    clippy::disallowed_methods,
    reason = "tests vouch for their own claims"
)]

use super::*;
use ztl_core::policy::{Input, decide};
use ztl_core::{Claims, Timestamp};

/// A document with many forbids about one target, of which one speaks of who comes along, by each kind of name.
fn policy(named: &str) -> Policy {
    let mut text = "schema = 1\ntrust_domain = 'p.example'\n\
        [workloads.web]\nid = 'spiffe://p.example/web'\nlabels = { tier = 'edge' }\n\
        [workloads.thing]\nid = 'spiffe://p.example/things/one'\nlabels = { tier = 'thing' }\n\
        [workloads.db]\nid = 'spiffe://p.example/db'\nports = [1]\nlabels = { tier = 'data' }\n\
        [[permit]]\nfrom = 'web'\nto = 'db'\nactions = 'any'\n"
        .to_owned();
    for at in 0..500 {
        text += &format!("[[forbid]]\nfrom = 'spiffe://p.example/other/{at}'\nto = 'db'\n");
    }
    text += &format!("[[forbid]]\nname = 'the-one'\nfrom = {named}\nto = 'db'\n");
    Policy::from_toml(&text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn t12_one_who_comes_along_is_found_among_many_forbids() {
    let long = (0..20).map(|at| format!("'spiffe://p.example/more/{at}/**'"));
    let long = long.collect::<Vec<_>>().join(", ");
    let names = [
        "'thing'".to_owned(),
        "'spiffe://p.example/things/one'".to_owned(),
        "'spiffe://p.example/things/**'".to_owned(),
        "'trust-domain:p.example'".to_owned(),
        "'label:tier=thing'".to_owned(),
        format!("[{long}, 'thing']"),
        format!("[{long}, 'label:tier=thing']"),
    ];
    let peer = support::peer("spiffe://p.example/web");
    let action = ztl_core::Action::request("GET", "/").expect("a path");
    for named in names {
        let policy = policy(&named);
        let flow = ztl_core::Flow::ingress("db", 1, ztl_core::Arrival::unknown(), Some(&peer));
        let said = |subject: &str| {
            let claims = json!({ "iss": "x", "sub": subject });
            let claims = claims.as_object().expect("claims").clone();
            let claims = Claims::assertion(claims, Timestamp::MAX, "test");
            let evidence = ztl_core::Evidence::none().with_claims(&claims);
            let input = Input::new(flow)
                .with_action(Ok(action))
                .with_evidence(evidence);
            let decision = decide(&policy, &input, support::NOW);
            (decision.reason, decision.rule.map(|rule| rule.to_string()))
        };
        let forbidden = (Reason::Forbidden, Some("the-one".to_owned()));
        if named.contains("trust-domain") {
            // It speaks of the peer as well.
            assert_eq!(said("alice"), forbidden, "{named}");
            continue;
        }
        assert_eq!(said("spiffe://p.example/things/one"), forbidden, "{named}");
        assert_eq!(said("alice").0, Reason::Permitted, "{named}");
        assert_eq!(
            said("spiffe://p.example/db").0,
            Reason::Permitted,
            "{named}"
        );
        let other = (Reason::Forbidden, Some("forbid-8".to_owned()));
        assert_eq!(said("spiffe://p.example/other/7"), other, "{named}");
    }
}
