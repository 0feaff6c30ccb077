//! What conditions say.

use super::*;

#[test]
fn every_name_of_the_environment_is_read() {
    let all = json!({
        "claims": { "iss": "https://idp.example", "sub": "alice", "aud": ["a", "b"], "scope": "infer read", "scp": "tune", "exp": 1_795_340_000 },
        "trust_score": 71, "posture": { "disk": { "encrypted": true } }, "context": { "owner": "alice" },
    });
    for when in [
        r#"peer.id == "spiffe://prod.example/ns/edge/router""#,
        r#"peer.trust_domain == "prod.example" && peer.path == "/ns/edge/router""#,
        r#"peer.workload == "router" && peer.labels.tier == "front" && peer["labels"]["tier"] == "front""#,
        r#"token.issuer == "https://idp.example" && token.subject == "alice""#,
        r#""b" in token.audience && token.scopes == ["infer", "read", "tune"] && token.scopes.size() == 3"#,
        r#"token.expires_at - now == duration("185s")"#,
        r#"token.claims.sub == context.owner && token["claims"]["sub"] == "alice""#,
        r#"params.model == "llama" && params["model"].startsWith("lla")"#,
        r#"request.kind == "request" && request.method == "POST" && request.path == "/v1/models/llama/infer""#,
        r#"request.target == "models" && !has(request.upgrade) && has(params.model)"#,
        r#"zone == "office" && trust_score >= 70 && trust_score < 71.5"#,
        r#"posture.disk.encrypted"#,
        r#"now == timestamp("2026-11-22T09:30:15Z") && .now > timestamp(0)"#,
    ] {
        assert!(holds(when, &all), "{when}");
    }
}

#[test]
fn an_alias_is_shown_in_the_primary_trust_domain() {
    let alias = json!({ "from": "spiffe://old.example/ns/edge/router" });
    assert!(holds(
        r#"peer.trust_domain == "prod.example" && peer.workload == "router""#,
        &alias
    ));
}

#[test]
fn values_are_those_of_cel() {
    for when in [
        "1 + 2 * 3 == 7 && 7 / 2 == 3 && -7 % 3 == -1 && 2u + 1u == 3u && 1.5 * 2.0 == 3.0",
        "1 == 1.0 && 1u == 1 && 2 > 1.5",
        r#""a" + 'b' == "ab" && "é".size() == 1 && size("abc") == 3 && r"\d" == "\\d""#,
        r#""abc".contains("b") && "abc".endsWith("c") && "v12".matches("^v[0-9]+$")"#,
        r#"!"\u0663".matches("^\\d$") && "3".matches("^\\d$") && !"\u00e4".matches("\\w") && "\u00e4".matches("^\\pL$")"#,
        "[1, 2] + [3] == [1, 2, 3] && 2 in [1, 2] && [1, 2][1] == 2 && [1, [2]][1] == [2]",
        r#"{"llama": 3, "gpt": 5}[params.model] == 3 && "gpt" in {"gpt": 1} && {"a": {"b": 1}}.a.b == 1"#,
        "[1, 2, 3].all(x, x > 0) && [1, 2].exists(x, x == 2) && [1, 2, 2].exists_one(x, x == 1)",
        "[1, 2, 3].filter(x, x > 1).map(x, x * 2) == [4, 6] && [].all(x, false) && ![].exists(x, true)",
        "[[1], [2, 3]].exists(l, l.exists(x, x == 3)) && [1, 2].map(x, [x]).size() == 2",
        r#"int("7") == 7 && string(7) == "7" && double(1) == 1.0 && uint(3) == 3u && bool("true")"#,
        r#"timestamp("2026-11-22T00:00:00Z") < now && now + duration("24h") > now && now - duration("1m") < now"#,
        "now.getFullYear() == 2026 && now.getMonth() == 10 && now.getDate() == 22 && now.getDayOfWeek() == 0",
        r#"now.getHours() == 9 && now.getHours("Europe/Berlin") == 10 && now.getHours("+05:30") == 15 && now.getMinutes() == 30"#,
        r#"duration("90m").getHours() == 1 && duration("2s") > duration("1s")"#,
        "true ? true : false",
        "null == null && (1 > 0 || 1 / 0 > 0) && !(false && 1 / 0 > 0)",
        "// what a person reads\ntrue // to the end",
    ] {
        assert!(holds(when, &json!({})), "{when}");
    }
}

#[test]
fn claims_are_read_where_they_stand() {
    let all = json!({ "claims": {
        "team": "search", "level": 3, "rate": 0.5, "big": i64::MAX, "on": true, "nothing": null,
        "models": ["llama", "gpt"], "grid": [[1, 2], [3]],
        "groups": [{ "name": "a", "owner": false }, { "name": "b", "owner": true }],
        "realm": { "access": { "roles": ["admin"] } }, "https://x.example/y": 1,
    } });
    for when in [
        "params.model in token.claims.models && token.claims.models[1] == 'gpt'",
        "token.claims.level + 1 == 4 && token.claims.rate < 1 && token.claims.big > 5u && token.claims.big == 9223372036854775807 && token.claims.on",
        "token.claims.nothing == null && token.claims.team != null",
        "token.claims.grid[0] == [1, 2] && token.claims.grid.size() == 2 && [3] in [token.claims.grid[1]]",
        "token.claims.groups.exists(g, g.name == 'b' && g.owner)",
        "'admin' in token.claims.realm.access.roles && token.claims['https://x.example/y'] == 1",
        "token.claims.models.filter(m, m != params.model) == ['gpt'] && token.claims.groups.map(g, g.name) == ['a', 'b']",
        "token.claims.grid.all(row, row.all(x, x < 4)) && (token.claims.models + ['x']).size() == 3",
        "token.claims[token.claims.team == 'search' ? 'level' : 'rate'] == 3",
    ] {
        assert!(holds(when, &all), "{when}");
    }
}

#[test]
fn raw_bytes_and_upgrades_are_of_another_kind() {
    let rule = json!({ "name": "chat", "from": "any", "to": "models", "actions": ["websocket /chat", "upgrade:h2x /x"],
        "require": { "when": "request.kind == 'websocket' ? request.upgrade == 'websocket' : request.upgrade == 'h2x'" } });
    let policy = load(json!([rule]), json!([])).expect("loads");
    for (path, token) in [("/chat", "websocket"), ("/x", "h2x")] {
        let ask_for = json!({ "method": "GET", "path": path, "headers": { "upgrade": token } });
        assert_eq!(ask(&policy, &ask_for), "permitted");
    }
    let raw = Query::from_json(
        r#"{ "from": "router", "from_addr": "10.1.2.3", "to": "models", "port": 8443, "action": "connect" }"#,
    );
    let raw = raw.expect("a query");
    let decide = |when: &str| {
        raw.decide(&permit(when), NOW)
            .expect("decided")
            .reason
            .code()
    };
    assert_eq!(decide("request.kind == 'connect'"), "permitted");
    assert_eq!(decide("request.method == 'GET'"), "authorizer_failed");
}
