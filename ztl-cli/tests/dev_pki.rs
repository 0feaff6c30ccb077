//! `ztl dev-pki`: identities that ztl-mtls loads and, told to, proves.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use std::path::Path;

use common::{scratch, ztl};
use ztl_core::{Timestamp, TrustDomain};
use ztl_mtls::{BundleSet, Bundles, Prover, Purpose, TrustBundle, X509Svid, provider};

/// The workloads of the test policy, with the names of their trust domains.
const WORKLOADS: [(&str, &str); 7] = [
    ("gateway", "prod.example"),
    ("router", "prod.example"),
    ("retriever", "prod.example"),
    ("model-server", "prod.example"),
    ("vector-store", "prod.example"),
    ("sensor", "prod.example"),
    ("partner", "partner.example"),
];

fn bundle(folder: &Path, domain: &str) -> TrustBundle {
    let name = TrustDomain::parse(domain).expect("trust domain");
    TrustBundle::from_pem_file(name, folder.join(format!("{domain}.bundle.pem"))).expect("bundle")
}

fn svid(folder: &Path, workload: &str) -> X509Svid {
    let at = |name: &str| folder.join(workload).join(name);
    X509Svid::from_pem_files(at("svid.pem"), at("svid.key"), &provider()).expect("SVID")
}

#[test]
fn what_it_writes_is_loaded_and_proved() {
    let folder = scratch("dev-pki").join("new/pki");
    let out = folder.display().to_string();
    let run = ztl(&["dev-pki", "mesh.toml", "--out", &out, "--hours", "1"]);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (Some(0), ""),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .contains("warning: this is no production authority"),
        "{}",
        run.stdout
    );
    let bundles = ["prod.example", "partner.example"].map(|domain| bundle(&folder, domain));
    assert!(bundles.iter().all(TrustBundle::has_dev_authority));
    let bundles = Bundles::new(BundleSet::new(bundles).expect("bundles"));
    let (stranger, prover) = (
        Prover::new(bundles.clone(), &provider()),
        Prover::new(bundles, &provider()).allow_dev_authority(),
    );
    for (workload, domain) in WORKLOADS {
        let svid = svid(&folder, workload);
        assert_eq!(svid.id().trust_domain_name(), domain);
        assert!(run.stdout.contains(svid.id().as_str()), "{workload}");
        let now = Timestamp::from_unix_secs(svid.not_before().as_unix_secs() + 60);
        let lifetime = svid.not_after().since(now).as_secs();
        assert!((3590..=3600).contains(&lifetime), "{lifetime}");
        let peer = prover
            .prove(svid.chain(), now, Purpose::Client)
            .expect("proved");
        assert_eq!(peer.id(), svid.id());
        // T28: nobody takes them who was not told to.
        assert!(stranger.prove(svid.chain(), now, Purpose::Client).is_err());
    }
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = scratch("dev-pki-modes");
    let run = ztl(&[
        "dev-pki",
        "mesh.toml",
        "--out",
        &folder.display().to_string(),
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for (workload, _) in WORKLOADS {
        let mode = std::fs::metadata(folder.join(workload).join("svid.key"))
            .expect("key")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{workload}");
    }
}

#[test]
fn a_folder_that_is_not_empty_is_left_alone_unless_forced() {
    let folder = scratch("dev-pki-force");
    let out = folder.display().to_string();
    std::fs::write(folder.join("mine.txt"), "mine").expect("write");
    let refused = ztl(&["dev-pki", "mesh.toml", "--out", &out]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
    assert!(
        refused.stderr.contains("is not empty; give `--force`"),
        "{}",
        refused.stderr
    );
    assert_eq!(std::fs::read_dir(&folder).expect("folder").count(), 1);

    assert_eq!(
        ztl(&["dev-pki", "mesh.toml", "--out", &out, "--force"]).code,
        Some(0)
    );
    let first = svid(&folder, "router");
    assert_eq!(
        ztl(&["dev-pki", "mesh.toml", "--out", &out, "--force"]).code,
        Some(0)
    );
    let second = svid(&folder, "router");
    assert_ne!(first.chain(), second.chain());
    assert_eq!(
        std::fs::read_to_string(folder.join("mine.txt")).expect("mine"),
        "mine"
    );
    let left: Vec<_> = std::fs::read_dir(folder.join("router"))
        .expect("folder")
        .flatten()
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_place_that_cannot_be_written_is_wrong_use() {
    let file = scratch("dev-pki-file").join("file");
    std::fs::write(&file, "").expect("write");
    let run = ztl(&["dev-pki", "mesh.toml", "--out", &file.display().to_string()]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.starts_with("error: cannot write `"),
        "{}",
        run.stderr
    );
}
