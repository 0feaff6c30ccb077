//! Files that are signed: whose signature counts, and of what.

#![cfg(test)]

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SigningKey};
use ztl_mtls::{FileKeyError, FileKeys, KeyError, provider};

fn keys(pem: &str) -> Result<FileKeys, FileKeyError> {
    FileKeys::from_pem(pem.as_bytes(), &provider())
}

#[test]
fn t6_each_key_vouches_for_what_it_signed_and_nothing_else() {
    let file = b"schema = 1\n";
    let pairs = [&PKCS_ED25519, &PKCS_ECDSA_P256_SHA256]
        .map(|kind| KeyPair::generate_for(kind).expect("key"));
    let both = keys(&format!(
        "# old\n{}\n# new\n{}",
        pairs[0].public_key_pem(),
        pairs[1].public_key_pem()
    ))
    .expect("keys");
    for (at, pair) in pairs.iter().enumerate() {
        let signature = pair.sign(file).expect("signature");
        let own = keys(&pair.public_key_pem()).expect("key");
        let other = keys(&pairs[1 - at].public_key_pem()).expect("key");
        assert_eq!(own.verify(file, &signature), Ok(()));
        assert_eq!(both.verify(file, &signature), Ok(()));
        let refused = Err(FileKeyError::Signature);
        assert_eq!(other.verify(file, &signature), refused);
        assert_eq!(own.verify(b"schema = 1", &signature), refused);
        assert_eq!(own.verify(b"", &signature), refused);
        assert_eq!(own.verify(file, b""), refused);
        for at in 0..signature.len() {
            let mut bent = signature.clone();
            bent[at] ^= 1;
            assert_eq!(own.verify(file, &bent), refused, "bit of octet {at}");
            assert_eq!(own.verify(file, &signature[..at]), refused, "cut at {at}");
        }
        assert_eq!(
            own.verify(file, &[7; FileKeys::MAX_SIGNATURE_BYTES]),
            refused
        );
        let longer = [7; FileKeys::MAX_SIGNATURE_BYTES + 1];
        assert_eq!(own.verify(file, &longer), Err(FileKeyError::NoSignature));
    }
}

#[test]
fn what_holds_no_public_key_is_refused_with_its_reason() {
    let pair = KeyPair::generate_for(&PKCS_ED25519).expect("key");
    for (text, wanted) in [
        (String::new(), FileKeyError::NoKey),
        ("nonsense".to_owned(), FileKeyError::NoKey),
        // A private key is no public one, and nobody should have it here.
        (pair.serialize_pem(), FileKeyError::NoKey),
        (pair.public_key_pem().repeat(17), FileKeyError::TooLarge),
        ("#".repeat(FileKeys::MAX_PEM_BYTES), FileKeyError::NoKey),
        (
            "#".repeat(FileKeys::MAX_PEM_BYTES + 1),
            FileKeyError::TooLarge,
        ),
    ] {
        assert_eq!(keys(&text).err(), Some(wanted), "{text:.40}");
    }
    let cut = pair.public_key_pem().replace("-----END", "");
    assert!(
        matches!(keys(&cut).err(), Some(FileKeyError::Pem(_))),
        "{cut}"
    );
    // Right as a block, and no key.
    let no_key = "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n";
    assert!(matches!(
        keys(no_key).err(),
        Some(FileKeyError::Key(KeyError::Malformed(_)))
    ));
    // Of P-384 the signature is over SHA-256 as for the others, not what the curve would suggest.
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("key");
    let own = keys(&pair.public_key_pem()).expect("key");
    let signature = pair.sign(b"file").expect("signature");
    assert_eq!(
        own.verify(b"file", &signature),
        Err(FileKeyError::Signature)
    );
}
