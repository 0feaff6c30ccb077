//! Callers that ask one thing after another, and how long they wait for each answer.

use core::time::Duration;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use http::{HeaderValue, StatusCode};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::service::Host;
use crate::token::Signer;

/// Between two requests of one caller.
const PAUSE: Duration = Duration::from_millis(1);

/// What is asked.
#[derive(Clone)]
pub(crate) struct Question {
    /// What it is called.
    pub(crate) name: &'static str,
    path: &'static str,
    token: Option<HeaderValue>,
}

/// All of them: what is judged at once, with a token that was seen before and without, and what is judged on a thread of its own.
pub(crate) fn questions(signer: &Signer) -> [Question; 3] {
    let token = signer.good(serde_json::json!({}));
    let of = |name, path, token| Question { name, path, token };
    [
        of("a plain rule", "/plain", None),
        of("a condition on a token", "/token", Some(token)),
        of("a policy in WebAssembly", "/readers", None),
    ]
}

/// A runtime as a service on this machine has it: a worker for each processor.
pub(crate) fn runtime() -> Runtime {
    let count = thread::available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread()
        .enable_time()
        .worker_threads(count)
        .build()
        .expect("a runtime")
}

/// Asks one after the other for so long, once at least, and answers how long each took, in seconds.
pub(crate) fn ask(question: &Question, host: &Host, runtime: &Handle, span: Duration) -> Vec<f64> {
    let (tell, told) = mpsc::sync_channel(1);
    let mut waited = Vec::new();
    let begun = Instant::now();
    loop {
        let tell = tell.clone();
        let answer = host.ask(&host.honest, question.path, question.token.clone());
        let asked = Instant::now();
        runtime.spawn(async move {
            let status = answer.await;
            tell.send((status, asked.elapsed())).expect("heard");
        });
        let (status, took) = told.recv().expect("an answer");
        assert_eq!(status, StatusCode::OK, "{}", question.name);
        waited.push(took.as_secs_f64());
        if begun.elapsed() >= span {
            return waited;
        }
        thread::sleep(PAUSE);
    }
}
