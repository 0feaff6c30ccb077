//! Guards that live on the SPIFFE Workload API: rotation under load, denial, an agent that restarts, and nonsense (rule 30, T22).

#![cfg(test)]
#![cfg(all(feature = "workload-api", unix))]

mod agent;
mod environment;

#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use agent::Agent;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use support::{Marker, Mesh, get2, id, knock, listener, now, serve, until};
use ztl_core::audit::MemorySink;
use ztl_mtls::source::WorkloadApi;
use ztl_mtls::{DevCa, IssuedSvid, TrustBundle, X509Svid};
use ztl_tower::{BuildError, EgressError, Guard, GuardBuilder};

/// Long enough for anything that is not to happen within it.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(300);

fn policy(port: u16) -> String {
    format!(
        r#"
schema = 1
trust_domain = "prod.example"
[workloads.caller]
id = "spiffe://prod.example/caller"
[workloads.db]
id = "spiffe://prod.example/db"
ports = [{port}]
[[permit]]
name = "caller-reads"
from = ["caller", "spiffe://partner.example/**"]
to = "db"
actions = ["GET /v1/{{*rest}}"]
"#
    )
}

/// An agent that knows two workloads and others, and the guards of the two.
struct Site {
    mesh: Mesh,
    agent: Agent,
    folder: PathBuf,
    address: std::net::SocketAddr,
    listener: Option<tokio::net::TcpListener>,
}

impl Site {
    async fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let folder = std::env::temp_dir().join(format!("ztl-wl-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        let (listener, address) = listener().await;
        Self {
            mesh: Mesh::new(&policy(address.port())),
            agent: Agent::start(&folder.join("agent.sock")),
            folder,
            address,
            listener: Some(listener),
        }
    }

    fn issue(&self, path: &str) -> IssuedSvid {
        issue(&self.mesh.authority, path)
    }

    /// Gives new SVIDs of the first authority, which is all that is trusted.
    fn rotate(&self, federated: &[TrustBundle]) {
        let authority = &self.mesh.authority;
        self.give(authority, &authority.bundle(), federated);
    }

    /// Gives new SVIDs: somebody else's first, so that the first is not good enough (T22).
    fn give(&self, signing: &DevCa, own: &TrustBundle, federated: &[TrustBundle]) {
        let svids = ["/other", "/caller", "/db"].map(|path| issue(signing, path));
        self.agent.give(&svids, own, federated);
    }

    fn builder(&self, name: &str, grace: Duration) -> GuardBuilder {
        Guard::builder(name)
            .policy(self.mesh.load())
            .spiffe_workload_api_at(&self.agent.endpoint())
            .source_grace(grace)
            .endpoint("db", self.address)
            .allow_dev_authority()
            .reload_every(Duration::from_millis(20))
            .audit(MemorySink::new(1000))
    }

    async fn guard(&self, name: &str, grace: Duration) -> Guard {
        let built = self.builder(name, grace).build().await;
        built.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The two guards, and the one serves.
    async fn guards(&mut self, grace: Duration) -> (Guard, Guard) {
        self.rotate(&[]);
        let (db, caller) = (
            self.guard("db", grace).await,
            self.guard("caller", grace).await,
        );
        let listener = self.listener.take().expect("once");
        serve(&db, listener, Marker::default().app());
        (db, caller)
    }

    /// A new connection each time, by a client that is not ours.
    async fn knock(&self, svid: &X509Svid) -> Result<u16, String> {
        knock(self.address, None, Some(svid), b"h2", get2("/v1/x"))
            .await
            .map(|response| response.status().as_u16())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn issue(authority: &DevCa, path: &str) -> IssuedSvid {
    authority
        .issue(&id(path), now(), LONG, &ztl_mtls::provider())
        .expect("svid")
}

/// What two authorities of our trust domain are while one follows the other.
fn together(authorities: [&DevCa; 2]) -> TrustBundle {
    let certificates = authorities.map(|it| it.bundle().certificates().to_vec());
    let domain = authorities[0].bundle().trust_domain().clone();
    TrustBundle::from_der(domain, certificates.into_iter().flatten()).expect("bundle")
}

async fn ask(guard: &Guard) -> Result<u16, EgressError> {
    let request = Request::get("https://db/v1/x")
        .body(Empty::<Bytes>::new())
        .expect("request");
    let response = tokio::time::timeout(support::PATIENCE, guard.client().request(request))
        .await
        .expect("in time")?;
    let status = response.status().as_u16();
    response.into_body().collect().await.expect("body");
    Ok(status)
}

fn chain(guard: &Guard) -> Vec<u8> {
    guard
        .svid()
        .map(|svid| svid.chain()[0].to_vec())
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_30_no_request_fails_while_svids_and_authorities_rotate_under_load() {
    let mut site = Site::new().await;
    let (db, caller) = site.guards(LONG).await;
    assert_eq!(
        db.svid().expect("svid").id(),
        &id("/db"),
        "T22: ours, not the first"
    );
    let (stop, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let kept = {
        let (stop, asked, caller) = (Arc::clone(&stop), Arc::clone(&asked), caller.clone());
        tokio::spawn(async move {
            let mut failed = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                if let Err(error) = ask(&caller).await {
                    failed.push(error.to_string());
                }
                asked.fetch_add(1, Ordering::SeqCst);
            }
            failed
        })
    };
    // An authority follows another in three steps, and with each step all SVIDs are new: the next is trusted as well, it signs in the
    // other's place, and the other is trusted no longer.
    let authorities: [DevCa; 5] = core::array::from_fn(|_| Mesh::new("").authority);
    let mut fresh = 0;
    let mut signing = &site.mesh.authority;
    for next in &authorities {
        let shown_last = issue(signing, "/caller").svid;
        let both = || together([signing, next]);
        // SVIDs change more often than authorities do. One end takes its new one first, so that what is opened then rests on an SVID of before,
        // and is drained: with the next one that is over.
        for (signs, trusted) in [
            (signing, both()),
            (next, both()),
            (next, both()),
            (next, both()),
            (next, next.bundle()),
        ] {
            let before = (chain(&db), chain(&caller));
            site.give(signs, &trusted, &[]);
            // New connections, each with a whole handshake, until both have taken the new SVID.
            let deadline = tokio::time::Instant::now() + support::PATIENCE;
            while chain(&db) == before.0 || chain(&caller) == before.1 {
                assert!(tokio::time::Instant::now() < deadline, "rotation");
                let shown = caller.svid().expect("svid");
                assert_eq!(site.knock(&shown).await, Ok(200));
                fresh += 1;
            }
            assert_eq!(site.knock(&caller.svid().expect("svid")).await, Ok(200));
            // What was asked with the SVIDs before is answered before the next step.
            let answered = asked.load(Ordering::SeqCst);
            until("two answers", || {
                asked.load(Ordering::SeqCst) >= answered + 2
            })
            .await;
        }
        let deadline = tokio::time::Instant::now() + support::PATIENCE;
        while site.knock(&shown_last).await.is_ok() {
            let left = tokio::time::Instant::now() < deadline;
            assert!(left, "an authority that was withdrawn still proves");
        }
        signing = next;
    }
    stop.store(true, Ordering::SeqCst);
    assert_eq!(kept.await.expect("task"), Vec::<String>::new());
    assert!(asked.load(Ordering::SeqCst) > 10, "{asked:?} {fresh}");
}

#[tokio::test]
async fn rule_30_a_denial_withdraws_after_the_grace_and_a_new_svid_ends_it() {
    let mut site = Site::new().await;
    let (db, caller) = site.guards(SHORT).await;
    let shown = caller.svid().expect("svid");
    assert_eq!(site.knock(&shown).await, Ok(200));
    site.agent.deny();
    until("the withdrawal", || {
        db.svid().is_err() && caller.svid().is_err()
    })
    .await;
    let error = db.svid().expect_err("withdrawn").to_string();
    assert!(error.contains("withdrawn: no identity issued"), "{error}");
    // Nobody is let in, and nobody is asked.
    assert!(site.knock(&shown).await.is_err());
    let error = ask(&caller).await.expect_err("nobody is asked");
    assert!(matches!(error, EgressError::NoIdentity(_)), "{error}");
    site.rotate(&[]);
    until("recovery", || db.svid().is_ok() && caller.svid().is_ok()).await;
    let fresh = caller.svid().expect("svid");
    let deadline = tokio::time::Instant::now() + support::PATIENCE;
    while site.knock(&fresh).await != Ok(200) {
        assert!(tokio::time::Instant::now() < deadline, "the bundle is back");
    }
    assert_eq!(ask(&caller).await.expect("asked"), 200);
}

#[tokio::test]
async fn an_agent_that_restarts_within_the_grace_is_not_noticed() {
    let mut site = Site::new().await;
    let (db, caller) = site.guards(LONG).await;
    let before = chain(&db);
    site.agent.stop().await;
    for _ in 0..5 {
        assert_eq!(site.knock(&caller.svid().expect("svid")).await, Ok(200));
        assert_eq!(ask(&caller).await.expect("asked"), 200);
    }
    site.rotate(&[]);
    site.agent.start_again();
    until("what the new agent gives", || chain(&db) != before).await;
    assert_eq!(site.knock(&caller.svid().expect("svid")).await, Ok(200));
}

#[tokio::test]
async fn rule_31_nonsense_changes_nothing_and_the_next_answer_is_taken() {
    let mut site = Site::new().await;
    let (db, caller) = site.guards(LONG).await;
    for nonsense in [
        Agent::give_nonsense,
        Agent::give_garbage,
        Agent::give_nothing,
        Agent::give_hollow,
    ] {
        let before = chain(&db);
        nonsense(&site.agent);
        assert_eq!(site.knock(&caller.svid().expect("svid")).await, Ok(200));
        assert_eq!(chain(&db), before);
        site.rotate(&[]);
        until("the next answer", || chain(&db) != before).await;
    }
}

#[tokio::test]
async fn rule_27_a_federated_domain_that_is_left_out_is_not_trusted_from_then_on() {
    let mut site = Site::new().await;
    let (_db, _caller) = site.guards(LONG).await;
    let domain = ztl_core::TrustDomain::parse("partner.example").expect("domain");
    let partner = ztl_mtls::DevCa::new(domain, now()).expect("authority");
    let member = ztl_core::SpiffeId::parse("spiffe://partner.example/app").expect("id");
    let svid = partner
        .issue(&member, now(), LONG, &ztl_mtls::provider())
        .expect("svid")
        .svid;
    assert!(site.knock(&svid).await.is_err(), "not federated yet");
    site.rotate(&[partner.bundle()]);
    let deadline = tokio::time::Instant::now() + support::PATIENCE;
    while site.knock(&svid).await != Ok(200) {
        assert!(tokio::time::Instant::now() < deadline, "federated");
    }
    site.rotate(&[]);
    while site.knock(&svid).await.is_ok() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "no longer federated"
        );
    }
}

/// A federated partner's authority that is none is the partner's trouble: it must not freeze our own bundle, nor withdraw it.
#[tokio::test]
async fn rule_21_a_federated_bundle_that_is_none_proves_nobody_and_leaves_ours_alone() {
    let mut site = Site::new().await;
    let (_db, caller) = site.guards(Duration::from_millis(300)).await;
    assert_eq!(ask(&caller).await.ok(), Some(200));
    let svids = ["/caller", "/db"].map(|path| site.issue(path));
    let leaf = site.issue("/other").svid.chain()[0].to_vec();
    let before = chain(&caller);
    let own = site.mesh.authority.bundle();
    site.agent
        .give_beside(&svids, &own, &[("partner.example", leaf)]);
    support::until("the answer is taken", || chain(&caller) != before).await;
    // Longer than the grace: nothing is withdrawn.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(ask(&caller).await.ok(), Some(200));
}

#[tokio::test]
async fn t22_a_guard_is_not_built_with_another_workloads_svid() {
    let site = Site::new().await;
    let own = site.mesh.authority.bundle();
    site.agent.give(&[site.issue("/other")], &own, &[]);
    let builder = || {
        Guard::builder("db")
            .policy(site.mesh.load())
            .allow_dev_authority()
            .audit(MemorySink::new(10))
    };
    let endpoint = site.agent.endpoint();
    let asked = |endpoint: &str| {
        WorkloadApi::at(endpoint, ztl_mtls::provider(), |found| *found == id("/db"))
            .expect("endpoint")
            .with_patience(SHORT)
    };
    let error = builder().source(asked(&endpoint)).build().await;
    let error = error.expect_err("not ours").to_string();
    assert!(
        error.contains("none of its 1 SVIDs is ours, but those of `spiffe://prod.example/other`"),
        "{error}"
    );
    site.agent.deny();
    let error = builder().source(asked(&endpoint)).build().await;
    let error = error.expect_err("denied").to_string();
    assert!(error.contains("no identity issued"), "{error}");
    // Nobody is there, and what is no address is said at once.
    let nobody = format!("{endpoint}.gone");
    let error = builder().source(asked(&nobody)).build().await;
    let error = error.expect_err("nobody is there");
    assert!(matches!(error, BuildError::Identity(_)), "{error}");
    assert!(error.to_string().contains("No such file"), "{error}");
    let error = builder()
        .spiffe_workload_api_at("http://agent")
        .build()
        .await;
    let error = error.expect_err("no socket").to_string();
    assert!(error.contains("`http://agent` is no address"), "{error}");
    // An agent that is slower than the guard is waited for.
    let late = tokio::spawn(builder().spiffe_workload_api_at(&endpoint).build());
    tokio::task::yield_now().await;
    site.rotate(&[]);
    let guard = late
        .await
        .expect("task")
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(guard.svid().expect("svid").id(), &id("/db"));
}
