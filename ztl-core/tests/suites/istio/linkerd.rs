//! Linkerd's inbound policy: authorizations of a server, or of each of its routes.

use serde_json::Value;
use ztl_core::{IdPattern, Method};

use super::clause::{Clause, Part, Unsaid};
use super::lower::Policies;
use super::operation::networks;
use super::policy::texts;
use crate::netpol::cluster::items;
use crate::text;

/// Linkerd denies what no authorization names.
pub(crate) fn policy(policy: &Value) -> Policies {
    let authorized = |holder: &Value| -> Vec<Part> {
        let authorizations = items(&holder["authorizations"]);
        authorizations.map(authorization).collect()
    };
    let alternatives = match policy["protocol"].as_str() {
        Some("opaque") => authorized(policy),
        _ => {
            let routes = items(&policy["routes"]);
            routes
                .flat_map(|route| on_route(route, authorized(route)))
                .collect()
        }
    };
    Policies {
        denies: false,
        dry_run: false,
        alternatives,
    }
}

fn on_route(route: &Value, authorized: Vec<Part>) -> Vec<Part> {
    let known = |key: &String| matches!(key.as_str(), "method" | "authorizations");
    let known = route
        .as_object()
        .is_some_and(|route| route.keys().all(known));
    let methods: Result<_, Unsaid> = match (known, route["method"].as_str().map(Method::parse)) {
        (false, _) => Err("a match of a route".into()),
        (_, Some(Method::Other)) => Err("a method that rules do not name".into()),
        (true, None) => Ok(Method::NAMED.into()),
        (true, Some(method)) => Ok(vec![method]),
    };
    let route = methods.map(|methods| Clause {
        methods: Some(methods),
        ..Clause::default()
    });
    let authorized = authorized.into_iter();
    authorized.map(|part| part?.and(route.clone()?)).collect()
}

fn authorization(authorization: &Value) -> Part {
    let caller = match text(authorization, "authentication") {
        "unauthenticated" => Clause::default(),
        "tls-authenticated" => {
            let named = texts(&authorization["identities"])
                .into_iter()
                .map(spiffe_id);
            let suffixed = texts(&authorization["suffixes"]).into_iter().map(|suffix| {
                let domain = suffix.strip_prefix("*.").unwrap_or("?");
                format!("trust-domain:{domain}")
            });
            let ids = named
                .chain(suffixed)
                .map(|id| IdPattern::parse(&id).map_err(|_| "an id that is no pattern here"));
            Clause::ids(ids.collect::<Result<_, _>>()?)
        }
        // TLS without a proof of the caller is no proof here.
        other => return Err(other.into()),
    };
    caller.and(networks(&texts(&authorization["networks"]))?)
}

/// A DNS name as an id: `SA.NS.serviceaccount.identity.linkerd.TD`, else its first label as the path.
pub(crate) fn spiffe_id(name: &str) -> String {
    match name.split_once(".serviceaccount.identity.linkerd.") {
        Some((account, domain)) => {
            let (account, namespace) = account.split_once('.').expect("an account");
            format!("spiffe://{domain}/ns/{namespace}/sa/{account}")
        }
        None => {
            let (first, rest) = name.split_once('.').expect("a name of some labels");
            format!("spiffe://{rest}/{first}")
        }
    }
}
