//! Ends that come by time alone, each by itself, with everything in flight that a connection may carry.

use super::trust::everything;
use super::*;

const MINUTE: u64 = 60 * 1000;

/// Whatever may be in flight on connections of that kind, and runs in the service.
async fn in_flight(db: &Db, speaks: Speaks) -> Vec<Box<dyn std::any::Any + Send>> {
    match speaks {
        Speaks::Http => everything(db).await,
        Speaks::Raw => {
            let stream = db.connect(b"raw").await;
            until("it runs", || db.running.count() == 1).await;
            vec![Box::new(stream)]
        }
    }
}

/// Another SVID of ours, good for so many minutes.
fn own(mesh: &Mesh, minutes: u64) -> ztl_mtls::X509Svid {
    let (id, lasts) = (support::id("/db"), Duration::from_secs(60 * minutes));
    let issued = mesh
        .authority
        .issue(&id, now(), lasts, &ztl_mtls::provider());
    issued.expect("an SVID").svid
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_8_after_a_rotation_of_our_own_whatever_is_in_flight_has_a_deadline() {
    for speaks in [Speaks::Http, Speaks::Raw] {
        let timeout = Duration::from_millis(200);
        let db = Db::speaking(speaks, |_, builder| builder.rotation_timeout(timeout)).await;
        let held = in_flight(&db, speaks).await;
        let since = Instant::now();
        db.guard.swap_identity(db.mesh.svid("/db")).expect("swap");
        until("all drain", || {
            let all = db.guard.connections();
            all.iter().all(|one| one.state != ConnectionState::Open)
        })
        .await;
        until("nothing runs", || db.running.count() == 0).await;
        let took = since.elapsed();
        assert!(
            (timeout..timeout + AT_ONCE).contains(&took),
            "{speaks:?}: {took:?}"
        );
        until("nothing is open", || db.guard.connections().is_empty()).await;
        let recorded = reasons(&db.audit);
        assert!(
            recorded.iter().all(|reason| reason == "permitted"),
            "{recorded:?}"
        );
        drop(held);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t14_law_8_our_own_end_and_the_peers_are_each_enough() {
    for speaks in [Speaks::Http, Speaks::Raw] {
        // Callers' last an hour.
        for (ours, before, after) in [(30, 29, 45), (120, 59, 61)] {
            let what = format!("{speaks:?}, ours lasts {ours} minutes");
            let show = |mesh: &Mesh, builder: GuardBuilder| builder.identity(own(mesh, ours));
            let db = Db::speaking(speaks, show).await;
            let held = in_flight(&db, speaks).await;
            let running = db.running.count();
            db.ahead.store(before * MINUTE, Ordering::SeqCst);
            // A judgement by that time; it takes nothing away.
            db.guard.deny(Denied::Id(support::id("/somebody-else")));
            let judged = Instant::now() + Duration::from_millis(1200);
            tokio::time::sleep_until(judged).await;
            assert_eq!(db.running.count(), running, "{what}: not yet");

            let since = Instant::now();
            db.ahead.store(after * MINUTE, Ordering::SeqCst);
            db.none_runs(since, &what).await;
            until("nothing is open", || db.guard.connections().is_empty()).await;
            let recorded = reasons(&db.audit);
            let denied: Vec<_> = (recorded.iter())
                .filter(|reason| *reason != "permitted")
                .collect();
            assert!(!denied.is_empty(), "{what}");
            assert!(
                denied.iter().all(|reason| *reason == "identity_expired"),
                "{what}: {denied:?}"
            );
            drop(held);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_30_a_rotation_lets_nothing_run_beyond_the_end_of_the_svid_before() {
    for speaks in [Speaks::Http, Speaks::Raw] {
        let show = |mesh: &Mesh, builder: GuardBuilder| {
            let day = Duration::from_secs(86_400);
            builder.identity(own(mesh, 30)).rotation_timeout(day)
        };
        let db = Db::speaking(speaks, show).await;
        let held = in_flight(&db, speaks).await;
        db.guard.swap_identity(db.mesh.svid("/db")).expect("swap");
        until("all drain", || {
            let all = db.guard.connections();
            all.iter().all(|one| one.state == ConnectionState::Draining)
        })
        .await;
        let since = Instant::now();
        // The caller's SVID and our next one last longer.
        db.ahead.store(45 * MINUTE, Ordering::SeqCst);
        db.none_runs(since, "beyond the SVID before").await;
        drop(held);
    }
}

/// How far the clock is set back.
const HALF_AN_HOUR: u64 = 30 * MINUTE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t23_what_runs_ends_where_the_clock_is_set_back() {
    for speaks in [Speaks::Http, Speaks::Raw] {
        let db = Db::speaking(speaks, |_, builder| builder).await;
        db.ahead.store(HALF_AN_HOUR, Ordering::SeqCst);
        let _held = in_flight(&db, speaks).await;
        let running = db.running.count();
        // What clocks differ by ends nothing.
        db.ahead.store(HALF_AN_HOUR - MINUTE / 2, Ordering::SeqCst);
        tokio::time::sleep(AT_ONCE).await;
        assert_eq!(db.running.count(), running, "{speaks:?}");
        let since = Instant::now();
        db.ahead.store(0, Ordering::SeqCst);
        db.none_runs(since, "the clock is set back").await;
        let denied = reasons(&db.audit);
        let denied = denied.iter().filter(|it| *it == "clock_untrusted");
        assert!(denied.count() > 0, "{speaks:?}");
    }
}

#[tokio::test]
async fn t23_a_guard_that_decides_nothing_notices_that_its_clock_is_set_back() {
    let db = Db::start().await;
    db.ahead.store(HALF_AN_HOUR, Ordering::SeqCst);
    until("it is seen", || db.guard.engine().is_set_back(now())).await;
    db.ahead.store(0, Ordering::SeqCst);
    let caller = db.mesh.svid("/caller");
    let asked = support::knock(db.address, None, Some(&caller), b"h2", get2("/v1/x"));
    assert!(asked.await.is_err());
    let last = reasons(&db.audit).pop();
    assert_eq!(last.as_deref(), Some("clock_untrusted"));
}
