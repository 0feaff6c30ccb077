//! `ztl check --key`: a policy that is signed as a guard asks, and as OpenSSL signs it.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use std::process::Command;

use common::ztl;

const POLICY: &str = "schema = 1\ntrust_domain = 'p.example'\n[workloads.a]\nid = 'spiffe://p.example/a'\nports = [1]\n";

/// OpenSSL signs a policy in a folder as docs/policy.md says. False where there is no OpenSSL.
fn signed_by_openssl(folder: &std::path::Path, kind: &[&str], sign: &[&str]) -> bool {
    let openssl = |arguments: &[&str]| {
        let mut run = Command::new("openssl");
        run.current_dir(folder).args(arguments).output().ok()
    };
    let Some(made) = openssl(&[&["genpkey", "-out", "policy.key"], kind].concat()) else {
        return false;
    };
    assert!(made.status.success(), "{made:?}");
    for arguments in [
        &[
            "pkey",
            "-in",
            "policy.key",
            "-pubout",
            "-out",
            "policy.pub.pem",
        ][..],
        sign,
    ] {
        let run = openssl(arguments).expect("openssl");
        assert!(run.status.success(), "{run:?}");
    }
    true
}

#[test]
fn t6_a_policy_is_signed_as_openssl_signs() {
    let folder = std::env::temp_dir().join(format!("ztl-cli-signed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    let at = |name: &str| folder.join(name).display().to_string();
    let check = || ztl(&["check", "--key", &at("policy.pub.pem"), &at("policy.toml")]);
    let bare = [
        "pkeyutl",
        "-sign",
        "-rawin",
        "-inkey",
        "policy.key",
        "-in",
        "policy.toml",
        "-out",
        "policy.toml.sig",
    ];
    let digest = [
        "dgst",
        "-sha256",
        "-sign",
        "policy.key",
        "-out",
        "policy.toml.sig",
        "policy.toml",
    ];
    for (kind, sign) in [
        (&["-algorithm", "ed25519"][..], &bare[..]),
        (
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            &digest,
        ),
        (
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
            &digest,
        ),
        (
            &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            &digest,
        ),
    ] {
        std::fs::write(at("policy.toml"), POLICY).expect("policy");
        if !signed_by_openssl(&folder, kind, sign) {
            eprintln!("left out: there is no openssl here");
            break;
        }
        let run = check();
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{kind:?}");
        // One blank more.
        std::fs::write(at("policy.toml"), format!("{POLICY} ")).expect("policy");
        let run = check();
        assert_eq!(run.code, Some(3), "{kind:?}");
        assert!(run.stderr.contains("by none of the keys"), "{}", run.stderr);
        std::fs::remove_file(at("policy.toml.sig")).expect("removed");
        let run = check();
        assert_eq!(run.code, Some(3), "{kind:?}");
        assert!(
            run.stderr.contains("policy.toml.sig` is not there"),
            "{}",
            run.stderr
        );
    }
    let _ = std::fs::remove_dir_all(&folder);
}

#[cfg(feature = "schema")]
#[test]
fn t6_what_a_signed_policy_names_has_to_be_signed_too() {
    let folder = std::env::temp_dir().join(format!("ztl-cli-named-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    let at = |name: &str| folder.join(name).display().to_string();
    let check = || ztl(&["check", "--key", &at("policy.pub.pem"), &at("policy.toml")]);
    let text = format!(
        "{POLICY}[[permit]]\nname = 'posts'\nwhy = 'a'\nfrom = 'a'\nto = 'a'\nactions = ['POST /x']\n\
        [permit.oblige]\nschema = 'tune.json'\n"
    );
    std::fs::write(at("policy.toml"), text).expect("policy");
    std::fs::write(at("tune.json"), "{}").expect("schema");
    let sign = |name: &str| {
        let signature = format!("{name}.sig");
        let sign = [
            "pkeyutl",
            "-sign",
            "-rawin",
            "-inkey",
            "policy.key",
            "-in",
            name,
            "-out",
            &signature,
        ];
        let mut run = Command::new("openssl");
        let run = run.current_dir(&folder).args(sign).output();
        assert!(run.expect("openssl").status.success());
    };
    let sign_policy = [
        "pkeyutl",
        "-sign",
        "-rawin",
        "-inkey",
        "policy.key",
        "-in",
        "policy.toml",
        "-out",
        "policy.toml.sig",
    ];
    if signed_by_openssl(&folder, &["-algorithm", "ed25519"], &sign_policy) {
        let run = check();
        assert_eq!(run.code, Some(3));
        assert!(
            run.stderr.contains("tune.json.sig` is not there"),
            "{}",
            run.stderr
        );
        sign("tune.json");
        let run = check();
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        std::fs::write(at("tune.json"), "{ }").expect("schema");
        let run = check();
        assert_eq!(run.code, Some(3));
        assert!(
            run.stderr.contains("tune.json`, which it names"),
            "{}",
            run.stderr
        );
    } else {
        eprintln!("left out: there is no openssl here");
    }
    let _ = std::fs::remove_dir_all(&folder);
}

/// The public key of RFC 8410 §10.1, which signed nothing here.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

#[test]
fn t6_nothing_of_a_document_that_nobody_signed_is_read() {
    let key = common::scratch("signed-key").join("policy.pub.pem");
    std::fs::write(&key, KEY).expect("key");
    let key = key.display().to_string();
    let unread = format!("{POLICY}[authorizers.a]\nkind = 'rego'\nfile = 'no-such.rego'\n");
    for (at, text) in ["schema = ".to_owned(), unread].iter().enumerate() {
        let policy = common::policy(&format!("signed-by-nobody-{at}"), text);
        let run = ztl(&["check", "--key", &key, &policy]);
        assert_eq!(run.code, Some(3), "{}", run.stderr);
        assert!(
            run.stderr.contains("policy.toml.sig` is not there"),
            "{}",
            run.stderr
        );
        std::fs::write(format!("{policy}.sig"), [0; 64]).expect("signature");
        let run = ztl(&["check", "--key", &key, &policy]);
        assert!(run.stderr.contains("by none of the keys"), "{}", run.stderr);
        assert!(!run.stderr.contains("no-such.rego"), "{}", run.stderr);
    }
}

#[cfg(unix)]
#[test]
fn t6_a_signature_and_keys_that_never_end_are_refused() {
    let key = common::scratch("endless-key").join("policy.pub.pem");
    std::fs::write(&key, KEY).expect("key");
    let key = key.display().to_string();
    let policy = common::policy("endless-signature", POLICY);
    let run = ztl(&["check", "--key", "/dev/zero", &policy]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(
        run.stderr.contains("more than 65536 bytes"),
        "{}",
        run.stderr
    );
    let signature = format!("{policy}.sig");
    std::os::unix::fs::symlink("/dev/zero", &signature).expect("link");
    let run = ztl(&["check", "--key", &key, &policy]);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(run.stderr.contains("is no regular file"), "{}", run.stderr);
    std::fs::remove_file(&signature).expect("removed");
    std::fs::write(&signature, vec![0; 1 << 20]).expect("signature");
    let run = ztl(&["check", "--key", &key, &policy]);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(
        run.stderr.contains("longer than a signature"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_key_that_is_none_is_wrong_use() {
    let policy = common::policy("signed-no-key", POLICY);
    let run = ztl(&["check", "--key", &policy, &policy]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(
        run.stderr
            .contains("has no block `-----BEGIN PUBLIC KEY-----`"),
        "{}",
        run.stderr
    );
    assert_eq!(ztl(&["check", "--key", &policy, "-"]).code, Some(2));
}
