//! Ten thousand questions, from a seed: what is permitted, and what is that but for one thing or three. Their answers are those of the
//! core's own verbs; what a request says of its host and its connection, which the core leaves to whoever enforces, is read anew here.

use std::collections::BTreeMap;

use ztl_core::audit::MemorySink;
use ztl_core::policy::Policy;
use ztl_core::{
    Action, Arrival, Claims, Denial, Engine, Evidence, Flow, Forwarding, HeaderPairs, Peer, Proof,
    SpiffeId, Timestamp, TrustScore, json,
};

use crate::certificates;

const SEED: u64 = 7;
const QUESTIONS: usize = 10_000;
const NOW: u64 = 1_790_000_000;
const LASTS: u64 = 3600;

/// What is permitted, or nearly.
const HONEST: [&str; 16] = [
    "ROUTER\t10.10.0.5\tretriever\t8443\tGET\t/v1/search?q=1\t-\t-\t-\t-",
    "ROUTER\tfd00:10::5\tretriever\t8443\tGET\t/v1/docs/12\t-\t-\t-\t-",
    "ROUTER\t10.10.0.5\tretriever\t8443\tPUT\t/v1/files/a/b.txt\t-\t-\t-\t-",
    "ROUTER\t10.10.0.5\tretriever\t8443\tGET\t/v1/live\t-\tconnection=upgrade&upgrade=websocket\t-\t-",
    "RETRIEVER\t10.10.0.5\tmodel-server\t8443\tPOST\t/v1/models/llama/infer\t70\tx-purpose=answer\t-\t-",
    "RETRIEVER\t10.10.0.5\tmodel-server\t9443\tPOST\t/v1/models/llama/train\t-\t-\t-\tTRAINER",
    "PARTNER\t10.10.0.5\tretriever\t8443\tPOST\t/bills\t-\t-\t-\t-",
    "-\t10.10.0.5\tshop\t8080\tGET\t/status\t-\thost=www.shop.example\tpublic\t-",
    "-\t10.10.0.5\tshop\t8080\tGET\t/account\t-\thost=shop.example\tpublic\tCUSTOMER",
    "ROUTER\t10.10.0.5\tshop\t8443\t-\t-\t-\t-\tconnect\t-",
    "ROUTER\t10.10.0.5\tshop\t8443\tPOST\t/cart\t-\thost=shop.example\t-\tALICE",
    "ROUTER\t10.10.0.5\tshop\t8443\tPOST\t/orders\t-\thost=shop:8443\t-\tDELEGATED",
    "GATEWAY\t10.10.0.5\tshop\t8443\tGET\t/orders/7\t-\thost=shop.example&x-forwarded-client-cert=By=GATEWAY;URI=PARTNER\t-\t-",
    "ROUTER\t10.10.0.5\tshop\t8443\tPUT\t/uploads/a\t-\thost=shop.example\t-\t-",
    "RETRIEVER\t-\trouter>retriever\t8443\tGET\t/v1/search\t-\t-\tegress\t-",
    "SHOP\t-\trouter>shop\t8443\tPUT\t/uploads/a\t-\t-\tegress\t-",
];

/// What may stand in each column instead.
const OTHERS: [&[&str]; 10] = [
    &[
        "ROUTER",
        "RETRIEVER",
        "SENSOR",
        "GATEWAY",
        "OUTCAST",
        "SHOP",
        "PARTNER",
        "-",
        "spiffe://old.example/ns/agents/sa/router",
        "spiffe://partner.example/billing",
        "spiffe://elsewhere.example/x",
    ],
    &["10.10.0.5", "10.66.0.9", "192.0.2.1", "fd00:10::5", "-"],
    &[
        "retriever",
        "model-server",
        "shop",
        "router>retriever",
        "router>shop",
        "retriever>model-server",
        "gateway>shop",
        "outcast>shop",
    ],
    &["8443", "9443", "8080", "1"],
    &["GET", "POST", "PUT", "DELETE", "get"],
    &[
        "/v1/search",
        "/v1/docs/7",
        "/v1/docs/07",
        "/v1/docs/x",
        "/v1/files/",
        "/v1/../secret",
        "/v1/%2e%2e/secret",
        "//v1/search",
        "/v1/search/",
        "/v1/%zz",
        "/v1/models/a%2fb/infer",
        "/bills",
        "/status",
        "/cart",
        "/orders/1",
        "/uploads/a/b",
        "*",
        "/v1/docs/\u{e9}",
    ],
    &["-", "0", "69", "70", "100"],
    &[
        "-",
        "x-purpose=answer",
        "X-Purpose=embed",
        "x-purpose=other",
        "x-purpose=answer&x-purpose=embed",
        "host=shop.example",
        "Host=Shop.Example.:8443",
        "host=evil.example",
        "host=user@shop.example",
        "host=shop.example&host=shop.example",
        ":authority=shop.example&host=evil.example",
        ":authority=shop.example",
        "x-http-method-override=DELETE",
        "upgrade=websocket",
        "Connection=keep-alive, Upgrade&Upgrade=WebSocket",
        "host=shop.example&x-forwarded-client-cert=By=GATEWAY;URI=ROUTER",
        "host=shop.example&x-forwarded-client-cert=URI=PARTNER;URI=ROUTER",
        "host=shop.example&x-forwarded-client-cert=nobody",
        "host=shop.example&x-forwarded-client-cert=By=GATEWAY;URI=PARTNER",
    ],
    &["-", "-", "egress", "public", "connect"],
    &[
        "-",
        "TRAINER",
        "CUSTOMER",
        "ALICE",
        "BOB",
        "DELEGATED",
        "OUTCAST-SPEAKS",
        "RETRIEVER-SPEAKS",
        "MEANS-TO",
    ],
];

/// What the names above stand for.
const NAMES: [(&str, &str); 15] = [
    (
        "TRAINER",
        r#"{"iss":"https://login.corp.example","aud":"corpus","sub":"alice","scope":"train read"}"#,
    ),
    (
        "CUSTOMER",
        r#"{"iss":"https://login.corp.example","aud":"corpus","sub":"carol","scope":"account"}"#,
    ),
    (
        "ALICE",
        r#"{"iss":"https://login.corp.example","aud":"corpus","sub":"alice"}"#,
    ),
    (
        "BOB",
        r#"{"iss":"https://login.corp.example","aud":"corpus","sub":"bob","scope":"train"}"#,
    ),
    (
        "DELEGATED",
        r#"{"iss":"https://login.corp.example","aud":"corpus","sub":"alice","act":{"sub":"RETRIEVER"}}"#,
    ),
    (
        "OUTCAST-SPEAKS",
        r#"{"iss":"https://login.corp.example","aud":"corpus","sub":"OUTCAST","scope":"account"}"#,
    ),
    (
        "RETRIEVER-SPEAKS",
        r#"{"iss":"https://login.corp.example","aud":"corpus","sub":"RETRIEVER","scope":"train"}"#,
    ),
    (
        "MEANS-TO",
        r#"{"iss":"https://login.corp.example","aud":"corpus","sub":"alice","scope":"training","act":{"sub":"bob","act":{"sub":"RETRIEVER"}}}"#,
    ),
    ("ROUTER", "spiffe://prod.example/ns/agents/sa/router"),
    ("RETRIEVER", "spiffe://prod.example/ns/agents/sa/retriever"),
    ("SENSOR", "spiffe://prod.example/ns/things/sa/sensor"),
    ("GATEWAY", "spiffe://prod.example/ns/web/sa/gateway"),
    ("OUTCAST", "spiffe://prod.example/ns/web/sa/outcast"),
    ("SHOP", "spiffe://prod.example/ns/web/sa/shop"),
    ("PARTNER", "spiffe://partner.example/billing/one"),
];

/// Numbers that are the same each time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let most = u64::try_from(most).expect("small");
        usize::try_from((mixed ^ (mixed >> 31)) % most).expect("small")
    }
}

/// The questions, a line each.
pub(crate) fn questions() -> Vec<String> {
    let mut numbers = Numbers(SEED);
    let mut lines = Vec::new();
    while lines.len() < QUESTIONS {
        let mut fields: Vec<&str> = HONEST[numbers.below(HONEST.len())].split('\t').collect();
        for _ in 0..[0, 1, 1, 1, 2, 3][numbers.below(6)] {
            let column = numbers.below(fields.len());
            fields[column] = OTHERS[column][numbers.below(OTHERS[column].len())];
        }
        if let Some(line) = askable(fields) {
            lines.push(line);
        }
    }
    lines
}

/// The question, where a host could ask it: what cannot be meant is an error of its own, and no decision.
fn askable(mut fields: Vec<&str>) -> Option<String> {
    let how = fields[8];
    if fields[2].contains('>') != (how == "egress")
        || (how == "public") && fields[0] != "-"
        || (how == "egress") && fields[1] != "-"
    {
        return None;
    }
    if how == "connect" {
        for column in [4, 5, 7] {
            fields[column] = "-";
        }
    } else if fields[4] == "-" || fields[5] == "-" {
        return None;
    }
    let mut line = fields.join("\t");
    for (name, stands_for) in NAMES {
        line = line.replace(name, stands_for);
    }
    Some(line)
}

/// The core, asked as whoever enforces asks it.
pub(crate) struct Core(Engine);

impl Core {
    pub(crate) fn new(policy: Policy) -> Self {
        Self(Engine::new(policy, MemorySink::new(1)).expect("an engine"))
    }

    /// The answer to a line.
    pub(crate) fn answer(&self, line: &str) -> String {
        let fields: Vec<&str> = line.split('\t').collect();
        let [
            from,
            addr,
            to,
            port,
            method,
            target,
            score,
            headers,
            how,
            claims,
        ] = fields[..]
        else {
            panic!("`{line}` has not ten fields");
        };
        let now = Timestamp::from_unix_secs(NOW);
        let peer = (from != "-").then(|| {
            let id = SpiffeId::parse_workload(from).expect("a SPIFFE ID");
            let until = Timestamp::from_unix_secs(NOW + LASTS);
            let proof = if certificates::are_shown(from, how) {
                Proof::X509 {
                    id,
                    leaf_sha256: [7; 32].into(),
                    serial: Box::new([7]),
                    not_after: until,
                }
            } else {
                Proof::Asserted {
                    id,
                    by: "corpus".into(),
                    leaf_sha256: None,
                    expires_at: until,
                }
            };
            #[expect(
                clippy::disallowed_methods,
                reason = "the corpus vouches for its callers"
            )]
            Peer::assertion(proof, "asserted by the corpus")
        });
        let port = port.parse().expect("a port");
        let (me, called) = match to.split_once('>') {
            Some((me, called)) => (me, Some(called)),
            None => (to, None),
        };
        let flow = match (&peer, called) {
            (None, _) if how != "public" => return denied("identity", "identity_unproven"),
            (Some(peer), Some(called)) => {
                let policy = self.0.policy();
                let answered = policy.workload_by_id(peer.id());
                if answered.is_none_or(|workload| workload.name() != called) {
                    return denied("identity", "identity_unproven");
                }
                Flow::egress(me, port, peer)
            }
            (peer, _) => {
                let at = addr
                    .parse()
                    .map_or_else(|_| Arrival::unknown(), Arrival::from_addr);
                Flow::ingress(me, port, at, peer.as_ref())
            }
        };
        let permit = match self.0.permit_flow(&flow, now) {
            Ok(permit) => permit,
            Err(denial) => return told(&denial),
        };
        let pairs: Vec<(String, &str)> = headers
            .split('&')
            .filter_map(|field| field.split_once('='))
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let values = |name: &str| -> Vec<&str> {
            let named = pairs.iter().filter(|(have, _)| have == name);
            named.map(|(_, value)| *value).collect()
        };
        let action = if how == "connect" {
            Action::Connect
        } else {
            let Ok(action) = Action::request(method, target) else {
                return denied("action", "path_ambiguous");
            };
            if let Some(reason) = elsewhere(&values, permit.hosts(), me, called.is_some()) {
                return denied("action", reason);
            }
            match values("upgrade")[..] {
                [token] if names_upgrade(&values("connection")) => action.with_upgrade(token),
                [_] => action.with_upgrade(UNNAMED),
                _ => action,
            }
        };
        let lines = match permit.forwards_in() {
            Some(Forwarding::Xfcc) => values("x-forwarded-client-cert"),
            _ => Vec::new(),
        };
        let Ok(passed) = permit.passed_on(lines.iter().map(|line| line.as_bytes())) else {
            return denied("action", "forwarded_untrusted");
        };
        let seen: Vec<(&str, &[u8])> = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let seen = HeaderPairs(&seen);
        let mut evidence = Evidence::none().with_headers(&seen);
        if let Ok(value) = score.parse() {
            let until = Timestamp::from_unix_secs(NOW + 60);
            evidence =
                evidence.with_trust_score(TrustScore::new(value, now, until).expect("a score"));
        }
        let claims = (claims != "-").then(|| {
            let said = json::object(claims.as_bytes()).expect("claims");
            let until = Timestamp::from_unix_secs(NOW + LASTS);
            #[expect(
                clippy::disallowed_methods,
                reason = "the corpus vouches for its tokens"
            )]
            Claims::assertion(said, until, "asserted by the corpus")
        });
        if let Some(claims) = &claims {
            evidence = evidence.with_claims(claims);
        }
        if let Some(passed) = &passed {
            evidence = evidence.with_forwarded(passed);
        }
        match self.0.authorize(&permit, &action, &evidence, now) {
            Ok(permit) => format!("permit\taction\tpermitted\t{}", permit.rule()),
            Err(denial) => told(&denial),
        }
    }
}

/// No token, so that no rule can name it.
pub(crate) const UNNAMED: &str = ",";

/// Whether the `Connection` fields name the `Upgrade` beside them (RFC 9110 §7.8).
pub(crate) fn names_upgrade(connection: &[&str]) -> bool {
    let [one] = connection else { return false };
    one.split(',')
        .any(|option| option.trim().eq_ignore_ascii_case("upgrade"))
}

/// Why a request is not for this workload, by what it says of its host (rule 42).
fn elsewhere<'v>(
    values: &impl Fn(&str) -> Vec<&'v str>,
    hosts: &[impl AsRef<str>],
    me: &str,
    called: bool,
) -> Option<&'static str> {
    let (host, authority) = (values("host"), values(":authority"));
    let said = match (&host[..], &authority[..]) {
        ([], []) => None,
        ([one], []) | ([], [one]) => Some(*one),
        ([one], [other]) if one.eq_ignore_ascii_case(other) => Some(*one),
        _ => return Some("path_ambiguous"),
    };
    if called {
        return None;
    }
    if !values("x-http-method-override").is_empty() || said.is_some_and(|host| host.contains('@')) {
        return Some("path_ambiguous");
    }
    let plain = |host: &str| {
        let host = host.split_once(':').map_or(host, |(host, _)| host);
        host.trim_end_matches('.').to_ascii_lowercase()
    };
    let is_listed = |host: &str| hosts.iter().any(|one| one.as_ref() == host) || host == me;
    (!hosts.is_empty() && !said.map(plain).is_some_and(|host| is_listed(&host)))
        .then_some("misdirected")
}

fn denied(stage: &str, reason: &str) -> String {
    format!("deny\t{stage}\t{reason}\t-")
}

fn told(denial: &Denial) -> String {
    let (stage, reason) = (denial.stage().as_str(), denial.reason().code());
    format!("deny\t{stage}\t{reason}\t{}", denial.rule().unwrap_or("-"))
}

/// How often each reason, and each rule, came.
pub(crate) fn tally(answers: &[String]) -> BTreeMap<&str, usize> {
    let mut tally = BTreeMap::new();
    for answer in answers {
        for field in answer.split('\t').skip(2) {
            *tally.entry(field).or_default() += 1;
        }
    }
    tally
}
