//! Other names of the primary trust domain: they map ids in the policy, and never say whose authorities prove them.

use ztl_core::{SpiffeId, TrustDomain};
use ztl_mtls::{BundleSet, DevCa, TrustBundle, X509Svid};

use super::*;

fn authority(of: &str) -> DevCa {
    DevCa::new(TrustDomain::parse(of).expect("domain"), now()).expect("authority")
}

/// The bundle of a trust domain, of these authorities, whatever ids they issue.
fn bundle(of: &str, authorities: &[&DevCa]) -> TrustBundle {
    let certificates = authorities
        .iter()
        .flat_map(|authority| authority.bundle().certificates().to_vec());
    TrustBundle::from_der(TrustDomain::parse(of).expect("domain"), certificates).expect("bundle")
}

fn svid(by: &DevCa, id: &str) -> X509Svid {
    let (id, hour) = (SpiffeId::parse(id).expect("id"), Duration::from_secs(3600));
    let issued = by.issue(&id, now(), hour, &ztl_mtls::provider());
    issued.expect("svid").svid
}

#[tokio::test]
async fn rule_28_an_alias_maps_ids_and_never_chooses_the_bundle() {
    let (listener, address) = listener().await;
    let text = policy(address.port(), 1)
        .replace(
            "trust_domain = \"prod.example\"",
            "trust_domain = \"prod.example\"\ntrust_domain_aliases = [\"old.example\"]",
        )
        .replace(
            "name = \"users-ask\"",
            "name = \"users-ask\"\nmode = \"off\"",
        );
    let (prod, old) = (authority("prod.example"), authority("old.example"));
    // An authority of each bundle that issues ids of the other domain.
    let (prod_for_old, old_for_prod) = (authority("old.example"), authority("prod.example"));
    let audit = Arc::new(MemorySink::new(100));
    let guard = Guard::builder("gateway")
        .policy(Policy::from_toml(&text).expect("policy"))
        .identity(svid(&prod, "spiffe://prod.example/gateway"))
        .bundle(bundle("prod.example", &[&prod, &prod_for_old]))
        .bundle(bundle("old.example", &[&old, &old_for_prod]))
        .allow_dev_authority()
        .audit(Arc::clone(&audit))
        .build()
        .await
        .expect("guard");
    let marker = Marker::default();
    serve(&guard, listener, marker.app());
    let ask = async |by: &DevCa, id: &str| {
        knock(address, None, Some(&svid(by, id)), b"h2", get2("/v1/x"))
            .await
            .map(|response| response.status().as_u16())
    };
    // Each by its own domain's authority: one workload, under either name.
    assert_eq!(ask(&prod, "spiffe://prod.example/caller").await, Ok(200));
    assert_eq!(ask(&old, "spiffe://old.example/caller").await, Ok(200));
    assert_eq!(marker.calls(), 2);
    for (by, id) in [
        (&prod_for_old, "spiffe://old.example/caller"),
        (&old_for_prod, "spiffe://prod.example/caller"),
    ] {
        assert!(ask(by, id).await.is_err(), "{id}");
    }
    let unproven = |reason: &String| reason == "identity_unproven";
    until("a record", || reasons(&audit).iter().any(unproven)).await;
    // Without a bundle of its own an alias proves nobody.
    let one = BundleSet::new([bundle("prod.example", &[&prod, &prod_for_old])]);
    guard.swap_bundles(one.expect("set"));
    assert!(ask(&old, "spiffe://old.example/caller").await.is_err());
    assert!(
        ask(&prod_for_old, "spiffe://old.example/caller")
            .await
            .is_err()
    );
    assert_eq!(marker.calls(), 2);
}
