//! Certificates on which rustls-webpki tests its reader: read or refused, never a panic, never an identity.

use ztl_core::Timestamp;
use ztl_mtls::{Leaf, Purpose, TrustBundle};

use crate::common::{domain, prover};
use crate::tally::{Counts, Stands, Tally};
use crate::{der, rows, text};

#[test]
fn rule_31_webpki_fixtures() {
    let mut tally = Tally::new(include_str!("webpki/exceptions.toml"));
    for row in rows(include_str!("webpki/fixtures.json")) {
        let leaf = der(text(&row, "leaf_der_b64"));
        let mut chain = vec![leaf.clone()];
        let more = row["intermediates_der_b64"].as_array();
        let more = more.into_iter().flatten();
        chain.extend(more.map(|der_of| der(der_of.as_str().expect("a text"))));
        let root = row["root_der_b64"].as_str().map(der);
        let bundle = TrustBundle::from_der(domain("webpki.test"), root);
        let now = Timestamp::from_unix_secs(1_700_000_000);
        let proved =
            bundle.is_ok_and(|bundle| prover([bundle]).prove(&chain, now, Purpose::Client).is_ok());
        let ours = if proved { "proved" } else { "refused" };
        let id = text(&row, "id");
        match text(&row, "expect") {
            // Read or not: no row of this kind is an SVID.
            "parse" => {
                let ours = if Leaf::read(&leaf).is_ok() {
                    "an SVID"
                } else {
                    ours
                };
                tally.row(id, "refused", ours, Stands::Looser);
            }
            "reject" => tally.row(id, "refused", ours, Stands::Looser),
            other => tally.unread(id, "expectation", other),
        }
    }
    let expected = Counts {
        agree: 5,
        ..Counts::default()
    };
    tally.finish("webpki fixtures", expected);
}
