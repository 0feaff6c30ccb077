//! One decide request, as data: what `ztl decide`, a `[[test]]` and the C door ask of a policy.

mod answer;
mod error;
mod fields;
mod read;
mod record;
mod signals;

use core::fmt;

use serde_json::{Map, Value};

pub use answer::decision_json;
pub(crate) use answer::obligations_json;
pub use error::QueryError;
use fields::Fields;
pub use record::Recorded;
use signals::Signals;

use super::diagnostic::{quoted, suggest};
use super::tree::parse_json;
use super::{Explanation, Input, Policy, Workload, decide, explain};
use crate::action::Action;
use crate::authority::HTTPS_PORT;
use crate::decision::Decision;
use crate::evidence::{Attributes, Claims, Evidence, TrustScore};
use crate::flow::Flow;
use crate::id::SpiffeId;
use crate::peer::Peer;
use crate::time::Timestamp;
use crate::trust::Scored;
use crate::web_host::WebHost;
use crate::zone::Arrival;

/// Longest text of a query in bytes: 1 MiB.
pub const MAX_QUERY_BYTES: usize = 1 << 20;

/// A question to a policy, about one call of a workload.
///
/// It is a JSON object with these keys; all but `to` may be left out, and any other key is an error:
///
/// | key | is | where it is left out |
/// |---|---|---|
/// | `from` | the proved caller: a SPIFFE ID or a workload's name; or `null` | the caller proved nothing |
/// | `from_addr` | the IP address it arrives from | unknown, and in no zone |
/// | `to` | the called workload: its name or its SPIFFE ID; or a host outside the mesh, which has a dot, called by `from` | – |
/// | `to_addr` | the IP address of a host outside the mesh | one that it may have |
/// | `port` | 1 to 65535 | the only port it can mean; of a host outside the mesh 443 |
/// | `method`, `path` | a request: its method and its raw target; both or neither | the flow alone is judged |
/// | `action` | `"connect"`, for raw bytes; then without `method` and `path` | |
/// | `headers` | field names to a text or a list of texts | the request has none |
/// | `forwarded` | the SPIFFE ID that the caller passes on, as its proxy | none is passed on |
/// | `claims` | the claims of a token that was verified | there is no token |
/// | `trust_score` | 0 to 100, observed at `now` | not known |
/// | `signals` | what is known of the caller, for the policy's `[trust]`: a name to 0 to 100, or to `{"value", "observed_at", "expires_at", "source"}` | there is no score but `trust_score` |
/// | `posture` | an object: the posture of the caller's device, observed at `now` | not known |
/// | `context` | an object: what the service says of the request, observed at `now` | it says nothing |
/// | `now` | seconds since 1970-01-01T00:00:00 UTC, fractions allowed | the time given to [`decide`](Self::decide) |
///
/// The answer is a [`Decision`] and never a permit: a query is about what would be, and nothing was proved for it.
///
/// ```
/// use ztl_core::{Reason, Timestamp, policy::{Policy, Query, decision_json}};
///
/// let policy = Policy::from_toml(r#"
///     schema = 1
///     trust_domain = "prod.example"
///     [workloads.web]
///     id = "spiffe://prod.example/web"
///     [workloads.db]
///     id = "spiffe://prod.example/db"
///     ports = [5432]
///     [[permit]]
///     name = "web-uses-db"
///     from = "web"
///     to = "db"
///     actions = ["connect"]
/// "#)?;
/// let query = Query::from_json(r#"{"from": "web", "to": "db", "action": "connect"}"#)?;
/// let decision = query.decide(&policy, Timestamp::from_unix_secs(1_790_000_000))?;
/// assert_eq!(decision.reason, Reason::Permitted);
/// assert_eq!(
///     decision_json(&decision),
///     r#"{"verdict":"permit","stage":"action","reason":"permitted","rule":"web-uses-db","shadow":[]}"#,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Query {
    from: Option<End>,
    arrival: Arrival,
    to: End,
    to_addr: Arrival,
    port: Option<u16>,
    asked: Asked,
    headers: Fields,
    forwarded: Option<SpiffeId>,
    claims: Option<Claims>,
    trust_score: Option<u8>,
    signals: Option<Signals>,
    posture: Option<Map<String, Value>>,
    context: Option<Map<String, Value>>,
    now: Option<Timestamp>,
    /// Who says who the caller is; only of a record.
    asserted_by: Option<Box<str>>,
    /// The workload that called, where it judged itself; only of a record.
    caller_of: Option<Box<str>>,
}

/// A workload, as a query names it.
#[derive(Clone, Debug)]
enum End {
    Name(Box<str>),
    Id(SpiffeId),
    /// Outside the mesh, in lower case.
    Host(Box<str>),
}

/// What is asked for.
#[derive(Clone, Debug)]
enum Asked {
    Flow,
    Connect,
    Request {
        method: Box<str>,
        /// As it stood on the wire.
        target: Box<str>,
        upgrade: Option<Box<str>>,
    },
}

impl Query {
    /// Reads a query from a JSON text of at most [`MAX_QUERY_BYTES`]. A key that stands twice in any object is an error
    /// (RFC 7493 §2.3; rule 22).
    ///
    /// # Errors
    /// [`QueryError`] says what is wrong with the text.
    pub fn from_json(text: &str) -> Result<Self, QueryError> {
        Self::from_map(&Self::object(text)?)
    }

    /// The object of a line, within the bound and with no key twice.
    pub(crate) fn object(text: &str) -> Result<Map<String, Value>, QueryError> {
        if text.len() > MAX_QUERY_BYTES {
            return Err(QueryError::TooLong);
        }
        match parse_json(text)?.to_json() {
            Value::Object(map) => Ok(map),
            _ => Err(QueryError::NotAnObject),
        }
    }

    /// Reads a query from an object that was read already.
    ///
    /// # Errors
    /// [`QueryError`] says what is wrong with the object.
    pub fn from_map(map: &Map<String, Value>) -> Result<Self, QueryError> {
        read::query(map)
    }

    /// Asks the policy. `default_now` is the time where the query states none.
    ///
    /// A `to` that is no workload of the policy is denied like everything else that no rule names.
    ///
    /// # Errors
    /// [`QueryError::UnknownCaller`] where `from` is a name that no workload has, and [`QueryError::UnclearPort`] where
    /// `port` is left out and could be any of several of a workload.
    pub fn decide(&self, policy: &Policy, default_now: Timestamp) -> Result<Decision, QueryError> {
        self.put(policy, default_now, |input, now, _| {
            decide(policy, input, now)
        })
    }

    /// Asks the policy why it decides as it does.
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    pub fn explain(
        &self,
        policy: &Policy,
        default_now: Timestamp,
    ) -> Result<Explanation, QueryError> {
        self.put(policy, default_now, |input, now, trust| {
            let explanation = explain(policy, input, now);
            Explanation {
                trust,
                ..explanation
            }
        })
    }

    /// Hands on the question as a decision takes it.
    fn put<T>(
        &self,
        policy: &Policy,
        default_now: Timestamp,
        ask: impl FnOnce(&Input<'_>, Timestamp, Option<Scored>) -> T,
    ) -> Result<T, QueryError> {
        let now = self.now.unwrap_or(default_now);
        if let End::Host(host) = &self.to {
            return self.put_outward(policy, host, |input| ask(input, now, None));
        }
        let peer = self.caller(policy)?.map(|id| match &self.asserted_by {
            None => Peer::foreseen(id),
            Some(by) => Peer::foreseen_by(id, by),
        });
        let (me, port) = match self.to.workload(policy) {
            Some(target) => (target.name(), self.port_of(target, peer.is_some())?),
            None => (self.to.as_str(), self.port.unwrap_or_default()),
        };
        let mut evidence = Evidence::none().with_headers(&self.headers);
        evidence.claims = self.claims.as_ref();
        evidence.forwarded = self.forwarded.as_ref();
        let scored = self.signals.as_ref();
        let scored = scored
            .map(|signals| signals.score(policy, now))
            .transpose()?;
        evidence.trust_score = match (&scored, self.trust_score) {
            (Some(scored), _) => Some(scored.score),
            (None, Some(score)) => TrustScore::new(score, now, Timestamp::MAX),
            (None, None) => None,
        };
        let said = |values: &Map<_, _>| Attributes::new(values.clone(), now, Timestamp::MAX);
        let (posture, context) = (
            self.posture.as_ref().map(said),
            self.context.as_ref().map(said),
        );
        evidence.posture = posture.as_ref();
        evidence.context = context.as_ref();
        let flow = match (&self.caller_of, &peer) {
            // A record of the calling end: `from` is who answered there.
            (Some(caller), Some(peer)) => Flow::egress(caller, port, peer),
            (Some(caller), None) => Flow::egress_unproved(caller, port),
            (None, peer) => Flow::ingress(me, port, self.arrival, peer.as_ref()),
        };
        let input = Input::new(flow).with_evidence(evidence);
        Ok(ask(&self.asking(input), now, scored))
    }

    /// The same of a host outside the mesh. What is known of a request at its target is not asked here.
    fn put_outward<T>(
        &self,
        policy: &Policy,
        host: &str,
        ask: impl FnOnce(&Input<'_>) -> T,
    ) -> Result<T, QueryError> {
        let caller = self.caller(policy)?;
        let me = caller.and_then(|id| policy.workload_by_id(&id));
        // That of `https://HOST/`, which the client calls, whatever the section says.
        let port = self.port.unwrap_or(HTTPS_PORT);
        let proved = WebHost::foreseen(host, self.to_addr.addr());
        let flow = Flow::external(me.map_or("", Workload::name), port, &proved);
        Ok(ask(&self.asking(Input::new(flow))))
    }

    /// With what is asked for.
    fn asking<'a>(&'a self, input: Input<'a>) -> Input<'a> {
        match &self.asked {
            Asked::Flow => input,
            Asked::Connect => input.with_action(Ok(Action::Connect)),
            Asked::Request {
                method,
                target,
                upgrade,
            } => {
                let action = Action::request(method, target);
                input.with_action(match upgrade {
                    Some(token) => action.map(|action| action.with_upgrade(token)),
                    None => action,
                })
            }
        }
    }

    /// Who calls, or would have proved that it does.
    fn caller(&self, policy: &Policy) -> Result<Option<SpiffeId>, QueryError> {
        match &self.from {
            None => Ok(None),
            Some(End::Id(id)) => Ok(Some(id.clone())),
            // No host calls.
            Some(End::Host(_)) => Ok(None),
            Some(End::Name(name)) => match policy.workload_by_name(name) {
                Some(workload) => Ok(Some(workload.id().clone())),
                None => {
                    let known = policy.workloads().iter().map(Workload::name);
                    let near = suggest(name, known).map(str::to_owned);
                    Err(QueryError::UnknownCaller {
                        name: quoted(name),
                        near,
                    })
                }
            },
        }
    }

    /// The port that is stated, or else the only one that can be meant.
    fn port_of(&self, target: &Workload, proved: bool) -> Result<u16, QueryError> {
        if let Some(port) = self.port {
            return Ok(port);
        }
        let mut ports = [target.ports(), target.public_ports()].concat();
        ports.sort_unstable();
        ports.dedup();
        let meant = match (ports.as_slice(), target.public_ports()) {
            // Port 0, on which no rule permits anything: what listens nowhere cannot be reached.
            ([], _) => Some(0),
            ([port], _) => Some(*port),
            // Whichever it is, a caller without an SVID is refused there.
            ([port, ..], []) if !proved => Some(*port),
            _ if proved => target.default_port(),
            _ => target.default_public_port(),
        };
        meant.ok_or_else(|| QueryError::UnclearPort {
            to: target.name().to_owned(),
            ports,
        })
    }
}

impl End {
    fn as_str(&self) -> &str {
        match self {
            Self::Name(name) | Self::Host(name) => name,
            Self::Id(id) => id.as_str(),
        }
    }

    fn workload<'a>(&self, policy: &'a Policy) -> Option<&'a Workload> {
        match self {
            Self::Name(name) => policy.workload_by_name(name),
            Self::Id(id) => policy.workload_by_id(id),
            Self::Host(_) => None,
        }
    }
}

impl fmt::Debug for Query {
    /// Neither claims nor header values: they are personal data and credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}
