//! Bundles in files: signed or not, changed, rolled back, broken.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use ztl_tower::OpaBundleFile;

use super::*;
use crate::support::until;

/// A folder of this test's own, with a bundle in it.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
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
    fn put(&self, bytes: &[u8]) {
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
    let (listener, address) = listener().await;
    let engine = Arc::new(Engine::default());
    let mesh = Mesh::new("");
    let bundle = OpaBundleFile::new(folder.bundle(), reader, engine.clone());
    let guard = Guard::builder("model-server")
        .policy(policy(address.port(), engine.clone()))
        .identity(mesh.svid("/model-server"))
        .bundle(mesh.authority.bundle())
        .allow_dev_authority()
        .audit(Arc::new(MemorySink::new(10_000)))
        .reload_every(Duration::from_millis(10))
        .opa_bundle_file("authz", more(bundle))
        .build()
        .await?;
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
    async fn refuses(&self, why: &str) {
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
    std::fs::write(folder.state(), "{").expect("written");
    let refused = start(&folder, signed_only(), keeps).await.err();
    assert!(support::chain(&refused.expect("a broken state")).contains("cannot be read"));
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
