//! Mixed traffic while policy, SVIDs, bundles, revocations and keys of issuers are swapped every 100 ms.
//!
//! A few seconds long; `ZTL_LOAD_SECONDS=300` makes it five minutes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::HeaderMap;
use http_body::Frame;
use tokio::task::JoinSet;
use ztl_authz::jwt::{DevIssuer, Issuer, Jwks, TokenVerifier};

use super::*;

/// How often everything is swapped.
const SWAP: Duration = Duration::from_millis(100);
/// What a long response takes, in parts of [`SWAP`].
const PARTS: usize = 8;
/// Most that memory may grow from the first second to the last, and descriptors.
const GROWTH: usize = 48 * 1024 * 1024;
const DESCRIPTORS: usize = 128;

#[expect(
    clippy::disallowed_methods,
    reason = "how long a test runs is no input of a decision"
)]
fn seconds() -> u64 {
    let text = std::env::var("ZTL_LOAD_SECONDS").unwrap_or_default();
    text.parse().unwrap_or(5)
}

/// The policy, with the rule that comes and goes or without.
fn policy(port: u16, round: u64, open: bool) -> String {
    let flips = if open { "\"GET /flip\", " } else { "" };
    format!(
        "# round {round}\nschema = 1\ntrust_domain = \"prod.example\"\n\
         [workloads.caller]\nid = \"spiffe://prod.example/caller\"\n\
         [workloads.db]\nid = \"spiffe://prod.example/db\"\nports = [{port}]\n\
         [issuers.corp]\nissuer = \"https://idp.example\"\naudience = \"db\"\n\
         [[permit]]\nname = \"reads-{round}\"\nfrom = \"caller\"\nto = \"db\"\nactions = [{flips}\"GET /v1/{{*rest}}\"]\n\
         [[permit]]\nname = \"users\"\nfrom = \"caller\"\nto = \"db\"\nactions = [\"GET /token\"]\n\
         require = {{ token = {{ issuer = \"corp\", scopes = [\"ask\"] }} }}\n"
    )
}

fn load(text: &str) -> Policy {
    Policy::from_toml(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A body that takes its time.
struct Slow {
    left: usize,
    ticks: tokio::time::Interval,
}

impl http_body::Body for Slow {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        ready!(self.ticks.poll_tick(cx));
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"part")))))
    }
}

fn app() -> Router {
    Router::new().fallback(any(|request: axum::extract::Request| async move {
        if request.uri().path() == "/v1/long" {
            let ticks = tokio::time::interval(SWAP);
            return Body::new(Slow { left: PARTS, ticks });
        }
        // What was sent is read to its end.
        let sent = request
            .into_body()
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        Body::from(sent.unwrap_or_default())
    }))
}

/// What the swaps have come to: even where all are done, odd while one is under way. Every other policy has the rule.
#[derive(Default)]
struct Swaps(std::sync::atomic::AtomicU64);

impl Swaps {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Whether the rule was in force from then until now; none where that changed.
    fn has_been_open_since(&self, then: u64) -> Option<bool> {
        (then.is_multiple_of(2) && self.now() == then).then_some((then / 2).is_multiple_of(2))
    }
}

struct Mixed {
    mesh: Mesh,
    db: Guard,
    caller: Guard,
    address: std::net::SocketAddr,
    issuer: DevIssuer,
    swaps: Swaps,
    done: AtomicBool,
    counts: [AtomicUsize; 6],
}

impl Mixed {
    async fn begin() -> Arc<Self> {
        let (listener, address) = listener().await;
        let mesh = Mesh::new(&policy(address.port(), 0, true));
        let issuer = DevIssuer::new("https://idp.example").expect("issuer");
        let corp = Issuer::access_tokens("corp", "https://idp.example", "db", keys(&issuer));
        let tokens = TokenVerifier::builder()
            .issuer(corp)
            .build()
            .expect("verifier");
        let audit = Arc::new(MemorySink::new(100));
        let db = mesh.builder("db", "/db", &audit).token_verifier(tokens);
        let db = db.build().await.expect("guard");
        serve(&db, listener, app());
        let caller = mesh
            .builder("caller", "/caller", &audit)
            .endpoint("db", address);
        // What is asked of callers is judged at the target's end.
        let caller = caller.build().await.expect("guard");
        Arc::new(Self {
            mesh,
            db,
            caller,
            address,
            issuer,
            swaps: Swaps::default(),
            done: AtomicBool::new(false),
            counts: Default::default(),
        })
    }

    /// One request over egress, with what came of it.
    async fn ask(&self, path: &str, headers: HeaderMap) -> Result<(StatusCode, Bytes), String> {
        let mut request = Request::get(format!("https://db{path}"));
        request.headers_mut().expect("headers").extend(headers);
        let request = request.body(Empty::<Bytes>::new()).expect("request");
        let answer = self.caller.client().request(request).await;
        let answer = answer.map_err(|error| support::chain(&error))?;
        let status = answer.status();
        let body = answer.into_body().collect().await;
        body.map(|body| (status, body.to_bytes()))
            .map_err(|error| support::chain(&error))
    }

    /// Whoever does this does it until the end, and counts.
    fn repeat<F>(
        self: &Arc<Self>,
        tasks: &mut JoinSet<()>,
        at: usize,
        one: impl Fn(Arc<Self>) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        let mixed = Arc::clone(self);
        tasks.spawn(async move {
            while !mixed.done.load(Ordering::SeqCst) {
                one(Arc::clone(&mixed)).await;
                mixed.counts[at].fetch_add(1, Ordering::SeqCst);
            }
        });
    }

    /// Everything at once; when this returns, all of it is in force.
    fn swap(&self) {
        let round = self.swaps.next() / 2 + 1;
        let text = policy(self.address.port(), round, round.is_multiple_of(2));
        self.db.swap_policy(load(&text)).expect("a policy");
        self.db
            .swap_identity(self.mesh.svid("/db"))
            .expect("an SVID");
        self.caller
            .swap_identity(self.mesh.svid("/caller"))
            .expect("an SVID");
        let other = ztl_core::TrustDomain::parse(&format!("round-{round}.example"));
        let other = TrustBundle::empty(other.expect("a domain"));
        let set = BundleSet::new([self.mesh.authority.bundle(), other]).expect("a set");
        self.caller.swap_bundles(set.clone());
        self.db.swap_bundles(set);
        self.db
            .deny(Denied::Id(support::id(&format!("/round-{round}"))));
        self.db
            .swap_token_keys("corp", keys(&self.issuer))
            .expect("an issuer");
        self.swaps.next();
    }
}

fn keys(issuer: &DevIssuer) -> Jwks {
    Jwks::from_json(issuer.jwks_json().as_bytes()).expect("keys")
}

fn token(issuer: &DevIssuer) -> HeaderMap {
    let exp = support::now().as_unix_secs() + 60;
    let claims = serde_json::json!({ "sub": "alice", "aud": "db", "exp": exp, "scope": "ask" });
    let token = issuer.sign(claims).expect("a token");
    let value = format!("Bearer {token}").parse().expect("a value");
    HeaderMap::from_iter([(http::header::AUTHORIZATION, value)])
}

/// Resident bytes and open descriptors of this process.
fn footprint() -> [usize; 2] {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    let descriptors = std::fs::read_dir("/proc/self/fd")
        .expect("descriptors")
        .count();
    [pages.expect("pages") * 4096, descriptors]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_8_under_load_nothing_honest_is_lost_and_no_policy_outlives_its_swap() {
    let _alone = ALONE.lock().await;
    let mixed = Mixed::begin().await;
    let mut tasks = JoinSet::new();
    for at in [0, 0] {
        mixed.repeat(&mut tasks, at, |mixed| async move {
            let answer = mixed.ask("/v1/x", HeaderMap::new()).await;
            assert_eq!(answer.map(|it| it.0), Ok(StatusCode::OK), "a short request");
        });
    }
    mixed.repeat(&mut tasks, 1, |mixed| async move {
        let (status, body) = mixed
            .ask("/v1/long", HeaderMap::new())
            .await
            .expect("a long request");
        assert_eq!(
            (status, body.len()),
            (StatusCode::OK, PARTS * 4),
            "a long request"
        );
    });
    mixed.repeat(&mut tasks, 2, |mixed| async move {
        let svid = mixed.mesh.svid("/caller");
        for (alpn, request) in [(&b"h2"[..], get2("/v1/x")), (b"http/1.1", get1("/v1/x"))] {
            let answer = knock(mixed.address, None, Some(&svid), alpn, request).await;
            assert_eq!(
                answer.map(|it| it.status()),
                Ok(StatusCode::OK),
                "a new connection"
            );
        }
    });
    mixed.repeat(&mut tasks, 3, |mixed| async move {
        let answer = mixed.ask("/token", token(&mixed.issuer)).await;
        assert_eq!(answer.map(|it| it.0), Ok(StatusCode::OK), "a token");
    });
    mixed.repeat(&mut tasks, 4, |mixed| async move {
        let then = mixed.swaps.now();
        let answer = mixed.ask("/flip", HeaderMap::new()).await;
        match (mixed.swaps.has_been_open_since(then), answer.map(|it| it.0)) {
            (Some(true), answer) => assert_eq!(answer, Ok(StatusCode::OK), "since {then}"),
            (Some(false), answer) => assert_eq!(answer, Ok(StatusCode::FORBIDDEN), "since {then}"),
            // The rule came or went meanwhile: a request that it was taken from is denied, or cut.
            (None, _) => {}
        }
    });
    mixed.repeat(&mut tasks, 5, |mixed| async move {
        tokio::time::sleep(SWAP).await;
        mixed.swap();
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = footprint();
    tokio::time::sleep(Duration::from_secs(seconds().saturating_sub(1))).await;
    let after = footprint();
    mixed.done.store(true, Ordering::SeqCst);
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a task");
    }
    let counts = mixed
        .counts
        .each_ref()
        .map(|count| count.load(Ordering::SeqCst));
    println!(
        "short, long, new, with a token, flipped, swaps: {counts:?}; bytes and descriptors: {before:?}, {after:?}"
    );
    assert!(counts.iter().all(|count| *count > 2), "{counts:?}");
    assert!(after[0] < before[0] + GROWTH, "{before:?} {after:?} bytes");
    assert!(
        after[1] < before[1] + DESCRIPTORS,
        "{before:?} {after:?} descriptors"
    );
    until("no request runs on", || {
        mixed.db.connections().iter().all(|it| it.requests == 0)
    })
    .await;
}
