//! x509-limbo and BetterTLS: chains that have to be proved, or refused, or ended in bounded time.

use std::time::{Duration, Instant};

use rustls_pki_types::CertificateDer;
use serde_json::Value;
use ztl_core::Timestamp;
use ztl_mtls::{CrlSet, Purpose, Revocation, TrustBundle};

use crate::common::{domain, prover};
use crate::tally::{Counts, Stands, Tally, UNSAID};
use crate::{der, rows, text};

/// What a row that must end soon may take. It is asked to end within a second; a busy machine and a build without optimisation
/// are given some more, and what is quadratic in what these rows send takes minutes.
const SOON: Duration = Duration::from_secs(10);

/// What a refusal begins with; its code follows.
const REJECT: &str = "reject: ";

#[test]
fn rule_31_x509_limbo() {
    let expected = Counts {
        agree: 52,
        stricter: 4,
        unsaid: 2,
        looser: 11,
    };
    let table = include_str!("limbo/cases.json");
    let certificates = include_str!("limbo/certificates.txt");
    let exceptions = include_str!("limbo/exceptions.toml");
    let suite = ("x509-limbo", "limbo.test");
    run(suite, table, certificates, exceptions, expected);
}

#[test]
fn rule_31_better_tls() {
    let expected = Counts {
        agree: 329,
        stricter: 2,
        ..Counts::default()
    };
    let table = include_str!("bettertls/cases.json");
    let certificates = include_str!("bettertls/certificates.txt");
    let exceptions = include_str!("bettertls/exceptions.toml");
    let suite = ("BetterTLS", "bettertls.test");
    run(suite, table, certificates, exceptions, expected);
}

/// A suite has a name and the trust domain of its leaves.
fn run(
    (suite, trust_domain): (&str, &str),
    table: &str,
    certificates: &str,
    exceptions: &str,
    expected: Counts,
) {
    let certificates: Vec<_> = certificates.lines().map(der).collect();
    let mut tally = Tally::new(exceptions);
    for row in rows(table) {
        let id = text(&row, "id");
        let theirs = match text(&row, "expect") {
            "accept" | "name-only" => "accept",
            "reject" | "reject-fast" => "reject",
            // Both answers can be defended: what differs from the suite's own is listed with its reason.
            "either" | "needs-crl" | "needs-depth-option" => text(&row, "upstream"),
            // Whatever the answer, it has to come.
            "terminate-fast" => {
                let ours = judge(&row, trust_domain, &certificates);
                tally.row(id, &ours, &ours, Stands::Stricter);
                continue;
            }
            other => {
                tally.unread(id, "expectation", other);
                continue;
            }
        };
        let ours = judge(&row, trust_domain, &certificates);
        let (theirs, stands) = match (theirs, ours.as_str()) {
            ("accept", _) => (theirs, Stands::Stricter),
            // Whatever the reason.
            (_, refused) if refused.starts_with(REJECT) => (refused, Stands::Stricter),
            _ => (theirs, Stands::Looser),
        };
        tally.row(id, theirs, &ours, stands);
    }
    tally.finish(suite, expected);
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long it takes is what is asked"
)]
fn judge(row: &Value, trust_domain: &str, certificates: &[CertificateDer<'static>]) -> String {
    let begun = Instant::now();
    let answer = answer(row, trust_domain, certificates);
    let took = begun.elapsed();
    assert!(took < SOON, "{}: {took:?}", text(row, "id"));
    answer
}

fn answer(row: &Value, trust_domain: &str, certificates: &[CertificateDer<'static>]) -> String {
    let reject = |code: &str| format!("{REJECT}{code}");
    if text(row, "expect") == "needs-depth-option" {
        return format!("{UNSAID}a depth of one's own");
    }
    let of = |index: &Value| {
        let index = usize::try_from(index.as_u64().expect("an index")).expect("an index");
        certificates[index].clone()
    };
    let list = |key: &str| {
        let list = row[key].as_array().map_or(&[][..], Vec::as_slice);
        list.iter().map(of).collect::<Vec<_>>()
    };
    // Roots that are no authorities make no bundle, and nobody is proved.
    let Ok(bundle) = TrustBundle::from_der(domain(trust_domain), list("roots")) else {
        return reject("no bundle");
    };
    let chain: Vec<_> = [of(&row["leaf"])]
        .into_iter()
        .chain(list("extra_leaves"))
        .chain(list("intermediates"))
        .collect();
    let mut prover = prover([bundle]);
    if let Some(lists) = row["crls"].as_array() {
        let lists = lists
            .iter()
            .map(|list| der(list.as_str().expect("a text")).to_vec().into());
        let Ok(lists) = CrlSet::from_der(domain(trust_domain), lists) else {
            return reject("revocation list");
        };
        let revocation = Revocation::new();
        revocation.replace_crls(lists);
        prover = prover.with_revocation(revocation);
    }
    let now = Timestamp::from_unix_secs(row["time"].as_u64().expect("a time"));
    match prover.prove(&chain, now, Purpose::Client) {
        Ok(peer) => {
            assert_eq!(peer.id().as_str(), text(row, "spiffe_id"));
            "accept".to_owned()
        }
        Err(error) => reject(error.code()),
    }
}
