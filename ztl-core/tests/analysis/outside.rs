//! What guards let out of the mesh: `reach`, who reaches a destination, and assertions; against trying everything.

use std::collections::BTreeSet;

use ztl_core::analysis::{self, ReachError, ReachOptions};
use ztl_core::policy::{Policy, Query};

use crate::support;

const HEAD: &str = "schema = 1\ntrust_domain = 'prod.example'\n\
    [zones.production]\nnetworks = ['10.10.0.0/16']\n[zones.iot]\nnetworks = ['10.20.0.0/16']\n\
    [workloads.a]\nid = 'spiffe://prod.example/ns/a'\nzone = 'production'\nlabels = { tier = 'front' }\n\
    [workloads.b]\nid = 'spiffe://prod.example/b'\nzone = 'iot'\nlabels = { tier = 'back' }\n\
    [workloads.c]\nid = 'spiffe://prod.example/c'\nlabels = { tier = 'back' }\n\
    [external.hub]\nhosts = ['hub.example.org']\nports = [443, 8443]\n\
    [external.inner]\nhosts = ['inner.example.org']\nnetworks = ['10.2.0.0/16']\n";
const WORKLOADS: [&str; 3] = ["a", "b", "c"];
const PORTS: [(&str, &str, u16); 3] = [
    ("hub", "hub.example.org", 443),
    ("hub", "hub.example.org", 8443),
    ("inner", "inner.example.org", 443),
];
const ACTIONS: [&str; 5] = [
    r#""method":"GET","path":"/v1/x""#,
    r#""method":"GET","path":"/v1/y""#,
    r#""method":"POST","path":"/z""#,
    r#""method":"GET","path":"/v1/x","headers":{"upgrade":"websocket"}"#,
    r#""action":"connect""#,
];

fn load(text: &str) -> Policy {
    Policy::from_toml(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Whether anything at all is let out there.
fn lets_out(policy: &Policy, from: &str, host: &str, port: u16) -> bool {
    ACTIONS.iter().any(|action| {
        let line = format!(r#"{{"from":"{from}","to":"{host}","port":{port},{action}}}"#);
        let query = Query::from_json(&line).expect("query");
        let decision = query.decide(policy, support::NOW).expect("decided");
        decision.verdict == ztl_core::Verdict::Permit
    })
}

/// Every document of one permit and at most one forbid, from these parts: the permit, the forbid, and whether that counts in an
/// assertion.
fn documents() -> Vec<(String, &'static str, bool)> {
    let mut all = Vec::new();
    for from in [
        "a",
        "label:tier=front",
        "zone:production",
        "zone:iot",
        "any",
        "spiffe://prod.example/ns/**",
    ] {
        for to in ["'external:hub'", "['external:hub', 'external:inner']"] {
            for ports in ["", "ports = 443\n", "ports = '8000-9000'\n"] {
                for actions in ["GET /v1/{id}", "connect", "any"] {
                    if to.contains("inner") && ports.contains("8000") {
                        continue;
                    }
                    let permit = format!(
                        "[[permit]]\nname = 'p'\nfrom = '{from}'\nto = {to}\n{ports}actions = '{actions}'\n"
                    );
                    for (forbid, counts) in [
                        ("", true),
                        ("[[forbid]]\nfrom = 'a'\nto = 'external:hub'\n", true),
                        ("[[forbid]]\nfrom = 'any'\nto = 'any'\nports = 443\n", true),
                        (
                            "[[forbid]]\nfrom = 'zone:production'\nto = 'external:hub'\n",
                            true,
                        ),
                        (
                            "[[forbid]]\nfrom = 'label:tier=back'\nto = 'any'\nactions = 'GET /v1/x'\n",
                            false,
                        ),
                        (
                            "[[forbid]]\nfrom = 'any'\nto = 'external:hub'\nactions = 'GET /v1/{id}'\n",
                            false,
                        ),
                        (
                            "[[forbid]]\nfrom = 'any'\nto = 'any'\nmode = 'shadow'\n",
                            false,
                        ),
                    ] {
                        all.push((permit.clone(), forbid, counts));
                    }
                }
            }
        }
    }
    all
}

#[test]
fn t27_what_guards_let_out_is_what_trying_everything_lets_out() {
    for (permit, forbid, _) in documents() {
        let text = format!("{HEAD}{permit}{forbid}");
        let policy = load(&text);
        let mut tried = BTreeSet::new();
        for from in WORKLOADS {
            for (name, host, port) in PORTS {
                if lets_out(&policy, from, host, port) {
                    tried.insert((from.to_owned(), name.to_owned(), port));
                }
            }
        }
        let told = |exits: &[analysis::ReachExit]| -> BTreeSet<_> {
            let exits = exits.iter();
            exits
                .map(|one| (one.from.to_string(), one.to.to_string(), one.port))
                .collect()
        };
        let options = ReachOptions::new();
        let (mut forward, mut back) = (BTreeSet::new(), BTreeSet::new());
        for from in WORKLOADS {
            let reach = analysis::reach(&policy, from, &options).expect("reach");
            assert!(reach.exits.iter().all(|one| one.freely && one.hop == 1));
            forward.extend(told(&reach.exits));
        }
        for name in ["hub", "inner"] {
            let by = analysis::reached_by(&policy, name, &options).expect("reached");
            let callers: BTreeSet<_> = by.callers.iter().map(|one| &*one.workload).collect();
            assert!(by.exits.iter().all(|one| callers.contains(&*one.from)));
            back.extend(told(&by.exits));
        }
        assert_eq!((&forward, &back), (&tried, &tried), "{text}");
    }
}

#[test]
fn t10_an_assertion_about_the_outside_is_what_trying_everything_says() {
    let meant = |from: &str| -> &[&str] {
        match from {
            "a" => &["a"],
            "zone:iot" => &["b", "c"],
            "label:tier=back" => &["b", "c"],
            "spiffe://prod.example/ns/**" => &["a"],
            _ => &WORKLOADS,
        }
    };
    for (permit, forbid, counts) in documents() {
        let strong = if counts { forbid } else { "" };
        let relaxed = load(&format!("{HEAD}{permit}{strong}"));
        for from in [
            "a",
            "zone:iot",
            "label:tier=back",
            "spiffe://prod.example/ns/**",
            "any",
        ] {
            for (to, ports) in [
                ("external:hub", ""),
                ("any", ""),
                ("external:inner", ""),
                ("any", "ports = 8443\n"),
            ] {
                let never =
                    format!("[[never]]\nname = 'kept'\nfrom = '{from}'\nto = '{to}'\n{ports}");
                let holds = Policy::from_toml(&format!("{HEAD}{permit}{forbid}{never}"));
                let broken = meant(from).iter().any(|from| {
                    PORTS.iter().any(|(name, host, port)| {
                        (to == "any" || to == format!("external:{name}"))
                            && (ports.is_empty() || *port == 8443)
                            && lets_out(&relaxed, from, host, *port)
                    })
                });
                assert_eq!(holds.is_err(), broken, "{permit}{forbid}{never}");
                if let Err(error) = holds {
                    let error = error.to_string();
                    assert!(
                        error.contains("`kept` does not hold: the permit `p` lets `"),
                        "{error}"
                    );
                    assert!(error.contains("reach `external:"), "{error}");
                }
            }
        }
    }
}

const CHAIN: &str = "schema = 1\ntrust_domain = 'prod.example'\n\
    [workloads.gateway]\nid = 'spiffe://prod.example/gateway'\nports = [8443]\npublic_ports = [443]\n\
    [workloads.trainer]\nid = 'spiffe://prod.example/trainer'\nports = [8443]\n\
    [workloads.other]\nid = 'spiffe://prod.example/other'\nports = [8443]\n\
    [external.hub]\nhosts = ['hub.example.org']\n\
    [[permit]]\nname = 'open'\nfrom = 'public'\nto = 'gateway'\nactions = 'GET /hello'\nanonymous = true\n\
    [[permit]]\nname = 'trains'\nfrom = 'gateway'\nto = 'trainer'\nactions = 'POST /runs'\n\
    [permit.require]\nmfa = true\n\
    [[permit]]\nname = 'fetches'\nfrom = 'trainer'\nto = 'external:hub'\nactions = ['GET /models/{*path}']\n";

#[test]
fn t10_over_several_hops_an_assertion_counts_who_can_be_had_to_call() {
    let with = |more: &str, never: &str| {
        let text = format!("{CHAIN}{more}[[never]]\nname = 'in'\n{never}\n");
        Policy::from_toml(&text)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    let far = "to = 'external:hub'\ntransitive = true";
    with("", "from = 'gateway'\nto = 'external:hub'").expect("its own guard lets nothing out");
    let error = with("", &format!("from = 'gateway'\n{far}")).expect_err("a chain");
    let chain = "`gateway` reaches `trainer` on port 8443 (permit `trains`), \
                 `trainer` reaches `external:hub` on port 443 (permit `fetches`)";
    assert!(error.contains(chain), "{error}");
    // Callers that have no guard, and one that is nobody, have others call.
    for from in ["public", "trust-domain:elsewhere.example", "other"] {
        let error = with("", &format!("from = '{from}'\n{far}")).expect_err("a chain");
        assert!(
            error.contains("`trainer` reaches `external:hub`"),
            "{from}: {error}"
        );
    }
    // What the last call must not be is said as always, and an enforced forbid on any hop is a cut.
    let only = |what: &str| with("", &format!("from = 'gateway'\n{far}\n{what}"));
    assert!(only("actions = 'GET /models/secret'").is_err());
    assert_eq!(only("actions = 'PUT /models/{*path}'"), Ok(()));
    assert_eq!(only("ports = 8443"), Ok(()));
    for cut in [
        "[[forbid]]\nfrom = 'gateway'\nto = 'trainer'\n",
        "[[forbid]]\nfrom = ['trainer', 'public']\nto = 'any'\n",
    ] {
        assert_eq!(
            with(cut, &format!("from = 'gateway'\n{far}")),
            Ok(()),
            "{cut}"
        );
    }
    // `any` is more than every workload.
    let any = "from = 'trainer'\nto = 'any'\nactions = 'GET /models/a'";
    let error = with("", any).expect_err("outside too");
    assert!(
        error.contains("the permit `fetches` lets `trainer` reach `external:hub` on port 443"),
        "{error}"
    );
}

#[test]
fn t10_an_assertion_that_nobody_can_break_is_refused() {
    let with = |never: &str| {
        let text = format!("{CHAIN}[[never]]\nname = 'in'\n{never}\n");
        Policy::from_toml(&text)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    let error = with("from = 'other'\nto = 'external:hbu'").expect_err("unknown");
    assert!(
        error.contains("there is no external destination `hbu`"),
        "{error}"
    );
    let error = with("from = 'public'\nto = 'external:hub'").expect_err("nobody");
    assert!(
        error.contains("can never be broken") && error.contains("transitive = true"),
        "{error}"
    );
    assert_eq!(
        with("from = ['public', 'other']\nto = 'external:hub'"),
        Ok(())
    );
    // No more can whoever no declared workload is.
    for nobody in [
        "'trust-domain:elsewhere.example'",
        "'spiffe://elsewhere.example/**'",
        "'spiffe://prod.example/nobody'",
        "['spiffe://prod.example/nobody', 'public']",
    ] {
        let never = format!("from = {nobody}\nto = 'external:hub'");
        let error = with(&never).expect_err(nobody);
        assert!(
            error.contains("`in` can never be broken: who calls outside the mesh is a declared workload, and `from` means none")
                && error.contains("transitive = true"),
            "{nobody}: {error}"
        );
        // Over several hops it could be, and of a workload it could be over one.
        assert!(
            with(&format!("{never}\ntransitive = true"))
                .is_err_and(|error| error.contains("does not hold over several hops")),
            "{nobody}"
        );
    }
    for known in [
        "'spiffe://prod.example/**'",
        "'any'",
        "['other', 'trust-domain:elsewhere.example']",
    ] {
        let never =
            format!("from = {known}\nto = 'external:hub'\nactions = 'PUT /models/{{*path}}'");
        assert_eq!(with(&never), Ok(()), "{known}");
    }
}

#[test]
fn t10_a_zone_that_no_workload_can_be_in_breaks_no_assertion_about_what_is_outside() {
    let with = |zone: &str| {
        let text = format!(
            "schema = 1\ntrust_domain = 'prod.example'\n[zones.dmz]\nnetworks = ['10.0.0.0/8']\n\
             [zones.farm]\nnetworks = ['192.168.0.0/16']\n[workloads.web]\nid = 'spiffe://prod.example/web'\nports = [8443]\nzone = 'dmz'\n\
             [external.hub]\nhosts = ['hub.example.org']\n\
             [[never]]\nname = 'in'\nfrom = 'zone:{zone}'\nto = 'external:hub'\n"
        );
        Policy::from_toml(&text)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert_eq!(with("dmz"), Ok(()));
    let error = with("farm").expect_err("nobody stands there");
    assert!(error.contains("`in` can never be broken"), "{error}");
}

#[test]
fn t27_what_is_let_out_behind_others_is_told_with_how_it_is_reached() {
    let policy = load(CHAIN);
    let found = analysis::reach(&policy, "gateway", &ReachOptions::new()).expect("reach");
    let [exit] = found.exits.as_slice() else {
        panic!("{found:#?}")
    };
    assert_eq!(
        (exit.hop, &*exit.from, &*exit.to, exit.port),
        (2, "trainer", "hub", 443)
    );
    assert!(!exit.freely, "it is reached only with mfa");
    assert_eq!(exit.uses[0].actions, ["GET /models/{*path}"]);
    assert_eq!(exit.hosts.len(), 1);
    let near = analysis::reach(&policy, "gateway", &ReachOptions::new().hops(1)).expect("reach");
    assert_eq!(near.exits, []);

    let by = |options: &ReachOptions| {
        let by = analysis::reached_by(&policy, "hub", options).expect("reached");
        let callers = by.callers.into_iter();
        let told = callers.map(|one| {
            (
                one.workload.to_string(),
                one.hops,
                one.over.map(|over| over.to_string()),
                one.freely,
            )
        });
        told.collect::<Vec<_>>()
    };
    let owned = |name: &str, hops, over: Option<&str>, freely| {
        (name.to_owned(), hops, over.map(str::to_owned), freely)
    };
    assert_eq!(
        by(&ReachOptions::new()),
        [
            owned("trainer", 1, None, true),
            owned("gateway", 2, Some("trainer"), false),
            // As anybody without an SVID, at the gateway.
            owned("other", 3, Some("gateway"), false),
        ]
    );
    assert_eq!(by(&ReachOptions::new().hops(1)).len(), 1);
    assert_eq!(by(&ReachOptions::new().hops(0)), []);
    assert_eq!(by(&ReachOptions::new().without("open")).len(), 2);
    assert_eq!(by(&ReachOptions::new().without("fetches")), []);
    let unknown = analysis::reached_by(&policy, "hbu", &ReachOptions::new());
    assert_eq!(
        unknown.map(|_| ()),
        Err(ReachError::UnknownExternal("hbu".to_owned()))
    );
}
