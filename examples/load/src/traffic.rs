//! What callers do, all at once, and what has to come of it.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::task::JoinSet;
use ztl_tower::Guard;

use crate::Failed;
use crate::files::{self, ADDRESS, Files, Good};
use crate::serve::PARTS;
use crate::trail;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is sent in a body.
const BODY: usize = 16 * 1024;
/// Between two requests of one caller.
const PAUSE: Duration = Duration::from_millis(1);

/// Kinds of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Short,
    Body,
    Long,
    /// A caller that starts, asks once and ends: its own guard and connection.
    Fresh,
    Token,
    /// A right that every other policy takes away.
    Flip,
    /// What must never be permitted: nobody's action, a token of a key that is gone, a caller that no rule names.
    Hostile,
}

/// Each, how often at once, and what it is called.
pub(crate) const KINDS: [(Kind, usize, &str); 7] = [
    (Kind::Short, 3, "short"),
    (Kind::Body, 1, "body"),
    (Kind::Long, 4, "long"),
    (Kind::Fresh, 1, "fresh"),
    (Kind::Token, 1, "token"),
    (Kind::Flip, 1, "flip"),
    (Kind::Hostile, 1, "hostile"),
];

/// What is going on, as all callers know it.
pub(crate) struct Traffic {
    folder: PathBuf,
    pub(crate) files: Mutex<Files>,
    /// Even while the service is up, odd from before a kill until it listens again.
    pub(crate) outages: AtomicU64,
    /// The newest policy that an answer told of: whatever is sent from then on is decided by that or a newer one.
    pub(crate) in_force: AtomicU64,
    /// Policies that answers told of.
    pub(crate) policies: AtomicU64,
    over: AtomicBool,
    /// Requests of each kind that ended as they have to.
    pub(crate) good: [AtomicUsize; KINDS.len()],
    /// Those of them that were permitted.
    pub(crate) permitted: [AtomicUsize; KINDS.len()],
    /// Those that a kill cut off.
    pub(crate) cut: AtomicUsize,
    /// Decisions that answers told of since the last kill.
    answered: Mutex<Vec<u128>>,
    /// What must not have happened, in words.
    wrong: Mutex<Vec<String>>,
}

/// What a request must not have come to.
enum Wrong {
    /// An honest end got no answer, or another than it has to get. Where the service was killed meanwhile, that is why.
    Lost(String),
    /// Something was permitted that was not: no kill excuses it.
    Permitted(String),
}

impl Traffic {
    pub(crate) fn new(folder: PathBuf, files: Files) -> Self {
        Self {
            folder,
            files: Mutex::new(files),
            outages: AtomicU64::new(0),
            in_force: AtomicU64::new(0),
            policies: AtomicU64::new(0),
            over: AtomicBool::new(false),
            good: Default::default(),
            permitted: Default::default(),
            cut: AtomicUsize::new(0),
            answered: Mutex::default(),
            wrong: Mutex::default(),
        }
    }

    /// Starts all callers.
    pub(crate) async fn start(self: &Arc<Self>) -> Result<JoinSet<()>, Failed> {
        let caller = self.guard("caller").await?;
        // Who brings bad tokens is soon answered 429, so that is nobody else's identity.
        let liars = [self.guard("prober").await?, self.guard("thief").await?];
        let mut tasks = JoinSet::new();
        for (at, (kind, count, _)) in KINDS.into_iter().enumerate() {
            for _ in 0..count {
                let traffic = Arc::clone(self);
                let (caller, liars) = (caller.clone(), liars.clone());
                tasks.spawn(async move { traffic.repeat(at, kind, &caller, &liars).await });
            }
        }
        Ok(tasks)
    }

    async fn guard(&self, name: &str) -> Result<Guard, Failed> {
        let builder = files::guard(&self.folder, name, "caller.toml");
        Ok(builder.endpoint("store", ADDRESS.parse()?).build().await?)
    }

    /// Lets all callers end after the request at which they are.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// The decisions that answers told of since this was last asked.
    pub(crate) fn take_answered(&self) -> Vec<u128> {
        core::mem::take(&mut *lock(&self.answered))
    }

    pub(crate) fn went_wrong(&self, what: String) {
        lock(&self.wrong).push(what);
    }

    /// What went wrong so far.
    pub(crate) fn wrong(&self) -> Vec<String> {
        lock(&self.wrong).clone()
    }

    async fn repeat(&self, at: usize, kind: Kind, caller: &Guard, liars: &[Guard; 2]) {
        while !self.over.load(Ordering::SeqCst) {
            let then = self.outages.load(Ordering::SeqCst);
            let asked = self.one(kind, caller, liars).await;
            let up = then.is_multiple_of(2) && self.outages.load(Ordering::SeqCst) == then;
            match asked {
                Ok(permitted) => {
                    count(&self.good, at);
                    if permitted {
                        count(&self.permitted, at);
                    }
                }
                Err(Wrong::Lost(_)) if !up => {
                    self.cut.fetch_add(1, Ordering::SeqCst);
                }
                Err(Wrong::Lost(why) | Wrong::Permitted(why)) => {
                    self.went_wrong(format!("{kind:?}: {why}"));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One request; whether it was permitted.
    async fn one(&self, kind: Kind, caller: &Guard, liars: &[Guard; 2]) -> Result<bool, Wrong> {
        let honest = async |guard: &Guard, ask: Ask<'_>| {
            let path = ask.path;
            match self.ask(guard, ask).await? {
                StatusCode::OK => Ok(true),
                status => Err(Wrong::Lost(format!("`{path}` was answered {status}"))),
            }
        };
        match kind {
            Kind::Short => honest(caller, Ask::get("/v1/items")).await,
            Kind::Long => honest(caller, Ask::get("/v1/long")).await,
            Kind::Body => {
                let mut ask = Ask::get("/v1/items");
                (ask.method, ask.body) = (Method::POST, Bytes::from_static(&[7; BODY]));
                honest(caller, ask).await
            }
            Kind::Fresh => {
                let guard = self.guard("caller").await;
                let guard = guard.map_err(|error| Wrong::Lost(error.to_string()))?;
                honest(&guard, Ask::get("/v1/items")).await
            }
            Kind::Token => {
                let mut ask = Ask::get("/token");
                ask.token = self.token(Good::Yes)?;
                honest(caller, ask).await
            }
            // It is denied where the rule is gone, and cut where it goes meanwhile.
            Kind::Flip => match self.ask(caller, Ask::get("/flip")).await {
                Ok(status) => Ok(status == StatusCode::OK),
                Err(Wrong::Lost(_)) => Ok(false),
                Err(wrong) => Err(wrong),
            },
            Kind::Hostile => {
                let mut gone = Ask::get("/token");
                gone.token = self.token(Good::NoMore)?;
                let [prober, thief] = liars;
                for (guard, ask) in [
                    (prober, Ask::get("/secret")),
                    (prober, gone),
                    (thief, Ask::get("/v1/items")),
                ] {
                    let path = ask.path;
                    if matches!(self.ask(guard, ask).await, Ok(StatusCode::OK)) {
                        let who = guard.name();
                        return Err(Wrong::Permitted(format!("`{who}` was permitted `{path}`")));
                    }
                }
                Ok(false)
            }
        }
    }

    fn token(&self, good: Good) -> Result<Option<String>, Wrong> {
        let token = lock(&self.files).token(good);
        token.map_err(|error| Wrong::Lost(error.to_string()))
    }

    /// Asks once, reads the answer to its end, and holds what it tells of the policy against what was known before.
    async fn ask(&self, guard: &Guard, ask: Ask<'_>) -> Result<StatusCode, Wrong> {
        let (path, sent) = (ask.path, ask.body.len());
        let known = self.in_force.load(Ordering::SeqCst);
        let asked = async {
            let request = ask.request().map_err(|error| chain(&error))?;
            let answer = guard.client().request(request).await;
            let answer = answer.map_err(|error| chain(&error))?;
            let status = answer.status();
            let body = answer.into_body().collect().await;
            let body = body.map_err(|error| chain(&error))?;
            Ok::<_, String>((status, body.to_bytes()))
        };
        let asked = tokio::time::timeout(PATIENCE, asked).await;
        let asked = asked.unwrap_or_else(|_| Err(format!("no answer in {PATIENCE:?}")));
        let (status, body) = asked.map_err(|why| Wrong::Lost(format!("`{path}`: {why}")))?;
        if status != StatusCode::OK {
            return Ok(status);
        }
        let told = Told::read(&body).ok_or_else(|| {
            let body = String::from_utf8_lossy(&body);
            Wrong::Lost(format!("`{path}` was answered `{}`", body.escape_debug()))
        })?;
        lock(&self.answered).push(told.decision);
        if told.policy < known {
            let by = told.policy;
            return Err(Wrong::Permitted(format!(
                "`{path}` was permitted by policy {by}, when {known} had been in force before it was sent"
            )));
        }
        if self.in_force.fetch_max(told.policy, Ordering::SeqCst) < told.policy {
            self.policies.fetch_add(1, Ordering::SeqCst);
        }
        let parts = if path == "/v1/long" { PARTS * 4 } else { 0 };
        if (told.sent, told.rest) != (sent, parts) {
            let (read, rest) = (told.sent, told.rest);
            return Err(Wrong::Lost(format!(
                "of `{path}` {read} of {sent} bytes arrived, and {rest} of {parts} came back"
            )));
        }
        Ok(status)
    }
}

/// What is asked.
struct Ask<'a> {
    method: Method,
    path: &'a str,
    body: Bytes,
    token: Option<String>,
}

impl<'a> Ask<'a> {
    fn get(path: &'a str) -> Self {
        Self {
            method: Method::GET,
            path,
            body: Bytes::new(),
            token: None,
        }
    }

    fn request(self) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(format!("https://store{}", self.path));
        if let Some(token) = self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.body(Full::new(self.body))
    }
}

/// What an answer tells: the policy that permitted it, the decision, how much was read of what was sent, and how much follows.
struct Told {
    policy: u64,
    decision: u128,
    sent: usize,
    rest: usize,
}

impl Told {
    fn read(body: &[u8]) -> Option<Self> {
        let end = body.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = body.split_at_checked(end)?;
        let mut words = core::str::from_utf8(line).ok()?.split(' ');
        let (_, policy) = words.next()?.rsplit_once('-')?;
        Some(Self {
            policy: policy.parse().ok()?,
            decision: trail::id_of(words.next()?)?,
            sent: words.next()?.parse().ok()?,
            rest: rest.len().checked_sub(1)?,
        })
    }
}

fn count(counts: &[AtomicUsize], at: usize) {
    if let Some(count) = counts.get(at) {
        count.fetch_add(1, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error with all that it rests on.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
