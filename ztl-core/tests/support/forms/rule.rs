//! Random rules.

use serde_json::{Map, Value, json};

use super::Choices;

const FROM: [&str; 22] = [
    "router",
    "gateway",
    "retriever",
    "sensor",
    "spiffe://prod.example/agents/router",
    "spiffe://old.example/agents/router",
    "spiffe://prod.example/agents/stranger",
    "spiffe://prod.example/agents/**",
    "spiffe://old.example/things/**",
    "spiffe://other.example/**",
    "spiffe://other.example/x",
    "trust-domain:prod.example",
    "trust-domain:old.example",
    "trust-domain:other.example",
    "label:tier=agent",
    "label:tier=thing",
    "label:team=net",
    "zone:production",
    "zone:vault",
    "zone:iot",
    "public",
    "any",
];
const TO: [&str; 14] = [
    "gateway",
    "gateway",
    "router",
    "retriever",
    "store",
    "spiffe://prod.example/edge/gateway",
    "spiffe://prod.example/agents/**",
    "trust-domain:old.example",
    "label:tier=agent",
    "label:team=net",
    "zone:production",
    "zone:vault",
    "any",
    "external:hub",
];
pub(super) const ACTIONS: [&str; 29] = [
    "GET /v1/{id}",
    "GET /v1/a",
    "GET,HEAD /v1/{id}",
    "POST /v1/{id}",
    "GET /v1/{*rest}",
    "GET,POST /{*all}",
    "GET /v1/{n:int}",
    "PUT /v1/{n:int}/parts/{part:uuid}",
    "GET /v1/{u:uuid}",
    "GET /v1/a/",
    "GET /",
    "HEAD /v1/a",
    "PATCH,DELETE,OPTIONS /v1/{id}",
    "GET /{v}/{name}",
    "GET /v1/sp%20ace",
    "GET /v1/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r",
    "GET /{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}/{q}/{r}/{*s}",
    "grpc pkg.Svc/Do",
    "grpc pkg.Svc/*",
    "POST /pkg.Svc/{method}",
    "websocket /v1/{id}",
    "websocket /v1/{*rest}",
    "upgrade:h2c /v1/{id}",
    "upgrade:h2c /",
    "GET /healthz",
    "connect",
    "any",
    "any",
    "GET /v1/{name}/{n:int}",
];
const SUBJECTS: [&str; 14] = [
    "any",
    "router",
    "sensor",
    "retriever",
    "spiffe://prod.example/agents/router",
    "spiffe://old.example/agents/**",
    "trust-domain:old.example",
    "trust-domain:other.example",
    "label:tier=agent",
    "issuer:corp",
    "issuer:https://evil.example",
    "user:corp/alice",
    "user:partner/alice",
    "any",
];
const CONDITIONS: [&str; 8] = [
    "true",
    "false",
    "error",
    "token",
    "score",
    "posture",
    "context",
    "name-is-admin",
];

/// Permits and forbids, of which a few speak of one and the same edge, and seldom many: few permits alone, forbids beside a
/// generous permit, or some of everything.
pub(super) fn rules(choices: &mut Choices<'_>) -> Vec<(&'static str, Value)> {
    let mut rules = Vec::new();
    let (permits, forbids, wide) = match choices.below(5) {
        0 | 1 => (1 + choices.below(3), choices.below(2), false),
        2 | 3 => (choices.below(2), 1 + choices.below(3), true),
        _ => (1 + choices.below(5), choices.below(4), choices.once_in(2)),
    };
    rules.extend((0..permits).map(|_| ("permit", permit(choices))));
    rules.extend((0..forbids).map(|_| ("forbid", forbid(choices))));
    if choices.once_in(4) {
        rules.push(("permit", preset(choices)));
    }
    if wide {
        rules.push(("permit", generous(choices)));
        rules.push(("permit", outward()));
    }
    if choices.once_in(6) {
        many(choices, &mut rules);
    }
    rules
}

fn permit(choices: &mut Choices<'_>) -> Value {
    let mut rule = Map::new();
    let from = from(choices);
    let mut to = choices.some(&TO);
    let outward = to.iter().any(|to| to.starts_with("external:"));
    if outward {
        to = choices.one(&[
            vec!["external:hub"],
            vec!["external:inner"],
            vec!["external:hub", "external:inner"],
        ]);
    }
    let require = require(choices);
    let mut actions = choices.some(&ACTIONS);
    if require.get("when") == Some(&json!("name-is-admin")) {
        actions = vec![choices.one(&["GET /{v}/{name}", "GET /v1/{name}/{n:int}"])];
    }
    // Nobody discharges an obligation for raw bytes, and outside nobody judges more than ends and action.
    let raw = actions.contains(&"connect");
    if from.contains(&json!("public")) && choices.once_in(2) {
        rule.insert("anonymous".to_owned(), true.into());
    }
    rule.insert("from".to_owned(), listed(from));
    rule.insert("to".to_owned(), listed(to));
    rule.insert("actions".to_owned(), listed(actions));
    ports(choices, &mut rule, 4);
    if !outward {
        parties(choices, &mut rule, 3);
        let named = rule.contains_key("subject") || rule.contains_key("actors");
        if !require.is_empty() && (!named || choices.once_in(3)) {
            rule.insert("require".to_owned(), require.into());
        }
        let oblige = oblige(choices);
        if !raw && !oblige.is_empty() {
            rule.insert("oblige".to_owned(), oblige.into());
        }
    }
    mode(choices, &mut rule);
    rule.into()
}

fn forbid(choices: &mut Choices<'_>) -> Value {
    let mut rule = Map::new();
    let mut from = from(choices);
    // Else whoever is forbidden leaves its SVID at home, and the document does not load.
    if !from.contains(&json!("public")) && choices.once_in(2) {
        from.push("public".into());
    }
    rule.insert("from".to_owned(), listed(from));
    let mut to = choices.some(&TO);
    for to in to.iter_mut().filter(|to| **to == "external:hub") {
        *to = choices.one(&["external:hub", "external:inner"]);
    }
    rule.insert("to".to_owned(), listed(to));
    if !choices.once_in(3) {
        rule.insert("actions".to_owned(), listed(choices.some(&ACTIONS)));
    }
    ports(choices, &mut rule, 2);
    if choices.once_in(3) {
        let when = choices.one(&CONDITIONS);
        rule.insert("when".to_owned(), when.into());
    }
    parties(choices, &mut rule, 3);
    mode(choices, &mut rule);
    rule.into()
}

/// Whom a rule speaks of; seldom so many that they are looked up in a set.
fn from(choices: &mut Choices<'_>) -> Vec<Value> {
    let mut from: Vec<Value> = choices.some(&FROM).into_iter().map(Value::from).collect();
    if choices.once_in(14) {
        let more = (0..17).map(|at| format!("spiffe://prod.example/many/{at}").into());
        from.extend(more);
        for who in ["label:tier=agent", "label:tier=edge"] {
            if choices.once_in(2) && !from.contains(&json!(who)) {
                from.push(who.into());
            }
        }
    }
    from
}

fn ports(choices: &mut Choices<'_>, rule: &mut Map<String, Value>, absent: usize) {
    let ports = [
        json!("1-65535"),
        json!(8443),
        json!([8443, 443]),
        json!("8443-9000"),
        json!(443),
        json!([6333, "8000-9000"]),
        json!("9000-9100"),
    ];
    if !choices.once_in(absent) {
        rule.insert("ports".to_owned(), choices.one(&ports));
    }
}

fn parties(choices: &mut Choices<'_>, rule: &mut Map<String, Value>, seldom: usize) {
    for key in ["subject", "actors"] {
        if choices.once_in(seldom) {
            rule.insert(key.to_owned(), listed(choices.some(&SUBJECTS)));
        }
    }
}

fn mode(choices: &mut Choices<'_>, rule: &mut Map<String, Value>) {
    match choices.below(10) {
        8 => rule.insert("mode".to_owned(), "off".into()),
        9 => rule.insert("mode".to_owned(), "shadow".into()),
        _ => None,
    };
}

fn require(choices: &mut Choices<'_>) -> Map<String, Value> {
    let mut require = Map::new();
    let tokens = [
        json!({}),
        json!({ "issuer": "corp" }),
        json!({ "issuer": "https://evil.example" }),
        json!({ "audience": "model-api" }),
        json!({ "scopes": ["read"] }),
        json!({ "scopes": ["read", "write"] }),
        json!({ "claims": { "team": "red" } }),
        json!({ "claims": { "level": 3, "staff": true } }),
        json!({ "claims": { "realm_access": { "roles": "admin" } } }),
        json!({ "issuer": "partner", "audience": "model-api", "scopes": ["read"], "claims": { "team": "red" } }),
    ];
    let headers = [
        json!({ "x-tenant": "a" }),
        json!({ "x-tenant": ["a", "b"] }),
        json!({ "x-tenant": ["a", "b"], "x-more": "c" }),
    ];
    let authorizers = [
        json!("agreeable"),
        json!("objector"),
        json!("broken"),
        json!("configured"),
        json!(["careful", "limiting"]),
        json!(["shaping", "careful"]),
        json!("nosy"),
        json!("lost"),
    ];
    let clauses: [(&str, &[Value]); 7] = [
        ("trust_score", &[json!(50), json!(0), json!(100)]),
        ("zone_trust", &[json!(1), json!(3), json!(9)]),
        ("token", &tokens),
        ("mfa", &[json!(true), json!("phishing-resistant")]),
        ("headers", &headers),
        ("when", &CONDITIONS.map(Value::from)),
        ("authorizer", &authorizers),
    ];
    if !choices.once_in(3) {
        for _ in 0..=choices.below(2) {
            let (key, values) = clauses[choices.below(clauses.len())];
            require.insert(key.to_owned(), choices.one(values));
        }
    }
    require
}

fn oblige(choices: &mut Choices<'_>) -> Map<String, Value> {
    let mut oblige = Map::new();
    let clauses: [(&str, &[Value]); 4] = [
        ("limit", &[json!("slow"), json!("fair")]),
        ("schema", &[json!("infer.json"), json!("other.json")]),
        ("max_body", &[json!("64KiB"), json!(0)]),
        ("log", &[json!(true), json!(["x-tenant"])]),
    ];
    if choices.once_in(4) {
        for _ in 0..=choices.below(3) {
            let (key, values) = clauses[choices.below(clauses.len())];
            oblige.insert(key.to_owned(), choices.one(values));
        }
    }
    oblige
}

/// Nearly everything, so that forbids have something to take away.
fn generous(choices: &mut Choices<'_>) -> Value {
    let actions = [
        "any",
        "connect",
        "GET,HEAD,PATCH /{*all}",
        "GET /",
        "websocket /{*all}",
        "upgrade:h2c /{*all}",
    ];
    let mut rule = json!({ "from": "any", "to": "any", "ports": "1-65535", "actions": actions });
    if choices.once_in(3) {
        rule["from"] = json!(["any", "public"]);
        rule["anonymous"] = true.into();
    }
    rule
}

/// Everything outside.
fn outward() -> Value {
    let to = ["external:hub", "external:inner"];
    json!({ "from": "any", "to": to, "actions": ["any", "connect", "GET /{*all}"] })
}

/// A rule as `ztl preset health` writes it.
fn preset(choices: &mut Choices<'_>) -> Value {
    let (from, to) = choices.one(&[
        ("public", "gateway"),
        ("any", "router"),
        ("zone:iot", "store"),
    ]);
    let mut rule =
        json!({ "from": [from], "to": to, "actions": ["GET /healthz"], "why": "health probes" });
    if from == "public" {
        rule["anonymous"] = true.into();
    }
    rule
}

/// So many rules about one edge that they are looked up by their paths, and often more at once than fit beside each other.
fn many(choices: &mut Choices<'_>, rules: &mut Vec<(&'static str, Value)>) {
    let effect = choices.one(&["permit", "permit", "forbid"]);
    let words = ["v1", "{p#}", "a", "{p#:int}", "b", "{p#:uuid}"];
    for at in 0..20 + choices.below(24) {
        let parts =
            (0..=choices.below(3)).map(|part| choices.one(&words).replace('#', &part.to_string()));
        let mut path = format!("/{}", parts.collect::<Vec<_>>().join("/"));
        path.push_str(choices.one(&["", "", "/", "/{*rest}"]));
        let verb = choices.one(&["GET", "GET,HEAD", "POST", "websocket", "upgrade:h2c"]);
        let mut rule = json!({
            "from": ["any", "public"], "to": "gateway", "ports": "1-65535", "actions": [format!("{verb} {path}")],
        });
        if effect == "permit" {
            rule["anonymous"] = true.into();
        }
        if at % 5 == 4 && effect == "permit" {
            rule["require"] = json!({ "trust_score": 50 });
        }
        rules.push((effect, rule));
    }
}

/// One stands for a list of one.
fn listed<T: Into<Value>>(list: Vec<T>) -> Value {
    let mut list: Vec<Value> = list.into_iter().map(Into::into).collect();
    match list.len() {
        1 => list.remove(0),
        _ => list.into(),
    }
}
