//! What changes under a running service.

use super::*;

#[tokio::test]
async fn files_are_read_again_and_a_bad_one_changes_nothing() {
    let folder = std::env::temp_dir().join(format!(
        "ztl-tower-{}-{}",
        std::process::id(),
        now().as_unix_millis()
    ));
    std::fs::create_dir_all(&folder).expect("folder");
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port(), 1).replace(
        "name = \"users-ask\"",
        "name = \"users-ask\"\nmode = \"off\"",
    ));
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        // As operators do it: beside the old one, then in its place.
        let new = folder.join(format!("{name}.new"));
        std::fs::write(&new, text).expect("write");
        #[cfg(unix)]
        std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("mode");
        std::fs::rename(&new, &path).expect("rename");
        path
    };
    let issued = mesh
        .authority
        .issue(
            &support::id("/gateway"),
            now(),
            Duration::from_secs(3600),
            &ztl_mtls::provider(),
        )
        .expect("svid");
    let (certificate, key) = (
        write("svid.pem", &issued.cert_pem),
        write("svid.key", &issued.key_pem),
    );
    let bundle = write("bundle.pem", mesh.authority.bundle_pem());
    let document = write("policy.toml", &mesh.policy);
    let guard = Guard::builder("gateway")
        .policy_file(&document)
        .identity_files(&certificate, &key)
        .bundle_file("prod.example", &bundle)
        .allow_dev_authority()
        .audit(MemorySink::new(10))
        .reload_every(Duration::from_millis(10))
        .build()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    serve(&guard, listener, Marker::default().app());
    let svid = mesh.svid("/caller");
    let ask = async |path: &str| {
        knock(address, None, Some(&svid), b"h2", get2(path))
            .await
            .map(|response| response.status().as_u16())
    };
    assert_eq!(ask("/v1/x").await, Ok(200));
    assert_eq!(ask("/v2/x").await, Ok(403));
    // Another document.
    let revision = guard.engine().policy().revision();
    write(
        "policy.toml",
        &mesh.policy.replace("/v1/{*rest}", "/v2/{*rest}"),
    );
    until("the new policy", || {
        guard.engine().policy().revision() != revision
    })
    .await;
    assert_eq!((ask("/v1/x").await, ask("/v2/x").await), (Ok(403), Ok(200)));
    // A bad one, an unreadable one, one that others may write: the last good one stays.
    let good = guard.engine().policy().revision();
    for bad in ["schema = 1\nunknown = 2\n", "", "\u{0}"] {
        write("policy.toml", bad);
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(guard.engine().policy().revision(), good);
    }
    std::fs::remove_file(&document).expect("remove");
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(
        (ask("/v2/x").await, guard.engine().policy().revision()),
        (Ok(200), good)
    );
    // T6: others may write it.
    #[cfg(unix)]
    {
        write("policy.toml", &mesh.policy);
        std::fs::set_permissions(
            &document,
            std::os::unix::fs::PermissionsExt::from_mode(0o666),
        )
        .expect("mode");
        // The change was renamed into place with mode 0600 and may have been taken by then.
        tokio::time::sleep(Duration::from_millis(60)).await;
        let settled = guard.engine().policy().revision();
        std::fs::write(&document, mesh.policy.replace("/v1/{*rest}", "/v3/{*rest}"))
            .expect("write");
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(guard.engine().policy().revision(), settled);
    }
    // Another authority: what the old one proved is over, what the new one proves is good.
    let other = Mesh::new(&mesh.policy);
    write("bundle.pem", other.authority.bundle_pem());
    let theirs = other.svid("/caller");
    let deadline = tokio::time::Instant::now() + support::PATIENCE;
    while knock(address, None, Some(&theirs), b"h2", get2("/v1/x"))
        .await
        .is_err()
    {
        assert!(tokio::time::Instant::now() < deadline, "the new bundle");
    }
    assert!(ask("/v1/x").await.is_err());
    std::fs::remove_dir_all(&folder).expect("remove");
}

#[tokio::test]
async fn a_certificate_and_a_key_that_do_not_belong_together_are_refused_by_name() {
    let mesh = Mesh::new(&policy(1, 2));
    let issue = |path: &str| {
        mesh.authority
            .issue(
                &support::id(path),
                now(),
                Duration::from_secs(60),
                &ztl_mtls::provider(),
            )
            .expect("svid")
    };
    let error = ztl_mtls::X509Svid::from_pem(
        issue("/gateway").cert_pem.as_bytes(),
        issue("/caller").key_pem.as_bytes(),
        &ztl_mtls::provider(),
    )
    .expect_err("refused");
    let text = support::chain(&error);
    assert!(text.contains("spiffe://prod.example/gateway"), "{text}");
}

#[tokio::test]
async fn t23_an_open_connection_ends_when_its_proof_expires() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let ((listener, address), start) = (
        listener_at("127.0.0.1".parse().expect("address")).await,
        now(),
    );
    let mesh = Mesh::new(&policy(address.port(), 1).replace(
        "name = \"users-ask\"",
        "name = \"users-ask\"\nmode = \"off\"",
    ));
    let clock = Arc::new(AtomicU64::new(start.as_unix_millis()));
    let audit = Arc::new(MemorySink::new(10));
    let guard = {
        let clock = Arc::clone(&clock);
        let read = move || ztl_core::Timestamp::from_unix_millis(clock.load(Ordering::SeqCst));
        mesh.builder("gateway", "/gateway", &audit)
            .clock(read)
            .build()
            .await
            .expect("guard")
    };
    serve(&guard, listener, Marker::default().app());
    let svid = mesh.svid("/caller");
    let stream = support::raw_connect(address, None, Some(&svid), b"http/1.1")
        .await
        .expect("connect");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream))
            .await
            .expect("http");
    let open = tokio::spawn(connection);
    let request = get1("/v1/x").body(Empty::<Bytes>::new()).expect("request");
    assert_eq!(
        sender.send_request(request).await.expect("first").status(),
        StatusCode::OK
    );
    clock.store(start.as_unix_millis() + 3_601_000, Ordering::SeqCst);
    let ended = tokio::time::timeout(support::PATIENCE, open).await;
    assert!(ended.is_ok(), "the next look at the wall clock ends it");
    assert_eq!(
        reasons(&audit).last().map(String::as_str),
        Some("identity_expired")
    );
}

#[cfg(unix)]
#[tokio::test]
async fn t6_a_pipe_in_the_place_of_a_file_is_refused_and_stalls_nobody() {
    let folder = std::env::temp_dir().join(format!("ztl-tower-pipe-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    let pipe = folder.join("pipe.toml");
    let made = std::process::Command::new("mkfifo")
        .args(["-m", "600"])
        .arg(&pipe)
        .status();
    assert!(made.expect("mkfifo").success());
    let mesh = Mesh::new(&policy(1, 2).replace(
        "name = \"users-ask\"",
        "name = \"users-ask\"\nmode = \"off\"",
    ));
    let builder = || mesh.builder("gateway", "/gateway", &Arc::new(MemorySink::new(1)));
    for builder in [
        builder().policy_file(&pipe),
        builder().bundle_file("prod.example", &pipe),
        builder().identity_files(&pipe, &pipe),
        builder().policy_file(&folder),
    ] {
        let error = tokio::time::timeout(support::PATIENCE, builder.build())
            .await
            .expect("in time")
            .expect_err("refused");
        let text = support::chain(&error);
        assert!(text.contains("is not a regular file"), "{text}");
    }
    std::fs::remove_dir_all(&folder).expect("remove");
}

#[tokio::test]
async fn law_8_an_svid_that_has_ended_is_not_taken() {
    let mesh = Mesh::new(&policy(1, 2).replace(
        "name = \"users-ask\"",
        "name = \"users-ask\"\nmode = \"off\"",
    ));
    let builder = || mesh.builder("gateway", "/gateway", &Arc::new(MemorySink::new(1)));
    let ended = mesh.svid_at("/gateway", now().saturating_sub(Duration::from_secs(7200)));
    let error = builder()
        .identity(ended.clone())
        .build()
        .await
        .expect_err("refused");
    assert!(matches!(error, BuildError::Expired { .. }), "{error}");
    let guard = builder().build().await.expect("guard");
    let error = guard.swap_identity(ended).expect_err("refused");
    assert!(error.to_string().contains("ended at"), "{error}");
}

#[tokio::test]
async fn rule_7_a_policy_file_may_hold_conditions_and_a_failing_one_permits_nothing() {
    let folder = std::env::temp_dir().join(format!(
        "ztl-tower-when-{}-{}",
        std::process::id(),
        now().as_unix_millis()
    ));
    std::fs::create_dir_all(&folder).expect("folder");
    let (listener, address) = listener().await;
    let conditional = format!(
        r#"
        [[permit]]
        name = "one-model"
        from = "caller"
        to = "gateway"
        ports = {}
        actions = "GET /models/{{model}}"
        require.when = 'params.model == "llama" || {{"gpt": true}}[params.model] && peer.workload == "caller"'
        "#,
        address.port()
    );
    let base = policy(address.port(), 1).replace(
        "name = \"users-ask\"",
        "name = \"users-ask\"\nmode = \"off\"",
    );
    let mesh = Mesh::new(&(base + &conditional));
    let document = folder.join("policy.toml");
    std::fs::write(&document, &mesh.policy).expect("write");
    #[cfg(unix)]
    std::fs::set_permissions(
        &document,
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .expect("mode");
    let audit = Arc::new(MemorySink::new(10));
    let guard = Guard::builder("gateway")
        .policy_file(&document)
        .identity(mesh.svid("/gateway"))
        .bundle(mesh.authority.bundle())
        .allow_dev_authority()
        .audit(Arc::clone(&audit))
        .build()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    serve(&guard, listener, Marker::default().app());
    let svid = mesh.svid("/caller");
    for (model, status) in [("llama", 200), ("gpt", 200), ("other", 403)] {
        let request = get2(&format!("/models/{model}"));
        let response = knock(address, None, Some(&svid), b"h2", request).await;
        assert_eq!(
            response.expect("an answer").status().as_u16(),
            status,
            "{model}"
        );
    }
    let failed = r#""failed":"`{\"gpt\": true}[params.model]` at 1:28 is not there""#;
    let lines = audit.lines();
    assert!(lines.iter().any(|line| line.contains(failed)), "{lines:?}");
    std::fs::remove_dir_all(&folder).expect("remove");
}
