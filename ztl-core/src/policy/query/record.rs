//! The question that an audit record answers, as far as the record tells it.

use serde_json::{Map, Value};

use super::{Asked, Query, QueryError};
use crate::policy::diagnostic::quoted;
use crate::policy::tree::parse_json;

/// The end of a text that was cut when it was recorded.
const CUT: char = '…';

/// A question, from the record of its decision.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recorded {
    /// The question.
    pub query: Query,
    /// `id`: the decision's.
    pub id: Box<str>,
    /// `verdict`
    pub verdict: Box<str>,
    /// `reason`
    pub reason: Box<str>,
    /// `rule`, where one decided.
    pub rule: Option<Box<str>>,
    /// `revision`: under which policy.
    pub revision: Box<str>,
    /// What the record does not hold and a decision may have read, in words. Where the decision shows that there was something,
    /// as `forwarded_untrusted` shows that an id was passed on, that is among them though no mask left a trace of it.
    pub missing: Vec<&'static str>,
}

impl Query {
    /// Reads one line of an audit log as the question that was decided.
    ///
    /// # Errors
    /// [`QueryError`] where the line is no record.
    pub fn from_record(line: &str) -> Result<Recorded, QueryError> {
        if line.len() > super::MAX_QUERY_BYTES {
            return Err(QueryError::TooLong);
        }
        let Value::Object(record) = parse_json(line)?.to_json() else {
            return Err(QueryError::NotAnObject);
        };
        Record(&record).question()
    }
}

/// The members of a claim that stand in plain, which are what the policy names: of what is hashed, cut or not there nothing is known.
fn in_plain(members: &Map<String, Value>) -> Map<String, Value> {
    let known = members.iter().filter_map(|(name, value)| {
        let value = match value {
            Value::Object(hashed) if hashed.contains_key("hash") => return None,
            Value::Object(members) => in_plain(members).into(),
            Value::String(text) if text.ends_with(CUT) => return None,
            Value::Null => return None,
            value => value.clone(),
        };
        Some((name.clone(), value))
    });
    known.collect()
}

struct Record<'a>(&'a Map<String, Value>);

impl Record<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }

    fn needed(&self, key: &'static str) -> Result<&str, QueryError> {
        let missing = || QueryError::value(key, "is missing: this is no audit record");
        self.text(key).ok_or_else(missing)
    }

    fn question(&self) -> Result<Recorded, QueryError> {
        let mut missing = Vec::new();
        let egress = self.needed("direction")? == "egress";
        let asked = self.asked(&mut missing)?;
        let mut query = super::read::query(&self.keys()?)?;
        query.asked = asked;
        query.asserted_by = self.text("asserted_by").map(Into::into);
        query.caller_of = egress.then(|| self.text("me").unwrap_or_default().into());
        for (key, what) in [
            ("peer", "the peer, which was masked"),
            ("addr", "the address, which was masked"),
            ("host", "the host, which was masked"),
            (
                "forwarded",
                "the id that the peer passed on, which was masked",
            ),
        ] {
            missing.extend(
                self.0
                    .get(key)
                    .filter(|value| value.is_object())
                    .map(|_| what),
            );
        }
        if !self.0.contains_key("forwarded") && self.needed("reason")? == "forwarded_untrusted" {
            missing.push("the id that the peer passed on, which is not in the record");
        }
        if query.from.is_none() && self.needed("reason")? == "identity_unproven" {
            missing.push("what the peer showed, where it proved nothing");
        }
        if !egress && !matches!(query.asked, Asked::Flow) {
            missing.push(if query.claims.is_some() {
                "the claims of the token but its issuer, subject and actors, and what the deciding rule names"
            } else {
                "the caller's token, if it had one"
            });
            missing.extend((query.trust_score.is_none()).then_some("the trust score"));
            missing.push("the posture of the caller's device");
            missing.push("what the service said of the request");
            missing.push("the header fields");
        }
        Ok(Recorded {
            query,
            id: self.needed("id")?.into(),
            verdict: self.needed("verdict")?.into(),
            reason: self.needed("reason")?.into(),
            rule: self.text("rule").map(Into::into),
            revision: self.needed("revision")?.into(),
            missing,
        })
    }

    /// The keys of a query that a record has.
    fn keys(&self) -> Result<Map<String, Value>, QueryError> {
        let mut keys = Map::new();
        let me = self.needed("me")?;
        let outward = self.text("host");
        keys.insert("to".to_owned(), outward.unwrap_or(me).into());
        keys.extend(outward.map(|_| ("from".to_owned(), me.into())));
        let named = [
            ("peer", "from"),
            ("addr", outward.map_or("from_addr", |_| "to_addr")),
            ("port", "port"),
            ("time", "now"),
            ("forwarded", "forwarded"),
        ];
        for (name, key) in named {
            // What is masked is an object, or is not there.
            let value = self.0.get(name);
            let value = value.filter(|value| !value.is_object() && value.as_u64() != Some(0));
            let value = value.cloned();
            keys.extend(value.map(|value| (key.to_owned(), value)));
        }
        let inputs = self.0.get("inputs");
        let score = inputs.and_then(|inputs| inputs.get("trust_score")?.get("value").cloned());
        let score = score.filter(Value::is_u64);
        keys.extend(score.map(|score| ("trust_score".to_owned(), score)));
        if let (Some(issuer), Some(subject)) = (self.text("issuer"), self.text("subject")) {
            let claims = self.claims(issuer, subject);
            keys.insert("claims".to_owned(), claims.into());
        }
        Ok(keys)
    }

    /// The claims that the record tells of.
    fn claims(&self, issuer: &str, subject: &str) -> Map<String, Value> {
        let token = self.0.get("inputs").and_then(|inputs| inputs.get("token"));
        let told = |key: &str| token.and_then(|token| token.get(key));
        let mut claims = told("claims")
            .and_then(Value::as_object)
            .map_or_else(Map::new, in_plain);
        if let Some(scopes) = told("scopes").and_then(Value::as_array) {
            let scopes = scopes.iter().filter_map(Value::as_str);
            claims.insert(
                "scope".to_owned(),
                scopes.collect::<Vec<_>>().join(" ").into(),
            );
        }
        match told("login").and_then(Value::as_str) {
            Some("mfa") => claims.insert("amr".to_owned(), ["mfa"].as_slice().into()),
            Some(_) => claims.insert("acr".to_owned(), "phr".into()),
            None => None,
        };
        claims.insert("iss".to_owned(), issuer.into());
        claims.insert("sub".to_owned(), subject.into());
        let actors = self.0.get("actors").and_then(Value::as_array);
        let inmost = actors
            .into_iter()
            .flatten()
            .rev()
            .fold(None, |inner, actor| {
                let mut act = Map::new();
                for (name, key) in [("issuer", "iss"), ("subject", "sub")] {
                    let value = actor.get(name).filter(|value| value.is_string());
                    act.extend(value.map(|value| (key.to_owned(), value.clone())));
                }
                act.extend(inner.map(|inner| ("act".to_owned(), Value::Object(inner))));
                Some(act)
            });
        claims.extend(inmost.map(|act| ("act".to_owned(), act.into())));
        claims
    }

    /// What was asked for, as [`Action`](crate::Action) shows it.
    fn asked(&self, missing: &mut Vec<&'static str>) -> Result<Asked, QueryError> {
        let Some(action) = self.text("action") else {
            if self.text("stage") == Some("action") {
                missing.push("the request, which was refused before it was an action");
            }
            return Ok(Asked::Flow);
        };
        if action == "connect" {
            return Ok(Asked::Connect);
        }
        if action.ends_with(CUT) {
            missing.push("the end of a long path");
        }
        if !action.contains(' ') {
            missing.push("the path, which was masked");
            return Ok(Asked::Flow);
        }
        let wrong = || QueryError::value("action", format!("is {}", quoted(action)));
        let (verb, path) = action.rsplit_once(' ').ok_or_else(wrong)?;
        let (method, upgrade) = match (verb, verb.strip_prefix("upgrade:")) {
            ("websocket", _) => ("GET", Some("websocket")),
            (_, Some(token)) => ("GET", Some(token)),
            (method, None) => (method, None),
        };
        if upgrade.is_some() {
            missing.push("the method of the upgrade, taken to be GET");
        }
        if method == "?" {
            missing.push("the name of a method that no rule can name");
        }
        Ok(Asked::Request {
            method: method.into(),
            target: path.into(),
            upgrade: upgrade.map(Into::into),
        })
    }
}
