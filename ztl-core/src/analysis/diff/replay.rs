//! A recorded log, asked again under two documents.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::action::Method;
use crate::analysis::asked::Asked;
use crate::analysis::compare::Cell;
use crate::analysis::edge::{Edge, Question, Seen};
use crate::analysis::facts;
use crate::decision::Decision;
use crate::flow::{Direction, Flow};
use crate::id::SpiffeId;
use crate::peer::Peer;
use crate::policy::{Input, Policy, Query, QueryError, RuleIdx, Workload, decide};
use crate::reason::{Stage, Verdict};
use crate::time::Timestamp;
use crate::web_host::WebHost;
use crate::zone::Arrival;

/// Kinds of lines of an audit chain that tell of the chain alone; and those that tell of decisions which it does not, or may not, hold.
const CHAIN: [&str; 4] = ["segment", "file", "checkpoint", "close"];
const UNRECORDED: [&str; 4] = ["denials", "dropped", "recovered", "unsynced"];

/// Why a line of a log cannot be asked again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It is neither a decide request nor an audit record.
    #[error("is neither a decide request nor an audit record: {0}")]
    Query(QueryError),
    /// A field of an audit record is missing, cut off or not what a record has.
    #[error("has no `{0}` that can be read")]
    Field(&'static str),
    /// What was decided is not what the old document decides of what is left of the record: a part that it was decided by is
    /// masked away, or it was decided under another document.
    #[error(
        "does not hold the question: the old document does not answer it with the recorded `{0}`"
    )]
    Disagrees(&'static str),
    /// A line of an audit chain that tells of decisions of which there may be no record.
    #[error("is of the kind `{0}`: it tells of decisions that may have no line")]
    Unrecorded(&'static str),
}

impl From<QueryError> for ReplayError {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

/// What both documents say of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replayed {
    /// The same verdict; of an audit record, which has no evidence: the same for whatever evidence there was.
    Same,
    /// Denied under the old document, and permitted under the new one.
    NewlyPermitted(Box<(Decision, Decision)>),
    /// Permitted under the old document, and denied under the new one.
    NewlyDenied(Box<(Decision, Decision)>),
    /// An audit record whose outcome depends on evidence that it does not hold: with some evidence it is newly permitted,
    /// with some newly denied, or either.
    Depends {
        /// There is evidence with which it is newly permitted.
        permitted: bool,
        /// There is evidence with which it is newly denied.
        denied: bool,
    },
    /// A line of an audit chain that tells of the chain and of no decision.
    Chain,
}

/// Asks again what a line of a log asked: a decide request as `ztl decide` takes it, or an audit record.
///
/// A request is asked with the evidence that it holds. A record holds none: it is compared as [`diff`](super::diff()) does,
/// for all evidence that there could have been. `now` is the time of requests that state none.
///
/// ```
/// use ztl_core::{Timestamp, analysis::{Replayed, replay}, policy::Policy};
///
/// let text = "schema = 1\ntrust_domain = 'td'\n[workloads.a]\nid = 'spiffe://td/a'\n\
///     [workloads.b]\nid = 'spiffe://td/b'\nports = [80]\n";
/// let old = Policy::from_toml(&format!("{text}[[permit]]\nfrom = 'a'\nto = 'b'\nactions = 'any'\n"))?;
/// let new = Policy::from_toml(text)?;
/// let record = r#"{"verdict":"permit","direction":"ingress","me":"b","peer":"spiffe://td/a","port":80,"action":"GET /"}"#;
/// let said = replay(&old, &new, record, Timestamp::EPOCH)?;
/// assert!(matches!(said, Replayed::NewlyDenied(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ReplayError`] where the line is neither.
pub fn replay(
    old: &Policy,
    new: &Policy,
    line: &str,
    now: Timestamp,
) -> Result<Replayed, ReplayError> {
    let map = Query::object(line)?;
    if map.contains_key("me") || map.contains_key("direction") {
        return Record::read(&map)?.replay(old, new, now);
    }
    if map.contains_key("seq") {
        let kind = map.get("kind").and_then(Value::as_str).unwrap_or_default();
        if CHAIN.contains(&kind) {
            return Ok(Replayed::Chain);
        }
        if let Some(kind) = UNRECORDED.iter().find(|known| **known == kind) {
            return Err(ReplayError::Unrecorded(kind));
        }
    }
    let query = Query::from_map(&map)?;
    Ok(compare(query.decide(old, now)?, query.decide(new, now)?))
}

fn compare(was: Decision, is: Decision) -> Replayed {
    use crate::reason::Verdict::{Deny, Permit};
    match (was.verdict, is.verdict) {
        (Deny, Permit) => Replayed::NewlyPermitted(Box::new((was, is))),
        (Permit, Deny) => Replayed::NewlyDenied(Box::new((was, is))),
        _ => Replayed::Same,
    }
}

/// What a record says of the request; it holds no evidence.
struct Record {
    direction: Direction,
    me: String,
    peer: Option<SpiffeId>,
    /// The host outside the mesh that was called.
    host: Option<WebHost>,
    asserted: bool,
    arrival: Arrival,
    port: u16,
    asked: Asked,
    /// Where the record says so.
    verdict: Option<Verdict>,
    /// Where the record says so.
    stage: Option<String>,
}

impl Record {
    fn read(map: &Map<String, Value>) -> Result<Self, ReplayError> {
        let text = |key: &'static str| match map.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.ends_with('…') => Ok(Some(text.as_str())),
            Some(_) => Err(ReplayError::Field(key)),
        };
        let direction = match text("direction")? {
            Some("ingress") => Direction::Ingress,
            Some("egress") => Direction::Egress,
            _ => return Err(ReplayError::Field("direction")),
        };
        let peer = text("peer")?.map(SpiffeId::parse_workload).transpose();
        let addr = text("addr")?.map(str::parse).transpose();
        let addr = addr.map_err(|_| ReplayError::Field("addr"))?;
        let host = text("host")?;
        if host.is_some() && (direction == Direction::Ingress || map.contains_key("peer")) {
            return Err(ReplayError::Field("host"));
        }
        if direction == Direction::Ingress && !map.contains_key("addr") && map.contains_key("zone")
        {
            // It was masked away: an unknown place is none with a zone.
            return Err(ReplayError::Field("addr"));
        }
        let verdict = match text("verdict")? {
            None => None,
            Some("permit") => Some(Verdict::Permit),
            Some("deny") => Some(Verdict::Deny),
            Some(_) => return Err(ReplayError::Field("verdict")),
        };
        let stage = text("stage")?.map(str::to_owned);
        let port = map.get("port").and_then(Value::as_u64);
        let asked = match text("action")? {
            None => Asked::Flow,
            Some(action) => asked(action).ok_or(ReplayError::Field("action"))?,
        };
        Ok(Self {
            direction,
            me: text("me")?.ok_or(ReplayError::Field("me"))?.to_owned(),
            peer: peer.map_err(|_| ReplayError::Field("peer"))?,
            asserted: map.contains_key("asserted_by"),
            host: host.map(|host| WebHost::foreseen(host, addr)),
            arrival: addr.map_or_else(Arrival::unknown, Arrival::from_addr),
            port: port
                .and_then(|port| u16::try_from(port).ok())
                .ok_or(ReplayError::Field("port"))?,
            asked,
            verdict,
            stage,
        })
    }

    /// That nothing by which it was decided was masked away, as far as that can be seen.
    fn holds_its_peer(&self, old: &Policy, new: &Policy) -> Result<(), ReplayError> {
        if self.asserted {
            // Whom a party may assert is compared as a change of the document.
            return Err(ReplayError::Field("peer"));
        }
        let [was, is] = [old, new].map(|policy| policy.workload_by_name(&self.me));
        let public = was.is_some_and(|me| me.public_ports().contains(&self.port));
        if self.direction == Direction::Egress {
            // Whoever was called was proved at an address; what was denied may have been before anybody was dialled.
            let unplaced = self.host.as_ref().is_some_and(|host| host.addr().is_none());
            if unplaced && self.verdict == Some(Verdict::Permit) {
                return Err(ReplayError::Field("addr"));
            }
            // Nobody is named where the name called is declared nowhere, and where whoever was called was masked away.
            let nobody = self.peer.is_none() && self.host.is_none();
            if nobody && self.verdict == Some(Verdict::Deny) && self.was_judged() {
                return Err(ReplayError::Field("peer"));
            }
            return Ok(());
        }
        if self.peer.is_none() && self.stage.is_some() && !self.is_of_proof() && !public {
            return Err(ReplayError::Field("peer"));
        }
        let believed = |me: Option<&Workload>| -> BTreeSet<Arc<str>> {
            let parties = me.into_iter().flat_map(|me| &me.asserted_by);
            parties.cloned().collect()
        };
        // By whom it was asserted, if by anyone, decides here, and may be masked.
        if self.peer.is_some() && !believed(was).is_empty() && believed(was) != believed(is) {
            return Err(ReplayError::Field("asserted_by"));
        }
        Ok(())
    }

    /// By rules: what failed at its proof or was no action fails under any document.
    fn was_judged(&self) -> bool {
        match self.stage.as_deref() {
            None => false,
            Some(stage) if stage == Stage::Action.as_str() => self.asked.action().is_some(),
            Some(_) => !self.is_of_proof(),
        }
    }

    fn is_of_proof(&self) -> bool {
        self.stage.as_deref() == Some(Stage::Identity.as_str())
    }

    /// Where the answer is known, it must be the recorded one. What failed at its proof failed under no document.
    fn agrees(&self, can: bool, must: bool) -> Result<(), ReplayError> {
        match self.verdict.filter(|_| !self.is_of_proof()) {
            Some(Verdict::Permit) if !can => Err(ReplayError::Disagrees("permit")),
            Some(Verdict::Deny) if must => Err(ReplayError::Disagrees("deny")),
            _ => Ok(()),
        }
    }

    fn replay(&self, old: &Policy, new: &Policy, now: Timestamp) -> Result<Replayed, ReplayError> {
        self.holds_its_peer(old, new)?;
        let peer = self.peer.clone().map(Peer::foreseen);
        let flow = match (self.direction, &self.host, &peer) {
            (Direction::Ingress, _, peer) => {
                Flow::ingress(&self.me, self.port, self.arrival, peer.as_ref())
            }
            (Direction::Egress, Some(host), _) if self.is_of_proof() => {
                Flow::external_unproved(&self.me, self.port, host.name(), self.arrival)
            }
            (Direction::Egress, Some(host), _) => Flow::external(&self.me, self.port, host),
            (Direction::Egress, None, Some(peer)) => Flow::egress(&self.me, self.port, peer),
            (Direction::Egress, None, None) => Flow::egress_unproved(&self.me, self.port),
        };
        let mut input = Input::new(flow);
        let action = self.asked.action();
        if let Some(action) = action {
            input = input.with_action(Ok(action));
        }
        let was = decide(old, &input, now);
        let permitted = was.verdict == Verdict::Permit;
        let said = compare(was, decide(new, &input, now));
        let (Some(action), Direction::Ingress) = (action, self.direction) else {
            // The flow, and a caller's own check, read no evidence.
            self.agrees(permitted, permitted)?;
            return Ok(said);
        };
        let none = HashSet::new();
        let seen = [old, new].map(|policy| Seen::of(policy, self.peer.as_ref()));
        let [was, is] = &seen;
        let edges = [
            self.edge(old, was.as_ref(), &none),
            self.edge(new, is.as_ref(), &none),
        ];
        let [was, is] = edges.each_ref();
        let was = Cell::of(old, was.as_ref(), &action);
        let is = Cell::of(new, is.as_ref(), &action);
        let beside = facts::beside(&[old, new]);
        let nothing = Cell::of(old, None, &action);
        let can = was.beyond(&nothing, &beside).is_some();
        self.agrees(can, permitted && was.reads_nothing())?;
        if said != Replayed::Same {
            return Ok(said);
        }
        let permitted = is.beyond(&was, &beside).is_some();
        let denied = was.beyond(&is, &beside).is_some();
        Ok(if permitted || denied {
            Replayed::Depends { permitted, denied }
        } else {
            Replayed::Same
        })
    }

    fn edge<'a>(
        &self,
        policy: &'a Policy,
        caller: Option<&Seen<'a>>,
        without: &HashSet<RuleIdx>,
    ) -> Option<Edge<'a>> {
        Question {
            policy,
            target: policy.workload_by_name(&self.me)?,
            port: self.port,
            caller: caller?,
            arrival: self.arrival,
            without,
        }
        .edge()
    }
}

/// An action as a record shows it.
fn asked(text: &str) -> Option<Asked> {
    if text == "connect" {
        return Some(Asked::Connect);
    }
    let (verb, path) = text.rsplit_once(' ')?;
    let request = |method, upgrade| Asked::Request {
        method,
        path: path.to_owned(),
        upgrade,
    };
    Some(match verb {
        "websocket" => request(Method::Get, Some("websocket".to_owned())),
        _ => match verb.strip_prefix("upgrade:") {
            Some(token) => request(Method::Get, Some(token.to_owned())),
            None => request(Method::parse(verb), None),
        },
    })
    .filter(|asked| asked.action().is_some())
}
