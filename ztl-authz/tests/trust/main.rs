//! Signals from tables and from behaviour, and the score that a policy makes of them.

#![cfg(test)]

mod behaviour;
mod endpoint;
mod posture;
mod six;
mod table;

use ztl_core::policy::Policy;
use ztl_core::{SpiffeId, Timestamp};

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

fn policy(trust: &str) -> Policy {
    let text = format!(
        r#"
        schema = 1
        trust_domain = "prod.example"
        trust_domain_aliases = ["old.example"]
        {trust}
        [workloads.client]
        id = "spiffe://prod.example/client"
        [workloads.one]
        id = "spiffe://prod.example/one"
        ports = [8443]
        asserted_by = ["test"]
        [workloads.two]
        id = "spiffe://prod.example/two"
        ports = [8443]
        asserted_by = ["test"]
        [[permit]]
        from = "any"
        to = ["one", "two"]
        actions = "GET /open/{{*rest}}"
        [issuers.idp]
        issuer = "https://idp.example"
        [[permit]]
        from = "any"
        to = "one"
        actions = "GET /users/{{*rest}}"
        require = {{ token = {{ issuer = "idp", scopes = ["read"] }} }}
        [[permit]]
        name = "scored"
        from = "any"
        to = "one"
        actions = "GET /scored"
        require = {{ trust_score = 50 }}
        "#
    );
    Policy::from_toml(&text).unwrap_or_else(|error| panic!("{error}"))
}

fn id(path: &str) -> SpiffeId {
    SpiffeId::parse(&format!("spiffe://prod.example{path}")).expect("id")
}
