//! `ztl check --key`: a policy that is signed as a guard asks, and as OpenSSL signs it.

#![cfg(test)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Run, scratch, ztl};
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize, SigningKey as _,
};

const POLICY: &str = "schema = 1\ntrust_domain = 'p.example'\n[workloads.a]\nid = 'spiffe://p.example/a'\nports = [1]\n";

/// A folder with a policy, what it names, and the key that signs them.
struct Place {
    folder: PathBuf,
    key: KeyPair,
}

impl Place {
    fn new(test: &str, key: KeyPair) -> Self {
        let folder = scratch(test);
        let place = Self { folder, key };
        place.put("policy.pub.pem", place.key.public_key_pem().as_bytes());
        place
    }

    fn at(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.join(name), bytes).expect("written");
    }

    fn signed(&self, name: &str, bytes: &[u8]) {
        self.put(name, bytes);
        let signature = self.key.sign(bytes).expect("signature");
        self.put(&format!("{name}.sig"), &signature);
    }

    fn check(&self) -> Run {
        let (key, policy) = (self.at("policy.pub.pem"), self.at("policy.toml"));
        ztl(&["check", "--key", &key, &policy])
    }

    /// Why the check refuses.
    fn refused(&self) -> String {
        let run = self.check();
        assert_eq!(run.code, Some(3), "{}{}", run.stdout, run.stderr);
        run.stderr
    }
}

#[test]
fn t6_a_policy_is_signed_by_each_kind_of_key() {
    for (kind, key) in [
        ("ed25519", KeyPair::generate_for(&PKCS_ED25519)),
        ("p256", KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)),
        (
            "rsa",
            KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
        ),
    ] {
        let place = Place::new(&format!("signed-{kind}"), key.expect("key"));
        place.signed("policy.toml", POLICY.as_bytes());
        let run = place.check();
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{kind}");
        // One blank more.
        place.put("policy.toml", format!("{POLICY} ").as_bytes());
        let refused = place.refused();
        assert!(refused.contains("by none of the keys"), "{kind}: {refused}");
        std::fs::remove_file(place.at("policy.toml.sig")).expect("removed");
        let refused = place.refused();
        let wanted = "policy.toml.sig` is not there";
        assert!(refused.contains(wanted), "{kind}: {refused}");
    }
}

/// OpenSSL signs a policy in a folder as docs/policy.md says. False where there is no OpenSSL.
fn signed_by_openssl(folder: &Path, kind: &[&str], sign: &[&str]) -> bool {
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
    let folder = scratch("signed-openssl");
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
    }
}

/// A place where the policy is signed, and names what is to be signed, too.
#[cfg(any(feature = "rego", feature = "schema"))]
fn naming(test: &str, permit: &str, section: &str) -> Place {
    let place = Place::new(test, KeyPair::generate_for(&PKCS_ED25519).expect("key"));
    let text = format!(
        "{POLICY}[[permit]]\nname = 'posts'\nwhy = 'a'\nfrom = 'a'\nto = 'a'\nactions = ['POST /x']\n{permit}\n{section}"
    );
    place.signed("policy.toml", text.as_bytes());
    place
}

#[cfg(feature = "schema")]
fn naming_a_schema(test: &str) -> Place {
    naming(test, "[permit.oblige]\nschema = 'tune.json'", "")
}

#[cfg(feature = "schema")]
#[test]
fn t6_what_a_signed_policy_names_has_to_be_signed_too() {
    let place = naming_a_schema("signed-named");
    place.put("tune.json", b"{}");
    let refused = place.refused();
    let wanted = "tune.json.sig` is not there";
    assert!(refused.contains(wanted), "{refused}");
    // Where nobody asks for a signature there is none to look for.
    assert_eq!(ztl(&["check", &place.at("policy.toml")]).code, Some(0));
    place.signed("tune.json", b"{}");
    let run = place.check();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    place.put("tune.json", b"{ }");
    let refused = place.refused();
    assert!(refused.contains("by none of the keys"), "{refused}");
    // It is told of where the policy names it.
    assert!(refused.contains("schema = 'tune.json'"), "{refused}");
}

#[cfg(feature = "schema")]
#[test]
fn t6_nothing_of_a_named_schema_that_nobody_signed_is_compiled() {
    let place = naming_a_schema("signed-no-schema");
    never_compiled(&place, "tune.json", b"no schema", "is not one JSON");
}

#[cfg(feature = "rego")]
#[test]
fn t6_nothing_of_a_named_policy_that_nobody_signed_is_compiled() {
    let section = "[authorizers.teams]\nkind = 'rego'\npolicy = 'teams.rego'\ndata = 'teams.json'\nentrypoint = 'teams/allow'\n";
    let place = naming("signed-no-rego", "require.authorizer = 'teams'", section);
    place.signed("teams.json", b"{}");
    never_compiled(&place, "teams.rego", b"no rego", "teams.rego:1");
    place.signed("teams.rego", b"package teams\ndefault allow := true\n");
    never_compiled(&place, "teams.json", b"no json", "is not one JSON");
    place.signed("teams.json", b"{}");
    let run = place.check();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

/// A file of these bytes, which do not compile, is refused for its signature until that is good.
#[cfg(any(feature = "rego", feature = "schema"))]
fn never_compiled(place: &Place, name: &str, bytes: &[u8], fault: &str) {
    place.put(&format!("{name}.sig"), &[0; 64]);
    place.put(name, bytes);
    let refused = place.refused();
    assert!(refused.contains("by none of the keys"), "{refused}");
    assert!(!refused.contains(fault), "{refused}");
    place.signed(name, bytes);
    let refused = place.refused();
    assert!(refused.contains(fault), "{refused}");
}

/// The public key of RFC 8410 §10.1, which signed nothing here.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

#[test]
fn t6_nothing_of_a_document_that_nobody_signed_is_read() {
    let key = scratch("signed-key").join("policy.pub.pem");
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
    let key = scratch("endless-key").join("policy.pub.pem");
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
