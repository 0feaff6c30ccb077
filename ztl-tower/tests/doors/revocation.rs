//! What is no longer trusted, under a running service.

use ztl_mtls::{Denied, DenyList};

use super::*;

fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("ztl-tower-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    folder
}

#[tokio::test]
async fn t25_a_deny_list_works_at_once_and_a_broken_one_takes_nothing_back() {
    let folder = folder("deny");
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port(), 1).replace(
        "name = \"users-ask\"",
        "name = \"users-ask\"\nmode = \"off\"",
    ));
    let path = folder.join("denied");
    let write = |text: &str| {
        let new = folder.join("denied.new");
        std::fs::write(&new, text).expect("write");
        std::fs::rename(&new, &path).expect("rename");
    };
    let audit = Arc::new(MemorySink::new(100));
    let builder = || {
        mesh.builder("gateway", "/gateway", &audit)
            .deny_list_file(&path)
            .reload_every(Duration::from_millis(10))
    };
    // A guard that cannot read it does not begin.
    assert!(matches!(
        builder().build().await,
        Err(BuildError::Revocation(_))
    ));
    write("");
    assert!(matches!(
        builder().build().await,
        Err(BuildError::Revocation(_))
    ));
    write("end 0\n");
    let guard = builder().build().await.expect("guard");
    serve(&guard, listener, Marker::default().app());
    let svid = mesh.svid("/caller");
    let ask = async || {
        knock(address, None, Some(&svid), b"h2", get2("/v1/x"))
            .await
            .map(|response| response.status().as_u16())
    };
    assert_eq!(ask().await, Ok(200));
    let list = |text: &str| DenyList::parse(text.as_bytes()).expect("list");
    // From memory: the next handshake is refused, and the reason says so.
    guard.swap_deny_list(list("id spiffe://prod.example/caller"));
    assert!(ask().await.is_err());
    assert_eq!(
        reasons(&audit).last().map(String::as_str),
        Some("identity_revoked")
    );
    guard.swap_deny_list(list("end 0"));
    assert_eq!(ask().await, Ok(200));
    let key = Denied::key_of(&svid.chain()[0]).expect("key");
    guard.deny(key.clone());
    assert!(ask().await.is_err());
    guard.undeny(&key);
    assert_eq!(ask().await, Ok(200));
    // From the file, then broken.
    write("id spiffe://prod.example/caller\nend 1\n");
    let deadline = tokio::time::Instant::now() + support::PATIENCE;
    while ask().await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "the new list");
    }
    write("id spiffe://prod.example/call");
    write("end 1\n");
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert!(ask().await.is_err());
    write("end 0\n");
    let deadline = tokio::time::Instant::now() + support::PATIENCE;
    while ask().await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the next list");
    }
    std::fs::remove_dir_all(&folder).expect("remove");
}

#[tokio::test]
async fn t25_where_revocation_lists_are_asked_for_an_unknown_status_is_refused() {
    let (listener, address) = listener().await;
    let mesh = Mesh::new(&policy(address.port(), 1).replace(
        "name = \"users-ask\"",
        "name = \"users-ask\"\nmode = \"off\"",
    ));
    let audit = Arc::new(MemorySink::new(100));
    let missing = mesh
        .builder("gateway", "/gateway", &audit)
        .crl_file("prod.example", "/no/such/file");
    assert!(matches!(
        missing.build().await,
        Err(BuildError::Revocation(_))
    ));
    let none = Vec::<std::path::PathBuf>::new();
    let domain = ztl_core::TrustDomain::parse("prod.example").expect("domain");
    let files = ztl_mtls::source::CrlFiles::new(domain.clone(), none);
    let guard = mesh
        .builder("gateway", "/gateway", &audit)
        .crl_file("prod.example", "/no/such/file")
        .crl_files(files)
        .build()
        .await
        .expect("the last word on a domain counts");
    serve(&guard, listener, Marker::default().app());
    let svid = mesh.svid("/caller");
    let ask = async || {
        knock(address, None, Some(&svid), b"h2", get2("/v1/x"))
            .await
            .map(|response| response.status().as_u16())
    };
    assert!(ask().await.is_err());
    assert_eq!(
        reasons(&audit).last().map(String::as_str),
        Some("identity_revoked")
    );
    let allow = ztl_mtls::CrlSet::from_der(domain, [])
        .expect("set")
        .with_unknown_status(ztl_mtls::UnknownStatus::Allow);
    guard.swap_crls(allow);
    assert_eq!(ask().await, Ok(200));
}

#[tokio::test]
async fn t25_two_says_about_one_thing_are_refused_at_build() {
    let text = policy(8443, 1).replace(
        "name = \"users-ask\"",
        "name = \"users-ask\"\nmode = \"off\"",
    );
    let mesh = Mesh::new(&text);
    let audit = Arc::new(MemorySink::new(10));
    let domain = ztl_core::TrustDomain::parse("prod.example").expect("domain");
    let files = ztl_mtls::source::CrlFiles::new(domain, Vec::<std::path::PathBuf>::new());
    let lists = mesh
        .builder("gateway", "/gateway", &audit)
        .crl_files(files)
        .crl_file("prod.example", "/no/such/file");
    let error = lists.build().await.expect_err("refused").to_string();
    assert!(error.contains("name all files in `crl_files`"), "{error}");
    let denied = mesh
        .builder("gateway", "/gateway", &audit)
        .deny_list_file("/no/such/one")
        .deny_list_file("/no/such/other");
    let error = denied.build().await.expect_err("refused").to_string();
    assert!(error.contains("two deny lists"), "{error}");
}

#[tokio::test]
async fn t13_an_alias_of_a_denied_id_is_denied() {
    let (listener, address) = listener().await;
    let text = policy(address.port(), 1).replace(
        "name = \"users-ask\"",
        "name = \"users-ask\"\nmode = \"off\"",
    );
    let mesh = Mesh::new(&text);
    let audit = Arc::new(MemorySink::new(100));
    let guard = mesh
        .builder("gateway", "/gateway", &audit)
        .build()
        .await
        .expect("guard");
    serve(&guard, listener, Marker::default().app());
    let svid = mesh.svid("/caller");
    let ask = async || {
        knock(address, None, Some(&svid), b"h2", get2("/v1/x"))
            .await
            .map(|response| response.status().as_u16())
    };
    guard.deny("id spiffe://old.example/caller".parse().expect("entry"));
    assert_eq!(ask().await, Ok(200));
    let with_alias = text.replace(
        "trust_domain = \"prod.example\"",
        "trust_domain = \"prod.example\"\ntrust_domain_aliases = [\"old.example\"]",
    );
    guard
        .swap_policy(Mesh::new(&with_alias).load())
        .expect("policy");
    assert!(ask().await.is_err());
    assert_eq!(
        reasons(&audit).last().map(String::as_str),
        Some("identity_revoked")
    );
    guard.swap_policy(mesh.load()).expect("policy");
    assert_eq!(ask().await, Ok(200));
}
