//! An engine of a small mesh, and what its workloads show.

use std::ptr;
use std::sync::LazyLock;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use ztl_ffi_impl::*;

pub(crate) const NOW: u64 = 1_790_000_000;

const POLICY: &str = r#"
schema = 1
trust_domain = "prod.example"
[workloads.front]
id = "spiffe://prod.example/front"
forwards = ["cart", "evil"]
forwards_in = "xfcc"
[workloads.cart]
id = "spiffe://prod.example/cart"
[workloads.evil]
id = "spiffe://prod.example/evil"
[workloads.shop]
id = "spiffe://prod.example/shop"
ports = [8443]
hosts = ["shop.example"]
[[permit]]
from = ["front", "cart"]
to = "shop"
actions = ["GET /v1/{*rest}"]
[[forbid]]
from = "evil"
to = "shop"
"#;

pub(crate) struct World {
    pub(crate) engine: *mut ztl_engine,
    /// The SVID of each workload.
    pub(crate) leaves: Vec<Vec<u8>>,
}

// SAFETY: the header says that any number of threads may use an engine.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

fn text(text: &str) -> ztl_str {
    ztl_str {
        ptr: text.as_ptr(),
        len: text.len(),
    }
}

fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params
}

pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| {
    let key = || KeyPair::generate().expect("a key");
    let mut root = params();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root_key = key();
    let pem = root.self_signed(&root_key).expect("a root").pem();
    let issuer = Issuer::new(root, root_key);
    let leaves = ["front", "cart", "evil", "shop"].map(|name| {
        let mut leaf = params();
        let id = format!("spiffe://prod.example/{name}");
        leaf.subject_alt_names = vec![SanType::URI(id.try_into().expect("ASCII"))];
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let signed = leaf.signed_by(&key(), &issuer).expect("a leaf");
        signed.der().to_vec()
    });
    let mut engine = ptr::null_mut();
    // SAFETY: all pointers are good.
    let made = unsafe {
        ztl_engine_new(
            text(POLICY),
            ZTL_FORMAT_TOML,
            ztl_str {
                ptr: ptr::null(),
                len: 0,
            },
            &raw mut engine,
            ptr::null_mut(),
        )
    };
    assert_eq!(made, ZTL_OK);
    // SAFETY: as above.
    let trusted =
        unsafe { ztl_engine_trust(engine, text("prod.example"), text(&pem), ptr::null_mut()) };
    assert_eq!(trusted, ZTL_OK);
    World {
        engine,
        leaves: leaves.into(),
    }
});
