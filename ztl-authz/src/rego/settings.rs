//! The keys of `[authorizers.NAME]` for a policy in Rego.

use core::time::Duration;

use serde_json::{Map, Value};
use ztl_core::authorizer::Reads;

/// Most files that one policy is made from.
const MAX_FILES: usize = 256;
/// How long one evaluation may take where the document does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(50);
/// The longest that a document may say.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(5);
/// The least and the most memory that a document may say, in bytes.
const MEMORY: core::ops::RangeInclusive<u64> = 1024 * 1024..=1024 * 1024 * 1024;

const KEYS: [&str; 6] = ["policy", "data", "entrypoint", "reads", "timeout", "memory"];

/// What a document says of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// `policy`: the names of the files with the policy.
    pub policy: Vec<String>,
    /// `data`: the names of the files with its data.
    pub data: Vec<String>,
    /// `entrypoint`: the path of the rule that answers.
    pub entrypoint: String,
    /// `reads`: the evidence that it reads.
    pub reads: Reads,
    /// `timeout`: how long one evaluation may take.
    pub timeout: Duration,
    /// `memory`: how much memory one evaluation may take, in bytes, where the document says so.
    pub memory: Option<u64>,
}

impl Settings {
    /// Reads the keys of a section.
    ///
    /// # Errors
    /// What is wrong with them, and how to mend it.
    pub fn of(section: &Map<String, Value>) -> Result<Self, String> {
        if let Some(key) = section.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let near = ztl_core::policy::suggest(key, KEYS);
            let help = near.map_or_else(
                || format!("the keys are `{}`", KEYS.join("`, `")),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(format!("unknown key `{}`: {help}", key.escape_debug()));
        }
        let policy = files(section, "policy")?;
        if policy.is_empty() {
            return Err(
                "write the files of the policy, as in `policy = \"authz.rego\"`".to_owned(),
            );
        }
        Ok(Self {
            policy,
            data: files(section, "data")?,
            entrypoint: match section.get("entrypoint") {
                Some(Value::String(path)) => path.clone(),
                _ => {
                    return Err(
                        "write the rule that answers, as in `entrypoint = \"authz/allow\"`"
                            .to_owned(),
                    );
                }
            },
            reads: reads(section)?,
            timeout: timeout(section)?,
            memory: memory(section)?,
        })
    }
}

/// A text or a list of texts, none of them twice.
fn texts(section: &Map<String, Value>, key: &str) -> Result<Vec<String>, String> {
    let fault = || format!("`{key}` takes a text or a list of texts");
    let texts = match section.get(key) {
        None => Vec::new(),
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => {
            let texts = list.iter().map(|one| one.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>().ok_or_else(fault)?
        }
        Some(_) => return Err(fault()),
    };
    let mut seen = std::collections::BTreeSet::new();
    match texts.iter().find(|text| !seen.insert(text.as_str())) {
        Some(twice) => Err(format!("`{key}` has `{}` twice", twice.escape_debug())),
        None => Ok(texts),
    }
}

fn files(section: &Map<String, Value>, key: &str) -> Result<Vec<String>, String> {
    let files = texts(section, key)?;
    if files.len() > MAX_FILES {
        return Err(format!("`{key}` has more than {MAX_FILES} files"));
    }
    Ok(files)
}

fn reads(section: &Map<String, Value>) -> Result<Reads, String> {
    let mut reads = Reads::nothing();
    for name in texts(section, "reads")? {
        reads = match name.as_str() {
            "token" => reads.with_token(),
            "trust_score" => reads.with_trust_score(),
            "posture" => reads.with_posture(),
            "context" => reads.with_context(),
            other => {
                return Err(format!(
                    "`reads` has `{}`; it takes `token`, `trust_score`, `posture` and `context`",
                    other.escape_debug()
                ));
            }
        };
    }
    Ok(reads)
}

fn timeout(section: &Map<String, Value>) -> Result<Duration, String> {
    let time = match section.get("timeout") {
        None => return Ok(DEFAULT_TIMEOUT),
        Some(Value::String(text)) => (text.strip_suffix("ms"))
            .and_then(number)
            .map(Duration::from_millis)
            .or_else(|| {
                text.strip_suffix('s')
                    .and_then(number)
                    .map(Duration::from_secs)
            }),
        Some(_) => None,
    };
    time.filter(|time| (Duration::from_millis(1)..=MAX_TIMEOUT).contains(time))
        .ok_or_else(|| {
            "`timeout` takes a time from one millisecond to five seconds, as in `\"50ms\"`"
                .to_owned()
        })
}

fn memory(section: &Map<String, Value>) -> Result<Option<u64>, String> {
    let bytes = match section.get("memory") {
        None => return Ok(None),
        Some(Value::Number(bytes)) => bytes.as_u64(),
        Some(Value::String(text)) => (text.strip_suffix("MiB"))
            .and_then(number)
            .and_then(|mebibytes| mebibytes.checked_mul(1024 * 1024)),
        Some(_) => None,
    };
    let bytes = bytes.filter(|bytes| MEMORY.contains(bytes));
    bytes
        .map(Some)
        .ok_or_else(|| "`memory` takes from 1 MiB to 1 GiB, as in `\"16MiB\"`".to_owned())
}

fn number(digits: &str) -> Option<u64> {
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().ok()).flatten()
}
