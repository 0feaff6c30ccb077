//! The forms of the policy language that a rule has, by the clause that each belongs to.

use serde_json::Value;
use ztl_core::Clause;

use super::near::entries;

/// The forms of a rule: of a list only where it has one entry, so that what the clause said that entry said.
pub(crate) fn kinds(effect: &str, rule: &Value) -> Vec<(Clause, String)> {
    let mut kinds: Vec<(Clause, String)> = Vec::new();
    let mut add = |clause: Clause, form: &str| kinds.push((clause, format!("{effect} {form}")));
    match entries(rule, "from").as_slice() {
        [one] => add(Clause::From, &format!("from {}", whom(one))),
        all if all.len() > 16 => add(Clause::From, "from more than 16"),
        _ => {}
    }
    if let [one] = entries(rule, "to").as_slice() {
        add(Clause::To, &format!("to {}", whom(one)));
    }
    add(
        Clause::Port,
        match &rule["ports"] {
            Value::Null => "without ports",
            Value::Array(_) => "on a list of ports",
            Value::Number(_) => "on a port",
            Value::String(all) if all == "1-65535" => "on every port",
            _ => "on a range of ports",
        },
    );
    match entries(rule, "actions").as_slice() {
        [] => add(Clause::Action, "of the flow"),
        [one] => {
            for form in actions(one) {
                for clause in [
                    Clause::Path,
                    Clause::Method,
                    Clause::Upgrade,
                    Clause::Action,
                ] {
                    add(clause, &form);
                }
            }
        }
        _ => {}
    }
    for (key, clause) in [("subject", Clause::Subject), ("actors", Clause::Actors)] {
        if let [one] = entries(rule, key).as_slice() {
            add(clause, key);
            add(clause, &format!("speaks of {}", whom(one)));
        }
    }
    let require = &rule["require"];
    for (key, clause) in [
        ("trust_score", Clause::TrustScore),
        ("zone_trust", Clause::ZoneTrust),
        ("headers", Clause::Header),
    ] {
        if !require[key].is_null() {
            add(clause, key);
        }
    }
    match require["mfa"].as_str() {
        Some(how) => add(Clause::Mfa, how),
        None if !require["mfa"].is_null() => add(Clause::Mfa, "mfa"),
        None => {}
    }
    for when in [&require["when"], &rule["when"]] {
        if let Some(text) = when.as_str() {
            let form = format!("when {text}");
            add(Clause::When, &form);
            // What it reads and is not there.
            match text {
                "token" => add(Clause::Token, &form),
                "score" => add(Clause::TrustScore, &form),
                _ => {}
            }
        }
    }
    if let [one] = entries(require, "authorizer").as_slice() {
        add(Clause::Authorizer, &format!("authorizer {one}"));
    }
    let token = &require["token"];
    if token.is_object() {
        add(Clause::Token, "token");
        for key in ["issuer", "audience"] {
            if !token[key].is_null() {
                add(Clause::Token, &format!("token {key}"));
            }
        }
        if !token["scopes"].is_null() {
            add(Clause::Scope, "token scopes");
        }
        for value in token["claims"]
            .as_object()
            .into_iter()
            .flat_map(|all| all.values())
        {
            let inside = if value.is_object() {
                "inside a claim"
            } else {
                "claims"
            };
            add(Clause::Claim, &format!("token {inside}"));
        }
    }
    for key in rule["oblige"]
        .as_object()
        .into_iter()
        .flat_map(|all| all.keys())
    {
        add(Clause::Oblige, &format!("oblige {key}"));
    }
    kinds
}

/// What kind of caller, target or subject an entry is.
fn whom(entry: &str) -> &str {
    match entry.split_once(':') {
        Some(("spiffe", _)) if entry.ends_with("/**") && entry.contains("old.") => {
            "ids below, in an alias"
        }
        Some(("spiffe", _)) if entry.ends_with("/**") => "ids below",
        Some(("spiffe", _)) if entry.contains("old.") => "an id in an alias",
        Some(("spiffe", _)) => "an id",
        Some((kind, _)) => kind,
        None if matches!(entry, "any" | "public") => entry,
        None => "a name",
    }
}

/// What is worth telling of a pattern.
fn actions(pattern: &str) -> Vec<String> {
    let (verb, path) = pattern.split_once(' ').unwrap_or((pattern, ""));
    let mut forms = vec![match verb.split_once(':') {
        Some((kind, _)) => kind.to_owned(),
        None if verb.chars().all(|c| c.is_ascii_lowercase()) => verb.to_owned(),
        None if verb.contains(',') => "several methods".to_owned(),
        None => "a method".to_owned(),
    }];
    let marks = [
        (":int}", "an integer in the path"),
        (":uuid}", "a UUID in the path"),
        ("{*", "the rest of a path"),
        ("%", "an escape in the path"),
        ("Svc/*", "every method of a service"),
    ];
    let marked = marks.iter().filter(|(mark, _)| path.contains(mark));
    forms.extend(marked.map(|(_, form)| (*form).to_owned()));
    forms.extend((path.ends_with('/') && path.len() > 1).then(|| "a slash at the end".to_owned()));
    forms.extend((path == "/").then(|| "the root".to_owned()));
    forms.extend((path.matches('/').count() > 16).then(|| "more than 16 segments".to_owned()));
    forms
}
