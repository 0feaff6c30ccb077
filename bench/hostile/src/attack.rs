//! Requests that are dear to judge, and the caller that keeps sending them.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use http::{HeaderValue, StatusCode};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::service::{Host, TIMEOUT};
use crate::token::{self, Signer};

/// What a machine that does much else may add to a bound.
const SLACK: Duration = Duration::from_secs(2);

/// Which tokens come with the requests: a number for each, so that each can be another.
type Tokens = Arc<dyn Fn(u64) -> Option<HeaderValue> + Send + Sync>;

/// A kind of requests.
#[derive(Clone)]
pub(crate) struct Attack {
    /// What it is called.
    pub(crate) name: &'static str,
    /// The path that is asked for; none for a thread that only computes, beside which the others are shown.
    path: Option<&'static str>,
    tokens: Tokens,
    /// How they may be answered.
    answers: &'static [StatusCode],
    /// How long one judgement may take.
    within: Duration,
}

/// All of them.
pub(crate) fn attacks(signer: &Signer) -> Vec<Attack> {
    const POLICY: &[StatusCode] = &[StatusCode::FORBIDDEN, StatusCode::SERVICE_UNAVAILABLE];
    const TOKEN: &[StatusCode] = &[StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS];
    let nothing = || -> Tokens { Arc::new(|_| None) };
    let list = signer.good(token::long_list());
    let policy = |name, path| asks(name, path, nothing(), POLICY, TIMEOUT * 2);
    let inline = Duration::from_millis(50);
    let tokens = |name, make: fn(u64) -> HeaderValue| {
        asks(
            name,
            "/token",
            Arc::new(move |at| Some(make(at))),
            TOKEN,
            inline,
        )
    };
    vec![
        Attack {
            name: "a thread that computes",
            path: None,
            tokens: nothing(),
            answers: &[],
            within: inline,
        },
        policy("WebAssembly that loops for ever", "/forever"),
        policy("WebAssembly that takes ever more memory", "/grows"),
        policy("the interpreter, a loop in a loop", "/loops"),
        asks(
            "CEL that multiplies a list of a token",
            "/lists",
            Arc::new(move |_| Some(list.clone())),
            POLICY,
            inline,
        ),
        tokens("tokens that nobody signed", token::forged),
        tokens("the same of 8 KiB", token::forged_long),
        tokens("tokens that nest deep", token::deep),
        tokens("tokens of 4 000 parts", token::many_parts),
    ]
}

fn asks(
    name: &'static str,
    path: &'static str,
    tokens: Tokens,
    answers: &'static [StatusCode],
    within: Duration,
) -> Attack {
    Attack {
        name,
        path: Some(path),
        tokens,
        answers,
        within,
    }
}

/// What came of them.
#[derive(Default)]
pub(crate) struct Answered {
    /// How long each took, in seconds.
    pub(crate) times: Vec<f64>,
    /// How many were not looked at, since there was no place or the budget was spent.
    pub(crate) turned_away: usize,
    /// Over how long.
    pub(crate) span: f64,
}

/// An attack that runs.
pub(crate) struct Running {
    over: Arc<AtomicBool>,
    begun: Instant,
    tasks: Vec<JoinHandle<Answered>>,
    computes: Option<thread::JoinHandle<()>>,
}

impl Attack {
    /// Whether it asks the service for anything.
    pub(crate) const fn asks(&self) -> bool {
        self.path.is_some()
    }

    /// Begins: so many requests at a time, each followed by another as soon as it is answered.
    pub(crate) fn begin(&self, host: &Arc<Host>, runtime: &Handle, at_once: u32) -> Running {
        let over = Arc::new(AtomicBool::new(false));
        let begun = Instant::now();
        let Some(path) = self.path else {
            let ends = Arc::clone(&over);
            let computes = thread::spawn(move || while !ends.load(Ordering::Relaxed) {});
            return Running {
                over,
                begun,
                tasks: Vec::new(),
                computes: Some(computes),
            };
        };
        let ask = || {
            let (host, attack, ends) = (Arc::clone(host), self.clone(), Arc::clone(&over));
            runtime.spawn(async move { attack.keep_asking(&host, path, at_once, &ends).await })
        };
        let tasks = (0..at_once).map(|_| ask()).collect();
        Running {
            over,
            begun,
            tasks,
            computes: None,
        }
    }

    async fn keep_asking(
        &self,
        host: &Host,
        path: &str,
        at_once: u32,
        ends: &AtomicBool,
    ) -> Answered {
        // None is ever the same, over all rounds.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut answered = Answered::default();
        let bound = self.within * at_once + SLACK;
        while !ends.load(Ordering::Relaxed) {
            let token = (self.tokens)(COUNT.fetch_add(1, Ordering::Relaxed));
            let asked = Instant::now();
            let status = host.ask(&host.hostile, path, token).await;
            let took = asked.elapsed();
            assert!(self.answers.contains(&status), "{}: {status}", self.name);
            assert!(took < bound, "{}: {took:?}", self.name);
            answered.times.push(took.as_secs_f64());
            let turned_away = [
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::TOO_MANY_REQUESTS,
            ];
            answered.turned_away += usize::from(turned_away.contains(&status));
            // As a connection does that waits for the next one.
            tokio::task::yield_now().await;
        }
        answered
    }
}

impl Running {
    /// Ends it, and waits until the last is answered.
    pub(crate) fn end(self, runtime: &Handle) -> Answered {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Answered::default();
        if let Some(computes) = self.computes {
            computes.join().expect("ends");
        }
        for task in self.tasks {
            let one = runtime.block_on(task).expect("all are denied in time");
            all.times.extend(one.times);
            all.turned_away += one.turned_away;
        }
        all.span = self.begun.elapsed().as_secs_f64();
        all
    }
}
