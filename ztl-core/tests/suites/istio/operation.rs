//! What an operation of Istio names: ports, methods, paths.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;
use ztl_core::Method;
use ztl_core::policy::Template;

use super::clause::{Clause, Part, Unsaid, other_ports};
use super::policy::texts;
use crate::http_path::templates::translate_text;

/// One field of an operation.
pub(crate) fn operation((field, values): (&String, &Value), denies: bool) -> Part {
    let values = texts(values);
    let methods = || {
        let known = |value: &&str| match Method::parse(value) {
            Method::Other => Err(Unsaid::from("a method that rules do not name")),
            method => Ok(method),
        };
        values.iter().map(known).collect::<Result<Vec<_>, _>>()
    };
    match field.as_str() {
        "ports" => Ok(Clause::ports(
            ports(&values)?
                .into_iter()
                .map(|port| (port, port))
                .collect(),
        )),
        "notPorts" => Ok(Clause::ports(other_ports(&ports(&values)?))),
        "methods" => Ok(Clause {
            methods: Some(methods()?),
            ..Clause::default()
        }),
        // There are seven methods that a rule can name, so the others can be named.
        "notMethods" => {
            let not = methods()?;
            let others = Method::NAMED
                .into_iter()
                .filter(|method| !not.contains(method));
            Ok(Clause {
                methods: Some(others.collect()),
                ..Clause::default()
            })
        }
        "paths" => {
            let mut all = Vec::new();
            let mut without = BTreeSet::new();
            for value in values {
                match paths(value, denies) {
                    Ok(templates) => all.extend(templates),
                    Err(unsaid) if denies => return Err(unsaid),
                    // One path less permits less.
                    Err(Unsaid(what)) => {
                        without.insert(what);
                    }
                }
            }
            Ok(Clause {
                paths: Some(all),
                without,
                ..Clause::default()
            })
        }
        other => Err(other.into()),
    }
}

/// The templates of a path. A prefix that ends inside a segment is not sayable; what allows it is read as the segment.
fn paths(path: &str, denies: bool) -> Result<Vec<String>, Unsaid> {
    let below = |path: &str| vec![format!("{path}/"), format!("{path}/{{*rest}}")];
    let written = match path.strip_suffix('*') {
        Some("") => below(""),
        _ if path.contains('{') => translate_text(path)?,
        _ if path.starts_with('*') => return Err("a suffix".into()),
        None => vec![path.to_owned()],
        Some(start) => match start.strip_suffix('/') {
            Some(above) => below(above),
            None if denies => return Err("a prefix that ends within a segment".into()),
            None => [vec![start.to_owned()], below(start)].concat(),
        },
    };
    let template = |path: &String| Template::parse(path).is_ok();
    written
        .iter()
        .all(template)
        .then_some(written)
        .ok_or_else(|| "a path that is refused".into())
}

/// Address blocks, and addresses alone.
pub(crate) fn networks(values: &[&str]) -> Part {
    let blocks = values
        .iter()
        .map(|value| network(value))
        .collect::<Result<_, _>>()?;
    Ok(Clause::networks(blocks))
}

pub(crate) fn network(text: &str) -> Result<IpNet, Unsaid> {
    let network = text.parse::<IpNet>().map(|network| network.trunc());
    network.or_else(|_| {
        let address = text.parse::<IpAddr>();
        address.map(IpNet::from).map_err(|_| "an address".into())
    })
}

pub(crate) fn ports(values: &[&str]) -> Result<Vec<u16>, Unsaid> {
    values
        .iter()
        .map(|value| value.parse().map_err(|_| "a port".into()))
        .collect()
}
