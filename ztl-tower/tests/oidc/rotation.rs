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

    let current = Arc::new(std::sync::Mutex::new(token(&signing)));
    let (over, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (service, current) = (Arc::clone(&service), Arc::clone(&current));
            let (over, asked) = (Arc::clone(&over), Arc::clone(&asked));
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let token = current.lock().expect("token").clone();
                    assert_eq!(service.ask(&token).await, StatusCode::OK);
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for _ in 0..5 {
        // As every issuer does: the new key is published before it signs, the old one until nothing that it signed is used.
        let next = Arc::new(idp.issuer());
        idp.publish(&[&signing, &next]);
        service.guard.refresh_keys("corp").await.expect("both");
        *current.lock().expect("token") = token(&next);
        let seen = asked.load(Ordering::SeqCst);
        // Whoever took the old token has asked by then: four at once do.
        support::until("requests", || asked.load(Ordering::SeqCst) >= seen + 8).await;
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
