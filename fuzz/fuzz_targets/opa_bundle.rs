//! Bundles of policies: no bytes make the reader panic, what is read is within its bounds and roots, nothing that is not signed is
//! taken where a key is configured, and no revision goes back (rule 57).

#![no_main]

use std::io::Write as _;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use tar::{EntryType, Header};
use ztl_authz::bundle::{
    Bundle, BundleError, BundlePull, BundleReader, PullAnswer, PullDue, Pulled, RevisionMark,
    SigningAlgorithm, Verification, VerificationKey,
};
use ztl_core::Timestamp;

const START: u64 = 1_790_000_000;

static SIGNED: LazyLock<BundleReader> = LazyLock::new(|| {
    let key = VerificationKey::from_secret(SigningAlgorithm::Hs256, &[7; 32]).expect("key");
    BundleReader::verified(Verification::new(key))
});

#[derive(Arbitrary, Debug)]
enum Name<'a> {
    Manifest,
    Signatures,
    Data,
    Below(&'a str),
    Rego,
    Wasm,
    Other(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
struct File<'a> {
    name: Name<'a>,
    kind: Option<u8>,
    bytes: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Case<'a> {
    Stream(&'a [u8]),
    Tar(&'a [u8]),
    Files(Vec<File<'a>>),
    Json {
        manifest: &'a [u8],
        signatures: &'a [u8],
        data: &'a [u8],
    },
    Revisions(Vec<(u16, &'a str, Option<u64>)>),
    State(&'a [u8]),
}

fuzz_target!(|case: Case<'_>| {
    match case {
        Case::Stream(bytes) => read(bytes),
        Case::Tar(bytes) => read(&gzip(bytes)),
        Case::Files(files) => read(&pack(&files)),
        Case::Json {
            manifest,
            signatures,
            data,
        } => {
            let of = |name, bytes| File {
                name,
                kind: None,
                bytes,
            };
            read(&pack(&[of(Name::Manifest, manifest), of(Name::Data, data)]));
            read(&pack(&[
                of(Name::Manifest, manifest),
                of(Name::Data, data),
                of(Name::Signatures, signatures),
            ]));
        }
        Case::Revisions(revisions) => walk(&revisions),
        Case::State(json) => {
            if let Ok(mark) = RevisionMark::from_json(json) {
                assert_eq!(RevisionMark::from_json(mark.to_json().as_bytes()), Ok(mark));
            }
        }
    }
});

fn read(bytes: &[u8]) {
    match BundleReader::unsigned().read(bytes) {
        Ok(bundle) => fits(&bundle),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    // Nobody guesses the secret.
    let refused = SIGNED.read(bytes).expect_err("signed by nobody");
    assert!(!matches!(
        refused,
        BundleError::Empty | BundleError::Manifest(_)
    ));
}

fn fits(bundle: &Bundle) {
    assert!(!bundle.signed && bundle.data.is_object());
    let roots = &bundle.manifest.roots;
    for module in &bundle.rego {
        assert!(roots.contain(&module.package) && module.text.contains("package"));
    }
    for path in (bundle.rego.iter().map(|it| &it.path)).chain(bundle.wasm.iter().map(|it| &it.path))
    {
        assert!(
            path.split('/').all(|it| !matches!(it, "" | "." | "..")),
            "{path}"
        );
    }
    for module in &bundle.wasm {
        assert!(module.entrypoints.iter().all(|it| roots.contain(it)));
    }
    if let Some(members) = bundle.data.as_object()
        && !roots.contain("")
    {
        for name in members.keys() {
            let below = |root: &str| root == name || root.starts_with(&format!("{name}/"));
            assert!(roots.iter().any(below), "{name}");
        }
    }
}

/// Serials and revisions as a server gives them, one after the other.
fn walk(revisions: &[(u16, &str, Option<u64>)]) {
    let mut pull = BundlePull::new("https://bundles.example/a", BundleReader::unsigned())
        .expect("pull")
        .seed(1);
    let (mut secs, mut last, mut serial) = (START, None, None);
    for (pass, revision, offered) in revisions.iter().take(32) {
        secs += u64::from(*pass);
        let now = Timestamp::from_unix_secs(secs);
        let PullDue::Fetch(_) = pull.due(now) else {
            continue;
        };
        assert!(last.is_none_or(|last| secs > last), "twice in a second");
        last = Some(secs);
        let manifest =
            serde_json::json!({ "revision": revision, "metadata": { "serial": offered } });
        let manifest = manifest.to_string();
        let body = pack(&[
            File {
                name: Name::Manifest,
                kind: None,
                bytes: manifest.as_bytes(),
            },
            File {
                name: Name::Data,
                kind: None,
                bytes: b"{}",
            },
        ]);
        let answer = PullAnswer {
            status: 200,
            etag: None,
            content_type: None,
            body: &body,
        };
        if let Ok(Pulled::Bundle(bundle)) = pull.receive(answer, now) {
            pull.in_force(now);
            let new = bundle.manifest.serial();
            assert!(serial.is_none() || new >= serial, "it went back");
            serial = new;
        }
    }
}

fn pack(files: &[File<'_>]) -> Vec<u8> {
    let mut tar = Vec::new();
    for file in files.iter().take(64) {
        let mut header = Header::new_gnu();
        let below;
        let name = match file.name {
            Name::Manifest => b"/.manifest",
            Name::Signatures => b".signatures.json".as_slice(),
            Name::Data => b"./data.json",
            Name::Below(folder) => {
                below = format!("{folder}/data.json");
                below.as_bytes()
            }
            Name::Rego => b"a/b.rego",
            Name::Wasm => b"policy.wasm",
            Name::Other(name) => name,
        };
        let field = &mut header.as_old_mut().name;
        let len = name.len().min(field.len());
        field[..len].copy_from_slice(&name[..len]);
        header.set_entry_type(EntryType::new(file.kind.unwrap_or(b'0')));
        header.set_size(file.bytes.len() as u64);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(file.bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    gzip(&tar)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut stream = GzEncoder::new(Vec::new(), Compression::fast());
    stream.write_all(bytes).expect("gzip");
    stream.finish().expect("gzip")
}
