//! Looking again at what changes: nothing delays what is denied or withdrawn, and no panic ends it (laws 1 and 8, T34).

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread::ThreadId;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use tokio::net::TcpListener;
use ztl_core::authorizer::{Authorizer, AuthorizerError, Facts, Reads};

use super::folder::Folder;
use super::listens::Spans;
use super::sources::{QUICK, bare};
use super::*;

/// A guard that looks at a deny list, and whom it lets in.
struct Door {
    mesh: Mesh,
    folder: Folder,
    address: SocketAddr,
    guard: Guard,
    caller: ztl_mtls::X509Svid,
}

impl Door {
    async fn new(name: &str, edit: &str, with: impl FnOnce(GuardBuilder) -> GuardBuilder) -> Self {
        let folder = Folder::new(name);
        let (listener, address) = listener().await;
        let mut mesh = Mesh::new(&policy(address.port(), 1));
        mesh.policy = mesh.policy.replace(READS, &format!("{READS}\n{edit}"));
        let off = "name = \"users-ask\"";
        mesh.policy = mesh.policy.replace(off, &format!("{off}\nmode = \"off\""));
        let issued = mesh.authority.issue(
            &support::id("/gateway"),
            now(),
            Duration::from_secs(3600),
            &ztl_mtls::provider(),
        );
        let issued = issued.expect("svid");
        let builder = Guard::builder("gateway")
            .policy_file(folder.write("policy.toml", &mesh.policy))
            .identity_files(
                folder.write("svid.pem", &issued.cert_pem),
                folder.write("svid.key", &issued.key_pem),
            )
            .bundle(mesh.authority.bundle())
            .allow_dev_authority()
            .audit(MemorySink::new(10))
            .deny_list_file(folder.write("denied", "end 0\n"))
            .reload_every(QUICK)
            .source_grace(QUICK);
        let guard = with(builder).build().await;
        let guard = guard.unwrap_or_else(|error| panic!("{error}"));
        serve(&guard, listener, Marker::default().app());
        let caller = mesh.svid("/caller");
        Self {
            mesh,
            folder,
            address,
            guard,
            caller,
        }
    }

    /// The status of an answer; none where no handshake succeeds.
    async fn ask(&self) -> Option<u16> {
        let asked = knock(self.address, None, Some(&self.caller), b"h2", get2("/v1/x"));
        asked.await.ok().map(|answer| answer.status().as_u16())
    }

    async fn answers(&self, what: &str, wanted: Option<u16>) {
        let deadline = tokio::time::Instant::now() + support::PATIENCE;
        loop {
            let answer = self.ask().await;
            if answer == wanted {
                return;
            }
            let late = tokio::time::Instant::now() >= deadline;
            assert!(!late, "{what}: {answer:?}");
            tokio::time::sleep(QUICK).await;
        }
    }

    fn deny(&self) {
        let line = format!("id {}\nend 1\n", self.caller.id());
        self.folder.write("denied", &line);
    }
}

const READS: &str = "actions = [\"GET /v1/{*rest}\"]";

#[test]
fn law_8_what_is_denied_or_withdrawn_waits_for_no_thread_of_the_hosts() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let door = Door::new("threads", "", |it| it).await;
        door.answers("it is open", Some(200)).await;
        let (free, taken) = mpsc::channel::<()>();
        let holds = tokio::task::spawn_blocking(move || taken.recv().is_err());
        door.deny();
        door.answers("the caller is denied", None).await;
        assert!(door.guard.svid().is_ok());
        std::fs::remove_file(door.folder.0.join("svid.key")).expect("removed");
        until("the SVID is withdrawn", || door.guard.svid().is_err()).await;
        drop(free);
        assert!(holds.await.expect("a thread"), "it was taken all along");
    });
}

/// Says what it reads, but for the thread on which policies are loaded: there it does as it is told.
#[derive(Debug)]
struct Moody {
    home: ThreadId,
    mood: AtomicU8,
    /// How often it did.
    did: AtomicUsize,
}

const WAITS: u8 = 1;
const FALLS: u8 = 2;

impl Moody {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            home: std::thread::current().id(),
            mood: AtomicU8::new(0),
            did: AtomicUsize::new(0),
        })
    }

    fn is(&self, mood: u8) {
        self.mood.store(mood, Ordering::SeqCst);
    }

    fn did(&self) -> bool {
        self.did.load(Ordering::SeqCst) > 0
    }
}

impl Authorizer for Moody {
    fn reads(&self) -> Reads {
        if std::thread::current().id() != self.home && self.mood.load(Ordering::SeqCst) != 0 {
            self.did.fetch_add(1, Ordering::SeqCst);
            assert_ne!(
                self.mood.load(Ordering::SeqCst),
                FALLS,
                "a bug of the host's"
            );
            while self.mood.load(Ordering::SeqCst) == WAITS {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Reads::nothing()
    }

    fn objects(&self, _: &Facts<'_>) -> Result<bool, AuthorizerError> {
        Ok(false)
    }
}

/// No thread waits any longer than its test.
struct Calm(Arc<Moody>);

impl Drop for Calm {
    fn drop(&mut self) {
        self.0.is(0);
    }
}

/// A rule that asks it.
const ASKS: &str = "require = { authorizer = \"moody\" }";

#[tokio::test]
async fn law_8_a_policy_that_takes_long_to_load_delays_nothing_else() {
    let moody = Moody::new();
    let door = Door::new("slow", ASKS, |it| it.authorizer("moody", moody.clone())).await;
    door.answers("it is open", Some(200)).await;
    let _calm = Calm(Arc::clone(&moody));
    moody.is(WAITS);
    let changed = format!("{}\n# changed\n", door.mesh.policy);
    door.folder.write("policy.toml", &changed);
    until("it is loaded", || moody.did()).await;
    door.deny();
    door.answers("the caller is denied", None).await;
    std::fs::remove_file(door.folder.0.join("svid.key")).expect("removed");
    until("the SVID is withdrawn", || door.guard.svid().is_err()).await;
}

#[tokio::test]
async fn law_8_a_look_that_hangs_is_told_of() {
    let moody = Moody::new();
    let door = Door::new("hangs", ASKS, |it| it.authorizer("moody", moody.clone())).await;
    let _calm = Calm(Arc::clone(&moody));
    let spans = Spans::default();
    // The guard's tasks run on this thread.
    let _here = tracing::subscriber::set_default(spans.clone());
    moody.is(WAITS);
    let changed = format!("{}\n# changed\n", door.mesh.policy);
    door.folder.write("policy.toml", &changed);
    let told = || {
        spans.all(
            "a look at it has not come to its end; the last good one stays in force until it does",
        )
    };
    until("it is told of", || !told().is_empty()).await;
    assert!(told()[0].contains("what=policy"), "{:?}", told());
    // Nothing of it is lost.
    let before = door.guard.engine().epoch();
    moody.is(0);
    until("it is taken", || door.guard.engine().epoch() != before).await;
    assert_eq!(told().len(), 1);
}

#[tokio::test]
async fn law_8_a_policy_is_read_again_after_a_panic_while_one_was_loaded() {
    let moody = Moody::new();
    let door = Door::new("falls", ASKS, |it| it.authorizer("moody", moody.clone())).await;
    door.answers("it is open", Some(200)).await;
    moody.is(FALLS);
    let changed = format!("{}\n# changed\n", door.mesh.policy);
    door.folder.write("policy.toml", &changed);
    until("it is loaded", || moody.did()).await;
    moody.is(0);
    let port = door.address.port();
    let forbid = format!("from = \"caller\"\nto = \"gateway\"\nports = {port}\n");
    let forbids = format!(
        "{}\n[[forbid]]\nname = \"nobody\"\n{forbid}",
        door.mesh.policy
    );
    door.folder.write("policy.toml", &forbids);
    door.answers("the forbid is in force", None).await;
}

/// A recorder that panics once it is told to, the next time that something was read again.
#[derive(Clone, Default)]
struct Falling(Arc<AtomicBool>);

impl metrics::Recorder for Falling {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let falls = key.name() == "ztl_reloads_total" && self.0.swap(false, Ordering::SeqCst);
        assert!(!falls, "a bug of the recorder");
        Counter::noop()
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn law_8_a_deny_list_counts_though_whoever_counts_that_it_was_read_panics() {
    let falling = Falling::default();
    // The guard's tasks run on this thread.
    let _recording = metrics::set_default_local_recorder(&falling);
    let door = Door::new("counts", "", |it| it).await;
    door.answers("it is open", Some(200)).await;
    falling.0.store(true, Ordering::SeqCst);
    door.deny();
    door.answers("the caller is denied", None).await;
    assert!(!falling.0.load(Ordering::SeqCst), "it panicked");
    door.folder.write("denied", "end 0\n");
    door.answers("the next list is read", Some(200)).await;
}

#[tokio::test]
async fn rule_30_where_taking_what_a_source_gives_panics_what_sources_gave_is_withdrawn() {
    let falling = Falling::default();
    let _recording = metrics::set_default_local_recorder(&falling);
    let mesh = Mesh::new(&policy(1, 2));
    let place = ztl_mtls::source::MemorySource::new();
    place.put_svid(mesh.svid("/gateway"));
    place.put_bundles(vec![mesh.authority.bundle()]);
    let guard = bare(&mesh).source(place.clone()).build().await;
    let guard = guard.unwrap_or_else(|error| panic!("{error}"));
    falling.0.store(true, Ordering::SeqCst);
    place.put_svid(mesh.svid("/gateway"));
    until("it is withdrawn", || guard.svid().is_err()).await;
    assert!(!falling.0.load(Ordering::SeqCst), "it panicked");
}

/// What is built on a runtime of its own, which then ends.
async fn orphaned<T: Send + 'static>(build: impl AsyncFnOnce() -> T + Send + 'static) -> T {
    let within = move || {
        let own = tokio::runtime::Runtime::new().expect("a runtime");
        own.block_on(build())
    };
    tokio::task::spawn_blocking(within).await.expect("built")
}

#[tokio::test]
async fn law_1_where_nobody_looks_any_more_nobody_is_let_in() {
    let door = orphaned(async || {
        let door = Door::new("orphan", "", |it| it).await;
        door.answers("it is open", Some(200)).await;
        door
    });
    let door = door.await;
    let error = door.guard.svid().expect_err("withdrawn").to_string();
    assert!(error.contains("can no longer be asked"), "{error}");
    // Who reads no deny list takes nobody for harmless, by whatever door.
    let policy = door.guard.engine().policy();
    assert!(policy.workload_by_name("gateway").is_none(), "it is gone");
    let listener = TcpListener::bind(door.address).await.expect("bound");
    serve(&door.guard, listener, Marker::default().app());
    door.deny();
    assert_eq!(door.ask().await, None);
}

#[tokio::test]
async fn law_8_a_deny_list_that_nobody_reads_any_more_shuts_what_a_guard_of_given_parts_opens() {
    let folder = Folder::new("given");
    let mesh = Mesh::new(&policy(1, 2));
    let list = folder.write("denied", "end 0\n");
    let (svid, bundle) = (mesh.svid("/gateway"), mesh.authority.bundle());
    let builder = bare(&mesh).identity(svid).bundle(bundle);
    let inside = Arrival::from_addr("127.0.0.1".parse().expect("address"));
    let hello = Flow::ingress("gateway", 2, inside, None);
    let (without, with) = (builder, bare(&mesh).deny_list_file(list));
    let guard = orphaned(async || without.build().await.expect("guard")).await;
    // It has nothing that anybody would have to look at.
    assert!(guard.engine().permit_flow(&hello, now()).is_ok());
    assert!(guard.svid().is_ok());
    let with = (with.identity(mesh.svid("/gateway"))).bundle(mesh.authority.bundle());
    let guard = orphaned(async || with.build().await.expect("guard")).await;
    assert!(guard.engine().permit_flow(&hello, now()).is_err());
}

/// On this thread alone, so that what is told is told here.
fn on_one_thread() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

/// Asks the guard for its SVID where its runtime ends, and counts that it gets none.
struct Asks(Arc<OnceLock<Guard>>, Arc<AtomicUsize>);

impl Asks {
    fn begin(of: &Arc<OnceLock<Guard>>, refused: &Arc<AtomicUsize>) {
        let asks = Self(Arc::clone(of), Arc::clone(refused));
        tokio::spawn(async move {
            let _asks = asks;
            std::future::pending::<()>().await;
        });
    }
}

impl Drop for Asks {
    fn drop(&mut self) {
        let got = self.0.get().expect("a guard").svid();
        self.1
            .fetch_add(usize::from(got.is_err()), Ordering::SeqCst);
    }
}

const NOBODY: &str = "nobody looks at it any more, by a panic or because the runtime has ended on which the guard was built: what rests on it is refused; build the guard anew";

#[test]
fn law_1_that_nobody_looks_any_more_is_told_once_to_whoever_is_refused_and_not_at_an_ordinary_end()
{
    let spans = Spans::default();
    let _here = tracing::subscriber::set_default(spans.clone());
    let (elsewhere, mut told) = (on_one_thread(), 0);
    type Asking<'a> = &'a dyn Fn(&Door, &ztl_tower::Acceptor);
    let asking: [Asking<'_>; 5] = [
        &|door, _| assert!(door.guard.svid().is_err()),
        &|door, _| assert!(door.guard.acceptor(door.address.port()).is_err()),
        &|door, _| {
            let flow = Flow::ingress("gateway", 1, Arrival::unknown(), None);
            assert!(door.guard.engine().permit_flow(&flow, now()).is_err());
        },
        &|_, acceptor| {
            let (near, _far) = tokio::io::duplex(16);
            let accepted = elsewhere.block_on(acceptor.accept(near, None));
            assert!(accepted.is_err());
        },
        &|door, _| elsewhere.block_on(door.guard.shutting_down()),
    ];
    for (at, asks) in asking.iter().enumerate() {
        let (runtime, late) = (on_one_thread(), Arc::new(OnceLock::new()));
        let refused = Arc::new(AtomicUsize::new(0));
        let door = runtime.block_on(async {
            Asks::begin(&late, &refused);
            let door = Door::new(&format!("ends-{at}"), "", |it| it).await;
            door.answers("it is open", Some(200)).await;
            Asks::begin(&late, &refused);
            late.get_or_init(|| door.guard.clone());
            door
        });
        let acceptor = door.guard.acceptor(door.address.port());
        let acceptor = acceptor.expect("an acceptor");
        let guard = door.guard.clone();
        let (listener, _) = elsewhere.block_on(listener());
        drop(runtime);
        assert!(refused.load(Ordering::SeqCst) > 0, "somebody asks late");
        assert_eq!(spans.all(NOBODY).len(), told, "its program ends");
        asks(&door, &acceptor);
        told += 1;
        assert_eq!(spans.all(NOBODY).len(), told, "case {at}");
        assert!(spans.all(NOBODY)[at].contains("workload=gateway"));
        assert!(guard.svid().is_err());
        assert!(guard.incoming_on(listener).is_err());
        assert_eq!(spans.all(NOBODY).len(), told, "once");
    }
}

#[test]
fn law_1_a_listener_elsewhere_tells_why_it_ends() {
    let spans = Spans::default();
    let _here = tracing::subscriber::set_default(spans.clone());
    let (runtime, elsewhere) = (on_one_thread(), on_one_thread());
    let door = runtime.block_on(Door::new("elsewhere", "", |it| it));
    // Of the same port, at another address.
    let address = SocketAddr::new([127, 0, 0, 2].into(), door.address.port());
    let listener = elsewhere.block_on(TcpListener::bind(address));
    let (listener, guard) = (listener.expect("bound"), door.guard.clone());
    let serving = elsewhere.spawn(async move {
        guard
            .serve_listener(listener, Marker::default().app())
            .await
    });
    elsewhere.block_on(tokio::task::yield_now());
    drop(runtime);
    assert!(spans.all(NOBODY).is_empty());
    let served = elsewhere.block_on(serving).expect("it ends");
    assert!(served.is_ok(), "{served:?}");
    assert_eq!(spans.all(NOBODY).len(), 1);
}

#[test]
fn law_1_where_nothing_was_looked_at_nothing_is_missed() {
    let spans = Spans::default();
    let _here = tracing::subscriber::set_default(spans.clone());
    let mesh = Mesh::new(&policy(1, 2));
    let builder = bare(&mesh).identity(mesh.svid("/gateway"));
    let guard = on_one_thread().block_on(builder.bundle(mesh.authority.bundle()).build());
    let guard = guard.unwrap_or_else(|error| panic!("{error}"));
    let flow = Flow::ingress("gateway", 7, Arrival::unknown(), None);
    assert!(guard.engine().permit_flow(&flow, now()).is_err());
    assert!(guard.svid().is_ok());
    assert!(spans.all(NOBODY).is_empty());
}
