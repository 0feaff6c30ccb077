//! A question while it is made up: what a rule speaks of, and then some of it otherwise.

use core::time::Duration;

use serde_json::{Map, Value};
use ztl_core::{Arrival, Attributes, Peer, Proof, SpiffeId, Timestamp, TrustScore, WebHost};

use super::asked::{Asked, End};
use super::near::{Request, claims, entries, request, somebody};
use super::spoilt::{ACTORS, ALL, LOGIN, SUBJECT, Spoilt, TOKEN, spoilable};
use super::{Choices, NOW, WORKLOADS, World, id_of};

/// Header fields and their values.
pub(super) type Fields = Vec<(&'static str, &'static [u8])>;

/// A question that is not yet fixed.
pub(super) struct Draft {
    from: Option<String>,
    asserted_by: Option<&'static str>,
    expires: Timestamp,
    addr: Option<&'static str>,
    to: String,
    egress: bool,
    proved: bool,
    port: u16,
    action: Option<Option<Request>>,
    claims: Option<Map<String, Value>>,
    claims_until: Timestamp,
    forwarded: Option<&'static str>,
    score: Option<TrustScore>,
    posture: Option<Attributes>,
    context: Option<Attributes>,
    headers: Option<Fields>,
}

const HOSTS: [&str; 4] = [
    "hub.example.org",
    "mirror.example.org",
    "inner.example.org",
    "elsewhere.example.org",
];
const ADDRS: [Option<&str>; 9] = [
    Some("10.10.0.5"),
    Some("10.10.7.5"),
    Some("10.20.0.5"),
    Some("192.0.2.1"),
    Some("10.10.0.99"),
    Some("::ffff:10.10.0.7"),
    Some("64:ff9b::a0a:707"),
    Some("fd00:20::1"),
    None,
];
const PATHS: [&str; 20] = [
    "/v1/a",
    "/v1/7",
    "/v1/-7",
    "/v1/a/",
    "/v1/a/b",
    "/v1/",
    "/v1",
    "/",
    "/v1/admin",
    "/v1/admin/7",
    "/v1/sp%20ace",
    "/v1/%2e",
    "/v1//a",
    "/pkg.Svc/Do",
    "/pkg.Svc/Other",
    "/healthz",
    "/b/7/a",
    "/v1/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r",
    "/v1/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s?t=/../",
    "/v1/0f8fad5b-d9cb-469f-a165-70867728950e",
];
const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "TRACE", "CONNECT",
];

impl Draft {
    /// What one of the rules speaks of, and of that often one thing otherwise, and seldom more.
    pub(super) fn near(world: &World, choices: &mut Choices<'_>) -> Self {
        let nothing = Value::Null;
        let rule = match world.rules.len() {
            0 => &nothing,
            count => {
                let two = [(); 2].map(|()| &world.rules[choices.below(count)].1);
                let narrow = |rule: &&&Value| spoilable(rule).len();
                two.iter().max_by_key(narrow).copied().unwrap_or(&nothing)
            }
        };
        let mut draft = Draft::toward(rule, world, choices);
        for _ in 0..choices.one(&[0, 1, 1, 1, 2]) {
            let what = match choices.once_in(4) {
                true => choices.one(&ALL),
                false => choices.one(&spoilable(rule)),
            };
            draft.spoil(what, choices);
        }
        draft
    }

    fn toward(rule: &Value, world: &World, choices: &mut Choices<'_>) -> Self {
        let from = entries(rule, "from");
        let from = choices.one(if from.is_empty() { &WHO } else { &from[..] });
        let (from, addr) = somebody(&from, choices);
        let to = entries(rule, "to");
        let to = if to.is_empty() {
            "any".to_owned()
        } else {
            choices.one(&to)
        };
        let (to, outside) = match to.as_str() {
            "external:hub" => (choices.one(&HOSTS[..2]).to_owned(), true),
            "external:inner" => (HOSTS[2].to_owned(), true),
            to => {
                let (id, _) = somebody(to, choices);
                let of = |(name, ..): &&(&str, &str, &str)| id == id_of(name);
                let found = WORKLOADS.iter().find(of);
                (found.map_or("gateway", |(name, ..)| name).to_owned(), false)
            }
        };
        let listening = match outside {
            true => vec![443, 8443],
            false => world.ports(&to),
        };
        let spoken = entries(rule, "ports");
        let covered = |port: &u16| {
            spoken.is_empty()
                || spoken.iter().any(|range| {
                    let (first, last) = range.split_once('-').unwrap_or((range, range));
                    let number = |text: &str| text.parse::<u16>().unwrap_or(0);
                    (number(first)..=number(last)).contains(port)
                })
        };
        let covered: Vec<u16> = listening.iter().copied().filter(covered).collect();
        let port = match (covered.is_empty(), listening.is_empty()) {
            (false, _) => choices.one(&covered),
            (true, false) => choices.one(&listening),
            (true, true) => 8443,
        };
        let patterns = entries(rule, "actions");
        let action = (!patterns.is_empty()).then(|| choices.one(&patterns));
        let action = match action.as_deref() {
            None => Some(("GET".to_owned(), "/v1/a".to_owned(), None)),
            Some("connect") => None,
            Some(pattern) => Some(request(pattern, choices)),
        };
        let value = rule["require"]["trust_score"].as_u64();
        let value = value
            .and_then(|value| u8::try_from(value).ok())
            .unwrap_or(60);
        Self {
            from,
            asserted_by: None,
            expires: Timestamp::MAX,
            addr: Some(addr),
            to,
            egress: outside || choices.once_in(10),
            proved: true,
            port,
            action: Some(action),
            claims: claims(rule, choices),
            claims_until: Timestamp::MAX,
            forwarded: None,
            score: TrustScore::new(value, NOW, Timestamp::MAX),
            posture: attributes(0),
            context: attributes(0),
            headers: Some(vec![("x-tenant", b"a"), ("x-more", b"c")]),
        }
    }

    /// One thing otherwise.
    fn spoil(&mut self, what: Spoilt, choices: &mut Choices<'_>) {
        match what {
            Spoilt::Caller => {
                let (id, addr) = somebody(&choices.one(&WHO), choices);
                self.from = id;
                if choices.once_in(2) {
                    self.addr = Some(addr);
                }
            }
            Spoilt::Place => self.addr = choices.one(&ADDRS),
            Spoilt::Target => {
                let names = WORKLOADS.map(|(name, ..)| name);
                self.to = match choices.below(12) {
                    10 => choices.one(&HOSTS).to_owned(),
                    11 => "nobody".to_owned(),
                    _ => choices.one(&names).to_owned(),
                };
            }
            Spoilt::Port => self.port = choices.one(&[8443, 443, 9000, 6333, 8080, 1883, 1]),
            Spoilt::Proof => match choices.below(5) {
                0 => self.expires = NOW,
                1 => self.proved = false,
                2 => self.asserted_by = Some("stranger"),
                _ => self.asserted_by = Some("front-proxy"),
            },
            Spoilt::Action => self.request(choices),
            Spoilt::Kind => self.action = choices.one(&[None, Some(None), Some(None)]),
            Spoilt::Token => self.token(&TOKEN, choices),
            Spoilt::Subject => match choices.once_in(4) {
                true => self.pass_on(choices),
                false => self.token(&SUBJECT, choices),
            },
            Spoilt::Actors => self.token(&ACTORS, choices),
            Spoilt::Login => self.token(&LOGIN, choices),
            Spoilt::Forwarded => self.pass_on(choices),
            Spoilt::Score => {
                let value = choices.one(&[0, 49, 50, 51, 99, 100]);
                let ahead = Duration::from_secs(choices.one(&[0, 60, 61]));
                let until = choices.one(&[Timestamp::MAX, NOW]);
                let score = TrustScore::new(value, NOW.saturating_add(ahead), until);
                self.score = choices.one(&[None, score, score]);
            }
            Spoilt::Posture => self.posture = attributes(1 + choices.below(3)),
            Spoilt::Context => self.context = attributes(1 + choices.below(3)),
            Spoilt::Header => {
                let lists: [Option<Fields>; 5] = [
                    None,
                    Some(vec![]),
                    Some(vec![("x-tenant", b"a"), ("x-tenant", b"z")]),
                    Some(vec![("x-tenant", b"b")]),
                    Some(vec![("x-more", b"c")]),
                ];
                self.headers = choices.one(&lists);
            }
        }
    }

    fn request(&mut self, choices: &mut Choices<'_>) {
        let Some(Some((method, path, upgrade))) = &mut self.action else {
            let plain = Some(("GET".to_owned(), "/v1/a".to_owned(), None));
            self.action = choices.one(&[None, Some(plain)]);
            return;
        };
        match choices.below(9) {
            0..=2 => *method = choices.one(&METHODS).to_owned(),
            3..=5 => *path = choices.one(&PATHS).to_owned(),
            6 => path.push('/'),
            _ => {
                let to = choices.one(&[None, Some("websocket"), Some("h2c"), Some("x")]);
                *upgrade = to.map(str::to_owned);
            }
        }
    }

    fn pass_on(&mut self, choices: &mut Choices<'_>) {
        let ids = [
            "spiffe://prod.example/agents/retriever",
            "spiffe://old.example/agents/retriever",
            "spiffe://prod.example/things/sensor",
            "spiffe://other.example/x",
            "spiffe://other.example",
            "spiffe://prod.example/agents/stranger",
        ];
        self.forwarded = Some(choices.one(&ids));
        if choices.once_in(2) {
            (self.from, self.addr) = (id_of("router"), Some("10.10.0.5"));
        }
    }

    /// One claim otherwise, as JSON text; or no token, or a stale one.
    fn token(&mut self, values: &[(&str, &str)], choices: &mut Choices<'_>) {
        let there = |(key, _): &&(&str, &str)| {
            let claims = self.claims.as_ref();
            claims.is_some_and(|claims| claims.contains_key(*key))
        };
        let named: Vec<_> = values.iter().filter(there).copied().collect();
        let (key, value) = match named.is_empty() || choices.once_in(4) {
            true => choices.one(values),
            false => choices.one(&named),
        };
        let plain = || Map::from_iter([("iss".to_owned(), super::CORP.into())]);
        match choices.below(10) {
            8 => self.claims = None,
            9 => self.claims_until = NOW,
            _ => {
                let value = serde_json::from_str(value).expect("JSON");
                let claims = self.claims.get_or_insert_with(plain);
                match value {
                    Value::Null => drop(claims.remove(key)),
                    value => drop(claims.insert(key.to_owned(), value)),
                }
            }
        }
    }

    pub(super) fn asked(self, choices: &mut Choices<'_>) -> Asked {
        let id = |text: &str| SpiffeId::parse(text).ok();
        let proved = |text: &str| {
            id(text).map(|id| {
                let proof = match self.asserted_by {
                    None => Proof::X509 {
                        id,
                        leaf_sha256: [7; 32].into(),
                        serial: Box::new([1]),
                        not_after: self.expires,
                    },
                    Some(by) => Proof::Asserted {
                        id,
                        by: by.into(),
                        leaf_sha256: None,
                        expires_at: self.expires,
                    },
                };
                Peer::assertion(proof, "test")
            })
        };
        let caller = |from: Option<&String>| {
            let of =
                |(_, path, _): &&(&str, &str, &str)| from.is_some_and(|from| from.ends_with(path));
            let found = WORKLOADS.iter().find(of);
            found.map_or("router", |(name, ..)| name).to_owned()
        };
        let outside = HOSTS.iter().find(|host| **host == self.to);
        let end = match (
            outside,
            self.egress,
            id_of(&self.to).and_then(|id| proved(&id)),
        ) {
            (Some(host), ..) if self.proved => {
                let addrs = ["192.0.2.9", "93.184.215.14", "10.30.0.1", "10.31.0.1"];
                let near = if *host == HOSTS[2] {
                    "10.30.0.1"
                } else {
                    "93.184.215.14"
                };
                let addr = if choices.once_in(5) {
                    choices.one(&addrs)
                } else {
                    near
                };
                let addr = addr.parse().expect("an address");
                End::Outside {
                    me: caller(self.from.as_ref()),
                    host: WebHost::assertion(host, addr, self.expires, "test"),
                }
            }
            (Some(host), ..) => End::Unproved {
                me: caller(self.from.as_ref()),
                host,
            },
            (None, true, Some(peer)) => End::Egress {
                me: caller(self.from.as_ref()),
                peer,
            },
            _ => End::Ingress {
                me: self.to.clone(),
                peer: self.from.as_deref().and_then(proved),
                arrival: self.addr.map_or_else(Arrival::unknown, |addr| {
                    Arrival::from_addr(addr.parse().expect("an address"))
                }),
            },
        };
        Asked {
            end,
            port: self.port,
            action: self.action,
            claims: self.claims,
            claims_until: self.claims_until,
            forwarded: self.forwarded.and_then(id),
            score: self.score,
            posture: self.posture,
            context: self.context,
            headers: self.headers,
        }
    }
}

/// Whom a question may come from, where no rule says so.
static WHO: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(|| {
    let all = [
        "router",
        "gateway",
        "retriever",
        "sensor",
        "store",
        "public",
        "any",
        "spiffe://old.example/agents/router",
        "spiffe://prod.example/agents/stranger",
        "spiffe://prod.example/agents/x",
        "spiffe://other.example/x",
        "spiffe://other.example/y",
        "spiffe://prod.example/many/3",
        "spiffe://older.example/agents/router",
    ];
    all.map(str::to_owned).into()
});

/// Fresh, missing, stale, or from times to come.
fn attributes(which: usize) -> Option<Attributes> {
    let ahead = NOW.saturating_add(Duration::from_secs(61));
    let (observed, until) = match which {
        0 => (NOW, Timestamp::MAX),
        1 => return None,
        2 => (NOW, NOW),
        _ => (ahead, Timestamp::MAX),
    };
    Some(Attributes::new(Map::new(), observed, until))
}
