//! T31: a flood of denials neither crowds out what matters nor denies the service to itself.

use super::*;

#[test]
fn t31_unproved_denials_are_counted_by_network_and_reason() {
    let disk = Disk::default();
    let sink = Arc::new(quiet().to_writer(disk.clone(), NOW).expect("sink"));
    let engine = engine(Arc::clone(&sink));
    for n in 0..500 {
        let addr = format!("192.0.{}.{}", n % 2, n % 250);
        assert_eq!(ask(&engine, None, &addr), Err(Reason::IdentityUnproven));
    }
    deny(&engine);
    deny(&engine);
    sink.close().expect("close");
    let lines = lines(&disk.bytes());
    let counted: u64 = lines
        .iter()
        .filter(|line| line["kind"] == "denials")
        .map(|line| {
            assert_eq!(line["reason"], "identity_unproven");
            assert!(
                ["192.0.0.0/24", "192.0.1.0/24"]
                    .contains(&line["network"].as_str().expect("network"))
            );
            line["count"].as_u64().expect("count")
        })
        .sum();
    let single = lines
        .iter()
        .filter(|line| line["reason"] == "identity_unproven" && line["kind"] == "decision")
        .count();
    let proved = lines
        .iter()
        .filter(|line| line["reason"] == "zone_mismatch")
        .count();
    assert_eq!(
        (counted, single, proved),
        (498, 2, 2),
        "each denial of a proved caller has its own"
    );
    assert_eq!(verify(&disk.bytes()).expect("holds").aggregated, 498);
    assert_eq!(sink.health().aggregated, 498);
}

#[test]
fn t31_a_flood_takes_no_room_from_permits_and_proved_denials() {
    let disk = Disk::default();
    let sink = Arc::new(
        quiet()
            .queue_bytes(0)
            .deny_when_full()
            .to_writer(disk.clone(), NOW)
            .expect("sink"),
    );
    sink.flush().expect("flush");
    let engine = engine(Arc::clone(&sink));
    // Callers from as many networks as there may be: nothing but first ones.
    for n in 0..20_000_u32 {
        let addr = std::net::Ipv4Addr::from_bits(0x1000_0000 + (n << 8)).to_string();
        assert_eq!(ask(&engine, None, &addr), Err(Reason::IdentityUnproven));
    }
    assert_eq!(permit(&engine), Ok(()));
    deny(&engine);
    sink.close().expect("close");
    let report = verify(&disk.bytes()).expect("holds");
    assert_eq!((report.dropped_permits, report.dropped_denials), (0, 0));
    let told = report.decisions - 2 + report.aggregated;
    assert_eq!(told, 20_000, "none is lost");
    let reasons: Vec<_> = lines(&disk.bytes())
        .iter()
        .filter_map(|line| Some(line["reason"].as_str()?.to_owned()))
        .collect();
    assert!(reasons.iter().any(|reason| reason == "permitted"));
    assert!(reasons.iter().any(|reason| reason == "zone_mismatch"));
}

#[test]
fn t31_proved_denials_have_room_that_permits_cannot_take() {
    let disk = Disk::default();
    let sink = Arc::new(
        quiet()
            .queue_bytes(0)
            .to_writer(disk.clone(), NOW)
            .expect("sink"),
    );
    sink.flush().expect("flush");
    disk.room(Some(0));
    let engine = engine(Arc::clone(&sink));
    assert_eq!(permit(&engine), Ok(()));
    assert!(sink.flush().is_err(), "the disk is full");
    while sink.health().dropped_permits == 0 {
        assert_eq!(
            permit(&engine),
            Ok(()),
            "without being asked, none is denied"
        );
    }
    deny(&engine);
    assert_eq!(sink.health().dropped_denials, 0);
    while sink.health().dropped_denials < 3 {
        deny(&engine);
    }
    disk.room(None);
    sink.close().expect("close");
    let report = verify(&disk.bytes()).expect("holds");
    assert_eq!(
        (report.dropped_permits, report.dropped_denials),
        (1, 3),
        "law 6: drops are records"
    );
    assert!(kinds(&disk.bytes()).contains(&"dropped".to_owned()));
}
