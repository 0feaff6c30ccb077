//! Counts in memory, by a clock that stands still.

use core::sync::atomic::{AtomicU64, Ordering};

use ztl_core::{LimitBy, Timestamp};

use super::*;

fn clock() -> (Arc<AtomicU64>, Clock) {
    let millis = Arc::new(AtomicU64::new(1_790_000_000_000));
    let read = Arc::clone(&millis);
    let clock: Clock = Arc::new(move || Timestamp::from_unix_millis(read.load(Ordering::SeqCst)));
    (millis, clock)
}

fn limit(text: &str) -> Limit {
    let text = format!("schema = 1\ntrust_domain = 'prod.example'\n{text}");
    let policy = Policy::from_toml(&text).unwrap_or_else(|error| panic!("{error}"));
    (*policy.document().limits[0].limit).clone()
}

fn peer(name: &str) -> Principal {
    Principal::Peer(format!("spiffe://prod.example/{name}"))
}

#[test]
fn rule_64_each_has_its_own_and_what_was_spent_comes_back_with_time() {
    let (millis, clock) = clock();
    let limit = limit("[limits.a]\nrequests = 2\nper = 10\n");
    assert_eq!(limit.by, LimitBy::Peer);
    let counts = Counts::new(&limit, &clock, None);
    let ask = |who: &str| counts.spend(&peer(who), limit.each).map(|left| left.left);
    assert_eq!((ask("a"), ask("a")), (Ok(1), Ok(0)));
    let over = ask("a").expect_err("over");
    assert_eq!(
        (over.whose, over.wait),
        (Whose::Own, Duration::from_secs(5))
    );
    assert_eq!(ask("b"), Ok(1));
    millis.fetch_add(4_999, Ordering::SeqCst);
    assert!(ask("a").is_err());
    millis.fetch_add(1, Ordering::SeqCst);
    assert_eq!(ask("a"), Ok(0));
    // Asking in vain costs nothing, and a clock that was set back brings nothing.
    for _ in 0..10 {
        assert!(ask("a").is_err());
    }
    millis.fetch_sub(60_000, Ordering::SeqCst);
    assert!(ask("a").is_err());
    millis.fetch_add(1_000_000, Ordering::SeqCst);
    assert_eq!((ask("a"), ask("a")), (Ok(1), Ok(0)));
    assert!(ask("a").is_err());
}

#[test]
fn rule_64_who_is_over_its_own_limit_spends_nothing_of_the_total() {
    let (_, clock) = clock();
    let limit = limit("[limits.a]\nrequests = 2\nper = 10\ntotal = { requests = 5, per = 10 }\n");
    let counts = Counts::new(&limit, &clock, None);
    let ask = |who: &str| {
        counts
            .spend(&peer(who), limit.each)
            .map_err(|over| over.whose)
    };
    for _ in 0..100 {
        let _ = ask("greedy");
    }
    assert_eq!(ask("greedy"), Err(Whose::Own));
    assert!(ask("a").is_ok() && ask("a").is_ok() && ask("b").is_ok());
    assert_eq!(ask("b"), Err(Whose::All));
}

#[test]
fn rule_64_who_finds_the_total_spent_spends_nothing_of_its_own() {
    let (millis, clock) = clock();
    let limit = limit(
        "[limits.a]\nrequests = 2\nper = 3600\ntotal = { requests = 1, per = 10 }\n\
         [limits.a.overrides.o]\nrequests = 2\nper = 3600\n\
         [workloads.o]\nid = 'spiffe://prod.example/o'\n",
    );
    let counts = Counts::new(&limit, &clock, None);
    let ask = |who: &Principal| {
        counts
            .spend(who, limit.each)
            .map(|left| left.left)
            .map_err(|over| over.whose)
    };
    for who in [peer("b"), Principal::Workload("o".to_owned())] {
        assert_eq!(ask(&peer(&format!("before {who:?}"))), Ok(1));
        for _ in 0..5 {
            assert_eq!(ask(&who), Err(Whose::All));
        }
        // Each of its two is there, once the total is.
        for left in [1, 0] {
            millis.fetch_add(10_000, Ordering::SeqCst);
            assert_eq!(ask(&who), Ok(left), "{who:?}");
        }
        millis.fetch_add(10_000, Ordering::SeqCst);
        assert_eq!(ask(&who), Err(Whose::Own));
    }
}

#[test]
fn after_a_reload_those_counts_stay_whose_rate_is_the_same() {
    let (_, clock) = clock();
    let old = limit("[limits.a]\nrequests = 1\nper = 10\ntotal = { requests = 3, per = 10 }\n");
    let spend = |counts: &Counts, who: &str| {
        counts
            .spend(&peer(who), counts.limit.each)
            .map_err(|over| over.whose)
    };
    let counts = Counts::new(&old, &clock, None);
    assert!(spend(&counts, "a").is_ok());
    let other = limit("[limits.a]\nrequests = 1\nper = 10\ntotal = { requests = 4, per = 10 }\n");
    let counts = Counts::new(&other, &clock, Some(&counts));
    assert_eq!(spend(&counts, "a"), Err(Whose::Own));
    let other = limit("[limits.a]\nrequests = 2\nper = 10\ntotal = { requests = 4, per = 10 }\n");
    let counts = Counts::new(&other, &clock, Some(&counts));
    assert!(spend(&counts, "a").is_ok(), "another rate is another count");
}

#[test]
fn t34_the_memory_is_bounded_and_nobody_is_forgotten_into_a_full_bucket() {
    let (_, clock) = clock();
    let limit = limit("[limits.a]\nrequests = 3\nper = 3600\n");
    let counts = Counts::new(&limit, &clock, None);
    let ask = |who: &str| counts.spend(&peer(who), limit.each).is_ok();
    assert!(ask("greedy") && ask("greedy") && ask("greedy") && !ask("greedy"));
    // Each of the flood spends as much as it can, so that whoever is forgotten may be anybody.
    for one in 0..2 * MOST {
        let who = one.to_string();
        while ask(&who) {}
    }
    assert!(!ask("greedy"));
    let shards = &counts.each.shards.0;
    let known = shards
        .iter()
        .map(|shard| shard.lock().expect("lock").known.len());
    let known: Vec<_> = known.collect();
    assert!(known.iter().all(|known| *known <= SHARD), "{known:?}");
}

#[test]
fn no_rate_that_a_document_can_say_is_too_much_to_count() {
    let (_, clock) = clock();
    let most = u32::MAX;
    for (requests, per, burst) in [
        (1, 86_400, most),
        (most, 1, most),
        (most, 86_400, 1),
        (1, 1, 1),
    ] {
        let limit = limit(&format!(
            "[limits.a]\nrequests = {requests}\nper = {per}\nburst = {burst}\n"
        ));
        let counts = Counts::new(&limit, &clock, None);
        assert!(
            counts.spend(&peer("a"), limit.each).is_ok(),
            "{requests} {per} {burst}"
        );
    }
}
