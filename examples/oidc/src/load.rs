//! Requests without pause, each with the newest token.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use tokio::task::JoinHandle;
use ztl_tower::Guard;

use crate::Failed;

const TASKS: usize = 4;

/// What came of it. `failed` has to be 0.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
}

pub(crate) struct Load {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

struct Shared {
    guard: Guard,
    /// The token, and how many there were before it.
    token: Mutex<(u64, String)>,
    /// The number of the token that each task asks with.
    uses: [AtomicU64; TASKS],
    over: AtomicBool,
    requests: AtomicU64,
    failed: AtomicU64,
}

impl Load {
    pub(crate) fn start(guard: Guard, token: String) -> Self {
        let shared = Arc::new(Shared {
            guard,
            token: Mutex::new((0, token)),
            uses: Default::default(),
            over: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        });
        let tasks = (0..TASKS).map(|task| tokio::spawn(Arc::clone(&shared).run(task)));
        Self {
            tasks: tasks.collect(),
            shared: Arc::clone(&shared),
        }
    }

    /// All requests from now on have this token; answers the one before, once none has it any more.
    pub(crate) async fn take(&self, token: String) -> String {
        let (number, before) = {
            let mut held = self.shared.token();
            let before = core::mem::replace(&mut held.1, token);
            held.0 += 1;
            (held.0, before)
        };
        let uses = &self.shared.uses;
        while uses.iter().any(|used| used.load(Ordering::SeqCst) < number) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        before
    }

    /// How many were made so far.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// What the service answers.
    pub(crate) async fn ask(&self, token: &str) -> Result<StatusCode, Failed> {
        self.shared.ask(token).await
    }

    pub(crate) async fn end(self) -> Report {
        self.shared.over.store(true, Ordering::SeqCst);
        for task in self.tasks {
            if task.await.is_err() {
                self.shared.failed.fetch_add(1, Ordering::SeqCst);
            }
        }
        Report {
            requests: self.shared.requests.load(Ordering::SeqCst),
            failed: self.shared.failed.load(Ordering::SeqCst),
        }
    }
}

impl Shared {
    async fn run(self: Arc<Self>, task: usize) {
        while !self.over.load(Ordering::SeqCst) {
            let (number, token) = self.token().clone();
            if let Some(used) = self.uses.get(task) {
                used.store(number, Ordering::SeqCst);
            }
            self.requests.fetch_add(1, Ordering::SeqCst);
            let why = match self.ask(&token).await {
                Ok(StatusCode::OK) => continue,
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            self.failed.fetch_add(1, Ordering::SeqCst);
            eprintln!("a request failed: {why}");
        }
    }

    async fn ask(&self, token: &str) -> Result<StatusCode, Failed> {
        let request = Request::get("https://model-server/v1/models")
            .header("authorization", format!("Bearer {token}"))
            .body(Empty::<Bytes>::new())?;
        let asked = async {
            let response = self.guard.client().request(request).await?;
            let status = response.status();
            response.into_body().collect().await?;
            Ok(status)
        };
        tokio::time::timeout(Duration::from_secs(10), asked).await?
    }

    fn token(&self) -> std::sync::MutexGuard<'_, (u64, String)> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
