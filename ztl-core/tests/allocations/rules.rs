//! The rules that are asked: one permit for each kind of requirement, and forbids beside them.

use std::fmt::Write as _;

pub(crate) const HEAD: &str = r#"
schema = 1
trust_domain = "prod.example"
trust_domain_aliases = ["old.example"]
[zones.production]
trust = 3
networks = ["10.0.0.0/8"]
[issuers.corp]
issuer = "https://id.corp.example"
[limits.slow]
requests = 10
per = "1m"
[workloads.caller]
id = "spiffe://prod.example/caller"
zone = "production"
labels = { tier = "front" }
forwards = ["other"]
[workloads.other]
id = "spiffe://prod.example/other"
zone = "production"
labels = { tier = "back" }
[workloads.target]
id = "spiffe://prod.example/target"
zone = "production"
labels = { tier = "back" }
ports = [8443]
[workloads.portal]
id = "spiffe://prod.example/portal"
zone = "production"
labels = { tier = "edge" }
ports = [8443]
public_ports = [443]
"#;

/// One permit for each kind of requirement, and what else a rule can say natively: the name of a permit is the first segment of its
/// path.
pub(crate) fn rules() -> String {
    let mut text = HEAD.to_owned();
    let mut permit = |name: &str, from: &str, path: &str, more: &str| {
        let _ = writeln!(
            text,
            "[[permit]]\nname = \"{name}\"\nfrom = \"{from}\"\nto = \"target\"\nactions = \"GET /{name}{path}\"\n{more}"
        );
    };
    for (name, from, path, more) in [
        ("plain", "caller", "/{id}", ""),
        ("labelled", "label:tier=front", "/{id}", ""),
        ("zoned", "zone:production", "/{id}", ""),
        ("below", "trust-domain:old.example", "/{id}", ""),
        ("int", "any", "/{n:int}", ""),
        ("uuid", "any", "/{u:uuid}", ""),
        ("rest", "any", "/{*rest}", ""),
        ("score", "caller", "/{id}", "require = { trust_score = 50 }"),
        ("trust", "caller", "/{id}", "require = { zone_trust = 3 }"),
        ("token", "caller", "/{id}", "require = { token = {} }"),
        (
            "issuer",
            "caller",
            "/{id}",
            "require = { token = { issuer = 'corp' } }",
        ),
        (
            "audience",
            "caller",
            "/{id}",
            "require = { token = { audience = 'api' } }",
        ),
        (
            "scopes",
            "caller",
            "/{id}",
            "require = { token = { scopes = ['read', 'list'] } }",
        ),
        (
            "claims",
            "caller",
            "/{id}",
            "require = { token = { claims = { team = 'red', level = 3 } } }",
        ),
        (
            "inside",
            "caller",
            "/{id}",
            "require = { token = { claims = { realm_access = { roles = 'admin' } } } }",
        ),
        ("mfa", "caller", "/{id}", "require = { mfa = true }"),
        (
            "resistant",
            "caller",
            "/{id}",
            "require = { mfa = 'phishing-resistant' }",
        ),
        (
            "headers",
            "caller",
            "/{id}",
            "require = { headers = { x-tenant = ['a', 'b'] } }",
        ),
        (
            "subject",
            "caller",
            "/{id}",
            "subject = ['user:corp/alice', 'issuer:corp']",
        ),
        ("actors", "caller", "/{id}", "actors = ['label:tier=back']"),
        ("limit", "caller", "/{id}", "oblige = { limit = 'slow' }"),
        (
            "schema",
            "caller",
            "/{id}",
            "oblige = { schema = 'api.json' }",
        ),
        (
            "max-body",
            "caller",
            "/{id}",
            "oblige = { max_body = '1KiB' }",
        ),
        ("log", "caller", "/{id}", "oblige = { log = ['x-tenant'] }"),
    ] {
        permit(name, from, path, more);
    }
    // So many that they are looked up by path: twelve of them name `/many/…/z`.
    for at in 0..12 {
        permit(
            "many",
            "caller",
            "/{a}/z",
            &format!("require = {{ trust_score = {} }}", 100 - at),
        )
    }
    text = text.replacen("name = \"many\"\n", "", 12);
    text.push_str(
        r#"
[[permit]]
name = "portal"
from = ["public", "caller"]
to = "portal"
ports = [443, 8443]
actions = "GET /portal/{id}"
anonymous = true
"#,
    );
    text
}

/// Forbids about the target: of them the flow's matches nobody here, and those by identity look at whoever comes along.
pub(crate) const FORBIDS: &str = r#"
[[forbid]]
name = "flow"
from = ["spiffe://prod.example/stranger", "spiffe://prod.example/evil/**"]
to = "target"
[[forbid]]
name = "some"
from = "zone:production"
to = "target"
actions = ["GET /plain/secret", "POST /{*rest}"]
[[forbid]]
name = "whose"
from = "any"
subject = "user:corp/mallory"
actors = "issuer:https://evil.example"
to = "target"
actions = "GET /plain/{id}"
"#;

pub(crate) const UUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

/// A path for each of the rules.
pub(crate) fn paths() -> Vec<(String, &'static str)> {
    let names = [
        "plain",
        "labelled",
        "zoned",
        "below",
        "score",
        "trust",
        "token",
        "issuer",
        "audience",
        "scopes",
        "claims",
        "inside",
        "mfa",
        "resistant",
        "headers",
        "subject",
        "actors",
        "limit",
        "schema",
        "max-body",
        "log",
    ];
    let mut paths: Vec<_> = names.map(|name| (format!("/{name}/7"), name)).into();
    paths.push(("/int/-7".to_owned(), "int"));
    paths.push((format!("/uuid/{UUID}"), "uuid"));
    paths.push(("/rest/a/b/c".to_owned(), "rest"));
    paths.push(("/many/a/z".to_owned(), "permit-"));
    paths
}
