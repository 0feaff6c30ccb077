//! Which routes of a service no rule reaches, and which rules reach no route.
//!
//! A route that nobody may call is denied to all; an action that no route serves is a rule about nothing, most often a
//! mistyped path. Neither is an error of the document, which does not know the service: this is asked by whoever knows both.

use core::fmt;
use std::sync::Arc;

use crate::policy::{ActionPattern, Effect, Mode, Policy};

/// How the rules about a workload and its routes fit: made by [`routes`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteCheck {
    /// Routes that no enforced permit reaches, as they were given. Everybody is denied there.
    pub unreached: Vec<ActionPattern>,
    /// Actions of rules that no route serves.
    pub idle: Vec<IdleAction>,
}

/// An action of a rule that no route serves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdleAction {
    /// The rule's name.
    pub rule: Arc<str>,
    /// The action.
    pub action: ActionPattern,
}

impl RouteCheck {
    /// Whether every route is reached and every action served.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.unreached.is_empty() && self.idle.is_empty()
    }
}

impl fmt::Display for RouteCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for route in &self.unreached {
            writeln!(f, "no rule permits the route `{route}`")?;
        }
        for IdleAction { rule, action } in &self.idle {
            writeln!(f, "no route serves `{action}` of the rule `{rule}`")?;
        }
        Ok(())
    }
}

/// Holds the routes of a workload against the rules about it. None where the policy has no such workload.
///
/// Whether a permit reaches a route errs towards yes where the two differ only in what a parameter must look like; a forbid on
/// top of a permit does not count, since it may concern some callers alone. Rules that are off are left out, and so are the
/// actions `connect` and `any`, which speak of no route; of a rule in shadow it is asked whether a route serves it, and it reaches
/// none.
///
/// ```
/// use ztl_core::analysis::routes;
/// use ztl_core::policy::{ActionPattern, Policy};
///
/// let policy = Policy::from_toml(r#"
/// schema = 1
/// trust_domain = "prod.example"
/// [workloads]
/// cart = { id = "spiffe://prod.example/cart" }
/// shop = { id = "spiffe://prod.example/shop", ports = 8443 }
/// [[permit]]
/// name = "cart-reads"
/// from = "cart"
/// to = "shop"
/// actions = ["GET /v1/items/{id}", "GET /v1/itmes"]
/// "#)?;
/// let served = ["GET /v1/items/{item}", "DELETE /v1/items/{item}"].map(|route| ActionPattern::parse(route).expect("route"));
/// let check = routes(&policy, "shop", &served).expect("a workload");
/// assert_eq!(check.to_string(), "no rule permits the route `DELETE /v1/items/{item}`\n\
///                                no route serves `GET /v1/itmes` of the rule `cart-reads`\n");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[must_use]
pub fn routes(policy: &Policy, workload: &str, served: &[ActionPattern]) -> Option<RouteCheck> {
    let target = policy.workload_by_name(workload)?;
    let mut about: Vec<_> = target.rules().map(|entry| entry.rule).collect();
    about.sort_unstable();
    about.dedup();
    let about: Vec<_> = about
        .into_iter()
        .filter_map(|rule| policy.rule(rule))
        .filter(|rule| rule.mode != Mode::Off)
        .collect();
    let reached = |route: &&ActionPattern| {
        let mut permits = about
            .iter()
            .filter(|rule| rule.effect == Effect::Permit && rule.mode == Mode::Enforce);
        permits.any(|rule| {
            rule.actions
                .iter()
                .any(|action| action.permits_some_of(route))
        })
    };
    let serves = |effect, action: &ActionPattern| {
        served.iter().any(|route| match effect {
            Effect::Permit => action.permits_some_of(route),
            Effect::Forbid => action.forbids_some_of(route),
        })
    };
    let mut idle = Vec::new();
    for rule in &about {
        let actions = rule.actions.iter().filter(|action| {
            !matches!(action, ActionPattern::Connect | ActionPattern::Any)
                && !serves(rule.effect, action)
        });
        idle.extend(actions.map(|action| IdleAction {
            rule: Arc::clone(&rule.name),
            action: action.clone(),
        }));
    }
    Some(RouteCheck {
        unreached: served
            .iter()
            .filter(|route| !reached(route))
            .cloned()
            .collect(),
        idle,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rules: &str, served: &[&str]) -> String {
        let text = format!(
            "schema = 1\ntrust_domain = 'a'\n[workloads]\nx = {{ id = 'spiffe://a/x' }}\n\
             y = {{ id = 'spiffe://a/y', ports = 1 }}\n{rules}"
        );
        let policy = Policy::from_toml(&text).unwrap_or_else(|error| panic!("{error}"));
        let served: Vec<_> = served
            .iter()
            .map(|route| ActionPattern::parse(route).expect("route"))
            .collect();
        let check = routes(&policy, "y", &served).expect("a workload");
        assert_eq!(check.is_complete(), check.to_string().is_empty());
        assert_eq!(routes(&policy, "z", &served), None);
        check.to_string()
    }

    fn permit(actions: &str) -> String {
        format!("[[permit]]\nname = 'p'\nfrom = 'x'\nto = 'y'\nactions = {actions}\n")
    }

    #[test]
    fn each_action_meets_the_routes_that_it_would_permit() {
        for (action, route) in [
            ("GET,PUT /v/{a}", "PUT /v/x"),
            ("GET /v/{*rest}", "GET /v/{a}/b"),
            ("GET /v/{a}", "GET /{*all}"),
            ("grpc a.B/*", "grpc a.B/C"),
            ("POST /a.B/{m}", "grpc a.B/C"),
            ("grpc a.B/C", "POST /a.B/C"),
            ("websocket /w", "websocket /w"),
            ("upgrade:x /w", "upgrade:X /w"),
        ] {
            let rules = permit(&format!("['{action}']"));
            assert_eq!(check(&rules, &[route]), "", "{action} {route}");
        }
        assert_eq!(check(&permit("'any'"), &["GET /a", "grpc a.B/C"]), "");
        assert_eq!(check(&permit("'connect'"), &[]), "");
    }

    #[test]
    fn rule_45_what_is_not_named_is_not_reached() {
        for (action, route) in [
            ("GET /v", "HEAD /v"),
            ("GET /v", "GET /v/"),
            ("GET /v/{a}", "GET /v"),
            ("GET /w", "websocket /w"),
            ("grpc a.B/C", "GET /a.B/C"),
            ("upgrade:x /w", "upgrade:y /w"),
        ] {
            let rules = permit(&format!("['{action}']"));
            let expected = format!(
                "no rule permits the route `{route}`\nno route serves `{action}` of the rule `p`\n"
            );
            assert_eq!(check(&rules, &[route]), expected);
        }
        let any = check(&permit("'any'"), &["HEAD /a", "websocket /a"]);
        assert_eq!(any.lines().count(), 2, "{any}");
    }

    #[test]
    fn only_what_is_enforced_reaches_a_route() {
        let shadow = permit("'GET /a'") + "mode = 'shadow'\n";
        assert_eq!(
            check(&shadow, &["GET /a"]),
            "no rule permits the route `GET /a`\n"
        );
        let off = permit("'GET /a'") + "mode = 'off'\n";
        assert_eq!(check(&off, &[]), "");
        let forbid =
            "[[forbid]]\nname = 'f'\nfrom = 'x'\nto = 'y'\nactions = ['GET /a', 'GET /b']\n";
        let found = check(&(permit("'HEAD /a'") + forbid), &["HEAD /a"]);
        assert_eq!(found, "no route serves `GET /b` of the rule `f`\n");
    }
}
