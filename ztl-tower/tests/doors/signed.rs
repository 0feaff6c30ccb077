//! T6: a policy's file that is signed, and the serial that outlives the process.

use std::path::PathBuf;

use rcgen::{KeyPair, PKCS_ED25519, SigningKey};

use super::*;

const POLICY: &str = "schema = 1
trust_domain = 'prod.example'
[workloads.gateway]
id = 'spiffe://prod.example/gateway'
ports = [8443]
";

/// A folder with what a guard reads.
struct Place {
    folder: PathBuf,
    mesh: Mesh,
}

impl Place {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("ztl-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        let mesh = Mesh::new(POLICY);
        let place = Self { folder, mesh };
        place.write("policy.toml", place.mesh.policy.as_bytes());
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let new = self.at(&format!("{name}.new"));
        std::fs::write(&new, bytes).expect("write");
        #[cfg(unix)]
        std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("mode");
        std::fs::rename(&new, self.at(name)).expect("rename");
    }

    /// The document with this serial, signed by a key where one is given.
    fn publish(&self, serial: Option<u64>, signer: Option<&KeyPair>) {
        let head = serial.map_or_else(String::new, |serial| format!("serial = {serial}\n"));
        let text = format!("{head}{}", self.mesh.policy.trim_start());
        if let Some(signer) = signer {
            let signature = signer.sign(text.as_bytes()).expect("signature");
            self.write("policy.toml.sig", &signature);
        }
        self.write("policy.toml", text.as_bytes());
    }

    fn builder(&self) -> ztl_tower::GuardBuilder {
        Guard::builder("gateway")
            .policy_file(self.at("policy.toml"))
            .identity(self.mesh.svid("/gateway"))
            .bundle(self.mesh.authority.bundle())
            .allow_dev_authority()
            .audit(MemorySink::new(10))
            .reload_every(Duration::from_millis(10))
    }

    /// A file that the document names, signed by a key where one is given.
    #[cfg(feature = "schema")]
    fn beside(&self, name: &str, text: &str, signer: Option<&KeyPair>) {
        let _ = std::fs::remove_file(self.at(&format!("{name}.sig")));
        if let Some(signer) = signer {
            let signature = signer.sign(text.as_bytes()).expect("signature");
            self.write(&format!("{name}.sig"), &signature);
        }
        self.write(name, text.as_bytes());
    }

    async fn refused(&self, builder: ztl_tower::GuardBuilder) -> String {
        let built = builder.build().await;
        built.expect_err("refused").to_string()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn t6_an_unsigned_document_is_refused_once_a_key_is_configured() {
    let place = Place::new("signed");
    let [signer, other] = [(); 2].map(|()| KeyPair::generate_for(&PKCS_ED25519).expect("key"));
    place.write("policy.pub.pem", signer.public_key_pem().as_bytes());
    let signed = || place.builder().policy_key_file(place.at("policy.pub.pem"));

    place.publish(None, None);
    let error = place.refused(signed()).await;
    assert!(error.contains("policy.toml.sig` is not there"), "{error}");
    place.publish(None, Some(&other));
    let error = place.refused(signed()).await;
    assert!(error.contains("by none of the keys"), "{error}");
    // Nothing of it is read before: not even that it could not be.
    place.write("policy.toml", b"nonsense");
    let error = place.refused(signed()).await;
    assert!(error.contains("by none of the keys"), "{error}");

    for bytes in [1025, 2 * 1024 * 1024] {
        place.write("policy.toml.sig", &vec![0; bytes]);
        let error = place.refused(signed()).await;
        assert!(error.contains("longer than a signature"), "{error}");
    }

    place.publish(Some(1), Some(&signer));
    let guard = signed().build().await.expect("guard");
    let revision = || guard.engine().policy().revision();
    let first = revision();
    // Unsigned, wrongly signed, signed and changed, its signature gone: the last good one stays.
    place.publish(Some(2), None);
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert_eq!(revision(), first);
    place.publish(Some(3), Some(&other));
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert_eq!(revision(), first);
    std::fs::remove_file(place.at("policy.toml.sig")).expect("removed");
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert_eq!(revision(), first);
    place.publish(Some(4), Some(&signer));
    until("the signed policy", || revision() != first).await;
    assert_eq!(guard.engine().policy().serial(), Some(4));

    // A file without a key is no key, and what comes from memory has no signature.
    place.write("policy.pub.pem", b"# none yet\n");
    let error = place.refused(signed()).await;
    assert!(error.contains("policy.pub.pem` has no block"), "{error}");
    let memory = signed().policy(place.mesh.load());
    let error = place.refused(memory).await;
    assert!(error.contains("`policy_key_file`"), "{error}");
}

#[tokio::test]
async fn t6_an_older_serial_is_refused_after_a_restart() {
    let place = Place::new("serial");
    let state = place.at("policy.serial");
    let kept = || place.builder().policy_state_file(&state);
    place.publish(Some(7), None);
    let guard = kept().build().await.expect("guard");
    let stored = || std::fs::read_to_string(&state).unwrap_or_default();
    assert_eq!(stored(), "7\n");
    place.publish(Some(9), None);
    until("the next serial", || stored() == "9\n").await;
    assert_eq!(guard.engine().policy().serial(), Some(9));
    drop(guard);

    for older in [Some(8), None] {
        place.publish(older, None);
        let error = place.refused(kept()).await;
        assert!(error.contains("serial 9 was in force before"), "{error}");
        // Without the state nobody would know.
        assert!(place.builder().build().await.is_ok());
    }
    assert_eq!(stored(), "9\n");
    // One that no guard was built with was not in force.
    place.publish(Some(11), None);
    let error = place
        .refused(kept().identity(place.mesh.svid("/other")))
        .await;
    assert!(error.contains("spiffe://prod.example/other"), "{error}");
    assert_eq!(stored(), "9\n");
    place.publish(Some(9), None);
    assert!(kept().build().await.is_ok());
    // A state that says nothing is not taken for none.
    for bad in ["", "x", "-1", "99999999999999999999", "9 9"] {
        place.write("policy.serial", bad.as_bytes());
        let error = place.refused(kept()).await;
        assert!(error.contains("holds no serial"), "{bad:?}: {error}");
    }
}

#[tokio::test]
async fn t6_a_serial_that_could_not_be_stored_is_stored_later() {
    let place = Place::new("unstored");
    let folder = place.at("kept");
    std::fs::create_dir(&folder).expect("folder");
    let state = folder.join("policy.serial");
    place.publish(Some(1), None);
    let builder = place.builder().policy_state_file(&state);
    let guard = builder.build().await.expect("guard");
    std::fs::remove_dir_all(&folder).expect("removed");
    place.publish(Some(2), None);
    let serial = || guard.engine().policy().serial();
    until("it is in force", || serial() == Some(2)).await;
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert!(!state.exists());
    std::fs::create_dir(&folder).expect("folder");
    let stored = || std::fs::read_to_string(&state).unwrap_or_default();
    until("it is stored", || stored() == "2\n").await;
}

#[cfg(feature = "schema")]
#[tokio::test]
async fn t6_what_a_signed_document_names_has_to_be_signed_too() {
    let mut place = Place::new("named");
    let [signer, other] = [(); 2].map(|()| KeyPair::generate_for(&PKCS_ED25519).expect("key"));
    place.write("policy.pub.pem", signer.public_key_pem().as_bytes());
    place.mesh.policy.push_str(
        "[workloads.caller]\nid = 'spiffe://prod.example/caller'\n\
        [[permit]]\nname = 'posts'\nfrom = 'caller'\nto = 'gateway'\nactions = ['POST /v1/x']\n\
        [permit.oblige]\nschema = 'tune.json'\n",
    );
    place.publish(None, Some(&signer));
    let signed = || place.builder().policy_key_file(place.at("policy.pub.pem"));
    for (by, why) in [
        (None, "tune.json.sig` is not there"),
        (Some(&other), "by none of the keys"),
    ] {
        place.beside("tune.json", "{}", by);
        let error = place.refused(signed()).await;
        assert!(error.contains(why), "{error}");
        // Where nobody asks for a signature there is none to look for.
        assert!(place.builder().build().await.is_ok());
    }
    place.beside("tune.json", "{}", Some(&signer));
    let guard = signed().build().await.expect("guard");
    let revision = || guard.engine().policy().revision();
    let first = revision();
    let changed = r#"{ "type": "object" }"#;
    for by in [None, Some(&other)] {
        place.beside("tune.json", changed, by);
        tokio::time::sleep(Duration::from_millis(80)).await;
        assert_eq!(revision(), first);
    }
    // Only the signature changes.
    place.beside("tune.json", changed, Some(&signer));
    until("the signed schema", || revision() != first).await;
}
