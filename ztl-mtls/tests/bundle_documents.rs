//! Bundle documents and maps that are hostile, odd or broken (rules 21 and 22; Bundle §4 and §5; X509-SVID §6; JWT-SVID §6).

#![cfg(test)]
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]

mod common;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{Ca, ID, NOW, bundles, domain};
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use ztl_mtls::{
    BundleSet, JwtBundle, MAX_BUNDLE_BYTES, MAX_BUNDLE_KEYS, Prover, Purpose, SpiffeBundle,
    SpiffeBundleError, SpiffeBundleMap, TrustBundle, provider,
};

fn read(json: &str) -> Result<SpiffeBundle, SpiffeBundleError> {
    SpiffeBundle::from_json(domain("a.test"), json.as_bytes())
}

fn refused(json: &str) -> String {
    match read(json) {
        Ok(bundle) => panic!("taken: {bundle:?} from {json}"),
        Err(error) => error.to_string(),
    }
}

/// The bundle document of an authority, to be changed.
fn document(ca: &Ca) -> Value {
    let written = SpiffeBundle::new(ca.bundle("a.test")).to_json();
    serde_json::from_str(&written.expect("written")).expect("json")
}

fn with(ca: &Ca, change: impl FnOnce(&mut Value)) -> String {
    let mut document = document(ca);
    change(&mut document["keys"][0]);
    document.to_string()
}

#[test]
fn what_is_written_proves_what_the_authority_issued() {
    let ca = Ca::new("root");
    let json = SpiffeBundle::new(ca.bundle("a.test"))
        .with_sequence(u64::MAX)
        .with_refresh_hint(Duration::from_millis(90_700))
        .to_json()
        .expect("written");
    let bundle = read(&json).expect("bundle");
    assert_eq!(bundle.sequence(), Some(u64::MAX));
    assert_eq!(bundle.refresh_hint(), Some(Duration::from_secs(90)));
    let prover = Prover::new(bundles([bundle.x509().clone()]), &provider());
    let leaf = ca.leaf_of(ID);
    assert!(
        prover
            .prove(std::slice::from_ref(&leaf.der), NOW, Purpose::Client)
            .is_ok()
    );
    let stranger = Ca::new("root").leaf_of(ID);
    assert!(prover.prove(&[stranger.der], NOW, Purpose::Client).is_err());
}

#[test]
fn every_kind_of_key_that_proves_is_written_and_read_back() {
    for algorithm in [&PKCS_RSA_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).expect("key");
        let der = common::ca_params("root").self_signed(&key).expect("root");
        let x509 = TrustBundle::from_der(domain("a.test"), [der.der().clone()]).expect("bundle");
        let bundle = SpiffeBundle::new(x509);
        let again = read(&bundle.to_json().expect("written")).expect("read");
        assert!(bundle.has_keys_of(&again));
        assert_eq!(again.x509().certificates().len(), 1);
    }
}

#[test]
fn rule_22_a_name_twice_anywhere_refuses_the_document() {
    for json in [
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[],"spiffe_sequence":1,"spiffe_sequence":2}"#,
        r#"{"keys":[{"use":"x509-svid","use":"jwt-svid"}]}"#,
        r#"{"keys":[],"other":{"deep":[{"a":1,"a":1}]}}"#,
        r#"{"keys":[],"\u006beys":[]}"#,
    ] {
        assert!(refused(json).contains("name twice"), "{json}");
    }
}

#[test]
fn rule_22_a_trust_domain_twice_refuses_the_map() {
    let twice =
        r#"{"trust_domains":{"a.test":{"keys":[]},"b.test":{"keys":[]},"a.test":{"keys":[]}}}"#;
    let error = SpiffeBundleMap::from_json(twice.as_bytes()).expect_err("twice");
    assert!(error.to_string().contains("name twice"), "{error}");
    let escaped = r#"{"trust_domains":{"a.test":{"keys":[]},"\u0061.test":{"keys":[]}}}"#;
    assert!(SpiffeBundleMap::from_json(escaped.as_bytes()).is_err());
    let ca = Ca::new("root");
    let bundle = || SpiffeBundle::new(ca.bundle("a.test"));
    assert!(SpiffeBundleMap::new([bundle(), bundle()]).is_err());
}

#[test]
fn a_map_is_taken_whole_or_not_at_all() {
    for (json, why) in [
        ("{}", "no object `trust_domains`"),
        (r#"{"trust_domains":[]}"#, "no object `trust_domains`"),
        (r#"{"trust_domains":{"a.test":[]}}"#, "no list `keys`"),
        (
            r#"{"trust_domains":{"a.test":{"keys":[]},"b.test":{}}}"#,
            "bundle of `b.test`",
        ),
        (
            r#"{"trust_domains":{"spiffe://a.test":{"keys":[]}}}"#,
            "the trust domain `spiffe://a.test`",
        ),
        (
            r#"{"trust_domains":{"A.test":{"keys":[]}}}"#,
            "the trust domain `A.test`",
        ),
        (
            r#"{"trust_domains":{"":{"keys":[]}}}"#,
            "the trust domain ``",
        ),
    ] {
        let error = SpiffeBundleMap::from_json(json.as_bytes()).expect_err(json);
        assert!(error.to_string().contains(why), "{error}");
    }
    let many: String = (0..1025)
        .map(|n| format!(r#""d{n}.test":{{"keys":[]}},"#))
        .collect();
    let many = format!(r#"{{"trust_domains":{{{}}}}}"#, many.trim_end_matches(','));
    assert!(SpiffeBundleMap::from_json(many.as_bytes()).is_err());
    let empty = SpiffeBundleMap::from_json(br#"{"trust_domains":{}}"#).expect("may be empty");
    assert_eq!(empty.iter().count(), 0);
}

#[test]
fn bundle_5_1_1_a_map_is_written_without_hints_and_never_pools() {
    let (a, b) = (Ca::new("a"), Ca::new("b"));
    let of = |ca: &Ca, name| {
        SpiffeBundle::new(ca.bundle(name))
            .with_sequence(4)
            .with_refresh_hint(Duration::from_secs(60))
    };
    let map = SpiffeBundleMap::new([of(&a, "a.test"), of(&b, "b.test")]).expect("map");
    let json = map.to_json().expect("written");
    assert!(!json.contains("spiffe_refresh_hint"), "{json}");
    let map = SpiffeBundleMap::from_json(json.as_bytes()).expect("read");
    assert_eq!(map.get("a.test").and_then(SpiffeBundle::sequence), Some(4));
    let set = BundleSet::new(map.iter().map(|bundle| bundle.x509().clone())).expect("set");
    let prover = Prover::new(ztl_mtls::Bundles::new(set), &provider());
    // Rule 20: b's authority vouches for nobody of a.test, though both bundles came in one document.
    let forged = b.leaf_of("spiffe://a.test/ns/x/sa/y");
    assert!(prover.prove(&[forged.der], NOW, Purpose::Client).is_err());
    let honest = b.leaf_of("spiffe://b.test/ns/x/sa/y");
    assert!(prover.prove(&[honest.der], NOW, Purpose::Client).is_ok());
}

#[test]
fn rule_21_no_usable_key_proves_nobody() {
    let ca = Ca::new("root");
    for json in [
        r#"{"keys":[]}"#.to_owned(),
        r#"{"keys":[],"spiffe_sequence":0,"spiffe_refresh_hint":0,"else":[[[1]]]}"#.to_owned(),
        with(&ca, |key| key["use"] = "X509-SVID".into()),
        with(&ca, |key| key["use"] = "sig".into()),
        with(&ca, |key| key["use"] = 7.into()),
        with(&ca, |key| {
            drop(key.as_object_mut().expect("object").remove("use"))
        }),
        with(&ca, |key| key["kty"] = "ML-DSA".into()),
        with(&ca, |key| key["kty"] = "oct".into()),
        with(&ca, |key| key["crv"] = "secp256k1".into()),
        with(&ca, |key| key["x5c"] = json!([])),
        with(&ca, |key| {
            drop(key.as_object_mut().expect("object").remove("x5c"))
        }),
    ] {
        let bundle = read(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
        assert!(bundle.x509().is_empty(), "{json}");
        let prover = Prover::new(bundles([bundle.x509().clone()]), &provider());
        let leaf = ca.leaf_of(ID);
        let error = prover
            .prove(&[leaf.der], NOW, Purpose::Client)
            .expect_err("nobody");
        assert_eq!(error.code(), "empty_bundle", "{json}");
    }
}

#[test]
fn x509_svid_6_2_only_the_first_certificate_is_read() {
    let (ca, other) = (Ca::new("root"), Ca::new("other"));
    let more = [json!(STANDARD.encode(&other.der)), json!("junk"), json!(7)];
    for second in more {
        let json = with(&ca, |key| {
            key["x5c"].as_array_mut().expect("list").push(second);
        });
        let bundle = read(&json).expect("bundle");
        assert_eq!(bundle.x509().certificates(), std::slice::from_ref(&ca.der));
    }
    // A key id says nothing here (X509-SVID §6.1 is for those who publish).
    let named = with(&ca, |key| key["kid"] = "x".into());
    assert_eq!(read(&named).expect("bundle").x509().certificates().len(), 1);
}

#[test]
fn svids_6_1_what_is_written_says_its_use_and_has_a_key_id_for_tokens_alone() {
    let authorities = [Ca::new("one"), Ca::new("two")];
    let ders = authorities.each_ref().map(|ca| ca.der.clone());
    let x509 = TrustBundle::from_der(domain("a.test"), ders.clone()).expect("bundle");
    let written = SpiffeBundle::new(x509).to_json().expect("written");
    let mut set: Value = serde_json::from_str(&written).expect("json");
    let keys = set["keys"].as_array_mut().expect("keys");
    let mut found: Vec<_> = keys.iter().map(|key| key["x5c"].clone()).collect();
    let mut wanted = ders.map(|der| json!([STANDARD.encode(der)])).to_vec();
    found.sort_by_key(Value::to_string);
    wanted.sort_by_key(Value::to_string);
    assert_eq!(found, wanted, "one certificate each");
    for key in &*keys {
        assert_eq!((&key["use"], key.get("kid")), (&"x509-svid".into(), None));
    }
    let token = r#"{"use":"jwt-svid","kid":"k","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    keys.push(serde_json::from_str(token).expect("json"));
    let again = read(&set.to_string())
        .expect("bundle")
        .to_json()
        .expect("written");
    let again: Value = serde_json::from_str(&again).expect("json");
    let last = again["keys"].as_array().and_then(|keys| keys.last());
    let last = last.expect("a key");
    assert_eq!(
        (&last["use"], &last["kid"]),
        (&"jwt-svid".into(), &"k".into())
    );
}

#[test]
fn bundle_4_2_what_is_not_known_is_ignored_and_what_stands_beside_it_is_not() {
    let ca = Ca::new("root");
    let good = document(&ca)["keys"][0].clone();
    let changed = |name: &str, value: Option<&str>| {
        let mut key = good.clone();
        let members = key.as_object_mut().expect("object");
        match value {
            Some(value) => drop(members.insert(name.to_owned(), value.into())),
            None => drop(members.remove(name)),
        }
        key
    };
    for unknown in [
        json!({}),
        changed("use", None),
        changed("use", Some("wit-svid")),
        changed("use", Some("")),
        changed("kty", Some("AKP")),
        changed("crv", Some("P-192")),
        changed("x5c", None),
        json!({"use": "jwt-svid", "kty": "AKP", "kid": "k"}),
    ] {
        for keys in [
            json!([unknown, good]),
            json!([good, unknown]),
            json!([unknown, unknown, good]),
        ] {
            let bundle = read(&json!({ "keys": keys }).to_string()).expect("bundle");
            assert_eq!(
                bundle.x509().certificates(),
                std::slice::from_ref(&ca.der),
                "{unknown}"
            );
            assert!(bundle.jwt_authorities().is_empty(), "{unknown}");
        }
    }
}

#[test]
fn what_is_no_certificate_of_an_authority_and_of_the_key_is_refused() {
    let ca = Ca::new("root");
    let first = |value: Value| with(&ca, |key| key["x5c"] = json!([value]));
    let der = STANDARD.encode(&ca.der);
    let leaf = ca.leaf_of(ID);
    let leaf_alone = SpiffeBundle::new(TrustBundle::empty(domain("a.test")));
    assert!(leaf_alone.x509().is_empty());
    for (json, why) in [
        (first("".into()), "not base64 of a certificate"),
        (first("AAAA".into()), "not base64 of a certificate"),
        (first(7.into()), "not base64 of a certificate"),
        (
            first(der.trim_end_matches('=').to_owned().into()).replace("==", ""),
            "",
        ),
        (first(der.replace('+', "-").replace('/', "_").into()), ""),
        (
            first(format!("{der}AAAA").into()),
            "not base64 of a certificate",
        ),
        (
            first("A".repeat(200_000).into()),
            "not base64 of a certificate",
        ),
        (
            with(&ca, |key| key["x5c"] = "text".into()),
            "not base64 of a certificate",
        ),
        (
            first(STANDARD.encode(&Ca::new("root").der).into()),
            "another key",
        ),
        (first(STANDARD.encode(&leaf.der).into()), "another key"),
        (with(&ca, |key| key["x"] = key["y"].clone()), "another key"),
        (
            with(&ca, |key| key["x"] = "AA".into()),
            "`x` missing or malformed",
        ),
        (
            with(&ca, |key| key["y"] = json!(null)),
            "`y` missing or malformed",
        ),
        (
            with(&ca, |key| {
                drop(key.as_object_mut().expect("object").remove("kty"))
            }),
            "`kty` missing",
        ),
        (with(&ca, |key| key["d"] = "AA".into()), "private key"),
        (with(&ca, |key| key["p"] = "AA".into()), "private key"),
        (with(&ca, |key| key["qi"] = "AA".into()), "private key"),
        (with(&ca, |key| *key = json!([])), "not a JSON object"),
    ] {
        match read(&json) {
            Err(error) => assert!(error.to_string().contains(why), "{error}"),
            // Base64 without `+`, `/` or padding is the same in both alphabets.
            Ok(bundle) => assert!(why.is_empty() && json.contains(&der), "{bundle:?}: {json}"),
        }
    }
}

#[test]
fn a_leaf_with_its_own_key_is_no_authority() {
    let ca = Ca::new("root");
    let leaf = ca.leaf_of(ID);
    let spki = leaf.key.public_key_raw();
    let encode = |part: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(part);
    let json = json!({"keys": [{
        "use": "x509-svid", "kty": "EC", "crv": "P-256",
        "x": encode(&spki[1..33]), "y": encode(&spki[33..]),
        "x5c": [STANDARD.encode(&leaf.der)],
    }]});
    let error = refused(&json.to_string());
    assert!(error.contains("may not issue"), "{error}");
}

#[test]
fn numbers_are_integers_of_64_bits() {
    for (value, taken) in [
        ("0", true),
        ("18446744073709551615", true),
        ("18446744073709551616", false),
        ("-1", false),
        ("1.0", false),
        ("1e3", false),
        ("\"1\"", false),
        ("null", false),
        ("[]", false),
    ] {
        for name in ["spiffe_sequence", "spiffe_refresh_hint"] {
            let json = format!(r#"{{"keys":[],"{name}":{value}}}"#);
            match read(&json) {
                Ok(_) => assert!(taken, "{json}"),
                Err(error) => assert!(
                    !taken && error.to_string().contains(name),
                    "{json}: {error}"
                ),
            }
        }
    }
}

#[test]
fn jwt_svid_6_1_keys_have_ids_of_their_own() {
    let key = |kid: &str| {
        format!(
            r#"{{"use":"jwt-svid","kty":"EC","crv":"P-256",{kid}
            "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}}"#
        )
    };
    let set = |keys: &[String]| format!(r#"{{"keys":[{}]}}"#, keys.join(","));
    let two = read(&set(&[key(r#""kid":"a","#), key(r#""kid":"b","#)])).expect("bundle");
    let ids: Vec<_> = two
        .jwt_authorities()
        .iter()
        .map(|key| key.key_id())
        .collect();
    assert_eq!(ids, ["a", "b"]);
    let jwk: Value = serde_json::from_str(&two.jwt_authorities()[0].jwk()).expect("jwk");
    assert_eq!(jwk["crv"], "P-256");
    for (keys, why) in [
        ([key("")].as_slice(), "no `kid`"),
        (&[key(r#""kid":"","#)], "no `kid`"),
        (&[key(r#""kid":1,"#)], "`kid` missing or malformed"),
        (
            &[key(r#""kid":"a","#), key(r#""kid":"a","#)],
            "`kid` of one before it",
        ),
        (&[key(r#""kid":"a","d":"AA","#)], "private key"),
    ] {
        assert!(refused(&set(keys)).contains(why), "{why}");
    }
    // In the Workload API's form `use` may be missing, and keys for another use are no JWT authorities.
    let bare = set(&[key(r#""kid":"a","#).replace(r#""use":"jwt-svid","#, "")]);
    let bundle = JwtBundle::from_json(domain("a.test"), bare.as_bytes()).expect("jwks");
    assert_eq!(bundle.authorities().len(), 1);
    assert!(read(&bare).expect("ignored").jwt_authorities().is_empty());
    let other = JwtBundle::from_json(
        domain("a.test"),
        document(&Ca::new("root")).to_string().as_bytes(),
    );
    assert!(other.expect("jwks").authorities().is_empty());
}

#[test]
fn rule_15_what_is_too_much_is_not_read() {
    let long = format!(r#"{{"keys":[]{}}}"#, " ".repeat(MAX_BUNDLE_BYTES));
    assert!(refused(&long).contains("at most 1048576 are read"));
    let many = format!(r#"{{"keys":[{}1]}}"#, "{},".repeat(MAX_BUNDLE_KEYS));
    assert!(refused(&many).contains("at most 1024 are read"));
    let deep = format!(
        r#"{{"keys":{}{}}}"#,
        "[".repeat(400_000),
        "]".repeat(400_000)
    );
    assert!(refused(&deep).contains("deep"));
    for json in [
        "",
        "[]",
        "null",
        "{",
        "{}",
        r#"{"keys":null}"#,
        r#"{"keys":{}}"#,
        "{} {}",
        "\u{feff}{}",
    ] {
        assert!(read(json).is_err(), "{json}");
    }
}

#[test]
fn a_file_is_a_document_or_pem_and_says_its_name() {
    let ca = Ca::new("root");
    let path = std::env::temp_dir().join(format!("ztl-mtls-bundle-{}.json", std::process::id()));
    let mut certificates = Vec::new();
    for text in [document(&ca).to_string(), ca.pem.clone()] {
        std::fs::write(&path, text).expect("write");
        let bundle = SpiffeBundle::from_file(domain("a.test"), &path).expect("bundle");
        certificates.extend_from_slice(bundle.x509().certificates());
    }
    assert_eq!(certificates, [ca.der.clone(), ca.der.clone()]);
    std::fs::write(&path, "{").expect("write");
    let error = SpiffeBundle::from_file(domain("a.test"), &path).expect_err("cut");
    assert!(error.to_string().contains("ztl-mtls-bundle-"), "{error}");
    std::fs::remove_file(&path).expect("remove");
}
