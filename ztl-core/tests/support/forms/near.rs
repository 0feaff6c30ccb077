//! What a rule speaks of, so that a question can come near it.

use serde_json::{Map, Value, json};

use super::{CORP, Choices, UUID, WORKLOADS, id_of};

/// The entries of a key: one stands for a list of one.
pub(crate) fn entries(rule: &Value, key: &str) -> Vec<String> {
    let text = |one: &Value| one.as_str().map_or_else(|| one.to_string(), str::to_owned);
    match &rule[key] {
        Value::Null => Vec::new(),
        Value::Array(all) => all.iter().map(text).collect(),
        one => vec![text(one)],
    }
}

/// An id whom a principal, subject or target speaks of, and from where it comes; no id for the public.
pub(super) fn somebody(who: &str, choices: &mut Choices<'_>) -> (Option<String>, &'static str) {
    let home = |name: &str| {
        let found = WORKLOADS.iter().find(|(one, ..)| *one == name);
        found.map_or("10.10.0.5", |(_, _, addr)| addr)
    };
    let of = |name: &str| (id_of(name), home(name));
    if id_of(who).is_some() {
        return of(who);
    }
    if let Some(above) = who.strip_suffix("/**") {
        let last = match above {
            "spiffe://prod.example/agents" => "router",
            "spiffe://old.example/things" => "sensor",
            _ => "x",
        };
        return (Some(format!("{above}/{last}")), home(last));
    }
    match who {
        "public" => (None, "10.10.0.5"),
        "trust-domain:other.example" => (Some("spiffe://other.example/x".to_owned()), "10.10.0.5"),
        "trust-domain:old.example" => (
            Some("spiffe://old.example/agents/router".to_owned()),
            home("router"),
        ),
        "label:tier=thing" | "zone:iot" => of("sensor"),
        "label:tier=data" | "zone:vault" => of("store"),
        "label:tier=edge" | "label:team=net" => of("gateway"),
        "label:tier=agent" => of(choices.one(&["router", "retriever"])),
        who if who.starts_with("spiffe://") => (Some(who.to_owned()), "10.10.0.6"),
        _ => of(choices.one(&["router", "gateway", "retriever"])),
    }
}

/// A method, a target, and what the connection shall become.
pub(super) type Request = (String, String, Option<String>);

/// A request that a pattern names.
pub(super) fn request(pattern: &str, choices: &mut Choices<'_>) -> Request {
    if let Some(method) = pattern.strip_prefix("grpc ") {
        let path = format!("/{}", method.replace('*', "Do"));
        return ("POST".to_owned(), path, None);
    }
    let (verb, path) = pattern.split_once(' ').unwrap_or((pattern, "/v1/a"));
    let values = [("int}", "7"), ("uuid}", UUID)];
    let parts = path.split('/').skip(1).map(|part| {
        let typed = values.iter().find(|(kind, _)| part.ends_with(kind));
        match (part.starts_with('{'), part.starts_with("{*"), typed) {
            (_, true, _) => choices.one(&["a", "a/b", "7/"]).to_owned(),
            (true, _, Some((_, value))) => (*value).to_owned(),
            (true, _, None) => choices.one(&["a", "7", "admin"]).to_owned(),
            _ => part.to_owned(),
        }
    });
    let path = format!("/{}", parts.collect::<Vec<_>>().join("/"));
    match verb {
        "any" => ("GET".to_owned(), path, None),
        "websocket" => ("GET".to_owned(), path, Some("websocket".to_owned())),
        verb => match verb.strip_prefix("upgrade:") {
            Some(token) => ("GET".to_owned(), path, Some(token.to_owned())),
            None => {
                let methods: Vec<_> = verb.split(',').collect();
                (choices.one(&methods).to_owned(), path, None)
            }
        },
    }
}

/// The claims of a token that meets what a rule asks of one; none where it asks for none.
pub(super) fn claims(rule: &Value, choices: &mut Choices<'_>) -> Option<Map<String, Value>> {
    let require = &rule["require"];
    let token = &require["token"];
    let conditions = [&require["when"], &rule["when"]];
    let reads = conditions.iter().any(|when| **when == "token");
    let asks = !token.is_null() || require["mfa"] != Value::Null || reads;
    let [subjects, actors] = ["subject", "actors"].map(|key| entries(rule, key));
    if !asks && subjects.is_empty() && actors.is_empty() {
        return None;
    }
    let mut claims = Map::new();
    let issuer = match token["issuer"].as_str() {
        Some("partner") => "https://partner.example",
        Some(issuer) if issuer != "corp" => issuer,
        _ => CORP,
    };
    claims.insert("iss".to_owned(), issuer.into());
    let subject = party(&subjects, choices).unwrap_or((None, "alice".to_owned()));
    if let Some(issuer) = subject.0.filter(|_| token["issuer"].is_null()) {
        claims.insert("iss".to_owned(), issuer.into());
    }
    claims.insert("sub".to_owned(), subject.1.into());
    if let Some((issuer, actor)) = party(&actors, choices) {
        let mut act = json!({ "sub": actor });
        if let Some(issuer) = issuer {
            act["iss"] = issuer.into();
        }
        if choices.once_in(3) {
            act["act"] = act.clone();
        }
        claims.insert("act".to_owned(), act);
    }
    if let Some(audience) = token["audience"].as_str() {
        let lists = [json!(audience), json!(["other", audience])];
        claims.insert("aud".to_owned(), choices.one(&lists));
    }
    let scopes: Vec<_> = entries(token, "scopes");
    if !scopes.is_empty() {
        let text = json!(scopes.join(" "));
        let key = choices.one(&["scope", "scp"]);
        claims.insert(key.to_owned(), text);
    }
    for (name, value) in token["claims"].as_object().into_iter().flatten() {
        let lists = [value.clone(), json!(["other", value])];
        let value = match value.is_object() {
            true => value.clone(),
            false => choices.one(&lists),
        };
        claims.insert(name.clone(), value);
    }
    match require["mfa"].as_str() {
        Some(_) => claims.insert("acr".to_owned(), choices.one(&["phr", "phrh"]).into()),
        None => claims.insert("amr".to_owned(), json!(["pwd", "mfa"])),
    };
    Some(claims)
}

/// An issuer, where it has to be that one, and a `sub` that one of these names; none where there are none.
fn party(named: &[String], choices: &mut Choices<'_>) -> Option<(Option<String>, String)> {
    let named = (!named.is_empty()).then(|| choices.one(named))?;
    let issuers = |issuer: &str| match issuer {
        "corp" => CORP.to_owned(),
        "partner" => "https://partner.example".to_owned(),
        issuer => issuer.to_owned(),
    };
    if let Some(issuer) = named.strip_prefix("issuer:") {
        return Some((Some(issuers(issuer)), "bob".to_owned()));
    }
    if let Some((issuer, subject)) = named
        .strip_prefix("user:")
        .and_then(|user| user.split_once('/'))
    {
        return Some((Some(issuers(issuer)), subject.to_owned()));
    }
    let (id, _) = somebody(&named, choices);
    Some((None, id.unwrap_or_default()))
}
