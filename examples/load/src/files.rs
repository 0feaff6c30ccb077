//! The files of the mesh: policies, SVIDs with their keys, the bundle, the issuer's keys. Written anew in every round.

use std::collections::VecDeque;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dev_mesh::now;
use serde_json::{Value, json};
use ztl_authz::jwt::{DevIssuer, Issuer, Jwks};
use ztl_tower::core::audit::MemorySink;
use ztl_tower::core::{SpiffeId, TrustDomain};
use ztl_tower::mtls::{self, DevCa};
use ztl_tower::{Guard, GuardBuilder};

use crate::Failed;

/// Where the service listens.
pub(crate) const ADDRESS: &str = "127.0.0.1:28447";
/// How often a guard looks at its files. What changed is taken when two looks agree.
const LOOK: Duration = Duration::from_millis(20);
/// How many tokens are remembered and, as one for each connection, chains: few, so that both are full soon, and what grows after that
/// grows without an end.
pub(crate) const REMEMBERED: usize = 256;
const DOMAIN: &str = "load.example";
const ISSUER: &str = "https://idp.load.example";
const HOUR: Duration = Duration::from_secs(3600);
/// Rounds after which tokens are signed with a key that was published, after which it is published no more, and after which
/// nobody may know it.
const SIGNS: usize = 15;
const PUBLISHED: usize = 45;
const GONE: usize = 75;

/// The authority, the issuer, and where their files are.
pub(crate) struct Files {
    folder: PathBuf,
    ca: DevCa,
    /// Who signs tokens: a key of each round, the newest last.
    issuers: VecDeque<DevIssuer>,
    round: u64,
}

impl Files {
    /// Those of the first round.
    pub(crate) fn new(folder: &Path) -> Result<Self, Failed> {
        let mut files = Self {
            folder: folder.to_owned(),
            ca: DevCa::new(TrustDomain::parse(DOMAIN)?, now())?,
            issuers: VecDeque::new(),
            round: 0,
        };
        write(&folder.join("bundle.pem"), files.ca.bundle_pem())?;
        files.next()?;
        Ok(files)
    }

    /// Everything once more: policies of another revision, new SVIDs, one more key and one less.
    pub(crate) fn next(&mut self) -> Result<u64, Failed> {
        self.round += 1;
        let round = self.round;
        for name in ["store", "caller", "prober", "thief"] {
            let id = SpiffeId::parse(&format!("spiffe://{DOMAIN}/{name}"))?;
            let issued = self.ca.issue(&id, now(), HOUR, &mtls::provider())?;
            let both = format!("{}{}", issued.cert_pem, issued.key_pem);
            write(&self.folder.join(format!("{name}.pem")), &both)?;
        }
        self.issuers.push_back(DevIssuer::new(ISSUER)?);
        if self.issuers.len() > GONE + 1 {
            self.issuers.pop_front();
        }
        let published = self.issuers.iter().rev().take(PUBLISHED);
        let keys = published.map(key).collect::<Result<Vec<Value>, _>>()?;
        write(
            &self.folder.join("keys.json"),
            &json!({ "keys": keys }).to_string(),
        )?;
        write(&self.folder.join("store.toml"), &store_policy(round))?;
        write(&self.folder.join("caller.toml"), &caller_policy(round))?;
        Ok(round)
    }

    /// A token that has been good for a while; or one whose key nobody may know any more, once there is one.
    pub(crate) fn token(&self, good: Good) -> Result<Option<String>, Failed> {
        let newest = self.issuers.len() - 1;
        let at = match good {
            Good::Yes => newest.saturating_sub(SIGNS),
            Good::NoMore if newest < GONE => return Ok(None),
            Good::NoMore => newest - GONE,
        };
        let Some(issuer) = self.issuers.get(at) else {
            return Ok(None);
        };
        let exp = now().as_unix_secs() + 60;
        let claims = json!({ "sub": "alice", "aud": "store", "exp": exp, "scope": "ask" });
        Ok(Some(issuer.sign(claims)?))
    }
}

/// Whether a token counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Good {
    Yes,
    NoMore,
}

/// A guard that lives by these files.
pub(crate) fn guard(folder: &Path, name: &str, policy: &str) -> GuardBuilder {
    let own = folder.join(format!("{name}.pem"));
    Guard::builder(name)
        .policy_file(folder.join(policy))
        .identity_files(own.clone(), own)
        .bundle_file(DOMAIN, folder.join("bundle.pem"))
        .allow_dev_authority()
        .reload_every(LOOK)
        .max_connections(REMEMBERED)
        // Of the callers' records only the last are of any use; the service names a file instead.
        .audit(MemorySink::new(100))
}

/// What the service takes of the issuer's tokens. Its keys are those of the file.
pub(crate) fn issuer() -> Issuer {
    Issuer::access_tokens("corp", ISSUER, "store", Jwks::none())
}

/// The only key of an issuer.
fn key(issuer: &DevIssuer) -> Result<Value, Failed> {
    let mut set: Value = serde_json::from_str(&issuer.jwks_json())?;
    let key = set.pointer_mut("/keys/0").map(Value::take);
    key.ok_or_else(|| "an issuer without a key".into())
}

/// What all rules of a round are called by: an answer says the rule that permitted it, and so the policy. Every other policy takes
/// the right to `/flip` away.
fn store_policy(round: u64) -> String {
    let flip = if round.is_multiple_of(2) {
        format!(
            "[[permit]]\nname = \"flip-{round}\"\nfrom = \"caller\"\nto = \"store\"\nactions = [\"GET /flip\"]\n"
        )
    } else {
        String::new()
    };
    format!(
        "{head}{flip}\
         [issuers.corp]\nissuer = \"{ISSUER}\"\naudience = \"store\"\n\
         [[permit]]\nname = \"reads-{round}\"\nfrom = \"caller\"\nto = \"store\"\nactions = [\"GET /v1/{{*rest}}\", \"POST /v1/{{*rest}}\"]\n\
         [[permit]]\nname = \"users-{round}\"\nfrom = [\"caller\", \"prober\"]\nto = \"store\"\nactions = [\"GET /token\"]\n\
         require = {{ token = {{ issuer = \"corp\", scopes = [\"ask\"] }} }}\n",
        head = head(),
    )
}

/// What callers permit themselves: everything, so that it is the service that judges.
fn caller_policy(round: u64) -> String {
    format!(
        "{head}[[permit]]\nname = \"asks-{round}\"\nfrom = [\"caller\", \"prober\", \"thief\"]\nto = \"store\"\nactions = [\"GET /{{*rest}}\", \"POST /{{*rest}}\"]\n",
        head = head(),
    )
}

fn head() -> String {
    let mut text = format!("schema = 1\ntrust_domain = \"{DOMAIN}\"\n");
    for name in ["caller", "prober", "thief"] {
        text.push_str(&format!(
            "[workloads.{name}]\nid = \"spiffe://{DOMAIN}/{name}\"\n"
        ));
    }
    let port = ADDRESS.rsplit(':').next().unwrap_or_default();
    text.push_str(&format!(
        "[workloads.store]\nid = \"spiffe://{DOMAIN}/store\"\nports = [{port}]\n"
    ));
    text
}

/// In place of what was there, at one stroke: a reader sees the one or the other.
fn write(path: &Path, text: &str) -> Result<(), Failed> {
    let beside = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&beside)?.write_all(text.as_bytes())?;
    Ok(fs::rename(&beside, path)?)
}
