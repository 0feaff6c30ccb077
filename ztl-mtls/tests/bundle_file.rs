//! A bundle in a file that is read again: certificates in PEM, or the document that a trust domain publishes (Bundle §4).
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![allow(clippy::expect_used, reason = "a test may panic")]

mod common;

use common::folder::Folder;
use common::{Ca, domain};
use ztl_mtls::source::PemBundle;

#[cfg(not(feature = "spiffe-bundle"))]
#[test]
fn a_document_is_refused_by_the_name_of_the_feature_that_reads_it() {
    let folder = Folder::new("unread");
    let path = folder.write("partner.json", r#"{"keys": []}"#);
    let mut source = PemBundle::new(domain("b.test"), &path);
    let error = source.load().expect_err("refused").to_string();
    assert!(error.contains("partner.json"), "{error}");
    assert!(error.contains("the feature `spiffe-bundle`"), "{error}");
    folder.write("partner.json", Ca::new("b").pem);
    assert!(source.load().is_ok());
}

#[cfg(feature = "spiffe-bundle")]
mod documents {
    use rustls_pki_types::CertificateDer;
    use ztl_mtls::source::{Part, Source};
    use ztl_mtls::{SpiffeBundle, TrustBundle};

    use super::common::NOW;
    use super::*;

    fn document(ca: &Ca, sequence: u64) -> String {
        let bundle = SpiffeBundle::new(ca.bundle("b.test")).with_sequence(sequence);
        bundle.to_json().expect("document")
    }

    /// Looks so often that what is new is taken, once.
    fn taken(source: &mut PemBundle) -> Result<Option<Vec<CertificateDer<'static>>>, String> {
        let mut taken = None;
        for _ in 0..3 {
            match source.poll(NOW).bundles {
                Part::Changed(bundles) => {
                    assert!(taken.is_none(), "once");
                    taken = bundles
                        .first()
                        .map(TrustBundle::certificates)
                        .map(<[_]>::to_vec);
                }
                Part::Failed(error) => return Err(error.to_string()),
                _ => {}
            }
        }
        Ok(taken)
    }

    #[test]
    fn a_bundle_file_holds_pem_or_a_document_and_is_taken_again_in_either_form() {
        let (folder, old, new) = (Folder::new("document"), Ca::new("old"), Ca::new("new"));
        let path = folder.write("partner.json", document(&old, 7));
        let mut source = PemBundle::new(domain("b.test"), &path);
        let first = source.load().expect("document");
        assert_eq!(first.certificates(), std::slice::from_ref(&old.der));
        assert_eq!(first.trust_domain(), &domain("b.test"));
        assert_eq!(taken(&mut source), Ok(None), "unchanged");
        // A lower sequence says nothing: whoever writes the file says what is in force.
        folder.write("partner.json", format!("\n {}", document(&new, 6)));
        assert_eq!(taken(&mut source), Ok(Some(vec![new.der.clone()])));
        folder.write("partner.json", &old.pem);
        assert_eq!(taken(&mut source), Ok(Some(vec![old.der])));
        folder.write("partner.json", document(&new, 7));
        assert_eq!(taken(&mut source), Ok(Some(vec![new.der])));
        // Rule 21: all keys taken back is a bundle that proves nobody, and no error.
        folder.write("partner.json", r#"{"keys": []}"#);
        assert_eq!(taken(&mut source), Ok(Some(vec![])));
    }

    #[test]
    fn rule_22_a_bad_document_is_an_error_that_names_its_file_and_changes_nothing() {
        let (folder, ca) = (Folder::new("bad-document"), Ca::new("b"));
        let good = document(&ca, 1);
        let path = folder.write("partner.json", &good);
        let mut source = PemBundle::new(domain("b.test"), &path);
        source.load().expect("document");
        let leaf = {
            use base64::Engine as _;
            let base64 = |der: &[u8]| base64::engine::general_purpose::STANDARD.encode(der);
            good.replace(&base64(&ca.der), &base64(&ca.leaf(|_| {}).der))
        };
        assert_ne!(leaf, good);
        for (what, wrong) in [
            ("cut off", good.get(..good.len() / 2).expect("half")),
            ("keys twice", r#"{"keys": [], "keys": []}"#),
            ("no keys", "{}"),
            ("a map of bundles", r#"{"trust_domains": {}}"#),
            ("more behind it", &format!("{good}{}", ca.pem)),
            ("a leaf's", &leaf),
        ] {
            folder.write("partner.json", wrong);
            let error = taken(&mut source).expect_err(what);
            assert!(error.contains("partner.json"), "{what}: {error}");
        }
        folder.write("partner.json", &good);
        assert_eq!(taken(&mut source), Ok(None), "what was taken is back");
    }
}
