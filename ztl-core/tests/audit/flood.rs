//! T31: a flood of denials neither crowds out what matters nor denies the service to itself.

use ztl_core::policy::Policy;
use ztl_core::{Action, Claims, Evidence, FlowPermit, Timestamp};

use super::*;

/// An engine with a public port.
fn public(sink: impl Sink + 'static) -> Engine {
    let policy = Policy::from_toml(
        "schema = 1\ntrust_domain = 'td'\n\
         [issuers.corp]\nissuer = 'https://corp'\n\
         [workloads.web]\nid = 'spiffe://td/web'\n\
         [workloads.db]\nid = 'spiffe://td/db'\nports = [5432]\npublic_ports = [443]\n\
         [[permit]]\nname = 'users'\nfrom = 'public'\nto = 'db'\nactions = 'GET /me'\n\
         [permit.require]\ntoken = { issuer = 'corp' }\n\
         [[permit]]\nname = 'web'\nfrom = 'web'\nto = 'db'\nactions = 'GET /rows/{id}'\n",
    )
    .expect("policy");
    Engine::new(policy, sink).expect("engine")
}

fn connect(engine: &Engine) -> Result<FlowPermit, Reason> {
    let arrival = Arrival::from_addr("203.0.113.7".parse().expect("address"));
    engine
        .permit_flow(&Flow::ingress("db", 443, arrival, None), NOW)
        .map_err(|denial| denial.reason())
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests vouch for their own claims"
)]
fn claims(subject: &str) -> Claims {
    let claims = json!({ "iss": "https://corp", "sub": subject });
    Claims::assertion(
        claims.as_object().expect("object").clone(),
        Timestamp::MAX,
        "test",
    )
}

/// A sink whose writer writes nothing more, with the smallest queue.
fn stuck(builder: ChainBuilder) -> (Arc<ChainSink>, Disk) {
    let disk = Disk::default();
    let sink = builder.queue_bytes(0).to_writer(disk.clone(), NOW);
    let sink = Arc::new(sink.expect("sink"));
    sink.flush().expect("flush");
    (sink, disk)
}

#[test]
fn t31_unproved_permits_take_no_room_from_proved_ones() {
    for strict in [false, true] {
        let (sink, disk) = stuck(if strict {
            quiet().deny_when_full()
        } else {
            quiet()
        });
        let engine = public(Arc::clone(&sink));
        let before = connect(&engine).expect("permitted");
        sink.flush().expect("flush");
        // The writer hangs in its next write.
        let held = disk.0.lock().expect("lock");
        let opened = (0..1000).filter(|_| connect(&engine).is_ok()).count();
        if strict {
            assert!(opened < 1000, "their own are denied");
        } else {
            assert!(opened == 1000 && sink.health().dropped_permits > 0);
        }
        let dropped = sink.health().dropped_permits;
        let web = peer("spiffe://td/web");
        let flow = Flow::ingress("db", 5432, Arrival::unknown(), Some(&web));
        assert!(engine.permit_flow(&flow, NOW).is_ok(), "{strict}");
        let alice = claims("alice");
        let action = Action::request("GET", "/me").expect("action");
        let evidence = Evidence::none().with_claims(&alice);
        let asked = engine.authorize(&before, &action, &evidence, NOW);
        assert!(asked.is_ok(), "{strict}");
        assert_eq!(sink.health().dropped_permits, dropped);
        drop(held);
        sink.close().expect("close");
        let lines = lines(&disk.bytes());
        let has = |name: &str, value: &str| lines.iter().any(|line| line[name] == value);
        assert!(has("peer", "spiffe://td/web") && has("subject", "alice"));
    }
}

#[test]
fn t31_denials_of_callers_with_a_token_are_records_of_their_own() {
    let disk = Disk::default();
    let sink = Arc::new(quiet().to_writer(disk.clone(), NOW).expect("sink"));
    let engine = public(Arc::clone(&sink));
    let flow = connect(&engine).expect("permitted");
    let action = Action::request("GET", "/secret").expect("action");
    for subject in ["alice", "mallory", "mallory"] {
        let claims = claims(subject);
        let evidence = Evidence::none().with_claims(&claims);
        assert!(engine.authorize(&flow, &action, &evidence, NOW).is_err());
    }
    for _ in 0..3 {
        assert!(
            engine
                .authorize(&flow, &action, &Evidence::none(), NOW)
                .is_err()
        );
    }
    sink.close().expect("close");
    let subjects: Vec<_> = lines(&disk.bytes())
        .iter()
        .filter_map(|line| Some(line["subject"].as_str()?.to_owned()))
        .collect();
    assert_eq!(subjects, ["alice", "mallory", "mallory"]);
    assert_eq!(sink.health().aggregated, 2, "those without are counted");
}

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
