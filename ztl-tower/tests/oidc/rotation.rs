//! Keys change while requests run.

use std::sync::atomic::AtomicBool;

use super::*;

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
