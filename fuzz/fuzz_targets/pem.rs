//! PEM, as SVIDs, bundles, revocation lists and chains come: no text makes a reader panic, none of them quotes a key, and from a text of
//! whole sections comes exactly what stands in it, whatever stands between them (rule 31).
//!
//! The input is a text in which a line such as `@leaf` stands for a section that was made just now; what follows the name edits it:
//!
//! - `=LABEL` writes another label than its own, up to the end of the line
//! - `<N` keeps the first N bytes of the section, `>N` leaves them out, `!N` flips a bit of that byte
//! - `^` ends its lines as Windows does
//!
//! So a seed is a text that one can read, and what a mutation makes of it is still made of real certificates, lists and keys.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use ztl_core::TrustDomain;
use ztl_mtls::{CrlSet, Leaf, MAX_CHAIN, PemError, TrustBundle, X509Svid, certificates_from_pem};

/// Most sections that a text is given: with them it stays far below what is read.
const MOST: usize = 64;

const CERTIFICATE: &str = "CERTIFICATE";
const CRL: &str = "X509 CRL";
const KEY: &str = "PRIVATE KEY";

/// A section as it is when nobody edits it.
struct Known {
    name: &'static str,
    label: &'static str,
    der: Vec<u8>,
    /// The lines between its first and its last.
    body: String,
}

static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let key = || KeyPair::generate().expect("a key");
    let params = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        params
    };
    let authority = |name: &str| {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    };
    let (root_key, leaf_key, middle_key) = (key(), key(), key());
    let root = authority("root").self_signed(&root_key).expect("a root");
    let by_root = Issuer::new(authority("root"), root_key);
    let middle = authority("middle").signed_by(&middle_key, &by_root);
    let by_middle = Issuer::new(authority("middle"), middle_key);
    let mut leaf = params("leaf");
    leaf.subject_alt_names = vec![SanType::URI(
        "spiffe://prod.example/router".try_into().expect("ASCII"),
    )];
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let leaf = leaf.signed_by(&leaf_key, &by_middle).expect("a leaf");
    let list = |number: u64, by: &Issuer<'_, KeyPair>| {
        let list = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2026, 1, 1),
            next_update: rcgen::date_time_ymd(2027, 1, 1),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let signed = list.signed_by(by).expect("a list");
        (signed.der().to_vec(), signed.pem().expect("its text"))
    };
    let middle = middle.expect("an intermediate");
    let (first, second) = (list(1, &by_root), list(2, &by_middle));
    let known = |name, label, der: &[u8], pem: &str| Known {
        name,
        label,
        der: der.to_vec(),
        body: pem
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .map(|line| format!("{line}\n"))
            .collect(),
    };
    let of_key = |name, key: &KeyPair| known(name, KEY, &key.serialize_der(), &key.serialize_pem());
    vec![
        known("leaf", CERTIFICATE, leaf.der(), &leaf.pem()),
        known("middle", CERTIFICATE, middle.der(), &middle.pem()),
        known("root", CERTIFICATE, root.der(), &root.pem()),
        known("list", CRL, &first.0, &first.1),
        known("other", CRL, &second.0, &second.1),
        of_key("key", &leaf_key),
        of_key("stray", &key()),
    ]
});

/// What a text was made of.
#[derive(Default)]
struct Made {
    text: Vec<u8>,
    sections: Vec<Section>,
    /// Nothing of it was damaged, and nothing between the sections looks like a part of one.
    is_whole: bool,
}

struct Section {
    label: String,
    der: &'static [u8],
}

impl Made {
    fn of(input: &[u8]) -> Self {
        let mut made = Self {
            is_whole: true,
            ..Self::default()
        };
        for line in input.split_inclusive(|byte| *byte == b'\n') {
            if made.sections.len() < MOST && made.section(line.trim_ascii_end()) {
                continue;
            }
            made.is_whole &= !line.windows(5).any(|part| part == b"-----");
            made.text.extend_from_slice(line);
        }
        made
    }

    /// Puts in the section that this line stands for, where it stands for one.
    fn section(&mut self, line: &[u8]) -> bool {
        let Some(line) = line
            .strip_prefix(b"@")
            .and_then(|line| core::str::from_utf8(line).ok())
        else {
            return false;
        };
        let end = line.find(|c: char| !c.is_ascii_lowercase());
        let (name, mut edits) = line.split_at(end.unwrap_or(line.len()));
        let Some(known) = KNOWN.iter().find(|known| known.name == name) else {
            return false;
        };
        let label = match edits.split_once('=') {
            Some((before, label)) => {
                edits = before;
                label
            }
            None => known.label,
        };
        let body = &known.body;
        let mut text =
            format!("-----BEGIN {label}-----\n{body}-----END {label}-----\n").into_bytes();
        let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ';
        let mut is_whole = label.chars().all(plain) && label.trim() == label && !label.is_empty();
        while let Some(edit) = edits.chars().next() {
            edits = &edits[edit.len_utf8()..];
            let end = edits.find(|c: char| !c.is_ascii_digit());
            let (digits, rest) = edits.split_at(end.unwrap_or(edits.len()));
            let place = digits.parse::<usize>().unwrap_or(0).min(text.len());
            edits = rest;
            match edit {
                '<' => text.truncate(place),
                '>' => drop(text.drain(..place)),
                '!' => match text.get_mut(place) {
                    Some(byte) => *byte ^= 1,
                    None => continue,
                },
                '^' => {
                    // Its lines end in two bytes from here on; it is the same section.
                    let lines = text.split_inclusive(|byte| *byte == b'\n');
                    let ended = lines.flat_map(|line| match line.strip_suffix(b"\n") {
                        Some(line) => [line, b"\r\n"].concat(),
                        None => line.to_vec(),
                    });
                    text = ended.collect();
                    continue;
                }
                _ => continue,
            }
            is_whole = false;
        }
        // What stands before it on its own line is a part of that line.
        self.is_whole &= is_whole && self.text.last().is_none_or(|last| *last == b'\n');
        self.text.extend_from_slice(&text);
        let (label, der) = (label.to_owned(), known.der.as_slice());
        self.sections.push(Section { label, der });
        true
    }

    fn of_label(&self, label: &str) -> Vec<&'static [u8]> {
        let sections = self.sections.iter();
        sections
            .filter(|section| section.label == label)
            .map(|section| section.der)
            .collect()
    }

    fn keys(&self) -> usize {
        let keys = ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"];
        let sections = self.sections.iter();
        sections
            .filter(|section| keys.contains(&section.label.as_str()))
            .count()
    }
}

fn der(name: &str) -> &'static [u8] {
    let known = KNOWN.iter().find(|known| known.name == name);
    &known.expect("a section of this name").der
}

/// Each once, in the order in which it comes first.
fn once<'a>(all: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut seen = Vec::new();
    for one in all {
        if !seen.contains(one) {
            seen.push(*one);
        }
    }
    seen
}

fn said(error: &dyn core::fmt::Display) {
    let error = error.to_string();
    assert!(!error.is_empty() && error.len() < 1000, "{error}");
    for key in KNOWN.iter().filter(|known| known.label == KEY) {
        // From the middle on it is no kind's, but this key's.
        let lines: String = key.body.lines().collect();
        let own = &lines[lines.len() / 2..][..16];
        assert!(!error.contains(own), "a key is quoted");
    }
}

fuzz_target!(|input: &[u8]| {
    let made = Made::of(input);
    let domain = TrustDomain::parse("prod.example").expect("a trust domain");
    let provider = ztl_mtls::provider();
    let text = made.text.as_slice();
    let chain = certificates_from_pem(text);
    let bundle = TrustBundle::from_pem(domain.clone(), text);
    let lists = CrlSet::from_pem(domain.clone(), text);
    let svid = X509Svid::from_pem(text, text, &provider);

    // Whatever the text is.
    if let Ok(chain) = &chain {
        let begun = text
            .windows(b"-----BEGIN CERTIFICATE".len())
            .filter(|part| *part == b"-----BEGIN CERTIFICATE");
        assert!((1..=begun.count()).contains(&chain.len()));
    }
    match &bundle {
        Ok(bundle) => {
            let chain = chain.as_ref().expect("its certificates");
            assert!(!bundle.is_empty());
            assert!(bundle.certificates().iter().all(|der| chain.contains(der)));
        }
        Err(error) => said(error),
    }
    match &lists {
        Ok(lists) => assert!(!lists.is_empty()),
        Err(error) => said(error),
    }
    match &svid {
        Ok(svid) => {
            assert_eq!(Some(svid.chain()), chain.as_deref().ok());
            assert!(Leaf::read(&svid.chain()[0]).is_ok_and(|leaf| leaf.id() == svid.id()));
        }
        Err(error) => said(error),
    }
    if let Ok(read) = CrlSet::lists_of(text) {
        let again = CrlSet::from_der(domain, read);
        assert!(text.starts_with(&[0x30]) || again.is_ok() == lists.is_ok());
    }

    // Nothing was damaged: what stands in it comes out, and nothing else.
    if !made.is_whole {
        return;
    }
    let certificates = made.of_label(CERTIFICATE);
    match &chain {
        Ok(chain) => assert!(
            chain
                .iter()
                .map(AsRef::as_ref)
                .eq(certificates.iter().copied())
        ),
        Err(error) => assert!(certificates.is_empty() && *error == PemError::NoCertificate),
    }
    let authorities = [der("root"), der("middle")];
    let is_bundle =
        !certificates.is_empty() && certificates.iter().all(|it| authorities.contains(it));
    assert_eq!(bundle.is_ok(), is_bundle, "{bundle:?}");
    if let Ok(bundle) = &bundle {
        let held = bundle.certificates().iter().map(AsRef::as_ref);
        assert!(held.eq(once(&certificates)));
    }
    let made_lists = made.of_label(CRL);
    let known_lists = [der("list"), der("other")];
    let are_lists = !made_lists.is_empty() && made_lists.iter().all(|it| known_lists.contains(it));
    assert_eq!(lists.is_ok(), are_lists, "{lists:?}");
    assert_eq!(
        lists.map_or(0, |lists| lists.len()),
        if are_lists {
            once(&made_lists).len()
        } else {
            0
        }
    );
    let is_chain = certificates.split_first().is_some_and(|(first, issuers)| {
        *first == der("leaf") && issuers.iter().all(|it| authorities.contains(it))
    });
    let is_svid = is_chain
        && certificates.len() <= MAX_CHAIN
        && made.keys() == 1
        && made.of_label(KEY) == [der("key")];
    // A key of another kind's label may be read all the same.
    let is_odd = made.keys() == 1 && made.of_label(KEY).is_empty();
    assert!(is_odd || svid.is_ok() == is_svid, "{svid:?}");
});
