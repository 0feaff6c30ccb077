//! Raw bytes at the door: a proved peer, permitted `GET /open` and `POST /echo` and nothing else, says what no client library would.
//!
//! A marker in every handler tells what it saw. Each attack ends in a denial or a clean close, no handler sees what no rule
//! permits, and an honest peer is served meanwhile.

#![cfg(test)]

mod floods;
mod frames;
mod many;
mod one;
mod two;
mod watched;

#[path = "../support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use http::StatusCode;
use http_body_util::BodyExt;
use support::{Mesh, PATIENCE, PeerOrNobody, RawStream, get1, get2, knock, listener, raw_connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::RwLock;
use tokio::time::Instant;
use ztl_core::audit::MemorySink;
use ztl_tower::{Guard, GuardBuilder, Peer};

/// Held by a test that measures this process, and shared by the others.
static MEASURED: RwLock<()> = RwLock::const_new(());

/// How long a server says nothing before it is taken that it has said all.
const QUIET: Duration = Duration::from_millis(1500);
/// How long an honest peer may wait while others attack.
const BEARABLE: Duration = Duration::from_secs(5);

/// What the handlers saw, by who asked.
#[derive(Clone, Default)]
struct Marks(Arc<Mutex<HashMap<String, Vec<String>>>>);

impl Marks {
    /// A request came in. What it was is completed by its body.
    fn begin(&self, who: &str, what: &str) -> usize {
        let mut marks = self.0.lock().expect("marks");
        let marks = marks.entry(who.to_owned()).or_default();
        marks.push(what.to_owned());
        marks.len() - 1
    }

    fn add(&self, who: &str, at: usize, what: &str) {
        let mut marks = self.0.lock().expect("marks");
        let mark = &mut marks.get_mut(who).expect("it began")[at];
        mark.push(' ');
        mark.push_str(what);
    }

    fn of(&self, who: &str) -> Vec<String> {
        let marks = self.0.lock().expect("marks");
        marks.get(who).cloned().unwrap_or_default()
    }

    /// Whatever anybody did: nobody saw what no rule permits.
    fn hold_only_what_is_permitted(&self) {
        for (who, marks) in &*self.0.lock().expect("marks") {
            for mark in marks {
                let permitted = mark.starts_with("GET /open") || mark.starts_with("POST /echo");
                assert!(permitted, "{who} reached a handler with `{mark}`");
            }
        }
    }

    fn app(&self) -> Router {
        let marks = self.clone();
        let mark = any(
            move |PeerOrNobody(peer): PeerOrNobody, request: axum::extract::Request| {
                let marks = marks.clone();
                async move { marks.mark(&peer, request).await }
            },
        );
        Router::new()
            .route("/open", mark.clone())
            .route("/echo", mark.clone())
            .route("/admin", mark.clone())
            .fallback(mark)
    }

    async fn mark(&self, peer: &Peer, request: axum::extract::Request) -> &'static str {
        let who = peer.id().to_string();
        let (parts, mut body) = request.into_parts();
        let at = self.begin(&who, &format!("{} {}", parts.method, parts.uri.path()));
        if let Some(credential) = parts.headers.get("authorization") {
            self.add(&who, at, &format!("auth={credential:?}"));
        }
        while let Some(frame) = body.frame().await {
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(data)) => self.add(&who, at, &String::from_utf8_lossy(&data)),
                Ok(Err(trailers)) => {
                    let trailers = trailers.into_trailers().unwrap_or_default();
                    let mut names: Vec<_> =
                        trailers.keys().map(|name| format!("~{name}")).collect();
                    names.sort();
                    self.add(&who, at, &names.concat());
                }
                Err(_) => self.add(&who, at, "!"),
            }
        }
        "seen"
    }
}

impl<S: Sync> axum::extract::FromRequestParts<S> for PeerOrNobody {
    type Rejection = StatusCode;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<Peer>().cloned();
        peer.map(Self).ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// A guarded service, and who attacks it.
struct Door {
    mesh: Mesh,
    address: SocketAddr,
    marks: Marks,
    guard: Guard,
    audit: Arc<MemorySink>,
}

impl Door {
    async fn open() -> Arc<Self> {
        Self::with(|builder| builder).await
    }

    async fn with(limits: impl FnOnce(GuardBuilder) -> GuardBuilder) -> Arc<Self> {
        let (listener, address) = listener().await;
        let port = address.port();
        let mesh = Mesh::new(&format!(
            "schema = 1\ntrust_domain = \"prod.example\"\n\
             [workloads.honest]\nid = \"spiffe://prod.example/honest\"\n\
             [workloads.db]\nid = \"spiffe://prod.example/db\"\nports = [{port}]\n\
             [[permit]]\nname = \"both\"\nfrom = [\"honest\", \"spiffe://prod.example/attacker/**\"]\nto = \"db\"\n\
             actions = [\"GET /open\", \"POST /echo\"]\n"
        ));
        let audit = Arc::new(MemorySink::new(1000));
        let guard = limits(mesh.builder("db", "/db", &audit));
        let guard = guard
            .build()
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let marks = Marks::default();
        support::serve(&guard, listener, marks.app());
        Arc::new(Self {
            mesh,
            address,
            marks,
            guard,
            audit,
        })
    }

    /// A connection of an attacker of this name.
    async fn connect(&self, name: &str, alpn: &[u8]) -> RawStream {
        let svid = self.mesh.svid(&format!("/attacker/{name}"));
        let stream = raw_connect(self.address, None, Some(&svid), alpn).await;
        stream.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn marks_of(&self, name: &str) -> Vec<String> {
        self.marks
            .of(&format!("spiffe://prod.example/attacker/{name}"))
    }

    /// The same once they are what they have to be, or nobody waits any longer: a handler may see the end of a body after us.
    async fn marks_until(&self, name: &str, expected: &[&str]) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = self.marks_of(name);
            if matches(&seen, expected) || Instant::now() >= end {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Says these bytes, and hears what comes back until the end of the connection: the server's, or ours after it fell silent.
    async fn speak(&self, name: &str, alpn: &[u8], bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect(name, alpn).await;
        // A server that hangs up does not read the rest.
        let _ = stream.write_all(bytes).await;
        let _ = stream.flush().await;
        let mut answer = Vec::new();
        if hear(&mut stream, &mut answer, QUIET).await.is_err() {
            let _ = stream.shutdown().await;
            let ended = hear(&mut stream, &mut answer, PATIENCE).await;
            ended.unwrap_or_else(|()| panic!("{name}: the connection does not end"));
        }
        answer
    }
}

/// Reads to the end of a stream, unless nothing comes for so long.
async fn hear(stream: &mut RawStream, answer: &mut Vec<u8>, quiet: Duration) -> Result<(), ()> {
    let mut some = [0; 4096];
    loop {
        match tokio::time::timeout(quiet, stream.read(&mut some)).await {
            Ok(Ok(0) | Err(_)) => return Ok(()),
            Ok(Ok(read)) => answer.extend_from_slice(&some[..read]),
            Err(_) => return Err(()),
        }
    }
}

/// Somebody honest, on new connections all the while.
struct Honest {
    done: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Duration>,
}

impl Honest {
    fn begin(door: &Arc<Door>) -> Self {
        let (done, door) = (Arc::new(AtomicBool::new(false)), Arc::clone(door));
        let over = Arc::clone(&done);
        let task = tokio::spawn(async move {
            let (svid, mut worst) = (door.mesh.svid("/honest"), Duration::ZERO);
            while !over.load(Ordering::SeqCst) {
                for (alpn, request) in [(&b"h2"[..], get2("/open")), (b"http/1.1", get1("/open"))] {
                    let begin = Instant::now();
                    let answer = knock(door.address, None, Some(&svid), alpn, request).await;
                    let answer = answer.unwrap_or_else(|error| panic!("somebody honest: {error}"));
                    assert_eq!(answer.status(), StatusCode::OK);
                    worst = worst.max(begin.elapsed());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            worst
        });
        Self { done, task }
    }

    /// They were served throughout, and in bearable time.
    async fn was_served(self) {
        self.done.store(true, Ordering::SeqCst);
        let worst = self.task.await.expect("somebody honest");
        assert!(worst < BEARABLE, "somebody honest waited for {worst:?}");
    }
}

/// What this process holds in memory, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("pages") * 4096
}

/// All attacks of a table at once, and what did not come of them as it should.
async fn attack<A, F>(door: &Arc<Door>, attacks: Vec<A>, one: impl Fn(Arc<Door>, A) -> F)
where
    F: Future<Output = Option<String>> + Send + 'static,
{
    let honest = Honest::begin(door);
    let mut running = tokio::task::JoinSet::new();
    for attack in attacks {
        running.spawn(one(Arc::clone(door), attack));
    }
    let mut wrong = Vec::new();
    while let Some(ended) = running.join_next().await {
        wrong.extend(ended.expect("an attack"));
    }
    honest.was_served().await;
    door.marks.hold_only_what_is_permitted();
    wrong.sort();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Whether what was seen is what had to be, in whatever order. A mark that begins with `?` may be missing, and so may what its
/// body came to.
fn matches(seen: &[String], expected: &[&str]) -> bool {
    let mut seen = seen.to_vec();
    for mark in expected {
        let (mark, is_sure) = mark
            .strip_prefix('?')
            .map_or((*mark, true), |mark| (mark, false));
        let found = seen
            .iter()
            .position(|seen| seen == mark || (!is_sure && seen.starts_with(mark)));
        match found {
            Some(at) => drop(seen.swap_remove(at)),
            None if is_sure => return false,
            None => {}
        }
    }
    seen.is_empty()
}
