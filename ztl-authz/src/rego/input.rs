//! The input document: all that a policy is told of a request.
//!
//! It is one JSON object, modelled on that of the OPA-Envoy plugin, so that what is written for that needs few changes:
//!
//! | field | what it is | there |
//! |---|---|---|
//! | `attributes.source.principal` | the caller's SPIFFE ID, in the primary trust domain | if it proved one |
//! | `attributes.source.workload` | the name of the workload that the caller is declared as | if it is |
//! | `attributes.source.labels` | the labels of that workload, an object of texts | if it is |
//! | `attributes.destination.workload` | the target's name; `target` is the same | always |
//! | `attributes.request.kind` | `request`, `websocket`, `upgrade` or `connect` | always |
//! | `attributes.request.http.method` | the method as RFC 9110 §9 spells it; `?` for one that no rule can name | unless `connect` |
//! | `attributes.request.http.path` | the canonical path, still encoded, without query | unless `connect` |
//! | `attributes.request.http.upgrade` | the token of the `Upgrade` field | if `upgrade` |
//! | `parsed_path` | the segments of the path, decoded | unless `connect` |
//! | `params` | the parameters of the path as the rule names them, decoded: an object of texts | always |
//! | `target` | the target workload's name | always |
//! | `zone` | the name of the zone that the connection arrives from | if it is known |
//! | `now` | the time of the decision in nanoseconds since 1970, as `time.now_ns()` has it | always |
//! | `claims` | the claims of the caller's verified token, an object | if `reads` names `token` |
//! | `trust_score` | the caller's trust score, 0 to 100 | if `reads` names `trust_score` |
//! | `posture` | the posture of the caller's device, an object | if `reads` names `posture` |
//! | `context` | what the service says of the request, an object | if `reads` names `context` |
//!
//! Of what `reads` names all is there and fresh, or the policy is not asked and the permit does not hold (T7). The text of a
//! token, header fields, the query and the body are never in it. Fields may be added; none changes its meaning.

use serde_json::Value;
use ztl_core::authorizer::Facts;
use ztl_core::{Action, Upgrade};

use super::RegoError;

/// Longest input, in bytes.
pub const MAX_INPUT_BYTES: usize = 256 * 1024;

/// The input document of a request, as JSON text.
///
/// # Errors
/// [`RegoError::Input`] where it would be longer than [`MAX_INPUT_BYTES`].
pub fn document(facts: &Facts<'_>) -> Result<String, RegoError> {
    let mut out = Writer::default();
    out.open();
    out.key("attributes");
    attributes(&mut out, facts);
    if let Some(resource) = facts.action.resource() {
        out.key("parsed_path");
        out.list(resource.path().segments().map(|segment| segment.decoded()));
    }
    out.key("params");
    out.texts(facts.params.iter().map(|(name, value)| (&**name, &**value)));
    out.member("target", facts.target);
    if let Some(zone) = facts.zone {
        out.member("zone", zone);
    }
    out.key("now");
    out.raw(&nanoseconds(facts).to_string());
    if let Some(claims) = facts.claims {
        out.object("claims", claims.as_map());
    }
    if let Some(score) = facts.trust_score {
        out.key("trust_score");
        out.raw(&score.value().to_string());
    }
    if let Some(posture) = facts.posture {
        out.object("posture", posture.as_map());
    }
    if let Some(context) = facts.context {
        out.object("context", context.as_map());
    }
    out.close();
    out.finish()
}

/// The time of the decision that an input document is about: what `time.now_ns` has to answer.
#[must_use]
pub fn now(input: &Value) -> Option<u64> {
    input.get("now")?.as_u64()
}

fn nanoseconds(facts: &Facts<'_>) -> u64 {
    facts.now.as_unix_millis().saturating_mul(1_000_000)
}

fn attributes(out: &mut Writer, facts: &Facts<'_>) {
    out.open();
    out.key("source");
    out.open();
    if let Some(caller) = facts.caller {
        out.member("principal", caller.as_str());
    }
    if let Some(workload) = facts.workload {
        out.member("workload", workload);
    }
    if let Some(labels) = facts.labels {
        out.key("labels");
        out.texts(labels.iter().map(|(name, value)| (&**name, &**value)));
    }
    out.close();
    out.key("destination");
    out.open();
    out.member("workload", facts.target);
    out.close();
    out.key("request");
    out.open();
    let resource = facts.action.resource();
    let upgrade = resource.and_then(|resource| resource.upgrade());
    out.member(
        "kind",
        match (facts.action, upgrade) {
            (Action::Connect, _) => "connect",
            (_, Some(Upgrade::WebSocket)) => "websocket",
            (_, Some(_)) => "upgrade",
            _ => "request",
        },
    );
    if let Some(resource) = resource {
        out.key("http");
        out.open();
        out.member("method", resource.method().as_str());
        out.member("path", resource.path().as_str());
        if let Some(Upgrade::Other(token)) = upgrade {
            out.member("upgrade", token);
        }
        out.close();
    }
    out.close();
    out.close();
}

/// Writes JSON, member by member.
#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    failed: bool,
}

impl Writer {
    /// Before a member or an element: a comma where one stands before it.
    fn next(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }

    fn open(&mut self) {
        self.next();
        self.out.push(b'{');
    }

    fn close(&mut self) {
        self.out.push(b'}');
    }

    fn key(&mut self, name: &str) {
        self.text(name);
        self.out.push(b':');
    }

    fn text(&mut self, text: &str) {
        self.next();
        self.failed |= serde_json::to_writer(&mut self.out, text).is_err();
    }

    fn raw(&mut self, json: &str) {
        self.next();
        self.out.extend_from_slice(json.as_bytes());
    }

    fn member(&mut self, name: &str, text: &str) {
        self.key(name);
        self.text(text);
    }

    fn object(&mut self, name: &str, object: &serde_json::Map<String, Value>) {
        self.key(name);
        self.next();
        self.failed |= serde_json::to_writer(&mut self.out, object).is_err();
    }

    fn texts<'a>(&mut self, texts: impl Iterator<Item = (&'a str, &'a str)>) {
        self.open();
        for (name, value) in texts {
            self.member(name, value);
        }
        self.close();
    }

    fn list<T: AsRef<str>>(&mut self, texts: impl Iterator<Item = T>) {
        self.next();
        self.out.push(b'[');
        for text in texts {
            self.text(text.as_ref());
        }
        self.out.push(b']');
    }

    fn finish(self) -> Result<String, RegoError> {
        let bytes = self.out.len();
        if bytes > MAX_INPUT_BYTES {
            return Err(RegoError::Input { bytes });
        }
        match String::from_utf8(self.out) {
            Ok(text) if !self.failed => Ok(text),
            _ => Err(RegoError::Trapped("the input cannot be written".to_owned())),
        }
    }
}
