//! Keys change while requests run.

use std::sync::atomic::AtomicBool;

use super::*;

/// So many at once.
const MANY: usize = 16;

/// On one thread, so that all of them ask before an answer can come.
#[tokio::test]
async fn t34_those_who_refresh_at_once_share_a_fetch_that_began_after_each_asked() {
    let idp = Idp::start().await;
    let (old, new) = (idp.issuer(), idp.issuer());
    idp.publish(&[&old]);
    let service = Arc::new(Service::start(&idp.iss, idp.keys()).await);
    service.guard.refresh_keys("corp").await.expect("keys");
    let at_once = async || {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..MANY {
            let service = Arc::clone(&service);
            tasks.spawn(async move {
                let refreshed = service.guard.refresh_keys("corp").await;
                refreshed.map_err(|error| support::chain(&error))
            });
        }
        tasks.join_all().await
    };

    // One that is under way read what was there before: nobody who asks from here on has to do with that.
    idp.provider.at("/keys", Reply::Silent);
    let before = idp.provider.fetches();
    let slow = Arc::clone(&service);
    let slow = tokio::spawn(async move { slow.guard.refresh_keys("corp").await });
    support::until("it is under way", || idp.provider.fetches() == before + 1).await;
    idp.publish(&[&new]);
    let waiting = Arc::clone(&service);
    let waiting = tokio::spawn(async move { waiting.guard.refresh_keys("corp").await });
    slow.abort();
    waiting.await.expect("task").expect("keys");
    assert_eq!(service.ask(&token(&new)).await, StatusCode::OK);
    assert_eq!(service.ask(&token(&old)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(idp.provider.fetches(), before + 2);

    // The first of them fetches, and who asked meanwhile has the next.
    for _ in 0..4 {
        let before = idp.provider.fetches();
        let came_to = at_once().await;
        assert!(came_to.iter().all(Result::is_ok), "{came_to:?}");
        let fetches = idp.provider.fetches() - before;
        assert!((1..=3).contains(&fetches), "{fetches}");
    }
    idp.provider.at(
        "/keys",
        Reply::Raw("HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n".to_owned()),
    );
    let before = idp.provider.fetches();
    let came_to = at_once().await;
    for failed in came_to {
        let failed = failed.expect_err("no keys");
        assert!(failed.contains("answered 503"), "{failed}");
    }
    let fetches = idp.provider.fetches() - before;
    assert!(
        (1..=3).contains(&fetches),
        "a failure is shared too: {fetches}"
    );
    assert_eq!(service.guard.token_keys("corp"), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_under_load_fails_no_request() {
    let idp = Idp::start().await;
    let mut signing = Arc::new(idp.issuer());
    idp.publish(&[&signing]);
    let service = Arc::new(Service::start(&idp.iss, idp.keys()).await);
    service.guard.refresh_keys("corp").await.expect("keys");

    // The token in use and its number, and the number that each task asks with.
    let current = Arc::new(std::sync::Mutex::new((0_u64, token(&signing))));
    let uses: Arc<[AtomicU64; 4]> = Arc::default();
    let over = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..uses.len())
        .map(|task| {
            let (service, current) = (Arc::clone(&service), Arc::clone(&current));
            let (over, uses) = (Arc::clone(&over), Arc::clone(&uses));
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let (number, token) = current.lock().expect("token").clone();
                    uses[task].store(number, Ordering::SeqCst);
                    assert_eq!(service.ask(&token).await, StatusCode::OK);
                }
            })
        })
        .collect();
    for number in 1..=5 {
        // As every issuer does: the new key is published before it signs, the old one until nothing that it signed is used.
        let next = Arc::new(idp.issuer());
        idp.publish(&[&signing, &next]);
        service.guard.refresh_keys("corp").await.expect("both");
        *current.lock().expect("token") = (number, token(&next));
        support::until("the new token is in use", || {
            uses.iter()
                .all(|used| used.load(Ordering::SeqCst) == number)
        })
        .await;
        idp.publish(&[&next]);
        service
            .guard
            .refresh_keys("corp")
            .await
            .expect("the new one");
        assert_eq!(
            service.ask(&token(&signing)).await,
            StatusCode::UNAUTHORIZED
        );
        signing = next;
    }
    over.store(true, Ordering::SeqCst);
    for task in load {
        task.await.expect("no request failed");
    }
}
