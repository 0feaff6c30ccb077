//! Meets TLS stacks that nobody here wrote: OpenSSL, curl, Go's crypto/tls and Python's ssl, as clients and as servers, with
//! right and wrong certificates. Prints a table, and fails where anything came out otherwise than it must.
//!
//! ```console
//! $ cargo run -p ztl-mtls --features tls12 --example interop
//! ```
//!
//! 1. Each peer meets us once for each of its [`Credential`]s: the right one is proved, each wrong one is refused with its own
//!    code, and the peer is told by the alert that belongs to it.
//! 2. Each peer is shown a certificate of ours that it must refuse, so that it is not we alone who judge.
//! 3. A caller of TLS 1.2 is refused. With the feature `tls12` the same is done once more in TLS 1.2, by configurations that were asked
//!    for it.
//!
//! Everything stays on 127.0.0.1, in a folder that is removed, in bounded time; each process is ended. A peer whose program is
//! not here is left out, and that is said.

mod meeting;
mod ours;
mod peer;
mod pki;
mod row;

use std::process::ExitCode;

use meeting::{they_call, they_serve};
use ours::Ours;
use peer::Peer;
use pki::{Credential, Pki};
use row::Row;

/// Whatever goes wrong before the peers meet.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let pki = Pki::new()?;
    let mut fine = true;
    println!("{}", Row::HEADER);
    for peer in Peer::ALL {
        let program = match peer.program(&pki.folder) {
            Ok(program) => program,
            Err(why) => {
                println!("{}: left out: {why}", peer.name());
                continue;
            }
        };
        for row in meet(&pki, &program)? {
            fine &= row.is_as_it_must_be();
            println!("{row}");
        }
    }
    println!(
        "{}",
        if fine {
            "all as it must be"
        } else {
            "NOT as it must be"
        }
    );
    Ok(fine)
}

/// All meetings with one peer.
fn meet(pki: &Pki, program: &peer::Program) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let right = Ours::new(pki, Credential::Right)?;
    let strange = Ours::new(pki, Credential::WrongCa)?;
    for theirs in Credential::ALL {
        rows.push(they_call(&right, pki, program, *theirs)?);
    }
    rows.push(they_call(&strange, pki, program, Credential::Right)?);
    if let Some(old) = program.speaking_tls12() {
        rows.push(they_call(&right, pki, &old, Credential::Right)?);
    }
    if program.can_serve() {
        for theirs in Credential::ALL
            .iter()
            .filter(|theirs| **theirs != Credential::None)
        {
            rows.push(they_serve(&right, pki, program, *theirs)?);
        }
        rows.push(they_serve(&strange, pki, program, Credential::Right)?);
    }
    #[cfg(feature = "tls12")]
    meet_in_tls12(pki, program, &mut rows)?;
    Ok(rows)
}

/// All meetings in TLS 1.2, for which we were asked by name.
#[cfg(feature = "tls12")]
fn meet_in_tls12(pki: &Pki, program: &peer::Program, rows: &mut Vec<Row>) -> Result<()> {
    let Some(old) = program.speaking_tls12() else {
        return Ok(());
    };
    let ours = Ours::new(pki, Credential::Right)?.speaking_tls12();
    for theirs in Credential::ALL {
        rows.push(they_call(&ours, pki, &old, *theirs)?);
        if old.can_serve() && *theirs != Credential::None {
            rows.push(they_serve(&ours, pki, &old, *theirs)?);
        }
    }
    Ok(())
}
