//! Reads a bundle of OPA and says what is in it.
//!
//!     cargo run -p ztl-authz --features bundle --example bundle -- bundle.tar.gz RS256 public.pem
//!
//! Without arguments it packs a bundle of its own, unsigned, and reads that.

use std::error::Error;

use flate2::Compression;
use flate2::write::GzEncoder;
use ztl_authz::bundle::{BundleReader, Verification, VerificationKey};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (bytes, reader) = match arguments.as_slice() {
        [] => (packed()?, BundleReader::unsigned()),
        [bundle] => (std::fs::read(bundle)?, BundleReader::unsigned()),
        [bundle, algorithm, key] => {
            let key = VerificationKey::from_pem(algorithm.parse()?, &std::fs::read(key)?)?;
            let reader = BundleReader::verified(Verification::new(key));
            (std::fs::read(bundle)?, reader)
        }
        _ => return Err("usage: bundle [BUNDLE [ALGORITHM PUBLIC-KEY]]".into()),
    };
    let bundle = reader.read(&bytes)?;
    let vouched = if bundle.signed { "signed" } else { "unsigned" };
    println!("revision `{}`, {vouched}", bundle.manifest.revision);
    for root in bundle.manifest.roots.iter() {
        println!("owns data/{root}");
    }
    for module in &bundle.rego {
        println!("{}: package {}", module.path, module.package);
    }
    for module in &bundle.wasm {
        println!("{}: {:?}", module.path, module.entrypoints);
    }
    println!("data: {}", bundle.data);
    Ok(())
}

fn packed() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    for (path, text) in [
        (".manifest", r#"{"revision": "7", "roots": ["authz"]}"#),
        ("authz/data.json", r#"{"readers": ["alice", "bob"]}"#),
        (
            "authz/policy.rego",
            "package authz\n\ndefault allow := false\n\nallow if input.user in data.authz.readers\n",
        ),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len())?);
        header.set_mode(0o600);
        archive.append_data(&mut header, path, text.as_bytes())?;
    }
    Ok(archive.into_inner()?.finish()?)
}
