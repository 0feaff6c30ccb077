//! `crypto.sha256`, `crypto.hmac.*`: as lower-case hexadecimal.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

use super::encode::hex;
use super::{Answer, Context, Term, Why, string};

pub(super) fn sha256(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let text = string(arguments, 0)?;
    Ok(Term::text(hex(&Sha256::digest(text))))
}

pub(super) fn hmac_sha256(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    mac(Hmac::<Sha256>::new_from_slice(key(arguments)?), arguments)
}

pub(super) fn hmac_sha512(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    mac(Hmac::<Sha512>::new_from_slice(key(arguments)?), arguments)
}

fn key(arguments: &[Term]) -> Result<&[u8], Why> {
    string(arguments, 1).map(str::as_bytes)
}

fn mac<M: Mac, E>(keyed: Result<M, E>, arguments: &[Term]) -> Answer {
    let mut mac = keyed.map_err(|_| Why::from("the key has a length that cannot be used"))?;
    mac.update(string(arguments, 0)?.as_bytes());
    Ok(Term::text(hex(&mac.finalize().into_bytes())))
}

/// Takes as long wherever the two differ.
pub(super) fn hmac_equal(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let (one, other) = (string(arguments, 0)?, string(arguments, 1)?);
    let differ = one
        .bytes()
        .zip(other.bytes())
        .fold(0, |differ, (one, other)| differ | (one ^ other));
    Ok(Term::Bool(one.len() == other.len() && differ == 0))
}
