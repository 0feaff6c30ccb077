//! What a proof of assertions may cost: a document within its bounds is proved or refused, and takes no process down.

use std::fmt::Write as _;

use ztl_core::policy::Policy;

/// So many zones, and so many workloads, each in one of them or in none.
fn mesh(zones: usize, workloads: usize, placed: bool) -> String {
    let mut text = "schema = 1\ntrust_domain = 'td'\n".to_owned();
    for at in 0..zones {
        let (high, low) = (at / 250, at % 250);
        writeln!(text, "[zones.z{at}]\nnetworks = '10.{high}.{low}.0/24'").expect("text");
    }
    for at in 0..workloads {
        writeln!(
            text,
            "[workloads.w{at}]\nid = 'spiffe://td/w{at}'\nports = 80"
        )
        .expect("text");
        if placed {
            writeln!(text, "zone = 'z{}'", at % zones).expect("text");
        }
    }
    text
}

const NEVER: &str = "[[never]]\nfrom = 'w0'\nto = 'w1'\n";

#[test]
fn t10_assertions_that_cannot_all_be_tried_refuse_the_document() {
    let refused = |text: String| {
        let refused = Policy::from_toml(&text)
            .expect_err("too much to try")
            .to_string();
        assert!(
            refused.contains("the assertions cannot be proved"),
            "{refused}"
        );
        assert!(refused.contains("give workloads a `zone`"), "{refused}");
    };
    // One for each workload and zone: 65 million.
    refused(mesh(1000, 65_000, false) + NEVER);
    // Few callers, and many assertions that each try them all.
    refused(mesh(1000, 900, false) + &NEVER.repeat(1200));
    // Without an assertion nobody is tried, and with a zone each is tried once.
    assert!(Policy::from_toml(&mesh(1000, 5_000, false)).is_ok());
    let placed = mesh(1000, 5_000, true) + NEVER;
    assert!(Policy::from_toml(&placed).is_ok());
}
