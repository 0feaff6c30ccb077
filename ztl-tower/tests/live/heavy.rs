//! Streams whose rule asks what takes long: judged again where no other connection waits for them (T34), and no longer than law 8
//! gives.

use std::sync::{Condvar, Mutex};

use ztl_core::authorizer::{
    Authorizer, AuthorizerError, Condition, ConditionCompiler, ConditionError, Facts, Reads,
    Setting,
};
use ztl_core::policy::{Effect, Format, Loader};

use super::*;

/// Agrees, and takes as long for it as it is held.
#[derive(Debug, Default)]
struct Slow {
    held: Mutex<bool>,
    /// Who comes first is not held.
    first: AtomicUsize,
    released: Condvar,
    asked: AtomicUsize,
}

impl Slow {
    fn hold(&self, held: bool) {
        *self.held.lock().expect("lock") = held;
        self.released.notify_all();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A test that fails leaves no thread that waits.
struct Releases(Arc<Slow>);

impl Drop for Releases {
    fn drop(&mut self) {
        self.0.hold(false);
    }
}

impl Slow {
    fn wait(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let less = |first: usize| first.checked_sub(1);
        let (set, get) = (Ordering::SeqCst, Ordering::SeqCst);
        if self.first.fetch_update(set, get, less).is_ok() {
            return;
        }
        let held = self.held.lock().expect("lock");
        let _held = self.released.wait_while(held, |held| *held).expect("lock");
    }
}

impl Authorizer for Slow {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn objects(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        self.wait();
        Ok(false)
    }

    fn is_heavy(&self) -> bool {
        true
    }
}

/// Conditions that let everything through, as slowly.
#[derive(Debug)]
struct Language(Arc<Slow>);

#[derive(Debug)]
struct SlowCondition(Arc<Slow>, bool);

impl ConditionCompiler for Language {
    fn compile(&self, _: &str, of: &Setting<'_>) -> Result<Arc<dyn Condition>, ConditionError> {
        let lets = of.effect == Effect::Permit;
        Ok(Arc::new(SlowCondition(Arc::clone(&self.0), lets)))
    }
}

impl Condition for SlowCondition {
    fn reads(&self) -> Reads {
        Reads::nothing()
    }

    fn holds(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        let Self(slow, lets) = self;
        slow.wait();
        Ok(*lets)
    }

    fn is_heavy(&self) -> bool {
        true
    }
}

fn loaded(text: &str, slow: &Arc<Slow>) -> Policy {
    let loader = Loader::new().with_conditions(Arc::new(Language(Arc::clone(slow))));
    let loader = loader.with_authorizer("slow", slow.clone());
    let policy = loader.load(text, Format::Toml);
    policy.unwrap_or_else(|error| panic!("{error}"))
}

/// Where what is slow is asked.
#[derive(Clone, Copy)]
enum Asks {
    Authorizer,
    Condition,
    Forbid,
}

/// The caller's streams ask what is slow, those of the other one do not.
fn asking(db: &Db, slow: &Arc<Slow>, asks: Asks, more: &str) -> Policy {
    let (require, forbid) = match asks {
        Asks::Authorizer => ("require = { authorizer = \"slow\" }\n", ""),
        Asks::Condition => ("require = { when = \"slow\" }\n", ""),
        Asks::Forbid => (
            "",
            "[[forbid]]\nname = \"slow\"\nfrom = \"caller\"\nto = \"db\"\nactions = [\"GET /feed\"]\nwhen = \"slow\"\n",
        ),
    };
    let streams = "\"websocket /chat\"]";
    let asks = format!(
        "{streams}\n{require}[workloads.other]\nid = \"spiffe://prod.example/other\"\n\
         [[permit]]\nname = \"others\"\nfrom = \"other\"\nto = \"db\"\nactions = [\"GET /feed\"]\n{forbid}{more}"
    );
    loaded(&db.mesh.policy.replace(streams, &asks), slow)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_a_policy_that_takes_long_keeps_no_other_connection_from_its_end() {
    keeps_no_other_from_its_end(Asks::Authorizer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_nor_does_a_condition_of_a_permit() {
    keeps_no_other_from_its_end(Asks::Condition).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_nor_does_a_condition_of_a_forbid() {
    keeps_no_other_from_its_end(Asks::Forbid).await;
}

async fn keeps_no_other_from_its_end(asks: Asks) {
    let (db, slow) = (Db::start().await, Arc::new(Slow::default()));
    let _released = Releases(Arc::clone(&slow));
    let swap = |more: &str| {
        db.guard
            .swap_policy(asking(&db, &slow, asks, more))
            .expect("swap")
    };
    swap("");
    let (mut first, mut second) = (db.two().await, db.two().await);
    let mut feeds = Vec::new();
    for two in [&first, &second, &first] {
        let mut two = two.clone();
        feeds.push(two.send_request(ask("/feed")).await.expect("feed"));
    }
    let svid = db.mesh.svid("/other");
    let stream = raw_connect(db.address, None, Some(&svid), b"http/1.1").await;
    let mut other = stream.expect("connect");
    let request = b"GET /feed HTTP/1.1\r\nhost: a\r\n\r\n";
    other.write_all(request).await.expect("write");
    other.flush().await.expect("flush");
    until("all run", || db.running.count() == 4).await;

    // A policy that lets them: they are judged by it, and live on.
    let asked = slow.asked();
    swap("# again\n");
    until("all were judged again", || slow.asked() == asked + 3).await;
    assert_eq!(db.running.count(), 4);

    slow.hold(true);
    let asked = slow.asked();
    let since = Instant::now();
    swap("# once more\n");
    until("one is being judged", || slow.asked() > asked).await;
    db.guard.deny(Denied::Id(support::id("/other")));
    until("the other is gone", || {
        db.guard.connections().len() == 2 && db.running.count() <= 3
    })
    .await;
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    // What nobody could judge in time is not permitted any more; the connections live on.
    db.none_runs(since, "none is permitted").await;
    assert_eq!(status(&mut first, "/v1/x").await, StatusCode::OK);
    assert_eq!(status(&mut second, "/v1/x").await, StatusCode::OK);
    let failed = |reason: &&String| *reason == "authorizer_failed";
    assert_eq!(reasons(&db.audit).iter().filter(failed).count(), 3);

    slow.hold(false);
    let feed = first.send_request(ask("/feed")).await.expect("feed");
    assert_eq!(feed.status(), StatusCode::OK);
    swap("# and again\n");
    until("it was judged", || slow.asked() >= asked + 3).await;
    assert_eq!(db.running.count(), 1, "it lives on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_what_was_judged_in_time_outlives_what_was_not() {
    let (db, slow) = (Db::start().await, Arc::new(Slow::default()));
    let _released = Releases(Arc::clone(&slow));
    let swap = |more: &str| {
        db.guard
            .swap_policy(asking(&db, &slow, Asks::Authorizer, more))
            .expect("swap")
    };
    swap("");
    // One more than can be judged at once.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let held = threads.saturating_sub(1).max(1);
    let mut open = Vec::new();
    for _ in 0..=held {
        let mut two = db.two().await;
        let feed = two.send_request(ask("/feed")).await.expect("feed");
        open.push((two, feed));
    }
    until("all run", || db.running.count() == held + 1).await;
    slow.first.store(1, Ordering::SeqCst);
    slow.hold(true);
    swap("# again\n");
    let failed = || {
        let reasons = reasons(&db.audit);
        let failed = reasons.iter().filter(|it| *it == "authorizer_failed");
        failed.count()
    };
    until("their time is over", || failed() >= held).await;
    slow.hold(false);
    let asked = slow.asked();
    swap("# once more\n");
    until("it is judged again", || slow.asked() > asked).await;
    assert_eq!((db.running.count(), failed()), (1, held));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_raw_bytes_whose_rule_takes_long_keep_nobody_waiting() {
    raw_bytes_keep_nobody_waiting("authorizer").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_nor_do_those_whose_condition_does() {
    raw_bytes_keep_nobody_waiting("when").await;
}

async fn raw_bytes_keep_nobody_waiting(clause: &str) {
    let (listener, address) = listener().await;
    let slow = Arc::new(Slow::default());
    let _released = Releases(Arc::clone(&slow));
    let policy = |more: &str| {
        let text = format!(
            "{}[[permit]]\nname = \"bytes\"\nfrom = \"caller\"\nto = \"db\"\nactions = \"connect\"\n\
             require = {{ {clause} = \"slow\" }}\n{more}",
            policy(address.port())
        );
        loaded(&text, &slow)
    };
    let mesh = Mesh::new(&super::policy(address.port()));
    let audit = Arc::new(MemorySink::new(1000));
    let guard = mesh.builder("db", "/db", &audit);
    let guard = guard.policy(policy("")).build().await.expect("guard");
    let mut incoming = guard.listen_on(listener).expect("listener");
    let svid = mesh.svid("/caller");
    let connect = async || {
        let stream = raw_connect(address, None, Some(&svid), b"raw").await;
        stream.expect("connect")
    };
    // As many wait for their judgement as there are threads for tasks, and more.
    slow.hold(true);
    let mut theirs = Vec::new();
    for _ in 0..4 {
        theirs.push(connect().await);
    }
    until("one is being judged", || slow.asked() > 0).await;
    until("all are known", || guard.connections().len() == 4).await;
    slow.hold(false);
    let mut ours = Vec::new();
    for _ in 0..4 {
        let stream = tokio::time::timeout(support::PATIENCE, incoming.accept()).await;
        ours.push(stream.expect("in time").expect("listener").expect("stream"));
    }
    // By a policy that lets them they live on; where nobody can judge them in time they end.
    let asked = slow.asked();
    guard.swap_policy(policy("# again\n")).expect("swap");
    until("all were judged again", || slow.asked() >= asked + 4).await;
    assert_eq!(guard.connections().len(), 4);
    slow.hold(true);
    let since = Instant::now();
    guard.swap_policy(policy("# once more\n")).expect("swap");
    for stream in &mut ours {
        let ended = tokio::time::timeout(AT_ONCE, stream.read(&mut [0; 8])).await;
        assert!(ended.expect("within a second").is_err());
    }
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    assert!(reasons(&audit).contains(&"authorizer_failed".to_owned()));
}
