//! `base64url.*`, `hex.*`, `urlquery.*`.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
#[cfg(feature = "rego")]
use base64::{
    alphabet::{Alphabet, STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{Answer, Context, Term, Why, string};

pub(super) fn base64url_no_pad(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    Ok(Term::text(URL_SAFE_NO_PAD.encode(string(arguments, 0)?)))
}

#[cfg(feature = "rego")]
pub(super) fn base64_decode(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let decoded = decoded(&STANDARD, string(arguments, 0)?);
    utf8(decoded.ok_or("this is not base64")?)
}

#[cfg(feature = "rego")]
pub(super) fn base64_is_valid(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let text = arguments.first().and_then(Term::as_str);
    let decoded = text.and_then(|text| decoded(&STANDARD, text));
    Ok(Term::Bool(decoded.is_some()))
}

/// With its padding or without.
#[cfg(feature = "rego")]
pub(super) fn base64url_decode(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let text = string(arguments, 0)?;
    let padding = "=".repeat((4 - text.len() % 4) % 4);
    let padded = if text.ends_with('=') {
        text.to_owned()
    } else {
        format!("{text}{padding}")
    };
    utf8(decoded(&URL_SAFE, &padded).ok_or("this is not base64")?)
}

/// As Go reads it: ends of lines are nothing, and bits that stand for nothing may be set.
#[cfg(feature = "rego")]
fn decoded(alphabet: &Alphabet, text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    let engine = GeneralPurpose::new(alphabet, config);
    engine.decode(text.replace(['\r', '\n'], "")).ok()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a string does not fail.
        let _written = write!(out, "{byte:02x}");
        out
    })
}

pub(super) fn hex_encode(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    Ok(Term::text(hex(string(arguments, 0)?.as_bytes())))
}

pub(super) fn hex_decode(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let text = string(arguments, 0)?;
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs.iter().map(|&[high, low]| byte(high, low)).collect();
    let bytes = bytes
        .filter(|_| rest.is_empty())
        .ok_or("this is not hexadecimal")?;
    utf8(bytes)
}

fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |of: u8| {
        char::from(of)
            .to_digit(16)
            .and_then(|it| u8::try_from(it).ok())
    };
    Some(digit(high)? << 4 | digit(low)?)
}

fn utf8(bytes: Vec<u8>) -> Answer {
    let text = String::from_utf8(bytes);
    text.map(Term::String)
        .map_err(|_| "what is decoded is not UTF-8".into())
}

/// As a component of a query: a space is `+`.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            // Writing to a string does not fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

fn unescape(text: &str) -> Result<String, Why> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(next) = bytes.next() {
        out.push(match next {
            b'+' => b' ',
            b'%' => {
                let pair = bytes.next().zip(bytes.next());
                let read = pair.and_then(|(high, low)| byte(high, low));
                read.ok_or("a `%` is not followed by two hexadecimal digits")?
            }
            other => other,
        });
    }
    String::from_utf8(out).map_err(|_| "what is decoded is not UTF-8".into())
}

pub(super) fn query_encode(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    Ok(Term::text(escape(string(arguments, 0)?)))
}

pub(super) fn query_decode(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    unescape(string(arguments, 0)?).map(Term::String)
}

pub(super) fn query_encode_object(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let Some(Term::Object(members)) = arguments.first() else {
        return Err("argument 1 is no object".into());
    };
    let wrong = "a value is neither a string nor a list of strings";
    let mut pairs = Vec::new();
    for (key, value) in members {
        let key = escape(key.as_str().ok_or("a key is no string")?);
        let values = match value {
            Term::String(text) => vec![text.as_str()],
            other => {
                let all = other.elements().ok_or(wrong)?;
                all.iter()
                    .map(Term::as_str)
                    .collect::<Option<_>>()
                    .ok_or(wrong)?
            }
        };
        pairs.push((key, values));
    }
    pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    let pairs: Vec<String> = pairs
        .iter()
        .flat_map(|(key, values)| {
            values
                .iter()
                .map(move |value| format!("{key}={}", escape(value)))
        })
        .collect();
    Ok(Term::text(pairs.join("&")))
}

pub(super) fn query_decode_object(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let mut all: BTreeMap<String, Vec<Term>> = BTreeMap::new();
    for pair in string(arguments, 0)?
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        // WHATWG URL keeps it; as a separator it once was read two ways.
        if pair.contains(';') {
            return Err("a `;` stands in the query".into());
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        all.entry(unescape(key)?)
            .or_default()
            .push(unescape(value).map(Term::String)?);
    }
    let members = all
        .into_iter()
        .map(|(key, values)| (Term::String(key), Term::Array(values)));
    Ok(Term::Object(members.collect()))
}
