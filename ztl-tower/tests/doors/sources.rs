//! Sources that fail, come back and contradict each other; SVIDs that end (rules 22, 27 and 30, T22, T23).

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ztl_core::{Timestamp, TrustDomain};
use ztl_mtls::source::MemorySource;
use ztl_mtls::{BundleSet, DevCa, Expiring, ExpiryStage, TrustBundle};

use super::*;

pub(super) const QUICK: Duration = Duration::from_millis(10);
const GRACE: Duration = Duration::from_millis(200);

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("ztl-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let (new, path) = (self.0.join("new"), self.0.join(name));
        std::fs::write(&new, text).expect("write");
        std::fs::rename(&new, &path).expect("rename");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn bare(mesh: &Mesh) -> GuardBuilder {
    let policy = mesh.policy.replace(
        "name = \"users-ask\"",
        "name = \"users-ask\"\nmode = \"off\"",
    );
    Guard::builder("gateway")
        .policy(Policy::from_toml(&policy).expect("policy"))
        .allow_dev_authority()
        .audit(MemorySink::new(10))
        .reload_every(QUICK)
        .source_grace(GRACE)
}

async fn settled(what: &str, wanted: bool, ask: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + support::PATIENCE;
    while ask().await != wanted {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(QUICK).await;
    }
}

#[tokio::test]
async fn rule_30_what_is_gone_for_the_grace_is_withdrawn_and_taken_again_when_it_is_back() {
    let folder = Folder::new("grace");
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port(), 1));
    let issued = mesh
        .authority
        .issue(
            &support::id("/gateway"),
            now(),
            Duration::from_secs(3600),
            &ztl_mtls::provider(),
        )
        .expect("svid");
    let certificate = folder.write("svid.pem", &issued.cert_pem);
    let key = folder.write("svid.key", &issued.key_pem);
    let bundle = folder.write("bundle.pem", mesh.authority.bundle_pem());
    let guard = bare(&mesh)
        .identity_files(&certificate, &key)
        .bundle_file("prod.example", &bundle)
        .build()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    serve(&guard, listener, Marker::default().app());
    let svid = mesh.svid("/caller");
    let let_in = async || {
        let knocked = knock(address, None, Some(&svid), b"h2", get2("/v1/x")).await;
        knocked.is_ok_and(|response| response.status() == 200)
    };
    assert!(let_in().await);

    let gone = |path: &Path| std::fs::remove_file(path).expect("remove");
    gone(&key);
    settled("the SVID is withdrawn", false, &let_in).await;
    let error = guard.svid().expect_err("withdrawn").to_string();
    assert!(
        error.contains("withdrawn: cannot read") && error.contains("svid.key"),
        "{error}"
    );
    folder.write("svid.key", &issued.key_pem);
    settled("the SVID is back", true, &let_in).await;

    gone(&bundle);
    settled("the bundle is withdrawn", false, &let_in).await;
    assert!(
        guard.svid().is_ok(),
        "the one has nothing to do with the other"
    );
    folder.write("bundle.pem", mesh.authority.bundle_pem());
    settled("the bundle is back", true, &let_in).await;
    // Garbage is as good as gone, in the end.
    folder.write("bundle.pem", "garbage");
    settled("the bundle is withdrawn", false, &let_in).await;
}

#[tokio::test]
async fn rule_30_an_svid_that_has_ended_is_presented_to_nobody_and_its_end_was_seen() {
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port(), 1));
    let (begun, ahead) = (now(), Arc::new(AtomicU64::new(0)));
    let read = Arc::clone(&ahead);
    let clock = move || begun.saturating_add(Duration::from_secs(read.load(Ordering::SeqCst)));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let guard = bare(&mesh)
        .identity(mesh.svid("/gateway"))
        .bundle(mesh.authority.bundle())
        .clock(clock)
        .on_expiry(move |expiry| {
            told.lock()
                .expect("lock")
                .push((expiry.what.clone(), expiry.stage));
            assert!(
                expiry.stage != ExpiryStage::Half,
                "a host's panic is the host's"
            );
        })
        .build()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    serve(&guard, listener, Marker::default().app());
    let svid = mesh.svid("/caller");
    let knocked = async || knock(address, None, Some(&svid), b"h2", get2("/v1/x")).await;
    assert!(knocked().await.is_ok());
    let ours = || Expiring::Svid(support::id("/gateway"));
    let stages = [
        (1900, ExpiryStage::Half),
        (3100, ExpiryStage::Sixth),
        (3601, ExpiryStage::Expired),
    ];
    for (number, (secs, stage)) in (1..).zip(stages) {
        ahead.store(secs, Ordering::SeqCst);
        until("the stage is told", || {
            seen.lock().expect("lock").len() == number
        })
        .await;
        assert_eq!(seen.lock().expect("lock").last(), Some(&(ours(), stage)));
    }
    assert!(knocked().await.is_err());
    let error = guard.svid().expect_err("ended").to_string();
    assert!(
        error.contains("ended at") && error.contains("no other has come"),
        "{error}"
    );
}

#[tokio::test]
async fn t22_a_source_cannot_make_us_somebody_else_and_is_heard_again_when_it_does_not() {
    let mesh = Mesh::new(&policy(1, 2));
    let place = MemorySource::new();
    place.put_svid(mesh.svid("/gateway"));
    place.put_bundles(vec![mesh.authority.bundle()]);
    let guard = bare(&mesh)
        .source(place.clone())
        .source_grace(Duration::from_secs(600))
        .build()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let first = guard.svid().expect("svid");
    place.put_svid(mesh.svid("/caller"));
    let second = mesh.svid("/gateway");
    tokio::time::sleep(QUICK * 5).await;
    assert_eq!(guard.svid().expect("svid").chain(), first.chain());
    place.put_svid(second.clone());
    until("ours is taken", || {
        guard
            .svid()
            .is_ok_and(|svid| svid.chain() == second.chain())
    })
    .await;
    // One that begins later is taken when it begins, and not before.
    let later = mesh.svid_at("/gateway", now().saturating_add(Duration::from_secs(61)));
    place.put_svid(later.clone());
    until("the later one is taken", || {
        guard.svid().is_ok_and(|svid| svid.chain() == later.chain())
    })
    .await;
    assert!(now() >= later.not_before());
}

#[tokio::test]
async fn rule_22_two_places_that_say_the_same_thing_refuse_the_guard() {
    let mesh = Mesh::new(&policy(1, 2));
    let place = |svid: bool, bundle: bool| {
        let place = MemorySource::new();
        if svid {
            place.put_svid(mesh.svid("/gateway"));
        }
        if bundle {
            place.put_bundles(vec![mesh.authority.bundle()]);
        }
        place
    };
    let both = || bare(&mesh).source(place(true, true));
    assert!(both().build().await.is_ok());
    let many = [
        both().source(place(true, false)),
        both().identity(mesh.svid("/gateway")),
    ];
    for builder in many {
        let error = builder.build().await.expect_err("two identities");
        assert!(
            matches!(error, BuildError::ManyIdentities { .. }),
            "{error}"
        );
    }
    for builder in [
        both().source(place(false, true)),
        both().bundle(mesh.authority.bundle()),
    ] {
        let error = builder.build().await.expect_err("two bundles").to_string();
        assert!(
            error.contains("two bundles for the trust domain `prod.example`"),
            "{error}"
        );
    }
    for (builder, missing) in [
        (bare(&mesh).source(place(false, true)), "identity"),
        (bare(&mesh).source(place(true, false)), "trust bundle"),
    ] {
        let error = builder.build().await.expect_err("incomplete").to_string();
        assert!(
            error.contains(missing) && error.contains("`source`"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn rule_22_a_domain_that_two_places_come_to_give_stays_with_the_first() {
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port(), 1));
    let late = MemorySource::new();
    let guard = bare(&mesh)
        .identity(mesh.svid("/gateway"))
        .bundle(mesh.authority.bundle())
        .source(late.clone())
        .build()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    serve(&guard, listener, Marker::default().app());
    let domain = |name: &str| TrustDomain::parse(name).expect("domain");
    let impostor = DevCa::new(domain("prod.example"), now()).expect("authority");
    let forged = impostor
        .issue(
            &support::id("/caller"),
            now(),
            Duration::from_secs(3600),
            &ztl_mtls::provider(),
        )
        .expect("svid")
        .svid;
    let marked = TrustBundle::empty(domain("marker.example"));
    late.put_bundles(vec![impostor.bundle(), marked]);
    let caller = mesh.svid("/caller");
    let ask = async |svid| {
        knock(address, None, Some(svid), b"h2", get2("/v1/x"))
            .await
            .is_ok()
    };
    for _ in 0..20 {
        assert!(!ask(&forged).await && ask(&caller).await);
        tokio::time::sleep(QUICK).await;
    }
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn gauges_say_when_what_is_in_use_ends() {
    use std::collections::BTreeMap;

    use metrics::{
        Counter, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };

    #[derive(Clone, Default)]
    struct Gauges(Arc<Mutex<BTreeMap<String, f64>>>);
    struct One(Gauges, String);
    impl GaugeFn for One {
        fn increment(&self, _: f64) {}
        fn decrement(&self, _: f64) {}
        fn set(&self, value: f64) {
            self.0.0.lock().expect("lock").insert(self.1.clone(), value);
        }
    }
    impl Recorder for Gauges {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }
        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(Arc::new(One(self.clone(), key.to_string())))
        }
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }
    let gauges = Gauges::default();
    // The guard's task runs on this thread.
    let _recording = metrics::set_default_local_recorder(&gauges);
    let mesh = Mesh::new(&policy(1, 2));
    let guard = bare(&mesh)
        .identity(mesh.svid("/gateway"))
        .bundle(mesh.authority.bundle())
        .build()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let value = |name: &str| {
        let all = gauges.0.lock().expect("lock");
        all.iter()
            .find(|(key, _)| key.starts_with(name) && key.contains("gateway"))
            .map(|(_, value)| {
                Timestamp::from_unix_secs(format!("{value:.0}").parse().expect("whole"))
            })
    };
    let bundle = || value("Key(ztl_bundle_expiry_timestamp_seconds");
    until("the gauges", || bundle().is_some()).await;
    let ends = |bundle: &TrustBundle| bundle.validity().map(|(_, not_after)| not_after);
    assert_eq!(bundle(), ends(&mesh.authority.bundle()));
    let not_after = guard.svid().expect("svid").not_after();
    assert_eq!(
        value("Key(ztl_svid_expiry_timestamp_seconds"),
        Some(not_after)
    );
    assert_eq!(
        value("Key(ztl_svid_presentable"),
        Some(Timestamp::from_unix_secs(1))
    );
    guard.withdraw_identity("a test");
    until("the gauge", || {
        value("Key(ztl_svid_presentable") == Some(Timestamp::EPOCH)
    })
    .await;
    // A bundle that is empty or gone proves nobody, and does not go on to end one day; one that comes back does.
    let empty = TrustBundle::empty(mesh.authority.trust_domain().clone());
    for nobody in [
        BundleSet::new([empty]).expect("a set"),
        BundleSet::default(),
    ] {
        guard.swap_bundles(nobody);
        until("it is gone", || bundle() == Some(Timestamp::EPOCH)).await;
        guard.replace_bundle(mesh.authority.bundle());
        until("it is back", || bundle() == ends(&mesh.authority.bundle())).await;
    }
}

#[tokio::test]
async fn an_authority_that_proves_nobody_is_told_of_once() {
    let mesh = Mesh::new(&policy(1, 2));
    let other = TrustDomain::parse("other.example").expect("domain");
    let of = |purposes: &[rcgen::ExtendedKeyUsagePurpose]| {
        let key = rcgen::KeyPair::generate().expect("key");
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.extended_key_usages = purposes.to_vec();
        let root = params.self_signed(&key).expect("root");
        TrustBundle::from_der(other.clone(), [root.der().clone()]).expect("bundle")
    };
    let spans = super::listens::Spans::default();
    // The guard's task runs on this thread.
    let _here = tracing::subscriber::set_default(spans.clone());
    let built = bare(&mesh).identity(mesh.svid("/gateway"));
    let built = built.bundle(mesh.authority.bundle());
    let unfit = of(&[rcgen::ExtendedKeyUsagePurpose::Any]);
    let guard = built.bundle(unfit.clone()).build().await;
    let guard = guard.unwrap_or_else(|error| panic!("{error}"));
    let told = || {
        spans.all("an authority of the trust bundle proves nobody: its extKeyUsage names neither clientAuth nor serverAuth, and anyExtendedKeyUsage names none; reissue it without extKeyUsage, or with both")
    };
    let looks = async || tokio::time::sleep(QUICK * 10).await;
    until("it is told", || !told().is_empty()).await;
    looks().await;
    let [once] = &told()[..] else {
        panic!("{:?}", told());
    };
    let key = ztl_mtls::Denied::key_of(&unfit.certificates()[0]).expect("a key");
    for part in ["trust_domain=other.example", &format!("authority={key}")] {
        assert!(once.contains(part), "{part} in {once}");
    }
    // One that replaces it is looked at, and so is another that does not.
    guard.replace_bundle(of(&[rcgen::ExtendedKeyUsagePurpose::ClientAuth]));
    looks().await;
    assert_eq!(told().len(), 1);
    guard.replace_bundle(of(&[rcgen::ExtendedKeyUsagePurpose::CodeSigning]));
    until("it is told", || told().len() == 2).await;
}
