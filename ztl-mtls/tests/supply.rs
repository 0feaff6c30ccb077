//! What becomes of what a source says: taken, kept for the grace, withdrawn, given again (rule 30, T22, T23).
#![cfg(all(feature = "dev-ca", any(feature = "aws-lc-rs", feature = "ring")))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use common::{Ca, HOUR, NOW, domain};
use ztl_core::{SpiffeId, Timestamp};
use ztl_mtls::source::{
    DEFAULT_GRACE, DevSource, MemorySource, Part, Polled, Source, SourceError, Step, Steps, Supply,
};
use ztl_mtls::{
    DevCa, Expiring, ExpiryStage, ExpiryWatch, IdentitySource, Unpresentable, X509Svid, provider,
};

const GRACE: Duration = Duration::from_secs(600);

fn after(secs: u64) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(secs))
}

fn ask(supply: &mut Supply, now: Timestamp) -> Steps {
    supply.poll(now, |_, _| Ok(()))
}

fn pair() -> (MemorySource, Supply) {
    let kept = MemorySource::new();
    let supply = Supply::new(kept.clone(), GRACE);
    (kept, supply)
}

#[test]
fn rule_30_what_is_not_vouched_for_is_withdrawn_after_the_grace_and_given_again_after_it() {
    let (kept, mut supply) = pair();
    assert!(matches!(ask(&mut supply, NOW).svid, Step::Stay));
    kept.put_svid(Ca::new("root").leaf(|_| {}).svid());
    assert!(matches!(ask(&mut supply, NOW).svid, Step::Take(_)));
    assert!(matches!(ask(&mut supply, after(1)).svid, Step::Stay));

    kept.fail_svid("gone");
    let Step::Failing {
        error,
        withdrawn_at,
    } = ask(&mut supply, after(10)).svid
    else {
        panic!("a failure is said");
    };
    assert_eq!(
        (error.to_string().as_str(), withdrawn_at),
        ("gone", Some(after(610)))
    );
    // Each distinct failure once.
    assert!(matches!(ask(&mut supply, after(11)).svid, Step::Stay));
    kept.fail_svid("denied");
    assert!(matches!(
        ask(&mut supply, after(12)).svid,
        Step::Failing { .. }
    ));
    assert!(matches!(ask(&mut supply, after(609)).svid, Step::Stay));
    assert!(matches!(
        ask(&mut supply, after(610)).svid,
        Step::Withdraw { .. }
    ));
    assert!(matches!(ask(&mut supply, after(611)).svid, Step::Stay));
    // A failure after that is said, and withdraws nothing more.
    kept.fail_svid("gone");
    assert!(matches!(
        ask(&mut supply, after(612)).svid,
        Step::Failing {
            withdrawn_at: None,
            ..
        }
    ));
}

/// A source that says what it is told to.
struct Scripted(Vec<Part<X509Svid>>);

impl Source for Scripted {
    fn name(&self) -> String {
        "a script".to_owned()
    }

    fn poll(&mut self, _: Timestamp) -> Polled {
        Polled::svid(if self.0.is_empty() {
            Part::Current
        } else {
            self.0.remove(0)
        })
    }
}

#[test]
fn what_was_withdrawn_is_given_again_when_its_source_says_that_it_still_holds() {
    let failed = || Part::Failed(SourceError::new("gone"));
    let svid = Ca::new("root").leaf(|_| {}).svid();
    let script = vec![Part::Changed(svid), failed(), failed(), Part::Current];
    let mut supply = Supply::new(Scripted(script), GRACE);
    assert!(matches!(ask(&mut supply, NOW).svid, Step::Take(_)));
    assert!(matches!(ask(&mut supply, NOW).svid, Step::Failing { .. }));
    assert!(matches!(
        ask(&mut supply, after(600)).svid,
        Step::Withdraw { .. }
    ));
    assert!(matches!(ask(&mut supply, after(601)).svid, Step::Take(_)));
    assert!(matches!(ask(&mut supply, after(602)).svid, Step::Stay));
}

#[test]
fn rule_30_what_was_withdrawn_from_a_source_that_said_nothing_is_given_again_once_it_vouches() {
    let (kept, mut supply) = pair();
    // Nothing was given, so that nothing is given again.
    supply.withdraw();
    assert!(matches!(ask(&mut supply, NOW).svid, Step::Stay));
    kept.put_svid(Ca::new("root").leaf(|_| {}).svid());
    assert!(matches!(ask(&mut supply, after(1)).svid, Step::Take(_)));
    supply.withdraw();
    kept.fail_svid("gone");
    let failing = ask(&mut supply, after(2)).svid;
    let Step::Failing { withdrawn_at, .. } = failing else {
        panic!("{failing:?}");
    };
    assert_eq!(withdrawn_at, None, "it is");
    assert!(matches!(ask(&mut supply, after(900)).svid, Step::Stay));
    kept.put_svid(Ca::new("root").leaf(|_| {}).svid());
    assert!(matches!(ask(&mut supply, after(901)).svid, Step::Take(_)));
    let steps = ask(&mut supply, after(902));
    assert!(matches!(
        (steps.svid, steps.bundles),
        (Step::Stay, Step::Stay)
    ));
}

#[test]
fn a_failure_that_ends_within_the_grace_changes_nothing() {
    let svid = Ca::new("root").leaf(|_| {}).svid();
    let script = vec![
        Part::Changed(svid.clone()),
        Part::Failed(SourceError::new("gone")),
        Part::Current,
        Part::Failed(SourceError::new("gone")),
        Part::Changed(svid),
    ];
    let mut supply = Supply::new(Scripted(script), GRACE);
    ask(&mut supply, NOW);
    assert!(matches!(
        ask(&mut supply, after(1)).svid,
        Step::Failing { .. }
    ));
    assert!(matches!(ask(&mut supply, after(599)).svid, Step::Recovered));
    // The grace begins anew, and what is said again is no news.
    assert!(matches!(
        ask(&mut supply, after(1100)).svid,
        Step::Failing { .. }
    ));
    assert!(matches!(
        ask(&mut supply, after(1199)).svid,
        Step::Recovered
    ));
}

#[test]
fn a_source_that_only_ever_changes_vouches_for_nothing() {
    let svid = Ca::new("root").leaf(|_| {}).svid();
    let mut script = vec![Part::Changed(svid)];
    script.extend((0..3).map(|_| Part::Unsettled));
    let mut supply = Supply::new(Scripted(script), GRACE);
    ask(&mut supply, NOW);
    assert!(
        matches!(ask(&mut supply, after(1)).svid, Step::Stay),
        "not yet worth a word"
    );
    assert!(matches!(ask(&mut supply, after(600)).svid, Step::Stay));
    assert!(matches!(
        ask(&mut supply, after(601)).svid,
        Step::Withdraw { .. }
    ));
}

#[test]
fn t22_an_svid_that_is_not_accepted_is_a_failure_until_it_is() {
    let (kept, mut supply) = pair();
    let root = Ca::new("root");
    kept.put_svid(root.leaf(|_| {}).svid());
    ask(&mut supply, NOW);
    kept.put_svid(root.leaf_of("spiffe://a.test/another").svid());
    let ours = |svid: &X509Svid, _: Timestamp| {
        if svid.id().as_str() == common::ID {
            Ok(())
        } else {
            Err(SourceError::new("not ours"))
        }
    };
    assert!(matches!(
        supply.poll(after(1), ours).svid,
        Step::Failing { .. }
    ));
    assert!(
        matches!(supply.poll(after(2), ours).svid, Step::Stay),
        "said once"
    );
    assert!(matches!(
        supply.poll(after(601), ours).svid,
        Step::Withdraw { .. }
    ));
    // It is offered as long as the source gives it: one that begins later is taken then.
    assert!(matches!(ask(&mut supply, after(602)).svid, Step::Take(_)));
}

#[test]
fn svid_and_bundles_are_kept_apart() {
    let (kept, mut supply) = pair();
    let root = Ca::new("root");
    kept.put_svid(root.leaf(|_| {}).svid());
    kept.put_bundles(vec![root.bundle("a.test")]);
    ask(&mut supply, NOW);
    kept.fail_bundles("gone");
    let steps = ask(&mut supply, after(1));
    assert!(matches!(
        (steps.svid, steps.bundles),
        (Step::Stay, Step::Failing { .. })
    ));
    let steps = ask(&mut supply, after(601));
    assert!(matches!(
        (steps.svid, steps.bundles),
        (Step::Stay, Step::Withdraw { .. })
    ));
    // The same bundles, put in again, are news after a withdrawal and not before.
    kept.put_bundles(vec![root.bundle("a.test")]);
    assert!(matches!(
        ask(&mut supply, after(602)).bundles,
        Step::Take(_)
    ));
    kept.put_bundles(vec![root.bundle("a.test")]);
    assert!(matches!(ask(&mut supply, after(603)).bundles, Step::Stay));
    kept.put_bundles(vec![root.bundle("b.test")]);
    assert!(matches!(
        ask(&mut supply, after(604)).bundles,
        Step::Take(_)
    ));
}

#[test]
fn t23_a_clock_that_goes_back_does_not_prolong_the_grace() {
    let (kept, mut supply) = pair();
    kept.put_svid(Ca::new("root").leaf(|_| {}).svid());
    ask(&mut supply, after(1000));
    kept.fail_svid("gone");
    ask(&mut supply, after(1001));
    let back = |secs| Timestamp::EPOCH.saturating_add(Duration::from_secs(secs));
    ask(&mut supply, back(0));
    assert!(matches!(ask(&mut supply, back(599)).svid, Step::Stay));
    ask(&mut supply, Timestamp::EPOCH);
    assert!(matches!(
        ask(&mut supply, back(1)).svid,
        Step::Withdraw { .. }
    ));
}

#[test]
fn t23_one_reading_far_ahead_neither_stops_the_grace_nor_refuses_what_is_valid() {
    let ahead = after(70 * 365 * 86_400);
    let (kept, mut supply) = pair();
    let root = Ca::new("root");
    kept.put_svid(root.leaf(|_| {}).svid());
    assert!(matches!(ask(&mut supply, NOW).svid, Step::Take(_)));
    ask(&mut supply, ahead);
    kept.fail_svid("gone");
    let Step::Failing { withdrawn_at, .. } = ask(&mut supply, after(2)).svid else {
        panic!("a failure is said");
    };
    assert_eq!(withdrawn_at, Some(after(602)));
    assert!(matches!(ask(&mut supply, after(601)).svid, Step::Stay));
    assert!(matches!(
        ask(&mut supply, after(602)).svid,
        Step::Withdraw { .. }
    ));
    // What comes is judged by the clock as it is.
    let valid = |svid: &X509Svid, now: Timestamp| {
        let valid = svid.not_before() <= now && now < svid.not_after();
        valid.then_some(()).ok_or_else(|| SourceError::new("ended"))
    };
    kept.put_svid(root.leaf(|_| {}).svid());
    assert!(matches!(supply.poll(after(603), valid).svid, Step::Take(_)));
}

#[test]
fn t23_one_reading_far_ahead_while_a_source_fails_counts_once() {
    let (kept, mut supply) = pair();
    kept.put_svid(Ca::new("root").leaf(|_| {}).svid());
    ask(&mut supply, NOW);
    kept.fail_svid("gone");
    ask(&mut supply, after(1));
    // Five minutes ahead, and right again.
    ask(&mut supply, after(301));
    let Step::Stay = ask(&mut supply, after(2)).svid else {
        panic!("half of the grace is left");
    };
    assert!(matches!(ask(&mut supply, after(301)).svid, Step::Stay));
    assert!(matches!(
        ask(&mut supply, after(302)).svid,
        Step::Withdraw { .. }
    ));
}

#[test]
fn memory_wakes_whoever_asks() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (kept, mut supply) = pair();
    let count = Arc::new(Count(AtomicUsize::new(0)));
    supply.notify(Waker::from(Arc::clone(&count)));
    let before = count.0.load(Ordering::SeqCst);
    kept.put_bundles(Vec::new());
    assert_eq!(count.0.load(Ordering::SeqCst), before + 1);
}

#[test]
fn a_development_authority_rotates_at_half_of_a_life() {
    let ca = Arc::new(DevCa::new(domain("a.test"), NOW).expect("authority"));
    let id = SpiffeId::parse(common::ID).expect("id");
    let source = DevSource::new(Arc::clone(&ca), id, HOUR, provider());
    let mut supply = Supply::new(source, DEFAULT_GRACE);
    let first = ask(&mut supply, NOW);
    let (Step::Take(svid), Step::Take(bundles)) = (first.svid, first.bundles) else {
        panic!("the first answer has both");
    };
    assert_eq!(
        (svid.id().as_str(), svid.not_after(), bundles.len()),
        (common::ID, after(3600), 1)
    );
    assert!(matches!(ask(&mut supply, after(1799)).svid, Step::Stay));
    let second = ask(&mut supply, after(1800));
    assert!(matches!(second.bundles, Step::Stay));
    assert!(matches!(second.svid, Step::Take(svid) if svid.not_after() == after(5400)));
    // T23: what was issued by a clock far ahead is not kept until then.
    let year = 365 * 86_400;
    assert!(
        matches!(ask(&mut supply, after(year)).svid, Step::Take(svid) if svid.not_before() > after(5400))
    );
    assert!(
        matches!(ask(&mut supply, after(5400)).svid, Step::Take(svid) if svid.not_before() <= after(5400))
    );
    assert!(matches!(ask(&mut supply, after(5400)).svid, Step::Stay));
    // A foreign id is a failure, and not one that nobody hears of.
    let foreign = SpiffeId::parse("spiffe://b.test/x").expect("id");
    let mut supply = Supply::new(DevSource::new(ca, foreign, HOUR, provider()), DEFAULT_GRACE);
    assert!(matches!(
        ask(&mut supply, NOW).svid,
        Step::Failing {
            withdrawn_at: None,
            ..
        }
    ));
}

#[test]
fn rule_30_an_identity_presents_nothing_while_it_is_withdrawn_or_has_ended() {
    let root = Ca::new("root");
    let clock = Arc::new(std::sync::atomic::AtomicU64::new(NOW.as_unix_millis()));
    let read = Arc::clone(&clock);
    let identity = IdentitySource::with_clock(root.leaf(|_| {}).svid(), move || {
        Timestamp::from_unix_millis(read.load(Ordering::SeqCst))
    });
    assert!(identity.presentable().is_ok());
    identity.withdraw("the agent denies it");
    let Err(error @ Unpresentable::Withdrawn { .. }) = identity.presentable() else {
        panic!("withdrawn");
    };
    assert_eq!(
        error.to_string(),
        format!(
            "the SVID of `{}` is withdrawn: the agent denies it",
            common::ID
        )
    );
    assert_eq!(identity.generation(), 1);
    identity.swap(root.leaf(|_| {}).svid()).expect("swap");
    assert!(identity.presentable().is_ok());
    clock.store(after(3600).as_unix_millis(), Ordering::SeqCst);
    assert!(matches!(
        identity.presentable(),
        Err(Unpresentable::Expired { .. })
    ));
    clock.store(after(3599).as_unix_millis(), Ordering::SeqCst);
    assert!(identity.presentable().is_ok());
}

#[test]
fn each_stage_of_a_life_is_said_once_and_a_renewal_begins_anew() {
    let root = Ca::new("root");
    // From NOW - 60 s to NOW + 3600 s; the authority lives for 30 days more.
    let svid = root.leaf(|_| {}).svid();
    let bundles = ztl_mtls::BundleSet::new([root.bundle("a.test")]).expect("set");
    let mut watch = ExpiryWatch::new();
    let mut look = |svid: &X509Svid, secs| -> Vec<_> {
        let news = watch.look(svid, &bundles, after(secs));
        news.into_iter()
            .map(|news| (news.what, news.stage))
            .collect()
    };
    let ours = || Expiring::Svid(svid.id().clone());
    let theirs = || Expiring::Bundle(domain("a.test"));
    assert_eq!(look(&svid, 0), []);
    assert_eq!(look(&svid, 1769), []);
    assert_eq!(look(&svid, 1770), [(ours(), ExpiryStage::Half)]);
    assert_eq!(look(&svid, 1771), []);
    assert_eq!(look(&svid, 2990), [(ours(), ExpiryStage::Sixth)]);
    assert_eq!(
        look(&svid, 100),
        [],
        "a clock that goes back says nothing anew"
    );
    assert_eq!(look(&svid, 3600), [(ours(), ExpiryStage::Expired)]);
    let renewed = root
        .leaf(|params| common::valid(params, 3600, 3600 + 7200))
        .svid();
    assert_eq!(look(&renewed, 3600), []);
    let month = 30 * 86_400;
    assert_eq!(
        look(&renewed, month),
        [
            (ours(), ExpiryStage::Expired),
            (theirs(), ExpiryStage::Expired)
        ]
    );
}
