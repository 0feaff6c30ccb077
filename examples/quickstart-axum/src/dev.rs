//! What a mesh would give us, made for this one run: an authority, an SVID for the service, and one for curl.

use std::error::Error;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime};

use ztl_tower::core::{SpiffeId, Timestamp, TrustDomain};
use ztl_tower::mtls::{self, DevCa, TrustBundle, X509Svid};

/// The policy. Embedded, so that the example runs from any folder.
pub const POLICY: &str = include_str!("../policy.toml");
/// Where the service listens; the policy names the port.
pub const ADDRESS: &str = "127.0.0.1:28443";
/// Where its decisions are written.
pub const AUDIT: &str = "target/quickstart/audit.jsonl";
/// Where curl finds its certificate and key.
const FOLDER: &str = "target/quickstart";
const HOUR: Duration = Duration::from_secs(3600);

/// Makes identities: ours is returned, curl's is written down, and how to use it is printed.
///
/// # Errors
/// Where a file cannot be written.
pub fn identities() -> Result<(X509Svid, TrustBundle), Box<dyn Error>> {
    let (provider, now) = (mtls::provider(), now());
    let ca = DevCa::new(TrustDomain::parse("quickstart.example")?, now)?;
    let issue = |name: &str| -> Result<_, Box<dyn Error>> {
        let id = SpiffeId::parse(&format!("spiffe://quickstart.example/{name}"))?;
        Ok(ca.issue(&id, now, HOUR, &provider)?)
    };
    let (service, curl) = (issue("service")?, issue("curl")?);
    fs::create_dir_all(FOLDER)?;
    write("curl.pem", &curl.cert_pem)?;
    write("curl.key", &curl.key_pem)?;
    write("bundle.pem", ca.bundle_pem())?;
    println!("In another terminal, from this folder, within the hour:\n");
    for (path, answer) in [("hello", "200"), ("secret", "403")] {
        println!(
            "curl -ik --cert {FOLDER}/curl.pem --key {FOLDER}/curl.key https://{ADDRESS}/{path}   # {answer}"
        );
    }
    println!("\nWhy each was permitted or denied: {AUDIT}");
    Ok((service.svid, ca.bundle()))
}

/// Writes a file for its owner alone, in place of that of an earlier run.
fn write(name: &str, text: &str) -> std::io::Result<()> {
    let path = Path::new(FOLDER).join(name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => mtls::write_private(&path, text.as_bytes()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever issues certificates reads the clock"
)]
fn now() -> Timestamp {
    SystemTime::now().into()
}
