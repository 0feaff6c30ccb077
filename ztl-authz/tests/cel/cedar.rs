//! Use cases of Cedar, as documents of ours: the requests of its own tests, and every combination of what stands in them.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::tally::{Counts, Stands, Tally};

const LIST: &str = include_str!("../suites/cedar/cedar.toml");

/// The documents, by the use case that each is.
const POLICIES: [(&str, &str); 10] = [
    (
        "decimal/1",
        include_str!("../suites/cedar/policies/decimal-1.toml"),
    ),
    (
        "example_use_cases/1a",
        include_str!("../suites/cedar/policies/example_use_cases-1a.toml"),
    ),
    (
        "example_use_cases/3b",
        include_str!("../suites/cedar/policies/example_use_cases-3b.toml"),
    ),
    (
        "example_use_cases/3c",
        include_str!("../suites/cedar/policies/example_use_cases-3c.toml"),
    ),
    (
        "example_use_cases/5b",
        include_str!("../suites/cedar/policies/example_use_cases-5b.toml"),
    ),
    ("ip/1", include_str!("../suites/cedar/policies/ip-1.toml")),
    ("ip/2", include_str!("../suites/cedar/policies/ip-2.toml")),
    (
        "multi/1",
        include_str!("../suites/cedar/policies/multi-1.toml"),
    ),
    (
        "multi/4",
        include_str!("../suites/cedar/policies/multi-4.toml"),
    ),
    (
        "multi/5",
        include_str!("../suites/cedar/policies/multi-5.toml"),
    ),
];

fn policy(case: &str) -> Policy {
    let found = POLICIES.iter().find(|(of, _)| *of == case);
    let (_, text) = found.unwrap_or_else(|| panic!("a document of {case}"));
    let loaded = loader().load(text, Format::Toml);
    loaded.unwrap_or_else(|error| panic!("{case}: {error}"))
}

fn rows(table: &str) -> Vec<Value> {
    serde_json::from_str(table).expect("a list of rows")
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().expect("a list").iter()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// `Type:id`.
fn uid(entity: &Value) -> String {
    format!("{}:{}", text(&entity["type"]), text(&entity["id"]))
}

/// The store of entities that Cedar is given beside a request. Here a token says what the caller is, and the service what is
/// asked for.
struct Store(BTreeMap<String, Value>);

impl Store {
    fn read(entities: &Value) -> Self {
        let entity = |entity: &Value| (uid(&entity["uid"]), entity.clone());
        Self(items(entities).map(entity).collect())
    }

    /// An entity, and all that it is in.
    fn within(&self, uid_of: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::from([uid_of.to_owned()]);
        let mut next = vec![uid_of.to_owned()];
        while let Some(one) = next.pop() {
            let parents = self.0.get(&one).map(|entity| items(&entity["parents"]));
            for parent in parents.into_iter().flatten().map(uid) {
                if all.insert(parent.clone()) {
                    next.push(parent);
                }
            }
        }
        all
    }

    /// The attributes of an entity, of which one that is an entity has its `uid` and its own attributes, up to some depth.
    fn attributes(&self, of: &str, depth: u8) -> Value {
        let attributes = self.0.get(of).map(|entity| &entity["attrs"]);
        let attributes = attributes.and_then(Value::as_object).into_iter().flatten();
        let shown = attributes.map(|(name, value)| (name.clone(), self.shown(value, depth)));
        Value::Object(shown.collect())
    }

    fn shown(&self, value: &Value, depth: u8) -> Value {
        match value {
            Value::Object(object) if object.len() == 2 && object.contains_key("id") => {
                let of = uid(value);
                let mut shown = match depth.checked_sub(1) {
                    Some(depth) => self.attributes(&of, depth),
                    None => json!({}),
                };
                shown["uid"] = of.into();
                shown
            }
            Value::Array(list) => list.iter().map(|one| self.shown(one, depth)).collect(),
            other => other.clone(),
        }
    }

    /// A request of Cedar as one of ours.
    ///
    /// - The principal is whom the token names: its type issues it, its groups and attributes are claims. A gateway brings it.
    /// - The action on the resource is `POST /TYPE/ID/ACTION`.
    /// - What the resource is in, its attributes and Cedar's context are what the service says. A decimal is a number.
    /// - Where the context has an address, the request arrives from it.
    fn query(&self, principal: &str, action: &str, resource: &str, given: &Value) -> Query {
        let (kind, name) = principal.split_once(':').expect("a type");
        let mut claims = self.attributes(principal, 2);
        claims["iss"] = kind.into();
        claims["sub"] = name.into();
        claims["groups"] = self.within(principal).into_iter().collect();
        let mut context =
            json!({ "resource": self.attributes(resource, 2), "within": self.within(resource) });
        let mut from_addr = None;
        for (name, value) in given.as_object().expect("a context") {
            assert!(context.get(name).is_none(), "{name} is taken");
            let value = plain(value);
            if name == "source_ip" {
                from_addr = Some(value.clone());
            }
            context[name] = value;
        }
        let (kind, name) = resource.split_once(':').expect("a type");
        let mut query = json!({
            "from": "gateway", "to": "photos", "method": "POST", "path": format!("/{kind}/{name}/{action}"),
            "claims": claims, "context": context,
        });
        if let Some(address) = from_addr {
            query["from_addr"] = address;
        }
        Query::from_json(&query.to_string()).expect("a query")
    }
}

/// A value of an extension type as what it is here: a decimal is a number, an address a text.
fn plain(value: &Value) -> Value {
    let (function, of) = (&value["__extn"]["fn"], &value["__extn"]["arg"]);
    match function.as_str() {
        Some("decimal") => text(of).parse::<f64>().expect("a number").into(),
        Some("ip") => of.clone(),
        Some(other) => panic!("an extension type that is not known here: {other}"),
        None => value.clone(),
    }
}

/// Our answer beside theirs; where it is stricter, with the reason.
fn judge(
    tally: &mut Tally,
    id: &str,
    theirs: &str,
    policy: &Policy,
    query: &Query,
) -> Option<String> {
    let decision = query.decide(policy, NOW).expect("a decision");
    let permitted = decision.verdict == ztl_core::Verdict::Permit;
    let (ours, stands) = match (permitted, theirs) {
        (true, _) => ("allow".to_owned(), Stands::Looser),
        (false, "deny") => ("deny".to_owned(), Stands::Stricter),
        (false, _) => (
            format!("deny: {}", decision.reason.code()),
            Stands::Stricter,
        ),
    };
    tally.row(id, theirs, &ours, stands);
    decision.rule.map(|rule| rule.to_string())
}

#[test]
fn rules_4_to_8_requests_of_cedar() {
    let mut tally = Tally::new(LIST);
    let mut named = 0;
    for case in rows(include_str!("../suites/cedar/handwritten.json")) {
        let id = text(&case["id"]);
        let (policy, store) = (policy(id), Store::read(&case["entities"]));
        for (at, asked) in items(&case["requests"]).enumerate() {
            let (principal, resource) = (uid(&asked["principal"]), uid(&asked["resource"]));
            let action = text(&asked["action"]["id"]);
            let query = store.query(&principal, action, &resource, &asked["context"]);
            let theirs = text(&asked["decision"]);
            let rule = judge(&mut tally, &format!("{id}:{at}"), theirs, &policy, &query);
            // The policies that decided there: ours is the first of them. Where none did, nothing permitted it.
            let Some(first) = items(&asked["reason"]).next().map(text) else {
                continue;
            };
            let rule = rule.unwrap_or_default();
            assert!(
                rule == first || rule.starts_with(&format!("{first}-")),
                "{id}:{at}: {rule}"
            );
            named += 1;
        }
    }
    assert_eq!(named, 20, "requests that a policy decided");
    let expected = Counts {
        agree: 36,
        ..Counts::default()
    };
    tally.finish("cedar's requests", expected);
}

#[test]
fn rules_4_to_8_combinations_of_cedar() {
    let cases = rows(include_str!("../suites/cedar/handwritten.json"));
    let mut tally = Tally::new(LIST);
    for row in rows(include_str!("../suites/cedar/combinations.json")) {
        let id = text(&row["id"]);
        let case = cases.iter().find(|case| text(&case["id"]) == id);
        let store = Store::read(&case.expect("a use case")["entities"]);
        let policy = policy(id);
        let mut allowed: BTreeSet<_> = items(&row["allowed"]).map(text).collect();
        for (at, context) in items(&row["contexts"]).enumerate() {
            for principal in items(&row["principals"]).map(text) {
                for action in items(&row["actions"]).map(text) {
                    for resource in items(&row["resources"]).map(text) {
                        let asked = format!("{at} {principal} {action} {resource}");
                        let theirs = if allowed.remove(&*asked) {
                            "allow"
                        } else {
                            "deny"
                        };
                        let query = store.query(principal, action, resource, context);
                        judge(
                            &mut tally,
                            &format!("{id}: {asked}"),
                            theirs,
                            &policy,
                            &query,
                        );
                    }
                }
            }
        }
        assert!(allowed.is_empty(), "{id}: {allowed:?} are no combinations");
    }
    let expected = Counts {
        agree: 12_460,
        ..Counts::default()
    };
    tally.finish("cedar's combinations", expected);
}
