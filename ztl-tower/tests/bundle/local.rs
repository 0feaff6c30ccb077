//! Bundles in files: signed or not, changed, rolled back, broken.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use ztl_tower::{GuardBuilder, OpaBundleFile};

use super::*;
use crate::engine::{Mood, Moody};
use crate::listens::{Recorded, Spans};
use crate::support::heard::hear;
use crate::support::until;
use crate::unsure::reloads;

/// A folder of this test's own, with a bundle in it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Self {
        let name = format!("bundle-file-{test}-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("created");
        Self(path)
    }

    fn bundle(&self) -> PathBuf {
        self.0.join("bundle.tar.gz")
    }

    fn state(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// As somebody should who puts a new one in its place.
    pub(crate) fn put(&self, bytes: &[u8]) {
        let next = self.0.join("next");
        std::fs::write(&next, bytes).expect("written");
        std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o600)).expect("mode");
        std::fs::rename(next, self.bundle()).expect("renamed");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn start(
    folder: &Folder,
    reader: BundleReader,
    more: impl FnOnce(OpaBundleFile) -> OpaBundleFile,
) -> Result<Service, BuildError> {
    let engine = Arc::new(Engine::default());
    let bundle = OpaBundleFile::new(folder.bundle(), reader, engine.clone());
    built(engine, more(bundle), |it| it).await
}

async fn built(
    engine: Arc<Engine>,
    bundle: OpaBundleFile,
    more: impl FnOnce(GuardBuilder) -> GuardBuilder,
) -> Result<Service, BuildError> {
    let (listener, address) = listener().await;
    let mesh = Mesh::new("");
    let builder = Guard::builder("model-server")
        .policy(policy(address.port(), engine.clone()))
        .identity(mesh.svid("/model-server"))
        .bundle(mesh.authority.bundle())
        .allow_dev_authority()
        .audit(Arc::new(MemorySink::new(10_000)))
        .reload_every(Duration::from_millis(10))
        .opa_bundle_file("authz", bundle);
    let guard = more(builder).build().await?;
    serve(&guard, listener, engine::app());
    let caller = mesh.svid("/router");
    Ok(Service {
        guard,
        address,
        caller,
        engine,
        ahead: Arc::default(),
    })
}

fn signed_only() -> BundleReader {
    BundleReader::verified(verification())
}

impl Service {
    /// Waits until a file was refused for this.
    pub(crate) async fn refuses(&self, why: &str) {
        let said = || {
            let status = self.guard.opa_bundle_status("authz").expect("status");
            status.last_error.unwrap_or_default()
        };
        until(why, || said().contains(why)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule57_a_bundle_in_a_file_is_taken_again_when_it_changes() {
    let folder = Folder::new("changes");
    folder.put(&pack::signed("5", &pack::open(true), SECRET));
    let service = start(&folder, signed_only(), |it| it).await.expect("guard");
    assert_eq!(service.revision().as_deref(), Some("5"));
    assert_eq!(service.ask().await, StatusCode::OK);
    let status = service.guard.opa_bundle_status("authz").expect("status");
    assert!(status.in_force && status.ends_at.is_none() && status.fetched_at.is_some());

    folder.put(&pack::signed("6", &pack::open(false), SECRET));
    until("it is taken", || service.revision().as_deref() == Some("6")).await;
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);

    // It is none to pull.
    let pulled = service.guard.refresh_opa_bundle("authz").await;
    assert!(
        pulled
            .expect_err("a file")
            .to_string()
            .contains("no bundle `authz` is pulled")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t24_a_bad_file_leaves_the_last_good_bundle() {
    let folder = Folder::new("bad");
    folder.put(&pack::signed("5", &pack::open(true), SECRET));
    let service = start(&folder, signed_only(), |it| it).await.expect("guard");
    let good = pack::signed("6", &pack::open(false), SECRET);
    for (bytes, why) in [
        (pack::unsigned("6", &pack::open(false)), "not signed"),
        (
            pack::signed("6", &pack::open(false), &[8; 32]),
            "none of the configured keys",
        ),
        (
            pack::signed("4", &pack::open(false), SECRET),
            "goes back from `5` to `4`",
        ),
        (
            pack::signed("6", &json!({}), SECRET),
            "could not be put in force",
        ),
        (good[..good.len() / 2].to_vec(), "gzip"),
        (Vec::new(), "gzip"),
    ] {
        folder.put(&bytes);
        service.refuses(why).await;
        assert_eq!(service.revision().as_deref(), Some("5"));
        assert_eq!(service.ask().await, StatusCode::OK);
    }
    assert_eq!(service.engine.taken(), 1);
    // Nobody else may write it, and it may not go away.
    folder.put(&good);
    std::fs::set_permissions(folder.bundle(), std::fs::Permissions::from_mode(0o666))
        .expect("mode");
    std::fs::rename(folder.bundle(), folder.0.join("away")).expect("renamed");
    service.refuses("No such file").await;
    std::fs::rename(folder.0.join("away"), folder.bundle()).expect("renamed");
    service.refuses("may be written by").await;
    assert_eq!(service.ask().await, StatusCode::OK);
    std::fs::set_permissions(folder.bundle(), std::fs::Permissions::from_mode(0o600))
        .expect("mode");
    until("it is taken", || service.revision().as_deref() == Some("6")).await;
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule57_without_a_good_file_no_guard_is_built() {
    let folder = Folder::new("first");
    let refused = async |reader| {
        let built = start(&folder, reader, |it| it).await;
        let error = built.err().expect("refused");
        assert!(matches!(error, BuildError::OpaBundle { .. }), "{error}");
        support::chain(&error)
    };
    let said = refused(signed_only()).await;
    assert!(
        said.contains("`authz`") && said.contains("No such file"),
        "{said}"
    );
    folder.put(&pack::unsigned("1", &pack::open(true)));
    assert!(refused(signed_only()).await.contains("not signed"));
    folder.put(&pack::signed("1", &pack::open(true), SECRET));
    // Nobody would check it.
    let said = refused(BundleReader::unsigned()).await;
    assert!(said.contains("sign"), "{said}");
    folder.put(&pack::signed("1", &json!({ "bug": true }), SECRET));
    assert!(refused(signed_only()).await.contains("broke off"));
    folder.put(&pack::unsigned("1", &pack::open(true)));
    let service = start(&folder, BundleReader::unsigned(), |it| it)
        .await
        .expect("guard");
    assert_eq!(service.ask().await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t24_a_file_that_is_rolled_back_is_refused_after_a_restart_too() {
    let folder = Folder::new("state");
    let keeps = |it: OpaBundleFile| it.state_file(folder.state());
    folder.put(&pack::signed("7", &pack::open(true), SECRET));
    let service = start(&folder, signed_only(), keeps).await.expect("guard");
    folder.put(&pack::signed("8", &pack::open(true), SECRET));
    until("it is taken", || service.revision().as_deref() == Some("8")).await;
    let stored = || std::fs::read_to_string(folder.state()).unwrap_or_default();
    until("it is noted", || stored().contains("\"8\"")).await;
    drop(service);

    folder.put(&pack::signed("7", &pack::open(true), SECRET));
    let refused = start(&folder, signed_only(), keeps).await.err();
    let said = support::chain(&refused.expect("an old bundle"));
    assert!(said.contains("goes back from `8` to `7`"), "{said}");
    folder.put(&pack::signed("8", &pack::open(true), SECRET));
    assert!(start(&folder, signed_only(), keeps).await.is_ok());
    // A guard that was there before may store once more.
    let mut refused = None;
    for _ in 0..20 {
        std::fs::write(folder.state(), "{").expect("written");
        refused = start(&folder, signed_only(), keeps).await.err();
        if refused.is_some() {
            break;
        }
    }
    let said = support::chain(&refused.expect("a broken state"));
    assert!(said.contains("cannot be read"), "{said}");
}

impl Moody {
    pub(crate) async fn start(self: &Arc<Self>, folder: &Folder) -> Service {
        self.with(folder, |it| it).await
    }

    pub(crate) async fn with(
        self: &Arc<Self>,
        folder: &Folder,
        more: impl FnOnce(GuardBuilder) -> GuardBuilder,
    ) -> Service {
        folder.put(&pack::signed("5", &pack::open(true), SECRET));
        let bundle = OpaBundleFile::new(folder.bundle(), signed_only(), self.clone());
        let service = built(self.engine.clone(), bundle, more).await;
        service.expect("guard")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule57_a_good_file_is_tried_again_that_could_not_be_put_in_force() {
    let (folder, engine) = (Folder::new("again"), Moody::new());
    let service = engine.start(&folder).await;
    engine.is(Mood::Fails);
    folder.put(&pack::signed("6", &pack::open(false), SECRET));
    service.refuses("no memory is left").await;
    assert_eq!(service.ask().await, StatusCode::OK);
    engine.is(Mood::Takes);
    until("it is taken", || service.revision().as_deref() == Some("6")).await;
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);
    let status = service.guard.opa_bundle_status("authz").expect("status");
    assert_eq!(status.last_error, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_1_a_file_is_withdrawn_and_tried_again_where_putting_it_in_force_panics() {
    let (folder, engine) = (Folder::new("panics"), Moody::new());
    let service = engine.start(&folder).await;
    engine.is(Mood::Panics);
    folder.put(&pack::signed("6", &pack::open(true), SECRET));
    service.refuses("broke off").await;
    assert_eq!(service.revision(), None);
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);
    engine.is(Mood::Takes);
    until("it is taken", || service.revision().as_deref() == Some("6")).await;
    assert_eq!(service.ask().await, StatusCode::OK);
    // And it is looked at as before.
    folder.put(&pack::signed("7", &pack::open(false), SECRET));
    until("it is taken", || service.revision().as_deref() == Some("7")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_1_nobody_says_that_a_file_is_withdrawn_where_that_panics() {
    let (folder, engine) = (Folder::new("breaks"), Moody::new());
    let service = engine.start(&folder).await;
    engine.is(Mood::Breaks);
    folder.put(&pack::signed("6", &pack::open(false), SECRET));
    service.refuses("what is in force is not known").await;
    let status = service.guard.opa_bundle_status("authz").expect("status");
    let wrong = status.last_error.unwrap_or_default();
    assert!(wrong.contains("a bug of its way out"), "{wrong}");
    assert!(!status.in_force, "nobody is to rely on it");
    engine.is(Mood::Takes);
    until("it is taken", || service.revision().as_deref() == Some("6")).await;
    assert_eq!(service.ask().await, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_wrong_with_a_file_is_said_for_as_long_as_it_is() {
    let folder = Folder::new("wrong");
    folder.put(&pack::signed("5", &pack::open(true), SECRET));
    let service = start(&folder, signed_only(), |it| it).await.expect("guard");
    let away = || std::fs::rename(folder.bundle(), folder.0.join("away")).expect("renamed");
    let back = || std::fs::rename(folder.0.join("away"), folder.bundle()).expect("renamed");
    away();
    service.refuses("No such file").await;
    back();
    let status = || service.guard.opa_bundle_status("authz").expect("status");
    until("nothing is wrong", || status().last_error.is_none()).await;
    // What was wrong before is again.
    folder.put(b"no gzip");
    service.refuses("gzip").await;
    away();
    service.refuses("No such file").await;
    back();
    service.refuses("gzip").await;
    assert!(status().in_force);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t24_a_revision_that_could_not_be_stored_is_stored_later() {
    let folder = Folder::new("unstored");
    let kept = folder.0.join("kept");
    std::fs::create_dir(&kept).expect("created");
    let state = kept.join("state.json");
    let keeps = |it: OpaBundleFile| it.state_file(&state);
    folder.put(&pack::signed("7", &pack::open(true), SECRET));
    let service = start(&folder, signed_only(), keeps).await.expect("guard");
    std::fs::remove_dir_all(&kept).expect("removed");
    folder.put(&pack::signed("8", &pack::open(true), SECRET));
    service.refuses("could not be stored").await;
    assert_eq!(service.revision().as_deref(), Some("8"));
    std::fs::create_dir(&kept).expect("created");
    let stored = || std::fs::read_to_string(&state).unwrap_or_default();
    until("it is stored", || stored().contains("\"8\"")).await;
    let status = || service.guard.opa_bundle_status("authz").expect("status");
    until("nothing is wrong", || status().last_error.is_none()).await;
}

/// On one thread, so that what listens hears this test and no other.
#[tokio::test]
async fn t24_what_could_not_be_stored_is_told_of_by_itself() {
    let recorded = Recorded::default();
    let _here = metrics::set_default_local_recorder(&recorded);
    let events = Spans::default();
    let _hears = hear(events.clone());
    let folder = Folder::new("untold");
    let kept = folder.0.join("kept");
    std::fs::create_dir(&kept).expect("created");
    let keeps = |it: OpaBundleFile| it.state_file(kept.join("state.json"));
    folder.put(&pack::signed("7", &pack::open(true), SECRET));
    let service = start(&folder, signed_only(), keeps).await.expect("guard");
    let told = || events.text().matches("could not be stored as").count();
    std::fs::remove_dir_all(&kept).expect("removed");
    folder.put(&pack::signed("8", &pack::open(true), SECRET));
    until("it is told of", || told() == 1).await;
    // Another reason is told of, and is none to refuse what is in force.
    std::fs::write(&kept, "no folder").expect("written");
    until("it is told of", || told() == 2).await;
    assert_eq!(reloads(&recorded, "taken"), 1.0);
    assert_eq!(reloads(&recorded, "refused"), 0.0);
    // So it is where the file is refused at the same look.
    std::fs::remove_file(folder.bundle()).expect("removed");
    service.refuses("bundle.tar.gz").await;
    std::fs::remove_file(&kept).expect("removed");
    until("it is told of", || told() == 3).await;
    assert!(reloads(&recorded, "refused") >= 1.0);
    assert_eq!(service.revision().as_deref(), Some("8"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t24_what_no_guard_was_built_with_may_be_taken_back() {
    let (folder, server) = (Folder::new("unbuilt"), Server::start().await);
    let engine = Arc::new(Engine::default());
    folder.put(&pack::signed("7", &pack::open(true), SECRET));
    let bundle = OpaBundleFile::new(folder.bundle(), signed_only(), engine.clone());
    let bundle = bundle.state_file(folder.state());
    // Nothing is there to be pulled.
    let never = OpaBundle::without_roots(server.pull(), engine.clone());
    let never = never.first_within(Duration::from_millis(100));
    let never = |it: GuardBuilder| it.opa_bundle("never", never);
    assert!(built(engine, bundle, never).await.is_err());
    assert!(!folder.state().exists());
    folder.put(&pack::signed("6", &pack::open(true), SECRET));
    let keeps = |it: OpaBundleFile| it.state_file(folder.state());
    assert!(start(&folder, signed_only(), keeps).await.is_ok());
    assert!(folder.state().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_8_a_bundle_that_takes_long_delays_no_deny_list() {
    let (folder, engine) = (Folder::new("slow"), Moody::new());
    let denied = folder.0.join("denied");
    let deny = |text: &str| {
        std::fs::write(&denied, text).expect("written");
        std::fs::set_permissions(&denied, std::fs::Permissions::from_mode(0o600)).expect("mode");
    };
    deny("end 0\n");
    let service = (engine.with(&folder, |it| it.deny_list_file(&denied))).await;
    assert_eq!(service.ask().await, StatusCode::OK);
    engine.is(Mood::Waits);
    folder.put(&pack::signed("6", &pack::open(true), SECRET));
    let waits = || engine.waits();
    until("it waits", waits).await;
    deny(&format!("id {}\nend 1\n", service.caller.id()));
    let denies = || service.guard.connections().is_empty();
    let asked = async || {
        let request = get2("/v1/models");
        knock(service.address, None, Some(&service.caller), b"h2", request).await
    };
    for _ in 0..500 {
        if asked().await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let still = (waits(), service.revision());
    assert!(asked().await.is_err(), "the caller is denied");
    assert_eq!(still, (true, Some("5".into())));
    until("nothing is open", denies).await;
    engine.is(Mood::Takes);
    until("it is taken", || service.revision().as_deref() == Some("6")).await;
}

/// A name is that of one bundle, wherever it comes from.
#[tokio::test]
async fn names_of_files_and_of_what_is_pulled_are_given_once() {
    let folder = Folder::new("names");
    let server = Server::start().await;
    let engine = Arc::new(Engine::default());
    let mesh = Mesh::new("");
    let built = Guard::builder("model-server")
        .policy(policy(8443, engine.clone()))
        .identity(mesh.svid("/model-server"))
        .bundle(mesh.authority.bundle())
        .allow_dev_authority()
        .audit(Arc::new(MemorySink::new(10)))
        .opa_bundle(
            "authz",
            OpaBundle::without_roots(server.pull(), engine.clone()),
        )
        .opa_bundle_file(
            "authz",
            OpaBundleFile::new(folder.bundle(), signed_only(), engine),
        )
        .build()
        .await;
    let said = built.expect_err("twice").to_string();
    assert!(said.contains("two bundles go by this name"), "{said}");
}

#[tokio::test]
async fn law_1_a_bundle_in_a_file_that_nobody_looks_at_any_more_lets_nothing_through() {
    let within = || {
        let own = tokio::runtime::Runtime::new().expect("a runtime");
        own.block_on(async {
            let folder = Folder::new("orphan");
            folder.put(&pack::signed("5", &pack::open(true), SECRET));
            let service = start(&folder, signed_only(), |it| it).await.expect("guard");
            assert_eq!(service.ask().await, StatusCode::OK);
            service
        })
    };
    let service = tokio::task::spawn_blocking(within).await.expect("built");
    assert_eq!(service.revision(), None);
    assert_eq!(service.engine.says(), None, "it holds nothing");
    let why = "nobody looks at the file of the bundle `authz` any more";
    service.refuses(why).await;
}
