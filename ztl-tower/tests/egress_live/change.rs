//! What changes while an egress connection is made or open (T5, T21, law 8).

use super::*;

/// A guard whose clock does something once, when it is first read after the target took the connection: that is within the
/// handshake, when the target's chain is proved and its flow not yet permitted. Nothing else reads it then.
async fn with_a_change_in_the_handshake(
    mesh: &Mesh,
    target: &Target,
    change: impl Fn(&Guard) + Send + Sync + 'static,
) -> Guard {
    let (slot, reads) = (Arc::new(OnceLock::<Guard>::new()), AtomicUsize::new(0));
    let (inner, taken) = (Arc::clone(&slot), target.clone());
    let clock = move || {
        if let Some(guard) = inner.get()
            && taken.opened() > 0
            && reads.fetch_add(1, Ordering::SeqCst) == 0
        {
            change(guard);
        }
        now()
    };
    let guard = caller(mesh, target, &Arc::new(MemorySink::new(100)))
        .clock(clock)
        .reload_every(PATIENCE)
        .build()
        .await
        .expect("guard");
    slot.set(guard.clone()).expect("once");
    guard
}

#[tokio::test]
async fn t5_a_proof_whose_ground_changed_within_the_handshake_is_none() {
    let mesh = Mesh::new(POLICY);
    let mut between = 0;
    for withdrawn_only in [false, false, false, false, true] {
        let target = Target::start(&mesh, "/db", b"h2").await;
        let other = Mesh::new(POLICY).authority.bundle();
        let guard = with_a_change_in_the_handshake(&mesh, &target, move |guard| {
            if withdrawn_only {
                guard.engine().withdraw_flows();
            } else {
                guard.swap_bundles(BundleSet::new([other.clone()]).expect("set"));
            }
        })
        .await;
        let first = ask(&guard, get("/v1/x")).await;
        if withdrawn_only {
            // Proved again at once, and still good.
            assert_eq!(first.expect("response"), StatusCode::OK);
        } else {
            let error = first.expect_err("refused");
            // The sweep reads the clock as well: then the change comes before the proof.
            let EgressError::Unproven { why, .. } = &error else {
                panic!("{error}");
            };
            between += usize::from(why.contains("changed during the handshake"));
            assert!(target.got.lock().expect("lock").is_empty());
        }
        let again = ask(&guard, get("/v1/x")).await;
        assert_eq!(
            again.is_ok(),
            withdrawn_only,
            "nothing of the first proof is left"
        );
    }
    assert!(between > 0, "the change never came within the handshake");
}

#[tokio::test]
async fn t21_the_name_is_compared_under_the_policy_that_permits() {
    let mesh = Mesh::new(POLICY);
    let target = Target::start(&mesh, "/db", b"h2").await;
    let guard = with_a_change_in_the_handshake(&mesh, &target, |guard| {
        guard.swap_policy(renamed()).expect("swap");
    })
    .await;
    let error = ask(&guard, get("/v1/x")).await.expect_err("refused");
    assert!(
        matches!(&error, EgressError::Unproven { why, .. } if why.contains("`spiffe://prod.example/db`")),
        "{error}"
    );
    assert!(target.got.lock().expect("lock").is_empty());
}

#[tokio::test]
async fn t21_a_kept_connection_is_not_given_to_a_name_that_means_somebody_else() {
    for alpn in [&b"h2"[..], b"http/1.1"] {
        let mesh = Mesh::new(POLICY);
        let target = Target::start(&mesh, "/db", alpn).await;
        let audit = Arc::new(MemorySink::new(100));
        let guard = caller(&mesh, &target, &audit).build().await.expect("guard");
        assert_eq!(ask(&guard, get("/v1/x")).await.expect("db"), StatusCode::OK);
        // Whoever answers there is still permitted, but as `old-db`.
        guard.swap_policy(renamed()).expect("swap");
        let error = ask(&guard, get("/v1/x")).await.expect_err("refused");
        assert!(matches!(error, EgressError::Unproven { .. }), "{error}");
        assert_eq!(target.got.lock().expect("lock").len(), 1);
        until("the first connection is closed", || target.closed() >= 1).await;
        guard.swap_policy(mesh.load()).expect("swap back");
        assert_eq!(ask(&guard, get("/v1/x")).await.expect("db"), StatusCode::OK);
    }
}

/// Something that takes a flow away from under a running response.
type Change = fn(&Guard, &AtomicU64);

const CHANGES: [(&str, Change); 6] = [
    ("a policy", |guard, _| {
        guard.swap_policy(nothing()).expect("swap");
    }),
    ("another name", |guard, _| {
        guard.swap_policy(renamed()).expect("swap");
    }),
    ("bundles", |guard, _| {
        let other = Mesh::new(POLICY).authority.bundle();
        guard.swap_bundles(BundleSet::new([other]).expect("set"));
    }),
    ("a denied id", |guard, _| {
        let id = ztl_core::SpiffeId::parse("spiffe://prod.example/db").expect("id");
        guard.deny(ztl_mtls::Denied::Id(id));
    }),
    // Nobody is told of these; the sweep finds them.
    ("the engine's policy", |guard, _| {
        guard.engine().swap_policy(nothing()).expect("swap");
    }),
    ("the end of the target's SVID", |_, clock| {
        clock.fetch_add(3_601_000, Ordering::SeqCst);
    }),
];

#[tokio::test]
async fn law_8_a_running_response_and_an_idle_connection_end_with_their_flow() {
    for alpn in [&b"h2"[..], b"http/1.1"] {
        for (what, change) in CHANGES {
            let mesh = Mesh::new(POLICY);
            let running = Target::start(&mesh, "/db", alpn).await;
            let idle = Target::start(&mesh, "/db", alpn).await;
            let clock = Arc::new(AtomicU64::new(now().as_unix_millis()));
            let guard = |target: &Target| {
                let clock = Arc::clone(&clock);
                caller(&mesh, target, &Arc::new(MemorySink::new(100)))
                    .clock(move || Timestamp::from_unix_millis(clock.load(Ordering::SeqCst)))
                    .build()
            };
            let (one, two) = (
                guard(&running).await.expect("guard"),
                guard(&idle).await.expect("guard"),
            );
            let response = one.client().request(get("/v1/endless")).await;
            let mut body = response.expect("response").into_body();
            let first = body.frame().await.expect("a frame").expect("frame");
            assert_eq!(first.into_data().expect("data"), "tick");
            ask(&two, get("/v1/x")).await.expect("response");
            assert_eq!((running.closed(), idle.closed()), (0, 0), "{what}");

            change(&one, &clock);
            change(&two, &AtomicU64::new(0));
            let end = tokio::time::timeout(PATIENCE, body.frame()).await;
            let end = end.unwrap_or_else(|_| panic!("{what}: the response runs on"));
            assert!(!matches!(end, Some(Ok(_))), "{what}");
            until(what, || (running.closed(), idle.closed()) == (1, 1)).await;
        }
    }
}

#[tokio::test]
async fn a_change_that_leaves_the_flow_leaves_the_connection() {
    for alpn in [&b"h2"[..], b"http/1.1"] {
        let mesh = Mesh::new(POLICY);
        let target = Target::start(&mesh, "/db", alpn).await;
        let audit = Arc::new(MemorySink::new(100));
        let guard = caller(&mesh, &target, &audit).build().await.expect("guard");
        for _ in 0..3 {
            ask(&guard, get("/v1/x")).await.expect("response");
            guard.swap_policy(mesh.load()).expect("swap");
        }
        assert_eq!((target.opened(), target.closed()), (1, 0));
    }
}
