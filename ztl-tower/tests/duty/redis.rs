//! Limits in a Redis that replicas share.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use ztl_tower::{Away, RedisLimits};

const SLOW: &str =
    "[limits.slow]\nrequests = 3\nper = \"1h\"\ntotal = { requests = 4, per = \"1h\" }\n";

/// A server of this test alone, on a socket of the file system.
struct Server(Child, PathBuf);

impl Server {
    async fn start() -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("ztl-redis-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        let socket = folder.join("s");
        let child = Command::new("redis-server")
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--appendonly",
                "no",
                "--unixsocket",
            ])
            .arg(&socket)
            .current_dir(&folder)
            .stdout(Stdio::null())
            .spawn();
        let server = Self(child.ok()?, folder);
        support::until("redis listens", || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        })
        .await;
        Some(server)
    }

    fn url(&self) -> String {
        format!("redis+unix://{}", self.1.join("s").display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = std::fs::remove_dir_all(&self.1);
    }
}

async fn replica(redis: RedisLimits) -> Running {
    let policy = policy("limit = \"slow\"", SLOW);
    Running::with(&policy, |builder| builder.shared_limits(redis)).await
}

async fn status(run: &Running, who: &str) -> u16 {
    let who = format!("spiffe://prod.example/{who}");
    let asked = run
        .ask(Who::Peer(&who), request("GET", &[], Body::empty()))
        .await;
    asked.status().as_u16()
}

#[tokio::test]
async fn rule_64_replicas_share_one_limit_and_t36_without_redis_nothing_is_unlimited() {
    let Some(server) = Server::start().await else {
        println!("skipped: no redis-server on the PATH");
        return;
    };
    let redis = RedisLimits::new(&server.url()).timeout(Duration::from_secs(5));
    let (one, two) = (replica(redis.clone()).await, replica(redis.clone()).await);
    let first = one.get().await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(field(&first, "ratelimit"), "\"caller\";r=2;t=1200");
    assert_eq!(
        [status(&two, "caller").await, status(&one, "caller").await],
        [200, 200]
    );
    let refused = two.get().await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = field(&refused, "retry-after").parse().expect("seconds");
    assert!((1190..=1200).contains(&wait), "{wait}");
    assert_eq!(two.last_reason(), "limit_exceeded");
    // What was refused spent nothing of the total, of which one is left.
    assert_eq!(
        [status(&two, "batch").await, status(&one, "batch").await],
        [200, 429]
    );
    // Another prefix is another service.
    let other = replica(redis.clone().prefix("other")).await;
    assert_eq!(status(&other, "caller").await, 200);
    // Away: one share of three of three at once, and for whom it is said nothing at all.
    let replicas = NonZeroU32::new(3).expect("three");
    let local = replica(redis.clone().away(Away::Local { replicas })).await;
    drop(server);
    assert_eq!(
        [
            status(&local, "caller").await,
            status(&local, "caller").await
        ],
        [200, 429]
    );
    let refused = one.get().await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(field(&refused, "retry-after"), "1");
    assert_eq!(one.last_reason(), "limit_exceeded");
}

#[tokio::test]
async fn t36_a_server_that_says_nothing_or_nonsense_costs_its_timeout_once() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    for answer in [
        None,
        Some(&b"-ERR no\r\n"[..]),
        Some(b"$5\r\nhello\r\n"),
        Some(b"\xff\xff\xff\xff"),
    ] {
        let (listener, address) = support::listener().await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut asked = [0; 4096];
                    while stream.read(&mut asked).await.is_ok_and(|read| read > 0) {
                        if let Some(answer) = answer {
                            let _ = stream.write_all(answer).await;
                        }
                    }
                });
            }
        });
        let redis =
            RedisLimits::new(&format!("redis://{address}")).timeout(Duration::from_millis(200));
        let run = replica(redis).await;
        let began = Instant::now();
        for _ in 0..20 {
            assert_eq!(status(&run, "caller").await, 503, "{answer:?}");
        }
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{answer:?} {:?}",
            began.elapsed()
        );
        assert_eq!(run.calls(), 0);
    }
}

#[tokio::test]
async fn a_url_that_cannot_be_read_builds_no_guard_and_is_not_shown() {
    let mesh = Mesh::new(&policy("limit = \"slow\"", SLOW));
    let redis = RedisLimits::new("redis://user:secret@:x:y");
    let shown = format!("{redis:?}");
    let builder = mesh.builder("gateway", "/gateway", &Arc::new(MemorySink::new(1)));
    let error = builder
        .shared_limits(redis)
        .build()
        .await
        .expect_err("refused");
    assert!(error.to_string().contains("redis://host:port"), "{error}");
    assert!(!format!("{error:?}{shown}").contains("secret"));
}
