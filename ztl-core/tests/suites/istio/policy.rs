//! AuthorizationPolicy of Istio: DENY over ALLOW, and where nothing allows, everything is allowed.

use std::net::IpAddr;

use serde_json::{Value, json};
use ztl_core::{IdPattern, Method};

use super::clause::{Clause, Part, Unsaid, times};
use super::lower::Policies;
use super::operation::{network, networks, operation, ports};
use crate::netpol::cluster::{entries, items};
use crate::text;

/// What the policies are read for.
#[derive(Clone)]
pub(crate) struct Mesh<'a> {
    /// Namespaces and service accounts are looked for in these.
    pub(crate) trust_domains: &'a [&'a str],
    /// The target's address: a policy may ask for it, and it is known.
    pub(crate) target: Option<IpAddr>,
    /// The namespace that a policy stands in: a service account without one is of it.
    pub(crate) namespace: Option<&'a str>,
    /// Issuers of tokens (RequestAuthentication).
    pub(crate) issuers: Vec<String>,
    /// Claims that are lists written as one text.
    pub(crate) delimited: Vec<String>,
}

impl Mesh<'_> {
    /// Reads what the set says about tokens.
    pub(crate) fn learn(&mut self, set: &[Value]) {
        let authentications = set
            .iter()
            .filter(|object| object["kind"] == "RequestAuthentication");
        for rule in authentications.flat_map(|object| items(&object["spec"]["jwtRules"])) {
            self.issuers.push(text(rule, "issuer").to_owned());
            let delimited = items(&rule["spaceDelimitedClaims"]).filter_map(Value::as_str);
            self.delimited.extend(delimited.map(str::to_owned));
        }
    }

    pub(crate) fn policies(&self, set: &[Value]) -> Vec<Policies> {
        let policies = set
            .iter()
            .filter(|object| object["kind"] == "AuthorizationPolicy");
        policies.map(|policy| self.policy(policy)).collect()
    }

    fn policy(&self, policy: &Value) -> Policies {
        let mesh = Mesh {
            namespace: policy["metadata"]["namespace"].as_str(),
            ..self.clone()
        };
        let action = policy["spec"]["action"].as_str().unwrap_or("ALLOW");
        let dry_run = &policy["metadata"]["annotations"]["istio.io/dry-run"] == "true";
        let denies = action != "ALLOW";
        let rules = items(&policy["spec"]["rules"]);
        let alternatives = match action {
            "ALLOW" | "DENY" => rules.flat_map(|rule| mesh.rule(rule, denies)).collect(),
            // Somebody else is asked: whatever it says, nothing here says it.
            _ => vec![Err(Unsaid(format!("the action {action}")))],
        };
        Policies {
            denies,
            dry_run,
            alternatives,
        }
    }

    /// Rule 4: from AND to AND when; within a list OR; within a source or an operation AND.
    fn rule(&self, rule: &Value, denies: bool) -> Vec<Part> {
        let mut alternatives = vec![Ok(Clause::default())];
        let of = |key: &str, inner: &str, read: &dyn Fn((&String, &Value)) -> Vec<Part>| {
            let mut any = Vec::new();
            for entry in items(&rule[key]) {
                if let Some(unsaid) = mixed(&entry[inner]) {
                    any.push(Err(unsaid));
                    continue;
                }
                let fields = entries(&entry[inner]).map(read);
                any.extend(fields.fold(vec![Ok(Clause::default())], |one, two| times(&one, &two)));
            }
            any
        };
        let sources = of("from", "source", &|field| self.source(field));
        let operations = of("to", "operation", &|field| vec![operation(field, denies)]);
        for any in [sources, operations] {
            if !any.is_empty() {
                alternatives = times(&alternatives, &any);
            }
        }
        for condition in items(&rule["when"]) {
            alternatives = times(&alternatives, &self.condition(condition));
        }
        alternatives
    }

    fn source(&self, (field, values): (&String, &Value)) -> Vec<Part> {
        let values = texts(values);
        match field.as_str() {
            "requestPrincipals" => self.subjects(&values),
            "ipBlocks" => vec![networks(&values)],
            _ => vec![self.callers(field, &values)],
        }
    }

    /// Whom these texts mean, or with `not` do not mean. Upstream a negation is also met by whoever proves nothing; here it
    /// is not (rule 9).
    pub(crate) fn callers(&self, field: &str, values: &[&str]) -> Part {
        if let Some(negated) = positive(field) {
            let meant = self.callers(negated, values)?;
            return Ok(match meant.ids {
                Some(ids) => Clause {
                    not: Some(ids),
                    ..Clause::default()
                },
                None => Clause::fact(false),
            });
        }
        let mut ids = Vec::new();
        for value in values {
            let in_every = |path: String| {
                let ids = self.trust_domains.iter();
                ids.map(move |domain| format!("spiffe://{domain}/ns/{path}"))
            };
            let written: Vec<_> = match field {
                // Present and not empty (rule 10); nobody else comes so far.
                "principals" | "namespaces" if *value == "*" => return Ok(Clause::default()),
                "principals" => match value.strip_suffix("/*") {
                    Some(above) => vec![format!("spiffe://{above}/**")],
                    None => vec![format!("spiffe://{value}")],
                },
                "namespaces" => in_every(format!("{value}/**")).collect(),
                "serviceAccounts" => {
                    let own = || Some((self.namespace?, *value));
                    let account = value.split_once('/').or_else(own);
                    let (namespace, account) = account.ok_or("an account without namespace")?;
                    in_every(format!("{namespace}/sa/{account}")).collect()
                }
                "trustDomains" => vec![format!("trust-domain:{value}")],
                other => return Err(other.into()),
            };
            for id in written {
                match IdPattern::parse(&id) {
                    Ok(pattern) => ids.push(pattern),
                    Err(_) if value.contains('*') => return Err("an id by a glob".into()),
                    // No SVID bears it (rules 17 and 18), so it means nobody.
                    Err(_) => {}
                }
            }
        }
        Ok(Clause::ids(ids))
    }

    /// Of a token: `issuer/subject`, or any token of an issuer that is known.
    fn subjects(&self, values: &[&str]) -> Vec<Part> {
        let mut any = Vec::new();
        for value in values {
            match value.split_once('/') {
                _ if *value == "*" => any.extend(
                    self.issuers
                        .iter()
                        .map(|issuer| Ok(json!({ "issuer": issuer }))),
                ),
                Some((issuer, subject)) if !value.contains('*') => {
                    any.push(Ok(
                        json!({ "issuer": issuer, "claims": { "sub": subject } }),
                    ));
                }
                _ if value.contains('*') => any.push(Err("a token's subject by a glob".into())),
                // Whom a token names is written with its issuer, so this is nobody.
                _ => {}
            }
        }
        if any.is_empty() {
            return vec![Ok(Clause::fact(false))];
        }
        any.into_iter()
            .map(|token| token.map(Clause::token))
            .collect()
    }

    fn condition(&self, condition: &Value) -> Vec<Part> {
        if items(&condition["notValues"]).next().is_some() {
            return vec![Err("notValues".into())];
        }
        let values = texts(&condition["values"]);
        let key = text(condition, "key");
        let (name, inside) = key.split_once('[').unwrap_or((key, ""));
        let tokens = |of: &dyn Fn(&str) -> Value| -> Vec<Part> {
            let exact = |value: &&str| match value.contains('*') {
                true => Err("a value by a glob".into()),
                false => Ok(Clause::token(of(value))),
            };
            values.iter().map(exact).collect()
        };
        match (name, inside.strip_suffix(']')) {
            ("source.ip", _) => vec![networks(&values)],
            ("source.namespace", _) => vec![self.callers("namespaces", &values)],
            ("source.principal", _) => vec![self.callers("principals", &values)],
            ("source.serviceAccount", _) => vec![self.callers("serviceAccounts", &values)],
            ("source.trustDomain", _) => vec![self.callers("trustDomains", &values)],
            ("destination.ip", _) => vec![self.is_target(&values)],
            ("destination.port", _) => {
                vec![ports(&values).map(|ports| {
                    Clause::ports(ports.into_iter().map(|port| (port, port)).collect())
                })]
            }
            ("request.auth.principal", _) => self.subjects(&values),
            ("request.auth.audiences", _) => tokens(&|value| json!({ "audience": value })),
            ("request.auth.presenter", _) => tokens(&|value| json!({ "claims": { "azp": value } })),
            ("request.auth.claims", Some("scope")) => tokens(&|value| json!({ "scopes": [value] })),
            ("request.auth.claims", Some(claim)) if claim.contains('[') => {
                vec![Err("a claim within a claim".into())]
            }
            ("request.auth.claims", Some(claim))
                if self.delimited.iter().any(|one| one == claim) =>
            {
                vec![Err("a claim that is a list in one text".into())]
            }
            ("request.auth.claims", Some(claim)) => {
                tokens(&|value| json!({ "claims": { claim: value } }))
            }
            ("request.headers", Some(_)) if values.iter().any(|value| value.contains('*')) => {
                vec![Err("a value by a glob".into())]
            }
            ("request.headers", Some(header)) => {
                let headers = [(header.to_ascii_lowercase(), json!(values))];
                vec![Ok(Clause {
                    headers: headers.into_iter().collect(),
                    paths: None,
                    methods: Some(Method::NAMED.into()),
                    ..Clause::default()
                })]
            }
            (other, _) => vec![Err(other.into())],
        }
    }

    /// Whether the target's own address is one of these: known when the document is written.
    pub(crate) fn is_target(&self, values: &[&str]) -> Part {
        let target = self.target.ok_or("the target's address")?;
        let blocks = values
            .iter()
            .map(|value| network(value))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Clause::fact(
            blocks.iter().any(|block| block.contains(&target)),
        ))
    }
}

/// A source that Istio's own validation refuses: a service account is an id, and is not to be narrowed by other ids.
fn mixed(source: &Value) -> Option<Unsaid> {
    let has = |keys: &[&str]| keys.iter().any(|key| items(&source[*key]).next().is_some());
    let mixed = has(&["serviceAccounts", "notServiceAccounts"])
        && has(&["principals", "notPrincipals", "namespaces", "notNamespaces"]);
    mixed.then(|| "service accounts beside other ids".into())
}

/// What a negation negates.
fn positive(field: &str) -> Option<&'static str> {
    match field {
        "notPrincipals" | "not_principals" => Some("principals"),
        "notNamespaces" | "not_namespaces" => Some("namespaces"),
        "notServiceAccounts" | "not_service_accounts" => Some("serviceAccounts"),
        "notTrustDomains" => Some("trustDomains"),
        _ => None,
    }
}

pub(crate) fn texts(values: &Value) -> Vec<&str> {
    items(values)
        .map(|value| value.as_str().expect("a text"))
        .collect()
}
