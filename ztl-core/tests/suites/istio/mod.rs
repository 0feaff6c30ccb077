//! Authorization policies of Istio, ztunnel and Linkerd: who may ask for what (rules 1 to 10, 41 to 46).

mod clause;
mod corpus;
mod linkerd;
mod lower;
mod negation;
mod operation;
mod policy;
mod request;
mod strings;
mod ztunnel;

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use self::clause::Unsaid;
use self::lower::Policies;
use self::policy::Mesh;
use self::request::Request;
use crate::netpol::cluster::items;
use crate::tally::{Counts, Stands, Tally, UNSAID};
use crate::{rows, text};

fn address(value: &Value) -> Option<IpAddr> {
    value.as_str().map(|text| text.parse().expect("an address"))
}

fn port(value: &Value) -> u16 {
    let port = value.as_u64().and_then(|port| port.try_into().ok());
    port.expect("a port")
}

fn mesh<'a>(trust_domains: &'a [&'a str], target: Option<IpAddr>) -> Mesh<'a> {
    Mesh {
        trust_domains,
        target,
        namespace: None,
        issuers: Vec::new(),
        delimited: Vec::new(),
    }
}

/// A request of Istio's rows.
fn asked(request: &Value) -> Request<'_> {
    let http = request.get("http");
    let headers = http.and_then(|http| http["headers"].as_object());
    let headers = headers.into_iter().flatten();
    Request {
        identity: request["source"]["principal"].as_str().map(str::to_owned),
        from: address(&request["source"]["ip"]),
        port: port(&request["destination"]["port"]),
        http: http.map(|http| (text(http, "method"), text(http, "path"))),
        headers: headers
            .map(|(name, value)| (name.as_str(), value.as_str().expect("a text")))
            .collect(),
        claims: request["claims"].as_object().cloned(),
    }
}

fn compare(tally: &mut Tally, row: &Value, policies: &[Policies], request: &Request<'_>) {
    let theirs = text(row, "expect");
    let (ours, stands) = match lower::load(policies) {
        Ok(lowered) if request.is_permitted(&lowered.policy) => {
            ("allow".to_owned(), Stands::Looser)
        }
        // Whatever the reason.
        Ok(_) if theirs == "deny" => (theirs.to_owned(), Stands::Stricter),
        Ok(lowered) => (denied(request, lowered.without), Stands::Stricter),
        Err(Unsaid(why)) => (format!("{UNSAID}{why}"), Stands::Stricter),
    };
    tally.row(text(row, "id"), theirs, &ours, stands);
}

/// Why it is denied here where it is allowed there.
fn denied(request: &Request<'_>, without: BTreeSet<String>) -> String {
    if request.identity.is_none() {
        return "deny: no proof".to_owned();
    }
    let without: Vec<_> = without.into_iter().collect();
    match without.as_slice() {
        [] => "deny".to_owned(),
        without => format!("deny: without {}", without.join(", ")),
    }
}

#[test]
fn rules_1_to_10_istio() {
    let sets: Value = serde_json::from_str(include_str!("policy_sets.json")).expect("policy sets");
    let mut tally = Tally::new(include_str!("istio_cases.toml"));
    for row in rows(include_str!("istio_cases.json")) {
        let request = &row["request"];
        let set: Vec<_> = items(&sets[text(&row, "policy_set")]).cloned().collect();
        let mut mesh = mesh(&["cluster.local"], address(&request["destination"]["ip"]));
        mesh.learn(&set);
        compare(&mut tally, &row, &mesh.policies(&set), &asked(request));
    }
    let expected = Counts {
        agree: 79,
        stricter: 7,
        unsaid: 48,
        ..Counts::default()
    };
    tally.finish("istio authorization", expected);
}

#[test]
fn rules_1_to_10_ztunnel() {
    let mut tally = Tally::new(include_str!("ztunnel_rbac.toml"));
    for row in rows(include_str!("ztunnel_rbac.json")) {
        let conn = &row["conn"];
        let mesh = mesh(&["td", "td-alt", "cluster.local"], address(&conn["dst"]));
        let namespace = conn["dst_namespace"].as_str();
        let policies = items(&row["policies"]);
        let policies: Vec<_> = policies
            .filter_map(|policy| mesh.ztunnel(policy, namespace))
            .collect();
        let request = Request {
            identity: conn["identity"].as_str().map(ztunnel::spiffe),
            from: address(&conn["src"]),
            port: port(&conn["port"]),
            http: None,
            headers: Vec::new(),
            claims: None,
        };
        compare(&mut tally, &row, &policies, &request);
    }
    let expected = Counts {
        agree: 17,
        stricter: 2,
        ..Counts::default()
    };
    tally.finish("ztunnel rbac", expected);
}

#[test]
fn rules_1_to_10_linkerd() {
    let mut tally = Tally::new(include_str!("linkerd_policy.toml"));
    for row in rows(include_str!("linkerd_policy.json")) {
        let conn = &row["conn"];
        let http = row.get("request").filter(|request| !request.is_null());
        let request = Request {
            identity: conn["identity"].as_str().map(linkerd::spiffe_id),
            from: address(&conn["src"]),
            port: port(&conn["port"]),
            http: http.map(|http| (text(http, "method"), text(http, "path"))),
            headers: Vec::new(),
            claims: None,
        };
        compare(
            &mut tally,
            &row,
            &[linkerd::policy(&row["policy"])],
            &request,
        );
    }
    let expected = Counts {
        agree: 7,
        ..Counts::default()
    };
    tally.finish("linkerd policy", expected);
}
