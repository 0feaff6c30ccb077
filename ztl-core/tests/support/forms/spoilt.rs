//! What of a question may be otherwise than a rule has it.

use serde_json::Value;

/// What may be otherwise than a rule has it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Spoilt {
    Caller,
    Place,
    Target,
    Port,
    Proof,
    Action,
    Kind,
    Token,
    Subject,
    Actors,
    Login,
    Forwarded,
    Score,
    Posture,
    Context,
    Header,
}

pub(super) const ALL: [Spoilt; 16] = [
    Spoilt::Caller,
    Spoilt::Place,
    Spoilt::Target,
    Spoilt::Port,
    Spoilt::Proof,
    Spoilt::Action,
    Spoilt::Kind,
    Spoilt::Token,
    Spoilt::Subject,
    Spoilt::Actors,
    Spoilt::Login,
    Spoilt::Forwarded,
    Spoilt::Score,
    Spoilt::Posture,
    Spoilt::Context,
    Spoilt::Header,
];

/// What a rule speaks of.
pub(super) fn spoilable(rule: &Value) -> Vec<Spoilt> {
    let require = &rule["require"];
    let mut all = vec![Spoilt::Caller];
    for (value, what) in [
        (&rule["to"], Spoilt::Target),
        (&rule["ports"], Spoilt::Port),
        (&rule["actions"], Spoilt::Action),
        (&rule["subject"], Spoilt::Subject),
        (&rule["actors"], Spoilt::Actors),
        (&require["trust_score"], Spoilt::Score),
        (&require["zone_trust"], Spoilt::Place),
        (&require["token"], Spoilt::Token),
        (&require["mfa"], Spoilt::Login),
        (&require["headers"], Spoilt::Header),
    ] {
        let asked = matches!(
            what,
            Spoilt::Caller | Spoilt::Target | Spoilt::Port | Spoilt::Action
        );
        // What few rules ask for is spoilt the more often.
        let times = if asked { 1 } else { 3 };
        all.extend(core::iter::repeat_n(
            what,
            if value.is_null() { 0 } else { times },
        ));
    }
    for when in [&rule["when"], &require["when"]] {
        let what = match when.as_str() {
            Some("token") => Spoilt::Token,
            Some("score") => Spoilt::Score,
            Some("posture") => Spoilt::Posture,
            Some("context") => Spoilt::Context,
            Some("name-is-admin") => Spoilt::Action,
            Some(_) => Spoilt::Kind,
            None => continue,
        };
        all.extend([what; 3]);
    }
    all
}

pub(super) const SUBJECT: [(&str, &str); 9] = [
    ("sub", r#""bob""#),
    ("sub", r#""alice""#),
    ("sub", r#""spiffe://prod.example/things/sensor""#),
    ("sub", r#""spiffe://old.example/agents/router""#),
    ("sub", r#""SPIFFE://prod.example/x""#),
    ("sub", "7"),
    ("sub", "null"),
    ("iss", r#""https://evil.example""#),
    ("iss", r#""https://partner.example""#),
];
pub(super) const ACTORS: [(&str, &str); 8] = [
    ("act", "null"),
    ("act", r#"{"sub":"spiffe://prod.example/agents/router"}"#),
    ("act", r#"{"sub":"spiffe://prod.example/things/sensor"}"#),
    ("act", r#"{"sub":"alice","iss":"https://evil.example"}"#),
    (
        "act",
        r#"{"sub":"bob","act":{"sub":"spiffe://old.example/agents/router"}}"#,
    ),
    ("act", "true"),
    ("act", "null"),
    ("iss", r#""https://evil.example""#),
];
pub(super) const TOKEN: [(&str, &str); 15] = [
    ("iss", r#""https://evil.example""#),
    ("iss", r#""https://partner.example""#),
    ("aud", r#""other""#),
    ("aud", "null"),
    ("scope", r#""write""#),
    ("scope", r#""read-all""#),
    ("scp", r#""rea""#),
    ("team", r#"["blue"]"#),
    ("scp", r#"["read"]"#),
    ("team", r#""blue""#),
    ("level", r#""3""#),
    ("staff", "1"),
    ("realm_access", r#"{"roles":["user","admin"]}"#),
    ("realm_access", r#""admin""#),
    ("realm_access", r#"{"roles":"user"}"#),
];
pub(super) const LOGIN: [(&str, &str); 5] = [
    ("amr", r#"["pwd"]"#),
    ("amr", r#""mfa""#),
    ("acr", r#""phr""#),
    ("acr", r#""1""#),
    ("acr", "null"),
];
