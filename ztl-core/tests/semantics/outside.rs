//! Destinations outside the mesh: what names them, and what is refused to be said of them (T27).

use super::*;
use ztl_core::policy::{Format, Input, Loader, Query, decide, reference};
use ztl_core::{Action, Arrival, Flow, Timestamp, WebHost};

const HEAD: &str = r#"
schema = 1
trust_domain = "prod.example"
[zones.production]
networks = ["10.10.0.0/16"]
[workloads.caller]
id = "spiffe://prod.example/caller"
zone = "production"
labels = { tier = "front" }
[workloads.other]
id = "spiffe://prod.example/other"
labels = { tier = "back" }
ports = [8443]
[external.hub]
hosts = ["hub.example.org", "mirror.example.org"]
ports = [443, 8443]
[external.inner]
hosts = ["inner.example.org"]
networks = ["10.2.0.0/16"]
"#;

const READS: &str = "[[permit]]\nname = 'reads'\nfrom = 'caller'\nto = 'external:hub'\nports = 443\n\
                     actions = ['GET /v1/{*rest}', 'connect']\n";

fn policy(rules: &str) -> Policy {
    Policy::from_toml(&format!("{HEAD}{rules}")).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(rules: &str) -> String {
    let loaded = Policy::from_toml(&format!("{HEAD}{rules}"));
    loaded.expect_err("refused").to_string()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests stand for the verifier"
)]
fn host(name: &str, addr: &str, until: Timestamp) -> WebHost {
    WebHost::assertion(name, addr.parse().expect("address"), until, "test")
}

/// Stage, reason and rule, on which engine and reference have to agree.
fn says(policy: &Policy, flow: Flow<'_>, action: Option<(&'static str, &'static str)>) -> String {
    let mut input = Input::new(flow);
    if let Some((method, path)) = action {
        input = input.with_action(match method {
            "connect" => Ok(Action::Connect),
            _ => Action::request(method, path),
        });
    }
    let (said, meant) = (
        decide(policy, &input, NOW),
        reference::decide(policy.document(), &Loader::new(), &input, NOW),
    );
    let shown = |one: &ztl_core::Decision| format!("{one:?}");
    assert_eq!(shown(&said), shown(&meant));
    let rule = said.rule.as_deref().unwrap_or("-");
    format!("{} {} {rule}", said.stage.as_str(), said.reason.code())
}

#[test]
fn t27_only_a_permit_that_names_the_host_lets_its_port_and_action_out() {
    let policy = policy(READS);
    let hub = host("hub.example.org", "1.1.1.1", Timestamp::MAX);
    let out = |me, port, action| says(&policy, Flow::external(me, port, &hub), action);
    let get = Some(("GET", "/v1/a"));
    assert_eq!(out("caller", 443, get), "action permitted reads");
    assert_eq!(out("caller", 443, None), "flow permitted reads");
    assert_eq!(
        out("caller", 443, Some(("connect", ""))),
        "action permitted reads"
    );
    assert_eq!(
        out("caller", 443, Some(("POST", "/v1/a"))),
        "action no_action_permitted -"
    );
    assert_eq!(
        out("caller", 443, Some(("GET", "/v2"))),
        "action no_action_permitted -"
    );
    assert_eq!(
        out("caller", 443, Some(("GET", "/v1/../v2"))),
        "action path_ambiguous -"
    );
    assert_eq!(out("caller", 8443, get), "flow no_flow_permitted -");
    assert_eq!(out("caller", 80, get), "flow no_flow_permitted -");
    assert_eq!(out("other", 443, get), "flow no_flow_permitted -");
    assert_eq!(out("nobody", 443, get), "flow no_flow_permitted -");
    for (name, addr, until, meant) in [
        (
            "mirror.example.org",
            "1.1.1.1",
            Timestamp::MAX,
            "action permitted reads",
        ),
        (
            "inner.example.org",
            "10.2.0.1",
            Timestamp::MAX,
            "flow no_flow_permitted -",
        ),
        (
            "evil.example.org",
            "1.1.1.1",
            Timestamp::MAX,
            "flow no_flow_permitted -",
        ),
        (
            "HUB.example.org",
            "1.1.1.1",
            Timestamp::MAX,
            "flow no_flow_permitted -",
        ),
        (
            "other",
            "1.1.1.1",
            Timestamp::MAX,
            "flow no_flow_permitted -",
        ),
        (
            "hub.example.org",
            "127.0.0.1",
            Timestamp::MAX,
            "flow no_flow_permitted -",
        ),
        (
            "hub.example.org",
            "10.2.0.1",
            Timestamp::MAX,
            "flow no_flow_permitted -",
        ),
        (
            "hub.example.org",
            "1.1.1.1",
            NOW,
            "identity identity_expired -",
        ),
    ] {
        let host = host(name, addr, until);
        assert_eq!(
            says(&policy, Flow::external("caller", 443, &host), get),
            meant,
            "{name} {addr}"
        );
    }
    let unproved = Flow::external_unproved("caller", 443, "hub.example.org", Arrival::unknown());
    assert_eq!(says(&policy, unproved, get), "identity identity_unproven -");
    // A host is never a workload, nor the other way round.
    let peer = support::peer("spiffe://prod.example/other");
    assert_eq!(
        says(&policy, Flow::egress("caller", 8443, &peer), get),
        "flow no_flow_permitted -"
    );
}

#[test]
fn t27_whom_rules_about_a_host_speak_of() {
    let get = Some(("GET", "/v1/a"));
    let hub = host("hub.example.org", "1.1.1.1", Timestamp::MAX);
    let inner = host("inner.example.org", "10.2.0.1", Timestamp::MAX);
    let permit = |from: &str, to: &str| {
        format!("[[permit]]\nname = 'p'\nfrom = '{from}'\nto = {to}\nactions = 'any'\n")
    };
    let forbid = |more: &str| format!("[[forbid]]\nname = 'f'\nfrom = 'caller'\n{more}\n");
    for (rules, meant) in [
        (
            permit("label:tier=front", "'external:hub'"),
            "action permitted p",
        ),
        (
            permit("zone:production", "'external:hub'"),
            "action permitted p",
        ),
        (
            permit("any", "['other', 'external:hub']"),
            "action permitted p",
        ),
        (
            permit("spiffe://prod.example/**", "'external:hub'"),
            "action permitted p",
        ),
        (
            permit("other", "'external:hub'"),
            "flow no_flow_permitted -",
        ),
        // `any` in a permit is every workload, and nobody else.
        (permit("caller", "'any'"), "flow no_flow_permitted -"),
        (READS.to_owned() + &forbid("to = 'any'"), "flow forbidden f"),
        (
            READS.to_owned() + &forbid("to = 'any'\nports = 443"),
            "flow forbidden f",
        ),
        (
            READS.to_owned() + &forbid("to = 'any'\nports = 8443"),
            "action permitted reads",
        ),
        (
            READS.to_owned() + &forbid("to = 'external:hub'\nactions = 'GET /v1/{a}'"),
            "action forbidden f",
        ),
        (
            READS.to_owned() + &forbid("to = 'external:inner'"),
            "action permitted reads",
        ),
        // One that hangs on a token, of all workloads, says nothing of where nobody has one.
        (
            READS.to_owned() + &forbid("to = 'spiffe://prod.example/**'\nsubject = 'other'"),
            "action permitted reads",
        ),
        (
            READS.to_owned() + &forbid("to = 'external:hub'\nmode = 'shadow'"),
            "action permitted reads",
        ),
        (
            READS.replace("ports = 443", "mode = 'off'"),
            "flow no_flow_permitted -",
        ),
    ] {
        let flow = Flow::external("caller", 443, &hub);
        assert_eq!(says(&policy(&rules), flow, get), meant, "{rules}");
    }
    // Its own networks, and every port of the section where the permit names none.
    let policy = policy(&permit("caller", "'external:inner'"));
    let flow = Flow::external("caller", 443, &inner);
    assert_eq!(says(&policy, flow, get), "action permitted p");
}

#[test]
fn law_1_what_nobody_would_judge_outside_refuses_the_document() {
    let with = |more: &str| format!("{READS}{more}\n");
    for more in [
        "[permit.require]\ntrust_score = 70",
        "[permit.require]\nmfa = true",
        "[permit.require]\nheaders = { x = ['a'] }",
        "[permit.oblige]\nmax_body = 10",
        "subject = 'other'",
    ] {
        assert!(
            refused(&with(more)).contains("outside the mesh nobody judges it"),
            "{more}"
        );
    }
    let forbid = "[[forbid]]\nfrom = 'caller'\nto = 'external:hub'\nsubject = 'other'\n";
    assert!(refused(forbid).contains("outside the mesh nobody judges it"));
    assert!(refused(&READS.replace("443", "80")).contains("has none of these ports"));
    // Nor may a forbid of `any` be passed over there: who is forbidden everything would get out.
    let forbid = |from: &str, more: &str| {
        format!("[[forbid]]\nname = 'f'\nfrom = '{from}'\nto = 'any'\nsubject = 'other'\n{more}\n")
    };
    for (from, more) in [
        ("caller", ""),
        ("any", ""),
        ("label:tier=front", ""),
        ("zone:production", "ports = [443]"),
        ("spiffe://prod.example/**", "ports = ['400-500']"),
        ("caller", "actions = ['POST /v2']"),
    ] {
        let refused = refused(&with(&forbid(from, more)));
        assert!(
            refused.contains("where `caller` may call port 443, nobody judges it"),
            "{from} {more}: {refused}"
        );
        assert!(refused.contains("write `spiffe://prod.example/**` for all"));
        let label = READS.replace("'caller'", "'label:tier=front'");
        assert!(
            label != READS
                && Policy::from_toml(&format!("{HEAD}{label}{}", forbid(from, more))).is_err()
        );
    }
    for (rules, from, more) in [
        (READS, "other", ""),
        (READS, "label:tier=back", ""),
        (READS, "caller", "ports = 8443"),
        (READS, "caller", "mode = 'shadow'"),
        ("", "caller", ""),
        (
            &*READS.replace("ports = 443", "mode = 'shadow'"),
            "caller",
            "",
        ),
    ] {
        policy(&format!("{rules}{}", forbid(from, more)));
    }
    let public = READS.replace("'caller'", "'public'") + "anonymous = true\n";
    assert!(refused(&public).contains("can never match"));
    assert!(refused(&READS.replace(":hub", ":hbu")).contains("did you mean `hub`?"));
    let twice = "[external.again]\nhosts = ['hub.example.org']\n";
    assert!(refused(twice).contains("already stands in `external.hub`"));
    assert!(Policy::from_toml(&HEAD.replace("10.2.0.0/16", "10.2.0.0")).is_err());
}

#[test]
fn t27_a_question_names_a_host_by_its_dot() {
    let policy = policy(READS);
    let ask = |text: &str| {
        let query = Query::from_json(text).map_err(|error| error.to_string())?;
        let decision = query
            .decide(&policy, NOW)
            .map_err(|error| error.to_string())?;
        Ok::<_, String>(decision.reason.code())
    };
    let line = |more: &str| {
        format!(r#"{{"from":"caller","to":"hub.example.org","method":"GET","path":"/v1/a"{more}}}"#)
    };
    assert_eq!(ask(&line(r#","port":443"#)), Ok("permitted"));
    assert_eq!(ask(&line(r#","port":8443"#)), Ok("no_flow_permitted"));
    assert_eq!(
        ask(&line(r#","port":443,"to_addr":"1.1.1.1""#)),
        Ok("permitted")
    );
    let metadata = line(r#","port":443,"to_addr":"169.254.169.254""#);
    assert_eq!(ask(&metadata), Ok("no_flow_permitted"));
    // Without a port it is that of the URL, which the client calls, and never another one that the section has.
    assert_eq!(ask(&line("")), Ok("permitted"));
    let elsewhere = Policy::from_toml(
        &format!("{HEAD}{READS}")
            .replace("443, 8443", "8443")
            .replace("ports = 443", ""),
    );
    let elsewhere = elsewhere.unwrap_or_else(|error| panic!("{error}"));
    let query = Query::from_json(&line("")).expect("query");
    let decision = query.decide(&elsewhere, NOW).expect("a decision");
    assert_eq!(decision.reason.code(), "no_flow_permitted");
    assert_eq!(
        ask(r#"{"to":"hub.example.org","port":443}"#),
        Ok("no_flow_permitted")
    );
    assert_eq!(
        ask(r#"{"from":"caller","to":"evil.example.org"}"#),
        Ok("no_flow_permitted")
    );
    let workload = r#"{"from":"caller","to":"other","to_addr":"1.1.1.1"}"#;
    assert!(ask(workload).is_err_and(|error| error.contains("to_addr")));
    // And so does a `[[test]]`, and an explanation.
    let tested = format!(
        "{HEAD}{READS}[[test]]\nname = 't'\nfrom = 'caller'\nto = 'hub.example.org'\nport = 443\n\
         method = 'GET'\npath = '/v1/a'\nexpect = 'permit'\nrule = 'reads'\n"
    );
    Loader::new()
        .load(&tested, Format::Toml)
        .unwrap_or_else(|error| panic!("{error}"));
    let query = Query::from_json(&line(r#","port":8443"#)).expect("query");
    let why = query.explain(&policy, NOW).expect("explained");
    let step = format!("{:?}", why.steps);
    assert!(
        step.contains("external:hub") && step.contains("hub.example.org"),
        "{step}"
    );
    let failed = why.rules.first().and_then(|walk| walk.failed());
    assert_eq!(
        failed.map(|failed| failed.clause),
        Some(ztl_core::Clause::Port)
    );
    assert_eq!(why.nearest.otherwise[0].to_string(), "the port were 443");
}

#[test]
fn t27_an_address_that_is_refused_is_what_the_explanation_names() {
    let permit =
        "[[permit]]\nname = 'inward'\nfrom = 'caller'\nto = 'external:inner'\nactions = 'any'\n";
    let policy = policy(&format!("{READS}{permit}"));
    let why = |host: &str, addr: &str| {
        let asked = format!(
            r#"{{"from":"caller","to":"{host}","to_addr":"{addr}","method":"GET","path":"/v1/a"}}"#
        );
        let query = Query::from_json(&asked).expect("query");
        query.explain(&policy, NOW).expect("explained")
    };
    for (host, addr, rule, wanted) in [
        (
            "hub.example.org",
            "169.254.169.254",
            "reads",
            "reachable from everywhere",
        ),
        ("inner.example.org", "10.3.0.1", "inward", "10.2.0.0/16"),
    ] {
        let why = why(host, addr);
        assert_eq!(why.decision.reason.code(), "no_flow_permitted");
        let step = why.steps.last().expect("a step");
        let fact = |name: &str| {
            let mut facts = step.facts.iter();
            facts.find_map(|(key, value)| (*key == name).then_some(&**value))
        };
        assert_eq!((fact("addr"), fact("admitted")), (Some(addr), Some("no")));
        let failed = step.failed.as_ref().expect("what failed");
        assert_eq!((failed.clause, &*failed.got), (ztl_core::Clause::To, addr));
        assert!(failed.expected.contains(wanted), "{}", failed.expected);
        // The rules about the host, and none of them is what it hung on.
        let walk = why.rules.first().expect("a rule");
        assert_eq!((&*walk.rule, walk.failed()), (rule, None));
        assert_eq!(why.rules.len(), 1);
        assert!(why.nearest.otherwise.is_empty());
    }
    let admitted = why("hub.example.org", "1.1.1.1");
    let facts = format!("{:?}", admitted.steps);
    assert!(facts.contains(r#"("admitted", "yes")"#), "{facts}");
    // A host that nobody declares has neither.
    let unknown = why("evil.example.org", "169.254.169.254");
    assert!(!format!("{:?}", unknown.steps).contains("admitted"));
}
