//! Records as events.

use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::field::{Field, Visit};
use tracing::span;
use ztl_core::Engine;

use super::*;
use crate::support::heard::hear;

/// Takes events up to a level, and asks the engine something itself while it does.
struct Subscriber {
    level: tracing::Level,
    engine: std::sync::OnceLock<Arc<Engine>>,
    depth: AtomicUsize,
    records: std::sync::Mutex<Vec<String>>,
}

struct Take<'a>(&'a std::sync::Mutex<Vec<String>>);

impl Visit for Take<'_> {
    fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
        self.0.lock().expect("records").push(format!("{value:?}"));
    }

    fn record_str(&mut self, _: &Field, value: &str) {
        self.0.lock().expect("records").push(value.to_owned());
    }
}

struct Shared(Arc<Subscriber>);

impl tracing::Subscriber for Shared {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= self.0.level
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Take(&self.0.records));
        if self.0.depth.fetch_add(1, Ordering::SeqCst) == 0
            && let Some(engine) = self.0.engine.get()
        {
            let flow = Flow::ingress("gateway", 1, Arrival::unknown(), None);
            assert!(engine.permit_flow(&flow, now()).is_err());
        }
        self.0.depth.fetch_sub(1, Ordering::SeqCst);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// What `tracing` remembers of who takes an event is one for the whole process.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn asked(level: tracing::Level) -> (Option<String>, Vec<String>) {
    let subscriber = Arc::new(Subscriber {
        level,
        engine: std::sync::OnceLock::new(),
        depth: AtomicUsize::new(0),
        records: std::sync::Mutex::new(Vec::new()),
    });
    let _hears = hear(Shared(Arc::clone(&subscriber)));
    let policy = Policy::from_toml(&policy(1, 2)).expect("policy");
    let engine = Arc::new(Engine::new(policy, TracingSink).expect("engine"));
    assert!(subscriber.engine.set(Arc::clone(&engine)).is_ok());
    let flow = Flow::ingress("gateway", 2, inside(), None);
    let denied = engine.permit_flow(&flow, now()).err();
    let records = subscriber.records.lock().expect("records").clone();
    (
        denied.map(|denial| denial.reason().code().to_owned()),
        records,
    )
}

#[test]
fn law_6_a_permit_that_no_subscriber_takes_is_none() {
    let _alone = alone();
    let (denied, records) = asked(tracing::Level::INFO);
    assert_eq!(denied, None);
    assert!(records.iter().any(|line| line.contains("\"permit\"")));
    let (denied, records) = asked(tracing::Level::WARN);
    assert_eq!(denied.as_deref(), Some("audit_unavailable"));
    assert!(
        !records
            .iter()
            .any(|line| line.contains("\"verdict\":\"permit\""))
    );
}

#[test]
fn law_6_without_a_subscriber_nothing_is_permitted() {
    let _alone = alone();
    let policy = Policy::from_toml(&policy(1, 2)).expect("policy");
    let engine = Engine::new(policy, TracingSink).expect("engine");
    let flow = Flow::ingress("gateway", 2, inside(), None);
    let denied = engine.permit_flow(&flow, now()).expect_err("denied");
    assert_eq!(denied.reason().code(), "audit_unavailable");
}

fn inside() -> Arrival {
    Arrival::from_addr("127.0.0.1".parse().expect("address"))
}

#[tokio::test]
async fn t4_a_policy_that_weighs_what_nobody_gives_is_said_so_when_it_is_swapped_in() {
    let mesh = Mesh::new(&policy(1, 2));
    let sink = Arc::new(MemorySink::new(9));
    let tokens = TokenVerifier::builder();
    let corp = Issuer::access_tokens("corp", "https://idp.example", "gateway", Jwks::none());
    let tokens = tokens.issuer(corp).build().expect("verifier");
    let builder = mesh.builder("gateway", "/gateway", &sink);
    let guard = builder.token_verifier(tokens).build().await.expect("guard");
    let _alone = alone();
    let subscriber = Arc::new(Subscriber {
        level: tracing::Level::ERROR,
        engine: std::sync::OnceLock::new(),
        depth: AtomicUsize::new(0),
        records: std::sync::Mutex::new(Vec::new()),
    });
    let _hears = hear(Shared(Arc::clone(&subscriber)));
    let said = || {
        let mut records = subscriber.records.lock().expect("records");
        std::mem::take(&mut *records)
    };
    guard.swap_policy(mesh.load()).expect("swap");
    assert_eq!(said(), Vec::<String>::new());
    let weighs = "[trust.signals.device]\nveto = 80\nmax_age = 60\n[[permit]]";
    let weighs = mesh.policy.replacen("[[permit]]", weighs, 1);
    let weighs = Policy::from_toml(&weighs).unwrap_or_else(|error| panic!("{error}"));
    guard.swap_policy(weighs).expect("swap");
    let said = said();
    let tells = |what: &str| said.iter().any(|line| line.contains(what));
    assert!(
        tells("the signal `device`, and no source gives it"),
        "{said:?}"
    );
    assert!(tells("it is missing"), "{said:?}");
}
