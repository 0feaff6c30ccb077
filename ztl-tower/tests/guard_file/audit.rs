//! `[audit_chain]`, `[audit_masks]` and `access_log`.

use ztl_core::audit::chain::{SigningKey, Verifier};

use super::*;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t30_decisions_are_in_a_signed_chain_masked_and_in_the_access_log() {
    let mut place = Place::new("chain", "", "[permit.oblige]\nlog = true\n").await;
    place.folder.write("audit.key", &format!("{KEY}\n"));
    place.folder.write("hash.key", &format!("{KEY}\n"));
    let said = "[audit_chain]\nfile = 'audit.chain'\nkey_file = 'audit.key'\ndeny_when_full = true\ndeny_unless_on_disk = true\n\
                sync_records = true\nqueue_bytes = 65536\ncheckpoint_records = 1\ncheckpoint_every = '1s'\nrotate_at_bytes = 1048576\n\
                rotate_after = '1d'\nkeep_files = 3\n\
                [audit_masks]\naddr = 'drop'\npeer = 'hash'\nkey_file = 'hash.key'\n";
    let service = place.serve("access_log = 'access.jsonl'", said).await;
    assert_eq!(service.ask("/v1/x", None).await, StatusCode::OK);
    let chain = std::fs::read(place.folder.0.join("audit.chain")).expect("chain");
    let text = String::from_utf8_lossy(&chain);
    assert!(text.contains("router-asks"), "{text}");
    assert!(
        text.contains(r#""masks":{"peer":"hash","addr":"drop"}"#),
        "{text}"
    );
    assert!(!text.contains("spiffe://prod.example/router"), "{text}");
    support::until("the last line is signed", || {
        let chain = std::fs::read(place.folder.0.join("audit.chain")).expect("chain");
        let mut verifier = Verifier::new().with_key(SigningKey::from_hex(KEY).expect("key"));
        verifier.read("audit.chain", &*chain).expect("read");
        (verifier.finish()).is_ok_and(|report| report.signed > 0 && report.unsigned_tail == 0)
    })
    .await;
    let access = std::fs::read_to_string(place.folder.0.join("access.jsonl")).expect("log");
    assert!(access.contains(r#""rule":"router-asks""#), "{access}");
    assert!(access.ends_with("}\n"), "{access}");

    // Where it ended within a line, the next begins a line of its own.
    let mut place = Place::new("torn", "", "[permit.oblige]\nlog = true\n").await;
    place.folder.write("access.jsonl", "{\"torn");
    let masked = "[audit_masks]\npeer = 'drop'\n";
    let above = "access_log = 'access.jsonl'\naudit = 'audit.jsonl'";
    let service = place.serve(above, masked).await;
    assert_eq!(service.ask("/v1/x", None).await, StatusCode::OK);
    let access = std::fs::read_to_string(place.folder.0.join("access.jsonl")).expect("log");
    assert!(access.starts_with("{\"torn\n{\"decision\""), "{access}");
    let audit = std::fs::read_to_string(place.folder.0.join("audit.jsonl")).expect("audit");
    assert!(audit.contains("router-asks"), "{audit}");
    assert!(!audit.contains("spiffe://prod.example/router"), "{audit}");
    // A sink of the program's is out of their reach.
    let own = place.builder("", masked).expect("a file");
    let own = own.audit(ztl_core::audit::MemorySink::new(1)).build().await;
    assert!(own.expect_err("masks").to_string().contains("mask there"));
    // Where the file masks nothing, nothing is in its way.
    let records = std::sync::Arc::new(ztl_core::audit::MemorySink::new(1));
    let own = place.builder("", "").expect("a file");
    let own = own.audit(std::sync::Arc::clone(&records)).build().await;
    drop(own.unwrap_or_else(|error| panic!("{error}")));
    assert_eq!(records.taken(), 0, "nothing was asked");
    let nowhere = place.refused("access_log = 'no/such/folder'", "").await;
    assert!(nowhere.contains("the access log `"), "{nowhere}");
}
