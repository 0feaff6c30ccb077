//! X.509-SVIDs as go-spiffe and rust-spiffe test them: what is an SVID by its form, and scenarios whose chains are made here.

use rcgen::KeyPair;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use ztl_mtls::{Leaf, PemError, SvidError, X509Svid, provider};

use crate::scenario::Scenario;
use crate::tally::{Counts, Stands, Tally};
use crate::{der, rows, text};

#[test]
fn rules_16_to_20_x509_svids() {
    let mut tally = Tally::new(include_str!("spiffe/exceptions.toml"));
    for row in rows(include_str!("spiffe/x509_svid.json")) {
        let id = text(&row, "id");
        let ours = match text(&row, "kind") {
            "parse" | "parse_der_chain" => match KeyFault::of(&row) {
                Ok(None) => form(svid(&row, key().into())),
                Ok(Some(fault)) => taken(!fault.is_refused(&row)),
                Err(why) => {
                    tally.unread(id, "fault of the key", why);
                    continue;
                }
            },
            "leaf_der" => taken(Leaf::read(&der(text(&row, "der"))).is_ok()),
            "verify_scenario" => {
                let name = text(&row, "scenario");
                let Some(scenario) = Scenario::named(name) else {
                    tally.unread(id, "scenario", name);
                    continue;
                };
                taken(scenario.proves())
            }
            kind => {
                tally.unread(id, "kind", kind);
                continue;
            }
        };
        let valid = row["valid"] == true || row["expect"] == "accept";
        let stands = match valid {
            true => Stands::Stricter,
            false => Stands::Looser,
        };
        tally.row(id, taken(valid), ours, stands);
    }
    let expected = Counts {
        agree: 17,
        ..Counts::default()
    };
    tally.finish("X.509-SVIDs", expected);
}

fn taken(valid: bool) -> &'static str {
    if valid { "valid" } else { "refused" }
}

fn key() -> PrivatePkcs8KeyDer<'static> {
    PrivatePkcs8KeyDer::from(KeyPair::generate().expect("key").serialize_der())
}

/// The SVID of a row with another key: from PEM's parts, or from DER as the Workload API sends it.
fn svid(row: &Value, key: PrivateKeyDer<'static>) -> Result<X509Svid, SvidError> {
    if let Some(chain) = row["der"].as_str() {
        return X509Svid::from_der(&der(chain), key.secret_der(), &provider());
    }
    let chain: Vec<CertificateDer<'static>> = certificates(row).map(der).collect();
    if let (Some(id), Some(leaf)) = (row["spiffe_id"].as_str(), chain.first()) {
        assert_eq!(Leaf::read(leaf).expect("a leaf").id().as_str(), id);
    }
    X509Svid::from_parts(chain, key, &provider())
}

/// The rows came without their keys. One of our own is compared last, so it is what is wrong where all else is right.
fn form(svid: Result<X509Svid, SvidError>) -> &'static str {
    taken(matches!(svid, Err(SvidError::KeyMismatch { .. })))
}

fn certificates(row: &Value) -> impl Iterator<Item = &str> {
    let chain = row["chain"].as_array().into_iter().flatten();
    chain.map(|der| der.as_str().expect("a text"))
}

/// What a row says is wrong with the key that it came without. It is made anew, and has to be refused for just that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyFault {
    Missing,
    Damaged,
    /// It is another certificate's.
    Other,
}

impl KeyFault {
    /// `None` where nothing is said about the key; `Err` where it is not known what.
    fn of(row: &Value) -> Result<Option<Self>, &str> {
        let Some(why) = row["why"].as_str() else {
            return Ok(None);
        };
        let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
        if !says(&[
            "private key",
            "key mismatch",
            "match the key",
            "key does not match",
        ]) {
            return Ok(None);
        }
        for (words, fault) in [
            (
                &["no private key", "missing", "without", "empty"][..],
                Self::Missing,
            ),
            (&["match", "another", "other", "belong"], Self::Other),
            (
                &[
                    "corrupt",
                    "damaged",
                    "malformed",
                    "parse",
                    "decode",
                    "invalid",
                    "unsupported",
                ],
                Self::Damaged,
            ),
        ] {
            if says(words) {
                return Ok(Some(fault));
            }
        }
        Err(why)
    }

    fn is_refused(self, row: &Value) -> bool {
        let own = key();
        let svid = match self {
            Self::Missing if row["der"].is_null() => {
                // It has none, as all of them, and says so.
                let pem = |der: &str| {
                    format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n")
                };
                let text: String = certificates(row).map(pem).collect();
                X509Svid::from_pem(text.as_bytes(), text.as_bytes(), &provider())
            }
            Self::Missing => svid(row, PrivatePkcs8KeyDer::from(Vec::new()).into()),
            Self::Damaged => {
                let half = own.secret_pkcs8_der();
                let half = half.get(..half.len() / 2).expect("half of it").to_vec();
                svid(row, PrivatePkcs8KeyDer::from(half).into())
            }
            Self::Other => svid(row, own.into()),
        };
        matches!(
            (self, svid),
            (Self::Missing, Err(SvidError::KeyPem(PemError::NoKey)))
                | (Self::Missing | Self::Damaged, Err(SvidError::UnusableKey))
                | (Self::Other, Err(SvidError::KeyMismatch { .. }))
        )
    }
}

#[test]
fn what_rows_say_of_keys_is_made_and_refused_for_just_that() {
    let table = rows(include_str!("spiffe/x509_svid.json"));
    let good = |kind: &str| {
        let good = |row: &&Value| row["kind"] == kind && row["valid"] == true;
        table.iter().find(good).cloned()
    };
    let mut row = good("parse").expect("a good chain");
    for (why, fault) in [
        ("no private key found", KeyFault::Missing),
        ("private key missing", KeyFault::Missing),
        (
            "private key does not match the certificate",
            KeyFault::Other,
        ),
        ("leaf and private key mismatch", KeyFault::Other),
        ("corrupted private key", KeyFault::Damaged),
        ("cannot parse private key", KeyFault::Damaged),
    ] {
        row["why"] = why.into();
        assert_eq!(KeyFault::of(&row), Ok(Some(fault)), "{why}");
        assert!(fault.is_refused(&row), "{why}");
    }
    for why in [
        "keyCertSign",
        "signing cert keyCertSign",
        "no URI SAN",
        "corrupted",
    ] {
        row["why"] = why.into();
        assert_eq!(KeyFault::of(&row), Ok(None), "{why}");
    }
    row["why"] = "a private key of some colour".into();
    assert!(KeyFault::of(&row).is_err());
}
