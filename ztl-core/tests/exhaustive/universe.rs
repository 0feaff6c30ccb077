//! A universe: the rules that a document may be made of, and every question that can be asked about it.

use ztl_core::policy::{Format, Input, Loader, Policy, decide, reference};
use ztl_core::{
    Action, Arrival, Decision, Evidence, Flow, Peer, Proof, SpiffeId, Timestamp, TrustScore,
};

const NOW: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

/// Two workloads and two zones. `a` is bound to a zone, `b` is not; `b` takes callers without an SVID on port 2.
const HEAD: &str = r#"
schema = 1
trust_domain = "t"
[zones.near]
networks = ["10.1.0.0/16"]
[zones.far]
networks = ["10.2.0.0/16"]
[workloads.a]
id = "spiffe://t/a"
zone = "near"
ports = [1]
[workloads.b]
id = "spiffe://t/b"
ports = [1]
public_ports = [2]
"#;

/// One rule that a document may hold.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) forbid: bool,
    pub(crate) shadow: bool,
    pub(crate) text: String,
}

/// The rules of this effect: every combination of one line each. An empty line says nothing.
pub(crate) fn rules(effect: &str, lines: &[&[&str]]) -> Vec<Rule> {
    let mut texts = vec![format!("[[{effect}]]\n")];
    for choices in lines {
        texts = texts
            .iter()
            .flat_map(|text| choices.iter().map(move |line| format!("{text}{line}\n")))
            .collect();
    }
    let rule = |text: String| Rule {
        forbid: effect == "forbid",
        shadow: text.contains("mode = 'shadow'"),
        text,
    };
    texts.into_iter().map(rule).collect()
}

/// Every set of at most `most` of `count` rules, as ascending indexes.
pub(crate) fn sets(count: usize, most: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    let mut grown = 0;
    for _ in 0..most {
        let end = all.len();
        for at in grown..end {
            let next = all[at].last().map_or(0, |last| last + 1);
            for more in next..count {
                let set = all[at].iter().copied().chain([more]).collect();
                all.push(set);
            }
        }
        grown = end;
    }
    all
}

/// Every order of a set.
pub(crate) fn orders(set: &[usize]) -> Vec<Vec<usize>> {
    let [first, rest @ ..] = set else {
        return vec![Vec::new()];
    };
    let insert = |order: Vec<usize>| {
        (0..=order.len()).map(move |at| {
            let mut order = order.clone();
            order.insert(at, *first);
            order
        })
    };
    orders(rest).into_iter().flat_map(insert).collect()
}

/// The document of these rules, in this order; `None` where it is refused.
pub(crate) fn load(rules: &[Rule], order: &[usize]) -> Option<Policy> {
    let mut text = HEAD.to_owned();
    for at in order {
        text.push_str(&rules[*at].text);
    }
    Loader::new().load(&text, Format::Toml).ok()
}

/// The declared workloads, in the order of their peers.
const WORKLOADS: [&str; 2] = ["a", "b"];

/// One question, but for its peer.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Judged at the caller's end.
    egress: bool,
    caller: Option<usize>,
    arrival: Arrival,
    to: &'static str,
    port: u16,
    action: Option<Action<'static>>,
    score: Option<TrustScore>,
}

/// Every question of the universe.
pub(crate) struct Questions {
    peers: Vec<Peer>,
    pub(crate) all: Vec<Question>,
}

impl Questions {
    /// Judged at the target's end; between workloads at the caller's end too. Callers: both workloads, an undeclared id,
    /// nobody. Places: both zones, nowhere. These targets and ports. The flow alone, raw bytes, and these requests; without
    /// a trust score and, where `scores`, with one.
    pub(crate) fn new(
        targets: &[(&'static str, u16)],
        actions: &[(&str, &'static str)],
        scores: bool,
    ) -> Self {
        let peers: Vec<_> = ["spiffe://t/a", "spiffe://t/b", "spiffe://t/stranger"]
            .map(peer)
            .into();
        let addrs = [Some("10.1.0.1"), Some("10.2.0.1"), None];
        let mut asked = vec![None, Some(Action::Connect)];
        asked.extend(
            actions.iter().map(|(method, path)| {
                Some(Action::request(method, path).expect("a canonical path"))
            }),
        );
        let score = TrustScore::new(70, NOW, Timestamp::MAX);
        let scores: &[Option<TrustScore>] = if scores { &[None, score] } else { &[None] };
        let mut all = Vec::new();
        let mut ask = |egress, caller, arrival| {
            for (to, port) in targets.iter().copied() {
                for action in asked.iter().copied() {
                    for score in scores.iter().copied() {
                        all.push(Question {
                            egress,
                            caller,
                            arrival,
                            to,
                            port,
                            action,
                            score,
                        });
                    }
                }
            }
        };
        for caller in (0..peers.len()).map(Some).chain([None]) {
            for addr in addrs {
                let arrival = addr.map_or_else(Arrival::unknown, |addr| {
                    Arrival::from_addr(addr.parse().expect("an address"))
                });
                ask(false, caller, arrival);
            }
        }
        for caller in 0..WORKLOADS.len() {
            ask(true, Some(caller), Arrival::unknown());
        }
        Self { peers, all }
    }

    fn input<'a>(&'a self, question: &'a Question) -> Input<'a> {
        let peer = question.caller.map(|at| &self.peers[at]);
        let flow = if question.egress {
            let me = question.caller.map_or("", |at| WORKLOADS[at]);
            let to = WORKLOADS.iter().position(|name| *name == question.to);
            let to = &self.peers[to.expect("a declared workload")];
            Flow::egress(me, question.port, to)
        } else {
            Flow::ingress(question.to, question.port, question.arrival, peer)
        };
        let mut input = Input::new(flow);
        if let Some(action) = question.action {
            input = input.with_action(Ok(action));
        }
        if let Some(score) = question.score {
            input = input.with_evidence(Evidence::none().with_trust_score(score));
        }
        input
    }

    pub(crate) fn decide(&self, policy: &Policy, question: &Question) -> Decision {
        decide(policy, &self.input(question), NOW)
    }

    pub(crate) fn refer(&self, policy: &Policy, question: &Question) -> Decision {
        let input = self.input(question);
        reference::decide(policy.document(), &Loader::new(), &input, NOW)
    }
}

#[expect(clippy::disallowed_methods, reason = "tests vouch for their own peers")]
fn peer(id: &str) -> Peer {
    Peer::assertion(
        Proof::X509 {
            id: SpiffeId::parse(id).expect("an id"),
            leaf_sha256: [7; 32].into(),
            serial: Box::new([1]),
            not_after: Timestamp::MAX,
        },
        "test",
    )
}
