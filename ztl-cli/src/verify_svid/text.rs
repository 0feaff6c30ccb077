//! The verdict for a person, and what names the leaf elsewhere: in logs, in an audit record, in a deny list.

use std::io::Write as _;

use ztl_core::{Peer, Timestamp};
use ztl_mtls::{Denied, Leaf};

use super::input::Chain;
use super::refusal::Refusal;
use crate::exit::Failure;
use crate::json::escaped;
use crate::output::{Colour, Output};

pub(super) fn write(
    judged: &Result<Peer, Refusal>,
    chain: Option<&Chain>,
    now: Timestamp,
    out: &mut Output,
) -> Result<(), Failure> {
    match judged {
        Ok(peer) => {
            let word = out.mark("proved", Colour::Green);
            let (id, until) = (peer.id(), peer.expires_at());
            writeln!(out, "{word}: `{id}`, until {until}")?;
        }
        Err(refusal) => {
            let word = out.mark("refused", Colour::Red);
            let text = refusal.to_string();
            let rest = text.strip_prefix("refused").unwrap_or(&text);
            for (index, line) in rest.lines().enumerate() {
                let line = escaped(line);
                match index {
                    0 => writeln!(out, "{word}{line}")?,
                    _ => writeln!(out, "{line}")?,
                }
            }
        }
    }
    let Some(chain) = chain else { return Ok(()) };
    writeln!(out)?;
    let count = chain.certificates.len();
    let to_the_second = Timestamp::from_unix_secs(now.as_unix_secs());
    writeln!(out, "judged at      {to_the_second}")?;
    writeln!(out, "certificates   {count}")?;
    let Some(der) = chain.certificates.first() else {
        return Ok(());
    };
    let Ok(leaf) = Leaf::read(der) else {
        return Ok(());
    };
    let says = if judged.is_ok() { "" } else { " (not proved)" };
    writeln!(out, "names          {}{says}", leaf.id())?;
    let (begins, ends) = (leaf.not_before(), leaf.not_after());
    writeln!(out, "valid          {begins} to {ends}")?;
    writeln!(out, "certificate    sha256:{}", hex(leaf.sha256()))?;
    writeln!(
        out,
        "\nto deny it, put one of these lines into a deny list:"
    )?;
    writeln!(out, "{}", Denied::Id(leaf.id().clone()))?;
    for named in [Denied::key_of(der), Denied::serial_of(der)]
        .into_iter()
        .flatten()
    {
        writeln!(out, "{named}")?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
