//! The page `docs/verify.md`: each code has its row, with the clause and the remedy that the code itself tells.
#![cfg(test)]

use std::collections::BTreeSet;

use ztl_core::{IdError, Timestamp, TrustDomain};
use ztl_mtls::{CertError, KeyError, LeafError, Position, ProveError, Unknown};

const PAGE: &str = include_str!("../../docs/verify.md");

/// The functions `code` of all errors that a chain can meet. What they say has to be in [`all`].
const SOURCES: [&str; 4] = [
    include_str!("../src/verify/error.rs"),
    include_str!("../src/leaf.rs"),
    include_str!("../src/cert.rs"),
    include_str!("../src/key.rs"),
];

fn all() -> Vec<ProveError> {
    let domain = || TrustDomain::parse("a.test").expect("domain");
    let (certificate, now) = (Position::Leaf, Timestamp::EPOCH);
    let leaf = [
        LeafError::Version,
        LeafError::TooManyNames(257),
        LeafError::NoUri,
        LeafError::ManyUris(2),
        LeafError::UriNotAscii,
        LeafError::Id(IdError::TrustDomainChar),
        LeafError::IsAuthority,
        LeafError::NoKeyUsage,
        LeafError::NoDigitalSignature,
        LeafError::CertSign,
        LeafError::CrlSign,
        LeafError::NoServerAuth,
        LeafError::NoClientAuth,
        LeafError::UnknownCritical("x".into()),
        CertError::TooLong.into(),
        CertError::Malformed("x".into()).into(),
        CertError::DuplicateExtension("keyUsage".into()).into(),
        CertError::TooManyExtensions.into(),
    ];
    let key = [
        KeyError::RsaShort(1024),
        KeyError::RsaLong(16_384),
        KeyError::Unsupported("x".into()),
        KeyError::Malformed("x".into()),
    ];
    let denied = [
        "id spiffe://a.test/x".to_owned(),
        format!("key sha256:{:064}", 0),
        format!("serial 01 issuer sha256:{:064}", 0),
    ];
    let unknown = [
        Unknown::NoCrl,
        Unknown::Scope,
        Unknown::NotYetValid {
            this_update: now,
            now,
        },
        Unknown::Expired {
            next_update: now,
            now,
        },
    ];
    let mut all: Vec<_> = leaf.into_iter().map(ProveError::Leaf).collect();
    all.extend([
        ProveError::NoCertificate,
        ProveError::ChainTooLong(17),
        ProveError::CertificateTooLong { index: 0, len: 0 },
        ProveError::UnknownTrustDomain(domain()),
        ProveError::EmptyBundle(domain()),
        ProveError::UnknownIssuer(domain()),
        ProveError::Expired {
            certificate,
            not_after: now,
            now,
        },
        ProveError::NotYetValid {
            certificate,
            not_before: now,
            now,
        },
        ProveError::BadSignature,
        ProveError::UnsupportedAlgorithm,
        ProveError::IssuerNotAuthority,
        ProveError::IssuerNoCertSign,
        ProveError::PathLength,
        ProveError::NameConstraint,
        ProveError::UriNameConstraint,
        ProveError::Purpose("client"),
        ProveError::UnknownCritical,
        ProveError::Malformed("x".into()),
        ProveError::TooIntricate,
        ProveError::DevAuthority(domain()),
        ProveError::Revoked {
            certificate,
            serial: "01".into(),
        },
        ProveError::CrlSignature { certificate },
        ProveError::CrlAlgorithm { certificate },
        ProveError::CrlSigner { certificate },
        ProveError::NoPossession,
        ProveError::VerifierUsedTwice,
        ProveError::Path("x".into()),
    ]);
    all.extend(key.map(|error| ProveError::Key { certificate, error }));
    all.extend(unknown.map(|why| ProveError::RevocationUnknown { certificate, why }));
    all.extend(denied.map(|line| ProveError::Denied {
        certificate,
        denied: line.parse().expect("an entry"),
    }));
    all
}

/// All texts in the functions `code` of a source.
fn codes_of(source: &str) -> BTreeSet<&str> {
    let bodies = source.split("fn code(").skip(1);
    let bodies = bodies.filter_map(|rest| Some(rest.split_once("\n    }\n")?.0));
    bodies
        .flat_map(|body| body.split('"').skip(1).step_by(2))
        .collect()
}

/// The rows of the table of codes: code, clause, what is wrong, how it is mended.
fn rows() -> Vec<Vec<&'static str>> {
    let (_, table) = PAGE.split_once("## Every code").expect("the table");
    let table = table.split("\n## ").next().expect("a section");
    table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

#[test]
fn every_code_has_its_row_and_every_row_its_code() {
    let codes: BTreeSet<_> = SOURCES.into_iter().flat_map(codes_of).collect();
    assert!(codes.len() > 30, "{codes:?}");
    let tested: BTreeSet<_> = all().iter().map(ProveError::code).collect();
    assert_eq!(tested, codes, "an error is missing in this test");
    let rows = rows();
    let told: Vec<_> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(told.iter().copied().collect::<BTreeSet<_>>(), codes);
    assert_eq!(told.len(), codes.len(), "a code has two rows");
}

#[test]
fn a_row_says_the_clause_and_the_remedy_of_the_error() {
    let rows = rows();
    for error in all() {
        let code = format!("`{}`", error.code());
        let row = rows.iter().find(|row| row[0] == code).expect("a row");
        assert_eq!(row.len(), 4, "{row:?}");
        assert!(
            row[1].split(", ").any(|clause| clause == error.clause()),
            "{row:?}"
        );
        assert!(row[3].contains(error.help()), "{code}: {}", error.help());
    }
}
