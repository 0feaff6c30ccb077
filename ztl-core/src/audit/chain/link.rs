//! The rule that ties a line to the one before it.

use core::fmt;
use core::str::FromStr;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::super::text;
use super::key::SigningKey;

/// Longest line of a chain in bytes, its end included. No line that ztl writes comes near.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// Longest body of a record, its line end included: what else stands in a line has room beside it. A line that were longer could
/// not be verified, nor any after it.
pub(super) const MAX_BODY_BYTES: usize = MAX_LINE_BYTES - 512;

const SEQ: &str = "{\"seq\":";
const PREV: &str = ",\"prev\":\"";
const MAC: &str = ",\"mac\":\"";
const HASH: &str = ",\"hash\":\"";
const END: &str = "\"}";
const DIGITS: usize = 64;

/// The SHA-256 of one line.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash(pub(super) [u8; 32]);

impl ChainHash {
    /// What stands before the first line of a chain: 32 zero bytes.
    pub const START: Self = Self([0; 32]);

    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    fn from_digits(digits: &[u8]) -> Option<Self> {
        crate::hex::parse(digits)?.try_into().ok().map(Self)
    }
}

impl fmt::Display for ChainHash {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::hex::write(&self.0, f)
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

/// A text is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a head is the hash of a line: 64 lower-case hexadecimal digits")]
pub struct HashError;

impl FromStr for ChainHash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        (text.len() == DIGITS)
            .then(|| Self::from_digits(text.as_bytes()))
            .flatten()
            .ok_or(HashError)
    }
}

/// The last line of a chain: what to keep elsewhere, so that nobody can cut the chain before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// Its number, counted from 1; 0 where there is none.
    pub seq: u64,
    /// Its hash.
    pub hash: ChainHash,
}

impl Default for Head {
    fn default() -> Self {
        Self::START
    }
}

impl Head {
    /// Before the first line.
    pub const START: Self = Self {
        seq: 0,
        hash: ChainHash::START,
    };

    pub(super) const fn new(seq: u64, hash: ChainHash) -> Self {
        Self { seq, hash }
    }
}

/// Kinds of lines that carry a signature where there is a key.
pub(super) const SIGNED: [&str; 5] = ["segment", "file", "unsynced", "checkpoint", "close"];

/// Appends the line that follows `head`, its end included, and returns the new head. `body` is its members, `"kind"` first.
pub(super) fn append(out: &mut String, head: Head, body: &str, key: Option<&SigningKey>) -> Head {
    let seq = head.seq.saturating_add(1);
    let start = out.len();
    out.push_str(SEQ);
    text::number(out, seq);
    out.push_str(PREV);
    crate::hex::push(&head.hash.0, out);
    out.push_str("\",");
    out.push_str(body);
    if let Some(key) = key.filter(|_| kind_of(body).is_some_and(|kind| SIGNED.contains(&kind))) {
        let mac = key.mac(out.as_bytes().get(start..).unwrap_or_default());
        out.push_str(MAC);
        crate::hex::push(&mac, out);
        out.push('"');
    }
    let hash = ChainHash::of(out.as_bytes().get(start..).unwrap_or_default());
    out.push_str(HASH);
    crate::hex::push(&hash.0, out);
    out.push_str(END);
    out.push('\n');
    Head::new(seq, hash)
}

fn kind_of(body: &str) -> Option<&str> {
    body.strip_prefix("\"kind\":\"")?.split('"').next()
}

/// A line that agrees with its own hash. Whether it follows another is asked apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) seq: u64,
    pub(super) prev: ChainHash,
    pub(super) hash: ChainHash,
    /// What the hash covers.
    covered: &'a [u8],
}

impl<'a> Line<'a> {
    /// Reads a line without its end. `None` where it has not the form, or not the hash, of a line of a chain.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_suffix(END.as_bytes())?;
        let (rest, stated) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
        let covered = rest.strip_suffix(HASH.as_bytes())?;
        let hash = ChainHash::from_digits(stated)?;
        let seq = seq_of(covered)?;
        let after_seq = covered
            .strip_prefix(SEQ.as_bytes())?
            .trim_prefix_digits()
            .strip_prefix(PREV.as_bytes())?;
        let (prev, body) = after_seq.split_at_checked(DIGITS)?;
        body.strip_prefix(b"\",\"kind\":\"")?;
        let line = Self {
            seq,
            prev: ChainHash::from_digits(prev)?,
            hash,
            covered,
        };
        (ChainHash::of(covered) == hash).then_some(line)
    }

    pub(super) const fn head(&self) -> Head {
        Head::new(self.seq, self.hash)
    }

    /// Whether its signature is right; `None` where it has none.
    pub(super) fn is_signed_with(&self, key: &SigningKey) -> Option<bool> {
        let rest = self.covered.strip_suffix(b"\"")?;
        let (rest, mac) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
        let signed = rest.strip_suffix(MAC.as_bytes())?;
        let mac = crate::hex::parse(mac)?;
        Some(key.is_mac(signed, &mac))
    }
}

/// The number at the front of a line, where there is one: what files are put in order by.
#[must_use]
pub fn seq_of(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(SEQ.as_bytes())?;
    let digits = rest.split(|byte| !byte.is_ascii_digit()).next()?;
    if digits.len() > 20 || (digits.first() == Some(&b'0')) {
        return None;
    }
    core::str::from_utf8(digits).ok()?.parse().ok()
}

trait Digits {
    fn trim_prefix_digits(&self) -> &Self;
}

impl Digits for [u8] {
    fn trim_prefix_digits(&self) -> &Self {
        let digits = self.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.get(digits..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_the_page_says() {
        let mut out = String::new();
        let head = append(
            &mut out,
            Head::START,
            "\"kind\":\"decision\",\"id\":\"7\"",
            None,
        );
        let zeros = "0".repeat(64);
        let covered =
            format!("{{\"seq\":1,\"prev\":\"{zeros}\",\"kind\":\"decision\",\"id\":\"7\"");
        assert_eq!(
            out,
            format!(
                "{covered},\"hash\":\"{}\"}}\n",
                ChainHash::of(covered.as_bytes())
            )
        );
        let line = Line::read(out.trim_end().as_bytes()).expect("line");
        assert_eq!((line.head(), line.prev), (head, ChainHash::START));
        assert_eq!(head.hash.to_string().parse(), Ok(head.hash));
        assert_eq!("A".repeat(64).parse::<ChainHash>(), Err(HashError));
        assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok());
    }

    #[test]
    fn numbers_are_read_strictly() {
        for (line, seq) in [
            ("{\"seq\":1,", Some(1)),
            ("{\"seq\":18446744073709551615,", Some(u64::MAX)),
            ("{\"seq\":18446744073709551616,", None),
            ("{\"seq\":01,", None),
            ("{\"seq\":0,", None),
            ("{\"seq\":-1,", None),
            ("{\"seq\":,", None),
            ("{ \"seq\":1,", None),
            ("", None),
        ] {
            assert_eq!(seq_of(line.as_bytes()), seq, "{line}");
        }
    }
}
