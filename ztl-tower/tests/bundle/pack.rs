//! Packs bundles that say whether anything is let through.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// A bundle of this revision, signed with this secret.
pub(crate) fn signed(revision: &str, data: &Value, secret: &[u8]) -> Vec<u8> {
    let files = files(revision, data);
    let listed = files.each_ref().map(|(name, text)| {
        let octets = digest(&SHA256, text.as_bytes());
        let hex: String = octets
            .as_ref()
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect();
        json!({"name": name, "hash": hex, "algorithm": "SHA-256"})
    });
    let part = |it: Value| URL_SAFE_NO_PAD.encode(it.to_string());
    let message = format!(
        "{}.{}",
        part(json!({"alg": "HS256"})),
        part(json!({ "files": listed }))
    );
    let mac = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret),
        message.as_bytes(),
    );
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.as_ref()));
    let signatures = json!({ "signatures": [token] }).to_string();
    pack(files.into_iter().chain([(".signatures.json", signatures)]))
}

/// The same without a signature.
pub(crate) fn unsigned(revision: &str, data: &Value) -> Vec<u8> {
    pack(files(revision, data))
}

/// The same with a policy in Rego.
pub(crate) fn rego(revision: &str, source: &str) -> Vec<u8> {
    let [manifest, _] = files(revision, &json!({}));
    pack([manifest, ("policy.rego", source.to_owned())])
}

/// What lets everything through, or nothing.
pub(crate) fn open(open: bool) -> Value {
    json!({ "authz": { "open": open } })
}

/// Both in their one form.
fn files(revision: &str, data: &Value) -> [(&'static str, String); 2] {
    [
        (".manifest", json!({ "revision": revision }).to_string()),
        ("data.json", data.to_string()),
    ]
}

fn pack(files: impl IntoIterator<Item = (&'static str, String)>) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len()).expect("length"));
        header.set_mode(0o600);
        archive
            .append_data(&mut header, path, text.as_bytes())
            .expect("file");
    }
    archive
        .into_inner()
        .expect("archive")
        .finish()
        .expect("gzip")
}
