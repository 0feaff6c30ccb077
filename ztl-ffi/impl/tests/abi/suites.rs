//! The chains on which others test themselves, through the C door: proved and refused as the verifier does it, for the same reason.

#![expect(unsafe_code, reason = "calls the C ABI")]

use core::{ptr, slice};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use ztl_core::{Reason, Timestamp, TrustDomain};
use ztl_ffi_impl::*;
use ztl_mtls::{BundleSet, Bundles, CrlSet, Prover, Purpose, Revocation, TrustBundle, provider};

use crate::authority::Authority;
use crate::harness::*;

type Der = Vec<u8>;

/// What came of a chain: an id, or why not; `None` where already the roots or the lists are refused.
pub(crate) type Answer = Option<Result<String, u32>>;

pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) domain: &'static str,
    pub(crate) roots: Vec<Der>,
    pub(crate) chain: Vec<Der>,
    pub(crate) crls: Option<Vec<Der>>,
    pub(crate) now: u64,
}

/// What C hears, which is what the verifier says.
#[track_caller]
pub(crate) fn proved(row: &Row) -> Answer {
    let said = c_door(row);
    assert_eq!(said, verifier(row), "{}", row.name);
    said
}

/// What the verifier says.
fn verifier(row: &Row) -> Answer {
    let domain = TrustDomain::parse(row.domain).expect("a trust domain");
    let roots = row.roots.iter().map(|der| der.clone().into());
    let bundle = TrustBundle::from_der(domain.clone(), roots).ok()?;
    let bundles = Bundles::new(BundleSet::new([bundle]).expect("one bundle"));
    let mut prover = Prover::new(bundles, &provider());
    if let Some(lists) = &row.crls {
        let lists = lists.iter().map(|der| der.clone().into());
        let revocation = Revocation::new();
        revocation.replace_crls(CrlSet::from_der(domain, lists).ok()?);
        prover = prover.with_revocation(revocation);
    }
    let chain: Vec<_> = row.chain.iter().map(|der| der.clone().into()).collect();
    let now = Timestamp::from_unix_secs(row.now);
    Some(match prover.prove(&chain, now, Purpose::Client) {
        Ok(peer) => Ok(peer.id().as_str().to_owned()),
        Err(error) => Err(match error.reason() {
            Reason::IdentityUnproven => ZTL_REASON_IDENTITY_UNPROVEN,
            Reason::IdentityExpired => ZTL_REASON_IDENTITY_EXPIRED,
            Reason::IdentityRevoked => ZTL_REASON_IDENTITY_REVOKED,
            other => panic!("{}: {other:?} is no reason of step one", row.name),
        }),
    })
}

/// What C hears.
fn c_door(row: &Row) -> Answer {
    let engine = Engine::new(&format!(
        "schema = 1\ntrust_domain = '{0}'\n[workloads.me]\nid = 'spiffe://{0}/me'\nports = [8443]\n",
        row.domain
    ));
    let lent = |ders: &[Der]| ders.iter().map(|der| bytes(der)).collect::<Vec<_>>();
    let (roots, chain) = (lent(&row.roots), lent(&row.chain));
    let domain = text(row.domain);
    // SAFETY: all that is lent is good.
    let trusted = unsafe {
        ztl_engine_trust_der(
            engine.0,
            domain,
            roots.as_ptr(),
            roots.len(),
            ptr::null_mut(),
        )
    };
    // No roots at all is no bundle for the one, and for the other the end of trust.
    if trusted != ZTL_OK || roots.is_empty() {
        return None;
    }
    if let Some(lists) = &row.crls {
        let pem = |der: &Der| {
            let text = STANDARD.encode(der);
            format!("-----BEGIN X509 CRL-----\n{text}\n-----END X509 CRL-----\n")
        };
        let lists: String = lists.iter().map(pem).collect();
        // SAFETY: as above.
        let status = unsafe { ztl_engine_crls(engine.0, domain, text(&lists), ptr::null_mut()) };
        if status != ZTL_OK {
            assert_eq!(status, ZTL_ERR_CRL, "{}", row.name);
            return None;
        }
    }
    let request = ztl_flow_request {
        size: u32::try_from(size_of::<ztl_flow_request>()).expect("small"),
        port: 8443,
        flags: 0,
        me: text("me"),
        peer: ptr::null(),
        from_addr: ABSENT,
        now_unix: row.now,
        to: ABSENT,
    };
    let (mut peer, mut error) = (dangling(), dangling());
    // SAFETY: as above; what is given back is read and freed.
    unsafe {
        let status = ztl_peer_prove(
            engine.0,
            &raw const request,
            chain.as_ptr(),
            chain.len(),
            &raw mut peer,
            &raw mut error,
        );
        if status != ZTL_OK {
            assert_eq!((status, peer.is_null()), (ZTL_DENIED, true), "{}", row.name);
            let reason = ztl_error_reason(error);
            read_error(error).expect("an error comes with every no");
            return Some(Err(reason));
        }
        let (peer, mut at, mut len) = (Peer(peer), ptr::null(), 0);
        assert_eq!(ztl_peer_id(peer.0, &raw mut at, &raw mut len), ZTL_OK);
        let id = slice::from_raw_parts(at, len);
        Some(Ok(String::from_utf8(id.to_vec()).expect("ASCII")))
    }
}

fn rows(domain: &'static str, table: &str, certificates: &str) -> Vec<Row> {
    let der = |text: &str| STANDARD.decode(text).expect("base64");
    let certificates: Vec<_> = certificates.lines().map(der).collect();
    let of = |index: &Value| {
        let index = index.as_u64().expect("an index");
        certificates[usize::try_from(index).expect("small")].clone()
    };
    let table: Vec<Value> = serde_json::from_str(table).expect("a list of rows");
    let read = |row: &Value| {
        let list = |key: &str| row[key].as_array().into_iter().flatten().map(of);
        let chain = [of(&row["leaf"])].into_iter();
        let chain = chain
            .chain(list("extra_leaves"))
            .chain(list("intermediates"));
        let crls = row["crls"].as_array().map(|lists| {
            let lists = lists.iter().map(|list| der(list.as_str().expect("a text")));
            lists.collect()
        });
        Row {
            name: row["id"].as_str().expect("a name").to_owned(),
            domain,
            roots: list("roots").collect(),
            chain: chain.collect(),
            crls,
            now: row["time"].as_u64().expect("a time"),
        }
    };
    table.iter().map(read).collect()
}

#[test]
fn rule_31_the_suites_of_others_have_the_same_answers_through_the_c_door() {
    let mut all = rows(
        "limbo.test",
        include_str!("../../../../ztl-mtls/tests/suites/limbo/cases.json"),
        include_str!("../../../../ztl-mtls/tests/suites/limbo/certificates.txt"),
    );
    all.extend(rows(
        "bettertls.test",
        include_str!("../../../../ztl-mtls/tests/suites/bettertls/cases.json"),
        include_str!("../../../../ztl-mtls/tests/suites/bettertls/certificates.txt"),
    ));
    let (mut good, mut refused, mut listed) = (0, 0, 0);
    for row in &all {
        match proved(row) {
            Some(Ok(_)) => good += 1,
            _ => refused += 1,
        }
        listed += usize::from(row.crls.is_some());
    }
    assert!(
        good > 50 && refused > 50 && listed > 0,
        "{good} proved, {refused} refused, {listed} with revocation lists"
    );
}

/// The rows of a suite, and what each has there.
fn table(text: &str) -> Vec<Value> {
    serde_json::from_str(text).expect("a list of rows")
}

fn ders(values: &Value) -> Vec<Der> {
    let values = values.as_array().into_iter().flatten();
    values.map(of_base64).collect()
}

fn of_base64(value: &Value) -> Der {
    STANDARD
        .decode(value.as_str().expect("a text"))
        .expect("base64")
}

/// Certificates on which rustls-webpki tests its reader, and on which go-spiffe and rust-spiffe test what an X.509-SVID is. Most came
/// without an authority that would prove them, and are tried under another: an identity comes of none.
#[test]
fn rules_16_to_20_what_others_read_as_no_svid_is_none_through_the_c_door() {
    let webpki = table(include_str!(
        "../../../../ztl-mtls/tests/suites/webpki/fixtures.json"
    ));
    let spiffe = table(include_str!(
        "../../../../ztl-mtls/tests/suites/spiffe/x509_svid.json"
    ));
    let stranger = Authority::new().der;
    let mut rows = Vec::new();
    for row in &webpki {
        let mut chain = vec![of_base64(&row["leaf_der_b64"])];
        chain.extend(ders(&row["intermediates_der_b64"]));
        let roots = match &row["root_der_b64"] {
            Value::Null => vec![stranger.clone()],
            root => vec![of_base64(root)],
        };
        rows.push((row, "webpki.test", chain, roots, 1_700_000_000));
    }
    for row in &spiffe {
        let mut chain = ders(&row["chain"]);
        if chain.is_empty() && row["der"].is_string() {
            chain.push(of_base64(&row["der"]));
        }
        // The others are made by the tests of the verifier.
        if !chain.is_empty() {
            let roots = vec![stranger.clone()];
            rows.push((row, "example.org", chain, roots, 1_585_059_600));
        }
    }
    assert_eq!(rows.len(), 18, "a row is new, or has no certificate");
    let mut asked = 0;
    for (row, domain, chain, roots, now) in rows {
        let row = Row {
            name: row["id"].as_str().expect("a name").to_owned(),
            domain,
            roots,
            chain,
            crls: None,
            now,
        };
        match proved(&row) {
            Some(Ok(id)) => panic!("{} is {id}", row.name),
            Some(Err(_)) => asked += 1,
            // No authority.
            None => {}
        }
    }
    assert!(asked > 15, "{asked} were looked at");
}
