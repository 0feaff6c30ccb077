//! The protocol, step by step, on a clock of the tests.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::{SigningAlgorithm, Verification, VerificationKey};
use super::*;

const START: Timestamp = Timestamp::from_unix_secs(1_790_000_000);

fn later(secs: u64) -> Timestamp {
    START.saturating_add(Duration::from_secs(secs))
}

/// A bundle of this revision.
fn bundle(revision: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, text) in [
        (".manifest", format!("{{\"revision\":\"{revision}\"}}")),
        ("data.json", "{}".to_owned()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len()).expect("length"));
        header.set_mode(0o600);
        archive
            .append_data(&mut header, path, text.as_bytes())
            .expect("file");
    }
    let mut stream = archive.into_inner().expect("archive");
    stream.flush().expect("stream");
    stream.finish().expect("stream")
}

fn pull() -> BundlePull {
    BundlePull::new("https://bundles.example/a", BundleReader::unsigned())
        .expect("pull")
        .seed(1)
}

fn fetched(pull: &mut BundlePull, now: Timestamp) -> PullFetch {
    match pull.due(now) {
        PullDue::Fetch(fetch) => fetch,
        other => panic!("{other:?}"),
    }
}

fn answer<'a>(body: &'a [u8], etag: Option<&'a str>) -> PullAnswer<'a> {
    PullAnswer {
        status: 200,
        etag,
        content_type: Some("application/gzip"),
        body,
    }
}

const UNCHANGED: PullAnswer<'_> = PullAnswer {
    status: 304,
    etag: None,
    content_type: None,
    body: b"",
};

/// Takes a bundle and puts it in force.
fn take(
    pull: &mut BundlePull,
    now: Timestamp,
    revision: &str,
    etag: &str,
) -> Result<(), PullError> {
    let Pulled::Bundle(_) = pull.receive(answer(&bundle(revision), Some(etag)), now)? else {
        panic!("unchanged")
    };
    pull.in_force(now);
    Ok(())
}

/// How long from `now` nothing is due.
fn wait(pull: &mut BundlePull, now: Timestamp) -> Duration {
    match pull.due(now) {
        PullDue::At(at) => at.since(now),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_etag_of_the_bundle_in_force_is_sent_back() {
    let mut pull = pull();
    let first = fetched(&mut pull, START);
    assert_eq!((first.if_none_match(), first.authorization()), (None, None));
    assert!(matches!(
        pull.receive(UNCHANGED, START),
        Err(PullError::NothingToKeep)
    ));
    take(&mut pull, START, "1", "\"one\"").expect("bundle");
    let second = fetched(&mut pull, later(120));
    assert_eq!(second.if_none_match(), Some("\"one\""));
    assert!(matches!(
        pull.receive(UNCHANGED, later(120)),
        Ok(Pulled::Unchanged)
    ));
    assert_eq!(pull.fetched_at(), Some(later(120)));
    // What no request can carry is not kept.
    let news = pull.receive(answer(&bundle("2"), Some("a\u{7f}")), later(130));
    assert!(matches!(news, Ok(Pulled::Bundle(_))));
    pull.in_force(later(130));
    assert_eq!(fetched(&mut pull, later(300)).if_none_match(), None);
}

#[test]
fn rule57_what_was_not_put_in_force_leaves_no_trace() {
    let mut pull = pull();
    let _ = fetched(&mut pull, START);
    take(&mut pull, START, "1", "one").expect("bundle");
    let news = pull.receive(answer(&bundle("9"), Some("nine")), later(120));
    assert!(matches!(news, Ok(Pulled::Bundle(_))));
    pull.failed(later(120));
    pull.in_force(later(121));
    assert_eq!(pull.mark().map(RevisionMark::revision), Some("1"));
    assert_eq!(pull.fetched_at(), Some(START));
    let again = fetched(&mut pull, later(130));
    assert_eq!(again.if_none_match(), Some("one"));
    take(&mut pull, later(130), "2", "two").expect("no way back from 9 was taken");
}

#[test]
fn rule57_a_revision_that_goes_back_is_refused_after_a_restart_too() {
    let mut before = pull();
    let _ = fetched(&mut before, START);
    take(&mut before, START, "7", "seven").expect("bundle");
    let back = take(&mut before, later(120), "6", "six");
    assert!(matches!(back, Err(PullError::Revision(_))));
    let stored = before.mark().expect("mark").to_json();

    let mark = RevisionMark::from_json(stored.as_bytes()).expect("mark");
    let mut pull = pull().with_mark(mark);
    let _ = fetched(&mut pull, later(200));
    assert!(take(&mut pull, later(200), "6", "six").is_err());
    assert_eq!(pull.fetched_at(), None);
    take(&mut pull, later(210), "7", "seven").expect("the same again");
}

#[test]
fn failures_wait_longer_each_time_and_one_success_ends_that() {
    let mut pull = pull();
    let (mut now, mut waits) = (START, Vec::new());
    for _ in 0..12 {
        let _ = fetched(&mut pull, now);
        pull.failed(now);
        let span = wait(&mut pull, now);
        waits.push(span);
        now = now.saturating_add(span);
    }
    let most = Duration::from_secs(120);
    assert!(waits.iter().all(|it| *it <= most && *it >= COOL_DOWN));
    assert!(waits.last() >= Some(&(most / 2)), "{waits:?}");
    let _ = fetched(&mut pull, now);
    take(&mut pull, now, "1", "one").expect("bundle");
    assert!(wait(&mut pull, now) >= DEFAULT_MIN_DELAY);
    let next = now.saturating_add(most);
    let _ = fetched(&mut pull, next);
    pull.failed(next);
    assert!(wait(&mut pull, next) <= Duration::from_secs(1));
}

#[test]
fn long_polling_is_asked_for_where_the_server_says_that_it_knows_it() {
    let mut pull = pull().long_polling(Duration::from_millis(30_900));
    // The first answer is wanted at once.
    assert_eq!(fetched(&mut pull, START).prefer(), "modes=snapshot");
    let body = bundle("1");
    let polls = |etag| PullAnswer {
        content_type: Some("application/vnd.openpolicyagent.bundles; x=y"),
        ..answer(&body, etag)
    };
    let _ = pull.receive(polls(Some("one")), START).expect("bundle");
    pull.in_force(START);
    // By time alone: not within the same second.
    assert_eq!(wait(&mut pull, START), COOL_DOWN);
    let second = fetched(&mut pull, later(1));
    assert_eq!(second.prefer(), "modes=snapshot;wait=30");
    assert_eq!(second.wait(), Duration::from_secs(30));
    let _ = pull.receive(UNCHANGED, later(31)).expect("unchanged");
    let third = fetched(&mut pull, later(31));
    assert_eq!(third.wait(), Duration::from_secs(30));
    // Another server took its place, which knows nothing of it.
    take(&mut pull, later(40), "2", "two").expect("bundle");
    assert!(wait(&mut pull, later(40)) >= DEFAULT_MIN_DELAY);
    assert_eq!(fetched(&mut pull, later(160)).wait(), Duration::ZERO);
}

#[test]
fn law_1_a_bundle_counts_for_its_time_and_no_longer() {
    let mut pull = pull().max_age(Duration::from_secs(600));
    let _ = fetched(&mut pull, START);
    take(&mut pull, START, "1", "one").expect("bundle");
    assert_eq!(pull.ends_at(), Some(later(600)));
    for secs in [130, 300, 450, 599] {
        if let PullDue::Fetch(_) = pull.due(later(secs)) {
            pull.failed(later(secs));
        }
        assert_eq!(pull.fetched_at(), Some(START));
    }
    assert!(matches!(pull.due(later(600)), PullDue::Withdraw));
    assert_eq!(pull.fetched_at(), None);
    // Said once, and what is asked for then is a whole bundle.
    let mut now = later(600);
    let fetch = loop {
        match pull.due(now) {
            PullDue::Fetch(fetch) => break fetch,
            PullDue::At(at) => now = at,
            PullDue::Withdraw => panic!("twice"),
        }
    };
    assert_eq!(fetch.if_none_match(), None);
    assert!(pull.receive(UNCHANGED, now).is_err());
    take(&mut pull, now, "1", "one").expect("bundle");
}

#[test]
fn law_1_what_was_withdrawn_is_asked_for_again_whole_and_never_goes_back() {
    let mut pull = pull();
    let _ = fetched(&mut pull, START);
    take(&mut pull, START, "5", "five").expect("bundle");
    let news = pull.receive(answer(&bundle("6"), Some("six")), later(120));
    assert!(matches!(news, Ok(Pulled::Bundle(_))));
    pull.withdrawn(later(120));
    assert_eq!((pull.fetched_at(), pull.ends_at()), (None, None));
    // What was offered before counts no more.
    pull.in_force(later(120));
    assert_eq!(pull.mark().map(RevisionMark::revision), Some("5"));
    assert!(wait(&mut pull, later(120)) <= Duration::from_secs(1));
    // Whole, and nothing is there that could be unchanged.
    assert_eq!(fetched(&mut pull, later(121)).if_none_match(), None);
    assert!(pull.receive(UNCHANGED, later(121)).is_err());
    assert!(take(&mut pull, later(122), "4", "four").is_err());
    take(&mut pull, later(123), "5", "five").expect("what was in force");
    assert_eq!(pull.fetched_at(), Some(later(123)));
}

#[test]
fn t24_plain_http_only_for_what_is_signed_or_from_here() {
    let secret = VerificationKey::from_secret(SigningAlgorithm::Hs256, &[7; 32]).expect("key");
    let signed = BundleReader::verified(Verification::new(secret));
    let url = "http://bundles.example/a";
    let refused = BundlePull::new(url, BundleReader::unsigned()).expect_err("plain");
    assert!(
        refused.to_string().contains("verification key"),
        "{refused}"
    );
    let plain = BundlePull::new(url, signed).expect("signed");
    let refused = plain
        .bearer_token("abc")
        .expect_err("for everybody to read");
    assert_eq!(refused, PullError::TokenInClear);
    for url in ["http://127.0.0.1:8181/a", "https://bundles.example/a"] {
        let pull = BundlePull::new(url, BundleReader::unsigned()).expect(url);
        let mut pull = pull.bearer_token("a.b-c==").expect(url);
        let fetch = fetched(&mut pull, START);
        assert_eq!(fetch.authorization(), Some("Bearer a.b-c=="));
        assert!(!format!("{pull:?}{fetch:?}").contains("a.b-c"));
    }
    for token in ["", "=", "a b", "a\r\nx: y", "ä"] {
        assert_eq!(pull().bearer_token(token).err(), Some(PullError::Token));
    }
    for url in ["https://u@a.test/", "http://localhost/a", "ftp://a.test/"] {
        assert!(
            BundlePull::new(url, BundleReader::unsigned()).is_err(),
            "{url}"
        );
    }
}

#[test]
fn rule57_no_other_answer_is_taken() {
    let mut pull = pull();
    let _ = fetched(&mut pull, START);
    let body = bundle("1");
    for status in [
        100, 201, 204, 206, 301, 302, 307, 308, 401, 403, 404, 500, 503,
    ] {
        let answer = PullAnswer {
            status,
            ..answer(&body, None)
        };
        let refused = pull.receive(answer, START).expect_err("refused");
        assert_eq!(refused, PullError::Status(status));
    }
    assert!(pull.receive(answer(b"", None), START).is_err());
    assert_eq!((pull.fetched_at(), pull.mark()), (None, None));
}
