//! Sources that panic, that bear another's name, and that take back what they gave before there is a guard (rules 22 and 30).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ztl_core::Timestamp;
use ztl_mtls::source::{MemorySource, Part, Polled, Source, SourceError};

use super::folder::Folder;
use super::listens::Spans;
use super::sources::{QUICK, bare};
use super::*;

#[tokio::test]
async fn rule_22_another_source_of_the_same_name_does_not_say_who_we_are() {
    let mesh = Mesh::new(&policy(1, 2));
    let first = MemorySource::new();
    first.put_svid(mesh.svid("/gateway"));
    for given in [None, Some(mesh.svid("/gateway"))] {
        let late = MemorySource::new();
        let builder = bare(&mesh).bundle(mesh.authority.bundle());
        let builder = match given {
            Some(svid) => builder.identity(svid),
            None => builder.source(first.clone()),
        };
        let guard = builder.source(late.clone()).build().await;
        let guard = guard.unwrap_or_else(|error| panic!("{error}"));
        let ours = guard.svid().expect("svid");
        let stays = async || {
            // Looked at often, and for longer than the grace.
            for _ in 0..30 {
                let in_use = guard.svid().unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(in_use.chain(), ours.chain());
                tokio::time::sleep(QUICK).await;
            }
        };
        late.put_svid(mesh.svid("/gateway"));
        stays().await;
        late.fail_svid("gone");
        stays().await;
    }
}

/// Says what the function says, given how often it was asked before, and may take a moment for its first answer.
struct Says<F>(usize, F);

impl<F: FnMut(usize) -> Polled + Send> Source for Says<F> {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn poll(&mut self, _: Timestamp) -> Polled {
        self.0 += 1;
        (self.1)(self.0 - 1)
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(500)
    }
}

#[tokio::test]
async fn rule_30_where_a_source_panics_what_sources_gave_is_withdrawn() {
    let mesh = Mesh::new(&policy(1, 2));
    let falls = || {
        Says(0, |asked| {
            assert_eq!(asked, 0, "a bug of the source");
            Polled::default()
        })
    };
    let place = MemorySource::new();
    place.put_svid(mesh.svid("/gateway"));
    place.put_bundles(vec![mesh.authority.bundle()]);
    let built = bare(&mesh).source(place).source(falls()).build().await;
    let guard = built.unwrap_or_else(|error| panic!("{error}"));
    until("it is withdrawn", || guard.svid().is_err()).await;
    let error = guard.svid().expect_err("withdrawn").to_string();
    assert!(error.contains("can no longer be asked"), "{error}");
    // What the builder was given is no source's to lose.
    let given = bare(&mesh).identity(mesh.svid("/gateway"));
    let given = given.bundle(mesh.authority.bundle()).source(falls());
    let guard = given
        .build()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    tokio::time::sleep(QUICK * 10).await;
    assert!(guard.svid().is_ok());
}

fn gone<T>() -> Part<T> {
    Part::Failed(SourceError::new("gone"))
}

/// Says one after the other, and the last for good.
fn in_turn(said: [Polled; 4]) -> impl Source + 'static {
    Says(0, move |asked: usize| said[asked.min(3)].clone())
}

#[tokio::test]
async fn rule_30_what_a_source_takes_back_while_a_guard_is_built_builds_none() {
    let mesh = Mesh::new(&policy(1, 2));
    let svid = Part::Changed(mesh.svid("/gateway"));
    let bundles = Part::Changed(vec![mesh.authority.bundle()]);
    let neither = Polled::new(gone(), gone());
    // The one is there before the other is, and is gone when that comes.
    let svid_first = in_turn([
        Polled::new(svid.clone(), gone()),
        neither.clone(),
        Polled::new(gone(), bundles.clone()),
        Polled::svid(gone()),
    ]);
    let bundles_first = in_turn([
        Polled::new(gone(), bundles),
        neither,
        Polled::new(svid, gone()),
        Polled::bundles(gone()),
    ]);
    let at_once = || bare(&mesh).source_grace(Duration::ZERO);
    let built = at_once().source(svid_first).build().await;
    let error = built.expect_err("no SVID");
    assert!(matches!(error, BuildError::Identity(_)), "{error}");
    let built = at_once().source(bundles_first).build().await;
    let error = built.expect_err("no bundle");
    assert!(matches!(error, BuildError::Bundle(_)), "{error}");
}

#[tokio::test]
async fn a_source_that_comes_back_within_the_grace_while_a_guard_is_built_builds_it() {
    let mesh = Mesh::new(&policy(1, 2));
    let svid = Part::Changed(mesh.svid("/gateway"));
    let bundles = Part::Changed(vec![mesh.authority.bundle()]);
    let neither = Polled::new(gone(), gone());
    let svid_first = in_turn([
        Polled::new(svid.clone(), gone()),
        neither.clone(),
        Polled::bundles(bundles.clone()),
        Polled::default(),
    ]);
    let bundles_first = in_turn([
        Polled::new(gone(), bundles),
        neither,
        Polled::svid(svid),
        Polled::default(),
    ]);
    for built in [
        bare(&mesh).source(svid_first).build().await,
        bare(&mesh).source(bundles_first).build().await,
    ] {
        built.unwrap_or_else(|error| panic!("{error}"));
    }
}

/// A source hangs for as long as this is there.
struct Hang(Arc<AtomicBool>);

impl Drop for Hang {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Hang {
    fn begin() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    /// One that answers so often before.
    fn after(&self, answers: usize) -> impl Source + 'static {
        let hangs = Arc::clone(&self.0);
        Says(0, move |asked| {
            while asked >= answers && hangs.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Polled::default()
        })
    }
}

#[tokio::test]
async fn rule_30_what_sources_gave_is_withdrawn_where_one_hangs_and_taken_again_when_it_answers() {
    let mesh = Mesh::new(&policy(1, 2));
    let place = MemorySource::new();
    place.put_svid(mesh.svid("/gateway"));
    place.put_bundles(vec![mesh.authority.bundle()]);
    let hang = Hang::begin();
    let spans = Spans::default();
    let _here = tracing::subscriber::set_default(spans.clone());
    let built = bare(&mesh).source(place).source(hang.after(1));
    let guard = built.build().await;
    let guard = guard.unwrap_or_else(|error| panic!("{error}"));
    until("it is withdrawn", || guard.svid().is_err()).await;
    let error = guard.svid().expect_err("withdrawn").to_string();
    assert!(error.contains("does not answer"), "{error}");
    drop(hang);
    until("it is back", || guard.svid().is_ok()).await;
    let told = spans.text();
    assert!(
        told.contains("one of the sources does not answer"),
        "{told}"
    );
    assert!(told.contains("the sources answer again"), "{told}");
}

#[test]
fn t35_a_source_that_never_answers_builds_no_guard() {
    let hang = Hang::begin();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mesh = Mesh::new(&policy(1, 2));
        let given = bare(&mesh).identity(mesh.svid("/gateway"));
        let built = given.source(hang.after(0)).build().await;
        let error = support::chain(&built.expect_err("no answer"));
        assert!(error.contains("`memory` does not answer"), "{error}");
    });
    // It waits for no thread of the source's.
    drop(runtime);
    drop(hang);
}

#[tokio::test]
async fn rule_30_the_grace_is_true_however_rarely_files_are_looked_at() {
    let mesh = Mesh::new(&policy(1, 2));
    let ours = mesh.svid("/gateway");
    let fails = Says(0, move |asked| match asked {
        0 => Polled::svid(Part::Changed(ours.clone())),
        _ => Polled::svid(Part::Failed(SourceError::new("gone"))),
    });
    let rarely = bare(&mesh).reload_every(Duration::from_secs(3600));
    let built = rarely.bundle(mesh.authority.bundle()).source(fails);
    let guard = built.build().await;
    let guard = guard.unwrap_or_else(|error| panic!("{error}"));
    until("it is withdrawn", || guard.svid().is_err()).await;
}

/// Such as users' tests have it: their clock leaps to the next timer while a source's thread reads.
#[tokio::test(start_paused = true)]
async fn rule_30_how_long_a_source_takes_is_no_matter_of_a_clock_that_leaps() {
    let mesh = Mesh::new(&policy(1, 2));
    let place = MemorySource::new();
    place.put_svid(mesh.svid("/gateway"));
    place.put_bundles(vec![mesh.authority.bundle()]);
    let asked = Arc::new(AtomicUsize::new(0));
    let asks = Arc::clone(&asked);
    let slow = Says(0, move |_| {
        std::thread::sleep(QUICK);
        asks.fetch_add(1, Ordering::SeqCst);
        Polled::default()
    });
    let folder = Folder::new("leaps");
    let denied = folder.write("denied", "end 0\n");
    let spans = Spans::default();
    let _here = tracing::subscriber::set_default(spans.clone());
    let built = bare(&mesh).source(place).source(slow);
    let guard = built.deny_list_file(denied).build().await;
    let guard = guard.unwrap_or_else(|error| panic!("{error}"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(asked.load(Ordering::SeqCst) > 2);
    let in_use = guard.svid();
    in_use.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(spans.text(), "[]", "nothing hangs");
}
